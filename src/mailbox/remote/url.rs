//! `pop://[user@]host[:port]`, `pops://`, `imap://[user@]host[:port][/folder]`, `imaps://`.

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Pop,
    Pops,
    Imap,
    Imaps,
}

impl Scheme {
    pub fn is_imap(self) -> bool {
        matches!(self, Scheme::Imap | Scheme::Imaps)
    }

    /// TLS from the first byte on.
    pub fn is_tls(self) -> bool {
        matches!(self, Scheme::Pops | Scheme::Imaps)
    }
}

const SCHEMES: [(&str, Scheme, u16); 4] = [
    ("pop", Scheme::Pop, 110),
    ("pops", Scheme::Pops, 995),
    ("imap", Scheme::Imap, 143),
    ("imaps", Scheme::Imaps, 993),
];

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub scheme: Scheme,
    pub user: Option<String>,
    pub host: String,
    pub port: u16,
    /// Of IMAP.
    pub folder: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The command line is seen by everybody on the machine.
    #[error("no password in a name: put it into ~/.netrc, or be asked")]
    Password,
    #[error("Malformed URL")]
    Malformed,
}

impl Url {
    /// None: a name of another kind.
    pub fn parse(text: &str) -> Option<Result<Url, UrlError>> {
        let (name, rest) = text.split_once("://")?;
        let &(_, scheme, port) = SCHEMES.iter().find(|(known, ..)| *known == name)?;
        Some(parse_rest(scheme, port, rest).ok_or(UrlError::Malformed).and_then(|found| found))
    }
}

fn parse_rest(scheme: Scheme, port: u16, rest: &str) -> Option<Result<Url, UrlError>> {
    let (place, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = place.rsplit_once('@').map_or((None, place), |(user, place)| (Some(user), place));
    // "user;AUTH=*": which way of logging in is the server's to offer.
    let user = user.map(|user| user.split(';').next().unwrap_or_default());
    if user.is_some_and(|user| user.contains(':')) {
        return Some(Err(UrlError::Password));
    }
    let (host, port) = match place.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((host, "")) => (host, port),
        Some((host, more)) => (host, more.strip_prefix(':')?.parse().ok()?),
        None => match place.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (place, port),
        },
    };
    let folder = decoded(folder.split(';').next().unwrap_or_default())?;
    let user = user.map(decoded).map_or(Some(None), |user| user.map(Some))?;
    let clean = |text: &str| !text.chars().any(char::is_control);
    let fine = !host.is_empty() && clean(host) && clean(&folder) && user.as_deref().is_none_or(clean);
    let folder = if folder.is_empty() { "INBOX".to_owned() } else { folder };
    fine.then(|| Ok(Url { scheme, user: user.filter(|user| !user.is_empty()), host: host.to_owned(), port, folder }))
}

/// "%40" is "@".
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mailboxes_on_servers() {
        let parse = |text: &str| Url::parse(text).map(|url| url.map(|u| (u.user, u.host, u.port, u.folder)));
        let found = |user: Option<&str>, host: &str, port, folder: &str| {
            Some(Ok((user.map(str::to_owned), host.to_owned(), port, folder.to_owned())))
        };
        assert_eq!(parse("pop://h"), found(None, "h", 110, "INBOX"));
        assert_eq!(parse("imaps://a%40b@h:9/c%20d"), found(Some("a@b"), "h", 9, "c d"));
        assert_eq!(parse("imap://u;AUTH=*@[::1]/"), found(Some("u"), "::1", 143, "INBOX"));
        assert_eq!(parse("pop://u:secret@h"), Some(Err(UrlError::Password)));
        for bad in ["pop://", "pop://h:x", "imap://h/%0a", "imap://h/%zz", "pops://u@[::1"] {
            assert_eq!(parse(bad), Some(Err(UrlError::Malformed)), "{bad}");
        }
        assert_eq!(parse("/var/mail/x"), None);
        assert_eq!(parse("mbox://x"), None);
    }
}
