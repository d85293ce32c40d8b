//! What was said in a session, kept until it is clear whether the postmaster wants to see it (notify_classes,
//! error_notice_recipient; postconf(5)). What a client sends to log in is never in it.

use super::filters::apart;
use super::session::Session;
use super::sink::Sink;
use super::stream::Duplex;
use crate::cleanup::envelope::Named;
use crate::cleanup::{CleanupError, Envelope, Filtering, Origin};
use crate::conf::MainCf;
use crate::ipc::trigger;
use crate::message::stamp;

/// Most lines of one transcript.
const MAX_LINES: usize = 4000;
/// As wide as the lines of a notice are.
const WIDTH: usize = 78;
const INDENT: &str = "    ";

/// The kinds of trouble that the postmaster may want to hear of.
const CLASSES: &[&str] = &["bounce", "data", "policy", "protocol", "resource", "software"];

/// Replies that are of another kind than their codes say: their beginning, a part of them, and the kind.
const KINDS: &[(&str, &str, &str)] = &[
    ("454 4.7.0 TLS not available", "", "software"),
    ("451 4.3.5 ", "", "software"),
    ("452 4.3.1 ", "", "resource"),
    ("451 4.3.0 ", "queue file write error", "resource"),
    ("421 4.3.0 ", "", "data"),
    ("451 4.3.0 ", "", "data"),
    ("552 5.3.4 Error", "", "bounce"),
    ("554 5.4.0 Error", "", "bounce"),
    ("", "User unknown", "bounce"),
    ("503 ", "send HELO/EHLO first", "policy"),
    ("502 5.5.1 VRFY", "", "policy"),
    ("50", "", "protocol"),
    ("555", "", "protocol"),
    ("554 5.5.", "", "protocol"),
    ("535", "", "protocol"),
    ("421 4.7.0", "too many errors", "protocol"),
];

/// The kind of trouble that a refusal tells of.
fn kind_of(reply: &str) -> &'static str {
    let fits = |(begin, part, _): &&(&str, &str, &'static str)| reply.starts_with(begin) && reply.contains(part);
    KINDS.iter().find(fits).map_or("policy", |(_, _, kind)| kind)
}

/// What smtpd(8) reads of notices from the configuration.
pub struct NoticeSettings {
    /// Those of [`CLASSES`] that are wanted.
    wanted: Vec<&'static str>,
    sender: String,
    error_recipient: String,
    bounce_recipient: String,
    /// internal_mail_filter_classes has "notify": checks and filters look at notices.
    inspected: bool,
    mail_name: String,
    myhostname: String,
    /// So many lines are kept from one message to the next.
    kept: usize,
}

impl NoticeSettings {
    pub fn new(cf: &MainCf) -> NoticeSettings {
        let listed = MainCf::list(&cf.notify_classes());
        NoticeSettings {
            wanted: CLASSES.iter().copied().filter(|class| listed.iter().any(|own| own == class)).collect(),
            sender: cf.double_bounce_address(),
            error_recipient: cf.error_notice_recipient(),
            bounce_recipient: cf.bounce_notice_recipient(),
            inspected: MainCf::list(&cf.internal_mail_filter_classes()).iter().any(|class| class == "notify"),
            mail_name: cf.mail_name(),
            myhostname: cf.myhostname(),
            kept: usize::try_from(cf.smtpd_history_flush_threshold()).unwrap_or(100),
        }
    }
}

#[derive(Default)]
pub struct Transcript {
    lines: Vec<String>,
    /// The kinds of trouble so far.
    troubles: Vec<&'static str>,
    /// Why the session broke off.
    pub reason: Option<&'static str>,
}

impl Transcript {
    fn add(&mut self, line: String) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }

    pub fn heard(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let word = line.split_ascii_whitespace().take(2).collect::<Vec<_>>();
        match word.as_slice() {
            [command, mechanism] if command.eq_ignore_ascii_case("AUTH") => {
                self.add(format!("In:  AUTH {mechanism} (not shown)"));
            }
            _ => self.add(format!("In:  {line}")),
        }
    }

    /// A reply, one line or several.
    pub fn said(&mut self, reply: &str) {
        reply.split("\r\n").for_each(|line| self.add(format!("Out: {line}")));
        if reply.starts_with(['4', '5']) {
            let kind = kind_of(reply);
            if !self.troubles.contains(&kind) {
                self.troubles.push(kind);
            }
        }
    }

    /// The text of a notice.
    fn text(&self) -> Vec<String> {
        let mut text = vec!["Transcript of session follows.".to_owned(), String::new()];
        for line in &self.lines {
            let clean: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            text.extend(wrapped(&clean));
        }
        text.push(String::new());
        text.extend(self.reason.map(|reason| format!("Session aborted, reason: {reason}")));
        text.push(String::new());
        text.push("For other details, see the local mail logfile".to_owned());
        text
    }
}

