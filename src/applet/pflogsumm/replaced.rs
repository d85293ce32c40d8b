//! Files that are written: what was there before stays until the new content is whole, and stays if it never is. A
//! terminal, a pipe or a device is written to as it is.

use crate::exit::{Exit, Failure};
use crate::sys::files::{Replacement, reason, umask};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub enum Replaced {
    InPlace(File),
    Beside(Replacement),
}

impl Replaced {
    pub fn create(path: &Path) -> io::Result<Replaced> {
        // A link goes on leading to the file; what is no plain file must not be renamed over (/dev/stdout).
        let to = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mode = match to.metadata() {
            Ok(there) if !there.is_file() => {
                return Ok(Replaced::InPlace(File::options().write(true).open(&to)?));
            }
            Ok(there) => there.mode() & 0o7777,
            Err(_) => 0o666 & !umask(),
        };
        Ok(Replaced::Beside(Replacement::create(&to, mode)?))
    }

    /// The new content is whole.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Replaced::InPlace(_) => Ok(()),
            Replaced::Beside(new) => new.commit(),
        }
    }
}

impl Write for Replaced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Replaced::InPlace(file) => file.write(bytes),
            Replaced::Beside(new) => new.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Replaced::InPlace(file) => file.flush(),
            Replaced::Beside(new) => new.flush(),
        }
    }
}

/// "fatal: cannot write FILE: reason"
pub fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::IOERR, format!("fatal: cannot {what} {}: {}", path.display(), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_old_one_or_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("page"), dir.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut half = Replaced::create(&link).unwrap();
        half.write_all(b"ne").unwrap();
        drop(half);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let mut whole = Replaced::create(&link).unwrap();
        whole.write_all(b"new").unwrap();
        whole.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(link.is_symlink() && std::fs::read_dir(dir.path()).unwrap().count() == 2);
        Replaced::create(Path::new("/dev/null")).unwrap().finish().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
