//! What a scan of a large mailbox found, kept in the user's own directory so that the next program opens it at once, and
//! lists it without reading it. It is used only when nothing can have changed: same file, size, modification and change
//! times, to the nanosecond, and neither was younger than two seconds when it was written (a change within one tick of
//! the clock would show in nothing). In any doubt the mailbox is read. Nothing is ever written to a mailbox on an
//! index's word: `rewrite` scans.
//!
//! Format, all numbers in little endian: the briefs of the messages (`briefs`), one after the other; 50 bytes for each
//! message, the last two the length of its brief (0: none); a hash of each block of briefs; and at the end
//! `pillarbox-index 4\n`, DEV INO SIZE MTIME CTIME (seconds and nanoseconds each), VALIDITY and LAST of X-IMAPbase
//! (0 0: none), the number of messages, the bytes of the briefs, and a hash of everything behind the briefs.

use super::briefs::{BLOCK, Briefs};
use super::marks::{Flags, UidBase};
use super::pieces::{self, NoBriefs, Piece, Sink};
use super::scan::{Message, Scan, hash};
use crate::sys::files::Replacement;
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"pillarbox-index 4\n";
/// Bytes of one message.
const RECORD: usize = 50;
/// From the magic words to the end.
const TRAILER: usize = MAGIC.len() + 7 * 8 + 4 + 4 + 8 + 8 + 8;
/// Smaller mailboxes are read faster than two files are opened.
const SMALLEST: u64 = 8 << 20;
/// What stands behind the briefs is no more than this in an index of ours.
const LARGEST: u64 = 1 << 30;
/// How old a mailbox's last change must be, in seconds.
const SETTLED: i64 = 2;

/// What the mailbox's file holds, from the index or from the file, and the briefs of its messages where an index holds
/// them. `dir` is where the index is, or will be.
pub(super) fn scan(path: &Path, dir: Option<&Path>, file: &File) -> io::Result<(Scan, Option<Briefs>)> {
    let data = file.metadata()?;
    let Some(dir) = dir.filter(|_| data.len() >= SMALLEST) else {
        return Ok((pieces::scan(file, 0, false, &mut NoBriefs)?, None));
    };
    if let Some((found, briefs)) = load(path, dir, &data) {
        return Ok((found, Some(briefs)));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let settled = i64::try_from(now).unwrap_or(0) - SETTLED;
    if data.mtime() >= settled || data.ctime() >= settled {
        return Ok((pieces::scan(file, 0, false, &mut NoBriefs)?, None));
    }
    read_and_store(path, dir, file, &data)
}

/// Reads the mailbox and keeps what was found. Failing to keep it is no failure: the next program reads the mailbox.
fn read_and_store(path: &Path, dir: &Path, file: &File, data: &Metadata) -> io::Result<(Scan, Option<Briefs>)> {
    let mut writer = Writer::create(path, dir).ok();
    let found = match &mut writer {
        Some(writer) => pieces::scan(file, 0, true, writer)?,
        None => pieces::scan(file, 0, false, &mut NoBriefs)?,
    };
    // Programs that take no lock may have written meanwhile.
    let same = file.metadata().is_ok_and(|now| stamp(&now) == stamp(data));
    let briefs = writer.filter(|_| same && !found.foreign).and_then(|writer| writer.finish(data, &found).ok());
    Ok((found, briefs))
}

/// What the index says, when it is certainly true.
fn load(path: &Path, dir: &Path, data: &Metadata) -> Option<(Scan, Briefs)> {
    let mut file = File::open(name_for(path, dir)).ok()?;
    let own = file.metadata().ok()?;
    // A file that somebody else could have put there is no word of ours.
    if own.uid() != crate::sys::accounts::effective_uid() {
        return None;
    }
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, own.len().checked_sub(TRAILER as u64)?).ok()?;
    let mut reader = Reader { rest: trailer.strip_prefix(MAGIC)? };
    for expected in stamp(data) {
        if reader.number()? != expected {
            return None;
        }
    }
    let (validity, last) = (reader.small()?, reader.small()?);
    let (count, brief_bytes) = (usize::try_from(reader.number()?).ok()?, reader.number()?);
    let (records, blocks) = (count.checked_mul(RECORD)?, count.div_ceil(BLOCK));
    let behind = records.checked_add(blocks.checked_mul(8)?)?.checked_add(TRAILER)?;
    if brief_bytes.checked_add(behind as u64)? != own.len() || behind as u64 > LARGEST {
        return None;
    }
    file.seek(SeekFrom::Start(brief_bytes)).ok()?;
    let mut bytes = Vec::with_capacity(behind);
    (&file).take(behind as u64).read_to_end(&mut bytes).ok()?;
    let content = bytes.get(..behind - 8)?;
    if hash(0, content).to_le_bytes() != bytes[content.len()..] {
        return None;
    }
    let mut reader = Reader { rest: content };
    let (mut messages, mut lengths, mut end) = (Vec::with_capacity(count), Vec::with_capacity(count), 0);
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
        lengths.push(u16::from_le_bytes(reader.take()?));
    }
    let sums = (0..blocks).map(|_| reader.number()).collect::<Option<Vec<_>>>()?;
    if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != brief_bytes {
        return None;
    }
    let base = (validity != 0).then_some(UidBase { validity, last });
    Some((Scan { messages, base, end, foreign: false }, Briefs::new(file, lengths, sums)))
}

/// An index that is being written, in the order of the mailbox.
struct Writer {
    file: BufWriter<Replacement>,
    lengths: Vec<u16>,
    sums: Vec<u64>,
    /// The hash of the block that is being filled.
    sum: u64,
    failed: Option<io::Error>,
}

