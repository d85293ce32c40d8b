//! Changing a mailbox in place without losing mail, for a user who can write /var/mail/USER but no other file in
//! /var/mail. The new end of the mailbox is first written to a journal in the user's own directory and fsynced; its
//! rename to its final name is the commit. Then the mailbox is overwritten and cut, fsynced, and the journal removed.
//! A program that is killed between leaves the journal, and the next one that opens the mailbox brings the change to
//! its end, keeping mail that was appended after the kill.
//!
//! Format: one line `pillarbox-mbox 1 DEV INO FROM OLD-SIZE NEW-SIZE OLD-HASH LEFT-HASH`, then the mailbox's new
//! content from FROM on. OLD-HASH is that of the old content from FROM on, LEFT-HASH of the part beyond NEW-SIZE.
//! The size of the mailbox tells the state because it takes only three values: it is set to the larger of both sizes
//! before the first byte is overwritten and to the new size after the last.

use super::mbox::{MboxError, Section};
use super::rewrite::Locked;
use super::scan::hash;
use crate::sys::files::{Replacement, fsync_dir};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const MAGIC: &str = "pillarbox-mbox 1";

/// Replaces the mailbox's content from `from` on with what `write` gives. The caller holds the exclusive lock.
pub(super) fn rewrite_in_place(
    path: &Path,
    mailbox: &File,
    dir: &Path,
    from: u64,
    write: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<(), MboxError> {
    std::fs::create_dir_all(dir)?;
    let name = name_for(path, dir);
    let mut measure = Measure::default();
    write(&mut measure)?;
    let data = mailbox.metadata()?;
    let (old_size, new_size) = (data.len(), from + measure.length);
    let old_hash = hash_of(mailbox, from, old_size)?;
    let left_hash = hash_of(mailbox, new_size.min(old_size), old_size)?;
    let mut journal = Replacement::create(&name, 0o600)?;
    {
        let mut out = BufWriter::with_capacity(256 * 1024, journal.file());
        let (dev, ino) = (data.dev(), data.ino());
        writeln!(out, "{MAGIC} {dev} {ino} {from} {old_size} {new_size} {old_hash} {left_hash}")?;
        write(&mut out)?;
        out.flush()?;
    }
    // The commit: from here on the change happens, by us or by the next program that opens the mailbox.
    journal.commit()?;
    let (entry, content) = read(&name)?.ok_or(MboxError::NoSafePlace)?;
    apply(mailbox, &entry, content)?;
    forget(&name)
}

/// Brings an interrupted change to its end, if there is one for this mailbox.
pub(super) fn recover(path: &Path, dir: &Path) -> Result<(), MboxError> {
    let name = name_for(path, dir);
    let Some((entry, content)) = read(&name)? else { return Ok(()) };
    let locked = Locked::acquire(path)?;
    let data = locked.file.metadata()?;
    let size = data.len();
    let last = |from, to| hash_of(&locked.file, from, to);
    if (data.dev(), data.ino()) != (entry.dev, entry.ino) || size < entry.new_size.min(entry.old_size) {
        // Another file has the name now: what the journal says about the old one must not touch it.
        return set_aside(&name);
    }
    let untouched = size >= entry.old_size && last(entry.from, entry.old_size)? == entry.old_hash;
    let grown = entry.new_size > entry.old_size;
    let cut = !grown && (size < entry.old_size || last(entry.new_size, entry.old_size)? != entry.left_hash);
    if grown && untouched && !starts_with_nul(&locked.file, entry.old_size)? {
        // Not begun; what lies beyond the old size is mail that arrived after the kill. The old content is whole.
        return forget(&name);
    }
    if cut {
        // Done but for the journal; mail that arrived after the kill follows the new content.
        return forget(&name);
    }
    // Mail appended after the kill lies beyond the size that the file had then.
    let before = entry.old_size.max(entry.new_size);
    let appended = size > before;
    if appended && !grown {
        let mut arrived = Vec::new();
        Section::new(&locked.file, before, size).read_to_end(&mut arrived)?;
        let longer = |out: &mut dyn Write| {
            let mut content = content_of(&name)?;
            io::copy(&mut content, out)?;
            out.write_all(&arrived)
        };
        // The same change with the new mail behind it, as a journal of its own: one that a kill can interrupt again.
        return rewrite_in_place(path, &locked.file, dir, entry.from, longer);
    }
    apply(&locked.file, &entry, content)?;
    forget(&name)
}

/// The steps whose sizes tell how far they came.
fn apply(mailbox: &File, entry: &Entry, mut content: impl Read) -> Result<(), MboxError> {
    let size = mailbox.metadata()?.len();
    if size < entry.new_size {
        mailbox.set_len(entry.new_size)?;
    }
    let mut at = entry.from;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        mailbox.write_all_at(&buffer[..count], at)?;
        at += count as u64;
    }
    mailbox.sync_data()?;
    if entry.new_size < entry.old_size {
        mailbox.set_len(entry.new_size)?;
    }
    mailbox.sync_all()?;
    Ok(())
}

fn forget(name: &Path) -> Result<(), MboxError> {
    std::fs::remove_file(name)?;
    fsync_dir(name.parent().unwrap_or(Path::new(".")))?;
    Ok(())
}

/// Keeps a journal that fits no more, under a name that nobody reads by himself.
fn set_aside(name: &Path) -> Result<(), MboxError> {
    let mut kept = name.as_os_str().to_owned();
    kept.push(".kept");
    std::fs::rename(name, PathBuf::from(kept))?;
    Ok(())
}

