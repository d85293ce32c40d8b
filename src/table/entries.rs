//! [`Entries`]: the keys and values of a table that is being built, each key once: in one piece of memory or, for large
//! tables whose writer goes through them in their order, mostly in a file without a name.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::FileExt;

/// Where an entry begins in all that was inserted, in units of [`UNIT`] bytes: the lengths of key and value, as two numbers
/// of four bytes, key, value.
type Record = u32;
const UNIT: usize = 4;
const LENGTHS: usize = 8;

fn start(record: Record) -> usize {
    record as usize * UNIT
}

/// The lengths at the beginning of an entry.
fn lengths(entry: &[u8]) -> Option<(usize, usize)> {
    let (key, rest) = entry.split_first_chunk()?;
    Some((u32::from_le_bytes(*key) as usize, u32::from_le_bytes(*rest.first_chunk()?) as usize))
}

/// The key and value of an entry, which something may follow.
fn pair(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value) = lengths(entry)?;
    entry.get(LENGTHS..LENGTHS + key + value)?.split_at_checked(key)
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
    /// Where all but the last bytes are, and how many.
    spool: Option<File>,
    spooled: usize,
    /// The bytes after those in the spool.
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
        Entries {
            spool: None,
            spooled: 0,
            bytes: Vec::new(),
            records: Vec::new(),
            slots: vec![EMPTY; 64],
            used: 0,
            hasher: RandomState::new(),
        }
    }
}

/// Bytes that are kept in memory before they go to the spool, and that are read from it at once.
const STRETCH: usize = 1 << 18;

