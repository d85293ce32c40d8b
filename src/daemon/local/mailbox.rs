//! Delivery to a user's mailbox or to a file.

use super::recipient::Delivery;
pub use crate::delivery::letter::Form;
use crate::delivery::letter::{Letter, verdict};
use crate::mailbox::deliver::{self, DeliverError};
use crate::message::envelope;
use crate::status::{Code, Report};
use crate::sys::accounts::{self, Account};
use crate::sys::privilege::Borrowed;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const MAILDIR_FAILED: &str = "maildir delivery failed: ";

/// Writes the message with the headers that local delivery adds.
pub fn write_message(delivery: &Delivery<'_>, form: Form, delivered: &str, out: &mut dyn Write) -> io::Result<()> {
    let Delivery { request, target, file, sender, .. } = delivery;
    Letter { request, target, file, sender }.write(form, delivered, out)
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
    if delivery.request.only_verifies() {
        return Report::sent(if is_maildir { "delivers to maildir" } else { "delivers to mailbox" });
    }
    let before = std::fs::metadata(&path).map_or(0, |data| data.len());
    let outcome = if is_maildir {
        as_user(account, || {
            deliver::maildir(&path, &settings.log, |out| write_message(delivery, Form::Maildir, &delivered, out))
                .map(drop)
        })
    } else if in_spool {
        append_in_spool(delivery, account, &path, &delivered)
    } else {
        let rules = settings.rules(Some(account.uid), None);
        as_user(account, || deliver::append(&path, &rules, |out| write_message(delivery, Form::Mbox, &delivered, out)))
    };
    if settings.biff && !is_maildir && outcome.is_ok() {
        super::biff::notify(&account.name.to_string_lossy(), before);
    }
    let sent = if is_maildir { "delivered to maildir" } else { "delivered to mailbox" };
    let failed = if is_maildir {
        MAILDIR_FAILED.to_owned()
    } else {
        format!("cannot update mailbox {} for user {}. ", path.display(), account.name.to_string_lossy())
    };
    verdict(outcome, sent, &failed)
}

/// In the spool. Who makes the lock and opens the file is what the directory's mode says: the recipient where anybody
/// may write, the recipient with the directory's group where that may, else root, who gives the file away.
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
    let directory = path.parent().unwrap_or(Path::new("/"));
    let data = std::fs::metadata(directory).map_err(io(&format!("stat {}", directory.display())))?;
    let group = if data.mode() & 0o022 == 0o020 { data.gid() } else { account.gid };
    let by_root = data.mode() & 0o022 == 0 && accounts::effective_uid() == 0;
    let rules = delivery.settings.rules(Some(account.uid), by_root.then_some((account.uid, group)));
    let as_recipient = || Borrowed::identity(account.uid, account.gid, &[group]);
    let _throughout = if by_root { None } else { Some(as_recipient().map_err(io("cannot become the recipient"))?) };
    deliver::append(path, &rules, |out| {
        // The file is open; the bytes are written as the recipient, so that its quota counts them.
        let _to_write = if by_root { Some(as_recipient()?) } else { None };
        write_message(delivery, Form::Mbox, delivered, out)?;
        out.flush()
    })
}

fn as_user(account: &Account, work: impl FnOnce() -> Result<(), DeliverError>) -> Result<(), DeliverError> {
    let _as_user = Borrowed::identity(account.uid, account.gid, &[account.gid])
        .map_err(|source| DeliverError::Io { what: "cannot become the recipient".into(), source })?;
    work()
}

/// Delivers to a /file of an alias or .forward.
pub fn to_file(delivery: &Delivery<'_>, path: &str, rights: &Option<Account>) -> Report {
    let settings = delivery.settings;
    let Some(account) = rights.clone().or_else(|| accounts::by_name(&settings.default_privs)) else {
        return Report::deferred(format!("unknown user in default_privs: {}", settings.default_privs));
    };
    if delivery.request.only_verifies() {
        return Report::sent(format!("delivers to file: {path}"));
    }
    let delivered = delivered_to(delivery, "file");
    let place = Path::new(path);
    if path == "/dev/null" {
        return Report::sent(format!("delivered to file: {path}"));
    }
    let outcome = if path.ends_with('/') {
        as_user(&account, || {
            deliver::maildir(place, &settings.log, |out| write_message(delivery, Form::Maildir, &delivered, out))
                .map(drop)
        })
    } else {
        let rules = settings.rules(None, None);
        as_user(&account, || deliver::append(place, &rules, |out| write_message(delivery, Form::Mbox, &delivered, out)))
    };
    let (sent, failed) = if path.ends_with('/') {
        ("delivered to maildir".to_owned(), MAILDIR_FAILED.to_owned())
    } else {
        (format!("delivered to file: {path}"), format!("cannot append message to file {path}: "))
    };
    // A directory that a list names and that is not there is the list's mistake; for a mailbox it may be a disk that is
    // not mounted yet.
    let no_place = matches!(&outcome, Err(DeliverError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound);
    let report = verdict(outcome, &sent, &failed);
    if no_place { Report { code: Code::new(5, 2, 0), ..report } } else { report }
}
