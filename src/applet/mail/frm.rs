//! frm(1) and from(1): who wrote about what, one line a message. They look and never write. frm's statuses: 0 when
//! messages of the status asked for are there, 1 when there are other ones (or none was asked for), 2 when there are none.

use super::folder;
use super::places;
use super::session::{Session, Trouble};
use super::texts::Texts;
use crate::applet::cli::{Opt, OptError, getopt};
use crate::applet::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use crate::mailbox::marks::Flags;
use crate::mailbox::outline::Outlines;
use crate::mailbox::scan::Message;
use crate::message::{address, charset, header};
use std::ffi::{OsStr, OsString};

pub const FRM: Applet = Applet {
    name: "frm",
    aliases: &["frm.mailutils"],
    links: &["bin/frm"],
    section: 1,
    purpose: Purpose::Send,
    about: "list senders and subjects",
    cli: || {
        use clap::{Arg, ArgAction};
        let flag =
            |id: &'static str, letter, help| Arg::new(id).short(letter).long(id).action(ArgAction::SetTrue).help(help);
        clap::Command::new("frm").args([
            Arg::new("field").short('f').long("field").help("this header field instead of sender and subject"),
            Arg::new("status").short('s').long("status").help("new, unread, old or read messages only"),
            flag("to", 'l', "recipients too"),
            flag("number", 'n', "numbers too"),
            flag("Quiet", 'Q', "no lines"),
            flag("query", 'q', "say whether there is mail"),
            flag("summary", 'S', "count the messages"),
            flag("align", 't', "subjects under each other"),
            Arg::new("mailbox").action(ArgAction::Append),
        ])
    },
    run: frm,
};

pub const FROM: Applet = Applet {
    name: "from",
    aliases: &["from.mailutils"],
    links: &["bin/from"],
    section: 1,
    purpose: Purpose::Send,
    about: "list senders and subjects of a mailbox",
    cli: || {
        use clap::{Arg, ArgAction};
        clap::Command::new("from").args([
            Arg::new("count").short('c').long("count").action(ArgAction::SetTrue).help("count the messages"),
            Arg::new("sender").short('s').long("sender").help("senders that hold this text only"),
            Arg::new("file").short('f').long("file").help("this mailbox"),
            Arg::new("user").help("this user's mailbox"),
        ])
    },
    run: from,
};

/// Long names as letters, then getopt.
fn options(call: &Invocation, letters: &str, longs: &[(&str, char)]) -> Result<(Vec<Opt>, Vec<OsString>), Failure> {
    let args: Vec<OsString> = call
        .args
        .iter()
        .map(|arg| {
            let text = arg.to_string_lossy();
            let Some(long) = text.strip_prefix("--").filter(|long| !long.is_empty()) else { return arg.clone() };
            let (name, value) = long.split_once('=').unwrap_or((long, ""));
            match longs.iter().find(|(known, _)| *known == name) {
                Some((_, letter)) => format!("-{letter}{value}").into(),
                None => arg.clone(),
            }
        })
        .collect();
    let texts = Texts::from_environment();
    let parsed = getopt(letters, &args).map_err(|error| {
        let say = match error {
            // A long name that none has is said whole.
            OptError::Invalid('-') => {
                let long = args.iter().find(|arg| arg.as_encoded_bytes().starts_with(b"--"));
                let name = long.map_or_else(|| "--".into(), |arg| arg.to_string_lossy());
                texts.say("unrecognized option '{}'", &[&name])
            }
            OptError::Invalid(letter) => texts.say("unrecognized option '{}'", &[&format!("-{letter}")]),
            OptError::NoArgument(letter) => texts.say("option '{}' requires an argument", &[&format!("-{letter}")]),
        };
        Failure::new(Exit::USAGE, say)
    })?;
    Ok((parsed.options, parsed.operands))
}

fn has(options: &[Opt], letter: char) -> bool {
    options.iter().any(|option| option.letter == letter)
}

fn value(options: &[Opt], letter: char) -> Option<String> {
    let found = options.iter().rev().find(|option| option.letter == letter)?;
    found.value.as_ref().map(|value| value.to_string_lossy().into_owned())
}

