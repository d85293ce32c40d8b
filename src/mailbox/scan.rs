//! Where messages begin and end in an mbox, in one pass of buffered reads and memory that grows by 40 bytes a message.
//!
//! A message begins with a "From " line at the start of the file or after an empty line: the one that ends a body, or
//! the one that ends the header of a message without a body (GNU mailutils misses those and glues two messages
//! together). To be a separator it must hold a time of day and a year, as all writers put them, so that a sentence of an
//! unquoting writer does not tear a message. CRLF, a missing last newline, an endless line are all taken as they come.

use super::briefs;
use super::marks::{Flags, UidBase, is_mark, value_of};
use super::pieces::{self, NoBriefs, Piece};
use super::window::Window;
use memchr::memmem::Finder;
use std::fs::File;
use std::io;

/// One message's place and marks. Lengths are in bytes as the file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where its From_ line begins.
    pub offset: u64,
    /// From_ line, header, body and the empty line after it.
    pub length: u64,
    /// The header with the empty line that ends it (when there is one).
    pub header: u64,
    /// Tells this message from others whatever its marks are: a hash of the rest of the header and the body's length.
    pub identity: u64,
    /// Lines of header and body.
    pub lines: u32,
    /// The value of X-UID; 0 when there is none.
    pub uid: u32,
    /// The From_ line with its newline.
    pub from_line: u32,
    /// The empty line that separates it from the next message: 0, 1 or 2 bytes.
    pub separator: u8,
    pub flags: Flags,
    /// Lines of the body with a ">" before "From ", as far as they can be counted.
    pub quoted: u16,
}

impl Message {
    /// Where the header begins.
    pub fn header_at(&self) -> u64 {
        self.offset + u64::from(self.from_line)
    }

    /// Where the body begins.
    pub fn body_at(&self) -> u64 {
        self.header_at() + self.header
    }

    /// The body without the separating empty line.
    pub fn body_length(&self) -> u64 {
        self.end() - u64::from(self.separator) - self.body_at()
    }

    /// Header and body: what other programs call the size of the message.
    pub fn size(&self) -> u64 {
        self.header + self.body_length()
    }

    /// [`Message::size`] as it was before the "From " lines were marked.
    pub fn written_size(&self) -> u64 {
        self.size() - u64::from(self.quoted)
    }

    /// The offset after the message.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// What a pass over the file found.
#[derive(Debug, Default)]
pub struct Scan {
    pub messages: Vec<Message>,
    /// The first X-IMAPbase.
    pub base: Option<UidBase>,
    /// How far was read.
    pub end: u64,
    /// There are bytes before the first From_ line (more than empty lines): not an mbox.
    pub foreign: bool,
}

/// Reads the file from `from`, the start of a message, to its end.
pub fn scan(file: &File, from: u64) -> io::Result<Scan> {
    pieces::scan(file, from, false, &mut NoBriefs)
}

/// The fields that are in a brief.
pub const BRIEF_FIELDS: [&str; 2] = ["From", "Subject"];

/// A brief longer than this is none: the message's header is read when it is wanted.
const BRIEF: usize = 4096;

/// Finds messages, one after the other.
pub(super) struct Scanner<'f> {
    window: Window<'f>,
    finder: Finder<'static>,
    /// Whether briefs are wanted: of each message the From_ line and the fields that summaries show.
    brief: bool,
}

