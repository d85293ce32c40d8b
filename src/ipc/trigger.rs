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
