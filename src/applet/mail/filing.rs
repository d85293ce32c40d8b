//! Commands that decide what becomes of messages: deleting, marking, saving, leaving, other folders.

use super::command::Line;
use super::folder;
use super::msglist::{self, Chosen, Scope};
use super::places;
use super::session::{Done, Next, Session, State, Trouble};
use super::show::{self, Manner};
use crate::message::header;
use crate::message::mime::Part;
use std::path::{Path, PathBuf};

/// Applies a change to the states of the chosen messages.
fn change(
    session: &mut Session,
    name: &str,
    words: &[String],
    scope: Scope,
    with: impl Fn(&mut State),
) -> Result<Vec<usize>, Trouble> {
    let mut chosen = msglist::choose(session, name, words, scope)?;
    let mut there = Vec::with_capacity(chosen.len());
    for index in chosen.drain(..) {
        if session.there(index)? {
            with(&mut session.opened()?.states[index]);
            there.push(index);
        }
    }
    if let Some(open) = &mut session.open {
        open.page.settle(&open.states);
    }
    Ok(there)
}

pub fn delete(session: &mut Session, line: &Line) -> Done {
    delete_chosen(session, line)?;
    Ok(Next::Go)
}

/// With `autoprint` the next one is shown even if the list was wrong.
fn delete_chosen(session: &mut Session, line: &Line) -> Result<(), Trouble> {
    let done = change(session, line.typed, &line.words, Scope::Living, |state| state.deleted = true);
    if !session.variables.is_set("autoprint") {
        return done.map(drop);
    }
    if let Err(trouble) = done {
        session.tell(trouble)?;
    }
    print_current(session)
}

fn print_current(session: &mut Session) -> Result<(), Trouble> {
    let open = session.opened()?;
    let index = open.current();
    if open.states[index].deleted {
        return Err(session.trouble("No applicable messages", &[]));
    }
    show::print(session, &[Chosen { index, part: Vec::new() }], Manner::Chosen)
}

pub fn delete_print(session: &mut Session, line: &Line) -> Done {
    // The next one is shown even if the list was wrong.
    if let Err(trouble) = delete_chosen(session, line) {
        session.tell(trouble)?;
    }
    print_current(session)?;
    Ok(Next::Go)
}

pub fn undelete(session: &mut Session, line: &Line) -> Done {
    // What is taken back counts as read: whoever did it has made up his mind about it.
    // `u *` takes back nothing in mailutils, which looks at the name as it was typed.
    let whole = line.typed == "undelete" || session.is_of_another_flavour();
    let scope = if whole { Scope::Deleted } else { Scope::All };
    change(session, line.typed, &line.words, scope, |state| {
        state.shown = true;
        (state.deleted, state.mboxed, state.preserved) = (false, false, false);
    })?;
    Ok(Next::Go)
}

pub fn hold(session: &mut Session, line: &Line) -> Done {
    let chosen = change(session, line.typed, &line.words, Scope::All, |state| {
        state.preserved = true;
        state.mboxed = false;
    })?;
    set_cursor(session, &chosen);
    Ok(Next::Go)
}

pub fn mbox(session: &mut Session, line: &Line) -> Done {
    let chosen = change(session, line.typed, &line.words, Scope::Each, |state| {
        state.mboxed = true;
        state.preserved = false;
    })?;
    set_cursor(session, &chosen);
    Ok(Next::Go)
}

pub fn touch(session: &mut Session, line: &Line) -> Done {
    let chosen = change(session, line.typed, &line.words, Scope::Each, |state| state.touched = true)?;
    set_cursor(session, &chosen);
    Ok(Next::Go)
}

fn set_cursor(session: &mut Session, chosen: &[usize]) {
    if let (Some(open), Some(&last)) = (&mut session.open, chosen.last())
        && !open.states[last].deleted
    {
        open.go(last);
    }
}

pub fn unread(session: &mut Session, line: &Line) -> Done {
    change(session, line.typed, &line.words, Scope::All, |state| {
        state.unread = true;
        state.shown = false;
    })?;
    Ok(Next::Go)
}

