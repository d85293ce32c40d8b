//! POP3 (RFC 1939, 2449, 5034) as Dovecot 2.3 speaks it, word for word: clients and monitoring match on the texts.
//! Pure: bytes go in, replies and decisions come out. [`Login`] is the part before a password was accepted, [`Command`]
//! the part after it, [`Encoder`] turns stored bytes into the transmitted form. Sockets belong to the role.

use std::fmt;

/// Bytes of one command before the login; more ends the connection.
pub const LOGIN_LINE: usize = 8192;
/// Bytes of one command after it.
pub const SESSION_LINE: usize = 8192;
/// Unknown commands before the login that end the connection.
const LOGIN_MISTAKES: u8 = 3;
/// Unknown commands after the login that end the connection.
pub const SESSION_MISTAKES: u8 = 20;

/// Splits input into lines; a lone line feed ends one, too.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// No newline before here.
    searched: usize,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its end.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let tail = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', tail).map(|found| found + self.searched) else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.get(self.at..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.at = end + 1;
        self.searched = self.at;
        Some(line)
    }

    /// Bytes that wait for the end of their line.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// What has not been read.
    pub fn rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.at);
        *self = Lines::default();
        rest
    }
}

/// The word before the first blank in upper case, and what follows the blanks.
fn split_command(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    let rest = line.get(end..).unwrap_or_default();
    let blanks = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
    (line[..end].to_ascii_uppercase(), &rest[blanks..])
}

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

/// A connection before the login.
#[derive(Debug)]
pub struct Login {
    lines: Lines,
    greeting: String,
    /// Whether passwords may come in the clear.
    plain: bool,
    user: Option<Vec<u8>>,
    /// The next line is the response to AUTH PLAIN.
    response_due: bool,
    mistakes: u8,
}

impl Login {
    pub fn new(greeting: &str, plain: bool) -> Login {
        Login {
            lines: Lines::default(),
            greeting: greeting.to_owned(),
            plain,
            user: None,
            response_due: false,
            mistakes: 0,
        }
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
            b"STLS" => Step::Reply(reply("-ERR TLS support isn't enabled.")),
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
        let Some(decoded) = base64(line) else {
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

const SESSION_CAPABILITIES: &str = "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n";

/// CAPA's answer after the login.
pub fn session_capabilities() -> Vec<u8> {
    format!("{SESSION_CAPABILITIES}.\r\n").into_bytes()
}

/// One line of a reply.
pub fn reply(text: &str) -> Vec<u8> {
    format!("{text}\r\n").into_bytes()
}

fn no_plain() -> Vec<u8> {
    reply("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
}

fn too_long() -> Step {
    Step::Close(reply("-ERR Input buffer full, aborting"), Ending::LineTooLong)
}

/// Strict base64 with padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| -> Option<u32> {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..text.len() - padding].chunks(4) {
        let mut bits = 0;
        for at in 0..4 {
            bits = bits << 6 | group.get(at).map_or(Some(0), |&byte| value(byte))?;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// A message number as it was given; whether there is such a message is the maildrop's to say.
pub type Number = u32;

/// A command after the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Capa,
    Stat,
    List(Option<Number>),
    Uidl(Option<Number>),
    Retr(Number),
    Top(Number, u64),
    Dele(Number),
    Rset,
    Noop,
    Quit,
    /// Not understood: the reply, and whether it counts as an unknown command.
    Wrong(String, bool),
}

impl Command {
    /// Reads a line. Arguments that a command does not take are passed over, as the reference does.
    pub fn parse(line: &[u8]) -> Command {
        let (name, argument) = split_command(line);
        let optional = |make: fn(Option<Number>) -> Command| match argument {
            b"" => make(None),
            _ => alone(argument).map_or_else(|wrong| wrong, |number| make(Some(number))),
        };
        let needed = |make: fn(Number) -> Command| alone(argument).map_or_else(|wrong| wrong, make);
        match name.as_slice() {
            b"CAPA" => Command::Capa,
            b"STAT" => Command::Stat,
            b"LIST" => optional(Command::List),
            b"UIDL" => optional(Command::Uidl),
            b"RETR" => needed(Command::Retr),
            b"DELE" => needed(Command::Dele),
            b"TOP" => top(argument).unwrap_or_else(|wrong| wrong),
            b"RSET" => Command::Rset,
            b"NOOP" => Command::Noop,
            b"QUIT" => Command::Quit,
            b"" => Command::Wrong("-ERR Unknown command.".into(), true),
            _ => Command::Wrong(format!("-ERR Unknown command: {}", shown(&name)), true),
        }
    }
}

fn wrong(what: &str, text: &[u8]) -> Command {
    Command::Wrong(format!("-ERR {what}: {}", shown(text)), false)
}

/// The message number that an argument begins with, and what follows it.
fn number(argument: &[u8]) -> Result<(Number, &[u8]), Command> {
    let digits = argument.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(wrong("Invalid message number", argument));
    }
    let (text, rest) = argument.split_at(digits);
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(number) => {
            Number::try_from(number).map(|number| (number, rest)).map_err(|_| wrong("Message number too large", rest))
        }
        None => Err(wrong("Message number too large", argument)),
    }
}

/// A message number and nothing else.
fn alone(argument: &[u8]) -> Result<Number, Command> {
    let (number, rest) = number(argument)?;
    if rest.is_empty() { Ok(number) } else { Err(wrong("Noise after message number", rest)) }
}

/// "NUMBER LINES"
fn top(argument: &[u8]) -> Result<Command, Command> {
    let (number, rest) = number(argument)?;
    let lines = rest.strip_prefix(b" ").ok_or_else(|| wrong("Noise after message number", rest))?.trim_ascii_start();
    let digits = lines.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(wrong("Invalid size", lines));
    }
    let (text, noise) = lines.split_at(digits);
    if !noise.is_empty() {
        return Err(wrong("Noise after size", noise));
    }
    let size = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    size.map(|size| Command::Top(number, size)).ok_or_else(|| wrong("Size too large", lines))
}

/// What a client sent, fit for a reply: one line of text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Turns a stored message into the transmitted form: CRLF line ends, dots doubled at line starts. Push all parts, then
/// finish.
#[derive(Debug)]
pub struct Encoder {
    line_start: bool,
    last: u8,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder { line_start: true, last: b'\n' }
    }
}

