//! Commands that show: messages, summaries, parts, sizes, and messages through a pipe.

use super::command::Line;
use super::msglist::{self, Chosen, Scope};
use super::session::{Done, Next, Session, Trouble};
use super::show::{self, Manner};
use super::summary;
use crate::message::mime::Part;
use std::io::Write;
use std::process::{Command, Stdio};

pub fn print(session: &mut Session, line: &Line) -> Done {
    print_as(session, line, Manner::Chosen)
}

pub fn print_full(session: &mut Session, line: &Line) -> Done {
    print_as(session, line, Manner::Full)
}

fn print_as(session: &mut Session, line: &Line, manner: Manner) -> Done {
    let chosen = msglist::choose_parts(session, line.typed, &line.words, Scope::Living)?;
    show::print(session, &chosen, manner)?;
    Ok(Next::Go)
}

/// The next message; the current one when it was not shown yet.
pub fn next(session: &mut Session, line: &Line) -> Done {
    if !line.words.is_empty() {
        let none = session.texts.say("No applicable message", &[]);
        let chosen = msglist::choose_parts(session, line.typed, &line.words, Scope::Living)
            .map_err(|trouble| trouble.and(&none))?;
        let last = chosen.last().cloned().map(|one| vec![one]).unwrap_or_default();
        show::print(session, &last, Manner::Chosen)?;
        return Ok(Next::Go);
    }
    let none = session.trouble("No applicable message", &[]);
    let open = session.opened()?;
    let state = open.states.get(open.cursor).copied().unwrap_or_default();
    let start = if state.shown || state.deleted || line.name == "+" { open.cursor + 1 } else { open.cursor };
    let Some(index) = open.next_from(start) else { return Err(none) };
    show::print(session, &[Chosen { index, part: Vec::new() }], Manner::Chosen)?;
    Ok(Next::Go)
}

pub fn previous(session: &mut Session, line: &Line) -> Done {
    if !line.words.is_empty() {
        return next(session, line);
    }
    let none = session.trouble("No applicable message", &[]);
    let open = session.opened()?;
    let Some(index) = open.previous_from(open.cursor) else { return Err(none) };
    show::print(session, &[Chosen { index, part: Vec::new() }], Manner::Chosen)?;
    Ok(Next::Go)
}

pub fn from(session: &mut Session, line: &Line) -> Done {
    let chosen = msglist::choose(session, line.typed, &line.words, Scope::Living)?;
    summary::print(session, &chosen)?;
    Ok(Next::Go)
}

pub fn headers(session: &mut Session, line: &Line) -> Done {
    if !line.words.is_empty() {
        return from(session, line);
    }
    if session.open.as_ref().is_none_or(|open| open.next_from(0).is_none()) {
        return Ok(Next::Go);
    }
    let page = summary::screenful(session);
    summary::print(session, &page)?;
    Ok(Next::Go)
}

/// `z`, `z+`, `z-`, `z.`, with a number of screenfuls.
pub fn scroll(session: &mut Session, line: &Line) -> Done {
    let bad = session.trouble("Bad arguments for the scrolling command", &[]);
    let text = line.rest;
    let (sign, rest) = match text.chars().next() {
        Some(sign @ ('+' | '-' | '.')) => (sign, text[1..].trim()),
        None => ('+', ""),
        Some(c) if c.is_ascii_digit() => ('+', text),
        _ => return Err(bad),
    };
    let Ok(times) = (if rest.is_empty() { Ok(1) } else { rest.parse::<usize>() }) else { return Err(bad) };
    let height = usize::try_from(session.variables.number("screen").unwrap_or(22)).unwrap_or(22).max(1);
    let (first, last) = (
        session.texts.say("On first screenful of messages", &[]),
        session.texts.say("On last screenful of messages", &[]),
    );
    let open = session.opened()?;
    let living: Vec<usize> = (0..open.count()).filter(|&index| !open.states[index].deleted).collect();
    let at = living.iter().position(|&index| index >= open.cursor).unwrap_or(0) / height * height;
    let target = match sign {
        '+' => at.saturating_add(times.saturating_mul(height)),
        '-' => match at.checked_sub(times.saturating_mul(height)) {
            Some(target) => target,
            None if at > 0 => 0,
            None => {
                session.screen.line(&first)?;
                return Ok(Next::Go);
            }
        },
        _ => at,
    };
    if target >= living.len() {
        session.screen.line(&last)?;
        return Ok(Next::Go);
    }
    if sign != '.' {
        open.cursor = living[target];
    }
    headers(session, &Line { name: "headers", typed: "h", words: Vec::new(), rest: "" })
}

pub fn number(session: &mut Session, _: &Line) -> Done {
    let none = session.trouble("No applicable message", &[]);
    let open = session.opened()?;
    if open.states.get(open.cursor).is_none_or(|state| state.deleted) {
        return Err(none);
    }
    let number = (open.cursor + 1).to_string();
    session.screen.line(&number)?;
    Ok(Next::Go)
}

pub fn summary(session: &mut Session, _: &Line) -> Done {
    let line = summary::mailbox_line(session);
    session.screen.line(&line)?;
    Ok(Next::Go)
}

pub fn size(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        let open = session.opened()?;
        let message = open.mbox.messages()[index];
        let mark = if index == open.cursor { '>' } else { ' ' };
        let text = format!("{mark}{:2} {:3}/{:<5}", index + 1, message.lines, message.size());
        session.screen.line(&text)?;
    }
    Ok(Next::Go)
}

