//! The source text of tables (postmap(1), "TABLE FORMAT"): logical lines of bytes, where a line that begins with a
//! blank continues the one above and comments and empty lines end nothing; and "key whitespace value" in them. A line
//! or a file beyond the limits is an error, never an allocation without end.

use super::open::{Options, TableError};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Longest logical line.
pub const MAX_LINE: usize = 64 << 20;

/// Logical lines of a source, with the physical line on which each begins.
pub struct Lines<R> {
    reader: R,
    name: String,
    number: usize,
    pending: Vec<u8>,
    physical: Vec<u8>,
}

/// One logical line: where it began and where it ended, and its text without line ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub first: usize,
    pub last: usize,
    pub text: Vec<u8>,
}

impl Lines<BufReader<File>> {
    /// Opens a text table; a directory is an error here, not an empty table.
    pub fn open(table: &str, path: &str) -> Result<Self, TableError> {
        let said = |error: &std::io::Error| {
            TableError::new(table, format!("open {path}: {}", crate::sys::files::reason(error)))
        };
        let file = File::open(path).map_err(|error| said(&error))?;
        if file.metadata().is_ok_and(|data| data.is_dir()) {
            return Err(TableError::new(table, format!("read {path}: Is a directory")));
        }
        Ok(Lines::new(path, BufReader::with_capacity(1 << 16, file)))
    }
}

impl<R: BufRead> Lines<R> {
    pub fn new(name: &str, reader: R) -> Lines<R> {
        Lines { reader, name: name.to_owned(), number: 0, pending: Vec::new(), physical: Vec::new() }
    }

    /// The name that warnings use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a physical line with its end, or the beginning of one that is too long; false at the end of the source.
    /// Not by read_until: its search is made for long texts, and takes a tenth of the whole work on short lines.
    fn read_physical(&mut self) -> std::io::Result<bool> {
        while self.physical.len() <= MAX_LINE {
            let some = match self.reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                some => some?,
            };
            if some.is_empty() {
                break;
            }
            let (take, ended) = match memchr::memchr(b'\n', some) {
                Some(end) => (end + 1, true),
                None => (some.len(), false),
            };
            self.physical.extend_from_slice(&some[..take]);
            self.reader.consume(take);
            if ended {
                break;
            }
        }
        Ok(!self.physical.is_empty())
    }

    /// The next logical line. A first line that begins with a blank continues nothing: `options` hears of it and it
    /// is dropped.
    pub fn next_line(&mut self, options: &Options) -> std::io::Result<Option<Line>> {
        let mut line = self.whole_line(options)?;
        if let Some(line) = &mut line {
            // A text ends at a NUL byte, as in C; the lines that continue it too.
            let end = memchr::memchr(0, &line.text).unwrap_or(line.text.len());
            line.text.truncate(end);
        }
        Ok(line)
    }

    fn whole_line(&mut self, options: &Options) -> std::io::Result<Option<Line>> {
        let mut line: Option<Line> = None;
        loop {
            if self.pending.is_empty() {
                self.physical.clear();
                if !self.read_physical()? {
                    return Ok(line);
                }
                self.number += 1;
            } else {
                self.physical = std::mem::take(&mut self.pending);
            }
            let mut text: &[u8] = &self.physical;
            text = text.strip_suffix(b"\n").unwrap_or(text);
            let content = text.trim_ascii_start();
            if content.is_empty() || content[0] == b'#' {
                continue;
            }
            let continues = content.len() < text.len();
            match &mut line {
                Some(line) if continues => {
                    if line.text.len() + text.len() > MAX_LINE {
                        return Err(std::io::Error::other("line too long"));
                    }
                    line.text.extend_from_slice(text);
                    line.last = self.number;
                }
                Some(_) => {
                    self.pending = std::mem::take(&mut self.physical);
                    return Ok(line);
                }
                None if continues => {
                    let shown = String::from_utf8_lossy(&text[..text.len().min(30)]).into_owned();
                    let dots = if text.len() > 30 { "..." } else { "" };
                    options.warn(format_args!(
                        "{}: logical line must not start with whitespace: \"{shown}{dots}\"",
                        self.name
                    ));
                }
                None => {
                    if text.len() > MAX_LINE {
                        return Err(std::io::Error::other("line too long"));
                    }
                    line = Some(Line { first: self.number, last: self.number, text: text.to_vec() });
                }
            }
        }
    }
}

/// What is wrong with a "key whitespace value" line; the text is the reference's, after "FILE, line N: ".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("unbalanced '\"' in '{0}' -- ignoring this line")]
    Quotes(String),
    #[error("expected format: key whitespace value")]
    Format,
    #[error("non-UTF-8 input \"{0}\" -- ignoring this line")]
    NotUtf8(String),
}

/// Splits a logical line at its first blank outside double quotes; the quotes stay in the key.
pub fn entry(text: &[u8], utf8: bool) -> Result<(&[u8], &[u8]), EntryError> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    if utf8 && !text.is_ascii() && std::str::from_utf8(text).is_err() {
        return Err(EntryError::NotUtf8(shown()));
    }
    let mut quoted = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            byte if is_space(byte) && !quoted => break,
            _ => {}
        }
        at += 1;
    }
    if quoted {
        return Err(EntryError::Quotes(shown()));
    }
    let at = at.min(text.len());
    let value = trim(&text[at..]);
    if at == 0 || value.is_empty() {
        return Err(EntryError::Format);
    }
    Ok((&text[..at], value))
}

/// isspace(3) in the C locale.
pub fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Without the blanks around it.
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_lines_and_their_numbers() {
        let mut lines = Lines::new("x", &b"# c\na 1\n\n  2\n# d\n\t3\nb 4"[..]);
        let options = Options::default();
        assert_eq!(lines.next_line(&options).unwrap(), Some(Line { first: 2, last: 6, text: b"a 1  2\t3".to_vec() }));
        assert_eq!(lines.next_line(&options).unwrap(), Some(Line { first: 7, last: 7, text: b"b 4".to_vec() }));
        assert_eq!(lines.next_line(&options).unwrap(), None);
    }

    #[test]
    fn a_key_ends_at_the_first_blank_outside_quotes() {
        assert_eq!(entry(b"\"a b\"@c\t x y ", true), Ok((&b"\"a b\"@c"[..], &b"x y"[..])));
        assert_eq!(entry(b"a\\ b c", true), Ok((&b"a\\ b"[..], &b"c"[..])));
        assert_eq!(entry(b"a", true), Err(EntryError::Format));
        assert!(matches!(entry(b"\"a b", true), Err(EntryError::Quotes(_))));
    }
}
