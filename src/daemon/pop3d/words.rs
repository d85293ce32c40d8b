//! The log in Dovecot's words: log readers, fail2ban among them, match on them. To syslog as "dovecot: ...", or to the
//! file of log_path with Dovecot's own time stamps.

use crate::conf::dovecot::Dovecot;
use crate::sys::syslog::{Severity, Syslog, facility};
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// Longest line.
const LONGEST: usize = 1000;

#[derive(Debug)]
enum Target {
    Syslog(u8),
    File(File),
}

/// Where lines go.
pub struct Words {
    target: Target,
    syslog: Option<Syslog>,
}

impl Words {
    /// Opens what log_path and syslog_facility say; a file that cannot be opened is replaced by syslog.
    pub fn open(conf: &Dovecot) -> Words {
        let path = conf.value("info_log_path", conf.value("log_path", "syslog"));
        let file = match path {
            "" | "syslog" => None,
            "/dev/stderr" => std::io::Write::flush(&mut std::io::stderr()).ok().and_then(|()| duplicate_of_stderr()),
            path => File::options().append(true).create(true).open(path).ok(),
        };
        match file {
            Some(file) => Words { target: Target::File(file), syslog: None },
            None => Words::syslog(facility(conf.value("syslog_facility", "mail")).unwrap_or(2)),
        }
    }

    fn syslog(facility: u8) -> Words {
        Words { target: Target::Syslog(facility), syslog: Some(Syslog::open()) }
    }

    /// The log of a process that got the open file from its parent, or syslog.
    pub fn inherited(file: Option<OwnedFd>) -> Words {
        match file {
            Some(file) => Words { target: Target::File(file.into()), syslog: None },
            None => Words::syslog(2),
        }
    }

    /// The open file to hand to a child, if lines go to a file.
    pub fn file(&self) -> Option<OwnedFd> {
        match &self.target {
            Target::File(file) => file.try_clone().ok().map(OwnedFd::from),
            Target::Syslog(_) => None,
        }
    }

    pub fn info(&self, who: &str, text: &str) {
        self.line(Severity::Info, who, "Info", text);
    }

    pub fn warning(&self, who: &str, text: &str) {
        self.line(Severity::Warning, who, "Warning", text);
    }

    pub fn error(&self, who: &str, text: &str) {
        self.line(Severity::Error, who, "Error", text);
    }

    fn line(&self, severity: Severity, who: &str, kind: &str, text: &str) {
        // In a file every line names its kind; in syslog, whose lines have a severity of their own, information does
        // not. Both are the reference's habit.
        let plain = severity == Severity::Info && self.syslog.is_some();
        let mut line: String = if plain { format!("{who}: {text}") } else { format!("{who}: {kind}: {text}") }
            .chars()
            .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
            .collect();
        while line.len() > LONGEST {
            line.pop();
        }
        let stamp = jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string();
        match &self.target {
            Target::File(file) => {
                let _ = (&*file).write_all(format!("{stamp} {line}\n").as_bytes());
            }
            Target::Syslog(facility) => {
                let stamp = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
                if let Some(syslog) = &self.syslog {
                    syslog.send(*facility, severity, format!("{stamp} dovecot: {line}").as_bytes());
                }
            }
        }
    }
}

fn duplicate_of_stderr() -> Option<File> {
    use std::os::fd::AsFd;
    std::io::stderr().as_fd().try_clone_to_owned().ok().map(File::from)
}

/// A name for a session: time, port and address in base64, as the reference makes them.
pub fn session_name(port: u16, remote: IpAddr, microseconds: u64) -> String {
    let mut bytes = microseconds.to_le_bytes()[..6].to_vec();
    bytes.extend_from_slice(&port.to_le_bytes());
    match remote {
        IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
    }
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut name = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            name.push(char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_end_in_the_address() {
        let name = session_name(50102, "127.0.0.1".parse().unwrap(), 0x0003_0105_c81d_5a00);
        assert_eq!(name.len(), 16);
        assert!(name.ends_with("/AAAB"), "{name}");
    }
}
