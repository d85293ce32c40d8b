//! pickup(8): takes mail out of maildrop/ and hands it to cleanup. A file is removed only after its message is
//! committed to incoming/; a file that cannot be taken now stays for the next time.

use super::skeleton::{self, Context, Wait};
use crate::cleanup::envelope::Named;
use crate::cleanup::{Cleanup, CleanupError, Envelope, Filtering, Origin};
use crate::conf::MainCf;
use crate::ipc::trigger;
use crate::log::event::{Event, text};
use crate::message::{envelope as address, verp};
use crate::queue::file::{Content, QueueFileError};
use crate::queue::record::{self, Type};
use crate::queue::walk::walk;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub fn run(context: Context) -> Result<(), String> {
    skeleton::finish_gracefully();
    let cleanup = Cleanup::new(&context.cf, context.log.clone()).map_err(|error| error.to_string())?;
    let qmgr = Path::new(&context.cf.queue_directory()).join("public/qmgr");
    let idle = context.cf.max_idle();
    sweep(&context, &cleanup, &qmgr);
    loop {
        match skeleton::wait_for_work(&context.listeners, &context.lifetime, idle) {
            Wait::Idle | Wait::Finish => return Ok(()),
            Wait::Ready => {}
        }
        drain(&context);
        sweep(&context, &cleanup, &qmgr);
    }
}

/// Accepts and forgets the wake-up calls that wait; one sweep serves them all.
fn drain(context: &Context) {
    for listener in &context.listeners {
        let Ok(socket) = listener.try_clone() else { continue };
        let socket = std::os::unix::net::UnixListener::from(socket);
        while socket.accept().is_ok() {}
    }
}

