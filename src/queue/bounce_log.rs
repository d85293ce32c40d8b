//! The logs in bounce/ and defer/: what is said about each recipient of a message until the sender is told (bounce)
//! or the next attempt begins (defer). Format: for each recipient an old-style line "<address>: reason", then
//! "name=value" lines, then an empty line; the reference's mailq reads ours and ours reads its.

use super::file::Recipient;
use super::id::QueueId;
use super::state::Queue;
use crate::message::envelope;
use crate::status::{Code, Diagnostic, Report};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// RFC 3464 Action, and the two that a verification has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Deliverable,
    Undeliverable,
}

impl Action {
    const ALL: [Action; 6] = [
        Action::Failed,
        Action::Delayed,
        Action::Delivered,
        Action::Relayed,
        Action::Deliverable,
        Action::Undeliverable,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Deliverable => "deliverable",
            Action::Undeliverable => "undeliverable",
        }
    }
}

/// What one entry says.
#[derive(Clone, Debug)]
pub struct Entry {
    pub recipient: Recipient,
    pub report: Report,
    pub action: Action,
}

/// Appends an entry to "bounce", "defer" or "trace"; to "bounce" durably: the recipient may be marked done after this and not before.
pub fn append(queue: &Queue, name: &str, id: &QueueId, entry: &Entry) -> io::Result<()> {
    let Entry { recipient, report, action } = entry;
    let address = envelope::quote_path(&recipient.address);
    let mut lines = format!("<{}>: {}\n", one_line(shown(&address)), one_line(&report.reason));
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            lines.push_str(&format!("{key}={}\n", one_line(value)));
        }
    };
    put("recipient", &address);
    let original = if recipient.original == recipient.address { "" } else { &recipient.original };
    put("original_recipient", &envelope::quote_path(original));
    put("offset", &recipient.offset.to_string());
    put("dsn_orig_rcpt", &recipient.dsn_original);
    put("notify_flags", &if recipient.notify == 0 { String::new() } else { recipient.notify.to_string() });
    put("status", &report.code.to_string());
    put("action", action.name());
    let (kind, said) = report.diagnostic.as_ref().map(Diagnostic::parts).unwrap_or_default();
    put("diag_type", kind);
    put("diag_text", said);
    put("mta_type", if report.mta.is_some() { "dns" } else { "" });
    put("mta_mname", report.mta.as_deref().unwrap_or_default());
    put("reason", &report.reason);
    lines.push('\n');
    let mut file = queue.with_subdirectory(&queue.path(name, id), |path| {
        File::options().append(true).create(true).mode(0o600).open(path)
    })?;
    if file.metadata()?.len() == 0 {
        lines.insert(0, '\n');
    }
    file.write_all(lines.as_bytes())?;
    if name == "bounce" { file.sync_data() } else { Ok(()) }
}

/// Reads all entries; none when there is no log. A line that cannot be read is passed over.
pub fn read(queue: &Queue, name: &str, id: &QueueId) -> io::Result<Vec<Entry>> {
    let bytes = match std::fs::read(queue.path(name, id)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut entries = Vec::new();
    for block in text.split("\n\n") {
        let field = |key: &str| {
            block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        // "<address>: reason" is all that there is in the oldest logs.
        let old = block.lines().find_map(|line| line.strip_prefix('<')?.split_once(">: "));
        let either = |key: &str, old: Option<&str>| {
            Some(field(key)).filter(|text| !text.is_empty()).or(old.map(str::to_owned)).unwrap_or_default()
        };
        let address = either("recipient", old.map(|(address, _)| address));
        if address.is_empty() {
            continue;
        }
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let action = field("action");
        let action = Action::ALL.into_iter().find(|known| known.name() == action).unwrap_or(Action::Failed);
        let code = Code::split(&field("status")).map_or(Code::DEFERRED, |(code, _)| code);
        entries.push(Entry {
            recipient: Recipient {
                offset: field("offset").parse().unwrap_or(0),
                address: envelope::unquote(&address),
                original: envelope::unquote(&field("original_recipient")),
                dsn_original: field("dsn_orig_rcpt"),
                notify: field("notify_flags").parse().unwrap_or(0),
            },
            report: Report {
                code,
                reason: either("reason", old.map(|(_, reason)| reason)),
                mta: some(field("mta_mname")),
                diagnostic: Diagnostic::from_parts(&field("diag_type"), field("diag_text")),
            },
            action,
        });
    }
    Ok(entries)
}

fn shown(address: &str) -> &str {
    if address.is_empty() { "MAILER-DAEMON" } else { address }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
