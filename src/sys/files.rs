//! Files that survive a crash: a new content goes to a temporary name in the same directory, is fsynced, renamed
//! over the old one, and the directory is fsynced. The rename is the commit point.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes the names in a directory durable.
pub fn fsync_dir(dir: &Path) -> io::Result<()> {
    File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?.sync_all()
}

/// Puts `one` where `other` is and the other way round, in one step; both are there.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    Ok(renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)?)
}

/// A file that takes the place of `path` when it is committed and leaves nothing when it is dropped before.
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    committed: bool,
}

/// A file without a name on the file system of `beside`, gone with its last descriptor; not every file system has such.
pub fn nameless(beside: &Path) -> io::Result<File> {
    let directory = beside.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(directory)
}

impl Replacement {
    /// Opens a temporary file beside `path`, with `mode` (octal permission bits, umask not applied).
    pub fn create(path: &Path, mode: u32) -> io::Result<Replacement> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        loop {
            let mut temporary_name = name.to_owned();
            temporary_name.push(format!(".{}.{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
            let temporary = path.with_file_name(temporary_name);
            match OpenOptions::new().write(true).read(true).create_new(true).mode(0o600).open(&temporary) {
                Ok(file) => {
                    let made = Replacement { path: path.to_owned(), temporary, file, committed: false };
                    made.file.set_permissions(std::fs::Permissions::from_mode(mode))?;
                    return Ok(made);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
        }
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub fn temporary_path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the new file the owner and group of `model`; without the right to do so it keeps the caller's.
    pub fn own_as(&self, model: &std::fs::Metadata) {
        let _ = std::os::unix::fs::fchown(&self.file, Some(model.uid()), Some(model.gid()));
    }

    /// The rename alone, for files that can be made again: after a power failure anything may stand there.
    pub fn commit_unsynced(mut self) -> io::Result<()> {
        std::fs::rename(&self.temporary, &self.path)?;
        self.committed = true;
        Ok(())
    }

    /// fsync, rename (the commit point), fsync of the directory.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.committed = true;
        fsync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Replaces the content of `path`, keeping the mode and owner of an existing file; a new one gets `mode`.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let old = std::fs::metadata(path).ok();
    let mode = old.as_ref().map_or(mode, |old| old.mode() & 0o7777);
    let mut new = Replacement::create(path, mode)?;
    if let Some(old) = &old {
        new.own_as(old);
    }
    new.write_all(content)?;
    new.commit()
}

/// Bytes and files that a file system can still take: (free bytes, free inodes), both for unprivileged use.
pub fn free_space(path: &Path) -> io::Result<(u64, u64)> {
    let found = nix::sys::statvfs::statvfs(path).map_err(io::Error::from)?;
    let inodes = if found.files() == 0 { u64::MAX } else { found.files_available() };
    Ok((found.blocks_available().saturating_mul(found.fragment_size()), inodes))
}

/// The file mode creation mask, which umask(2) cannot read without setting it.
pub fn umask() -> u32 {
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(mask);
    mask.bits()
}

/// Whether standard input can be read from any place.
pub fn stdin_is_file() -> bool {
    let stdin = io::stdin();
    let own = std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned();
    own.and_then(|fd| File::from(fd).metadata()).is_ok_and(|data| data.is_file())
}

/// Whether this process may write there.
pub fn is_writable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// Whether this process may run it.
pub fn check_executable(path: &Path) -> io::Result<()> {
    nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).map_err(io::Error::from)
}

/// The C library's words for an error, without Rust's "(os error N)": "No such file or directory".
pub fn reason(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return error.to_string() };
    let text = io::Error::from_raw_os_error(number).to_string();
    text.rsplit_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}
