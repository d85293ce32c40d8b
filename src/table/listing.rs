//! How the entries of a table that is being built stand in memory and in a spool, and a [`Listing`]: some of them in memory,
//! by their positions.
//!
//! An entry is the lengths of key and value, as two numbers of four bytes, key, value, and zeros up to a multiple of
//! [`UNIT`].

use super::many::head;
use std::borrow::Cow;
use std::io;
use std::ops::Range;

/// Every entry begins at a multiple of it, so that a number of 32 bits is enough for a place among many.
pub const UNIT: usize = 4;
/// Bytes of the two lengths.
pub const LENGTHS: usize = 8;

/// In the first length: the entry was replaced or removed.
const DEAD: u32 = 1 << 31;

/// Where an entry's parts are.
#[derive(Clone, Copy)]
pub struct Head {
    pub key: usize,
    pub value: usize,
    pub dead: bool,
}

impl Head {
    /// None: there is less than that.
    pub fn of(entry: &[u8]) -> Option<Head> {
        let (key, rest) = entry.split_first_chunk()?;
        let (key, value) = (u32::from_le_bytes(*key), u32::from_le_bytes(*rest.first_chunk()?));
        Some(Head { key: (key & !DEAD) as usize, value: value as usize, dead: key & DEAD != 0 })
    }

    /// Bytes of the whole entry.
    pub fn size(self) -> usize {
        (LENGTHS + self.key + self.value).next_multiple_of(UNIT)
    }

    /// The key and value of the entry, if all of it is here.
    pub fn pair(self, entry: &[u8]) -> Option<(&[u8], &[u8])> {
        entry.get(LENGTHS..LENGTHS + self.key + self.value)?.split_at_checked(self.key)
    }
}

/// What marks an entry as dead: its first bytes, with a key of so many bytes.
pub fn dead(key: usize) -> [u8; 4] {
    (key as u32 | DEAD).to_le_bytes()
}

/// Appends an entry.
pub fn push(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let too_big = |_| io::Error::other("table too big");
    let lengths = [u32::try_from(key.len()), u32::try_from(value.len())];
    for length in lengths {
        let length = length.map_err(too_big)?;
        if length >= DEAD {
            return Err(io::Error::other("table too big"));
        }
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(UNIT), 0);
    Ok(())
}

/// Entries in memory, each at a position.
pub struct Listing<'e> {
    bytes: Cow<'e, [u8]>,
    /// Where each begins, in units.
    starts: Vec<u32>,
}

impl<'e> Listing<'e> {
    /// Of all that are alive.
    pub fn of(bytes: Cow<'e, [u8]>) -> Listing<'e> {
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some(head) = bytes.get(at..).and_then(Head::of) {
            if !head.dead {
                starts.push((at / UNIT) as u32);
            }
            at += head.size();
        }
        Listing { bytes, starts }
    }

    /// All positions. Their number is 32 bits wide, since the places of entries are.
    pub fn positions(&self) -> Range<u32> {
        0..self.starts.len() as u32
    }

    /// The key and value at one of [`Listing::positions`].
    pub fn at(&self, position: u32) -> (&[u8], &[u8]) {
        let start = self.starts.get(position as usize).map(|&start| start as usize * UNIT);
        let entry = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        Head::of(entry).and_then(|head| head.pair(entry)).unwrap_or_default()
    }

    /// Sorts positions by their keys, bytewise. `keyed` is room for it.
    pub fn sort(&self, positions: &mut [u32], keyed: &mut Vec<(u128, u32)>) {
        keyed.clear();
        keyed.extend(positions.iter().map(|&position| (head(self.at(position).0), position)));
        keyed.sort_unstable_by(|left, right| {
            let whole = || self.at(left.1).0.cmp(self.at(right.1).0);
            left.0.cmp(&right.0).then_with(whole)
        });
        for (position, (_, sorted)) in positions.iter_mut().zip(keyed.iter()) {
            *position = *sorted;
        }
    }

    /// Calls `found` with all of them in the order of their keys.
    pub fn in_order(&self, found: &mut impl FnMut(&[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut order: Vec<u32> = self.positions().collect();
        self.sort(&mut order, &mut Vec::new());
        order.into_iter().try_for_each(|position| {
            let (key, value) = self.at(position);
            found(key, value)
        })
    }
}
