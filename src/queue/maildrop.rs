//! The maildrop: where local submission leaves mail for pickup(8), whether or not the mail system runs. The stream
//! of records from sendmail is checked one by one before anything of it is kept: the program that writes here is
//! set-gid and its input is the user's.

use super::create::NewFile;
use super::id::QueueId;
use super::record::{self, RecordError, Type};
use super::state::Queue;
use crate::ipc::trigger;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// What a user may say in the envelope, in the content, and after it; nothing else.
const ENVELOPE: &[Type] = &[
    Type::FULL_NAME,
    Type::SENDER,
    Type::RECIPIENT,
    Type::VERP,
    Type::ATTRIBUTE,
    Type::DSN_NOTIFY,
    Type::DSN_ENVID,
    Type::MESSAGE,
];
const CONTENT: &[Type] = &[Type::NORMAL, Type::CONTINUED, Type::EXTRACTED];
const EXTRACT: &[Type] = &[Type::RECIPIENT, Type::ATTRIBUTE, Type::END];

#[derive(Debug, Error)]
pub enum DropError {
    #[error("uid={uid}: malformed input: {source}")]
    Record { uid: u32, source: RecordError },
    #[error("uid={uid}: unexpected record type: {kind}")]
    Unexpected { uid: u32, kind: u8 },
    #[error("uid={uid}: control character in envelope record")]
    Control { uid: u32 },
    #[error("uid={uid}: malformed input")]
    Truncated { uid: u32 },
    #[error("uid={uid}: file too big")]
    TooBig { uid: u32 },
    #[error("create file maildrop/{name}: {reason}", reason = crate::sys::files::reason(source))]
    Create { name: String, source: io::Error },
    #[error("{path}: {reason}", reason = crate::sys::files::reason(source))]
    Write { path: String, source: io::Error },
}

/// Copies the records of `input` into a new file in maildrop/, whole or not at all. `limit` is message_size_limit
/// (0: none). Ok means: fsynced and renamed.
pub fn submit(queue: &Queue, input: &mut impl Read, uid: u32, limit: u64) -> Result<QueueId, DropError> {
    let written = |source| DropError::Write { path: queue.top("maildrop").display().to_string(), source };
    let mut file = NewFile::create(queue, "maildrop").map_err(|source| {
        let micros = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_micros();
        DropError::Create { name: format!("{micros}.{}", std::process::id()), source }
    })?;
    // The group that postdrop gives a user's mail; who may not give it away has that group already, or a queue alone.
    if let Some(group) = queue.submission_group() {
        let _ = file.own_by(uid, group);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    file.record(Type::TIME, format!("{} {}", now.as_secs(), now.subsec_micros()).as_bytes()).map_err(written)?;
    let mut allowed = ENVELOPE;
    loop {
        let record = record::read(input).map_err(|source| match source {
            RecordError::NoLength(_) | RecordError::NoData(..) => DropError::Truncated { uid },
            source => DropError::Record { uid, source },
        })?;
        let Some(record) = record else { return Err(DropError::Truncated { uid }) };
        if !allowed.contains(&record.kind) {
            return Err(DropError::Unexpected { uid, kind: record.kind.0 });
        }
        // An envelope record is one line of text: with a newline in it, it could become lines of a mailbox.
        if allowed != CONTENT && record.data.iter().any(|&byte| matches!(byte, b'\n' | b'\r' | 0)) {
            return Err(DropError::Control { uid });
        }
        file.record(record.kind, &record.data).map_err(written)?;
        if limit > 0 && file.position() > limit {
            return Err(DropError::TooBig { uid });
        }
        match record.kind {
            Type::MESSAGE => allowed = CONTENT,
            Type::EXTRACTED => allowed = EXTRACT,
            Type::END => break,
            _ => {}
        }
    }
    // Readable for pickup, which is not the owner; the directory keeps everyone else out.
    file.commit(0o744).map_err(written)
}

/// How long a submitter waits before he tries a maildrop again that cannot be written to.
const PAUSE: Duration = Duration::from_secs(10);

/// [`submit`] that does not give up while the maildrop cannot be written to: its caller holds the only copy, and the
/// reason (a missing directory, wrong rights) is for the administrator to remove.
pub fn submit_patiently(
    queue: &Queue,
    stream: &[u8],
    uid: u32,
    limit: u64,
    warn: impl Fn(String),
) -> Result<QueueId, DropError> {
    loop {
        match submit(queue, &mut &*stream, uid, limit) {
            Err(DropError::Create { name, source }) if may_pass(&source) => {
                let reason = crate::sys::files::reason(&source);
                warn(format!("mail_queue_enter: create file maildrop/{name}: {reason}"));
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

fn may_pass(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Tells pickup that there is mail. The mail is safe and waits; only the wake-up call may not reach anyone.
pub fn wake_pickup(queue: &Queue, warn: impl Fn(String)) {
    if let Err(error) = trigger::send(&queue.directory().join("public/pickup"), trigger::WAKEUP) {
        trigger::unheard("pickup", &error).into_iter().for_each(warn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::MainCf;

    fn queue(dir: &tempfile::TempDir) -> Queue {
        std::fs::create_dir(dir.path().join("maildrop")).unwrap();
        let cf = format!("queue_directory = {}\n", dir.path().display());
        Queue::new(&MainCf::parse(dir.path(), &cf).unwrap())
    }

    fn stream(records: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, data) in records {
            record::write(&mut bytes, Type(*kind), data).unwrap();
        }
        bytes
    }

    #[test]
    fn a_whole_stream_is_kept_and_a_bad_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let queue = queue(&dir);
        let good = stream(&[(b'S', b"toto"), (b'R', b"titi"), (b'M', b""), (b'N', b"hello"), (b'X', b""), (b'E', b"")]);
        let id = submit(&queue, &mut &good[..], 1000, 0).unwrap();
        assert!(queue.path("maildrop", &id).exists());
        std::fs::remove_file(queue.path("maildrop", &id)).unwrap();
        for bad in [
            b"".to_vec(),
            b"garbage".to_vec(),
            good[..good.len() - 2].to_vec(),
            stream(&[(b'N', b"content first")]),
            stream(&[(b'S', b"to\nto"), (b'M', b""), (b'X', b""), (b'E', b"")]),
            stream(&[(b'D', b"done already"), (b'M', b""), (b'X', b""), (b'E', b"")]),
        ] {
            assert!(submit(&queue, &mut &bad[..], 1000, 0).is_err());
        }
        assert_eq!(std::fs::read_dir(queue.top("maildrop")).unwrap().count(), 0);
    }
}
