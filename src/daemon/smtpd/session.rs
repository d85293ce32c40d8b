//! One SMTP session: greeting, commands, transactions. What one command changes is in one place, so that no error
//! path leaves half a transaction behind (faults.md A19).

use super::access::{Asked, Decision, List};
use super::data;
use super::peer::Peer;
use super::recipient;
use super::settings::Settings;
use super::sink::Sink;
use super::stream::{Duplex, Input, Stream};
use crate::cleanup::envelope::{Client, Named};
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::envelope;
use crate::proto::smtp_command::{self, Path, PathError, VERBS, Verb};
use crate::queue::create::NewFile;
use crate::route::Resolution;
use std::collections::HashMap;
use std::sync::Arc;

/// What a command means for the session.
enum Next {
    Continue,
    /// Say this and end.
    Close,
}

/// A mail transaction: from MAIL to the end of DATA or RSET.
#[derive(Default)]
pub struct Transaction {
    /// Internal form, as it was named. None: no MAIL yet.
    pub sender: Option<String>,
    pub recipients: Vec<Named>,
    /// Made at the first accepted recipient: it gives the queue id.
    pub file: Option<NewFile>,
    pub eight_bit: bool,
    pub hold: bool,
    pub discard: bool,
    /// Recipients beyond the limit.
    pub overshoot: usize,
}

impl Transaction {
    pub fn queue_id(&self) -> String {
        self.file.as_ref().map_or_else(|| "NOQUEUE".to_owned(), |file| file.id().to_string())
    }
}

pub struct Session<S> {
    pub settings: Arc<Settings>,
    pub sink: Sink,
    pub log: Arc<Log>,
    pub stream: Stream<S>,
    pub peer: Peer,
    pub helo: String,
    pub extended: bool,
    pub transaction: Transaction,
    /// Whether every line of the session so far ended with a bare LF.
    pub only_bare_lf: bool,
    pub errors: i64,
    junk: i64,
    counts: HashMap<Verb, (u32, u32)>,
    /// What "lost connection after" names.
    last: String,
}

impl<S: Duplex> Session<S> {
    pub fn new(settings: Arc<Settings>, sink: Sink, log: Arc<Log>, stream: Stream<S>, peer: Peer) -> Session<S> {
        Session {
            settings,
            sink,
            log,
            stream,
            peer,
            helo: String::new(),
            extended: false,
            transaction: Transaction::default(),
            only_bare_lf: true,
            errors: 0,
            junk: 0,
            counts: HashMap::new(),
            last: "CONNECT".to_owned(),
        }
    }

    /// Serves the session to its end.
    pub async fn run(&mut self) {
        let client = self.peer.shown();
        self.log.event(&Event::Connect { client: text(&client) });
        if self.greet().await {
            self.serve().await;
        }
        self.stream.close().await;
        let counts = self.counts_text();
        self.log.event(&Event::Disconnect { client: text(&client), counts: text(&counts) });
    }

    /// Says hello; false when the session ends here.
    async fn greet(&mut self) -> bool {
        let trusted = self.peer.is_trusted(&self.settings);
        // A client that talks before it is spoken to does not listen to replies either (faults.md A23).
        if !trusted && self.peer.talks_first(&mut self.stream).await {
            let client = self.peer.shown();
            self.log.info(format!("improper command pipelining after CONNECT from {client}"));
            self.stream.reply("554 5.5.0 Error: SMTP protocol synchronization");
            return false;
        }
        if !self.settings.delay_reject
            && let Err(reply) = self.ask_lists(&[&self.settings.clone().restrictions.client], None, None, "CONNECT")
        {
            self.stream.reply(&reply);
            return false;
        }
        let banner = format!("220 {}", self.settings.banner);
        self.stream.reply(&banner);
        true
    }

