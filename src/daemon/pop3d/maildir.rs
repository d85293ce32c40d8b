//! A maildir as a maildrop. The files in new/ and cur/ are the messages; a deletion removes a file, and nothing else is
//! changed: no message is moved from new/ to cur/, which is the mail reader's to do. UIDs come from Dovecot's
//! dovecot-uidlist where there is one, and from our own file (`uids`) for what it does not list.

use super::maildrop::{Entry, Maildrop, WireSize, body, save, state_name};
use super::uids::{Known, Uids};
use crate::mailbox::marks::UidBase;
use crate::mailbox::mbox::MboxError;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Largest uidlist that is read.
const LARGEST: u64 = 64 << 20;
/// Longest piece of a header line that is read at once.
const PIECE: u64 = 64 * 1024;

/// A maildir.
pub struct MaildirDrop {
    dir: PathBuf,
    entries: Vec<Entry>,
    /// Each message's file, as it was named at the beginning.
    files: Vec<PathBuf>,
    validity: u32,
    last: u32,
    state_file: Option<PathBuf>,
}

impl MaildirDrop {
    /// Lists the directory. One that is not there is an empty maildrop.
    pub fn open(dir: &Path, state: Option<&Path>) -> io::Result<MaildirDrop> {
        let (base, held) = uidlist(&dir.join("dovecot-uidlist")).unwrap_or_default();
        let mut found = Vec::new();
        for part in ["new", "cur"] {
            let entries = match std::fs::read_dir(dir.join(part)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let path = entry?.path();
                let name = base_name(&path);
                if !name.is_empty() && !name.starts_with(b".") {
                    let uid = held.get(&name).copied().unwrap_or(0);
                    found.push((if uid == 0 { u32::MAX } else { uid }, delivered(&name), name, path));
                }
            }
        }
        // Those with UIDs in their order, then new ones as they were delivered.
        found.sort();
        let identities: Vec<(u64, u32)> =
            found.iter().map(|(uid, _, name, _)| (identity(name), if *uid == u32::MAX { 0 } else { *uid })).collect();
        let state_file = state.map(|state| state.join(state_name(dir)));
        let known = state_file.as_deref().map(Uids::read).unwrap_or_default();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_secs());
        let mut uids = known.assign(&identities, base, u32::try_from(now).unwrap_or(u32::MAX));
        let (mut entries, mut files) = (Vec::new(), Vec::new());
        for (place, (_, _, name, path)) in found.into_iter().enumerate() {
            let message = &mut uids.messages[place];
            let size = match message.size.or_else(|| size_in(&name)) {
                Some(size) => size,
                None => size_of(&path)?,
            };
            message.size = Some(size);
            entries.push(Entry {
                uid: message.uid,
                size,
                deleted: false,
                identity: message.identity,
                place: Some(place),
                retrieved: false,
            });
            files.push(path);
        }
        if uids != known && !(uids.messages.is_empty() && known == Uids::default()) {
            save(state_file.as_deref(), &uids);
        }
        Ok(MaildirDrop { dir: dir.to_owned(), entries, files, validity: uids.validity, last: uids.last, state_file })
    }

    /// The message's file as it is named now: other programs move it to cur/ and change its flags.
    fn file(&mut self, number: usize) -> Option<PathBuf> {
        let path = self.files.get(number)?.clone();
        if path.exists() {
            return Some(path);
        }
        let name = base_name(&path);
        let cur = std::fs::read_dir(self.dir.join("cur")).ok()?;
        let found = cur.flatten().map(|entry| entry.path()).find(|path| base_name(path) == name)?;
        self.files[number].clone_from(&found);
        Some(found)
    }
}

impl Maildrop for MaildirDrop {
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
        let Some(path) = self.file(number) else { return Ok(false) };
        let mut reader = BufReader::with_capacity(64 * 1024, File::open(path)?);
        let mut line = Vec::new();
        let mut starts = true;
        loop {
            line.clear();
            if (&mut reader).take(PIECE).read_until(b'\n', &mut line)? == 0 {
                return Ok(true);
            }
            take(&line)?;
            if starts && matches!(line.as_slice(), b"\n" | b"\r\n") {
                break;
            }
            starts = line.ends_with(b"\n");
        }
        body(&mut reader, body_lines, take)?;
        Ok(true)
    }

    fn commit(&mut self) -> Result<(), MboxError> {
        let deleted: Vec<usize> = (0..self.entries.len()).filter(|&number| self.entries[number].deleted).collect();
        for &number in &deleted {
            if let Some(path) = self.file(number) {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
        }
        if !deleted.is_empty() {
            let left = self.entries.iter().filter(|entry| !entry.deleted);
            let messages =
                left.map(|entry| Known { identity: entry.identity, uid: entry.uid, size: Some(entry.size) }).collect();
            save(self.state_file.as_deref(), &Uids { validity: self.validity, last: self.last, messages });
        }
        Ok(())
    }
}

