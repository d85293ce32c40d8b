//! What is counted: plain data, filled by [`state`](super::state) and read by [`report`](super::report).

pub use super::map::{Counts, Map};

pub type Key = Box<[u8]>;

/// Messages and bytes of a sender or a sending domain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
    /// The place of a recipient's domain in its map.
    pub domain: u32,
}

/// What is known of a recipient domain.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    pub messages: u64,
    pub bytes: u64,
    pub deferrals: u64,
    /// Sum of the delays of delivered messages, in the order of the log: the rounding of the sum is part of the report.
    pub delay: f64,
    pub longest: f64,
}

/// The five columns of the traffic tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Received,
    Delivered,
    Deferred,
    Bounced,
    Rejected,
}

/// One day's or hour's traffic. `filled` columns were ever touched: a row ends with the last one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    pub values: [u64; 5],
    pub filled: usize,
}

impl Row {
    pub fn add(&mut self, column: Column) {
        self.values[column as usize] += 1;
        self.filled = self.filled.max(column as usize + 1);
    }
}

/// smtpd sessions: how many, their time in all and the longest, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sessions {
    pub count: u64,
    pub seconds: i64,
    pub longest: i64,
}

impl Sessions {
    pub fn add(&mut self, seconds: i64) {
        self.longest = if self.count == 0 { seconds.max(0) } else { self.longest.max(seconds) };
        self.count += 1;
        self.seconds = self.seconds.saturating_add(seconds);
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Day {
    pub year: i64,
    /// From 0.
    pub month: i64,
    pub day: i64,
    pub traffic: Row,
    pub sessions: Sessions,
}

/// smtpd's and cleanup's verdicts by program or command, reason, and whom they are about.
pub type Verdicts = Map<Map<Counts>>;

/// What only the report of 1.3.0 has.
#[derive(Default)]
pub struct NewerTallies {
    /// Year, month from 0 and day of the first line, and of the last.
    pub span: Option<[(i64, i64, i64); 2]>,
    /// Messages that were taken in and then rejected, canceled or lost; "received" goes without them.
    pub withdrawn: u64,
    pub canceled: u64,
    /// Deliveries to a content filter that gave the message back (--accurate).
    pub filtered: u64,
    pub expired: u64,
    pub expired_relays: Counts,
    /// By program, host and reason.
    pub deferrals: Verdicts,
    pub screen_actions: Map<Counts>,
    pub screen: Sessions,
    pub screen_addresses: Map<()>,
    pub tls_errors: Map<Counts>,
    pub tls_levels: Map<Counts>,
}

/// Everything that a report needs.
#[derive(Default)]
pub struct Tallies {
    pub received: u64,
    pub delivered: u64,
    pub forwarded: u64,
    pub deferred: u64,
    pub deferrals: u64,
    pub bounced: u64,
    pub rejected: u64,
    pub reject_warnings: u64,
    pub held: u64,
    pub discarded: u64,
    pub bytes_received: u64,
    pub bytes_delivered: u64,
    /// How often the day of the month changed from one line to the next.
    pub day_changes: u64,
    pub days: Vec<Day>,
    pub hours: Vec<Row>,
    pub session_hours: Vec<Sessions>,
    pub session_domains: Map<Sessions>,
    pub sessions: Sessions,
    pub senders: Map<Traffic>,
    pub sender_domains: Map<Traffic>,
    pub recipients: Map<Traffic>,
    pub recipient_domains: Map<Deliveries>,
    /// Queue id and last recipient of deliveries whose size is not known.
    pub sizeless: Map<Key>,
    pub deferral_reasons: Map<Counts>,
    pub bounce_reasons: Map<Counts>,
    pub rejects: Verdicts,
    pub reject_warning_reasons: Verdicts,
    pub holds: Verdicts,
    pub discards: Verdicts,
    pub smtp_failures: Map<Counts>,
    pub warnings: Map<Counts>,
    pub fatals: Map<Counts>,
    pub panics: Map<Counts>,
    pub master: Counts,
    /// -e: sender and recipients of each message.
    pub details: Map<Vec<Key>>,
    pub newer: NewerTallies,
}
