//! The SMTP of the screen: for clients that are kept out, and for the tests that need a client that talks. It takes no
//! recipient, offers no pipelining, and knows when to stop.

use super::results::{Test, Tests};
use super::settings::Action;
use super::visit::{End, Visit};
use crate::daemon::smtpd::encryption::Level;
use crate::daemon::smtpd::session::escaped;
use crate::daemon::smtpd::stream::{Duplex, Input, Stream};
use crate::message::envelope;
use crate::proto::smtp_command;

/// What every command here comes to.
pub enum Next {
    Reply(String),
    Encrypt,
    End(End),
}

/// The commands that are known; all others are UNIMPLEMENTED.
const COMMANDS: &[&str] = &[
    "HELO", "EHLO", "STARTTLS", "XCLIENT", "XFORWARD", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY",
    "ETRN", "QUIT",
];
const UNKNOWN: &str = "UNIMPLEMENTED";
/// What a client may say where it must encrypt, before it does.
const BEFORE_TLS: &[&str] = &["HELO", "EHLO", "STARTTLS", "NOOP", "QUIT"];
/// Order of the EHLO keywords here.
const KEYWORDS: &[&str] =
    &["size", "vrfy", "etrn", "starttls", "enhancedstatuscodes", "8bitmime", "dsn", "smtputf8", "chunking"];

pub struct Engine<'v, 's> {
    visit: &'v mut Visit<'s>,
    helo: Option<String>,
    extended: bool,
    /// In internal form.
    sender: Option<String>,
    /// The last command, for the log.
    last: &'static str,
    count: i64,
    /// Tests that are over for this session.
    skipped: Tests,
    discarded: Vec<String>,
}

/// Speaks with a client to the end.
pub async fn run<S: Duplex>(visit: &mut Visit<'_>, stream: &mut Stream<S>) -> End {
    visit.begin("tests after SMTP handshake");
    // Who fails one thing shows whether it fails others.
    if visit.has_failed() {
        visit.todo = visit.todo.or(Tests::late());
    }
    // Who spoke first hears no greeting: it would take it for the answer.
    let greeting = format!("220 {}", visit.screen.settings.banner);
    if !visit.failed.has(Test::Pregreet) && !visit.say(stream, &greeting).await {
        return End::HungUp;
    }
    let discarded = visit.screen.settings.discard_ehlo.clone();
    let mut engine = Engine {
        visit,
        helo: None,
        extended: false,
        sender: None,
        last: "CONNECT",
        count: 0,
        skipped: Tests::default(),
        discarded,
    };
    loop {
        if let Some(end) = engine.turn(stream).await {
            return end;
        }
    }
}

impl Engine<'_, '_> {
    /// One command and its answer, within one limit of time.
    async fn turn<S: Duplex>(&mut self, stream: &mut Stream<S>) -> Option<End> {
        let screen = self.visit.screen;
        let settings = &screen.settings;
        let host = &settings.myhostname;
        let patience = settings.command_time.now(screen.is_stressed());
        let line = match tokio::time::timeout(patience, stream.line(settings.line_length)).await {
            Ok(Input::Line { too_long: true, .. }) => {
                self.visit.log(format!("COMMAND LENGTH LIMIT from {} after {}", self.visit.shown, self.last));
                return Some(End::Said(try_later(host)));
            }
            Ok(Input::Line { text, crlf, .. }) => {
                if !crlf && let Some(end) = self.bare_newline(&text) {
                    return Some(end);
                }
                text
            }
            Ok(Input::Closed) => return Some(End::HungUp),
            Ok(Input::TimedOut) | Err(_) => {
                self.visit.log(format!("COMMAND TIME LIMIT from {} after {}", self.visit.shown, self.last));
                return Some(End::Said(format!("421 4.4.2 {host} Error: timeout exceeded")));
            }
        };
        match self.command(&line, stream.pending()) {
            Next::End(end) => Some(end),
            // What the client does not read is given up with the connection: it has the time of a command for that too.
            Next::Reply(reply) => match tokio::time::timeout(patience, self.visit.say(stream, &reply)).await {
                Ok(true) => None,
                _ => Some(End::HungUp),
            },
            Next::Encrypt => {
                // What was said in the clear is forgotten.
                (self.helo, self.sender) = (None, None);
                if self.visit.encrypt(stream).await { None } else { Some(End::HungUp) }
            }
        }
    }

