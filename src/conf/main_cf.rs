//! main.cf: logical lines "name = value", where a line that begins with a blank continues the one above, and
//! comments and empty lines end nothing (postconf(5)). The order does not matter: values are expanded when they are
//! asked for. A name that is set twice has its last value.

use super::expand::{ExpandError, expand};
use super::params;
use super::typed::{Kind, Typed};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_DIRECTORY: &str = "/etc/postfix";

#[derive(Debug, Error)]
pub enum ConfError {
    #[error("open {}: {}", path.display(), crate::sys::files::reason(source))]
    Open { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: missing '=' after attribute name: \"{text}\"", path.display())]
    MissingEquals { path: PathBuf, line: usize, text: String },
    #[error("{}, line {line}: missing attribute name: \"{text}\"", path.display())]
    MissingName { path: PathBuf, line: usize, text: String },
    #[error("{}, parameter {name}: {source}", path.display())]
    Expand { path: PathBuf, name: String, source: ExpandError },
    #[error("bad {what} configuration: {name} = {value}")]
    BadValue { what: &'static str, name: String, value: String },
    #[error("parameter {name}: bad time value or unit: {value}")]
    BadTime { name: String, value: String },
    #[error("file {}: line {line}: {source}", path.display())]
    Master { path: PathBuf, line: usize, source: super::master_text::EntryError },
    #[error("{0}")]
    Plain(String),
    #[error("{path}: {text}", path = path.display())]
    Other { path: PathBuf, text: String },
}

/// A value as written, and where.
#[derive(Clone, Debug)]
pub struct Setting {
    pub raw: String,
    /// The line on which it begins, from 1; 0 for one that is not from the file.
    pub line: usize,
}

/// A configuration: what the file sets over the table's defaults.
#[derive(Clone, Debug, Default)]
pub struct MainCf {
    directory: PathBuf,
    settings: HashMap<String, Setting>,
    notes: Vec<Note>,
    /// Where a name is set anew to the value that it has: odd, but nothing to warn of.
    repeated: Vec<(usize, String)>,
}

/// What is odd about the text of a main.cf, though it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Note {
    #[error("{file}: logical line must not start with whitespace: \"{text}\"")]
    LeadingBlank { file: String, line: usize, text: String },
    #[error("{file}, line {line}: overriding earlier entry: {name}={value}")]
    Double { file: String, line: usize, name: String, value: String },
}

/// The configuration directory: `-c`, else $MAIL_CONFIG, else /etc/postfix.
pub fn directory(option: Option<&Path>) -> PathBuf {
    match (option, std::env::var_os("MAIL_CONFIG")) {
        (Some(directory), _) => directory.to_owned(),
        (None, Some(directory)) if !directory.is_empty() => directory.into(),
        _ => DEFAULT_DIRECTORY.into(),
    }
}

impl Note {
    /// A logical line that continues nothing, since no line stands before it: it is passed over.
    pub fn leading_blank(file: &Path, line: usize, logical: &str) -> Note {
        let mut text: String = logical.chars().take(30).collect();
        if text.len() < logical.len() {
            text.push_str("...");
        }
        Note::LeadingBlank { file: file.display().to_string(), line, text }
    }
}

impl MainCf {
    /// Reads `directory`/main.cf.
    pub fn read(directory: &Path) -> Result<MainCf, ConfError> {
        // A rootless instance brings its users with it; every program of it reads main.cf first.
        crate::sys::accounts::adopt_private_file(&directory.join("passwd"));
        let path = directory.join("main.cf");
        let bytes = std::fs::read(&path).map_err(|source| ConfError::Open { path: path.clone(), source })?;
        MainCf::parse(directory, &String::from_utf8_lossy(&bytes))
    }

    /// Reads the text of a main.cf that belongs to `directory`.
    pub fn parse(directory: &Path, text: &str) -> Result<MainCf, ConfError> {
        MainCf::parse_text(directory, &directory.join("main.cf"), text)
    }

    /// Reads the text of another file of the same form: a table's client configuration.
    pub fn parse_file(path: &Path, text: &str) -> Result<MainCf, ConfError> {
        MainCf::parse_text(path, path, text)
    }

