//! Writing a new queue file. It has a temporary name until it is whole: content written, "+x" set (the reference's
//! own mark of a complete file), fsynced, then renamed to its id: the commit point. Then the directory is fsynced.
//! Dropped before, it leaves nothing.

use super::id::QueueId;
use super::record::{self, Type};
use super::state::Queue;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// A queue file in the making.
pub struct NewFile {
    id: QueueId,
    temporary: PathBuf,
    target: PathBuf,
    output: BufWriter<File>,
    position: u64,
    committed: bool,
}

impl NewFile {
    /// Opens a temporary file in the directory `name` ("incoming" or "maildrop"), which decides the id.
    pub fn create(queue: &Queue, name: &str) -> io::Result<NewFile> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let directory = queue.top(name);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            // A dot keeps it from being a queue id; the reference's own sweep of stale temporary files knows it too.
            let temporary = directory.join(format!("{number}.{}", std::process::id()));
            let opened = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&temporary);
            match opened {
                Ok(file) => {
                    let inode = file.metadata()?.ino();
                    let id = QueueId::generate(SystemTime::now(), inode, queue.long_ids);
                    let target = queue.path(name, &id);
                    let output = BufWriter::with_capacity(16 * 1024, file);
                    return Ok(NewFile { id, temporary, target, output, position: 0, committed: false });
                }
                // Left behind by a dead process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let _ = std::fs::remove_file(&temporary);
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub fn id(&self) -> &QueueId {
        &self.id
    }

    /// Where the next record will stand, in bytes from the start of the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn record(&mut self, kind: Type, data: &[u8]) -> io::Result<()> {
        self.position += record::write(&mut self.output, kind, data)?;
        Ok(())
    }

    /// Gives the file to the mail system's account; needed when a root process (local) makes it.
    pub fn own_by(&self, uid: u32, gid: u32) -> io::Result<()> {
        std::os::unix::fs::fchown(self.output.get_ref(), Some(uid), Some(gid))
    }

    /// Rewrites the first record in place; it must have the length that it had.
    pub fn rewrite_first(&mut self, kind: Type, data: &[u8]) -> io::Result<()> {
        self.output.flush()?;
        self.output.seek(SeekFrom::Start(0))?;
        record::write(&mut self.output, kind, data)?;
        self.output.flush()?;
        self.output.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// Where it will be instead: it goes there in the one rename that commits it, and the queue manager never sees it in
    /// its way.
    pub fn settle_in(&mut self, queue: &Queue, name: &str) -> io::Result<()> {
        self.target = queue.path(name, &self.id);
        queue.with_subdirectory(&self.target, |target| {
            target.parent().map_or(Ok(()), |parent| parent.metadata().map(drop))
        })
    }

    /// Makes the message durable under its id. When this returns Ok, and not before, the mail is accepted.
    pub fn commit(mut self, mode: u32) -> io::Result<QueueId> {
        self.output.flush()?;
        let file = self.output.get_ref();
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        if let Err(error) = self.sync_name() {
            // The sender hears of a failure and tries again: this copy must not be delivered beside the next.
            let _ = std::fs::remove_file(&self.target);
            return Err(error);
        }
        Ok(self.id.clone())
    }
}

impl NewFile {
    /// Makes the new name durable.
    fn sync_name(&self) -> io::Result<()> {
        let Some(directory) = self.target.parent() else { return Ok(()) };
        match crate::sys::files::fsync_dir(directory) {
            // A submitter may write to maildrop/ but not read it. The rename changed the inode too (its ctime), so
            // syncing the file again commits the rename on ext4, xfs and btrfs.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.output.get_ref().sync_all(),
            other => other,
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
