//! The dialogue with a host that is ready for mail, to its QUIT.

use super::conversation::{Broken, Conversation};
use super::destination::Unreachable;
use super::dsn;
use super::offers::Offers;
use super::{Settings, said};
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Request, Target};
use crate::message::envelope;
use crate::proto::dot::Encoder;
use crate::proto::smtp_reply::Reply;
use crate::queue::file::Content;
use crate::status::{Code, Diagnostic, Report, Verdict};
use std::io;

/// What came of the recipients.
pub enum Outcome {
    /// Each has its answer.
    Answered(Answer),
    /// Those in `waiting` may be tried at another host.
    TryNext { answer: Answer, waiting: Vec<Target>, failure: Unreachable },
}

/// A conversation in which the host is ready for mail.
pub struct Dialogue<'a> {
    settings: &'a Settings,
    /// The host without its port.
    name: String,
    conversation: Conversation,
    offers: Offers,
    authenticated: bool,
    /// The host said more than it was asked, and that is a reason to end (smtp_tls_block_early_mail_reply).
    early: bool,
    /// When the connection breaks, the same host may be asked again without TLS.
    falls_back: bool,
    /// No other host is tried after this one.
    no_more: bool,
    /// What was said to recipients that another host is asked about.
    postponed: Option<Report>,
}

