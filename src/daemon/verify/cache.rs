//! What verify(8) knows of addresses, and for how long (postconf(5) address_verify_*).

use crate::conf::MainCf;
use crate::ipc::verify::Status;
use crate::table::rebuild::{Ownership, Rebuild};
use crate::table::{Options, TableError};
use std::collections::HashMap;
use std::time::Duration;

/// Most addresses that are remembered.
const MAX_ENTRIES: usize = 1_000_000;
/// A probe that brought nothing in this time is lost (the reference's PROBE_TTL).
const LOST_AFTER: u64 = 1000;

/// As the numbers stand in the file.
const NUMBERS: &[(Status, &str)] =
    &[(Status::Deliverable, "0"), (Status::Deferred, "1"), (Status::Undeliverable, "2"), (Status::Pending, "3")];

/// One address; times in seconds since 1970, 0: never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub status: Status,
    /// When the probe that is under way was sent.
    probed: u64,
    /// When the status was found out.
    updated: u64,
    pub text: String,
}

impl Entry {
    /// "0:1700000000:1700000003:250 Ok"
    fn parse(value: &str) -> Option<Entry> {
        let mut parts = value.splitn(4, ':');
        let number = parts.next()?;
        let status = NUMBERS.iter().find(|(_, known)| *known == number)?.0;
        let mut time = || parts.next()?.parse().ok();
        Some(Entry { status, probed: time()?, updated: time()?, text: parts.next()?.to_owned() })
    }

    fn text(&self) -> String {
        let number = NUMBERS.iter().find(|(status, _)| *status == self.status).map_or("3", |(_, number)| number);
        format!("{number}:{}:{}:{}", self.probed, self.updated, self.text)
    }
}

/// How long answers are good, and after which time they are asked for again while they are still given.
struct Lifetimes {
    positive: (Duration, Duration),
    negative: (Duration, Duration),
}

pub struct Cache {
    entries: HashMap<String, Entry>,
    lifetimes: Lifetimes,
    keeps_negative: bool,
    pending_limit: usize,
    /// "btree", "/var/lib/postfix/verify_cache"; None: it is forgotten at the end.
    file: Option<(String, String)>,
    changed: bool,
}

/// What is known, and whether the address is to be probed.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    pub status: Status,
    pub text: String,
    pub probe: bool,
}

impl Cache {
    /// What the file holds. A file that cannot be read is begun anew: it is only a cache.
    pub fn open(cf: &MainCf) -> (Cache, Option<TableError>) {
        let map = cf.address_verify_map();
        let map = map.strip_prefix("proxy:").unwrap_or(&map);
        let file = map.split_once(':').map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        let mut cache = Cache {
            entries: HashMap::new(),
            lifetimes: Lifetimes {
                positive: (cf.address_verify_positive_expire_time(), cf.address_verify_positive_refresh_time()),
                negative: (cf.address_verify_negative_expire_time(), cf.address_verify_negative_refresh_time()),
            },
            keeps_negative: cf.address_verify_negative_cache(),
            pending_limit: usize::try_from(cf.address_verify_pending_request_limit()).unwrap_or(usize::MAX),
            file,
            changed: false,
        };
        let fault = cache.read().err();
        (cache, fault)
    }

    fn read(&mut self) -> Result<(), TableError> {
        let Some((kind, name)) = &self.file else { return Ok(()) };
        let built = Rebuild::new(kind, name, &Options::default(), None)?;
        if !built.path().exists() {
            return Ok(());
        }
        let table = crate::table::open::open(&format!("{kind}:{name}"), &Options::default())?;
        let entries = &mut self.entries;
        table.entries(&mut |key, value| {
            let (key, value) = (String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value));
            if let Some(entry) = Entry::parse(&value) {
                entries.insert(key, entry);
            }
            entries.len() < MAX_ENTRIES
        })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_expired(&self, entry: &Entry, now: u64) -> bool {
        match entry.status {
            Status::Pending => entry.probed + LOST_AFTER < now,
            Status::Deliverable => entry.updated + self.lifetimes.positive.0.as_secs() < now,
            _ => entry.updated + self.lifetimes.negative.0.as_secs() < now,
        }
    }

    /// What is known of an address now. A probe that this asks for counts as sent.
    pub fn ask(&mut self, address: &str, now: u64) -> Known {
        let known = self.entries.get(address).filter(|entry| !self.is_expired(entry, now));
        let Some(entry) = known else {
            let text = "Address verification in progress".to_owned();
            if self.entries.len() >= MAX_ENTRIES || self.pending() >= self.pending_limit {
                let text = "Too many address verifications are in progress".to_owned();
                return Known { status: Status::Deferred, text, probe: false };
            }
            let entry = Entry { status: Status::Pending, probed: now, updated: 0, text: text.clone() };
            self.entries.insert(address.to_owned(), entry);
            self.changed = true;
            return Known { status: Status::Pending, text, probe: true };
        };
        let after = match entry.status {
            Status::Deliverable => Some(self.lifetimes.positive.1),
            Status::Pending => None,
            _ => Some(self.lifetimes.negative.1),
        };
        let stale = after.is_some_and(|after| entry.updated + after.as_secs() < now);
        let probe = stale && entry.probed + LOST_AFTER < now;
        let known = Known { status: entry.status, text: entry.text.clone(), probe };
        if probe && let Some(entry) = self.entries.get_mut(address) {
            entry.probed = now;
            self.changed = true;
        }
        known
    }

