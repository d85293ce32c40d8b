//! What pattern tables (cidr, regexp) have in common: rules in order, IF ... ENDIF blocks, their source (a file, or
//! "{ {rule}, {rule} }" in main.cf itself), and results with $number in them.

use super::memory::{split_items, unbraced};
use super::open::{Options, TableError};
use super::source::{Lines, is_space};

/// One rule.
pub enum Rule<Test, Outcome> {
    /// Goes on after rule `end` when the test fails. `end` is set when the ENDIF is met.
    If {
        test: Test,
        end: usize,
    },
    Match {
        test: Test,
        outcome: Outcome,
    },
}

/// Rules while they are read, with the open IFs.
pub struct Rules<Test, Outcome> {
    pub rules: Vec<Rule<Test, Outcome>>,
    /// Position and line of each IF that has no ENDIF yet.
    open: Vec<(usize, usize)>,
}

impl<Test, Outcome> Default for Rules<Test, Outcome> {
    fn default() -> Self {
        Rules { rules: Vec::new(), open: Vec::new() }
    }
}

impl<Test, Outcome> Rules<Test, Outcome> {
    pub fn start_if(&mut self, test: Test, line: usize) {
        self.open.push((self.rules.len(), line));
        self.rules.push(Rule::If { test, end: usize::MAX });
    }

    /// False when no IF is open.
    pub fn end_if(&mut self) -> bool {
        let Some((start, _)) = self.open.pop() else { return false };
        let here = self.rules.len();
        if let Some(Rule::If { end, .. }) = self.rules.get_mut(start) {
            *end = here;
        }
        true
    }

    pub fn push(&mut self, test: Test, outcome: Outcome) {
        self.rules.push(Rule::Match { test, outcome });
    }

    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The lines of IFs that were never ended, innermost first; such a block reaches to the end.
    pub fn unended(&self) -> impl Iterator<Item = usize> + '_ {
        self.open.iter().rev().map(|&(_, line)| line)
    }

    /// The first outcome that `answer` accepts, `holds` deciding about the IFs.
    pub fn run<T>(&self, holds: impl Fn(&Test) -> bool, answer: impl Fn(&Test, &Outcome) -> Option<T>) -> Option<T> {
        let mut at = 0;
        while let Some(rule) = self.rules.get(at) {
            at += 1;
            match rule {
                Rule::If { test, end } => {
                    if !holds(test) {
                        at = *end;
                    }
                }
                Rule::Match { test, outcome } => {
                    if let Some(found) = answer(test, outcome) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }
}

/// Calls `each` with the line number and text of every rule of "FILE" or "{ {rule}, ... }".
pub fn read(kind: &str, name: &str, options: &Options, mut each: impl FnMut(usize, &[u8])) -> Result<(), TableError> {
    let table = format!("{kind}:{name}");
    if name.starts_with('{') {
        let fault = |reason: String| TableError::new(&table, format!("{kind} map: {reason}"));
        let inner = unbraced(name).map_err(|reason| fault(format!("{reason} in \"{name}\"")))?;
        for (at, item) in split_items(inner).iter().enumerate() {
            if !item.starts_with('{') {
                return Err(fault(format!("no '{{' at start of text in \"{item}\"")));
            }
            let rule = unbraced(item).map_err(|reason| fault(format!("{reason} in \"{item}\"")))?;
            each(at + 1, rule.as_bytes());
        }
        return Ok(());
    }
    let mut lines = Lines::open(&table, name)?;
    loop {
        let next = lines
            .next_line(options)
            .map_err(|error| TableError::new(&table, format!("read {name}: {}", crate::sys::files::reason(&error))))?;
        let Some(line) = next else { return Ok(()) };
        each(line.first, super::source::trim(&line.text));
    }
}

/// The rest of `text` when it begins with this keyword (any case) and no letter or digit follows.
pub fn keyword<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word.as_bytes()) && !rest.first().is_some_and(u8::is_ascii_alphanumeric)).then_some(rest)
}

/// Takes the `!` marks at the start off: whether the test is turned round, and the rest.
pub fn negation(mut text: &[u8]) -> (bool, &[u8]) {
    let mut negated = false;
    while let [b'!', rest @ ..] = text {
        negated = !negated;
        text = rest;
        while let [blank, rest @ ..] = text
            && is_space(*blank)
        {
            text = rest;
        }
    }
    (negated, text)
}

/// A part of a result text.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

/// What is wrong with a result text.
#[derive(Debug, PartialEq, Eq)]
pub struct ResultFault {
    /// A warning of its own, without file and line.
    pub bare: Option<String>,
    /// A warning with file and line before it.
    pub detail: Option<String>,
}

/// Splits a result at $1, ${1} and $(1); $$ is a dollar sign. `zero`: what is said of $0, "out of range".
pub fn pieces(text: &[u8], zero: &str) -> Result<Vec<Piece>, ResultFault> {
    let whole = String::from_utf8_lossy(text).into_owned();
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'$' {
            plain.push(*first);
            continue;
        }
        if let [b'$', after @ ..] = rest {
            plain.push(b'$');
            rest = after;
            continue;
        }
        let name;
        if let [open @ (b'{' | b'('), after @ ..] = rest {
            let close = if *open == b'{' { b'}' } else { b')' };
            let Some(end) = after.iter().position(|&byte| byte == close) else {
                return Err(ResultFault {
                    bare: Some(format!("truncated macro reference: \"{whole}\"")),
                    detail: None,
                });
            };
            name = &after[..end];
            rest = &after[end + 1..];
        } else {
            let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
            name = &rest[..end];
            rest = &rest[end..];
        }
        if name.is_empty() {
            return Err(ResultFault { bare: Some(format!("empty macro name: \"{whole}\"")), detail: None });
        }
        let shown = String::from_utf8_lossy(name).into_owned();
        if !name.iter().all(u8::is_ascii_digit) {
            let detail = Some(format!("non-numeric replacement index \"{shown}\""));
            return Err(ResultFault { bare: None, detail });
        }
        let group: usize = shown.parse().unwrap_or(usize::MAX);
        if group == 0 {
            let detail = Some(format!("{zero} replacement index \"{shown}\""));
            return Err(ResultFault { bare: None, detail });
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Group(group));
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}
