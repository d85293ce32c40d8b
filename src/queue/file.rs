//! Reading a queue file. [`Message::read`] takes in the envelope; the content stays on disk and is read line by line
//! by whoever delivers it ([`Content`]).

use super::record::{self, Record, RecordError, Type};
use crate::message::verp;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// One recipient that still waits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recipient {
    /// Where its record stands; the type byte there becomes "D" when it is done.
    pub offset: u64,
    pub address: String,
    /// The address before aliasing and rewriting; empty when unknown.
    pub original: String,
    /// RFC 3461 ORCPT, "rfc822;address"; empty when there is none.
    pub dsn_original: String,
    /// RFC 3461 NOTIFY bits, see [`notify`]; 0: the default.
    pub notify: u32,
}

/// RFC 3461 NOTIFY as bits, as the reference numbers them.
pub mod notify {
    pub const NEVER: u32 = 1;
    pub const SUCCESS: u32 = crate::ipc::delivery::NOTIFY_SUCCESS;
    pub const FAILURE: u32 = 4;
    pub const DELAY: u32 = 8;

    /// "NEVER" alone, or any of the others. The error is the word that is none of them, if that is the trouble.
    pub fn bits(value: &str) -> Result<u32, String> {
        let mut bits = 0;
        for word in value.split(',') {
            bits |= match word.to_ascii_uppercase().as_str() {
                "NEVER" => NEVER,
                "SUCCESS" => SUCCESS,
                "FAILURE" => FAILURE,
                "DELAY" => DELAY,
                _ => return Err(word.to_owned()),
            };
        }
        if bits & NEVER == 0 || bits == NEVER { Ok(bits) } else { Err(String::new()) }
    }
}

/// The envelope of a queued message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The content's records in bytes.
    pub size: u64,
    /// Where the content's first record stands.
    pub data_offset: u64,
    pub arrival: SystemTime,
    pub sender: String,
    pub full_name: String,
    pub attributes: HashMap<String, String>,
    pub recipients: Vec<Recipient>,
    /// How many recipients are done already.
    pub done: usize,
    /// When a delay warning is due, if one is wanted.
    pub warn_time: Option<SystemTime>,
    /// "transport:nexthop" in place of each recipient's own; empty: none.
    pub filter: String,
    /// Who gets it in place of all recipients; empty: nobody.
    pub redirect: String,
    /// The delimiters with which each recipient gets a sender of its own; empty: all have the same.
    pub verp: String,
}

