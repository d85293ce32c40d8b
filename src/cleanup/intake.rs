//! The content of a message, line by line, into its queue file.
//!
//! ```text
//! Cleanup::reserve -> a file, which gives the queue id (smtpd names it at the first RCPT)
//! Cleanup::begin   -> Intake: size and envelope records, Received header
//! Intake::line ... -> headers rewritten, body copied
//! Intake::finish   -> missing headers, end record, fsync, rename: the message is accepted
//! ```
//! Dropped at any earlier point, nothing is left behind.

use super::CleanupError;
use super::envelope::{Envelope, Origin};
use super::expansion::Expansion;
use crate::conf::MainCf;
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::{envelope as address, stamp, tokens};
use crate::queue::create::NewFile;
use crate::queue::record::Type;
use crate::queue::{Queue, QueueId};
use crate::route::Rewriter;
use crate::table::TableError;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// The settings that all messages share.
pub struct Cleanup {
    pub queue: Queue,
    pub rewriter: Rewriter,
    log: Arc<Log>,
    expansion: Expansion,
    myhostname: String,
    mail_name: String,
    message_size_limit: u64,
    header_size_limit: usize,
    line_length_limit: usize,
    hopcount_limit: usize,
    undisclosed: String,
    always_add_missing: bool,
    drop_headers: Vec<String>,
    /// The mail system's account, which owns queue files; None: whoever runs this (rootless).
    owner: Option<(u32, u32)>,
}

impl Cleanup {
    pub fn new(cf: &MainCf, log: Arc<Log>) -> Result<Arc<Cleanup>, TableError> {
        let owner = crate::sys::accounts::by_name(cf.mail_owner()).map(|account| (account.uid, account.gid));
        let limit = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Arc::new(Cleanup {
            queue: Queue::new(cf),
            rewriter: Rewriter::new(cf),
            log,
            expansion: Expansion::new(cf)?,
            myhostname: cf.myhostname(),
            mail_name: cf.mail_name(),
            message_size_limit: limit(cf.message_size_limit()),
            header_size_limit: limit(cf.header_size_limit()) as usize,
            line_length_limit: (limit(cf.line_length_limit()) as usize).max(512),
            hopcount_limit: limit(cf.hopcount_limit()) as usize,
            undisclosed: cf.undisclosed_recipients_header(),
            always_add_missing: cf.always_add_missing_headers(),
            drop_headers: MainCf::list(&cf.message_drop_headers().to_ascii_lowercase()),
            // Only root can and must give files away.
            owner: owner.filter(|_| crate::sys::accounts::effective_uid() == 0),
        }))
    }

    /// Opens the file of a new message, which decides its id.
    pub fn reserve(&self) -> Result<NewFile, CleanupError> {
        let file = NewFile::create(&self.queue, "incoming").map_err(CleanupError::Write)?;
        if let Some((uid, gid)) = self.owner {
            file.own_by(uid, gid).map_err(CleanupError::Write)?;
        }
        Ok(file)
    }

    /// Writes the envelope; the content follows by [`Intake::line`].
    pub fn begin(self: &Arc<Self>, file: NewFile, envelope: &Envelope) -> Result<Intake, CleanupError> {
        let recipients = self.expansion.expand(&self.rewriter, envelope)?;
        if recipients.is_empty() {
            return Err(CleanupError::NoRecipients);
        }
        let sender = self.expansion.sender(&self.rewriter, &envelope.sender)?;
        let mut intake = Intake {
            cleanup: self.clone(),
            file,
            sender,
            envelope_full_name: envelope.full_name.clone(),
            rewrite: envelope.rewrite_headers,
            arrival: envelope.arrival,
            recipients: recipients.len(),
            data_offset: 0,
            size: 0,
            content_length: 0,
            in_header: true,
            header: Vec::new(),
            header_open: false,
            seen: Seen::default(),
            hops: 0,
            at_line_start: true,
            internal: matches!(envelope.origin, Origin::Internal),
        };
        intake.write_envelope(envelope, &recipients).map_err(CleanupError::Write)?;
        Ok(intake)
    }

    fn received(&self, id: &QueueId, envelope: &Envelope) -> Vec<String> {
        let date = stamp::rfc5322(envelope.arrival);
        let Cleanup { myhostname, mail_name, .. } = self;
        match &envelope.origin {
            Origin::Local { uid } => vec![
                format!("Received: by {myhostname} ({mail_name}, from userid {uid})"),
                format!("\tid {id}; {date}"),
            ],
            Origin::Internal => vec![format!("Received: by {myhostname} ({mail_name})"), format!("\tid {id}; {date}")],
            Origin::Smtp(client) => {
                let from = format!("Received: from {} ({} [{}])", client.helo, client.name, client.address);
                let by = format!("\tby {myhostname} ({mail_name}) with {} id {id}", client.protocol);
                match envelope.recipients.as_slice() {
                    [one] => vec![from, by, format!("\tfor <{}>; {date}", address::quote(&one.address))],
                    _ => vec![from, format!("{by};"), format!("\t{date}")],
                }
            }
        }
    }
}

