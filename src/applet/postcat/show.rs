//! One queue file, record by record: envelope, content, and what was extracted from it, with titles between them.

use super::Source;
use super::text::{Size, attribute, complained, time, until_nul};
use crate::exit::{Exit, Failure};
use crate::queue::record::{self, Record, RecordError, Type};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

/// Which parts are shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub envelope: bool,
    pub header: bool,
    pub body: bool,
    pub offsets: bool,
    pub decimal: bool,
    /// -v: every record by its name, padding and pointers too.
    pub named: bool,
    /// -r: in the order of the file: pointers that are shown are not followed, and the end is not the end.
    pub in_file_order: bool,
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
const FIRST: &[u8] = b"ACDFIKLMORSTVWcino<>/\0";
/// Names of the types that are not attributes, titles or times.
const NAMES: &[(u8, &str)] = &[
    (b'C', "message_size"),
    (b'c', "queue_file_create_time"),
    (b'D', "done_recipient"),
    (b'/', "canceled_recipient"),
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

/// Where in the message a record stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Before the content, and what was extracted from it.
    Envelope,
    Header,
    Body,
}

type Input<'a> = BufReader<&'a mut dyn Source>;

/// What is shown goes to `out`, what is wrong to stderr, in one order.
struct Screen<'a, W> {
    out: &'a mut W,
    /// The first title, which an input without a record worth showing does not get.
    title: Option<String>,
}

impl<W: Write> Screen<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(title) = self.title.take() {
            self.out.write_all(title.as_bytes())?;
        }
        self.out.write_all(bytes)
    }

    /// "name: text"
    fn named(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        self.write(name.as_bytes())?;
        self.write(b": ")?;
        self.write(text)?;
        self.write(b"\n")
    }
}

