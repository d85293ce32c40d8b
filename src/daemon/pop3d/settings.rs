//! What Dovecot's settings mean to this server, with their defaults as Debian's packages have them.

use crate::conf::dovecot::{Dovecot, DovecotError};
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where a user's mail is: the format, and the pattern of the inbox's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Mbox(String),
    Maildir(String),
}

/// Typed settings, read once by each process.
#[derive(Clone, Debug)]
pub struct Settings {
    pub conf: Dovecot,
    pub greeting: String,
    pub location: Location,
    pub failure_delay: u64,
    pub max_per_user_and_address: u64,
    pub first_valid_uid: u64,
    pub last_valid_uid: u64,
    /// Connections that have not logged in.
    pub client_limit: usize,
    /// Sessions.
    pub process_limit: usize,
}

impl Settings {
    /// Reads the file; without one at the usual place, the defaults hold.
    pub fn read(file: Option<&Path>) -> Result<Settings, DovecotError> {
        let usual = Path::new(crate::conf::dovecot::DEFAULT);
        let conf = match file {
            Some(file) => Dovecot::read(file)?,
            None if usual.exists() => Dovecot::read(usual)?,
            None => Dovecot::default(),
        };
        Settings::of(conf)
    }

    fn of(conf: Dovecot) -> Result<Settings, DovecotError> {
        let limit =
            |name, default| conf.number(name, default).map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Settings {
            greeting: conf.value("login_greeting", "Dovecot (Debian) ready.").to_owned(),
            location: location(conf.value("mail_location", "mbox:~/mail:INBOX=/var/mail/%u"))?,
            failure_delay: conf.seconds("auth_failure_delay", 2)?.min(60),
            max_per_user_and_address: conf.number("mail_max_userip_connections", 10)?,
            first_valid_uid: conf.number("first_valid_uid", 500)?,
            last_valid_uid: conf.number("last_valid_uid", 0)?,
            client_limit: limit("service pop3-login/client_limit", 10_000)?,
            process_limit: limit("service pop3/process_limit", 1024)?,
            conf,
        })
    }

    /// Addresses and ports to listen on: for pop3, and for pop3s where there is TLS.
    pub fn listeners(&self) -> Result<Vec<(IpAddr, u16)>, DovecotError> {
        let mut found = self.of_listener("inet_listener pop3", "110")?;
        if super::encryption::is_wanted(&self.conf) {
            found.extend(self.of_listener("inet_listener pop3s", "995")?);
        }
        Ok(found)
    }

    /// The port on which connections are encrypted from the beginning; None: there is none.
    pub fn encrypted_port(&self) -> Option<u16> {
        let port = self.conf.value("service pop3-login/inet_listener pop3s/port", "995").parse().ok();
        port.filter(|&port| port != 0 && super::encryption::is_wanted(&self.conf))
    }

    /// Whether a port was named in the configuration.
    pub fn names_port(&self, port: u16) -> bool {
        ["pop3", "pop3s"].iter().any(|name| {
            self.conf.value(&format!("service pop3-login/inet_listener {name}/port"), "") == port.to_string()
        })
    }

    fn of_listener(&self, name: &'static str, port: &str) -> Result<Vec<(IpAddr, u16)>, DovecotError> {
        let section = format!("service pop3-login/{name}/");
        let port = self.conf.value(&format!("{section}port"), port);
        let port: u16 = port.parse().map_err(|_| DovecotError::Value(name, format!("port {port}")))?;
        if port == 0 {
            return Ok(Vec::new());
        }
        let list = self.conf.value(&format!("{section}address"), self.conf.value("listen", "*, ::"));
        list.split([',', ' '])
            .filter(|word| !word.is_empty())
            .map(|word| match word {
                "*" => Ok((IpAddr::from([0, 0, 0, 0]), port)),
                address => address
                    .parse()
                    .map(|address| (address, port))
                    .map_err(|_| DovecotError::Value("listen", format!("{address} is no address"))),
            })
            .collect()
    }

    /// Whether this client may send its password in the clear: it is on this machine, trusted, or all may.
    pub fn plain_allowed(&self, remote: IpAddr, local: IpAddr) -> bool {
        let remote = remote.to_canonical();
        remote == local.to_canonical()
            || self.conf.trusts(remote)
            || self.conf.value_for(remote, "disable_plaintext_auth", "yes") == "no"
    }

    /// auth_username_format on a name that a client sent; None for characters that no name has.
    pub fn user_name(&self, typed: &[u8]) -> Option<String> {
        const USUAL: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@";
        let allowed = self.conf.value("auth_username_chars", USUAL);
        let name = std::str::from_utf8(typed).ok()?;
        let fits =
            !name.is_empty() && name.len() <= 256 && (allowed.is_empty() || name.chars().all(|c| allowed.contains(c)));
        fits.then(|| expand(self.conf.value("auth_username_format", "%Lu"), name, ""))
    }
}

