//! One SMTP session: greeting, the loop of commands, replies and their counts, the end. What a command changes is in
//! one place each, so that no error path leaves half a transaction behind (faults.md A19).

use super::anvil::Anvil;
use super::encryption::Encryption;
use super::peer::Peer;
use super::sasl::Sasl;
use super::settings::Settings;
use super::sink::Sink;
use super::stream::{Duplex, Input, Stream};
use super::transaction::Transaction;
use super::transcript::Transcript;
use crate::cleanup::envelope::{Client, Login};
use crate::dns::Dns;
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::proto::smtp_command::{VERBS, Verb};
use crate::proto::tls_server::Established;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What all sessions of a process share.
pub struct Shared {
    pub settings: Arc<Settings>,
    pub encryption: Encryption,
    /// None: nobody logs in.
    pub sasl: Option<Rc<Sasl>>,
    pub sink: Sink,
    pub log: Arc<Log>,
    pub dns: Dns,
    pub anvil: RefCell<Anvil>,
    /// The service's name in master.cf, for warnings about limits.
    pub service: String,
}

/// What a command means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Continue,
    /// What had to be said is said.
    Close,
}

pub struct Session<S> {
    pub shared: Rc<Shared>,
    pub settings: Arc<Settings>,
    pub log: Arc<Log>,
    pub stream: Stream<S>,
    /// Who the client is; XCLIENT changes it.
    pub peer: Peer,
    /// What XFORWARD said of the client before.
    pub forwarded: Option<super::xclient::Forwarded>,
    pub helo: Option<String>,
    pub extended: bool,
    /// Who has logged in.
    pub login: Option<Login>,
    /// Since STARTTLS.
    pub secured: Option<Arc<Established>>,
    pub transaction: Transaction,
    pub transcript: Transcript,
    pub filters: super::filters::Place,
    /// Whether every line of the session so far ended with a bare LF.
    pub only_bare_lf: bool,
    pub errors: i64,
    pub junk: i64,
    counts: HashMap<Verb, (u32, u32)>,
    /// What "lost connection after" names.
    pub last: String,
    /// smtpd_delay_reject = no: what the client was refused with.
    pub denied: bool,
    /// What client and HELO checks that came early left for later (smtpd_delay_reject = no).
    pub early_deferral: Option<super::access::Deferral>,
    /// A "421" or "521" was said: the session ends.
    pub hang_up: bool,
    pub out_of_turn: bool,
    pub transactions: u32,
    pub started: std::time::SystemTime,
}

impl<S: Duplex> Session<S> {
    pub fn new(shared: Rc<Shared>, stream: Stream<S>, peer: Peer) -> Session<S> {
        Session {
            settings: shared.settings.clone(),
            log: shared.log.clone(),
            shared,
            stream,
            peer,
            forwarded: None,
            helo: None,
            extended: false,
            login: None,
            secured: None,
            transaction: Transaction::default(),
            transcript: Transcript::default(),
            filters: super::filters::Place::default(),
            only_bare_lf: true,
            errors: 0,
            junk: 0,
            counts: HashMap::new(),
            last: "CONNECT".to_owned(),
            denied: false,
            early_deferral: None,
            hang_up: false,
            out_of_turn: false,
            transactions: 0,
            started: std::time::SystemTime::now(),
        }
    }

    /// Serves the session to its end.
    pub async fn run(&mut self) {
        for oddity in std::mem::take(&mut self.peer.oddities) {
            self.log.warning(oddity);
        }
        let client = self.shown();
        self.log.event(&Event::Connect { client: text(&client) });
        if self.welcome().await {
            self.serve().await;
        }
        self.end_filters().await;
        self.stream.close().await;
        self.close_page().await;
        let counts = self.counts_text();
        let client = self.shown();
        self.log.event(&Event::Disconnect { client: text(&client), counts: text(&counts) });
    }

    /// The client as log lines name it.
    pub fn shown(&self) -> String {
        if self.settings.port_logging { format!("{}:{}", self.peer.shown(), self.peer.port) } else { self.peer.shown() }
    }

    /// Says hello; false when the session ends here.
    async fn welcome(&mut self) -> bool {
        if self.shared.encryption.wrapper && self.begin_encrypted().await == Next::Close {
            return false;
        }
        if !self.within_limits().await {
            return false;
        }
        // A client that talks before it is spoken to does not listen to replies either (faults.md A23).
        if !self.peer.is_trusted(&self.settings) && self.peer.talks_first(&mut self.stream).await {
            let said = escaped(self.stream.pending());
            self.log.info(format!("improper command pipelining after CONNECT from {}: {said}", self.shown()));
            self.say("554 5.5.0 Error: SMTP protocol synchronization").await;
            return false;
        }
        Box::pin(self.greet("CONNECT")).await;
        !self.hang_up
    }

    /// The banner, or what stands in for it.
    pub async fn greet(&mut self, stage: &str) {
        if !self.settings.delay_reject && !self.peer.is_user {
            match self.check_client(stage).await {
                Ok(()) => self.denied = false,
                Err(reply) => {
                    self.denied = true;
                    return self.say(&reply).await;
                }
            }
        }
        let host = self.settings.myhostname.clone();
        let (banner, error) = match self.filter_connect(stage).await {
            Some(reply) if reply.starts_with('5') => (format!("554 {host} ESMTP not accepting connections"), true),
            Some(reply) if reply.starts_with("421") => {
                (format!("421 {host} Service unavailable - try again later"), false)
            }
            _ => (format!("220 {}", self.settings.banner), false),
        };
        self.errors += i64::from(error);
        self.say(&banner).await;
    }

