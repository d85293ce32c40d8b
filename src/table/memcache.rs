//! memcache:FILE (memcache_table(5)): the text protocol of memcached. Without a backup table the server's word is the
//! answer; with one, what the server does not have, or cannot say, is looked up there and then told to the server.

use super::open::{self, Opened, Options, Table, TableError, Value};
use super::query::{Parameters, Query};
use super::stream::{Connection, Cut, Endpoint, Refused};
use crate::sys::files::reason;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `timeout = 0` means.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

struct Memcache {
    table: String,
    /// The configuration file, as messages name it.
    name: String,
    /// The server, as messages name it.
    shown: String,
    endpoint: Endpoint,
    keys: Query,
    backup: Option<Opened>,
    options: Options,
    limits: Limits,
    connection: Mutex<Option<Connection>>,
}

struct Limits {
    flags: i32,
    ttl: i32,
    line: usize,
    data: usize,
    attempts: u64,
    pause: Duration,
    patience: Duration,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let parameters = Parameters::read(kind, name, options)?;
    let count = |name: &str, default: i32| parameters.integer(name, default, Some(1));
    let limits = Limits {
        flags: parameters.integer("flags", 0, None)?,
        ttl: parameters.integer("ttl", 3600, None)?,
        line: usize::try_from(count("line_size_limit", 1024)?).unwrap_or(1024),
        data: usize::try_from(count("data_size_limit", 10240)?).unwrap_or(10240),
        attempts: u64::from(count("max_try", 2)?.unsigned_abs()),
        pause: Duration::from_secs(count("retry_pause", 1)?.unsigned_abs().into()),
        patience: match parameters.integer("timeout", 2, None)? {
            seconds @ 1.. => Duration::from_secs(seconds.unsigned_abs().into()),
            _ => A_DAY,
        },
    };
    let server = parameters.text("memcache").unwrap_or("inet:localhost:11211");
    let (transport, shown) = server
        .split_once(':')
        .ok_or_else(|| parameters.fault(format!("need service transport:endpoint instead of \"{server}\"")))?;
    let endpoint = Endpoint::transport(transport, shown).map_err(|reason| parameters.fault(reason))?;
    let backup = parameters.text("backup").filter(|spec| !spec.is_empty());
    Ok(Box::new(Memcache {
        table: format!("{kind}:{name}"),
        name: parameters.name().to_owned(),
        shown: shown.to_owned(),
        endpoint,
        keys: Query::keys(&parameters, options, parameters.text("key_format").unwrap_or("%s"))?,
        backup: backup.map(|spec| open::open(spec, options)).transpose()?,
        options: options.clone(),
        limits,
        connection: Mutex::new(None),
    }))
}

/// Why the server did not do what it was asked.
enum Failed {
    /// There is no server: no second attempt.
    Refused { warning: String, error: io::Error },
    /// Try again.
    Again { warning: String, error: Option<io::Error> },
}

