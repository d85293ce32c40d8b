//! How a conversation begins: greeting, EHLO, STARTTLS and EHLO again, AUTH. What is refused here is refused to every
//! recipient.

use super::conversation::{Broken, Conversation, Filter};
use super::destination::{Peer, Unreachable};
use super::dialogue::Dialogue;
use super::encryption::Host;
use super::login::Safety;
use super::offers::Offers;
use super::policy::{Level, Policy};
use super::stream::{Stream, Unconnected};
use super::{Settings, said};
use crate::ipc::delivery::Request;
use crate::proto::smtp_reply::Reply;
use crate::status::{Code, Report};
use std::io;
use std::net::IpAddr;

/// Whom to talk to, why, and how safely.
pub struct Opening<'a> {
    pub settings: &'a Settings,
    pub request: &'a Request,
    pub peer: &'a Peer,
    /// As the request has it, and without brackets and port.
    pub nexthop: &'a str,
    pub domain: &'a str,
    pub policy: &'a Policy,
}

/// A conversation that has come to commands for mail.
struct Open {
    conversation: Conversation,
    offers: Offers,
    safety: Safety,
    authenticated: bool,
    /// The server said more than EHLO asked for, by TLS (smtp_tls_block_early_mail_reply).
    early: bool,
}

impl<'a> Opening<'a> {
    pub fn dialogue(&self) -> Result<Dialogue<'a>, Unreachable> {
        let (settings, name, shown) = (self.settings, self.peer.name(), self.peer.shown());
        let bound = |own: &IpAddr, error: &io::Error| {
            let reason = crate::sys::files::reason(error);
            settings.log.warning(format!("smtp_connect_addr: bind {own}: {reason}"));
        };
        let stream = Stream::connect(settings, self.peer, &bound).map_err(|failure| {
            let Unconnected::Host(error) = failure else {
                return Unreachable::temporary(Code::new(4, 4, 0), "server configuration error");
            };
            let timed_out = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
            let reason = if timed_out { "Connection timed out".to_owned() } else { crate::sys::files::reason(&error) };
            Unreachable::temporary(Code::new(4, 4, 1), format!("connect to {shown}: {reason}"))
        })?;
        let filter = Filter {
            maps: settings.reply_filter.clone(),
            log: settings.log.clone(),
            host: shown.clone(),
            queue_id: self.request.queue_id.clone(),
        };
        let mut open = Open {
            conversation: Conversation::new(stream, settings.command_timeout, filter),
            offers: Offers::default(),
            safety: Safety::Clear,
            authenticated: false,
            early: false,
        };
        if let Err(failure) = self.open(&mut open) {
            if !failure.broken && !open.conversation.is_dead() {
                settings.quit(&mut open.conversation);
            }
            // The rest of the mail may go as well in clear, where a host's TLS does not work.
            let plain = failure.plain || (failure.broken && open.safety != Safety::Clear && self.may_be_plain());
            return Err(Unreachable { plain, relay: Some(shown), ..failure });
        }
        let falls_back = open.safety != Safety::Clear && self.may_be_plain();
        let Open { conversation, offers, authenticated, early, .. } = open;
        Ok(Dialogue::new(settings, name, conversation, offers, authenticated, early, falls_back))
    }

    fn open(&self, open: &mut Open) -> Result<(), Unreachable> {
        let settings = self.settings;
        if settings.wrapper {
            self.secure(open)?;
        }
        let esmtp = self.greeting(open)?;
        self.hello(open, esmtp)?;
        if !settings.wrapper {
            self.start_tls(open)?;
        }
        self.log_in(open)
    }

    /// Whether the greeting asks for EHLO.
    fn greeting(&self, open: &mut Open) -> Result<bool, Unreachable> {
        let (settings, name) = (self.settings, self.peer.name());
        let greeting = open
            .conversation
            .reply(settings.greeting_timeout)
            .map_err(|broken| broken.while_doing(&name, "receiving the initial server greeting"))?;
        if !greeting.is_positive() {
            let temporary = !greeting.is_permanent() || settings.skip_5xx_greeting;
            let code = if temporary { Code::new(4, 0, 0) } else { Code::new(5, 0, 0) };
            return Err(self.refused(&greeting, code, format!("host {name} refused to talk to me"), "greeting"));
        }
        let esmtp = greeting.lines.iter().any(|line| line.contains("ESMTP"));
        Ok((settings.always_ehlo || esmtp) && !settings.never_ehlo)
    }

    fn hello(&self, open: &mut Open, esmtp: bool) -> Result<(), Unreachable> {
        let (settings, name) = (self.settings, self.peer.name());
        let words: &[&str] = match (settings.lmtp, esmtp) {
            (true, _) => &["LHLO"],
            (false, true) => &["EHLO", "HELO"],
            (false, false) => &["HELO"],
        };
        open.offers = Offers::default();
        let mut last = None;
        for word in words {
            let reply = open
                .conversation
                .ask(&format!("{word} {}", settings.helo_name), settings.greeting_timeout)
                .map_err(|broken| broken.while_doing(&name, &format!("performing the {word} handshake")))?;
            if reply.is_positive() {
                if *word != "HELO" {
                    let address = match self.peer {
                        Peer::Host(host) => Some(host.address.ip()),
                        Peer::Socket { .. } => None,
                    };
                    let discarded = settings.discards.of(address, &settings.log).map_err(|error| {
                        settings.log.warning(format!("{}: {error}", self.request.queue_id));
                        self.local_error()
                    })?;
                    open.offers = Offers::read(&reply, &discarded);
                }
                open.early = open.safety != Safety::Clear && open.conversation.has_more();
                return Ok(());
            }
            let gone = reply.code == 421;
            last = Some((word, reply));
            if gone {
                break;
            }
        }
        let Some((word, reply)) = last else { return Ok(()) };
        let code = if reply.is_permanent() { Code::new(5, 0, 0) } else { Code::new(4, 0, 0) };
        let failure = self.refused(&reply, code, format!("host {name} refused to talk to me"), word);
        Err(Unreachable { down: !reply.is_permanent(), ..failure })
    }

    /// STARTTLS, where the policy and the server want it; never less than the policy asks for.
    fn start_tls(&self, open: &mut Open) -> Result<(), Unreachable> {
        let (settings, name, policy) = (self.settings, self.peer.name(), self.policy);
        let offered = open.offers.starttls;
        if offered && settings.note_starttls_offer && policy.level == Level::None {
            settings.log.info(format!("Host offered STARTTLS: [{}]", self.host_name()));
        }
        let required = policy.level >= Level::Encrypt;
        if offered && settings.engine.is_some() && policy.level >= Level::May {
            let reply = open
                .conversation
                .ask("STARTTLS", settings.starttls_timeout)
                .map_err(|broken| broken.while_doing(&name, "receiving the STARTTLS response"))?;
            if reply.code / 100 == 2 {
                self.secure(open)?;
                return self.hello(open, true);
            }
            if required {
                let code = if reply.is_permanent() { Code::new(5, 0, 0) } else { Code::new(4, 0, 0) };
                let text = format!("TLS is required, but host {name} refused to start TLS");
                return Err(self.refused(&reply, code, text, "STARTTLS"));
            }
        }
        if !required {
            return Ok(());
        }
        Err(match offered {
            false => Unreachable::temporary(
                Code::new(4, 7, 4),
                format!("TLS is required, but was not offered by host {name}"),
            ),
            true => Unreachable::temporary(Code::new(4, 7, 5), "TLS is required, but our TLS engine is unavailable"),
        })
    }

    fn secure(&self, open: &mut Open) -> Result<(), Unreachable> {
        let (settings, shown) = (self.settings, self.peer.shown());
        let host = Host { shown: &shown, name: self.host_name(), nexthop: self.domain };
        // What comes behind the 220 in clear would be read as said by TLS: somebody else may have written it.
        let injected = open.conversation.has_more();
        if injected {
            settings.log.warning(format!("{shown}: more than a reply to STARTTLS: refusing to start TLS"));
            *open.conversation.stream() = Stream::Dead;
        }
        let stream = open.conversation.stream();
        let engine = settings.engine.as_ref().filter(|_| !injected);
        let Some(secured) = engine.and_then(|engine| engine.secure(stream, self.policy, host, &settings.log)) else {
            *stream = Stream::Dead;
            let failure = Unreachable::temporary(Code::new(4, 7, 5), "Cannot start TLS: handshake failure");
            let may = self.policy.level == Level::May;
            return Err(Unreachable { down: !may, plain: !injected && self.may_be_plain(), ..failure });
        };
        if self.policy.level > Level::Encrypt && !secured.matched {
            return Err(Unreachable::temporary(Code::new(4, 7, 5), "Server certificate not verified"));
        }
        open.safety = if secured.matched { Safety::Matched } else { Safety::Encrypted };
        Ok(())
    }

    /// Whether the same host may get the mail in clear when its TLS fails: not at the first attempt, nor if a password
    /// would have been told it.
    fn may_be_plain(&self) -> bool {
        let waited = self.request.active_since.saturating_sub(self.request.arrival);
        let long = u128::from(waited) >= self.settings.minimal_backoff.as_micros();
        let known = self.settings.sasl.as_ref().is_some_and(|sasl| {
            // A table that gives no answer may have a password.
            !matches!(sasl.credentials(self.request, self.host_name(), self.nexthop), Ok(None))
        });
        self.policy.level == Level::May && (long || self.request.only_verifies()) && !known
    }

    fn log_in(&self, open: &mut Open) -> Result<(), Unreachable> {
        let (settings, name) = (self.settings, self.peer.name());
        let Some(sasl) = settings.sasl.as_ref().filter(|_| !open.offers.auth.is_empty()) else { return Ok(()) };
        let usable = sasl.usable(&open.offers.auth, &self.peer.shown(), &settings.log);
        let credentials = sasl.credentials(self.request, self.host_name(), self.nexthop).map_err(|error| {
            settings.log.warning(error.to_string());
            let family = if settings.lmtp { "lmtp" } else { "smtp" };
            settings.log.warning(format!("{}: {family}_sasl_password_maps lookup error", self.request.queue_id));
            self.local_error()
        })?;
        let Some(credentials) = credentials else { return Ok(()) };
        sasl.login(&mut open.conversation, credentials, &usable, open.safety, &name, &settings.log)?;
        open.authenticated = true;
        Ok(())
    }

    fn host_name(&self) -> &str {
        match self.peer {
            Peer::Host(host) => &host.name,
            Peer::Socket { name, .. } => name,
        }
    }

    fn local_error(&self) -> Unreachable {
        let text = format!("local data error while talking to {}", self.peer.name());
        Unreachable::temporary(Code::new(4, 3, 0), text)
    }

    /// The report for all recipients of a reply that says no.
    fn refused(&self, reply: &Reply, code: Code, what: String, command: &str) -> Unreachable {
        let temporary = code.class() == 4;
        let report =
            Report { reason: format!("{what}: {}", reply.text()), ..said(code, &self.peer.name(), reply, command) };
        Unreachable { down: temporary, ..Unreachable::of(report) }
    }
}

impl Settings {
    /// Polite, and without consequences.
    pub fn quit(&self, conversation: &mut Conversation) {
        if conversation.send("QUIT").is_ok() && !self.skip_quit_response {
            let _: Result<Reply, Broken> = conversation.reply(self.quit_timeout);
        }
        conversation.stream().close();
    }
}
