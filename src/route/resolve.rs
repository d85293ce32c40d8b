//! To which transport and next hop an address goes (trivial-rewrite(8), ADDRESS_CLASS_README).

use super::rewrite::Rewriter;
use crate::conf::neighbour::neighbour;
use crate::conf::{MainCf, computed};
use crate::message::{envelope, host};
use crate::table::matchlist::Flavour;
use crate::table::{Maps, MatchList, Options, TableError};
use std::net::IpAddr;

/// The address class of a recipient's domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    Local,
    VirtualAlias,
    VirtualMailbox,
    Relay,
    Default,
}

/// Where mail for an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    pub transport: String,
    pub nexthop: String,
    pub recipient: String,
    pub class: Class,
    /// The domain is neither a name nor an address: no table makes it deliverable.
    pub malformed: bool,
    /// The local part holds another route (user%elsewhere@here): never relayed for strangers.
    pub routed: bool,
}

/// The tables and lists of one configuration.
pub struct Router {
    pub rewriter: Rewriter,
    /// show_user_unknown_table_name.
    pub shows_unknown_table: bool,
    myhostname: String,
    destinations: MatchList,
    virtual_alias_domains: MatchList,
    virtual_mailbox_domains: MatchList,
    relay_domains: MatchList,
    transports: Maps,
    relayhost: String,
    sender_relayhosts: Maps,
    sender_transports: Maps,
    null_relayhost_key: String,
    null_transport_key: String,
    relocated: Maps,
    local_transport: String,
    virtual_transport: String,
    relay_transport: String,
    default_transport: String,
    interfaces: Vec<IpAddr>,
    delimiters: String,
    empty_recipient: String,
    percent_hack: bool,
    swap_bangpath: bool,
}

impl Router {
    /// As the service that $rewrite_service_name names resolves, whoever asks.
    pub fn new(own: &MainCf) -> Result<Router, TableError> {
        Router::open(&neighbour(own, &own.rewrite_service_name()))
    }

    /// The same with the routes that probes of addresses take (address_verify_*).
    pub fn for_probes(own: &MainCf) -> Result<Router, TableError> {
        let mut cf = neighbour(own, &own.rewrite_service_name());
        let routes = [
            ("local_transport", cf.address_verify_local_transport()),
            ("virtual_transport", cf.address_verify_virtual_transport()),
            ("relay_transport", cf.address_verify_relay_transport()),
            ("default_transport", cf.address_verify_default_transport()),
            ("relayhost", cf.address_verify_relayhost()),
            ("sender_dependent_relayhost_maps", cf.address_verify_sender_dependent_relayhost_maps()),
            ("sender_dependent_default_transport_maps", cf.address_verify_sender_dependent_default_transport_maps()),
            ("transport_maps", cf.address_verify_transport_maps()),
        ];
        for (name, value) in routes {
            cf.set(name, &value);
        }
        Router::open(&cf)
    }

    fn open(cf: &MainCf) -> Result<Router, TableError> {
        let options = Options::default();
        let strings = |title: &str, list: String| MatchList::parse(title, &list, Flavour::Strings, &options);
        Ok(Router {
            rewriter: Rewriter::new(cf),
            shows_unknown_table: cf.show_user_unknown_table_name(),
            myhostname: cf.myhostname(),
            destinations: strings("mydestination", cf.mydestination()),
            virtual_alias_domains: strings("virtual_alias_domains", cf.virtual_alias_domains()),
            virtual_mailbox_domains: strings("virtual_mailbox_domains", cf.virtual_mailbox_domains()),
            relay_domains: MatchList::parse(
                "relay_domains",
                &cf.relay_domains(),
                Flavour::Domains { parents: subdomains(cf, "relay_domains") },
                &options,
            ),
            transports: Maps::open("transport_maps", &cf.transport_maps(), &options),
            relayhost: cf.relayhost(),
            sender_relayhosts: Maps::open(
                "sender_dependent_relayhost_maps",
                &cf.sender_dependent_relayhost_maps(),
                &options,
            ),
            sender_transports: Maps::open(
                "sender_dependent_default_transport_maps",
                &cf.sender_dependent_default_transport_maps(),
                &options,
            ),
            null_relayhost_key: cf.empty_address_relayhost_maps_lookup_key(),
            null_transport_key: cf.empty_address_default_transport_maps_lookup_key(),
            relocated: Maps::open("relocated_maps", &cf.relocated_maps(), &options),
            local_transport: cf.local_transport(),
            virtual_transport: cf.virtual_transport(),
            relay_transport: cf.relay_transport(),
            default_transport: cf.default_transport(),
            interfaces: own_addresses(cf),
            delimiters: cf.recipient_delimiter(),
            empty_recipient: cf.empty_address_recipient(),
            percent_hack: cf.allow_percent_hack(),
            swap_bangpath: cf.swap_bangpath(),
        })
    }