fn frm(call: &Invocation) -> Result<Exit, Failure> {
    let longs = [
        ("field", 'f'),
        ("to", 'l'),
        ("number", 'n'),
        ("Quiet", 'Q'),
        ("query", 'q'),
        ("summary", 'S'),
        ("status", 's'),
        ("align", 't'),
    ];
    let (options, operands) = options(call, "df:lnQqSs:t", &longs)?;
    let mut session = Session::new(&call.program);
    let mut status = None;
    for option in options.iter().filter(|option| option.letter == 's') {
        let word = option.value.as_deref().map(OsStr::to_string_lossy).unwrap_or_default();
        let is = |name: &str| !word.is_empty() && name.starts_with(&*word);
        status = if is("new") {
            Some('n')
        } else if is("unread") || is("old") {
            Some('o')
        } else if is("read") {
            Some('r')
        } else {
            let say = session.texts.say("{}: unknown attribute", &[&word]);
            session.complain(&say);
            None
        };
    }
    let mut paths = Vec::new();
    for operand in &operands {
        let path = places::path_of(&session, &operand.to_string_lossy());
        paths.push(path.map_err(|trouble| said(&mut session, trouble))?);
    }
    if paths.is_empty() {
        paths.push(places::system_mailbox(&session, None));
    }
    let (mut any, mut matched) = (false, false);
    for path in &paths {
        if paths.len() > 1 {
            session.screen.line(&format!("{}:", path.display()))?;
        }
        let done = one_mailbox(&mut session, path, &options, status);
        let (found, fits) = done.map_err(|trouble| said(&mut session, trouble))?;
        any |= found;
        matched |= fits && status.is_some();
    }
    session.screen.flush()?;
    Ok(Exit(match (any, matched) {
        (_, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
    }))
}

/// Lines of one mailbox: (whether it has messages, whether it has some of that status).
fn one_mailbox(
    session: &mut Session,
    path: &std::path::Path,
    options: &[Opt],
    status: Option<char>,
) -> Result<(bool, bool), Trouble> {
    // A mailbox that was not made yet is an empty one.
    if path.exists() || places::is_remote(path) {
        session.open = Some(folder::open(session, path)?);
    } else {
        session.open = None;
    }
    let Some(open) = &session.open else { return told_empty(session, options) };
    let new = |message: &Message| !message.flags.has(Flags::OLD) && !message.flags.has(Flags::READ);
    let fits = |message: &Message| match status {
        Some('n') => !message.flags.has(Flags::OLD),
        Some('r' | 'o') => message.flags.has(if status == Some('r') { Flags::READ } else { Flags::OLD }),
        _ => true,
    };
    let messages = open.mbox.messages();
    if messages.is_empty() {
        return told_empty(session, options);
    }
    let (quiet, field) = (has(options, 'Q') || has(options, 'q'), value(options, 'f'));
    let mut matched = false;
    let mut outlines = Outlines::new(&open.mbox, field.is_some() || has(options, 'l'));
    for (index, _) in messages.iter().enumerate().filter(|(_, message)| fits(message)) {
        matched = true;
        if quiet {
            break;
        }
        let block = outlines.of(index)?.block;
        let text = |name: &str| header::find(block, name).unwrap_or_default();
        let mut line = String::new();
        if has(options, 'n') {
            line.push_str(&format!("{:4}:\t", index + 1));
        }
        if has(options, 'l') {
            let to = name_or_all(&text("To"));
            line.push_str(&format!("({})\t", if to.is_empty() { "none" } else { &to }));
        }
        match &field {
            Some(name) => line.push_str(&charset::decode_words(&text(name))),
            None => line.push_str(&sender_and_subject(block, has(options, 't') && session.screen.terminal)),
        }
        line.push('\n');
        session.screen.message(line.as_bytes())?;
    }
    if has(options, 'q') && !has(options, 'S') {
        let say = session.texts.say("There are messages in that folder.", &[]);
        session.screen.line(&say)?;
    }
    if has(options, 'S') {
        let counts = [
            (messages.iter().filter(|message| new(message)).count(), "new"),
            (messages.iter().filter(|m| !new(m) && !m.flags.has(Flags::READ)).count(), "unread"),
            (messages.iter().filter(|m| m.flags.has(Flags::READ)).count(), "read"),
        ];
        let texts = session.texts;
        let parts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| {
                let (one, many) = (format!("{{}} {word} message"), format!("{{}} {word} messages"));
                texts.count(*count, &one, &many, &[&count.to_string()])
            })
            .collect();
        let say = texts.say("Folder contains {}.", &[&parts.join(", ")]);
        session.screen.line(&say)?;
    }
    Ok((true, matched))
}

