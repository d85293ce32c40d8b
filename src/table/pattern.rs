//! What regexp and pcre tables have in common: "/pattern/flags result" with $number, negation, IF and ENDIF, over an
//! [`Engine`] that compiles and matches. Case is ignored unless the flag i says otherwise.

use super::files_as_values;
use super::open::{Opened, Options, Table, TableError, Value, questioned};
use super::rules::{self, Piece, Rules};
use super::source::trim;

/// Where an expression and its groups match, group 0 being the whole.
pub type Groups = Vec<Option<(usize, usize)>>;

/// What a flag letter is to an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    Known,
    /// Accepted with a warning.
    Obsolete,
    Unknown,
}

/// A compiled expression, and how its kind of table words things.
pub trait Engine: Sized + Send + Sync + 'static {
    type Flags: Copy;
    const KIND: &'static str;
    const FLAGS: Self::Flags;
    /// Whether a rule may be "/this/!/not that/ result".
    const SECOND_PATTERN: bool;
    /// What happens to a rule whose pattern does not end.
    const UNCLOSED: &'static str;
    const ZERO_INDEX: &'static str;

    /// Toggles a flag.
    fn toggle(flags: &mut Self::Flags, letter: u8) -> Letter;
    /// `groups`: whether the result names groups.
    fn compile(pattern: &[u8], flags: Self::Flags, groups: bool) -> Result<Self, String>;
    /// Groups in the expression.
    fn groups(&self) -> usize;
    /// None: no match. An error is one of this text, not of the expression.
    fn matches(&self, text: &[u8]) -> Result<Option<Groups>, String>;
}

struct Pattern<E> {
    engine: E,
    negated: bool,
}

/// A pattern, and perhaps a second that must hold too.
struct Test<E> {
    first: Pattern<E>,
    second: Option<Pattern<E>>,
    line: usize,
}

struct Patterns<E> {
    rules: Rules<Test<E>, Vec<Piece>>,
    name: String,
    warn: Option<super::open::Warn>,
}

pub fn open<E: Engine>(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let mut rules = Rules::default();
    rules::read(kind, name, options, |line, text| {
        let say = |text: &str| options.warn(format_args!("{kind} map {name}, line {line}: {text}"));
        match rule::<E>(&mut rules, line, text, &say, options) {
            Ok(()) => {}
            Err(fault) => say(&fault),
        }
    })?;
    for line in rules.unended() {
        options.warn(format_args!("{kind} map {name}, line {line}: IF has no matching ENDIF"));
    }
    Ok(Box::new(Patterns { rules, name: name.to_owned(), warn: options.warn.clone() }))
}

/// A pattern as written, before it is compiled.
struct Written<'a, F> {
    pattern: &'a [u8],
    flags: F,
    negated: bool,
}

fn rule<E: Engine>(
    rules: &mut Rules<Test<E>, Vec<Piece>>,
    line: usize,
    text: &[u8],
    say: &dyn Fn(&str),
    options: &Options,
) -> Result<(), String> {
    if let Some(rest) = rules::keyword(text, "if") {
        let (written, rest) = pattern::<E>(trim(rest), say)?;
        let extra = trim(rest);
        if !extra.is_empty() {
            say(&format!("ignoring extra text after IF statement: \"{}\"", String::from_utf8_lossy(extra)));
            say("do not prepend whitespace to statements between IF and ENDIF");
        }
        let first = compile(&written, false)?;
        rules.start_if(Test { first, second: None, line }, line);
        return Ok(());
    }
    if let Some(rest) = rules::keyword(text, "endif") {
        let extra = trim(rest);
        if rules.depth() == 0 {
            return Err("ignoring ENDIF without matching IF".into());
        }
        if !extra.is_empty() {
            say("ignoring extra text after ENDIF");
        }
        rules.end_if();
        return Ok(());
    }
    let (_, bare) = rules::negation(text);
    if bare.first().is_some_and(u8::is_ascii_alphanumeric) && !bare.is_empty() && bare.len() == text.len() {
        return Err("ignoring unrecognized request".into());
    }
    let (first, rest) = pattern::<E>(text, say)?;
    let (second, rest) = if E::SECOND_PATTERN && rest.first() == Some(&b'!') {
        let (second, rest) = pattern::<E>(rest, say)?;
        (Some(second), rest)
    } else {
        (None, rest)
    };
    let result = trim(rest);
    if result.is_empty() {
        say("no replacement text: using empty string");
    }
    let content;
    let result = if options.values_are_files {
        content = files_as_values::encoded(result).map_err(|fault| format!("{fault}: skipping this rule"))?;
        &content
    } else {
        result
    };
    let result = rules::pieces(result, E::ZERO_INDEX).map_err(|fault| {
        if let Some(bare) = fault.bare {
            options.warn(bare);
        }
        if let Some(detail) = fault.detail {
            say(&detail);
        }
        "bad replacement syntax: skipping this rule".to_owned()
    })?;
    let highest =
        result.iter().filter_map(|piece| if let Piece::Group(group) = piece { Some(*group) } else { None }).max();
    if highest.is_some() && first.negated {
        return Err("$number found in negative match replacement text: skipping this rule".into());
    }
    let negated = first.negated;
    let compiled: Pattern<E> = compile(&first, !negated && highest.is_some())?;
    if let Some(highest) = highest
        && highest > compiled.engine.groups()
    {
        return Err(format!("out of range replacement index \"{highest}\": skipping this rule"));
    }
    let second = second.map(|second| compile(&second, false)).transpose()?;
    rules.push(Test { first: compiled, second, line }, result);
    Ok(())
}

