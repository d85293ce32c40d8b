//! AUTH (RFC 4954).

use super::anvil;
use super::sasl::{Place, Sasl, Step};
use super::session::{Next, Session};
use super::stream::{Duplex, Input};
use crate::cleanup::envelope::Login;
use crate::proto::smtp_command::Verb;
use std::rc::Rc;

/// As the reference words what it was not told.
const NO_REASON: &str = "(reason unavailable)";
const NO_NAME: &str = "(unavailable)";

impl<S: Duplex> Session<S> {
    /// Who can be logged in with, in this session, as it is now.
    fn sasl(&self) -> Option<Rc<Sasl>> {
        let usable = !self.peer.is_user && (!self.shared.encryption.auth_only || self.secured.is_some());
        self.shared.sasl.clone().filter(|_| usable)
    }

    /// Whether logins are served, in this session, as it is now.
    pub fn has_logins(&self) -> bool {
        self.sasl().is_some()
    }

    /// The lines about AUTH that EHLO lists: today's, and that of old clients.
    pub async fn login_offers(&self) -> [Option<String>; 2] {
        let Some(sasl) = self.sasl().filter(|sasl| !self.peer.is_in(&sasl.exceptions)) else { return [None, None] };
        let mechanisms = sasl.mechanisms(self.secured.is_some(), &self.log).await.join(" ");
        let offer = |begin: &str| (!mechanisms.is_empty()).then(|| format!("{begin}{mechanisms}"));
        [offer("AUTH "), offer("AUTH=").filter(|_| sasl.broken_clients)]
    }

    pub async fn auth(&mut self, rest: &str) -> Next {
        let verb = Verb::Auth;
        let filtered = self.filters.refusal_of_security();
        let refused = if self.settings.helo_required && self.helo.is_none() {
            Some("503 5.5.1 Error: send HELO/EHLO first")
        } else if !self.has_logins() || self.discards("auth") {
            Some("503 5.5.1 Error: authentication not enabled")
        } else if self.login.is_some() {
            Some("503 5.5.1 Error: already authenticated")
        } else if self.transaction.sender.is_some() {
            Some("503 5.5.1 Error: MAIL transaction in progress")
        } else {
            filtered.as_deref()
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (mechanism, response) = match (refused, words.as_slice()) {
            (Some(reply), _) => {
                self.error(verb, reply).await;
                return Next::Continue;
            }
            (None, [mechanism]) => (*mechanism, None),
            (None, [mechanism, response]) => (*mechanism, Some(*response)),
            (None, _) => {
                self.error(verb, "501 5.5.4 Syntax: AUTH mechanism").await;
                return Next::Continue;
            }
        };
        if self.is_over(anvil::Event::Auth, self.settings.limits.auth_rate, "AUTH command") {
            let reply = format!("450 4.7.1 Error: too many AUTH commands from {}", self.peer.address_name());
            self.error(verb, &reply).await;
            return Next::Continue;
        }
        let Some(sasl) = self.sasl() else { return Next::Continue };
        let place = Place {
            server_address: self.peer.server_address.clone(),
            client_address: self.peer.address_name(),
            encrypted: self.secured.is_some(),
        };
        let mut step = sasl.begin(mechanism, response, &place, &self.log).await;
        loop {
            let (conversation, challenge) = match step {
                Step::More(conversation, challenge) => (conversation, challenge),
                Step::Good(name) => {
                    self.login = Some(Login { method: mechanism.to_owned(), name: printable(&name) });
                    self.good(verb, "235 2.7.0 Authentication successful").await;
                    return Next::Continue;
                }
                Step::Bad(refusal) => {
                    let reason = refusal.reason.as_deref().map_or_else(|| NO_REASON.to_owned(), printable);
                    let name = refusal.name.as_deref().map_or_else(|| NO_NAME.to_owned(), printable);
                    let (client, mechanism) = (self.shown(), printable(mechanism));
                    self.log.warning(format!(
                        "{client}: SASL {mechanism} authentication failed: {reason}, sasl_username={name}"
                    ));
                    let reply = match refusal.temporary {
                        true => format!("454 4.7.0 Temporary authentication failure: {reason}"),
                        false => format!("535 5.7.8 Error: authentication failed: {reason}"),
                    };
                    self.error(verb, &reply).await;
                    return Next::Continue;
                }
            };
            self.say(&format!("334 {challenge}")).await;
            let response = match self.stream.line(sasl.response_limit).await {
                Input::Line { text, too_long: false, .. } => String::from_utf8_lossy(&text).into_owned(),
                Input::Line { text, .. } => {
                    let begin = printable(&String::from_utf8_lossy(&text[..text.len().min(30)]));
                    let (client, limit) = (self.shown(), sasl.response_limit);
                    self.log.warning(format!("{client}: request longer than {limit}: {begin}..."));
                    self.error(verb, "500 5.5.6 SASL response limit exceeded").await;
                    return Next::Continue;
                }
                Input::Closed => {
                    self.count(verb, false);
                    self.note_lost(false);
                    return Next::Close;
                }
                Input::TimedOut => {
                    self.count(verb, false);
                    let host = self.settings.myhostname.clone();
                    self.say(&format!("421 4.4.2 {host} Error: timeout exceeded")).await;
                    self.note_lost(true);
                    return Next::Close;
                }
            };
            if response == "*" {
                let (client, mechanism) = (self.shown(), printable(mechanism));
                self.log.warning(format!("{client}: SASL {mechanism} authentication aborted"));
                self.error(verb, "501 5.7.0 Authentication aborted").await;
                return Next::Continue;
            }
            step = sasl.go_on(conversation, &response, &self.log).await;
        }
    }
}

/// A word from outside for logs, headers and replies.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(255).collect()
}
