//! The messages in active/: which of their recipients are under way, and what became of the others.

mod ending;

use super::schedule::Job;
use super::trace::{self, Told, Wanted};
use crate::cleanup::Cleanup;
use crate::conf::MainCf;
use crate::conf::typed::Int;
use crate::daemon::bounce::Bouncer;
use crate::ipc::delivery::{Answer, Outcome, Request, Target};
use crate::ipc::verify;
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::envelope;
use crate::queue::bounce_log::{self, Action, Entry};
use crate::queue::file::{self, Message, QueueFileError, Recipient, notify};
use crate::queue::state::By;
use crate::queue::walk::walk;
use crate::queue::{Queue, QueueId, State};
use crate::route::Router;
use crate::status::{Code, Report, Verdict};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The agent that defers whatever it gets.
const RETRY: &str = "retry";

/// Some recipients of a message for one transport and next hop.
#[derive(Clone, Debug)]
pub struct Work {
    pub id: QueueId,
    pub nexthop: String,
    pub recipients: Vec<Recipient>,
}

/// A message in active/.
struct Taken {
    message: Message,
    since: SystemTime,
    /// Recipients without an outcome.
    outstanding: usize,
    deferred: bool,
    bounced: bool,
    /// Why recipients were deferred, for the notice when the message has grown too old.
    reasons: Vec<Entry>,
}

/// What the configuration says.
struct Settings {
    router: Router,
    /// The routes of probes.
    probe_router: Router,
    /// Where verify(8) listens.
    verify: PathBuf,
    cleanup: Arc<Cleanup>,
    bouncer: Bouncer,
    cf: MainCf,
    active_limit: usize,
    minimal_backoff: Duration,
    maximal_backoff: Duration,
    lifetime: Duration,
    bounce_lifetime: Duration,
    delay_warning: Duration,
    defer_transports: Vec<String>,
}

impl Settings {
    fn new(cf: &MainCf, log: &Arc<Log>) -> Result<Settings, String> {
        Ok(Settings {
            router: Router::new(cf).map_err(|error| error.to_string())?,
            probe_router: Router::for_probes(cf).map_err(|error| error.to_string())?,
            verify: Path::new("private").join(cf.address_verify_service_name()),
            cleanup: Cleanup::new(cf, log.clone()).map_err(|error| error.to_string())?,
            bouncer: Bouncer::new(cf, log),
            cf: cf.clone(),
            active_limit: usize::try_from(cf.qmgr_message_active_limit()).unwrap_or(20_000).max(1),
            minimal_backoff: cf.minimal_backoff_time(),
            maximal_backoff: cf.maximal_backoff_time(),
            lifetime: cf.maximal_queue_lifetime(),
            bounce_lifetime: cf.bounce_queue_lifetime(),
            delay_warning: cf.delay_warning_time(),
            defer_transports: MainCf::list(&cf.defer_transports()),
        })
    }
}

/// All messages in active/.
pub struct Active {
    settings: Settings,
    log: Arc<Log>,
    taken: HashMap<QueueId, Taken>,
    pub scan_deferred_now: bool,
    pub ignore_time_stamps: bool,
}

impl Active {
    pub fn new(cf: &MainCf, log: Arc<Log>) -> Result<Active, String> {
        let settings = Settings::new(cf, &log)?;
        Ok(Active { settings, log, taken: HashMap::new(), scan_deferred_now: false, ignore_time_stamps: false })
    }

