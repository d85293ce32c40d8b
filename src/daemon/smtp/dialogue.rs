//! The dialogue with one host, from connect to QUIT.

use super::destination::{Peer, Unreachable};
use super::dsn;
use super::stream::Stream;
use super::{Settings, said};
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Request, Target};
use crate::message::envelope;
use crate::proto::dot::Encoder;
use crate::proto::smtp_reply::{Collector, Reply, Step};
use crate::queue::file::Content;
use crate::status::{Code, Report, Verdict};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

/// Longest reply line that is read; a longer one is no SMTP.
const MAX_LINE: u64 = 8192;

/// What came of the recipients.
pub enum Outcome {
    /// Each has its answer.
    Answered(Answer),
    /// Those in `waiting` may be tried at another host.
    TryNext { answer: Answer, waiting: Vec<Target>, failure: Unreachable },
}

/// A connection on which the greeting and EHLO are done.
pub struct Dialogue<'a> {
    settings: &'a Settings,
    shown: String,
    input: BufReader<Stream>,
    output: Stream,
    pipelining: bool,
    eight_bit: bool,
    size: bool,
    dsn: bool,
    /// What may be told of the client before.
    xforward: Vec<String>,
    /// No other host is tried after this one.
    no_more: bool,
    /// What was said to recipients that another host is asked about.
    postponed: Option<Report>,
}