    fn parse_text(directory: &Path, path: &Path, text: &str) -> Result<MainCf, ConfError> {
        let mut settings: HashMap<String, Setting> = HashMap::new();
        let (mut notes, mut repeated) = (Vec::new(), Vec::new());
        let file = path.display().to_string();
        for (line, logical) in logical_lines(text) {
            if logical.starts_with([' ', '\t']) {
                notes.push(Note::leading_blank(path, line, &logical));
                continue;
            }
            let (name, value) = split_assignment(&logical).map_err(|missing| match missing {
                Missing::Equals => ConfError::MissingEquals { path: path.to_owned(), line, text: logical.clone() },
                Missing::Name => ConfError::MissingName { path: path.to_owned(), line, text: logical.clone() },
            })?;
            let setting = Setting { raw: value.to_owned(), line };
            let mut old = settings.insert(name.to_owned(), setting);
            if old.is_none() && name == "config_directory" {
                // It was set before the file was read.
                old = Some(Setting { raw: directory.display().to_string(), line: 0 });
            }
            if let Some(old) = old {
                if old.raw == value {
                    repeated.push((line, name.to_owned()));
                    continue;
                }
                notes.push(Note::Double { file: file.clone(), line, name: name.to_owned(), value: old.raw });
            }
        }
        Ok(MainCf { directory: directory.to_owned(), settings, notes, repeated })
    }