impl Memcache {
    /// Sends a command and has `read` make something of the reply, several times if need be.
    fn command<T>(
        &self,
        command: &[u8],
        read: impl Fn(&mut Connection, Instant) -> Result<(T, Keep), Failed>,
    ) -> Result<T, TableError> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (warning, error) = match self.attempt(&mut held, command, &read) {
                Ok(answer) => return Ok(answer),
                Err(Failed::Refused { warning, error }) => {
                    return Err(self.options.failed(&self.table, warning, &reason(&error)));
                }
                Err(Failed::Again { warning, error }) => (warning, error),
            };
            if attempts >= self.limits.attempts {
                let last = error.map_or_else(|| self.endpoint.stale_error().to_owned(), |error| reason(&error));
                if attempts == 1 && self.options.warn.is_some() {
                    return Err(TableError::query(&self.table, &last));
                }
                return Err(self.options.failed(&self.table, warning, &last));
            }
            // The first failure may be a connection that the server closed since, and is not worth a word.
            if attempts > 1 {
                self.options.warn(warning);
            }
            std::thread::sleep(self.limits.pause);
        }
    }

    fn attempt<T>(
        &self,
        held: &mut Option<Connection>,
        command: &[u8],
        read: &impl Fn(&mut Connection, Instant) -> Result<(T, Keep), Failed>,
    ) -> Result<T, Failed> {
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => Connection::open(&self.endpoint, self.limits.patience).map_err(|refused| {
                let error = match refused {
                    Refused::Io(error) => error,
                    Refused::Unknown(what) => {
                        self.options.warn(format_args!("host or service {} not found: {what}", self.shown));
                        io::Error::from_raw_os_error(libc::EADDRNOTAVAIL)
                    }
                };
                Failed::Refused { warning: format!("connect to {}: {}", self.shown, reason(&error)), error }
            })?,
        };
        let until = Instant::now() + self.limits.patience;
        connection.send(command, until).map_err(|error| self.broken(Some(error)))?;
        let (answer, keep) = read(&mut connection, until)?;
        if keep == Keep::Yes {
            *held = Some(connection);
        }
        Ok(answer)
    }

    fn broken(&self, error: Option<io::Error>) -> Failed {
        let text = error.as_ref().map_or_else(|| self.endpoint.stale_error().to_owned(), reason);
        Failed::Again { warning: format!("database {}: I/O error: {text}", self.table), error }
    }

    fn line(&self, connection: &mut Connection, until: Instant) -> Result<Vec<u8>, Failed> {
        let mut line = connection.line(self.limits.line + 1, until).map_err(|cut| match cut {
            Cut::Io(error) => self.broken(Some(error)),
            Cut::Eof | Cut::Middle | Cut::TooLong => self.broken(None),
        })?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    fn get(&self, key: &str) -> Result<Option<Value>, TableError> {
        self.command(format!("get {key}\r\n").as_bytes(), |connection, until| {
            let again = |what: String| Failed::Again { warning: format!("{}: {what}", self.name), error: None };
            let line = self.line(connection, until)?;
            if line == b"END" {
                return Ok((None, Keep::Yes));
            }
            let length = length(&line).filter(|&length| length <= self.limits.data);
            let length = length.ok_or_else(|| {
                again(format!("unexpected memcache server reply: {}", String::from_utf8_lossy(&line)))
            })?;
            let mut data =
                connection.block(length + 2, until).map_err(|_| again("EOF receiving memcache server reply".into()))?;
            if !data.ends_with(b"\r\n") {
                return Err(again("EOF receiving memcache server reply".into()));
            }
            data.truncate(length);
            let end = memchr::memchr(0, &data).unwrap_or(data.len());
            data.truncate(end);
            let keep = if self.line(connection, until).is_ok_and(|line| line == b"END") { Keep::Yes } else { Keep::No };
            Ok((Some(data), keep))
        })
    }

    /// Tells the server a value of the backup. That it cannot be told is worth a warning only.
    fn set(&self, key: &str, value: &[u8]) {
        let Limits { flags, ttl, .. } = &self.limits;
        let command = format!("set {key} {flags} {ttl} {}\r\n", value.len());
        // Why it could not be told is said where warnings go, and is no fault of the lookup.
        let _ = self.command(&[command.as_bytes(), value, b"\r\n"].concat(), |connection, until| {
            match self.line(connection, until)? {
                reply if reply == b"STORED" => Ok(((), Keep::Yes)),
                reply => {
                    let reply = String::from_utf8_lossy(&reply);
                    Err(Failed::Again {
                        warning: format!("database {}: update failed: {reply}", self.table),
                        error: None,
                    })
                }
            }
        });
    }
}

/// Whether a connection can be used for the next command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

/// "VALUE key flags length": the length.
fn length(line: &[u8]) -> Option<usize> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("VALUE") {
        return None;
    }
    let number = words.nth(2)?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    number.get(..digits)?.parse().ok()
}

impl Table for Memcache {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let folded = self.options.folded(key);
        let Ok(key) = std::str::from_utf8(&folded) else { return Ok(None) };
        let Some(asked) = self.keys.ask(key, &str::to_owned)? else { return Ok(None) };
        // What would be another command to the server is in no table.
        if asked.is_empty() || asked.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Ok(None);
        }
        match (self.get(&asked), &self.backup) {
            (Ok(Some(value)), _) => Ok(Some(value)),
            (answer, None) => answer,
            (_, Some(backup)) => {
                let found = backup.lookup(key.as_bytes()).map_err(|error| {
                    // A table in a table fails in the name of the outer one.
                    let last = error.reason.rsplit(": query error: ").next().unwrap_or_default();
                    TableError::query(&self.table, last)
                })?;
                if let Some(value) = &found {
                    self.set(&asked, value);
                }
                Ok(found)
            }
        }
    }

    fn is_remote(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::length;

    /// Recorded from Postfix 3.7.11.
    #[test]
    fn lengths_of_values() {
        assert_eq!(length(b"VALUE k 0 3"), Some(3));
        assert_eq!(length(b"VALUE  k  0  3x 9"), Some(3));
        for bad in ["", "VALUE", "VALUE k 0", "VALUE k 0 -3", "END x", " END"] {
            assert_eq!(length(bad.as_bytes()), None, "{bad}");
        }
    }
}