/// Header and the first `toplines` lines.
pub fn top(session: &mut Session, line: &Line) -> Done {
    let count = usize::try_from(session.variables.number("toplines").unwrap_or(5)).unwrap_or(5);
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        let text = show::raw(session, index)?;
        let end = memchr::memchr_iter(b'\n', &text).nth(count.saturating_sub(1)).map_or(text.len(), |end| end + 1);
        session.show(&text[..end])?;
        if let Some(open) = &mut session.open {
            open.cursor = index;
        }
    }
    Ok(Next::Go)
}

pub fn envelope(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        let open = session.opened()?;
        let text = open.mbox.from_line(&open.mbox.messages()[index])?;
        session.screen.message(&text)?;
    }
    Ok(Next::Go)
}

pub fn structure(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        let text = show::structure(session, index)?;
        session.show(text.as_bytes())?;
        mark_read(session, index);
    }
    Ok(Next::Go)
}

/// Each part with its type in a frame, decoded.
pub fn decode(session: &mut Session, line: &Line) -> Done {
    for one in msglist::choose_parts(session, line.typed, &line.words, Scope::Living)? {
        let (block, body) = show::read(session, one.index)?;
        let tree = Part::parse(&block, &body);
        let none = || session.trouble("No applicable message", &[]);
        let part = show::find(&tree, &one.part).ok_or_else(none)?;
        let mut name = (one.index + 1).to_string();
        for number in &one.part {
            name.push_str(&format!(".{number}"));
        }
        let mut out = Vec::new();
        decode_part(session, part, &name, &mut out);
        session.show(&out)?;
        mark_read(session, one.index);
    }
    Ok(Next::Go)
}

/// Read, but not current.
fn mark_read(session: &mut Session, index: usize) {
    if let Some(state) = session.open.as_mut().and_then(|open| open.states.get_mut(index)) {
        state.shown = true;
        state.unread = false;
    }
}

fn decode_part(session: &Session, part: &Part, name: &str, out: &mut Vec<u8>) {
    if !part.parts.is_empty() {
        for (index, one) in part.parts.iter().enumerate() {
            decode_part(session, one, &format!("{name}.{}", index + 1), out);
        }
        return;
    }
    let columns = usize::try_from(session.variables.number("columns").unwrap_or(80)).unwrap_or(80);
    let rule = format!("+{}+\n", "-".repeat(columns.clamp(10, 500) - 2));
    let encoding = if part.encoding.is_empty() { "7bit" } else { &part.encoding };
    let kind = crate::message::header::find(part.header, "Content-Type")
        .map_or_else(|| "text/plain".to_owned(), |value| String::from_utf8_lossy(&value).into_owned());
    out.extend_from_slice(format!("{rule}| Message={name}\n| Type={kind}\n| Encoding={encoding}\n{rule}").as_bytes());
    out.extend(show::plain_header(session, part.header));
    out.push(b'\n');
    let text = part.content_type.kind.starts_with("text/");
    out.extend(if text { part.text().into_bytes() } else { part.decoded() });
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
}

/// Messages as they stand into a command.
pub fn pipe(session: &mut Session, line: &Line) -> Done {
    // The command is the last word, or all that follows a message list.
    let (list, command) = split_pipe(session, line);
    let chosen = msglist::choose(session, "pi", &list, Scope::Living)?;
    let command = match command.is_empty() {
        false => command,
        true => session.variables.text("cmd").unwrap_or_default(),
    };
    if command.is_empty() {
        return Err(Trouble::Say("pipe: no command; set cmd, or name one".into()));
    }
    session.screen.flush()?;
    let mut child = Command::new("/bin/sh").arg("-c").arg(&command).stdin(Stdio::piped()).spawn()?;
    let page = session.variables.is_set("page");
    if let Some(mut input) = child.stdin.take() {
        for &index in &chosen {
            let text = show::raw(session, index)?;
            // A command that reads no more is no error of ours.
            let end: &[u8] = if page { b"\x0c\n" } else { b"" };
            if input.write_all(&text).and_then(|()| input.write_all(end)).is_err() {
                break;
            }
        }
    }
    let _ = child.wait();
    if let Some(&last) = chosen.last() {
        show::mark_shown(session, last);
    }
    Ok(Next::Go)
}

fn split_pipe(session: &mut Session, line: &Line) -> (Vec<String>, String) {
    let Some((last, list)) = line.words.split_last() else { return (Vec::new(), String::new()) };
    if list.is_empty() {
        return (Vec::new(), last.clone());
    }
    if msglist::choose(session, "pi", list, Scope::Living).is_ok() {
        return (list.to_vec(), last.clone());
    }
    // "| 1 wc -l": the list is as long as it can be understood.
    for end in (1..list.len()).rev() {
        if msglist::choose(session, "pi", &list[..end], Scope::Living).is_ok() {
            return (list[..end].to_vec(), line.words[end..].join(" "));
        }
    }
    (Vec::new(), line.rest.to_owned())
}

/// A copy of the message in an editor; the mailbox stays as it is.
pub fn edit(session: &mut Session, line: &Line) -> Done {
    let editor = session.setting(if line.name == "visual" { "VISUAL" } else { "EDITOR" });
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        let text = show::raw(session, index)?;
        let mut file = crate::sys::files::Replacement::create(&std::env::temp_dir().join("mail"), 0o600)?;
        file.write_all(&text)?;
        session.screen.flush()?;
        let path = file.temporary_path().to_owned();
        Command::new("/bin/sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status()?;
        show::mark_shown(session, index);
    }
    Ok(Next::Go)
}