    /// What a line is answered with; `more` came with it.
    fn command(&mut self, line: &[u8], more: &[u8]) -> Next {
        let settings = &self.visit.screen.settings;
        // As in C, a line ends at its NUL.
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        let utf8 = std::str::from_utf8(line).is_ok();
        let line = self.filtered(&String::from_utf8_lossy(line));
        let words = line.trim_matches(' ');
        let (word, rest) = words.split_once(' ').map_or((words, ""), |(word, rest)| (word, rest.trim_matches(' ')));
        let known = COMMANDS.iter().find(|name| word.eq_ignore_ascii_case(name)).copied();
        let before = std::mem::replace(&mut self.last, known.unwrap_or(UNKNOWN));
        if known.is_none() && self.is_due(Test::NonSmtp) {
            let wrong_utf8 = settings.utf8 && !utf8;
            let forbidden = || settings.forbidden.contains(word).unwrap_or(false);
            if smtp_command::parse(word).is_header() || wrong_utf8 || forbidden() {
                let said = format!("{} {}", printable(word), escaped(rest.as_bytes()));
                self.visit.log(format!("NON-SMTP COMMAND from {} after {before}: {said}", self.visit.shown));
                if let Some(end) = self.fail(Test::NonSmtp, "521 5.7.0 Error: I can break rules, too. Goodbye.") {
                    return Next::End(end);
                }
            }
        }
        if known != Some("BDAT") && !more.is_empty() && self.is_due(Test::Pipelining) {
            let after = printable(word);
            let said = escaped(more);
            self.visit.log(format!("COMMAND PIPELINING from {} after {after}: {said}", self.visit.shown));
            if let Some(end) = self.fail(Test::Pipelining, "521 5.5.1 Protocol error") {
                return Next::End(end);
            }
        }
        if known == Some("RCPT") {
            self.pass_so_far();
        }
        self.count += 1;
        if self.count > settings.command_limit && known != Some("QUIT") {
            self.visit.log(format!("COMMAND COUNT LIMIT from {} after {before}", self.visit.shown));
            return Next::End(End::Said(try_later(&settings.myhostname)));
        }
        self.answer(known.unwrap_or(UNKNOWN), rest)
    }

    fn answer(&mut self, command: &str, rest: &str) -> Next {
        let settings = &self.visit.screen.settings;
        let encryption = &self.visit.screen.encryption;
        let need_helo = settings.helo_required && self.helo.is_none();
        let reply = match command {
            "HELO" | "EHLO" => match rest.split(' ').next().filter(|name| !name.is_empty()) {
                Some(name) => return Next::Reply(self.hello(command == "EHLO", name)),
                None => format!("501 Syntax: {command} hostname"),
            },
            "XCLIENT" | "XFORWARD" | "AUTH" | UNKNOWN => "502 5.5.2 Error: command not recognized".to_owned(),
            other if encryption.level == Level::Must && !self.visit.encrypted && !BEFORE_TLS.contains(&other) => {
                "530 5.7.0 Must issue a STARTTLS command first".to_owned()
            }
            // The reference says so.
            "STARTTLS" if !rest.is_empty() => "501 Syntax: EHLO hostname".to_owned(),
            "STARTTLS" if self.visit.encrypted => "554 5.5.1 Error: TLS already active".to_owned(),
            "STARTTLS" if encryption.level == Level::Off || self.discarded.iter().any(|word| word == "starttls") => {
                "502 5.5.1 Error: command not implemented".to_owned()
            }
            "STARTTLS" if encryption.server.is_none() => "454 4.7.0 TLS not available due to local problem".to_owned(),
            "STARTTLS" => return Next::Encrypt,
            "MAIL" => match address(rest) {
                _ if need_helo => "503 5.5.1 Error: send HELO/EHLO first".to_owned(),
                _ if self.sender.is_some() => "503 5.5.1 Error: nested MAIL command".to_owned(),
                None => "501 5.5.4 Syntax: MAIL FROM:<address>".to_owned(),
                Some(sender) => {
                    self.sender = Some(sender);
                    "250 2.1.0 Ok".to_owned()
                }
            },
            "RCPT" => match (&self.sender, address(rest)) {
                (None, _) => "503 5.5.1 Error: need MAIL command".to_owned(),
                (_, None) => "501 5.5.4 Syntax: RCPT TO:<address>".to_owned(),
                (Some(sender), Some(recipient)) => self.refused(sender, &recipient),
            },
            "DATA" => {
                return self.content(command, if rest.is_empty() { None } else { Some("501 5.5.4 Syntax: DATA") });
            }
            "BDAT" => {
                let wrong = if self.discarded.iter().any(|word| word == "chunking") {
                    Some("502 5.5.1 Error: command not implemented")
                } else {
                    rest.is_empty().then_some("501 5.5.4 Syntax: BDAT count [LAST]")
                };
                return self.content(command, wrong);
            }
            "RSET" => {
                self.sender = None;
                "250 2.0.0 Ok".to_owned()
            }
            "NOOP" => "250 2.0.0 Ok".to_owned(),
            "VRFY" if rest.is_empty() => "501 5.5.4 Syntax: VRFY address".to_owned(),
            "VRFY" if settings.disable_vrfy => "502 5.5.1 VRFY command is disabled".to_owned(),
            "VRFY" => self.visit.refusal.clone(),
            "ETRN" if need_helo => "503 5.5.1 Error: send HELO/EHLO first".to_owned(),
            "ETRN" if rest.is_empty() => "500 Syntax: ETRN domain".to_owned(),
            "ETRN" => "458 Unable to queue messages".to_owned(),
            _ => return Next::End(End::Said("221 2.0.0 Bye".to_owned())),
        };
        Next::Reply(reply)
    }

