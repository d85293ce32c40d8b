//! Commands that show: messages, summaries, parts, sizes, and messages through a pipe.

use super::command::Line;
use super::msglist::{self, Chosen, Scope};
use super::session::{Done, Next, Session};
use super::show::{self, Manner};
use super::summary;
use crate::message::date;
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
        show::print(session, &chosen[..1], Manner::Chosen)?;
        return Ok(Next::Go);
    }
    let none = session.trouble("No applicable message", &[]);
    let open = session.opened()?;
    let current = open.current();
    let state = open.states.get(current).copied().unwrap_or_default();
    let start = if state.shown || state.deleted { current + 1 } else { current };
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
    let Some(index) = open.previous_from(open.current()) else { return Err(none) };
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
    let page = summary::screenful(session)?;
    summary::print(session, &page)?;
    Ok(Next::Go)
}

/// `z`, `z+`, `z-`, `z.`, with a number of screenfuls.
pub fn scroll(session: &mut Session, line: &Line) -> Done {
    let bad = session.trouble("Bad arguments for the scrolling command", &[]);
    let text = line.rest;
    let sign = match text.chars().next() {
        Some(sign @ ('+' | '-' | '.')) => sign,
        None => '+',
        _ => return Err(bad),
    };
    // The sign stands alone or before its number.
    let (first, rest) = line.words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let attached = first.strip_prefix(sign).filter(|word| !word.is_empty());
    let mut words = attached.into_iter().chain(rest.iter().map(String::as_str));
    let times = match (words.next(), words.next()) {
        (None, _) => 1,
        (Some(_), _) if sign == '.' => return Err(session.trouble("Argument not applicable for z", &[])),
        (Some(_), Some(_)) => return Err(session.trouble("Too many arguments for the scrolling command", &[])),
        (Some(word), None) => match pages(word) {
            0 => return Err(session.trouble("Bad number of pages", &[])),
            times => times,
        },
    };
    let height = summary::height(session);
    let (first, last) = (
        session.texts.say("On first screenful of messages", &[]),
        session.texts.say("On last screenful of messages", &[]),
    );
    let lines = times.saturating_mul(height);
    let threads = session.variables.is_set("threads");
    let listed = if threads { summary::listed(session)? } else { Vec::new() };
    let open = session.opened()?;
    let moved = match sign {
        '.' => true,
        '+' if lines == 0 => false,
        // By threads the screenful follows the current message.
        _ if threads => {
            let at = listed.iter().position(|&index| index == open.current()).unwrap_or(0);
            let target = if sign == '+' { at.checked_add(lines) } else { at.checked_sub(lines) };
            let target = target.and_then(|target| listed.get(target));
            target.map(|&target| open.go(target)).is_some()
        }
        '+' => open.page.forward(lines, &open.states),
        _ => open.page.back(lines, &open.states),
    };
    if !moved {
        session.screen.line(if sign == '+' { &last } else { &first })?;
        return Ok(Next::Go);
    }
    headers(session, &Line { name: "headers", typed: "h", words: Vec::new(), rest: "" })
}

/// The number that a word begins with, as strtoul(3) reads it: below zero is beyond all numbers.
fn pages(word: &str) -> usize {
    let word = word.trim_start();
    let (below, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    match digits[..length].parse::<usize>() {
        Ok(0) => 0,
        Ok(number) if !below => number,
        Ok(_) => usize::MAX,
        Err(_) if length == 0 => 0,
        Err(_) => usize::MAX,
    }
}

/// `=`: the current message's number; with one named, that one is current from now on.
pub fn number(session: &mut Session, line: &Line) -> Done {
    let none = session.trouble("No applicable message", &[]);
    if line.words.len() > 1 {
        return Ok(Next::Go);
    }
    if !line.words.is_empty() {
        let chosen = msglist::choose(session, line.typed, &line.words, Scope::Each)?;
        session.opened()?.go(chosen[0]);
    }
    let open = session.opened()?;
    let current = open.current();
    if open.states.get(current).is_none_or(|state| state.deleted) {
        return Err(none);
    }
    let number = (current + 1).to_string();
    session.screen.line(&number)?;
    Ok(Next::Go)
}

pub fn summary(session: &mut Session, _: &Line) -> Done {
    summary::announce(session)?;
    Ok(Next::Go)
}

pub fn size(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::All)? {
        if !session.there(index)? {
            continue;
        }
        let open = session.opened()?;
        let message = open.mbox.messages()[index];
        let mark = if index == open.current() { '>' } else { ' ' };
        let text = format!("{mark}{:2} {:3}/{:<5}", index + 1, message.lines, message.written_size());
        session.screen.line(&text)?;
    }
    Ok(Next::Go)
}

/// Header and the first `toplines` lines.
pub fn top(session: &mut Session, line: &Line) -> Done {
    let lines = session.variables.number("toplines");
    let lines = lines.ok_or_else(|| session.trouble("No value set for \"{}\"", &["toplines"]))?;
    let count = usize::try_from(lines).unwrap_or(0);
    for index in msglist::choose(session, line.typed, &line.words, Scope::Each)? {
        if !session.there(index)? {
            continue;
        }
        let text = show::raw(session, index)?;
        let last = count.checked_sub(1).map(|last| memchr::memchr_iter(b'\n', &text).nth(last));
        let end = last.map_or(0, |found| found.map_or(text.len(), |end| end + 1));
        session.show(&text[..end])?;
        show::mark_shown(session, index);
    }
    Ok(Next::Go)
}