    /// Sets a parameter over the file (`-o name=value`).
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), Setting { raw: value.to_owned(), line: 0 });
    }

    /// Takes a setting away: the default holds again.
    pub fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Whether messages show text beyond ASCII as it is. Asked before values are verified: a wrong one shows it.
    pub fn shows_utf8(&self) -> bool {
        self.text("smtputf8_enable").is_ok_and(|value| value != "no")
    }

    /// What is odd about the file, in its order.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Line and name of settings that repeat an earlier one.
    pub fn repeated(&self) -> &[(usize, String)] {
        &self.repeated
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn file(&self) -> PathBuf {
        self.directory.join("main.cf")
    }

    /// What the file (or -o) sets, in no order.
    pub fn settings(&self) -> &HashMap<String, Setting> {
        &self.settings
    }

    /// The text of a parameter before expansion: as set, else its default; None for an unknown name.
    pub fn raw(&self, name: &str) -> Option<String> {
        if let Some(setting) = self.settings.get(name) {
            return Some(setting.raw.clone());
        }
        if let Some(computed) = super::computed::default(self, name) {
            return Some(computed);
        }
        if name == "config_directory" {
            return Some(self.directory.display().to_string());
        }
        params::find(name).map(|row| row.default.to_owned()).or_else(|| super::computed::derived(name))
    }

    /// The expanded text of a parameter; of a raw one (mailbox_command), the text as it is.
    pub fn text(&self, name: &str) -> Result<String, ConfError> {
        if params::find(name).is_some_and(|row| row.kind == Kind::Raw) {
            return Ok(self.raw(name).unwrap_or_default());
        }
        self.expand_text(name, &self.raw(name).unwrap_or_default())
    }

    /// Who sends notices to the postmaster, of which nobody is told when they fail.
    pub fn double_bounce_address(&self) -> String {
        format!("{}@{}", self.double_bounce_sender(), self.myhostname())
    }

    /// myorigin, where "/file" stands for the first line of that file (Debian: /etc/mailname).
    pub fn origin_name(&self) -> Result<String, ConfError> {
        let text = self.myorigin();
        if !text.starts_with('/') {
            return Ok(text);
        }
        let read = std::fs::read(&text).map_err(|error| {
            ConfError::Plain(format!("{text}: cannot open file: {}", crate::sys::files::reason(&error)))
        })?;
        let first = read.split(|&byte| byte == b'\n').next().unwrap_or_default();
        Ok(String::from_utf8_lossy(first).trim().to_owned())
    }

    /// Expands `raw` as if it were the value of `name`.
    pub fn expand_text(&self, name: &str, raw: &str) -> Result<String, ConfError> {
        expand(raw, &|name| self.raw(name)).map_err(|source| ConfError::Expand {
            path: self.file(),
            name: name.to_owned(),
            source,
        })
    }

    /// A value of the table by type. [`MainCf::verify`] has told about a bad one; here the default stands in.
    pub(crate) fn typed<T: Typed>(&self, name: &str) -> T::Value {
        let default = params::find(name).map_or("", |row| row.default);
        let set = self.text(name).ok().and_then(|text| T::parse(&text, default));
        let by_default = || T::parse(&self.expand_text(name, default).ok()?, default);
        set.or_else(by_default).unwrap_or_else(T::fallback)
    }

    /// `SERVICE_suffix` if it is set, else its default `default_suffix` (transport parameters, postconf(5)).
    pub(crate) fn for_service<T: Typed>(&self, service: &str, suffix: &str) -> T::Value {
        let own = format!("{service}{suffix}");
        if self.settings.contains_key(&own) || params::find(&own).is_some() {
            self.typed::<T>(&own)
        } else {
            self.typed::<T>(&format!("default{suffix}"))
        }
    }

    /// $myorigin as programs use it; $myhostname when the file that it names cannot be read (the check tells of that).
    pub fn origin(&self) -> String {
        self.origin_name().ok().filter(|name| !name.is_empty()).unwrap_or_else(|| self.myhostname())
    }

    /// message_size_limit in bytes; 0: none.
    pub fn message_limit(&self) -> u64 {
        u64::try_from(self.message_size_limit()).unwrap_or(0)
    }

    /// Whether users may name this configuration directory (alternate_config_directories, multi_instance_directories).
    pub fn allows_directory(&self, directory: &Path) -> bool {
        let lists = [self.alternate_config_directories(), self.multi_instance_directories()];
        lists.iter().flat_map(|list| MainCf::list(list)).any(|allowed| Path::new(&allowed) == directory)
    }

    /// Every value that is set can be expanded and has its type; what daemons ask before they start.
    pub fn verify(&self) -> Result<(), ConfError> {
        let mut names: Vec<&String> = self.settings.keys().collect();
        names.sort();
        for name in names {
            self.verify_one(name)?;
        }
        Ok(())
    }

    /// [`MainCf::verify`] for one parameter.
    pub fn verify_one(&self, name: &str) -> Result<(), ConfError> {
        let Some(row) = params::find(name) else { return Ok(()) };
        let value = self.text(name)?;
        if row.kind.accepts(&value, row.default) {
            return Ok(());
        }
        let name = name.to_owned();
        Err(match row.kind {
            Kind::Bool => ConfError::BadValue { what: "boolean", name, value },
            Kind::Int => ConfError::BadValue { what: "numerical", name, value },
            Kind::Time => ConfError::BadTime { name, value },
            Kind::Text | Kind::Raw => ConfError::BadValue { what: "string", name, value },
        })
    }

    /// The tables that a list value names, as type and name; behind "proxy:" it is the inner one's.
    pub fn tables(text: &str) -> Vec<(String, String)> {
        let words = MainCf::list(text).into_iter();
        let table = |word: String| {
            let (kind, name) = word.strip_prefix("proxy:").unwrap_or(&word).split_once(':')?;
            Some((kind.to_owned(), name.to_owned()))
        };
        words.filter_map(table).collect()
    }

    /// A list value: names separated by commas and blanks.
    pub fn list(text: &str) -> Vec<String> {
        text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

/// The logical lines of a main.cf or master.cf or table source, with the number of the physical line on which each
/// begins. Continuation lines are joined as they stand; a comment between them does not end the line.
pub fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, physical) in text.split('\n').enumerate() {
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        let content = physical.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, line)) if physical.starts_with([' ', '\t']) => line.push_str(physical),
            _ => lines.push((number + 1, physical.to_owned())),
        }
    }
    lines
}

/// What an assignment lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    Equals,
    Name,
}

/// "name = value" with the blanks around both taken off.
pub fn split_assignment(text: &str) -> Result<(&str, &str), Missing> {
    let text = text.trim();
    let end = text.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(text.len());
    let name = &text[..end];
    if name.is_empty() {
        return Err(Missing::Name);
    }
    let value = text[end..].trim_start().strip_prefix('=').ok_or(Missing::Equals)?;
    Ok((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_lines_does_not_matter() {
        let cf =
            MainCf::parse(Path::new("/x"), "myhostname = srv.$mydomain\n# c\nmydomain =\n  virtualux.fr\n").unwrap();
        assert_eq!(cf.text("myhostname").unwrap(), "srv.virtualux.fr");
    }

    #[test]
    fn a_fault_is_named_with_its_line() {
        let fault = MainCf::parse(Path::new("/x"), "a = 1\n\nno equals\n").unwrap_err();
        assert_eq!(fault.to_string(), "/x/main.cf, line 3: missing '=' after attribute name: \"no equals\"");
    }
}
