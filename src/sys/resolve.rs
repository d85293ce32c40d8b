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

/// The addresses of a name. None: nobody answered; an empty list: there are none.
pub fn addresses_of(name: &str) -> Option<Vec<IpAddr>> {
    match (name, 0u16).to_socket_addrs() {
        Ok(found) => Some(found.map(|address| address.ip().to_canonical()).collect()),
        Err(_) => None,
    }
}
