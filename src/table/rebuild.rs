//! Building a table file: [`Rebuild`] collects entries from a source and puts a new file in place of the old one with a
//! single rename, so that readers see the old table or the new one and never half of one. A change of single entries
//! (`-i`, `-d`) reads the old file, and holds its lock until the new one stands.

use super::alias_source;
use super::bdb::{self, Kind};
use super::entries::Entries;
use super::indexed::keyed;
use super::open::{Build, Duplicates, Options, TableError, find};
use super::source::{self, Line, Lines};
use crate::sys::files::{Replacement, reason};
use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that is being built.
pub struct Rebuild {
    table: String,
    path: PathBuf,
    build: Build,
    options: Options,
    entries: Entries,
    /// Whether keys and values get a trailing NUL, as the reference has it on Debian.
    nul: bool,
    /// The old file, locked, for a change of single entries.
    old: Option<File>,
    /// The key and value that are being added, as they are stored.
    scratch: (Vec<u8>, Vec<u8>),
    /// Whether keys to be removed may be stored without a NUL: until one with it is met.
    removes_plain: bool,
}

/// Where the new file's owner and mode come from.
#[derive(Clone, Copy, Debug)]
pub struct Ownership<'a> {
    /// The source file; None for standard input.
    pub source: Option<&'a Metadata>,
    /// `-p` not given: what the source hides from others stays hidden.
    pub inherit_mode: bool,
    /// `-o` not given: root gives the file to the source's owner.
    pub inherit_owner: bool,
}

impl Rebuild {
    /// A new, empty table in place of `kind:name`.
    pub fn new(kind: &str, name: &str, options: &Options, nul: Option<bool>) -> Result<Rebuild, TableError> {
        let kind = super::process::meant(kind);
        let table = format!("{kind}:{name}");
        let row = find(kind).ok_or_else(|| TableError::new(&table, format!("unsupported dictionary type: {kind}")))?;
        let build = row.build.ok_or_else(|| {
            let reason = format!("unsupported dictionary type: {kind} does not support bulk-mode creation.");
            TableError::new(&table, reason)
        })?;
        let path = PathBuf::from(format!("{name}.{}", build.suffix()));
        Ok(Rebuild {
            table,
            path,
            build,
            options: options.clone(),
            entries: Entries::default(),
            nul: nul.unwrap_or(build != Build::Cdb),
            removes_plain: true,
            old: None,
            scratch: Default::default(),
        })
    }

    /// The entries of the file as it is now, to be changed; `create` allows it to be missing. The file stays locked
    /// until the end.
    pub fn change(
        kind: &str,
        name: &str,
        options: &Options,
        nul: Option<bool>,
        create: bool,
    ) -> Result<Rebuild, TableError> {
        let mut made = Rebuild::new(kind, name, options, nul)?;
        if made.build == Build::Cdb {
            let reason = "dict_cdb_open: inappropriate open flags for cdb database - specify O_RDONLY or \
                          O_WRONLY|O_CREAT|O_TRUNC";
            return Err(TableError::new(format!("{kind}:{name}"), reason));
        }
        let failed = |path: &Path, text: String| {
            TableError::new(format!("{kind}:{name}"), format!("open database {}: {text}", path.display()))
        };
        loop {
            let file = match File::open(&made.path) {
                Ok(file) => file,
                Err(error) if create && error.kind() == std::io::ErrorKind::NotFound => return Ok(made),
                Err(error) => return Err(failed(&made.path, reason(&error))),
            };
            file.lock().map_err(|error| failed(&made.path, reason(&error)))?;
            // Another change may have put a new file in place while we waited.
            let same = |here: Metadata, there: Metadata| here.ino() == there.ino() && here.dev() == there.dev();
            let current = file.metadata().and_then(|here| Ok(same(here, std::fs::metadata(&made.path)?)));
            if !current.unwrap_or(false) {
                continue;
            }
            let copy = file.try_clone().map_err(|error| failed(&made.path, reason(&error)))?;
            let db = keyed(made.build, copy).map_err(|fault| failed(&made.path, fault))?;
            let entries = &mut made.entries;
            let mut inserted = Ok(true);
            let read = db.each(&mut |key, value| {
                inserted = entries.insert(key, value, true);
                inserted.is_ok()
            });
            read.map_err(|fault| failed(&made.path, fault))?;
            inserted.map_err(|error| failed(&made.path, reason(&error)))?;
            made.old = Some(file);
            return Ok(made);
        }
    }