/// The name without its flags (":2,S").
fn base_name(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.split(|&byte| byte == b':').next().unwrap_or_default().to_vec()
}

/// The time that a unique name begins with.
fn delivered(name: &[u8]) -> u64 {
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |time: u64, digit| time.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// ",W=1234" in the name is the size with CRLF line ends.
fn size_in(name: &[u8]) -> Option<u64> {
    let parts = name.split(|&byte| byte == b',');
    let digits = parts.filter_map(|part| part.strip_prefix(b"W=")).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn size_of(path: &Path) -> io::Result<u64> {
    let mut size = WireSize::default();
    let mut count = |bytes: &[u8]| {
        size.add(bytes);
        Ok(())
    };
    body(&mut BufReader::with_capacity(64 * 1024, File::open(path)?), None, &mut count)?;
    Ok(size.size)
}

/// FNV-1a: the same in every run, which the state file needs.
fn identity(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// UIDVALIDITY and last UID, and the UID of each name.
type Listed = (Option<UidBase>, HashMap<Vec<u8>, u32>);

/// Dovecot's list: "3 V1795515772 N5 ..." and lines "UID ... :NAME"; in its first version "1 VALIDITY NEXT" and
/// "UID NAME". None for anything else.
fn uidlist(file: &Path) -> Option<Listed> {
    if std::fs::metadata(file).ok()?.len() > LARGEST {
        return None;
    }
    let text = std::fs::read(file).ok()?;
    let mut lines = text.split(|&byte| byte == b'\n');
    let head = String::from_utf8_lossy(lines.next()?).into_owned();
    let mut words = head.split(' ');
    let third = words.next()? == "3";
    let (mut validity, mut next) = (None, None);
    for (place, word) in words.enumerate() {
        match (third, place) {
            (true, _) if word.starts_with('V') => validity = word[1..].parse().ok(),
            (true, _) if word.starts_with('N') => next = word[1..].parse().ok(),
            (false, 0) => validity = word.parse().ok(),
            (false, 1) => next = word.parse().ok(),
            _ => {}
        }
    }
    let base = UidBase { validity: validity?, last: u32::checked_sub(next?, 1)? };
    let mut held = HashMap::new();
    for line in lines {
        let Some(space) = memchr::memchr(b' ', line) else { continue };
        let (uid, rest) = line.split_at(space);
        let name = if third { rest.splitn(2, |&byte| byte == b':').nth(1) } else { rest.get(1..) };
        let uid = std::str::from_utf8(uid).ok().and_then(|uid| uid.parse().ok());
        if let (Some(uid), Some(name)) = (uid, name) {
            let name = name.split(|&byte| byte == b':').next().unwrap_or_default();
            held.insert(name.to_vec(), uid);
        }
    }
    Some((Some(base), held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for part in ["new", "cur", "tmp"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        std::fs::write(dir.path().join("cur/200.M1.host,S=20:2,S"), "Subject: b\n\nbody\n").unwrap();
        std::fs::write(dir.path().join("new/100.M1.host"), "Subject: a\n\none\ntwo\n").unwrap();
        dir
    }

    #[test]
    fn messages_in_their_order_and_deletion() {
        let dir = maildir();
        let mut drop = MaildirDrop::open(dir.path(), Some(dir.path())).unwrap();
        assert_eq!(drop.entries().iter().map(|entry| entry.size).collect::<Vec<_>>(), [24, 20]);
        // A mail reader has seen it meanwhile.
        std::fs::rename(dir.path().join("new/100.M1.host"), dir.path().join("cur/100.M1.host:2,S")).unwrap();
        let mut text = Vec::new();
        let mut take = |bytes: &[u8]| {
            text.extend_from_slice(bytes);
            Ok(())
        };
        assert!(drop.read(0, Some(1), &mut take).unwrap());
        assert_eq!(text, b"Subject: a\n\none\n");
        drop.entries_mut()[0].deleted = true;
        drop.commit().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("cur")).unwrap().count(), 1);
        let again = MaildirDrop::open(dir.path(), Some(dir.path())).unwrap();
        assert_eq!((again.validity(), again.entries()[0].uid), (drop.validity(), 2));
    }

    #[test]
    fn the_uids_of_dovecot_stay() {
        let dir = maildir();
        let list = "3 V1795515772 N9 Gabc\n4 :200.M1.host,S=20:2,S\n8 W5 :gone\n";
        std::fs::write(dir.path().join("dovecot-uidlist"), list).unwrap();
        let drop = MaildirDrop::open(dir.path(), None).unwrap();
        assert_eq!(drop.validity(), 1_795_515_772);
        assert_eq!(drop.entries().iter().map(|entry| entry.uid).collect::<Vec<_>>(), [4, 9]);
    }
}