/// Which headers a message has.
#[derive(Default)]
struct Seen {
    message_id: bool,
    date: bool,
    from: bool,
    to: bool,
    resent: bool,
    resent_message_id: bool,
    resent_date: bool,
    resent_from: bool,
    logged_id: bool,
}

/// What a header name stands for here.
enum Header {
    Sender,
    Recipient,
    Other,
}

fn classify(name: &str) -> Header {
    match name {
        "from"
        | "sender"
        | "reply-to"
        | "errors-to"
        | "return-receipt-to"
        | "disposition-notification-to"
        | "resent-from"
        | "resent-sender"
        | "resent-reply-to" => Header::Sender,
        "to" | "cc" | "bcc" | "apparently-to" | "resent-to" | "resent-cc" | "resent-bcc" => Header::Recipient,
        _ => Header::Other,
    }
}

/// A message on its way in.
pub struct Intake {
    cleanup: Arc<Cleanup>,
    file: NewFile,
    sender: String,
    envelope_full_name: String,
    rewrite: bool,
    arrival: SystemTime,
    recipients: usize,
    data_offset: u64,
    /// With LF line ends, for message_size_limit.
    size: u64,
    content_length: u64,
    in_header: bool,
    /// The logical header that is being collected, physical lines joined by LF.
    header: Vec<u8>,
    header_open: bool,
    seen: Seen,
    hops: usize,
    at_line_start: bool,
    internal: bool,
}

impl Intake {
    pub fn id(&self) -> &QueueId {
        self.file.id()
    }

    /// The sender after rewriting.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// Takes a line of content without its line end. `newline` is false for a piece of an over-long line whose rest
    /// follows, and for a last line that had no newline.
    pub fn line(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        if self.in_header { self.header_line(line, newline) } else { self.emit(line, newline) }
    }

    /// Completes the message and commits it. Ok means: accepted.
    pub fn finish(mut self) -> Result<QueueId, CleanupError> {
        if self.in_header {
            self.flush_header()?;
            self.end_of_header(false)?;
        }
        let done = |error| CleanupError::Write(error);
        // What logs and listings call the size is the content as it stands in the file.
        self.content_length = self.file.position() - self.data_offset;
        self.file.record(Type::EXTRACTED, b"").map_err(done)?;
        self.file.record(Type::END, b"").map_err(done)?;
        let size = self.size_record();
        self.file.rewrite_first(Type::SIZE, &size).map_err(done)?;
        self.file.commit(0o700).map_err(done)
    }

    fn size_record(&self) -> Vec<u8> {
        let (size, offset, count) = (self.content_length, self.data_offset, self.recipients);
        format!("{size:15} {offset:15} {count:15} {:15} {size:15} {:15}", 0, 0).into_bytes()
    }

    fn write_envelope(&mut self, envelope: &Envelope, recipients: &[super::expansion::Expanded]) -> io::Result<()> {
        let since = envelope.arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let size = self.size_record();
        let file = &mut self.file;
        file.record(Type::SIZE, &size)?;
        file.record(Type::TIME, format!("{} {}", since.as_secs(), since.subsec_micros()).as_bytes())?;
        file.record(Type::ATTRIBUTE, format!("create_time={}", since.as_secs()).as_bytes())?;
        let context = if envelope.rewrite_headers { "local" } else { "remote" };
        file.record(Type::ATTRIBUTE, format!("rewrite_context={context}").as_bytes())?;
        if !envelope.full_name.is_empty() {
            file.record(Type::FULL_NAME, clean(&envelope.full_name).as_bytes())?;
        }
        file.record(Type::SENDER, clean(&self.sender).as_bytes())?;
        for (name, value) in &envelope.attributes {
            file.record(Type::ATTRIBUTE, format!("{name}={}", clean(value)).as_bytes())?;
        }
        for attribute in origin_attributes(&envelope.origin) {
            file.record(Type::ATTRIBUTE, clean(&attribute).as_bytes())?;
        }
        for recipient in recipients {
            if recipient.notify != 0 {
                file.record(Type::ATTRIBUTE, format!("notify_flags={}", recipient.notify).as_bytes())?;
            }
            if !recipient.dsn_original.is_empty() {
                file.record(Type::ATTRIBUTE, format!("dsn_orig_rcpt={}", clean(&recipient.dsn_original)).as_bytes())?;
            }
            file.record(Type::ORIGINAL_RECIPIENT, clean(&recipient.original).as_bytes())?;
            file.record(Type::RECIPIENT, clean(&recipient.address).as_bytes())?;
        }
        file.record(Type::MESSAGE, b"")?;
        self.data_offset = file.position();
        for line in self.cleanup.received(self.file.id(), envelope) {
            self.put(line.as_bytes(), true)?;
        }
        Ok(())
    }

