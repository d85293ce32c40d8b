//! Headers on their way in: collected over their lines, checked, rewritten where they have addresses; those that are
//! missing are added at the end.

use super::CleanupError;
use super::checks::Line;
use super::intake::Intake;
use super::mapping::Place;
use super::mime::Section;
use crate::log::event::{Event, text};
use crate::message::{envelope as address, stamp, tokens};

/// Which headers a message has.
#[derive(Default)]
pub struct Seen {
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

/// Whose addresses a header holds.
fn place(name: &str) -> Option<Place> {
    match name {
        "from"
        | "sender"
        | "reply-to"
        | "errors-to"
        | "return-receipt-to"
        | "disposition-notification-to"
        | "mail-followup-to"
        | "return-path"
        | "resent-from"
        | "resent-sender"
        | "resent-reply-to" => Some(Place::HeaderSender),
        "to" | "cc" | "bcc" | "apparently-to" | "resent-to" | "resent-cc" | "resent-bcc" => {
            Some(Place::HeaderRecipient)
        }
        _ => None,
    }
}

impl Intake {
    pub(super) fn header_line(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        if self.at_line_start {
            let continues = self.header_open && line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
            if !continues {
                self.flush_header()?;
                if !is_header(line) {
                    // An empty line, or text without a header above it: the body begins.
                    return self.begin_body(line, newline);
                }
            }
        }
        if self.header.len() + line.len() > self.cleanup.header_size_limit.max(self.cleanup.line_length_limit) {
            // The rest of an over-long header is not dropped, as in the reference it becomes body text.
            self.flush_header()?;
            return self.begin_body(line, newline);
        }
        if self.at_line_start && self.header_open {
            self.header.push(b'\n');
        }
        self.header.extend_from_slice(line);
        self.header_open = true;
        self.at_line_start = newline;
        Ok(())
    }

    /// The header at hand ends with this line, which belongs to the body unless it is the empty one between.
    fn begin_body(&mut self, line: &[u8], newline: bool) -> Result<(), CleanupError> {
        let was_primary = self.structure.section() == Section::Primary;
        if was_primary {
            self.add_missing()?;
        }
        let empty = line.is_empty() && newline;
        let section = self.structure.end_of_header();
        self.at_line_start = true;
        if was_primary || empty {
            self.emit(b"", true)?;
        }
        if empty {
            return Ok(());
        }
        // The header of a message within has no line before it that could end it.
        if section == Section::Nested { self.header_line(line, newline) } else { self.line(line, newline) }
    }

    /// Writes out the collected header, rewritten where it has addresses.
    pub(super) fn flush_header(&mut self) -> Result<(), CleanupError> {
        if !std::mem::take(&mut self.header_open) {
            return Ok(());
        }
        self.at_line_start = true;
        let mut header = std::mem::take(&mut self.header);
        // Blanks before the colon are no part of a header, whoever reads it next.
        if let Some(colon) = header.iter().position(|&byte| byte == b':') {
            let name = header.get(..colon).unwrap_or_default().trim_ascii_end().len();
            header.drain(name..colon);
        }
        if self.checked {
            let section = self.structure.section();
            // Whatever becomes of it, the structure is that of the message as it came.
            self.structure.header(&header);
            match self.check(|checks, about, asked, log| checks.header(&header, section, about, asked, log))? {
                Line::Keep => {}
                Line::Drop => return Ok(()),
                Line::Replace(other) => header = other,
                Line::Prepend(before) => self.emit(&before, true)?,
            }
        }
        if self.structure.section() != Section::Primary {
            return self.emit_lines(&header);
        }
        let colon = header.iter().position(|&byte| byte == b':').unwrap_or(header.len());
        let label = String::from_utf8_lossy(&header[..colon]).trim_end().to_owned();
        let name = label.to_ascii_lowercase();
        let body = header.get(colon + 1..).unwrap_or_default();
        self.note(&name, body)?;
        if self.cleanup.drop_headers.contains(&name) {
            // Bcc holds recipients too, but who received it must not be told.
            return Ok(());
        }
        if let Some(place) = place(&name)
            && let Ok(text) = std::str::from_utf8(body)
            && let Some(new) = self.rewritten(place, text)?
        {
            for line in tokens::fold(&label, &new) {
                self.emit(line.as_bytes(), true)?;
            }
            return Ok(());
        }
        self.emit_lines(&header)
    }

    fn emit_lines(&mut self, header: &[u8]) -> Result<(), CleanupError> {
        for line in header.split(|&byte| byte == b'\n') {
            self.emit(line, true)?;
        }
        Ok(())
    }

    /// A header's body with its addresses made over; None when nothing changes.
    fn rewritten(&self, place: Place, body: &str) -> Result<Option<String>, CleanupError> {
        let Some(rewriter) = &self.header_rewriter else { return Ok(None) };
        let mapping = &self.cleanup.expansion.mapping;
        let warn = |warning: String| self.cleanup.warn(self.file.id(), &warning);
        let mut failure = None;
        let new = tokens::rewrite(body, |address| {
            let complete = rewriter.rewrite(address);
            if !self.map_headers {
                return complete;
            }
            mapping.apply(&self.cleanup.rewriter, place, complete, &warn).unwrap_or_else(|error| {
                failure.get_or_insert(error);
                address.to_owned()
            })
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(new),
        }
    }

    /// Remembers what the message has, logs its id, counts its hops.
    fn note(&mut self, name: &str, body: &[u8]) -> Result<(), CleanupError> {
        let seen = &mut self.seen;
        match name {
            "message-id" => seen.message_id = true,
            "date" => seen.date = true,
            "from" => seen.from = true,
            "to" | "cc" => seen.to = true,
            "resent-message-id" => seen.resent_message_id = true,
            "resent-date" => seen.resent_date = true,
            "resent-from" => seen.resent_from = true,
            "resent-to" | "resent-cc" => seen.to = true,
            "received" => {
                self.hops += 1;
                if self.hops >= self.cleanup.hopcount_limit {
                    self.cleanup.warn(self.file.id(), "message rejected: hopcount exceeded");
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

    /// Adds the headers that are missing.
    pub(super) fn add_missing(&mut self) -> Result<(), CleanupError> {
        let add = self.header_rewriter.is_some() || self.cleanup.always_add_missing;
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
        Ok(())
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
}

/// "Name:" with at least one printable character before the colon (blanks allowed just before it).
fn is_header(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(|byte| (33..127).contains(byte))
}
