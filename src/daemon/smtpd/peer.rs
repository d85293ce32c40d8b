//! The client of a session: its address, its names, how far it is trusted.

use super::settings::Settings;
use super::stream::{Duplex, Stream};
use crate::sys::resolve;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a client that must not speak yet is given to do so.
const EARLY: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
pub struct Peer {
    /// The name whose address is the client's; "unknown" without one.
    pub name: String,
    /// What the address's PTR record says, verified or not.
    pub reverse: String,
    pub address: IpAddr,
    pub port: u16,
    pub server_address: String,
    pub server_port: u16,
    /// sendmail -bs: a user of this machine.
    pub is_user: bool,
}

impl Peer {
    /// Looks the names of a client up. Blocking.
    pub fn look_up(client: SocketAddr, server: SocketAddr, lookup: bool) -> Peer {
        let address = client.ip().to_canonical();
        let reverse = if lookup { resolve::name_of(address) } else { None };
        // A name that does not lead back to the address is not the client's to use.
        let verified =
            reverse.as_ref().filter(|name| resolve::addresses(name).is_ok_and(|found| found.contains(&address)));
        Peer {
            name: verified.cloned().unwrap_or_else(|| "unknown".into()),
            reverse: reverse.clone().unwrap_or_else(|| "unknown".into()),
            address,
            port: client.port(),
            server_address: server.ip().to_canonical().to_string(),
            server_port: server.port(),
            is_user: false,
        }
    }

    /// The user behind sendmail -bs.
    pub fn user() -> Peer {
        let address = IpAddr::from([127, 0, 0, 1]);
        Peer {
            name: "localhost".into(),
            reverse: "localhost".into(),
            address,
            port: 0,
            server_address: address.to_string(),
            server_port: 0,
            is_user: true,
        }
    }

    /// "name[address]": as log lines name it.
    pub fn shown(&self) -> String {
        format!("{}[{}]", self.name, self.address)
    }

    /// The address as Received headers and attributes have it.
    pub fn address_text(&self) -> String {
        if self.address.is_ipv6() { format!("IPv6:{}", self.address) } else { self.address.to_string() }
    }

    /// In mynetworks.
    pub fn is_trusted(&self, settings: &Settings) -> bool {
        let name = Some(self.name.as_str()).filter(|name| *name != "unknown");
        self.is_user || settings.mynetworks.contains_client(name, self.address).unwrap_or(false)
    }

    /// local_header_rewrite_clients: its incomplete headers are completed by our rules.
    pub fn is_local_client(&self, settings: &Settings) -> bool {
        let rules = &settings.local_rewrite;
        self.is_user
            || (rules.inet_interfaces && settings.own_addresses.contains(&self.address))
            || (rules.mynetworks && self.is_trusted(settings))
    }

    /// Whether the client speaks before the greeting.
    pub async fn talks_first<S: Duplex>(&self, stream: &mut Stream<S>) -> bool {
        matches!(tokio::time::timeout(EARLY, stream.fill(1024)).await, Ok(Ok(true)))
    }
}
