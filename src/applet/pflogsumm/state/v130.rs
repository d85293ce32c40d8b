//! 1.3.0 follows a message until it is removed, and takes back what it counted as received when the message was
//! rejected late, canceled, or never got a size.

use super::Moment;
use super::filters::Filters;
use crate::applet::pflogsumm::condense;
use crate::applet::pflogsumm::fact::Fact;
use crate::applet::pflogsumm::map::{Digest, Key, Map};
use crate::applet::pflogsumm::tallies::Tallies;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;

/// The messages under way.
pub struct NewerMessages<'o> {
    messages: HashMap<Digest, Message>,
    clients: Map<()>,
    /// When postscreen took a connection, by address and port.
    screened: HashMap<Vec<u8>, i64>,
    /// The message that each smtpd process took last.
    receiving: HashMap<u64, Digest>,
    debug: Option<Box<dyn Write + Send + 'o>>,
    /// Only what came in can be taken back, and what is under way at the end of the log came in.
    careful: bool,
    /// Whether any line named a size: a log without them tells nothing of what never got one.
    sizes: bool,
    /// What was ever put off (1.3.0 does not forget that).
    put_off: HashSet<Digest>,
    /// Messages that were counted as received and were not, for the tallies to go without them.
    pub undone: Vec<Receipt>,
    /// Removed messages, the oldest first: what several processes log can stand a little out of order.
    leaving: VecDeque<Digest>,
    pub filters: Filters,
}

/// How many removed messages are remembered.
const LEAVING: usize = 1024;

/// What is known of a message on its way.
#[derive(Default)]
struct Message {
    size: u64,
    deferred: bool,
    /// The client's place in the list: it was taken in and has no sender yet.
    arrived: Option<u32>,
    /// cleanup has seen it, and no size is known.
    open: bool,
    /// The queue manager named its size, be it 0.
    sized: bool,
    /// It was removed.
    leaving: bool,
    /// Where it could not be delivered.
    relay: Option<Box<[u8]>>,
    /// Where it was counted as received, as long as that can be taken back.
    receipt: Option<Box<Receipt>>,
    /// It came in at all: a name in a server's answer that did not is somebody else's queue id.
    came: bool,
    /// Its Message-ID.
    name: Option<Digest>,
}

/// Where a message was counted as received.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub at: Moment,
    pub sender: Option<Sender>,
}

/// Places in the lists of senders and their domains.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub address: u32,
    pub domain: u32,
    pub size: u64,
}

