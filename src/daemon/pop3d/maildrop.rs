//! A user's mailbox as a maildrop ([`Maildrop`]), and the mbox kind of it: numbered messages with UIDs and the sizes that go over the wire. Opening reads only;
//! deletions happen in [`Maildrop::commit`], all at once. Mail that arrives meanwhile stays, what another program
//! removed meanwhile is said to be gone.

use super::uids::{Known, Uids};
use crate::mailbox::marks::{Flags, Marks, UidBase};
use crate::mailbox::mbox::{Mbox, MboxError, News};
use crate::mailbox::rewrite::Fate;
use crate::mailbox::scan::Message;
use memchr::memchr_iter;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Header lines that are the mailbox's own and are not sent.
const HIDDEN: &[&str] = &["content-length", "status", "x-imap", "x-imapbase", "x-keywords", "x-status", "x-uid"];
/// Longest piece of a header line that is looked at.
const PIECE: u64 = 64 * 1024;

/// One message of the session.
#[derive(Clone, Debug)]
pub struct Entry {
    pub uid: u32,
    pub size: u64,
    pub deleted: bool,
    /// Tells the message from others; see [`Known`].
    pub identity: u64,
    /// Its place in the mailbox as it is now; None when another program removed it.
    pub place: Option<usize>,
    pub retrieved: bool,
}

/// The maildrop of one session, whatever the mailbox's format.
pub trait Maildrop {
    /// The messages, in the order of their numbers.
    fn entries(&self) -> &[Entry];
    fn entries_mut(&mut self) -> &mut [Entry];
    fn validity(&self) -> u32;

    /// Messages that are not deleted, and their size.
    fn totals(&self) -> (usize, u64) {
        let left = self.entries().iter().filter(|entry| !entry.deleted);
        left.fold((0, 0), |(count, size), entry| (count + 1, size + entry.size))
    }

    /// Hands the message's bytes as they are sent (but for line ends) to `take`: the header, and of the body at most
    /// `body_lines` lines. False when another program has removed the message.
    fn read(
        &mut self,
        number: usize,
        body_lines: Option<u64>,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, MboxError>;

    /// Removes the deleted messages for good.
    fn commit(&mut self) -> Result<(), MboxError>;
}

/// An mbox.
pub struct MboxDrop {
    /// None: there is no mailbox file, which is an empty maildrop.
    mbox: Option<Mbox>,
    entries: Vec<Entry>,
    validity: u32,
    last: u32,
    state_file: Option<PathBuf>,
    /// Retrieved messages are marked as read when the mailbox is rewritten anyway.
    mark_read: bool,
}

impl MboxDrop {
    /// Opens the mailbox; `state` is the user's directory for UIDs and journals.
    pub fn open(path: &Path, state: Option<&Path>, mark_read: bool) -> Result<MboxDrop, MboxError> {
        let mut mbox = match Mbox::open(path, state) {
            Ok(mbox) => Some(mbox),
            Err(MboxError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let state_file = state.map(|state| state.join(state_name(path)));
        let known = state_file.as_deref().map(Uids::read).unwrap_or_default();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_secs());
        let (messages, base) = mbox.as_ref().map_or((&[][..], None), |mbox| (mbox.messages(), mbox.uid_base()));
        let held: Vec<(u64, u32)> = messages.iter().map(|message| (message.identity, message.uid)).collect();
        let mut uids = known.assign(&held, base, u32::try_from(now).unwrap_or(u32::MAX));
        let mut entries = Vec::with_capacity(messages.len());
        for (place, message) in messages.iter().enumerate() {
            let known = &mut uids.messages[place];
            let size = match (known.size, &mbox) {
                (Some(size), _) => size,
                (None, Some(mbox)) => size_of(mbox, message)?,
                (None, None) => 0,
            };
            known.size = Some(size);
            entries.push(Entry {
                uid: known.uid,
                size,
                deleted: false,
                identity: message.identity,
                place: Some(place),
                retrieved: false,
            });
        }
        // An empty mailbox that nobody has seen before needs no file.
        if uids != known && !(uids.messages.is_empty() && known == Uids::default()) {
            save(state_file.as_deref(), &uids);
        }
        // Where there is no place for the UIDs, they would be others in the next session: then the mailbox keeps them.
        let homeless = state_file.as_deref().is_none_or(|file| !file.exists());
        let (validity, last) = (uids.validity, uids.last);
        if homeless && let Some(mbox) = &mut mbox {
            let lacking = mbox.messages().iter().zip(&uids.messages).any(|(message, known)| message.uid != known.uid);
            if lacking {
                let fates = marks_for(mbox, &entries, UidBase { validity, last }, |_| false, false);
                mbox.rewrite(&fates)?;
            }
        }
        Ok(MboxDrop { mbox, entries, validity, last, state_file, mark_read })
    }

    /// Finds the session's messages again after another program has changed the mailbox.
    fn refresh(&mut self) -> Result<(), MboxError> {
        let Some(mbox) = &mut self.mbox else { return Ok(()) };
        if mbox.refresh()? != News::Replaced {
            return Ok(());
        }
        let mut at = 0;
        for entry in &mut self.entries {
            let found = mbox.messages().iter().skip(at).position(|message| message.identity == entry.identity);
            entry.place = found.map(|found| at + found);
            at = entry.place.map_or(at, |place| place + 1);
        }
        Ok(())
    }
}

impl Maildrop for MboxDrop {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    fn validity(&self) -> u32 {
        self.validity
    }