/// A line in lines that are no wider than [`WIDTH`], where blanks allow it.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut rest, mut indent) = (line, "");
    loop {
        let room = WIDTH - indent.len();
        let cut = rest.char_indices().nth(room).and_then(|(end, over)| {
            let last = rest[..end + over.len_utf8()].rfind([' ', '\t']).filter(|&at| at > 0);
            last.or_else(|| rest.find([' ', '\t']))
        });
        match cut {
            Some(at) => {
                lines.push(format!(" {indent}{}", &rest[..at]));
                rest = rest[at..].trim_start_matches([' ', '\t']);
                indent = INDENT;
            }
            None => {
                lines.push(format!(" {indent}{rest}"));
                return lines;
            }
        }
    }
}

impl<S: Duplex> Session<S> {
    /// After a message and after RSET: nothing more than so many lines is kept.
    pub async fn turn_page(&mut self) {
        if self.transcript.lines.len() > self.settings.notices.kept {
            self.close_page().await;
        }
    }

    /// Sends the transcript to whom it concerns, and begins another.
    pub async fn close_page(&mut self) {
        let transcript = std::mem::take(&mut self.transcript);
        let notices = &self.settings.notices;
        let concerns = transcript.troubles.iter().any(|kind| notices.wanted.contains(kind));
        if self.peer.is_user || !concerns {
            return;
        }
        match self.send_notice(&transcript).await {
            // What refused it has logged that.
            Ok(()) | Err(CleanupError::Rejected(..) | CleanupError::Filtered(_)) => {}
            Err(error) => self.log.warning(format!("postmaster notify: {error}")),
        }
    }

    async fn send_notice(&self, transcript: &Transcript) -> Result<(), CleanupError> {
        let Sink::Queue { cleanup, qmgr } = &self.shared.sink else { return Ok(()) };
        let notices = &self.settings.notices;
        let of_bounce = transcript.troubles.contains(&"bounce") && notices.wanted.contains(&"bounce");
        let recipient = if of_bounce { &notices.bounce_recipient } else { &notices.error_recipient };
        let mut envelope = Envelope::new(Origin::Internal, notices.sender.clone());
        envelope.recipients =
            vec![Named { address: recipient.clone(), original: Some(recipient.clone()), ..Named::default() }];
        envelope.no_copies = true;
        if notices.inspected {
            envelope.inspected = true;
            envelope.filtering = Filtering::Local;
        }
        let NoticeSettings { mail_name, myhostname, .. } = notices;
        let mut text = vec![
            format!("Date: {}", stamp::rfc5322(envelope.arrival)),
            format!("From: Mail Delivery System <MAILER-DAEMON@{myhostname}>"),
            // As in the reference, whoever gets it.
            format!("To: Postmaster <{}>", notices.error_recipient),
            format!("Subject: {mail_name} SMTP server: errors from {}", self.shown()),
            String::new(),
        ];
        text.extend(transcript.text());
        let cleanup = cleanup.clone();
        let compose = move || {
            let mut intake = cleanup.begin(cleanup.reserve()?, &envelope)?;
            for line in &text {
                intake.line(line.as_bytes(), true)?;
            }
            intake.finish()
        };
        // Filters may take their time.
        let finished = match notices.inspected {
            true => apart(compose).await.ok_or_else(|| std::io::Error::other("no thread for it")),
            false => tokio::task::spawn_blocking(compose).await.map_err(std::io::Error::other),
        };
        finished.map_err(CleanupError::Write)??;
        let _ = trigger::send(qmgr, trigger::INCOMING);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_trouble() {
        for (reply, kind) in [
            ("454 4.7.0 TLS not available due to local problem", "software"),
            ("451 4.3.5 Server configuration error", "software"),
            ("451 4.3.0 Error: queue file write error", "resource"),
            ("451 4.3.0 <x>: Temporary lookup failure", "data"),
            ("500 5.5.2 Error: command not recognized", "protocol"),
            ("554 5.7.1 <x>: Relay access denied", "policy"),
            ("550 5.1.1 <x>: Recipient address rejected: User unknown in local recipient table", "bounce"),
            ("552 5.3.4 Message size exceeds fixed limit", "policy"),
        ] {
            assert_eq!(kind_of(reply), kind, "{reply}");
        }
    }

    #[test]
    fn a_transcript_hides_passwords_and_keeps_its_width() {
        let mut transcript = Transcript::default();
        transcript.heard(b"AUTH PLAIN AHRvdG8Ac2VjcmV0");
        transcript.said(
            "550 5.1.1 <nobody-here@localhost>: Recipient address rejected: User unknown in local recipient table",
        );
        let text = transcript.text();
        assert_eq!(text[2], " In:  AUTH PLAIN (not shown)");
        assert_eq!(text[3], " Out: 550 5.1.1 <nobody-here@localhost>: Recipient address rejected: User");
        assert_eq!(text[4], "     unknown in local recipient table");
        assert_eq!(wrapped(&"é".repeat(200)).len(), 1);
        assert_eq!(wrapped(&format!("a {}", "é".repeat(200))).len(), 2);
    }
}
