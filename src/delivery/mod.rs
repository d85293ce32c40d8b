//! The common part of delivery agents: [`Finisher::finish`] is the only writer of status lines, and the only place
//! where an agent marks a recipient done.

/// Delivery to a command.
pub mod command;
/// What is told of it.
pub mod filter;
/// The message as it stands in a mailbox.
pub mod letter;
/// Headers in front, and mail that goes round.
pub mod marks;
/// Handing recipients to another agent.
pub mod pass;

use crate::conf::MainCf;
use crate::ipc::delivery::{Outcome, Request, Target};
use crate::log::Log;
use crate::log::event::{Delivery, Event, text};
use crate::message::envelope;
use crate::queue::{Queue, QueueId, file};
use crate::status::{Report, Verdict};
use filter::Filter;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Who took the mail, for the log, and how long which part took.
#[derive(Clone, Debug)]
pub struct Relay {
    /// "local", "none", "mx.example.org[192.0.2.1]:25"
    pub name: String,
    /// When the agent began, when the connection stood.
    pub begun: Option<SystemTime>,
    pub connected: Option<SystemTime>,
    /// How often the connection was used, from the second time on.
    pub uses: Option<u32>,
    /// The destination itself is down.
    pub down: bool,
    /// It may pass the mail on: for the sender, that is not yet its delivery.
    pub passes_on: bool,
}

impl Relay {
    pub fn named(name: impl Into<String>) -> Relay {
        Relay { name: name.into(), begun: None, connected: None, uses: None, down: false, passes_on: false }
    }

    pub fn none() -> Relay {
        Relay::named("none")
    }

    fn outcome(&self, target: &Target, report: &Report) -> Outcome {
        let relay = self.name.clone();
        Outcome { relay, relayed: self.passes_on, ..Outcome::new(target.offset, report, self.down) }
    }
}

/// Ends the delivery to a recipient.
pub struct Finisher {
    queue: Queue,
    log: Arc<Log>,
    soft_bounce: bool,
    filter: Filter,
}

impl Finisher {
    pub fn from_parts(cf: &MainCf, log: Arc<Log>, filter: Filter) -> Finisher {
        Finisher { queue: Queue::new(cf), log, soft_bounce: cf.soft_bounce(), filter }
    }

    /// A report as it is told: by the filter, and by soft_bounce.
    pub fn told(&self, report: &Report) -> Report {
        let mut report = self.filter.apply(report.clone(), &self.log);
        if self.soft_bounce {
            report.code = report.code.softened();
        }
        report
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The message file of a request, open for reading and for marking.
    pub fn open(&self, request: &Request) -> io::Result<File> {
        let id = QueueId::parse(&request.queue_id).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        File::options().read(true).write(true).open(self.queue.path("active", &id))
    }

    /// Logs what became of a recipient and, when the mail is delivered, marks it done. Bounced and deferred ones are
    /// marked by the queue manager, after their log entry is on disk.
    pub fn finish(&self, request: &Request, target: &Target, report: &Report, relay: &Relay) -> Outcome {
        let report = self.told(report);
        self.log_status(request, target, &report, relay);
        // Who is only asked about is marked by the queue manager, when the answer is noted.
        if report.verdict() == Verdict::Sent
            && !request.only_verifies()
            && let Err(error) = self.mark_done(request, target)
        {
            self.log.warning(format!("{}: cannot mark recipient done: {error}", request.queue_id));
        }
        relay.outcome(target, &report)
    }

    /// Logs, and marks nothing: for one of several addresses that a recipient led to.
    pub fn report_only(&self, request: &Request, target: &Target, report: &Report, relay: &Relay) -> Outcome {
        let report = self.told(report);
        self.log_status(request, target, &report, relay);
        relay.outcome(target, &report)
    }

    /// Does nothing for a recipient that another agent passed on: that one marks it.
    pub fn mark_done(&self, request: &Request, target: &Target) -> io::Result<()> {
        if target.offset == pass::NO_RECORD || request.only_verifies() {
            return Ok(());
        }
        file::mark_done(&self.open(request)?, target.offset)
    }

    /// Only the status line: for recipients that an agent made itself (alias members).
    pub fn log_status(&self, request: &Request, target: &Target, report: &Report, relay: &Relay) {
        let now = SystemTime::now();
        let arrival = from_micros(request.arrival);
        let active = from_micros(request.active_since);
        let begun = relay.begun.unwrap_or(now);
        let connected = relay.connected.unwrap_or(begun);
        let span = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
        let status = match report.verdict() {
            Verdict::Sent if request.only_verifies() => "deliverable",
            _ if request.only_verifies() => "undeliverable",
            Verdict::Sent => "sent",
            Verdict::Deferred => "deferred",
            Verdict::Bounced => "bounced",
        };
        let to = envelope::quote(&target.address);
        let original = envelope::quote(&target.original);
        let orig_to = (!target.original.is_empty() && !target.original.eq_ignore_ascii_case(&target.address))
            .then(|| text(&original));
        let dsn = report.code.to_string();
        let reason = logged(&report.reason);
        self.log.event(&Event::Delivery(Box::new(Delivery {
            queue_id: text(&request.queue_id),
            to: text(&to),
            orig_to,
            relay: text(&relay.name),
            conn_use: relay.uses,
            tls: None,
            delay: span(arrival, now),
            delays: [span(arrival, active), span(active, begun), span(begun, connected), span(connected, now)],
            dsn: text(&dsn),
            status: text(status),
            reason: text(&reason),
        })));
    }
}

/// A time that a request carries.
pub fn from_micros(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros.min(1 << 52))
}

/// Reasons go on one line of the log.
fn logged(reason: &str) -> String {
    reason.chars().map(|c| if c == '\n' { ' ' } else { c }).collect()
}
