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
use super::checks::{About, Asked, Checks, Line};
use super::envelope::{Envelope, Origin};
use super::expansion::{Everybody, Expanded, Expansion};
use super::filtering::{Filtering, LocalFilters};
use super::header::Seen;
use super::held::{Held, Recipient};
use super::mime::{Section, Structure};
use crate::conf::MainCf;
use crate::conf::neighbour::neighbour;
use crate::log::Log;
use crate::log::event::Event;
use crate::message::{envelope as address, stamp};
use crate::milter::{Filters, Macros};
use crate::queue::create::NewFile;
use crate::queue::record::Type;
use crate::queue::{Queue, QueueId, State};
use crate::route::Rewriter;
use crate::table::TableError;
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// The settings that all messages share.
pub struct Cleanup {
    pub queue: Queue,
    pub rewriter: Rewriter,
    pub(super) log: Arc<Log>,
    pub(super) expansion: Expansion,
    pub(super) checks: Checks,
    /// milter_header_checks.
    pub(super) milter_checks: Checks,
    pub(super) local_filters: LocalFilters,
    remote_rewriter: Option<Rewriter>,
    pub(super) mime_nesting_limit: usize,
    mime_boundary_limit: usize,
    flat: bool,
    pub(super) myhostname: String,
    pub(super) mail_name: String,
    pub(super) message_size_limit: u64,
    pub(super) header_size_limit: usize,
    pub(super) line_length_limit: usize,
    pub(super) hopcount_limit: usize,
    pub(super) undisclosed: String,
    pub(super) always_add_missing: bool,
    pub(super) drop_headers: Vec<String>,
    /// The mail system's account, which owns queue files; None: whoever runs this (rootless).
    owner: Option<(u32, u32)>,
}

