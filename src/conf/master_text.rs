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
/// What begins a line that continues.
const INDENT: &str = "\n    ";
/// What stands between the words.
const BLANKS: &[char] = &[' ', '\t', '\r', '\n'];

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first seven fields.
    pub fields: [String; 7],
    pub command: String,
    /// The words after the command as they are shown: `-v`, `-o`, `name=value`, ...; braces taken off.
    pub arguments: Vec<String>,
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
        let mut words = words(line, BLANKS).into_iter();
        let mut fields: [String; 7] = Default::default();
        for field in &mut fields {
            *field = words.next().ok_or(EntryError::Count)?.to_owned();
        }
        let command = words.next().ok_or(EntryError::Count)?.to_owned();
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

    /// The overrides: name and value of each `-o name=value`.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        self.override_places().into_iter().filter_map(|at| split_assignment(&self.arguments[at]).ok())
    }

    /// Where the words after `-o` stand. Options end at the first word that is none.
    pub fn override_places(&self) -> Vec<usize> {
        let mut places = Vec::new();
        let mut at = 0;
        while self.arguments.get(at).is_some_and(|word| is_option(word)) {
            if self.arguments[at] == "-o" && at + 1 < self.arguments.len() {
                at += 1;
                places.push(at);
            }
            at += 1;
        }
        places
    }

    /// The program's name without its directory.
    pub fn process_name(&self) -> &str {
        self.command.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// What the overrides set: the last of each name.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        let mut settings: Vec<(&str, &str)> = Vec::new();
        for (name, value) in self.overrides() {
            match settings.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => settings.push((name, value)),
            }
        }
        settings
    }

    /// The command with its arguments in one line.
    pub fn command_line(&self) -> String {
        let words = self.arguments.iter().map(|word| braced(word));
        std::iter::once(self.command.as_str().into()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// A field's value by its name; None: no such field.
    pub fn field(&self, name: &str) -> Option<String> {
        let at = FIELDS.iter().position(|field| *field == name)?;
        Some(self.fields.get(at).cloned().unwrap_or_else(|| self.command_line()))
    }

    /// Sets a field; the command field takes all arguments. The error is the reference's text.
    pub fn set_field(&mut self, name: &str, value: &str, warn: &mut dyn FnMut(String)) -> Result<(), String> {
        let bad = || format!("invalid {name} field \"{value}\" in \"{value}\"");
        match FIELDS.iter().position(|field| *field == name) {
            Some(at) if at < 7 => {
                if !valid(name, value) {
                    return Err(bad());
                }
                value.clone_into(&mut self.fields[at]);
            }
            Some(_) => {
                let mut words = words(value, BLANKS).into_iter();
                self.command = words.next().ok_or_else(bad)?.to_owned();
                self.arguments = arguments(words.collect(), warn);
            }
            None => return Err(format!("invalid service attribute name: \"{name}\"")),
        }
        Ok(())
    }

    /// Sets an override wherever it stands, or adds it after the other options.
    pub fn set_override(&mut self, wanted: &str, new: &str) {
        let mut found = false;
        for at in self.override_places() {
            if is_override_of(&self.arguments[at], wanted) {
                self.arguments[at] = format!("{wanted}={new}");
                found = true;
            }
        }
        if !found {
            let values = self.override_places();
            let at = (0..self.arguments.len()).find(|at| !values.contains(at) && !is_option(&self.arguments[*at]));
            let at = at.unwrap_or(self.arguments.len());
            self.arguments.splice(at..at, ["-o".to_owned(), format!("{wanted}={new}")]);
        }
    }

    pub fn remove_override(&mut self, wanted: &str) {
        for at in self.override_places().into_iter().rev() {
            if is_override_of(&self.arguments[at], wanted) {
                self.arguments.drain(at - 1..=at);
            }
        }
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

    /// The command after a label, folded if asked. A command that is too long for the line begins a new one even then.
    pub fn command_text(&self, label: &str, fold: bool) -> String {
        let gap = if label.is_empty() || label.len() + self.command.len() <= LINE_LIMIT { "" } else { INDENT };
        self.arguments_text(format!("{label}{gap}{}", self.command), fold)
    }

    fn arguments_text(&self, mut text: String, fold: bool) -> String {
        let mut length = text.rsplit('\n').next().map_or(0, str::len);
        let mut options = true;
        let values = self.override_places();
        let mut broken = false;
        for (at, argument) in self.arguments.iter().enumerate() {
            if values.contains(&at) {
                text.push(' ');
                text.push_str(&braced(argument));
                broken = true;
                continue;
            }
            // The reference leaves the braces off the first word that is no option.
            let word = if options { argument.into() } else { braced(argument) };
            options &= is_option(argument);
            broken |= values.contains(&(at + 1));
            if fold && (broken || length + 1 + argument.len() >= LINE_LIMIT) {
                text.push_str(INDENT);
                length = 4 + word.len();
            } else {
                text.push(' ');
                length += 1 + word.len();
            }
            broken = false;
            text.push_str(&word);
        }
        text
    }
}

fn is_option(word: &str) -> bool {
    word.starts_with('-') && word != "--"
}

fn is_override_of(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
}

/// A word with blanks needs braces to stay one.
fn braced(word: &str) -> std::borrow::Cow<'_, str> {
    if word.contains([' ', '\t', '\r', '\n']) { format!("{{{word}}}").into() } else { word.into() }
}

fn valid(field: &str, value: &str) -> bool {
    let yes_no = |value: &str| matches!(value, "-" | "y" | "n");
    let digits = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match field {
        "type" => matches!(value, "inet" | "unix" | "fifo" | "pass" | "unix-dgram"),
        "private" | "unprivileged" | "chroot" => yes_no(value),
        "wakeup" => {
            let time = value.strip_suffix('?').unwrap_or(value);
            time == "-" || time.bytes().all(|byte| byte.is_ascii_digit())
        }
        "process_limit" => value == "-" || digits(value),
        _ => !value.is_empty(),
    }
}

/// Words at `separators`, but not at those within braces.
pub fn words<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(separators);
    while !rest.is_empty() {
        let mut level = 0u32;
        let end = rest.find(|c: char| {
            match c {
                '{' => level += 1,
                '}' => level = level.saturating_sub(1),
                _ => return level == 0 && separators.contains(&c),
            }
            false
        });
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = after.trim_start_matches(separators);
    }
    words
}

