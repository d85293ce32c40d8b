//! `--trace`: the lives of the messages that a queue id, a message id or an address leads to, across requeues, forwards
//! and notices. Each search is one pass over the logs for all words that are new, as long as that leads to more; each
//! queue id is searched once, so its lines come out in their order.

/// Many words in one pass.
mod finder;

use super::events::row::time_name;
use super::numbers::text;
use crate::applet::pflogsumm::fact::{Fact, Sink};
use crate::applet::pflogsumm::fields::is_queue_id;
use crate::applet::pflogsumm::read::accurate::{AccurateReader, Parts};
use crate::applet::pflogsumm::text::{after_last, find};
use crate::log::event::Event;
use crate::message::display::harmless;
pub use finder::Finder;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

/// Beyond these the answer would be no answer; a line says so.
const MOST_WORDS: usize = 2000;
const MOST_LINES: usize = 200_000;

/// Lines of a search, in the order of the logs.
#[derive(Default)]
pub struct Found {
    pub lines: Vec<Box<[u8]>>,
    pub more: bool,
}

impl Sink for Found {
    fn take(&mut self, fact: Fact<'_>) {
        if let Fact::Line(line) = fact {
            if self.lines.len() < MOST_LINES {
                self.lines.push(line.into());
            } else {
                self.more = true;
            }
        }
    }
}

/// Searches until nothing new is found. `search` gives the lines that have one of these words.
pub fn trace(
    out: &mut impl Write,
    term: &[u8],
    reader: &AccurateReader<'_>,
    mut search: impl FnMut(&[Vec<u8>]) -> io::Result<Found>,
) -> io::Result<bool> {
    let term = term.strip_prefix(b"<").and_then(|term| term.strip_suffix(b">")).unwrap_or(term);
    let mut lives = Lives::default();
    let mut next = vec![term.to_vec()];
    let mut known: HashSet<Vec<u8>> = next.iter().cloned().collect();
    let mut more = false;
    while !next.is_empty() {
        let found = search(&next)?;
        more |= found.more;
        let searched: HashSet<Vec<u8>> = next.drain(..).collect();
        for line in &found.lines {
            let Some(parts) = reader.parts(line) else { continue };
            for word in lives.take(&parts, &searched) {
                if known.contains(&word) {
                    continue;
                }
                if known.len() == MOST_WORDS {
                    more = true;
                    break;
                }
                known.insert(word.clone());
                next.push(word);
            }
        }
    }
    if lives.list.is_empty() && lives.refused.is_empty() {
        writeln!(out, "{}: no message of this is in the logs", printable(term))?;
        return Ok(false);
    }
    lives.write(out)?;
    if more {
        writeln!(out, "\nThere is more: this leads to too many lines; a queue id or --from and --to lead to fewer.")?;
    }
    Ok(true)
}

/// What a line leads to: its message's queue id, message id, and those that it became or was told of by.
fn leads(content: &[u8], id: &[u8], said: &[u8]) -> Vec<Vec<u8>> {
    let mut words = vec![id.to_vec()];
    match Event::parse(content) {
        Event::MessageId { message_id, .. } => {
            let bare = message_id.strip_prefix(b"<").and_then(|id| id.strip_suffix(b">")).unwrap_or(&message_id);
            // An empty or short one is no name.
            if bare.len() > 4 {
                words.push(bare.to_vec());
            }
        }
        Event::Notification { notice_id, .. } => words.push(notice_id.into_owned()),
        _ => {
            for mark in [b"forwarded as ".as_slice(), b"queued as ", b"orig_queue_id="] {
                let Some(rest) = after_last(said, mark) else { continue };
                let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
                let next = &rest[..end];
                if next.len() > 4 && is_queue_id(next) {
                    words.push(next.to_vec());
                }
            }
        }
    }
    words
}

/// "ID: text"
fn id_and_text(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = find(content, b": ")?;
    let (id, said) = (&content[..end], &content[end + 2..]);
    (id.len() > 4 && is_queue_id(id)).then_some((id, said))
}

