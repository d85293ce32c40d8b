//! Many questions at once: [`Keys`] one behind the other in one piece of memory, and [`Answers`] likewise. A table on disk
//! looks for them in its own order, and none of them costs an allocation.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key that is asked for: a number that grows along the file, which the file's format chooses, and the key's position.
pub type Asked = (u32, u32);

/// Gets the position of a key and its value, and says whether to go on.
pub type Found<'a> = dyn FnMut(u32, &[u8]) -> bool + 'a;

/// Keys one behind the other, each with a NUL after it: some files have it so.
#[derive(Default)]
pub struct Keys {
    text: Vec<u8>,
    /// Where each key ends. Positions are 32 bits wide to halve the memory: who collects keys stops long before.
    ends: Vec<u32>,
}

impl Keys {
    /// False, and nothing added, when there is no room.
    pub fn push(&mut self, key: &[u8]) -> bool {
        let Ok(place) = u32::try_from(self.text.len() + key.len() + 1) else { return false };
        self.text.extend_from_slice(key);
        self.text.push(0);
        self.ends.push(place);
        true
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all keys.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The positions of all keys.
    pub fn positions(&self) -> Range<u32> {
        // Each key has an end, and those are 32 bits wide; more keys than that would have to be empty.
        0..u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// The key at a position.
    pub fn at(&self, position: u32) -> &[u8] {
        self.between(position, 0)
    }

    /// The key at a position and so many of the bytes after it, at most one.
    fn between(&self, position: u32, after: usize) -> &[u8] {
        let position = position as usize;
        let start = position.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(position).map_or(start as usize, |&end| end as usize - 1 + after);
        self.text.get(start as usize..end).unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.positions().map(|position| self.at(position))
    }

    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// As a file has them: with the NUL or without.
    pub fn stored(&self, nul: bool) -> Stored<'_> {
        Stored { keys: self, nul }
    }
}

/// Keys as a file has them.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    keys: &'a Keys,
    nul: bool,
}

impl<'a> Stored<'a> {
    pub fn positions(self) -> Range<u32> {
        self.keys.positions()
    }

    pub fn at(self, position: u32) -> &'a [u8] {
        self.keys.between(position, usize::from(self.nul))
    }

    /// All of them in the order of their keys, bytewise.
    pub fn sorted(self) -> Vec<Asked> {
        let mut order: Vec<(u128, u32)> =
            self.positions().map(|position| (head(self.at(position)), position)).collect();
        order.sort_unstable_by(|left, right| {
            let whole = || self.at(left.1).cmp(self.at(right.1));
            left.0.cmp(&right.0).then_with(whole)
        });
        (0..).zip(order).map(|(rank, (_, position))| (rank, position)).collect()
    }
}

/// The first sixteen bytes of a key as a number that sorts like the key. It stands beside a position while positions are
/// sorted: most comparisons need no more, and the keys are all over the memory.
pub fn head(key: &[u8]) -> u128 {
    let mut head = [0; 16];
    let length = key.len().min(16);
    head[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(head)
}

impl<'a> FromIterator<&'a [u8]> for Keys {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(keys: I) -> Keys {
        let mut all = Keys::default();
        keys.into_iter().all(|key| all.push(key));
        all
    }
}

/// The most bytes of values that one [`Writer`] holds. A file may hold values of any size; beyond this the keys are asked one
/// by one.
const MOST: usize = 8 << 20;

/// The values of some keys, by the keys' positions.
pub struct Answers {
    places: Places,
    /// One of each writer.
    texts: Vec<Vec<u8>>,
}

/// Where the value of each key stands. Several threads fill them in, each those of its own keys.
pub struct Places(Vec<AtomicU64>);

/// No place: the table does not have the key.
const NONE: u64 = u64::MAX;
/// In a place are the number of the text, where the value begins in it, and its length, each of so many bits at most.
const BITS: u32 = 24;

/// What one thread has found.
pub struct Writer<'p> {
    places: &'p Places,
    number: u64,
    text: Vec<u8>,
}

impl Places {
    /// No answer to any of so many keys.
    pub fn new(count: usize) -> Places {
        Places(std::iter::repeat_with(|| AtomicU64::new(NONE)).take(count).collect())
    }

    /// The writer of the text that will have this number among those of [`Places::with`].
    pub fn writer(&self, number: u16) -> Writer<'_> {
        Writer { places: self, number: number.into(), text: Vec::new() }
    }

    /// `texts`: of the writers, by their numbers.
    pub fn with(self, texts: Vec<Vec<u8>>) -> Answers {
        Answers { places: self, texts }
    }
}

impl Writer<'_> {
    /// The value of the key at a position, in place of one that it had. False when there is no room.
    pub fn put(&mut self, position: u32, value: &[u8]) -> bool {
        let Some(place) = self.places.0.get(position as usize) else { return false };
        let start = self.text.len();
        if start + value.len() > MOST {
            return false;
        }
        self.text.extend_from_slice(value);
        // Each number is below 2^BITS.
        let packed = self.number << (2 * BITS) | (start as u64) << BITS | value.len() as u64;
        place.store(packed, Ordering::Relaxed);
        true
    }

    pub fn text(self) -> Vec<u8> {
        self.text
    }
}

impl Answers {
    /// None: the table does not have the key.
    pub fn at(&self, position: usize) -> Option<&[u8]> {
        let place = self.places.0.get(position)?.load(Ordering::Relaxed);
        if place == NONE {
            return None;
        }
        let (start, length) = ((place >> BITS) as usize & ((1 << BITS) - 1), place as usize & ((1 << BITS) - 1));
        self.texts.get((place >> (2 * BITS)) as usize)?.get(start..start + length)
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.places.0.len()).map(|position| self.at(position))
    }

    pub fn is_ascii(&self) -> bool {
        self.texts.iter().all(|text| text.is_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_answers_by_position() {
        let mut keys: Keys = [&b"one"[..], b"", b"three"].into_iter().collect();
        assert!(keys.push(b"four"));
        assert_eq!(keys.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"three", b"four"]);
        assert_eq!((keys.len(), keys.size(), keys.at(9)), (4, 16, &b""[..]));
        for (nul, last) in [(true, &b"four\0"[..]), (false, b"four")] {
            assert_eq!(keys.stored(nul).at(3), last);
            assert_eq!(keys.stored(nul).sorted(), [(0, 1), (1, 3), (2, 0), (3, 2)]);
        }
        let places = Places::new(5);
        let (mut one, mut other) = (places.writer(0), places.writer(1));
        assert!(one.put(2, b"zwei") && one.put(0, b"") && one.put(2, b"drei") && !one.put(5, b"x"));
        assert!(!one.put(1, &vec![b'x'; MOST]));
        assert!(other.put(3, &vec![b'x'; MOST - 1]) && other.put(4, b"y") && !other.put(1, b"z"));
        let texts = vec![one.text(), other.text()];
        let answers = places.with(texts);
        let short = answers.iter().map(|value| value.map(|value| &value[..value.len().min(9)]));
        assert_eq!(short.collect::<Vec<_>>(), [Some(&b""[..]), None, Some(b"drei"), Some(b"xxxxxxxxx"), Some(b"y")]);
    }
}