    async fn serve(&mut self) {
        loop {
            let line = match self.stream.line(self.settings.line_length_limit).await {
                Input::Line { text, crlf, too_long } => {
                    self.only_bare_lf &= !crlf;
                    if too_long {
                        self.error(Verb::Unknown, "500 5.5.2 Error: line too long").await;
                        continue;
                    }
                    text
                }
                Input::Closed => return self.lost("lost connection"),
                Input::TimedOut => {
                    let host = self.settings.myhostname.clone();
                    self.stream.reply(&format!("421 4.4.2 {host} Error: timeout exceeded"));
                    return self.lost("timeout");
                }
            };
            match self.command(&line).await {
                Next::Continue => {}
                Next::Close => return,
            }
            if self.errors >= self.settings.hard_error_limit {
                let host = self.settings.myhostname.clone();
                self.stream.reply(&format!("421 4.7.0 {host} Error: too many errors"));
                let client = self.peer.shown();
                self.log.event(&Event::TooManyErrors { after: text(&self.last), client: text(&client) });
                return;
            }
        }
    }

    fn lost(&mut self, what: &str) {
        let client = self.peer.shown();
        let event = if what == "timeout" {
            Event::Timeout { after: text(&self.last), client: text(&client) }
        } else {
            Event::LostConnection { after: text(&self.last), client: text(&client) }
        };
        self.log.event(&event);
    }

    /// A DATA whose content never ended.
    pub fn count_lost(&mut self) {
        self.count(Verb::Data, false);
    }

    pub fn note_lost(&mut self, timeout: bool) {
        self.lost(if timeout { "timeout" } else { "lost connection" });
    }

    pub fn set_last(&mut self, after: String) {
        self.last = after;
    }

    fn count(&mut self, verb: Verb, good: bool) {
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
        parts.push(format!("commands={}", show(all_good, all)));
        parts.join(" ")
    }

    pub async fn good(&mut self, verb: Verb, reply: &str) {
        self.count(verb, true);
        self.stream.reply(reply);
    }

    /// An error reply; past the soft limit the client waits for it.
    pub async fn error(&mut self, verb: Verb, reply: &str) {
        self.count(verb, false);
        self.errors += 1;
        if self.errors > self.settings.soft_error_limit && !self.settings.error_sleep.is_zero() {
            let _ = self.stream.flush().await;
            tokio::time::sleep(self.settings.error_sleep).await;
        }
        self.stream.reply(reply);
    }

    async fn command(&mut self, line: &[u8]) -> Next {
        let Ok(line) = std::str::from_utf8(line) else {
            self.last = "UNKNOWN".into();
            self.error(Verb::Unknown, "500 5.5.2 Error: bad UTF-8 syntax").await;
            return Next::Continue;
        };
        let command = smtp_command::parse(line);
        self.last = command.verb.name();
        let settings = self.settings.clone();
        if command.verb == Verb::Unknown
            && !command.word.is_empty()
            && settings.forbidden_commands.contains(command.word).unwrap_or(false)
        {
            let client = self.peer.shown();
            self.log.warning(format!("non-SMTP command from {client}: {line}"));
            self.count(Verb::Unknown, false);
            self.stream.reply("221 2.7.0 Error: I can break rules, too. Goodbye.");
            return Next::Close;
        }
        if matches!(command.verb, Verb::Noop | Verb::Vrfy | Verb::Etrn | Verb::Rset | Verb::Helo | Verb::Ehlo) {
            self.junk += 1;
            if self.junk > settings.junk_limit {
                self.errors += 1;
            }
        }
        match command.verb {
            Verb::Helo | Verb::Ehlo => self.hello(command.verb, command.rest).await,
            Verb::Mail => self.mail(command.rest).await,
            Verb::Rcpt => return self.rcpt(command.rest).await,
            Verb::Data => return if data::receive(self, command.rest).await { Next::Continue } else { Next::Close },
            Verb::Rset => {
                if command.rest.is_empty() {
                    self.transaction = Transaction::default();
                    self.good(Verb::Rset, "250 2.0.0 Ok").await;
                } else {
                    self.error(Verb::Rset, "501 5.5.4 Syntax: RSET").await;
                }
            }
            Verb::Noop => self.good(Verb::Noop, "250 2.0.0 Ok").await,
            Verb::Quit => {
                self.good(Verb::Quit, "221 2.0.0 Bye").await;
                return Next::Close;
            }
            Verb::Vrfy => self.vrfy(command.rest).await,
            Verb::Etrn => self.etrn(command.rest).await,
            Verb::StartTls => self.error(Verb::StartTls, "502 5.5.1 Error: command not implemented").await,
            Verb::Auth => self.error(Verb::Auth, "503 5.5.1 Error: authentication not enabled").await,
            Verb::Bdat => self.error(Verb::Bdat, "502 5.5.1 Error: command not implemented").await,
            Verb::Xclient | Verb::Xforward => {
                let name = command.verb.name();
                self.error(command.verb, &format!("550 5.7.0 Error: insufficient authorization for {name}")).await;
            }
            Verb::Unknown => self.error(Verb::Unknown, "500 5.5.2 Error: command not recognized").await,
        }
        Next::Continue
    }