impl<'a> Dialogue<'a> {
    pub fn new(
        settings: &'a Settings,
        name: String,
        conversation: Conversation,
        offers: Offers,
        authenticated: bool,
        early: bool,
        falls_back: bool,
    ) -> Dialogue<'a> {
        let early = early && settings.block_early_mail_reply;
        let (no_more, postponed) = (false, None);
        Dialogue { settings, name, conversation, offers, authenticated, early, falls_back, no_more, postponed }
    }

    /// Delivers to `waiting`. With `no_more` hosts after this one a temporary failure is the answer.
    pub fn deliver(
        &mut self,
        request: &Request,
        finisher: &Finisher,
        waiting: Vec<Target>,
        relay: &Relay,
        no_more: bool,
    ) -> Outcome {
        self.no_more = no_more;
        let mut answer = Answer::new();
        let outcome = self.transaction(request, finisher, &waiting, relay, &mut answer);
        let pending: Vec<Target> = waiting
            .into_iter()
            .filter(|target| !answer.iter().any(|outcome| outcome.offset == target.offset))
            .collect();
        match outcome {
            Ok(()) => {
                self.settings.quit(&mut self.conversation);
                match self.postponed.take().filter(|_| !pending.is_empty()) {
                    None => Outcome::Answered(answer),
                    Some(report) => {
                        let failure = Unreachable { relay: Some(relay.name.clone()), ..Unreachable::of(report) };
                        Outcome::TryNext { answer, waiting: pending, failure }
                    }
                }
            }
            Err(failure) => {
                let plain = failure.broken && self.falls_back && !pending.is_empty();
                let failure = Unreachable { plain, ..failure };
                if !failure.broken {
                    self.settings.quit(&mut self.conversation);
                }
                if !no_more || plain {
                    self.settings.log.info(format!("{}: {}", request.queue_id, failure.report.reason));
                }
                let failure = Unreachable { relay: Some(relay.name.clone()), ..failure };
                Outcome::TryNext { answer, waiting: pending, failure }
            }
        }
    }

    /// Ends a transaction that sends nothing; what the server says to that changes nothing.
    fn give_up(&mut self) -> Result<(), Unreachable> {
        let _ = self.conversation.ask("RSET", self.settings.rset_timeout);
        Ok(())
    }

    fn transaction(
        &mut self,
        request: &Request,
        finisher: &Finisher,
        waiting: &[Target],
        relay: &Relay,
        answer: &mut Answer,
    ) -> Result<(), Unreachable> {
        let name = self.name.clone();
        let patience = self.settings.command_timeout;
        let generic = |address: &str| {
            self.settings.outgoing.address(address).map_err(|error| {
                self.settings.log.warning(error.to_string());
                Unreachable::temporary(Code::new(4, 3, 0), "address mapping failure")
            })
        };
        if self.settings.send_xforward {
            for command in super::xforward::commands(&self.offers.xforward, request) {
                let reply = self
                    .conversation
                    .ask(&command, patience)
                    .map_err(|broken| broken.while_doing(&name, "sending XFORWARD"))?;
                if !reply.is_positive() {
                    self.settings.log.warning(format!("host {name} said: {} (in reply to XFORWARD)", reply.text()));
                }
            }
        }
        let mut commands = vec![self.mail_command(request, &generic(&request.sender)?)];
        for target in waiting {
            let words = if self.offers.dsn { dsn::recipient_words(target) } else { String::new() };
            commands.push(format!("RCPT TO:<{}>{words}", envelope::quote(&generic(&target.address)?)));
        }
        let verifies = request.only_verifies();
        if self.offers.pipelining {
            if !verifies {
                commands.push("DATA".to_owned());
            }
            let all = commands.join("\r\n");
            self.conversation.send(&all).map_err(|error| Broken::Io(error).while_doing(&name, "sending MAIL FROM"))?;
        }
        let mut replies = Vec::new();
        let ask = |dialogue: &mut Dialogue<'_>, at: usize, doing: &str| -> Result<Reply, Unreachable> {
            let reply = if dialogue.offers.pipelining {
                dialogue.conversation.reply(patience)
            } else {
                dialogue.conversation.ask(&commands[at], patience)
            };
            reply.map_err(|broken| broken.while_doing(&name, doing))
        };
        let mail = ask(self, 0, "sending MAIL FROM")?;
        let mail_fine = mail.is_positive();
        if mail_fine && self.early {
            let family = if self.settings.lmtp { "lmtp" } else { "smtp" };
            self.settings.log.warning(format!("server {name} violates {family}_tls_block_early_mail_reply policy"));
            return Err(Unreachable::temporary(Code::new(4, 7, 0), "unexpected server message"));
        }
        if !mail_fine && !self.offers.pipelining {
            self.refuse_all(request, finisher, waiting, relay, &mail, "MAIL FROM command", answer);
            return self.give_up();
        }
        for at in 1..=waiting.len() {
            replies.push(ask(self, at, "sending RCPT TO")?);
        }
        let accepted: Vec<&Target> =
            waiting.iter().zip(&replies).filter(|(_, reply)| reply.is_positive()).map(|(target, _)| target).collect();
        if mail_fine {
            for (target, reply) in waiting.iter().zip(&replies).filter(|(_, reply)| !reply.is_positive()) {
                let target = std::slice::from_ref(target);
                self.refuse_all(request, finisher, target, relay, reply, "RCPT TO command", answer);
            }
        } else {
            self.refuse_all(request, finisher, waiting, relay, &mail, "MAIL FROM command", answer);
        }
        if verifies {
            let fine = waiting.iter().zip(&replies).filter(|(_, reply)| mail_fine && reply.is_positive());
            answer.extend(fine.map(|(target, reply)| finisher.finish(request, target, &agreed(reply, &name), relay)));
            return self.give_up();
        }
        let nothing_to_send = !mail_fine || accepted.is_empty();
        if nothing_to_send && !self.offers.pipelining {
            return self.give_up();
        }
        let data = match self.offers.pipelining {
            true => self.conversation.reply(self.settings.data_timeout),
            false => self.conversation.ask("DATA", self.settings.data_timeout),
        }
        .map_err(|broken| broken.while_doing(&name, "sending DATA command"))?;
        if data.code != 354 {
            if !nothing_to_send {
                let accepted: Vec<Target> = accepted.into_iter().cloned().collect();
                self.refuse_all(request, finisher, &accepted, relay, &data, "DATA command", answer);
            }
            return self.give_up();
        }
        if nothing_to_send {
            // A server that says 354 to nobody's mail gets an empty message, which it then has for nobody.
            let _ = self.conversation.ask(".", self.settings.done_timeout);
            return Ok(());
        }
        self.send_content(request, finisher)
            .map_err(|error| Broken::Io(error).while_doing(&name, "sending message body"))?;
        let accepted: Vec<Target> = accepted.into_iter().cloned().collect();
        // By LMTP the server speaks of each recipient.
        let groups: Vec<&[Target]> =
            if self.settings.lmtp { accepted.chunks(1).collect() } else { vec![accepted.as_slice()] };
        for targets in groups {
            let end = self.conversation.reply(self.settings.done_timeout).map_err(|broken| {
                broken.while_doing(&name, "sending end of data -- message may be sent more than once")
            })?;
            if !end.is_positive() {
                self.refuse_all(request, finisher, targets, relay, &end, "end of DATA command", answer);
                continue;
            }
            let report = agreed(&end, &name);
            for target in targets {
                let mut told = finisher.finish(request, target, &report, relay);
                told.promised = self.offers.dsn;
                answer.push(told);
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // What a refusal is about, and to whom it is told.
    fn refuse_all(
        &mut self,
        request: &Request,
        finisher: &Finisher,
        targets: &[Target],
        relay: &Relay,
        reply: &Reply,
        command: &str,
        answer: &mut Answer,
    ) {
        let code = if reply.is_permanent() { Code::new(5, 0, 0) } else { Code::new(4, 0, 0) };
        let report = said(code, &self.name, reply, command);
        if !self.no_more && report.verdict() == Verdict::Deferred {
            self.settings.log.info(format!("{}: {}", request.queue_id, report.reason));
            self.postponed = Some(report);
            return;
        }
        for target in targets {
            answer.push(finisher.finish(request, target, &report, relay));
        }
    }

    fn mail_command(&self, request: &Request, sender: &str) -> String {
        let mut command = format!("MAIL FROM:<{}>", envelope::quote_path(sender));
        if self.offers.size {
            // As it is on the wire at least: line ends grow by one.
            command.push_str(&format!(" SIZE={}", request.size));
        }
        if self.offers.eight_bit && request.attributes.get("encoding").is_some_and(|encoding| encoding == "8bit") {
            command.push_str(" BODY=8BITMIME");
        }
        if self.authenticated && self.settings.sasl.as_ref().is_some_and(|sasl| sasl.dummy) {
            // RFC 4954, section 5: who sent it is not our word to give.
            command.push_str(" AUTH=<>");
        }
        if self.offers.dsn {
            let attribute = |name: &str| request.attributes.get(name).map_or("", String::as_str);
            command.push_str(&dsn::mail_words(attribute("envelope_id"), attribute("ret_flags")));
        }
        command
    }

    fn send_content(&mut self, request: &Request, finisher: &Finisher) -> io::Result<()> {
        let file = finisher.open(request)?;
        let mut encoder = Encoder::default();
        let mut buffer = Vec::with_capacity(64 * 1024);
        let settings = self.settings;
        let fault = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let mut outgoing = super::outgoing::Content::new(&settings.outgoing, &request.queue_id, &settings.log);
        // No table looks at these, but for the addresses in them.
        let seen = |address: &str| settings.outgoing.address(address).map_err(|error| fault(&error));
        let (original, address) = match request.recipients.first() {
            Some(target) => (seen(&target.original)?, seen(&target.address)?),
            None => (String::new(), String::new()),
        };
        let sender = envelope::quote_path(&seen(&request.sender)?);
        for header in settings.marks.headers(&sender, &original, &address) {
            encoder.line(header.as_bytes(), true, settings.line_limit, &mut buffer);
        }
        for piece in Content::open(&file, request.data_offset)? {
            let piece = piece.map_err(|error| fault(&error))?;
            let mut encode = |line: &[u8], newline| encoder.line(line, newline, settings.line_limit, &mut buffer);
            outgoing.line(&piece.data, piece.newline, &mut encode).map_err(|error| fault(&error))?;
            if buffer.len() > 48 * 1024 {
                self.conversation.send_bytes(&buffer, settings.data_timeout)?;
                buffer.clear();
            }
        }
        outgoing
            .end(&mut |line: &[u8], newline| encoder.line(line, newline, settings.line_limit, &mut buffer))
            .map_err(|error| fault(&error))?;
        encoder.end(&mut buffer);
        self.conversation.send_bytes(&buffer, settings.data_timeout)
    }
}

/// The report of a host's reply that says yes.
fn agreed(reply: &Reply, host: &str) -> Report {
    let code = reply.lines.last().and_then(|line| Code::split(line)).map_or(Code::SENT, |(code, _)| code);
    let code = if code.class() == 2 { code } else { Code::SENT };
    let mta = host.split('[').next().unwrap_or(host).to_owned();
    Report { mta: Some(mta), diagnostic: Some(Diagnostic::Smtp(reply.text())), ..Report::new(code, reply.text()) }
}
