//! [`Entries`]: the keys and values of a table that is being built, each key once: in one piece of memory or, for large
//! tables, mostly in a file without a name.

use super::listing::{self, Head, LENGTHS, Listing, UNIT};
use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::FileExt;

/// A slot: where an entry begins in all that was inserted, in units, and above that bits of the key's hash, so that a
/// search seldom reads another key.
type Slot = u32;
const EMPTY: Slot = Slot::MAX;
/// A slot whose entry was removed: a search goes on past it.
const REMOVED: Slot = Slot::MAX - 1;

/// The least bits of a place.
const NARROW: u32 = 20;

/// Bytes of entries that are taken out of a spool at once to be sorted: more take memory, fewer time.
pub const PART: usize = 8 << 20;
/// Bytes that are kept in memory before they go to the spool, and that are read from it at once.
const STRETCH: usize = 1 << 17;

/// A set of entries.
pub struct Entries {
    /// Where all but the last bytes are, and how many.
    spool: Option<File>,
    spooled: usize,
    /// The bytes after those in the spool.
    bytes: Vec<u8>,
    /// Those that are alive.
    count: usize,
    /// By key, open addressing; a power of two. At most three quarters full, counting removed ones.
    slots: Vec<Slot>,
    used: usize,
    /// Bits of a place in a slot. The two highest places, which would look like EMPTY and REMOVED, are not used.
    width: u32,
    longest: usize,
    /// Room for a key that is read from the spool.
    room: Vec<u8>,
    /// Seeded: a hostile source (mail addresses of users) cannot choose keys that meet in one slot.
    hasher: RandomState,
}

impl Default for Entries {
    fn default() -> Entries {
        Entries {
            spool: None,
            spooled: 0,
            bytes: Vec::new(),
            count: 0,
            slots: vec![EMPTY; 64],
            used: 0,
            width: NARROW,
            longest: 0,
            room: Vec::new(),
            hasher: RandomState::new(),
        }
    }
}