/// What stands between the braces that `text` begins with; `warn` hears of what stands after them, or of a missing one.
pub fn within_braces<'a>(text: &'a str, warn: &mut dyn FnMut(String)) -> &'a str {
    let mut level = 0u32;
    let close = text.find(|c: char| {
        match c {
            '{' => level += 1,
            '}' => level = level.saturating_sub(1),
            _ => {}
        }
        level == 0
    });
    match close {
        Some(close) if close > 0 => {
            if close + 1 < text.len() {
                warn(format!("syntax error after '}}' in \"{text}\""));
            }
            &text[1..close]
        }
        _ => {
            warn(format!("missing '}}' in \"{text}\""));
            text.get(1..).unwrap_or_default()
        }
    }
}

/// The words after the command in their usual form: "-o" alone and its value after it, also where they came as
/// `-vo name=value`, `-oname=value` or `-o { name = value }`; other words in braces without them.
fn arguments(words: Vec<&str>, warn: &mut dyn FnMut(String)) -> Vec<String> {
    let mut named = |text: String| warn(format!("master.cf: {text}"));
    let mut found = Vec::new();
    let mut words: std::collections::VecDeque<std::borrow::Cow<'_, str>> = words.into_iter().map(Into::into).collect();
    while words.front().is_some_and(|word| is_option(word)) {
        let Some(word) = words.pop_front() else { break };
        match word.find('o') {
            Some(1) => {
                found.push("-o".to_owned());
                if word.len() > 2 {
                    words.push_front(word[2..].to_owned().into());
                }
                let Some(value) = words.pop_front() else { break };
                if !value.starts_with('{') {
                    found.push(value.into_owned());
                    continue;
                }
                let inner = within_braces(&value, &mut named).trim();
                found.push(match split_assignment(inner) {
                    Ok((name, value)) => format!("{name}={value}"),
                    Err(missing) => {
                        let what = match missing {
                            Missing::Equals => "missing '=' after attribute name",
                            Missing::Name => "missing attribute name",
                        };
                        named(format!("{what}: \"{inner}\""));
                        inner.to_owned()
                    }
                });
            }
            Some(at) => {
                found.push(word[..at].to_owned());
                words.push_front(format!("-{}", &word[at..]).into());
            }
            None => found.push(word.into_owned()),
        }
    }
    found.extend(words.into_iter().map(|word| match word.starts_with('{') {
        true => within_braces(&word, &mut named).trim().to_owned(),
        false => word.into_owned(),
    }));
    found
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
