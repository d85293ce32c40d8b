//! One queue file, record by record: envelope, content, and what was extracted from it, with titles between them.

use super::Source;
use crate::exit::{Exit, Failure};
use crate::queue::record::{self, Record, RecordError, Type};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};

/// Which parts are shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub envelope: bool,
    pub header: bool,
    pub body: bool,
    pub offsets: bool,
    pub decimal: bool,
    /// Every record as it stands: names before content, padding, pointers not followed.
    pub raw: bool,
}

/// A file that is being shown.
pub struct Shown<'a> {
    pub program: &'a str,
    pub name: &'a str,
    pub view: View,
    /// -s: from here, and whatever it is.
    pub start: u64,
    /// It cannot be read but from its beginning.
    pub pipe: bool,
}

/// Types that a queue file may begin with.
const FIRST: &[u8] = b"ACDFIKLMORSTVWcino<>/";
/// Names of the types that are not attributes, titles or times.
const NAMES: &[(u8, &str)] = &[
    (b'C', "message_size"),
    (b'c', "queue_file_create_time"),
    (b'D', "done_recipient"),
    (b'e', "errors_to"),
    (b'F', "sender_fullname"),
    (b'f', "flags"),
    (b'I', "content_inspector"),
    (b'i', "dsn_envelope_id"),
    (b'K', "killed_record"),
    (b'L', "content_filter"),
    (b'n', "dsn_notify_flags"),
    (b'O', "original_recipient"),
    (b'o', "dsn_original_recipient"),
    (b'P', "priority"),
    (b'p', "pointer_record"),
    (b'R', "recipient"),
    (b'r', "return_receipt"),
    (b'S', "sender"),
    (b'V', "verp_delimiters"),
    (b'w', "padding"),
    (b'<', "dsn_return_flags"),
    (b'>', "redirect_to"),
    (b'/', "canceled_recipient"),
];

/// Where in the file a record stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Header,
    Body,
    Extracted,
}

type Input<'a> = BufReader<&'a mut dyn Source>;

