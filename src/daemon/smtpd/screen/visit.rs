//! One client at the screen: what it has to pass, what it has passed and failed, and how that ends.

use super::Screen;
use super::cache::now;
use super::results::{Test, Tests, Times};
use crate::daemon::smtpd::footer;
use crate::daemon::smtpd::stream::{Duplex, Stream};
use crate::log::event::delay_text;
use std::net::SocketAddr;
use tokio::time::Instant;

pub struct Visit<'a> {
    pub screen: &'a Screen,
    pub client: SocketAddr,
    /// "[ADDRESS]:PORT"
    pub shown: String,
    pub times: Times,
    pub todo: Tests,
    pub passed: Tests,
    pub failed: Tests,
    /// Refused by the access list, or at an address of ours where nobody comes to be known.
    pub disliked: bool,
    /// Some test was never passed.
    pub is_new: bool,
    /// It does not get to smtpd.
    pub kept_out: bool,
    /// Since STARTTLS.
    pub encrypted: bool,
    /// What each recipient is refused with.
    pub refusal: String,
    began: Instant,
    phase: &'static str,
}

/// How a visit ends.
pub enum End {
    /// All that had to be passed is passed.
    Through,
    /// This is said, and that was it.
    Said(String),
    HungUp,
}

impl<'a> Visit<'a> {
    pub fn new(screen: &'a Screen, client: SocketAddr) -> Visit<'a> {
        Visit {
            screen,
            client,
            shown: format!("[{}]:{}", client.ip(), client.port()),
            times: Times::unknown(),
            todo: Tests::default(),
            passed: Tests::default(),
            failed: Tests::default(),
            disliked: false,
            is_new: false,
            kept_out: false,
            encrypted: false,
            refusal: "450 4.3.2 Service currently unavailable".to_owned(),
            began: Instant::now(),
            phase: "",
        }
    }

    pub fn log(&self, text: impl AsRef<str>) {
        self.screen.log.info(text);
    }

    /// The name of a list in one of two ways (respectful_logging).
    pub fn log_listed(&self, respectful: &str, other: &str, what: &str) {
        let settings = &self.screen.settings;
        self.log(format!("{}{what} {}", if settings.respectful { respectful } else { other }, self.shown));
    }

    /// What is known of the client from earlier visits; whether anything is.
    pub fn recall(&mut self) -> bool {
        let enabled = self.screen.settings.enabled();
        let known = if self.has_failed() { None } else { self.screen.cache.find(self.client.ip()) };
        self.times = known.unwrap_or_else(Times::unknown);
        self.is_new = self.times.is_new();
        self.todo = self.times.due(enabled, now());
        known.is_some()
    }

    pub fn begin(&mut self, phase: &'static str) {
        (self.began, self.phase) = (Instant::now(), phase);
    }

    pub fn elapsed(&self) -> std::time::Duration {
        self.began.elapsed()
    }

    pub fn has_failed(&self) -> bool {
        self.disliked || !self.failed.is_empty()
    }

    pub fn pass(&mut self, test: Test, ttl: u64) {
        self.passed.insert(test);
        self.times.set(test, now().saturating_add(ttl));
    }

    /// From now on each recipient is refused.
    pub fn enforce(&mut self, refusal: &str) {
        refusal.clone_into(&mut self.refusal);
        self.kept_out = true;
    }

    /// Sends a reply; false when the client is gone.
    pub async fn say<S: Duplex>(&self, stream: &mut Stream<S>, reply: &str) -> bool {
        stream.reply(&self.worded(reply));
        stream.flush().await.is_ok()
    }

    fn worded(&self, reply: &str) -> String {
        let settings = &self.screen.settings;
        let mut reply = reply.to_owned();
        if settings.soft_bounce && reply.starts_with('5') {
            footer::soften(&mut reply);
        }
        if !reply.starts_with(['4', '5']) {
            return reply;
        }
        let own = settings.footer_maps.find_text(&reply).unwrap_or_else(|error| {
            self.screen.log.warning(error.to_string());
            None
        });
        let template = own.unwrap_or_else(|| settings.footer.clone());
        if template.is_empty() {
            return reply;
        }
        footer::filled(&reply, &template, &|name| {
            Some(match name {
                "client_address" => self.client.ip().to_string(),
                "client_port" => self.client.port().to_string(),
                "server_name" => settings.myhostname.clone(),
                "localtime" => jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string(),
                _ => return None,
            })
        })
    }

    /// The end of the visit; whether smtpd takes over.
    pub async fn conclude<S: Duplex>(mut self, stream: &mut Stream<S>, end: End) -> bool {
        if let End::HungUp = end {
            let after = delay_text(self.elapsed());
            self.log(format!("HANGUP after {after} from {} in {}", self.shown, self.phase));
        }
        self.kept_out |= !matches!(end, End::Through);
        if self.has_failed() {
            self.passed = Tests::default();
        }
        if !self.todo.is_empty() && self.passed.and(self.todo) == self.todo {
            // Another connection of the client may have been faster.
            let is_new = self.is_new && self.screen.cache.find(self.client.ip()).is_none_or(Times::is_new);
            self.log(format!("PASS {} {}", if is_new { "NEW" } else { "OLD" }, self.shown));
        }
        if !self.passed.is_empty() {
            let kept = self.times.kept(self.screen.settings.enabled());
            self.screen.cache.update(self.client.ip(), kept, &self.screen.log);
        }
        if !self.kept_out {
            return true;
        }
        if let End::Said(reply) = end {
            self.say(stream, &reply).await;
        }
        self.log(format!("DISCONNECT {}", self.shown));
        if self.encrypted {
            self.leave_proxy();
        }
        stream.close().await;
        false
    }
}
