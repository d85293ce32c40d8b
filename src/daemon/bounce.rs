//! Notices about undelivered mail, as RFC 3464 multipart/report messages (bounce(8), as a library of the queue
//! manager and pickup; log lines keep its name). A notice has the null sender, so that no notice is ever about a notice.

use crate::cleanup::envelope::Named;
use crate::cleanup::{Cleanup, CleanupError, Envelope, Origin};
use crate::conf::MainCf;
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::{envelope as address, stamp};
use crate::queue::QueueId;
use crate::queue::bounce_log::Entry;
use crate::queue::file::{Content, Message, QueueFileError, notify};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It could not be delivered.
    Failure,
    /// It was not delivered yet.
    Delay,
}

/// To whom notices go and how much of the mail they return.
pub struct Bouncer {
    myhostname: String,
    mail_name: String,
    size_limit: u64,
    classes: Vec<String>,
    double_bounce_recipient: String,
    double_bounce_sender: String,
    bounce_notice_recipient: String,
    lifetime: std::time::Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum BounceError {
    #[error("{0}")]
    Cleanup(#[from] CleanupError),
    #[error("{0}")]
    File(#[from] QueueFileError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Bouncer {
    pub fn new(cf: &MainCf) -> Bouncer {
        Bouncer {
            myhostname: cf.myhostname(),
            mail_name: cf.mail_name(),
            size_limit: u64::try_from(cf.bounce_size_limit()).unwrap_or(50_000),
            classes: MainCf::list(&cf.notify_classes()),
            double_bounce_recipient: cf.two_bounce_notice_recipient(),
            double_bounce_sender: cf.double_bounce_sender(),
            bounce_notice_recipient: cf.bounce_notice_recipient(),
            lifetime: cf.maximal_queue_lifetime(),
        }
    }

    fn wants(&self, class: &str) -> bool {
        self.classes.iter().any(|wanted| wanted == class)
    }

    #[allow(clippy::too_many_arguments)] // Everything that is known of the message; a struct would only rename it.
    /// Tells the sender of `message`. Ok: every notice that is due is queued.
    pub fn notify(
        &self,
        cleanup: &Arc<Cleanup>,
        log: &Log,
        kind: Kind,
        id: &QueueId,
        message: &Message,
        file: &File,
        entries: &[Entry],
    ) -> Result<(), BounceError> {
        let wanted: Vec<&Entry> = entries.iter().filter(|entry| wants_notice(entry, kind)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let headers_only =
            message.attribute("ret_flags") == "2" || (self.size_limit > 0 && message.size > self.size_limit);
        let original = Original { id: id.as_str(), sender: &message.sender, arrival: message.arrival, headers_only };
        let name = address::split(&message.sender).0;
        if message.sender.is_empty() {
            // Mail from nobody: a notice that failed. The postmaster hears of it if he asked to (notify_classes).
            if kind == Kind::Failure && self.wants("2bounce") {
                let recipient = self.double_bounce_recipient.clone();
                let sender = self.double_bounce_sender.clone();
                let new =
                    self.compose(cleanup, kind, &original, &sender, &recipient, &wanted, Some((file, message)))?;
                log_notice(log, id.as_str(), "postmaster non-delivery", &new);
            }
            return Ok(());
        }
        if name.eq_ignore_ascii_case(&self.double_bounce_sender) {
            log.event_as(
                "bounce",
                &Event::Warning(format!("{id}: undeliverable postmaster notification discarded").into_bytes().into()),
            );
            return Ok(());
        }
        let new = self.compose(cleanup, kind, &original, "", &message.sender, &wanted, Some((file, message)))?;
        let words = if kind == Kind::Failure { "sender non-delivery" } else { "sender delay" };
        log_notice(log, id.as_str(), words, &new);
        if kind == Kind::Failure && self.wants("bounce") {
            let recipient = self.bounce_notice_recipient.clone();
            let sender = self.double_bounce_sender.clone();
            let original = Original { headers_only: true, ..original };
            let new = self.compose(cleanup, kind, &original, &sender, &recipient, &wanted, Some((file, message)))?;
            log_notice(log, id.as_str(), "postmaster non-delivery", &new);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // One notice needs all of these, and a struct would only rename them.
    fn compose(
        &self,
        cleanup: &Arc<Cleanup>,
        kind: Kind,
        original: &Original<'_>,
        sender: &str,
        recipient: &str,
        entries: &[&Entry],
        content: Option<(&File, &Message)>,
    ) -> Result<QueueId, BounceError> {
        let mut envelope = Envelope::new(Origin::Internal, sender);
        envelope.recipients.push(Named { address: recipient.to_owned(), ..Named::default() });
        envelope.attributes.push(("encoding".into(), "8bit".into()));
        envelope.expanded = recipient == original.sender;
        let mut intake = cleanup.begin(cleanup.reserve()?, &envelope)?;
        let epoch = original.arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let boundary = format!("{}.{epoch}/{}", original.id, self.myhostname);
        let mut lines = self.notice_header(kind, recipient, &boundary);
        lines.extend(self.notice_text(kind, entries, &boundary));
        lines.extend(self.delivery_report(kind, original, entries, &boundary));
        for line in lines {
            intake.line(line.as_bytes(), true)?;
        }
        let (title, media) = match (kind, original.headers_only) {
            (Kind::Failure, false) => ("Undelivered Message", "message/rfc822"),
            (Kind::Failure, true) => ("Undelivered Message Headers", "text/rfc822-headers"),
            (Kind::Delay, _) => ("Undelivered Message Headers", "text/rfc822-headers"),
        };
        let only_headers = original.headers_only || kind == Kind::Delay;
        for line in [
            format!("--{boundary}"),
            format!("Content-Description: {title}"),
            format!("Content-Type: {media}"),
            "Content-Transfer-Encoding: 8bit".to_owned(),
            String::new(),
            format!("Return-Path: <{}>", address::quote_path(original.sender)),
        ] {
            intake.line(line.as_bytes(), true)?;
        }
        if let Some((file, message)) = content {
            for piece in Content::open(file, message.data_offset)? {
                let piece = piece?;
                if only_headers && piece.data.is_empty() {
                    break;
                }
                intake.line(&piece.data, piece.newline)?;
            }
        }
        intake.line(b"", true)?;
        intake.line(format!("--{boundary}--").as_bytes(), true)?;
        Ok(intake.finish()?)
    }

    fn notice_header(&self, kind: Kind, recipient: &str, boundary: &str) -> Vec<String> {
        let subject = match kind {
            Kind::Failure => "Undelivered Mail Returned to Sender",
            Kind::Delay => "Delayed Mail (still being retried)",
        };
        vec![
            format!("Date: {}", stamp::rfc5322(SystemTime::now())),
            format!("From: Mail Delivery System <MAILER-DAEMON@{}>", self.myhostname),
            format!("Subject: {subject}"),
            format!("To: {}", address::quote(recipient)),
            "Auto-Submitted: auto-replied".into(),
            "MIME-Version: 1.0".into(),
            "Content-Type: multipart/report; report-type=delivery-status;".into(),
            format!("\tboundary=\"{boundary}\""),
            "Content-Transfer-Encoding: 8bit".into(),
            String::new(),
            "This is a MIME-encapsulated message.".into(),
            String::new(),
        ]
    }

    fn notice_text(&self, kind: Kind, entries: &[&Entry], boundary: &str) -> Vec<String> {
        let mut lines = vec![
            format!("--{boundary}"),
            "Content-Description: Notification".into(),
            "Content-Type: text/plain; charset=utf-8".into(),
            "Content-Transfer-Encoding: 8bit".into(),
            String::new(),
            format!("This is the mail system at host {}.", self.myhostname),
            String::new(),
        ];
        // Bounce handlers recognise these sentences, so they are the reference's.
        let text: &[&str] = match kind {
            Kind::Failure => &[
                "I'm sorry to have to inform you that your message could not",
                "be delivered to one or more recipients. It's attached below.",
            ],
            Kind::Delay => &[
                "####################################################################",
                "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #",
                "####################################################################",
                "",
                "Your message could not be delivered for more than a while.",
                "It will be retried until it is too old.",
            ],
        };
        lines.extend(text.iter().map(|&line| line.to_owned()));
        lines.extend(
            [
                "",
                "For further assistance, please send mail to postmaster.",
                "",
                "If you do so, please include this problem report. You can",
                "delete your own text from the attached returned message.",
                "",
                "                   The mail system",
                "",
            ]
            .map(str::to_owned),
        );
        if kind == Kind::Delay {
            let days = self.lifetime.as_secs() / 86_400;
            lines.insert(lines.len() - 8, format!("(After {days} days it is returned to you.)"));
        }
        for entry in entries {
            let to = address::quote(&entry.recipient.address);
            let from = address::quote(&entry.recipient.original);
            let same = entry.recipient.original.is_empty() || entry.recipient.original == entry.recipient.address;
            let head = if same { format!("<{to}>") } else { format!("<{to}> (expanded from <{from}>)") };
            lines.extend(wrap(&format!("{head}: {}", entry.report.reason)));
            lines.push(String::new());
        }
        lines
    }

    fn delivery_report(&self, kind: Kind, original: &Original<'_>, entries: &[&Entry], boundary: &str) -> Vec<String> {
        let mut lines = vec![
            format!("--{boundary}"),
            "Content-Description: Delivery report".into(),
            "Content-Type: message/delivery-status".into(),
            String::new(),
            format!("Reporting-MTA: dns; {}", self.myhostname),
            format!("X-{}-Queue-ID: {}", self.mail_name, original.id),
            format!("X-{}-Sender: rfc822; {}", self.mail_name, address::quote_path(original.sender)),
            format!("Arrival-Date: {}", stamp::rfc5322(original.arrival)),
        ];
        for entry in entries {
            let report = &entry.report;
            lines.push(String::new());
            lines.push(format!("Final-Recipient: rfc822; {}", address::quote(&entry.recipient.address)));
            if !entry.recipient.dsn_original.is_empty() {
                lines.push(format!("Original-Recipient: {}", entry.recipient.dsn_original));
            }
            lines.push(format!("Action: {}", if kind == Kind::Failure { "failed" } else { "delayed" }));
            lines.push(format!("Status: {}", report.code));
            if let Some(mta) = &report.mta {
                lines.push(format!("Remote-MTA: dns; {mta}"));
            }
            let diagnostic = match &report.diagnostic {
                Some(diagnostic) => format!("Diagnostic-Code: smtp; {diagnostic}"),
                None => format!("Diagnostic-Code: X-{}; {}", self.mail_name, report.reason),
            };
            lines.extend(wrap(&diagnostic));
            if kind == Kind::Delay {
                lines.push(format!("Will-Retry-Until: {}", stamp::rfc5322(original.arrival + self.lifetime)));
            }
        }
        lines.push(String::new());
        lines
    }
}

/// What the notice says of the mail.
#[derive(Clone, Copy)]
struct Original<'a> {
    id: &'a str,
    sender: &'a str,
    arrival: SystemTime,
    headers_only: bool,
}

/// RFC 3461: NOTIFY=NEVER and a NOTIFY without this kind silence it.
fn wants_notice(entry: &Entry, kind: Kind) -> bool {
    let bit = if kind == Kind::Failure { notify::FAILURE } else { notify::DELAY };
    entry.recipient.notify == 0 || entry.recipient.notify & bit != 0
}

fn log_notice(log: &Log, id: &str, kind: &str, new: &QueueId) {
    log.event_as("bounce", &Event::Notification { queue_id: text(id), kind, notice_id: text(new.as_str()) });
}

/// Breaks text at blanks to lines of at most 79 columns, continuation lines indented by four.
fn wrap(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split(' ') {
        let indent = if lines.is_empty() { 0 } else { 4 };
        if !current.is_empty() && indent + current.len() + 1 + word.len() > 79 {
            lines.push(format!("{}{current}", " ".repeat(indent)));
            current = word.to_owned();
        } else {
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
    }
    let indent = if lines.is_empty() { 0 } else { 4 };
    lines.push(format!("{}{current}", " ".repeat(indent)));
    lines
}

/// For pickup: mail that can never be queued (too many hops, a check that rejects it) goes back to its sender with
/// the reason and without its content.
pub fn return_to_sender(
    cleanup: &Arc<Cleanup>,
    log: &Log,
    envelope: &Envelope,
    reason: &str,
) -> Result<(), CleanupError> {
    if envelope.sender.is_empty() {
        return Ok(());
    }
    let mut notice = Envelope::new(Origin::Internal, "");
    notice.recipients.push(Named { address: envelope.sender.clone(), ..Named::default() });
    let mut intake = cleanup.begin(cleanup.reserve()?, &notice)?;
    for line in [
        "From: Mail Delivery System <MAILER-DAEMON>".to_owned(),
        "Subject: Undelivered Mail Returned to Sender".to_owned(),
        format!("To: {}", address::quote(&cleanup.rewriter.rewrite(&envelope.sender))),
        "Auto-Submitted: auto-replied".to_owned(),
        String::new(),
        "Your message was not accepted:".to_owned(),
        String::new(),
        format!("    {reason}"),
    ] {
        intake.line(line.as_bytes(), true)?;
    }
    let id = intake.finish()?;
    log_notice(log, "NOQUEUE", "sender non-delivery", &id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_wrapped_as_the_reference_does() {
        let line = "<bob@srvdmz.virtualux.fr> (expanded from <bob>): delivery via local: unknown user: \"bob\"";
        assert_eq!(
            wrap(line),
            ["<bob@srvdmz.virtualux.fr> (expanded from <bob>): delivery via local: unknown", "    user: \"bob\""]
        );
    }
}
