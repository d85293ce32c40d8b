//! Appending a message to a mailbox file, and putting one into a maildir, for delivery agents. Ok means: on disk. An
//! error means: the mailbox is as it was.

use crate::log::Log;
use crate::sys::accounts;
use crate::sys::files;
use crate::sys::lock::{self, Dotlock, Intent, Kind, Patience};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// How a mailbox file is opened and locked.
#[derive(Clone)]
pub struct Rules {
    pub fcntl: bool,
    pub dotlock: bool,
    pub flock: bool,
    pub patience: Patience,
    /// Only a mailbox that belongs to this user is written (strict_mailbox_ownership).
    pub owner: Option<u32>,
    /// Whom a new file is given to, if the caller may.
    pub give_to: Option<(u32, u32)>,
    /// Where to say what is odd and yet no reason to fail.
    pub log: Arc<Log>,
    /// Largest size of the file after delivery; 0: no limit.
    pub size_limit: u64,
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The place is no place for mail, whoever tries: a link, a device.
    #[error("{0}")]
    Unfit(String),
    /// Someone else's; temporary, since strict_mailbox_ownership says so and not the place.
    #[error("{0}")]
    NotOwned(String),
    /// Somebody else has the lock, or keeps the place in motion.
    #[error("{0}")]
    Busy(String),
    #[error("{what}: {}", files::reason(source))]
    Io { what: String, source: io::Error },
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> DeliverError {
    let what = what.into();
    move |source| DeliverError::Io { what, source }
}

/// Appends what `write` writes. The caller holds the identity that may open the file.
pub fn append(
    path: &Path,
    rules: &Rules,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), DeliverError> {
    let shown = path.display();
    let dotlock =
        if rules.dotlock {
            match Dotlock::acquire(path, rules.patience) {
                Ok(taken) => Some(taken.ok_or_else(|| {
                    DeliverError::Busy(format!("unable to create lock file {shown}.lock: File exists"))
                })?),
                // A file in a directory where its owner may make no other has the kernel's locks alone.
                Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
                    let reason = files::reason(&error);
                    rules.log.warning(format!("unable to create lock file {shown}.lock: {reason}"));
                    None
                }
                Err(error) => return Err(failed(format!("unable to create lock file {shown}.lock"))(error)),
            }
        } else {
            None
        };
    let (file, created) = open_locked(path, rules)?;
    let data = file.metadata().map_err(failed(format!("stat {shown}")))?;
    let mut before = data.len();
    if let Some(dotlock) = &dotlock {
        // An agent that was killed in the middle left a torn message, or a whole one that nobody knows to be
        // delivered and that is about to be delivered again: the mailbox goes back to where it was. Its lock kept
        // everyone else out meanwhile.
        if let Some(intent) = dotlock.abandoned().filter(|intent| intent.inode == data.ino() && intent.size < before) {
            file.set_len(intent.size).map_err(failed(format!("truncate {shown}")))?;
            before = intent.size;
        }
        dotlock
            .note_append(Intent { inode: data.ino(), size: before })
            .map_err(failed(format!("write lock file {shown}.lock")))?;
    }
    let outcome = write_and_sync(&file, rules, before, write);
    if outcome.is_err() {
        // The mailbox as it was, while the locks are still held.
        let _ = file.set_len(before);
        let _ = file.sync_data();
        return outcome;
    }
    if created && let Some(parent) = path.parent() {
        // The name of a new mailbox must survive too; a directory that cannot be read was synced by the file system
        // with the file where that is possible at all.
        match files::fsync_dir(parent) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(failed(format!("fsync {}", parent.display()))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The mailbox, open and locked, and whether it is new. A reader that keeps its changes by renaming a new file over
/// the old one may have done so between our open and our lock: mail appended to the old file would be lost, so the
/// file at the path must still be the one that is locked.
fn open_locked(path: &Path, rules: &Rules) -> Result<(File, bool), DeliverError> {
    let shown = path.display();
    let busy =
        || DeliverError::Busy("unable to lock for exclusive access: Resource temporarily unavailable".to_owned());
    for _ in 0..rules.patience.attempts.clamp(3, 100) {
        let (file, created) = open_mailbox(path, rules)?;
        if rules.fcntl
            && !lock::fcntl(&file, Kind::Exclusive, rules.patience).map_err(failed(format!("lock {shown}")))?
        {
            return Err(busy());
        }
        if rules.flock && !lock::flock(&file, rules.patience).map_err(failed(format!("lock {shown}")))? {
            return Err(busy());
        }
        if lock::still_at(&file, path).map_err(failed(format!("stat {shown}")))? {
            return Ok((file, created));
        }
    }
    Err(DeliverError::Busy(format!("{shown} keeps being replaced")))
}

fn write_and_sync(
    file: &File,
    rules: &Rules,
    before: u64,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), DeliverError> {
    let mut output = io::BufWriter::with_capacity(64 * 1024, file);
    write(&mut output).and_then(|()| output.flush()).map_err(failed("error writing message"))?;
    drop(output);
    let after = file.metadata().map_err(failed("error writing message"))?.len();
    if rules.size_limit > 0 && after > rules.size_limit && after > before {
        return Err(failed("error writing message")(io::Error::from_raw_os_error(libc::EFBIG)));
    }
    file.sync_all().map_err(failed("error writing message"))
}

/// Opens an existing mailbox or makes one; never through a link, never a special file.
fn open_mailbox(path: &Path, rules: &Rules) -> Result<(File, bool), DeliverError> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    for _ in 0..3 {
        match OpenOptions::new().append(true).custom_flags(flags).open(path) {
            Ok(file) => {
                check(&file, path, rules)?;
                return Ok((file, false));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return Err(DeliverError::Unfit("file is a symbolic link".into()));
            }
            Err(error) => return Err(failed("cannot open file")(error)),
        }
        match OpenOptions::new().append(true).create_new(true).mode(0o600).custom_flags(flags).open(path) {
            Ok(file) => {
                if let Some((uid, gid)) = rules.give_to {
                    let given = std::os::unix::fs::fchown(&file, Some(uid), Some(gid));
                    if let Err(error) = given {
                        let _ = std::fs::remove_file(path);
                        return Err(failed("cannot change file ownership")(error));
                    }
                }
                return Ok((file, true));
            }
            // Somebody else made it meanwhile: open that one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("cannot create file exclusively")(error)),
        }
    }
    Err(DeliverError::Unfit("file keeps changing under us".into()))
}

fn check(file: &File, path: &Path, rules: &Rules) -> Result<(), DeliverError> {
    let data = file.metadata().map_err(failed("stat"))?;
    let shown = path.display();
    if !data.is_file() {
        return Err(DeliverError::Unfit(format!("destination {shown} is not a regular file")));
    }
    if data.nlink() > 1 {
        return Err(DeliverError::Unfit(format!("file has {} hard links", data.nlink())));
    }
    if rules.owner.is_some_and(|owner| owner != data.uid()) {
        rules.log.warning("specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
        return Err(DeliverError::NotOwned(format!("destination {shown} is not owned by recipient")));
    }
    Ok(())
}

/// Delivers into a maildir: tmp/, fsync, link into new/, fsync of new/. The reference leaves out the last step, and
/// a power cut then loses mail that it logged as sent.
pub fn maildir(
    directory: &Path,
    log: &Log,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<PathBuf, DeliverError> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let host =
        nix::unistd::gethostname().unwrap_or_default().to_string_lossy().replace('/', "\\057").replace(':', "\\072");
    let unique =
        format!("{}.P{}Q{}.{host}", now.as_secs(), std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let temporary = directory.join("tmp").join(&unique);
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let opened = create().or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        for name in ["", "tmp", "new", "cur"] {
            use std::os::unix::fs::DirBuilderExt;
            match std::fs::DirBuilder::new().recursive(name.is_empty()).mode(0o700).create(directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        create()
    });
    let what = format!("create maildir file {}", temporary.display());
    let file = opened.map_err(|error| {
        if error.kind() == io::ErrorKind::PermissionDenied {
            let (uid, gid) = accounts::effective_ids();
            let reason = files::reason(&error);
            log.warning(format!("maildir access problem for UID/GID={uid}/{gid}: {what}: {reason}"));
            log.warning("perhaps you need to create the maildirs in advance");
        }
        failed(what)(error)
    })?;
    let delivered = (|| {
        let mut output = io::BufWriter::with_capacity(64 * 1024, &file);
        write(&mut output).and_then(|()| output.flush()).map_err(failed("error writing message"))?;
        drop(output);
        file.sync_all().map_err(failed("error writing message"))?;
        let data = file.metadata().map_err(failed("stat"))?;
        let name = format!("{}.V{:x}I{:x}M{}.{host}", now.as_secs(), data.dev(), data.ino(), now.subsec_micros());
        let target = directory.join("new").join(name);
        std::fs::rename(&temporary, &target).map_err(failed(format!("link to {}", target.display())))?;
        files::fsync_dir(&directory.join("new")).map_err(failed("fsync maildir"))?;
        Ok(target)
    })();
    if delivered.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    delivered
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn rules() -> Rules {
        let patience = Patience { attempts: 1, delay: Duration::ZERO, stale_after: Duration::from_secs(500) };
        Rules {
            fcntl: true,
            dotlock: true,
            flock: false,
            patience,
            owner: None,
            give_to: None,
            log: Arc::new(quiet()),
            size_limit: 0,
        }
    }

    fn quiet() -> Log {
        Log::open("t", "local", "mail", "/dev/null")
    }

    #[test]
    fn a_failed_write_leaves_the_mailbox_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("toto");
        append(&path, &rules(), |out| out.write_all(b"From a\n\nfirst\n\n")).unwrap();
        let before = std::fs::read(&path).unwrap();
        let failure = append(&path, &rules(), |out| {
            out.write_all(&[b'x'; 200_000])?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        });
        assert!(failure.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(!dir.path().join("toto.lock").exists());
    }

    /// faults.md F6 and F7: no second copy, and nothing torn glued to the next message.
    #[test]
    fn what_a_killed_agent_left_is_cut_off_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("toto");
        append(&path, &rules(), |out| out.write_all(b"From a\n\nfirst\n\n")).unwrap();
        // A child that dies holding the lock, in the middle of its message.
        let program = std::env::current_exe().unwrap();
        let status = std::process::Command::new(program)
            .args(["--exact", "mailbox::deliver::tests::die_in_the_middle", "--ignored"])
            .env("MAILBOX", &path)
            .output()
            .unwrap();
        assert!(!status.status.success());
        assert!(dir.path().join("toto.lock").exists());
        assert!(std::fs::read(&path).unwrap().ends_with(b"From b\n\ntorn"));
        append(&path, &rules(), |out| out.write_all(b"From b\n\nwhole\n\n")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"From a\n\nfirst\n\nFrom b\n\nwhole\n\n");
    }

    #[test]
    #[ignore = "the other half of what_a_killed_agent_left_is_cut_off_again, which runs it"]
    fn die_in_the_middle() {
        let Some(path) = std::env::var_os("MAILBOX") else { return };
        let _ = append(Path::new(&path), &rules(), |out| {
            out.write_all(b"From b\n\ntorn")?;
            out.flush()?;
            std::process::abort()
        });
    }

    #[test]
    fn links_and_special_files_are_no_mailboxes() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join("symlink")).unwrap();
        std::fs::hard_link(&target, dir.path().join("hardlink")).unwrap();
        std::fs::create_dir(dir.path().join("directory")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (name, words) in [
            ("symlink", "symbolic link"),
            ("hardlink", "2 hard links"),
            ("directory", "cannot open file: Is a directory"),
            ("fifo", "cannot open file: No such device or address"),
        ] {
            let failure = append(&dir.path().join(name), &rules(), |_| Ok(())).unwrap_err();
            assert!(failure.to_string().contains(words), "{name}: {failure}");
        }
    }

    #[test]
    fn a_held_lock_is_waited_for_and_then_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("toto");
        std::fs::write(dir.path().join("toto.lock"), "").unwrap();
        assert!(matches!(append(&path, &rules(), |_| Ok(())), Err(DeliverError::Busy(_))));
        assert!(!path.exists());
    }

    #[test]
    fn mail_goes_to_the_file_that_a_reader_renamed_in_place_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("toto");
        std::fs::write(&path, "From a\n\nold\n\n").unwrap();
        let rules = Rules {
            patience: Patience { attempts: 100, delay: Duration::from_millis(10), ..rules().patience },
            dotlock: false,
            ..rules()
        };
        let reader = File::options().read(true).write(true).open(&path).unwrap();
        assert!(lock::try_fcntl(&reader, Kind::Exclusive).unwrap());
        std::thread::scope(|scope| {
            let deliverer = scope.spawn(|| append(&path, &rules, |out| out.write_all(b"From b\n\nnew\n\n")));
            std::thread::sleep(Duration::from_millis(100));
            let fresh = dir.path().join("fresh");
            std::fs::write(&fresh, "").unwrap();
            std::fs::rename(&fresh, &path).unwrap();
            drop(reader);
            deliverer.join().unwrap().unwrap();
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"From b\n\nnew\n\n");
    }

    #[test]
    fn a_maildir_is_made_and_filled() {
        let dir = tempfile::tempdir().unwrap();
        let path = maildir(&dir.path().join("Maildir"), &quiet(), |out| out.write_all(b"hello\n")).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"hello\n");
        assert_eq!(std::fs::read_dir(dir.path().join("Maildir/tmp")).unwrap().count(), 0);
    }
}
