//! One-byte wake-up calls to a service's socket, as the reference sends them: 'W' to pickup; 'I' (incoming),
//! 'D' (deferred), 'A' (ignore the time stamps), 'F' (flush: all of them) to qmgr.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// New mail in maildrop.
pub const WAKEUP: &[u8] = b"W";
/// New mail in incoming.
pub const INCOMING: &[u8] = b"I";
/// Scan deferred, whatever the time stamps say, and forget dead destinations.
pub const FLUSH: &[u8] = b"DFA";

/// Try this message now: not the reference's, whose flush(8) has a protocol of its own.
pub const ONE: u8 = b'i';

/// The request to try one message.
pub fn one(id: impl std::fmt::Display) -> Vec<u8> {
    format!("{}{id}", char::from(ONE)).into_bytes()
}

/// Try what waits for a site now, likewise.
pub const SITE: u8 = b's';

/// The request to try what waits for a site.
pub fn site(domain: &str) -> Vec<u8> {
    format!("{}{domain}", char::from(SITE)).into_bytes()
}

/// A host name, or an address in brackets.
pub fn is_site(site: &str) -> bool {
    if let Some(inside) = site.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
            Some(tag) => inside[tag.len()..].parse::<std::net::Ipv6Addr>().is_ok(),
            None => inside.parse::<std::net::Ipv4Addr>().is_ok(),
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    site.len() < 256
        && site.split('.').all(label)
        && !site.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}

/// Longest request: a site's name is at most 255 bytes (RFC 1035 section 2.3.4).
pub const LONGEST: usize = 256;

/// The reference's sentence for a service that did not hear; none for its queue manager when that is only down.
pub fn unheard(service: &str, error: &io::Error) -> Option<String> {
    let reason = crate::sys::files::reason(error);
    match (service, error.kind()) {
        ("flush", _) => Some(format!("connect to public/flush: {reason}")),
        (_, io::ErrorKind::NotFound) => Some(format!("unable to look up public/{service}: {reason}")),
        _ => None,
    }
}

/// Sends `code` to the service at `socket`. A service that is busy will look anyway, so a full socket is no error.
pub fn send(socket: &Path, code: &[u8]) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    match stream.write_all(code) {
        // Accepted and closed before it was read: the call was heard all the same.
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::BrokenPipe) => Ok(()),
        other => other,
    }
}