impl<'f> Scanner<'f> {
    pub fn new(file: &'f File, from: u64, brief: bool) -> Scanner<'f> {
        Scanner { window: Window::new(file, from), finder: Finder::new(b"\nFrom "), brief }
    }

    /// What stands before the first message: `end` is where that one begins.
    pub fn head(&mut self, from: u64) -> io::Result<Scan> {
        let mut head = Scan { end: from, ..Scan::default() };
        while let Some(line) = self.window.line(head.end)? {
            if !is_blank(line) {
                head.foreign = !line.starts_with(b"From ");
                break;
            }
            head.end += line.len() as u64;
        }
        Ok(head)
    }

    /// The start of the first message that begins between `from` and `to`, where `from` is not the start of the file.
    pub fn message_from(&mut self, from: u64, to: u64) -> io::Result<Option<u64>> {
        self.window.jump(from.saturating_sub(Window::CONTEXT));
        let mut search = from.saturating_sub(1);
        while search + 1 < to {
            let rest = self.window.rest(search);
            match self.finder.find(rest) {
                Some(index) => {
                    let newline = search + index as u64;
                    if newline + 1 >= to {
                        break;
                    }
                    if self.window.empty_line_before(newline) && self.window.separator_line(newline + 1)? {
                        return Ok(Some(newline + 1));
                    }
                    search = newline + 1;
                }
                None => {
                    // All but what may be the beginning of a match.
                    search += rest.len().saturating_sub(5) as u64;
                    if !self.window.more(search.saturating_sub(Window::CONTEXT))? {
                        break;
                    }
                }
            }
        }
        Ok(None)
    }

    /// The messages that begin from `start`, where one does, to before `to`.
    pub fn piece(&mut self, start: u64, to: u64) -> io::Result<Piece> {
        let mut piece = Piece { scan: Scan { end: start, ..Scan::default() }, ..Piece::default() };
        while piece.scan.end < to && self.one(&mut piece)? {}
        Ok(piece)
    }

    /// The message that begins at the piece's end; false at the end of the file.
    fn one(&mut self, piece: &mut Piece) -> io::Result<bool> {
        let Scanner { window, finder, brief } = self;
        let start = piece.scan.end;
        let Some(line) = window.line(start)? else { return Ok(false) };
        let mut message = Message {
            offset: start,
            length: 0,
            header: 0,
            identity: HASH_START,
            lines: 0,
            uid: 0,
            from_line: u32::try_from(line.len()).unwrap_or(u32::MAX),
            separator: 0,
            flags: Flags::NONE,
            quoted: 0,
        };
        let brief_at = piece.briefs.len();
        if *brief {
            piece.briefs.extend_from_slice(line);
        }
        let mut at = message.header_at();
        // A From_ line longer than a piece: the rest of it belongs to it.
        let mut whole = line.ends_with(b"\n");
        while !whole && let Some(more) = window.line(at)? {
            whole = more.ends_with(b"\n");
            message.from_line = message.from_line.saturating_add(u32::try_from(more.len()).unwrap_or(u32::MAX));
            at += more.len() as u64;
        }
        let (mut starts_line, mut marked, mut shown) = (true, false, false);
        while let Some(line) = window.line(at)? {
            if starts_line {
                if is_blank(line) {
                    message.lines += 1;
                    at += line.len() as u64;
                    break;
                }
                let folded = line[0] == b' ' || line[0] == b'\t';
                if !folded {
                    if !is_field(line) {
                        break;
                    }
                    marked = is_mark(line);
                    shown = *brief && is_shown(line);
                    if marked {
                        note(&mut message, line, &mut piece.scan.base);
                    }
                }
            }
            if !marked {
                message.identity = hash(message.identity, line);
            }
            if shown && piece.briefs.len() - brief_at <= BRIEF {
                piece.briefs.extend_from_slice(line);
            }
            starts_line = line.ends_with(b"\n");
            message.lines = message.lines.saturating_add(u32::from(starts_line));
            at += line.len() as u64;
        }
        message.header = at - message.header_at();
        let (end, newlines) = body_end(window, finder, at, &mut message.quoted)?;
        message.separator = separator(window, at, end);
        message.length = end - start;
        message.lines = message.lines.saturating_add(newlines).saturating_sub(u32::from(message.separator > 0));
        message.identity = hash(message.identity, &message.body_length().to_le_bytes());
        if *brief {
            let fits = whole && piece.briefs.len() - brief_at <= BRIEF;
            let length = if fits { briefs::finish(&mut piece.briefs, brief_at, message.from_line) } else { 0 };
            piece.briefs.truncate(brief_at + usize::from(length));
            piece.lengths.push(length);
        }
        piece.scan.messages.push(message);
        piece.scan.end = end;
        Ok(true)
    }
}

/// Where the message whose body begins at `body` ends, and how many newlines the body has with its separator.
fn body_end(window: &mut Window, finder: &Finder, body: u64, quoted: &mut u16) -> io::Result<(u64, u32)> {
    let mut counted = body;
    let mut newlines = 0u32;
    let mut count = |window: &Window, from: u64, to: u64| {
        *quoted = quoted.saturating_add(window.quoted_lines(from, to));
        u32::try_from(memchr::memchr_iter(b'\n', window.range(from, to)).count()).unwrap_or(u32::MAX)
    };
    // The newline before the body counts as one to find "From " at its very start.
    let mut search = body.saturating_sub(1);
    loop {
        let hay = window.rest(search);
        match finder.find(hay) {
            Some(index) => {
                let newline = search + index as u64;
                if window.empty_line_before(newline) && window.separator_line(newline + 1)? {
                    let end = newline + 1;
                    newlines = newlines.saturating_add(count(window, counted, end));
                    return Ok((end, newlines));
                }
                search = newline + 1;
            }
            None => {
                let next = search + hay.len().saturating_sub(5) as u64;
                let next = next.max(counted);
                newlines = newlines.saturating_add(count(window, counted, next));
                counted = next;
                if !window.more(next.saturating_sub(Window::CONTEXT))? {
                    let end = window.end();
                    newlines = newlines.saturating_add(count(window, counted, end));
                    return Ok((end, newlines));
                }
                search = next;
            }
        }
    }
}

/// The length of the empty line at the end of a body, when it has one of its own.
fn separator(window: &Window, body: u64, end: u64) -> u8 {
    let tail = window.range(body.max(end.saturating_sub(3)), end);
    match tail {
        b"\n" => 1,
        b"\r\n" => 2,
        [.., b'\n', b'\r', b'\n'] => 2,
        [.., b'\n', b'\n'] => 1,
        _ => 0,
    }
}

fn is_blank(line: &[u8]) -> bool {
    line == b"\n" || line == b"\r\n"
}

/// Whether the field is one that summaries show.
fn is_shown(line: &[u8]) -> bool {
    BRIEF_FIELDS.iter().any(|name| {
        line.split_at_checked(name.len()).is_some_and(|(head, rest)| {
            head.eq_ignore_ascii_case(name.as_bytes()) && rest.trim_ascii_start().starts_with(b":")
        })
    })
}

/// "Name: ..." with a name as RFC 5322 has it; sendmail's ">From " lines stand in headers too.
fn is_field(line: &[u8]) -> bool {
    let name = line.iter().position(|byte| !(33..=126).contains(byte) || *byte == b':').unwrap_or(line.len());
    let rest = line[name..].trim_ascii_start();
    (name > 0 && rest.starts_with(b":")) || line.starts_with(b">From ")
}

fn note(message: &mut Message, line: &[u8], base: &mut Option<UidBase>) {
    if let Some(value) = value_of(line, b"status").or_else(|| value_of(line, b"x-status")) {
        message.flags.read_letters(value);
    } else if let Some(value) = value_of(line, b"x-uid") {
        message.uid = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    } else if base.is_none()
        && let Some(value) = value_of(line, b"x-imapbase")
    {
        let mut numbers = value.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let mut number = || numbers.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        if let (Some(validity), Some(last)) = (number(), number()) {
            *base = Some(UidBase { validity, last });
        }
    }
}

/// "From ADDRESS Tue Nov 24 10:05:15 2026" in all its spellings: a time of day and a year after it.
pub(super) fn is_from_line(line: &[u8]) -> bool {
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).skip(1);
    let is_time = |word: &[u8]| {
        matches!(
            word,
            [b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9', ..]
                | [b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9', ..]
        )
    };
    words.any(is_time) && words.take(4).any(|word| word.len() == 4 && word.iter().all(u8::is_ascii_digit))
}

const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a by words of eight bytes: this tells messages apart, it keeps nobody out.
pub(super) fn hash(start: u64, bytes: &[u8]) -> u64 {
    let step = |state: u64, word: u64| (state ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    let (chunks, rest) = bytes.as_chunks::<8>();
    let state = chunks.iter().fold(start, |state, chunk| step(state, u64::from_be_bytes(*chunk)));
    step(state, rest.iter().fold(1, |word, &byte| word << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn scan_text(text: &[u8]) -> Scan {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        scan(&file, 0).unwrap()
    }

    const FROM: &str = "From a@b  Tue Nov 24 10:05:15 2026\n";

    #[test]
    fn messages_begin_after_an_empty_line_whoever_put_it_there() {
        // procmail's message without a body: the empty line ends the header.
        let text = format!("{FROM}Subject: 1\n\n{FROM}Subject: 2\n\nbody\n\n{FROM}Subject: 3\n\nno end");
        let found = scan_text(text.as_bytes());
        assert_eq!(found.messages.len(), 3);
        let sizes: Vec<_> = found.messages.iter().map(|m| (m.lines, m.size(), m.separator)).collect();
        assert_eq!(sizes, [(2, 12, 0), (3, 17, 1), (2, 18, 0)]);
        assert_eq!(found.end, text.len() as u64);
    }

    #[test]
    fn sentences_are_no_separators_and_neither_are_foreign_files() {
        let text = format!("{FROM}Subject: 1\n\nHello\n\nFrom here on it rains\nFrom 10:05 2026\n\nFrom x\n");
        assert_eq!(scan_text(text.as_bytes()).messages.len(), 1);
        assert!(scan_text(b"root:x:0:0\n").foreign);
        assert!(!scan_text(b"").foreign);
        assert!(!scan_text(b"\n\n").foreign);
    }

    #[test]
    fn crlf_and_marks() {
        let text = "From a Tue Nov 24 10:05:15 2026\r\nStatus: RO\r\nX-UID: 9\r\nX-IMAPbase: 17 9\r\n\r\nx\r\n\r\nFrom b Tue Nov 24 10:05 2026\r\nA: b\r\n\r\n";
        let found = scan_text(text.as_bytes());
        assert_eq!(found.messages.len(), 2);
        assert_eq!(found.messages[0].flags, Flags::READ | Flags::OLD);
        assert_eq!((found.messages[0].uid, found.messages[0].separator), (9, 2));
        assert_eq!(found.base, Some(UidBase { validity: 17, last: 9 }));
    }

    #[test]
    fn pieces_of_the_window_meet_without_a_seam() {
        // Bodies of all lengths around the window's steps, and a line longer than any window.
        let mut text = Vec::new();
        for filler in [0, 1, 262_100, 262_144, 131_072, 700_000, 65_536, 65_535, 5, 3_000_000] {
            text.extend_from_slice(FROM.as_bytes());
            text.extend_from_slice(b"Subject: x\n\n");
            text.extend(std::iter::repeat_n(b'y', filler));
            text.extend_from_slice(b"\n\n");
        }
        text.extend_from_slice(FROM.as_bytes());
        text.extend_from_slice(b"Long: ");
        text.extend(std::iter::repeat_n(b'z', 900_000));
        text.extend_from_slice(b"\n\nend\n");
        let found = scan_text(&text);
        assert_eq!(found.messages.len(), 11);
        assert!(found.messages[..10].iter().all(|m| m.lines == 3 && m.header == 12), "{:?}", found.messages);
        assert_eq!((found.messages[10].lines, found.messages[10].header), (3, 900_008));
    }
}
