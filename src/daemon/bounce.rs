//! Notices about undelivered mail, as RFC 3464 multipart/report messages (bounce(8), as a library of the queue
//! manager and pickup; log lines keep its name). A notice has the null sender, so that no notice is ever about a notice.

use crate::cleanup::envelope::Named;
use crate::cleanup::{Cleanup, CleanupError, Envelope, Filtering, Origin};
use crate::conf::MainCf;
use crate::conf::bounce_template::{Template, Templates};
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::{envelope as address, stamp};
use crate::queue::QueueId;
use crate::queue::bounce_log::{Action, Entry};
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
    /// It was delivered (RFC 3461 NOTIFY=SUCCESS).
    Success,
    /// What became of it, or would (sendmail -v, -bv).
    Report,
}

/// To whom notices go and how much of the mail they return.
pub struct Bouncer {
    myhostname: String,
    mail_name: String,
    size_limit: u64,
    classes: Vec<String>,
    double_bounce_recipient: String,
    double_bounce_sender: String,
    /// What the sender of notices is called in notices about them.
    nobody: String,
    bounce_notice_recipient: String,
    delay_notice_recipient: String,
    lifetime: std::time::Duration,
    /// A message with a sender for each recipient has a notice for each (disable_verp_bounces).
    single_notices: bool,
    /// internal_mail_filter_classes has "bounce": checks and filters look at notices.
    inspected: bool,
    /// The texts, with their names filled in.
    failure: (Template, Vec<String>),
    delay: (Template, Vec<String>),
    success: (Template, Vec<String>),
    report: (Template, Vec<String>),
}

const EIGHT_BIT: &str = "Content-Transfer-Encoding: 8bit";