    /// How many sessions there are, and how fast they come.
    async fn within_limits(&mut self) -> bool {
        let limits = &self.shared.settings.limits;
        if self.peer.is_user || self.peer.is_in(&limits.exceptions) {
            return true;
        }
        let (sessions, rate) = self.peer.anvil;
        let (shown, service) = (self.shown(), self.shared.service.clone());
        let excess = if limits.connections > 0 && sessions > limits.connections {
            format!("Connection concurrency limit exceeded: {sessions}")
        } else if limits.connection_rate > 0 && rate > limits.connection_rate {
            format!("Connection rate limit exceeded: {rate}")
        } else {
            return true;
        };
        let reply = format!(
            "421 4.7.0 {} Error: too many connections from {}",
            self.settings.myhostname,
            self.peer.address_name()
        );
        self.say(&reply).await;
        self.log.warning(format!("{excess} from {shown} for service {service}"));
        false
    }

    async fn serve(&mut self) {
        loop {
            if self.errors >= self.settings.limits.hard_errors {
                let host = self.settings.myhostname.clone();
                self.say(&format!("421 4.7.0 {host} Error: too many errors")).await;
                let client = self.shown();
                self.transcript.reason = Some("too many errors");
                self.log.event(&Event::TooManyErrors { after: text(&self.last), client: text(&client) });
                return;
            }
            let line = match self.stream.line(self.settings.line_length_limit).await {
                Input::Line { text, crlf, too_long } => {
                    self.only_bare_lf &= !crlf;
                    self.transcript.heard(&text);
                    if too_long {
                        self.error(Verb::Unknown, "500 5.5.2 Error: line too long").await;
                        continue;
                    }
                    text
                }
                Input::Closed => return self.note_lost(false),
                Input::TimedOut => {
                    let host = self.settings.myhostname.clone();
                    self.say(&format!("421 4.4.2 {host} Error: timeout exceeded")).await;
                    return self.note_lost(true);
                }
            };
            // Boxed, so that a session that waits for a command holds nothing of what commands need.
            if Box::pin(self.command(&line)).await == Next::Close || self.hang_up {
                return;
            }
        }
    }

    pub fn note_lost(&mut self, timeout: bool) {
        self.transcript.reason = Some(if timeout { "timeout" } else { "lost connection" });
        let client = self.shown();
        let event = if timeout {
            Event::Timeout { after: text(&self.last), client: text(&client) }
        } else {
            Event::LostConnection { after: text(&self.last), client: text(&client) }
        };
        self.log.event(&event);
    }

    pub fn count(&mut self, verb: Verb, good: bool) {
        let entry = self.counts.entry(verb).or_default();
        entry.0 += u32::from(good);
        entry.1 += 1;
    }

    /// "ehlo=1 mail=1/2 ... commands=5/6", in the table's order.
    fn counts_text(&self) -> String {
        let show = |good: u32, all: u32| if good == all { good.to_string() } else { format!("{good}/{all}") };
        let mut parts = Vec::new();
        let (mut all_good, mut all) = (0, 0);
        for (verb, name) in VERBS {
            if let Some(&(good, total)) = self.counts.get(verb) {
                parts.push(format!("{name}={}", show(good, total)));
                all_good += good;
                all += total;
            }
        }
        // The reference shows both numbers where nothing was said.
        let total = if all == 0 { "0/0".to_owned() } else { show(all_good, all) };
        parts.push(format!("commands={total}"));
        parts.join(" ")
    }

    pub async fn good(&mut self, verb: Verb, reply: &str) {
        self.say(reply).await;
        self.count(verb, true);
    }

    pub async fn error(&mut self, verb: Verb, reply: &str) {
        self.say(reply).await;
        self.count(verb, false);
        self.errors += 1;
    }

    /// Replies. A client with too many errors waits for every reply; a refusal gets its footer.
    pub async fn say(&mut self, reply: &str) {
        let limits = &self.shared.settings.limits;
        if self.errors >= limits.soft_errors && !limits.error_sleep.is_zero() {
            let _ = self.stream.flush().await;
            tokio::time::sleep(limits.error_sleep).await;
        }
        let mut reply = reply.to_owned();
        if self.settings.soft_bounce && reply.starts_with('5') {
            super::footer::soften(&mut reply);
        }
        if reply.starts_with(['4', '5']) {
            reply = super::footer::with_footer(self, reply);
        }
        self.hang_up |= reply.starts_with("421") || reply.starts_with("521");
        self.transcript.said(&reply);
        self.stream.reply(&reply);
    }

    pub fn protocol(&self) -> &'static str {
        if self.extended { "ESMTP" } else { "SMTP" }
    }

    /// The client as the queue file and the Received header know it.
    pub fn client(&self) -> Client {
        Client {
            name: self.peer.name.clone(),
            reverse_name: self.peer.reverse.clone(),
            address: self.peer.address_text(),
            port: self.peer.port,
            helo: self.helo.clone().unwrap_or_default(),
            protocol: self.protocol(),
            server_address: self.peer.server_address.clone(),
            server_port: self.peer.server_port,
            login: self.login.clone(),
            login_sender: self.transaction.login_sender.clone(),
            secured: self.secured.clone(),
            secured_header: self.shared.encryption.received_header,
            login_header: self.settings.login_header,
        }
    }
}

/// Text from outside in a log line: controls as C would write them.
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes.iter().take(100) {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            32..=126 => out.push(char::from(byte)),
            other => out.push_str(&format!("\\{other:03o}")),
        }
    }
    out
}