impl Encoder {
    /// Appends the transmitted form of `bytes`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            match line.strip_suffix(b"\n") {
                Some(text) => {
                    out.extend_from_slice(text);
                    if text.last().copied().unwrap_or(self.last) != b'\r' || (text.is_empty() && self.line_start) {
                        out.push(b'\r');
                    }
                    out.push(b'\n');
                    self.line_start = true;
                    self.last = b'\n';
                }
                None => {
                    out.extend_from_slice(line);
                    self.line_start = false;
                    self.last = line.last().copied().unwrap_or(self.last);
                }
            }
        }
    }

    /// The end: a missing last line end, and the dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
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
                Step::Verify(credentials) => return (said, Some(credentials)),
            }
        }
    }

    fn credentials(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials { user: user.into(), password: password.into() })
    }

    #[test]
    fn names_and_passwords() {
        let login = || Login::new("Dovecot (Debian) ready.", true);
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
        assert!(talk(&mut Login::new("x", false), b"USER a\r\n").0.starts_with("-ERR [AUTH] Plaintext"));
    }

    #[test]
    fn mistakes_end_the_connection() {
        let mut login = Login::new("x", true);
        let (said, _) = talk(&mut login, b"NOOP\r\nSTAT\r\nFOO\r\n");
        assert_eq!(said, "-ERR Unknown command.\r\n".repeat(3) + "-ERR Too many invalid bad commands.\r\n<EOF>");
        let mut login = Login::new("x", true);
        assert_eq!(talk(&mut login, &[b'x'; 100_000]).0, "-ERR Input buffer full, aborting\r\n<EOF>");
    }

    #[test]
    fn commands_and_their_mistakes() {
        for (line, want) in [
            ("RETR 0", Command::Retr(0)),
            ("list", Command::List(None)),
            ("LIST 1 x", Command::Wrong("-ERR Noise after message number:  x".into(), false)),
            ("RETR 1x", Command::Wrong("-ERR Noise after message number: x".into(), false)),
            ("TOP 1 1x", Command::Wrong("-ERR Noise after size: x".into(), false)),
            ("TOP 1 1 1", Command::Wrong("-ERR Noise after size:  1".into(), false)),
            ("", Command::Wrong("-ERR Unknown command.".into(), true)),
            ("TOP 1 0", Command::Top(1, 0)),
            ("STAT x", Command::Stat),
            ("LIST x", Command::Wrong("-ERR Invalid message number: x".into(), false)),
            ("RETR", Command::Wrong("-ERR Invalid message number: ".into(), false)),
            ("RETR 4294967297", Command::Wrong("-ERR Message number too large: ".into(), false)),
            (
                "RETR 99999999999999999999",
                Command::Wrong("-ERR Message number too large: 99999999999999999999".into(), false),
            ),
            ("TOP 1", Command::Wrong("-ERR Noise after message number: ".into(), false)),
            ("TOP 1 -1", Command::Wrong("-ERR Invalid size: -1".into(), false)),
            ("xyz", Command::Wrong("-ERR Unknown command: XYZ".into(), true)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line}");
        }
    }

    #[test]
    fn base64_is_strict() {
        assert_eq!(base64(b"AHRvdG8AdG90bw==").unwrap(), b"\0toto\0toto");
        assert_eq!(base64(b"").unwrap(), b"");
        for wrong in [&b"A"[..], b"A===", b"A=AA", b"AA A", b"===="] {
            assert_eq!(base64(wrong), None);
        }
    }

    proptest::proptest! {
        /// What goes out, undone by RFC 1939's rules, is the message with CRLF line ends, however it was pushed.
        #[test]
        fn a_message_survives(lines in proptest::collection::vec("[.\r a]{0,4}", 0..8), size in 1usize..9, last in proptest::bool::ANY) {
            let mut text = lines.join("\n").into_bytes();
            if last { text.push(b'\n'); }
            let (mut out, mut encoder) = (Vec::new(), Encoder::default());
            text.chunks(size).for_each(|part| encoder.push(part, &mut out));
            encoder.finish(&mut out);
            let body = out.strip_suffix(b".\r\n").unwrap();
            let mut undone = Vec::new();
            for line in body.split_inclusive(|&byte| byte == b'\n') {
                undone.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            }
            let mut want = Vec::new();
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let plain = line.strip_suffix(b"\n").unwrap_or(line);
                let plain = if line.ends_with(b"\n") { plain.strip_suffix(b"\r").unwrap_or(plain) } else { plain };
                want.extend_from_slice(plain);
                want.extend_from_slice(b"\r\n");
            }
            proptest::prop_assert_eq!(undone, want);
        }
    }
}
