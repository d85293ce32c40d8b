//! Commands: which word leads where, and those that belong to no transaction.

use super::patience::patiently;
use super::session::{Next, Session, escaped};
use super::stream::Duplex;
use super::{anvil, bdat, data};
use crate::ipc::trigger;
use crate::log::event::{Event, text};
use crate::message::{envelope, host};
use crate::proto::smtp_command::{self, Path, PathError, Verb};

/// A client may go on only when it has read the answer.
const LAST: &[Verb] = &[Verb::Helo, Verb::Ehlo, Verb::Data, Verb::Noop, Verb::Vrfy];
/// What a client may say where mail must come encrypted, before it does.
const BEFORE_TLS: &[Verb] = &[Verb::Helo, Verb::Ehlo, Verb::StartTls, Verb::Noop, Verb::Quit, Verb::Xclient];
/// Commands that bring no mail nearer.
const JUNK: &[Verb] = &[Verb::Helo, Verb::Ehlo, Verb::Rset, Verb::Noop, Verb::Vrfy, Verb::Etrn];

impl<S: Duplex> Session<S> {
    pub async fn command(&mut self, line: &[u8]) -> Next {
        let settings = self.settings.clone();
        // As in C, a line ends at its NUL.
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        let Ok(line) = std::str::from_utf8(line) else {
            self.say("500 5.5.2 Error: bad UTF-8 syntax").await;
            self.errors += 1;
            return Next::Continue;
        };
        let filtered = self.filtered(line);
        let line = filtered.as_deref().unwrap_or(line);
        let command = smtp_command::parse(line);
        if command.word.is_empty() {
            self.say("500 5.5.2 Error: bad syntax").await;
            self.errors += 1;
            return Next::Continue;
        }
        let is_noop = settings.noop_commands.iter().any(|word| word.eq_ignore_ascii_case(command.word));
        if command.verb == Verb::Unknown
            && !is_noop
            && (command.is_header() || settings.forbidden_commands.contains(command.word).unwrap_or(false))
        {
            self.log.warning(format!("non-SMTP command from {}: {line}", self.shown()));
            self.say("221 2.7.0 Error: I can break rules, too. Goodbye.").await;
            self.count(Verb::Unknown, false);
            return Next::Close;
        }
        if self.denied && command.verb != Verb::Quit {
            let reply = format!("503 5.7.0 Error: access denied for {}", self.shown());
            self.error(command.verb, &reply).await;
            return Next::Continue;
        }
        if self.must_encrypt() && command.verb != Verb::Unknown && !BEFORE_TLS.contains(&command.verb) && !is_noop {
            self.error(command.verb, "530 5.7.0 Must issue a STARTTLS command first").await;
            return Next::Continue;
        }
        self.last = command.verb.name();
        if is_noop {
            self.junk += 1;
            // Not counted, as in the reference.
            self.say("250 2.0.0 Ok").await;
            return Next::Continue;
        }
        if !self.in_turn(command.verb).await {
            return Next::Close;
        }
        if JUNK.contains(&command.verb) {
            if self.junk > settings.limits.junk {
                self.errors += 1;
            }
            self.junk += 1;
        }
        self.dispatch(command.verb, command.rest, line).await
    }

    async fn dispatch(&mut self, verb: Verb, rest: &str, line: &str) -> Next {
        match verb {
            Verb::Helo | Verb::Ehlo => self.hello(verb, rest).await,
            Verb::Mail => self.mail(rest).await,
            Verb::Rcpt => return self.rcpt(rest).await,
            Verb::Data => return data::receive(self, rest).await,
            Verb::Bdat => return bdat::receive(self, rest, line).await,
            Verb::Rset => {
                if rest.is_empty() {
                    self.reset_transaction().await;
                    self.good(verb, "250 2.0.0 Ok").await;
                    self.turn_page().await;
                } else {
                    self.error(verb, "501 5.5.4 Syntax: RSET").await;
                }
            }
            Verb::Noop => self.good(verb, "250 2.0.0 Ok").await,
            Verb::Quit => {
                self.good(verb, "221 2.0.0 Bye").await;
                return Next::Close;
            }
            Verb::Vrfy => self.vrfy(rest).await,
            Verb::Etrn => self.etrn(rest).await,
            Verb::StartTls => return self.starttls(rest).await,
            Verb::Auth => return self.auth(rest).await,
            Verb::Xclient => self.xclient(rest).await,
            Verb::Xforward => self.xforward(rest).await,
            Verb::Unknown => {
                let word = line.split_whitespace().next().unwrap_or_default();
                let refusal = self.filter_unknown(word).await;
                let reply = refusal.as_deref().unwrap_or("500 5.5.2 Error: command not recognized");
                self.error(verb, reply).await;
            }
        }
        Next::Continue
    }

