//! The SMTP of the screen: for clients that are kept out, and for the tests that need a client that talks. It takes no
//! recipient, offers no pipelining, and knows when to stop.

use super::results::{Test, Tests};
use super::settings::Action;
use super::visit::{End, Visit};
use crate::daemon::smtpd::session::escaped;
use crate::daemon::smtpd::stream::{Duplex, Input, Stream};
use crate::proto::smtp_command::{self, Verb};

/// What every command here comes to.
pub enum Next {
    Reply(String),
    Encrypt,
    End(End),
}

pub struct Engine<'v, 's> {
    pub visit: &'v mut Visit<'s>,
    pub helo: Option<String>,
    pub extended: bool,
    /// In internal form.
    pub sender: Option<String>,
    /// The last command, for the log.
    last: String,
    count: i64,
    /// Tests that are over for this session.
    skipped: Tests,
    pub discarded: Vec<String>,
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
        last: "CONNECT".to_owned(),
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
        let verb = Verb::of(word);
        let name = if verb == Verb::Unknown { "UNIMPLEMENTED".to_owned() } else { verb.name() };
        let before = std::mem::replace(&mut self.last, name);
        if verb == Verb::Unknown && self.is_due(Test::NonSmtp) {
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
        if verb != Verb::Bdat && !more.is_empty() && self.is_due(Test::Pipelining) {
            let after = printable(word);
            let said = escaped(more);
            self.visit.log(format!("COMMAND PIPELINING from {} after {after}: {said}", self.visit.shown));
            if let Some(end) = self.fail(Test::Pipelining, "521 5.5.1 Protocol error") {
                return Next::End(end);
            }
        }
        if verb == Verb::Rcpt {
            self.pass_so_far();
        }
        self.count += 1;
        if self.count > settings.command_limit && verb != Verb::Quit {
            self.visit.log(format!("COMMAND COUNT LIMIT from {} after {before}", self.visit.shown));
            return Next::End(End::Said(try_later(&settings.myhostname)));
        }
        self.answer(verb, rest)
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
