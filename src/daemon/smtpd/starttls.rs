//! STARTTLS (RFC 3207), and the handshake that begins a session in wrapper mode.

use super::anvil;
use super::encryption::Level;
use super::session::{Next, Session};
use super::stream::{Duplex, Input};
use crate::proto::smtp_command::Verb;
use crate::proto::tls_server::Established;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio_rustls::rustls;

impl<S: Duplex> Session<S> {
    /// Whether STARTTLS can be had now, by the configuration.
    pub fn offers_tls(&self) -> bool {
        self.shared.encryption.level != Level::Off && self.secured.is_none()
    }

    /// Whether no mail is taken before the session is encrypted.
    pub fn must_encrypt(&self) -> bool {
        self.shared.encryption.level == Level::Must && self.secured.is_none()
    }

    pub async fn starttls(&mut self, rest: &str) -> Next {
        let verb = Verb::StartTls;
        if !rest.is_empty() {
            self.error(verb, "501 5.5.4 Syntax: STARTTLS").await;
            return Next::Continue;
        }
        if let Some(reply) = self.filters.refusal_of_security() {
            self.error(verb, &reply).await;
            return Next::Continue;
        }
        if self.secured.is_some() {
            self.error(verb, "554 5.5.1 Error: TLS already active").await;
            return Next::Continue;
        }
        if !self.offers_tls() || self.discards("starttls") {
            self.error(verb, "502 5.5.1 Error: command not implemented").await;
            return Next::Continue;
        }
        if self.shared.encryption.server.is_none() {
            // RFC 3207 section 4.
            self.error(verb, "454 4.7.0 TLS not available due to local problem").await;
            return Next::Continue;
        }
        if self.had_too_many_handshakes() {
            let (client, service) = (self.shown(), self.shared.service.clone());
            self.log.warning(format!("Refusing STARTTLS request from {client} for service {service}"));
            self.error(verb, &format!("454 4.7.0 Error: too many new TLS sessions from {client}")).await;
            return Next::Continue;
        }
        self.say("220 2.0.0 Ready to start TLS").await;
        // What was said in the clear is forgotten, but for who the client is.
        if self.helo.take().is_some() {
            self.filter_abort().await;
        }
        self.login = None;
        self.reset_transaction().await;
        let next = self.handshake().await;
        // A client that is sent away for its certificate did shake hands.
        self.count(verb, next != Next::Close || self.hang_up);
        next
    }

    /// Wrapper mode: TLS before anything is said.
    pub async fn begin_encrypted(&mut self) -> Next {
        let (client, service) = (self.shown(), self.shared.service.clone());
        if self.shared.encryption.server.is_none() {
            self.log.warning(format!(
                "Wrapper-mode request dropped from {client} for service {service}. TLS context initialization failed. \
                 For details see earlier warnings in your logs."
            ));
            return Next::Close;
        }
        if self.had_too_many_handshakes() {
            self.log.warning(format!("Refusing TLS service request from {client} for service {service}"));
            return Next::Close;
        }
        self.handshake().await
    }

    /// How many handshakes the client has had in this unit of time, against smtpd_client_new_tls_session_rate_limit.
    fn had_too_many_handshakes(&self) -> bool {
        let limits = &self.settings.limits;
        let Some(address) = self.peer.address.filter(|_| limits.tls_rate > 0) else { return false };
        !self.peer.is_in(&limits.exceptions)
            && self.shared.anvil.borrow_mut().counted(address, anvil::Event::Tls, Instant::now()) > limits.tls_rate
    }

    async fn handshake(&mut self) -> Next {
        let shared = self.shared.clone();
        let encryption = &shared.encryption;
        let client = self.shown();
        if encryption.log_level >= 2 {
            self.log.info(format!("setting up TLS connection from {client}"));
            self.log.info(format!("{client}: TLS cipher list \"{}\"", encryption.cipher_list));
        }
        let outcome = match encryption.server.as_ref().map(|server| (server, server.session())) {
            Some((server, Ok((config, witness)))) => match self.stream.encrypt(config, encryption.patience).await {
                Ok(state) => server
                    .established(state, &witness, encryption.hash)
                    .ok_or_else(|| io::Error::other("the library does not tell what was agreed on")),
                Err(error) => Err(error),
            },
            Some((_, Err(error))) => Err(io::Error::other(error)),
            None => Err(io::Error::other("TLS is not available")),
        };
        let limit = self.settings.limits.tls_rate;
        if self.is_over(anvil::Event::Tls, limit, "New TLS session") {
            if outcome.is_ok() {
                let host = &self.settings.myhostname;
                self.stream.reply(&format!("421 4.7.0 {host} Error: too many new TLS sessions from {client}"));
            }
            return Next::Close;
        }
        match outcome {
            Ok(established) => self.secure(established, &client).await,
            Err(error) => {
                self.tell_failure(&error, &client);
                self.note_lost(false);
                Next::Close
            }
        }
    }

    async fn secure(&mut self, established: Established, client: &str) -> Next {
        let encryption = &self.shared.encryption;
        let distrust = established.certificate.as_ref().and_then(|own| own.distrust.as_ref());
        if let Some(why) = distrust.filter(|_| encryption.certificate_required) {
            self.log.info(format!("certificate verification failed for {client}: {why}"));
        }
        if encryption.log_level >= 1 {
            let (standing, summary) = (established.standing(), established.summary.text());
            let to = match &established.name {
                Some(name) if name.found => format!(" to {}", name.asked),
                Some(name) => {
                    let asked = &name.asked;
                    self.log.info(format!("TLS SNI {asked} from {client} not matched, using default chain"));
                    String::new()
                }
                None => String::new(),
            };
            self.log.info(format!("{standing} TLS connection established from {client}{to}: {summary}"));
        }
        if encryption.certificate_required && !established.is_trusted() {
            let reason = match established.certificate {
                Some(_) => "Client certificate not trusted",
                None => "No client certificate presented",
            };
            self.log.info(format!("NOQUEUE: abort: TLS from {client}: {reason}"));
            // It is told in answer to its next command.
            if let Input::Line { .. } = self.stream.line(self.settings.line_length_limit).await {
                let host = &self.settings.myhostname;
                self.stream.reply(&format!("421 4.7.1 {host} Error: {reason}"));
            }
            self.hang_up = true;
            return Next::Close;
        }
        self.secured = Some(Arc::new(established));
        Next::Continue
    }

    fn tell_failure(&self, error: &io::Error, client: &str) {
        let what = match error.kind() {
            io::ErrorKind::TimedOut => "Connection timed out",
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "lost connection"
            }
            _ => "-1",
        };
        self.log.info(format!("SSL_accept error from {client}: {what}"));
        if what == "-1" {
            let words = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(fault) => fault.to_string(),
                None => crate::sys::files::reason(error),
            };
            self.log.warning(format!("TLS library problem: {words}"));
        }
    }
}