impl Cleanup {
    /// `own` is what the program has that receives the mail: its name stands in Received headers. All else is as the
    /// services that $cleanup_service_name and $rewrite_service_name name have it.
    pub fn new(own: &MainCf, log: Arc<Log>) -> Result<Arc<Cleanup>, TableError> {
        let cf = &neighbour(own, &own.cleanup_service_name());
        let rewriter = Rewriter::new(&neighbour(cf, &cf.rewrite_service_name()));
        let owner = crate::sys::accounts::by_name(cf.mail_owner()).map(|account| (account.uid, account.gid));
        let limit = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Arc::new(Cleanup {
            queue: Queue::new(cf),
            log,
            expansion: Expansion::new(cf)?,
            checks: Checks::new(cf),
            milter_checks: Checks::of_lists([
                ("milter_header_checks", cf.milter_header_checks()),
                ("", String::new()),
                ("", String::new()),
                ("", String::new()),
            ]),
            local_filters: LocalFilters::new(cf),
            remote_rewriter: Some(cf.remote_header_rewrite_domain())
                .filter(|domain| !domain.is_empty())
                .map(|domain| rewriter.clone().for_strangers(&domain)),
            rewriter,
            mime_nesting_limit: limit(cf.mime_nesting_limit()) as usize,
            mime_boundary_limit: limit(cf.mime_boundary_length_limit()) as usize,
            flat: cf.disable_mime_input_processing(),
            myhostname: own.myhostname(),
            mail_name: own.mail_name(),
            // The receiver's and cleanup's: the smaller one, where 0 is none.
            message_size_limit: [own, cf]
                .map(|cf| limit(cf.message_size_limit()))
                .into_iter()
                .filter(|&limit| limit > 0)
                .min()
                .unwrap_or(0),
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
        let warn = |warning: String| self.warn(file.id(), &warning);
        let sender = self.expansion.sender(&self.rewriter, envelope, &warn)?;
        let Everybody { recipients, copies, named } =
            self.expansion.expand(&self.rewriter, envelope, &sender, &warn)?;
        if recipients.is_empty() {
            return Err(CleanupError::NoRecipients);
        }
        let header_rewriter =
            if envelope.rewrite_headers { Some(self.rewriter.clone()) } else { self.remote_rewriter.clone() };
        let inspected = !envelope.no_checks && (envelope.inspected || !matches!(envelope.origin, Origin::Internal));
        let checked = inspected && !self.checks.is_empty();
        let (origin, protocol, helo) = match &envelope.origin {
            Origin::Smtp(client) => {
                (format!("{}[{}]", client.name, client.address), client.protocol, client.helo.clone())
            }
            _ => ("local".to_owned(), "", String::new()),
        };
        let mut intake = Intake {
            file,
            sender,
            envelope_full_name: envelope.full_name.clone(),
            header_rewriter,
            map_headers: !envelope.no_mappings,
            arrival: envelope.arrival,
            recipients: recipients.len() + copies.len(),
            copies,
            data_offset: 0,
            size: 0,
            content_length: 0,
            flags: u64::from(envelope.utf8),
            structure: Structure::new(self.mime_nesting_limit, self.mime_boundary_limit, self.flat || !checked),
            checked,
            asked: Asked { hold: envelope.hold, ..Asked::default() },
            origin,
            protocol,
            helo,
            last_recipient: named.last().cloned(),
            named: if envelope.filtering == Filtering::Local { named } else { Vec::new() },
            held: None,
            filtered: false,
            local_filters: None,
            completed: false,
            inspected,
            part_offset: 0,
            header: Vec::new(),
            header_open: false,
            seen: Seen::default(),
            hops: 0,
            at_line_start: true,
            internal: matches!(envelope.origin, Origin::Internal),
            cleanup: self.clone(),
        };
        intake.write_envelope(envelope, recipients)?;
        Ok(intake)
    }

    /// "QUEUE_ID: words", as cleanup's.
    pub(super) fn warn(&self, id: &QueueId, warning: &str) {
        self.log.event_as("cleanup", &Event::Warning(format!("{id}: {warning}").into_bytes().into()));
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
                let helo = if client.helo.is_empty() { "unknown" } else { &client.helo };
                let from = format!("Received: from {helo} ({} [{}])", client.name, client.address);
                // RFC 6531 section 4.3, and RFC 3848: an "S" for TLS, an "A" for whoever has logged in.
                let protocol = match client.protocol {
                    "ESMTP" if envelope.utf8 => "UTF8SMTP",
                    other => other,
                };
                let letter = |condition, letter| if condition && protocol != "SMTP" { letter } else { "" };
                let tls = letter(client.secured.is_some(), "S");
                let login = letter(client.login.is_some(), "A");
                let by = format!("\tby {myhostname} ({mail_name}) with {protocol}{tls}{login} id {id}");
                let mut lines = vec![from];
                lines.extend(client.secured.iter().filter(|_| client.secured_header).flat_map(|own| own.received()));
                if let Some(login) = client.login.as_ref().filter(|_| client.login_header) {
                    lines.push(format!("\t(Authenticated sender: {})", clean(&login.name)));
                }
                match envelope.recipients.as_slice() {
                    [one] => lines.extend([by, format!("\tfor <{}>; {date}", address::quote(&one.address))]),
                    _ => lines.extend([format!("{by};"), format!("\t{date}")]),
                }
                lines
            }
        }
    }
}