    pub fn configure(&mut self, cf: &MainCf) -> Result<(), String> {
        self.settings = Settings::new(cf, &self.log)?;
        Ok(())
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn queue(&self) -> &Queue {
        &self.settings.cleanup.queue
    }

    pub fn queue_directory(&self) -> PathBuf {
        self.queue().directory().to_owned()
    }

    /// How many messages more may be active.
    pub fn room(&self) -> usize {
        self.settings.active_limit.saturating_sub(self.taken.len())
    }

    /// At the start: what a predecessor left in active/ goes back to incoming/.
    pub fn take_back(&self) {
        for (id, _) in walk(self.queue(), "active").collect::<Vec<_>>() {
            if let Err(error) = self.queue().shift(&id, State::Active, State::Incoming, By::Qmgr) {
                self.log.warning(format!("{id}: cannot take back from active: {error}"));
            }
        }
    }

    /// postqueue -i: the message is due now, if it waits in deferred/.
    pub fn make_due(&self, id: Option<&[u8]>) {
        let id = id.and_then(|id| std::str::from_utf8(id).ok()).and_then(QueueId::parse);
        if let Some(id) = id.filter(|id| self.queue().path("deferred", id).exists()) {
            let due = self
                .queue()
                .shift(&id, State::Deferred, State::Active, By::Qmgr)
                .and_then(|()| self.queue().shift(&id, State::Active, State::Incoming, By::Qmgr));
            if let Err(error) = due {
                self.log.warning(format!("{id}: cannot be tried now: {error}"));
            }
        }
    }

    /// ETRN, postqueue -s: what waits in deferred/ for somebody in one of these domains is due now. The reference's flush(8)
    /// keeps a list of messages for each domain; here the queue itself says it.
    pub fn make_sites_due(&self, sites: &HashSet<String>) {
        let waits = |path: &Path| {
            let file = File::open(path).ok()?;
            let message = Message::read(&file).ok()?;
            let mut waiting = message.recipients.iter().map(|to| envelope::domain(&to.address).to_lowercase());
            Some(waiting.any(|domain| sites.contains(&domain)))
        };
        for (id, path) in walk(self.queue(), "deferred") {
            if waits(&path).unwrap_or(false) {
                self.make_due(Some(id.to_string().as_bytes()));
            }
        }
    }

    /// Moves a message to active/ and makes the jobs for its recipients. A file that is not complete yet, or gone,
    /// makes none.
    pub fn activate(&mut self, id: &QueueId, from: State) -> io::Result<Vec<Job<Work>>> {
        use std::os::unix::fs::MetadataExt;
        if self.taken.contains_key(id) {
            return Ok(Vec::new());
        }
        match std::fs::symlink_metadata(self.queue().path(from.name(), id)) {
            Ok(data) if data.is_file() && data.mode() & 0o100 != 0 => {}
            Ok(_) => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        match self.queue().shift(id, from, State::Active, By::Qmgr) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        }
        let message = match Message::open(&self.queue().path("active", id)) {
            Ok((_, message)) => message,
            Err(error) if error.is_corrupt() => {
                self.log.warning(format!("{id}: message rejected: {error}"));
                self.log.warning(format!("saving corrupt file \"{id}\" from queue \"active\" to queue \"corrupt\""));
                self.queue().shift(id, State::Active, State::Corrupt, By::Qmgr)?;
                return Ok(Vec::new());
            }
            Err(QueueFileError::Io(error)) => {
                self.queue().shift(id, State::Active, State::Incoming, By::Qmgr)?;
                return Err(error);
            }
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        // The reasons of the last attempt; this one makes its own.
        self.queue().remove("defer", id)?;
        let sender = envelope::quote_path(&message.sender);
        let nrcpt = u32::try_from(message.recipients.len()).unwrap_or(u32::MAX);
        self.log.event(&Event::QueueActive {
            queue_id: text(id.as_str()),
            from: text(&sender),
            size: message.size,
            nrcpt,
        });
        let jobs = self.make_jobs(id, &message);
        let taken = Taken {
            outstanding: message.recipients.len(),
            message,
            since: SystemTime::now(),
            deferred: false,
            bounced: false,
            reasons: Vec::new(),
        };
        let empty = taken.outstanding == 0;
        self.taken.insert(id.clone(), taken);
        if empty {
            self.end(id);
        }
        Ok(jobs)
    }

    /// Groups recipients by where they go. The agent "retry" defers those that cannot go anywhere now, and logs it.
    fn make_jobs(&self, id: &QueueId, message: &Message) -> Vec<Job<Work>> {
        let mut groups: Vec<((String, String, String), Vec<Recipient>)> = Vec::new();
        let mut index: HashMap<(String, String, String), usize> = HashMap::new();
        let settings = &self.settings;
        let router = if Wanted::of(message) == Wanted::Probe { &settings.probe_router } else { &settings.router };
        for recipient in &message.recipients {
            let (mut transport, mut nexthop, address) = match router
                .resolve_from(&message.sender, &recipient.address)
                .map(|found| found.through(&message.filter))
            {
                Ok(found) => (found.transport, found.nexthop, found.recipient),
                Err(error) => {
                    self.log.warning(format!("{id}: {error}"));
                    let address = recipient.address.clone();
                    (RETRY.to_owned(), "4.3.0 address resolver failure".to_owned(), address)
                }
            };
            if self.settings.defer_transports.contains(&transport) {
                (transport, nexthop) = (RETRY.to_owned(), "4.3.2 deferred transport".to_owned());
            }
            // Recipients with senders of their own go one by one, which is no limit of the transport.
            let most = if message.verp.is_empty() { usize::MAX } else { 1 };
            let limit = self.recipient_limit(&transport);
            // Where recipients go one by one, concurrency is counted by recipient.
            let destination = if limit == 1 { address.to_lowercase() } else { nexthop.to_lowercase() };
            let key = (transport, nexthop, destination);
            let recipient = Recipient { address, ..recipient.clone() };
            match index
                .get(&key)
                .and_then(|&at| groups.get_mut(at))
                .filter(|(_, members)| members.len() < limit.min(most))
            {
                Some((_, members)) => members.push(recipient),
                None => {
                    index.insert(key.clone(), groups.len());
                    groups.push((key, vec![recipient]));
                }
            }
        }
        let job = |((transport, nexthop, destination), recipients)| Job {
            transport,
            destination,
            work: Work { id: id.clone(), nexthop, recipients },
        };
        groups.into_iter().map(job).collect()
    }

    fn recipient_limit(&self, transport: &str) -> usize {
        let limit = self.settings.cf.for_service::<Int>(transport, "_destination_recipient_limit");
        if limit <= 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) }
    }

