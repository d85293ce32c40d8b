//! Message lists: `.`, `*`, `^`, `$`, `+` and `-` alone; else numbers, ranges, `/subject/`, `header:/text/`,
//! `:/body/`, `:n` and its kind, and senders, in any number, between blanks or commas, in `{ }` together and after `!`
//! turned around; with parts as `4[2[1]]` for the commands that take parts.

use super::session::{OpenBox, Session, Trouble};
use super::texts::Texts;
use super::token::{Token, Tokens};
use crate::mailbox::outline::Outlines;
use crate::mailbox::scan::BRIEF_FIELDS;
use crate::message::{address, charset, header};
use crate::sys::regex::{Flags, Regex};
use std::collections::HashSet;

/// A message, and a part of it as the path through its multiparts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chosen {
    /// From 0. A list may name messages that are not there: [`Session::there`] tells.
    pub index: usize,
    pub part: Vec<usize>,
}

/// Which messages a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that are not deleted; an error where none of those named is left.
    Living,
    /// Those named; an error where one of them is deleted.
    Each,
    /// As [`Scope::Living`], and parts of them.
    Parts,
    /// Deleted ones too.
    All,
    /// As [`Scope::All`], and all, the first and the last are those of the deleted ones.
    Deleted,
}

/// So much of a text is searched.
const BODY_LIMIT: u64 = 64 << 20;

/// Groups and part paths deeper than this are none.
const DEPTH: usize = 32;

/// A list is no longer than this.
const LENGTH: usize = 4 << 20;

/// The messages of a command's words; without words the current one. The first of them is there.
pub fn choose(session: &mut Session, command: &str, words: &[String], scope: Scope) -> Result<Vec<usize>, Trouble> {
    Ok(choose_parts(session, command, words, scope)?.into_iter().map(|chosen| chosen.index).collect())
}

/// As [`choose`], with parts.
pub fn choose_parts(session: &Session, command: &str, words: &[String], scope: Scope) -> Result<Vec<Chosen>, Trouble> {
    choose_in(session.open.as_ref(), session.texts, command, words, scope, session.variables.is_set("regex"))
}

/// As [`choose_parts`], in this mailbox.
pub fn choose_in(
    open: Option<&OpenBox>,
    texts: Texts,
    command: &str,
    words: &[String],
    scope: Scope,
    regex: bool,
) -> Result<Vec<Chosen>, Trouble> {
    let none = || Trouble::Say(texts.say("No applicable messages", &[]));
    let Some(open) = open.filter(|open| open.count() > 0) else {
        // In start-up files there is no mailbox yet.
        return Err(match Tokens::new(words).current {
            Token::Number(number) => index_of(number).map_or_else(none, |index| invalid(texts, index)),
            _ => none(),
        });
    };
    let mut reader = Reader { open, texts, command, scope, regex, tokens: Tokens::new(words) };
    let chosen = reader.input()?;
    let first = chosen.first().ok_or_else(none)?;
    if first.index >= open.count() {
        return Err(invalid(texts, first.index));
    }
    Ok(chosen)
}

/// The sentence about a message that is not there.
pub fn invalid(texts: Texts, index: usize) -> Trouble {
    let number = index as u64 + 1;
    // The original counts in 32 bits with a sign, and says so.
    let low = number & 0xffff_ffff;
    let shown = if low > 0x7fff_ffff { low | 0xffff_ffff_0000_0000 } else { low };
    Trouble::Say(texts.say("{}: invalid message number", &[&shown.to_string()]))
}

struct Reader<'s, 'w> {
    open: &'s OpenBox,
    texts: Texts,
    command: &'s str,
    scope: Scope,
    regex: bool,
    tokens: Tokens<'w>,
}

impl Reader<'_, '_> {
    fn input(&mut self) -> Result<Vec<Chosen>, Trouble> {
        let open = self.open;
        let alone = match self.tokens.current {
            Token::End => Some(self.living(open.current())),
            Token::Sign('.') => Some(self.living(open.current())),
            Token::Sign('*') => Some(self.all().map(plain).collect()),
            Token::Sign('^' | '+') => Some(self.all().next().map(plain).into_iter().collect()),
            Token::Sign('$' | '-') => Some(self.all().next_back().map(plain).into_iter().collect()),
            _ => None,
        };
        let Some(chosen) = alone else { return self.list(0, None) };
        if self.tokens.current != Token::End {
            self.tokens.advance();
        }
        if self.tokens.current == Token::End { Ok(chosen) } else { Err(self.error("syntax error")) }
    }