    /// Whether mail for this domain is delivered here by local_transport.
    pub fn is_local(&self, domain: &str) -> Result<bool, TableError> {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        if self.destinations.contains(domain)? {
            return Ok(true);
        }
        Ok(host::literal(domain).is_some_and(|address| self.interfaces.contains(&address)))
    }

    /// The class of a domain.
    pub fn class(&self, domain: &str) -> Result<Class, TableError> {
        Ok(if self.is_local(domain)? {
            Class::Local
        } else if self.virtual_alias_domains.contains(domain)? {
            Class::VirtualAlias
        } else if self.virtual_mailbox_domains.contains(domain)? {
            Class::VirtualMailbox
        } else if self.relay_domains.contains(domain)? {
            Class::Relay
        } else {
            Class::Default
        })
    }

    /// Resolves a rewritten address, whoever the sender.
    pub fn resolve(&self, recipient: &str) -> Result<Resolution, TableError> {
        self.resolve_for(None, recipient)
    }

    /// Resolves a rewritten address for mail of this sender (sender_dependent_relayhost_maps and its like).
    pub fn resolve_from(&self, sender: &str, recipient: &str) -> Result<Resolution, TableError> {
        self.resolve_for(Some(sender), recipient)
    }

    fn resolve_for(&self, sender: Option<&str>, recipient: &str) -> Result<Resolution, TableError> {
        let mut address = recipient.to_owned();
        let mut routed = false;
        // user%there@here: "here" is us, so the mail is for user@there.
        for _ in 0..100 {
            let (local, domain) = envelope::split(&address);
            let Some(domain) = domain else { break };
            if !self.is_local(domain)? {
                break;
            }
            let inner_at = local.contains('@');
            let inner_percent = self.percent_hack && local.contains('%');
            let inner_bang = self.swap_bangpath && local.contains('!');
            if !(inner_at || inner_percent || inner_bang) {
                break;
            }
            let inner = self.rewriter.rewrite(local);
            if inner == address {
                break;
            }
            routed = true;
            address = inner;
        }
        let domain = envelope::domain(&address).to_owned();
        routed |= !domain.is_empty() && has_route(envelope::split(&address).0, self.percent_hack, self.swap_bangpath);
        let no_domain = envelope::split(&address).1.is_none();
        let class = if no_domain { Class::Local } else { self.class(&domain)? };
        // Mail for nobody here.
        if class == Class::Local && envelope::split(&address).0.is_empty() {
            address.insert_str(0, &self.empty_recipient);
        }
        let (transport, nexthop) = match class {
            Class::Local => split_transport(&self.local_transport, &self.myhostname),
            Class::VirtualAlias => ("error".to_owned(), "5.1.1 User unknown in virtual alias table".to_owned()),
            Class::VirtualMailbox => split_transport(&self.virtual_transport, &domain),
            Class::Relay => split_transport(&self.relay_transport, &self.relay(sender, &domain)?),
            Class::Default => {
                let own = self.by_sender(&self.sender_transports, sender, &self.null_transport_key)?;
                split_transport(own.as_deref().unwrap_or(&self.default_transport), &self.relay(sender, &domain)?)
            }
        };
        let malformed = class != Class::Local && !host::is_domain(&domain);
        let mut resolution = Resolution { transport, nexthop, recipient: address, class, malformed, routed };
        if let Some(entry) = self.transport_entry(&resolution.recipient, &domain)? {
            apply_transport(&mut resolution, &entry, &domain);
        }
        if let Some(found) = self.find_address(&self.relocated, &resolution.recipient)? {
            resolution.transport = "error".to_owned();
            resolution.nexthop = format!("5.1.6 User has moved to {found}");
        }
        if malformed {
            resolution.transport = "error".to_owned();
            resolution.nexthop = "5.1.3 bad address syntax".to_owned();
        }
        Ok(resolution)
    }

    /// Where mail for other machines goes: the sender's own relay host, everybody's, or the domain.
    fn relay(&self, sender: Option<&str>, domain: &str) -> Result<String, TableError> {
        let own = self.by_sender(&self.sender_relayhosts, sender, &self.null_relayhost_key)?;
        let relayhost = Some(&self.relayhost).filter(|host| !host.is_empty());
        Ok(own.or_else(|| relayhost.cloned()).unwrap_or_else(|| domain.to_owned()))
    }

    /// What a table says of a sender; "DUNNO" says nothing.
    fn by_sender(&self, maps: &Maps, sender: Option<&str>, null_key: &str) -> Result<Option<String>, TableError> {
        let found = match sender {
            None => None,
            Some("") => maps.find_text(null_key)?,
            Some(sender) => self.find_address(maps, sender)?,
        };
        Ok(found.filter(|found| !found.eq_ignore_ascii_case("DUNNO")))
    }

