//! One attempt to log in, in a process of its own: it gets the credentials on standard input and the client's socket on
//! descriptor 3, finds out whether the password is right, says so in one letter on descriptor 4, and then either ends
//! or becomes the user's session: with the user's ids it executes this program anew, so that nothing of what it knew
//! is left. What it must never do: look at mail.

use super::session;
use super::settings::Settings;
use super::wire::{MESSAGE, Request, Start};
use super::words::Words;
use crate::conf::dovecot::Database;
use crate::sys::accounts::{self, Account};
use crate::sys::crypt;
use crate::sys::pam::{self, Answer};
use crate::sys::spawn;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The descriptor for the verdict.
pub const VERDICT: i32 = 4;
/// Hashed when there is no such user, so that the answer takes as long as for one who exists.
const NOBODYS_HASH: &[u8] = b"$6$u0Sx3bqQ5r$";

/// What a source of passwords says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Right,
    Wrong,
    Unavailable,
}

/// The process.
pub fn run(config: Option<&Path>) -> io::Result<()> {
    let missing = || io::Error::other("not started by pop3d");
    let client = spawn::inherited(session::CLIENT).ok_or_else(missing)?;
    let mut verdict = std::fs::File::from(spawn::inherited(VERDICT).ok_or_else(missing)?);
    let mut message = Vec::new();
    io::stdin().lock().take(MESSAGE as u64).read_to_end(&mut message)?;
    let request = Request::decode(&message).ok_or_else(missing)?;
    message.fill(0);
    let settings = Settings::read(config).map_err(io::Error::other)?;
    let log = Words::open(&settings.conf);
    let Some(user) = settings.user_name(&request.user) else {
        let _ = crypt::hash(&request.password, NOBODYS_HASH);
        let typed = String::from_utf8_lossy(&request.user).into_owned();
        let text = format!("login({typed},{},<{}>): invalid user name", request.remote, request.session);
        log.info("auth", &text);
        return verdict.write_all(b"n");
    };
    match check(&settings, &user, &request, &log) {
        Found::Right => {}
        Found::Wrong => return verdict.write_all(b"n"),
        Found::Unavailable => return verdict.write_all(b"t"),
    }
    let Some(account) = account(&settings, &user) else {
        log.error("auth", &format!("userdb({user},{},<{}>): unknown user", request.remote, request.session));
        return verdict.write_all(b"n");
    };
    if let Err(why) = may_log_in(&settings, &account) {
        log.error("auth", &format!("userdb({user},{},<{}>): {why}", request.remote, request.session));
        return verdict.write_all(b"t");
    }
    verdict.write_all(b"y")?;
    drop(verdict);
    let error = become_session(&settings, &user, &account, &request, client, &log);
    log.error("pop3-login", &format!("user=<{user}>: the session did not start: {error}"));
    Err(error)
}

/// Asks each passdb in turn; the first that says yes is believed.
fn check(settings: &Settings, user: &str, request: &Request, log: &Words) -> Found {
    let usual = [Database { driver: "pam".into(), args: String::new() }];
    let sources = settings.conf.passdbs();
    let mut answer = Found::Wrong;
    for source in if sources.is_empty() { usual.as_slice() } else { sources } {
        let found = match source.driver.as_str() {
            "pam" => by_pam(user, source, request, log),
            "shadow" => by_shadow(user, request, log),
            "passwd-file" => by_file(user, source, request, log),
            _ => Found::Unavailable,
        };
        match found {
            Found::Right => return Found::Right,
            Found::Unavailable => answer = Found::Unavailable,
            Found::Wrong => {}
        }
    }
    answer
}

fn by_pam(user: &str, source: &Database, request: &Request, log: &Words) -> Found {
    // Arguments like "session=yes" and "failure_show_msg=yes" come before the service's name.
    let service = source.args.split_whitespace().find(|word| !word.contains('=') && *word != "*").unwrap_or("dovecot");
    match pam::authenticate(service, user.as_bytes(), &request.password, &request.remote) {
        Answer::Yes => Found::Right,
        Answer::Unavailable => by_shadow(user, request, log),
        Answer::No(number) => {
            const NAMES: &[(i32, &str)] = &[
                (7, "Authentication failure (Password mismatch?)"),
                (10, "User not known to the underlying authentication module"),
                (13, "User account has expired"),
            ];
            let why = NAMES.iter().find(|(known, _)| *known == number).map_or("Authentication failure", |(_, why)| why);
            let text = format!("pam_authenticate() failed: {why}");
            log.info("auth", &format!("pam({user},{},<{}>): {text}", request.remote, request.session));
            Found::Wrong
        }
    }
}

