//! [`MatchList`]: lists of patterns as mydestination, mynetworks and relay_domains are: names, ".domain", addresses
//! and networks, "type:table", "/file" with more patterns, "!" before a pattern that excludes. The first pattern that
//! matches decides.

use super::cidr::Network;
use super::memory::split_items;
use super::open::{Options, TableError};
use super::slot::Slot;
use std::net::IpAddr;

/// Files in files end at this depth.
const MAX_DEPTH: u32 = 20;

/// Which meaning patterns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Equal strings only (mydestination, virtual_alias_domains).
    Strings,
    /// Host names: ".domain" matches below it, and "domain" too when `parents` (parent_domain_matches_subdomains).
    Domains { parents: bool },
    /// Host names and addresses (mynetworks, debug_peer_list).
    Clients { parents: bool },
}

enum Pattern {
    Name(String),
    Network(Network),
    Table(Slot),
    /// A file that could not be read, or a pattern that is none.
    Broken(TableError),
}

/// A list of patterns.
pub struct MatchList {
    title: String,
    flavour: Flavour,
    patterns: Vec<(bool, Pattern)>,
}

impl MatchList {
    /// `title` is the parameter's name, for messages; `list` its expanded value.
    pub fn parse(title: &str, list: &str, flavour: Flavour, options: &Options) -> MatchList {
        let mut made = MatchList { title: title.to_owned(), flavour, patterns: Vec::new() };
        made.add(title, list, true, options, 0);
        made
    }

    fn add(&mut self, title: &str, list: &str, wanted: bool, options: &Options, depth: u32) {
        for item in split_items(list) {
            let mut wanted = wanted;
            let mut item = item.as_str();
            while let Some(rest) = item.strip_prefix('!') {
                wanted = !wanted;
                item = rest;
            }
            if item.is_empty() {
                self.patterns.push((wanted, broken(title, "no pattern after '!'".into())));
            } else if item.starts_with('/') {
                self.add_file(title, item, wanted, options, depth);
            } else if item.contains(':') && !item.starts_with('[') {
                self.patterns.push((wanted, Pattern::Table(Slot::new(item, options))));
            } else {
                let pattern = self.plain(title, item);
                self.patterns.push((wanted, pattern));
            }
        }
    }

    fn plain(&self, title: &str, item: &str) -> Pattern {
        let address = |c: char| c.is_ascii_hexdigit() || "[]/:.".contains(c);
        let looks_like_network = item.starts_with('[') || (item.contains('/') && item.chars().all(address));
        if matches!(self.flavour, Flavour::Clients { .. }) {
            match Network::parse(item) {
                Ok(network) => return Pattern::Network(network),
                Err(reason) if looks_like_network => return broken(title, reason),
                Err(_) => {}
            }
        }
        Pattern::Name(item.to_lowercase())
    }

