//! Passwords for mailboxes on servers, and for servers that take letters: from ~/.netrc, from mailutils' ~/.mu-tickets, or
//! from whoever sits at the terminal.
//! Never from the command line, which everybody on the machine sees.

use super::mailer::Refusal;
use super::session::{Session, Trouble};
use super::smtp::Server;
use crate::mailbox::remote::Secret;
use crate::mailbox::remote::url::{Scheme, Url};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files of passwords are no larger.
const LIMIT: u64 = 1 << 20;

/// Whose password is looked for.
struct Wanted<'w> {
    scheme: &'w str,
    user: Option<&'w str>,
    host: &'w str,
}

impl<'w> Wanted<'w> {
    fn at(url: &'w Url) -> Wanted<'w> {
        let scheme = match url.scheme {
            Scheme::Pop => "pop",
            Scheme::Pops => "pops",
            Scheme::Imap => "imap",
            Scheme::Imaps => "imaps",
        };
        Wanted { scheme, user: url.user.as_deref(), host: &url.host }
    }
}

/// Name and password for a mailbox.
pub fn find(session: &mut Session, url: &Url) -> Result<(String, Secret), Trouble> {
    let wanted = Wanted::at(url);
    let own = session.account.name.to_string_lossy().into_owned();
    match stored(session, &wanted)? {
        Some((user, password)) => Ok((url.user.clone().or(user).unwrap_or(own), Secret(password))),
        None => ask_for(session, url.user.clone().unwrap_or(own), &url.host),
    }
}

/// Name and password for a server that takes letters, where there is one: in its URL, which is the user's own file's, in
/// the files of passwords, or from whoever sits at the terminal.
pub fn for_sending(session: &mut Session, server: &Server) -> Result<Option<(String, Secret)>, Refusal> {
    if let (Some(user), Some(password)) = (&server.user, &server.password) {
        return Ok(Some((user.clone(), Secret(password.clone()))));
    }
    let refused = |trouble| match trouble {
        Trouble::Say(sentence) => Refusal::Open(sentence),
        _ => Refusal::Open("Input/output error".into()),
    };
    let wanted = Wanted { scheme: "smtp", user: server.user.as_deref(), host: &server.host };
    match (stored(session, &wanted).map_err(refused)?, &server.user) {
        (Some((user, password)), named) => Ok(named.clone().or(user).map(|user| (user, Secret(password)))),
        (None, Some(user)) => ask_for(session, user.clone(), &server.host).map(Some).map_err(refused),
        (None, None) => Ok(None),
    }
}

fn stored(session: &Session, wanted: &Wanted) -> Result<Option<(Option<String>, String)>, Trouble> {
    let home = session.home();
    let tickets = read(&home.join(".mu-tickets"))?.and_then(|text| in_tickets(&text, wanted));
    Ok(match tickets {
        Some(found) => Some(found),
        None => read(&home.join(".netrc"))?.and_then(|text| in_netrc(&text, wanted)),
    })
}

fn ask_for(session: &mut Session, user: String, host: &str) -> Result<(String, Secret), Trouble> {
    if !session.interactive() {
        return Err(Trouble::Say(format!("no password for {user}@{host} in ~/.netrc or ~/.mu-tickets")));
    }
    let password = ask(session, &format!("Password for {user}@{host}: "))?;
    Ok((user, Secret(password)))
}

/// A file of passwords that others can read is none.
fn read(path: &Path) -> Result<Option<String>, Trouble> {
    use std::io::Read;
    let Ok(file) = std::fs::File::open(path) else { return Ok(None) };
    let data = file.metadata()?;
    if data.mode() & 0o077 != 0 || data.uid() != crate::sys::accounts::effective_uid() {
        return Err(Trouble::Say(format!("{}: others may read or write it; chmod 600", path.display())));
    }
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// netrc(5): the first `machine` of that name, or the `default`, whose login is the one that is asked for.
fn in_netrc(text: &str, wanted: &Wanted) -> Option<(Option<String>, String)> {
    let mut words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let (mut fits, mut login, mut password) = (false, None, None);
    let matches = |fits: bool, login: &Option<String>| {
        fits && (wanted.user.is_none() || login.is_none() || login.as_deref() == wanted.user)
    };
    loop {
        let word = words.next();
        if matches!(word, None | Some("machine" | "default")) {
            if let Some(password) = password.take().filter(|_| matches(fits, &login)) {
                return Some((login, password));
            }
            login = None;
        }
        match word? {
            "machine" => fits = words.next()?.eq_ignore_ascii_case(wanted.host),
            "default" => fits = true,
            "login" => login = Some(words.next()?.to_owned()),
            "password" => password = Some(words.next()?.to_owned()),
            "account" => drop(words.next()),
            _ => {}
        }
    }
}

/// A line for each server: `pop://user:password@host`, where `*` stands for any scheme, user or host.
fn in_tickets(text: &str, wanted: &Wanted) -> Option<(Option<String>, String)> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).find_map(|line| {
        let (known, rest) = line.split_once("://")?;
        let (account, host) = rest.rsplit_once('@')?;
        let (user, password) = account.split_once(':')?;
        let host = host.trim_end_matches('/').split(':').next().unwrap_or_default();
        let fits = ["*", wanted.scheme].contains(&known) && (host == "*" || host.eq_ignore_ascii_case(wanted.host));
        let user = Some(user.to_owned()).filter(|user| user != "*");
        let fits = fits && (user.is_none() || wanted.user.is_none() || user.as_deref() == wanted.user);
        fits.then(|| (user, password.to_owned()))
    })
}

/// Asks without showing what is typed.
fn ask(session: &mut Session, prompt: &str) -> Result<String, Trouble> {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    use std::io::Write;
    session.screen.flush()?;
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(std::io::Error::from)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent).map_err(std::io::Error::from)?;
    // Only now: whoever answers at once is not shown, and not flushed away.
    let mut err = std::io::stderr();
    let mut line = String::new();
    let done = write!(err, "{prompt}").and_then(|()| err.flush()).and_then(|()| stdin.read_line(&mut line));
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).map_err(std::io::Error::from)?;
    writeln!(err)?;
    done?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_by_server_and_user() {
        let url = |text: &str| Url::parse(text).unwrap().unwrap();
        let netrc =
            "# x\nmachine a login u password p1\nmachine a\n  login v password p2\ndefault login d password p3\n";
        let found = |user: &str, password: &str| Some((Some(user.to_owned()), password.to_owned()));
        assert_eq!(in_netrc(netrc, &Wanted::at(&url("pop://a"))), found("u", "p1"));
        assert_eq!(in_netrc(netrc, &Wanted::at(&url("pop://v@A"))), found("v", "p2"));
        assert_eq!(in_netrc(netrc, &Wanted::at(&url("imap://other"))), found("d", "p3"));
        assert_eq!(in_netrc(netrc, &Wanted::at(&url("imap://w@other"))), None);
        let tickets = "# x\nimap://u:p1@a\n*://*:p2@*\n";
        assert_eq!(in_tickets(tickets, &Wanted::at(&url("imap://a"))), found("u", "p1"));
        assert_eq!(in_tickets(tickets, &Wanted::at(&url("pop://v@b"))), Some((None, "p2".into())));
        assert_eq!(in_tickets("imap://u:p@a\n", &Wanted::at(&url("pop://a"))), None);
    }
}