/// Takes everything that waits.
fn sweep(context: &Context, cleanup: &Arc<Cleanup>, qmgr: &Path) {
    loop {
        let mut taken = 0;
        for (id, path) in walk(&cleanup.queue, "maildrop") {
            match take(context, cleanup, &path) {
                Ok(true) => {
                    taken += 1;
                    let _ = trigger::send(qmgr, trigger::INCOMING);
                }
                Ok(false) => {}
                Err(PickupError::Cleanup(error)) if error.is_temporary() => {
                    context.log.warning(format!("maildrop/{id}: {error}: will try again later"));
                }
                Err(error) => context.log.warning(format!("maildrop/{id}: {error}")),
            }
        }
        if taken == 0 {
            return;
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PickupError {
    #[error("{0}")]
    File(#[from] QueueFileError),
    #[error("{0}")]
    Cleanup(#[from] CleanupError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Takes one file; false when it is not complete yet or no plain file.
fn take(context: &Context, cleanup: &Arc<Cleanup>, path: &Path) -> Result<bool, PickupError> {
    // No link, no FIFO: the directory is writable for everyone in the submission group.
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let data = file.metadata()?;
    if !data.is_file() || data.mode() & 0o100 == 0 || data.nlink() != 1 {
        return Ok(false);
    }
    let (mut envelope, content_offset, has_size) = match read_envelope(&file, data.uid(), data.modified()?) {
        Err(PickupError::File(error)) if error.is_corrupt() => {
            context.log.warning(format!("{}: {error}: saving corrupt file", path.display()));
            let name = path.file_name().unwrap_or_default();
            std::fs::rename(path, cleanup.queue.top("corrupt").join(name))?;
            return Ok(false);
        }
        other => other?,
    };
    envelope.recipients.retain(|named| named.address.len() <= address::MAX_ADDRESS);
    let cf = &context.cf;
    // Whoever writes into maildrop/ himself asks with characters that the parameter allows, or in vain.
    let allowed = cf.verp_delimiter_filter();
    envelope.verp = envelope.verp.filter(|pair| verp::is_valid(pair, &allowed));
    let overrides = MainCf::list(&cf.receive_override_options());
    envelope.no_mappings = overrides.iter().any(|word| word == "no_address_mappings");
    envelope.no_checks = overrides.iter().any(|word| word == "no_header_body_checks");
    // postsuper -r puts queue files here, which have been filtered: our own, and with a record that no user hands in.
    let requeued = has_size && data.uid() == crate::sys::accounts::effective_uid();
    if !requeued && !overrides.iter().any(|word| word == "no_milters") {
        envelope.filtering = Filtering::Local;
    }
    envelope.filter = Some(cf.content_filter()).filter(|filter| !filter.is_empty());
    if envelope.recipients.is_empty() {
        context.log.warning(format!("{}: no recipients: removing", path.display()));
        std::fs::remove_file(path)?;
        return Ok(false);
    }
    let new = cleanup.reserve()?;
    let from = &envelope.sender;
    context.log.event(&Event::Pickup { queue_id: text(new.id().as_str()), uid: data.uid(), from: text(from) });
    let outcome = copy(cleanup, new, &envelope, &file, content_offset);
    match outcome {
        Ok(()) => std::fs::remove_file(path)?,
        // What can never be queued is returned to its sender rather than tried for ever.
        Err(PickupError::Cleanup(error)) if !error.is_temporary() => {
            super::bounce::return_to_sender(cleanup, &context.log, &envelope, &error.reply())
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            std::fs::remove_file(path)?;
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}

fn copy(
    cleanup: &Arc<Cleanup>,
    new: crate::queue::create::NewFile,
    envelope: &Envelope,
    file: &File,
    offset: u64,
) -> Result<(), PickupError> {
    let mut intake = cleanup.begin(new, envelope)?;
    for piece in Content::open(file, offset)? {
        let piece = piece?;
        intake.line(&piece.data, piece.newline)?;
    }
    intake.finish()?;
    Ok(())
}

/// Reads the records around the content: those before it, and those that sendmail -t extracted from it. With it, where the
/// content begins, and whether the file has the size record of a queue file.
fn read_envelope(file: &File, uid: u32, arrival: SystemTime) -> Result<(Envelope, u64, bool), PickupError> {
    let mut input = BufReader::new(file);
    input.seek(SeekFrom::Start(0))?;
    let mut envelope = Envelope::new(Origin::Local { uid }, "");
    envelope.arrival = arrival;
    let mut notify = 0;
    let (mut content_offset, mut has_size) = (0, false);
    let corrupt = |what| PickupError::File(QueueFileError::Malformed(what));
    loop {
        let record = record::read(&mut input).map_err(QueueFileError::from)?.ok_or(QueueFileError::MissingEnd)?;
        let text = || String::from_utf8_lossy(&record.data).into_owned();
        match record.kind {
            Type::SIZE => has_size = true,
            Type::TIME => {
                envelope.arrival = time(&text()).ok_or_else(|| corrupt("bad time record"))?.min(SystemTime::now())
            }
            Type::SENDER => envelope.sender = text(),
            Type::FULL_NAME => envelope.full_name = text(),
            Type::RECIPIENT => envelope.recipients.push(Named { address: text(), notify, ..Named::default() }),
            Type::ATTRIBUTE => match text().split_once('=') {
                Some(("notify_flags", value)) => notify = value.parse().unwrap_or(0) & 15,
                // Only what local submission may decide; an attribute such as client_address is not the user's to set.
                Some((name @ ("envelope_id" | "ret_flags" | "encoding" | "trace_flags"), value)) => {
                    envelope.attributes.push((name.to_owned(), value.to_owned()));
                }
                _ => {}
            },
            Type::VERP => envelope.verp = Some(text()),
            Type::MESSAGE => {
                content_offset = input.stream_position()?;
            }
            Type::END => break,
            _ => {}
        }
    }
    Ok((envelope, content_offset, has_size))
}

fn time(text: &str) -> Option<SystemTime> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let seconds = numbers.next()?.ok()?;
    let microseconds = numbers.next().and_then(Result::ok).unwrap_or(0).min(999_999);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_micros(microseconds))
}
