//! Message lists: numbers, ranges, `*`, `.`, `^`, `$`, `+`, `-`, `/subject/`, `header:/text/`, `:n` and its kind,
//! senders, `{groups}`, and parts as `4[2[1]]`.

use super::session::{OpenBox, Session, Trouble};
use super::texts::Texts;
use crate::message::{address, charset, header};
use crate::sys::regex::{Flags, Regex};

/// A message, and a part of it as the path through its multiparts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// From 0.
    pub index: usize,
    pub part: Vec<usize>,
}

/// Which messages a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that are not deleted.
    Living,
    /// Deleted ones too.
    All,
}

/// Part paths deeper than this are no paths.
const DEPTH: usize = 16;

/// The messages of a command's words; without words the current one.
pub fn choose(session: &mut Session, command: &str, words: &[String], scope: Scope) -> Result<Vec<usize>, Trouble> {
    Ok(choose_parts(session, command, words, scope)?.into_iter().map(|chosen| chosen.index).collect())
}

/// As [`choose`], with parts.
pub fn choose_parts(
    session: &mut Session,
    command: &str,
    words: &[String],
    scope: Scope,
) -> Result<Vec<Chosen>, Trouble> {
    let texts = session.texts;
    let none = || Trouble::Say(texts.say("No applicable messages", &[]));
    let Some(open) = session.open.as_ref() else { return Err(none()) };
    if open.count() == 0 {
        return Err(none());
    }
    if words.is_empty() {
        if open.states[open.cursor].deleted && scope == Scope::Living {
            return Err(none());
        }
        return Ok(vec![Chosen { index: open.cursor, part: Vec::new() }]);
    }
    let text = words.join(" ");
    let reader = Reader { open, texts, command, scope, regex: session.variables.is_set("regex") };
    let mut chosen = Vec::new();
    reader.list(&text, 0, &mut chosen)?;
    if chosen.is_empty() { Err(none()) } else { Ok(chosen) }
}

struct Reader<'s> {
    open: &'s OpenBox,
    texts: Texts,
    command: &'s str,
    scope: Scope,
    regex: bool,
}

impl Reader<'_> {
    fn list(&self, text: &str, depth: usize, chosen: &mut Vec<Chosen>) -> Result<(), Trouble> {
        let mut rest = text.trim_start_matches([' ', ',', '\t']);
        while !rest.is_empty() {
            rest = self.item(rest, depth, chosen)?;
            if !(rest.is_empty() || rest.starts_with([' ', ',', '\t'])) {
                return Err(self.error("{}: syntax error near end"));
            }
            rest = rest.trim_start_matches([' ', ',', '\t']);
        }
        Ok(())
    }

    /// Takes one item off the text.
    fn item<'t>(&self, text: &'t str, depth: usize, chosen: &mut Vec<Chosen>) -> Result<&'t str, Trouble> {
        let first = text.chars().next().unwrap_or(' ');
        if first == '{' {
            let end =
                text.rfind('}').filter(|_| depth < DEPTH).ok_or_else(|| self.error("{}: syntax error near end"))?;
            self.list(&text[1..end], depth + 1, chosen)?;
            return Ok(&text[end + 1..]);
        }
        if first == ':' {
            let letter = text[1..].chars().next().ok_or_else(|| self.error("{}: unknown message type near end"))?;
            self.by_state(letter, chosen)?;
            return Ok(&text[1 + letter.len_utf8()..]);
        }
        if first == '*' {
            chosen.extend(self.living().map(plain));
            return Ok(&text[1..]);
        }
        if first == '/' {
            let (pattern, rest) = pattern(&text[1..]);
            self.by_header("subject", pattern, &format!("/{pattern}"), chosen)?;
            return Ok(rest);
        }
        if first.is_ascii_digit() || "^$.+-".contains(first) {
            return self.number_or_range(text, chosen);
        }
        let end = text.find([' ', ',', '\t']).unwrap_or(text.len());
        let word = &text[..end];
        if let Some(colon) = text.find(":/").filter(|colon| *colon < end) {
            let (pattern, rest) = pattern(&text[colon + 2..]);
            let name = &text[..colon];
            self.by_header(name, pattern, &format!("{name}:/{pattern}"), chosen)?;
            return Ok(rest);
        }
        self.by_sender(word, chosen)?;
        Ok(&text[end..])
    }

    fn number_or_range<'t>(&self, text: &'t str, chosen: &mut Vec<Chosen>) -> Result<&'t str, Trouble> {
        let (first, rest) = self.place(text)?;
        if let Some(after) = rest.strip_prefix('-') {
            let (last, rest) = self.place(after)?;
            if last < first {
                return Err(self.error("{}: range error near end").and(&self.texts.say("No applicable messages", &[])));
            }
            if last > self.open.count() {
                return Err(self.invalid(last));
            }
            chosen.extend((first.max(1)..=last).map(|number| number - 1).filter(|&index| self.takes(index)).map(plain));
            return Ok(rest);
        }
        if first == 0 {
            return Ok(rest);
        }
        let index = first - 1;
        if first > self.open.count() {
            return Err(self.invalid(first));
        }
        let (part, rest) = parts(rest).ok_or_else(|| self.error("{}: syntax error near end"))?;
        if !self.takes(index) {
            let say = self.texts.say("{}: Inappropriate message (has been deleted)", &[&first.to_string()]);
            return Err(Trouble::Say(say));
        }
        chosen.push(Chosen { index, part });
        Ok(rest)
    }

    /// A number, from 1, at the start of the text.
    fn place<'t>(&self, text: &'t str) -> Result<(usize, &'t str), Trouble> {
        let none = || Trouble::Say(self.texts.say("No applicable message", &[]));
        let open = self.open;
        let found = match text.chars().next() {
            Some('^') => open.next_from(0),
            Some('$') => open.previous_from(open.count()),
            Some('.') => Some(open.cursor),
            Some('+') => open.next_from(open.cursor + 1),
            Some('-') => open.previous_from(open.cursor),
            _ => {
                let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                let number = text[..digits].parse().map_err(|_| self.error("{}: syntax error near end"))?;
                return Ok((number, &text[digits..]));
            }
        };
        found.map(|index| (index + 1, &text[1..])).ok_or_else(none)
    }

    fn by_state(&self, letter: char, chosen: &mut Vec<Chosen>) -> Result<(), Trouble> {
        let open = self.open;
        let wanted = |index: usize| {
            let state = open.states[index];
            match letter {
                'd' => state.deleted,
                'n' => open.is_new(index),
                'o' => !open.is_new(index),
                'r' => open.is_read(index),
                'u' => !open.is_read(index),
                't' => state.tagged,
                'T' => !state.tagged,
                's' => state.saved,
                _ => false,
            }
        };
        if !"dnorutTs".contains(letter) {
            return Err(self.error("{}: unknown message type near end"));
        }
        let before = chosen.len();
        let any = |index: &usize| letter == 'd' || self.takes(*index);
        chosen.extend((0..open.count()).filter(any).filter(|&index| wanted(index)).map(plain));
        if chosen.len() == before {
            return Err(Trouble::Say(self.texts.say("No messages satisfy :{}", &[&letter.to_string()])));
        }
        Ok(())
    }

    fn by_header(&self, name: &str, pattern: &str, spelled: &str, chosen: &mut Vec<Chosen>) -> Result<(), Trouble> {
        let pattern = Pattern::new(pattern, self.regex);
        self.by(spelled, chosen, |block| {
            header::find(block, name).is_some_and(|value| pattern.matches(&charset::decode_words(&value)))
        })
    }

    fn by_sender(&self, sender: &str, chosen: &mut Vec<Chosen>) -> Result<(), Trouble> {
        self.by(sender, chosen, |block| {
            let from = header::find(block, "From").unwrap_or_default();
            address::parse(&String::from_utf8_lossy(&from))
                .is_ok_and(|all| all.iter().any(|one| one.mailbox.eq_ignore_ascii_case(sender)))
        })
    }

    fn by(&self, spelled: &str, chosen: &mut Vec<Chosen>, wanted: impl Fn(&[u8]) -> bool) -> Result<(), Trouble> {
        let before = chosen.len();
        for index in self.living() {
            let block = self.open.mbox.header(&self.open.mbox.messages()[index], 1 << 20)?;
            if wanted(&block) {
                chosen.push(plain(index));
            }
        }
        if chosen.len() == before {
            return Err(Trouble::Say(self.texts.say("No applicable messages from {{}}", &[spelled])));
        }
        Ok(())
    }

    fn living(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.open.count()).filter(|&index| self.takes(index))
    }

    fn takes(&self, index: usize) -> bool {
        self.scope == Scope::All || self.open.states.get(index).is_some_and(|state| !state.deleted)
    }

    fn error(&self, english: &str) -> Trouble {
        Trouble::Say(self.texts.say(english, &[self.command]))
    }

    fn invalid(&self, number: usize) -> Trouble {
        Trouble::Say(self.texts.say("{}: invalid message number", &[&number.to_string()]))
    }
}

