//! [`Login`]: the part of a POP3 connection before a password was accepted (RFC 1939's authorisation state, RFC 5034).

use super::lines::{Lines, split_command};
use super::{SESSION_CAPABILITIES, reply};
use data_encoding::BASE64;
use std::fmt;

/// Bytes of one command before the login; more ends the connection.
pub const LOGIN_LINE: usize = 8192;
/// Unknown commands before the login that end the connection.
const LOGIN_MISTAKES: u8 = 3;

/// A name and password, to be verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: Vec<u8>,
    pub password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", String::from_utf8_lossy(&self.user))
    }
}

/// What happens next before the login.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Read more.
    More,
    Reply(Vec<u8>),
    /// Verify these, then go on with [`Login::refused`] or hand the connection over with [`Login::rest`].
    Verify(Credentials),
    /// Say this, shake hands, and go on with [`Login::encrypted`].
    StartTls(Vec<u8>),
    /// Say this and close.
    Close(Vec<u8>, Ending),
}

/// Why a connection without login ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    LoggedOut,
    TooManyMistakes,
    LineTooLong,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Unknown,
    Offered,
    Active,
}

/// A connection before the login.
#[derive(Debug)]
pub struct Login {
    lines: Lines,
    greeting: String,
    /// Whether passwords may come in the clear.
    plain: bool,
    tls: Tls,
    user: Option<Vec<u8>>,
    /// The next line is the response to AUTH PLAIN.
    response_due: bool,
    mistakes: u8,
}

impl Login {
    pub fn new(greeting: &str, plain: bool, tls: Tls) -> Login {
        Login {
            lines: Lines::default(),
            greeting: greeting.to_owned(),
            plain,
            tls,
            user: None,
            response_due: false,
            mistakes: 0,
        }
    }

    /// The handshake is over. What came before it in the clear is forgotten (CVE-2011-0411), and passwords may come.
    pub fn encrypted(&mut self) {
        self.lines = Lines::default();
        self.user = None;
        self.response_due = false;
        self.plain = true;
        self.tls = Tls::Active;
    }

    pub fn greeting(&self) -> Vec<u8> {
        format!("+OK {}\r\n", self.greeting).into_bytes()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// What was sent behind the password: the session's first commands.
    pub fn rest(&mut self) -> Vec<u8> {
        self.lines.rest()
    }

    /// The reply to credentials that are wrong; `temporary` when they could not be checked.
    pub fn refused(&mut self, temporary: bool) -> Vec<u8> {
        if temporary {
            reply("-ERR [SYS/TEMP] Temporary authentication failure.")
        } else {
            reply("-ERR [AUTH] Authentication failed.")
        }
    }

    pub fn step(&mut self) -> Step {
        let Some(line) = self.lines.next_line() else {
            return if self.lines.pending() > LOGIN_LINE { too_long() } else { Step::More };
        };
        if line.len() > LOGIN_LINE {
            return too_long();
        }
        if std::mem::take(&mut self.response_due) {
            return self.response(&line);
        }
        let (command, argument) = split_command(&line);
        match command.as_slice() {
            b"CAPA" => Step::Reply(self.capabilities()),
            b"USER" if !self.plain => Step::Reply(no_plain()),
            b"USER" => {
                self.user = Some(argument.to_vec());
                Step::Reply(reply("+OK"))
            }
            b"PASS" => match self.user.take() {
                // The password is everything after the first blank, blanks included.
                Some(user) => Step::Verify(Credentials { user, password: line.get(5..).unwrap_or_default().to_vec() }),
                None => Step::Reply(reply("-ERR No username given.")),
            },
            b"AUTH" => self.auth(argument),
            b"APOP" => Step::Reply(reply("-ERR APOP not enabled.")),
            b"STLS" => match self.tls {
                Tls::Unknown => Step::Reply(reply("-ERR TLS support isn't enabled.")),
                Tls::Offered => Step::StartTls(reply("+OK Begin TLS negotiation now.")),
                Tls::Active => Step::Reply(reply("-ERR TLS is already active.")),
            },
            b"QUIT" => Step::Close(reply("+OK Logging out"), Ending::LoggedOut),
            _ => {
                self.mistakes += 1;
                let mut said = reply("-ERR Unknown command.");
                if self.mistakes < LOGIN_MISTAKES {
                    return Step::Reply(said);
                }
                said.extend(reply("-ERR Too many invalid bad commands."));
                Step::Close(said, Ending::TooManyMistakes)
            }
        }
    }

    fn capabilities(&self) -> Vec<u8> {
        let mut said = SESSION_CAPABILITIES.to_owned();
        if self.tls == Tls::Offered {
            said.push_str("STLS\r\n");
        }
        if self.plain {
            said.push_str("USER\r\nSASL PLAIN\r\n");
        } else {
            said.push_str("SASL\r\n");
        }
        said.push_str(".\r\n");
        said.into_bytes()
    }

    fn auth(&mut self, argument: &[u8]) -> Step {
        let (mechanism, initial) = split_command(argument);
        match mechanism.as_slice() {
            b"" if self.plain => Step::Reply(b"+OK\r\nPLAIN\r\n.\r\n".to_vec()),
            b"" => Step::Reply(b"+OK\r\n.\r\n".to_vec()),
            b"PLAIN" if !self.plain => Step::Reply(no_plain()),
            b"PLAIN" if initial.is_empty() => {
                self.response_due = true;
                Step::Reply(b"+ \r\n".to_vec())
            }
            // "=" is an empty initial response (RFC 5034).
            b"PLAIN" if initial == b"=" => self.response(b""),
            b"PLAIN" => self.response(initial),
            _ => Step::Reply(reply("-ERR [AUTH] Unsupported authentication mechanism.")),
        }
    }

    /// The client's response: base64 of "authorisation NUL user NUL password".
    fn response(&mut self, line: &[u8]) -> Step {
        if line == b"*" {
            return Step::Reply(reply("-ERR Authentication aborted by client."));
        }
        // With padding, and nothing but the alphabet, as the reference asks.
        let Ok(decoded) = BASE64.decode(line) else {
            return Step::Reply(reply("-ERR [AUTH] Invalid base64 in response"));
        };
        let mut parts = decoded.split(|&byte| byte == 0);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authorisation), Some(user), Some(password), None)
                if !user.is_empty() && (authorisation.is_empty() || authorisation == user) =>
            {
                Step::Verify(Credentials { user: user.to_vec(), password: password.to_vec() })
            }
            // To be refused like a wrong password, with its delay: an empty name is nobody's.
            _ => Step::Verify(Credentials { user: Vec::new(), password: Vec::new() }),
        }
    }
}

