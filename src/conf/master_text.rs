//! master.cf as postconf shows and edits it: every field as written, one entry a service, and the text around the
//! entries kept. [`master_cf`](super::master_cf) is the reading that daemons use.

use super::main_cf::{ConfError, Missing, Note, logical_lines, split_assignment};
use std::path::Path;

/// The names of the fields, as `postconf -F` spells them.
pub const FIELDS: [&str; 8] =
    ["service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"];

/// The columns at which the fields begin.
const COLUMNS: [usize; 8] = [0, 11, 17, 25, 33, 41, 49, 57];

/// Longest line of folded output.
pub const LINE_LIMIT: usize = 80;

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first seven fields.
    pub fields: [String; 7],
    pub command: String,
    pub arguments: Vec<Argument>,
}

/// A word of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `-o name=value`
    Override { name: String, value: String },
    /// `-o word` that sets nothing.
    Unset(String),
    /// Any other; `{...}` with its braces.
    Word(String),
}

/// What is wrong with an entry; the words are the reference's.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error("bad field count")]
    Count,
    #[error("invalid {field} field \"{value}\" in \"{line}\"")]
    Field { field: &'static str, value: String, line: String },
}

impl Entry {
    /// Reads one logical line. `warn` hears of what is odd but passes.
    pub fn parse(line: &str, warn: &mut dyn FnMut(String)) -> Result<Entry, EntryError> {
        let mut words = words(line, warn).into_iter();
        let mut fields: [String; 7] = Default::default();
        for field in &mut fields {
            *field = words.next().ok_or(EntryError::Count)?;
        }
        let command = words.next().ok_or(EntryError::Count)?;
        let arguments = arguments(words.collect(), warn);
        let entry = Entry { fields, command, arguments };
        for (field, value) in FIELDS.into_iter().zip(&entry.fields) {
            if !valid(field, value) {
                return Err(EntryError::Field { field, value: value.clone(), line: line.to_owned() });
            }
        }
        Ok(entry)
    }

    /// "smtp/inet"
    pub fn key(&self) -> String {
        format!("{}/{}", self.fields[0], self.fields[1])
    }

    pub fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Override { name, value } => Some((name.as_str(), value.as_str())),
            Argument::Unset(_) | Argument::Word(_) => None,
        })
    }

    /// What the overrides set: the last of each name.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        let mut settings: Vec<(&str, &str)> = Vec::new();
        for (name, value) in self.overrides().filter(|(name, _)| !name.is_empty()) {
            match settings.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => settings.push((name, value)),
            }
        }
        settings
    }

    /// The command with its arguments in one line.
    pub fn command_line(&self) -> String {
        let mut text = self.command.clone();
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(&argument.text());
        }
        text
    }

    /// A field's value by its name; None: no such field.
    pub fn field(&self, name: &str) -> Option<String> {
        let at = FIELDS.iter().position(|field| *field == name)?;
        Some(self.fields.get(at).cloned().unwrap_or_else(|| self.command_line()))
    }

    /// Sets a field; the command field takes all arguments. The error is the reference's text.
    pub fn set_field(&mut self, name: &str, value: &str) -> Result<(), String> {
        let bad = || format!("invalid {name} field \"{value}\" in \"{value}\"");
        match FIELDS.iter().position(|field| *field == name) {
            Some(at) if at < 7 => {
                if !valid(name, value) {
                    return Err(bad());
                }
                value.clone_into(&mut self.fields[at]);
            }
            Some(_) => {
                let mut words = words(value, &mut |_| {}).into_iter();
                self.command = words.next().ok_or_else(bad)?;
                self.arguments = arguments(words.collect(), &mut |_| {});
            }
            None => return Err(format!("invalid service attribute name: \"{name}\"")),
        }
        Ok(())
    }

    /// Sets or adds an override.
    pub fn set_override(&mut self, wanted: &str, new: &str) {
        for argument in &mut self.arguments {
            if let Argument::Override { name, value } = argument
                && name == wanted
            {
                new.clone_into(value);
                return;
            }
        }
        // After the other options, before the arguments.
        let is_option = |argument: &Argument| match argument {
            Argument::Override { .. } | Argument::Unset(_) => true,
            Argument::Word(word) => word.starts_with('-') && word != "--",
        };
        let at = self.arguments.iter().position(|argument| !is_option(argument)).unwrap_or(self.arguments.len());
        self.arguments.insert(at, Argument::Override { name: wanted.to_owned(), value: new.to_owned() });
    }

    pub fn remove_override(&mut self, wanted: &str) {
        self.arguments.retain(|argument| !matches!(argument, Argument::Override { name, .. } if name == wanted));
    }

    /// The entry in columns; `fold` breaks it at overrides and at the line limit.
    pub fn text(&self, fold: bool) -> String {
        let mut text = String::new();
        for (field, column) in self.fields.iter().chain([&self.command]).zip(COLUMNS) {
            if !text.is_empty() {
                text.push(' ');
                while text.len() < column {
                    text.push(' ');
                }
            }
            text.push_str(field);
        }
        self.arguments_text(text, fold)
    }

    /// The command folded, after a label.
    pub fn command_text(&self, label: &str) -> String {
        self.arguments_text(format!("{label}{}", self.command), true)
    }

    fn arguments_text(&self, mut text: String, fold: bool) -> String {
        let mut length = text.len();
        let mut after_override = false;
        for argument in &self.arguments {
            let word = argument.text();
            let is_override = matches!(argument, Argument::Override { .. } | Argument::Unset(_));
            if fold && (is_override || after_override || length + 1 + word.len() >= LINE_LIMIT) {
                text.push_str("\n    ");
                length = 4 + word.len();
            } else {
                text.push(' ');
                length += 1 + word.len();
            }
            text.push_str(&word);
            after_override = is_override;
        }
        text
    }
}