fn by_shadow(user: &str, request: &Request, log: &Words) -> Found {
    let stored = crypt::shadow(user.as_bytes());
    let usable = stored.as_deref().filter(|stored| stored.len() > 1 && !matches!(stored[0], b'!' | b'*'));
    let right = match usable {
        Some(stored) => crypt::verify(&request.password, stored),
        None => {
            let _ = crypt::hash(&request.password, NOBODYS_HASH);
            false
        }
    };
    if right {
        return Found::Right;
    }
    let why = if stored.is_some() { "Password mismatch" } else { "unknown user" };
    log.info("auth", &format!("shadow({user},{},<{}>): {why}", request.remote, request.session));
    Found::Wrong
}

fn by_file(user: &str, source: &Database, request: &Request, log: &Words) -> Found {
    let who = format!("passwd-file({user},{},<{}>)", request.remote, request.session);
    let entries = match PasswdFile::read(source) {
        Ok(entries) => entries,
        Err(error) => {
            log.error("auth", &format!("{who}: {error}"));
            return Found::Unavailable;
        }
    };
    let scheme = source.args.split_whitespace().find_map(|word| word.strip_prefix("scheme=")).unwrap_or("CRYPT");
    let right = match entries.line(user) {
        Some(line) => right_password(&line.password, scheme, &request.password),
        None => {
            let _ = crypt::hash(&request.password, NOBODYS_HASH);
            log.info("auth", &format!("{who}: unknown user"));
            return Found::Wrong;
        }
    };
    if right == Some(true) {
        return Found::Right;
    }
    let why = if right.is_some() { "Password mismatch" } else { "Unknown scheme" };
    log.info("auth", &format!("{who}: {why}"));
    Found::Wrong
}

/// "{SCHEME}value", or a value of the default scheme; None for a scheme that is not known here.
fn right_password(stored: &str, scheme: &str, password: &[u8]) -> Option<bool> {
    let (scheme, value) = stored.strip_prefix('{').and_then(|rest| rest.split_once('}')).unwrap_or((scheme, stored));
    match scheme.to_ascii_uppercase().as_str() {
        "PLAIN" | "CLEAR" | "CLEARTEXT" => Some(!value.is_empty() && crypt::equal(password, value.as_bytes())),
        "CRYPT" | "SHA512-CRYPT" | "SHA256-CRYPT" | "MD5-CRYPT" | "BLF-CRYPT" | "DES-CRYPT" => {
            Some(value.len() > 1 && crypt::verify(password, value.as_bytes()))
        }
        _ => None,
    }
}

/// Lines "user:password:uid:gid:gecos:home:shell:extra" as Dovecot's passwd-file has them.
struct PasswdFile(String);

struct PasswdLine {
    password: String,
    uid: Option<u32>,
    gid: Option<u32>,
    home: PathBuf,
}

impl PasswdFile {
    fn read(source: &Database) -> io::Result<PasswdFile> {
        let path = source.args.split_whitespace().find(|word| word.starts_with('/'));
        let path = path.ok_or_else(|| io::Error::other("passwd-file without a path in args"))?;
        if std::fs::metadata(path)?.len() > 16 << 20 {
            return Err(io::Error::other("passwd-file is too large"));
        }
        std::fs::read_to_string(path).map(PasswdFile)
    }

    fn line(&self, user: &str) -> Option<PasswdLine> {
        self.0.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == user).then_some(())?;
            let mut next = || fields.next().unwrap_or_default();
            let (password, uid, gid) = (next().to_owned(), next().parse().ok(), next().parse().ok());
            let (_gecos, home) = (next(), PathBuf::from(next()));
            Some(PasswdLine { password, uid, gid, home })
        })
    }
}

/// The user's ids and home, from the userdbs (passwd when there is none).
fn account(settings: &Settings, user: &str) -> Option<Account> {
    let usual = [Database { driver: "passwd".into(), args: String::new() }];
    let sources = settings.conf.userdbs();
    let sources = if sources.is_empty() { usual.as_slice() } else { sources };
    sources.iter().find_map(|source| match source.driver.as_str() {
        "passwd" => accounts::by_name(user),
        "passwd-file" => {
            let line = PasswdFile::read(source).ok()?.line(user)?;
            // Without ids in the file, the mail is the caller's: a rootless instance has no other.
            let ourselves = accounts::by_uid(accounts::effective_uid());
            let (uid, gid) = match (line.uid, line.gid, ourselves) {
                (Some(uid), Some(gid), _) => (uid, gid),
                (None, None, Some(ourselves)) if ourselves.uid != 0 => (ourselves.uid, ourselves.gid),
                _ => return None,
            };
            Some(Account {
                name: user.into(),
                uid,
                gid,
                full_name: String::new(),
                home: line.home,
                shell: PathBuf::new(),
            })
        }
        _ => None,
    })
}

