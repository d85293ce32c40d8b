//! frm(1) and from(1): who wrote about what, one line a message. They look and never write. frm's statuses: 0 when
//! messages of the status asked for are there, 1 when there are other ones (or none was asked for), 2 when there are none.

use super::screen::Screen;
use super::session::{Session, Trouble};
use super::{folder, headline};
use crate::applet::cli::{Opt, getopt};
use crate::applet::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use crate::mailbox::marks::Flags;
use crate::mailbox::outline::Outlines;
use crate::mailbox::scan::Message;
use crate::message::{charset, header};
use std::ffi::OsString;

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
    let parsed = getopt(letters, &args).map_err(|error| Failure::new(Exit(3), error.to_string()))?;
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
    let status = match value(&options, 's') {
        None => None,
        Some(word) if !word.is_empty() && "new".starts_with(&word) => Some('n'),
        Some(word) if !word.is_empty() && ("unread".starts_with(&word) || "old".starts_with(&word)) => Some('o'),
        Some(word) if !word.is_empty() && "read".starts_with(&word) => Some('r'),
        Some(word) => return Err(Failure::new(Exit(3), format!("{word}: unknown attribute"))),
    };
    let mut session = Session::new(&call.program);
    let mut paths = Vec::new();
    for operand in &operands {
        let path = folder::path_of(&session, &operand.to_string_lossy());
        paths.push(path.map_err(|trouble| said(&mut session, trouble))?);
    }
    if paths.is_empty() {
        paths.push(folder::system_mailbox(&session, None));
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
    if path.exists() {
        session.open = Some(folder::open(session, path)?);
    } else {
        session.open = None;
    }
    let Some(open) = &session.open else { return told_empty(&mut session.screen, options) };
    let new = |message: &Message| !message.flags.has(Flags::OLD) && !message.flags.has(Flags::READ);
    let fits = |message: &Message| match status {
        Some('n') => new(message),
        Some('r' | 'o') => message.flags.has(if status == Some('r') { Flags::READ } else { Flags::OLD }),
        _ => true,
    };
    let messages = open.mbox.messages();
    if messages.is_empty() {
        return told_empty(&mut session.screen, options);
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
            line.push_str(&format!("({})\t", headline::short_name(&text("To"))));
        }
        match &field {
            Some(name) => line.push_str(&charset::decode_words(&text(name))),
            None => {
                let sender = headline::short_name(&text("From"));
                let sender = if has(options, 't') { format!("{sender:<20}") } else { sender };
                line.push_str(&format!("{sender}\t{}", charset::decode_words(&text("Subject"))));
            }
        }
        line.push('\n');
        session.screen.message(line.as_bytes())?;
    }
    if has(options, 'q') {
        session.screen.line("There are messages in that folder.")?;
    }
    if has(options, 'S') {
        let counts = [
            (messages.iter().filter(|message| new(message)).count(), "new"),
            (messages.iter().filter(|m| !new(m) && !m.flags.has(Flags::READ)).count(), "unread"),
            (messages.iter().filter(|m| m.flags.has(Flags::READ)).count(), "read"),
        ];
        let plural = |count: usize| if count == 1 { "message" } else { "messages" };
        let parts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word} {}", plural(*count)))
            .collect();
        session.screen.line(&format!("Folder contains {}.", parts.join(", ")))?;
    }
    Ok((true, matched))
}

fn told_empty(screen: &mut Screen, options: &[Opt]) -> Result<(bool, bool), Trouble> {
    if has(options, 'q') {
        screen.line("No messages in that folder!")?;
    }
    if has(options, 'S') {
        screen.line("Folder contains no messages.")?;
    }
    Ok((false, false))
}

fn from(call: &Invocation) -> Result<Exit, Failure> {
    let (options, operands) = options(call, "cdf:s:", &[("count", 'c'), ("file", 'f'), ("sender", 's')])?;
    let mut session = Session::new(&call.program);
    let path = match (value(&options, 'f'), operands.first()) {
        (Some(file), _) => folder::path_of(&session, &file).map_err(|trouble| said(&mut session, trouble))?,
        (None, Some(user)) => folder::system_mailbox(&session, Some(&user.to_string_lossy())),
        (None, None) => folder::system_mailbox(&session, None),
    };
    if path.exists() {
        let open = folder::open(&mut session, &path).map_err(|trouble| said(&mut session, trouble))?;
        session.open = Some(open);
    }
    let messages = session.open.as_ref().map_or(&[] as &[Message], |open| open.mbox.messages());
    if has(&options, 'c') {
        let text = if messages.len() == 1 {
            "There is 1 message in your incoming mailbox.".to_owned()
        } else {
            format!("There are {} messages in your incoming mailbox.", messages.len())
        };
        session.screen.line(&text)?;
        session.screen.flush()?;
        return Ok(Exit::OK);
    }
    let wanted = value(&options, 's').map(|text| text.to_lowercase());
    if let Some(open) = &session.open {
        let mut outlines = Outlines::new(&open.mbox, false);
        for index in 0..messages.len() {
            let block = outlines.of(index)?.block;
            let sender = header::find(block, "From").unwrap_or_default();
            if wanted.as_ref().is_some_and(|wanted| !String::from_utf8_lossy(&sender).to_lowercase().contains(wanted)) {
                continue;
            }
            let subject = charset::decode_words(&header::find(block, "Subject").unwrap_or_default());
            session.screen.message(format!("{}\t{subject}\n", headline::short_name(&sender)).as_bytes())?;
        }
    }
    session.screen.flush()?;
    Ok(Exit::OK)
}

fn said(session: &mut Session, trouble: Trouble) -> Failure {
    match session.tell(trouble) {
        Ok(()) => Failure::silent(Exit(3)),
        Err(error) => Failure::from(error),
    }
}
