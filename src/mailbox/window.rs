//! A piece of a file in memory that moves on with whoever reads it: buffered reads, bounded memory, and no mapping, which
//! a program that shortens the file would turn into a fault.

use super::scan::is_from_line;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A piece of the file in memory that moves on.
pub(super) struct Window<'f> {
    file: &'f File,
    buffer: Vec<u8>,
    /// The file offset of the buffer's first byte.
    at: u64,
    used: usize,
}

impl<'f> Window<'f> {
    const STEP: usize = 256 * 1024;
    /// Lines are handed out in pieces of at most this.
    pub const LINE: usize = 64 * 1024;
    /// Bytes before a place that are needed to judge it.
    pub const CONTEXT: u64 = 8;

    pub fn new(file: &'f File, at: u64) -> Window<'f> {
        Window { file, buffer: vec![0; 2 * Self::STEP], at, used: 0 }
    }

    /// Begins again at another place; what is in memory for it already stays.
    pub fn jump(&mut self, at: u64) {
        if at < self.at || at > self.end() {
            (self.at, self.used) = (at, 0);
        }
    }

    pub fn end(&self) -> u64 {
        self.at + self.used as u64
    }

    /// The bytes in memory from `from` to `to`, as far as they are there.
    pub fn range(&self, from: u64, to: u64) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.used);
        &self.buffer[index(from)..index(to).max(index(from))]
    }

    pub fn rest(&self, from: u64) -> &[u8] {
        self.range(from, self.end())
    }

    /// Lines that begin between `from` and `to` with ">From ", ">>From " and so on. One byte is what is found fastest.
    pub fn quoted_lines(&self, from: u64, to: u64) -> u16 {
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
    pub fn more(&mut self, keep: u64) -> io::Result<bool> {
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

    /// The line at `at` with its newline, or its first [`Window::LINE`] bytes; None at the end of the file.
    pub fn line(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        self.line_keeping(at, at.saturating_sub(Self::CONTEXT))
    }

    /// As [`Window::line`]; what stands in memory from `keep` on stays there.
    fn line_keeping(&mut self, at: u64, keep: u64) -> io::Result<Option<&[u8]>> {
        let mut looked = 0;
        loop {
            let rest = self.rest(at);
            let rest = &rest[..rest.len().min(Self::LINE)];
            if let Some(index) = memchr::memchr(b'\n', &rest[looked..]) {
                return Ok(Some(self.range(at, at + (looked + index + 1) as u64)));
            }
            looked = rest.len();
            if looked == Self::LINE || !self.more(keep)? {
                let rest = self.range(at, at + Self::LINE as u64);
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    /// Whether the line that ends with the newline at `newline` is empty.
    pub fn empty_line_before(&self, newline: u64) -> bool {
        matches!(self.range(newline.saturating_sub(2), newline), [.., b'\n'] | [b'\n', b'\r'])
    }

    /// Whether the line at `at` separates messages. What was read before stays in memory: a From_ line is short.
    pub fn separator_line(&mut self, at: u64) -> io::Result<bool> {
        Ok(self.line_keeping(at, self.at)?.is_some_and(is_from_line))
    }
}