#[derive(Debug, Error)]
pub enum QueueFileError {
    #[error("missing end record")]
    MissingEnd,
    #[error("{0}")]
    Malformed(&'static str),
    #[error("unexpected record type {0} in {1}")]
    Unexpected(char, &'static str),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl QueueFileError {
    /// Whether the file is damaged (as against: the disk did not answer now).
    pub fn is_corrupt(&self) -> bool {
        !matches!(self, QueueFileError::Io(_) | QueueFileError::Record(RecordError::Io(_)))
    }
}

/// Most recipients that one message is read with (the reference bounds its memory likewise, in portions).
const MAX_RECIPIENTS: usize = 1_000_000;

impl Message {
    /// Reads the envelope of an open queue file, and checks that the file is whole to its end record.
    pub fn read(file: &File) -> Result<Message, QueueFileError> {
        let mut input = BufReader::with_capacity(16 * 1024, file);
        input.seek(SeekFrom::Start(0))?;
        let mut message = Message {
            size: 0,
            data_offset: 0,
            arrival: SystemTime::UNIX_EPOCH,
            sender: String::new(),
            full_name: String::new(),
            attributes: HashMap::new(),
            recipients: Vec::new(),
            done: 0,
            warn_time: None,
            filter: String::new(),
            redirect: String::new(),
            verp: String::new(),
        };
        let mut pending = Pending::default();
        let mut seen_sender = false;
        loop {
            let offset = input.stream_position()?;
            let Some(record) = record::read(&mut input)? else { return Err(QueueFileError::MissingEnd) };
            match record.kind {
                Type::MESSAGE => break,
                Type::END => return Err(QueueFileError::Malformed("no message content")),
                Type::SENDER => {
                    seen_sender = true;
                    message.sender = text(&record.data)?;
                }
                _ => message.envelope_record(&record, offset, &mut pending)?,
            }
        }
        if !seen_sender {
            return Err(QueueFileError::Malformed("no sender"));
        }
        if message.data_offset == 0 {
            message.data_offset = input.stream_position()?;
        }
        // The content is skipped by its known size where possible; its records are walked, which also finds a cut file.
        loop {
            let Some(record) = record::read(&mut input)? else { return Err(QueueFileError::MissingEnd) };
            match record.kind {
                Type::NORMAL | Type::CONTINUED | Type::POINTER => {}
                Type::EXTRACTED => break,
                other => return Err(QueueFileError::Unexpected(char::from(other.0), "message content")),
            }
        }
        loop {
            let offset = input.stream_position()?;
            let Some(record) = record::read(&mut input)? else { return Err(QueueFileError::MissingEnd) };
            match record.kind {
                Type::END => {
                    message.redirect();
                    return Ok(message);
                }
                Type::SENDER => return Err(QueueFileError::Unexpected('S', "extracted records")),
                _ => message.envelope_record(&record, offset, &mut pending)?,
            }
        }
    }

    /// Opens and reads.
    pub fn open(path: &Path) -> Result<(File, Message), QueueFileError> {
        let file = File::options().read(true).write(true).open(path)?;
        let message = Message::read(&file)?;
        Ok((file, message))
    }

    /// The sender under which this recipient gets it.
    pub fn sender_for(&self, recipient: &Recipient) -> String {
        if self.verp.is_empty() {
            return self.sender.clone();
        }
        let named = [&recipient.original, &recipient.address].into_iter().find(|address| !address.is_empty());
        verp::sender(&self.sender, &self.verp, named.map_or("", String::as_str))
    }

    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// One recipient stands for all; it is the one that is marked when the mail is delivered.
    fn redirect(&mut self) {
        if !self.redirect.is_empty() {
            self.recipients.truncate(1);
            self.recipients.iter_mut().for_each(|recipient| recipient.address.clone_from(&self.redirect));
        }
    }

    fn envelope_record(&mut self, record: &Record, offset: u64, pending: &mut Pending) -> Result<(), QueueFileError> {
        match record.kind {
            Type::SIZE => {
                let fields = text(&record.data)?;
                let mut numbers = fields.split_whitespace().map(str::parse::<u64>);
                self.size = numbers.next().and_then(Result::ok).ok_or(QueueFileError::Malformed("bad size record"))?;
                self.data_offset = numbers.next().and_then(Result::ok).unwrap_or(0);
            }
            Type::TIME => self.arrival = time(&record.data)?,
            Type::WARN_TIME => self.warn_time = time(&record.data).ok(),
            Type::FILTER => self.filter = text(&record.data)?,
            Type::REDIRECT => self.redirect = text(&record.data)?,
            // Nobody has no name to put a recipient into.
            Type::VERP if !self.sender.is_empty() => self.verp = text(&record.data)?,
            Type::FULL_NAME => self.full_name = text(&record.data)?,
            Type::ATTRIBUTE => {
                let attribute = text(&record.data)?;
                let (name, value) =
                    attribute.split_once('=').ok_or(QueueFileError::Malformed("bad attribute record"))?;
                match name {
                    "dsn_orig_rcpt" => pending.dsn_original = value.to_owned(),
                    "notify_flags" => pending.notify = value.parse().unwrap_or(0),
                    _ => drop(self.attributes.insert(name.to_owned(), value.to_owned())),
                }
            }
            Type::DSN_ORIGINAL => pending.dsn_original = text(&record.data)?,
            Type::ORIGINAL_RECIPIENT => pending.original = text(&record.data)?,
            Type::RECIPIENT => {
                if self.recipients.len() >= MAX_RECIPIENTS {
                    return Err(QueueFileError::Malformed("too many recipients"));
                }
                let Pending { original, dsn_original, notify } = std::mem::take(pending);
                let address = text(&record.data)?;
                self.recipients.push(Recipient { offset, address, original, dsn_original, notify });
            }
            Type::DONE => {
                *pending = Pending::default();
                self.done += 1;
            }
            Type::CANCELED => *pending = Pending::default(),
            // Pointers and filler, and records of extensions that we do not use.
            _ => {}
        }
        Ok(())
    }
}

/// What precedes a recipient record and belongs to it.
#[derive(Default)]
struct Pending {
    original: String,
    dsn_original: String,
    notify: u32,
}

fn text(data: &[u8]) -> Result<String, QueueFileError> {
    // A control character in an envelope could become a line of a mailbox or a header: no such file is delivered.
    if data.iter().any(|&byte| byte == b'\n' || byte == 0) {
        return Err(QueueFileError::Malformed("control character in envelope record"));
    }
    Ok(String::from_utf8_lossy(data).into_owned())
}

/// "seconds microseconds" or "seconds".
fn time(data: &[u8]) -> Result<SystemTime, QueueFileError> {
    let fields = text(data)?;
    let mut numbers = fields.split_whitespace().map(str::parse::<u64>);
    let seconds = numbers.next().and_then(Result::ok).ok_or(QueueFileError::Malformed("bad time record"))?;
    let microseconds = numbers.next().and_then(Result::ok).unwrap_or(0).min(999_999);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40)) + Duration::from_micros(microseconds))
}

/// Marks a recipient done: one byte in place. Not fsynced: a crash may deliver again, never lose.
pub fn mark_done(file: &File, offset: u64) -> io::Result<()> {
    let mut kind = [0u8; 1];
    file.read_exact_at(&mut kind, offset)?;
    if kind[0] != Type::RECIPIENT.0 && kind[0] != Type::DONE.0 {
        return Err(io::Error::other("no recipient record at this offset"));
    }
    file.write_all_at(&[Type::DONE.0], offset)
}

/// The content of a message, line by line.
pub struct Content<R: Read> {
    input: R,
    finished: bool,
}

/// A piece of content: a line (or the last part of a long one) with `newline`, or a part of a long line without.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub data: Vec<u8>,
    pub newline: bool,
}

impl Content<BufReader<File>> {
    /// Reads the content from its offset, on a descriptor of its own position.
    pub fn open(file: &File, data_offset: u64) -> io::Result<Content<BufReader<File>>> {
        let mut input = file.try_clone()?;
        input.seek(SeekFrom::Start(data_offset))?;
        Ok(Content { input: BufReader::with_capacity(64 * 1024, input), finished: false })
    }
}

impl<R: Read> Iterator for Content<R> {
    type Item = Result<Piece, QueueFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let outcome = match record::read(&mut self.input) {
            Ok(Some(Record { kind: Type::NORMAL, data })) => return Some(Ok(Piece { data, newline: true })),
            Ok(Some(Record { kind: Type::CONTINUED, data })) => return Some(Ok(Piece { data, newline: false })),
            Ok(Some(Record { kind: Type::EXTRACTED, .. })) => None,
            Ok(Some(record)) => Some(Err(QueueFileError::Unexpected(char::from(record.kind.0), "message content"))),
            Ok(None) => Some(Err(QueueFileError::MissingEnd)),
            Err(error) => Some(Err(error.into())),
        };
        self.finished = true;
        outcome
    }
}
