//! What becomes of a mailbox's messages: opening, saving, leaving.

use super::session::{OpenBox, Session, State, Trouble};
use super::{places, secrets};
use crate::log::Log;
use crate::mailbox::append;
use crate::mailbox::deliver::{self, DeliverError};
use crate::mailbox::marks::{self, Flags, Marks};
use crate::mailbox::mbox::{MboxError, News};
use crate::mailbox::remote::url::Url;
use crate::mailbox::remote::{Remote, RemoteError};
use crate::mailbox::rewrite::Fate;
use crate::mailbox::store::Store;
use crate::message::{address, date, header};
use std::io::{Read, Write};
use std::path::Path;

/// Copies are gathered up to this size before they are appended.
const BATCH: usize = 8 << 20;

fn open_remote(session: &mut Session, name: &str, url: &Url) -> Result<OpenBox, Trouble> {
    let (user, password) = secrets::find(session, url)?;
    match Remote::open(url, &user, password, &session.journal_dir()) {
        Ok(remote) => {
            let height = super::summary::height(session);
            Ok(OpenBox::new(Store::Remote(Box::new(remote)), false, name.to_owned(), height))
        }
        Err(RemoteError::Io(error)) => {
            Err(session.trouble("Cannot open mailbox {}: {}", &[name, &session.texts.reason(&error)]))
        }
        Err(error) => Err(session.trouble("Cannot open mailbox {}: {}", &[name, &error.to_string()])),
    }
}

/// Opens a mailbox; the sentence says why not.
pub fn open(session: &mut Session, path: &Path) -> Result<OpenBox, Trouble> {
    if let Some(name) = path.to_str()
        && let Some(url) = Url::parse(name)
    {
        return match url {
            Ok(url) => open_remote(session, name, &url),
            // A password in the name is not said again.
            Err(error) => {
                let shown = name.rsplit_once('@').map_or(name, |(_, place)| place);
                Err(session.trouble("Cannot open mailbox {}: {}", &[shown, &error.to_string()]))
            }
        };
    }
    let path = std::path::absolute(path)?;
    let system = path == std::path::absolute(places::system_mailbox(session, None))?;
    let name = path.to_string_lossy().into_owned();
    match Store::open(&path, Some(&session.journal_dir())) {
        Ok(mbox) => Ok(OpenBox::new(mbox, system, name, super::summary::height(session))),
        Err(MboxError::Io(error)) if error.kind() != std::io::ErrorKind::IsADirectory => {
            Err(session.trouble("Cannot open mailbox {}: {}", &[&name, &session.texts.reason(&error)]))
        }
        Err(MboxError::Io(_) | MboxError::NotMbox) => {
            let reason = session.texts.say("Requested item not found", &[]);
            Err(session.trouble("Cannot create mailbox {}: {}", &[&name, &reason]))
        }
        Err(error) => Err(session.trouble("Cannot open mailbox {}: {}", &[&name, &error.to_string()])),
    }
}

/// Looks for mail that arrived; says so when there is some, and answers whether there was.
pub fn look_for_news(session: &mut Session) -> Result<bool, Trouble> {
    if !session.variables.is_set("autoinc") {
        return Ok(false);
    }
    let Some(open) = &mut session.open else { return Ok(false) };
    let before: Vec<u64> = open.mbox.messages().iter().map(|message| message.identity).collect();
    let count = open.count();
    match open.mbox.refresh() {
        Ok(News::Arrived(_)) => {
            open.states.resize(open.mbox.messages().len(), State::default());
            let say = session.texts.say("New mail has arrived.", &[]);
            session.screen.line(&say)?;
            return Ok(true);
        }
        Ok(News::Replaced) => {
            // Another program rewrote the mailbox: what was decided goes with the messages, not with the numbers.
            let mut at = 0;
            let mut states = vec![State::default(); open.mbox.messages().len()];
            for (index, message) in open.mbox.messages().iter().enumerate() {
                if let Some(found) = before[at..].iter().position(|identity| *identity == message.identity) {
                    states[index] = open.states[at + found];
                    at += found + 1;
                }
            }
            let current = open.current();
            open.states = states;
            open.go(current.min(open.count().saturating_sub(1)));
            if open.count() > count {
                let say = session.texts.say("New mail has arrived.", &[]);
                session.screen.line(&say)?;
                return Ok(true);
            }
        }
        // A mailbox that is being rewritten right now, or is away: the next look will tell.
        Ok(News::Nothing) | Err(_) => {}
    }
    Ok(false)
}

