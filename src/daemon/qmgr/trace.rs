//! What a sender asked to be told beyond failures: the report of sendmail -v and -bv, and RFC 3461 NOTIFY=SUCCESS. It
//! is kept in trace/ID, an entry for each recipient, until the message's attempt is over and the notice is sent.

use crate::ipc::delivery::trace;
use crate::ipc::verify::Status;
use crate::queue::bounce_log::{self, Action, Entry};
use crate::queue::file::{self, Message, Recipient, notify};
use crate::queue::{Queue, QueueId};
use crate::status::{Report, Verdict};
use std::fs::File;
use std::io;

/// What became of one address.
#[derive(Clone, Debug)]
pub struct Told {
    pub recipient: Recipient,
    pub report: Report,
    /// Who delivered; empty: nobody.
    pub relay: String,
    /// Who took it may pass it on.
    pub relayed: bool,
    /// The host that took it will tell of success.
    pub promised: bool,
}

impl Told {
    /// No agent speaks of it.
    pub fn by_nobody(recipient: &Recipient, report: Report) -> Told {
        Told { recipient: recipient.clone(), report, relay: String::new(), relayed: false, promised: false }
    }
}

/// What is noted of a message's recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What was delivered to recipients whose NOTIFY says so.
    Success,
    /// -v: everything.
    Record,
    /// -bv: everything, and nothing is delivered.
    Verify,
    /// verify(8) is told, and nothing is delivered.
    Probe,
}

impl Wanted {
    pub fn of(message: &Message) -> Wanted {
        let flags: u32 = message.attribute("trace_flags").parse().unwrap_or(0);
        if flags & trace::PROBE != 0 {
            Wanted::Probe
        } else if flags & trace::VERIFY != 0 {
            Wanted::Verify
        } else if flags & trace::RECORD != 0 {
            Wanted::Record
        } else {
            Wanted::Success
        }
    }

    fn action(self, told: &Told) -> Option<Action> {
        let verdict = told.report.verdict();
        match (self, verdict) {
            (Wanted::Probe, _) => None,
            (Wanted::Verify, Verdict::Sent) => Some(Action::Deliverable),
            (Wanted::Verify, _) => Some(Action::Undeliverable),
            (Wanted::Success, _) if told.recipient.notify & notify::SUCCESS == 0 => None,
            (Wanted::Success, Verdict::Sent) if told.promised => None,
            // A host that took it over may tell nobody when it arrives.
            (_, Verdict::Sent) => Some(if told.relayed { Action::Relayed } else { Action::Delivered }),
            (Wanted::Success, _) => None,
            (Wanted::Record, Verdict::Deferred) => Some(Action::Delayed),
            (Wanted::Record, Verdict::Bounced) => Some(Action::Failed),
        }
    }

    /// Notes what became of the addresses that a recipient led to.
    pub fn note(self, queue: &Queue, id: &QueueId, told: &[Told]) -> io::Result<()> {
        for one in told {
            let Some(action) = self.action(one) else { continue };
            let reason = match one.relay.as_str() {
                "" | "none" => one.report.reason.clone(),
                relay => format!("delivery via {relay}: {}", one.report.reason),
            };
            let report = Report { reason, ..one.report.clone() };
            bounce_log::append(queue, "trace", id, &Entry { recipient: one.recipient.clone(), report, action })?;
        }
        Ok(())
    }
}

/// What a probe came to, for verify(8): one of the addresses that a recipient led to is enough.
pub fn found_out(told: &[Told]) -> (Status, String) {
    let find = |verdict| told.iter().find(|one| one.report.verdict() == verdict);
    let (status, one) = match (find(Verdict::Sent), find(Verdict::Deferred), told.first()) {
        (Some(one), ..) => (Status::Deliverable, Some(one)),
        (None, Some(one), _) => (Status::Deferred, Some(one)),
        (None, None, one) => (Status::Undeliverable, one),
    };
    let text = one.map(|one| match one.relay.as_str() {
        "" | "none" | "local" => one.report.reason.clone(),
        relay => format!("delivery via {relay}: {}", one.report.reason),
    });
    (status, text.unwrap_or_default())
}

/// A recipient that was only asked about is done with.
pub fn mark_verified(queue: &Queue, id: &QueueId, offset: u64) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(queue.path("active", id))?;
    file::mark_done(&file, offset)
}