    /// The messages that `*` means, of which `^` is the first and `$` the last.
    fn all(&self) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.open.count()).filter(|&index| self.deleted(index) == (self.scope == Scope::Deleted))
    }

    fn living(&self, index: usize) -> Vec<Chosen> {
        if self.deleted(index) { Vec::new() } else { vec![plain(index)] }
    }

    fn deleted(&self, index: usize) -> bool {
        self.open.states.get(index).is_some_and(|state| state.deleted)
    }

    /// Expressions up to the end, or up to the closing bracket.
    fn list(&mut self, depth: usize, closing: Option<char>) -> Result<Vec<Chosen>, Trouble> {
        let mut all = self.expression(depth)?;
        loop {
            match &self.tokens.current {
                Token::End if closing.is_none() => return Ok(all),
                Token::Sign(sign) if Some(*sign) == closing => return Ok(all),
                Token::Sign(',') => self.tokens.advance(),
                _ => {}
            }
            let more = self.expression(depth)?;
            append(&mut all, more);
            if all.len() > LENGTH {
                return Err(self.error("syntax error"));
            }
        }
    }

    fn expression(&mut self, depth: usize) -> Result<Vec<Chosen>, Trouble> {
        if depth > DEPTH {
            return Err(self.error("syntax error"));
        }
        let opening = match self.tokens.current {
            Token::Sign(sign @ ('{' | '(' | '!')) => sign,
            _ => return self.specification(),
        };
        self.tokens.advance();
        if opening == '!' {
            let without: HashSet<usize> = self.expression(depth + 1)?.into_iter().map(|one| one.index).collect();
            return Ok((0..self.open.count()).filter(|index| !without.contains(index)).map(plain).collect());
        }
        let inside = self.list(depth + 1, Some(if opening == '{' { '}' } else { ')' }))?;
        self.tokens.advance();
        self.with_parts(inside)
    }

    /// A number, a range, a pattern, a kind, a sender.
    fn specification(&mut self) -> Result<Vec<Chosen>, Trouble> {
        let token = self.tokens.current.clone();
        if let Token::Kind(kind) = token {
            // Said before the next sign is looked at.
            let found = self.by_kind(kind)?;
            self.tokens.advance();
            let found = self.fit(found)?;
            return self.with_parts(found);
        }
        if !matches!(token, Token::Number(_) | Token::Word(_) | Token::Header(_) | Token::Pattern(_) | Token::Body(_)) {
            return Err(self.error("syntax error"));
        }
        self.tokens.advance();
        let found = match token {
            Token::Number(first) => return self.number_or_range(first),
            Token::Word(sender) => self.by_sender(&sender)?,
            Token::Pattern(pattern) => self.by_header("Subject", &pattern, &format!("/{pattern}"))?,
            Token::Body(pattern) => self.by_body(&pattern)?,
            Token::Header(name) => {
                let Token::Pattern(pattern) = self.tokens.current.clone() else {
                    return Err(self.error("syntax error"));
                };
                self.tokens.advance();
                self.by_header(&name, &pattern, &format!("{name}:/{pattern}"))?
            }
            _ => Vec::new(),
        };
        let found = self.fit(found)?;
        self.with_parts(found)
    }

    fn number_or_range(&mut self, first: u64) -> Result<Vec<Chosen>, Trouble> {
        if self.tokens.current != Token::Sign('-') {
            let found = index_of(first).map(plain).into_iter().collect();
            let found = self.fit(found)?;
            return self.with_parts(found);
        }
        self.tokens.advance();
        let count = self.open.count() as u64;
        let last = match self.tokens.current {
            Token::Number(last) => last,
            Token::Sign('*') => count,
            _ => return Err(self.error("syntax error")),
        };
        self.tokens.advance();
        if last < first {
            let none = self.texts.say("No applicable messages", &[]);
            return Err(self.error("range error").and(&none));
        }
        // A list of what is not there needs no more of it than anybody reads.
        let last = last.min(first.max(count).saturating_add(1000));
        let mut found = self.fit((first.max(1)..=last).filter_map(index_of).map(plain).collect())?;
        if let Some(end) = found.pop() {
            let end = self.with_parts(vec![end])?;
            found.extend(end);
        }
        Ok(found)
    }

    /// What the scope leaves of those named.
    fn fit(&self, mut found: Vec<Chosen>) -> Result<Vec<Chosen>, Trouble> {
        if self.scope != Scope::Parts && matches!(self.tokens.current, Token::Sign('[' | '.')) {
            return Err(self.error("message parts not allowed"));
        }
        if matches!(self.scope, Scope::All | Scope::Deleted) {
            return Ok(found);
        }
        if self.scope == Scope::Each {
            return match found.iter().find(|one| self.deleted(one.index)) {
                Some(one) => Err(self.inappropriate(one.index)),
                None => Ok(found),
            };
        }
        let last = found.last().map(|one| one.index);
        found.retain(|one| !self.deleted(one.index));
        match last {
            Some(last) if found.is_empty() => Err(self.inappropriate(last)),
            _ => Ok(found),
        }
    }

    fn inappropriate(&self, index: usize) -> Trouble {
        Trouble::Say(self.texts.say("{}: Inappropriate message (has been deleted)", &[&(index + 1).to_string()]))
    }

    /// `[1 2-3[1]]` or `.1.2` behind an expression.
    fn with_parts(&mut self, found: Vec<Chosen>) -> Result<Vec<Chosen>, Trouble> {
        let Token::Sign(sign @ ('[' | '.')) = self.tokens.current else { return Ok(found) };
        if self.scope != Scope::Parts {
            return Err(self.error("message parts not allowed"));
        }
        let mut paths: Vec<Vec<usize>> = Vec::new();
        if sign == '[' {
            self.tokens.advance();
            self.bracket(&[], &mut paths)?;
            if matches!(self.tokens.current, Token::Sign('[' | '.')) {
                return Err(self.error("syntax error"));
            }
        } else {
            let mut path = Vec::new();
            while self.tokens.current == Token::Sign('.') {
                self.tokens.advance();
                let Token::Number(number) = self.tokens.current else {
                    return Err(self.error("syntax error"));
                };
                self.tokens.advance();
                path.extend(index_of(number).map(|index| index + 1));
                if path.len() > DEPTH {
                    return Err(self.error("syntax error"));
                }
            }
            paths.push(path);
        }
        let mut out = Vec::new();
        for one in found {
            out.extend(paths.iter().map(|path| Chosen { index: one.index, part: path.clone() }));
        }
        Ok(out)
    }

    fn bracket(&mut self, above: &[usize], paths: &mut Vec<Vec<usize>>) -> Result<(), Trouble> {
        if above.len() > DEPTH || paths.len() > LENGTH {
            return Err(self.error("syntax error"));
        }
        loop {
            let Token::Number(first) = self.tokens.current else {
                return Err(self.error("syntax error"));
            };
            self.tokens.advance();
            let mut last = first;
            if self.tokens.current == Token::Sign('-') {
                self.tokens.advance();
                let Token::Number(number) = self.tokens.current else {
                    return Err(self.error("syntax error"));
                };
                last = number.min(first.saturating_add(10_000));
                self.tokens.advance();
            }
            let inside = self.tokens.current == Token::Sign('[');
            if inside {
                self.tokens.advance();
            }
            let mut below = Vec::new();
            for part in (first..=last).filter_map(index_of) {
                let path = [above, &[part + 1]].concat();
                if inside { below.push(path) } else { paths.push(path) }
            }
            if inside {
                // The inner list is read once, for the last of the parts before it.
                let path = below.pop().unwrap_or_else(|| above.to_vec());
                paths.extend(below);
                self.bracket(&path, paths)?;
            }
            match self.tokens.current {
                Token::Sign(']') => {
                    self.tokens.advance();
                    return Ok(());
                }
                Token::Sign(',') => self.tokens.advance(),
                _ => {}
            }
        }
    }

    fn by_kind(&self, letter: char) -> Result<Vec<Chosen>, Trouble> {
        let open = self.open;
        let wanted = |index: usize| {
            let state = open.states.get(index).copied().unwrap_or_default();
            match letter {
                'd' => state.deleted,
                'n' => open.is_new(index),
                'o' => !open.is_new(index),
                'r' => open.is_read(index),
                'u' => !open.is_read(index),
                't' => state.tagged,
                'T' => !state.tagged,
                _ => state.saved,
            }
        };
        if !"dnorutTs".contains(letter) {
            return Err(self.error("unknown message type"));
        }
        let found: Vec<Chosen> = (0..open.count()).filter(|&index| wanted(index)).map(plain).collect();
        if found.is_empty() {
            return Err(Trouble::Say(self.texts.say("No messages satisfy :{}", &[&letter.to_string()])));
        }
        Ok(found)
    }

    fn by_header(&self, name: &str, pattern: &str, spelled: &str) -> Result<Vec<Chosen>, Trouble> {
        // A field named in small letters is searched whatever the case; "/text/" alone, and "From:/text/", are not.
        let pattern = Pattern::new(pattern, self.regex, name.starts_with(|c: char| c.is_ascii_lowercase()));
        let whole = !BRIEF_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
        self.by(spelled, whole, |block| {
            header::find(block, name).is_some_and(|value| pattern.matches(&charset::decode_words(&value)))
        })
    }

    /// Messages whose text holds the pattern, whatever its case.
    fn by_body(&self, pattern: &str) -> Result<Vec<Chosen>, Trouble> {
        let matcher = Pattern::new(pattern, self.regex, true);
        let mut found = Vec::new();
        for (index, message) in self.open.mbox.messages().iter().enumerate() {
            let mut body = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(self.open.mbox.body(message)?, BODY_LIMIT), &mut body)?;
            if matcher.matches(&String::from_utf8_lossy(&body)) {
                found.push(plain(index));
            }
        }
        self.any(found, &format!(":/{pattern}"))
    }

    /// The sender as the summary shows it.
    fn by_sender(&self, sender: &str) -> Result<Vec<Chosen>, Trouble> {
        self.by(sender, false, |block| address::short_name(&header::find(block, "From").unwrap_or_default()) == *sender)
    }

    /// `whole`: fields are looked at that are not in a brief.
    fn by(&self, spelled: &str, whole: bool, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Chosen>, Trouble> {
        let mut found = Vec::new();
        let mut outlines = Outlines::new(&self.open.mbox, whole);
        for index in 0..self.open.count() {
            if wanted(outlines.of(index)?.block) {
                found.push(plain(index));
            }
        }
        self.any(found, spelled)
    }

    fn any(&self, found: Vec<Chosen>, spelled: &str) -> Result<Vec<Chosen>, Trouble> {
        if found.is_empty() {
            return Err(Trouble::Say(self.texts.say("No applicable messages from {{}}", &[spelled])));
        }
        Ok(found)
    }

    fn error(&self, english: &str) -> Trouble {
        let place = match self.tokens.near() {
            Some(rest) => self.texts.say(" near {}", &[rest]),
            None => self.texts.say(" near end", &[]),
        };
        Trouble::Say(format!("{}: {}{place}", self.command, self.texts.say(english, &[])))
    }
}

