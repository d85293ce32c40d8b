//! [`Table`], what every lookup table can do; [`TYPES`], the one list of table types; [`open`].

use super::many::{Answers, Keys};
use super::{cidr, compose, debug, fixed, indexed, memcache, memory, pcre, regexp, socketmap, sqlite, tcp, unix};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a table answers.
pub type Value = Vec<u8>;

/// A table that could not be asked. Never the same as "not there": mail is deferred, not returned.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct TableError {
    /// "type:name".
    pub table: String,
    /// "open database /etc/aliases.db: No such file or directory".
    pub reason: String,
}

impl TableError {
    pub fn new(table: impl Into<String>, reason: impl Into<String>) -> TableError {
        TableError { table: table.into(), reason: reason.into() }
    }

    /// A table of a type that cannot be listed: of no table, so that whoever lists can tell.
    pub(super) fn not_listed() -> TableError {
        TableError::new("", "the table cannot be listed")
    }

    /// A question that failed as the system says in `last`; empty: it says nothing.
    pub fn query(table: &str, last: &str) -> TableError {
        let reason = if last.is_empty() { String::new() } else { format!("table {table}: query error: {last}") };
        TableError::new(table, reason)
    }
}

/// One lookup table.
pub trait Table: Send + Sync {
    /// The value of a key; None when the table has no such key.
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError>;

    /// The values of many keys, which a table on disk looks for in its own order. None: they are to be asked for one
    /// by one, since the table has no better way or something is wrong with a key, a value or the file.
    fn lookup_many(&self, _keys: &Keys) -> Option<Answers> {
        None
    }

    /// Calls `each` with every key and value, in the table's own order, until it answers false.
    fn entries(&self, _each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        Err(TableError::not_listed())
    }

    /// Whether the table matches patterns (regexp, cidr): such tables are asked only with whole keys, never with
    /// parts of an address.
    fn is_pattern(&self) -> bool {
        false
    }

    /// Whether a lookup waits for a server, which may be slow or dead: who serves many clients on one thread asks such
    /// a table from another.
    fn is_remote(&self) -> bool {
        false
    }
}

/// Where warnings about a table's source go: "FILE, line N: ...".
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// How a table is opened. The default is what daemons want.
#[derive(Clone)]
pub struct Options {
    /// Keys of fixed-string tables are folded to lower case.
    pub fold: bool,
    /// Pattern tables too ignore case in keys (only where the type does not say so itself).
    pub fold_patterns: bool,
    /// A file that changes under us is read again.
    pub reopen: bool,
    /// What a double key in a text source is worth.
    pub duplicates: Duplicates,
    /// Values name files; the table holds their content in base64 (`postmap -F`).
    pub values_are_files: bool,
    /// Keys of indexed files have a trailing NUL (true), have none (false), or either.
    pub nul: Option<bool>,
    /// smtputf8_enable: keys fold as Unicode, and text that is not UTF-8 is refused.
    pub utf8: bool,
    pub warn: Option<Warn>,
    /// The configuration directory, where tables have their parameters in main.cf; None: the usual one.
    pub directory: Option<PathBuf>,
    /// The types that can be opened.
    pub types: Types,
}

/// What to do about a key that a source has twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// Keep the first, and warn.
    Warn,
    /// Keep the first.
    Ignore,
    /// Keep the last.
    Replace,
    Fatal,
}

impl Default for Options {
    fn default() -> Options {
        Options::of_types(TYPES)
    }
}

impl Options {
    /// What daemons want, of these types only. Not a field set after [`Options::default`], which links all of them.
    pub fn of_types(types: Types) -> Options {
        Options {
            fold: true,
            fold_patterns: false,
            reopen: true,
            duplicates: Duplicates::Warn,
            values_are_files: false,
            nul: None,
            utf8: true,
            warn: None,
            directory: None,
            types,
        }
    }

    pub fn warn(&self, text: impl fmt::Display) {
        match &self.warn {
            Some(warn) => warn(&text.to_string()),
            None => super::process::warning(&text.to_string()),
        }
    }