    async fn hello(&mut self, verb: Verb, name: &str) {
        let extended = verb == Verb::Ehlo;
        // As the reference: only the first word counts.
        let name = name.split_whitespace().next().unwrap_or_default();
        if name.is_empty() {
            let word = verb.name();
            return self.error(verb, &format!("501 Syntax: {word} hostname")).await;
        }
        if !self.settings.delay_reject {
            let settings = self.settings.clone();
            if let Err(reply) = self.ask_lists(&[&settings.restrictions.helo], None, None, &verb.name()) {
                return self.error(verb, &reply).await;
            }
        }
        self.transaction = Transaction::default();
        self.helo = printable(name);
        self.extended = extended;
        let host = self.settings.myhostname.clone();
        if !extended {
            return self.good(verb, &format!("250 {host}")).await;
        }
        let offers = [
            "PIPELINING".to_owned(),
            format!("SIZE {}", self.settings.message_size_limit),
            if self.settings.disable_vrfy { String::new() } else { "VRFY".to_owned() },
            "ETRN".to_owned(),
            "ENHANCEDSTATUSCODES".to_owned(),
            "8BITMIME".to_owned(),
        ];
        let kept = |offer: &&String| {
            let keyword = offer.split(' ').next().unwrap_or_default();
            !offer.is_empty() && !self.settings.discard_ehlo.iter().any(|word| word.eq_ignore_ascii_case(keyword))
        };
        let mut lines = vec![host];
        lines.extend(offers.iter().filter(kept).cloned());
        let last = lines.len() - 1;
        let reply: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        self.good(verb, &reply.join("\r\n")).await;
    }

