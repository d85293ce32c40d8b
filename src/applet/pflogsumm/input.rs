//! Pieces of the logs that end with a line, in large reads. Of a line longer than [`LONGEST`] the beginning is kept and
//! the rest passed over, so that memory is bounded whatever comes in. Files are read, not mapped: a rotation that
//! truncates one ends the reading and kills nobody.

/// Logs that grow.
mod follow;
/// What journalctl gives.
mod journal;
/// Rotated logs.
mod order;
/// What a file is packed in.
mod packed;
/// How far the reading is.
mod progress;

pub use follow::followed;
pub use order::in_order;

use super::fact::Sink;
use crate::sys::files::reason;
use crate::sys::scan::survey;
use memchr::{memchr, memrchr};
use progress::Progress;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};

/// Bytes of a line that are looked at.
pub const LONGEST: usize = 64 * 1024;

/// Who reads lines.
pub trait Lines {
    /// Forgets what was read: the lines to come follow others.
    fn begin(&mut self);
    /// Whether any of the lines to come until the next announcement may have Solaris's "[ID 197553 mail.info] ": that
    /// is cheaper to find out for all than for each.
    fn announce(&mut self, ids: bool);
    /// A line without its newline; the last one of a file may have had none.
    fn line(&mut self, line: &[u8], sink: &mut impl Sink);

    /// All lines of a piece that [`Feed::fill`] gave.
    fn piece(&mut self, bytes: &[u8], sink: &mut impl Sink)
    where
        Self: Sized,
    {
        let (mut begin, mut ends) = (0, Vec::with_capacity(bytes.len() / 64));
        self.announce(survey(bytes, *b"[D", &mut ends));
        for end in ends {
            let line = &bytes[begin..end as usize];
            self.line(&line[..line.len().min(LONGEST)], sink);
            begin = end as usize + 1;
        }
        let line = &bytes[begin..];
        if !line.is_empty() {
            self.line(&line[..line.len().min(LONGEST)], sink);
        }
    }
}

/// The logs, one after the other. One that cannot be read is named on standard error, and the next is taken.
pub struct Feed {
    names: VecDeque<OsString>,
    current: Option<(OsString, Box<dyn Read + Send>)>,
    /// What was read behind the last piece's last line.
    rest: Vec<u8>,
    /// Whether the line's beginning was handed over already, because it was too long.
    passing: bool,
    progress: Progress,
}

impl Feed {
    /// No names stand for standard input.
    pub fn new(names: &[OsString]) -> Feed {
        let mut names: VecDeque<OsString> = names.iter().cloned().collect();
        if names.is_empty() {
            names.push_back("-".into());
        }
        Feed { names, current: None, rest: Vec::new(), passing: false, progress: Progress::default() }
    }

    /// The mail lines of the systemd journal, of these times ("2026-11-24 12:00:00", local) if any are given.
    pub fn journal(since: Option<&str>, until: Option<&str>) -> io::Result<Feed> {
        let mut feed = Feed::of(packed::unpacked(journal::Journalctl::of(since, until)?)?);
        if let Some((name, _)) = &mut feed.current {
            *name = "the journal".into();
        }
        Ok(feed)
    }

    /// Shows on a terminal how far the reading is.
    pub fn with_progress(mut self) -> Feed {
        self.progress = Progress::of(&self.names);
        self
    }

    /// A source of its own, for what is no file.
    pub fn of(source: Box<dyn Read + Send>) -> Feed {
        let mut feed = Feed::new(&[]);
        feed.names.clear();
        feed.current = Some(("-".into(), source));
        feed
    }

    /// Fills `piece` (longer than [`LONGEST`], and always the same) with whole lines and gives their length; None at the
    /// end of all logs.
    pub fn fill(&mut self, piece: &mut [u8]) -> Option<usize> {
        // It was behind a line's end in a piece of the same length.
        let mut filled = self.rest.len().min(piece.len());
        piece[..filled].copy_from_slice(&self.rest[..filled]);
        self.rest.clear();
        loop {
            let Some((name, source)) = &mut self.current else {
                if filled > 0 {
                    break;
                }
                let Some(name) = self.names.pop_front() else {
                    self.progress.end();
                    return None;
                };
                match open(&name) {
                    Ok(source) => self.current = Some((name, source)),
                    Err(error) => complain(&name, &error),
                }
                continue;
            };
            let read = match source.read(&mut piece[filled..]) {
                Ok(0) => {
                    self.current = None;
                    self.passing = false;
                    continue;
                }
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    complain(name, &error);
                    self.current = None;
                    self.passing = false;
                    // A line that was cut off by the fault is none.
                    filled = memrchr(b'\n', &piece[..filled]).map_or(0, |at| at + 1);
                    continue;
                }
            };
            if self.passing {
                // Nothing stands before what was just read.
                let Some(end) = memchr(b'\n', &piece[..read]) else { continue };
                piece.copy_within(end + 1..read, 0);
                filled = read - (end + 1);
                self.passing = false;
            } else {
                filled += read;
            }
            if filled < piece.len() {
                continue;
            }
            match memrchr(b'\n', &piece[..filled]) {
                Some(end) => {
                    self.rest.extend_from_slice(&piece[end + 1..filled]);
                    filled = end + 1;
                }
                None => {
                    self.passing = true;
                    filled = LONGEST.min(filled);
                }
            }
            break;
        }
        self.progress.add(filled);
        Some(filled)
    }
}

fn open(name: &OsString) -> io::Result<Box<dyn Read + Send>> {
    if name == "-" { packed::unpacked(io::stdin()) } else { packed::unpacked(File::open(name)?) }
}

fn complain(name: &OsString, error: &io::Error) {
    let _ = writeln!(io::stderr(), "Can't open {}: {}.", name.to_string_lossy(), reason(error));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: impl Read + Send + 'static) -> Vec<Vec<u8>> {
        struct Found(Vec<Vec<u8>>);
        impl Lines for Found {
            fn begin(&mut self) {}

            fn announce(&mut self, _: bool) {}

            fn line(&mut self, line: &[u8], _: &mut impl Sink) {
                self.0.push(line.to_vec());
            }
        }
        let (mut found, mut feed, mut piece) = (Found(Vec::new()), Feed::of(Box::new(source)), vec![0; LONGEST * 2]);
        while let Some(length) = feed.fill(&mut piece) {
            found.piece(&piece[..length], &mut super::super::tape::Tape::default());
        }
        found.0
    }

    #[test]
    fn lines_come_out_whole_at_any_read_size() {
        struct Drops(&'static [u8], usize);
        impl Read for Drops {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let count = self.1.min(self.0.len()).min(into.len());
                into[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let text = b"one\n\ntwo\r\nthree";
        for size in 1..text.len() + 1 {
            assert_eq!(read(Drops(text, size)), [&b"one"[..], b"", b"two\r", b"three"]);
        }
    }

    #[test]
    fn a_huge_line_is_cut_and_the_next_is_whole() {
        for length in [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST - 1, 2 * LONGEST, 2 * LONGEST + 1, 9 * LONGEST] {
            let text = [b"first\n", vec![b'x'; length].as_slice(), b"\nnext\n"].concat();
            let found = read(io::Cursor::new(text));
            assert_eq!(found.len(), 3, "{length}");
            assert_eq!(found[1].len(), length.min(LONGEST));
            assert_eq!(found[2], b"next");
        }
        assert_eq!(read(io::Cursor::new(vec![b'x'; 9 * LONGEST])).len(), 1);
    }
}
