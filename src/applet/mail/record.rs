//! Copies of letters that were sent, where `record` (or -F) says.

use super::session::Session;
use super::{folder, places};
use crate::mailbox::append;
use crate::mailbox::mbox::MboxError;
use crate::message::address::Address;
use crate::sys::files;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Keeps a copy; what is wrong with the place is told, and the letter is sent all the same.
pub fn keep(session: &mut Session, sender: &str, first: &Address, message: &[u8]) {
    let name = session.variables.text("record").filter(|name| !name.is_empty() && !session.record_by_address);
    let path = match &name {
        Some(name) => match places::path_of(session, name) {
            Ok(path) => path,
            Err(_) => return,
        },
        None if session.record_by_address => match places::outfolder(session) {
            Some(directory) => directory.join(folder::file_by_address(session, Some(first))),
            None if session.is_of_another_flavour() => folder::file_by_address(session, Some(first)).into(),
            None => return,
        },
        None => return,
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    let as_maildir =
        session.files_as_maildir(&path) || name.is_some_and(|name| name.starts_with("maildir:")) && !path.exists();
    let kept = if as_maildir {
        folder::keep_in_maildir(&path, None, |out| out.write_all(message)).map_err(|error| error.to_string())
    } else if !takes_letters(&path) {
        let reason = session.texts.say("Requested item not found", &[]);
        let shown = path.to_string_lossy();
        let say = session.texts.say("Cannot create output mailbox `{}': {}", &[&shown, &reason]);
        return session.complain(&say);
    } else {
        let letter = folder::letter_as_mbox_message(sender, message);
        append::append(&path, &letter, 0o600).map_err(|error| match &error {
            MboxError::Io(error) => session.texts.say(&files::reason(error), &[]),
            other => other.to_string(),
        })
    };
    if let Err(reason) = kept {
        let shown = path.to_string_lossy();
        let say = session.texts.say("Cannot open output mailbox `{}': {}", &[&shown, &reason]);
        session.complain(&say);
    }
}

/// Whether it is an mbox, a device, or nothing yet: a letter at the end of another file would damage it.
fn takes_letters(path: &Path) -> bool {
    match path.metadata() {
        Ok(data) if data.is_dir() => false,
        Ok(data) if data.is_file() && data.len() > 0 => begins_as_mbox(path).unwrap_or(true),
        _ => true,
    }
}

fn begins_as_mbox(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(start.trim_ascii_start().starts_with(b"From "))
}
