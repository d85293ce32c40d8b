//! Many questions at once: [`Keys`] one behind the other in one piece of memory, and [`Answers`] likewise. A table on disk
//! looks for them in its own order, and none of them costs an allocation.

use std::ops::Range;

/// Keys one behind the other.
#[derive(Default)]
pub struct Keys {
    text: Vec<u8>,
    /// Where each key ends. Positions are 32 bits wide to halve the memory: who collects keys stops long before.
    ends: Vec<u32>,
}

impl Keys {
    /// Adds a key made of two pieces; the second is the byte that ends keys in some files. False, and nothing added, when
    /// there is no room.
    pub fn push(&mut self, key: &[u8], end: &[u8]) -> bool {
        let Ok(place) = u32::try_from(self.text.len() + key.len() + end.len()) else { return false };
        self.text.extend_from_slice(key);
        self.text.extend_from_slice(end);
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

    /// The key at a position below [`Keys::len`].
    pub fn at(&self, position: usize) -> &[u8] {
        let start = position.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(position).copied().unwrap_or(start);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|position| self.at(position))
    }

    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// Some positions in the order of their keys, bytewise.
    pub fn sorted(&self, some: Range<u32>) -> Vec<u32> {
        let mut order: Vec<(u128, u32)> = some.map(|position| (head(self.at(position as usize)), position)).collect();
        order.sort_unstable_by(|left, right| {
            let whole = || self.at(left.1 as usize).cmp(self.at(right.1 as usize));
            left.0.cmp(&right.0).then_with(whole)
        });
        order.into_iter().map(|(_, position)| position).collect()
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
        keys.into_iter().all(|key| all.push(key, b""));
        all
    }
}

/// The most bytes of values that are held at a time. A file may hold values of any size; beyond this the keys are asked
/// one by one.
const MOST: usize = 8 << 20;

/// The values of some keys, by the keys' positions.
pub struct Answers {
    text: Vec<u8>,
    /// Where each value stands; [`NONE`]: the table does not have the key.
    places: Vec<Range<u32>>,
}

const NONE: Range<u32> = u32::MAX..u32::MAX;

impl Answers {
    /// No answer to any of so many keys.
    pub fn new(count: usize) -> Answers {
        Answers { text: Vec::new(), places: vec![NONE; count] }
    }

    /// The value of the key at a position, in place of one that it had. False when there is no room.
    pub fn put(&mut self, position: usize, value: &[u8]) -> bool {
        let start = self.text.len();
        let end = start + value.len();
        let (Some(place), true) = (self.places.get_mut(position), end <= MOST) else { return false };
        self.text.extend_from_slice(value);
        // Both are below MOST.
        *place = start as u32..end as u32;
        true
    }

    /// Puts answers of other keys beside these, the first of them at a position. False when there is no room.
    pub fn append(&mut self, position: usize, other: &Answers) -> bool {
        (position..).zip(other.iter()).all(|(at, value)| value.is_none_or(|value| self.put(at, value)))
    }

    /// None: the table does not have the key.
    pub fn at(&self, position: usize) -> Option<&[u8]> {
        let place = self.places.get(position).filter(|place| **place != NONE)?;
        self.text.get(place.start as usize..place.end as usize)
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.places.len()).map(|position| self.at(position))
    }

    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_answers_by_position() {
        let mut keys: Keys = [&b"one"[..], b"", b"three"].into_iter().collect();
        assert!(keys.push(b"four", b"\0"));
        assert_eq!(keys.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"three", b"four\0"]);
        assert_eq!((keys.len(), keys.size(), keys.at(9)), (4, 13, &b""[..]));
        assert_eq!(keys.sorted(0..4), [1, 3, 0, 2]);
        let mut answers = Answers::new(3);
        assert!(answers.put(2, b"zwei") && answers.put(0, b"") && answers.put(2, b"drei") && !answers.put(3, b"x"));
        assert_eq!(answers.iter().collect::<Vec<_>>(), [Some(&b""[..]), None, Some(b"drei")]);
        assert!(!answers.put(1, &vec![b'x'; MOST]));
        assert_eq!(answers.at(1), None);
    }
}
