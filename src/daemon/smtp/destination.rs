//! Where mail goes: a next hop taken apart ([`Destination`]), whom to connect to ([`Peer`]), why nobody can be reached
//! ([`Unreachable`]).

use crate::status::{Code, Report};
use crate::sys::resolve;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A next hop taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    pub name: String,
    pub port: u16,
    /// In brackets: no MX lookup.
    pub literal: bool,
}

impl Destination {
    /// "domain", "[host]", "domain:port", "[address]:service".
    pub fn parse(text: &str, default_port: u16) -> Result<Destination, Unreachable> {
        let text = text.trim();
        let wrong = |what: String| Unreachable::temporary(Code::new(4, 3, 5), what);
        let (name, port, literal) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inner, after) = rest
                    .split_once(']')
                    .ok_or_else(|| wrong(format!("missing \"]\" in server description: {text}")))?;
                (inner, after.strip_prefix(':'), true)
            }
            None => match text.rsplit_once(':') {
                Some((name, port)) => (name, Some(port), false),
                None => (text, None, false),
            },
        };
        let port = match port.filter(|port| !port.is_empty()) {
            Some(port) => resolve::port_number(port).ok_or_else(|| wrong(format!("unknown service: {port}/tcp")))?,
            None => default_port,
        };
        Ok(Destination { name: name.to_owned(), port, literal })
    }
}

/// A host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub address: SocketAddr,
    pub preference: u16,
}

impl Host {
    /// "mx.example.org[192.0.2.1]:25"
    pub fn shown(&self) -> String {
        format!("{}[{}]:{}", self.name, self.address.ip(), self.address.port())
    }
}

/// Whom to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Host(Host),
    /// A socket of this machine (LMTP), below the queue directory unless it is absolute; `name` is our own.
    Socket {
        path: PathBuf,
        name: String,
    },
}

impl Peer {
    /// "mx.example.org[192.0.2.1]:25", "srv.example.org[private/dovecot-lmtp]"
    pub fn shown(&self) -> String {
        match self {
            Peer::Host(host) => host.shown(),
            Peer::Socket { .. } => self.name(),
        }
    }

    /// The same without a port.
    pub fn name(&self) -> String {
        match self {
            Peer::Host(host) => format!("{}[{}]", host.name, host.address.ip()),
            Peer::Socket { path, name } => format!("{name}[{}]", path.display()),
        }
    }
}

/// "Routing loop detected" (RFC 3463).
const LOOP: Code = Code::new(5, 4, 6);

/// Why nobody can be reached.
#[derive(Debug)]
pub struct Unreachable {
    pub report: Report,
    /// The destination itself does not answer, whoever the recipient.
    pub down: bool,
    pub relay: Option<String>,
    /// This machine is a mail host of the destination: a fallback relay could send the mail back here.
    pub found_self: bool,
    /// The connection is of no use any more.
    pub broken: bool,
    /// The same host may be asked again, without TLS.
    pub plain: bool,
}

impl Unreachable {
    pub fn of(report: Report) -> Unreachable {
        Unreachable { report, down: false, relay: None, found_self: false, broken: false, plain: false }
    }

    pub fn temporary(code: Code, text: impl Into<String>) -> Unreachable {
        Unreachable { down: true, ..Unreachable::of(Report::new(code, text)) }
    }

    pub fn permanent(code: Code, text: impl Into<String>) -> Unreachable {
        Unreachable::of(Report::new(code, text))
    }

    pub fn looping(name: &str) -> Unreachable {
        Unreachable {
            found_self: true,
            ..Unreachable::permanent(LOOP, format!("mail for {name} loops back to myself"))
        }
    }

    pub fn is_loop(&self) -> bool {
        self.report.code == LOOP
    }

    pub fn softened(mut self) -> Unreachable {
        self.report.code = self.report.code.softened();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Verdict;

    #[test]
    fn next_hops() {
        let parse = |text| {
            let Destination { name, port, literal } = Destination::parse(text, 25).unwrap();
            (name, port, literal)
        };
        assert_eq!(parse("virtualux.fr"), ("virtualux.fr".into(), 25, false));
        assert_eq!(parse("[127.0.0.1]:2525"), ("127.0.0.1".into(), 2525, true));
        assert_eq!(parse("[mail.example.org]"), ("mail.example.org".into(), 25, true));
        assert_eq!(parse("example.org:587"), ("example.org".into(), 587, false));
        assert_eq!(parse("example.org:smtp"), ("example.org".into(), 25, false));
        assert_eq!(parse("example.org:"), ("example.org".into(), 25, false));
        for wrong in ["[example.org", "example.org:no-such-service"] {
            assert_eq!(Destination::parse(wrong, 25).unwrap_err().report.verdict(), Verdict::Deferred);
        }
    }
}
