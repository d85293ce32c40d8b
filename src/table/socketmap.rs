//! socketmap:inet:host:port:name and socketmap:unix:path:name (socketmap_table(5)): netstrings; "NAME KEY" asks, "OK
//! VALUE", "NOTFOUND", "TEMP why", "TIMEOUT why" or "PERM why" answers. Tables of one server share its connection.

use super::open::{Opened, Options, Table, TableError, Value};
use super::stream::{Connection, Cut, Endpoint, Refused};
use crate::sys::files::reason;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// For a connection, and for a question with its answer.
const PATIENCE: Duration = Duration::from_secs(100);
/// The longest answer inside its netstring.
const LIMIT: usize = 100_000;
/// A second attempt is made only for a server that closed a connection.
const ATTEMPTS: usize = 2;
/// A connection is closed after this time without a question, and after that time in all.
const IDLE: Duration = Duration::from_secs(10);
const AGE: Duration = Duration::from_secs(100);

/// The connection to one server.
#[derive(Default)]
struct Line {
    held: Option<Held>,
}

struct Held {
    connection: Connection,
    since: Instant,
    used: Instant,
}

/// The servers that tables of this process ask, by "inet:host:port" or "unix:path".
static LINES: Mutex<Option<HashMap<String, Weak<Mutex<Line>>>>> = Mutex::new(None);

fn line(server: &str) -> Arc<Mutex<Line>> {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = lines.get_or_insert_default();
    lines.retain(|_, line| line.strong_count() > 0);
    if let Some(line) = lines.get(server).and_then(Weak::upgrade) {
        return line;
    }
    let line = Arc::new(Mutex::new(Line::default()));
    lines.insert(server.to_owned(), Arc::downgrade(&line));
    line
}

struct Socketmap {
    table: String,
    /// What the server calls the table.
    name: String,
    /// As messages name the server.
    shown: String,
    endpoint: Endpoint,
    options: Options,
    line: Arc<Mutex<Line>>,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let table = format!("{kind}:{name}");
    let fault = |reason: String| TableError::new(&table, reason);
    let (server, own) =
        name.rsplit_once(':').ok_or_else(|| fault("socketmap requires server:socketmap argument".into()))?;
    let (transport, shown) = server
        .split_once(':')
        .ok_or_else(|| fault(format!("need service transport:endpoint instead of \"{server}\"")))?;
    let endpoint = Endpoint::transport(transport, shown).map_err(fault)?;
    let (name, shown, options, line) = (own.to_owned(), shown.to_owned(), options.clone(), line(server));
    Ok(Box::new(Socketmap { table, name, shown, endpoint, options, line }))
}

/// Why there is no answer.
enum Failed {
    /// The server closed the connection.
    Closed,
    /// `error`: what the system said.
    Said { warning: String, error: Option<io::Error> },
}

impl Socketmap {
    fn attempt(&self, line: &mut Line, request: &[u8]) -> Result<Vec<u8>, Failed> {
        let table = &self.table;
        let now = Instant::now();
        let old = |held: &mut Held| now - held.used > IDLE || now - held.since > AGE;
        let held = match line.held.take_if(|held| !old(held)) {
            Some(held) => held,
            None => {
                let connection = Connection::open(&self.endpoint, PATIENCE).map_err(|refused| {
                    let error = match refused {
                        Refused::Io(error) => error,
                        Refused::Unknown(what) => {
                            self.options.warn(format_args!("host or service {} not found: {what}", self.shown));
                            io::Error::from_raw_os_error(libc::EADDRNOTAVAIL)
                        }
                    };
                    let text = reason(&error);
                    self.options.warn(format_args!("connect to {}: {text}", self.shown));
                    Failed::Said { warning: format!("table {table} lookup error: {text}"), error: Some(error) }
                })?;
                Held { connection, since: now, used: now }
            }
        };
        // The connection is kept only when the exchange ends well.
        let mut held = held;
        let until = now + PATIENCE;
        let said = |what: &str| Failed::Said { warning: format!("table {table} lookup error: {what}"), error: None };
        let cut = |cut: Cut| match cut {
            Cut::Eof | Cut::Middle => Failed::Closed,
            Cut::TooLong => said("input exceeds size limit"),
            Cut::Io(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => said("time limit exceeded"),
            Cut::Io(_) => Failed::Closed,
        };
        held.connection.send(request, until).map_err(|error| cut(Cut::Io(error)))?;
        let length = length(&mut held.connection, until).map_err(|bad| match bad {
            Bad::Cut(why) => cut(why),
            Bad::Format => said("input format error"),
        })?;
        let answer = held.connection.block(length, until).map_err(cut)?;
        match held.connection.block(1, until) {
            Ok(end) if end == b"," => {}
            Ok(_) | Err(Cut::Eof | Cut::Middle) => return Err(said("input format error")),
            Err(why) => return Err(cut(why)),
        }
        held.used = Instant::now();
        line.held = Some(held);
        Ok(answer)
    }
}

enum Bad {
    Cut(Cut),
    Format,
}

/// The number in front of a netstring, and its colon.
fn length(connection: &mut Connection, until: Instant) -> Result<usize, Bad> {
    let mut length = 0usize;
    let mut digits = 0;
    loop {
        match connection.block(1, until).map_err(Bad::Cut)?.first() {
            Some(digit @ b'0'..=b'9') => {
                length = length * 10 + usize::from(digit - b'0');
                digits += 1;
                if length > LIMIT {
                    return Err(Bad::Cut(Cut::TooLong));
                }
                // Zeros without end.
                if digits > 20 {
                    return Err(Bad::Format);
                }
            }
            Some(b':') if digits > 0 => return Ok(length),
            _ => return Err(Bad::Format),
        }
    }
}

impl Table for Socketmap {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let body = [self.name.as_bytes(), b" ", key].concat();
        let request = [format!("{}:", body.len()).as_bytes(), &body, b","].concat();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = self.endpoint.stale_error();
        let mut attempts = 0;
        let answer = loop {
            attempts += 1;
            match self.attempt(&mut line, &request) {
                Ok(answer) => break answer,
                Err(Failed::Closed) if attempts < ATTEMPTS => {}
                Err(Failed::Closed) => {
                    let warning = format!("table {} lookup error: unexpected disconnect", self.table);
                    return Err(self.options.failed(&self.table, warning, stale));
                }
                Err(Failed::Said { warning, error }) => {
                    let last = error.map_or_else(|| stale.to_owned(), |error| reason(&error));
                    return Err(self.options.failed(&self.table, warning, &last));
                }
            }
        };
        drop(line);
        let end = memchr::memchr(0, &answer).unwrap_or(answer.len());
        let answer = answer.get(..end).unwrap_or_default();
        let (word, text) = match memchr::memchr(b' ', answer) {
            Some(at) => (answer.get(..at).unwrap_or_default(), answer.get(at + 1..).unwrap_or_default()),
            None => (answer, &b""[..]),
        };
        let kind = match word {
            b"OK" => return Ok((word.len() < answer.len()).then(|| text.to_vec())),
            b"NOTFOUND" => return Ok(None),
            b"TEMP" => "temporary",
            b"TIMEOUT" => "timeout",
            b"PERM" => "permanent",
            _ => "unknown",
        };
        let mut warning = format!("{} socketmap server {kind} error", self.table);
        if !text.is_empty() {
            warning.push_str(": ");
            warning.push_str(&String::from_utf8_lossy(text));
        }
        Err(self.options.failed(&self.table, warning, if kind == "permanent" { "" } else { stale }))
    }

    /// Such a server is asked for whole keys only.
    fn is_pattern(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }
}
