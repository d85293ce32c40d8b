//! What a summary shows of a message: when it came, who sent it, what about; decoded. It is made of the From_ line and
//! the header, and kept in the index behind each brief, since decoding is most of the work of a long list.
//!
//! Format: year (2 bytes), month, day, hour, minute, second (all 0: none), marks (1: the sender is a bare local name, 2:
//! there is a subject), length of the sender (2 bytes), sender, subject; numbers in little endian, texts in UTF-8.

use crate::message::{address, charset, date, header};
use jiff::civil::DateTime;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest<'b> {
    /// Of the From_ line.
    pub time: Option<DateTime>,
    /// The name in the From field, or the address.
    pub sender: Cow<'b, str>,
    /// The sender is an address without a domain, and without a name.
    pub bare: bool,
    /// In one line.
    pub subject: Option<Cow<'b, str>>,
}

impl<'b> Digest<'b> {
    pub fn of(from_line: &[u8], block: &'b [u8]) -> Digest<'b> {
        let (mut from, mut subject) = (None, None);
        for field in header::fields(block) {
            if from.is_none() && field.is("From") {
                from = Some(field.value);
            } else if subject.is_none() && field.is("Subject") {
                subject = Some(field.text());
            }
            if from.is_some() && subject.is_some() {
                break;
            }
        }
        let (sender, bare) = match header::in_one_line(from.unwrap_or_default()) {
            Cow::Borrowed(from) => sender(from),
            Cow::Owned(from) => {
                let (name, bare) = sender(&from);
                (Cow::Owned(name.into_owned()), bare)
            }
        };
        let subject = subject.map(|value| match header::in_one_line(value) {
            Cow::Borrowed(value) => charset::decode_words(value),
            Cow::Owned(value) => Cow::Owned(charset::decode_words(&value).into_owned()),
        });
        Digest { time: date::of_from_line(from_line), sender, bare, subject }
    }

    /// None: the sender is longer than an index takes.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let length = u16::try_from(self.sender.len()).ok()?;
        let mut out = Vec::with_capacity(128);
        match self.time {
            Some(time) => {
                out.extend(time.year().to_le_bytes());
                for number in [time.month(), time.day(), time.hour(), time.minute(), time.second()] {
                    out.extend(number.to_le_bytes());
                }
            }
            None => out.extend([0; 7]),
        }
        out.push(u8::from(self.bare) | u8::from(self.subject.is_some()) << 1);
        out.extend(length.to_le_bytes());
        out.extend_from_slice(self.sender.as_bytes());
        out.extend_from_slice(self.subject.as_deref().unwrap_or_default().as_bytes());
        Some(out)
    }

    pub(super) fn from_bytes(bytes: &'b [u8]) -> Option<Digest<'b>> {
        let (&[y, z, month, day, hour, minute, second, marks, a, b], texts) = bytes.split_first_chunk()?;
        let small = u8::cast_signed;
        let time = if month == 0 {
            None
        } else {
            let year = i16::from_le_bytes([y, z]);
            Some(DateTime::new(year, small(month), small(day), small(hour), small(minute), small(second), 0).ok()?)
        };
        let (sender, subject) = std::str::from_utf8(texts).ok()?.split_at_checked(u16::from_le_bytes([a, b]).into())?;
        let subject = (marks & 2 != 0).then_some(Cow::Borrowed(subject));
        Some(Digest { time, sender: Cow::Borrowed(sender), bare: marks & 1 != 0, subject })
    }
}

/// As the summary calls a sender, and whether that is a bare local name.
fn sender(from: &[u8]) -> (Cow<'_, str>, bool) {
    let name = address::short_name(from);
    // "root", "<root>", "(Charlie) root".
    let whole = from.trim_ascii();
    let alone = (name.as_bytes() == whole || whole.starts_with(b"<") || whole.starts_with(b"("))
        && !name.is_empty()
        && !name.contains(['@', ' ', ':', '<']);
    (name, alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_made() {
        let line = b"From a@b Tue Nov 24 10:05:15 2026\n";
        for (line, block) in [
            (line.as_slice(), b"From: =?utf-8?q?=C3=89lo=C3=AFse?= <e@x>\nSubject: a\n b =?utf-8?q?c?=\n".as_slice()),
            (line, b"From: root\nTo: x\n"),
            (b"From a\n", b"Subject:\n"),
            (b"", b""),
        ] {
            let digest = Digest::of(line, block);
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Some(digest));
        }
        let digest = Digest::of(line, b"subject: x\nFROM: Root <root>\nFrom: second\n");
        assert_eq!((&*digest.sender, digest.bare, digest.subject.as_deref()), ("Root", false, Some("x")));
        assert_eq!(digest.time.map(|time| time.to_string()).as_deref(), Some("2026-11-24T10:05:15"));
        let bare = Digest::of(line, b"From: root\n").to_bytes().unwrap();
        assert_eq!((Digest::from_bytes(&bare[..9]), Digest::from_bytes(&bare[..12])), (None, None));
    }
}
