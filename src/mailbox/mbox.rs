//! One mbox: open it, read messages, see what arrived meanwhile. Opening takes a shared lock for the time of the scan
//! and writes nothing, with one exception: an interrupted change in place is brought to its end first (`journal`).

use super::briefs::Briefs;
use super::marks::UidBase;
use super::scan::Message;
use super::{index, journal, locking, rewrite};
use crate::sys::lock::{self, Kind};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What can go wrong with a mailbox.
#[derive(Debug, thiserror::Error)]
pub enum MboxError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin with a From_ line, so nothing of ours is ever written to it.
    #[error("not an mbox file")]
    NotMbox,
    #[error("locked by another program")]
    Locked,
    /// It is on a server.
    #[error(transparent)]
    Remote(#[from] super::remote::RemoteError),
    /// Neither a file beside it nor a journal can be made.
    #[error("no safe place for the new content")]
    NoSafePlace,
}

/// An open mbox and where its messages are.
#[derive(Debug)]
pub struct Mbox {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) journal_dir: Option<PathBuf>,
    messages: Vec<Message>,
    base: Option<UidBase>,
    briefs: Option<Briefs>,
    seen: Stamp,
    end: u64,
}

/// What tells whether a file was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(data: &std::fs::Metadata) -> Stamp {
        Stamp { dev: data.dev(), ino: data.ino(), size: data.len(), modified: data.modified().ok() }
    }
}

/// What [`Mbox::refresh`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Nothing,
    /// So many messages were appended; the ones before are where they were.
    Arrived(usize),
    /// Another program rewrote the mailbox: numbers and places are new.
    Replaced,
}

impl Mbox {
    /// Opens and scans. `journal_dir` is the user's own directory: for the index of large mailboxes, and for the journal
    /// of changes in place where the mailbox's directory takes no new files (/var/mail for a user outside group mail).
    pub fn open(path: &Path, journal_dir: Option<&Path>) -> Result<Mbox, MboxError> {
        // The file itself: a rename must not put a file in a symbolic link's place.
        let path = std::fs::canonicalize(path)?;
        if let Some(dir) = journal_dir {
            journal::recover(&path, dir)?;
        }
        let file = File::open(&path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from_raw_os_error(nix::libc::EISDIR).into());
        }
        let mut mbox = Mbox {
            path,
            seen: Stamp::of(&file.metadata()?),
            file,
            journal_dir: journal_dir.map(Path::to_owned),
            messages: Vec::new(),
            base: None,
            briefs: None,
            end: 0,
        };
        mbox.rescan()?;
        Ok(mbox)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// UIDVALIDITY and the last UID, if the mailbox holds them.
    pub fn uid_base(&self) -> Option<UidBase> {
        self.base
    }

    /// Bytes of the file that the scan covers.
    pub fn size(&self) -> u64 {
        self.end
    }

    /// Reads everything again, from the file that has the name now.
    fn rescan(&mut self) -> Result<(), MboxError> {
        let locking = locking::chosen();
        let locked = locking.kernel && lock::fcntl(&self.file, Kind::Shared, locking.patience).unwrap_or(false);
        let data = self.file.metadata()?;
        self.seen = Stamp::of(&data);
        let scanned = index::scan(&self.path, self.journal_dir.as_deref(), &self.file);
        if locked {
            let _ = lock::unlock(&self.file);
        }
        let (found, briefs) = scanned?;
        if found.foreign {
            return Err(MboxError::NotMbox);
        }
        self.briefs = briefs;
        self.messages = found.messages;
        self.base = found.base;
        self.end = found.end;
        Ok(())
    }

    /// Looks at the file again. Without a change this costs one system call.
    pub fn refresh(&mut self) -> Result<News, MboxError> {
        let data = std::fs::metadata(&self.path)?;
        let now = Stamp::of(&data);
        if now == self.seen {
            return Ok(News::Nothing);
        }
        let same_file = now.dev == self.seen.dev && now.ino == self.seen.ino;
        if !same_file {
            self.file = File::open(&self.path)?;
        }
        let before: Vec<(u64, u64, u64)> = self.messages.iter().map(|m| (m.offset, m.header, m.identity)).collect();
        self.rescan()?;
        let after = self.messages.iter().map(|m| (m.offset, m.header, m.identity));
        if self.messages.len() < before.len() || !after.zip(&before).all(|(now, then)| now == *then) {
            return Ok(News::Replaced);
        }
        match self.messages.len() - before.len() {
            0 => Ok(News::Nothing),
            count => Ok(News::Arrived(count)),
        }
    }

    /// What summaries show of the messages, where the index holds it.
    pub fn briefs(&self) -> Option<&Briefs> {
        self.briefs.as_ref()
    }

    /// The header block of a message as it stands, with the empty line at its end, at most `limit` bytes.
    pub fn header(&self, message: &Message, limit: usize) -> io::Result<Vec<u8>> {
        self.bytes(message.header_at(), message.header, limit)
    }

    /// From_ line and header, at most `limit` bytes of it.
    pub(super) fn start(&self, message: &Message, limit: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let length = u64::from(message.from_line) + message.header.min(limit as u64);
        into.reserve(usize::try_from(length).unwrap_or(0));
        Section { file: &self.file, at: message.offset, end: message.offset + length }.read_to_end(into)?;
        Ok(())
    }

    /// The From_ line with its newline.
    pub fn from_line(&self, message: &Message) -> io::Result<Vec<u8>> {
        self.bytes(message.offset, u64::from(message.from_line), 4096)
    }

    /// Header and body without the separating line, to be read to the end.
    pub fn content(&self, message: &Message) -> Section<'_> {
        Section { file: &self.file, at: message.header_at(), end: message.header_at() + message.size() }
    }

    /// The body without the separating line.
    pub fn body(&self, message: &Message) -> Section<'_> {
        Section { file: &self.file, at: message.body_at(), end: message.body_at() + message.body_length() }
    }

    /// From_ line, header, body and separator.
    pub fn whole(&self, message: &Message) -> Section<'_> {
        Section { file: &self.file, at: message.offset, end: message.end() }
    }

    fn bytes(&self, at: u64, length: u64, limit: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(limit);
        let mut bytes = Vec::with_capacity(length);
        Section { file: &self.file, at, end: at + length as u64 }.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Does to each message (by its place in [`Mbox::messages`]) what `fates` says; messages beyond its end, and
    /// those that arrived since, stay. Old or new content, byte for byte, whatever kills the program.
    pub fn rewrite(&mut self, fates: &[rewrite::Fate]) -> Result<(), MboxError> {
        if rewrite::rewrite(self, fates)? {
            self.file = File::open(&self.path)?;
            self.rescan()?;
        }
        Ok(())
    }
}

/// A part of the file as a reader.
#[derive(Debug)]
pub struct Section<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl<'f> Section<'f> {
    pub(super) fn new(file: &'f File, at: u64, end: u64) -> Section<'f> {
        Section { file, at, end }
    }

    /// Bytes still to come.
    pub fn left(&self) -> u64 {
        self.end - self.at
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
