//! cdb:FILE: FILE.cdb, D. J. Bernstein's constant database. 256 pairs (position, slots) of 32-bit little-endian numbers;
//! records (key length, value length, key, value); 256 hash tables of (hash, position of record). Read in place with
//! every number checked; written whole. The reference stores text without a trailing NUL here, and reads either form.

use super::entries::Entries;
use super::indexed::Keyed;
use super::open::Value;
use crate::sys::files::reason;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
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

impl Keyed for Cdb {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, String> {
        get(self, key).map_err(|error| reason(&error))
    }
}

/// Two numbers.
fn two(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
    (number(0), number(4))
}

/// The value of a key. A file whose numbers lead outside it ends in an error of reading.
fn get(data: &Cdb, key: &[u8]) -> io::Result<Option<Value>> {
    let (mut value, mut whole) = (None, Vec::new());
    records(data, hash(key), |record| {
        value = record_value(data, u64::from(record), key, &mut whole)?.map(<[u8]>::to_vec);
        Ok(value.is_none())
    })?;
    Ok(value)
}

/// Calls `each` with the position of every record that has this hash, until it answers false.
fn records(data: &Cdb, hash: u32, mut each: impl FnMut(u32) -> io::Result<bool>) -> io::Result<()> {
    let Some(&(start, slots)) = data.tables.get((hash & 255) as usize) else { return Ok(()) };
    // A table cannot have more slots than the file has room for.
    let most = u64::from(slots).min(data.size / 8);
    let first = u64::from((hash >> 8).checked_rem(slots).unwrap_or(0));
    // Slots are read a few at a time: most searches end within them.
    let mut some = [0u8; 64];
    let mut have: std::ops::Range<u64> = 0..0;
    for step in 0..most {
        let slot = (first + step) % u64::from(slots);
        if !have.contains(&slot) {
            let count = (u64::from(slots) - slot).min(8);
            let bytes = &mut some[..8 * count as usize];
            data.file.read_exact_at(bytes, u64::from(start) + slot * 8)?;
            have = slot..slot + count;
        }
        let (found, record) = two(&some[8 * (slot - have.start) as usize..]);
        if record == 0 || (found == hash && !each(record)?) {
            break;
        }
    }
    Ok(())
}

/// The value of the record at a position, if it is the key's; it stands in `whole`.
fn record_value<'a>(data: &Cdb, record: u64, key: &[u8], whole: &'a mut Vec<u8>) -> io::Result<Option<&'a [u8]>> {
    // Most records are short: one read.
    whole.resize(data.size.saturating_sub(record).min(256) as usize, 0);
    data.file.read_exact_at(whole, record)?;
    let (key_length, value_length) = two(whole);
    if key_length as usize != key.len() {
        return Ok(None);
    }
    let length = 8 + u64::from(key_length) + u64::from(value_length);
    if record + length > data.size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let length = length as usize;
    if whole.len() < length {
        whole.resize(length, 0);
        data.file.read_exact_at(whole, record)?;
    }
    Ok(whole.get(8..length).and_then(|pair| pair.strip_prefix(key)))
}

/// Writes `entries` as a file; `file` is empty.
pub fn write(entries: &Entries, file: &File) -> io::Result<()> {
    let too_big = || io::Error::other("database too big");
    let mut out = BufWriter::with_capacity(1 << 18, file);
    out.write_all(&[0; HEADER as usize])?;
    let mut tables: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 256];
    let mut at = HEADER;
    for position in 0..entries.len() {
        let (key, value) = entries.at(position);
        let hash = hash(key);
        tables[(hash & 255) as usize].push((hash, u32::try_from(at).map_err(|_| too_big())?));
        out.write_all(&(key.len() as u32).to_le_bytes())?;
        out.write_all(&(value.len() as u32).to_le_bytes())?;
        out.write_all(key)?;
        out.write_all(value)?;
        at += 8 + key.len() as u64 + value.len() as u64;
    }
    let mut header = Vec::with_capacity(HEADER as usize);
    for table in &tables {
        let slots = table.len() * 2;
        header.extend_from_slice(&u32::try_from(at).map_err(|_| too_big())?.to_le_bytes());
        header.extend_from_slice(&(slots as u32).to_le_bytes());
        let mut filled = vec![(0u32, 0u32); slots];
        for &(hash, record) in table {
            let mut slot = (hash >> 8) as usize % slots;
            while filled[slot].1 != 0 {
                slot = (slot + 1) % slots;
            }
            filled[slot] = (hash, record);
        }
        for (hash, record) in filled {
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
            entries.insert(format!("k{number}").as_bytes(), format!("v{number}").as_bytes(), false);
        }
        let file = tempfile::tempfile().unwrap();
        write(&entries, &file).unwrap();
        let mut data = Cdb::open(file).unwrap();
        for number in 0..2000u32 {
            let found = get(&data, format!("k{number}").as_bytes()).unwrap();
            assert_eq!(found, Some(format!("v{number}").into_bytes()));
        }
        assert_eq!(get(&data, b"k2000").unwrap(), None);
        for seed in 0..200u64 {
            data.file.write_all_at(&[(seed * 7 + 255) as u8; 3], seed.wrapping_mul(7919) % data.size).unwrap();
            data = Cdb::open(data.file).unwrap();
            let _ = get(&data, b"k77");
            let _ = get(&data, b"k1999");
        }
    }
}