    /// What an agent is asked.
    pub fn request(&self, transport: &str, work: &Work) -> Request {
        let taken = self.taken.get(&work.id);
        let message = taken.map(|taken| &taken.message);
        Request {
            queue_id: work.id.to_string(),
            transport: transport.to_owned(),
            nexthop: work.nexthop.clone(),
            sender: message
                .zip(work.recipients.first())
                .map(|(message, to)| message.sender_for(to))
                .unwrap_or_default(),
            size: message.map_or(0, |message| message.size),
            data_offset: message.map_or(0, |message| message.data_offset),
            arrival: micros(message.map_or(SystemTime::UNIX_EPOCH, |message| message.arrival)),
            active_since: micros(taken.map_or(SystemTime::UNIX_EPOCH, |taken| taken.since)),
            recipients: work.recipients.iter().map(target).collect(),
            attributes: message.map(|message| message.attributes.clone()).unwrap_or_default(),
        }
    }

    /// Takes in an agent's answer; a recipient that it does not mention is deferred. Gives the reason when the
    /// destination is down.
    pub fn answered(&mut self, transport: &str, work: &Work, answer: Result<Answer, String>) -> Option<String> {
        let (answer, fault) = match answer {
            Ok(answer) => (answer, None),
            Err(fault) => {
                self.log.warning(format!("{}: {fault}", work.id));
                (Vec::new(), Some(fault))
            }
        };
        let mut outcomes: HashMap<u64, Vec<&Outcome>> = HashMap::new();
        for outcome in &answer {
            outcomes.entry(outcome.offset).or_default().push(outcome);
        }
        let mut down = None;
        for recipient in &work.recipients {
            let told = outcomes.remove(&recipient.offset).unwrap_or_default();
            if let Some(outcome) = told.iter().find(|outcome| outcome.destination_down) {
                down = Some(outcome.reason.clone());
            }
            let mut reports: Vec<Told> = told
                .iter()
                .map(|outcome| Told {
                    recipient: named(recipient, outcome),
                    report: outcome.report(),
                    relay: outcome.relay.clone(),
                    relayed: outcome.relayed,
                    promised: outcome.promised,
                })
                .collect();
            if reports.is_empty() {
                let report = Report::deferred("mail transport unavailable");
                self.log_here(&work.id, recipient, &report);
                down = fault.as_ref().map(|_| format!("mail transport unavailable ({transport})"));
                reports.push(Told::by_nobody(recipient, report));
            }
            self.settle(&work.id, recipient.offset, reports);
        }
        down
    }

    /// The recipients of a job that will not be tried now.
    pub fn not_tried(&mut self, work: &Work, reason: &str) {
        let reason = if reason.is_empty() { "delivery temporarily suspended" } else { reason };
        let report = Report::new(Code::new(4, 4, 1), format!("delivery temporarily suspended: {reason}"));
        for recipient in &work.recipients {
            self.log_here(&work.id, recipient, &report);
            let told = Told::by_nobody(recipient, report.clone());
            self.settle(&work.id, recipient.offset, vec![told]);
        }
    }

