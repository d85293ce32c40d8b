//! `--trace`: the lives of the messages that a queue id, a message id or an address leads to, across requeues, forwards
//! and notices. The logs are searched for what is known, and again as long as that leads to more: each search is one
//! pass of a substring search, and only lines that have a hit are read.

use super::numbers::text;
use crate::applet::pflogsumm::fact::{Fact, Sink};
use crate::applet::pflogsumm::fields::is_queue_id;
use crate::applet::pflogsumm::input::{LONGEST, Lines};
use crate::applet::pflogsumm::read::accurate::{AccurateReader, Parts};
use crate::applet::pflogsumm::text::{after_last, find};
use crate::log::event::Event;
use memchr::{memchr, memmem, memrchr};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

/// What a search looks for.
pub type Words = BTreeSet<Vec<u8>>;

/// Beyond these the answer would be no answer; a line says so.
const MOST_WORDS: usize = 2000;
const MOST_LINES: usize = 200_000;

/// Finds the lines that have one of the words, as a word.
pub struct Finder<'w> {
    words: Vec<memmem::Finder<'w>>,
}

impl<'w> Finder<'w> {
    pub fn new(words: &'w Words) -> Finder<'w> {
        Finder { words: words.iter().map(memmem::Finder::new).collect() }
    }
}

impl Lines for Finder<'_> {
    fn begin(&mut self) {}

    fn announce(&mut self, _: &[u8]) {}

    fn line(&mut self, line: &[u8], sink: &mut impl Sink) {
        sink.take(Fact::Line(line));
    }

    fn piece(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let mut hits = Vec::new();
        for finder in &self.words {
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| finder.find(rest)).map(|at| at + from) {
                let end = at + finder.needle().len();
                from = end.max(at + 1);
                if is_word(bytes, at, end) {
                    let begin = memrchr(b'\n', &bytes[..at]).map_or(0, |at| at + 1);
                    let line_end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
                    hits.push((begin, line_end));
                    from = line_end;
                }
            }
        }
        hits.sort_unstable();
        hits.dedup();
        for (begin, end) in hits {
            self.line(&bytes[begin..end.min(begin + LONGEST)], sink);
        }
    }
}

/// Whether what stands at from..to is not a part of a longer id or address.
fn is_word(bytes: &[u8], from: usize, to: usize) -> bool {
    let inside =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'=' | b'@') || byte >= 0x80;
    let before = from.checked_sub(1).and_then(|at| bytes.get(at)).is_some_and(|&byte| inside(byte) || byte == b'.');
    // A full stop may end a sentence; one that something follows does not.
    let after = match bytes.get(to..) {
        Some([b'.', next, ..]) => inside(*next),
        Some([next, ..]) => inside(*next),
        _ => false,
    };
    // "orig_to=<...>" and "from=<...>" have the address in brackets; "queued_as=ID" and "sasl_username=NAME" do not.
    let before = before && !bytes[..from].ends_with(b"=");
    !before && !after
}

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
    mut search: impl FnMut(&Words) -> io::Result<Found>,
) -> io::Result<bool> {
    let term = term.strip_prefix(b"<").and_then(|term| term.strip_suffix(b">")).unwrap_or(term);
    let mut words = Words::from([term.to_vec()]);
    let (found, ids) = loop {
        let found = search(&words)?;
        let mut known = words.clone();
        let mut ids = Words::new();
        for line in &found.lines {
            let Some(parts) = reader.parts(line) else { continue };
            let of_interest = learn(&parts, &mut ids, &mut known);
            known.extend(of_interest);
        }
        if known.len() == words.len() || words.len() > MOST_WORDS {
            break (found, ids);
        }
        words = known;
    };
    // An address can be a sender of thousands: each message's own lines were found with its id.
    let lives = lives(&found, &ids, reader);
    if lives.is_empty() {
        writeln!(out, "{}: no message of this is in the logs", text(term))?;
        return Ok(false);
    }
    let mut first = true;
    for life in &lives {
        if !std::mem::take(&mut first) {
            writeln!(out)?;
        }
        life.write(out)?;
    }
    if found.more || words.len() > MOST_WORDS {
        writeln!(out, "\nThere is more: this leads to too many lines; a queue id or --from and --to lead to fewer.")?;
    }
    Ok(true)
}

/// Notes the message's queue id and what its line leads to.
fn learn(parts: &Parts<'_>, ids: &mut Words, known: &mut Words) -> Words {
    let mut more = Words::new();
    let Some((id, said)) = id_and_text(parts.content) else { return more };
    ids.insert(id.to_vec());
    more.insert(id.to_vec());
    match Event::parse(parts.content) {
        Event::MessageId { message_id, .. } => {
            let bare = message_id.strip_prefix(b"<").and_then(|id| id.strip_suffix(b">")).unwrap_or(&message_id);
            // An empty or short one is no name.
            if bare.len() > 4 {
                more.insert(bare.to_vec());
            }
        }
        Event::Notification { notice_id, .. } => {
            more.insert(notice_id.into_owned());
        }
        _ => {
            for mark in [b"forwarded as ".as_slice(), b"queued as "] {
                let Some(rest) = after_last(said, mark) else { continue };
                let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
                let next = &rest[..end];
                if next.len() > 4 && is_queue_id(next) {
                    more.insert(next.to_vec());
                }
            }
        }
    }
    more.retain(|word| !known.contains(word));
    more
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

fn lives(found: &Found, ids: &Words, reader: &AccurateReader<'_>) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    for line in &found.lines {
        let Some(parts) = reader.parts(line) else { continue };
        let Some((id, said)) = id_and_text(parts.content).filter(|(id, _)| ids.contains(*id)) else { continue };
        let at = *places.entry(id.to_vec()).or_insert_with(|| {
            lives.push(Life {
                id: text(id),
                begin: parts.at,
                message_id: None,
                lines: Vec::new(),
                outcomes: Vec::new(),
                removed: false,
                next: Vec::new(),
            });
            lives.len() - 1
        });
        if let Some(life) = lives.get_mut(at) {
            life.add(&parts, said);
        }
    }
    lives
}

impl Life {
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
        let stamp = parts.stamp;
        let date = super::numbers::hour_name(parts.at.div_euclid(3600));
        let date = date.get(..10).unwrap_or(&date).to_owned();
        let time = format!("{date} {:02}:{:02}:{:02}", stamp.hour, stamp.minute, stamp.second);
        let after = format!("+{}", elapsed(parts.at - self.begin));
        self.lines.push(format!("  {time} {after:>9}  {:<10} {}", text(parts.service), printable(said)));
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
    text(bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn elapsed(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        let line = b"A1B2C: to=<bob@a.example>, orig_to=<bob.x@a.example>, queued_as=C3D4E, (250 queued as F5A6B).";
        let whole = |word: &str| memmem::find_iter(line, word).any(|at| is_word(line, at, at + word.len()));
        for word in ["A1B2C", "bob@a.example", "C3D4E", "F5A6B"] {
            assert!(whole(word), "{word}");
        }
        for word in ["1B2C", "ob@a.example", "x@a.example", "bob@a"] {
            assert!(!whole(word), "{word}");
        }
    }
}