    fn find_address(&self, maps: &Maps, address: &str) -> Result<Option<String>, TableError> {
        if maps.is_empty() {
            return Ok(None);
        }
        let is_local = |domain: &[u8]| self.is_local(&String::from_utf8_lossy(domain)).unwrap_or(false);
        let found = maps.find_address(address.as_bytes(), self.delimiters.as_bytes(), &is_local)?;
        Ok(found.map(|found| String::from_utf8_lossy(&found.value).into_owned()))
    }

    /// transport(5): the address with and without its extension, the domain, its parents with a dot, "*".
    fn transport_entry(&self, address: &str, domain: &str) -> Result<Option<String>, TableError> {
        if self.transports.is_empty() {
            return Ok(None);
        }
        if let Some(found) = self.transports.find_text(address)? {
            return Ok(Some(found));
        }
        let (local, _) = envelope::split(address);
        if let (bare, Some(_)) = envelope::split_extension(local, &self.delimiters)
            && let Some(found) = self.transports.find_text(&format!("{bare}@{domain}"))?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.transports.find_text(domain)? {
            return Ok(Some(found));
        }
        let mut rest = domain;
        while let Some(dot) = rest.find('.') {
            if let Some(found) = self.transports.find_text(&rest[dot..])? {
                return Ok(Some(found));
            }
            rest = &rest[dot + 1..];
        }
        self.transports.find_text("*")
    }
}

impl Resolution {
    /// The same recipient by a content filter, "transport:nexthop", whose next hop may be left to the recipient.
    pub fn through(mut self, filter: &str) -> Resolution {
        if !filter.is_empty() {
            let domain = envelope::domain(&self.recipient).to_owned();
            (self.transport, self.nexthop) = split_transport(filter, &domain);
        }
        self
    }
}

/// fast_flush_domains: the sites whose waiting mail may be asked for (ETRN, postqueue -s).
pub fn flush_domains(cf: &MainCf) -> MatchList {
    let title = "fast_flush_domains";
    let parents = subdomains(cf, title);
    MatchList::parse(title, &cf.fast_flush_domains(), Flavour::Domains { parents }, &Options::default())
}

/// Whether "example.com" in this list means its subdomains too (parent_domain_matches_subdomains).
pub fn subdomains(cf: &MainCf, list: &str) -> bool {
    MainCf::list(&cf.parent_domain_matches_subdomains()).iter().any(|name| name == list)
}

/// A "transport:nexthop" value over a resolution: an empty part leaves what was there.
fn apply_transport(resolution: &mut Resolution, entry: &str, domain: &str) {
    let (transport, nexthop) = entry.split_once(':').unwrap_or((entry, ""));
    if !transport.is_empty() {
        resolution.transport = transport.to_owned();
        resolution.nexthop = if nexthop.is_empty() { domain.to_owned() } else { nexthop.to_owned() };
    } else if !nexthop.is_empty() {
        resolution.nexthop = nexthop.to_owned();
    }
}

/// "transport:nexthop" with a default next hop.
fn split_transport(text: &str, default: &str) -> (String, String) {
    match text.split_once(':') {
        Some((transport, nexthop)) if !nexthop.is_empty() => (transport.to_owned(), nexthop.to_owned()),
        Some((transport, _)) => (transport.to_owned(), default.to_owned()),
        None => (text.to_owned(), default.to_owned()),
    }
}

fn has_route(local: &str, percent: bool, bang: bool) -> bool {
    local.contains('@') || (percent && local.contains('%')) || (bang && local.contains('!'))
}

/// The addresses that inet_interfaces and proxy_interfaces make ours, and loopback.
pub fn own_addresses(cf: &MainCf) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for word in MainCf::list(&cf.inet_interfaces()).iter().chain(&MainCf::list(&cf.proxy_interfaces())) {
        match word.as_str() {
            "all" => found.extend(computed::interfaces().iter().map(|interface| interface.address)),
            "loopback-only" => {
                found.extend(
                    computed::interfaces().iter().map(|interface| interface.address).filter(IpAddr::is_loopback),
                );
            }
            name => {
                let bare = name.trim_start_matches('[').trim_end_matches(']');
                use std::net::ToSocketAddrs;
                found.extend((bare, 0).to_socket_addrs().into_iter().flatten().map(|address| address.ip()));
            }
        }
    }
    let protocols = cf.inet_protocols();
    let wanted = |address: &IpAddr| {
        protocols.contains("all") || protocols.contains(if address.is_ipv6() { "ipv6" } else { "ipv4" })
    };
    found.retain(wanted);
    found.dedup();
    found
}
