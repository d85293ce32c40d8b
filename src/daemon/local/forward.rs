//! .forward files, and the messages that they and :include: files make.

use super::recipient::Delivery;
use super::settings::Settings;
use crate::cleanup::envelope::Named;
use crate::cleanup::{CleanupError, Envelope, Origin};
use crate::conf::expand::expand;
use crate::ipc::trigger;
use crate::queue::file::{Content, notify};
use crate::status::{Code, Report};
use crate::sys::accounts::Account;
use crate::sys::privilege::Borrowed;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A list file, read as somebody.
pub struct ListFile {
    pub text: String,
    pub owner: u32,
}

/// Why a list file was not read.
pub enum ListError {
    /// There is none.
    Absent(io::Error),
    /// It is nothing that lists are read from: a directory, a device, for a .forward also a link.
    Unfit(&'static str),
    Io(io::Error),
}

/// Reads a plain file with the rights of `account`, or as root for lists that root's own aliases name; at most `limit`
/// bytes. `links`: whether a symbolic link is followed.
pub fn read_as(account: Option<&Account>, path: &Path, limit: u64, links: bool) -> Result<ListFile, ListError> {
    // The login group alone, as the reference: asking the name service for all groups of a user takes longer than the
    // whole delivery.
    let _as_user = account
        .map(|account| Borrowed::identity(account.uid, account.gid, &[account.gid]))
        .transpose()
        .map_err(ListError::Io)?;
    let no_link = if links { 0 } else { libc::O_NOFOLLOW };
    let file =
        File::options().read(true).custom_flags(libc::O_NONBLOCK | no_link).open(path).map_err(|error| match error
            .raw_os_error()
        {
            Some(libc::ENOENT | libc::ENOTDIR) => ListError::Absent(error),
            Some(libc::ELOOP | libc::ENXIO) => ListError::Unfit(NOT_REGULAR),
            _ => ListError::Io(error),
        })?;
    let data = file.metadata().map_err(ListError::Io)?;
    if !data.is_file() {
        return Err(ListError::Unfit(NOT_REGULAR));
    }
    if data.mode() & 0o002 != 0 {
        return Err(ListError::Unfit("is world writable"));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(ListError::Io)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(ListFile { text, owner: data.uid() })
}

const NOT_REGULAR: &str = "is not a regular file";

/// The text of the user's .forward, from the first path of forward_path that is there. A file that others can write,
/// or that is another's, is ignored with a warning.
pub fn find(
    settings: &Settings,
    account: &Account,
    extension: Option<&str>,
    delimiters: &str,
) -> Result<Option<String>, Report> {
    let mut seen: Vec<String> = Vec::new();
    for pattern in &settings.forward_path {
        let lookup = |name: &str| match name {
            "home" => Some(account.home.display().to_string()),
            "user" => Some(account.name.to_string_lossy().into_owned()),
            "extension" => Some(extension.unwrap_or_default().to_owned()),
            "recipient_delimiter" => {
                Some(if extension.is_some() { delimiters.get(..1).unwrap_or_default() } else { "" }.to_owned())
            }
            _ => None,
        };
        let Ok(path) = expand(pattern, &lookup) else { continue };
        // An extension is the sender's choice of words: it must not lead out of the home directory.
        if extension.is_some_and(|extension| extension.contains('/')) && pattern.contains("extension") {
            continue;
        }
        // Patterns that differ in what is empty here name the same file.
        if seen.contains(&path) {
            continue;
        }
        match read_as(Some(account), Path::new(&path), 1 << 20, false) {
            Ok(file) if file.owner != account.uid && file.owner != 0 => {
                settings.log.warning(format!("file {path} has bad owner uid {}", file.owner));
            }
            Ok(file) => return Ok(Some(file.text)),
            Err(ListError::Absent(_)) => {}
            Err(ListError::Unfit(why)) => settings.log.warning(format!("file {path} {why}")),
            Err(ListError::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                settings.log.warning(format!("cannot open file {path}: Permission denied"));
            }
            // A home directory that does not answer now must not send mail astray.
            Err(ListError::Io(error)) => {
                let text = format!("cannot open file {path}: {}", crate::sys::files::reason(&error));
                return Err(Report::new(Code::DEFERRED, text));
            }
        }
        seen.push(path);
    }
    Ok(None)
}

/// Queues a message for `members`, with a Delivered-To header by which a loop is found.
pub fn send(delivery: &Delivery<'_>, members: &[String]) -> Report {
    match queue(delivery, members) {
        Ok(id) => {
            let qmgr = delivery.settings.cleanup.queue.directory().join("public/qmgr");
            let _ = trigger::send(&qmgr, trigger::INCOMING);
            Report::sent(format!("forwarded as {id}"))
        }
        Err(error) if error.is_temporary() => Report::deferred(format!("unable to forward: {error}")),
        Err(error) => Report::new(Code::new(5, 4, 0), format!("unable to forward: {error}")),
    }
}

/// The sender hears that a list was expanded, and no more of those on it than if they fail.
fn without_success(bits: u32) -> u32 {
    if bits & notify::SUCCESS == 0 {
        return bits;
    }
    let rest = bits & !notify::SUCCESS;
    if rest == 0 { notify::NEVER } else { rest }
}

fn queue(delivery: &Delivery<'_>, members: &[String]) -> Result<crate::queue::QueueId, CleanupError> {
    let Delivery { settings, request, target, .. } = delivery;
    let mut envelope = Envelope::new(Origin::Internal, delivery.sender.clone());
    let original = if target.original.is_empty() { &target.address } else { &target.original };
    envelope.recipients = members
        .iter()
        .map(|address| Named {
            address: address.clone(),
            original: Some(original.clone()),
            dsn_original: Some(target.dsn_original.clone()),
            notify: if delivery.expanded { without_success(target.notify) } else { target.notify },
        })
        .collect();
    let mut intake = settings.cleanup.begin(settings.cleanup.reserve()?, &envelope)?;
    intake.line(format!("Delivered-To: {}", crate::message::envelope::quote(&target.address)).as_bytes(), true)?;
    let content = Content::open(delivery.file, request.data_offset).map_err(CleanupError::Write)?;
    for piece in content {
        let piece = piece.map_err(|error| CleanupError::Write(io::Error::other(error.to_string())))?;
        intake.line(&piece.data, piece.newline)?;
    }
    intake.finish()
}
