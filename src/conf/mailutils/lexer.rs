//! Words, strings and signs, and where they stand.

use super::Mistake;
use crate::message::escape::letter;
use std::fmt;
use std::rc::Rc;

/// Where something stands in a file. Columns count bytes from 1; column 0 is the place before a line's first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: Rc<str>,
    from: (usize, usize),
    to: (usize, usize),
}

impl Place {
    /// From the beginning of this to the end of the other.
    pub fn through(&self, end: &Place) -> Place {
        Place { file: self.file.clone(), from: self.from, to: end.to }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((line, column), (last_line, last_column)) = (self.from, self.to);
        write!(f, "{}:{line}", self.file)?;
        if column > 0 {
            write!(f, ".{column}")?;
        }
        if last_line != line {
            write!(f, "-{last_line}.{last_column}")
        } else if last_column != column {
            write!(f, "-{last_column}")
        } else {
            Ok(())
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// What may be a keyword, and is a word elsewhere.
    Name(String),
    Word(String),
    Quoted(String),
    /// A here-document.
    Document(String),
    /// One of `{};(),`.
    Sign(u8),
}

pub(super) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    file: Rc<str>,
    line: usize,
    column: usize,
    /// Of what was read last, blanks and comments too: where a text ended too early.
    pub(super) last: Option<Place>,
    pub(super) strays: Vec<Mistake>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(file: &str, text: &'t [u8]) -> Lexer<'t> {
        Lexer { text, at: 0, file: file.into(), line: 1, column: 0, last: None, strays: Vec::new() }
    }

    /// The next token; None at the end.
    pub(super) fn next(&mut self) -> Option<Token> {
        loop {
            let rest = self.text.get(self.at..)?;
            let &first = rest.first()?;
            match first {
                b'\n' => self.take(1),
                b' ' | b'\t' | 0x0c => self.take(length(rest, |byte| matches!(byte, b' ' | b'\t' | 0x0c))),
                b'#' => self.take_line(),
                b'/' if rest.starts_with(b"//") => self.take_line(),
                b'/' if rest.starts_with(b"/*") => self.take_comment(),
                b'{' | b'}' | b';' | b'(' | b')' | b',' => {
                    self.take(1);
                    return Some(Token::Sign(first));
                }
                b'"' => match self.quoted(rest) {
                    Some((text, length)) => {
                        self.take(length);
                        return Some(Token::Quoted(text));
                    }
                    None => self.stray(first),
                },
                b'<' => match document(rest) {
                    Some((text, length)) => {
                        self.take(length);
                        return Some(Token::Document(text));
                    }
                    None => self.stray(first),
                },
                _ => {
                    let found = length(rest, is_word);
                    if found == 0 {
                        self.stray(first);
                        continue;
                    }
                    let word = String::from_utf8_lossy(&rest[..found]).into_owned();
                    self.take(found);
                    return Some(if is_name(&word) { Token::Name(word) } else { Token::Word(word) });
                }
            }
        }
    }

    /// Goes on by so many bytes, and keeps their place.
    fn take(&mut self, length: usize) {
        let bytes = &self.text[self.at..(self.at + length).min(self.text.len())];
        let breaks = bytes.first() == Some(&b'\n');
        let from = if breaks { (self.line, self.column) } else { (self.line, self.column + 1) };
        let mut to = from;
        for &byte in bytes {
            if byte == b'\n' {
                to = (self.line, self.column);
                self.line += 1;
                self.column = 0;
            } else {
                self.column += 1;
                to = (self.line, self.column);
            }
        }
        self.at += bytes.len();
        self.last = Some(Place { file: self.file.clone(), from, to });
    }

    fn take_line(&mut self) {
        let rest = &self.text[self.at..];
        self.take(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
    }

    /// A comment that does not end ends with its last line. The place of a comment is that of its last piece.
    fn take_comment(&mut self) {
        self.take(2);
        loop {
            let rest = &self.text[self.at..];
            match rest.first() {
                None => return,
                Some(b'*') => {
                    let stars = length(rest, |byte| byte == b'*');
                    let ends = rest.get(stars) == Some(&b'/');
                    self.take(stars + usize::from(ends));
                    if ends {
                        return;
                    }
                }
                Some(b'\n') => self.take(1),
                Some(_) => self.take(length(rest, |byte| byte != b'*' && byte != b'\n')),
            }
        }
    }

    fn stray(&mut self, byte: u8) {
        self.take(1);
        let shown = if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("\\{byte:03o}") };
        let place = self.last.clone();
        self.strays.push(Mistake { place, english: "stray character {}", argument: shown });
    }

    /// A string and its length. A line end inside stands behind a backslash, and is left out.
    fn quoted(&self, rest: &[u8]) -> Option<(String, usize)> {
        let mut text = Vec::new();
        let mut at = 1;
        loop {
            match *rest.get(at)? {
                b'"' => return Some((String::from_utf8_lossy(&text).into_owned(), at + 1)),
                b'\n' => return None,
                b'\\' => {
                    text.extend(escaped(*rest.get(at + 1)?));
                    at += 2;
                }
                byte => {
                    text.push(byte);
                    at += 1;
                }
            }
        }
    }
}

/// What stands for the byte behind a backslash.
fn escaped(byte: u8) -> Option<u8> {
    (byte != b'\n').then(|| letter(byte))
}

/// `<<WORD`, lines, WORD. `<<-WORD` leaves out the tabs before each line, `<<- WORD` any blanks; a quoted WORD keeps
/// backslashes as they are.
fn document(rest: &[u8]) -> Option<(String, usize)> {
    let begin = memchr::memchr(b'\n', rest)? + 1;
    let head = std::str::from_utf8(&rest[..begin]).ok()?.strip_prefix("<<")?.trim_end();
    let (head, blanks): (&str, &[char]) = match head.strip_prefix('-') {
        Some(rest) => rest.strip_prefix(' ').map_or((rest, ['\t'].as_slice()), |rest| (rest, [' ', '\t'].as_slice())),
        None => (head, &[]),
    };
    let bare = head.strip_prefix('\\').or_else(|| head.strip_prefix('"')?.strip_suffix('"'));
    let word = bare.unwrap_or(head);
    if !is_name(word) {
        return None;
    }
    let mut text = String::new();
    let mut at = begin;
    while at < rest.len() {
        let end = memchr::memchr(b'\n', &rest[at..]).map_or(rest.len(), |end| at + end + 1);
        let line = String::from_utf8_lossy(&rest[at..end]);
        let kept = line.trim_start_matches(blanks);
        if kept.strip_prefix(word).is_some_and(|after| !after.as_bytes().first().copied().is_some_and(is_word)) {
            return Some((text, at + (line.len() - kept.len()) + word.len()));
        }
        match bare {
            Some(_) => text.push_str(kept),
            None => text.push_str(&unescaped(kept)),
        }
        at = end;
    }
    None
}

fn unescaped(line: &str) -> String {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => bytes.extend(rest.next().and_then(escaped)),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn length(bytes: &[u8], fits: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !fits(byte)).unwrap_or(bytes.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./*:=@".contains(&byte)
}

/// One letter is no keyword.
fn is_name(word: &str) -> bool {
    word.len() > 1
        && word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
