//! From a next hop to the hosts that are tried, in order: "[host]:port" is that host, "domain" its MX hosts by
//! preference, or its own addresses when it has none (RFC 5321 section 5.1).

use super::Settings;
use crate::dns::{Answer, Dns};
use crate::status::{Code, Report};
use crate::sys::resolve;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// A next hop taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    pub name: String,
    pub port: u16,
    /// In brackets: no MX lookup.
    pub literal: bool,
}

impl Destination {
    pub fn parse(text: &str, default_port: u16) -> Destination {
        let text = text.trim();
        let (name, port, literal) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inner, after)) => (inner, after.strip_prefix(':'), true),
            None => match text.rsplit_once(':') {
                Some((name, port)) => (name, Some(port), false),
                None => (text, None, false),
            },
        };
        let port = port.and_then(|port| {
            port.parse()
                .ok()
                .or_else(|| (port == "smtp").then_some(25))
                .or_else(|| (port == "submission").then_some(587))
        });
        Destination { name: name.to_owned(), port: port.unwrap_or(default_port), literal }
    }
}

/// A host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub address: SocketAddr,
    pub preference: u16,
}

impl Host {
    /// "mx.example.org[192.0.2.1]:25"
    pub fn shown(&self) -> String {
        format!("{}[{}]:{}", self.name, self.address.ip(), self.address.port())
    }
}

/// Whom to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Host(Host),
    /// A socket of this machine (LMTP), below the queue directory unless it is absolute; `name` is our own.
    Socket {
        path: PathBuf,
        name: String,
    },
}

impl Peer {
    /// "mx.example.org[192.0.2.1]:25", "srv.example.org[private/dovecot-lmtp]"
    pub fn shown(&self) -> String {
        match self {
            Peer::Host(host) => host.shown(),
            Peer::Socket { .. } => self.name(),
        }
    }

    /// The same without a port.
    pub fn name(&self) -> String {
        match self {
            Peer::Host(host) => format!("{}[{}]", host.name, host.address.ip()),
            Peer::Socket { path, name } => format!("{name}[{}]", path.display()),
        }
    }
}

/// Why nobody can be reached.
#[derive(Debug)]
pub struct Unreachable {
    pub report: Report,
    /// The destination itself does not answer, whoever the recipient.
    pub down: bool,
    pub relay: Option<String>,
}

impl Unreachable {
    pub fn temporary(code: Code, text: impl Into<String>) -> Unreachable {
        Unreachable { report: Report::new(code, text), down: true, relay: None }
    }

    pub fn permanent(code: Code, text: impl Into<String>) -> Unreachable {
        Unreachable { report: Report::new(code, text), down: false, relay: None }
    }
}

/// The DNS, asked one question at a time.
pub struct Resolver {
    runtime: tokio::runtime::Runtime,
    dns: Dns,
}

