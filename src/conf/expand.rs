//! The macro language of main.cf (postconf(5), top): $name ${name} $(name) $$, ${name?text} ${name:text}
//! ${name?{text}:{text}}, ${{left} op {right} ? {text} : {text}}, and the same with blanks around the operators.
//! Pure: the caller says what a name means.

use std::cell::{Cell, RefCell};
use thiserror::Error;

/// Nesting beyond this is a loop; the reference draws the same line.
const MAX_NESTING: u32 = 100;

/// Comparisons in comparisons end here. (The reference goes on until its stack is full.)
const MAX_COMPARISONS: u32 = 8;

/// Longest result: a text that doubles itself at each level ends here, not in memory.
const MAX_LENGTH: usize = 16 << 20;

/// What is wrong with a text; each has the reference's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ExpandError {
    /// Each reference that was still to be read when the line was crossed, and each literal before one: the reference
    /// goes on to the end of all texts and names them.
    #[error("{}", .0.iter().map(|text| format!("unreasonable macro call nesting: \"{text}\"")).collect::<Vec<_>>().join("\n"))]
    Nesting(Vec<String>),
    #[error("truncated macro reference: \"{0}\"")]
    Truncated(String),
    #[error("empty macro name: \"{0}\"")]
    EmptyName(String),
    #[error("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...{0}>>>{1:.20}\"")]
    Operator(String, String),
    #[error("unexpected input at: \"...{0}>>>{1:.20}\"")]
    Unexpected(String, String),
    #[error("bad operator suffix at: \"...{0}>>>{1}\"")]
    Suffix(String, String),
    /// What is wanted, then what stands before and after the place.
    #[error("{0} expected at: \"...{1}>>>{2:.20}\"")]
    Expected(&'static str, String, String),
    #[error("\"{{expression}}\" expected at: \"...{0}>>>{1}\"")]
    Expression(String, String),
    #[error("attribute name syntax error at: \"...{0}>>>{1:.20}\"")]
    Name(String, String),
    #[error("malformed compatibility level syntax: \"{0}\"")]
    Level(String),
    #[error("macro result too long")]
    TooLong,
    /// Each of them, in the order in which they were met: a text is gone through to its end all the same, or to the next
    /// braces behind the first.
    #[error("{}", .0.iter().map(ExpandError::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ExpandError>),
    /// Those that the walk has noted.
    #[error("macro processing error")]
    Noted,
}

/// What a name means.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How a text is gone through.
struct Walk<'a> {
    lookup: Lookup<'a>,
    /// Every branch is visited and nothing compared: which names does the text mention?
    scan: bool,
    /// How many references and literals are open. As in the reference, one that is refused is never closed again, and so
    /// decides which of those after it are named.
    level: Cell<u32>,
    /// How many comparisons are open: each side is a walk of its own.
    depth: u32,
    /// What was refused as too deep.
    nested: RefCell<Vec<String>>,
    /// What else was wrong.
    errors: RefCell<Vec<ExpandError>>,
}

/// Expands `text`; `lookup` gives the raw text of a name, None for an undefined one (which expands to nothing).
pub fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, ExpandError> {
    Walk::new(lookup, false, 0).whole(text)
}

/// Calls `lookup` for every name that `text` mentions, those in branches that are not taken and those in the values
/// that `lookup` gives included.
pub fn scan(text: &str, lookup: Lookup<'_>) -> Result<(), ExpandError> {
    Walk::new(lookup, true, 0).whole(text).map(drop)
}

impl<'a> Walk<'a> {
    fn new(lookup: Lookup<'a>, scan: bool, depth: u32) -> Walk<'a> {
        Walk { lookup, scan, level: Cell::new(0), depth, nested: RefCell::default(), errors: RefCell::default() }
    }

    fn whole(self, text: &str) -> Result<String, ExpandError> {
        let value = self.text(text);
        let nested = self.nested.into_inner();
        if !nested.is_empty() {
            return Err(ExpandError::Nesting(nested));
        }
        let mut errors = self.errors.into_inner();
        match errors.pop() {
            None => value,
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(ExpandError::Several(errors))
            }
        }
    }

    /// Keeps an error to be told with the others.
    fn note(&self, error: ExpandError) -> ExpandError {
        match error {
            ExpandError::Noted => {}
            ExpandError::Several(all) => self.errors.borrow_mut().extend(all),
            other => self.errors.borrow_mut().push(other),
        }
        ExpandError::Noted
    }

