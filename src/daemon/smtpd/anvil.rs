//! How much each client does (anvil(8), for the one process that serves all sessions): sessions at a time, and events
//! in a unit of time. A client that did nothing for a unit is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What is counted in a unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Connection,
    Message,
    Recipient,
    Auth,
    Tls,
}

struct Client {
    sessions: u64,
    /// When the unit began.
    since: Instant,
    counts: [u64; 5],
}

/// All clients of one service.
pub struct Anvil {
    unit: Duration,
    clients: HashMap<IpAddr, Client>,
    swept: Instant,
}

impl Anvil {
    pub fn new(unit: Duration) -> Anvil {
        Anvil { unit, clients: HashMap::new(), swept: Instant::now() }
    }

    fn client(&mut self, address: IpAddr, now: Instant) -> &mut Client {
        let unit = self.unit;
        if now.duration_since(self.swept) > unit {
            self.swept = now;
            self.clients.retain(|_, client| client.sessions > 0 || now.duration_since(client.since) < unit);
        }
        let client = self.clients.entry(address).or_insert(Client { sessions: 0, since: now, counts: [0; 5] });
        if now.duration_since(client.since) >= unit {
            client.since = now;
            client.counts = [0; 5];
        }
        client
    }

    /// One more event; gives how many there were in this unit.
    pub fn count(&mut self, address: IpAddr, event: Event, now: Instant) -> u64 {
        let count = &mut self.client(address, now).counts[event as usize];
        *count = count.saturating_add(1);
        *count
    }

    /// How many there were so far.
    pub fn counted(&mut self, address: IpAddr, event: Event, now: Instant) -> u64 {
        self.client(address, now).counts[event as usize]
    }

    /// A session begins; gives how many there are.
    pub fn enter(&mut self, address: IpAddr, now: Instant) -> u64 {
        let client = self.client(address, now);
        client.sessions += 1;
        client.sessions
    }

    pub fn leave(&mut self, address: IpAddr) {
        if let Some(client) = self.clients.get_mut(&address) {
            client.sessions = client.sessions.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_ends() {
        let (start, address) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        let mut anvil = Anvil::new(Duration::from_secs(60));
        assert_eq!(anvil.count(address, Event::Message, start), 1);
        assert_eq!(anvil.count(address, Event::Message, start + Duration::from_secs(59)), 2);
        assert_eq!(anvil.count(address, Event::Message, start + Duration::from_secs(60)), 1);
        assert_eq!((anvil.enter(address, start), anvil.enter(address, start)), (1, 2));
        anvil.leave(address);
        assert_eq!(anvil.enter(address, start), 2);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let start = Instant::now();
        let mut anvil = Anvil::new(Duration::from_secs(1));
        for n in 0..100u8 {
            anvil.count(IpAddr::from([192, 0, 2, n]), Event::Connection, start);
        }
        anvil.count(IpAddr::from([192, 0, 3, 1]), Event::Connection, start + Duration::from_secs(10));
        assert_eq!(anvil.clients.len(), 1);
    }
}
