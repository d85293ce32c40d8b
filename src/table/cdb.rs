//! cdb:FILE: FILE.cdb, D. J. Bernstein's constant database. 256 pairs (position, slots) of 32-bit little-endian numbers;
//! records (key length, value length, key, value); 256 hash tables of (hash, position of record). Read in place with
//! every number checked; written whole. The reference stores text without a trailing NUL here, and reads either form.

use super::entries::Entries;
use super::indexed::Stamp;
use super::nearby::Nearby;
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
    state: Mutex<State>,
}

struct State {
    data: Data,
    stamp: Stamp,
    /// Which forms of key to try; the first that is found decides.
    with_nul: bool,
    without_nul: bool,
}

/// An open file.
struct Data {
    file: File,
    nearby: Nearby,
    size: u64,
    /// Where each of the 256 tables begins, and how many slots it has.
    tables: Vec<(u32, u32)>,
}

impl Data {
    fn open(file: File) -> io::Result<Data> {
        let mut header = [0u8; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        let size = file.metadata()?.len();
        Ok(Data { file, nearby: Nearby::default(), size, tables: header.chunks_exact(8).map(two).collect() })
    }
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let table = format!("{kind}:{name}");
    let path = PathBuf::from(format!("{name}.cdb"));
    let state = Mutex::new(load(&table, &path, options)?);
    Ok(Box::new(Cdb { table, path, options: options.clone(), state }))
}

fn load(table: &str, path: &Path, options: &Options) -> Result<State, TableError> {
    let failed =
        |error: io::Error| TableError::new(table, format!("open database {}: {}", path.display(), reason(&error)));
    let file = File::open(path).map_err(failed)?;
    let stamp = Stamp::of(&file.metadata().map_err(failed)?);
    let data = Data::open(file).map_err(|_| {
        TableError::new(table, format!("dict_cdbq_open: unable to init {}: Protocol error", path.display()))
    })?;
    let (with_nul, without_nul) = (options.nul != Some(false), options.nul != Some(true));
    Ok(State { data, stamp, with_nul, without_nul })
}

/// Two numbers.
fn two(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
    (number(0), number(4))
}

/// The value of a key. A file whose numbers lead outside it ends in an error of reading.
fn get(data: &Data, key: &[u8]) -> io::Result<Option<Value>> {
    let mut value = None;
    records(data, hash(key), |record| {
        value = record_value(data, u64::from(record), key)?;
        Ok(value.is_none())
    })?;
    Ok(value)
}

/// The values of many keys: first where their records may be, then the records, both in the order of the file.
fn get_many(data: &Data, keys: &[Vec<u8>]) -> io::Result<Vec<Option<Value>>> {
    let mut order: Vec<(u32, u32, u32)> = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let hash = hash(key);
        let slots = data.tables.get((hash & 255) as usize).map_or(0, |&(_, slots)| slots);
        order.push((hash & 255, (hash >> 8).checked_rem(slots).unwrap_or(0), at as u32));
    }
    order.sort_unstable();
    // Record, turn among the records of its key, key.
    let mut candidates: Vec<(u32, u32, u32)> = Vec::with_capacity(keys.len());
    data.nearby.kept(|| {
        order.iter().try_for_each(|&(_, _, at)| {
            let mut turn = 0;
            records(data, hash(&keys[at as usize]), |record| {
                candidates.push((record, turn, at));
                turn += 1;
                // A key with this many others of its hash is hostile work, and asked for alone.
                if turn < 16 { Ok(true) } else { Err(io::ErrorKind::InvalidData.into()) }
            })
        })
    })?;
    candidates.sort_unstable();
    let mut found: Vec<Option<(u32, Value)>> = vec![None; keys.len()];
    data.nearby.kept(|| {
        candidates.iter().try_for_each(|&(record, turn, at)| {
            let best = &mut found[at as usize];
            if best.as_ref().is_none_or(|(earlier, _)| turn < *earlier)
                && let Some(value) = record_value(data, u64::from(record), &keys[at as usize])?
            {
                *best = Some((turn, value));
            }
            Ok::<(), io::Error>(())
        })
    })?;
    Ok(found.into_iter().map(|best| best.map(|(_, value)| value)).collect())
}