fn may_log_in(settings: &Settings, account: &Account) -> Result<(), String> {
    let uid = u64::from(account.uid);
    let ourselves = accounts::effective_uid();
    if ourselves != 0 {
        return if account.uid == ourselves { Ok(()) } else { Err("without root only our own user can log in".into()) };
    }
    if uid == 0 || uid < settings.first_valid_uid {
        return Err(format!("Mail access for users with UID {uid} not permitted (see first_valid_uid in config file)"));
    }
    if settings.last_valid_uid != 0 && uid > settings.last_valid_uid {
        return Err(format!("Mail access for users with UID {uid} not permitted (see last_valid_uid in config file)"));
    }
    Ok(())
}

/// Becomes the user and executes the session; comes back only with an error.
fn become_session(
    settings: &Settings,
    user: &str,
    account: &Account,
    request: &Request,
    client: OwnedFd,
    log: &Words,
) -> io::Error {
    let (kind, mailbox) = settings.location.of(user, &account.home);
    let start = Start {
        user: user.to_owned(),
        session: request.session.clone(),
        kind: kind.to_owned(),
        mailbox: mailbox.as_os_str().as_bytes().to_vec(),
        state: if account.home.is_absolute() && account.home != Path::new("/") {
            account.home.join(".cache/pillarbox").as_os_str().as_bytes().to_vec()
        } else {
            Vec::new()
        },
        uidl_format: settings.conf.value("pop3_uidl_format", "%08Xu%08Xv").to_owned(),
        logout_format: settings
            .conf
            .value("pop3_logout_format", "top=%t/%p, retr=%r/%b, del=%d/%m, size=%s")
            .to_owned(),
        flags: if settings.conf.yes("pop3_no_flag_updates", false) { "n".into() } else { String::new() },
        rest: request.rest.clone(),
    };
    let (read, write) = match io::pipe() {
        Ok(ends) => ends,
        Err(error) => return error,
    };
    // Less than a pipe holds (64 KiB), so that nobody needs to read yet.
    if let Err(error) = (&write).write_all(&start.encode()) {
        return error;
    }
    drop(write);
    let mut descriptors = vec![(client, session::CLIENT), (OwnedFd::from(read), session::START)];
    descriptors.extend(log.file().map(|file| (file, session::LOG)));
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pop3d").args(["--role", "session", user]).env_clear().current_dir("/");
    command.stdin(std::process::Stdio::null());
    spawn::hand_over(&mut command, descriptors);
    if accounts::effective_uid() == 0 {
        spawn::become_user(&mut command, account.uid, account.gid, &groups(settings, account, &mailbox));
    }
    command.exec()
}

/// The user's own groups, mail_access_groups, and mail_privileged_group where the mailbox is outside the user's home:
/// inside, a symbolic link of the user's could turn the group's rights on other mailboxes.
fn groups(settings: &Settings, account: &Account, mailbox: &Path) -> Vec<u32> {
    let mut groups = accounts::groups_of(account);
    let access = settings.conf.value("mail_access_groups", "");
    let privileged = settings.conf.value("mail_privileged_group", "");
    let privileged = if mailbox.starts_with(&account.home) { "" } else { privileged };
    let names = access.split([',', ' ']).chain([privileged]).filter(|name| !name.is_empty());
    groups.extend(names.filter_map(accounts::group_id));
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        assert_eq!(right_password("{PLAIN}toto", "CRYPT", b"toto"), Some(true));
        assert_eq!(right_password("{PLAIN}toto", "CRYPT", b"tot"), Some(false));
        assert_eq!(right_password("{PLAIN}", "CRYPT", b""), Some(false));
        assert_eq!(right_password("toto", "PLAIN", b"toto"), Some(true));
        assert_eq!(right_password("{ARGON2ID}x", "CRYPT", b"x"), None);
        assert_eq!(right_password("", "CRYPT", b""), Some(false));
    }

    #[test]
    fn lines_of_a_passwd_file() {
        let file = PasswdFile("# toto:x\ntoto:{PLAIN}pw:1001:1001::/home/toto::userdb_x=y\ntiti:{PLAIN}p".into());
        let line = file.line("toto").unwrap();
        assert_eq!((line.password.as_str(), line.uid, line.home), ("{PLAIN}pw", Some(1001), "/home/toto".into()));
        assert_eq!(file.line("titi").unwrap().uid, None);
        assert!(file.line("tot").is_none());
    }
}
