//! A delivery request, from the queue manager to an agent, and the agent's answer: one [`Outcome`] for each recipient.

use crate::status::{Code, Diagnostic, Report};
use serde::{Deserialize, Serialize};

/// What the sender wants told (the attribute trace_flags), as the reference numbers it.
pub mod trace {
    /// A probe of verify(8): deliver nothing, tell that service.
    pub const PROBE: u32 = 1 << 8;
    /// sendmail -bv: deliver nothing, report what would be done.
    pub const VERIFY: u32 = 1 << 9;
    /// sendmail -v: deliver, and report every recipient.
    pub const RECORD: u32 = 1 << 10;
}

/// One message, one transport and next hop, some of its recipients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub queue_id: String,
    /// The service that is asked ("smtp", "relay", "maildrop"): its own parameters apply.
    pub transport: String,
    pub nexthop: String,
    pub sender: String,
    /// The content's records in bytes: a little more than the content.
    pub size: u64,
    pub data_offset: u64,
    /// Microseconds since the epoch: arrival, and when the queue manager took the message up.
    pub arrival: u64,
    pub active_since: u64,
    pub recipients: Vec<Target>,
    /// The message's attributes: encoding, client_address and so on.
    pub attributes: std::collections::HashMap<String, String>,
}

impl Request {
    fn trace_flags(&self) -> u32 {
        self.attributes.get("trace_flags").and_then(|flags| flags.parse().ok()).unwrap_or(0)
    }

    /// Nothing is delivered: the agent tells what it would do.
    pub fn only_verifies(&self) -> bool {
        self.trace_flags() & (trace::VERIFY | trace::PROBE) != 0
    }

    /// The sender is told what became of each address that `target` leads to, not only of failures.
    pub fn is_traced(&self, target: &Target) -> bool {
        self.trace_flags() != 0 || target.notify & NOTIFY_SUCCESS != 0
    }
}

/// RFC 3461, as the queue numbers it.
pub const NOTIFY_SUCCESS: u32 = 2;

/// A recipient of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub offset: u64,
    pub address: String,
    pub original: String,
    pub dsn_original: String,
    pub notify: u32,
}

/// What became of one recipient.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub offset: u64,
    /// The address that failed, where an alias led away from the recipient's own.
    pub address: Option<String>,
    /// "class.subject.detail"
    pub code: String,
    pub reason: String,
    pub mta: Option<String>,
    pub diagnostic: Option<Diagnostic>,
    /// Who delivered, for reports: "local", "mx.example.org[192.0.2.1]:25".
    #[serde(default)]
    pub relay: String,
    /// Who took it passes it on and may tell nobody when it arrives.
    #[serde(default)]
    pub relayed: bool,
    /// The host that took it promised to tell the sender what he asked for (RFC 3461).
    #[serde(default)]
    pub promised: bool,
    /// The destination itself did not answer, whoever the recipient: its other mail need not be tried now.
    pub destination_down: bool,
}

impl Outcome {
    pub fn new(offset: u64, report: &Report, destination_down: bool) -> Outcome {
        Outcome {
            offset,
            address: None,
            code: report.code.to_string(),
            reason: report.reason.clone(),
            mta: report.mta.clone(),
            diagnostic: report.diagnostic.clone(),
            relay: String::new(),
            relayed: false,
            promised: false,
            destination_down,
        }
    }

    /// The report in it; a code that cannot be read is a temporary failure.
    pub fn report(&self) -> Report {
        Report {
            code: Code::split(&self.code).map_or(Code::DEFERRED, |(code, _)| code),
            reason: self.reason.clone(),
            mta: self.mta.clone(),
            diagnostic: self.diagnostic.clone(),
        }
    }
}

/// An agent's answer to a request: every recipient at least once, in any order. A recipient that an alias led to
/// several addresses has one for each that failed, or one that says sent.
pub type Answer = Vec<Outcome>;
