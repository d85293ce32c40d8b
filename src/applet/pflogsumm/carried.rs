//! `--state FILE`: the messages that are under way when a log ends, for the run that reads its successor. Without them
//! a message that a rotation cut in two has no size and no sender.
//!
//! The file is text: "pflogsumm state 1", then a line for each message: queue id, date of its last line, size, and the
//! client that it came from, "-" if it has none. Bytes that are no plain ASCII are written as %41. A message that nobody
//! spoke of for [`OLD`] days is forgotten: its last lines were lost.

use super::fact::Date;
use super::fields::days_from_civil;
use crate::exit::{Exit, Failure};
use crate::sys::files::reason;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

const HEAD: &str = "pflogsumm state 1";
/// Longer than maximal_queue_lifetime by far.
const OLD: i64 = 60;
/// The largest file that is read.
const LARGEST: u64 = 1 << 30;

/// Messages under way by queue id.
#[derive(Debug, Default)]
pub struct Carried {
    messages: HashMap<Box<[u8]>, Message>,
    today: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub size: u64,
    /// Where it came from, until a sender is known.
    pub client: Option<Box<[u8]>>,
    day: i64,
}

impl Carried {
    /// A file that is not there is the first run's.
    pub fn load(path: &Path) -> Result<Carried, Failure> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Carried::default()),
            Err(error) => return Err(cannot("read", path, &error)),
        };
        let mut carried = Carried::default();
        let damaged =
            || Failure::new(Exit::DATAERR, format!("fatal: {}: not a file of pflogsumm --state", path.display()));
        let mut lines = BufReader::new(file.take(LARGEST)).split(b'\n');
        let head = lines.next().transpose().map_err(|error| cannot("read", path, &error))?;
        match head.as_deref() {
            Some(head) if head == HEAD.as_bytes() => {}
            Some(head) if head.starts_with(b"pflogsumm state ") => {
                let text = format!(
                    "fatal: {} was written by another version of pflogsumm; without it the run begins anew",
                    path.display()
                );
                return Err(Failure::new(Exit::DATAERR, text));
            }
            _ => return Err(damaged()),
        }
        for line in lines {
            let line = line.map_err(|error| cannot("read", path, &error))?;
            let (id, message) = read(&line).ok_or_else(damaged)?;
            carried.messages.insert(id, message);
        }
        Ok(carried)
    }

    /// Writes the file anew; it is replaced when all is written.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let write = || -> io::Result<()> {
            let mut out = BufWriter::new(File::create_new(&temporary)?);
            writeln!(out, "{HEAD}")?;
            let mut messages: Vec<_> =
                self.messages.iter().filter(|(_, message)| message.day + OLD >= self.today).collect();
            messages.sort_unstable_by_key(|(id, _)| *id);
            for (id, message) in messages {
                let client = message.client.as_deref().map_or("-".to_owned(), escaped);
                writeln!(out, "{} {} {} {client}", escaped(id), message.day, message.size)?;
            }
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            cannot("write", path, &error)
        })
    }

    pub fn messages(&self) -> impl Iterator<Item = (&[u8], &Message)> {
        self.messages.iter().map(|(id, message)| (id.as_ref(), message))
    }

    pub fn day(&mut self, (year, month, day): Date) {
        self.today = self.today.max(days_from_civil(year, month + 1, day));
    }

    pub fn arrive(&mut self, id: &[u8], client: Option<&[u8]>) {
        let message = Message { size: 0, client: client.map(Box::from), day: self.today };
        self.messages.insert(id.into(), message);
    }

    /// The sender is known with the size, so the client is of no more use.
    pub fn size(&mut self, id: &[u8], size: u64) {
        let message = self.messages.entry(id.into()).or_default();
        *message = Message { size, client: None, day: self.today };
    }

    pub fn removed(&mut self, id: &[u8]) {
        self.messages.remove(id);
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::IOERR, format!("fatal: cannot {what} {}: {}", path.display(), reason(error)))
}

/// "ID DAY SIZE CLIENT"
fn read(line: &[u8]) -> Option<(Box<[u8]>, Message)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut parts = text.split(' ');
    let (id, day, size, client) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let client = if client == "-" { None } else { Some(unescaped(client)?) };
    // Days of years with four digits.
    let day = day.parse().ok().filter(|day| (-1_000_000..4_000_000).contains(day))?;
    let message = Message { size: size.parse().ok()?, client, day };
    parts.next().is_none().then_some((unescaped(id)?, message))
}

fn escaped(text: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    if text == b"-" {
        return "%2d".to_owned();
    }
    text.iter().map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

fn unescaped(text: &str) -> Option<Box<[u8]>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut carried = Carried::load(&path).unwrap();
        carried.day((2026, 8, 1));
        carried.arrive(b"OLD", Some(b"old.example"));
        carried.day((2026, 10, 24));
        carried.arrive(b"1A", Some(b"a client\xff%"));
        carried.arrive(b"2B", Some(b"-"));
        carried.arrive(b"3C", None);
        carried.size(b"3C", 77);
        carried.arrive(b"4D", None);
        carried.removed(b"4D");
        carried.save(&path).unwrap();
        carried.save(&path).unwrap();
        let mut back = Carried::load(&path).unwrap();
        carried.removed(b"OLD");
        assert_eq!(back.messages, carried.messages);
        back.removed(b"1A");
        std::fs::write(&path, b"pflogsumm state 1\n1A 5\n").unwrap();
        assert!(Carried::load(&path).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