impl Shown<'_> {
    fn warn(&self, out: &mut impl Write, text: impl std::fmt::Display) -> io::Result<()> {
        out.flush()?;
        let text: String = text.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        writeln!(io::stderr(), "{}: warning: {text}", self.program)
    }

    fn read_error(&self, out: &mut impl Write, text: impl std::fmt::Display) -> Failure {
        match self.warn(out, format!("{}: {text}", self.name)) {
            Ok(()) => Failure::new(Exit::FAIL, "fatal: record read error"),
            Err(error) => error.into(),
        }
    }

    pub fn show(&self, input: &mut dyn Source, out: &mut impl Write) -> Result<(), Failure> {
        let mut input = BufReader::new(input);
        if self.start > 0 {
            input.seek(SeekFrom::Start(self.start))?;
        } else {
            match input.fill_buf()?.first() {
                None => return Ok(()),
                Some(kind) if !FIRST.contains(kind) => {
                    self.warn(out, format!("{}: input is not a valid queue file", self.name))?;
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        let mut titled = self.start > 0 || !self.view.envelope;
        let mut part = Part::Envelope;
        let mut line_start = true;
        let mut open_line = false;
        let mut seen = HashSet::new();
        loop {
            let at = input.stream_position()?;
            let Some(record) = self.next(&mut input, out, &mut seen)? else { return Ok(()) };
            if !std::mem::replace(&mut titled, true) {
                writeln!(out, "*** ENVELOPE RECORDS {} ***", self.name)?;
            }
            let content = matches!(part, Part::Header | Part::Body);
            if open_line && !matches!(record.kind, Type::NORMAL | Type::CONTINUED) {
                out.write_all(b"\n")?;
                open_line = false;
            }
            match record.kind {
                Type::MESSAGE => {
                    part = Part::Header;
                    self.title(out, "MESSAGE CONTENTS", at, &record)?;
                }
                Type::EXTRACTED => {
                    if !content {
                        let text = "out-of-order extracted segment marker";
                        self.warn(out, format!("{}: {text}", self.name))?;
                    }
                    part = Part::Extracted;
                    self.title(out, "HEADER EXTRACTED", at, &record)?;
                }
                Type::END => {
                    if self.pipe && !self.view.raw {
                        return Err(self.read_error(out, "seek error after reading END record: Illegal seek"));
                    }
                    self.title(out, "MESSAGE FILE END", at, &record)?;
                    if part != Part::Extracted {
                        self.warn(out, format!("{}: out-of-order message end marker", self.name))?;
                    }
                    return Ok(());
                }
                Type::NORMAL | Type::CONTINUED if content || record.kind == Type::NORMAL => {
                    if part == Part::Header && line_start && is_end_of_header(&record.data) {
                        part = Part::Body;
                    }
                    if self.shows(part) {
                        self.prefix(out, at, &record)?;
                        self.text(out, &record)?;
                        open_line = record.kind == Type::CONTINUED && !self.view.raw;
                    }
                }
                _ if self.shows(part) => self.envelope(out, at, &record)?,
                _ => {}
            }
            line_start = record.kind != Type::CONTINUED;
        }
    }

    /// The next record that counts: pointers are followed, padding is passed over.
    fn next(
        &self,
        input: &mut Input<'_>,
        out: &mut impl Write,
        seen: &mut HashSet<u64>,
    ) -> Result<Option<Record>, Failure> {
        loop {
            let record = match record::read(input) {
                Ok(None) => return Ok(None),
                Ok(Some(record)) => record,
                Err(RecordError::Io(error)) => return Err(error.into()),
                Err(error) => return Err(self.read_error(out, error)),
            };
            match record.kind {
                _ if self.view.raw => return Ok(Some(record)),
                Type::PADDING => {}
                Type::POINTER => {
                    let text = String::from_utf8_lossy(&record.data).into_owned();
                    let Ok(target) = text.trim().parse::<u64>() else {
                        return Err(self.read_error(out, format!("malformed pointer record value: {text}")));
                    };
                    if target > 0 && self.pipe {
                        return Err(self.read_error(out, "seek error after pointer record: Illegal seek"));
                    }
                    // Pointers go back too (edited headers stand behind the rest), but never twice to one place.
                    if target > 0 && !seen.insert(target) {
                        return Err(self.read_error(out, format!("malformed pointer record value: {text}")));
                    }
                    if target > 0 {
                        input.seek(SeekFrom::Start(target))?;
                    }
                }
                _ => return Ok(Some(record)),
            }
        }
    }

    fn shows(&self, part: Part) -> bool {
        match part {
            Part::Envelope | Part::Extracted => self.view.envelope,
            Part::Header => self.view.header,
            Part::Body => self.view.body,
        }
    }

    fn prefix(&self, out: &mut impl Write, at: u64, record: &Record) -> io::Result<()> {
        if self.view.offsets {
            write!(out, "{at:9} ")?;
        }
        if self.view.decimal {
            write!(out, "{:3} ", record.kind.0)?;
        }
        Ok(())
    }

    fn title(&self, out: &mut impl Write, title: &str, at: u64, record: &Record) -> io::Result<()> {
        if !self.view.envelope {
            return Ok(());
        }
        self.prefix(out, at, record)?;
        writeln!(out, "*** {title} {} ***", self.name)
    }

    fn text(&self, out: &mut impl Write, record: &Record) -> io::Result<()> {
        let whole = record.kind == Type::NORMAL;
        if self.view.raw {
            write!(out, "{}: ", if whole { "regular_text" } else { "unterminated_text" })?;
        }
        out.write_all(&record.data)?;
        // A named record has a line to itself.
        if whole || self.view.raw { out.write_all(b"\n") } else { Ok(()) }
    }

    fn envelope(&self, out: &mut impl Write, at: u64, record: &Record) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(&record.data);
        self.prefix(out, at, record)?;
        let line = match record.kind {
            Type::TIME => format!("message_arrival_time: {}", time(&text)),
            Type::WARN_TIME => format!("warning_message_time: {}", time(&text)),
            Type::ATTRIBUTE => match text.split_once('=') {
                Some(("create_time", seconds)) => format!("create_time: {}", time(seconds)),
                Some(_) => format!("named_attribute: {text}"),
                None => {
                    let fault = "malformed attribute: missing '=' after attribute name";
                    self.warn(out, format!("{}: {fault}: {text}", self.name))?;
                    return Ok(());
                }
            },
            Type(kind) => {
                let named = NAMES.iter().find(|(known, _)| *known == kind);
                format!("{}: {text}", named.map_or("unknown_record_type", |(_, name)| *name))
            }
        };
        writeln!(out, "{line}")?;
        let sized = text.split_whitespace().map(str::parse::<u64>).take_while(Result::is_ok).count() >= 2;
        if record.kind == Type::SIZE && !sized {
            self.warn(out, format!("invalid size record: {}", text.get(..100).unwrap_or(&text)))?;
        }
        Ok(())
    }
}

fn is_end_of_header(line: &[u8]) -> bool {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return false;
    }
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    let name = name.trim_ascii_end();
    name.len() == line.len() || name.is_empty() || !name.iter().all(u8::is_ascii_graphic)
}

fn time(text: &str) -> String {
    let seconds = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0u64).min(1 << 40);
    crate::message::stamp::ctime(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