/// The journal's first line.
struct Entry {
    dev: u64,
    ino: u64,
    from: u64,
    old_size: u64,
    new_size: u64,
    old_hash: u64,
    left_hash: u64,
}

/// The journal's first line and a reader at what follows it; None when there is no journal.
fn read(name: &Path) -> Result<Option<(Entry, BufReader<File>)>, MboxError> {
    let file = match File::open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    reader.by_ref().take(512).read_until(b'\n', &mut line)?;
    let text = String::from_utf8_lossy(&line);
    let numbers: Vec<u64> = text
        .strip_prefix(MAGIC)
        .map(|rest| rest.split_whitespace().filter_map(|word| word.parse().ok()).collect())
        .unwrap_or_default();
    let &[dev, ino, from, old_size, new_size, old_hash, left_hash] = numbers.as_slice() else {
        set_aside(name)?;
        return Ok(None);
    };
    Ok(Some((Entry { dev, ino, from, old_size, new_size, old_hash, left_hash }, reader)))
}

fn content_of(name: &Path) -> io::Result<impl Read> {
    let mut reader = BufReader::new(File::open(name)?);
    reader.skip_until(b'\n')?;
    let at = reader.stream_position()?;
    reader.seek(io::SeekFrom::Start(at))?;
    Ok(reader)
}

/// The journal's name: the mailbox's path with "/" as "!" ("%" and "!" themselves escaped).
fn name_for(path: &Path, dir: &Path) -> PathBuf {
    let text = path.to_string_lossy().replace('%', "%25").replace('!', "%21").replace('/', "!");
    dir.join(format!("{text}.journal"))
}

fn starts_with_nul(file: &File, at: u64) -> io::Result<bool> {
    let mut byte = [1];
    Ok(file.read_at(&mut byte, at)? == 1 && byte[0] == 0)
}

fn hash_of(file: &File, from: u64, to: u64) -> io::Result<u64> {
    let mut section = Section::new(file, from, to.max(from));
    let mut buffer = vec![0; 64 * 1024];
    let mut state = 0;
    loop {
        let mut used = 0;
        while used < buffer.len() {
            let count = section.read(&mut buffer[used..])?;
            if count == 0 {
                break;
            }
            used += count;
        }
        if used == 0 {
            return Ok(state);
        }
        state = hash(state, &buffer[..used]);
    }
}

/// Counts what would be written.
#[derive(Default)]
struct Measure {
    length: u64,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    const OLD: &[u8] =
        b"From a Tue Nov 24 10:05:15 2026\nA: 1\n\none\n\nFrom b Tue Nov 24 10:05:15 2026\nB: 2\n\ntwo two two\n\n";
    const MAIL: &[u8] = b"From c Tue Nov 24 10:05:15 2026\nC: 3\n\nthree\n\n";

    /// Every state in which a kill can leave the mailbox, with and without mail that arrives after it.
    fn sweep(new: &[u8]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let from = OLD.iter().zip(new).take_while(|(old, new)| old == new).count();
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let larger = OLD.len().max(new.len());
        let mut states = vec![OLD.to_vec()];
        for done in from..=new.len() {
            let mut state = OLD.to_vec();
            state.resize(larger, 0);
            state[from..done].copy_from_slice(&new[from..done]);
            states.push(state);
        }
        states.push(new.to_vec());
        for (number, state) in states.iter().enumerate() {
            for arrived in [b"".as_slice(), MAIL] {
                std::fs::write(&path, OLD).unwrap();
                let file = open();
                // The journal as it stands after its commit.
                let data = file.metadata().unwrap();
                let old_hash = hash_of(&file, from as u64, OLD.len() as u64).unwrap();
                let left = hash_of(&file, new.len().min(OLD.len()) as u64, OLD.len() as u64).unwrap();
                let (dev, ino, old_size, new_size) = (data.dev(), data.ino(), OLD.len(), new.len());
                let mut journal =
                    format!("{MAGIC} {dev} {ino} {from} {old_size} {new_size} {old_hash} {left}\n").into_bytes();
                journal.extend_from_slice(&new[from..]);
                std::fs::write(name_for(&path, dir.path()), journal).unwrap();
                file.write_all_at(state, 0).unwrap();
                file.set_len(state.len() as u64).unwrap();
                file.write_all_at(arrived, state.len() as u64).unwrap();
                recover(&path, dir.path()).unwrap();
                let found = std::fs::read(&path).unwrap();
                let good = found == [new, arrived].concat() || (number == 0 && found == [OLD, arrived].concat());
                assert!(good, "state {number}, arrived {}: {}", arrived.len(), String::from_utf8_lossy(&found));
                assert!(!name_for(&path, dir.path()).exists());
            }
        }
    }

    #[test]
    fn a_kill_at_any_byte_leaves_the_old_mail_or_the_new_and_what_arrived() {
        sweep(&OLD[45..]);
        sweep(&OLD[..45]);
        sweep(b"");
        sweep(&[b"From a Tue Nov 24 10:05:15 2026\nA: 1\nStatus: RO\nX-Status: AF\n\none\n\n", &OLD[45..]].concat());
        sweep(&OLD.to_ascii_uppercase());
    }

    #[test]
    fn in_place_is_the_same_as_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, OLD).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        rewrite_in_place(&path, &file, dir.path(), 45, |out| out.write_all(MAIL)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&OLD[..45], MAIL].concat());
    }
}
