//! hash:FILE, btree:FILE, lmdb:FILE, cdb:FILE: a file of keys and values. Keys are tried with a trailing NUL and without, as the
//! file has them (the first that is found decides for the rest); a file that is replaced or rewritten under us is
//! opened again. Whoever writes in place (the reference's postmap) holds a lock meanwhile, which is waited for.

use super::bdb::{self, Db, Kind};
use super::cdb::Cdb;
use super::lmdb::Lmdb;
use super::many::{Answers, Asked, Found, Keys, Places, Stored, Writer};
use super::open::{Build, Opened, Options, Table, TableError, Value, find_in};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many keys are looked for by two threads.
const WORTH_A_THREAD: usize = 1024;

/// How long a lookup waits for a writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a file of keys and values can do; errors say what is wrong with the file.
pub(super) trait Keyed: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String>;

    /// Keys in an order that goes through the file once.
    fn order(&self, keys: Stored<'_>) -> Vec<Asked>;

    /// Calls `found` for each of some keys that is there, until it answers false. The keys are a part of [`Keyed::order`],
    /// in its order.
    fn get_many(&self, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> Result<(), String>;

    /// Calls `each` with every key and value until it answers false.
    fn each(&self, _each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        Err("files of this type are not listed".into())
    }
}

impl Keyed for Db {
    fn order(&self, keys: Stored<'_>) -> Vec<Asked> {
        match self.kind {
            Kind::Hash => bdb::hash::order(self, keys),
            Kind::Btree => keys.sorted(),
        }
    }

    fn get_many(&self, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> Result<(), String> {
        let looked = match self.kind {
            Kind::Hash => bdb::hash::get_many(self, keys, order, found),
            Kind::Btree => bdb::btree::get_many(self, keys, order, found),
        };
        looked.map_err(|fault| fault.to_string())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Db::get(self, key).map_err(|fault| fault.to_string())
    }

    fn each(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        Db::each(self, each).map_err(|fault| fault.to_string())
    }
}

/// The file as one of its format.
pub(super) fn keyed(build: Build, file: File) -> Result<Box<dyn Keyed>, String> {
    let bdb = |kind| {
        let db = Db::open(file.try_clone().map_err(|error| crate::sys::files::reason(&error))?)
            .map_err(|fault| fault.to_string())?;
        if db.kind == kind { Ok(Box::new(db) as Box<dyn Keyed>) } else { Err("Invalid argument".to_owned()) }
    };
    match build {
        Build::Hash => bdb(Kind::Hash),
        Build::Btree => bdb(Kind::Btree),
        Build::Lmdb => Ok(Box::new(Lmdb::open(file).map_err(|fault| fault.to_string())?)),
        Build::Cdb => Ok(Box::new(Cdb::open(file).map_err(|_| "Protocol error".to_owned())?)),
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
    let db = keyed(build, file).map_err(|fault| match build {
        Build::Cdb => TableError::new(table, format!("dict_cdbq_open: unable to init {}: {fault}", path.display())),
        _ => failed(fault),
    })?;
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
        let shown = match self.build {
            Build::Lmdb => self.table.clone(),
            _ => self.path.display().to_string(),
        };
        TableError::new(&self.table, format!("error reading {shown}: {fault}"))
    }
}

/// Text ends at its NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.get(..memchr::memchr(0, bytes).unwrap_or(bytes.len())).unwrap_or_default()
}

fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(until_nul(&bytes).len());
    bytes
}

/// Looks for some keys; the text of what was found, or None when the file is damaged, or there is too much of it.
fn some(db: &dyn Keyed, keys: Stored<'_>, order: &[Asked], mut writer: Writer<'_>) -> Option<Vec<u8>> {
    let mut room = true;
    let looked = db.get_many(keys, order, &mut |position, value| {
        room = writer.put(position, until_nul(value));
        room
    });
    (looked.is_ok() && room).then(|| writer.text())
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

    fn lookup_many(&self, keys: &Keys) -> Option<Answers> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state).ok()?;
        // One by one until it is known which form the keys of the file have.
        if state.with_nul == state.without_nul {
            return None;
        }
        let folded: Option<Keys> = keys.iter().any(|key| self.options.folds(key)).then(|| {
            let mut folded = Keys::default();
            keys.iter().all(|key| folded.push(&self.options.folded(key)));
            folded
        });
        let stored = folded.as_ref().unwrap_or(keys).stored(state.with_nul);
        if stored.positions() != keys.positions() {
            return None;
        }
        let db = state.db.as_ref();
        let order = db.order(stored);
        let places = Places::new(order.len());
        if order.len() < WORTH_A_THREAD {
            let text = some(db, stored, &order, places.writer(0))?;
            return Some(places.with(vec![text]));
        }
        // Each thread reads its half of the file.
        let (one, other) = order.split_at(order.len() / 2);
        let texts = std::thread::scope(|scope| {
            let others = scope.spawn(|| some(db, stored, other, places.writer(1)));
            let own = some(db, stored, one, places.writer(0));
            let others = others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Some(vec![own?, others?])
        });
        Some(places.with(texts?))
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        if self.build == Build::Cdb {
            return Err(TableError::not_listed());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state)?;
        let listed = state.db.each(&mut |key, value| each(until_nul(key), until_nul(value)));
        listed.map_err(|fault| self.fault(&fault))
    }
}
