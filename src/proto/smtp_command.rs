//! Command lines of SMTP (RFC 5321 section 4.1), read as leniently as the reference reads them.

use crate::message::envelope;
use crate::message::tokens::{self, Token};

/// The commands that are counted and answered by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Helo,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Etrn,
    Xclient,
    Xforward,
    Quit,
    Unknown,
}

/// Every verb with its name, in the order in which the disconnect line counts them.
pub const VERBS: &[(Verb, &str)] = &[
    (Verb::Helo, "helo"),
    (Verb::Ehlo, "ehlo"),
    (Verb::Xclient, "xclient"),
    (Verb::Xforward, "xforward"),
    (Verb::StartTls, "starttls"),
    (Verb::Auth, "auth"),
    (Verb::Mail, "mail"),
    (Verb::Rcpt, "rcpt"),
    (Verb::Data, "data"),
    (Verb::Bdat, "bdat"),
    (Verb::Rset, "rset"),
    (Verb::Noop, "noop"),
    (Verb::Vrfy, "vrfy"),
    (Verb::Etrn, "etrn"),
    (Verb::Quit, "quit"),
    (Verb::Unknown, "unknown"),
];

impl Verb {
    /// The command of a word, in any case.
    pub fn of(word: &str) -> Verb {
        let known = VERBS.iter().find(|(verb, name)| *verb != Verb::Unknown && word.eq_ignore_ascii_case(name));
        known.map_or(Verb::Unknown, |(verb, _)| *verb)
    }

    /// The name for log lines: "RCPT", "UNKNOWN".
    pub fn name(self) -> String {
        VERBS.iter().find(|(verb, _)| *verb == self).map(|(_, name)| name.to_uppercase()).unwrap_or_default()
    }
}

/// A command line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Command<'a> {
    pub verb: Verb,
    /// The first word as it was sent.
    pub word: &'a str,
    /// What follows it, blanks around it taken off.
    pub rest: &'a str,
}

impl Command<'_> {
    /// Whether it is the header of a mail ("Subject: hello"): somebody who sends one takes us for something else.
    pub fn is_header(&self) -> bool {
        let name = self.word.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}

/// Takes a line apart; its line end must be off already.
pub fn parse(line: &str) -> Command<'_> {
    let line = line.trim_matches(|c: char| c == ' ' || c == '\t');
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    Command { verb: Verb::of(word), word, rest: rest.trim() }
}

/// Why MAIL or RCPT could not be read.
#[derive(Debug, PartialEq, Eq)]
pub enum PathError {
    /// No "FROM:" or "TO:", or nothing after it.
    Syntax,
    /// A bracket or quote that is never closed.
    Open,
    /// No address, or more than one: what was written.
    Address(String),
}

/// A path and what follows it: "FROM:<a@b> SIZE=10".
#[derive(Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// Internal form; empty for "<>", and for what holds no address.
    pub address: String,
    /// As it was written.
    pub written: &'a str,
    /// "SIZE=10", "BODY=8BITMIME".
    pub parameters: Vec<&'a str>,
}

impl Path<'_> {
    /// As it was written, without its brackets.
    pub fn bare(&self) -> &str {
        self.written.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(self.written)
    }
}

/// Reads "FROM:<address> parameters" (`keyword` is "FROM") or the same with "TO". `strict`: nothing but one address in
/// brackets will do (strict_rfc821_envelopes).
pub fn path<'a>(rest: &'a str, keyword: &str, strict: bool) -> Result<Path<'a>, PathError> {
    let mut words = words(rest);
    let head = words.next().map(|word| word.text).unwrap_or_default();
    let named = head.strip_suffix(':').is_some_and(|name| name.eq_ignore_ascii_case(keyword));
    let written = words.next().filter(|_| named).ok_or(PathError::Syntax)?;
    if written.open {
        return Err(PathError::Open);
    }
    let address = address(written.text, strict).ok_or_else(|| PathError::Address(written.text.to_owned()))?;
    Ok(Path { address, written: written.text, parameters: words.map(|word| word.text).collect() })
}

/// A word of a command line.
struct Word<'a> {
    text: &'a str,
    /// A bracket or quote in it is never closed.
    open: bool,
}

/// Splits at blanks, and behind the first word's colon; brackets and quotes hold words together.
fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    let mut left = line;
    let mut first = true;
    std::iter::from_fn(move || {
        left = left.trim_start();
        let (end, open) = word_end(left, std::mem::take(&mut first));
        let text = &left[..end];
        left = &left[end..];
        (!text.is_empty()).then_some(Word { text, open })
    })
}

