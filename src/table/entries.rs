//! [`Entries`]: the keys and values of a table that is being built, in one piece of memory, each key once.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Where an entry stands in the memory: key, then value.
#[derive(Clone, Copy)]
struct Record {
    start: usize,
    key: u32,
    value: u32,
}

/// A slot: the position in `records`, and the upper half of the key's hash above it, so that a search reads the memory
/// of another key almost never.
type Slot = u64;
const EMPTY: Slot = Slot::MAX;
/// A slot whose entry was removed: a search goes on past it.
const REMOVED: Slot = Slot::MAX - 1;
const POSITION: Slot = 0xffff_ffff;

fn slot(hash: u64, position: usize) -> Slot {
    // Never EMPTY or REMOVED: there are fewer than 2^32 - 2 entries.
    hash & !POSITION | position as Slot & POSITION
}

/// A set of entries.
pub struct Entries {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// Positions in `records` by key, open addressing. At most three quarters full, counting removed ones.
    slots: Vec<Slot>,
    used: usize,
    /// Seeded: a hostile source (mail addresses of users) cannot choose keys that meet in one slot.
    hasher: RandomState,
}

impl Default for Entries {
    fn default() -> Entries {
        Entries { bytes: Vec::new(), records: Vec::new(), slots: vec![EMPTY; 64], used: 0, hasher: RandomState::new() }
    }
}

impl Entries {
    /// Room for what a source of so many bytes probably holds, so that the search is not made anew as the entries come.
    pub fn for_source(bytes: u64) -> Entries {
        // A line is seldom shorter than its share here; a size is only a promise, which a sparse file breaks.
        let lines = bytes.min(1 << 28) as usize / 64;
        let size = (2 * lines).next_power_of_two().max(64);
        // What is never touched costs no memory, what grows is copied.
        let bytes = bytes.min(1 << 28) as usize;
        Entries {
            bytes: Vec::with_capacity(bytes + bytes / 8),
            records: Vec::with_capacity(2 * lines),
            slots: vec![EMPTY; size],
            ..Entries::default()
        }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The key and value at a position below [`Entries::len`].
    pub fn at(&self, position: usize) -> (&[u8], &[u8]) {
        let Some(record) = self.records.get(position) else { return (&[], &[]) };
        let middle = record.start + record.key as usize;
        let end = middle + record.value as usize;
        (self.bytes.get(record.start..middle).unwrap_or_default(), self.bytes.get(middle..end).unwrap_or_default())
    }

    /// Adds an entry; with `replace`, over one that is there. False when the key is there and stays as it was.
    pub fn insert(&mut self, key: &[u8], value: &[u8], replace: bool) -> bool {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hasher.hash_one(key);
        let at = self.slot_of(key, hash);
        let known = self.slots[at];
        if known < REMOVED && !replace {
            return false;
        }
        let record = Record { start: self.bytes.len(), key: key.len() as u32, value: value.len() as u32 };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        if known < REMOVED {
            self.records[(known & POSITION) as usize] = record;
        } else {
            self.slots[at] = slot(hash, self.records.len());
            self.used += 1;
            self.records.push(record);
        }
        true
    }

    /// Takes a key out; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        let at = self.slot_of(key, hash);
        if self.slots[at] >= REMOVED {
            return false;
        }
        let position = (self.slots[at] & POSITION) as usize;
        self.slots[at] = REMOVED;
        // The last entry moves to the free position: its slot follows.
        let last = self.records.len() - 1;
        if position != last {
            let moved = self.hasher.hash_one(self.at(last).0);
            let its = self.slot_of(self.at(last).0, moved);
            self.slots[its] = slot(moved, position);
        }
        self.records.swap_remove(position);
        true
    }

    /// Gives the memory of the search back: nothing is added any more.
    pub fn close(&mut self) {
        self.slots = Vec::new();
    }

    /// The slot of a key, or the empty one where it would go.
    fn slot_of(&self, key: &[u8], hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        // Ends: at least a quarter of the slots are empty.
        loop {
            let slot = self.slots[at];
            if slot == EMPTY
                || slot < REMOVED
                    && slot & !POSITION == hash & !POSITION
                    && self.at((slot & POSITION) as usize).0 == key
            {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots = vec![EMPTY; size];
        self.used = self.records.len();
        for position in 0..self.records.len() {
            let hash = self.hasher.hash_one(self.at(position).0);
            let mut at = hash as usize & (size - 1);
            while self.slots[at] != EMPTY {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = slot(hash, position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_once() {
        let mut entries = Entries::default();
        for number in 0..1000u32 {
            assert!(entries.insert(&number.to_le_bytes(), b"v", false));
        }
        assert!(!entries.insert(&7u32.to_le_bytes(), b"w", false));
        assert!(entries.insert(&7u32.to_le_bytes(), b"w", true));
        assert_eq!(entries.at(7), (&7u32.to_le_bytes()[..], &b"w"[..]));
        for number in 0..500u32 {
            assert!(entries.remove(&number.to_le_bytes()));
            assert!(!entries.remove(&number.to_le_bytes()));
        }
        assert_eq!(entries.len(), 500);
        assert!(!entries.insert(&999u32.to_le_bytes(), b"", false));
        assert!(entries.insert(&1u32.to_le_bytes(), b"", false));
    }
}
