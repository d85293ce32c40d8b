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

const EMPTY: u32 = u32::MAX;
/// A slot whose entry was removed: a search goes on past it.
const REMOVED: u32 = u32::MAX - 1;

/// A set of entries.
pub struct Entries {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// Positions in `records` by key, open addressing. At most half full, counting removed ones.
    slots: Vec<u32>,
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
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let slot = self.slot_of(key);
        let known = self.slots[slot];
        if known < REMOVED && !replace {
            return false;
        }
        let record = Record { start: self.bytes.len(), key: key.len() as u32, value: value.len() as u32 };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        if known < REMOVED {
            self.records[known as usize] = record;
        } else {
            self.slots[slot] = self.records.len() as u32;
            self.used += 1;
            self.records.push(record);
        }
        true
    }

    /// Takes a key out; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let slot = self.slot_of(key);
        let position = self.slots[slot];
        if position >= REMOVED {
            return false;
        }
        self.slots[slot] = REMOVED;
        self.records.swap_remove(position as usize);
        // The last entry has moved to the free position: its slot follows.
        let last = self.records.len();
        if position as usize != last
            && let Some(moved) = self.slots.iter_mut().find(|slot| **slot as usize == last)
        {
            *moved = position;
        }
        true
    }

    /// The slot of a key, or the empty one where it would go.
    fn slot_of(&self, key: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(key) as usize & mask;
        // Ends: at least half of the slots are empty.
        loop {
            match self.slots[slot] {
                EMPTY => return slot,
                REMOVED => {}
                position if self.at(position as usize).0 == key => return slot,
                _ => {}
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 2];
        self.used = self.records.len();
        let mask = self.slots.len() - 1;
        for position in 0..self.records.len() {
            let mut slot = self.hasher.hash_one(self.at(position).0) as usize & mask;
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = position as u32;
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
