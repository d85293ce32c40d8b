//! Adding one message to the end of an mbox. A mailbox of ordinary size is copied with the message behind it and
//! renamed, so that a kill leaves it as it was; a large one is appended to, and cut back when that fails.

use super::mbox::{MboxError, Section};
use super::rewrite::Locked;
use crate::sys::files::{Replacement, fsync_dir};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Up to this size the mailbox is copied.
const COPY_LIMIT: u64 = 16 << 20;

/// Appends `message`: a From_ line, a header and a body in which lines that begin with "From " are quoted already.
/// A new file gets `mode`. Fsynced when this returns.
pub fn append(path: &Path, message: &[u8], mode: u32) -> Result<(), MboxError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    match created {
        Ok(_) => fsync_dir(path.parent().unwrap_or(Path::new(".")))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let path = std::fs::canonicalize(path)?;
    if !std::fs::metadata(&path)?.is_file() {
        // A terminal, a pipe, /dev/null: nothing to lock or to copy.
        OpenOptions::new().append(true).open(&path)?.write_all(message)?;
        return Ok(());
    }
    let locked = Locked::acquire(&path)?;
    let data = locked.file.metadata()?;
    let size = data.len();
    let gap = gap(&locked.file, size)?;
    let end: &[u8] = match message {
        [.., b'\n', b'\n'] => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    };
    if locked.dotlock.is_some()
        && size <= COPY_LIMIT
        && data.nlink() == 1
        && let Ok(mut new) = Replacement::create(&path, data.mode() & 0o7777)
    {
        new.own_as(&data);
        let made = new.file().metadata()?;
        if (made.uid(), made.gid()) == (data.uid(), data.gid()) {
            {
                let mut out = BufWriter::with_capacity(256 * 1024, new.file());
                io::copy(&mut Section::new(&locked.file, 0, size), &mut out)?;
                for part in [gap, message, end] {
                    out.write_all(part)?;
                }
                out.flush()?;
            }
            new.commit()?;
            return Ok(());
        }
    }
    let written = locked.file.write_all_at(&[gap, message, end].concat(), size).and_then(|()| locked.file.sync_all());
    if let Err(error) = written {
        let _ = locked.file.set_len(size);
        return Err(error.into());
    }
    Ok(())
}

/// What the file's end lacks of an empty line.
fn gap(file: &std::fs::File, size: u64) -> io::Result<&'static [u8]> {
    let mut tail = [0; 2];
    let count = file.read_at(&mut tail, size.saturating_sub(2))?;
    Ok(match &tail[..count] {
        [] | [b'\n', b'\n'] | [b'\n'] => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    })
}