fn plain(index: usize) -> Chosen {
    Chosen { index, part: Vec::new() }
}

/// From a number that counts from 1.
fn index_of(number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// What is in the list already, but for its last one, is not put in again: the original's way, and what scripts see.
fn append(all: &mut Vec<Chosen>, more: Vec<Chosen>) {
    let known: HashSet<Chosen> = all.iter().take(all.len().saturating_sub(1)).cloned().collect();
    all.extend(more.into_iter().filter(|one| !known.contains(one)));
}

/// What `/.../` looks for: with `regex` a pattern of the C library, else a text without regard to case.
pub struct Pattern {
    plain: String,
    compiled: Option<Regex>,
}

impl Pattern {
    pub fn new(pattern: &str, regex: bool, ignore_case: bool) -> Pattern {
        let flags = Flags { extended: true, ignore_case, newline: false, no_groups: true };
        let compiled = regex.then(|| Regex::new(pattern.as_bytes(), flags).ok()).flatten();
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
    fn patterns_and_joined_lists() {
        assert!(Pattern::new("^Re:.*x$", true, false).matches("Re: a x"));
        assert!(!Pattern::new("^Re:", false, false).matches("Re: a"));
        assert!(Pattern::new("A.B", true, true).matches("a-b"));
        let list = |numbers: &[usize]| numbers.iter().map(|&index| plain(index)).collect::<Vec<_>>();
        let mut all = list(&[2, 3]);
        append(&mut all, list(&[1, 2, 3]));
        assert_eq!(all, list(&[2, 3, 1, 3]));
    }
}