    /// The error of a table whose server failed. `warning` says what happened; where warnings go nowhere it is the
    /// error, else it is told now and the error says what the reference's does.
    pub fn failed(&self, table: &str, warning: String, last: &str) -> TableError {
        match &self.warn {
            None => TableError::new(table, warning),
            Some(warn) => {
                warn(&warning);
                TableError::query(table, last)
            }
        }
    }

    /// Whether a key may differ from its folded form.
    pub fn folds(&self, key: &[u8]) -> bool {
        self.fold && key.iter().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
    }

    /// The key as a fixed-string table looks it up.
    pub fn folded(&self, key: &[u8]) -> Vec<u8> {
        if !self.fold {
            key.to_owned()
        } else if self.utf8 {
            fold(key)
        } else {
            key.to_ascii_lowercase()
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("fold", &self.fold).field("reopen", &self.reopen).finish_non_exhaustive()
    }
}

/// Lower case: Unicode's for UTF-8 keys, ASCII's for others.
pub fn fold(key: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(key) {
        Ok(text) if !key.is_ascii() => text.to_lowercase().into_bytes(),
        _ => key.to_ascii_lowercase(),
    }
}

/// An open table.
pub type Opened = Box<dyn Table + Send + Sync>;

/// The file formats that postmap and postalias write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    Cdb,
    Hash,
    Btree,
    Lmdb,
}

impl Build {
    /// What messages add to the table's name.
    pub(super) fn shown_suffix(self) -> &'static str {
        match self {
            Build::Cdb => ".cdb",
            Build::Hash | Build::Btree => ".db",
            Build::Lmdb => "",
        }
    }

    /// What the file's name ends with, after a dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Build::Cdb => "cdb",
            Build::Hash | Build::Btree => "db",
            Build::Lmdb => "lmdb",
        }
    }
}

/// One table type.
pub struct TableType {
    pub name: &'static str,
    pub open: fn(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError>,
    /// How postmap builds a file of this type; None: it is not built.
    pub build: Option<Build>,
}

/// The types that need nothing but files and the C library. A program that runs with a group of its own for anybody
/// links these and no others: who calls it must not reach a database client or a network through it.
pub const PLAIN: &[TableType] = &[
    TableType { name: "btree", open: indexed::open, build: Some(Build::Btree) },
    TableType { name: "cdb", open: indexed::open, build: Some(Build::Cdb) },
    TableType { name: "cidr", open: cidr::open, build: None },
    TableType { name: "environ", open: fixed::environ, build: None },
    TableType { name: "fail", open: fixed::fail, build: None },
    TableType { name: "hash", open: indexed::open, build: Some(Build::Hash) },
    TableType { name: "inline", open: memory::inline, build: None },
    TableType { name: "internal", open: fixed::internal, build: None },
    TableType { name: "lmdb", open: indexed::open, build: Some(Build::Lmdb) },
    TableType { name: "nis", open: fixed::nis, build: None },
    TableType { name: "pipemap", open: compose::pipemap, build: None },
    TableType { name: "proxy", open: proxy, build: None },
    TableType { name: "randmap", open: compose::randmap, build: None },
    TableType { name: "regexp", open: regexp::open, build: None },
    TableType { name: "static", open: fixed::r#static, build: None },
    TableType { name: "texthash", open: memory::texthash, build: None },
    TableType { name: "unionmap", open: compose::unionmap, build: None },
    TableType { name: "unix", open: unix::open, build: None },
];

/// The types with a library or a server behind them.
const SERVED: &[TableType] = &[
    #[cfg(feature = "netdb")]
    TableType { name: "ldap", open: super::ldap::open, build: None },
    TableType { name: "memcache", open: memcache::open, build: None },
    #[cfg(feature = "netdb")]
    TableType { name: "mysql", open: super::mysql::open, build: None },
    TableType { name: "pcre", open: pcre::open, build: None },
    #[cfg(feature = "netdb")]
    TableType { name: "pgsql", open: super::pgsql::open, build: None },
    TableType { name: "socketmap", open: socketmap::open, build: None },
    TableType { name: "sqlite", open: sqlite::open, build: None },
    TableType { name: "tcp", open: tcp::open, build: None },
];

/// The types that came after Postfix 3.7.
const NEWER: &[TableType] = &[TableType { name: "debug", open: debug::open, build: None }];

/// The types that Postfix 3.7 lists (`postconf -m`).
pub const LISTED: Types = &[PLAIN, SERVED];

/// Every table type.
pub const TYPES: Types = &[PLAIN, SERVED, NEWER];

/// The table types that a program knows.
pub type Types = &'static [&'static [TableType]];

/// The row of a type.
pub fn find(kind: &str) -> Option<&'static TableType> {
    find_in(TYPES, kind)
}