    fn hello(&mut self, extended: bool, name: &str) -> String {
        let settings = &self.visit.screen.settings;
        self.helo = Some(name.to_owned());
        self.sender = None;
        if !extended {
            return format!("250 {}", settings.myhostname);
        }
        self.extended = true;
        let own = settings.discard_ehlo_maps.find_text(&self.visit.client.ip().to_string());
        let own = own.unwrap_or_else(|error| {
            self.visit.screen.log.warning(error.to_string());
            None
        });
        if let Some(own) = own {
            self.discarded = crate::conf::MainCf::list(&own.to_ascii_lowercase());
            let hides: Vec<&str> = self.discarded.iter().map(String::as_str).collect();
            if self.discarded != settings.discard_ehlo && !hides.is_empty() && !hides.contains(&"silent-discard") {
                let (address, port) = (self.visit.client.ip(), self.visit.client.port());
                self.visit
                    .log(format!("[{address}]{port}: discarding EHLO keywords: {}", hides.join(" ").to_uppercase()));
            }
        }
        let mut lines = vec![settings.myhostname.clone()];
        for keyword in KEYWORDS.iter().filter(|keyword| !self.discarded.iter().any(|word| word == *keyword)) {
            match *keyword {
                "size" if settings.message_limit > 0 => lines.push(format!("SIZE {}", settings.message_limit)),
                "vrfy" if !settings.offers_vrfy => {}
                "smtputf8" if !settings.utf8 => {}
                "starttls" if self.visit.encrypted || self.visit.screen.encryption.level == Level::Off => {}
                keyword => lines.push(keyword.to_ascii_uppercase()),
            }
        }
        let last = lines.len() - 1;
        let mark = |at: usize| if at == last { ' ' } else { '-' };
        let lines: Vec<String> = lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", mark(at))).collect();
        lines.join("\r\n")
    }

    fn refused(&self, sender: &str, recipient: &str) -> String {
        let reply = self.visit.refusal.clone();
        let mut shown = reply.clone();
        if self.visit.screen.settings.soft_bounce && shown.starts_with('5') {
            crate::daemon::smtpd::footer::soften(&mut shown);
        }
        let quoted = |address: &str| if address.is_empty() { String::new() } else { envelope::quote(address) };
        let (from, to) = (quoted(sender), quoted(recipient));
        self.visit.log(format!(
            "NOQUEUE: reject: RCPT from {}: {shown}; from=<{from}>, to=<{to}>, proto={}, helo=<{}>",
            self.visit.shown,
            if self.extended { "ESMTP" } else { "SMTP" },
            self.helo.as_deref().unwrap_or_default()
        ));
        reply
    }