pub fn tag(session: &mut Session, line: &Line) -> Done {
    change(session, line.typed, &line.words, Scope::Living, |state| state.tagged = true)?;
    Ok(Next::Go)
}

pub fn untag(session: &mut Session, line: &Line) -> Done {
    change(session, line.typed, &line.words, Scope::Living, |state| state.tagged = false)?;
    Ok(Next::Go)
}

/// What is saved: whole messages, or texts alone (`write`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Message,
    Text,
}

pub fn save(session: &mut Session, line: &Line) -> Done {
    to_file(session, line, What::Message, true)
}

pub fn copy(session: &mut Session, line: &Line) -> Done {
    to_file(session, line, What::Message, false)
}

pub fn write(session: &mut Session, line: &Line) -> Done {
    to_file(session, line, What::Text, true)
}

pub fn save_by_sender(session: &mut Session, line: &Line) -> Done {
    by_sender(session, line, What::Message, true)
}

pub fn copy_by_sender(session: &mut Session, line: &Line) -> Done {
    by_sender(session, line, What::Message, false)
}

pub fn write_by_sender(session: &mut Session, line: &Line) -> Done {
    by_sender(session, line, What::Text, true)
}

/// `save [[list] file]`: the last word is the file, mbox without one.
fn to_file(session: &mut Session, line: &Line, what: What, marks: bool) -> Done {
    let (list, target) = match line.words.split_last() {
        // A text goes into a file, whatever its name would mean for a mailbox.
        Some((file, list)) if what == What::Text && ["&", "#"].contains(&file.as_str()) => {
            (list.to_vec(), Some(PathBuf::from(file)))
        }
        // No command is run, and no file is called like one.
        Some((file, _)) if file.starts_with('|') => {
            let reason = session.texts.say("No such file or directory", &[]);
            return Err(session.trouble("Cannot open mailbox {}: {}", &[file, &reason]));
        }
        Some((file, list)) => (list.to_vec(), Some(places::path_of(session, file)?)),
        None => (Vec::new(), None),
    };
    let scope = if what == What::Text { Scope::Parts } else { Scope::Each };
    let chosen = msglist::choose_parts(session, line.typed, &list, scope)?;
    let target = match (target, what) {
        (Some(target), _) => target,
        (None, What::Message) => places::mbox_path(session),
        (None, What::Text) => PathBuf::from(name_for_text(&chosen[0])),
    };
    store(session, &chosen, &target, what, marks)
}

fn by_sender(session: &mut Session, line: &Line, what: What, marks: bool) -> Done {
    let scope = if what == What::Text { Scope::Parts } else { Scope::Living };
    let chosen = msglist::choose_parts(session, line.typed, &line.words, scope)?;
    let (block, _) = show::read(session, chosen[0].index)?;
    let sender = super::writing::senders(session, chosen[0].index, &block).into_iter().next();
    let sender = sender.map(|one| one.qualified(&session.host));
    let name = folder::file_by_address(session, sender.as_ref());
    let target = places::outfolder(session).unwrap_or_default().join(name);
    store(session, &chosen, &target, what, marks)
}

/// The name of a text that got none: its message's number, and its part's.
fn name_for_text(chosen: &Chosen) -> String {
    let mut name = (chosen.index + 1).to_string();
    for part in &chosen.part {
        name.push_str(&format!(".{part}"));
    }
    name
}

