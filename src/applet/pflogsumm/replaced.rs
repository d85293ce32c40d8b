//! Files that are written: what was there before stays until the new content is whole, and stays if it never is. A
//! terminal, a pipe or a device is written to as it is.

use crate::exit::{Exit, Failure};
use crate::sys::files::reason;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub struct Replaced {
    to: PathBuf,
    /// None when it is written to in place.
    temporary: Option<PathBuf>,
    file: File,
}

impl Replaced {
    pub fn create(path: &Path) -> io::Result<Replaced> {
        // A link goes on leading to the file; what is no plain file must not be renamed over (/dev/stdout).
        let to = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if to.metadata().is_ok_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(&to)?;
            return Ok(Replaced { to, temporary: None, file });
        }
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let file = File::create_new(&name)?;
        Ok(Replaced { to, temporary: Some(name.into()), file })
    }

    /// The new content is whole.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(temporary) = &self.temporary {
            self.file.sync_all()?;
            std::fs::rename(temporary, &self.to)?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Write for Replaced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = std::fs::remove_file(temporary);
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