/// Calls `each` with the position of every record that has this hash, until it answers false.
fn records(data: &Data, hash: u32, mut each: impl FnMut(u32) -> io::Result<bool>) -> io::Result<()> {
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
            data.nearby.read_exact_at(&data.file, bytes, u64::from(start) + slot * 8)?;
            have = slot..slot + count;
        }
        let (found, record) = two(&some[8 * (slot - have.start) as usize..]);
        if record == 0 || (found == hash && !each(record)?) {
            break;
        }
    }
    Ok(())
}

/// The value of the record at a position, if it is the key's.
fn record_value(data: &Data, record: u64, key: &[u8]) -> io::Result<Option<Value>> {
    let mut head = [0u8; 256];
    let here = data.size.saturating_sub(record).min(256) as usize;
    data.nearby.read_exact_at(&data.file, &mut head[..here], record)?;
    let (key_length, value_length) = two(&head[..here]);
    if key_length as usize != key.len() {
        return Ok(None);
    }
    let length = u64::from(key_length) + u64::from(value_length);
    if record + 8 + length > data.size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut whole = match head.get(8..8 + length as usize) {
        Some(whole) => whole.to_vec(),
        None => {
            let mut whole = vec![0; length as usize];
            data.nearby.read_exact_at(&data.file, &mut whole, record + 8)?;
            whole
        }
    };
    Ok(whole.starts_with(key).then(|| whole.split_off(key.len())))
}

impl Cdb {
    fn refresh(&self, state: &mut State) -> Result<(), TableError> {
        if self.options.reopen
            && let Ok(data) = std::fs::metadata(&self.path)
            && Stamp::of(&data) != state.stamp
        {
            *state = load(&self.table, &self.path, &self.options)?;
        }
        Ok(())
    }
}

impl Table for Cdb {
    fn lookup_many(&self, keys: &[&[u8]]) -> Vec<Result<Option<Value>, TableError>> {
        // One by one until it is known which form the keys of the file have.
        let mut answers = Vec::with_capacity(keys.len());
        let decided = |state: &State| state.with_nul != state.without_nul;
        while answers.len() < keys.len() && !decided(&self.state.lock().unwrap_or_else(PoisonError::into_inner)) {
            answers.push(self.lookup(keys[answers.len()]));
        }
        let rest = &keys[answers.len()..];
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.refresh(&mut state) {
            answers.extend(rest.iter().map(|_| Err(error.clone())));
            return answers;
        }
        let form = |key: &&[u8]| {
            let mut key = self.options.folded(key);
            if state.with_nul {
                key.push(0);
            }
            key
        };
        let formed: Vec<Vec<u8>> = rest.iter().map(form).collect();
        let found = if decided(&state) { get_many(&state.data, &formed).ok() } else { None };
        drop(state);
        match found {
            Some(found) => answers.extend(found.into_iter().map(|value| Ok(value.map(super::indexed::text)))),
            // A damaged file: which keys can be answered?
            None => answers.extend(rest.iter().map(|key| self.lookup(key))),
        }
        answers
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let mut key = self.options.folded(key);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state)?;
        let failed = |error: io::Error| {
            TableError::new(&self.table, format!("error reading {}: {}", self.path.display(), reason(&error)))
        };
        if state.with_nul {
            key.push(0);
            if let Some(value) = get(&state.data, &key).map_err(failed)? {
                state.without_nul = false;
                return Ok(Some(super::indexed::text(value)));
            }
            key.pop();
        }
        if state.without_nul
            && let Some(value) = get(&state.data, &key).map_err(failed)?
        {
            state.with_nul = false;
            return Ok(Some(super::indexed::text(value)));
        }
        Ok(None)
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
        let mut data = Data::open(file).unwrap();
        for number in 0..2000u32 {
            let found = get(&data, format!("k{number}").as_bytes()).unwrap();
            assert_eq!(found, Some(format!("v{number}").into_bytes()));
        }
        assert_eq!(get(&data, b"k2000").unwrap(), None);
        let keys: Vec<Vec<u8>> = (0..3000u32).map(|number| format!("k{}", number * 7 % 3000).into_bytes()).collect();
        let alone: Vec<_> = keys.iter().map(|key| get(&data, key).unwrap()).collect();
        assert_eq!(get_many(&data, &keys).unwrap(), alone);
        for seed in 0..200u64 {
            data.file.write_all_at(&[(seed * 7 + 255) as u8; 3], seed.wrapping_mul(7919) % data.size).unwrap();
            data = Data::open(data.file).unwrap();
            let _ = get(&data, b"k77");
            let _ = get_many(&data, &[b"k77".to_vec(), b"k1999".to_vec()]);
        }
    }
}
