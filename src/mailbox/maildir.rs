//! Maildirs: one file a message, in `new` until a reader has seen it, then in `cur` with its marks in the name
//! (":2,RS"). Every change is one rename or one unlink, so a kill leaves each message old or new. Nothing is locked.

use super::marks::Flags;
use super::mbox::{MboxError, News};
use super::rewrite::Fate;
use super::scan::{Message, hash};
use crate::message::header;
use crate::sys::files::fsync_dir;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Larger files are read up to here when lines are counted.
const LIMIT: u64 = 1 << 30;

/// An open maildir. [`Message::offset`] is a message's place in it.
#[derive(Debug)]
pub struct Maildir {
    path: PathBuf,
    files: Vec<PathBuf>,
    messages: Vec<Message>,
}

/// Whether the directory is one.
pub fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && path.join("new").is_dir()
}

impl Maildir {
    pub fn open(path: &Path) -> Result<Maildir, MboxError> {
        let mut maildir = Maildir { path: std::fs::canonicalize(path)?, files: Vec::new(), messages: Vec::new() };
        maildir.rescan()?;
        Ok(maildir)
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    fn rescan(&mut self) -> io::Result<()> {
        let files = list(&self.path)?;
        let mut messages = Vec::with_capacity(files.len());
        let mut kept = Vec::with_capacity(files.len());
        for file in files {
            // One that another reader moved since the listing is found at the next look.
            let Ok(message) = one(&file, messages.len() as u64) else { continue };
            messages.push(message);
            kept.push(file);
        }
        (self.files, self.messages) = (kept, messages);
        Ok(())
    }

    /// Looks for files that came, went or were renamed.
    pub fn refresh(&mut self) -> Result<News, MboxError> {
        if list(&self.path)? == self.files {
            return Ok(News::Nothing);
        }
        let before: Vec<u64> = self.messages.iter().map(|message| message.identity).collect();
        self.rescan()?;
        let same = self.messages.iter().zip(&before).all(|(now, then)| now.identity == *then);
        match self.messages.len().checked_sub(before.len()) {
            Some(0) if same => Ok(News::Nothing),
            Some(count) if same => Ok(News::Arrived(count)),
            _ => Ok(News::Replaced),
        }
    }

    fn file(&self, message: &Message) -> io::Result<File> {
        let index = usize::try_from(message.offset).unwrap_or(usize::MAX);
        File::open(self.files.get(index).ok_or(io::ErrorKind::NotFound)?)
    }

    pub fn header(&self, message: &Message, limit: usize) -> io::Result<Vec<u8>> {
        let mut block = Vec::new();
        self.file(message)?.take(message.header.min(limit as u64)).read_to_end(&mut block)?;
        Ok(block)
    }

    pub fn body(&self, message: &Message) -> io::Result<impl Read + use<>> {
        let mut file = self.file(message)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(message.header))?;
        Ok(file)
    }

    /// A From_ line as an mbox would have it: the sender of Return-Path, the time of the file.
    pub fn from_line(&self, message: &Message) -> io::Result<Vec<u8>> {
        let block = self.header(message, 64 * 1024)?;
        let path = header::find(&block, "Return-Path").unwrap_or_default();
        let sender = String::from_utf8_lossy(&path).trim_matches(['<', '>', ' ']).replace(char::is_whitespace, "");
        let sender = if sender.is_empty() { "MAILER-DAEMON".to_owned() } else { sender };
        let changed = jiff::Timestamp::from_second(self.file(message)?.metadata()?.mtime()).unwrap_or_default();
        let local = changed.to_zoned(jiff::tz::TimeZone::system());
        Ok(format!("From {sender} {}\n", crate::message::date::from_line_date(&local)).into_bytes())
    }