    /// Looked up only where there may be many.
    fn pending(&self) -> usize {
        if self.entries.len() < self.pending_limit {
            return 0;
        }
        self.entries.values().filter(|entry| entry.status == Status::Pending).count()
    }

    /// What a probe came to. A good answer that is not too old is not given up for a bad one.
    pub fn tell(&mut self, address: &str, status: Status, text: &str, now: u64) {
        self.changed = true;
        let good = self.entries.get(address).is_some_and(|entry| {
            entry.status == Status::Deliverable && entry.updated > 0 && !self.is_expired(entry, now)
        });
        if good && status != Status::Deliverable {
            if let Some(entry) = self.entries.get_mut(address) {
                entry.probed = 0;
            }
        } else if status == Status::Deliverable || self.keeps_negative {
            let entry = Entry { status, probed: 0, updated: now, text: text.replace('\n', " ") };
            self.entries.insert(address.to_owned(), entry);
        }
    }

    /// Forgets what is no longer true; gives how many.
    pub fn clean(&mut self, now: u64) -> usize {
        let before = self.entries.len();
        let expired: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| self.is_expired(entry, now))
            .map(|(address, _)| address.clone())
            .collect();
        expired.iter().for_each(|address| drop(self.entries.remove(address)));
        self.changed |= before != self.entries.len();
        before - self.entries.len()
    }

    /// The file's name, for the log.
    pub fn title(&self) -> Option<String> {
        self.file.as_ref().map(|(kind, name)| format!("{kind}:{name}"))
    }

    /// Writes the file, if there is anything new.
    pub fn save(&mut self) -> Result<(), TableError> {
        let Some((kind, name)) = self.file.as_ref().filter(|_| self.changed) else { return Ok(()) };
        let mut table = Rebuild::new(kind, name, &Options::default(), None)?;
        for (address, entry) in &self.entries {
            table.add_quietly(address.as_bytes(), entry.text().as_bytes())?;
        }
        table.commit(Ownership { source: None, inherit_mode: false, inherit_owner: false })?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Cache {
        let day = Duration::from_secs(86400);
        Cache {
            entries: HashMap::new(),
            lifetimes: Lifetimes { positive: (day * 31, day * 7), negative: (day * 3, day / 8) },
            keeps_negative: true,
            pending_limit: 2,
            file: None,
            changed: false,
        }
    }

    #[test]
    fn an_address_from_unknown_to_known_to_stale() {
        let (mut cache, day) = (cache(), 86400);
        assert!(cache.ask("a", 1000).probe);
        let again = cache.ask("a", 1001);
        assert!(again.status == Status::Pending && !again.probe);
        assert!(cache.ask("a", 2001).probe, "the probe was lost");
        cache.tell("a", Status::Deliverable, "250 Ok", 2002);
        let known = cache.ask("a", 2003);
        assert_eq!(known, Known { status: Status::Deliverable, text: "250 Ok".into(), probe: false });
        assert!(cache.ask("a", 2003 + 7 * day).probe, "it is asked for again while it is still good");
        cache.tell("a", Status::Undeliverable, "550 No", 2004 + 7 * day);
        assert_eq!(cache.ask("a", 2005 + 7 * day).status, Status::Deliverable);
        assert_eq!(cache.ask("a", 2003 + 32 * day).status, Status::Pending);
        cache.tell("a", Status::Undeliverable, "550 No", 2003 + 32 * day);
        assert_eq!(cache.ask("a", 2004 + 32 * day).status, Status::Undeliverable);
        assert_eq!(cache.clean(2004 + 36 * day), 1);
    }

    #[test]
    fn probes_have_a_limit() {
        let mut cache = cache();
        assert!(cache.ask("a", 1).probe && cache.ask("b", 1).probe);
        assert_eq!(cache.ask("c", 1).status, Status::Deferred);
        cache.tell("a", Status::Deliverable, "", 2);
        assert!(cache.ask("c", 3).probe);
    }

    #[test]
    fn as_the_file_has_it() {
        let entry = Entry { status: Status::Undeliverable, probed: 0, updated: 17, text: "550: no: such".into() };
        assert_eq!(entry.text(), "2:0:17:550: no: such");
        assert_eq!(Entry::parse("2:0:17:550: no: such"), Some(entry));
        for damaged in ["", "9:0:1:x", "0:x:1:y", "0:1", "0:1:2"] {
            assert_eq!(Entry::parse(damaged), None, "{damaged}");
        }
    }
}
