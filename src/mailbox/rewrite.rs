//! Deleting messages and changing their marks. Two ways, both under an exclusive fcntl lock:
//!
//! 1. With the dotlock too: the new content goes to a file beside the mailbox, is fsynced and renamed over it (the
//!    commit). Programs that wait for the fcntl lock of the old file alone would append to a file without a name, so
//!    this way is never taken without the dotlock.
//! 2. Where the directory takes no new files: in place, with a journal in the user's own directory (`journal`).
//!
//! The mailbox is scanned again under the lock, and what the caller decided about messages is applied to the messages
//! found now, by identity: mail that arrived since is kept, and what another program deleted stays deleted.

use super::journal;
use super::locking;
use super::marks::{self, Marks};
use super::mbox::{Mbox, MboxError, Section};
use super::scan::{Message, scan};
use crate::sys::files::Replacement;
use crate::sys::lock::{self, Dotlock, Kind, Patience};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What happens to one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Keep,
    Delete,
    /// Keeps it, with these marks in its header.
    Mark(Marks),
}

/// A header longer than this keeps its bytes, marks or not.
const HEADER_LIMIT: u64 = 4 << 20;

/// Applies the fates; false when there was nothing to change.
pub(super) fn rewrite(mbox: &Mbox, fates: &[Fate]) -> Result<bool, MboxError> {
    if fates.iter().zip(mbox.messages()).all(|(fate, message)| !changes(fate, message)) {
        return Ok(false);
    }
    let locked = Locked::acquire(&mbox.path)?;
    let now = scan(&locked.file, 0)?;
    if now.foreign {
        return Err(MboxError::NotMbox);
    }
    let plan = plan(mbox.messages(), fates, &now.messages, now.base);
    let Some(first) = plan.iter().zip(&now.messages).position(|(fate, message)| changes(fate, message)) else {
        return Ok(false);
    };
    let content = Content { file: &locked.file, messages: &now.messages, fates: &plan, first };
    if locked.dotlock.is_some() && beside(&mbox.path, &locked.file, &content)? {
        return Ok(true);
    }
    let dir = mbox.journal_dir.as_deref().ok_or(MboxError::NoSafePlace)?;
    journal::rewrite_in_place(&mbox.path, &locked.file, dir, content.start(), |out| content.write_changed(out))?;
    Ok(true)
}

fn changes(fate: &Fate, message: &Message) -> bool {
    match fate {
        Fate::Keep => false,
        Fate::Delete => true,
        Fate::Mark(marks) => {
            marks.flags.is_some_and(|flags| flags != message.flags)
                || marks.uid.is_some_and(|uid| uid != message.uid)
                || marks.base.is_some()
        }
    }
}

/// The fates of the messages that are there now: those of `then`, found by identity and in order.
fn plan(then: &[Message], fates: &[Fate], now: &[Message], base: Option<marks::UidBase>) -> Vec<Fate> {
    let mut decided = vec![Fate::Keep; now.len()];
    let mut at = 0;
    for (message, fate) in then.iter().zip(fates) {
        if let Some(ahead) = now[at..].iter().position(|other| other.identity == message.identity) {
            decided[at + ahead] = *fate;
            at += ahead + 1;
        }
    }
    // X-IMAPbase lives in the first message: when that goes, the next one takes it, or every UID would be void.
    let first_kept = decided.iter().position(|fate| *fate != Fate::Delete);
    if let (Some(base), Some(first)) = (base, first_kept.filter(|&first| first > 0)) {
        let marks = match decided[first] {
            Fate::Mark(marks) => marks,
            _ => Marks::default(),
        };
        decided[first] = Fate::Mark(Marks { base: marks.base.or(Some(base)), ..marks });
    }
    decided
}

/// The new content, written piece by piece: memory does not grow with the mailbox.
struct Content<'m> {
    file: &'m File,
    messages: &'m [Message],
    fates: &'m [Fate],
    /// The first message that changes.
    first: usize,
}

impl Content<'_> {
    fn start(&self) -> u64 {
        self.messages[self.first].offset
    }

    /// Everything from the first change on.
    fn write_changed(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut run = (self.start(), self.start());
        for (message, fate) in self.messages.iter().zip(self.fates).skip(self.first) {
            match fate {
                Fate::Mark(marks) if changes(fate, message) && message.header <= HEADER_LIMIT => {
                    copy(self.file, (run.0, message.header_at()), out)?;
                    let mut header = Vec::new();
                    Section::new(self.file, message.header_at(), message.body_at()).read_to_end(&mut header)?;
                    out.write_all(&marks::set(&header, marks))?;
                    run = (message.body_at(), message.end());
                }
                Fate::Delete => {
                    copy(self.file, run, out)?;
                    run = (message.end(), message.end());
                }
                _ => run.1 = message.end(),
            }
        }
        copy(self.file, run, out)
    }
}

