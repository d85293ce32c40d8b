//! Passwords for mailboxes on servers: from ~/.netrc, from mailutils' ~/.mu-tickets, or from whoever sits at the terminal.
//! Never from the command line, which everybody on the machine sees.

use super::session::{Session, Trouble};
use crate::mailbox::remote::Secret;
use crate::mailbox::remote::url::{Scheme, Url};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files of passwords are no larger.
const LIMIT: u64 = 1 << 20;

/// Name and password for a mailbox.
pub fn find(session: &mut Session, url: &Url) -> Result<(String, Secret), Trouble> {
    let home = session.home();
    let tickets = read(&home.join(".mu-tickets"))?.and_then(|text| in_tickets(&text, url));
    let found = match tickets {
        Some(found) => Some(found),
        None => read(&home.join(".netrc"))?.and_then(|text| in_netrc(&text, url)),
    };
    let own = session.account.name.to_string_lossy().into_owned();
    match found {
        Some((user, password)) => Ok((url.user.clone().or(user).unwrap_or(own), Secret(password))),
        None => {
            let user = url.user.clone().unwrap_or(own);
            if !session.interactive() {
                return Err(Trouble::Say(format!("no password for {user}@{} in ~/.netrc or ~/.mu-tickets", url.host)));
            }
            let password = ask(session, &format!("Password for {user}@{}: ", url.host))?;
            Ok((user, Secret(password)))
        }
    }
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
fn in_netrc(text: &str, url: &Url) -> Option<(Option<String>, String)> {
    let mut words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let (mut fits, mut login, mut password) = (false, None, None);
    let matches =
        |fits: bool, login: &Option<String>| fits && (url.user.is_none() || login.is_none() || *login == url.user);
    loop {
        let word = words.next();
        if matches!(word, None | Some("machine" | "default")) {
            if let Some(password) = password.take().filter(|_| matches(fits, &login)) {
                return Some((login, password));
            }
            login = None;
        }
        match word? {
            "machine" => fits = words.next()?.eq_ignore_ascii_case(&url.host),
            "default" => fits = true,
            "login" => login = Some(words.next()?.to_owned()),
            "password" => password = Some(words.next()?.to_owned()),
            "account" => drop(words.next()),
            _ => {}
        }
    }
}

/// A line for each server: `pop://user:password@host`, where `*` stands for any scheme, user or host.
fn in_tickets(text: &str, url: &Url) -> Option<(Option<String>, String)> {
    let scheme = match url.scheme {
        Scheme::Pop => "pop",
        Scheme::Pops => "pops",
        Scheme::Imap => "imap",
        Scheme::Imaps => "imaps",
    };
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).find_map(|line| {
        let (known, rest) = line.split_once("://")?;
        let (account, host) = rest.rsplit_once('@')?;
        let (user, password) = account.split_once(':')?;
        let host = host.trim_end_matches('/').split(':').next().unwrap_or_default();
        let fits = ["*", scheme].contains(&known) && (host == "*" || host.eq_ignore_ascii_case(&url.host));
        let user = Some(user.to_owned()).filter(|user| user != "*");
        let fits = fits && (user.is_none() || url.user.is_none() || user == url.user);
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
        assert_eq!(in_netrc(netrc, &url("pop://a")), found("u", "p1"));
        assert_eq!(in_netrc(netrc, &url("pop://v@A")), found("v", "p2"));
        assert_eq!(in_netrc(netrc, &url("imap://other")), found("d", "p3"));
        assert_eq!(in_netrc(netrc, &url("imap://w@other")), None);
        let tickets = "# x\nimap://u:p1@a\n*://*:p2@*\n";
        assert_eq!(in_tickets(tickets, &url("imap://a")), found("u", "p1"));
        assert_eq!(in_tickets(tickets, &url("pop://v@b")), Some((None, "p2".into())));
        assert_eq!(in_tickets("imap://u:p@a\n", &url("pop://a")), None);
    }
}
