//! showq(8): lists the queue, a JSON object a line, to whoever connects and is allowed by authorized_mailq_users.

use super::skeleton::{self, Context, Wait};
use crate::ipc::listing::{Listed, ListedRecipient};
use crate::queue::record::{self, Type};
use crate::queue::walk::walk;
use crate::queue::{Queue, QueueId, bounce_log};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// In the reference's order.
const DIRECTORIES: &[&str] = &["maildrop", "active", "incoming", "deferred", "hold"];

pub fn run(context: Context) -> Result<(), String> {
    skeleton::finish_gracefully();
    let queue = Queue::new(&context.cf);
    let idle = context.cf.max_idle();
    loop {
        match skeleton::wait_for_work(&context.listeners, &context.lifetime, idle) {
            Wait::Idle | Wait::Finish => return Ok(()),
            Wait::Ready => {}
        }
        for listener in &context.listeners {
            let Ok(listener) = listener.try_clone() else { continue };
            let Ok((stream, _)) = UnixListener::from(listener).accept() else { continue };
            if let Err(error) = answer(&queue, stream)
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                context.log.warning(format!("cannot list the queue: {error}"));
            }
        }
    }
}

fn answer(queue: &Queue, stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(Duration::from_secs(100)))?;
    let mut out = BufWriter::new(stream);
    list(queue, &mut out)?;
    out.flush()
}

/// Writes the whole listing. Also what postqueue does itself when it may read the queue and nothing runs.
pub fn list(queue: &Queue, out: &mut impl Write) -> io::Result<()> {
    for name in DIRECTORIES {
        for (id, path) in walk(queue, name) {
            if let Some(listed) = read(queue, name, &id, &path) {
                serde_json::to_writer(&mut *out, &listed)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

/// None: the message is gone meanwhile, or not complete yet. What is damaged is listed as far as it can be read: a message
/// that nobody sees is nobody's.
fn read(queue: &Queue, name: &str, id: &QueueId, path: &Path) -> Option<Listed> {
    use std::os::unix::fs::MetadataExt;
    let file = File::open(path).ok()?;
    let data = file.metadata().ok()?;
    if data.mode() & 0o100 == 0 {
        return None;
    }
    let mut input = BufReader::with_capacity(16 * 1024, &file);
    let (mut arrival, mut size) = (0, 0);
    let mut listed: Option<Listed> = None;
    let mut told = HashSet::new();
    let mut followed = HashSet::new();
    while let Ok(Some(record)) = record::read(&mut input) {
        let text = || String::from_utf8_lossy(record.data.split(|&byte| byte == 0).next().unwrap_or_default());
        match (record.kind, &mut listed) {
            (Type::TIME, _) => arrival = number(&text()),
            (Type::SIZE, _) if size == 0 => size = number(&text()),
            (Type::SENDER, None) => {
                let recipients = deferred(queue, id);
                told = recipients.iter().map(|recipient| recipient.address.clone()).collect();
                listed = Some(Listed {
                    queue_name: name.to_owned(),
                    queue_id: id.to_string(),
                    arrival_time: if arrival > 0 { arrival } else { u64::try_from(data.mtime()).unwrap_or(0) },
                    message_size: if size > 0 { size } else { data.len() },
                    forced_expire: data.mode() & crate::queue::state::EXPIRED != 0,
                    sender: shown(&text()),
                    recipients,
                });
            }
            // Of two senders, and of recipients before there is one, nobody knows which message they belong to.
            (Type::SENDER, Some(_)) | (Type::RECIPIENT, None) => break,
            (Type::RECIPIENT, Some(listed)) => {
                let address = shown(&text());
                if !told.contains(&address) {
                    listed.recipients.push(ListedRecipient { address, delay_reason: None });
                }
            }
            (Type::MESSAGE, _) => drop(input.seek_relative(i64::try_from(size).ok()?)),
            (Type::POINTER, _) => {
                let target = number(&text());
                // Never twice to one place.
                if target > 0 && (!followed.insert(target) || input.seek(SeekFrom::Start(target)).is_err()) {
                    break;
                }
            }
            (Type::END, _) => break,
            _ => {}
        }
    }
    listed
}

/// The recipients that the last attempt did not reach, and why.
fn deferred(queue: &Queue, id: &QueueId) -> Vec<ListedRecipient> {
    let entries = bounce_log::read(queue, "defer", id).unwrap_or_default().into_iter();
    entries
        .map(|entry| {
            let reason = Some(entry.report.reason).filter(|reason| !reason.is_empty());
            let reason = reason.map_or_else(|| "(description unavailable)".into(), |reason| harmless(&reason));
            ListedRecipient { address: shown(&entry.recipient.address), delay_reason: Some(reason) }
        })
        .collect()
}

/// An address as it is listed.
fn shown(address: &str) -> String {
    if address.is_empty() {
        return "MAILER-DAEMON".into();
    }
    harmless(&crate::message::envelope::quote(address))
}

/// Question marks for what would command a terminal, and for what is no text.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c }).collect()
}

/// The number at the beginning of a text; 0: none.
fn number(text: &str) -> u64 {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
