//! Names of addresses and addresses of names, by the C library (files, DNS: whatever nsswitch.conf says). Blocking.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Nobody answered: another time the answer may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// The name of an address, by getnameinfo(3). None: it has none.
pub fn name_of(address: IpAddr) -> Result<Option<String>, NoAnswer> {
    let socket = socket2::SockAddr::from(SocketAddr::new(address, 0));
    let mut host = [0 as libc::c_char; 1025];
    // SAFETY: the address comes from a valid SockAddr with its own length; the buffer's length is given; no service
    // is asked for.
    let status = unsafe {
        libc::getnameinfo(
            socket.as_ptr().cast(),
            socket.len(),
            host.as_mut_ptr(),
            host.len() as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if status == libc::EAI_AGAIN {
        return Err(NoAnswer);
    }
    if status != 0 {
        return Ok(None);
    }
    let bytes: Vec<u8> = host.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
    let Ok(name) = String::from_utf8(bytes) else { return Ok(None) };
    let name = name.trim_end_matches('.');
    // A PTR record is the client's to write: only what looks like a name is one.
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !name.is_empty() && name.len() <= 255 && name.chars().all(fine) && name.parse::<IpAddr>().is_err();
    Ok(is_name.then(|| name.to_owned()))
}

/// Why a name has no addresses; `temporary`: it may have one tomorrow.
#[derive(Debug)]
pub struct LookupError {
    pub reason: String,
    pub temporary: bool,
}

impl LookupError {
    /// The C library's words for a name that exists and has no address.
    pub const NO_ADDRESS: &str = "No address associated with hostname";
}

/// The addresses of a name.
pub fn addresses(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    match (name, 0u16).to_socket_addrs() {
        Ok(found) => Ok(found.map(|address| address.ip().to_canonical()).collect()),
        Err(error) => {
            let text = error.to_string();
            let reason = text.rsplit_once("information: ").map_or(text.as_str(), |(_, reason)| reason).to_owned();
            // What else there is says nothing about the name.
            let temporary = !matches!(reason.as_str(), "Name or service not known" | LookupError::NO_ADDRESS);
            Err(LookupError { reason, temporary })
        }
    }
}

/// A port's number, by itself or by its name in /etc/services.
pub fn port_number(name: &str) -> Option<u16> {
    if let Ok(port) = name.parse() {
        return Some(port);
    }
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    for line in services.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(first), Some(port)) = (words.next(), words.next()) else { continue };
        if (first == name || words.any(|alias| alias == name))
            && let Some(port) = port.strip_suffix("/tcp")
        {
            return port.parse().ok();
        }
    }
    // Machines without /etc/services (containers) still know these.
    match name {
        "smtp" => Some(25),
        "submission" => Some(587),
        "smtps" | "submissions" => Some(465),
        "pop3" => Some(110),
        _ => None,
    }
}
