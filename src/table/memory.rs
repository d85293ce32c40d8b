//! Tables in memory: inline:{ key = value, ... } from main.cf itself, texthash:FILE from a file in postmap's format.

use super::files_as_values::encoded;
use super::open::{Duplicates, Opened, Options, Table, TableError, Value};
use super::source::{EntryError, Lines, entry};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

struct Memory {
    entries: HashMap<Vec<u8>, Value>,
    /// Keys in the order of the source.
    order: Vec<Vec<u8>>,
    options: Options,
}

impl Memory {
    fn new(options: &Options) -> Memory {
        Memory { entries: HashMap::new(), order: Vec::new(), options: options.clone() }
    }

    /// False when the key is there already and the options keep the first.
    fn insert(&mut self, key: &[u8], value: Value) -> bool {
        let key = self.options.folded(key);
        let known = self.entries.contains_key(&key);
        if known && self.options.duplicates != Duplicates::Replace {
            return false;
        }
        if !known {
            self.order.push(key.clone());
        }
        self.entries.insert(key, value);
        true
    }
}

impl Table for Memory {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        Ok(self.entries.get(&self.options.folded(key)).cloned())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        let order = crate::conf::hash_order::walk(self.order.iter().map(Vec::as_slice));
        let keys: Vec<&Vec<u8>> = match &order {
            Some(order) => order.iter().filter_map(|&at| self.order.get(at)).collect(),
            None => self.order.iter().collect(),
        };
        for key in keys {
            if let Some(value) = self.entries.get(key)
                && !each(key, value)
            {
                break;
            }
        }
        Ok(())
    }
}

/// inline:{ key = value, { key = value with blanks }, ... }
pub fn inline(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let table = format!("{kind}:{name}");
    let what = if options.values_are_files { "filename" } else { "value" };
    let bad =
        |reason: &str| TableError::new(&table, format!("{reason}: \"{table}\"; need \"{kind}:{{name={what}...}}\""));
    let syntax = || bad("bad syntax");
    let items = braced_items(name).map_err(|()| syntax())?;
    if items.is_empty() {
        return Err(if name == "{}" { syntax() } else { bad("empty table") });
    }
    let mut memory = Memory::new(&Options { duplicates: Duplicates::Replace, ..options.clone() });
    for item in items {
        let inner = unbraced(&item).map_err(|_| syntax())?;
        let missing = || bad("missing '=' after attribute name");
        // Quotes protect what ends a key.
        let mut quoted = false;
        let end = inner.find(|c: char| {
            quoted ^= c == '"';
            !quoted && (c == '=' || c.is_ascii_whitespace())
        });
        let end = end.ok_or_else(|| if quoted { bad("unbalanced '\"'") } else { missing() })?;
        let (key, rest) = inner.split_at(end);
        let value = rest.trim_start().strip_prefix('=').ok_or_else(missing)?.trim().as_bytes();
        let value =
            if options.values_are_files { encoded(value).map_err(|reason| bad(&reason))? } else { value.to_vec() };
        memory.insert(key.trim().as_bytes(), value);
    }
    Ok(Box::new(memory))
}

/// The items of "{ a, b {c d} }": separated by commas and blanks, where braces protect both.
pub(super) fn braced_items(text: &str) -> Result<Vec<String>, ()> {
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or(())?;
    // The first brace's partner is the last character.
    if unbraced(text).is_err()
        || split_items(text).len() != 1
        || unbraced(text).is_ok_and(|found| found != inner.trim())
    {
        return Err(());
    }
    Ok(split_items(inner))
}