/// "mbox:~/mail:INBOX=/var/mail/%u", "maildir:~/Maildir"
fn location(text: &str) -> Result<Location, DovecotError> {
    let unknown = || DovecotError::Value("mail_location", format!("{text} is neither mbox: nor maildir:"));
    let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
    let mut parts = rest.split(':');
    let root = parts.next().unwrap_or_default();
    let inbox = parts.find_map(|part| part.strip_prefix("INBOX="));
    match kind {
        "mbox" => Ok(Location::Mbox(inbox.map_or_else(|| format!("{root}/inbox"), str::to_owned))),
        "maildir" => Ok(Location::Maildir(inbox.unwrap_or(root).to_owned())),
        _ => Err(unknown()),
    }
}

impl Location {
    /// "mbox" or "maildir", and the path for this user.
    pub fn of(&self, user: &str, home: &Path) -> (&'static str, PathBuf) {
        let (kind, pattern) = match self {
            Location::Mbox(pattern) => ("mbox", pattern),
            Location::Maildir(pattern) => ("maildir", pattern),
        };
        let home_text = home.to_string_lossy().into_owned();
        let pattern = match pattern.strip_prefix('~') {
            Some(rest) => format!("%h{rest}"),
            None => pattern.clone(),
        };
        (kind, PathBuf::from(OsString::from_vec(expand(&pattern, user, &home_text).into_bytes())))
    }
}

/// %u user, %n its part before "@", %d after it, %h home; L and U between change the case.
fn expand(pattern: &str, user: &str, home: &str) -> String {
    let (name, domain) = user.split_once('@').unwrap_or((user, ""));
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut next = letters.next();
        let case = next.filter(|c| matches!(c, 'L' | 'U'));
        if case.is_some() {
            next = letters.next();
        }
        let value = match next {
            Some('u') => user,
            Some('n') => name,
            Some('d') => domain,
            Some('h') => home,
            Some('%') => "%",
            _ => "",
        };
        text.push_str(&match case {
            Some('L') => value.to_lowercase(),
            Some(_) => value.to_uppercase(),
            None => value.to_owned(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_mail_is() {
        let of = |text: &str| {
            let (kind, path) = location(text).unwrap().of("toto@a.b", Path::new("/home/toto"));
            format!("{kind} {}", path.display())
        };
        assert_eq!(of("mbox:~/mail:INBOX=/var/mail/%n"), "mbox /var/mail/toto");
        assert_eq!(of("mbox:~/mail"), "mbox /home/toto/mail/inbox");
        assert_eq!(of("maildir:%h/Maildir"), "maildir /home/toto/Maildir");
        assert!(location("sdbox:~/x").is_err());
    }

    #[test]
    fn who_may_send_passwords() {
        let settings = Settings::of(Dovecot::default()).unwrap();
        let address = |text: &str| text.parse().unwrap();
        assert!(settings.plain_allowed(address("127.0.0.1"), address("127.0.0.1")));
        assert!(!settings.plain_allowed(address("192.0.2.1"), address("192.0.2.2")));
        assert_eq!(settings.user_name(b"Toto").as_deref(), Some("toto"));
        assert_eq!(settings.user_name(b"to to"), None);
        assert_eq!(settings.user_name(b""), None);
    }
}