fn store(session: &mut Session, chosen: &[Chosen], target: &Path, what: What, marks: bool) -> Done {
    if places::is_remote(target) {
        let reason = session.texts.say("mailboxes on servers are only read", &[]);
        return Err(session.trouble("Cannot open mailbox {}: {}", &[&target.to_string_lossy(), &reason]));
    }
    let target = std::env::current_dir()?.join(target);
    let (lines, bytes) = match what {
        What::Message => {
            // A number that is none ends the list.
            let mut indices = Vec::with_capacity(chosen.len());
            for one in chosen {
                if !session.there(one.index)? {
                    break;
                }
                indices.push(one.index);
            }
            folder::copy_messages(session, &indices, &target, false)?
        }
        What::Text => write_texts(session, chosen, &target)?,
    };
    let open = session.opened()?;
    for one in chosen {
        let Some(state) = open.states.get_mut(one.index) else { break };
        state.saved |= marks && one.part.is_empty();
    }
    let text = format!("\"{}\" {lines:3}/{bytes:<5}", target.display());
    session.screen.line(&text)?;
    Ok(Next::Go)
}

fn write_texts(session: &mut Session, chosen: &[Chosen], target: &Path) -> Result<(u64, u64), Trouble> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let texts = session.texts;
    let fails =
        |error: std::io::Error| Trouble::Say(format!("can't open {}: {}", target.display(), texts.reason(&error)));
    let mut all = Vec::new();
    for one in chosen {
        if session.open.as_ref().is_none_or(|open| one.index >= open.count()) {
            let number = (one.index + 1).to_string();
            let reason = session.texts.say("Requested item not found", &[]);
            let say = session.texts.say("Cannot get message {}: {}", &[&number, &reason]);
            session.complain(&say);
            continue;
        }
        let (block, body) = show::read(session, one.index)?;
        let tree = Part::parse(&block, &body);
        if one.part.is_empty() && tree.parts.is_empty() {
            all.extend(tree.decoded());
        } else if one.part.is_empty() {
            all.extend(body);
        } else {
            let part = show::find(&tree, &one.part).ok_or_else(|| super::reading::no_part(session, one))?;
            all.extend(part.decoded());
        }
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(target).map_err(fails)?;
    file.write_all(&all).and_then(|()| file.sync_all()).map_err(fails)?;
    Ok((memchr::memchr_iter(b'\n', &all).count() as u64, all.len() as u64))
}

pub fn quit(_: &mut Session, _: &Line) -> Done {
    Ok(Next::Quit)
}

pub fn exit(_: &mut Session, _: &Line) -> Done {
    Ok(Next::Exit)
}

pub fn incorporate(session: &mut Session, _: &Line) -> Done {
    if !folder::look_for_news(session)? {
        let user = session.account.name.to_string_lossy().into_owned();
        let say = session.texts.say("No new mail for {}", &[&user]);
        session.screen.line(&say)?;
    }
    Ok(Next::Go)
}

/// `file [name]`: the mailbox's line, or another mailbox after leaving this one.
pub fn file(session: &mut Session, line: &Line) -> Done {
    let Some(name) = line.words.first() else {
        super::summary::announce(session)?;
        return Ok(Next::Go);
    };
    if line.words.len() > 1 {
        return Err(session.trouble("{} takes only one argument", &[line.typed]));
    }
    let path = places::path_of(session, name)?;
    let next = folder::open(session, &path)?;
    if let Some(open) = &session.open {
        let name = open.name.clone();
        folder::quit(session)?;
        session.previous_file = Some(name);
    }
    session.open = Some(next);
    super::start::greet(session)?;
    Ok(Next::Go)
}

pub fn folders(session: &mut Session, _: &Line) -> Done {
    let dir = places::folder_directory(session)?;
    let lister = session.setting("LISTER");
    session.screen.flush()?;
    std::process::Command::new("/bin/sh").arg("-c").arg(format!("{lister} \"$1\"")).arg("sh").arg(dir).status()?;
    Ok(Next::Go)
}

/// The header block of a message, for replies.
pub fn header_block(session: &Session, index: usize) -> Result<Vec<u8>, Trouble> {
    let (block, _) = show::read(session, index)?;
    Ok(block)
}

/// A field of it, unfolded.
pub fn field(block: &[u8], name: &str) -> Option<String> {
    header::find(block, name)
        .map(|value| String::from_utf8_lossy(&value).trim().to_owned())
        .filter(|value| !value.is_empty())
}