/// Leaves the mailbox: what was read goes to mbox, what was deleted goes, the rest is held.
pub fn quit(session: &mut Session) -> Result<(), Trouble> {
    let Some(open) = &session.open else { return Ok(()) };
    let (hold, keep_saved) = (session.variables.is_set("hold"), session.variables.is_set("keepsave"));
    let read_only = session.variables.is_set("readonly");
    let mut fates = Vec::with_capacity(open.count());
    let mut moving = Vec::new();
    for (index, state) in open.states.iter().enumerate() {
        let message = &open.mbox.messages()[index];
        let looked_at = state.shown || state.touched;
        let ripe = looked_at || state.saved && keep_saved;
        let stays = !open.system || state.preserved;
        let moves = !state.deleted && (state.mboxed || (!stays && !hold && ripe));
        let goes = state.deleted || moves || (!stays && state.saved && !keep_saved && !looked_at);
        if moves {
            moving.push(index);
        }
        let mut flags = message.flags | Flags::OLD;
        if state.unread {
            flags = flags.without(Flags::READ);
        } else if state.shown {
            flags |= Flags::READ;
        }
        if state.answered {
            flags |= Flags::ANSWERED;
        }
        fates.push(if goes { Fate::Delete } else { Fate::Mark(Marks { flags: Some(flags), ..Marks::default() }) });
    }
    if read_only {
        moving.clear();
        fates.clear();
    }
    let held = open.count() - fates.iter().filter(|fate| **fate == Fate::Delete).count();
    let name = open.name.clone();
    if !moving.is_empty() {
        let target = places::mbox_path(session);
        // First the copy, fsynced; only then the original goes.
        if session.files_as_maildir(&target) {
            moving.iter().try_for_each(|&index| into_maildir(session, index, &target))?;
        } else {
            copy_messages(session, &moving, &target, true)?;
        }
        let number = moving.len();
        let say = session.texts.count(
            number,
            "Saved {} message in {}",
            "Saved {} messages in {}",
            &[&number.to_string(), &target.to_string_lossy()],
        );
        session.screen.line(&say)?;
    }
    if let Some(open) = &mut session.open
        && let Err(error) = open.mbox.rewrite(&fates)
    {
        let read_only = matches!(&error, MboxError::Io(io) if matches!(io.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem));
        let reason = match &error {
            MboxError::Io(io) => session.texts.reason(io),
            MboxError::Locked => {
                let reason = session.texts.say("Conflict with previous locker", &[]);
                return Err(session.trouble("Cannot read mailbox {}: {}", &[&name, &reason]));
            }
            other => other.to_string(),
        };
        if !(read_only && fates.iter().all(|fate| *fate != Fate::Delete)) {
            return Err(Trouble::Say(format!("{name}: {reason}")));
        }
    }
    let say = session.texts.count(held, "Held {} message in {}", "Held {} messages in {}", &[&held.to_string(), &name]);
    session.screen.line(&say)?;
    session.open = None;
    Ok(())
}

/// A message as a file of a maildir, with its mark that it was read.
fn into_maildir(session: &Session, index: usize, target: &Path) -> Result<(), Trouble> {
    let none = || session.trouble("No applicable messages", &[]);
    let open = session.open.as_ref().ok_or_else(none)?;
    let message = open.mbox.messages().get(index).ok_or_else(none)?;
    let flags = if open.is_read(index) { message.flags | Flags::READ } else { message.flags };
    // Marks of a maildir stand in its names.
    let marks = Marks { flags: Some(Flags::NONE), ..Marks::default() };
    let block = marks::set(&open.mbox.header(message, usize::MAX)?, &marks);
    let mut body = open.mbox.body(message)?;
    keep_in_maildir(target, Some(flags), |out| {
        out.write_all(&block)?;
        std::io::copy(&mut body, out).map(drop)
    })
    .map_err(|error| {
        session.trouble("Cannot open output file {}: {}", &[&target.to_string_lossy(), &error.to_string()])
    })
}

