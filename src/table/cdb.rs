//! cdb:FILE: FILE.cdb, D. J. Bernstein's constant database. 256 pairs (position, slots) of 32-bit little-endian numbers;
//! records (key length, value length, key, value); 256 hash tables of (hash, position of record). Read in place with
//! every number checked; written whole. The reference stores text without a trailing NUL here, and reads either form.

use super::entries::Entries;
use super::indexed::Keyed;
use super::many::{Asked, Found, Stored};
use super::open::Value;
use super::window::Window;
use crate::sys::files::reason;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

const HEADER: u64 = 2048;

/// The hash of a key.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381u32, |hash, &byte| (hash.wrapping_shl(5).wrapping_add(hash)) ^ u32::from(byte))
}

/// An open file.
pub struct Cdb {
    file: File,
    size: u64,
    /// Where each of the 256 tables begins, and how many slots it has.
    tables: Vec<(u32, u32)>,
}

impl Cdb {
    pub fn open(file: File) -> io::Result<Cdb> {
        let mut header = [0u8; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        let size = file.metadata()?.len();
        Ok(Cdb { file, size, tables: header.chunks_exact(8).map(two).collect() })
    }
}

/// Bytes of slots, and of a record, that are read along with the first: most searches end within them.
const SLOTS: u64 = 64;
const RECORD: u64 = 256;

impl Keyed for Cdb {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, String> {
        self.find(key).map_err(|error| reason(&error))
    }

    fn order(&self, keys: Stored<'_>) -> Vec<Asked> {
        let place = |position| {
            let slot = self.slots(hash(keys.at(position))).next().unwrap_or(0);
            (u32::try_from(slot).unwrap_or(u32::MAX), position)
        };
        let mut order: Vec<Asked> = keys.positions().map(place).collect();
        order.sort_unstable();
        order
    }

    fn get_many(&self, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> Result<(), String> {
        self.find_many(keys, order, found).map_err(|error| reason(&error))
    }
}

/// Two numbers.
fn two(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
    (number(0), number(4))
}

impl Cdb {
    /// The value of a key. A file whose numbers lead outside it ends in an error of reading.
    fn find(&self, key: &[u8]) -> io::Result<Option<Value>> {
        let (mut slots, mut records) = (Window::default(), Window::default());
        let mut value = None;
        self.records(hash(key), &mut slots, &[], |record| {
            value = self.value(record, key, &mut records, &[])?.map(<[u8]>::to_vec);
            Ok(value.is_none())
        })?;
        Ok(value)
    }