    async fn mail(&mut self, rest: &str) {
        if self.settings.helo_required && self.helo.is_empty() {
            return self.error(Verb::Mail, "503 5.5.1 Error: send HELO/EHLO first").await;
        }
        if self.transaction.sender.is_some() {
            return self.error(Verb::Mail, "503 5.5.1 Error: nested MAIL command").await;
        }
        let path = match smtp_command::path(rest, "FROM") {
            Ok(path) => path,
            Err(PathError::Syntax) => return self.error(Verb::Mail, "501 5.5.4 Syntax: MAIL FROM:<address>").await,
            Err(PathError::Address) => {
                self.warn_of_address("MAIL", rest);
                return self.error(Verb::Mail, "501 5.1.7 Bad sender address syntax").await;
            }
        };
        let mut transaction = Transaction { sender: Some(path.address.clone()), ..Transaction::default() };
        let mut size = 0;
        for parameter in &path.parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => match value.parse::<u64>() {
                    Ok(value) => size = value,
                    Err(_) => return self.error(Verb::Mail, "501 5.5.4 Bad message size syntax").await,
                },
                "BODY" if value.eq_ignore_ascii_case("8BITMIME") => transaction.eight_bit = true,
                "BODY" if value.eq_ignore_ascii_case("7BIT") => {}
                "AUTH" => {}
                _ => return self.error(Verb::Mail, &format!("555 5.5.4 Unsupported option: {parameter}")).await,
            }
        }
        if let Err(reply) = self.room_for(size) {
            self.log_refusal("MAIL", &reply, Some(&path.address), None);
            return self.error(Verb::Mail, &reply).await;
        }
        if !self.settings.delay_reject {
            let settings = self.settings.clone();
            if let Err(reply) = self.ask_lists(&[&settings.restrictions.sender], Some(&path.address), None, "MAIL") {
                return self.error(Verb::Mail, &reply).await;
            }
        }
        self.transaction = transaction;
        self.good(Verb::Mail, "250 2.1.0 Ok").await;
    }

    /// Room for a message of this size, by message_size_limit, queue_minfree and the disk.
    fn room_for(&self, size: u64) -> Result<(), String> {
        let limit = self.settings.message_size_limit;
        if limit > 0 && size > limit {
            return Err("552 5.3.4 Message size exceeds fixed limit".into());
        }
        let needed = self.settings.queue_minfree.max(limit.saturating_mul(3) / 2).max(size);
        match crate::sys::files::free_space(std::path::Path::new(".")) {
            Ok((bytes, inodes)) if bytes < needed || inodes < 1 => {
                self.log
                    .warning(format!("not enough free space in mail queue: {bytes} bytes < 1.5*message size limit"));
                Err("452 4.3.1 Insufficient system storage".into())
            }
            _ => Ok(()),
        }
    }

    async fn rcpt(&mut self, rest: &str) -> Next {
        let Some(sender) = self.transaction.sender.clone() else {
            self.error(Verb::Rcpt, "503 5.5.1 Error: need MAIL command").await;
            return Next::Continue;
        };
        let path = match smtp_command::path(rest, "TO") {
            Err(PathError::Syntax) => {
                self.error(Verb::Rcpt, "501 5.5.4 Syntax: RCPT TO:<address>").await;
                return Next::Continue;
            }
            Ok(path) if !path.address.is_empty() => path,
            _ => {
                self.warn_of_address("RCPT", rest);
                self.error(Verb::Rcpt, "501 5.1.3 Bad recipient address syntax").await;
                return Next::Continue;
            }
        };
        let named = match recipient_parameters(&path) {
            Ok(named) => named,
            Err(reply) => {
                self.error(Verb::Rcpt, &reply).await;
                return Next::Continue;
            }
        };
        if self.transaction.recipients.len() >= self.settings.recipient_limit {
            // A client that sends the rest in another transaction makes no mistake; one that goes on and on does.
            self.transaction.overshoot += 1;
            if self.transaction.overshoot > self.settings.recipient_overshoot {
                self.error(Verb::Rcpt, "452 4.5.3 Error: too many recipients").await;
            } else {
                self.count(Verb::Rcpt, false);
                self.stream.reply("452 4.5.3 Error: too many recipients");
            }
            return Next::Continue;
        }
        match self.accept_recipient(Some(&sender), &path, "RCPT") {
            Ok(()) => {}
            Err((reply, close)) => {
                self.error(Verb::Rcpt, &reply).await;
                return if close { Next::Close } else { Next::Continue };
            }
        }
        if self.transaction.file.is_none() {
            match self.sink.reserve() {
                Ok(file) => {
                    if let Some(file) = &file {
                        let client = self.peer.shown();
                        self.log.event(&Event::Client { queue_id: text(file.id().as_str()), client: text(&client) });
                    }
                    self.transaction.file = file;
                }
                Err(error) => {
                    self.log.warning(format!("cannot create queue file: {error}"));
                    self.error(Verb::Rcpt, &error.reply()).await;
                    return Next::Continue;
                }
            }
        }
        self.transaction.recipients.push(named);
        self.good(Verb::Rcpt, "250 2.1.5 Ok").await;
        Next::Continue
    }

    /// Asks everything that decides about a recipient. The error is the reply, and whether the session ends.
    fn accept_recipient(&mut self, sender: Option<&str>, path: &Path<'_>, stage: &str) -> Result<(), (String, bool)> {
        let settings = self.settings.clone();
        let rewritten = settings.router.rewriter.rewrite(&path.address);
        let resolution = settings.router.resolve(&rewritten).map_err(|error| {
            self.log.warning(error.to_string());
            ("451 4.3.0 Error: address lookup failure".to_owned(), false)
        })?;
        let lists = &settings.restrictions;
        let mut asked: Vec<&List> = Vec::new();
        if settings.delay_reject {
            asked.extend([&lists.client, &lists.helo, &lists.sender]);
        }
        asked.extend([&lists.relay, &lists.recipient]);
        let named = Some(path.address.as_str());
        self.ask_lists_for(&asked, sender, named, Some(&resolution), stage).map_err(|reply| {
            let close = reply.starts_with("421") || reply.starts_with("521");
            (reply, close)
        })?;
        if settings.reject_unlisted_recipient {
            match recipient::unlisted(&settings, &resolution, &path.address) {
                Ok(None) => {}
                Ok(Some(reply)) => {
                    self.log_refusal(stage, &reply, sender, Some(&path.address));
                    return Err((reply, false));
                }
                Err(fault) => {
                    self.log.warning(fault);
                    return Err((format!("451 4.3.0 <{}>: Temporary lookup failure", path.address), false));
                }
            }
        }
        Ok(())
    }

    /// Asks lists that need no recipient.
    pub fn ask_lists(
        &mut self,
        lists: &[&List],
        sender: Option<&str>,
        recipient: Option<&str>,
        stage: &str,
    ) -> Result<(), String> {
        self.ask_lists_for(lists, sender, recipient, None, stage)
    }

    fn ask_lists_for(
        &mut self,
        lists: &[&List],
        sender: Option<&str>,
        recipient: Option<&str>,
        resolution: Option<&Resolution>,
        stage: &str,
    ) -> Result<(), String> {
        for list in lists {
            let asked = Asked {
                client_name: &self.peer.name,
                client_reverse: &self.peer.reverse,
                client_address: self.peer.address,
                helo: &self.helo,
                sender,
                recipient,
                resolution,
            };
            let outcome = list.ask(&self.settings, &asked);
            for reply in &outcome.warnings {
                self.log_verdict("reject_warning", stage, reply, sender, recipient);
            }
            if let Some(fault) = &outcome.fault {
                self.log.warning(fault);
            }
            match outcome.decision {
                Decision::Neutral | Decision::Permit => {}
                Decision::Hold => self.transaction.hold = true,
                Decision::Discard => self.transaction.discard = true,
                Decision::Refuse(reply) | Decision::Disconnect(reply) => {
                    self.log_refusal(stage, &reply, sender, recipient);
                    return Err(reply);
                }
            }
        }
        Ok(())
    }

    fn warn_of_address(&self, command: &str, rest: &str) {
        let written = rest.split_once(':').map_or(rest, |(_, path)| path).trim();
        let client = self.peer.shown();
        self.log.warning(format!("Illegal address syntax from {client} in {command} command: {written}"));
    }

    pub fn log_refusal(&self, stage: &str, reply: &str, sender: Option<&str>, recipient: Option<&str>) {
        self.log_verdict("reject", stage, reply, sender, recipient);
    }

    fn log_verdict(&self, action: &str, stage: &str, reply: &str, sender: Option<&str>, recipient: Option<&str>) {
        let queue_id = self.transaction.queue_id();
        let mut line = format!("{stage} from {}: {reply};", self.peer.shown());
        if let Some(sender) = sender {
            line.push_str(&format!(" from=<{}>", envelope::quote_path(sender)));
        }
        if let Some(recipient) = recipient {
            line.push_str(&format!(" to=<{}>", envelope::quote(recipient)));
        }
        if !self.helo.is_empty() {
            line.push_str(&format!(" proto={} helo=<{}>", self.protocol(), self.helo));
        } else {
            line.push_str(&format!(" proto={}", self.protocol()));
        }
        self.log.event(&Event::Verdict { queue_id: text(&queue_id), action: text(action), text: text(&line) });
    }

    pub fn protocol(&self) -> &'static str {
        if self.extended { "ESMTP" } else { "SMTP" }
    }

    async fn vrfy(&mut self, argument: &str) {
        if self.settings.disable_vrfy {
            return self.error(Verb::Vrfy, "502 5.5.1 VRFY command is disabled").await;
        }
        if argument.is_empty() {
            return self.error(Verb::Vrfy, "501 5.5.4 Syntax: VRFY address [SMTPUTF8]").await;
        }
        let line = format!("TO:{argument}");
        let Ok(path) = smtp_command::path(&line, "TO") else {
            return self.error(Verb::Vrfy, "501 5.1.3 Bad recipient address syntax").await;
        };
        match self.accept_recipient(None, &path, "VRFY") {
            Ok(()) => self.good(Verb::Vrfy, &format!("252 2.0.0 {argument}")).await,
            Err((reply, _)) => self.error(Verb::Vrfy, &reply).await,
        }
    }

    async fn etrn(&mut self, argument: &str) {
        if argument.is_empty() || argument.contains(' ') {
            return self.error(Verb::Etrn, "500 Syntax: ETRN domain").await;
        }
        let settings = self.settings.clone();
        if let Err(reply) = self.ask_lists(&[&settings.restrictions.etrn], None, None, "ETRN") {
            return self.error(Verb::Etrn, &reply).await;
        }
        self.error(Verb::Etrn, &format!("459 <{}>: service unavailable", printable(argument))).await;
    }

    /// The client as the queue file and the Received header know it.
    pub fn client(&self) -> Client {
        Client {
            name: self.peer.name.clone(),
            reverse_name: self.peer.reverse.clone(),
            address: self.peer.address_text(),
            port: self.peer.port,
            helo: if self.helo.is_empty() { "unknown".to_owned() } else { self.helo.clone() },
            protocol: self.protocol(),
            server_address: self.peer.server_address.clone(),
            server_port: self.peer.server_port,
        }
    }
}