/// A message on its way in.
pub struct Intake {
    pub(super) cleanup: Arc<Cleanup>,
    pub(super) file: NewFile,
    pub(super) sender: String,
    pub(super) envelope_full_name: String,
    /// Who completes addresses in headers; None: nobody, and no header is added either.
    pub(super) header_rewriter: Option<Rewriter>,
    /// Whether canonical tables apply to headers.
    pub(super) map_headers: bool,
    pub(super) arrival: SystemTime,
    pub(super) recipients: usize,
    /// Automatic copies, which stand after the content.
    pub(super) copies: Vec<Expanded>,
    data_offset: u64,
    /// With LF line ends, for message_size_limit.
    pub(super) size: u64,
    content_length: u64,
    flags: u64,
    pub(super) structure: Structure,
    /// Whether header_checks and body_checks look at it.
    pub(super) checked: bool,
    pub(super) asked: Asked,
    pub(super) origin: String,
    pub(super) protocol: &'static str,
    pub(super) helo: String,
    pub(super) last_recipient: Option<String>,
    /// Who was named, before virtual aliases, for non_smtpd_milters.
    pub(super) named: Vec<String>,
    /// The message, until filters have seen it.
    pub(super) held: Option<Held>,
    /// Whether the filters of its session have seen it.
    pub(super) filtered: bool,
    /// non_smtpd_milters, which have heard of its envelope.
    pub(super) local_filters: Option<(Box<Filters>, Macros)>,
    completed: bool,
    /// Whether checks are allowed to look at it.
    pub(super) inspected: bool,
    /// Where in its part the line of body at hand stands.
    part_offset: u64,
    /// The logical header that is being collected, physical lines joined by LF.
    pub(super) header: Vec<u8>,
    pub(super) header_open: bool,
    pub(super) seen: Seen,
    pub(super) hops: usize,
    pub(super) at_line_start: bool,
    pub(super) internal: bool,
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
        if self.asked.refusal.is_some() || self.asked.discard {
            return Ok(());
        }
        let wanted = if self.checked { self.characters(line) } else { Some(Cow::Borrowed(line)) };
        let Some(line) = wanted.as_deref() else { return Ok(()) };
        if self.structure.section() == Section::Body {
            self.body_line(line, newline)
        } else {
            self.header_line(line, newline)
        }
    }

    /// A line without the characters of message_strip_characters; None: one of message_reject_characters is in it, and the
    /// message is refused.
    fn characters<'l>(&mut self, line: &'l [u8]) -> Option<Cow<'l, [u8]>> {
        let checks = &self.cleanup.checks;
        if checks.rejected.is_empty() && checks.stripped.is_empty() {
            return Some(Cow::Borrowed(line));
        }
        let refused = self.check(|checks, about, asked, log| checks.characters(line, about, asked, log));
        if refused {
            return None;
        }
        let stripped = &self.cleanup.checks.stripped;
        Some(line.iter().copied().filter(|byte| !stripped.contains(byte)).collect::<Vec<_>>().into())
    }

    /// The content has ended: what is missing is added. Done once.
    pub(super) fn complete(&mut self) -> Result<(), CleanupError> {
        if std::mem::replace(&mut self.completed, true) {
            return Ok(());
        }
        let wanted = self.asked.refusal.is_none() && !self.asked.discard;
        if wanted && self.structure.section() != Section::Body {
            self.flush_header()?;
            if self.structure.section() == Section::Primary && !self.is_settled() {
                self.add_missing()?;
            }
        }
        // A last line that had no newline gets one.
        if !self.at_line_start {
            self.put(b"", true).map_err(CleanupError::Write)?;
        }
        if let Some(held) = &mut self.held {
            held.find_received();
        }
        Ok(())
    }

    /// Completes the message and commits it. Ok means: accepted (or thrown away, where a check or a filter said so).
    pub fn finish(mut self) -> Result<QueueId, CleanupError> {
        self.complete()?;
        if self.asked.refusal.is_none() && !self.asked.discard {
            self.filter_locally()?;
        }
        if let Some((code, text)) = self.asked.refusal.take() {
            return Err(CleanupError::Rejected(code, text));
        }
        if self.asked.discard {
            return Ok(self.file.id().clone());
        }
        if self.held.as_ref().is_some_and(|held| held.envelope.filtering == Filtering::Session) && !self.filtered {
            // Whatever came between: mail does not pass by its filters.
            return Err(CleanupError::Write(io::Error::other("its filters have not seen the message")));
        }
        self.write_held()?;
        // What logs and listings call the size is the content as it stands in the file.
        self.content_length = self.file.position() - self.data_offset;
        self.write_extracted()?;
        let size = self.size_record();
        self.file.rewrite_first(Type::SIZE, &size).map_err(CleanupError::Write)?;
        if self.asked.hold {
            self.file.settle_in(&self.cleanup.queue, State::Hold.name()).map_err(CleanupError::Write)?;
        }
        self.file.commit(0o700).map_err(CleanupError::Write)
    }

    /// What the content asked for, after it.
    fn write_extracted(&mut self) -> Result<(), CleanupError> {
        let cleanup = self.cleanup.clone();
        let mut copies = std::mem::take(&mut self.copies);
        if !self.asked.copies.is_empty() {
            let wanted = std::mem::take(&mut self.asked.copies);
            let more = cleanup
                .expansion
                .copies(&cleanup.rewriter, wanted, &|warning| cleanup.warn(self.file.id(), &warning))?;
            self.recipients += more.len();
            copies.extend(more);
        }
        let (filter, redirect) = (self.asked.filter.take(), self.asked.redirect.take());
        let file = &mut self.file;
        let mut write = || -> io::Result<()> {
            file.record(Type::EXTRACTED, b"")?;
            if let Some(filter) = &filter {
                file.record(Type::FILTER, clean(filter).as_bytes())?;
            }
            if let Some(redirect) = &redirect {
                file.record(Type::REDIRECT, clean(redirect).as_bytes())?;
            }
            for copy in &copies {
                write_recipient(file, copy, Type::RECIPIENT)?;
            }
            file.record(Type::END, b"")
        };
        write().map_err(CleanupError::Write)
    }

    /// A line of body, which may be a boundary after which headers follow.
    fn body_line(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        let begins = std::mem::replace(&mut self.at_line_start, newline);
        if !self.checked {
            return self.emit(line, newline);
        }
        let offset = self.part_offset;
        // A boundary is body, too.
        let next =
            if begins && self.structure.boundary(line) { None } else { Some(line.len() as u64 + u64::from(newline)) };
        self.part_offset = next.map_or(0, |length| offset + length);
        match self.check(|checks, about, asked, log| checks.body(line, offset, about, asked, log))? {
            Line::Keep => self.emit(line, newline),
            Line::Drop => Ok(()),
            Line::Replace(other) => self.emit(&other, newline),
            Line::Prepend(before) => {
                self.emit(&before, true)?;
                self.emit(line, newline)
            }
        }
    }

    /// Asks the checks with what is known of the message.
    pub(super) fn check<T>(&mut self, ask: impl FnOnce(&Checks, &About<'_>, &mut Asked, &Log) -> T) -> T {
        let mut asked = std::mem::take(&mut self.asked);
        let answer = ask(&self.cleanup.checks, &self.about(), &mut asked, &self.cleanup.log);
        self.asked = asked;
        answer
    }

    pub(super) fn about(&self) -> About<'_> {
        About {
            queue_id: self.file.id().as_str(),
            origin: &self.origin,
            sender: &self.sender,
            recipient: self.last_recipient.as_deref(),
            protocol: self.protocol,
            helo: &self.helo,
            outgoing: false,
            filtered: false,
        }
    }

    fn size_record(&self) -> Vec<u8> {
        let (size, offset, count) = (self.content_length, self.data_offset, self.recipients);
        format!("{size:15} {offset:15} {count:15} {:15} {size:15} {:15}", 0, self.flags).into_bytes()
    }

    fn write_envelope(&mut self, envelope: &Envelope, recipients: Vec<Expanded>) -> Result<(), CleanupError> {
        let recipients: Vec<Recipient> = recipients.into_iter().map(Recipient::new).collect();
        if self.cleanup.holds(envelope) {
            self.held = Some(Held::new(envelope.clone(), recipients, &self.cleanup.queue.top("incoming")));
            self.call_local_filters()?;
        } else {
            self.write_records(envelope, &recipients).map_err(CleanupError::Write)?;
        }
        for header in &envelope.prepend {
            self.put(clean(header).as_bytes(), true).map_err(CleanupError::Write)?;
        }
        // It passes the checks and the hop count as any other header does.
        for line in self.cleanup.received(self.file.id(), envelope) {
            self.line(line.as_bytes(), true)?;
        }
        Ok(())
    }

    pub(super) fn write_records(&mut self, envelope: &Envelope, recipients: &[Recipient]) -> io::Result<()> {
        let since = envelope.arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let size = self.size_record();
        let file = &mut self.file;
        file.record(Type::SIZE, &size)?;
        if let Some(filter) = &envelope.filter {
            file.record(Type::FILTER, clean(filter).as_bytes())?;
        }
        if let Some(redirect) = &envelope.redirect {
            file.record(Type::REDIRECT, clean(redirect).as_bytes())?;
        }
        file.record(Type::TIME, format!("{} {}", since.as_secs(), since.subsec_micros()).as_bytes())?;
        file.record(Type::ATTRIBUTE, format!("create_time={}", since.as_secs()).as_bytes())?;
        // XFORWARD knows better who the client was.
        let known = |attribute: &String| {
            let name = attribute.split('=').next().unwrap_or_default();
            envelope.attributes.iter().any(|(own, _)| own == name)
        };
        let mut of_origin = origin_attributes(&envelope.origin);
        of_origin.retain(|attribute| !known(attribute));
        // What is made here says so before its sender, and has no context.
        let (first, last) = match &envelope.origin {
            Origin::Internal => (of_origin, Vec::new()),
            _ => {
                let context = if envelope.rewrite_headers { "local" } else { "remote" };
                (vec![format!("rewrite_context={context}")], of_origin)
            }
        };
        for attribute in &first {
            file.record(Type::ATTRIBUTE, clean(attribute).as_bytes())?;
        }
        if !envelope.full_name.is_empty() {
            file.record(Type::FULL_NAME, clean(&envelope.full_name).as_bytes())?;
        }
        for attribute in login_attributes(&envelope.origin) {
            file.record(Type::ATTRIBUTE, attribute.as_bytes())?;
        }
        file.record(Type::SENDER, clean(&self.sender).as_bytes())?;
        for (name, value) in &envelope.attributes {
            file.record(Type::ATTRIBUTE, format!("{name}={}", clean(value)).as_bytes())?;
        }
        for attribute in &last {
            file.record(Type::ATTRIBUTE, clean(attribute).as_bytes())?;
        }
        if let Some(delimiters) = &envelope.verp {
            file.record(Type::VERP, clean(delimiters).as_bytes())?;
        }
        for Recipient { recipient, canceled } in recipients {
            write_recipient(file, recipient, if *canceled { Type::CANCELED } else { Type::RECIPIENT })?;
        }
        file.record(Type::MESSAGE, b"")?;
        self.data_offset = file.position();
        Ok(())
    }

    /// Writes content, counting it against message_size_limit.
    pub(super) fn emit(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        self.put(line, newline).map_err(CleanupError::Write)?;
        let limit = self.cleanup.message_size_limit;
        if limit > 0 && self.size > limit { Err(CleanupError::TooBig) } else { Ok(()) }
    }

    pub(super) fn put(&mut self, line: &[u8], newline: bool) -> io::Result<()> {
        // What is refused or thrown away is read to its end and not kept.
        if self.asked.refusal.is_some() || self.asked.discard {
            return Ok(());
        }
        self.size += line.len() as u64 + u64::from(newline);
        let limit = self.cleanup.line_length_limit;
        match &mut self.held {
            Some(held) => held.put(line, newline, limit),
            None => write_line(&mut self.file, line, newline, limit),
        }
    }
}

