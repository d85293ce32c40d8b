//! A held message as filters see it, and their edits to it.

use super::CleanupError;
use super::checks::{Asked, Line};
use super::envelope::Named;
use super::held::{Held, Recipient};
use super::intake::Intake;
use crate::message::tokens;
use crate::milter::{Draft, Edit, Verdict};
use crate::proto::xtext;
use crate::queue::file::notify;
use crate::queue::record::Type;
use std::io;

/// What is in the filters' hands.
pub struct Sheet<'a> {
    pub intake: &'a mut Intake,
    pub held: &'a mut Held,
    /// Why the message cannot be kept; no filter has a say in that.
    pub failure: Option<CleanupError>,
}

impl Draft for Sheet<'_> {
    fn headers(&self) -> Vec<Vec<u8>> {
        let ours = self.held.received.as_ref();
        self.held.headers.iter().filter(|header| Some(*header) != ours).cloned().collect()
    }

    fn body(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        self.held.body.read(|kind, data| Ok(take(data) && (kind != Type::NORMAL || take(b"\r\n"))))
    }

    fn edit(&mut self, edit: Edit) -> Option<Verdict> {
        let done = match edit {
            Edit::AddHeader { name, value } => self.insert(usize::MAX, &name, &value),
            Edit::InsertHeader { index, name, value } => self.insert(index, &name, &value),
            Edit::ChangeHeader { index, name, value } => self.change(index, &name, &value),
            Edit::DeleteHeader { index, name } => {
                if let Some(at) = self.find(index, &name) {
                    self.held.headers.remove(at);
                }
                Ok(None)
            }
            Edit::ChangeFrom { address, parameters } => self.change_from(&address, &parameters).map(|()| None),
            Edit::AddRecipient { address, parameters } => self.add_recipient(&address, &parameters).map(|()| None),
            Edit::DeleteRecipient { address } => {
                self.delete_recipient(&address);
                Ok(None)
            }
            Edit::BodyStart => {
                self.held.body = self.held.body.another();
                self.held.separated = true;
                Ok(None)
            }
            Edit::BodyLine { data, newline } => self.body_line(&data, newline).map(|()| None),
        };
        match done {
            Ok(verdict) => verdict,
            Err(error) => {
                let verdict = Verdict::Reply(error.reply());
                self.failure.get_or_insert(error);
                Some(verdict)
            }
        }
    }
}