/// Writes a file of a maildir, which is made where it is away. With `flags` a reader has seen it.
pub fn keep_in_maildir(
    target: &Path,
    flags: Option<Flags>,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), DeliverError> {
    let path = deliver::maildir(target, &Log::on_demand("mail", "mail", "mail", ""), write)?;
    if let (Some(flags), Some(name)) = (flags, path.file_name()) {
        let marks = if flags.has(Flags::READ) { ":2,S" } else { ":2," };
        // In new/ it is as safe, and only looks new.
        let _ = std::fs::rename(&path, target.join("cur").join(format!("{}{marks}", name.to_string_lossy())));
    }
    Ok(())
}

/// Appends messages to a file: (lines, bytes) that were added.
pub fn copy_messages(session: &Session, indices: &[usize], target: &Path, mark: bool) -> Result<(u64, u64), Trouble> {
    let fails = |error: MboxError| {
        let reason = match &error {
            MboxError::Locked => {
                let reason = session.texts.say("Conflict with previous locker", &[]);
                return session.trouble("Cannot append message to {}: {}", &[&target.to_string_lossy(), &reason]);
            }
            MboxError::Io(io) => session.texts.reason(io),
            other => other.to_string(),
        };
        session.trouble("Cannot open output file {}: {}", &[&target.to_string_lossy(), &reason])
    };
    let mut gathered = Vec::new();
    let (mut lines, mut bytes) = (0, 0);
    for &index in indices {
        let one = as_mbox_message(session, index, mark)?;
        lines += memchr::memchr_iter(b'\n', &one).count() as u64;
        bytes += one.len() as u64;
        gathered.extend(one);
        if gathered.len() > BATCH {
            append::append(target, &gathered, 0o600).map_err(fails)?;
            gathered.clear();
        }
    }
    if !gathered.is_empty() {
        append::append(target, &gathered, 0o600).map_err(fails)?;
    }
    Ok((lines, bytes))
}

/// From_ line, header, body and an empty line.
pub fn as_mbox_message(session: &Session, index: usize, mark: bool) -> Result<Vec<u8>, Trouble> {
    let none = || session.trouble("No applicable messages", &[]);
    let open = session.open.as_ref().ok_or_else(none)?;
    let message = open.mbox.messages().get(index).ok_or_else(none)?;
    let line = open.mbox.from_line(message)?;
    // One blank after the sender, as mailutils writes it and all programs read it.
    let mut out = format!("From {} {}\n", date::from_line_sender(&line), date::from_line_rest(&line)).into_bytes();
    let block = open.mbox.header(message, usize::MAX)?;
    if mark {
        let read = open.states.get(index).is_some_and(|state| state.shown);
        let flags = Some(if read { message.flags | Flags::READ } else { message.flags });
        out.extend(marks::set(&block, &Marks { flags, ..Marks::default() }));
    } else {
        out.extend(block);
    }
    let mut body = Vec::new();
    open.mbox.body(message)?.read_to_end(&mut body)?;
    out.extend(if open.mbox.quotes() { body } else { crate::message::quote::quote(&body) });
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.push(b'\n');
    Ok(out)
}

/// A letter of ours as a message of an mbox.
pub fn letter_as_mbox_message(sender: &str, message: &[u8]) -> Vec<u8> {
    // In UTC, as mailutils writes it.
    let now = date::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let mut out = format!("From {sender} {}\n", date::from_line_date(&now)).into_bytes();
    let (block, body) = header::split(message);
    out.extend_from_slice(block);
    out.extend(crate::message::quote::quote(body));
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// The file that Save names after the sender: by `outfilename`.
pub fn file_by_address(session: &Session, address: Option<&address::Address>) -> String {
    let name = match address {
        None => "UNKNOWN".to_owned(),
        Some(one) => match session.variables.text("outfilename").as_deref() {
            Some("email") => one.mailbox.clone(),
            Some("domain") => one.mailbox.rsplit_once('@').map_or(one.local(), |(_, domain)| domain).to_owned(),
            _ => one.local().to_owned(),
        },
    };
    // A sender chooses the address, not the directory.
    let name = name.replace('/', "_");
    if name.starts_with('.') { format!("_{name}") } else { name }
}