/// Where the first word ends (`colon`: behind a colon too), and whether something in it was left open.
fn word_end(text: &str, colon: bool) -> (usize, bool) {
    let mut closers: Vec<char> = Vec::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (c, closers.last()) {
            ('\\', _) => {
                characters.next();
            }
            (c, Some(&closer)) if c == closer => {
                closers.pop();
            }
            ('"', Some('>')) => closers.push('"'),
            // Inside of brackets only a quote opens, and inside of quotes nothing.
            (_, Some(_)) => {}
            ('<', None) => closers.push('>'),
            ('[', None) => closers.push(']'),
            ('"', None) => closers.push('"'),
            (c, None) if c.is_whitespace() => return (at, false),
            (':', None) if colon => return (at + 1, false),
            _ => {}
        }
    }
    (text.len(), !closers.is_empty())
}

/// The one address of a word, in internal form; None where there are more, or where it is none. "" is the null address.
pub fn address(written: &str, strict: bool) -> Option<String> {
    // The brackets are the protocol's; inside of them, behind a source route, stands what could stand in a header.
    let inner = written.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(written);
    let route = inner.starts_with('@').then(|| inner.find(':')).flatten();
    let inner = route.map_or(inner, |colon| &inner[colon + 1..]);
    let (mut found, mut others) = (Vec::new(), 0);
    for token in tokens::parse(inner.as_bytes()) {
        match token {
            Token::Address(tokens) => found.push(tokens::internal(tokens::without_route(&tokens))),
            Token::Operator(b'<' | b'>') => {}
            _ => others += 1,
        }
    }
    let address = match found.len() {
        0 => String::new(),
        1 => found.remove(0),
        _ => return None,
    };
    let loose = others > 0 || !written.starts_with('<') || address.starts_with('@');
    let wrong = address.starts_with('-') || address.ends_with('@');
    // What could end a line would become lines of the queue file.
    let fits = address.len() <= envelope::MAX_ADDRESS && !address.chars().any(char::is_control);
    (fits && !wrong && !(strict && loose)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_as_the_reference_takes_them() {
        let to = |text| path(text, "TO", false).map(|path| path.address);
        for (text, want) in [
            ("TO:<toto@localhost>", "toto@localhost"),
            ("to: <\"to to\"@localhost>", "to to@localhost"),
            ("TO:toto", "toto"),
            ("TO:<@a,@b:toto@localhost>", "toto@localhost"),
            ("TO:<to@to@localhost>", "to@to@localhost"),
            ("TO:<>", ""),
            ("TO:<<toto>>", "toto"),
            ("TO:=<toto>", "toto"),
            ("TO:<\ttoto>", "toto"),
            ("TO:<@localhost>", "@localhost"),
            ("TO:(nobody)", ""),
            ("TO:<@a:>", ""),
            ("TO:<toto;>", "toto"),
        ] {
            assert_eq!(to(text), Ok(want.into()), "{text}");
        }
        for bad in
            ["TO:<a@b,c@d>", "TO:<-oQ@localhost>", "TO:<a@b>x", "TO:<a\u{1}b@c>", "TO:<a,b>", "TO:<a b@c>", "TO:<a@>"]
        {
            assert!(matches!(to(bad), Err(PathError::Address(_))), "{bad}");
        }
        for bad in ["TO:<toto@localhost", "TO:<\"toto@localhost>"] {
            assert_eq!(to(bad), Err(PathError::Open), "{bad}");
        }
        for bad in ["", "TO", "TO:", "FROM:<a@b>", "TO :<a@b>"] {
            assert_eq!(to(bad), Err(PathError::Syntax), "{bad}");
        }
        let from = path("FROM:<a@b> SIZE=10 BODY=8BITMIME", "FROM", true).unwrap();
        assert_eq!((from.bare(), from.parameters.as_slice()), ("a@b", ["SIZE=10", "BODY=8BITMIME"].as_slice()));
        for loose in ["TO:a@b", "TO:<a@b>(c)", "TO:<@a>", "TO:=<a@b>"] {
            assert!(matches!(path(loose, "TO", true), Err(PathError::Address(_))), "{loose}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_answered(line in ".{0,300}") {
            let command = parse(&line);
            let _ = path(command.rest, "FROM", false);
            let _ = path(command.rest, "TO", true);
        }
    }
}
