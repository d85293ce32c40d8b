//! hash:FILE, btree:FILE, lmdb:FILE: a file of keys and values. Keys are tried with a trailing NUL and without, as the
//! file has them (the first that is found decides for the rest); a file that is replaced or rewritten under us is
//! opened again. Whoever writes in place (the reference's postmap) holds a lock meanwhile, which is waited for.

use super::bdb::{Db, Kind};
use super::lmdb::Lmdb;
use super::open::{Build, Opened, Options, Table, TableError, Value, find_in};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a lookup waits for a writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a file of keys and values can do; errors say what is wrong with the file.
pub(super) trait Keyed: Send {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String>;
    /// The values of many keys.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, String> {
        keys.iter().map(|key| self.get(key)).collect()
    }
    /// Calls `each` with every key and value until it answers false.
    fn each(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String>;
}

impl Keyed for Db {
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, String> {
        Db::get_many(self, keys).map_err(|fault| fault.to_string())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Db::get(self, key).map_err(|fault| fault.to_string())
    }

    fn each(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        Db::each(self, each).map_err(|fault| fault.to_string())
    }
}

/// The file as one of its format; None for a format that is not read here.
pub(super) fn keyed(build: Build, file: File) -> Result<Option<Box<dyn Keyed>>, String> {
    let bdb = |kind| {
        let db = Db::open(file.try_clone().map_err(|error| crate::sys::files::reason(&error))?)
            .map_err(|fault| fault.to_string())?;
        if db.kind == kind { Ok(Box::new(db) as Box<dyn Keyed>) } else { Err("Invalid argument".to_owned()) }
    };
    match build {
        Build::Hash => bdb(Kind::Hash).map(Some),
        Build::Btree => bdb(Kind::Btree).map(Some),
        Build::Lmdb => {
            let lmdb = Lmdb::open(file).map_err(|fault| fault.to_string())?;
            Ok(Some(Box::new(lmdb)))
        }
        Build::Cdb => Ok(None),
    }
}

struct Indexed {
    table: String,
    path: PathBuf,
    build: Build,
    options: Options,
    state: Mutex<State>,
}

struct State {
    db: Box<dyn Keyed>,
    stamp: Stamp,
    /// Which forms of key to try.
    with_nul: bool,
    without_nul: bool,
}

/// What changes when a file is replaced or written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    pub(super) fn of(data: &Metadata) -> Stamp {
        Stamp {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            seconds: data.mtime(),
            nanoseconds: data.mtime_nsec(),
        }
    }
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let table = format!("{kind}:{name}");
    let build = find_in(options.types, kind).and_then(|row| row.build).unwrap_or(Build::Hash);
    let path = PathBuf::from(format!("{name}.{}", build.suffix()));
    let mut state = load(&table, &path, build)?;
    state.with_nul = options.nul != Some(false);
    state.without_nul = options.nul != Some(true);
    Ok(Box::new(Indexed { table, path, build, options: options.clone(), state: Mutex::new(state) }))
}

fn load(table: &str, path: &std::path::Path, build: Build) -> Result<State, TableError> {
    let failed = |reason: String| TableError::new(table, format!("open database {}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| failed(crate::sys::files::reason(&error)))?;
    wait_for_writer(&file).map_err(|error| failed(crate::sys::files::reason(&error)))?;
    let data = file.metadata().map_err(|error| failed(crate::sys::files::reason(&error)))?;
    let db = keyed(build, file).map_err(failed)?.ok_or_else(|| failed("Invalid argument".into()))?;
    Ok(State { db, stamp: Stamp::of(&data), with_nul: true, without_nul: true })
}

/// Waits until no one holds the write lock, by taking and leaving a shared one.
fn wait_for_writer(file: &File) -> std::io::Result<()> {
    let start = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return file.unlock(),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
            Err(std::fs::TryLockError::WouldBlock) if start.elapsed() > PATIENCE => {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

impl Indexed {
    fn refresh(&self, state: &mut State) -> Result<(), TableError> {
        if !self.options.reopen {
            return Ok(());
        }
        // A name that is gone for the moment leaves the open file in use.
        if let Ok(data) = std::fs::metadata(&self.path)
            && Stamp::of(&data) != state.stamp
        {
            *state = load(&self.table, &self.path, self.build)?;
        }
        Ok(())
    }

    fn fault(&self, fault: &str) -> TableError {
        TableError::new(&self.table, format!("error reading {}: {fault}", self.path.display()))
    }
}

/// Text ends at its NUL.
pub(super) fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memchr(0, &bytes) {
        bytes.truncate(end);
    }
    bytes
}

impl Table for Indexed {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let mut key = self.options.folded(key);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state)?;
        if state.with_nul {
            key.push(0);
            if let Some(value) = state.db.get(&key).map_err(|fault| self.fault(&fault))? {
                state.without_nul = false;
                return Ok(Some(text(value)));
            }
            key.pop();
        }
        if state.without_nul
            && let Some(value) = state.db.get(&key).map_err(|fault| self.fault(&fault))?
        {
            state.with_nul = false;
            return Ok(Some(text(value)));
        }
        Ok(None)
    }

    fn lookup_many(&self, keys: &[&[u8]]) -> Vec<Result<Option<Value>, TableError>> {
        let mut answers = Vec::with_capacity(keys.len());
        // One by one until it is known which form the keys of the file have.
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
        let found = if decided(&state) {
            let formed: Vec<Vec<u8>> = rest.iter().map(form).collect();
            state.db.get_many(&formed).ok()
        } else {
            None
        };
        drop(state);
        match found {
            Some(found) => answers.extend(found.into_iter().map(|value| Ok(value.map(text)))),
            // A damaged file: which keys can be answered?
            None => answers.extend(rest.iter().map(|key| self.lookup(key))),
        }
        answers
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state)?;
        let cut = |bytes: &[u8]| memchr::memchr(0, bytes).unwrap_or(bytes.len());
        let listed = state.db.each(&mut |key, value| each(&key[..cut(key)], &value[..cut(value)]));
        listed.map_err(|fault| self.fault(&fault))
    }
}