impl Argument {
    fn text(&self) -> String {
        match self {
            Argument::Override { name, value } if value.contains(char::is_whitespace) => {
                format!("-o {{{name}={value}}}")
            }
            Argument::Override { name, value } => format!("-o {name}={value}"),
            Argument::Unset(word) => format!("-o {word}"),
            Argument::Word(word) => word.clone(),
        }
    }
}

fn valid(field: &str, value: &str) -> bool {
    let yes_no = |value: &str| matches!(value, "-" | "y" | "n");
    let digits = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match field {
        "type" => matches!(value, "inet" | "unix" | "fifo" | "pass" | "unix-dgram"),
        "private" | "unprivileged" | "chroot" => yes_no(value),
        "wakeup" => value == "-" || digits(value.strip_suffix('?').unwrap_or(value)),
        "process_limit" => value == "-" || digits(value),
        _ => !value.is_empty(),
    }
}

/// Words at blanks; "{...}" is one word with its braces, blanks inside kept.
fn words(line: &str, warn: &mut dyn FnMut(String)) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with('{') {
            let mut level = 0u32;
            let close = rest.char_indices().find_map(|(at, c)| {
                match c {
                    '{' => level += 1,
                    '}' => level = level.saturating_sub(1),
                    _ => {}
                }
                (level == 0).then_some(at + 1)
            });
            close.unwrap_or_else(|| {
                warn(format!("master.cf: missing '}}' in \"{rest}\""));
                rest.len()
            })
        } else {
            rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len())
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    words
}

/// Finds the overrides among the words: `-o name=value`, `-oname=value`, `-o { name = value }`.
fn arguments(words: Vec<String>, warn: &mut dyn FnMut(String)) -> Vec<Argument> {
    let mut found = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        found.push(match word.strip_prefix("-o") {
            Some("") => words.next().map_or(Argument::Word(word), |next| assignment(&next, warn)),
            Some(glued) => match plain(glued) {
                Some((name, value)) => Argument::Override { name, value },
                None => Argument::Word(word),
            },
            None => Argument::Word(word),
        });
    }
    found
}

fn plain(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=').filter(|(name, _)| !name.is_empty())?;
    Some((name.to_owned(), value.trim().to_owned()))
}

/// The word after -o. What is no assignment is kept as the reference keeps it, which warns about those in braces.
fn assignment(word: &str, warn: &mut dyn FnMut(String)) -> Argument {
    let Some(open) = word.strip_prefix('{') else {
        return match plain(word) {
            Some((name, value)) => Argument::Override { name, value },
            None => Argument::Unset(word.to_owned()),
        };
    };
    let closed = open.strip_suffix('}');
    let inner = closed.unwrap_or(open).trim();
    match split_assignment(inner) {
        Ok((name, value)) => Argument::Override { name: name.to_owned(), value: value.to_owned() },
        Err(Missing::Equals) => {
            warn(format!("master.cf: missing '=' after attribute name: \"{inner}\""));
            Argument::Unset(if closed.is_some() { word.to_owned() } else { inner.to_owned() })
        }
        Err(Missing::Name) => {
            warn(format!("master.cf: missing attribute name: \"{inner}\""));
            Argument::Unset(inner.to_owned())
        }
    }
}

/// Every entry of `directory`/master.cf.
pub fn read(directory: &Path, warn: &mut dyn FnMut(String)) -> Result<Vec<Entry>, ConfError> {
    let path = directory.join("master.cf");
    let bytes = std::fs::read(&path).map_err(|source| ConfError::Open { path: path.clone(), source })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut entries = Vec::new();
    for (line, logical) in logical_lines(&text) {
        if logical.starts_with([' ', '\t']) {
            warn(Note::leading_blank(&path, line, &logical).to_string());
            continue;
        }
        entries.push(Entry::parse(&logical, warn).map_err(|source| ConfError::Master {
            path: path.clone(),
            line,
            source,
        })?);
    }
    Ok(entries)
}