    /// First the slots of all keys, then the records that they name, each in the order of the file.
    fn find_many(&self, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> io::Result<()> {
        let mut window = Window::default();
        let mut named: Vec<(u32, u32)> = Vec::with_capacity(order.len());
        for (next, &(_, position)) in (1..).zip(order) {
            let later = order.get(next..).unwrap_or_default();
            self.records(hash(keys.at(position)), &mut window, later, |record| {
                named.push((record, position));
                Ok(false)
            })?;
        }
        named.sort_unstable();
        let mut whole;
        for (next, &(record, position)) in (1..).zip(&named) {
            let key = keys.at(position);
            let later = named.get(next..).unwrap_or_default();
            let value = match self.value(record, key, &mut window, later)? {
                Some(value) => value,
                // Another key with the same hash: this one may be in a later slot.
                None => {
                    whole = self.find(key)?;
                    let Some(value) = &whole else { continue };
                    value
                }
            };
            if !found(position, value) {
                break;
            }
        }
        Ok(())
    }

    /// Where the slots stand that a hash leads to, in their order.
    fn slots(&self, hash: u32) -> impl Iterator<Item = u64> {
        let (start, slots) = self.tables.get((hash & 255) as usize).copied().unwrap_or_default();
        // A table cannot have more slots than the file has room for.
        let most = u64::from(slots).min(self.size / 8);
        let first = u64::from((hash >> 8).checked_rem(slots).unwrap_or(0));
        (first..first + most).map(move |slot| u64::from(start) + slot % u64::from(slots) * 8)
    }

    /// Calls `each` with the position of every record that has this hash, until it answers false. `later` are slots that
    /// will be asked for next.
    fn records(
        &self,
        wanted: u32,
        window: &mut Window,
        later: &[(u32, u32)],
        mut each: impl FnMut(u32) -> io::Result<bool>,
    ) -> io::Result<()> {
        for slot in self.slots(wanted) {
            let along = std::iter::once(slot..slot + SLOTS).chain(ahead(later, SLOTS));
            let (hash, record) = two(window.get(&self.file, slot..slot + 8, along)?);
            if record == 0 || (hash == wanted && !each(record)?) {
                break;
            }
        }
        Ok(())
    }

    /// The value of the record at a position, if it is the key's. `later` are records that will be asked for next.
    fn value<'a>(
        &self,
        record: u32,
        key: &[u8],
        window: &'a mut Window,
        later: &[(u32, u32)],
    ) -> io::Result<Option<&'a [u8]>> {
        let start = u64::from(record);
        let along = std::iter::once(start..start + RECORD).chain(ahead(later, RECORD));
        let (key_length, value_length) = two(window.get(&self.file, start..start + 8, along)?);
        let end = start + 8 + u64::from(key_length) + u64::from(value_length);
        if key_length as usize != key.len() {
            return Ok(None);
        }
        if end > self.size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let whole = window.get(&self.file, start..end, ahead(later, RECORD))?;
        Ok(whole.get(8..).and_then(|pair| pair.strip_prefix(key)))
    }
}

/// Places of a length that begin at the first numbers of some pairs.
fn ahead(later: &[(u32, u32)], length: u64) -> impl Iterator<Item = Range<u64>> {
    later.iter().map(move |&(start, _)| u64::from(start)..u64::from(start) + length)
}

/// Writes `entries` as a file; `file` is empty.
pub fn write(entries: &Entries, file: &File) -> io::Result<()> {
    let too_big = || io::Error::other("database too big");
    // Hash and record of each entry, by table: where the next one of each table goes.
    let mut next = [0usize; 256];
    let count = |_, key: &[u8], _: &[u8]| {
        next[(hash(key) & 255) as usize] += 1;
        Ok(())
    };
    entries.each(count)?;
    let mut end = 0;
    for next in &mut next {
        end += std::mem::replace(next, end);
    }
    let mut named = vec![(0u32, 0u32); end];

    let mut out = BufWriter::with_capacity(1 << 16, file);
    out.write_all(&[0; HEADER as usize])?;
    let mut at = HEADER;
    let put = |_, key: &[u8], value: &[u8]| {
        let hash = hash(key);
        let next = &mut next[(hash & 255) as usize];
        named[*next] = (hash, u32::try_from(at).map_err(|_| too_big())?);
        *next += 1;
        out.write_all(&(key.len() as u32).to_le_bytes())?;
        out.write_all(&(value.len() as u32).to_le_bytes())?;
        out.write_all(key)?;
        out.write_all(value)?;
        at += 8 + key.len() as u64 + value.len() as u64;
        Ok(())
    };
    entries.each(put)?;
    let mut header = Vec::with_capacity(HEADER as usize);
    let mut filled = Vec::new();
    let mut start = 0;
    for end in next {
        let table = &named[start..end];
        start = end;
        let slots = table.len() * 2;
        header.extend_from_slice(&u32::try_from(at).map_err(|_| too_big())?.to_le_bytes());
        header.extend_from_slice(&(slots as u32).to_le_bytes());
        filled.clear();
        filled.resize(slots, (0u32, 0u32));
        for &(hash, record) in table {
            let mut slot = (hash >> 8) as usize % slots;
            while filled[slot].1 != 0 {
                slot = (slot + 1) % slots;
            }
            filled[slot] = (hash, record);
        }
        for (hash, record) in &filled {
            out.write_all(&hash.to_le_bytes())?;
            out.write_all(&record.to_le_bytes())?;
        }
        at += slots as u64 * 8;
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_damage_ends() {
        let mut entries = Entries::default();
        for number in 0..2000u32 {
            entries.insert(format!("k{number}").as_bytes(), format!("v{number}").as_bytes(), false).unwrap();
        }
        let file = tempfile::tempfile().unwrap();
        write(&entries, &file).unwrap();
        let mut data = Cdb::open(file).unwrap();
        for number in 0..2000u32 {
            let found = data.find(format!("k{number}").as_bytes()).unwrap();
            assert_eq!(found, Some(format!("v{number}").into_bytes()));
        }
        assert_eq!(data.find(b"k2000").unwrap(), None);
        let keys: Vec<Vec<u8>> = (1000..3000u32).rev().map(|number| format!("k{number}").into_bytes()).collect();
        let alone: Vec<_> = keys.iter().map(|key| data.find(key).unwrap()).collect();
        assert_eq!(crate::table::bdb::tests::many(&data, &keys), alone);
        for seed in 0..200u64 {
            data.file.write_all_at(&[(seed * 7 + 255) as u8; 3], seed.wrapping_mul(7919) % data.size).unwrap();
            data = Cdb::open(data.file).unwrap();
            let _ = data.find(b"k77");
            let _ = data.find(b"k1999");
        }
    }
}