impl Shown<'_> {
    fn warn<W: Write>(&self, screen: &mut Screen<'_, W>, text: impl std::fmt::Display) -> io::Result<()> {
        screen.out.flush()?;
        // What is no text is a question mark, as what would command a terminal is.
        let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        let text: String = text.to_string().chars().map(|c| if is_odd(c) { '?' } else { c }).collect();
        writeln!(io::stderr(), "{}: warning: {text}", self.program)
    }

    /// A complaint about the file.
    fn tell<W: Write>(&self, screen: &mut Screen<'_, W>, text: impl std::fmt::Display) -> io::Result<()> {
        self.warn(screen, format_args!("{}: {text}", self.name))
    }

    fn read_error<W: Write>(&self, screen: &mut Screen<'_, W>, text: impl std::fmt::Display) -> Failure {
        match self.tell(screen, text) {
            Ok(()) => Failure::new(Exit::FAIL, "fatal: record read error"),
            Err(error) => error.into(),
        }
    }

    pub fn show(&self, input: &mut dyn Source, out: &mut impl Write) -> Result<(), Failure> {
        let view = self.view;
        let mut screen = Screen { out, title: None };
        let mut input = BufReader::new(input);
        if self.start > 0 {
            self.skip(&mut input)?;
        } else {
            if input.fill_buf()?.first().is_some_and(|kind| !FIRST.contains(kind)) {
                self.tell(&mut screen, "input is not a valid queue file")?;
                return Ok(());
            }
            screen.title = view.envelope.then(|| format!("*** ENVELOPE RECORDS {} ***\n", self.name));
        }
        let mut part = Part::Envelope;
        // Of a line that is not finished.
        let mut open_line = false;
        // Of the content, as the first record of the file says.
        let mut size: Option<Size> = None;
        let mut seen = HashSet::new();
        loop {
            let at = input.stream_position()?;
            let Some(record) = self.next(&mut input, &mut screen, &mut seen)? else { return Ok(()) };
            match record.kind {
                Type::NORMAL | Type::CONTINUED => {
                    let ends = part == Part::Header && (view.header || view.body) && !open_line;
                    if ends && is_end_of_header(&record.data) {
                        part = Part::Body;
                        if !view.body && !view.envelope {
                            return Ok(());
                        }
                        if let Some(end) = size.and_then(Size::end).filter(|_| !view.body) {
                            input.seek(SeekFrom::Start(end))?;
                        }
                    }
                }
                Type::MESSAGE => {
                    if part != Part::Envelope {
                        self.tell(&mut screen, "out-of-order message content marker")?;
                    }
                    self.title(&mut screen, "MESSAGE CONTENTS", at, &record)?;
                    if let Some(end) = size.and_then(Size::end).filter(|_| !view.header && !view.body) {
                        input.seek(SeekFrom::Start(end))?;
                    }
                    part = Part::Header;
                    continue;
                }
                Type::EXTRACTED => {
                    if part == Part::Envelope {
                        self.tell(&mut screen, "out-of-order extracted segment marker")?;
                    }
                    if view.envelope && self.shows(part) && open_line {
                        screen.write(b"\n")?;
                    }
                    self.title(&mut screen, "HEADER EXTRACTED", at, &record)?;
                    part = Part::Envelope;
                    if !view.envelope {
                        return Ok(());
                    }
                    continue;
                }
                Type::END => {
                    if self.pipe && !view.named {
                        return Err(self.read_error(&mut screen, "seek error after reading END record: Illegal seek"));
                    }
                    if part != Part::Envelope {
                        self.tell(&mut screen, "out-of-order message end marker")?;
                    }
                    self.title(&mut screen, "MESSAGE FILE END", at, &record)?;
                    if !view.in_file_order {
                        return Ok(());
                    }
                    if !view.named {
                        input.seek(SeekFrom::End(0))?;
                    }
                    continue;
                }
                // These are passed over in `next`, but for -v.
                Type::POINTER => {
                    if self.shows(part) {
                        self.prefix(&mut screen, at, &record)?;
                        screen.named("pointer_record", until_nul(&record.data))?;
                    }
                    if !view.in_file_order
                        && let Err(fault) = self.follow(&mut input, &record, &mut seen)?
                    {
                        self.tell(&mut screen, fault)?;
                        return Err(Failure::fatal("bad pointer record, or input is not seekable"));
                    }
                    continue;
                }
                Type::SIZE => {
                    if self.shows(part) {
                        self.prefix(&mut screen, at, &record)?;
                        screen.named("message_size", until_nul(&record.data))?;
                    }
                    if size.is_some_and(|size| size.length >= 0 || size.start >= 0) {
                        self.warn(&mut screen, "file contains multiple size records")?;
                        continue;
                    }
                    let told = Size::of(&record.data);
                    if !told.is_whole() {
                        let text = complained(&record.data);
                        self.warn(&mut screen, format_args!("invalid size record: {text}"))?;
                    }
                    size = Some(told);
                    if !view.envelope {
                        let start =
                            u64::try_from(told.start).map_err(|_| Failure::fatal("seek error: Invalid argument"))?;
                        input.seek(SeekFrom::Start(start))?;
                        part = Part::Header;
                    }
                    continue;
                }
                _ => {}
            }
            if self.shows(part) {
                open_line = self.record(&mut screen, part, at, &record)?;
            }
        }
    }

    /// Goes to where -s says.
    fn skip(&self, input: &mut Input<'_>) -> Result<(), Failure> {
        if !self.pipe {
            input.seek(SeekFrom::Start(self.start))?;
            return Ok(());
        }
        let passed = io::copy(&mut input.by_ref().take(self.start), &mut io::sink())?;
        if passed < self.start {
            let text = format!("{}: skip {} bytes failed after {passed}", self.name, self.start);
            return Err(Failure::fatal(text));
        }
        Ok(())
    }

    /// The next record that counts: pointers are followed, padding is passed over.
    fn next<W: Write>(
        &self,
        input: &mut Input<'_>,
        screen: &mut Screen<'_, W>,
        seen: &mut HashSet<u64>,
    ) -> Result<Option<Record>, Failure> {
        loop {
            let record = match record::read(input) {
                Ok(None) => return Ok(None),
                Ok(Some(record)) => record,
                Err(RecordError::Io(error)) => return Err(error.into()),
                Err(error) => return Err(self.read_error(screen, error)),
            };
            match record.kind {
                _ if self.view.named => return Ok(Some(record)),
                Type::PADDING => {}
                Type::POINTER => {
                    if let Err(fault) = self.follow(input, &record, seen)? {
                        return Err(self.read_error(screen, fault));
                    }
                }
                _ => return Ok(Some(record)),
            }
        }
    }

    /// Goes to where a pointer points; the inner error says why that is nowhere.
    fn follow(
        &self,
        input: &mut Input<'_>,
        record: &Record,
        seen: &mut HashSet<u64>,
    ) -> Result<Result<(), String>, Failure> {
        let number = until_nul(&record.data).trim_ascii_start();
        let text = std::str::from_utf8(number).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let target = text.and_then(|text| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() });
        let Some(target) = target.filter(|&target| target <= i64::MAX as u64) else {
            return Ok(Err(format!("malformed pointer record value: {}", String::from_utf8_lossy(number))));
        };
        if target == 0 {
            return Ok(Ok(()));
        }
        if self.pipe {
            return Ok(Err("seek error after pointer record: Illegal seek".into()));
        }
        // Pointers go back too (edited headers stand behind the rest), but never twice to one place. The reference lets a
        // file go back ten thousand times.
        if !seen.insert(target) {
            return Ok(Err("too many reverse jump records".into()));
        }
        input.seek(SeekFrom::Start(target))?;
        Ok(Ok(()))
    }

    fn shows(&self, part: Part) -> bool {
        match part {
            Part::Envelope => self.view.envelope,
            Part::Header => self.view.header,
            Part::Body => self.view.body,
        }
    }

    fn prefix<W: Write>(&self, screen: &mut Screen<'_, W>, at: u64, record: &Record) -> io::Result<()> {
        if self.view.offsets {
            screen.write(format!("{at:9} ").as_bytes())?;
        }
        if self.view.decimal {
            screen.write(format!("{:3} ", record.kind.0).as_bytes())?;
        }
        Ok(())
    }

    fn title<W: Write>(&self, screen: &mut Screen<'_, W>, title: &str, at: u64, record: &Record) -> io::Result<()> {
        if !self.view.envelope {
            return Ok(());
        }
        self.prefix(screen, at, record)?;
        screen.write(format!("*** {title} {} ***\n", self.name).as_bytes())
    }

    /// Shows a record that is neither a title nor a way to another; whether its line is left open.
    fn record<W: Write>(
        &self,
        screen: &mut Screen<'_, W>,
        part: Part,
        at: u64,
        record: &Record,
    ) -> Result<bool, Failure> {
        self.prefix(screen, at, record)?;
        let text = until_nul(&record.data);
        match record.kind {
            Type::NORMAL | Type::CONTINUED => {
                let whole = record.kind == Type::NORMAL;
                // In the envelope the letter of an unfinished line is that of a filter.
                match (whole, part == Part::Envelope, self.view.named) {
                    (false, true, _) => screen.write(b"content_filter: ")?,
                    (false, false, true) => screen.write(b"unterminated_text: ")?,
                    (true, _, true) => screen.write(b"regular_text: ")?,
                    _ => {}
                }
                screen.write(&record.data)?;
                let open = !whole && part != Part::Envelope && !self.view.named && !self.view.offsets;
                if !open {
                    screen.write(b"\n")?;
                }
                return Ok(open);
            }
            Type::PADDING => screen.named("padding", &record.data)?,
            Type::TIME => screen.named("message_arrival_time", time(text).as_bytes())?,
            Type::WARN_TIME => screen.named("warning_message_time", time(text).as_bytes())?,
            Type::ATTRIBUTE => match attribute(text) {
                Ok((b"create_time", seconds)) => screen.named("create_time", time(seconds).as_bytes())?,
                Ok((name, value)) => screen.named("named_attribute", &[name, b"=", value].concat())?,
                Err(fault) => {
                    self.tell(screen, format_args!("malformed attribute: {fault}: {}", complained(text)))?;
                    // The first title comes out with it.
                    screen.write(b"")?;
                }
            },
            Type(kind) => {
                let named = NAMES.iter().find(|(known, _)| *known == kind);
                screen.named(named.map_or("unknown_record_type", |(_, name)| *name), text)?;
            }
        }
        Ok(false)
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
