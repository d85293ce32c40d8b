//! Many questions at once: [`Keys`] one behind the other in one piece of memory, and [`Answers`] likewise. A table on disk
//! looks for them in its own order, and none of them costs an allocation.

use std::ops::Range;

/// A key that is asked for: a number that grows along the file, which the file's format chooses, and the key's position.
pub type Asked = (u32, u32);

/// Gets the place of a key among those that were asked for and its value, and says whether to go on.
pub type Found<'a> = dyn FnMut(usize, &[u8]) -> bool + 'a;

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

/// The most bytes of values that are held at a time. A file may hold values of any size; beyond this the keys are asked
/// one by one.
const MOST: usize = 8 << 20;

/// The values of some keys, by the keys' positions.
pub struct Answers {
    /// Each thread that looked for them has its own.
    texts: Vec<Vec<u8>>,
    places: Vec<Place>,
}

/// Where a value stands: in which text, from where to where. [`NONE`]: the table does not have the key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    text: u32,
    start: u32,
    end: u32,
}

const NONE: Place = Place { text: u32::MAX, start: 0, end: 0 };

impl Answers {
    /// No answer to any of so many keys.
    pub fn new(count: usize) -> Answers {
        Answers { texts: vec![Vec::new()], places: vec![NONE; count] }
    }

    /// The value of the key at a position, in place of one that it had. False when there is no room.
    pub fn put(&mut self, position: usize, value: &[u8]) -> bool {
        let (Some(place), Some(text)) = (self.places.get_mut(position), self.texts.first_mut()) else { return false };
        let start = text.len();
        let end = start + value.len();
        if end > MOST {
            return false;
        }
        text.extend_from_slice(value);
        // Both are below MOST.
        *place = Place { text: 0, start: start as u32, end: end as u32 };
        true
    }

    /// Puts answers of other keys, which were asked for in this order, beside these at the keys' positions.
    pub fn append(&mut self, asked: &[Asked], other: Answers) {
        let first = self.texts.len() as u32;
        for (&(_, position), place) in asked.iter().zip(other.places).filter(|(_, place)| *place != NONE) {
            if let Some(own) = self.places.get_mut(position as usize) {
                *own = Place { text: first + place.text, ..place };
            }
        }
        self.texts.extend(other.texts);
    }

    /// None: the table does not have the key.
    pub fn at(&self, position: usize) -> Option<&[u8]> {
        let place = self.places.get(position).filter(|place| **place != NONE)?;
        self.texts.get(place.text as usize)?.get(place.start as usize..place.end as usize)
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.places.len()).map(|position| self.at(position))
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
        let mut answers = Answers::new(3);
        assert!(answers.put(2, b"zwei") && answers.put(0, b"") && answers.put(2, b"drei") && !answers.put(3, b"x"));
        assert_eq!(answers.iter().collect::<Vec<_>>(), [Some(&b""[..]), None, Some(b"drei")]);
        assert!(!answers.put(1, &vec![b'x'; MOST]));
        assert_eq!(answers.at(1), None);
        let mut both = Answers::new(5);
        both.append(&[(0, 4), (1, 1), (2, 0)], answers);
        assert_eq!(both.iter().collect::<Vec<_>>(), [Some(&b"drei"[..]), None, None, None, Some(b"")]);
    }
}