impl Entries {
    /// Room for what a source of so many bytes probably holds, so that the search is not made anew as the entries come.
    pub fn for_source(bytes: u64, spool: Option<File>) -> Entries {
        // A line is seldom shorter than its share here; a size is only a promise, which a sparse file breaks.
        let bytes = bytes.min(1 << 28) as usize;
        let size = (bytes / 40).next_power_of_two().max(64);
        // What is never touched costs no memory, what grows is copied.
        let likely = bytes + bytes / 4;
        let room = if spool.is_some() { bytes.min(2 * STRETCH) } else { likely };
        let width = usize::BITS - (likely / UNIT).leading_zeros() + 1;
        Entries {
            spool,
            bytes: Vec::with_capacity(room),
            slots: vec![EMPTY; size],
            width: width.clamp(NARROW, Slot::BITS),
            ..Entries::default()
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// No key and no value is longer.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The bytes of all keys and values, replaced ones included.
    pub fn size(&self) -> usize {
        self.spooled + self.bytes.len()
    }

    /// All of them, if they are in memory.
    pub fn listing(&self) -> Option<Listing<'_>> {
        (self.spooled == 0).then(|| Listing::of(Cow::Borrowed(self.bytes.as_slice())))
    }

    /// Calls `found` with the position, key and value of each entry, in the order in which they came.
    pub fn each(&self, mut found: impl FnMut(usize, &[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut position = 0;
        self.walk(|_, head, entry| {
            if let Some((key, value)) = head.pair(entry).filter(|_| !head.dead) {
                found(position, key, value)?;
                position += 1;
            }
            Ok(())
        })
    }

    /// Calls `found` with the place and the bytes of every entry, dead ones too; more may follow the bytes.
    fn walk(&self, mut found: impl FnMut(usize, Head, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut window = vec![0; STRETCH.min(self.spooled)];
        let mut begin = 0;
        while let Some(spool) = self.spool.as_ref().filter(|_| begin < self.spooled) {
            let length = window.len().min(self.spooled - begin);
            spool.read_exact_at(&mut window[..length], begin as u64)?;
            let passed = walk(&window[..length], begin, &mut found)?;
            if passed == 0 {
                // An entry longer than the window.
                let size = Head::of(&window[..length]).map(Head::size).filter(|&size| size > length);
                window.resize(size.ok_or(io::ErrorKind::UnexpectedEof)?, 0);
            }
            begin += passed;
        }
        walk(&self.bytes, self.spooled, &mut found).map(drop)
    }

    /// A copy of the entries whose positions are `wanted`, in memory.
    pub fn part(&self, wanted: impl Fn(usize) -> bool) -> io::Result<Listing<'static>> {
        let mut bytes = Vec::with_capacity(PART + PART / 4);
        self.each(
            |position, key, value| {
                if wanted(position) { listing::push(&mut bytes, key, value) } else { Ok(()) }
            },
        )?;
        Ok(Listing::of(Cow::Owned(bytes)))
    }

    /// Calls `found` with all keys and values in the order of their keys, bytewise.
    pub fn in_order(&self, mut found: impl FnMut(&[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(listing) = self.listing() {
            return listing.in_order(&mut found);
        }
        // A stretch of keys at a time; the spool is read from its beginning for each.
        self.in_stretches(self.size().div_ceil(PART), &mut found)
    }

    /// The same from a spool, so many stretches of keys one after the other.
    fn in_stretches(&self, count: usize, found: &mut impl FnMut(&[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
        let bounds = self.bounds(count)?;
        let mut stretches = Vec::with_capacity(self.len());
        self.each(|_, key, _| {
            stretches.push(bounds.partition_point(|bound| bound.as_slice() <= key) as u16);
            Ok(())
        })?;
        for number in 0..=bounds.len() as u16 {
            let part = self.part(|position| stretches.get(position) == Some(&number))?;
            part.in_order(found)?;
        }
        Ok(())
    }

    /// Keys, ascending, that divide all keys into about so many stretches of the same size, at most 2^16.
    fn bounds(&self, stretches: usize) -> io::Result<Vec<Vec<u8>>> {
        /// Keys that are looked at for each stretch: chance makes one half as big again, hardly ever twice as big.
        const SAMPLES: usize = 64;
        let stretches = stretches.clamp(1, 1 << 16);
        let step = (self.len() / (stretches * SAMPLES)).max(1);
        let mut samples = Vec::new();
        self.each(|position, key, _| {
            if position % step == 0 {
                samples.push(key.to_vec());
            }
            Ok(())
        })?;
        samples.sort_unstable();
        let each = samples.len().div_ceil(stretches).max(1);
        Ok(samples.into_iter().skip(each).step_by(each).collect())
    }

    /// Adds an entry; with `replace`, over one that is there. False when the key is there and stays as it was.
    pub fn insert(&mut self, key: &[u8], value: &[u8], replace: bool) -> io::Result<bool> {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.search_anew(self.slots.len() * 2, self.width)?;
        }
        let place = self.size() / UNIT;
        if place + 2 >= 1 << self.width {
            if self.width == Slot::BITS {
                return Err(io::Error::other("table too big"));
            }
            self.search_anew(self.slots.len(), (self.width + 4).min(Slot::BITS))?;
        }
        let hash = self.hasher.hash_one(key);
        let (at, known) = self.slot_of(key, hash)?;
        if let Some(known) = known {
            if !replace {
                return Ok(false);
            }
            self.kill(known, key)?;
        } else {
            self.used += 1;
        }
        listing::push(&mut self.bytes, key, value)?;
        self.slots[at] = slot(hash, place, self.width);
        self.count += 1;
        self.longest = self.longest.max(key.len()).max(value.len());
        self.spill()?;
        Ok(true)
    }

    /// Takes a key out; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> io::Result<bool> {
        let hash = self.hasher.hash_one(key);
        let (at, Some(known)) = self.slot_of(key, hash)? else { return Ok(false) };
        self.kill(known, key)?;
        self.slots[at] = REMOVED;
        Ok(true)
    }

    /// Gives the memory of the search back: nothing is added any more.
    pub fn close(&mut self) {
        self.slots = Vec::new();
    }

    /// Marks the entry of a key at a place as dead.
    fn kill(&mut self, place: usize, key: &[u8]) -> io::Result<()> {
        let (start, mark) = (place * UNIT, listing::dead(key.len()));
        match (start.checked_sub(self.spooled), &self.spool) {
            (Some(start), _) => {
                if let Some(bytes) = self.bytes.get_mut(start..start + mark.len()) {
                    bytes.copy_from_slice(&mark);
                }
            }
            (None, Some(spool)) => spool.write_all_at(&mark, start as u64)?,
            (None, None) => {}
        }
        self.count -= 1;
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        if let Some(spool) = self.spool.as_ref().filter(|_| self.bytes.len() >= STRETCH) {
            spool.write_all_at(&self.bytes, self.spooled as u64)?;
            self.spooled += self.bytes.len();
            self.bytes.clear();
        }
        Ok(())
    }

    /// The slot of a key and its place, or the empty slot where it would go.
    fn slot_of(&mut self, key: &[u8], hash: u64) -> io::Result<(usize, Option<usize>)> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        // Ends: at least a quarter of the slots are empty.
        loop {
            let known = self.slots[at];
            if known == EMPTY {
                return Ok((at, None));
            }
            let place = known & place_mask(self.width);
            if known != REMOVED
                && known == slot(hash, place as usize, self.width)
                && self.is_key(place as usize, key)?
            {
                return Ok((at, Some(place as usize)));
            }
            at = (at + 1) & mask;
        }
    }

    fn is_key(&mut self, place: usize, key: &[u8]) -> io::Result<bool> {
        let start = place * UNIT;
        let entry = match (start.checked_sub(self.spooled), &self.spool) {
            (Some(start), _) => self.bytes.get(start..).unwrap_or_default(),
            (None, Some(spool)) => {
                // A shorter entry may be the spool's last.
                self.room.resize((LENGTHS + key.len()).min(self.spooled - start), 0);
                spool.read_exact_at(&mut self.room, start as u64)?;
                self.room.as_slice()
            }
            (None, None) => &[],
        };
        Ok(Head::of(entry).is_some_and(|head| head.key == key.len())
            && entry.get(LENGTHS..LENGTHS + key.len()) == Some(key))
    }

    /// Puts all keys into so many new slots with places of so many bits.
    fn search_anew(&mut self, size: usize, width: u32) -> io::Result<()> {
        // All is read again: the old slots need not be there meanwhile.
        self.slots = Vec::new();
        let mut slots = vec![EMPTY; size];
        self.walk(|start, head, entry| {
            let Some((key, _)) = head.pair(entry).filter(|_| !head.dead) else { return Ok(()) };
            let hash = self.hasher.hash_one(key);
            let mut at = hash as usize & (size - 1);
            while slots[at] != EMPTY {
                at = (at + 1) & (size - 1);
            }
            slots[at] = slot(hash, start / UNIT, width);
            Ok(())
        })?;
        (self.slots, self.width, self.used) = (slots, width, self.count);
        Ok(())
    }
}

/// Calls `found` with each entry that is here in full; the bytes of those. `begin`: the place of the first, in bytes.
fn walk(bytes: &[u8], begin: usize, found: &mut impl FnMut(usize, Head, &[u8]) -> io::Result<()>) -> io::Result<usize> {
    let mut at = 0;
    while let Some(entry) = bytes.get(at..)
        && let Some(head) = Head::of(entry)
        && entry.len() >= head.size()
    {
        found(begin + at, head, entry)?;
        at += head.size();
    }
    Ok(at)
}

fn place_mask(width: u32) -> Slot {
    Slot::MAX >> (Slot::BITS - width)
}

fn slot(hash: u64, place: usize, width: u32) -> Slot {
    let mask = place_mask(width);
    (hash >> 32) as Slot & !mask | place as Slot & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(entries: &Entries) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut list = Vec::new();
        let put = |at, key: &[u8], value: &[u8]| {
            assert_eq!(at, list.len());
            list.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        entries.each(put).unwrap();
        list
    }

    #[test]
    fn each_key_once() {
        let mut entries = Entries::default();
        for number in 0..1000u32 {
            assert!(entries.insert(&number.to_le_bytes(), b"v", false).unwrap());
        }
        assert!(!entries.insert(&7u32.to_le_bytes(), b"w", false).unwrap());
        assert!(entries.insert(&7u32.to_le_bytes(), b"w", true).unwrap());
        assert_eq!(all(&entries).last().unwrap(), &(7u32.to_le_bytes().to_vec(), b"w".to_vec()));
        for number in 0..500u32 {
            assert!(entries.remove(&number.to_le_bytes()).unwrap());
            assert!(!entries.remove(&number.to_le_bytes()).unwrap());
        }
        assert_eq!((entries.len(), all(&entries).len()), (500, 500));
        assert!(!entries.insert(&999u32.to_le_bytes(), b"", false).unwrap());
        assert!(entries.insert(&1u32.to_le_bytes(), b"", false).unwrap());
        assert_eq!(entries.listing().unwrap().positions(), 0..501);
    }

    /// What is inserted into a spool, replaced, removed and refused there, comes out as from memory.
    #[test]
    fn a_spool_is_no_different() {
        let (mut memory, mut spooled) =
            (Entries::default(), Entries::for_source(0, Some(tempfile::tempfile().unwrap())));
        let long = vec![b'x'; STRETCH + 7];
        for number in 0..60_000u32 {
            // A third come again, some of them to replace what is there; the places outgrow their first width.
            let key = format!("key {}", number % 45_000);
            let value = match number {
                20_000 => long.clone(),
                _ => format!("value {number} {}", "y".repeat(number as usize % 100)).into_bytes(),
            };
            let replace = number % 2 == 0;
            let expected = memory.insert(key.as_bytes(), &value, replace).unwrap();
            assert_eq!(spooled.insert(key.as_bytes(), &value, replace).unwrap(), expected, "{number}");
            if number % 1000 == 0 {
                let gone = format!("key {}", number / 2);
                let expected = memory.remove(gone.as_bytes()).unwrap();
                assert_eq!(spooled.remove(gone.as_bytes()).unwrap(), expected, "{number}");
            }
        }
        assert!(spooled.listing().is_none() && spooled.width > NARROW && memory.width == spooled.width);
        let list = all(&spooled);
        assert!(list == all(&memory) && list.len() == spooled.len() && spooled.len() == memory.len());
        let part = spooled.part(|at| at % 2 == 1).unwrap();
        assert_eq!(part.positions().len(), list.len() / 2);
        let odd = |at: u32| &list[2 * at as usize + 1];
        assert!(part.positions().all(|at| part.at(at) == (&odd(at).0, &odd(at).1)));

        let ordered = |entries: &Entries| {
            let mut list = Vec::new();
            let put = |key: &[u8], value: &[u8]| {
                list.push((key.to_vec(), value.to_vec()));
                Ok(())
            };
            entries.in_order(put).unwrap();
            list
        };
        let sorted = ordered(&spooled);
        let mut next = sorted.iter();
        let same = |key: &[u8], value: &[u8]| {
            assert!(next.next().is_some_and(|(k, v)| k == key && v == value));
            Ok(())
        };
        spooled.in_stretches(7, &mut { same }).unwrap();
        assert!(sorted.len() == list.len() && sorted.is_sorted() && sorted == ordered(&memory));
        let bounds = spooled.bounds(9).unwrap();
        let below = |bound: &Vec<u8>| sorted.iter().filter(|(key, _)| key < bound).count();
        let share = sorted.len() / 9;
        assert!(bounds.len() == 8 && bounds.iter().zip(1..).all(|(bound, at)| below(bound).abs_diff(share * at) < 900));
    }
}