/// Messages byte for byte, whatever that does to a terminal.
pub fn raw(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        if session.there(index)? {
            let text = show::raw(session, index)?;
            session.screen.bytes(&text)?;
            show::mark_shown(session, index);
        }
    }
    Ok(Next::Go)
}

pub fn envelope(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        if !session.there(index)? {
            continue;
        }
        let open = session.opened()?;
        let text = open.mbox.from_line(&open.mbox.messages()[index])?;
        let text = format!("{} {}\n", date::from_line_sender(&text), date::from_line_rest(&text));
        session.screen.message(text.as_bytes())?;
    }
    Ok(Next::Go)
}

pub fn structure(session: &mut Session, line: &Line) -> Done {
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        if !session.there(index)? {
            continue;
        }
        let text = show::structure(session, index)?;
        session.show(text.as_bytes())?;
        mark_read(session, index);
    }
    Ok(Next::Go)
}

/// Each part with its type in a frame, decoded.
pub fn decode(session: &mut Session, line: &Line) -> Done {
    for one in msglist::choose_parts(session, line.typed, &line.words, Scope::Parts)? {
        if one.index >= session.opened()?.count() {
            break;
        }
        let (block, body) = show::read(session, one.index)?;
        let tree = Part::parse(&block, &body);
        let part = show::find(&tree, &one.part).ok_or_else(|| no_part(session, &one))?;
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

/// The sentence about a part that is not there.
pub fn no_part(session: &Session, chosen: &Chosen) -> super::session::Trouble {
    let last = chosen.part.last().copied().unwrap_or_default().to_string();
    session.trouble("No such (sub)part in the message: {}", &[&last])
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
    let encoding = session.texts.say("Encoding={}", &[encoding]);
    out.extend_from_slice(format!("{rule}| Message={name}\n| Type={kind}\n| {encoding}\n{rule}").as_bytes());
    out.extend(show::plain_header(session, part.header));
    out.push(b'\n');
    let text = part.content_type.kind.starts_with("text/");
    out.extend(if text { part.text().into_bytes() } else { part.decoded() });
    // On a terminal the next frame begins a line of its own.
    if session.screen.terminal && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
}

/// Messages as they were written into a command: the last word, or `cmd`.
pub fn pipe(session: &mut Session, line: &Line) -> Done {
    let (list, command) = match line.words.split_last() {
        Some((last, list)) => (list, last.clone()),
        None => (line.words.as_slice(), session.variables.text("cmd").unwrap_or_default()),
    };
    if command.is_empty() {
        return Err(session.trouble("No value set for \"{}\"", &["cmd"]));
    }
    let chosen = msglist::choose(session, line.typed, list, Scope::Living)?;
    session.screen.flush()?;
    // What needs no shell gets none, and a program that is not there reads nothing.
    let plain = command.chars().all(|c| c.is_alphanumeric() || c == ' ' || "/._-+=:,@%*?".contains(c));
    let mut process = Command::new("/bin/sh");
    if plain && let Some((program, arguments)) = words_of(&command).split_first() {
        process = Command::new(program);
        process.args(arguments);
    } else {
        process.arg("-c").arg(&command);
    }
    let mut child = process.stdin(Stdio::piped()).spawn().ok();
    let page = session.variables.is_set("page");
    let input = child.as_mut().and_then(|child| child.stdin.take());
    for &index in &chosen {
        if !session.there(index)? {
            continue;
        }
        let text = show::raw(session, index)?;
        // A command that reads no more is no error of ours.
        let end: &[u8] = if page { b"\x0c\n" } else { b"" };
        if let Some(mut input) = input.as_ref() {
            let _ = input.write_all(&text).and_then(|()| input.write_all(end));
        }
        mark_read(session, index);
    }
    drop(input);
    if let Some(mut child) = child {
        let _ = child.wait();
    }
    Ok(Next::Go)
}

fn words_of(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// A copy of the message in an editor; the mailbox stays as it is.
pub fn edit(session: &mut Session, line: &Line) -> Done {
    let editor = session.setting(if line.name == "visual" { "VISUAL" } else { "EDITOR" });
    for index in msglist::choose(session, line.typed, &line.words, Scope::Living)? {
        if !session.there(index)? {
            continue;
        }
        let text = super::folder::as_mbox_message(session, index, true)?;
        let mut file = crate::sys::files::Replacement::create(&std::env::temp_dir().join("mu"), 0o600)?;
        file.write_all(&text)?;
        let lines = memchr::memchr_iter(b'\n', &text).count();
        let say = format!("\"{}\" {lines:3}/{:<5}", file.temporary_path().display(), text.len());
        session.screen.line(&say)?;
        session.screen.flush()?;
        let path = file.temporary_path().to_owned();
        let status = Command::new("/bin/sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status()?;
        if status.success() {
            show::mark_shown(session, index);
        }
    }
    Ok(Next::Go)
}
