//! A source that goes on: a log file that grows, is rotated or truncated, or the journal.

use super::{journal, packed};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::process::Child;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// How often a file is looked at.
const EVERY: Duration = Duration::from_millis(250);
const PIECE: usize = 64 * 1024;

/// What is there and what comes, in pieces cut anywhere. It ends with this.
pub struct Followed {
    pub pieces: Receiver<Vec<u8>>,
    /// journalctl
    child: Option<Child>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// The file of this name ("-" is standard input, which ends), or without one the journal.
pub fn followed(name: Option<&OsStr>) -> io::Result<Followed> {
    let (send, pieces) = sync_channel(64);
    match name {
        Some(name) if name == "-" => {
            std::thread::spawn(move || {
                let mut input = io::stdin().lock();
                while forward(&mut input, &send) == Some(true) {}
            });
        }
        Some(name) => {
            let (name, file) = (name.to_owned(), File::open(name)?);
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            std::thread::spawn(move || file_goes_on(&name, file, &send));
        }
        None => {
            let mut command = journal::command();
            command.args(["--follow", "--lines=1000"]);
            let mut child = command.spawn()?;
            let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            std::thread::spawn(move || {
                if let Ok(mut source) = packed::unpacked(out) {
                    while forward(&mut source, &send) == Some(true) {}
                }
            });
            return Ok(Followed { pieces, child: Some(child) });
        }
    }
    Ok(Followed { pieces, child: None })
}

/// Reads a piece; Some(false) at the end, None when nobody wants more.
fn forward(source: &mut impl Read, send: &SyncSender<Vec<u8>>) -> Option<bool> {
    let mut piece = vec![0; PIECE];
    match source.read(&mut piece) {
        Ok(0) => Some(false),
        Ok(read) => {
            piece.truncate(read);
            send.send(piece).ok().map(|()| true)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(true),
        Err(_) => Some(false),
    }
}

fn file_goes_on(name: &OsString, mut file: File, send: &SyncSender<Vec<u8>>) {
    let mut read: u64 = 0;
    loop {
        match to_the_end(&mut file, send) {
            Some(more) => read += more,
            None => return,
        }
        std::thread::sleep(EVERY);
        let (Ok(there), Ok(here)) = (std::fs::metadata(name), file.metadata()) else { continue };
        // Another file of the name counts when something is in it: until the writer is told of the rotation it goes on
        // with the old one, which is read to its end first.
        let other = (there.dev(), there.ino()) != (here.dev(), here.ino()) && there.len() > 0;
        if (other || here.len() < read)
            && let Ok(new) = File::open(name)
        {
            if other && to_the_end(&mut file, send).is_none() {
                return;
            }
            (file, read) = (new, 0);
            // The old one's last line may have had no end.
            if send.send(b"\n".to_vec()).is_err() {
                return;
            }
        }
    }
}

/// Bytes that were read; None when nobody wants more.
fn to_the_end(file: &mut File, send: &SyncSender<Vec<u8>>) -> Option<u64> {
    let mut read = 0;
    loop {
        let mut counted = (&mut *file).take(PIECE as u64);
        match forward(&mut counted, send)? {
            true => read += PIECE as u64 - counted.limit(),
            false => return Some(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_log_is_followed_across_rotation_and_truncation() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        std::fs::write(&path, "one\n").unwrap();
        let followed = followed(Some(path.as_os_str())).unwrap();
        let mut seen = String::new();
        let mut wait = |what: &str| {
            while !seen.contains(what) {
                let piece = followed.pieces.recv_timeout(Duration::from_secs(10)).unwrap();
                seen += &String::from_utf8(piece).unwrap();
            }
        };
        wait("one\n");
        File::options().append(true).open(&path).unwrap().write_all(b"two\n").unwrap();
        wait("two\n");
        std::fs::rename(&path, &old).unwrap();
        // The writer goes on with the old file until it is told.
        std::fs::write(&path, "").unwrap();
        std::thread::sleep(EVERY * 2);
        File::options().append(true).open(&old).unwrap().write_all(b"late\n").unwrap();
        std::fs::write(&path, "three\n").unwrap();
        wait("three\n");
        File::options().write(true).truncate(true).open(&path).unwrap().write_all(b"4\n").unwrap();
        wait("4\n");
        assert!(seen.contains("late\n"));
        assert!(seen.find("one").is_some_and(|at| at < seen.find("two").unwrap_or(0)));
    }
}
