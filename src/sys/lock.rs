//! Locks as mail programs take them: flock(2) on queue, pid and table files (fd-lock would do for those alone);
//! fcntl(2) and dotlock files on mailboxes (`mailbox_delivery_lock`). A dotlock is made by link(2) from a unique
//! name, so that it holds on NFS too; a stale one is aged by its ctime, as in the reference: `touch -d` does not age it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Exclusive flock(2) without waiting; `Ok(None)` when another process holds it.
pub fn try_flock(file: File) -> io::Result<Option<nix::fcntl::Flock<File>>> {
    match nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(Some(locked)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Whether an fcntl lock is for reading (shared) or writing (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Shared,
    Exclusive,
}

/// Takes an open-file-description fcntl lock on the whole file without waiting; false when another holds one.
/// OFD locks conflict with plain fcntl locks, but are not dropped when some other descriptor of the file is
/// closed in this process, the trap of the plain ones.
pub fn try_fcntl(file: &File, kind: Kind) -> io::Result<bool> {
    let lock = libc::flock {
        l_type: match kind {
            Kind::Shared => libc::F_RDLCK,
            Kind::Exclusive => libc::F_WRLCK,
        } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match nix::fcntl::fcntl(file.as_fd(), nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Gives up what [`try_fcntl`] took, before the descriptor is closed.
pub fn unlock(file: &File) -> io::Result<()> {
    let lock = libc::flock {
        l_type: libc::F_UNLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(file.as_fd(), nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)).map(drop).map_err(io::Error::from)
}

/// How long and how often to try, and when a dotlock is taken for left behind.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub attempts: u32,
    pub delay: Duration,
    pub stale_after: Duration,
}

/// The pauses between the tries for a lock. Together they last `delay` times the attempts, as in the reference, but the
/// first are short and grow to `delay`: what holds a mailbox's lock is mostly a delivery of a millisecond, and a whole
/// second's sleep (deliver_lock_delay) would leave the mailbox alone for most of it.
struct Pauses {
    next: Duration,
    longest: Duration,
    left: Duration,
}

impl Pauses {
    fn of(patience: Patience) -> Pauses {
        let left = patience.delay.saturating_mul(patience.attempts.max(1) - 1);
        Pauses { next: Duration::from_millis(1), longest: patience.delay, left }
    }

    /// Sleeps until the next try; false, and no sleep, when the patience is at its end.
    fn sleep(&mut self) -> bool {
        let pause = self.next.min(self.longest).min(self.left);
        if pause.is_zero() {
            return false;
        }
        std::thread::sleep(pause);
        self.left -= pause;
        self.next = self.next.saturating_mul(2);
        true
    }
}

/// [`try_fcntl`], again and again; false when the patience is at its end.
pub fn fcntl(file: &File, kind: Kind, patience: Patience) -> io::Result<bool> {
    let mut pauses = Pauses::of(patience);
    while !try_fcntl(file, kind)? {
        if !pauses.sleep() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Exclusive flock(2) that lasts until the descriptor is closed, tried again and again; false when the patience is at
/// its end.
pub fn flock(file: &File, patience: Patience) -> io::Result<bool> {
    let mut pauses = Pauses::of(patience);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
            Err(std::fs::TryLockError::WouldBlock) if pauses.sleep() => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(false),
        }
    }
}

/// Whether the open file is still the one at `path` (a link there is not followed). Asked after a lock is taken: a
/// program may have renamed another file there while we waited.
pub fn still_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A held "MAILBOX.lock"; dropped, it is removed.
#[derive(Debug)]
pub struct Dotlock {
    path: PathBuf,
    /// What a dead holder of this machine was about to append to, see [`Dotlock::note_append`].
    abandoned: Option<Intent>,
}

/// An append that a lock's holder was about to do: the file's inode, and its size before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    pub inode: u64,
    pub size: u64,
}

impl Dotlock {
    /// Takes `mailbox`.lock; `Ok(None)` when another program kept it through all attempts.
    pub fn acquire(mailbox: &Path, patience: Patience) -> io::Result<Option<Dotlock>> {
        let mut name = mailbox.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let mut abandoned = None;
        let mut pauses = Pauses::of(patience);
        loop {
            if Dotlock::try_once(&path)? {
                return Ok(Some(Dotlock { path, abandoned }));
            }
            if let Some(intent) = Dotlock::remove_abandoned(&path) {
                abandoned = intent.or(abandoned);
                continue;
            }
            if !Dotlock::remove_stale(&path, patience.stale_after) && !pauses.sleep() {
                return Ok(None);
            }
        }
    }

    /// What a dead holder was about to append: with the lock in hand, the file can be cut back to where it was.
    pub fn abandoned(&self) -> Option<Intent> {
        self.abandoned
    }

    /// Writes down, durably enough to survive this process, that the file with this inode is about to grow from this
    /// size. The lock file itself is the record: it exists as long as the append is not known to be whole.
    pub fn note_append(&self, intent: Intent) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(format!("append {} {}\n", intent.inode, intent.size).as_bytes())
    }

    /// Removes a lock whose holder ran on this machine and is gone: no need to wait until it is old. `Some`: removed,
    /// with what it was about to do. Only our own locks tell who held them; any other is left to its age.
    fn remove_abandoned(path: &Path) -> Option<Option<Intent>> {
        let mut text = String::new();
        let file = File::open(path).ok()?;
        (&file).take(256).read_to_string(&mut text).ok()?;
        let mut lines = text.lines();
        let (pid, place) = lines.next()?.split_once(' ')?;
        let pid: i32 = pid.parse().ok().filter(|&pid| pid > 0)?;
        if place != here()?
            || nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
        {
            return None;
        }
        let intent = lines.next().and_then(|line| {
            let mut words = line.strip_prefix("append ")?.split(' ');
            Some(Intent { inode: words.next()?.parse().ok()?, size: words.next()?.parse().ok()? })
        });
        Dotlock::remove_exactly(&file, path).then_some(intent)
    }

    fn try_once(path: &Path) -> io::Result<bool> {
        let mut unique = path.as_os_str().to_owned();
        unique.push(format!(".{}.{:?}", std::process::id(), std::thread::current().id()));
        let unique = PathBuf::from(unique);
        let _ = std::fs::remove_file(&unique);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unique)?;
        // 0600 rather than the customary 0444: the holder writes down what it does.
        let holder = format!("{} {}\n", std::process::id(), here().unwrap_or_default());
        let _ = file.write_all(holder.as_bytes());
        // On NFS link(2) may fail and yet have happened: the link count of our own file tells.
        let linked = std::fs::hard_link(&unique, path);
        let ours = file.metadata().is_ok_and(|data| data.nlink() == 2);
        let _ = std::fs::remove_file(&unique);
        match linked {
            _ if ours => Ok(true),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(false),
        }
    }

    /// Whether an old lock was there and was removed.
    fn remove_stale(path: &Path, stale_after: Duration) -> bool {
        let Ok(data) = std::fs::symlink_metadata(path) else { return false };
        let changed = std::time::UNIX_EPOCH + Duration::from_secs(data.ctime().try_into().unwrap_or(0));
        let is_old = changed.elapsed().is_ok_and(|age| age > stale_after);
        if !is_old {
            return false;
        }
        match File::open(path) {
            Ok(file) => Dotlock::remove_exactly(&file, path),
            // A link, or a lock of someone whose files we may not read: only its name can go.
            Err(_) => std::fs::remove_file(path).is_ok(),
        }
    }

    /// Removes the lock file that was opened, never the fresh one of another process that found the same lock left
    /// behind and was faster: whoever removes holds the old file's flock, and looks at the name again.
    fn remove_exactly(file: &File, path: &Path) -> bool {
        file.try_lock().is_ok() && still_at(file, path).unwrap_or(false) && std::fs::remove_file(path).is_ok()
    }
}

/// Where a process id means something: this boot of this machine, and this pid namespace.
fn here() -> Option<&'static str> {
    static HERE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let find = || {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        Some(format!("{}/{}", boot.trim(), namespace.display()))
    };
    HERE.get_or_init(find).as_deref()
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
