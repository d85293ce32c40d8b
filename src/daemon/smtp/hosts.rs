//! From a destination to the hosts that are tried, in order: "[host]" is that host, "domain" its MX hosts by
//! preference, or its own addresses when it has none (RFC 5321 section 5.1).

use super::Settings;
use super::destination::{Destination, Host, Unreachable};
use super::dns::{Answer, Dns};
use crate::status::{Code, Verdict};
use crate::sys::resolve::{self, LookupError};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

/// The hosts of a destination, best first.
#[derive(Debug, Default)]
pub struct Hosts {
    pub hosts: Vec<Host>,
    /// This machine is one of the domain's mail hosts: its mail must not go to a fallback relay, which may send it here.
    pub found_self: bool,
}

pub struct Resolver {
    /// None: disable_dns_lookups.
    dns: Option<Dns>,
}

impl Resolver {
    pub fn new(settings: &Settings) -> Result<Resolver, String> {
        Ok(Resolver { dns: if settings.disable_dns { None } else { Some(Dns::new()?) } })
    }

    pub fn hosts(&self, settings: &Settings, destination: &Destination) -> Result<Hosts, Unreachable> {
        let name = destination.name.as_str();
        let port = destination.port;
        let exchangers = match &self.dns {
            Some(dns) if !destination.literal && literal_address(name).is_none() => dns.mx(name),
            _ => Answer::NoData,
        };
        let exchangers = match exchangers {
            Answer::Found(found) => found,
            Answer::Failed if !settings.ignore_mx_error => {
                let text = lookup_error(name, "MX", "Host not found, try again");
                return Err(Unreachable::temporary(Code::new(4, 4, 3), text));
            }
            _ => {
                let mut hosts = Vec::new();
                self.addresses(settings, name, port, 0, &mut hosts, false)?;
                if self.loops(settings, port) && hosts.iter().any(|host| is_self(settings, host)) {
                    return Err(Unreachable::looping(name));
                }
                return Ok(Hosts { hosts: ordered(settings, hosts), found_self: false });
            }
        };
        self.exchangers(settings, name, port, exchangers)
    }

    /// The addresses of MX hosts, but for those at or behind our own preference.
    fn exchangers(
        &self,
        settings: &Settings,
        name: &str,
        port: u16,
        mut exchangers: Vec<(u16, String)>,
    ) -> Result<Hosts, Unreachable> {
        exchangers.sort_by_key(|(preference, _)| *preference);
        // RFC 7505: "MX 0 ." is a domain that takes no mail.
        if exchangers.iter().all(|(_, host)| host.is_empty()) {
            let text = format!("Domain {name} does not accept mail (nullMX)");
            return Err(Unreachable::permanent(Code::new(5, 1, 0), text));
        }
        let best = exchangers.first().map_or(0, |(preference, _)| *preference);
        let mut hosts = Vec::new();
        let mut failure: Option<Unreachable> = None;
        for (preference, exchanger) in &exchangers {
            if exchanger.parse::<IpAddr>().is_ok() {
                settings
                    .log
                    .warning(format!("numeric domain name in resource data of MX record for {name}: {exchanger}"));
            }
            let soft = failure.as_ref().is_some_and(|failure| failure.report.verdict() == Verdict::Deferred);
            if let Err(error) = self.addresses(settings, exchanger, port, *preference, &mut hosts, soft) {
                failure = Some(error);
            }
        }
        if hosts.is_empty() {
            settings.log.warning(format!("no MX host for {name} has a valid address record"));
            let failure = failure
                .unwrap_or_else(|| Unreachable::temporary(Code::new(4, 4, 3), format!("no mail host for {name}")));
            return Err(if settings.defer_if_no_mx_address { failure.softened() } else { failure });
        }
        let mut found_self = false;
        let mut nearest = hosts.iter().map(|host| host.preference).min().unwrap_or(best);
        if self.loops(settings, port)
            && let Some(own) = hosts.iter().filter(|host| is_self(settings, host)).map(|host| host.preference).min()
        {
            found_self = true;
            hosts.retain(|host| host.preference < own);
            nearest = nearest.min(own);
        }
        if hosts.is_empty() {
            // When the better hosts could not be found, they may be tomorrow.
            return Err(if nearest == best {
                Unreachable::looping(name)
            } else {
                let text = format!("unable to find primary relay for {name}");
                Unreachable { found_self: true, ..Unreachable::temporary(Code::new(4, 4, 4), text) }
            });
        }
        Ok(Hosts { hosts: ordered(settings, hosts), found_self })
    }

    /// Only at SMTP's own port does mail to our address come back to us.
    fn loops(&self, settings: &Settings, port: u16) -> bool {
        !settings.lmtp && port == 25
    }