    fn header_line(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        if self.at_line_start {
            let continues =
                self.header_open && line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) && !blank(line);
            if !continues {
                self.flush_header()?;
                if !is_header(line) {
                    // An empty line, or text without a header above it: the body begins.
                    self.end_of_header(true)?;
                    return if line.is_empty() && newline { Ok(()) } else { self.emit(line, newline) };
                }
            }
        }
        if self.header.len() + line.len() > self.cleanup.header_size_limit.max(self.cleanup.line_length_limit) {
            // The rest of an over-long header is not dropped, as in the reference it becomes body text.
            self.flush_header()?;
            self.end_of_header(true)?;
            return self.emit(line, newline);
        }
        if self.at_line_start && self.header_open {
            self.header.push(b'\n');
        }
        self.header.extend_from_slice(line);
        self.header_open = true;
        self.at_line_start = newline;
        Ok(())
    }

    /// Writes out the collected header, rewritten where it has addresses.
    fn flush_header(&mut self) -> Result<(), CleanupError> {
        if !std::mem::take(&mut self.header_open) {
            return Ok(());
        }
        self.at_line_start = true;
        let header = std::mem::take(&mut self.header);
        let colon = header.iter().position(|&byte| byte == b':').unwrap_or(header.len());
        let label = String::from_utf8_lossy(&header[..colon]).trim_end().to_owned();
        let name = label.to_ascii_lowercase();
        let body = header.get(colon + 1..).unwrap_or_default();
        if self.cleanup.drop_headers.contains(&name) {
            // Bcc holds recipients too, but who received it must not be told.
            return Ok(());
        }
        self.note(&name, body)?;
        if self.rewrite
            && !matches!(classify(&name), Header::Other)
            && let Ok(text) = std::str::from_utf8(body)
        {
            let rewriter = &self.cleanup.rewriter;
            let rewritten = tokens::rewrite(text, |address| rewriter.rewrite(address));
            if let Some(new) = rewritten {
                for line in tokens::fold(&label, &new) {
                    self.emit(line.as_bytes(), true)?;
                }
                return Ok(());
            }
        }
        for line in header.split(|&byte| byte == b'\n') {
            self.emit(line, true)?;
        }
        Ok(())
    }

    /// Remembers what the message has, logs its id, counts its hops.
    fn note(&mut self, name: &str, body: &[u8]) -> Result<(), CleanupError> {
        let seen = &mut self.seen;
        match name {
            "message-id" => seen.message_id = true,
            "date" => seen.date = true,
            "from" => seen.from = true,
            "to" | "cc" | "apparently-to" => seen.to = true,
            "resent-message-id" => seen.resent_message_id = true,
            "resent-date" => seen.resent_date = true,
            "resent-from" => seen.resent_from = true,
            "received" => {
                self.hops += 1;
                if self.hops >= self.cleanup.hopcount_limit {
                    return Err(CleanupError::TooManyHops);
                }
            }
            _ => {}
        }
        seen.resent |= name.starts_with("resent-");
        if (name == "message-id" && !seen.logged_id) || name == "resent-message-id" {
            let id = String::from_utf8_lossy(body).trim().to_owned();
            self.log_message_id(name, &id);
        }
        Ok(())
    }

    fn log_message_id(&mut self, name: &str, id: &str) {
        self.seen.logged_id |= name == "message-id";
        let queue_id = self.file.id().as_str();
        let event = if name == "message-id" {
            Event::MessageId { queue_id: text(queue_id), message_id: text(id) }
        } else {
            Event::Other(format!("{queue_id}: {name}={id}").into_bytes().into())
        };
        self.cleanup.log.event_as("cleanup", &event);
    }

    /// Adds the headers that are missing, and the empty line where the message has a body.
    fn end_of_header(&mut self, body: bool) -> Result<(), CleanupError> {
        self.in_header = false;
        let add = self.rewrite || self.cleanup.always_add_missing;
        let prefix = if self.seen.resent { "Resent-" } else { "" };
        let (has_id, has_date, has_from) = if self.seen.resent {
            (self.seen.resent_message_id, self.seen.resent_date, self.seen.resent_from)
        } else {
            (self.seen.message_id, self.seen.date, self.seen.from)
        };
        if add && !has_id {
            let id = format!("<{}.{}@{}>", stamp::compact(self.arrival), self.file.id(), self.cleanup.myhostname);
            let line = format!("{prefix}Message-Id: {id}");
            self.emit(line.as_bytes(), true)?;
            self.log_message_id(if self.seen.resent { "resent-message-id" } else { "message-id" }, &id);
        }
        if !self.seen.logged_id {
            self.log_message_id("message-id", "<>");
        }
        if add && !has_date {
            let line = format!("{prefix}Date: {}", stamp::rfc5322(self.arrival));
            self.emit(line.as_bytes(), true)?;
        }
        if add && !has_from {
            let line = format!("{prefix}From: {}", self.sender_text());
            self.emit(line.as_bytes(), true)?;
        }
        if add && !self.seen.to && !self.cleanup.undisclosed.is_empty() && !self.internal {
            let line = self.cleanup.undisclosed.clone();
            self.emit(line.as_bytes(), true)?;
        }
        if body { self.emit(b"", true) } else { Ok(()) }
    }

    /// The sender for a From header: "Full Name <address>", quoted where it must be.
    fn sender_text(&self) -> String {
        if self.sender.is_empty() {
            return "MAILER-DAEMON".to_owned();
        }
        let address = address::quote(&self.sender);
        let name: String = self.envelope_full_name.chars().filter(|c| !c.is_control()).collect();
        if name.trim().is_empty() {
            return address;
        }
        let plain = name.chars().all(|c| c.is_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c));
        if plain {
            format!("{name} <{address}>")
        } else {
            format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }

    /// Writes content, counting it against message_size_limit.
    fn emit(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        self.put(line, newline).map_err(CleanupError::Write)?;
        let limit = self.cleanup.message_size_limit;
        if limit > 0 && self.size > limit { Err(CleanupError::TooBig) } else { Ok(()) }
    }

    fn put(&mut self, line: &[u8], newline: bool) -> io::Result<()> {
        let limit = self.cleanup.line_length_limit;
        let mut rest = line;
        while rest.len() > limit {
            let (piece, after) = rest.split_at(limit);
            self.file.record(Type::CONTINUED, piece)?;
            self.size += piece.len() as u64;
            rest = after;
        }
        self.file.record(if newline { Type::NORMAL } else { Type::CONTINUED }, rest)?;
        self.size += rest.len() as u64 + u64::from(newline);
        Ok(())
    }
}