    /// smtpd_command_filter: another line in this one's place.
    fn filtered(&self, line: &str) -> Option<String> {
        match self.settings.command_filter.find_text(line) {
            Ok(Some(other)) => {
                let client = self.shown();
                self.log.info(format!("{client}: replacing command \"{line}\" with \"{other}\""));
                Some(other)
            }
            Ok(None) => None,
            Err(error) => {
                self.log.warning(format!("{}: smtpd_command_filter lookup error for \"{line}\": {error}", error.table));
                None
            }
        }
    }

    /// Notes a client that does not wait where it must; false when that ends the session.
    async fn in_turn(&mut self, verb: Verb) -> bool {
        let must_wait = !self.extended || LAST.contains(&verb);
        if self.peer.is_user || self.out_of_turn || !must_wait || self.stream.pending().is_empty() {
            return true;
        }
        self.out_of_turn = true;
        let said = escaped(self.stream.pending());
        self.log.info(format!("improper command pipelining after {} from {}: {said}", verb.name(), self.shown()));
        if self.settings.forbid_pipelining && !self.peer.is_trusted(&self.settings) {
            self.say("554 5.5.0 Error: SMTP protocol synchronization").await;
            return false;
        }
        true
    }

    /// Whether smtpd_discard_ehlo_keywords hides a keyword from this client.
    pub fn discards(&self, keyword: &str) -> bool {
        let settings = &self.settings;
        let own = settings.discard_ehlo_maps.find_text(&self.peer.address_name());
        let own = match own {
            Ok(own) => own.map(|list| crate::conf::MainCf::list(&list.to_ascii_lowercase())),
            Err(error) => {
                self.log.warning(error.to_string());
                None
            }
        };
        own.as_ref().unwrap_or(&settings.discard_ehlo).iter().any(|word| word == keyword)
    }

