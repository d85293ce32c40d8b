//! Where messages begin and end in an mbox, in one pass of buffered reads and memory that grows by 40 bytes a message.
//!
//! A message begins with a "From " line at the start of the file or after an empty line: the one that ends a body, or
//! the one that ends the header of a message without a body (GNU mailutils misses those and glues two messages
//! together). To be a separator it must hold a time of day and a year, as all writers put them, so that a sentence of an
//! unquoting writer does not tear a message. CRLF, a missing last newline, an endless line are all taken as they come.

use super::marks::{Flags, UidBase, is_mark, value_of};
use memchr::memmem::Finder;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

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
    let mut window = Window::new(file, from);
    let mut found = Scan { end: from, ..Scan::default() };
    let mut at = from;
    while let Some(line) = window.line(at)? {
        if !is_blank(line) {
            found.foreign = !line.starts_with(b"From ");
            break;
        }
        at += line.len() as u64;
    }
    if found.foreign {
        return Ok(found);
    }
    let finder = Finder::new(b"\nFrom ");
    while let Some(message) = one(&mut window, &finder, at, &mut found.base)? {
        at = message.end();
        found.messages.push(message);
    }
    found.end = at;
    Ok(found)
}

/// The message that begins at `start`; None at the end of the file.
fn one(window: &mut Window, finder: &Finder, start: u64, base: &mut Option<UidBase>) -> io::Result<Option<Message>> {
    let Some(line) = window.line(start)? else { return Ok(None) };
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
    let mut at = message.header_at();
    // A From_ line longer than a piece: the rest of it belongs to it.
    let mut whole = line.ends_with(b"\n");
    while !whole && let Some(more) = window.line(at)? {
        whole = more.ends_with(b"\n");
        message.from_line = message.from_line.saturating_add(u32::try_from(more.len()).unwrap_or(u32::MAX));
        at += more.len() as u64;
    }
    let (mut starts_line, mut marked) = (true, false);
    while let Some(line) = window.line(at)? {
        if starts_line {
            if is_blank(line) {
                message.lines += 1;
                at += line.len() as u64;
                break;
            }
            let folded = line[0] == b' ' || line[0] == b'\t';
            if !folded && !is_field(line) {
                break;
            }
            marked = if folded { marked } else { is_mark(line) };
            if marked && !folded {
                note(&mut message, line, base);
            }
        }
        if !marked {
            message.identity = hash(message.identity, line);
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
    Ok(Some(message))
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
fn is_from_line(line: &[u8]) -> bool {
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
    let mut chunks = bytes.chunks_exact(8);
    let mut state = start;
    for chunk in &mut chunks {
        state = step(state, chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    }
    let rest = chunks.remainder().iter().fold(1, |word, &byte| word << 8 | u64::from(byte));
    step(state, rest)
}

/// A piece of the file in memory that moves on.
struct Window<'f> {
    file: &'f File,
    buffer: Vec<u8>,
    /// The file offset of the buffer's first byte.
    at: u64,
    used: usize,
}

impl<'f> Window<'f> {
    const STEP: usize = 256 * 1024;
    /// Lines are handed out in pieces of at most this.
    const LINE: usize = 64 * 1024;
    /// Bytes before a place that are needed to judge it.
    const CONTEXT: u64 = 8;

    fn new(file: &'f File, at: u64) -> Window<'f> {
        Window { file, buffer: vec![0; 2 * Self::STEP], at, used: 0 }
    }

    fn end(&self) -> u64 {
        self.at + self.used as u64
    }

    /// The bytes in memory from `from` to `to`, as far as they are there.
    fn range(&self, from: u64, to: u64) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.used);
        &self.buffer[index(from)..index(to).max(index(from))]
    }

    fn rest(&self, from: u64) -> &[u8] {
        self.range(from, self.end())
    }

    /// Lines that begin between `from` and `to` with ">From ", ">>From " and so on. One byte is what is found fastest.
    fn quoted_lines(&self, from: u64, to: u64) -> u16 {
        let mut count = 0u16;
        let mut at = from;
        while let Some(index) = memchr::memchr(b'>', self.range(at, to)) {
            let place = at + index as u64;
            at = place + 1;
            let starts = place == 0 || self.range(place - 1, place) == b"\n";
            let line = self.rest(place);
            let marks = line.iter().take_while(|byte| **byte == b'>').count();
            count = count.saturating_add(u16::from(starts && line[marks..].starts_with(b"From ")));
        }
        count
    }

    /// Lets go of what is before `keep` and reads on; false at the end of the file.
    fn more(&mut self, keep: u64) -> io::Result<bool> {
        let drop = usize::try_from(keep.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.used);
        self.buffer.copy_within(drop..self.used, 0);
        self.used -= drop;
        self.at += drop as u64;
        if self.buffer.len() - self.used < Self::STEP / 2 {
            self.buffer.resize(self.used + Self::STEP, 0);
        }
        loop {
            match self.file.read_at(&mut self.buffer[self.used..], self.at + self.used as u64) {
                Ok(count) => {
                    self.used += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The line at `at` with its newline, or its first piece; None at the end of the file.
    fn line(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        let mut looked = 0;
        loop {
            let rest = self.rest(at);
            if let Some(index) = memchr::memchr(b'\n', rest.get(looked..).unwrap_or_default()) {
                return Ok(Some(self.range(at, at + (looked + index + 1) as u64)));
            }
            looked = rest.len();
            if looked >= Self::LINE || !self.more(at.saturating_sub(Self::CONTEXT))? {
                let rest = self.rest(at);
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    /// Whether the line that ends with the newline at `newline` is empty.
    fn empty_line_before(&self, newline: u64) -> bool {
        matches!(self.range(newline.saturating_sub(2), newline), [.., b'\n'] | [b'\n', b'\r'])
    }

    /// Whether the line at `at` separates messages.
    fn separator_line(&mut self, at: u64) -> io::Result<bool> {
        Ok(self.line_kept(at)?.is_some_and(is_from_line))
    }

    /// [`Window::line`], but what was read before stays in memory up to the context.
    fn line_kept(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        // A From_ line is short: when its newline is not in memory yet, a read that keeps all is cheap.
        let in_memory = memchr::memchr(b'\n', self.rest(at)).is_some();
        if !in_memory {
            let keep = self.at;
            while memchr::memchr(b'\n', self.rest(at)).is_none() && self.rest(at).len() < Self::LINE {
                if !self.more(keep)? {
                    break;
                }
            }
        }
        let rest = self.rest(at);
        let length = memchr::memchr(b'\n', rest).map_or(rest.len().min(Self::LINE), |index| index + 1);
        Ok((length > 0).then(|| &rest[..length]))
    }
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