    /// Adds the addresses of a host: as smtp_host_lookup says, by the DNS, the C library's files, or both. `soft`:
    /// another host of the list may have one tomorrow.
    fn addresses(
        &self,
        settings: &Settings,
        name: &str,
        port: u16,
        preference: u16,
        hosts: &mut Vec<Host>,
        soft: bool,
    ) -> Result<(), Unreachable> {
        let mut add = |shown: &str, found: Vec<IpAddr>| {
            let before = hosts.len();
            for address in found {
                let host = Host { name: shown.to_owned(), address: SocketAddr::new(address, port), preference };
                if wanted(settings, &address) && !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            hosts.len() > before
        };
        if let Some(address) = literal_address(name) {
            let found = add(&address.to_string(), vec![address]);
            let text = || format!("Name service error for {address}: invalid host or domain name");
            return if found { Ok(()) } else { Err(Unreachable::permanent(Code::new(5, 4, 4), text())) };
        }
        let by_files = self.dns.is_none() || settings.host_lookup.contains("native");
        let mut failure = None;
        if let Some(dns) = self.dns.as_ref().filter(|_| settings.host_lookup.contains("dns")) {
            let mut found = Vec::new();
            for (v6, kind) in [(false, "A"), (true, "AAAA")] {
                if !settings.protocols.contains("all") && !settings.protocols.contains(if v6 { "ipv6" } else { "ipv4" })
                {
                    continue;
                }
                let missing = Code::new(if soft { 4 } else { 5 }, 4, 4);
                let error = match dns.addresses(name, v6) {
                    Answer::Found(addresses) => {
                        found.extend(addresses);
                        continue;
                    }
                    Answer::Failed => Unreachable::temporary(
                        Code::new(4, 4, 3),
                        lookup_error(name, kind, "Host not found, try again"),
                    ),
                    Answer::NoData => Unreachable::permanent(
                        missing,
                        lookup_error(name, kind, "Host found but no data record of requested type"),
                    ),
                    Answer::NoName => Unreachable::permanent(missing, lookup_error(name, kind, "Host not found")),
                    Answer::Invalid => Unreachable::permanent(
                        missing,
                        format!("Name service error for {name}: invalid host or domain name"),
                    ),
                };
                // One family's "try again" outweighs the other's "none".
                let kept = failure.as_ref().is_some_and(|old: &Unreachable| old.report.verdict() == Verdict::Deferred);
                if !kept || error.report.verdict() == Verdict::Deferred {
                    failure = Some(error);
                }
            }
            if add(name, found) {
                return Ok(());
            }
        }
        if by_files {
            let error = match resolve::addresses(name) {
                Ok(found) if add(name, found.clone()) => return Ok(()),
                // All of them of a protocol that is not wanted.
                Ok(_) => LookupError { reason: LookupError::NO_ADDRESS.to_owned(), temporary: false },
                Err(error) => error,
            };
            let code = match error.reason.as_str() {
                _ if error.temporary => Code::new(4, 4, 3),
                LookupError::NO_ADDRESS => Code::new(5, 3, 0),
                _ => Code::new(5, 4, 4),
            };
            failure = Some(Unreachable::permanent(code, format!("unable to look up host {name}: {}", error.reason)));
        }
        Err(failure.unwrap_or_else(|| {
            Unreachable::temporary(
                Code::new(4, 4, 3),
                format!("unable to look up host {name}: smtp_host_lookup is empty"),
            )
        }))
    }
}

fn lookup_error(name: &str, kind: &str, reason: &str) -> String {
    format!("Host or domain name not found. Name service error for name={name} type={kind}: {reason}")
}

fn literal_address(name: &str) -> Option<IpAddr> {
    let bare = match name.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &name[5..],
        _ => name,
    };
    bare.parse().ok()
}

fn is_self(settings: &Settings, host: &Host) -> bool {
    settings.own_addresses.contains(&host.address.ip())
}

fn wanted(settings: &Settings, address: &IpAddr) -> bool {
    settings.protocols.contains("all") || settings.protocols.contains(if address.is_ipv6() { "ipv6" } else { "ipv4" })
}

/// By preference; equals at random, or the preferred protocol first. Of a long list both protocols are tried.
fn ordered(settings: &Settings, mut hosts: Vec<Host>) -> Vec<Host> {
    if settings.randomize {
        let chance = RandomState::new();
        hosts.sort_by_cached_key(|host| chance.hash_one(host.address));
    }
    let behind = |host: &Host| match settings.address_preference.as_str() {
        "ipv4" => host.address.is_ipv6(),
        "ipv6" => host.address.is_ipv4(),
        _ => false,
    };
    hosts.sort_by_key(|host| (host.preference, behind(host)));
    let limit = settings.address_limit;
    if settings.balance
        && (2..hosts.len()).contains(&limit)
        && let Some(first) = hosts.first().map(|host| host.address.is_ipv6())
        && hosts[..limit].iter().all(|host| host.address.is_ipv6() == first)
        && let Some(other) = hosts.iter().position(|host| host.address.is_ipv6() != first)
    {
        let other = hosts.remove(other);
        hosts.insert(limit - 1, other);
    }
    hosts
}