fn plain(index: usize) -> Chosen {
    Chosen { index, part: Vec::new() }
}

/// The text up to the closing "/" (or the end), and what follows.
fn pattern(text: &str) -> (&str, &str) {
    match text.find('/') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, ""),
    }
}

/// `[2[1]]` after a number.
fn parts(text: &str) -> Option<(Vec<usize>, &str)> {
    let mut path = Vec::new();
    let mut rest = text;
    while let Some(inside) = rest.strip_prefix('[') {
        let digits = inside.find(|c: char| !c.is_ascii_digit()).unwrap_or(inside.len());
        path.push(inside[..digits].parse().ok().filter(|number| *number > 0)?);
        rest = &inside[digits..];
        if path.len() > DEPTH {
            return None;
        }
        if let Some(closed) = rest.strip_prefix(']') {
            let mut closed = closed;
            for _ in 1..path.len() {
                closed = closed.strip_prefix(']').unwrap_or(closed);
            }
            return Some((path, closed));
        }
    }
    path.is_empty().then_some((path, rest))
}

/// What `/.../` looks for, without regard to case: a plain text, or with `regex` a pattern of the C library.
pub struct Pattern {
    plain: String,
    compiled: Option<Regex>,
}

impl Pattern {
    pub fn new(pattern: &str, regex: bool) -> Pattern {
        let special = pattern.contains(['^', '$', '.', '[', '*', '\\', '+', '?', '|', '(']);
        let flags = Flags { extended: true, ignore_case: true, newline: false, no_groups: true };
        let compiled = (regex && special).then(|| Regex::new(pattern.as_bytes(), flags).ok()).flatten();
        Pattern { plain: pattern.to_lowercase(), compiled }
    }

    pub fn matches(&self, text: &str) -> bool {
        match &self.compiled {
            Some(regex) => regex.matches(text.as_bytes()).is_some(),
            None => text.to_lowercase().contains(&self.plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_paths_and_patterns() {
        assert_eq!(parts("[2[1]] x"), Some((vec![2, 1], " x")));
        assert_eq!(parts(" x"), Some((vec![], " x")));
        assert_eq!(parts("[0]"), None);
        assert!(Pattern::new("^re:.*x$", true).matches("Re: a x"));
        assert!(!Pattern::new("^re:", false).matches("Re: a"));
    }
}
