//! The session after the login: this process is the user, has one client on a socket and one mailbox, and ends with
//! either. Reads and writes block, with a time limit on each.

use super::maildir::MaildirDrop;
use super::maildrop::{Maildrop, MboxDrop};
use super::wire::{MESSAGE, Start};
use super::words::Words;
use crate::mailbox::mbox::MboxError;
use crate::proto::pop3::{
    Command, Encoder, Lines, Number, SESSION_LINE, SESSION_MISTAKES, reply, session_capabilities,
};
use crate::sys::spawn;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// RFC 1939 asks for at least ten minutes.
const IDLE: Duration = Duration::from_secs(600);
/// Descriptors of a session process.
pub const CLIENT: i32 = 3;
pub const START: i32 = 4;
pub const LOG: i32 = 5;

/// Counted for the log.
#[derive(Default)]
struct Traffic {
    tops: (u64, u64),
    retrieved: (u64, u64),
    deleted: usize,
}

/// Why a session ends.
enum End {
    LoggedOut,
    Closed,
    Idle,
    TooManyMistakes,
    LineTooLong,
    Storage,
}

/// The process: descriptors 3 (client), 4 (what to do, [`Start`]) and perhaps 5 (log file).
pub fn run() -> io::Result<()> {
    let missing = || io::Error::other("not started by pop3d");
    let client = TcpStream::from(spawn::inherited(CLIENT).ok_or_else(missing)?);
    let mut message = Vec::new();
    let start = std::fs::File::from(spawn::inherited(START).ok_or_else(missing)?);
    start.take(MESSAGE as u64).read_to_end(&mut message)?;
    let start = Start::decode(&message).ok_or_else(missing)?;
    let log = Words::inherited(spawn::inherited(LOG));
    let _ = crate::sys::privilege::forbid_new_privileges();
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(IDLE))?;
    client.set_write_timeout(Some(IDLE))?;
    let _ = client.set_nodelay(true);
    let who = format!("pop3({})<{}><{}>", start.user, std::process::id(), start.session);
    let path = Path::new(std::ffi::OsStr::new(bytes_as_os(&start.mailbox)));
    let state = (!start.state.is_empty()).then(|| Path::new(std::ffi::OsStr::new(bytes_as_os(&start.state))));
    if let Some(state) = state {
        let _ = std::fs::create_dir_all(state);
    }
    let state = state.filter(|state| state.is_dir());
    let mut session = Session { client, out: Vec::new(), traffic: Traffic::default(), uidl_format: &start.uidl_format };
    let opened: Result<Box<dyn Maildrop>, MboxError> = if start.kind == "maildir" {
        MaildirDrop::open(path, state).map(|drop| Box::new(drop) as _).map_err(MboxError::from)
    } else {
        MboxDrop::open(path, state, start.flags != "n").map(|drop| Box::new(drop) as _)
    };
    let mut drop = match opened {
        Ok(drop) => drop,
        Err(error) => {
            log.error(&who, &format!("Couldn't open INBOX {}: {error}", path.display()));
            session.say(&format!("-ERR {}", storage(&error)));
            return session.flush();
        }
    };
    session.say("+OK Logged in.");
    let messages = drop.entries().len();
    let size: u64 = drop.entries().iter().map(|entry| entry.size).sum();
    let end = session.serve(drop.as_mut(), &start.rest, &log, &who);
    let reason = match end {
        End::LoggedOut => "Disconnected: Logged out",
        End::Closed => "Disconnected: Connection closed",
        End::Idle => "Disconnected for inactivity",
        End::TooManyMistakes => "Disconnected: Too many bad commands.",
        End::LineTooLong => "Disconnected: Input line too long",
        End::Storage => "Disconnected: Storage error during logout.",
    };
    let counts = logout(&start.logout_format, &session.traffic, messages, size);
    log.info(&who, &format!("{reason} {counts}"));
    Ok(())
}

fn bytes_as_os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// "top=0/0, retr=2/746, del=1/2, size=714" by pop3_logout_format.
fn logout(format: &str, traffic: &Traffic, messages: usize, size: u64) -> String {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        text.push_str(&match letters.next() {
            Some('t') => traffic.tops.0.to_string(),
            Some('p') => traffic.tops.1.to_string(),
            Some('r') => traffic.retrieved.0.to_string(),
            Some('b') => traffic.retrieved.1.to_string(),
            Some('d') => traffic.deleted.to_string(),
            Some('m') => messages.to_string(),
            Some('s') => size.to_string(),
            Some(other) => other.to_string(),
            None => "%".to_owned(),
        });
    }
    text
}