/// Items separated by commas and blanks; an opening brace protects them up to its partner.
pub fn split_items(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut level = 0u32;
    for c in text.chars() {
        match c {
            '{' => level += 1,
            '}' => level = level.saturating_sub(1),
            _ => {}
        }
        if level == 0 && (c == ',' || c.is_ascii_whitespace()) {
            if !item.is_empty() {
                items.push(std::mem::take(&mut item));
            }
        } else {
            item.push(c);
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

/// The inside of an item that is written "{ ... }", braces inside it in pairs, or the item itself.
pub fn unbraced(item: &str) -> Result<&str, &'static str> {
    let Some(rest) = item.strip_prefix('{') else { return Ok(item) };
    let mut level = 1u32;
    let end = rest.bytes().position(|byte| {
        match byte {
            b'{' => level += 1,
            b'}' => level -= 1,
            _ => {}
        }
        level == 0
    });
    let (inner, after) = end.and_then(|end| rest.split_at_checked(end)).ok_or("missing '}'")?;
    if after.len() > 1 { Err("syntax error after '}'") } else { Ok(inner.trim()) }
}

/// texthash:FILE: read whole when opened, and again when the file has changed.
struct TextHash {
    path: PathBuf,
    name: String,
    options: Options,
    loaded: Mutex<(Memory, Option<SystemTime>)>,
}

pub fn texthash(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let loaded = load(kind, name, options)?;
    Ok(Box::new(TextHash {
        path: name.into(),
        name: name.to_owned(),
        options: options.clone(),
        loaded: Mutex::new(loaded),
    }))
}

fn load(kind: &str, name: &str, options: &Options) -> Result<(Memory, Option<SystemTime>), TableError> {
    let table = format!("{kind}:{name}");
    // Before the reading: a change during it is seen at the next lookup.
    let changed = std::fs::metadata(name).and_then(|data| data.modified()).ok();
    let mut lines = Lines::open(&table, name).map_err(|mut error| {
        if let Some(rest) = error.reason.strip_prefix("open ") {
            error.reason = format!("open database {rest}");
        }
        error
    })?;
    let mut memory = Memory::new(options);
    let read =
        |error: &std::io::Error| TableError::new(&table, format!("read {name}: {}", crate::sys::files::reason(error)));
    while let Some(line) = lines.next_line(options).map_err(|error| read(&error))? {
        let (key, value) = match entry(&line.text, options.utf8) {
            Ok(entry) => entry,
            Err(error) => {
                let ignored = if error == EntryError::Format { " -- ignoring this line" } else { "" };
                options.warn(format_args!("{name}, line {}: {error}{ignored}", line.first));
                continue;
            }
        };
        if key.ends_with(b":") {
            options.warn(format_args!(
                "{name}, line {}: record is in \"key: value\" format; is this an alias file?",
                line.first
            ));
        }
        let value = match options.values_are_files.then(|| encoded(value)) {
            None => value.to_vec(),
            Some(Ok(content)) => content,
            Some(Err(fault)) => {
                options.warn(format_args!("{name}, line {}: {fault}: skipping this entry", line.first));
                continue;
            }
        };
        if !memory.insert(key, value) {
            let key = String::from_utf8_lossy(key).into_owned();
            match options.duplicates {
                Duplicates::Warn => {
                    options.warn(format_args!("{name}, line {}: duplicate entry: \"{key}\"", line.first));
                }
                Duplicates::Fatal => {
                    return Err(TableError::new(
                        &table,
                        format!("{name}, line {}: duplicate entry: \"{key}\"", line.first),
                    ));
                }
                Duplicates::Ignore | Duplicates::Replace => {}
            }
        }
    }
    Ok((memory, changed))
}

impl TextHash {
    fn with<T>(&self, use_it: impl FnOnce(&Memory) -> Result<T, TableError>) -> Result<T, TableError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.options.reopen {
            let now = std::fs::metadata(&self.path).and_then(|data| data.modified()).ok();
            // A file that is gone or broken for the moment leaves the old content in use.
            if now.is_some()
                && now != loaded.1
                && let Ok(fresh) = load("texthash", &self.name, &self.options)
            {
                *loaded = fresh;
            }
        }
        use_it(&loaded.0)
    }
}

impl Table for TextHash {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        self.with(|memory| memory.lookup(key))
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        self.with(|memory| memory.entries(each))
    }
}