impl Sheet<'_> {
    /// A header that a filter made, after milter_header_checks; None: it is none. What they say of the message comes back too.
    fn checked(&mut self, name: &[u8], value: &[u8]) -> Result<(Option<Vec<u8>>, Option<Verdict>), CleanupError> {
        let header = [name, b":", value].concat();
        self.held.make_room(header.len()).map_err(|_| CleanupError::TooBig)?;
        let asked = &self.intake.asked;
        let mut new = Asked { hold: asked.hold, discard: asked.discard, done: asked.done, ..Asked::default() };
        let line = self.intake.check_milter_header(&header, &mut new)?;
        let header = match line {
            Line::Drop => None,
            Line::Replace(other) => Some(other),
            Line::Keep | Line::Prepend(_) => Some(header),
        };
        for address in std::mem::take(&mut new.copies) {
            self.add_recipient(&address, "")?;
        }
        let asked = &mut self.intake.asked;
        (asked.hold, asked.discard, asked.done) = (new.hold, new.discard, new.done);
        asked.filter = new.filter.or(asked.filter.take());
        asked.redirect = new.redirect.or(asked.redirect.take());
        let verdict = match &new.refusal {
            Some((code, text)) => Some(Verdict::Reply(format!("{}50 {code} {text}", code.class()))),
            None => new.discard.then_some(Verdict::Discard),
        };
        asked.refusal = new.refusal.or(asked.refusal.take());
        Ok((header, verdict))
    }

    /// Before the header that stands at `index`, or after all.
    fn insert(&mut self, index: usize, name: &[u8], value: &[u8]) -> Result<Option<Verdict>, CleanupError> {
        let (header, verdict) = self.checked(name, value)?;
        if let Some(header) = header {
            let at = index.min(self.held.headers.len());
            self.held.headers.insert(at, folded(&header));
        }
        Ok(verdict)
    }

    fn change(&mut self, index: usize, name: &[u8], value: &[u8]) -> Result<Option<Verdict>, CleanupError> {
        let Some(at) = self.find(index, name) else { return self.insert(usize::MAX, name, value) };
        let (header, verdict) = self.checked(name, value)?;
        if let (Some(header), Some(place)) = (header, self.held.headers.get_mut(at)) {
            *place = folded(&header);
        }
        Ok(verdict)
    }

    /// Where the `index`th header of a name stands, without our own.
    fn find(&self, index: usize, name: &[u8]) -> Option<usize> {
        let ours = self.held.received.as_ref();
        let headers = self.held.headers.iter().enumerate().filter(|(_, header)| Some(*header) != ours);
        let named = headers.filter(|(_, header)| {
            let label = header.split(|&byte| byte == b':').next().unwrap_or_default();
            label.trim_ascii_end().eq_ignore_ascii_case(name)
        });
        named.map(|(at, _)| at).nth(index.saturating_sub(1))
    }

    fn body_line(&mut self, data: &[u8], newline: bool) -> Result<(), CleanupError> {
        let cleanup = &self.intake.cleanup;
        self.held.body.line(data, newline, cleanup.line_length_limit).map_err(CleanupError::Write)?;
        let limit = cleanup.message_size_limit;
        if limit > 0 && self.held.body.length > limit {
            self.intake.warn("queue file size limit exceeded");
            return Err(CleanupError::TooBig);
        }
        Ok(())
    }

    fn change_from(&mut self, written: &str, parameters: &str) -> Result<(), CleanupError> {
        let mut addresses = tokens::addresses(written).into_iter();
        let address = addresses.next().unwrap_or_default();
        if addresses.next().is_some() {
            self.intake.warn(&format!("Milter request to add multi-sender: \"{written}\""));
        }
        let mut set: Vec<(&str, Option<String>)> = Vec::new();
        for parameter in parameters.split_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = match name.to_ascii_uppercase().as_str() {
                "RET" if value.eq_ignore_ascii_case("FULL") => Some(("ret_flags", "1".to_owned())),
                "RET" if value.eq_ignore_ascii_case("HDRS") => Some(("ret_flags", "2".to_owned())),
                "ENVID" => {
                    xtext::decode(value).filter(|id| !id.chars().any(char::is_control)).map(|id| ("envelope_id", id))
                }
                _ => None,
            };
            match value {
                Some((name, value)) => set.push((name, Some(value))),
                None => {
                    // As the reference: a bad RET takes a good one back.
                    if name.eq_ignore_ascii_case("RET") {
                        set.push(("ret_flags", None));
                    }
                    let text = format!("Ignoring bad ESMTP parameter \"{parameter}\" in SMFI_CHGFROM request");
                    self.intake.warn_plainly(&text);
                }
            }
        }
        for (name, value) in set {
            let attributes = &mut self.held.envelope.attributes;
            attributes.retain(|(known, _)| known != name);
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        }
        self.held.envelope.sender = address;
        let cleanup = self.intake.cleanup.clone();
        let id = self.intake.id().clone();
        let warn = |warning: String| cleanup.warn(&id, &warning);
        self.intake.sender = cleanup.expansion.sender(&cleanup.rewriter, &self.held.envelope, &warn)?;
        Ok(())
    }

    fn add_recipient(&mut self, written: &str, parameters: &str) -> Result<(), CleanupError> {
        let mut addresses = tokens::addresses(written).into_iter();
        let Some(address) = addresses.next().filter(|address| !address.is_empty()) else {
            self.intake.warn("ignoring attempt from Milter to add null recipient");
            return Ok(());
        };
        if addresses.next().is_some() {
            let text = format!("Milter or header/body_checks request to add multi-recipient: \"{written}\"");
            self.intake.warn(&text);
        }
        let cleanup = self.intake.cleanup.clone();
        let mut named = Named { dsn_original: Some(String::new()), ..Named::default() };
        named.original = Some(cleanup.rewriter.rewrite(&address));
        named.address = address;
        for parameter in parameters.split_whitespace() {
            self.recipient_parameter(parameter, &mut named);
        }
        let plain = self.held.envelope.expanded || self.held.envelope.no_mappings;
        let id = self.intake.id().clone();
        let warn = |warning: String| cleanup.warn(&id, &warning);
        let targets = cleanup.expansion.one_more(&cleanup.rewriter, &named, plain, &warn)?;
        for recipient in targets {
            let is_there = self.held.recipients.iter().any(|known| {
                !known.canceled
                    && known.recipient.address.eq_ignore_ascii_case(&recipient.address)
                    && known.recipient.original.eq_ignore_ascii_case(&recipient.original)
            });
            if !is_there {
                self.held.recipients.push(Recipient::new(recipient));
            }
        }
        Ok(())
    }

    /// NOTIFY and ORCPT (RFC 3461).
    fn recipient_parameter(&self, parameter: &str, named: &mut Named) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let from = "from Milter or header/body_checks";
        if name.eq_ignore_ascii_case("NOTIFY") {
            match notify::bits(value) {
                Ok(bits) => named.notify = bits,
                Err(word) => {
                    if !word.is_empty() {
                        let text = format!("unknown DSN NOTIFY command value \"{word}\" in \"{value}\"");
                        self.intake.warn_plainly(&text);
                    }
                    self.intake.warn(&format!("Bad NOTIFY parameter {from}: \"{parameter}\""));
                }
            }
        } else if name.eq_ignore_ascii_case("ORCPT") {
            let decoded = value.split_once(';').filter(|(kind, _)| !kind.is_empty()).and_then(|(kind, coded)| {
                let text = xtext::decode(coded).filter(|text| !text.chars().any(char::is_control))?;
                Some(format!("{kind};{text}"))
            });
            match decoded {
                Some(original) => named.dsn_original = Some(original),
                None => self.intake.warn(&format!("Bad ORCPT parameter {from}: \"{parameter}\"")),
            }
        } else {
            self.intake.warn(&format!("ignoring ESMTP argument {from}: \"{parameter}\""));
        }
    }

    /// Takes away all that a recipient led to.
    fn delete_recipient(&mut self, written: &str) {
        let mut addresses = tokens::addresses(written).into_iter();
        let address = addresses.next().unwrap_or_default();
        if addresses.next().is_some() {
            self.intake.warn(&format!("Milter request to drop multi-recipient: \"{written}\""));
        }
        for known in &mut self.held.recipients {
            let Recipient { recipient, canceled } = known;
            let named = if recipient.original.is_empty() { &recipient.address } else { &recipient.original };
            *canceled |= *named == address;
        }
    }
}

/// A header whose further lines begin with a blank.
fn folded(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    for (at, line) in header.split(|&byte| byte == b'\n').enumerate() {
        if at > 0 {
            out.push(b'\n');
            if !line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
                out.push(b'\t');
            }
        }
        out.extend_from_slice(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_header_begins_another() {
        assert_eq!(folded(b"A: b\n c\nBcc: d\n\n"), b"A: b\n c\n\tBcc: d\n\t\n\t");
    }
}
