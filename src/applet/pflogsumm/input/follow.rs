//! A source that goes on: a log file that grows, is rotated or truncated, or the journal.

use super::packed;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// How often a file is looked at.
const EVERY: Duration = Duration::from_millis(250);
const PIECE: usize = 64 * 1024;

/// What is there and what comes, in pieces cut anywhere; the journal without a name.
pub fn followed(name: Option<&OsStr>) -> io::Result<Receiver<Vec<u8>>> {
    let (send, receive) = sync_channel(64);
    match name {
        Some(name) => {
            let (name, file) = (name.to_owned(), File::open(name)?);
            std::thread::spawn(move || file_goes_on(&name, file, &send));
        }
        None => {
            let mut command = Command::new("journalctl");
            command.args(["--quiet", "--follow", "--lines=1000", "--output=export", "SYSLOG_FACILITY=2"]);
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
            let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            std::thread::spawn(move || {
                if let Ok(mut source) = packed::unpacked(out) {
                    while forward(&mut source, &send) == Some(true) {}
                }
                // journalctl ends by itself when nobody reads.
                let _ = child.wait();
            });
        }
    }
    Ok(receive)
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
        loop {
            let mut counted = (&mut file).take(PIECE as u64);
            match forward(&mut counted, send) {
                Some(true) => read += PIECE as u64 - counted.limit(),
                Some(false) => break,
                None => return,
            }
        }
        std::thread::sleep(EVERY);
        // Another file of the name, or a shorter one: what was left in the old one was read just now.
        let (Ok(there), Ok(here)) = (std::fs::metadata(name), file.metadata()) else { continue };
        let other = (there.dev(), there.ino()) != (here.dev(), here.ino());
        if (other || here.len() < read)
            && let Ok(new) = File::open(name)
        {
            (file, read) = (new, 0);
            // The old one's last line may have had no end.
            if send.send(b"\n".to_vec()).is_err() {
                return;
            }
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
        let pieces = followed(Some(path.as_os_str())).unwrap();
        let mut seen = String::new();
        let mut wait = |what: &str| {
            while !seen.contains(what) {
                let piece = pieces.recv_timeout(Duration::from_secs(10)).unwrap();
                seen += &String::from_utf8(piece).unwrap();
            }
        };
        wait("one\n");
        File::options().append(true).open(&path).unwrap().write_all(b"two\n").unwrap();
        wait("two\n");
        std::fs::rename(&path, &old).unwrap();
        std::fs::write(&path, "three\n").unwrap();
        wait("three\n");
        File::options().write(true).truncate(true).open(&path).unwrap().write_all(b"4\n").unwrap();
        wait("4\n");
        assert!(seen.find("one").is_some_and(|at| at < seen.find("two").unwrap_or(0)));
    }
}