/// The words of one notice.
struct Notice<'a> {
    template: &'a Template,
    text: &'a [String],
    to_postmaster: bool,
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
    pub fn new(cf: &MainCf, log: &Log) -> Bouncer {
        // A template that cannot be used must not keep a sender from hearing that the mail failed.
        let mut warn = |text: String| log.event_as("bounce", &Event::Warning(text.into_bytes().into()));
        let built_in = Templates::built_in();
        let templates = Templates::of(cf, &mut warn).unwrap_or_else(|error| {
            warn(error.to_string());
            built_in.clone()
        });
        let mut filled = |template: &Template, standard: &Template| match template.expanded(cf) {
            Ok(lines) => (template.clone(), lines),
            Err((detail, text)) => {
                detail.into_iter().for_each(&mut warn);
                warn(text);
                (standard.clone(), standard.expanded(cf).unwrap_or_default())
            }
        };
        let failure = filled(&templates.failure, &built_in.failure);
        let delay = filled(&templates.delay, &built_in.delay);
        let success = filled(&templates.success, &built_in.success);
        let report = filled(&templates.verify, &built_in.verify);
        Bouncer {
            failure,
            delay,
            success,
            report,
            nobody: format!("MAILER-DAEMON@{}", cf.myhostname()),
            myhostname: cf.myhostname(),
            mail_name: cf.mail_name(),
            size_limit: u64::try_from(cf.bounce_size_limit()).unwrap_or(50_000),
            classes: MainCf::list(&cf.notify_classes()),
            double_bounce_recipient: cf.two_bounce_notice_recipient(),
            double_bounce_sender: cf.double_bounce_address(),
            bounce_notice_recipient: cf.bounce_notice_recipient(),
            delay_notice_recipient: cf.delay_notice_recipient(),
            single_notices: !cf.disable_verp_bounces(),
            lifetime: cf.maximal_queue_lifetime(),
            inspected: MainCf::list(&cf.internal_mail_filter_classes()).iter().any(|class| class == "bounce"),
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
        let original = Original {
            id: id.as_str(),
            envelope_id: message.attribute("envelope_id"),
            sender: if message.sender.is_empty() { &self.nobody } else { &message.sender },
            arrival: message.arrival,
            headers_only,
        };
        if message.sender.is_empty() {
            // Mail from nobody: a notice that failed. The postmaster hears of it if he asked to (notify_classes, where
            // "bounce" includes "2bounce").
            if kind == Kind::Failure && (self.wants("2bounce") || self.wants("bounce")) {
                let recipient = self.double_bounce_recipient.clone();
                let sender = self.double_bounce_sender.clone();
                let new =
                    self.compose(cleanup, kind, &original, &sender, &recipient, &wanted, Some((file, message)))?;
                log_notice(log, id.as_str(), "postmaster non-delivery", &new);
            }
            return Ok(());
        }
        if message.sender.eq_ignore_ascii_case(&self.double_bounce_sender) {
            log.event_as(
                "bounce",
                &Event::Warning(format!("{id}: undeliverable postmaster notification discarded").into_bytes().into()),
            );
            return Ok(());
        }
        if kind == Kind::Failure && self.single_notices && !message.verp.is_empty() {
            for entry in &wanted {
                let sender = message.sender_for(&entry.recipient);
                self.tell(cleanup, log, kind, &original, &sender, std::slice::from_ref(entry), (file, message))?;
            }
            return Ok(());
        }
        self.tell(cleanup, log, kind, &original, &message.sender, &wanted, (file, message))
    }

    #[allow(clippy::too_many_arguments)] // As above.
    /// A notice to `sender` about some recipients, and the postmaster's copy.
    fn tell(
        &self,
        cleanup: &Arc<Cleanup>,
        log: &Log,
        kind: Kind,
        original: &Original<'_>,
        sender: &str,
        entries: &[&Entry],
        content: (&File, &Message),
    ) -> Result<(), BounceError> {
        let new = self.compose(cleanup, kind, original, "", sender, entries, Some(content))?;
        let words = match kind {
            Kind::Failure => "sender non-delivery",
            Kind::Delay => "sender delay",
            Kind::Success | Kind::Report => "sender delivery status",
        };
        log_notice(log, original.id, words, &new);
        let (class, recipient, words) = match kind {
            Kind::Failure => ("bounce", &self.bounce_notice_recipient, "postmaster non-delivery"),
            Kind::Delay => ("delay", &self.delay_notice_recipient, "postmaster delay"),
            // Nobody else is told of good news.
            Kind::Success | Kind::Report => return Ok(()),
        };
        if self.wants(class) {
            let sender = self.double_bounce_sender.clone();
            let original = Original { headers_only: true, ..*original };
            let new = self.compose(cleanup, kind, &original, &sender, recipient, entries, Some(content))?;
            log_notice(log, original.id, words, &new);
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
        envelope.expanded = sender.is_empty();
        if self.inspected {
            envelope.inspected = true;
            envelope.filtering = Filtering::Local;
        }
        let mut intake = cleanup.begin(cleanup.reserve()?, &envelope)?;
        let epoch = original.arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let boundary = format!("{}.{epoch}/{}", original.id, self.myhostname);
        let template = match kind {
            Kind::Failure => &self.failure,
            Kind::Delay => &self.delay,
            Kind::Success => &self.success,
            Kind::Report => &self.report,
        };
        let notice = Notice { template: &template.0, text: &template.1, to_postmaster: !sender.is_empty() };
        let mut lines = Bouncer::notice_header(&notice, recipient, &boundary);
        lines.extend(Bouncer::notice_text(&notice, entries, &boundary));
        lines.extend(self.delivery_report(original, entries, &boundary));
        for line in lines {
            intake.line(line.as_bytes(), true)?;
        }
        let (title, media) = match (kind, original.headers_only) {
            (Kind::Failure, false) => ("Undelivered Message", "message/rfc822"),
            (Kind::Failure, true) => ("Undelivered Message Headers", "text/rfc822-headers"),
            (Kind::Delay, _) => ("Undelivered Message Headers", "text/rfc822-headers"),
            (Kind::Success | Kind::Report, _) => ("Message Headers", "text/rfc822-headers"),
        };
        let only_headers = original.headers_only || kind != Kind::Failure;
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

    fn notice_header(notice: &Notice<'_>, recipient: &str, boundary: &str) -> Vec<String> {
        let Notice { template, to_postmaster, .. } = notice;
        let subject = template.postmaster_subject.as_ref().filter(|_| *to_postmaster).unwrap_or(&template.subject);
        let mut lines = vec![
            format!("Date: {}", stamp::rfc5322(SystemTime::now())),
            format!("From: {}", template.from),
            format!("Subject: {subject}"),
            format!("To: {}", address::quote(recipient)),
            format!("Auto-Submitted: auto-{}", if *to_postmaster { "generated" } else { "replied" }),
            "MIME-Version: 1.0".into(),
            "Content-Type: multipart/report; report-type=delivery-status;".into(),
            format!("\tboundary=\"{boundary}\""),
        ];
        lines.extend([EIGHT_BIT.into(), String::new(), "This is a MIME-encapsulated message.".into(), String::new()]);
        lines
    }

    /// The text of the template, and what is said of each recipient.
    fn notice_text(notice: &Notice<'_>, entries: &[&Entry], boundary: &str) -> Vec<String> {
        // Reasons may be in UTF-8, of which us-ascii is a part.
        let charset = Some(notice.template.charset.as_str()).filter(|name| !name.eq_ignore_ascii_case("us-ascii"));
        let mut lines = vec![
            format!("--{boundary}"),
            "Content-Description: Notification".into(),
            format!("Content-Type: text/plain; charset={}", charset.unwrap_or("utf-8")),
            EIGHT_BIT.into(),
            String::new(),
        ];
        // The postmaster knows what a notice is.
        if !notice.to_postmaster {
            lines.extend(notice.text.iter().cloned());
        }
        lines.push(String::new());
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

    fn delivery_report(&self, original: &Original<'_>, entries: &[&Entry], boundary: &str) -> Vec<String> {
        let mut lines = vec![
            format!("--{boundary}"),
            "Content-Description: Delivery report".into(),
            "Content-Type: message/delivery-status".into(),
            String::new(),
            format!("Reporting-MTA: dns; {}", self.myhostname),
        ];
        if !original.envelope_id.is_empty() {
            lines.push(format!("Original-Envelope-Id: {}", original.envelope_id));
        }
        lines.extend([
            format!("X-{}-Queue-ID: {}", self.mail_name, original.id),
            format!("X-{}-Sender: rfc822; {}", self.mail_name, address::quote_path(original.sender)),
            format!("Arrival-Date: {}", stamp::rfc5322(original.arrival)),
        ]);
        for entry in entries {
            let report = &entry.report;
            lines.push(String::new());
            lines.push(format!("Final-Recipient: rfc822; {}", address::quote(&entry.recipient.address)));
            if !entry.recipient.dsn_original.is_empty() {
                lines.push(format!("Original-Recipient: {}", entry.recipient.dsn_original));
            }
            lines.push(format!("Action: {}", entry.action.name()));
            lines.push(format!("Status: {}", report.code));
            if let Some(mta) = &report.mta {
                lines.push(format!("Remote-MTA: dns; {mta}"));
            }
            let diagnostic = match &report.diagnostic {
                Some(diagnostic) => {
                    let (kind, said) = diagnostic.parts();
                    format!("Diagnostic-Code: {kind}; {said}")
                }
                None => format!("Diagnostic-Code: X-{}; {}", self.mail_name, report.reason),
            };
            lines.extend(wrap(&diagnostic));
            if entry.action == Action::Delayed {
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
    envelope_id: &'a str,
    sender: &'a str,
    arrival: SystemTime,
    headers_only: bool,
}

/// RFC 3461: NOTIFY=NEVER and a NOTIFY without this kind silence it.
fn wants_notice(entry: &Entry, kind: Kind) -> bool {
    let bit = match kind {
        Kind::Failure => notify::FAILURE,
        Kind::Delay => notify::DELAY,
        // What is in this log was asked for.
        Kind::Success | Kind::Report => return true,
    };
    entry.recipient.notify == 0 || entry.recipient.notify & bit != 0
}

fn log_notice(log: &Log, id: &str, kind: &str, new: &QueueId) {
    log.event_as("bounce", &Event::Notification { queue_id: text(id), kind, notice_id: text(new.as_str()) });
}

/// Breaks text at blanks to lines of at most 79 columns, continuation lines indented by four.
fn wrap(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.trim_end().split(' ') {
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
