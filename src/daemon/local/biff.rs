//! "You have new mail" for comsat(8): a datagram "user@offset" to this machine, offset being where the message begins in the
//! mailbox. Whether anybody hears it is not known, there or here.

use std::net::UdpSocket;

/// biff/udp (IANA).
const PORT: u16 = 512;

pub fn notify(user: &str, offset: u64) {
    if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
        let _ = socket.send_to(format!("{user}@{offset}").as_bytes(), ("127.0.0.1", PORT));
    }
}
