//! The order in the queue: files that a crash left behind go; the others stand in the subdirectory that
//! hash_queue_depth wants, under the name that their inode gives them (a restored queue has other inodes, and a name
//! that is not the inode's may be given to a new message).
//!
//! A new name may be an old one's: files take their new names with a mark behind them first, and when all have theirs the
//! marks go. A run that was cut short is finished by the next.

use crate::applet::voice::Voice;
use crate::exit::Failure;
use crate::queue::{Queue, QueueId};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What an operand may name.
pub const DIRECTORIES: &[&str] =
    &["maildrop", "incoming", "active", "deferred", "hold", "defer", "bounce", "trace", "flush"];
/// Those that hold messages; the others hold what is said of them.
const MESSAGES: &[&str] = &["maildrop", "incoming", "active", "deferred", "hold"];
const LOGS: &[&str] = &["defer", "bounce", "trace"];
/// A file that is not complete after this long will never be.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The reference's own: either finishes what the other began.
const MARK: &str = "#FIX";
/// Deeper than any hash_queue_depth.
const MAX_DEPTH: usize = 17;

pub struct Mend<'a> {
    pub queue: &'a Queue,
    pub voice: &'a Voice,
    pub wanted: &'a [String],
}

impl Mend<'_> {
    fn directories<'b>(&'b self, of: &'b [&'static str]) -> impl Iterator<Item = &'static str> + 'b {
        of.iter().copied().filter(|name| self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == name))
    }

    /// Removes the temporary files of writers that died.
    pub fn purge(&self) -> Result<(), Failure> {
        for name in self.directories(MESSAGES) {
            for (path, data) in files(&self.queue.top(name)) {
                let age = data.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
                if data.mode() & 0o100 == 0 && age.is_some_and(|age| age > STALE) {
                    self.warn_of(&path, fs::remove_file(&path));
                } else if id_of(&path).is_none() {
                    self.voice.warning(format!("bogus file name: {}", self.shown(&path)));
                }
            }
        }
        Ok(())
    }

    /// Puts files where they belong; how many got another name.
    pub fn restructure(&self) -> Result<usize, Failure> {
        let mut renamed = 0;
        for name in self.directories(MESSAGES) {
            for (path, data) in files(&self.queue.top(name)) {
                let Some((id, false)) = id_of(&path) else { continue };
                if data.mode() & 0o100 != 0 && !id.is_of_inode(data.ino()) {
                    let new = id.with_inode(data.ino());
                    self.rename(&path, &marked(&self.queue.path(name, &new)));
                    for log in LOGS {
                        let old = self.queue.path(log, &id);
                        if old.exists() {
                            self.rename(&old, &marked(&self.queue.path(log, &new)));
                        }
                    }
                    renamed += 1;
                }
            }
        }
        for name in self.directories(MESSAGES).chain(self.directories(LOGS)) {
            for (path, _) in files(&self.queue.top(name)) {
                let Some((id, _)) = id_of(&path) else { continue };
                let right = self.queue.path(name, &id);
                if path != right {
                    self.rename(&path, &right);
                }
            }
        }
        Ok(renamed)
    }

    fn rename(&self, from: &Path, to: &Path) {
        if to.exists() {
            let (from, to) = (self.shown(from), self.shown(to));
            self.voice.warning(format!("rename {from} to {to}: File exists"));
            return;
        }
        self.warn_of(from, self.queue.with_subdirectory(to, |to| fs::rename(from, to)));
    }

    fn warn_of(&self, path: &Path, outcome: io::Result<()>) {
        if let Err(error) = outcome
            && error.kind() != io::ErrorKind::NotFound
        {
            self.voice.warning(format!("{}: {}", self.shown(path), crate::sys::files::reason(&error)));
        }
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.queue.directory()).unwrap_or(path).display().to_string()
    }
}

fn marked(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(MARK);
    name.into()
}

/// The id in a file's name, and whether it has the mark.
fn id_of(path: &Path) -> Option<(QueueId, bool)> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(MARK);
    Some((QueueId::parse(plain.unwrap_or(name))?, plain.is_some()))
}

/// Every plain file below a directory, as they are now: what follows moves them.
fn files(top: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut found = Vec::new();
    let mut rest = vec![(top.to_owned(), 0)];
    while let Some((directory, depth)) = rest.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match plain(&entry) {
                Some(data) if data.is_dir() && depth < MAX_DEPTH => rest.push((entry.path(), depth + 1)),
                Some(data) if data.is_file() => found.push((entry.path(), data)),
                _ => {}
            }
        }
    }
    found
}

fn plain(entry: &DirEntry) -> Option<Metadata> {
    entry.metadata().ok()
}