fn copy(file: &File, (from, to): (u64, u64), out: &mut dyn Write) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    let copied = io::copy(&mut Section::new(file, from, to), out)?;
    if copied == to - from { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The new content in a file beside, renamed over the mailbox; false when no such file can be made as the old one's
/// equal (owner, group, one name).
fn beside(path: &Path, old: &File, content: &Content) -> Result<bool, MboxError> {
    let data = old.metadata()?;
    if data.nlink() != 1 {
        return Ok(false);
    }
    let Ok(mut new) = Replacement::create(path, data.mode() & 0o7777) else { return Ok(false) };
    new.own_as(&data);
    let made = new.file().metadata()?;
    if (made.uid(), made.gid()) != (data.uid(), data.gid()) {
        return Ok(false);
    }
    {
        let mut out = BufWriter::with_capacity(256 * 1024, new.file());
        copy(old, (0, content.start()), &mut out)?;
        content.write_changed(&mut out)?;
        out.flush()?;
    }
    // The commit: before this rename the mailbox is the old one, after it the new one.
    new.commit()?;
    Ok(true)
}

/// The mailbox open for writing, under an exclusive fcntl lock, and under its dotlock where one can be made.
pub(super) struct Locked {
    pub file: File,
    pub dotlock: Option<Dotlock>,
}

impl Locked {
    pub fn acquire(path: &Path) -> Result<Locked, MboxError> {
        let locking = locking::chosen();
        let once = Patience { attempts: 1, ..locking.patience };
        for attempt in 0..locking.patience.attempts.max(1) {
            if attempt > 0 {
                std::thread::sleep(locking.patience.delay);
            }
            let dotlock = match locking.dotlock.then(|| Dotlock::acquire(path, once)) {
                Some(Ok(Some(dotlock))) => Some(dotlock),
                Some(Ok(None)) => continue,
                Some(Err(_)) | None => None,
            };
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            // Both locks or none: a program that takes them the other way round gets its turn.
            if locking.kernel && !lock::try_fcntl(&file, Kind::Exclusive)? {
                continue;
            }
            let (held, named) = (file.metadata()?, std::fs::metadata(path)?);
            if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
                return Ok(Locked { file, dotlock });
            }
        }
        Err(MboxError::Locked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::marks::{Flags, UidBase};
    use crate::mailbox::mbox::News;

    fn message(name: &str) -> String {
        format!("From a@b  Tue Nov 24 10:05:15 2026\nSubject: {name}\n\nbody {name}\n\n")
    }

    #[test]
    fn deleting_marking_and_mail_that_arrives_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, message("one") + &message("two") + &message("three")).unwrap();
        let mut mbox = Mbox::open(&path, None).unwrap();
        crate::mailbox::append::append(&path, message("four").as_bytes(), 0o600).unwrap();
        let read = Fate::Mark(Marks { flags: Some(Flags::READ), ..Marks::default() });
        mbox.rewrite(&[Fate::Delete, read]).unwrap();
        let expected =
            message("two").replace("two\n\n", "two\nStatus: R\n\n").replacen("body two\nStatus: R", "body two", 1)
                + &message("three")
                + &message("four");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(mbox.messages().len(), 3);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn the_uid_base_moves_to_the_next_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let first = message("one").replace("one\n\nbody", "one\nX-IMAPbase: 12 3\nX-UID: 1\n\nbody");
        std::fs::write(&path, first + &message("two")).unwrap();
        let mut mbox = Mbox::open(&path, None).unwrap();
        mbox.rewrite(&[Fate::Delete]).unwrap();
        assert_eq!(mbox.uid_base(), Some(UidBase { validity: 12, last: 3 }));
        assert_eq!(mbox.refresh().unwrap(), News::Nothing);
    }

    #[test]
    fn two_sessions_do_not_undo_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, message("one") + &message("two") + &message("three")).unwrap();
        let (mut a, mut b) = (Mbox::open(&path, None).unwrap(), Mbox::open(&path, None).unwrap());
        a.rewrite(&[Fate::Delete]).unwrap();
        b.rewrite(&[Fate::Delete, Fate::Delete]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), message("three"));
    }
}
