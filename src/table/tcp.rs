//! tcp:host:port (tcp_table(5)): one line asks ("get KEY"), one line answers ("200 VALUE", "500 not there", "400
//! later"), both with %XX for what is not printable.

use super::open::{Opened, Options, Table, TableError, Value};
use super::stream::{Connection, Cut, Endpoint, Refused};
use crate::sys::files::reason;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For a connection, and for a question with its answer.
const PATIENCE: Duration = Duration::from_secs(100);
/// The longest answer, with its newline.
const LIMIT: usize = 4096;
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

struct Tcp {
    table: String,
    name: String,
    endpoint: Endpoint,
    options: Options,
    connection: Mutex<Option<Connection>>,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let table = format!("{kind}:{name}");
    let endpoint = Endpoint::inet(name).map_err(|reason| TableError::new(&table, reason))?;
    let (name, options) = (name.to_owned(), options.clone());
    Ok(Box::new(Tcp { table, name, endpoint, options, connection: Mutex::new(None) }))
}

/// Why an attempt failed.
enum Failed {
    /// The next one may do better.
    Again { warning: String, error: Option<io::Error> },
    /// The server's answer is no answer.
    Bad(String),
    /// The server says: later.
    Later,
}

impl Tcp {
    fn attempt(&self, held: &mut Option<Connection>, request: &[u8]) -> Result<Option<Value>, Failed> {
        let name = &self.name;
        let connection = match held {
            Some(connection) => connection,
            None => match Connection::open(&self.endpoint, PATIENCE) {
                Ok(connection) => held.insert(connection),
                Err(refused) => {
                    let error = match refused {
                        Refused::Io(error) => error,
                        Refused::Unknown(what) => {
                            self.options.warn(format_args!("host or service {name} not found: {what}"));
                            io::Error::from_raw_os_error(libc::EADDRNOTAVAIL)
                        }
                    };
                    let warning = format!("connect to TCP map {name}: {}", reason(&error));
                    return Err(Failed::Again { warning, error: Some(error) });
                }
            },
        };
        let until = Instant::now() + PATIENCE;
        let again =
            |what: String| Failed::Again { warning: format!("read TCP map reply from {name}: {what}"), error: None };
        connection.send(request, until).map_err(|error| Failed::Again {
            warning: format!("write TCP map request to {name}: {}", reason(&error)),
            error: Some(error),
        })?;
        let line = connection.line(LIMIT, until).map_err(|cut| match cut {
            Cut::TooLong | Cut::Middle => again(format!("text longer than {LIMIT}")),
            Cut::Eof => again(format!("unexpected EOF ({})", self.endpoint.stale_error())),
            Cut::Io(error) => again(format!("unexpected EOF ({})", reason(&error))),
        })?;
        answer(&line).map_err(|failed| match failed {
            Failed::Bad(what) => Failed::Bad(format!("read TCP map reply from {name}: {what}")),
            failed => failed,
        })
    }
}

impl Table for Tcp {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let request = [b"get ", quoted(key).as_slice(), b"\n"].concat();
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = self.endpoint.stale_error();
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.attempt(&mut held, &request) {
                Ok(answer) => return Ok(answer),
                Err(Failed::Later) => return Err(TableError::query(&self.table, stale)),
                Err(Failed::Bad(warning)) => {
                    *held = None;
                    return Err(self.options.failed(&self.table, warning, stale));
                }
                Err(Failed::Again { warning, error }) => {
                    *held = None;
                    if attempts >= ATTEMPTS {
                        let last = error.map_or_else(|| stale.to_owned(), |error| reason(&error));
                        return Err(self.options.failed(&self.table, warning, &last));
                    }
                    self.options.warn(warning);
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Such a server is asked for whole keys only.
    fn is_pattern(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// What a line of the server means.
fn answer(line: &[u8]) -> Result<Option<Value>, Failed> {
    let shown = String::from_utf8_lossy(line);
    let malformed = || Failed::Bad(format!("malformed reply: {shown}"));
    if line.len() < 4
        || !line.iter().take(3).all(u8::is_ascii_digit)
        || !line.get(3).is_some_and(u8::is_ascii_whitespace)
    {
        return Err(malformed());
    }
    let text = line.get(4..).and_then(unquoted).ok_or_else(malformed)?;
    match line.first() {
        Some(b'2') => Ok(Some(text)),
        Some(b'4') => Err(Failed::Later),
        Some(b'5') => Ok(None),
        _ => Err(Failed::Bad(format!("bad status code: {shown}"))),
    }
}

fn quoted(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    for &byte in key {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    out
}

/// None: a % without two digits. A NUL ends the text, as it does in the reference.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|&byte| char::from(byte).to_digit(16));
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    let end = memchr::memchr(0, &out).unwrap_or(out.len());
    out.truncate(end);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Postfix 3.7.11.
    #[test]
    fn answers_of_servers() {
        let value = |line: &str| answer(line.as_bytes()).ok().flatten().map(|v| String::from_utf8(v).unwrap());
        assert_eq!(value("200 va%20lue").as_deref(), Some("va lue"));
        assert_eq!(value("200\tx").as_deref(), Some("x"));
        assert_eq!(value("200 x\r").as_deref(), Some("x\r"));
        assert_eq!(value("200 x  \t").as_deref(), Some("x  \t"));
        assert!(matches!(answer(b"500 no"), Ok(None)));
        assert!(matches!(answer(b"400 later"), Err(Failed::Later)));
        for bad in ["", "200", "200x", "  200 x", "2000 x", "200 a%zz", "200 a%4", "500", "garbage", "600 what"] {
            assert!(matches!(answer(bad.as_bytes()), Err(Failed::Bad(_))), "{bad}");
        }
        assert_eq!(quoted("a key%é".as_bytes()), b"a%20key%25%C3%A9");
    }
}