    fn read(
        &mut self,
        number: usize,
        body_lines: Option<u64>,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, MboxError> {
        self.refresh()?;
        let Some(entry) = self.entries.get_mut(number) else { return Ok(false) };
        let (Some(place), Some(mbox)) = (entry.place, &self.mbox) else { return Ok(false) };
        let Some(message) = mbox.messages().get(place) else { return Ok(false) };
        if body_lines.is_none() {
            entry.retrieved = true;
        }
        header(mbox, message, take)?;
        body(&mut BufReader::with_capacity(64 * 1024, mbox.body(message)), body_lines, take)?;
        Ok(true)
    }

    fn commit(&mut self) -> Result<(), MboxError> {
        let deleted = self.entries.iter().any(|entry| entry.deleted);
        self.refresh()?;
        let Some(mbox) = self.mbox.as_mut().filter(|_| deleted) else { return Ok(()) };
        let base = UidBase { validity: self.validity, last: self.last };
        let fates = marks_for(mbox, &self.entries, base, |entry| entry.deleted, self.mark_read);
        mbox.rewrite(&fates)?;
        let left = self.entries.iter().filter(|entry| !entry.deleted && entry.place.is_some());
        let messages =
            left.map(|entry| Known { identity: entry.identity, uid: entry.uid, size: Some(entry.size) }).collect();
        save(self.state_file.as_deref(), &Uids { validity: self.validity, last: self.last, messages });
        Ok(())
    }
}

/// Hands over a body, or so many lines of it.
pub fn body(
    source: &mut impl BufRead,
    lines: Option<u64>,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut left = lines;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() || left == Some(0) {
            return Ok(());
        }
        let length = match &mut left {
            None => buffer.len(),
            Some(left) => {
                // Up to the last line feed that is still wanted.
                let mut length = buffer.len();
                for at in memchr_iter(b'\n', buffer) {
                    *left -= 1;
                    if *left == 0 {
                        length = at + 1;
                        break;
                    }
                }
                length
            }
        };
        take(&buffer[..length])?;
        source.consume(length);
    }
}

/// What happens to each message of the mailbox: what is deleted goes; the UIDs are noted in those that stay and lack
/// them, since the file is written anyway.
fn marks_for(
    mbox: &Mbox,
    entries: &[Entry],
    base: UidBase,
    deleted: impl Fn(&Entry) -> bool,
    mark_read: bool,
) -> Vec<Fate> {
    let mut fates = vec![Fate::Keep; mbox.messages().len()];
    let mut first = true;
    for entry in entries {
        let Some((message, fate)) =
            entry.place.and_then(|place| Some((mbox.messages().get(place)?, fates.get_mut(place)?)))
        else {
            continue;
        };
        if deleted(entry) {
            *fate = Fate::Delete;
            continue;
        }
        let mut flags = message.flags | Flags::OLD;
        if mark_read && entry.retrieved {
            flags |= Flags::READ;
        }
        *fate = Fate::Mark(Marks { flags: Some(flags), uid: Some(entry.uid), base: first.then_some(base) });
        first = false;
    }
    fates
}

/// The header without the lines that are the mailbox's own.
fn header(mbox: &Mbox, message: &Message, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(16 * 1024, mbox.content(message).take(message.header));
    let mut line = Vec::new();
    let (mut starts, mut hidden) = (true, false);
    loop {
        line.clear();
        if (&mut reader).take(PIECE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if starts {
            let folded = matches!(line.first(), Some(b' ' | b'\t'));
            hidden = if folded { hidden } else { is_hidden(&line) };
        }
        starts = line.ends_with(b"\n");
        if !hidden {
            take(&line)?;
        }
    }
}

fn is_hidden(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line[..colon].trim_ascii_end();
    HIDDEN.iter().any(|hidden| hidden.as_bytes().eq_ignore_ascii_case(name))
}

/// The message's bytes on the wire, without dot-stuffing.
fn size_of(mbox: &Mbox, message: &Message) -> io::Result<u64> {
    let mut counter = WireSize::default();
    let mut count = |bytes: &[u8]| {
        counter.add(bytes);
        Ok(())
    };
    header(mbox, message, &mut count)?;
    body(&mut BufReader::with_capacity(64 * 1024, mbox.body(message)), None, &mut count)?;
    Ok(counter.size)
}

/// Counts bytes as if every line ended in CRLF.
#[derive(Default)]
pub struct WireSize {
    pub size: u64,
    last: u8,
}

impl WireSize {
    pub fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        for at in memchr_iter(b'\n', bytes) {
            let before = at.checked_sub(1).map_or(self.last, |before| bytes[before]);
            self.size += u64::from(before != b'\r');
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

/// Without a place for it the UIDs are the mailbox's to keep (see [`Maildrop::open`]).
pub fn save(file: Option<&Path>, uids: &Uids) {
    if let Some(file) = file {
        let _ = uids.write(file);
    }
}

/// One file for each mailbox, by its path.
pub fn state_name(path: &Path) -> String {
    let text = path.to_string_lossy();
    let name: String = text.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("uids{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        format!("From a@b  Tue Nov 24 10:05:15 2026\nSubject: {name}\nStatus: O\n\nbody\n.dot\n\n")
    }

    fn text(drop: &mut MboxDrop, number: usize, lines: Option<u64>) -> String {
        let mut text = Vec::new();
        let found = drop
            .read(number, lines, &mut |bytes| {
                text.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        if found { String::from_utf8(text).unwrap() } else { "(gone)".into() }
    }

    #[test]
    fn sizes_hidden_lines_and_uids_that_survive() {
        let dir = tempfile::tempdir().unwrap();
        let (path, state) = (dir.path().join("box"), dir.path().join("state"));
        std::fs::create_dir(&state).unwrap();
        let before = message("one") + &message("two") + &message("three");
        std::fs::write(&path, &before).unwrap();
        let mut drop = MboxDrop::open(&path, Some(&state), true).unwrap();
        assert_eq!(text(&mut drop, 0, None), "Subject: one\n\nbody\n.dot\n");
        assert_eq!(text(&mut drop, 0, Some(1)), "Subject: one\n\nbody\n");
        assert_eq!(drop.entries[0].size, 28);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "reading writes nothing");
        drop.entries[0].deleted = true;
        drop.commit().unwrap();
        let after = std::fs::read_to_string(&path).unwrap();
        assert!(
            after.contains(&format!("X-IMAPbase: {:10} 0000000003\nX-UID: 2\nStatus: O\n", drop.validity)),
            "{after}"
        );
        let again = MboxDrop::open(&path, Some(&state), true).unwrap();
        assert_eq!(again.validity, drop.validity);
        assert_eq!(again.entries.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn without_a_state_directory_the_mailbox_keeps_the_uids() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, message("one") + &message("two")).unwrap();
        let first = MboxDrop::open(&path, None, true).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let second = MboxDrop::open(&path, None, true).unwrap();
        assert_eq!(first.validity, second.validity);
        assert_eq!(second.entries[1].uid, 2);
    }

    #[test]
    fn two_sessions_and_a_message_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, message("one") + &message("two") + &message("three")).unwrap();
        let (mut a, mut b) = (MboxDrop::open(&path, None, true).unwrap(), MboxDrop::open(&path, None, true).unwrap());
        b.entries[1].deleted = true;
        b.commit().unwrap();
        assert_eq!(text(&mut a, 1, None), "(gone)");
        assert!(text(&mut a, 2, None).starts_with("Subject: three\n"));
        a.entries[0].deleted = true;
        a.commit().unwrap();
        let left = std::fs::read_to_string(&path).unwrap();
        assert_eq!(left.matches("Subject:").count(), 1);
        assert!(left.contains("Subject: three"));
    }

    #[test]
    fn no_mailbox_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let drop = MboxDrop::open(&dir.path().join("none"), Some(dir.path()), true).unwrap();
        assert_eq!(drop.totals(), (0, 0));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