fn told_empty(session: &mut Session, options: &[Opt]) -> Result<(bool, bool), Trouble> {
    let said = [('S', "Folder contains no messages."), ('q', "No messages in that folder!")];
    if let Some((_, sentence)) = said.iter().find(|(letter, _)| has(options, *letter)) {
        let say = session.texts.say(sentence, &[]);
        session.screen.line(&say)?;
    }
    Ok((false, false))
}

fn from(call: &Invocation) -> Result<Exit, Failure> {
    let (options, operands) = options(call, "cdf:s:", &[("count", 'c'), ("file", 'f'), ("sender", 's')])?;
    let mut session = Session::new(&call.program);
    let path = match (value(&options, 'f'), operands.first()) {
        (Some(file), _) => places::path_of(&session, &file).map_err(|trouble| said(&mut session, trouble))?,
        (None, Some(user)) => places::system_mailbox(&session, Some(&user.to_string_lossy())),
        (None, None) => places::system_mailbox(&session, None),
    };
    if path.exists() || places::is_remote(&path) {
        let open = folder::open(&mut session, &path).map_err(|trouble| said(&mut session, trouble))?;
        session.open = Some(open);
    }
    let messages = session.open.as_ref().map_or(&[] as &[Message], |open| open.mbox.messages());
    if has(&options, 'c') {
        let text = session.texts.count(
            messages.len(),
            "There is {} message in your incoming mailbox.",
            "There are {} messages in your incoming mailbox.",
            &[&messages.len().to_string()],
        );
        session.screen.line(&text)?;
        session.screen.flush()?;
        return Ok(Exit::OK);
    }
    let wanted = value(&options, 's');
    if let Some(open) = &session.open {
        let mut outlines = Outlines::new(&open.mbox, false);
        for index in 0..messages.len() {
            let block = outlines.of(index)?.block;
            let sender = header::find(block, "From").unwrap_or_default();
            if wanted.as_ref().is_some_and(|wanted| !String::from_utf8_lossy(&sender).contains(wanted)) {
                continue;
            }
            let line = sender_and_subject(block, false);
            session.screen.message(line.as_bytes())?;
            session.screen.message(b"\n")?;
        }
    }
    session.screen.flush()?;
    Ok(Exit::OK)
}

/// A message's line; nothing where there is neither. `aligned`: subjects under each other.
fn sender_and_subject(block: &[u8], aligned: bool) -> String {
    let (sender, subject) = (header::find(block, "From"), header::find(block, "Subject"));
    if sender.is_none() && subject.is_none() {
        return String::new();
    }
    let sender = name_or_all(&sender.unwrap_or_default());
    let Some(subject) = subject else { return sender };
    let subject = charset::decode_words(&subject);
    if aligned { format!("{sender:<20}{subject}") } else { format!("{sender}\t{subject}") }
}

/// The name of the first address, or where it has none all that was written.
fn name_or_all(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let first = address::parse(&text).ok().and_then(|all| all.into_iter().next()).and_then(|one| one.name);
    charset::decode_words(first.as_deref().unwrap_or(text.trim()).as_bytes()).into_owned()
}

fn said(session: &mut Session, trouble: Trouble) -> Failure {
    match session.tell(trouble) {
        Ok(()) => Failure::silent(Exit(3)),
        Err(error) => Failure::from(error),
    }
}