    /// Opens a reference or a literal; false when it is too deep, or another was before.
    fn opens(&self, text: &str) -> bool {
        let level = self.level.replace(self.level.get() + 1);
        if level > MAX_NESTING {
            self.nested.borrow_mut().push(text.to_owned());
        }
        self.nested.borrow().is_empty()
    }

    fn close(&self) {
        self.level.set(self.level.get() - 1);
    }

    fn literal(&self, literal: &mut String, out: &mut String) {
        if !literal.is_empty() && self.opens(literal) {
            out.push_str(literal);
            self.close();
        }
        literal.clear();
    }

    fn text(&self, text: &str) -> Result<String, ExpandError> {
        let mut out = String::with_capacity(text.len());
        let mut literal = String::new();
        let mut failed = None;
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let (inner, after, bare) = match rest.chars().next() {
                Some(open @ ('{' | '(')) => {
                    let Some((inner, after)) = balanced(rest, open) else {
                        return Err(self.note(ExpandError::Truncated(text.to_owned())));
                    };
                    if failed.is_some() {
                        break;
                    }
                    (inner, after, false)
                }
                _ => {
                    let (name, after) = rest.split_at(rest.find(|c: char| !is_name_char(c)).unwrap_or(rest.len()));
                    if name.is_empty() {
                        return Err(self.note(ExpandError::EmptyName(text.to_owned())));
                    }
                    (name, after, true)
                }
            };
            self.literal(&mut literal, &mut out);
            if failed.is_none() && self.opens(inner) {
                match if bare { self.value(inner) } else { self.reference(inner, text) } {
                    Ok(value) => out.push_str(&value),
                    Err(error) => failed = Some(self.note(error)),
                }
                self.close();
            }
            rest = after;
            if out.len() > MAX_LENGTH {
                return Err(ExpandError::TooLong);
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if self.nested.borrow().is_empty() {
            literal.push_str(rest);
            self.literal(&mut literal, &mut out);
        }
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<String, ExpandError> {
        match (self.lookup)(name) {
            Some(raw) => self.text(&raw),
            None => Ok(String::new()),
        }
    }

    /// The inside of ${...}.
    fn reference(&self, inner: &str, whole: &str) -> Result<String, ExpandError> {
        let start = inner.trim_start();
        let (holds, value, before, rest) = if start.starts_with('{') {
            let (holds, before, rest) = self.comparison(start, whole)?;
            (holds, if holds { "bool:true".to_owned() } else { String::new() }, before, rest)
        } else {
            let end = start.find(|c: char| !is_name_char(c)).unwrap_or(start.len());
            let (name, rest) = start.split_at(end);
            if inner.is_empty() {
                return Err(ExpandError::EmptyName(whole.to_owned()));
            }
            let operator = rest.trim_start();
            if !operator.is_empty() && !operator.starts_with(['?', ':']) {
                return Err(ExpandError::Name(name.to_owned(), rest.to_owned()));
            }
            if operator.is_empty() {
                return self.value(name);
            }
            // Whether it is empty as it stands: what it comes to is not asked.
            (((self.lookup)(name)).is_some_and(|raw| !raw.is_empty()), String::new(), name, operator)
        };
        let unexpected = |before: &str, at: &str| ExpandError::Unexpected(before.to_owned(), at.to_owned());
        if rest.is_empty() {
            return Ok(if value == "bool:true" { "true".to_owned() } else { value });
        }
        if start.starts_with('{') && !rest.starts_with(['?', ':']) {
            return Err(ExpandError::Expected("\"?\" or \":\"", "}".to_owned(), rest.to_owned()));
        }
        let branches = branches(rest, whole)?.ok_or_else(|| unexpected(before, rest))?;
        // They are gone through before it is told what should not stand behind them.
        let visited = match self.scan {
            true => [branches.when_true, branches.when_false]
                .into_iter()
                .flatten()
                .try_for_each(|text| self.text(text).map(drop)),
            false => Ok(()),
        };
        if !branches.left_over.is_empty() && branches.when_true.is_some() && branches.when_false.is_none() {
            let (last, left_over) = (branches.last.to_owned(), branches.left_over.to_owned());
            return Err(ExpandError::Expected("\":\"", last, left_over));
        }
        if !branches.left_over.is_empty() {
            return Err(unexpected(branches.last, branches.left_over));
        }
        if self.scan {
            return visited.map(|()| String::new());
        }
        match if holds { branches.when_true } else { branches.when_false } {
            Some(text) => self.text(text),
            // ${name:text} is nothing when the name has a value, and so is ${name?text} when it has none.
            None => Ok(String::new()),
        }
    }

    /// `{left} op {right}` at the start of `text`: whether it holds, the part before the rest for messages, the rest.
    fn comparison<'t>(&self, text: &'t str, whole: &str) -> Result<(bool, &'t str, &'t str), ExpandError> {
        let truncated = || ExpandError::Truncated(whole.to_owned());
        let (left, after) = balanced(text, '{').ok_or_else(truncated)?;
        let left_end = &text[1..left.len() + 2];
        let after = after.trim_start();
        let unknown = || ExpandError::Operator(left_end.to_owned(), after.to_owned());
        let end = after.find(|c: char| !"<>!=?+-*/~&|%".contains(c)).unwrap_or(after.len());
        let (sign, tail) = after.split_at(end);
        if !matches!(sign, "==" | "!=" | "<" | "<=" | ">=" | ">") {
            return Err(unknown());
        }
        let end = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
        let (suffix, tail) = tail.split_at(end);
        let levels = match suffix {
            "" => false,
            "level" => true,
            _ => return Err(ExpandError::Suffix(sign.to_owned(), suffix.to_owned())),
        };
        let blank = tail;
        let tail = tail.trim_start();
        if !tail.starts_with('{') {
            let before = format!("{{{left}}} {sign}{suffix}");
            return Err(ExpandError::Expression(before, blank.to_owned()));
        }
        let (right, rest) = balanced(tail, '{').ok_or_else(truncated)?;
        let right_end = &tail[1..right.len() + 2];
        if self.depth >= MAX_COMPARISONS {
            return Err(ExpandError::Nesting(vec![text.to_owned()]));
        }
        let side = |text: &str| Walk::new(self.lookup, self.scan, self.depth + 1).whole(text);
        let (left, right) = match (side(left), side(right)) {
            (Ok(left), Ok(right)) => (left, right),
            // Either is told.
            (Err(left), Err(right)) => {
                self.note(left);
                return Err(right);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let holds = !self.scan && compare(&left, sign, levels, &right)?;
        Ok((holds, right_end, rest.trim_start()))
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The text between `open` (the first character of `text`) and its partner, and what follows.
fn balanced(text: &str, open: char) -> Option<(&str, &str)> {
    let close = if open == '{' { '}' } else { ')' };
    let mut level = 0u32;
    for (at, c) in text.char_indices() {
        if c == open {
            level += 1;
        } else if c == close {
            level = level.checked_sub(1)?;
            if level == 0 {
                return Some((&text[1..at], &text[at + 1..]));
            }
        }
    }
    None
}

/// What stands after the name or the comparison.
struct Branches<'a> {
    when_true: Option<&'a str>,
    when_false: Option<&'a str>,
    /// The end of the last branch, and what should not follow it.
    last: &'a str,
    left_over: &'a str,
}

/// `?text`, `:text`, `?{text}`, `:{text}`, `?{text}:{text}`, `?{text}:text`. None: something else.
fn branches<'a>(rest: &'a str, whole: &str) -> Result<Option<Branches<'a>>, ExpandError> {
    let truncated = || ExpandError::Truncated(whole.to_owned());
    let Some(after) = rest.strip_prefix(['?', ':']) else { return Ok(None) };
    let plain = |text: &'a str| -> Result<(&'a str, &'a str, &'a str), ExpandError> {
        let braced = text.trim_start();
        if braced.starts_with('{') {
            let (inner, tail) = balanced(braced, '{').ok_or_else(truncated)?;
            Ok((inner, &braced[1..inner.len() + 2], tail.trim_start()))
        } else {
            Ok((text, text, ""))
        }
    };
    let (first, last, tail) = plain(after)?;
    if rest.starts_with(':') {
        return Ok(Some(Branches { when_true: None, when_false: Some(first), last, left_over: tail }));
    }
    match tail.strip_prefix(':') {
        Some(otherwise) => {
            let (second, last, tail) = plain(otherwise)?;
            Ok(Some(Branches { when_true: Some(first), when_false: Some(second), last, left_over: tail }))
        }
        None => Ok(Some(Branches { when_true: Some(first), when_false: None, last, left_over: tail })),
    }
}

/// By number when both sides are numbers, else as text; with `levels` as compatibility levels ("3.6" against "2").
fn compare(left: &str, sign: &str, levels: bool, right: &str) -> Result<bool, ExpandError> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let ordering = if levels {
        level(left)?.cmp(&level(right)?)
    } else {
        match (number(left), number(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => left.cmp(right),
        }
    };
    Ok(match sign {
        "==" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">=" => ordering.is_ge(),
        _ => ordering.is_gt(),
    })
}

/// A compatibility level "major.minor.patch" as numbers.
pub fn level(text: &str) -> Result<[u64; 3], ExpandError> {
    let malformed = || ExpandError::Level(text.to_owned());
    let mut level = [0; 3];
    let mut parts = text.split('.');
    for (at, slot) in level.iter_mut().enumerate() {
        match parts.next() {
            Some(part) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => {
                *slot = part.parse().map_err(|_| malformed())?;
            }
            None if at > 0 => {}
            _ => return Err(malformed()),
        }
    }
    if parts.next().is_some() { Err(malformed()) } else { Ok(level) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, ExpandError> {
        expand(text, &|name| match name {
            "a" => Some("1".into()),
            "b" => Some("$a$a".into()),
            "empty" => Some(String::new()),
            "blank" => Some("$empty".into()),
            "loop" => Some("$loop".into()),
            "compatibility_level" => Some("3.6".into()),
            _ => None,
        })
    }

    #[test]
    fn the_forms_of_the_manual() {
        for (text, want) in [
            ("x$b.y", "x11.y"),
            ("${a}$(a)$$", "11$"),
            ("${a?yes}${empty?yes}${none?yes}", "yes"),
            ("${a:no}${empty:no}", "no"),
            ("${b?yes}${blank?yes}${blank:no}", "yesyes"),
            ("${a?{t}:{f}}${empty?{t}:{f}}", "tf"),
            ("${a ? {t} : {f}}", "t"),
            ("${a?x:y}", "x:y"),
            ("a${a? x }b${a?{ y }}", "a x b y "),
            ("${{$compatibility_level} <level {2} ? {old} : {new}}", "new"),
            ("${{$a} == {1} ? {one} : {other}}", "one"),
            ("${{10} > {9} ? {number} : {text}}", "number"),
            ("${{ a } == {a} ? {y} : {n}}", "n"),
            ("${{a}=={a}}", "true"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_have_the_reference_words() {
        for (text, want) in [
            ("$loop", "unreasonable macro call nesting: \"loop\""),
            ("${a", "truncated macro reference: \"${a\""),
            ("x$-", "empty macro name: \"x$-\""),
            ("${a b}", "attribute name syntax error at: \"...a>>> b\""),
            ("${a:{x}:{y}}", "unexpected input at: \"...x}>>>:{y}\""),
            ("${none?{x}:{y}z}", "unexpected input at: \"...y}>>>z\""),
            ("${{x}<level{10}?{y}:{n}}", "malformed compatibility level syntax: \"x\""),
            (
                "${{a}={a}?{y}:{n}}",
                "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>={a}?{y}:{n}\"",
            ),
        ] {
            assert_eq!(with(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn each_mistake_is_told() {
        let operator = "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...";
        let sides = with("${{${{x}}} == {$-}}").unwrap_err().to_string();
        assert_eq!(sides, format!("{operator}x}}>>>\"\nempty macro name: \"$-\""));
        // Behind a mistake nothing is looked up, but names must be there, and braces end it.
        assert_eq!(with("${{x}}$a$").unwrap_err().to_string().lines().count(), 2);
        assert_eq!(with("${{x}}${a}$").unwrap_err().to_string().lines().count(), 1);
        let seen = std::cell::RefCell::new(Vec::new());
        let lookup = |name: &str| {
            seen.borrow_mut().push(name.to_owned());
            None
        };
        assert!(scan("${a?{$b}:{$c}} junk ${d?{${{x}}}:{$e}} $f", &lookup).is_err());
        assert_eq!(seen.into_inner(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_scan_sees_every_branch() {
        let seen = std::cell::RefCell::new(Vec::new());
        let lookup = |name: &str| {
            seen.borrow_mut().push(name.to_owned());
            None
        };
        scan("${a?{$b}:{$c}} ${{$d} == {x} ? {$e}}", &lookup).unwrap();
        assert_eq!(seen.into_inner(), ["a", "b", "c", "d", "e"]);
    }
}