    /// Entries will come from a source of so many bytes; none is here yet.
    pub fn expect(&mut self, bytes: u64) {
        /// What is smaller is quicker in memory.
        const LARGE: u64 = 1 << 23;
        if self.entries.is_empty() {
            // Where there can be no file without a name, memory will do.
            let spool = (bytes > LARGE).then(|| crate::sys::files::nameless(&self.path).ok()).flatten();
            self.entries = Entries::for_source(bytes, spool);
        }
    }

    /// The file that will be replaced.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an entry as the options say about case and doubles.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        if self.options.folds(key) {
            let key = self.options.folded(key);
            return self.store(&key, value, self.options.duplicates);
        }
        self.store(key, value, self.options.duplicates)
    }

    /// Adds an entry as it is, unless the key is there.
    pub fn add_quietly(&mut self, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        self.store(key, value, Duplicates::Ignore)
    }

    fn store(&mut self, key: &[u8], value: &[u8], duplicates: Duplicates) -> Result<(), TableError> {
        let (stored_key, stored_value) = (&mut self.scratch.0, &mut self.scratch.1);
        for (stored, given) in [(&mut *stored_key, key), (&mut *stored_value, value)] {
            stored.clear();
            stored.extend_from_slice(given);
            if self.nul {
                stored.push(0);
            }
        }
        let inserted = self.entries.insert(stored_key, stored_value, duplicates == Duplicates::Replace);
        if inserted.map_err(|error| self.write_error(&error))? {
            return Ok(());
        }
        let shown = super::open::questioned(key);
        let text = format!("{}: duplicate entry: \"{shown}\"", self.duplicate_name());
        match duplicates {
            Duplicates::Warn => self.options.warn(text),
            Duplicates::Fatal => return Err(TableError::new(&self.table, text)),
            Duplicates::Ignore | Duplicates::Replace => {}
        }
        Ok(())
    }

    /// Takes an entry out, in the form of key with a NUL or, until one such is found, without; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool, TableError> {
        if self.options.utf8 && std::str::from_utf8(key).is_err() {
            let shown = format!("{}{}", self.table, self.build.shown_suffix());
            self.options.warn(super::open::bad_key(&shown, key));
            return Ok(false);
        }
        let mut key = self.options.folded(key);
        key.push(0);
        if self.entries.remove(&key).map_err(|error| self.write_error(&error))? {
            self.removes_plain = false;
            return Ok(true);
        }
        key.pop();
        if self.removes_plain && key.is_empty() && self.build == Build::Lmdb {
            let reason = format!("error deleting from {}: {}", self.table, super::lmdb::BAD_SIZE);
            return Err(TableError::new(&self.table, reason));
        }
        Ok(self.removes_plain && self.entries.remove(&key).map_err(|error| self.write_error(&error))?)
    }

    /// Reads a source in postmap's format.
    pub fn read_map<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), TableError> {
        let options = self.options.clone();
        let mut line = Line::default();
        while lines.read_line(&options, &mut line).map_err(|error| self.read_error(lines.name(), &error))? {
            let say = |text: &str| options.warn(format_args!("{}, line {}: {text}", lines.name(), line.first));
            let (key, value) = match source::entry(&line.text, options.utf8) {
                Ok(entry) => entry,
                Err(fault) => {
                    say(&fault.to_string());
                    continue;
                }
            };
            if key.ends_with(b":") {
                say("record is in \"key: value\" format; is this an alias file?");
            }
            if options.values_are_files {
                match super::files_as_values::encoded(value) {
                    Ok(encoded) => self.add(key, &encoded)?,
                    Err(fault) => say(&format!("{fault}: skipping this entry")),
                }
            } else {
                self.add(key, value)?;
            }
        }
        Ok(())
    }

    /// Reads a source in the format of the aliases file.
    pub fn read_aliases<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), TableError> {
        let options = self.options.clone();
        let name = lines.name().to_owned();
        let mut failed = None;
        let read = alias_source::read(lines, &options, |_, key, value| {
            if let Err(error) = self.add(key, value) {
                failed.get_or_insert(error);
            }
        });
        read.map_err(|error| self.read_error(&name, &error))?;
        failed.map_or(Ok(()), Err)
    }

    /// What NIS and Sendmail look for in an alias table.
    pub fn mark_aliases(&mut self, host: &str) -> Result<(), TableError> {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        self.add_quietly(b"@", b"@")?;
        self.add_quietly(b"YP_LAST_MODIFIED", now.to_string().as_bytes())?;
        self.add_quietly(b"YP_MASTER_NAME", host.as_bytes())
    }

    /// What the reference calls the table when an entry is there twice.
    fn duplicate_name(&self) -> String {
        match self.build {
            Build::Hash | Build::Btree => self.path.display().to_string(),
            Build::Cdb => self.path.with_extension("").display().to_string(),
            Build::Lmdb => self.table.clone(),
        }
    }

    fn read_error(&self, name: &str, error: &std::io::Error) -> TableError {
        TableError::new(&self.table, format!("read {name}: {}", reason(error)))
    }

    fn write_error(&self, error: &std::io::Error) -> TableError {
        let reason = match self.build {
            Build::Lmdb => format!("error updating {}: {}", self.table, reason(error)),
            _ => format!("table {}: write error: {}", self.table, reason(error)),
        };
        TableError::new(&self.table, reason)
    }

    /// Writes the file and puts it in place: the rename is the commit point.
    pub fn commit(mut self, ownership: Ownership<'_>) -> Result<(), TableError> {
        let path = self.path.clone();
        let table = self.table.clone();
        let old = std::fs::metadata(&path).ok();
        // The reference opens a table that is there before it builds the new one, and says so.
        let what = if old.is_some() { "open" } else { "open database" };
        let failed =
            |error: std::io::Error| TableError::new(&table, format!("{what} {}: {}", path.display(), reason(&error)));
        // The reference builds a cdb file beside the old one, whose look is forgotten.
        let kept = old.as_ref().filter(|_| self.build != Build::Cdb);
        let mode = match (&kept, ownership.source) {
            (Some(old), _) => old.mode() & 0o7777,
            (None, Some(source)) if ownership.inherit_mode && source.is_file() => {
                0o644 & !(0o022 | (!source.mode() & 0o077))
            }
            (None, _) => 0o644 & !crate::sys::files::umask(),
        };
        let mut new = Replacement::create(&path, mode).map_err(failed)?;
        match (kept, ownership.source) {
            (Some(old), _) => new.own_as(old),
            (None, Some(source)) if ownership.inherit_owner => new.own_as(source),
            (None, _) => {}
        }
        self.entries.close();
        let written = match self.build {
            Build::Hash => bdb::build::write(Kind::Hash, &self.entries, new.file()),
            Build::Btree => bdb::build::write(Kind::Btree, &self.entries, new.file()),
            Build::Cdb => super::cdb::write(&self.entries, new.file()),
            Build::Lmdb => super::lmdb::build::write(&self.entries, new.file()),
        };
        written.map_err(|error| self.write_error(&error))?;
        new.commit().map_err(failed)
    }
}