impl Entries {
    /// Room for what a source of so many bytes probably holds, so that the search is not made anew as the entries come.
    /// `spool`: for [`Entries::each`], not for [`Entries::at`].
    pub fn for_source(bytes: u64, spool: Option<File>) -> Entries {
        // A line is seldom shorter than its share here; a size is only a promise, which a sparse file breaks.
        let lines = bytes.min(1 << 28) as usize / 64;
        let size = (2 * lines).next_power_of_two().max(64);
        // What is never touched costs no memory, what grows is copied.
        let bytes = bytes.min(1 << 28) as usize;
        let room = if spool.is_some() { bytes.min(2 * STRETCH) } else { bytes + bytes / 4 };
        Entries {
            spool,
            bytes: Vec::with_capacity(room),
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

    /// The bytes of all keys and values, replaced ones included.
    pub fn size(&self) -> usize {
        self.spooled + self.bytes.len()
    }

    /// The key and value at a position below [`Entries::len`]; nothing of what is in a spool.
    pub fn at(&self, position: usize) -> (&[u8], &[u8]) {
        let begin = self.records.get(position).and_then(|&record| start(record).checked_sub(self.spooled));
        begin.and_then(|begin| pair(self.bytes.get(begin..)?)).unwrap_or_default()
    }

    /// All keys and values whose positions are `wanted`, in order.
    pub fn each(
        &self,
        wanted: impl Fn(usize) -> bool,
        mut found: impl FnMut(usize, &[u8], &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut window, mut begin) = (Vec::new(), 0);
        for (position, &record) in self.records.iter().enumerate().filter(|(position, _)| wanted(*position)) {
            let at = start(record);
            let (Some(spool), true) = (&self.spool, at < self.spooled) else {
                let (key, value) = self.at(position);
                found(position, key, value)?;
                continue;
            };
            let known = at.checked_sub(begin).and_then(|at| pair(window.get(at..)?));
            if let Some((key, value)) = known {
                found(position, key, value)?;
                continue;
            }
            // What was replaced stands elsewhere: then not much is read for it.
            let near = (begin..begin + window.len() + STRETCH).contains(&at);
            window.resize(if near { STRETCH } else { 4096 }.min(self.spooled - at), 0);
            begin = at;
            spool.read_exact_at(&mut window, begin as u64)?;
            let (key, value) = lengths(&window).unwrap_or_default();
            if window.len() < LENGTHS + key + value {
                window.resize(LENGTHS + key + value, 0);
                spool.read_exact_at(&mut window, begin as u64)?;
            }
            let (key, value) = pair(&window).unwrap_or_default();
            found(position, key, value)?;
        }
        Ok(())
    }

    /// A copy of the entries whose positions are `wanted`, in memory; keys cannot be searched in it.
    pub fn part(&self, wanted: impl Fn(usize) -> bool) -> io::Result<Entries> {
        let mut part = Entries { slots: Vec::new(), ..Entries::default() };
        self.each(wanted, |_, key, value| {
            let record = part.push(key, value)?;
            part.records.push(record);
            Ok(())
        })?;
        Ok(part)
    }

    /// Whether the bytes of the entries are in memory.
    pub fn is_in_memory(&self) -> bool {
        self.spooled == 0
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<Record> {
        let too_big = |_| io::Error::other("table too big");
        let record = Record::try_from(self.size() / UNIT).map_err(too_big)?;
        for part in [key, value] {
            self.bytes.extend_from_slice(&u32::try_from(part.len()).map_err(too_big)?.to_le_bytes());
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(UNIT), 0);
        Ok(record)
    }

    fn spill(&mut self) -> io::Result<()> {
        if let Some(spool) = self.spool.as_ref().filter(|_| self.bytes.len() >= STRETCH) {
            spool.write_all_at(&self.bytes, self.spooled as u64)?;
            self.spooled += self.bytes.len();
            self.bytes.clear();
        }
        Ok(())
    }

    /// Adds an entry; with `replace`, over one that is there. False when the key is there and stays as it was.
    pub fn insert(&mut self, key: &[u8], value: &[u8], replace: bool) -> io::Result<bool> {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow()?;
        }
        let hash = self.hasher.hash_one(key);
        let at = self.slot_of(key, hash)?;
        let known = self.slots[at];
        if known < REMOVED && !replace {
            return Ok(false);
        }
        let record = self.push(key, value)?;
        if known < REMOVED {
            self.records[(known & POSITION) as usize] = record;
        } else {
            self.slots[at] = slot(hash, self.records.len());
            self.used += 1;
            self.records.push(record);
        }
        self.spill()?;
        Ok(true)
    }

    /// Takes a key out of entries that have no spool; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> io::Result<bool> {
        let hash = self.hasher.hash_one(key);
        let at = self.slot_of(key, hash)?;
        if self.slots[at] >= REMOVED {
            return Ok(false);
        }
        let position = (self.slots[at] & POSITION) as usize;
        self.slots[at] = REMOVED;
        // The last entry moves to the free position: its slot follows.
        let last = self.records.len() - 1;
        if position != last {
            let moved = self.hasher.hash_one(self.at(last).0);
            let its = self.slot_of(self.at(last).0, moved)?;
            self.slots[its] = slot(moved, position);
        }
        self.records.swap_remove(position);
        Ok(true)
    }

    /// Gives the memory of the search back: nothing is added any more.
    pub fn close(&mut self) {
        self.slots = Vec::new();
    }

    /// The slot of a key, or the empty one where it would go.
    fn slot_of(&self, key: &[u8], hash: u64) -> io::Result<usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        // Ends: at least a quarter of the slots are empty.
        loop {
            let slot = self.slots[at];
            if slot == EMPTY
                || slot < REMOVED
                    && slot & !POSITION == hash & !POSITION
                    && self.has_key((slot & POSITION) as usize, key)?
            {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn has_key(&self, position: usize, key: &[u8]) -> io::Result<bool> {
        let at = self.records.get(position).map_or(0, |&record| start(record));
        let Some(spool) = self.spool.as_ref().filter(|_| at < self.spooled) else {
            return Ok(self.at(position).0 == key);
        };
        let mut head = [0; LENGTHS];
        spool.read_exact_at(&mut head, at as u64)?;
        let mut stored = vec![0; lengths(&head).unwrap_or_default().0];
        spool.read_exact_at(&mut stored, (at + LENGTHS) as u64)?;
        Ok(stored == key)
    }

    fn grow(&mut self) -> io::Result<()> {
        let size = (self.slots.len() * 2).max(64);
        let mut slots = vec![EMPTY; size];
        self.each(
            |_| true,
            |position, key, _| {
                let hash = self.hasher.hash_one(key);
                let mut at = hash as usize & (size - 1);
                while slots[at] != EMPTY {
                    at = (at + 1) & (size - 1);
                }
                slots[at] = slot(hash, position);
                Ok(())
            },
        )?;
        self.slots = slots;
        self.used = self.records.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_once() {
        let mut entries = Entries::default();
        for number in 0..1000u32 {
            assert!(entries.insert(&number.to_le_bytes(), b"v", false).unwrap());
        }
        assert!(!entries.insert(&7u32.to_le_bytes(), b"w", false).unwrap());
        assert!(entries.insert(&7u32.to_le_bytes(), b"w", true).unwrap());
        assert_eq!(entries.at(7), (&7u32.to_le_bytes()[..], &b"w"[..]));
        for number in 0..500u32 {
            assert!(entries.remove(&number.to_le_bytes()).unwrap());
            assert!(!entries.remove(&number.to_le_bytes()).unwrap());
        }
        assert_eq!(entries.len(), 500);
        assert!(!entries.insert(&999u32.to_le_bytes(), b"", false).unwrap());
        assert!(entries.insert(&1u32.to_le_bytes(), b"", false).unwrap());
    }

    /// What is inserted into a spool, replaced and refused there, comes out as from memory.
    #[test]
    fn a_spool_is_no_different() {
        let (mut memory, mut spooled) =
            (Entries::default(), Entries::for_source(0, Some(tempfile::tempfile().unwrap())));
        let long = vec![b'x'; STRETCH + 7];
        for number in 0..40_000u32 {
            // A third come again, some of them to replace what is there.
            let key = format!("key {}", number % 30_000);
            let value = if number == 20_000 { long.clone() } else { format!("value {number}").into_bytes() };
            let replace = number % 2 == 0;
            let expected = memory.insert(key.as_bytes(), &value, replace).unwrap();
            assert_eq!(spooled.insert(key.as_bytes(), &value, replace).unwrap(), expected, "{number}");
        }
        assert!(!spooled.is_in_memory());
        let all = |entries: &Entries| {
            let mut list = Vec::new();
            let put = |at, key: &[u8], value: &[u8]| {
                list.push((at, key.to_vec(), value.to_vec()));
                Ok(())
            };
            entries.each(|_| true, put).unwrap();
            list
        };
        assert!(all(&memory) == all(&spooled));
        let odd: Vec<_> = all(&memory).into_iter().filter(|(at, ..)| at % 2 == 1).collect();
        let part = spooled.part(|at| at % 2 == 1).unwrap();
        assert_eq!(part.len(), odd.len());
        assert!((0..part.len()).all(|at| part.at(at) == (&odd[at].1, &odd[at].2)));
    }
}
