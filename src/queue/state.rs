//! The directories of the queue and which moves between them exist. A message is in exactly one of the message
//! states; `bounce`, `defer` and `trace` hold what is said about it.

use super::id::QueueId;
use crate::conf::MainCf;
use crate::sys::accounts;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory of the queue that holds message files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Maildrop,
    Incoming,
    Active,
    Deferred,
    Hold,
    Corrupt,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Maildrop => "maildrop",
            State::Incoming => "incoming",
            State::Active => "active",
            State::Deferred => "deferred",
            State::Hold => "hold",
            State::Corrupt => "corrupt",
        }
    }

    pub fn from_name(name: &str) -> Option<State> {
        [State::Maildrop, State::Incoming, State::Active, State::Deferred, State::Hold, State::Corrupt]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// Who makes a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Qmgr,
    Postsuper,
}

/// Every move that a message file makes; a rename takes one of these.
pub const MOVES: &[(State, State, By)] = &[
    (State::Incoming, State::Active, By::Qmgr),
    (State::Deferred, State::Active, By::Qmgr),
    (State::Active, State::Deferred, By::Qmgr),
    // A restarted queue manager takes up what its predecessor left active.
    (State::Active, State::Incoming, By::Qmgr),
    (State::Active, State::Corrupt, By::Qmgr),
    (State::Incoming, State::Hold, By::Postsuper),
    (State::Active, State::Hold, By::Postsuper),
    (State::Deferred, State::Hold, By::Postsuper),
    (State::Maildrop, State::Hold, By::Postsuper),
    (State::Hold, State::Deferred, By::Postsuper),
    (State::Hold, State::Maildrop, By::Postsuper),
    (State::Incoming, State::Maildrop, By::Postsuper),
    (State::Active, State::Maildrop, By::Postsuper),
    (State::Deferred, State::Maildrop, By::Postsuper),
];

/// The mode bit of a message file that postsuper -e sets, as the reference has it.
pub const EXPIRED: u32 = 0o010;

/// Where the queue is, and which of its directories are hashed.
#[derive(Clone, Debug)]
pub struct Queue {
    directory: PathBuf,
    hashed: Vec<String>,
    depth: usize,
    pub long_ids: bool,
    setgid_group: String,
}

/// Makes a directory (0700) and those above it; each is its parent's owner's, or what root made (postsuper) would be closed
/// to the queue manager.
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
    let Some(parent) = path.parent().filter(|_| !path.is_dir()) else { return Ok(()) };
    make_directory(parent)?;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    if crate::sys::accounts::effective_uid() == 0 {
        let owner = parent.metadata()?;
        chown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

impl Queue {
    pub fn new(cf: &MainCf) -> Queue {
        Queue {
            directory: cf.queue_directory().into(),
            hashed: MainCf::list(&cf.hash_queue_names()),
            depth: usize::try_from(cf.hash_queue_depth()).unwrap_or(1).clamp(1, 16),
            long_ids: cf.enable_long_queue_ids(),
            setgid_group: cf.setgid_group(),
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The group of files in maildrop/, for root, who may set it.
    pub fn submission_group(&self) -> Option<u32> {
        if accounts::effective_uid() == 0 { accounts::group_id(&self.setgid_group) } else { None }
    }

    /// The directory of a state or of a log ("defer", "bounce", "trace").
    pub fn top(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn is_hashed(&self, name: &str) -> bool {
        self.hashed.iter().any(|hashed| hashed == name)
    }

    pub fn depth(&self, name: &str) -> usize {
        if self.is_hashed(name) { self.depth } else { 0 }
    }

    /// The path of a message file or of a log about it.
    pub fn path(&self, name: &str, id: &QueueId) -> PathBuf {
        let mut path = self.top(name);
        path.extend(id.subdirectories(self.depth(name)));
        path.push(id.as_str());
        path
    }

    /// Opens with `open`; when a subdirectory is missing it is made (0700) and the opening tried again.
    pub fn with_subdirectory<T>(&self, path: &Path, open: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
        match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_directory(path.parent().unwrap_or(&self.directory))?;
                open(path)
            }
            other => other,
        }
    }

    /// Moves a message file. A move that [`MOVES`] does not list is a mistake of ours and an error.
    pub fn shift(&self, id: &QueueId, from: State, to: State, by: By) -> io::Result<()> {
        if !MOVES.contains(&(from, to, by)) {
            return Err(io::Error::other(format!("no move from {} to {}", from.name(), to.name())));
        }
        let source = self.path(from.name(), id);
        self.with_subdirectory(&self.path(to.name(), id), |target| {
            // A missing source must not look like a missing target directory.
            if !source.exists() {
                return Err(io::Error::from_raw_os_error(libc::ESTALE));
            }
            std::fs::rename(&source, target)
        })
        .map_err(|error| {
            if error.raw_os_error() == Some(libc::ESTALE) { io::ErrorKind::NotFound.into() } else { error }
        })
    }

    /// postsuper -e: the mark that the message is to go back to its sender at the next attempt; false when it has it.
    pub fn force_expire(&self, state: State, id: &QueueId) -> io::Result<bool> {
        let path = self.path(state.name(), id);
        let mode = std::fs::metadata(&path)?.permissions().mode();
        if mode & EXPIRED != 0 {
            return Ok(false);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o7777 | EXPIRED))?;
        Ok(true)
    }

    /// Removes a message file; one that is gone is no error.
    pub fn remove(&self, name: &str, id: &QueueId) -> io::Result<()> {
        match std::fs::remove_file(self.path(name, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The directory in which a message is now; None when it is gone.
    pub fn locate(&self, id: &QueueId) -> Option<State> {
        [State::Active, State::Incoming, State::Deferred, State::Hold, State::Maildrop, State::Corrupt]
            .into_iter()
            .find(|state| self.path(state.name(), id).exists())
    }
}
