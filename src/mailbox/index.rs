//! What a scan of a large mailbox found, kept in the user's own directory so that the next program opens it at once.
//! It is used only when nothing can have changed: same file, size, modification and change times, to the nanosecond,
//! and neither was younger than two seconds when it was written (a change within one tick of the clock would show in
//! nothing). In any doubt the mailbox is read. Nothing is ever written to a mailbox on an index's word: `rewrite` scans.
//!
//! Format, all numbers in little endian: `pillarbox-index 2\n`, then DEV INO SIZE MTIME CTIME (seconds and nanoseconds
//! each), VALIDITY and LAST of X-IMAPbase (0 0: none), the number of messages, 48 bytes for each, and a hash of it all.

use super::marks::{Flags, UidBase};
use super::scan::{Message, Scan, hash};
use crate::sys::files::Replacement;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"pillarbox-index 2\n";
/// Bytes of one message.
const RECORD: usize = 48;
/// Smaller mailboxes are read faster than two files are opened.
const SMALLEST: u64 = 8 << 20;
/// An index larger than this is none of ours.
const LARGEST: u64 = 1 << 30;
/// How old a mailbox's last change must be, in seconds.
const SETTLED: i64 = 2;

/// What the index says, when it is certainly true.
pub(super) fn load(path: &Path, dir: &Path, data: &Metadata) -> Option<Scan> {
    if data.len() < SMALLEST {
        return None;
    }
    let file = File::open(name_for(path, dir)).ok()?;
    let own = file.metadata().ok()?;
    // A file that somebody else could have put there is no word of ours.
    if own.uid() != crate::sys::accounts::effective_uid() || own.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(own.len()).ok()?);
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let content = bytes.get(..bytes.len().checked_sub(8)?)?;
    if hash(0, content).to_le_bytes() != bytes[content.len()..] {
        return None;
    }
    let mut reader = Reader { rest: content.strip_prefix(MAGIC)? };
    for expected in stamp(data) {
        if reader.number()? != expected {
            return None;
        }
    }
    let (validity, last) = (reader.small()?, reader.small()?);
    let count = usize::try_from(reader.number()?).ok()?;
    if reader.rest.len() != count.checked_mul(RECORD)? {
        return None;
    }
    let mut messages = Vec::with_capacity(count);
    let mut end = 0;
    for _ in 0..count {
        let message = reader.message()?;
        let inside = message.offset >= end
            && message.length
                >= u64::from(message.from_line)
                    + message.header
                    + u64::from(message.separator)
                    + u64::from(message.quoted);
        end = message.offset.checked_add(message.length)?;
        if !inside || end > data.len() {
            return None;
        }
        messages.push(message);
    }
    let base = (validity != 0).then_some(UidBase { validity, last });
    Some(Scan { messages, base, end, foreign: false })
}

/// Keeps what was found. Failing is no failure: the next program reads the mailbox.
pub(super) fn store(path: &Path, dir: &Path, data: &Metadata, found: &Scan) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let settled = i64::try_from(now).unwrap_or(0) - SETTLED;
    if data.len() >= SMALLEST && data.mtime() < settled && data.ctime() < settled {
        let _ = try_store(path, dir, data, found);
    }
}

fn try_store(path: &Path, dir: &Path, data: &Metadata, found: &Scan) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut bytes = Vec::with_capacity(MAGIC.len() + 80 + found.messages.len() * RECORD);
    bytes.extend_from_slice(MAGIC);
    for number in stamp(data) {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let base = found.base.unwrap_or(UidBase { validity: 0, last: 0 });
    bytes.extend_from_slice(&base.validity.to_le_bytes());
    bytes.extend_from_slice(&base.last.to_le_bytes());
    bytes.extend_from_slice(&(found.messages.len() as u64).to_le_bytes());
    for message in &found.messages {
        for number in [message.offset, message.length, message.header, message.identity] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [message.lines, message.uid, message.from_line] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&[message.separator, message.flags.bits()]);
        bytes.extend_from_slice(&message.quoted.to_le_bytes());
    }
    let sum = hash(0, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    let mut file = Replacement::create(&name_for(path, dir), 0o600)?;
    file.write_all(&bytes)?;
    file.commit()
}

fn stamp(data: &Metadata) -> [u64; 7] {
    let number = |signed: i64| signed.cast_unsigned();
    [
        data.dev(),
        data.ino(),
        data.len(),
        number(data.mtime()),
        number(data.mtime_nsec()),
        number(data.ctime()),
        number(data.ctime_nsec()),
    ]
}

fn name_for(path: &Path, dir: &Path) -> PathBuf {
    let text = path.to_string_lossy().replace('%', "%25").replace('!', "%21").replace('/', "!");
    dir.join(format!("{text}.index"))
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn small(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn message(&mut self) -> Option<Message> {
        let (offset, length, header, identity) = (self.number()?, self.number()?, self.number()?, self.number()?);
        let (lines, uid, from_line) = (self.small()?, self.small()?, self.small()?);
        let [separator, flags, low, high] = self.take()?;
        let separator = (separator <= 2).then_some(separator)?;
        Some(Message {
            offset,
            length,
            header,
            identity,
            lines,
            uid,
            from_line,
            separator,
            flags: Flags::from_bits(flags),
            quoted: u16::from_le_bytes([low, high]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::mbox::Mbox;
    use std::fs::OpenOptions;
    use std::time::{Duration, SystemTime};

    #[test]
    fn an_index_is_believed_only_while_nothing_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let message = format!("From a@b Tue Nov 24 10:05:15 2026\nStatus: O\n\n{}\n\n", "x\n".repeat(40_000));
        std::fs::write(&path, message.repeat(120)).unwrap();
        let data = std::fs::metadata(&path).unwrap();
        let found = super::super::scan::scan(&File::open(&path).unwrap(), 0).unwrap();
        let cache = dir.path().join("cache");
        store(&path, &cache, &data, &found);
        assert!(!cache.exists(), "a mailbox that changed this second is not indexed");
        try_store(&path, &cache, &data, &found).unwrap();
        let loaded = load(&path, &cache, &data).unwrap();
        assert_eq!((loaded.messages, loaded.end), (found.messages.clone(), found.end));
        assert_eq!(Mbox::open(&path, Some(&cache)).unwrap().messages().len(), 120);
        // Touched, with the old time put back: the change time tells.
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        file.set_modified(data.modified().unwrap()).unwrap();
        assert!(load(&path, &cache, &std::fs::metadata(&path).unwrap()).is_none());
        // Any byte wrong: none.
        let name = name_for(&path, &cache);
        let good = std::fs::read(&name).unwrap();
        for at in [0, 30, 200, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&name, &bad).unwrap();
            assert!(load(&path, &cache, &data).is_none(), "{at}");
        }
    }
}