/// "Name:" with at least one printable character before the colon (blanks allowed just before it).
fn is_header(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(|byte| (33..127).contains(byte))
}

fn blank(line: &[u8]) -> bool {
    line.is_empty()
}

/// The attributes by which later programs know the client.
fn origin_attributes(origin: &Origin) -> Vec<String> {
    match origin {
        Origin::Local { .. } => Vec::new(),
        Origin::Internal => vec!["log_message_origin=local".into(), "trace_flags=0".into()],
        Origin::Smtp(client) => {
            let origin = format!("{}[{}]", client.name, client.address);
            let kind = if client.address.contains(':') { 10 } else { 2 };
            vec![
                format!("log_client_name={}", client.name),
                format!("log_client_address={}", client.address),
                format!("log_client_port={}", client.port),
                format!("log_message_origin={origin}"),
                format!("log_helo_name={}", client.helo),
                format!("log_protocol_name={}", client.protocol),
                format!("client_name={}", client.name),
                format!("reverse_client_name={}", client.reverse_name),
                format!("client_address={}", client.address),
                format!("client_port={}", client.port),
                format!("server_address={}", client.server_address),
                format!("server_port={}", client.server_port),
                format!("helo_name={}", client.helo),
                format!("protocol_name={}", client.protocol),
                format!("client_address_type={kind}"),
            ]
        }
    }
}

/// An envelope text without what could end a record's line somewhere later: controls become "?".
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