/// How the dialogue broke.
enum Broken {
    Io(io::Error),
    Malformed(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl<'a> Dialogue<'a> {
    /// Connects and says EHLO (or HELO where EHLO is not known).
    pub fn connect(settings: &'a Settings, peer: &Peer) -> Result<Dialogue<'a>, Unreachable> {
        let shown = peer.shown();
        let failed = |error: &io::Error| {
            let reason = if error.kind() == io::ErrorKind::TimedOut || error.kind() == io::ErrorKind::WouldBlock {
                "Connection timed out".to_owned()
            } else {
                crate::sys::files::reason(error)
            };
            Unreachable::temporary(Code::new(4, 4, 1), format!("connect to {shown}: {reason}"))
        };
        let stream = Stream::connect(settings, peer).map_err(|error| failed(&error))?;
        let output = stream.try_clone().map_err(|error| failed(&error))?;
        let mut dialogue = Dialogue {
            settings,
            shown: shown.clone(),
            input: BufReader::new(stream),
            output,
            pipelining: false,
            eight_bit: false,
            size: false,
            dsn: false,
            xforward: Vec::new(),
            no_more: false,
            postponed: None,
        };
        let name = peer.name();
        dialogue.greet(&name).map_err(|failure| Unreachable { relay: Some(shown), ..failure })?;
        dialogue.shown = name;
        Ok(dialogue)
    }

    fn greet(&mut self, name: &str) -> Result<(), Unreachable> {
        let greeting = self
            .reply(self.settings.greeting_timeout)
            .map_err(|broken| self.lost(broken, name, "receiving the initial server greeting"))?;
        if !greeting.is_positive() {
            let temporary = !greeting.is_permanent() || self.settings.skip_5xx_greeting;
            let code = if temporary { Code::new(4, 0, 0) } else { Code::new(5, 0, 0) };
            let report = Report {
                reason: format!("host {name} refused to talk to me: {}", greeting.text()),
                ..said(code, name, &greeting, "greeting")
            };
            return Err(Unreachable { report, down: temporary, relay: None, found_self: false });
        }
        let helo = self.settings.helo_name.clone();
        let offers_more = self.settings.always_ehlo || greeting.lines.iter().any(|line| line.contains("ESMTP"));
        let lmtp = self.settings.lmtp;
        let hello: &[&str] = match (lmtp, offers_more) {
            (true, _) => &["LHLO"],
            (false, true) => &["EHLO", "HELO"],
            (false, false) => &["HELO"],
        };
        let mut last = None;
        for word in hello {
            let reply = self
                .ask(&format!("{word} {helo}"), self.settings.greeting_timeout)
                .map_err(|broken| self.lost(broken, name, &format!("performing the {word} handshake")))?;
            if reply.is_positive() {
                if *word != "HELO" {
                    self.learn(&reply);
                }
                return Ok(());
            }
            last = Some((word, reply));
        }
        let Some((word, reply)) = last else { return Ok(()) };
        let code = if reply.is_permanent() { Code::new(5, 0, 0) } else { Code::new(4, 0, 0) };
        let report = Report {
            reason: format!("host {name} refused to talk to me: {}", reply.text()),
            ..said(code, name, &reply, word)
        };
        Err(Unreachable { report, down: !reply.is_permanent(), relay: None, found_self: false })
    }

    /// What EHLO offered; keywords are compared without case.
    fn learn(&mut self, reply: &Reply) {
        for line in reply.lines.iter().skip(1) {
            match line.split([' ', '=']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "PIPELINING" => self.pipelining = true,
                "8BITMIME" => self.eight_bit = true,
                "SIZE" => self.size = true,
                "DSN" => self.dsn = true,
                "XFORWARD" => self.xforward = line.split_whitespace().skip(1).map(str::to_owned).collect(),
                _ => {}
            }
        }
    }

    fn lost(&self, broken: Broken, name: &str, doing: &str) -> Unreachable {
        let text = match broken {
            Broken::Io(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                format!("conversation with {name} timed out while {doing}")
            }
            Broken::Io(_) => format!("lost connection with {name} while {doing}"),
            Broken::Malformed(line) => format!("unexpected reply from {name} while {doing}: {line}"),
        };
        Unreachable::temporary(Code::new(4, 4, 2), text)
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
                let _ = self.send("QUIT");
                match self.postponed.take().filter(|_| !pending.is_empty()) {
                    None => Outcome::Answered(answer),
                    Some(report) => {
                        let failure =
                            Unreachable { report, down: false, relay: Some(relay.name.clone()), found_self: false };
                        Outcome::TryNext { answer, waiting: pending, failure }
                    }
                }
            }
            Err(failure) => {
                if !no_more {
                    self.settings.log.info(format!("{}: {}", request.queue_id, failure.report.reason));
                }
                let failure = Unreachable { relay: Some(relay.name.clone()), ..failure };
                Outcome::TryNext { answer, waiting: pending, failure }
            }
        }
    }

    /// Ends a transaction that sends nothing; what the server says to that changes nothing.
    fn give_up(&mut self) -> Result<(), Unreachable> {
        let _ = self.ask("RSET", self.settings.command_timeout);
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
        let name = self.shown.clone();
        let patience = self.settings.command_timeout;
        let generic = |address: &str| {
            self.settings.outgoing.address(address).map_err(|error| {
                self.settings.log.warning(error.to_string());
                Unreachable::temporary(Code::new(4, 3, 0), "address mapping failure")
            })
        };
        if self.settings.send_xforward {
            for command in super::xforward::commands(&self.xforward, request) {
                let reply =
                    self.ask(&command, patience).map_err(|broken| self.lost(broken, &name, "sending XFORWARD"))?;
                if !reply.is_positive() {
                    self.settings.log.warning(format!("host {name} said: {} (in reply to XFORWARD)", reply.text()));
                }
            }
        }
        let mut commands = vec![self.mail_command(request, &generic(&request.sender)?)];
        for target in waiting {
            let words = if self.dsn { dsn::recipient_words(target) } else { String::new() };
            commands.push(format!("RCPT TO:<{}>{words}", envelope::quote(&generic(&target.address)?)));
        }
        let verifies = request.only_verifies();
        if self.pipelining {
            if !verifies {
                commands.push("DATA".to_owned());
            }
            let all = commands.join("\r\n");
            self.send(&all).map_err(|error| self.lost(error.into(), &name, "sending MAIL FROM"))?;
        }
        let mut replies = Vec::new();
        let ask = |dialogue: &mut Dialogue<'_>, at: usize, doing: &str| -> Result<Reply, Unreachable> {
            let reply =
                if dialogue.pipelining { dialogue.reply(patience) } else { dialogue.ask(&commands[at], patience) };
            reply.map_err(|broken| dialogue.lost(broken, &name, doing))
        };
        let mail = ask(self, 0, "sending MAIL FROM")?;
        let mail_fine = mail.is_positive();
        if !mail_fine && !self.pipelining {
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
        if nothing_to_send && !self.pipelining {
            return self.give_up();
        }
        let data = match self.pipelining {
            true => self.reply(self.settings.data_timeout),
            false => self.ask("DATA", self.settings.data_timeout),
        }
        .map_err(|broken| self.lost(broken, &name, "sending DATA command"))?;
        if data.code != 354 {
            if !nothing_to_send {
                let accepted: Vec<Target> = accepted.into_iter().cloned().collect();
                self.refuse_all(request, finisher, &accepted, relay, &data, "DATA command", answer);
            }
            return self.give_up();
        }
        if nothing_to_send {
            // A server that says 354 to nobody's mail gets an empty message, which it then has for nobody.
            let _ = self.output.write_all(b".\r\n");
            let _ = self.reply(self.settings.done_timeout);
            return Ok(());
        }
        self.send_content(request, finisher).map_err(|error| self.lost(error.into(), &name, "sending message body"))?;
        let accepted: Vec<Target> = accepted.into_iter().cloned().collect();
        // By LMTP the server speaks of each recipient.
        let groups: Vec<&[Target]> =
            if self.settings.lmtp { accepted.chunks(1).collect() } else { vec![accepted.as_slice()] };
        for targets in groups {
            let end = self.reply(self.settings.done_timeout).map_err(|broken| {
                self.lost(broken, &name, "sending end of data -- message may be sent more than once")
            })?;
            if !end.is_positive() {
                self.refuse_all(request, finisher, targets, relay, &end, "end of DATA command", answer);
                continue;
            }
            let report = agreed(&end, &name);
            for target in targets {
                let mut told = finisher.finish(request, target, &report, relay);
                told.promised = self.dsn;
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
        let report = said(code, &self.shown, reply, command);
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
        if self.size {
            // As it is on the wire at least: line ends grow by one.
            command.push_str(&format!(" SIZE={}", request.size));
        }
        if self.eight_bit && request.attributes.get("encoding").is_some_and(|encoding| encoding == "8bit") {
            command.push_str(" BODY=8BITMIME");
        }
        if self.dsn {
            let attribute = |name: &str| request.attributes.get(name).map_or("", String::as_str);
            command.push_str(&dsn::mail_words(attribute("envelope_id"), attribute("ret_flags")));
        }
        command
    }

    fn send_content(&mut self, request: &Request, finisher: &Finisher) -> io::Result<()> {
        self.output.set_write_timeout(self.settings.data_timeout)?;
        let file = finisher.open(request)?;
        let mut encoder = Encoder::default();
        let mut buffer = Vec::with_capacity(64 * 1024);
        let settings = self.settings;
        let fault = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let mut outgoing = super::outgoing::Content::new(&settings.outgoing, &request.queue_id, &settings.log);
        for piece in Content::open(&file, request.data_offset)? {
            let piece = piece.map_err(|error| fault(&error))?;
            let mut encode = |line: &[u8], newline| encoder.line(line, newline, settings.line_limit, &mut buffer);
            outgoing.line(&piece.data, piece.newline, &mut encode).map_err(|error| fault(&error))?;
            if buffer.len() > 48 * 1024 {
                self.output.write_all(&buffer)?;
                buffer.clear();
            }
        }
        outgoing
            .end(&mut |line: &[u8], newline| encoder.line(line, newline, settings.line_limit, &mut buffer))
            .map_err(|error| fault(&error))?;
        encoder.end(&mut buffer);
        self.output.write_all(&buffer)
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        self.output.set_write_timeout(self.settings.command_timeout)?;
        self.output.write_all(format!("{command}\r\n").as_bytes())
    }

    fn ask(&mut self, command: &str, patience: Duration) -> Result<Reply, Broken> {
        self.send(command)?;
        self.reply(patience)
    }

    fn reply(&mut self, patience: Duration) -> Result<Reply, Broken> {
        self.input.get_ref().set_read_timeout(patience)?;
        let mut collector = Collector::default();
        loop {
            let mut line = Vec::new();
            let read = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            while line.pop_if(|last| matches!(*last, b'\n' | b'\r')).is_some() {}
            match collector.line(&line) {
                Step::More => {}
                Step::Done(reply) => return Ok(reply),
                Step::Malformed(text) => return Err(Broken::Malformed(text)),
            }
        }
    }
}

/// The report of a host's reply that says yes.
fn agreed(reply: &Reply, host: &str) -> Report {
    let code = reply.lines.first().and_then(|line| Code::split(line)).map_or(Code::SENT, |(code, _)| code);
    let code = if code.class() == 2 { code } else { Code::SENT };
    let mta = host.split('[').next().unwrap_or(host).to_owned();
    Report { mta: Some(mta), diagnostic: Some(reply.text()), ..Report::new(code, reply.text()) }
}