/// Builds a table from its source, as postmap does.
pub fn map(spec: &str, options: &Options) -> Result<(), TableError> {
    from_source(spec, options, |table, lines| table.read_map(lines))
}

/// Rebuilds the table of an aliases file ("hash:/etc/aliases"), as newaliases does for each entry of alias_database.
/// `host` is myhostname.
pub fn aliases(spec: &str, host: &str, options: &Options) -> Result<(), TableError> {
    from_source(spec, options, |table, lines| {
        table.read_aliases(lines)?;
        table.mark_aliases(host)
    })
}

fn from_source(
    spec: &str,
    options: &Options,
    read: impl FnOnce(&mut Rebuild, &mut Lines<BufReader<File>>) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let (kind, name) = spec.split_once(':').ok_or_else(|| {
        TableError::new(spec, format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\""))
    })?;
    let mut table = Rebuild::new(kind, name, options, None)?;
    let open = |error: &std::io::Error| TableError::new(spec, format!("open {name}: {}", reason(error)));
    let file = File::open(name).map_err(|error| open(&error))?;
    let data = file.metadata().map_err(|error| open(&error))?;
    table.expect(data.len());
    read(&mut table, &mut Lines::new(name, BufReader::with_capacity(1 << 16, file)))?;
    table.commit(Ownership { source: Some(&data), inherit_mode: true, inherit_owner: true })
}