/// The row of a type, among these.
pub(super) fn find_in(types: Types, kind: &str) -> Option<&'static TableType> {
    types.iter().flat_map(|rows| rows.iter()).find(|row| row.name == kind)
}

/// Opens "type:name".
pub fn open(spec: &str, options: &Options) -> Result<Opened, TableError> {
    let Some((kind, name)) = spec.split_once(':') else {
        return Err(TableError::new(
            spec,
            format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\""),
        ));
    };
    let kind = super::process::meant(kind);
    let row = find_in(options.types, kind)
        .ok_or_else(|| TableError::new(spec, format!("unsupported dictionary type: {kind}")))?;
    let mut table = (row.open)(kind, name, options)?;
    if table.is_remote() {
        table = Box::new(super::later::Later::new(table));
    }
    if !options.utf8 {
        return Ok(table);
    }
    let shown = format!("{spec}{}", row.build.map_or("", Build::shown_suffix));
    Ok(Box::new(Utf8 { table, shown, warn: options.warn.clone() }))
}

/// A table with smtputf8_enable: what is not UTF-8 is in no table, and is no answer.
struct Utf8 {
    table: Opened,
    /// What warnings call the table.
    shown: String,
    warn: Option<Warn>,
}

const MALFORMED: &str = "malformed UTF-8 or invalid codepoint";

/// The warning about a key that is not UTF-8.
pub(super) fn bad_key(table: &str, key: &[u8]) -> String {
    format!("{table}: non-UTF-8 key \"{}\": {MALFORMED}", questioned(key))
}

/// Text for messages, with a question mark for each byte that is not UTF-8.
pub fn questioned(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    text
}

impl Utf8 {
    /// An answer that is text.
    fn checked(&self, key: &[u8], found: Result<Option<Value>, TableError>) -> Result<Option<Value>, TableError> {
        let found = found?;
        if let Some(value) = &found
            && std::str::from_utf8(value).is_err()
        {
            if let Some(warn) = &self.warn {
                let (table, key, value) = (&self.shown, questioned(key), questioned(value));
                warn(&format!("{table}: key \"{key}\": non-UTF-8 value \"{value}\": {MALFORMED}"));
            }
            return Err(TableError::new(&self.shown, ""));
        }
        Ok(found)
    }
}

impl Table for Utf8 {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        if std::str::from_utf8(key).is_err() {
            if let Some(warn) = &self.warn {
                warn(&bad_key(&self.shown, key));
            }
            return Ok(None);
        }
        let found = self.table.lookup(key);
        super::trace::step(|| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (value, error) = match &found {
                Ok(value) => (value.as_deref().map(text), None),
                Err(error) => (None, Some(error.reason.clone())),
            };
            super::trace::Step::Lookup { table: self.shown.clone(), key: text(key), value, error }
        });
        self.checked(key, found)
    }

    fn lookup_many(&self, keys: &Keys) -> Option<Answers> {
        let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        if !keys.is_ascii() && !keys.iter().all(is_text) {
            return None;
        }
        self.table.lookup_many(keys).filter(|found| found.is_ascii() || found.iter().flatten().all(is_text))
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        self.table.entries(each)
    }

    fn is_pattern(&self) -> bool {
        self.table.is_pattern()
    }

    fn is_remote(&self) -> bool {
        self.table.is_remote()
    }
}

/// proxy: asks a process that can read what the client cannot. Our roles open their tables before they drop
/// privileges, so the inner table is opened directly.
fn proxy(_kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    open(name, options)
}
