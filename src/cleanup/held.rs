//! The content of a message that filters will look at before it is written: its headers in memory, its body in memory or,
//! when it is large, in a file without a name beside the queue file. What the filters make of it is written once, so no
//! queue file is ever changed in the middle. (The reference writes first and edits in place, by records that point to the end of
//! the file; then every reader must follow pointers, which a damaged or hostile file could send in circles.)

use super::CleanupError;
use super::envelope::Envelope;
use super::expansion::Expanded;
use super::intake::{Intake, write_line};
use crate::queue::record::{self, Type};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A body up to this size stays in memory.
const IN_MEMORY: usize = 256 * 1024;
/// All headers together, which stay there.
const MAX_HEADERS: usize = 16 << 20;

pub struct Held {
    pub envelope: Envelope,
    pub recipients: Vec<Recipient>,
    /// Each with its lines joined by LF.
    pub headers: Vec<Vec<u8>>,
    header_bytes: usize,
    /// Whether anything follows the headers: an empty line, and perhaps a body.
    pub separated: bool,
    pub body: Spool,
    /// Our own Received header, which filters do not see.
    pub received: Option<Vec<u8>>,
}

/// A recipient, and whether a filter took it away.
pub struct Recipient {
    pub recipient: Expanded,
    pub canceled: bool,
}

impl Recipient {
    pub fn new(recipient: Expanded) -> Recipient {
        Recipient { recipient, canceled: false }
    }
}

impl Held {
    /// `beside` is the directory in which a large body may have a file.
    pub fn new(envelope: Envelope, recipients: Vec<Recipient>, beside: &Path) -> Held {
        Held {
            envelope,
            recipients,
            headers: Vec::new(),
            header_bytes: 0,
            separated: false,
            body: Spool::new(beside),
            received: None,
        }
    }

    pub fn put(&mut self, line: &[u8], newline: bool, limit: usize) -> io::Result<()> {
        if self.separated {
            return self.body.line(line, newline, limit);
        }
        if line.is_empty() {
            self.separated = true;
            return Ok(());
        }
        self.make_room(line.len())?;
        match self.headers.last_mut() {
            Some(header) if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) => {
                header.push(b'\n');
                header.extend_from_slice(line);
            }
            _ => self.headers.push(line.to_vec()),
        }
        Ok(())
    }

    /// Room for so many bytes more of headers.
    pub fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        self.header_bytes += bytes;
        if self.header_bytes > MAX_HEADERS { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
    }

    /// The headers are complete: which one is ours?
    pub fn find_received(&mut self) {
        let is_received =
            |header: &&Vec<u8>| header.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"received:"));
        self.received = self.headers.iter().find(is_received).cloned();
    }
}

impl Intake {
    /// Writes what filters left of a held message.
    pub(super) fn write_held(&mut self) -> Result<(), CleanupError> {
        let Some(mut held) = self.held.take() else { return Ok(()) };
        self.recipients = self.copies.len() + held.recipients.iter().filter(|recipient| !recipient.canceled).count();
        self.write_records(&held.envelope, &held.recipients).map_err(CleanupError::Write)?;
        let limit = self.cleanup.line_length_limit;
        let mut write = || -> io::Result<()> {
            for line in held.headers.iter().flat_map(|header| header.split(|&byte| byte == b'\n')) {
                write_line(&mut self.file, line, true, limit)?;
            }
            if held.separated {
                self.file.record(Type::NORMAL, b"")?;
            }
            held.body.read(|kind, data| self.file.record(kind, data).map(|()| true))
        };
        write().map_err(CleanupError::Write)
    }
}

/// Lines of content, as records of a queue file.
pub struct Spool {
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
    beside: PathBuf,
    /// Bytes of records.
    pub length: u64,
}

impl Spool {
    pub fn new(beside: &Path) -> Spool {
        Spool { memory: Vec::new(), file: None, beside: beside.to_owned(), length: 0 }
    }

    /// An empty one in the same place.
    pub fn another(&self) -> Spool {
        Spool::new(&self.beside)
    }

    /// A line, cut to records of at most `limit` bytes.
    pub fn line(&mut self, line: &[u8], newline: bool, limit: usize) -> io::Result<()> {
        let mut rest = line;
        while rest.len() > limit {
            let (piece, after) = rest.split_at(limit);
            self.record(Type::CONTINUED, piece)?;
            rest = after;
        }
        self.record(if newline { Type::NORMAL } else { Type::CONTINUED }, rest)
    }

    fn record(&mut self, kind: Type, data: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + data.len() > IN_MEMORY {
            let mut file = BufWriter::new(crate::sys::files::nameless(&self.beside.join("body"))?);
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        self.length += match &mut self.file {
            Some(file) => record::write(file, kind, data)?,
            None => record::write(&mut self.memory, kind, data)?,
        };
        Ok(())
    }

    /// Hands out every record, until `take` is false.
    pub fn read(&mut self, mut take: impl FnMut(Type, &[u8]) -> io::Result<bool>) -> io::Result<()> {
        match &mut self.file {
            None => each(&mut self.memory.as_slice(), &mut take),
            Some(file) => {
                file.flush()?;
                let mut reader = file.get_ref().try_clone()?;
                reader.seek(SeekFrom::Start(0))?;
                each(&mut BufReader::with_capacity(64 * 1024, &mut reader), &mut take)?;
                reader.seek(SeekFrom::End(0))?;
                Ok(())
            }
        }
    }
}

fn each(input: &mut impl Read, take: &mut impl FnMut(Type, &[u8]) -> io::Result<bool>) -> io::Result<()> {
    while let Some(record) = record::read(input).map_err(|error| io::Error::other(error.to_string()))? {
        if !take(record.kind, &record.data)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(spool: &mut Spool) -> Vec<u8> {
        let mut out = Vec::new();
        spool
            .read(|kind, data| {
                out.extend_from_slice(data);
                out.extend((kind == Type::NORMAL).then_some(b'\n'));
                Ok(true)
            })
            .unwrap();
        out
    }

    #[test]
    fn a_body_of_any_size_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        for lines in [0, 3, 20_000] {
            let mut spool = Spool::new(dir.path());
            let line = [b'x'; 99];
            for _ in 0..lines {
                spool.line(&line, true, 50).unwrap();
            }
            let wanted = [&line[..], b"\n"].concat().repeat(lines);
            assert!(text(&mut spool) == wanted, "{lines}");
            // Filters read it one after another.
            assert!(text(&mut spool) == wanted, "{lines}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn headers_end_at_the_empty_line() {
        let mut held = Held::new(Envelope::new(super::super::Origin::Internal, ""), Vec::new(), Path::new("/none"));
        for line in ["Received: by us", "\tid X", "A: b", "", "Not: header"] {
            held.put(line.as_bytes(), true, 100).unwrap();
        }
        held.find_received();
        assert_eq!(held.headers, [&b"Received: by us\n\tid X"[..], b"A: b"]);
        assert_eq!(held.received.as_deref(), Some(&b"Received: by us\n\tid X"[..]));
        assert_eq!(text(&mut held.body), b"Not: header\n");
    }
}