    /// A status line for a recipient that no agent speaks of, in error(8)'s name as the reference writes it.
    fn log_here(&self, id: &QueueId, recipient: &Recipient, report: &Report) {
        let Some(taken) = self.taken.get(id) else { return };
        let age = SystemTime::now().duration_since(taken.message.arrival).unwrap_or_default();
        let to = envelope::quote(&recipient.address);
        let dsn = report.code.to_string();
        self.log.event_as(
            "error",
            &Event::Delivery(Box::new(crate::log::event::Delivery {
                queue_id: text(id.as_str()),
                to: text(&to),
                orig_to: (recipient.original != recipient.address && !recipient.original.is_empty())
                    .then(|| text(&recipient.original)),
                relay: text("none"),
                conn_use: None,
                tls: None,
                delay: age,
                delays: [age, Duration::ZERO, Duration::ZERO, Duration::ZERO],
                dsn: text(&dsn),
                status: text("deferred"),
                reason: text(&report.reason),
            })),
        );
    }

    /// Books what became of one recipient; the message ends with its last one. As long as one of the addresses that
    /// it led to is only deferred, the recipient is tried again as a whole and nothing is returned yet.
    fn settle(&mut self, id: &QueueId, offset: u64, reports: Vec<Told>) {
        let Some(taken) = self.taken.get_mut(id) else { return };
        let queue = &self.settings.cleanup.queue;
        let wanted = Wanted::of(&taken.message);
        let noted = wanted.note(queue, id, &reports);
        let any = |verdict| reports.iter().any(|told| told.report.verdict() == verdict);
        if wanted == Wanted::Probe {
            let (status, words) = trace::found_out(&reports);
            let address = reports.first().map(|told| told.recipient.original.clone()).unwrap_or_default();
            let told = verify::tell(&self.settings.verify, &address, status, &words);
            if let Err(error) = told.and_then(|()| trace::mark_verified(queue, id, offset)) {
                self.log.warning(format!("{id}: cannot tell what became of the probe: {error}"));
                // Nobody waits for it any more when it could be tried again.
                let _ = trace::mark_verified(queue, id, offset);
            }
        } else if wanted == Wanted::Verify {
            // The answer is all that was asked for, whatever it is.
            if let Err(error) = noted.and_then(|()| trace::mark_verified(queue, id, offset)) {
                self.log.warning(format!("{id}: cannot write trace log: {error}"));
                taken.deferred = true;
            }
        } else if any(Verdict::Deferred) {
            taken.deferred = true;
            for Told { recipient, report, .. } in
                reports.into_iter().filter(|told| told.report.verdict() == Verdict::Deferred)
            {
                let entry = Entry { recipient, report, action: Action::Delayed };
                if let Err(error) = bounce_log::append(queue, "defer", id, &entry) {
                    self.log.warning(format!("{id}: cannot write defer log: {error}"));
                }
                taken.reasons.push(entry);
            }
        } else if any(Verdict::Bounced) {
            let failed = reports.into_iter().filter(|told| told.report.verdict() == Verdict::Bounced);
            let entries: Vec<Entry> = failed
                .map(|Told { recipient, report, .. }| Entry { recipient, report, action: Action::Failed })
                .collect();
            match log_and_mark(queue, id, offset, &entries) {
                Ok(()) => taken.bounced = true,
                Err(error) => {
                    self.log.warning(format!("{id}: cannot write bounce log: {error}"));
                    taken.deferred = true;
                }
            }
        }
        taken.outstanding = taken.outstanding.saturating_sub(1);
        if taken.outstanding == 0 {
            self.end(id);
        }
    }
}

/// The bounce log first, on disk: a recipient that is marked done without a word in the log would be lost in silence.
fn log_and_mark(queue: &Queue, id: &QueueId, offset: u64, entries: &[Entry]) -> io::Result<()> {
    for entry in entries.iter().filter(|entry| entry.recipient.notify & notify::NEVER == 0) {
        bounce_log::append(queue, "bounce", id, entry)?;
    }
    let file = File::options().read(true).write(true).open(queue.path("active", id))?;
    file::mark_done(&file, offset)
}

/// The recipient under the address that the outcome is about.
fn named(recipient: &Recipient, outcome: &Outcome) -> Recipient {
    let address = outcome.address.clone().unwrap_or_else(|| recipient.address.clone());
    Recipient { address, ..recipient.clone() }
}

fn target(recipient: &Recipient) -> Target {
    Target {
        offset: recipient.offset,
        address: recipient.address.clone(),
        original: recipient.original.clone(),
        dsn_original: recipient.dsn_original.clone(),
        notify: recipient.notify,
    }
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
