//! One datagram a line to /dev/log, RFC 3164 as the C library writes it: "<PRI>Mmm dd hh:mm:ss TAG[PID]: TEXT".
//! The timestamp is the sender's; the daemon behind the socket adds the host.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

/// Where the local syslog daemon listens.
const SOCKET: &str = "/dev/log";

/// syslog's numbers of severity, for the ones in use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// The number of a facility name as main.cf's syslog_facility spells it; None for an unknown one.
pub fn facility(name: &str) -> Option<u8> {
    const NAMES: &[(&str, u8)] = &[
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
    NAMES.iter().find(|(known, _)| *known == name).map(|&(_, number)| number)
}

/// A connection to the syslog daemon that is made when needed and made again after the daemon restarts.
pub struct Syslog {
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    /// Connects at once, so that a later chroot or sandbox does not cut the way.
    pub fn open() -> Syslog {
        Syslog { socket: Mutex::new(connect().ok()) }
    }

    /// Connects with the first line.
    pub fn on_demand() -> Syslog {
        Syslog { socket: Mutex::new(None) }
    }

    /// Sends one line; `stamped` begins with the timestamp. A daemon that is away loses the line, never the mail.
    pub fn send(&self, facility: u8, severity: Severity, stamped: &[u8]) {
        let mut datagram = format!("<{}>", u32::from(facility) * 8 + severity as u32).into_bytes();
        datagram.extend_from_slice(stamped);
        let Ok(mut socket) = self.socket.lock() else { return };
        if socket.as_ref().is_some_and(|socket| socket.send(&datagram).is_ok()) {
            return;
        }
        *socket = connect().ok();
        if let Some(socket) = socket.as_ref() {
            let _ = socket.send(&datagram);
        }
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SOCKET)?;
    Ok(socket)
}
