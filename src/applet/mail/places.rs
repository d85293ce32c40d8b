//! Where mailboxes are: by name, by the environment, by the configuration.

use super::session::{Session, Trouble};
use super::words;
use crate::mailbox::remote::url::Url;
use std::path::{Path, PathBuf};

/// The path that a folder name means: `%` the system mailbox, `%user`, `&` mbox, `#` the one before, `+name` in the
/// folder directory, `~`.
pub fn path_of(session: &Session, name: &str) -> Result<PathBuf, Trouble> {
    if Url::parse(name).is_some() {
        return Ok(PathBuf::from(name));
    }
    let name = without_scheme(name);
    Ok(match name {
        "%" | "%%" => system_mailbox(session, Some(&session.account.name.to_string_lossy())),
        "&" => mbox_path(session),
        "#" => PathBuf::from(session.previous_file.clone().ok_or_else(|| session.trouble("No previous file", &[]))?),
        _ => match name.split_at_checked(1) {
            Some(("%", user)) => system_mailbox(session, Some(user)),
            Some(("+" | "=", rest)) => plus_directory(session).join(rest),
            Some(("~", rest)) if rest.is_empty() || rest.starts_with('/') => {
                session.home().join(rest.trim_start_matches('/'))
            }
            // The original takes "$HOME/x" for a name; nobody has such files, and start-up files of other mails say it.
            Some(("$", _)) => {
                PathBuf::from(words::expand(name, &|name| session.environment(name)).unwrap_or_else(|_| name.into()))
            }
            _ => PathBuf::from(name),
        },
    })
}

/// What the configuration says, $MAIL for the user's own, or /var/mail/USER.
pub fn system_mailbox(session: &Session, user: Option<&str>) -> PathBuf {
    if let Some(pattern) = &session.spool {
        let own = session.account.name.to_string_lossy();
        return by_pattern(pattern, user.unwrap_or(&own));
    }
    match user {
        Some(user) => Path::new("/var/mail").join(user.replace('/', "_")),
        None => std::env::var_os("MAIL").filter(|value| !value.is_empty()).map_or_else(
            || Path::new("/var/mail").join(&session.account.name),
            |value| match value.to_string_lossy().strip_prefix("mbox:") {
                Some(path) => PathBuf::from(path),
                None => PathBuf::from(value),
            },
        ),
    }
}

pub fn mbox_path(session: &Session) -> PathBuf {
    let path = PathBuf::from(session.environment("MBOX").unwrap_or_default());
    let path = path.strip_prefix("~").map(|rest| session.home().join(rest)).unwrap_or(path);
    std::env::current_dir().unwrap_or_default().join(path)
}

/// Where `+name` is.
fn plus_directory(session: &Session) -> PathBuf {
    let configured = || {
        session
            .variables
            .folder()
            .or(session.folder.as_deref())
            .map(|folder| session.home().join(without_scheme(folder)))
    };
    folder_directory(session).ok().or_else(configured).unwrap_or_else(|| session.home().join("Mail"))
}

/// Mailboxes here are recognised by what they are, whatever their name says.
fn without_scheme(name: &str) -> &str {
    ["mbox://", "mbox:", "maildir://", "maildir:", "file://", "file:"]
        .iter()
        .find_map(|scheme| name.strip_prefix(scheme))
        .unwrap_or(name)
}

/// An incoming mailbox by mailutils' pattern, in which `${user}` is the user.
fn by_pattern(pattern: &str, user: &str) -> PathBuf {
    let user = user.replace('/', "_");
    let named = |name: &str| Some(if name == "user" { user.clone() } else { String::new() });
    let text = words::expand(without_scheme(pattern), &named).unwrap_or_else(|_| pattern.to_owned());
    // "//" is "/" in the names that are shown.
    Path::new(&text).components().collect()
}

pub fn folder_directory(session: &Session) -> Result<PathBuf, Trouble> {
    let folder = session
        .variables
        .text("folder")
        .filter(|text| !text.is_empty())
        .ok_or_else(|| session.trouble("No value set for \"{}\"", &["folder"]))?;
    let folder = folder.strip_prefix("~/").map_or_else(|| PathBuf::from(&folder), |rest| session.home().join(rest));
    Ok(if folder.is_absolute() { folder } else { session.home().join(folder) })
}

/// Where files are that are named after an address: in the directory that `outfolder` names, or the folder directory when
/// it is only set.
pub fn outfolder(session: &Session) -> Option<PathBuf> {
    match session.variables.text("outfolder")? {
        text if !text.is_empty() => path_of(session, &text).ok(),
        _ => folder_directory(session).ok(),
    }
}

/// Whether the path is a name of a mailbox on a server.
pub fn is_remote(path: &Path) -> bool {
    path.to_str().is_some_and(|name| Url::parse(name).is_some())
}