    fn add_file(&mut self, title: &str, path: &str, wanted: bool, options: &Options, depth: u32) {
        let read = if depth < MAX_DEPTH {
            std::fs::read(path).map_err(|error| crate::sys::files::reason(&error))
        } else {
            Err("files nested too deep".to_owned())
        };
        match read {
            Ok(bytes) => {
                for line in String::from_utf8_lossy(&bytes).lines().filter(|line| !line.trim_start().starts_with('#')) {
                    self.add(title, line, wanted, options, depth + 1);
                }
            }
            Err(reason) => self.patterns.push((wanted, broken(title, format!("open {path}: {reason}")))),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What is wrong with the list, for warnings at start and for the check.
    pub fn faults(&self) -> impl Iterator<Item = TableError> {
        self.patterns.iter().filter_map(|(_, pattern)| match pattern {
            Pattern::Table(slot) => slot.get().err(),
            Pattern::Broken(error) => Some(error.clone()),
            _ => None,
        })
    }

    /// Whether a name (a domain, for the list's flavour) is in the list.
    pub fn contains(&self, name: &str) -> Result<bool, TableError> {
        self.decide(Some(name), None)
    }

    /// Whether a client is in the list, by its verified name (None: unknown) or its address.
    pub fn contains_client(&self, name: Option<&str>, address: Option<IpAddr>) -> Result<bool, TableError> {
        self.decide(name, address)
    }

    fn decide(&self, name: Option<&str>, address: Option<IpAddr>) -> Result<bool, TableError> {
        let found = self.first_match(name, address)?;
        super::trace::step(|| {
            let subject = [name.map(str::to_owned), address.map(|address| address.to_string())];
            let subject = subject.into_iter().flatten().collect::<Vec<_>>().join(" ");
            super::trace::Step::List { list: self.title.clone(), subject, found }
        });
        Ok(found)
    }

    fn first_match(&self, name: Option<&str>, address: Option<IpAddr>) -> Result<bool, TableError> {
        let name = name.map(str::to_lowercase);
        for (wanted, pattern) in &self.patterns {
            let by_name = match &name {
                Some(name) => self.name_matches(name, pattern)?,
                None => false,
            };
            if by_name || address.map_or(Ok(false), |address| address_matches(address, pattern))? {
                return Ok(*wanted);
            }
        }
        Ok(false)
    }

    fn name_matches(&self, name: &str, pattern: &Pattern) -> Result<bool, TableError> {
        let parents = match self.flavour {
            Flavour::Strings => {
                return match pattern {
                    Pattern::Name(wanted) => Ok(wanted == name),
                    Pattern::Table(table) => Ok(table.get()?.lookup(name.as_bytes())?.is_some()),
                    Pattern::Network(_) => Ok(false),
                    Pattern::Broken(error) => Err(error.clone()),
                };
            }
            Flavour::Domains { parents } | Flavour::Clients { parents } => parents,
        };
        match pattern {
            Pattern::Name(wanted) if wanted == name => Ok(true),
            Pattern::Name(wanted) if parents => {
                Ok(name.strip_suffix(wanted.as_str()).is_some_and(|head| head.ends_with('.')))
            }
            Pattern::Name(wanted) => {
                Ok(wanted.starts_with('.') && name.len() > wanted.len() && name.ends_with(wanted.as_str()))
            }
            Pattern::Network(_) => Ok(false),
            Pattern::Broken(error) => Err(error.clone()),
            Pattern::Table(table) => {
                let table = table.get()?;
                let mut part = name;
                loop {
                    if (part.len() == name.len() || !table.is_pattern()) && table.lookup(part.as_bytes())?.is_some() {
                        return Ok(true);
                    }
                    match part.get(1..).and_then(|rest| rest.find('.')) {
                        Some(at) => part = &part[at + 1 + usize::from(parents)..],
                        None => return Ok(false),
                    }
                }
            }
        }
    }
}

fn broken(title: &str, reason: String) -> Pattern {
    Pattern::Broken(TableError::new(title, format!("{title}: {reason}")))
}

fn address_matches(address: IpAddr, pattern: &Pattern) -> Result<bool, TableError> {
    match pattern {
        Pattern::Network(network) => Ok(network.contains(address)),
        Pattern::Table(table) => Ok(table.get()?.lookup(address.to_string().as_bytes())?.is_some()),
        Pattern::Name(_) => Ok(false),
        Pattern::Broken(error) => Err(error.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_decides() {
        let list = "!192.168.4.66, 192.168.4.0/24 127.0.0.0/8 [::1]/128 .example.com inline:{x.org=1}";
        let list = MatchList::parse("mynetworks", list, Flavour::Clients { parents: false }, &Options::default());
        for (name, address, want) in [
            (None, "192.168.4.1", true),
            (None, "192.168.4.66", false),
            (None, "::1", true),
            (None, "10.0.0.1", false),
            (Some("a.Example.com"), "10.0.0.1", true),
            (Some("example.com"), "10.0.0.1", false),
            (Some("x.org"), "10.0.0.1", true),
        ] {
            assert_eq!(list.contains_client(name, address.parse().ok()).unwrap(), want, "{name:?} {address}");
        }
    }

    #[test]
    fn domains_with_and_without_parents() {
        let list = |parents| {
            MatchList::parse("relay_domains", "a.org, .b.org", Flavour::Domains { parents }, &Options::default())
        };
        assert!(list(true).contains("x.a.org").unwrap());
        assert!(!list(false).contains("x.a.org").unwrap());
        assert!(list(false).contains("x.b.org").unwrap());
        assert!(list(false).contains("A.ORG").unwrap());
    }

    #[test]
    fn a_missing_file_is_an_error_not_a_no() {
        let list = MatchList::parse("mydestination", "a, /proc/nowhere/list", Flavour::Strings, &Options::default());
        assert!(list.contains("a").unwrap());
        assert!(list.contains("b").is_err());
        assert_eq!(list.faults().count(), 1);
    }
}