impl Writer {
    fn create(path: &Path, dir: &Path) -> io::Result<Writer> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let file = Replacement::create(&name_for(path, dir), 0o600)?;
        Ok(Writer {
            file: BufWriter::with_capacity(256 * 1024, file),
            lengths: Vec::new(),
            sums: Vec::new(),
            sum: 0,
            failed: None,
        })
    }

    fn add(&mut self, piece: &Piece) -> io::Result<()> {
        let mut rest = piece.briefs.as_slice();
        for &length in &piece.lengths {
            let (brief, after) = rest.split_at_checked(length.into()).unwrap_or((rest, &[]));
            self.sum = hash(self.sum, brief);
            rest = after;
            self.lengths.push(length);
            if self.lengths.len().is_multiple_of(BLOCK) {
                self.sums.push(std::mem::take(&mut self.sum));
            }
        }
        self.file.write_all(&piece.briefs)
    }

    /// Puts the index in its place.
    fn finish(mut self, data: &Metadata, found: &Scan) -> io::Result<Briefs> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.lengths.len().is_multiple_of(BLOCK) {
            self.sums.push(self.sum);
        }
        let brief_bytes: u64 = self.lengths.iter().map(|length| u64::from(*length)).sum();
        let mut bytes = Vec::with_capacity(found.messages.len() * RECORD + self.sums.len() * 8 + TRAILER);
        for (message, length) in found.messages.iter().zip(&self.lengths) {
            for number in [message.offset, message.length, message.header, message.identity] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            for number in [message.lines, message.uid, message.from_line] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&[message.separator, message.flags.bits()]);
            bytes.extend_from_slice(&message.quoted.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend(stamp(data).iter().flat_map(|number| number.to_le_bytes()));
        let base = found.base.unwrap_or(UidBase { validity: 0, last: 0 });
        bytes.extend_from_slice(&base.validity.to_le_bytes());
        bytes.extend_from_slice(&base.last.to_le_bytes());
        bytes.extend_from_slice(&(found.messages.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&brief_bytes.to_le_bytes());
        bytes.extend_from_slice(&hash(0, &bytes).to_le_bytes());
        self.file.write_all(&bytes)?;
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let open = file.file().try_clone()?;
        // What a power failure leaves of it will not have the right hashes.
        file.commit_unsynced()?;
        Ok(Briefs::new(open, self.lengths, self.sums))
    }
}

impl Sink for Writer {
    fn take(&mut self, piece: &mut Piece) {
        if self.failed.is_none() {
            self.failed = self.add(piece).err();
        }
    }

    fn clear(&mut self) {
        if !self.lengths.is_empty() {
            self.failed = Some(io::ErrorKind::InvalidData.into());
        }
    }
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
    use crate::mailbox::briefs;
    use crate::mailbox::digest::Digest;
    use crate::mailbox::mbox::Mbox;
    use std::fs::OpenOptions;
    use std::time::{Duration, SystemTime};

    fn indexed(path: &Path, dir: &Path) -> Option<(Scan, Briefs)> {
        load(path, dir, &std::fs::metadata(path).unwrap())
    }

    #[test]
    fn an_index_is_believed_only_while_nothing_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, cache) = (dir.path().join("box"), dir.path().join("cache"));
        let message = |number: usize| {
            let long = if number == 7 { "x".repeat(5000) } else { String::new() };
            let (more, lines) = ("Status: O\nSubject: s", "x\n".repeat(20_000));
            format!("From a@b Tue Nov 24 10:05:15 2026\nFrom: {number}\n{more}{long}\n\n{lines}\n")
        };
        let text: String = (0..600).map(message).collect();
        std::fs::write(&path, text).unwrap();
        let (file, data) = (File::open(&path).unwrap(), std::fs::metadata(&path).unwrap());
        let (found, briefs) = scan(&path, Some(&cache), &file).unwrap();
        assert!(briefs.is_none() && !cache.exists(), "a mailbox that changed this second is not indexed");
        assert_eq!(found.messages.len(), 600);
        let (again, briefs) = read_and_store(&path, &cache, &file, &data).unwrap();
        assert_eq!(again.messages, found.messages);
        let (loaded, read) = indexed(&path, &cache).unwrap();
        assert_eq!((loaded.messages, loaded.end), (found.messages.clone(), found.end));
        for briefs in [briefs.unwrap(), read] {
            let mut reader = briefs.reader();
            let expected =
                |number: usize| format!("From a@b Tue Nov 24 10:05:15 2026\nFrom: {number}\nSubject: s\n").into_bytes();
            for number in [0, 255, 256, 599, 3] {
                let (raw, digest) = briefs::parts(reader.brief(number).unwrap()).unwrap();
                assert_eq!(raw, expected(number));
                assert_eq!(&*Digest::from_bytes(digest).unwrap().sender, number.to_string());
            }
            assert_eq!(reader.brief(7), None, "too long for a brief");
        }
        assert_eq!(Mbox::open(&path, Some(&cache)).unwrap().messages().len(), 600);
        // Touched, with the old time put back: the change time tells.
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        file.set_modified(data.modified().unwrap()).unwrap();
        assert!(indexed(&path, &cache).is_none());
        // Any byte wrong: none, or no brief.
        let name = name_for(&path, &cache);
        let good = std::fs::read(&name).unwrap();
        for at in [0, good.len() - 20_000, good.len() - 200, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&name, &bad).unwrap();
            let loaded = load(&path, &cache, &data);
            assert!(at == 0 || loaded.is_none(), "{at}");
            assert!(loaded.is_none_or(|(_, briefs)| briefs.reader().brief(5).is_none()));
        }
        for length in [0, 10, good.len() / 2] {
            std::fs::write(&name, &good[..length]).unwrap();
            assert!(load(&path, &cache, &data).is_none(), "{length}");
        }
    }
}
