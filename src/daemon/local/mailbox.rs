//! The message as it stands in a mailbox, and its delivery to a user's mailbox or to a file.

use super::recipient::Delivery;
use crate::mailbox::deliver::{self, DeliverError};
use crate::message::{envelope, stamp};
use crate::queue::file::Content;
use crate::status::{Code, Report};
use crate::sys::accounts::{self, Account};
use crate::sys::privilege::Borrowed;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// The form that a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// From_ line, ">From " quoting, an empty line at the end.
    Mbox,
    /// For commands: From_ line, nothing quoted, nothing added.
    Pipe,
    Maildir,
}

/// Writes the message with the headers that local delivery adds.
pub fn write_message(delivery: &Delivery<'_>, form: Form, delivered: &str, out: &mut dyn Write) -> io::Result<()> {
    let sender = envelope::quote_path(&delivery.sender);
    if form != Form::Maildir {
        let shown = if sender.is_empty() { "MAILER-DAEMON" } else { &sender };
        writeln!(out, "From {shown}  {}", stamp::ctime(SystemTime::now()))?;
    }
    writeln!(out, "Return-Path: <{sender}>")?;
    let target = delivery.target;
    let original = if target.original.is_empty() { &target.address } else { &target.original };
    writeln!(out, "X-Original-To: {}", envelope::quote(original))?;
    if !delivered.is_empty() {
        writeln!(out, "Delivered-To: {delivered}")?;
    }
    let mut at_line_start = true;
    for piece in Content::open(delivery.file, delivery.request.data_offset)? {
        let piece = piece.map_err(|error| io::Error::other(error.to_string()))?;
        if form == Form::Mbox && at_line_start && piece.data.starts_with(b"From ") {
            out.write_all(b">")?;
        }
        out.write_all(&piece.data)?;
        if piece.newline {
            out.write_all(b"\n")?;
        }
        at_line_start = piece.newline;
    }
    if !at_line_start {
        out.write_all(b"\n")?;
    }
    if form == Form::Mbox { out.write_all(b"\n") } else { Ok(()) }
}

/// What Delivered-To says, "" when prepend_delivered_header does not name this way of delivery.
fn delivered_to(delivery: &Delivery<'_>, way: &str) -> String {
    let wanted = delivery.settings.prepend_delivered.iter().any(|name| name == way);
    if wanted { envelope::quote(&delivery.target.address) } else { String::new() }
}

/// For commands.
pub fn delivered_to_command(delivery: &Delivery<'_>) -> String {
    delivered_to(delivery, "command")
}

/// Delivers to the user's home_mailbox, or to a file in mail_spool_directory.
pub fn to_user(delivery: &Delivery<'_>, account: &Account) -> Report {
    let settings = delivery.settings;
    let delivered = envelope::quote(&delivery.target.address);
    let (path, is_maildir, in_spool) = if settings.home_mailbox.is_empty() {
        let spool = Path::new(&settings.mail_spool_directory);
        let ends = settings.mail_spool_directory.ends_with('/') && settings.mail_spool_directory != "/";
        // "dir/" in mail_spool_directory asks for maildirs; the default has no slash at its end.
        (spool.join(&account.name), ends, true)
    } else {
        (account.home.join(&settings.home_mailbox), settings.home_mailbox.ends_with('/'), false)
    };
    let outcome = if is_maildir {
        as_user(account, || {
            deliver::maildir(&path, |out| write_message(delivery, Form::Maildir, &delivered, out)).map(drop)
        })
    } else if in_spool {
        append_in_spool(delivery, account, &path, &delivered)
    } else {
        let rules = settings.rules(Some(account.uid), None);
        as_user(account, || deliver::append(&path, &rules, |out| write_message(delivery, Form::Mbox, &delivered, out)))
    };
    let sent = if is_maildir { "delivered to maildir" } else { "delivered to mailbox" };
    report(outcome, sent, &path, &account.name.to_string_lossy())
}

/// In the spool, which is root's: the lock and the file are made with the directory's group, and given to the user.
fn append_in_spool(
    delivery: &Delivery<'_>,
    account: &Account,
    path: &Path,
    delivered: &str,
) -> Result<(), DeliverError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| DeliverError::Io { what, source }
    };
    let root = accounts::effective_uid() == 0;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let data = std::fs::metadata(directory).map_err(io(&format!("stat {}", directory.display())))?;
    let group = if data.mode() & 0o020 != 0 { data.gid() } else { account.gid };
    let give_to = root.then_some((account.uid, group));
    let rules = delivery.settings.rules(Some(account.uid), give_to);
    deliver::append(path, &rules, |out| {
        // The file is open; the bytes are written as the recipient, so that its quota counts them.
        let _as_user = Borrowed::identity(account.uid, account.gid, &[group])?;
        write_message(delivery, Form::Mbox, delivered, out)?;
        out.flush()
    })
}

fn as_user(account: &Account, work: impl FnOnce() -> Result<(), DeliverError>) -> Result<(), DeliverError> {
    let _as_user = Borrowed::identity(account.uid, account.gid, &accounts::groups_of(account))
        .map_err(|source| DeliverError::Io { what: "cannot become the recipient".into(), source })?;
    work()
}

/// Delivers to a /file of an alias or .forward.
pub fn to_file(delivery: &Delivery<'_>, path: &str, rights: &Option<Account>) -> Report {
    let settings = delivery.settings;
    let Some(account) = rights.clone().or_else(|| accounts::by_name(&settings.default_privs)) else {
        return Report::deferred(format!("unknown user in default_privs: {}", settings.default_privs));
    };
    let delivered = delivered_to(delivery, "file");
    let place = Path::new(path);
    if path == "/dev/null" {
        return Report::sent(format!("delivered to file: {path}"));
    }
    let outcome = if path.ends_with('/') {
        as_user(&account, || {
            deliver::maildir(place, |out| write_message(delivery, Form::Maildir, &delivered, out)).map(drop)
        })
    } else {
        let rules = settings.rules(None, None);
        as_user(&account, || deliver::append(place, &rules, |out| write_message(delivery, Form::Mbox, &delivered, out)))
    };
    let sent =
        if path.ends_with('/') { "delivered to maildir".to_owned() } else { format!("delivered to file: {path}") };
    match report(outcome, &sent, place, &account.name.to_string_lossy()) {
        failed if failed.code.class() == 2 => failed,
        failed => Report {
            reason: failed.reason.replacen("cannot update mailbox", "cannot append message to file", 1),
            ..failed
        },
    }
}

/// The verdict on a failure: what the disk says now is temporary, what the place is does not change.
fn report(outcome: Result<(), DeliverError>, sent: &str, path: &Path, user: &str) -> Report {
    let error = match outcome {
        Ok(()) => return Report::sent(sent),
        Err(error) => error,
    };
    let code = match &error {
        DeliverError::Unfit(_) => Code::new(5, 2, 0),
        DeliverError::Busy(_) => Code::new(4, 2, 0),
        DeliverError::Io { source, .. } => match source.raw_os_error() {
            Some(libc::EDQUOT | libc::EFBIG) => Code::new(5, 2, 2),
            Some(libc::EACCES | libc::EPERM | libc::EISDIR | libc::ENOTDIR | libc::ELOOP | libc::ENXIO) => {
                Code::new(5, 2, 0)
            }
            Some(libc::EAGAIN | libc::ESTALE) => Code::new(4, 2, 0),
            // ENOSPC, and EIO too: a disk that fails is no reason to return good mail.
            _ => Code::new(4, 3, 0),
        },
    };
    Report::new(code, format!("cannot update mailbox {} for user {user}. {error}", path.display()))
}