/// The reply text for a mailbox that fails us.
fn storage(error: &MboxError) -> &'static str {
    match error {
        MboxError::Locked => "[IN-USE] Timeout while waiting for lock",
        MboxError::NotMbox => "[SYS/PERM] Mailbox isn't a valid mbox file",
        MboxError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => "[SYS/PERM] Permission denied",
        _ => "[SYS/TEMP] Internal error occurred. Refer to server log for more information.",
    }
}

struct Session<'s> {
    client: TcpStream,
    out: Vec<u8>,
    traffic: Traffic,
    uidl_format: &'s str,
}

impl Session<'_> {
    fn say(&mut self, text: &str) {
        self.out.extend(reply(text));
    }

    fn flush(&mut self) -> io::Result<()> {
        let sent = self.client.write_all(&self.out);
        self.out.clear();
        sent
    }

    /// Answers commands until the end. Replies are sent when no whole command is left to read, so that pipelined
    /// commands cost one packet.
    fn serve(&mut self, drop: &mut dyn Maildrop, rest: &[u8], log: &Words, who: &str) -> End {
        let mut lines = Lines::default();
        lines.push(rest);
        let mut mistakes = 0;
        let mut buffer = [0; 8192];
        loop {
            while let Some(line) = lines.next_line() {
                if line.len() > SESSION_LINE {
                    return End::LineTooLong;
                }
                match Command::parse(&line) {
                    Command::Quit => return self.quit(drop, log, who),
                    Command::Wrong(text, unknown) => {
                        self.say(&text);
                        mistakes = if unknown { mistakes + 1 } else { 0 };
                        if mistakes >= SESSION_MISTAKES {
                            self.say("-ERR Too many bad commands.");
                            let _ = self.flush();
                            return End::TooManyMistakes;
                        }
                    }
                    command => {
                        mistakes = 0;
                        if let Err(error) = self.answer(command, drop) {
                            if !matches!(error, MboxError::Io(_)) {
                                log.error(who, &error.to_string());
                            }
                            return End::Closed;
                        }
                    }
                }
                if self.out.len() > 64 * 1024 && self.flush().is_err() {
                    return End::Closed;
                }
            }
            if lines.pending() > SESSION_LINE {
                return End::LineTooLong;
            }
            if self.flush().is_err() {
                return End::Closed;
            }
            match self.client.read(&mut buffer) {
                Ok(0) => return End::Closed,
                Ok(count) => lines.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    self.say("-ERR Disconnected for inactivity.");
                    let _ = self.flush();
                    return End::Idle;
                }
                Err(_) => return End::Closed,
            }
        }
    }

    /// The message of this number in the list; otherwise the complaint is said.
    fn place(&mut self, drop: &dyn Maildrop, number: Number) -> Option<usize> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        match place.and_then(|place| drop.entries().get(place)) {
            None => {
                self.say(&format!("-ERR There's no message {number}."));
                None
            }
            Some(entry) if entry.deleted => {
                self.say("-ERR Message is deleted.");
                None
            }
            Some(_) => place,
        }
    }

    fn answer(&mut self, command: Command, drop: &mut dyn Maildrop) -> Result<(), MboxError> {
        match command {
            Command::Capa => self.out.extend(session_capabilities()),
            Command::Stat => {
                let (count, size) = drop.totals();
                self.say(&format!("+OK {count} {size}"));
            }
            Command::List(None) => {
                self.say(&format!("+OK {} messages:", drop.totals().0));
                self.list(drop, |entry, _| entry.size.to_string());
            }
            Command::Uidl(None) => {
                self.say("+OK");
                let format = self.uidl_format.to_owned();
                self.list(drop, |entry, validity| uidl(&format, entry.uid, validity));
            }
            Command::List(Some(number)) => {
                if let Some(place) = self.place(drop, number) {
                    self.say(&format!("+OK {number} {}", drop.entries()[place].size));
                }
            }
            Command::Uidl(Some(number)) => {
                if let Some(place) = self.place(drop, number) {
                    let uid = uidl(self.uidl_format, drop.entries()[place].uid, drop.validity());
                    self.say(&format!("+OK {number} {uid}"));
                }
            }
            Command::Retr(number) => {
                if let Some(place) = self.place(drop, number) {
                    let head = format!("+OK {} octets", drop.entries()[place].size);
                    let sent = self.send(drop, place, None, &head)?;
                    self.traffic.retrieved.0 += u64::from(sent > 0);
                    self.traffic.retrieved.1 += sent;
                }
            }
            Command::Top(number, lines) => {
                if let Some(place) = self.place(drop, number) {
                    let sent = self.send(drop, place, Some(lines), "+OK")?;
                    self.traffic.tops.0 += u64::from(sent > 0);
                    self.traffic.tops.1 += sent;
                }
            }
            Command::Dele(number) => {
                if let Some(place) = self.place(drop, number) {
                    drop.entries_mut()[place].deleted = true;
                    self.say("+OK Marked to be deleted.");
                }
            }
            Command::Rset => {
                drop.entries_mut().iter_mut().for_each(|entry| entry.deleted = false);
                self.say("+OK");
            }
            Command::Noop => self.say("+OK"),
            Command::Quit | Command::Wrong(..) => {}
        }
        Ok(())
    }

    fn list(&mut self, drop: &dyn Maildrop, value: impl Fn(&super::maildrop::Entry, u32) -> String) {
        for (place, entry) in drop.entries().iter().enumerate().filter(|(_, entry)| !entry.deleted) {
            let line = format!("{} {}", place + 1, value(entry, drop.validity()));
            self.say(&line);
        }
        self.say(".");
    }

    /// Sends a message; the bytes that were sent (without the last dot), 0 if there is none any more.
    fn send(
        &mut self,
        drop: &mut dyn Maildrop,
        place: usize,
        lines: Option<u64>,
        head: &str,
    ) -> Result<u64, MboxError> {
        let mut encoder = Encoder::default();
        let (out, client) = (&mut self.out, &mut self.client);
        let before = out.len();
        out.extend(reply(head));
        let mut sent = 0;
        let found = drop.read(place, lines, &mut |bytes| {
            encoder.push(bytes, out);
            if out.len() > 128 * 1024 {
                client.write_all(out)?;
                sent += out.len() as u64;
                out.clear();
            }
            Ok(())
        })?;
        if !found {
            self.out.truncate(before);
            self.say(&format!("-ERR Message {} expunged.", place + 1));
            return Ok(0);
        }
        encoder.finish(out);
        let total = sent + out.len() as u64;
        Ok(total.saturating_sub(before as u64 + b".\r\n".len() as u64))
    }

    fn quit(&mut self, drop: &mut dyn Maildrop, log: &Words, who: &str) -> End {
        let count = drop.entries().iter().filter(|entry| entry.deleted).count();
        match drop.commit() {
            Ok(()) => {
                self.traffic.deleted = count;
                self.say(if count > 0 { "+OK Logging out, messages deleted." } else { "+OK Logging out." });
                let _ = self.flush();
                End::LoggedOut
            }
            Err(error) => {
                log.error(who, &format!("Couldn't delete messages: {error}"));
                self.say(&format!("-ERR {}", storage(&error)));
                let _ = self.flush();
                End::Storage
            }
        }
    }
}