    /// Whoever sends content for recipients that were all refused does not listen, and is not waited for.
    fn content(&self, command: &str, wrong: Option<&str>) -> Next {
        self.visit.log(format!("{command} without valid RCPT from {}", self.visit.shown));
        let reply = match (wrong, &self.sender, command) {
            (Some(wrong), ..) => wrong,
            (None, None, "DATA") => "503 5.5.1 Error: need RCPT command",
            (None, None, _) => "554 5.5.1 Error: need MAIL command",
            _ => "554 5.5.1 Error: no valid recipients",
        };
        Next::End(End::Said(reply.to_owned()))
    }

    /// postscreen_command_filter: another line in this one's place.
    fn filtered(&self, line: &str) -> String {
        let screen = self.visit.screen;
        match screen.settings.command_filter.find_text(line.trim_start_matches([' ', '\t'])) {
            Ok(Some(other)) => {
                self.visit
                    .log(format!("{}: replacing command \"{line:.100}\" with \"{other:.100}\"", self.visit.shown));
                other
            }
            Ok(None) => line.to_owned(),
            Err(error) => {
                screen.log.warning(error.to_string());
                line.to_owned()
            }
        }
    }

    fn is_due(&self, test: Test) -> bool {
        self.visit.todo.has(test) && !self.skipped.has(test)
    }

    fn bare_newline(&mut self, line: &[u8]) -> Option<End> {
        if !self.is_due(Test::BareNewline) {
            return None;
        }
        self.visit.log(format!("BARE NEWLINE from {} after {}", self.visit.shown, escaped(line)));
        self.fail(Test::BareNewline, "521 5.5.1 Protocol error")
    }

    /// A test is failed, for the rest of the session.
    fn fail(&mut self, test: Test, goodbye: &str) -> Option<End> {
        let settings = &self.visit.screen.settings;
        self.skipped.insert(test);
        self.visit.passed.remove(test);
        match settings.late(test).action {
            Action::Ignore => self.visit.pass(test, settings.least_ttl),
            Action::Enforce => {
                self.visit.failed.insert(test);
                self.visit.enforce("550 5.5.1 Protocol error");
            }
            Action::Drop => {
                self.visit.failed.insert(test);
                return Some(End::Said(goodbye.to_owned()));
            }
        }
        None
    }

    /// A client that came as far as RCPT without a fault has passed; a later fault still undoes it.
    fn pass_so_far(&mut self) {
        for test in [Test::BareNewline, Test::NonSmtp, Test::Pipelining] {
            let visit = &mut *self.visit;
            if visit.todo.has(test) && !visit.passed.has(test) && !visit.failed.has(test) {
                visit.pass(test, visit.screen.settings.late(test).ttl);
            }
        }
    }
}

fn try_later(host: &str) -> String {
    format!("421 {host} Service unavailable - try again later")
}

fn printable(word: &str) -> String {
    word.chars().take(100).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// The address behind the colon of MAIL and RCPT, in internal form: quotes and a route taken off, nothing checked, since
/// it is only for the log.
fn address(rest: &str) -> Option<String> {
    let text = rest.split_once(':')?.1.trim_start_matches(' ');
    let (mut chars, end) = match text.strip_prefix('<') {
        Some(inner) => (inner.chars(), '>'),
        None => (text.chars(), ' '),
    };
    let (mut found, mut quoted) = (String::new(), false);
    while let Some(c) = chars.next() {
        match c {
            c if c == end && !quoted => break,
            '"' => quoted = !quoted,
            '\\' => found.extend(chars.next()),
            c => found.push(c),
        }
    }
    match found.split_once(':') {
        Some((route, behind)) if route.starts_with('@') => Some(behind.to_owned()),
        _ => Some(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_come() {
        for (rest, want) in [
            ("FROM:<a@b>", Some("a@b")),
            ("FROM: <@x.example:\"a b\"@c> SIZE=1", Some("a b@c")),
            ("TO:a@b NOTIFY=NEVER", Some("a@b")),
            ("TO:<\"a>b\"@c", Some("a>b@c")),
            ("TO:<a\\", Some("a")),
            ("FROM:", Some("")),
            ("FROM", None),
        ] {
            assert_eq!(address(rest).as_deref(), want, "{rest}");
        }
    }
}
