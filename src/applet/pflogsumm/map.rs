//! Values by text, found by the text's digest alone. The texts stand one after the other in one buffer and the values in
//! a list; the index is a table of 32-bit tags and places. A look-up touches two places in memory, which on large logs is
//! what counting costs.

use crate::sys::prefetch::{filled, large_pages, prefetch};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// Count of each text.
pub type Counts = Map<u64>;

#[derive(Clone, Debug)]
pub struct Map<V> {
    /// Open addressing, a power of two long, at most three quarters full; 0 is empty, else place + 1 below the tag.
    index: Vec<u64>,
    entries: Vec<Entry<V>>,
    texts: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    digest: Digest,
    begin: usize,
    length: u32,
    value: V,
}

impl<V> Default for Map<V> {
    fn default() -> Map<V> {
        Map { index: Vec::new(), entries: Vec::new(), texts: Vec::new() }
    }
}

impl<V: Default> Map<V> {
    /// The value of a key; a new one is the default.
    pub fn of(&mut self, key: &[u8]) -> &mut V {
        let (place, _) = self.place(Key::of(key));
        // The place was just found or made.
        &mut self.entries[place as usize].value
    }

    /// The place of a key in the list, and whether it is new.
    pub fn place(&mut self, Key { text: key, digest }: Key<'_>) -> (u32, bool) {
        if (self.entries.len() + 1) * 4 > self.index.len() * 3 {
            self.grow();
        }
        let mask = self.index.len() - 1;
        let tag = digest.0 & TAG;
        let mut at = digest.0 as usize & mask;
        loop {
            let slot = self.index[at];
            if slot == 0 {
                break;
            }
            let place = (slot & PLACE) as u32 - 1;
            if slot & TAG == tag && self.entries[place as usize].digest == digest {
                return (place, false);
            }
            at = (at + 1) & mask;
        }
        // More than 2^32 different texts do not fit into memory long before: the last one stands for the rest.
        let place = self.entries.len().min(PLACE as usize - 1);
        if place < self.entries.len() {
            return (place as u32, false);
        }
        self.index[at] = tag | (place as u64 + 1);
        // Texts come from lines, which are shorter than this (input::LONGEST).
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let key = &key[..length as usize];
        self.entries.push(Entry { digest, begin: self.texts.len(), length, value: V::default() });
        if self.texts.capacity() - self.texts.len() < key.len() {
            self.texts.reserve(key.len());
            large_pages(&self.texts);
        }
        self.texts.extend_from_slice(key);
        (place as u32, true)
    }

    /// The value at a place that [`Map::place`] gave.
    pub fn at(&mut self, place: u32) -> Option<&mut V> {
        self.entries.get_mut(place as usize).map(|entry| &mut entry.value)
    }

    fn grow(&mut self) {
        let length = (self.index.len() * 2).max(8);
        let mut index = filled(length, 0);
        for (place, entry) in self.entries.iter().enumerate() {
            let mut at = entry.digest.0 as usize & (length - 1);
            while index[at] != 0 {
                at = (at + 1) & (length - 1);
            }
            index[at] = entry.digest.0 & TAG | (place as u64 + 1);
        }
        self.index = index;
        // Room for as many as the index can hold, so that it is on large pages before it is written.
        self.entries.reserve_exact((length / 4 * 3).saturating_sub(self.entries.len()));
        large_pages(&self.entries);
    }
}

/// Look-ups that come soon: first the index is wanted, then, when that has come, the value.
impl<V> Map<V> {
    pub fn want(&self, digest: Digest) {
        prefetch(&self.index, digest.0 as usize & self.index.len().wrapping_sub(1));
    }

    pub fn want_value(&self, digest: Digest) {
        if let Some(slot) = self.index.get(digest.0 as usize & self.index.len().wrapping_sub(1))
            && let Some(place) = (slot & PLACE).checked_sub(1)
        {
            prefetch(&self.entries, place as usize);
        }
    }

    /// The value of a key that is there.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        let digest = Digest::of(key);
        let mask = self.index.len().checked_sub(1)?;
        let mut at = digest.0 as usize & mask;
        loop {
            // A quarter of the slots is empty, so this ends.
            let place = (self.index.get(at)? & PLACE).checked_sub(1)?;
            let entry = self.entries.get(place as usize)?;
            if entry.digest == digest {
                return Some(&entry.value);
            }
            at = (at + 1) & mask;
        }
    }
}

/// The upper half of a digest is the tag, the lower says where it stands.
const TAG: u64 = 0xffff_ffff_0000_0000;
const PLACE: u64 = 0xffff_ffff;