impl Resolver {
    pub fn new(settings: &Settings) -> Result<Resolver, String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let dns = {
            let _inside = runtime.enter();
            Dns::new(settings.disable_dns)
        };
        Ok(Resolver { runtime, dns })
    }

    /// The hosts of a destination, best first.
    pub fn hosts(&self, settings: &Settings, destination: &Destination) -> Result<Vec<Host>, Unreachable> {
        let name = destination.name.as_str();
        let bare = name.strip_prefix("IPv6:").or_else(|| name.strip_prefix("ipv6:")).unwrap_or(name);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![Host {
                name: bare.to_owned(),
                address: SocketAddr::new(address, destination.port),
                preference: 0,
            }]);
        }
        if destination.literal || settings.disable_dns {
            return self.addresses(settings, name, destination.port, 0);
        }
        let exchangers = match self.runtime.block_on(self.dns.mx(name)) {
            Answer::Found(found) => found,
            Answer::NoData => {
                return self.checked(settings, name, self.addresses(settings, name, destination.port, 0)?);
            }
            Answer::NoDomain => {
                let text = format!(
                    "Host or domain name not found. Name service error for name={name} type=MX: Host not found"
                );
                return match self.native(settings, name, destination.port) {
                    Some(hosts) => self.checked(settings, name, hosts),
                    None => Err(Unreachable::permanent(Code::new(5, 4, 4), text)),
                };
            }
            Answer::Failed(reason) => {
                let text =
                    format!("Host or domain name not found. Name service error for name={name} type=MX: {reason}");
                return match self.native(settings, name, destination.port) {
                    Some(hosts) => self.checked(settings, name, hosts),
                    None => Err(Unreachable::temporary(Code::new(4, 4, 3), text)),
                };
            }
        };
        // RFC 7505: "MX 0 ." is a domain that takes no mail.
        if exchangers.iter().all(|(_, host)| host.is_empty()) {
            return Err(Unreachable::permanent(
                Code::new(5, 1, 0),
                format!("Domain {name} does not accept mail (nullMX)"),
            ));
        }
        let mut hosts = Vec::new();
        let mut failure = None;
        for (preference, exchanger) in &exchangers {
            match self.addresses(settings, exchanger, destination.port, *preference) {
                Ok(found) => hosts.extend(found),
                Err(error) => failure = Some(error),
            }
        }
        if hosts.is_empty() {
            return Err(failure.unwrap_or_else(|| {
                Unreachable::temporary(Code::new(4, 4, 3), format!("no address for the mail hosts of {name}"))
            }));
        }
        self.checked(settings, name, hosts)
    }

    /// Hosts at or behind our own preference are left out; when we are the best, the mail would come back to us.
    fn checked(&self, settings: &Settings, name: &str, mut hosts: Vec<Host>) -> Result<Vec<Host>, Unreachable> {
        hosts.sort_by_key(|host| host.preference);
        let is_us = |host: &Host| {
            settings.own_names.contains(&host.name.to_lowercase())
                || (settings.own_addresses.contains(&host.address.ip()) && host.address.port() == 25)
        };
        if let Some(own) = hosts.iter().find(|host| is_us(host)).map(|host| host.preference) {
            hosts.retain(|host| host.preference < own);
            if hosts.is_empty() {
                let _ = settings.best_mx_local;
                return Err(Unreachable::permanent(
                    Code::new(5, 4, 6),
                    format!("mail for {name} loops back to myself"),
                ));
            }
        }
        Ok(hosts)
    }

    /// The addresses of a host: as smtp_host_lookup says, the DNS or the C library's files.
    fn addresses(&self, settings: &Settings, name: &str, port: u16, preference: u16) -> Result<Vec<Host>, Unreachable> {
        let at =
            |preference: u16, hosts: Vec<Host>| hosts.into_iter().map(|host| Host { preference, ..host }).collect();
        if (settings.host_lookup.contains("native") || !self.dns.is_available())
            && let Some(hosts) = self.native(settings, name, port)
        {
            return Ok(at(preference, hosts));
        }
        if !self.dns.is_available() {
            return Err(Unreachable::temporary(Code::new(4, 4, 3), format!("unable to look up host {name}")));
        }
        let text = |reason: &str| {
            format!("Host or domain name not found. Name service error for name={name} type=A: {reason}")
        };
        let answer = self.runtime.block_on(self.dns.addresses(name));
        if let Answer::Found(found) = &answer {
            let mut hosts: Vec<Host> = found
                .iter()
                .filter(|address| wanted(settings, address))
                .map(|address| Host { name: name.to_owned(), address: SocketAddr::new(*address, port), preference })
                .collect();
            hosts.sort_by_key(|host| host.address.is_ipv6());
            return if hosts.is_empty() {
                Err(Unreachable::permanent(Code::new(5, 4, 4), text(Answer::<()>::NoData.reason())))
            } else {
                Ok(hosts)
            };
        }
        if let Some(hosts) = self.native(settings, name, port) {
            return Ok(at(preference, hosts));
        }
        Err(match answer {
            Answer::Failed(reason) => Unreachable::temporary(Code::new(4, 4, 3), text(&reason)),
            _ => Unreachable::permanent(Code::new(5, 4, 4), text("Host not found")),
        })
    }

    /// By /etc/hosts and whatever else nsswitch.conf names; None when it knows nothing.
    fn native(&self, settings: &Settings, name: &str, port: u16) -> Option<Vec<Host>> {
        let found = resolve::addresses_of(name)?;
        let hosts: Vec<Host> = found
            .into_iter()
            .filter(|address| wanted(settings, address))
            .map(|address| Host { name: name.to_owned(), address: SocketAddr::new(address, port), preference: 0 })
            .collect();
        let mut unique: Vec<Host> = Vec::new();
        for host in hosts {
            if !unique.contains(&host) {
                unique.push(host);
            }
        }
        Some(unique).filter(|hosts| !hosts.is_empty())
    }
}

fn wanted(settings: &Settings, address: &IpAddr) -> bool {
    settings.protocols.contains("all") || settings.protocols.contains(if address.is_ipv6() { "ipv6" } else { "ipv4" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops() {
        let parse = |text| {
            let Destination { name, port, literal } = Destination::parse(text, 25);
            (name, port, literal)
        };
        assert_eq!(parse("virtualux.fr"), ("virtualux.fr".into(), 25, false));
        assert_eq!(parse("[127.0.0.1]:2525"), ("127.0.0.1".into(), 2525, true));
        assert_eq!(parse("[mail.example.org]"), ("mail.example.org".into(), 25, true));
        assert_eq!(parse("example.org:587"), ("example.org".into(), 587, false));
    }
}
