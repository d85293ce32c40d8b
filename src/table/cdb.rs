//! cdb:FILE: FILE.cdb, D. J. Bernstein's constant database. 256 pairs (position, slots) of 32-bit little-endian numbers;
//! records (key length, value length, key, value); 256 hash tables of (hash, position of record). Read in place with
//! every number checked; written whole. The reference stores text without a trailing NUL here, and reads either form.

use super::entries::Entries;
use super::indexed::Stamp;
use super::open::{Opened, Options, Table, TableError, Value};
use crate::sys::files::reason;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const HEADER: u64 = 2048;

/// The hash of a key.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381u32, |hash, &byte| (hash.wrapping_shl(5).wrapping_add(hash)) ^ u32::from(byte))
}

struct Cdb {
    table: String,
    path: PathBuf,
    options: Options,
    state: Mutex<(File, Stamp)>,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let table = format!("{kind}:{name}");
    let path = PathBuf::from(format!("{name}.cdb"));
    let state = Mutex::new(load(&table, &path)?);
    Ok(Box::new(Cdb { table, path, options: options.clone(), state }))
}

fn load(table: &str, path: &Path) -> Result<(File, Stamp), TableError> {
    let failed =
        |error: io::Error| TableError::new(table, format!("open database {}: {}", path.display(), reason(&error)));
    let file = File::open(path).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    if data.len() < HEADER {
        let text = format!("dict_cdbq_open: unable to init {}: Protocol error", path.display());
        return Err(TableError::new(table, text));
    }
    Ok((file, Stamp::of(&data)))
}

/// Two numbers at a position.
fn pair(file: &File, at: u64) -> io::Result<(u32, u32)> {
    let mut bytes = [0u8; 8];
    file.read_exact_at(&mut bytes, at)?;
    let [a, b, c, d, e, f, g, h] = bytes;
    Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
}

/// The value of a key in a file of `size` bytes. A file whose numbers lead outside it ends in an error of reading.
fn get(file: &File, size: u64, key: &[u8]) -> io::Result<Option<Value>> {
    let hash = hash(key);
    let (start, slots) = pair(file, u64::from(hash & 255) * 8)?;
    if slots == 0 {
        return Ok(None);
    }
    // A table cannot have more slots than the file has room for.
    let most = u64::from(slots).min(size / 8);
    let first = u64::from((hash >> 8) % slots);
    for step in 0..most {
        let slot = (first + step) % u64::from(slots);
        let (found, record) = pair(file, u64::from(start) + slot * 8)?;
        if record == 0 {
            return Ok(None);
        }
        if found != hash {
            continue;
        }
        let (key_length, value_length) = pair(file, u64::from(record))?;
        if key_length as usize != key.len() {
            continue;
        }
        let end = u64::from(record) + 8 + u64::from(key_length) + u64::from(value_length);
        if end > size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut whole = vec![0; (key_length + value_length) as usize];
        file.read_exact_at(&mut whole, u64::from(record) + 8)?;
        if whole.starts_with(key) {
            return Ok(Some(whole.split_off(key.len())));
        }
    }
    Ok(None)
}

impl Table for Cdb {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let mut key = self.options.folded(key);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.options.reopen
            && let Ok(data) = std::fs::metadata(&self.path)
            && Stamp::of(&data) != state.1
        {
            *state = load(&self.table, &self.path)?;
        }
        let failed = |error: io::Error| {
            TableError::new(&self.table, format!("error reading {}: {}", self.path.display(), reason(&error)))
        };
        let size = state.0.metadata().map_err(failed)?.len();
        let mut found = None;
        if self.options.nul != Some(false) {
            key.push(0);
            found = get(&state.0, size, &key).map_err(failed)?;
            key.pop();
        }
        if found.is_none() && self.options.nul != Some(true) {
            found = get(&state.0, size, &key).map_err(failed)?;
        }
        Ok(found.map(super::indexed::text))
    }
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
        let size = file.metadata().unwrap().len();
        for number in 0..2000u32 {
            let found = get(&file, size, format!("k{number}").as_bytes()).unwrap();
            assert_eq!(found, Some(format!("v{number}").into_bytes()));
        }
        assert_eq!(get(&file, size, b"k2000").unwrap(), None);
        for seed in 0..200u64 {
            file.write_all_at(&[(seed * 7 + 255) as u8; 3], seed.wrapping_mul(7919) % size).unwrap();
            let _ = get(&file, size, b"k77");
        }
    }
}