impl<V> Map<V> {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Leaves out the values that are not kept and gives the new places by the old ones; empty when all are kept.
    pub fn retain(&mut self, keep: impl Fn(&V) -> bool) -> Vec<Option<u32>>
    where
        V: Default,
    {
        if self.entries.iter().all(|entry| keep(&entry.value)) {
            return Vec::new();
        }
        let old = std::mem::take(self);
        let texts = old.texts;
        let entries = old.entries.into_iter().map(|Entry { digest, begin, length, value }| {
            let text = texts.get(begin..begin + length as usize).unwrap_or_default();
            let place = keep(&value).then(|| self.place(Key { text, digest }).0);
            if let Some(kept) = place.and_then(|place| self.at(place)) {
                *kept = value;
            }
            place
        });
        entries.collect()
    }

    /// All keys, one after the other.
    pub fn texts(&self) -> &[u8] {
        &self.texts
    }

    fn text(&self, entry: &Entry<V>) -> &[u8] {
        self.texts.get(entry.begin..entry.begin + entry.length as usize).unwrap_or_default()
    }

    pub fn key(&self, place: u32) -> Option<&[u8]> {
        self.entries.get(place as usize).map(|entry| self.text(entry))
    }

    /// The key that came last.
    pub fn newest(&self) -> Option<&[u8]> {
        self.entries.last().map(|entry| self.text(entry))
    }

    pub fn entry(&self, place: u32) -> Option<(&[u8], &V)> {
        self.entries.get(place as usize).map(|entry| (self.text(entry), &entry.value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.entries.iter().map(|entry| (self.text(entry), &entry.value))
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|entry| &entry.value)
    }
}

/// A text and its digest, which the thread that reads the line reckons for the one that counts.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub text: &'a [u8],
    pub digest: Digest,
}

impl<'a> Key<'a> {
    #[inline]
    pub fn of(text: &'a [u8]) -> Key<'a> {
        Key { text, digest: Digest::of(text) }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// 64 bits of a text, by a keyed hash: folded multiplication, several times faster than SipHash on short texts. The key
/// is new in each process, so that nobody can write log lines that collide. Two of a million texts share their digest
/// with a chance of one in thirty million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

impl Digest {
    #[inline]
    pub fn of(text: &[u8]) -> Digest {
        static KEY: OnceLock<u64> = OnceLock::new();
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let key = *KEY.get_or_init(|| RandomState::new().hash_one(0u8) | 1);
        let mut state = key ^ (text.len() as u64).wrapping_mul(0xa076_1d64_78bd_642f);
        let mut rest = text;
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            state = fold(state ^ u64::from_le_bytes(*word), ODD);
            rest = after;
        }
        // The last word overlaps the one before; what is shorter than a word is filled up.
        let last = match text.last_chunk::<8>() {
            Some(last) => u64::from_le_bytes(*last),
            None => rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        Digest(fold(state ^ last, ODD ^ key.rotate_left(32) | 1))
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_gone_and_places_are_told() {
        let mut map: Map<u64> = Map::default();
        for key in 0..100u64 {
            *map.of(&key.to_le_bytes()) = key;
        }
        assert!(map.retain(|_| true).is_empty());
        let places = map.retain(|value| value % 3 == 0);
        assert_eq!((map.len(), places.len(), places[1], places[99]), (34, 100, None, Some(33)));
        assert_eq!(map.get(&99u64.to_le_bytes()), Some(&99));
        assert_eq!(map.get(&1u64.to_le_bytes()), None);
    }

    #[test]
    fn values_are_found_again() {
        let mut map: Map<u64> = Map::default();
        for round in 1..=3 {
            for key in 0..5000u32 {
                let count = map.of(format!("key {key}").as_bytes());
                *count += 1;
                assert_eq!(*count, round);
            }
        }
        *map.of(b"") = 7;
        assert_eq!(map.len(), 5001);
        assert_eq!(map.iter().last(), Some((&b""[..], &7)));
        assert_eq!(map.key(17), Some(&b"key 17"[..]));
        assert_eq!(map.get(b"key 17"), Some(&3));
        assert_eq!(map.get(b"key"), None);
        assert_eq!(Map::<u64>::default().get(b""), None);
        for digest in [Digest::of(b"key 17"), Digest(0), Digest(u64::MAX)] {
            map.want(digest);
            map.want_value(digest);
            Map::<u64>::default().want(digest);
        }
    }
}