fn compile<E: Engine>(written: &Written<'_, E::Flags>, groups: bool) -> Result<Pattern<E>, String> {
    let engine = E::compile(written.pattern, written.flags, groups)?;
    Ok(Pattern { engine, negated: written.negated })
}

/// "!/pattern/flags" at the start of `text`, and what follows it.
fn pattern<'a, E: Engine>(text: &'a [u8], say: &dyn Fn(&str)) -> Result<(Written<'a, E::Flags>, &'a [u8]), String> {
    let (negated, text) = rules::negation(text);
    let Some((&delimiter, rest)) = text.split_first() else {
        return Err("no regexp: skipping this rule".into());
    };
    let mut end = 0;
    loop {
        match rest.get(end) {
            None => {
                let shown = questioned(&[delimiter]);
                return Err(format!("no closing regexp delimiter \"{shown}\": {} this rule", E::UNCLOSED));
            }
            // Also where it is the delimiter, which then never comes.
            Some(b'\\') => end += 2,
            Some(&byte) if byte == delimiter => break,
            Some(_) => end += 1,
        }
    }
    let mut flags = E::FLAGS;
    let mut after = &rest[end + 1..];
    while let [flag, more @ ..] = after {
        if matches!(flag, b' ' | b'\t' | b'\n' | b'\r') || (*flag == b'!' && E::SECOND_PATTERN) {
            break;
        }
        let shown = questioned(&[*flag]);
        match E::toggle(&mut flags, *flag) {
            Letter::Known => {}
            Letter::Obsolete => say(&format!("ignoring obsolete regexp option \"{shown}\"")),
            Letter::Unknown => return Err(format!("unknown regexp option \"{shown}\": skipping this rule")),
        }
        after = more;
    }
    Ok((Written { pattern: &rest[..end], flags, negated }, after))
}

impl<E: Engine> Patterns<E> {
    /// An expression that cannot be tried on this text does not match it, negated or not; that is said.
    fn groups(&self, line: usize, pattern: &Pattern<E>, text: &[u8]) -> Result<Option<Groups>, ()> {
        pattern.engine.matches(text).map_err(|fault| {
            if let Some(warn) = &self.warn {
                warn(&format!("{} map {}, line {line}: {fault}", E::KIND, self.name));
            }
        })
    }

    fn holds(&self, line: usize, pattern: &Pattern<E>, text: &[u8]) -> bool {
        self.groups(line, pattern, text).is_ok_and(|groups| groups.is_some() != pattern.negated)
    }

    fn answer(&self, test: &Test<E>, result: &[Piece], key: &[u8]) -> Option<Value> {
        let groups = self.groups(test.line, &test.first, key).ok()?;
        if groups.is_some() == test.first.negated
            || test.second.as_ref().is_some_and(|second| !self.holds(test.line, second, key))
        {
            return None;
        }
        let groups = groups.unwrap_or_default();
        let mut value = Vec::new();
        for piece in result {
            match piece {
                Piece::Text(text) => value.extend_from_slice(text),
                Piece::Group(group) => {
                    if let Some(&Some((start, end))) = groups.get(*group) {
                        value.extend_from_slice(key.get(start..end).unwrap_or_default());
                    }
                }
            }
        }
        Some(value)
    }
}

impl<E: Engine> Table for Patterns<E> {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        Ok(self
            .rules
            .run(|test| self.holds(test.line, &test.first, key), |test, result| self.answer(test, result, key)))
    }

    fn is_pattern(&self) -> bool {
        true
    }
}