fn no_plain() -> Vec<u8> {
    reply("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
}

fn too_long() -> Step {
    Step::Close(reply("-ERR Input buffer full, aborting"), Ending::LineTooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(login: &mut Login, input: &[u8]) -> (String, Option<Credentials>) {
        login.push(input);
        let mut said = String::new();
        loop {
            match login.step() {
                Step::More => return (said, None),
                Step::Reply(reply) => said.push_str(&String::from_utf8_lossy(&reply)),
                Step::Close(reply, _) => {
                    said.push_str(&String::from_utf8_lossy(&reply));
                    return (said + "<EOF>", None);
                }
                Step::StartTls(reply) => {
                    said.push_str(&String::from_utf8_lossy(&reply));
                    login.encrypted();
                }
                Step::Verify(credentials) => return (said, Some(credentials)),
            }
        }
    }

    fn credentials(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials { user: user.into(), password: password.into() })
    }

    #[test]
    fn names_and_passwords() {
        let login = || Login::new("Dovecot (Debian) ready.", true, Tls::Unknown);
        let mut one = login();
        assert_eq!(
            talk(&mut one, b"user toto\r\npass a b \r\nSTAT\r\n"),
            ("+OK\r\n".into(), credentials("toto", "a b "))
        );
        assert_eq!(one.rest(), b"STAT\r\n");
        assert_eq!(talk(&mut login(), b"PASS x\n").0, "-ERR No username given.\r\n");
        assert_eq!(talk(&mut login(), b"AUTH\r\n").0, "+OK\r\nPLAIN\r\n.\r\n");
        assert_eq!(talk(&mut login(), b"AUTH PLAIN AHRvdG8AdG90bw==\r\n").1, credentials("toto", "toto"));
        assert_eq!(
            talk(&mut login(), b"AUTH PLAIN\r\nAHRvdG8AdG90bw==\r\n"),
            ("+ \r\n".into(), credentials("toto", "toto"))
        );
        assert!(talk(&mut Login::new("x", false, Tls::Unknown), b"USER a\r\n").0.starts_with("-ERR [AUTH] Plaintext"));
    }

    #[test]
    fn mistakes_end_the_connection() {
        let mut login = Login::new("x", true, Tls::Unknown);
        let (said, _) = talk(&mut login, b"NOOP\r\nSTAT\r\nFOO\r\n");
        assert_eq!(said, "-ERR Unknown command.\r\n".repeat(3) + "-ERR Too many invalid bad commands.\r\n<EOF>");
        let mut login = Login::new("x", true, Tls::Unknown);
        assert_eq!(talk(&mut login, &[b'x'; 100_000]).0, "-ERR Input buffer full, aborting\r\n<EOF>");
    }

    #[test]
    fn base64_is_strict() {
        for wrong in ["A", "A===", "A=AA", "AA A", "===="] {
            let said =
                talk(&mut Login::new("x", true, Tls::Unknown), format!("AUTH PLAIN\r\n{wrong}\r\n").as_bytes()).0;
            assert_eq!(said, "+ \r\n-ERR [AUTH] Invalid base64 in response\r\n", "{wrong}");
        }
    }

    #[test]
    fn encryption_forgets_what_came_before_it() {
        let mut login = Login::new("x", false, Tls::Offered);
        assert!(talk(&mut login, b"CAPA\r\n").0.contains("\r\nSTLS\r\nSASL\r\n"));
        let (said, _) = talk(&mut login, b"STLS\r\nUSER toto\r\nPASS injected\r\n");
        assert_eq!(said, "+OK Begin TLS negotiation now.\r\n");
        assert_eq!(
            talk(&mut login, b"PASS x\r\nSTLS\r\n").0,
            "-ERR No username given.\r\n-ERR TLS is already active.\r\n"
        );
        assert!(!talk(&mut login, b"CAPA\r\n").0.contains("STLS"));
    }
}