/// RCPT parameters. DSN is not offered; NOTIFY and ORCPT are taken all the same, as the reference takes them.
fn recipient_parameters(path: &Path<'_>) -> Result<Named, String> {
    use crate::queue::file::notify;
    let mut named = Named { address: path.address.clone(), original: Some(path.address.clone()), ..Named::default() };
    named.dsn_original = Some(format!("rfc822;{}", path.written));
    for parameter in &path.parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "NOTIFY" => {
                for word in value.split(',') {
                    named.notify |= match word.to_ascii_uppercase().as_str() {
                        "NEVER" => notify::NEVER,
                        "SUCCESS" => notify::SUCCESS,
                        "FAILURE" => notify::FAILURE,
                        "DELAY" => notify::DELAY,
                        _ => return Err("501 5.5.4 Error: Bad NOTIFY parameter syntax".into()),
                    };
                }
            }
            "ORCPT" => {
                // What xtext decodes to ends up in a notice: no controls (faults.md A40).
                if value.contains("+0") || value.contains("+1") || value.contains("+7F") || !value.contains(';') {
                    return Err("501 5.5.4 Error: Bad ORCPT parameter syntax".into());
                }
                named.dsn_original = Some(value.to_owned());
            }
            _ => return Err(format!("555 5.5.4 Unsupported option: {parameter}")),
        }
    }
    Ok(named)
}

/// A name as logs and headers may hold it.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || "<>()\"\\;@".contains(c) { '?' } else { c }).take(255).collect()
}