/// One message's lines.
struct Life {
    id: String,
    /// Of the first line.
    begin: i64,
    message_id: Option<String>,
    lines: Vec<String>,
    /// What became of each recipient, in the order of their first lines.
    outcomes: Vec<(String, String)>,
    removed: bool,
    next: Vec<String>,
}

/// Messages in the order of their first lines, and what was turned away before it had a queue id.
#[derive(Default)]
struct Lives {
    list: Vec<Life>,
    places: HashMap<Vec<u8>, usize>,
    refused: Vec<String>,
}

impl Lives {
    /// Takes a line of a search for these words and gives what it leads to.
    fn take(&mut self, parts: &Parts<'_>, searched: &HashSet<Vec<u8>>) -> Vec<Vec<u8>> {
        let Some((id, said)) = id_and_text(parts.content) else {
            if matches!(Event::parse(parts.content), Event::Verdict { .. }) {
                self.refused.push(format!(
                    "  {}  {:<10} {}",
                    time(parts),
                    text(parts.service),
                    printable(parts.content)
                ));
            }
            return Vec::new();
        };
        // Other lines of the message come when its queue id is searched.
        if searched.contains(id) {
            let list = &mut self.list;
            let at = *self.places.entry(id.to_vec()).or_insert_with(|| {
                list.push(Life::new(id, parts.at));
                list.len() - 1
            });
            if let Some(life) = list.get_mut(at) {
                life.add(parts, said);
            }
        }
        leads(parts.content, id, said)
    }

    fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.list.sort_by_key(|life| life.begin);
        let mut first = true;
        for life in &self.list {
            if !std::mem::take(&mut first) {
                writeln!(out)?;
            }
            life.write(out)?;
        }
        if !self.refused.is_empty() {
            let before = if first { "" } else { "\n" };
            writeln!(out, "{before}Turned away before it had a queue id")?;
        }
        self.refused.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

impl Life {
    fn new(id: &[u8], begin: i64) -> Life {
        let (lines, outcomes, next) = (Vec::new(), Vec::new(), Vec::new());
        Life { id: text(id), begin, message_id: None, lines, outcomes, removed: false, next }
    }

    fn add(&mut self, parts: &Parts<'_>, said: &[u8]) {
        match Event::parse(parts.content) {
            Event::MessageId { message_id, .. } => self.message_id = Some(text(&message_id)),
            Event::Removed { .. } => self.removed = true,
            Event::Notification { kind, notice_id, .. } => {
                self.next.push(format!("{kind} notification {}", text(&notice_id)));
            }
            _ => {
                if let Some(rest) = said.strip_prefix(b"to=<")
                    && let Some(end) = find(rest, b">, ")
                    && let Some((_, status)) = crate::applet::pflogsumm::text::split_once(rest, b", status=")
                {
                    let (to, status) = (text(&rest[..end]), text(status));
                    let status = format!("{status}, {} after it came in", elapsed(parts.at - self.begin));
                    match self.outcomes.iter_mut().find(|(known, _)| *known == to) {
                        Some((_, known)) => *known = status,
                        None => self.outcomes.push((to, status)),
                    }
                }
            }
        }
        let after = format!("+{}", elapsed(parts.at - self.begin));
        self.lines.push(format!("  {} {after:>9}  {:<10} {}", time(parts), text(parts.service), printable(said)));
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "Message {}", self.id)?;
        if let Some(id) = &self.message_id {
            write!(out, " {}", printable(id.as_bytes()))?;
        }
        writeln!(out)?;
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        for (to, status) in &self.outcomes {
            writeln!(out, "  => {}: {}", printable(to.as_bytes()), printable(status.as_bytes()))?;
        }
        for next in &self.next {
            writeln!(out, "  => {next}")?;
        }
        let end = match (self.removed, self.outcomes.is_empty()) {
            (true, _) => "done: no longer in the queue",
            (false, true) => "no delivery in these logs",
            (false, false) => "still in the queue when the logs end",
        };
        writeln!(out, "  => {end}")
    }
}

/// Nothing of a log drives the terminal.
fn printable(bytes: &[u8]) -> String {
    harmless(&text(bytes))
}

/// "2026-11-24 12:00:00"
fn time(parts: &Parts<'_>) -> String {
    time_name(parts.at).replace('T', " ")
}

fn elapsed(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
