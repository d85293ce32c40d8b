//! POP3 (RFC 1939, 2449, 5034) as Dovecot 2.3 speaks it, word for word: clients and monitoring match on the texts.
//! Pure: bytes go in, replies and decisions come out. Sockets belong to the role.

/// Commands after the login.
mod command;
/// Messages as they are sent.
mod encoder;
/// Input, line by line.
mod lines;
/// Before the login.
mod login;

pub use command::{Command, Number};
pub use encoder::Encoder;
pub use lines::Lines;
pub use login::{Credentials, Ending, LOGIN_LINE, Login, Step, Tls};

/// Bytes of one command after the login.
pub const SESSION_LINE: usize = 8192;
/// Unknown commands after the login that end the connection.
pub const SESSION_MISTAKES: u8 = 20;

const SESSION_CAPABILITIES: &str = "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n";

/// CAPA's answer after the login.
pub fn session_capabilities() -> Vec<u8> {
    format!("{SESSION_CAPABILITIES}.\r\n").into_bytes()
}

/// One line of a reply.
pub fn reply(text: &str) -> Vec<u8> {
    format!("{text}\r\n").into_bytes()
}