/// pop3_uidl_format: %u UID, %v UIDVALIDITY, with X or width ("%08Xu%08Xv").
fn uidl(format: &str, uid: u32, validity: u32) -> String {
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let hex = letters.next_if_eq(&'X').is_some();
        let width = digits.parse::<usize>().unwrap_or(0).min(64);
        let value = match letters.next() {
            Some('u') => uid,
            Some('v') => validity,
            other => {
                text.extend(other);
                continue;
            }
        };
        let value = if hex { format!("{value:x}") } else { value.to_string() };
        let fill = if digits.starts_with('0') { "0" } else { " " };
        text.push_str(&fill.repeat(width.saturating_sub(value.len())));
        text.push_str(&value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uidl_formats() {
        assert_eq!(uidl("%08Xu%08Xv", 1, 0x6b05_657c), "000000016b05657c");
        assert_eq!(uidl("%v.%u", 12, 7), "7.12");
        assert_eq!(uidl("UID%u-%v", 12, 7), "UID12-7");
    }

    #[test]
    fn the_last_line_in_the_log() {
        let traffic = Traffic { tops: (1, 359), retrieved: (2, 746), deleted: 1 };
        assert_eq!(
            logout("top=%t/%p, retr=%r/%b, del=%d/%m, size=%s", &traffic, 2, 714),
            "top=1/359, retr=2/746, del=1/2, size=714"
        );
    }
}
