//! What the screen's SMTP answers to each command. It differs from smtpd's where the reference's does: extra words and
//! addresses that are none are let pass, since nothing is delivered to them.

use super::engine::{Engine, Next};
use super::visit::End;
use crate::daemon::smtpd::encryption::Level;
use crate::message::envelope;
use crate::proto::smtp_command::Verb;

/// What a client may say where it must encrypt, before it does.
const BEFORE_TLS: &[Verb] = &[Verb::Helo, Verb::Ehlo, Verb::StartTls, Verb::Noop, Verb::Quit];
/// Order of the EHLO keywords here.
const KEYWORDS: &[&str] =
    &["size", "vrfy", "etrn", "starttls", "enhancedstatuscodes", "8bitmime", "dsn", "smtputf8", "chunking"];

impl Engine<'_, '_> {
    pub fn answer(&mut self, verb: Verb, rest: &str) -> Next {
        let settings = &self.visit.screen.settings;
        let encryption = &self.visit.screen.encryption;
        let need_helo = settings.helo_required && self.helo.is_none();
        let reply = match verb {
            Verb::Helo | Verb::Ehlo => match rest.split(' ').next().filter(|name| !name.is_empty()) {
                Some(name) => return Next::Reply(self.hello(verb == Verb::Ehlo, name)),
                None => format!("501 Syntax: {} hostname", verb.name()),
            },
            Verb::Xclient | Verb::Xforward | Verb::Auth | Verb::Unknown => {
                "502 5.5.2 Error: command not recognized".to_owned()
            }
            _ if encryption.level == Level::Must && !self.visit.encrypted && !BEFORE_TLS.contains(&verb) => {
                "530 5.7.0 Must issue a STARTTLS command first".to_owned()
            }
            // The reference says so.
            Verb::StartTls if !rest.is_empty() => "501 Syntax: EHLO hostname".to_owned(),
            Verb::StartTls if self.visit.encrypted => "554 5.5.1 Error: TLS already active".to_owned(),
            Verb::StartTls
                if encryption.level == Level::Off || self.discarded.iter().any(|word| word == "starttls") =>
            {
                "502 5.5.1 Error: command not implemented".to_owned()
            }
            Verb::StartTls if encryption.server.is_none() => {
                "454 4.7.0 TLS not available due to local problem".to_owned()
            }
            Verb::StartTls => return Next::Encrypt,
            Verb::Mail => match address(rest) {
                _ if need_helo => "503 5.5.1 Error: send HELO/EHLO first".to_owned(),
                _ if self.sender.is_some() => "503 5.5.1 Error: nested MAIL command".to_owned(),
                None => "501 5.5.4 Syntax: MAIL FROM:<address>".to_owned(),
                Some(sender) => {
                    self.sender = Some(sender);
                    "250 2.1.0 Ok".to_owned()
                }
            },
            Verb::Rcpt => match (&self.sender, address(rest)) {
                (None, _) => "503 5.5.1 Error: need MAIL command".to_owned(),
                (_, None) => "501 5.5.4 Syntax: RCPT TO:<address>".to_owned(),
                (Some(sender), Some(recipient)) => self.refused(sender, &recipient),
            },
            Verb::Data => {
                return self.content(verb, if rest.is_empty() { None } else { Some("501 5.5.4 Syntax: DATA") });
            }
            Verb::Bdat => {
                let wrong = if self.discarded.iter().any(|word| word == "chunking") {
                    Some("502 5.5.1 Error: command not implemented")
                } else {
                    rest.is_empty().then_some("501 5.5.4 Syntax: BDAT count [LAST]")
                };
                return self.content(verb, wrong);
            }
            Verb::Rset => {
                self.sender = None;
                "250 2.0.0 Ok".to_owned()
            }
            Verb::Noop => "250 2.0.0 Ok".to_owned(),
            Verb::Vrfy if rest.is_empty() => "501 5.5.4 Syntax: VRFY address".to_owned(),
            Verb::Vrfy if settings.disable_vrfy => "502 5.5.1 VRFY command is disabled".to_owned(),
            Verb::Vrfy => self.visit.refusal.clone(),
            Verb::Etrn if need_helo => "503 5.5.1 Error: send HELO/EHLO first".to_owned(),
            Verb::Etrn if rest.is_empty() => "500 Syntax: ETRN domain".to_owned(),
            Verb::Etrn => "458 Unable to queue messages".to_owned(),
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
    fn content(&self, verb: Verb, wrong: Option<&str>) -> Next {
        self.visit.log(format!("{} without valid RCPT from {}", verb.name(), self.visit.shown));
        let reply = match (wrong, &self.sender, verb) {
            (Some(wrong), ..) => wrong,
            (None, None, Verb::Data) => "503 5.5.1 Error: need RCPT command",
            (None, None, _) => "554 5.5.1 Error: need MAIL command",
            _ => "554 5.5.1 Error: no valid recipients",
        };
        Next::End(End::Said(reply.to_owned()))
    }
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