    async fn hello(&mut self, verb: Verb, name: &str) {
        let extended = verb == Verb::Ehlo;
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            let word = verb.name();
            return self.error(verb, &format!("501 Syntax: {word} hostname")).await;
        }
        let before = self.helo.replace(printable(&name));
        if !self.settings.delay_reject
            && !self.peer.is_user
            && let Err(reply) = self.check_helo(&verb.name()).await
        {
            self.helo = before;
            return self.error(verb, &reply).await;
        }
        let refusal = self.filter_helo(&verb.name(), &name).await;
        if let Some(reply) = refusal.as_deref().filter(|reply| reply.starts_with("421")) {
            self.helo = before;
            return self.error(verb, reply).await;
        }
        if before.is_some() {
            self.filter_abort().await;
        }
        // HELO after EHLO, or after XCLIENT named ESMTP, is no step back: the reference fears for its pipelining check.
        self.extended |= extended;
        self.reset_transaction().await;
        let host = self.settings.myhostname.clone();
        if !extended {
            return self.good(verb, &format!("250 {host}")).await;
        }
        const ORDER: &[&str] = &[
            "8bitmime",
            "pipelining",
            "size",
            "vrfy",
            "etrn",
            "auth",
            "verp",
            "starttls",
            "xclient",
            "xforward",
            "enhancedstatuscodes",
            "dsn",
            "smtputf8",
            "chunking",
        ];
        let hidden: Vec<String> =
            ORDER.iter().filter(|word| self.discards(word)).map(|word| word.to_uppercase()).collect();
        if !hidden.is_empty() && !self.discards("silent-discard") {
            self.log.info(format!("discarding EHLO keywords: {}", hidden.join(" ")));
        }
        let mut lines = vec![host];
        // sendmail's way: whom a filter refuses may go on, and gets nothing but the refusal.
        let refused = refusal.is_some_and(|reply| reply.starts_with('5'));
        lines.extend(self.offers().await.into_iter().filter(|offer| !refused || offer == "ENHANCEDSTATUSCODES"));
        let last = lines.len() - 1;
        let mark = |at: usize| if at == last { ' ' } else { '-' };
        let reply: Vec<String> = lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", mark(at))).collect();
        self.good(verb, &reply.join("\r\n")).await;
    }

    /// What EHLO lists.
    async fn offers(&self) -> Vec<String> {
        let settings = &self.settings;
        let [auth, old_auth] = self.login_offers().await;
        let offers = [
            ("pipelining", Some("PIPELINING".to_owned())),
            (
                "size",
                Some(match settings.message_size_limit {
                    0 => "SIZE".to_owned(),
                    limit => format!("SIZE {limit}"),
                }),
            ),
            ("vrfy", (!settings.disable_vrfy).then(|| "VRFY".to_owned())),
            ("etrn", Some("ETRN".to_owned())),
            ("starttls", self.offers_tls().then(|| "STARTTLS".to_owned())),
            ("auth", auth),
            ("auth", old_auth),
            ("verp", self.peer.is_in(&settings.verp_clients).then(|| "XVERP".to_owned())),
            ("xclient", self.peer.is_in(&settings.xclient_hosts).then(|| super::xclient::OFFER.to_owned())),
            ("xforward", self.may_forward().then(|| super::xclient::FORWARD_OFFER.to_owned())),
            ("enhancedstatuscodes", Some("ENHANCEDSTATUSCODES".to_owned())),
            ("8bitmime", Some("8BITMIME".to_owned())),
            ("dsn", Some("DSN".to_owned())),
            ("smtputf8", settings.utf8.then(|| "SMTPUTF8".to_owned())),
            ("chunking", Some("CHUNKING".to_owned())),
        ];
        offers.into_iter().filter(|(keyword, _)| !self.discards(keyword)).filter_map(|(_, offer)| offer).collect()
    }

    async fn vrfy(&mut self, argument: &str) {
        if self.settings.disable_vrfy {
            return self.error(Verb::Vrfy, "502 5.5.1 VRFY command is disabled").await;
        }
        if let Some(reply) = self.filters.refusal() {
            return self.error(Verb::Vrfy, &reply).await;
        }
        // Only the last word may be the parameter.
        let address = match argument.rsplit_once([' ', '\t']) {
            Some((address, last)) if last.eq_ignore_ascii_case("SMTPUTF8") && self.settings.utf8 => address.trim_end(),
            _ => argument,
        };
        if address.is_empty() {
            let more = if self.settings.utf8 { " [SMTPUTF8]" } else { "" };
            return self.error(Verb::Vrfy, &format!("501 5.5.4 Syntax: VRFY address{more}")).await;
        }
        if self.is_over(anvil::Event::Recipient, self.settings.limits.recipient_rate, "Recipient address") {
            let reply = format!("450 4.7.1 Error: too many recipients from {}", self.peer.address_name());
            return self.error(Verb::Vrfy, &reply).await;
        }
        // strict_rfc821_envelopes is for envelopes.
        let path = match smtp_command::address(address, false) {
            Some(found) => Ok(Path { address: found, written: address, parameters: Vec::new() }),
            None => Err(PathError::Address(address.to_owned())),
        };
        let path = match self.recipient_path(path, "VRFY").await {
            Ok(path) => path,
            Err(reply) => return self.error(Verb::Vrfy, &reply).await,
        };
        match self.check_recipient(&path.address, "VRFY").await {
            Ok(()) => self.good(Verb::Vrfy, &format!("252 2.0.0 {address}")).await,
            Err(reply) => self.error(Verb::Vrfy, &reply).await,
        }
    }

    async fn etrn(&mut self, argument: &str) {
        if self.settings.helo_required && self.helo.is_none() {
            return self.error(Verb::Etrn, "503 Error: send HELO/EHLO first").await;
        }
        if let Some(reply) = self.filters.refusal() {
            return self.error(Verb::Etrn, &reply).await;
        }
        if self.transaction.sender.is_some() {
            return self.error(Verb::Etrn, "503 Error: MAIL transaction in progress").await;
        }
        if argument.is_empty() || argument.contains(' ') {
            return self.error(Verb::Etrn, "500 Syntax: ETRN domain").await;
        }
        let domain = argument.strip_prefix(['@', '#']).unwrap_or(argument);
        if !host::is_domain(domain) {
            return self.error(Verb::Etrn, "501 Error: invalid parameter syntax").await;
        }
        if self.peer.is_user {
            self.log.warning("do not use ETRN in \"sendmail -bs\" mode");
            return self.error(Verb::Etrn, "458 Unable to queue messages").await;
        }
        if let Err(reply) = self.check_etrn(domain).await {
            return self.error(Verb::Etrn, &reply).await;
        }
        let served = patiently(|| self.settings.flush_domains.contains(domain)).await;
        let asked = match served {
            Ok(true) => trigger::send(std::path::Path::new("public/qmgr"), &trigger::site(domain))
                .map_err(|error| error.to_string()),
            Ok(false) => {
                self.log.warning(format!("reject: ETRN {domain}... from {}", self.shown()));
                return self.error(Verb::Etrn, &format!("459 <{domain}>: service unavailable")).await;
            }
            Err(error) => Err(error.to_string()),
        };
        match asked {
            Ok(()) => self.good(Verb::Etrn, "250 Queuing started").await,
            Err(error) => {
                self.log.warning(format!("ETRN {domain}: {error}"));
                self.error(Verb::Etrn, "458 Unable to queue messages").await;
            }
        }
    }

    /// A refusal that no list made.
    pub fn log_refusal(&self, stage: &str, reply: &str) {
        let queue_id = self.transaction.queue_id();
        let mut reply = reply.to_owned();
        if self.settings.soft_bounce && reply.starts_with('5') {
            super::footer::soften(&mut reply);
        }
        let mut line = format!("{stage} from {}: {reply};", self.shown());
        if let Some(sender) = &self.transaction.sender {
            line.push_str(&format!(" from=<{}>", envelope::quote_path(sender)));
        }
        line.push_str(&format!(" proto={}", self.protocol()));
        if let Some(helo) = &self.helo {
            line.push_str(&format!(" helo=<{helo}>"));
        }
        self.log.event(&Event::Verdict { queue_id: text(&queue_id), action: text("reject"), text: text(&line) });
    }
}

/// A name as logs and headers may hold it.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || " <>()\"\\;@".contains(c) { '?' } else { c }).take(255).collect()
}
