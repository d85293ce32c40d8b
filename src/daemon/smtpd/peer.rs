//! The client of a session: its address, its names, how far it is trusted.

use super::settings::{LocalRewrite, Settings};
use super::stream::{Duplex, Stream};
use crate::proto::tls_server::Established;
use crate::sys::resolve;
use crate::table::MatchList;
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
    /// Whether there may be a name and nobody answered for it.
    pub name_failed: bool,
    pub reverse_failed: bool,
    /// What is odd about its names, for the log.
    pub oddities: Vec<String>,
    /// None: XCLIENT said that it is not known.
    pub address: Option<IpAddr>,
    pub port: u16,
    pub server_address: String,
    pub server_port: u16,
    /// sendmail -bs: a user of this machine.
    pub is_user: bool,
    /// Sessions and connection rate at the start.
    pub anvil: (u64, u64),
    /// Who truly is connected, when XCLIENT spoke for somebody else.
    pub origin: Option<Box<Peer>>,
}

impl Peer {
    /// Looks the names of a client up. Blocking.
    pub fn look_up(client: SocketAddr, server: SocketAddr, lookup: bool) -> Peer {
        let address = client.ip().to_canonical();
        let reverse = if lookup { resolve::name_of(address) } else { Ok(None) };
        let mut peer = Peer {
            name: "unknown".into(),
            reverse: "unknown".into(),
            name_failed: reverse.is_err(),
            reverse_failed: reverse.is_err(),
            oddities: Vec::new(),
            address: Some(address),
            port: client.port(),
            server_address: server.ip().to_canonical().to_string(),
            server_port: server.port(),
            is_user: false,
            anvil: (0, 0),
            origin: None,
        };
        if let Ok(Some(name)) = reverse {
            // A name that does not lead back to the address is not the client's to use.
            match resolve::addresses(&name) {
                Ok(found) if found.contains(&address) => peer.name.clone_from(&name),
                Ok(_) => peer.oddities.push(format!("hostname {name} does not resolve to address {address}")),
                Err(error) => {
                    peer.name_failed = error.temporary;
                    let reason = error.reason;
                    peer.oddities.push(format!("hostname {name} does not resolve to address {address}: {reason}"));
                }
            }
            peer.reverse = name;
        }
        peer
    }

    /// The user behind sendmail -bs.
    pub fn user() -> Peer {
        let address = IpAddr::from([127, 0, 0, 1]);
        Peer {
            name: "localhost".into(),
            reverse: "localhost".into(),
            name_failed: false,
            reverse_failed: false,
            oddities: Vec::new(),
            address: Some(address),
            port: 0,
            server_address: address.to_string(),
            server_port: 0,
            is_user: true,
            anvil: (0, 0),
            origin: None,
        }
    }

    /// "name[address]": as log lines name it.
    pub fn shown(&self) -> String {
        format!("{}[{}]", self.name, self.address_name())
    }

    /// The address as tables and replies have it.
    pub fn address_name(&self) -> String {
        self.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
    }

    /// The address as Received headers and attributes have it.
    pub fn address_text(&self) -> String {
        let name = self.address_name();
        if self.address.is_some_and(|address| address.is_ipv6()) { format!("IPv6:{name}") } else { name }
    }

    /// The verified name, if there is one.
    pub fn known_name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| *name != "unknown")
    }

    /// In a list of clients; a list that cannot be asked has nobody.
    pub fn is_in(&self, list: &MatchList) -> bool {
        list.contains_client(self.known_name(), self.address).unwrap_or(false)
    }

    /// At one of our own addresses: the connection itself, whomever XCLIENT named.
    pub fn is_own_host(&self, settings: &Settings) -> bool {
        let connected = self.origin.as_deref().unwrap_or(self);
        connected.address.is_some_and(|address| settings.own_addresses.contains(&address))
    }

    /// In mynetworks.
    pub fn is_trusted(&self, settings: &Settings) -> bool {
        self.is_user || self.is_in(&settings.mynetworks)
    }

    /// local_header_rewrite_clients: its incomplete headers are completed by our rules.
    pub fn is_local_client(&self, settings: &Settings, has_login: bool, secured: Option<&Established>) -> bool {
        self.is_user
            || settings.local_rewrite.iter().any(|rule| match rule {
                LocalRewrite::InetInterfaces => self.is_own_host(settings),
                LocalRewrite::Mynetworks => self.is_trusted(settings),
                LocalRewrite::Login => has_login,
                LocalRewrite::Certificate { all: true } => secured.is_some_and(Established::is_trusted),
                LocalRewrite::Certificate { all: false } => {
                    let certificate = secured.and_then(|own| own.certificate.as_ref());
                    let known = |print: &str| matches!(settings.known_certificates.find(print.as_bytes()), Ok(Some(_)));
                    certificate.is_some_and(|own| known(&own.fingerprint) || known(&own.key_fingerprint))
                }
                LocalRewrite::Table(maps) => {
                    let address = self.address_name();
                    let named = self
                        .known_name()
                        .is_some_and(|name| matches!(maps.find_domain(name.as_bytes(), true), Ok(Some(_))));
                    named || matches!(maps.find_text(&address), Ok(Some(_)))
                }
            })
    }

    /// Whether the client speaks before the greeting.
    pub async fn talks_first<S: Duplex>(&self, stream: &mut Stream<S>) -> bool {
        matches!(tokio::time::timeout(EARLY, stream.fill(1024)).await, Ok(Ok(true)))
    }
}