impl<'o> NewerMessages<'o> {
    pub fn new(debug: Option<Box<dyn Write + Send + 'o>>, careful: bool) -> NewerMessages<'o> {
        NewerMessages {
            messages: HashMap::new(),
            clients: Map::default(),
            screened: HashMap::new(),
            receiving: HashMap::new(),
            debug,
            careful,
            sizes: false,
            put_off: HashSet::new(),
            undone: Vec::new(),
            leaving: VecDeque::new(),
            filters: Filters::default(),
        }
    }

    /// The message of a queue id that comes in now; one of the same id that was removed is another.
    fn incoming(&mut self, digest: Digest) -> &mut Message {
        let message = self.messages.entry(digest).or_default();
        if message.leaving {
            *message = Message::default();
        }
        message
    }

    /// A message that is done with.
    fn remove(&mut self, id: &[u8]) {
        let digest = Digest::of(id);
        if !self.careful {
            self.messages.remove(&digest);
            return;
        }
        if let Some(message) = self.messages.get_mut(&digest) {
            message.leaving = true;
            self.leaving.push_back(digest);
            if let Some(name) = message.name {
                self.filters.left(name, digest);
            }
        }
        if self.leaving.len() > LEAVING
            && let Some(digest) = self.leaving.pop_front()
            && self.messages.get(&digest).is_some_and(|message| message.leaving)
        {
            self.messages.remove(&digest);
        }
    }

    /// A message of an earlier run.
    pub fn carry(&mut self, id: &[u8], size: u64, client: Option<&[u8]>) {
        let arrived = client.filter(|_| size == 0).map(|client| self.clients.place(Key::of(client)).0);
        let sized = size != 0;
        self.messages.insert(Digest::of(id), Message { size, sized, arrived, open: size == 0, ..Message::default() });
    }

    /// What was taken in and never got a size was not received.
    pub fn finish(&mut self, tallies: &mut Tallies) -> std::io::Result<()> {
        if self.careful {
            return Ok(());
        }
        if self.sizes {
            tallies.newer.withdrawn += self.messages.values().filter(|message| !message.sized).count() as u64;
        }
        match &mut self.debug {
            Some(debug) => debug.flush(),
            None => Ok(()),
        }
    }

    pub fn note(&mut self, what: &str, id: &[u8]) {
        if let Some(debug) = &mut self.debug {
            // A debug file on a full disk is no reason to give no report.
            let _ = debug.write_all(&[what.as_bytes(), b": ", id, b"\n"].concat());
        }
    }

    /// `receipt`: only with --accurate.
    pub fn arrive(&mut self, id: Key<'_>, client: &[u8], process: Option<u64>, receipt: Option<Receipt>) {
        let (place, _) = self.clients.place(Key::of(client));
        let digest = id.digest;
        let message = self.incoming(digest);
        message.arrived = Some(place);
        message.came = true;
        message.receipt = receipt.map(Box::new);
        self.note("received", id.text);
        if let Some(process) = process.filter(|_| self.careful) {
            self.receiving.insert(process, digest);
        }
    }

    /// Sets the size of a message that has none yet and gives its client, once; None when it has one.
    pub fn set_size(&mut self, id: Key<'_>, size: u64) -> Option<Option<&[u8]>> {
        // Borrowed apart from the clients.
        let message = self.messages.entry(id.digest).or_default();
        if message.leaving {
            *message = Message::default();
        }
        self.sizes = true;
        if message.size != 0 {
            return None;
        }
        message.size = size;
        message.sized = true;
        message.open = false;
        let arrived = if self.careful { message.arrived.take() } else { message.arrived };
        Some(arrived.and_then(|place| self.clients.key(place)))
    }

    /// To 1.3.0 whatever was asked for is a message from then on, one without a size.
    pub fn size(&mut self, id: Key<'_>) -> u64 {
        match self.careful {
            true => self.messages.get(&id.digest).map_or(0, |message| message.size),
            false => self.messages.entry(id.digest).or_default().size,
        }
    }
    /// The sender that a message was counted for.
    pub fn sent_by(&mut self, id: Key<'_>, sender: Sender) {
        let message = self.messages.get_mut(&id.digest);
        if let Some(receipt) = message.and_then(|message| message.receipt.as_mut()) {
            receipt.sender = Some(sender);
        }
    }

    /// Whether a filter gave a message back with this queue id, which then was not received.
    pub fn gives_back(&mut self, tallies: &mut Tallies, id: &[u8]) -> bool {
        self.came_back(tallies, Digest::of(id))
    }

    /// The same. Whether there is such a message.
    pub fn came_back(&mut self, tallies: &mut Tallies, id: Digest) -> bool {
        let Some(message) = self.messages.get_mut(&id).filter(|message| message.came) else { return false };
        if let Some(receipt) = message.receipt.take() {
            tallies.newer.withdrawn += 1;
            self.undone.push(*receipt);
        }
        true
    }

    /// cleanup has seen a message with this Message-ID. Whether it is one that comes back from a program.
    pub fn open(&mut self, tallies: &mut Tallies, id: Digest, name: Option<Digest>) -> bool {
        let message = self.incoming(id);
        message.open = true;
        message.name = name;
        let arrived = message.arrived;
        let Some(name) = name.filter(|_| arrived.and_then(|place| self.clients.key(place)) == Some(b"pickup")) else {
            return false;
        };
        let Some(deliveries) = self.filters.brought(name, id) else { return false };
        tallies.newer.filtered += deliveries as u64;
        if let Some(message) = self.messages.get_mut(&id) {
            // Its sender was counted.
            message.arrived = None;
        }
        self.came_back(tallies, id)
    }

    pub fn name(&self, id: Digest) -> Option<Digest> {
        self.messages.get(&id)?.name
    }

    /// True the first time.
    pub fn first_deferral(&mut self, id: Key<'_>, relay: &[u8]) -> bool {
        if !self.careful {
            if let Some(message) = self.messages.get_mut(&id.digest) {
                message.relay = Some(relay.into());
            }
            return self.put_off.insert(id.digest);
        }
        let message = self.messages.entry(id.digest).or_default();
        message.relay = Some(relay.into());
        !std::mem::replace(&mut message.deferred, true)
    }

    /// A message that was counted as received and is none.
    fn withdraw(&mut self, tallies: &mut Tallies, id: &[u8]) {
        let message = self.messages.remove(&Digest::of(id));
        match message.and_then(|message| message.receipt) {
            Some(receipt) => {
                tallies.newer.withdrawn += 1;
                self.undone.push(*receipt);
            }
            None if !self.careful => tallies.newer.withdrawn += 1,
            None => {}
        }
        self.note("not received", id);
    }

    /// The facts that only 1.3.0 has.
    pub fn take(&mut self, tallies: &mut Tallies, fact: Fact<'_>) {
        match fact {
            Fact::Returned(id) => {
                let message = self.incoming(Digest::of(id));
                (message.open, message.came) = (true, true);
            }
            Fact::Removed(id) => self.remove(id),
            Fact::Canceled(id) => {
                tallies.newer.canceled += 1;
                self.withdraw(tallies, id);
            }
            Fact::Withdraw(id) => self.withdraw(tallies, id),
            Fact::Unarrive(id) => {
                if let Some(message) = self.messages.get_mut(&Digest::of(id)) {
                    message.arrived = None;
                }
            }
            Fact::Expired(id) => {
                if !self.careful {
                    self.messages.entry(Digest::of(id)).or_default();
                }
                let message = self.messages.get(&Digest::of(id));
                let relay = message.and_then(|message| message.relay.as_deref()).unwrap_or(b"unknown");
                tallies.newer.expired += 1;
                *tallies.newer.expired_relays.of(condense::relay_host(relay)) += 1;
            }
            Fact::Gone(process) => {
                if let Some(message) = self.receiving.remove(&process)
                    && self.messages.get(&message).is_some_and(|message| message.arrived.is_some() && !message.open)
                {
                    // The client went before cleanup saw the message.
                    tallies.newer.withdrawn += 1;
                    let message = self.messages.remove(&message);
                    self.undone.extend(message.and_then(|message| message.receipt).map(|receipt| *receipt));
                }
            }
            Fact::Screen { key, at } => {
                self.screened.insert(key.to_vec(), at);
            }
            Fact::Screened { key, address, at, action } => {
                let Some(since) = self.screened.remove(key) else { return };
                tallies.newer.screen.add(at.saturating_sub(since));
                tallies.newer.screen_addresses.of(address);
                if let Some(action) = action {
                    *tallies.newer.screen_actions.of(action).of(address) += 1;
                }
            }
            Fact::ScreenAction { action, address } => *tallies.newer.screen_actions.of(action).of(address) += 1,
            _ => {}
        }
    }
}