    /// As [`super::mbox::Mbox::rewrite`].
    pub fn rewrite(&mut self, fates: &[Fate]) -> Result<(), MboxError> {
        let mut changed = false;
        for ((file, message), fate) in self.files.iter().zip(&self.messages).zip(fates) {
            let done = match fate {
                Fate::Keep => continue,
                Fate::Delete => std::fs::remove_file(file),
                Fate::Mark(marks) => {
                    let flags = marks.flags.unwrap_or(message.flags);
                    let new = self.path.join("cur").join(named(file, flags));
                    if new == *file {
                        continue;
                    }
                    std::fs::rename(file, new)
                }
            };
            changed = true;
            // Another reader was faster: what it did stands.
            done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        }
        if changed {
            fsync_dir(&self.path.join("new"))?;
            fsync_dir(&self.path.join("cur"))?;
            self.rescan()?;
        }
        Ok(())
    }
}

/// The files in order of their arrival: names begin with the second of it.
fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for part in ["cur", "new"] {
        for entry in std::fs::read_dir(path.join(part))? {
            let entry = entry?;
            if !entry.file_name().as_bytes().starts_with(b".") && entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort_by_cached_key(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let second: u64 = name.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
        (second, name)
    });
    Ok(files)
}

fn one(path: &Path, place: u64) -> io::Result<Message> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let (base, letters) = match memchr::memmem::find(name, b":2,") {
        Some(at) => (&name[..at], &name[at + 3..]),
        None => (name, b"".as_slice()),
    };
    let mut flags = if path.parent().is_some_and(|dir| dir.ends_with("cur")) { Flags::OLD } else { Flags::NONE };
    for letter in letters {
        flags |= match letter {
            b'S' => Flags::READ,
            b'R' => Flags::ANSWERED,
            b'F' => Flags::FLAGGED,
            b'T' => Flags::DELETED,
            b'D' => Flags::DRAFT,
            _ => Flags::NONE,
        };
    }
    let mut content = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut content)?;
    let (block, _) = header::split(&content);
    let lines = u32::try_from(memchr::memchr_iter(b'\n', &content).count()).unwrap_or(u32::MAX);
    Ok(Message {
        offset: place,
        length: content.len() as u64,
        header: block.len() as u64,
        identity: hash(0, base),
        lines,
        uid: 0,
        from_line: 0,
        separator: 0,
        flags,
        quoted: 0,
    })
}

/// The name in `cur` with these flags, its letters in order.
fn named(file: &Path, flags: Flags) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let base = name.split(":2,").next().unwrap_or(&name);
    let letters: String =
        [(Flags::DRAFT, 'D'), (Flags::FLAGGED, 'F'), (Flags::ANSWERED, 'R'), (Flags::READ, 'S'), (Flags::DELETED, 'T')]
            .iter()
            .filter(|(flag, _)| flags.has(*flag))
            .map(|&(_, letter)| letter)
            .collect();
    format!("{base}:2,{letters}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::marks::Marks;

    #[test]
    fn messages_move_to_cur_with_their_marks() {
        let dir = tempfile::tempdir().unwrap();
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        std::fs::write(dir.path().join("new/200.b.h"), "Subject: two\n\nb\n").unwrap();
        std::fs::write(dir.path().join("cur/100.a.h:2,S"), "Subject: one\n\na\n").unwrap();
        let mut maildir = Maildir::open(dir.path()).unwrap();
        assert!(is_maildir(dir.path()));
        let [one, two] = maildir.messages() else { panic!() };
        assert_eq!((one.flags, two.flags, two.size()), (Flags::OLD | Flags::READ, Flags::NONE, 16));
        assert!(maildir.from_line(two).unwrap().starts_with(b"From MAILER-DAEMON "));
        std::fs::write(dir.path().join("new/300.c.h"), "Subject: three\n\n").unwrap();
        assert_eq!(maildir.refresh().unwrap(), News::Arrived(1));
        let read = Fate::Mark(Marks { flags: Some(Flags::READ | Flags::OLD), ..Marks::default() });
        maildir.rewrite(&[Fate::Delete, read]).unwrap();
        assert!(dir.path().join("cur/200.b.h:2,S").exists() && dir.path().join("new/300.c.h").exists());
        assert_eq!(maildir.messages().len(), 2);
    }
}
