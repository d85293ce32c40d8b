//! What is counted: plain data, filled by [`collect`](super::collect) and read by [`report`](super::report).
//! A finished message costs sixteen bytes, its queue id's digest and its size: the report's rule that a known queue
//! id is not counted twice holds for the whole input, so it cannot be forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

pub type Key = Box<[u8]>;
/// Count of each text.
pub type Counts = Map<u64>;

/// Values by text. A text is found by its digest alone: the texts stand in a list with their values, and a look-up
/// touches them only where the value is, which on large logs is half of the time.
#[derive(Clone, Debug)]
pub struct Map<V> {
    index: HashMap<Digest, u32, Verbatim>,
    entries: Vec<(Key, V)>,
}

impl<V> Default for Map<V> {
    fn default() -> Map<V> {
        Map { index: HashMap::default(), entries: Vec::new() }
    }
}

impl<V: Default> Map<V> {
    /// The value of a key; a new one is the default.
    pub fn of(&mut self, key: &[u8]) -> &mut V {
        let at = self.place(key);
        // Every index was the length of the list when its entry was pushed.
        &mut self.entries[at as usize].1
    }

    /// The place of a key in the list, for [`Map::key`].
    pub fn place(&mut self, key: &[u8]) -> u32 {
        let entries = &mut self.entries;
        *self.index.entry(Digest::of(key)).or_insert_with(|| {
            // More than 2^32 different texts do not fit into memory long before: the last one stands for the rest.
            let at = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            entries.push((key.into(), V::default()));
            at
        })
    }
}

impl<V> Map<V> {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn key(&self, place: u32) -> Option<&[u8]> {
        self.entries.get(place as usize).map(|(key, _)| key.as_ref())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value))
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }
}

/// Messages and bytes of a sender or a sending domain.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
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
        self.seconds += seconds;
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

/// Size of each message and whether it was deferred, by queue id.
#[derive(Default)]
pub struct Messages {
    known: HashMap<Digest, u64, Verbatim>,
    /// Each client's domain stands once in `clients`, however many messages are under way.
    arrived: HashMap<Digest, u32, Verbatim>,
    clients: Map<()>,
}

/// 64 bits of a text, by a keyed hash: folded multiplication, several times faster than SipHash on short texts. The key
/// is new in each process, so that nobody can write log lines that collide. Two of a million texts share their digest
/// with a chance of one in thirty million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    pub fn of(text: &[u8]) -> Digest {
        static KEY: OnceLock<u64> = OnceLock::new();
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let key = *KEY.get_or_init(|| RandomState::new().hash_one(0u8) | 1);
        let mut state = key ^ (text.len() as u64).wrapping_mul(0xa076_1d64_78bd_642f);
        let mut chunks = text.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            state = fold(state ^ word, ODD);
        }
        let mut last = [0; 8];
        let rest = chunks.remainder();
        last[..rest.len()].copy_from_slice(rest);
        Digest(fold(state ^ u64::from_le_bytes(last), ODD ^ key.rotate_left(32) | 1))
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Messages {
    /// The message's size in bytes; 0 when it was not logged.
    pub fn size(&self, message: Digest) -> u64 {
        self.known.get(&message).map_or(0, |known| known >> 1)
    }

    pub fn set_size(&mut self, message: Digest, size: u64) {
        let known = self.known.entry(message).or_default();
        *known = (*known & 1) | size.min(u64::MAX >> 1) << 1;
    }

    /// True the first time.
    pub fn first_deferral(&mut self, message: Digest) -> bool {
        let known = self.known.entry(message).or_default();
        let first = *known & 1 == 0;
        *known |= 1;
        first
    }

    /// smtpd or pickup took the message in; `client` is the sending domain, None when it cannot be read.
    pub fn arrive(&mut self, message: Digest, client: Option<&[u8]>) {
        match client {
            Some(client) => {
                let place = self.clients.place(client);
                self.arrived.insert(message, place)
            }
            None => self.arrived.remove(&message),
        };
    }

    /// The client of a message whose sender is seen for the first time.
    pub fn take_client(&mut self, message: Digest) -> Option<&[u8]> {
        let place = self.arrived.remove(&message)?;
        self.clients.key(place)
    }
}

/// For keys that are digests already.
#[derive(Clone, Copy, Debug, Default)]
struct Verbatim;

impl BuildHasher for Verbatim {
    type Hasher = VerbatimHasher;

    fn build_hasher(&self) -> VerbatimHasher {
        VerbatimHasher(0)
    }
}

struct VerbatimHasher(u64);

impl Hasher for VerbatimHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
