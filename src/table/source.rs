//! The source text of tables (postmap(1), "TABLE FORMAT"): logical lines of bytes, where a line that begins with a
//! blank continues the one above and comments and empty lines end nothing; and "key whitespace value" in them. A line
//! or a file beyond the limits is an error, never an allocation without end.

use super::open::{Options, TableError, questioned};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Longest logical line.
pub const MAX_LINE: usize = 64 << 20;

/// Logical lines of a source, with the physical line on which each begins.
pub struct Lines<R> {
    reader: R,
    name: String,
    number: usize,
}

/// One logical line: where it began and where it ended, and its text without line ends.
#[derive(Debug, Default, PartialEq, Eq)]
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
        Lines { reader, name: name.to_owned(), number: 0 }
    }

    /// The name that warnings use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The byte that a physical line begins with; None at the end of the source.
    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                some => return Ok(some?.first().copied()),
            }
        }
    }

    /// Adds a physical line, without its end, to a text.
    /// Not by read_until: its search is made for long texts, and takes a tenth of the whole work on short lines.
    fn read_physical(&mut self, text: &mut Vec<u8>) -> std::io::Result<()> {
        loop {
            let some = match self.reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                some => some?,
            };
            let end = memchr::memchr(b'\n', some);
            let here = some.get(..end.unwrap_or(some.len())).unwrap_or_default();
            if text.len() + here.len() > MAX_LINE {
                return Err(std::io::Error::other("line too long"));
            }
            text.extend_from_slice(here);
            let take = here.len() + usize::from(end.is_some());
            self.reader.consume(take);
            if end.is_some() || take == 0 {
                return Ok(());
            }
        }
    }

    /// The next logical line.
    pub fn next_line(&mut self, options: &Options) -> std::io::Result<Option<Line>> {
        let mut line = Line::default();
        Ok(self.read_line(options, &mut line)?.then_some(line))
    }

    /// Whether a logical line begins with a blank, which only the first one can: it continues nothing, `options` hears of it
    /// and it is dropped.
    fn continues_nothing(&self, options: &Options, line: &mut Line) -> bool {
        if !line.text.first().is_some_and(u8::is_ascii_whitespace) {
            return false;
        }
        let shown = questioned(line.text.get(..30).unwrap_or(&line.text));
        let dots = if line.text.len() > 30 { "..." } else { "" };
        options.warn(format_args!("{}: logical line must not start with whitespace: \"{shown}{dots}\"", self.name));
        line.text.clear();
        true
    }

    /// The next logical line into `line`, which keeps its room from call to call; false at the end of the source.
    pub fn read_line(&mut self, options: &Options, line: &mut Line) -> std::io::Result<bool> {
        line.text.clear();
        let mut begun = false;
        while let Some(byte) = self.peek()? {
            if begun && !byte.is_ascii_whitespace() && byte != b'#' {
                if !self.continues_nothing(options, line) {
                    break;
                }
                begun = false;
            }
            let start = line.text.len();
            self.read_physical(&mut line.text)?;
            self.number += 1;
            let text = line.text.get(start..).unwrap_or_default();
            let content = text.trim_ascii_start();
            if content.is_empty() || content[0] == b'#' {
                line.text.truncate(start);
            } else {
                line.last = self.number;
                if !begun {
                    line.first = self.number;
                }
                begun = true;
            }
        }
        begun = begun && !self.continues_nothing(options, line);
        // A text ends at a NUL byte, as in C; the lines that continue it too.
        let end = memchr::memchr(0, &line.text).unwrap_or(line.text.len());
        line.text.truncate(end);
        Ok(begun)
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
    let shown = || questioned(text);
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
