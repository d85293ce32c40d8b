//! [`Connection`]: what the tables that ask a server over a socket share: the server's address, connecting, and reading
//! and writing with a deadline and a limit on what is kept of an answer. A hostile server costs bounded time and memory.

use crate::sys::resolve;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Inet { host: String, service: String },
    Unix(String),
}

impl Endpoint {
    /// "host:port", "[address]:port", or a port of this machine. Err: the reason, to be said at once.
    pub fn inet(text: &str) -> Result<Endpoint, String> {
        let (host, service) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or(rest)),
            None => text.rsplit_once(':').unwrap_or(("", text)),
        };
        let digits = service.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && digits < service.len() {
            return Err(format!("{text}: garbage after numerical service"));
        }
        if service.is_empty() {
            return Err(format!("{text}: missing service information"));
        }
        Ok(Endpoint::Inet { host: host.to_owned(), service: service.to_owned() })
    }

    /// "inet:host:port" or "unix:path".
    pub fn transport(kind: &str, text: &str) -> Result<Endpoint, String> {
        match kind {
            "inet" => Endpoint::inet(text),
            "unix" => Ok(Endpoint::Unix(text.to_owned())),
            _ => Err(format!("invalid transport name: {kind} in service: {kind}:{text}")),
        }
    }

    /// What the reference's programs say at the end of "query error" for a server that answered badly: the number in
    /// errno when the connection was made.
    pub fn stale_error(&self) -> &'static str {
        match self {
            Endpoint::Inet { .. } => "Operation now in progress",
            Endpoint::Unix(_) => "Application error",
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Refused {
    /// The name means nothing: "Name or service not known".
    Unknown(String),
    Io(io::Error),
}

/// An open connection, with what was read ahead of it.
pub struct Connection {
    stream: Stream,
    ahead: Vec<u8>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why a line or a block could not be read.
#[derive(Debug)]
pub enum Cut {
    Io(io::Error),
    /// The server closed the connection before it said anything.
    Eof,
    /// It closed it in the middle of an answer.
    Middle,
    TooLong,
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Cut {
        Cut::Io(error)
    }
}

impl Connection {
    pub fn open(endpoint: &Endpoint, patience: Duration) -> Result<Connection, Refused> {
        let stream = match endpoint {
            Endpoint::Unix(path) => {
                let address = socket2::SockAddr::unix(path).map_err(Refused::Io)?;
                let socket =
                    socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).map_err(Refused::Io)?;
                socket.connect_timeout(&address, patience).map_err(Refused::Io)?;
                Stream::Unix(socket.into())
            }
            Endpoint::Inet { host, service } => Stream::Tcp(connect(host, service, patience)?),
        };
        Ok(Connection { stream, ahead: Vec::new() })
    }

    pub fn send(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = Some(left(until)?);
            let sent = match &mut self.stream {
                Stream::Tcp(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(rest)),
                Stream::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(rest)),
            };
            match sent {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed(error)),
            }
        }
        Ok(())
    }

    /// A line without its newline; `limit` counts the newline.
    pub fn line(&mut self, limit: usize, until: Instant) -> Result<Vec<u8>, Cut> {
        let mut searched = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', self.ahead.get(searched..).unwrap_or_default()) {
                let end = searched + at;
                if end >= limit {
                    return Err(Cut::TooLong);
                }
                let mut line: Vec<u8> = self.ahead.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            searched = self.ahead.len();
            if searched >= limit {
                return Err(Cut::TooLong);
            }
            self.fill(until)?;
        }
    }

    pub fn block(&mut self, length: usize, until: Instant) -> Result<Vec<u8>, Cut> {
        while self.ahead.len() < length {
            self.fill(until)?;
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// Reads what has come, at most a few kilobytes.
    fn fill(&mut self, until: Instant) -> Result<(), Cut> {
        let mut buffer = [0; 4096];
        loop {
            let left = Some(left(until)?);
            let came = match &mut self.stream {
                Stream::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(&mut buffer)),
                Stream::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(&mut buffer)),
            };
            match came {
                Ok(0) if self.ahead.is_empty() => return Err(Cut::Eof),
                Ok(0) => return Err(Cut::Middle),
                Ok(count) => {
                    self.ahead.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Cut::Io(timed(error))),
            }
        }
    }
}

/// Tries each address of the host.
fn connect(host: &str, service: &str, patience: Duration) -> Result<TcpStream, Refused> {
    let unknown = |text: &str| Refused::Unknown(text.to_owned());
    let port = resolve::port_number(service).ok_or_else(|| unknown("Servname not supported for ai_socktype"))?;
    let host = if host.is_empty() { "localhost" } else { host };
    let addresses = (host, port).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        unknown(text.rsplit_once("information: ").map_or(text.as_str(), |(_, reason)| reason))
    })?;
    let until = Instant::now() + patience;
    let mut last = unknown("Name or service not known");
    for address in addresses {
        match left(until).and_then(|left| TcpStream::connect_timeout(&address, left)) {
            Ok(stream) => {
                // Requests are short and answered one by one.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Refused::Io(timed(error)),
        }
    }
    Err(last)
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)) } else { Ok(left) }
}

/// A socket's time-out as the reference names it.
fn timed(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => io::Error::from_raw_os_error(libc::ETIMEDOUT),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        let inet = |host: &str, service: &str| Ok(Endpoint::Inet { host: host.into(), service: service.into() });
        assert_eq!(Endpoint::inet("h.org:25"), inet("h.org", "25"));
        assert_eq!(Endpoint::inet("[::1]:smtp"), inet("::1", "smtp"));
        assert_eq!(Endpoint::inet("7799"), inet("", "7799"));
        assert_eq!(Endpoint::inet("127.0.0.1"), Err("127.0.0.1: garbage after numerical service".into()));
        assert_eq!(Endpoint::transport("x", "a"), Err("invalid transport name: x in service: x:a".into()));
    }
}
