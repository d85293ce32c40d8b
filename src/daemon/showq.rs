//! showq(8): lists the queue, a JSON object a line, to whoever connects and is allowed by authorized_mailq_users.

use super::skeleton::{self, Context, Wait};
use crate::ipc::listing::{Listed, ListedRecipient};
use crate::queue::file::Message;
use crate::queue::walk::walk;
use crate::queue::{Queue, QueueId, bounce_log};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

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

/// None: the message is gone meanwhile, or not complete yet.
fn read(queue: &Queue, name: &str, id: &QueueId, path: &Path) -> Option<Listed> {
    let file = File::open(path).ok()?;
    let data = file.metadata().ok()?;
    use std::os::unix::fs::MetadataExt;
    if data.mode() & 0o100 == 0 {
        return None;
    }
    let message = Message::read(&file).ok()?;
    let reasons: HashMap<u64, String> = bounce_log::read(queue, "defer", id)
        .unwrap_or_default()
        .into_iter()
        .map(|entry| (entry.recipient.offset, entry.report.reason))
        .collect();
    let recipients = message
        .recipients
        .iter()
        .map(|recipient| ListedRecipient {
            address: crate::message::envelope::quote(&recipient.address),
            delay_reason: reasons.get(&recipient.offset).cloned(),
        })
        .collect();
    let since = message.arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Some(Listed {
        queue_name: name.to_owned(),
        queue_id: id.to_string(),
        arrival_time: since.as_secs(),
        message_size: if message.size > 0 { message.size } else { data.len() },
        forced_expire: data.mode() & crate::queue::state::EXPIRED != 0,
        sender: if message.sender.is_empty() {
            "MAILER-DAEMON".into()
        } else {
            crate::message::envelope::quote(&message.sender)
        },
        recipients,
    })
}