/// Writes a line, in as many records as it takes.
pub(super) fn write_line(file: &mut NewFile, line: &[u8], newline: bool, limit: usize) -> io::Result<()> {
    let mut rest = line;
    while rest.len() > limit {
        let (piece, after) = rest.split_at(limit);
        file.record(Type::CONTINUED, piece)?;
        rest = after;
    }
    file.record(if newline { Type::NORMAL } else { Type::CONTINUED }, rest)
}

fn write_recipient(file: &mut NewFile, recipient: &Expanded, kind: Type) -> io::Result<()> {
    if recipient.notify != 0 {
        file.record(Type::ATTRIBUTE, format!("notify_flags={}", recipient.notify).as_bytes())?;
    }
    if !recipient.dsn_original.is_empty() {
        file.record(Type::ATTRIBUTE, format!("dsn_orig_rcpt={}", clean(&recipient.dsn_original)).as_bytes())?;
    }
    file.record(Type::ORIGINAL_RECIPIENT, clean(&recipient.original).as_bytes())?;
    file.record(kind, clean(&recipient.address).as_bytes())
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

/// Who has logged in, and whose message it was before.
fn login_attributes(origin: &Origin) -> Vec<String> {
    let Origin::Smtp(client) = origin else { return Vec::new() };
    let login = client.login.as_ref();
    let named = |name: &str, value: Option<&String>| value.map(|value| format!("{name}={}", clean(value)));
    [
        named("sasl_method", login.map(|own| &own.method)),
        named("sasl_username", login.map(|own| &own.name)),
        named("sasl_sender", client.login_sender.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An envelope text without what could end a record's line somewhere later: controls become "?".
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
