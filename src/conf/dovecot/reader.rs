//! Reads dovecot.conf and what it includes into settings by path.

use super::glob::expand;
use super::{Database, Dovecot, DovecotError, Filtered, networks};
use std::path::Path;

/// How deep includes may nest.
const DEPTH: usize = 16;
/// Largest file that is read.
const LARGEST: u64 = 1 << 20;

/// The settings of the tree that begins with this file.
pub(super) fn read(file: &Path) -> Result<Dovecot, DovecotError> {
    let mut reader = Reader { found: Dovecot::default(), sections: Vec::new(), database: None };
    let text = text_of(file).map_err(|error| DovecotError::Open(file.to_owned(), error))?;
    reader.file(file, &text, 0)?;
    Ok(reader.found)
}

fn text_of(file: &Path) -> std::io::Result<String> {
    let data = std::fs::metadata(file)?;
    if data.len() > LARGEST {
        return Err(std::io::Error::other("file is too large"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

struct Reader {
    found: Dovecot,
    sections: Vec<String>,
    /// The passdb or userdb section that is open, and whether it is a passdb.
    database: Option<(bool, Database)>,
}

impl Reader {
    fn file(&mut self, file: &Path, text: &str, depth: usize) -> Result<(), DovecotError> {
        let wrong = |line: usize, what: &str| DovecotError::Syntax(file.to_owned(), line, what.to_owned());
        let mut continued = String::new();
        let opened = self.sections.len();
        for (number, raw) in text.lines().enumerate() {
            let number = number + 1;
            let line = without_comment(raw);
            if let Some(begin) = line.strip_suffix('\\') {
                continued.push_str(begin);
                continued.push(' ');
                continue;
            }
            let line = std::mem::take(&mut continued) + line;
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            if let Some(pattern) = line.strip_prefix("!include_try ").or_else(|| line.strip_prefix("!include ")) {
                if depth >= DEPTH {
                    return Err(wrong(number, "includes are nested too deeply"));
                }
                self.include(file, pattern.trim(), line.starts_with("!include_try"), depth)?;
            } else if line == "}" {
                if self.sections.len() <= opened {
                    return Err(wrong(number, "a } without a section"));
                }
                self.close();
            } else if let Some(head) = line.strip_suffix('{') {
                self.open(head.trim());
            } else if let Some((name, value)) = line.split_once('=') {
                let value = self.value_of(file, value.trim()).map_err(|what| wrong(number, &what))?;
                self.set(name.trim(), value);
            } else {
                return Err(wrong(number, &format!("expecting '=' or '{{' after {line}")));
            }
        }
        if self.sections.len() != opened {
            return Err(wrong(text.lines().count(), "a section is not closed"));
        }
        Ok(())
    }

    fn include(&mut self, from: &Path, pattern: &str, optional: bool, depth: usize) -> Result<(), DovecotError> {
        let pattern = from.parent().unwrap_or(Path::new("/")).join(pattern);
        let files = expand(&pattern);
        let literal = !pattern.to_string_lossy().contains(['*', '?']);
        if files.is_empty() && literal && !optional {
            return Err(DovecotError::Open(pattern, std::io::Error::from_raw_os_error(nix::libc::ENOENT)));
        }
        for file in files {
            match text_of(&file) {
                Ok(text) => self.file(&file, &text, depth + 1)?,
                Err(_) if optional => {}
                Err(error) => return Err(DovecotError::Open(file, error)),
            }
        }
        Ok(())
    }

    fn open(&mut self, head: &str) {
        let name: Vec<&str> = head.split_whitespace().map(|word| word.trim_matches('"')).collect();
        if self.sections.is_empty() && matches!(name.as_slice(), ["passdb" | "userdb", ..]) {
            self.database = Some((name.first() == Some(&"passdb"), Database::default()));
        }
        self.sections.push(name.join(" "));
    }

    fn close(&mut self) {
        self.sections.pop();
        if self.sections.is_empty()
            && let Some((is_passdb, database)) = self.database.take()
        {
            if is_passdb { self.found.passdbs.push(database) } else { self.found.userdbs.push(database) }
        }
    }

    fn set(&mut self, name: &str, value: String) {
        if let Some((_, database)) = &mut self.database {
            match name {
                "driver" => database.driver = value,
                "args" => database.args = value,
                _ => {
                    self.found.remarks.push(format!("{} {name}: not honoured by this server", self.sections.join("/")))
                }
            }
            return;
        }
        let filters: Vec<&str> = self.sections.iter().filter_map(|section| section.strip_prefix("remote ")).collect();
        if let Some(network) = filters.last() {
            // A filter inside `protocol imap` is not ours.
            let other =
                self.sections.iter().any(|section| section.starts_with("protocol ") && section != "protocol pop3");
            if !other {
                self.found.filtered.push(Filtered { networks: networks(network), name: name.to_owned(), value });
            }
            return;
        }
        let mut sections = self.sections.clone();
        // "protocol !imap { }" holds for POP3 as well.
        if let Some(first) = sections.first_mut()
            && let Some(others) = first.strip_prefix("protocol !")
            && others != "pop3"
        {
            "protocol pop3".clone_into(first);
        }
        sections.push(name.to_owned());
        self.found.settings.insert(sections.join("/"), value);
    }

    /// A value without its quotes, with `<file` and `$name` replaced.
    fn value_of(&self, file: &Path, value: &str) -> Result<String, String> {
        if let Some(name) = value.strip_prefix('<') {
            // Keys and certificates are read by whoever needs them, who may.
            let path = file.parent().unwrap_or(Path::new("/")).join(name.trim());
            let secret = name.contains(".pem") || name.contains(".key");
            return if secret {
                Ok(value.to_owned())
            } else {
                text_of(&path).map_err(|error| format!("{}: {}", path.display(), crate::sys::files::reason(&error)))
            };
        }
        for quote in ['"', '\''] {
            if let Some(inner) = value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)) {
                return Ok(inner.replace("\\\"", "\"").replace("\\\\", "\\"));
            }
        }
        let words: Vec<String> = value
            .split(' ')
            .map(|word| match word.strip_prefix('$') {
                Some(name) if !name.is_empty() => self.found.settings.get(name).cloned().unwrap_or_default(),
                _ => word.to_owned(),
            })
            .collect();
        Ok(words.join(" "))
    }
}

/// The line up to a "#" that begins it or follows a blank, outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            Some(_) => {}
            None if c == '#' && before.is_whitespace() => return line[..at].trim_end(),
            None if matches!(c, '"' | '\'') && matches!(before, ' ' | '=') => quote = Some(c),
            None => {}
        }
        before = c;
    }
    line.trim_end()
}
