//! regexp:FILE (regexp_table(5)): POSIX expressions by the C library, "/pattern/flags result" with $number, negation,
//! a second negated pattern, IF and ENDIF. Case is ignored unless the flag i says otherwise.

use super::open::{Opened, Options, Table, TableError, Value};
use super::rules::{self, Piece, Rules};
use super::source::trim;
use crate::sys::regex::{Flags, MAX_GROUPS, Regex};

struct Pattern {
    regex: Regex,
    negated: bool,
}

impl Pattern {
    fn holds(&self, text: &[u8]) -> bool {
        self.regex.matches(text).is_some() != self.negated
    }
}

/// A pattern, and perhaps a second that must hold too.
struct Test {
    first: Pattern,
    second: Option<Pattern>,
}

struct Regexp(Rules<Test, Vec<Piece>>);

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let mut rules = Rules::new();
    rules::read(kind, name, options, |line, text| {
        let say = |text: &str| options.warn(format_args!("regexp map {name}, line {line}: {text}"));
        match rule(&mut rules, line, text, &say, options) {
            Ok(()) => {}
            Err(fault) => say(&fault),
        }
    })?;
    for line in rules.unended() {
        options.warn(format_args!("regexp map {name}, line {line}: IF has no matching ENDIF"));
    }
    Ok(Box::new(Regexp(rules)))
}

/// A pattern as written, before it is compiled.
struct Written<'a> {
    pattern: &'a [u8],
    flags: Flags,
    negated: bool,
}

fn rule(
    rules: &mut Rules<Test, Vec<Piece>>,
    line: usize,
    text: &[u8],
    say: &dyn Fn(&str),
    options: &Options,
) -> Result<(), String> {
    if let Some(rest) = rules::keyword(text, "if") {
        let (written, rest) = pattern(trim(rest))?;
        let extra = trim(rest);
        if !extra.is_empty() {
            say(&format!("ignoring extra text after IF statement: \"{}\"", String::from_utf8_lossy(extra)));
            say("do not prepend whitespace to statements between IF and ENDIF");
        }
        let first = compile(&written, false)?;
        rules.start_if(Test { first, second: None }, line);
        return Ok(());
    }
    if let Some(rest) = rules::keyword(text, "endif") {
        let extra = trim(rest);
        if rules.depth() == 0 {
            return Err("ignoring ENDIF without matching IF".into());
        }
        if !extra.is_empty() {
            say(&format!("ignoring extra text after ENDIF statement: \"{}\"", String::from_utf8_lossy(extra)));
            say("do not prepend whitespace to statements between IF and ENDIF");
        }
        rules.end_if();
        return Ok(());
    }
    let (_, bare) = rules::negation(text);
    if bare.first().is_some_and(u8::is_ascii_alphanumeric) && !bare.is_empty() && bare.len() == text.len() {
        return Err("ignoring unrecognized request".into());
    }
    let (first, rest) = pattern(text)?;
    let (second, rest) = if rest.first() == Some(&b'!') {
        let (second, rest) = pattern(rest)?;
        (Some(second), rest)
    } else {
        (None, rest)
    };
    let result = trim(rest);
    if result.is_empty() {
        say("no replacement text: using empty string");
    }
    let result = rules::pieces(result).map_err(|fault| {
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
    let compiled = compile(&first, !negated && highest.is_some())?;
    if let Some(highest) = highest
        && (highest > compiled.regex.groups() || highest >= MAX_GROUPS)
    {
        return Err(format!("out of range replacement index \"{highest}\": skipping this rule"));
    }
    let second = second.map(|second| compile(&second, false)).transpose()?;
    rules.push(Test { first: compiled, second }, result);
    Ok(())
}

fn compile(written: &Written<'_>, groups: bool) -> Result<Pattern, String> {
    let flags = Flags { no_groups: !groups, ..written.flags };
    let regex = Regex::new(written.pattern, flags)?;
    Ok(Pattern { regex, negated: written.negated })
}

/// "!/pattern/flags" at the start of `text`, and what follows it.
fn pattern(text: &[u8]) -> Result<(Written<'_>, &[u8]), String> {
    let (negated, text) = rules::negation(text);
    let Some((&delimiter, rest)) = text.split_first() else {
        return Err("no regexp: skipping this rule".into());
    };
    let mut end = 0;
    loop {
        match rest.get(end) {
            None => {
                let shown = char::from(delimiter);
                return Err(format!("no closing regexp delimiter \"{shown}\": skipping this rule"));
            }
            Some(&byte) if byte == delimiter => break,
            Some(b'\\') => end += 2,
            Some(_) => end += 1,
        }
    }
    let mut flags = Flags { extended: true, ignore_case: true, newline: false, no_groups: false };
    let mut after = &rest[end + 1..];
    while let [flag, more @ ..] = after {
        match flag {
            b'i' => flags.ignore_case = !flags.ignore_case,
            b'm' => flags.newline = !flags.newline,
            b'x' => flags.extended = !flags.extended,
            b' ' | b'\t' | b'!' | b'\n' | b'\r' => break,
            other => {
                return Err(format!("unknown regexp option \"{}\": skipping this rule", char::from(*other)));
            }
        }
        after = more;
    }
    Ok((Written { pattern: &rest[..end], flags, negated }, after))
}

impl Table for Regexp {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        Ok(self.0.run(|test| test.first.holds(key), |test, result| answer(test, result, key)))
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

fn answer(test: &Test, result: &[Piece], key: &[u8]) -> Option<Value> {
    let groups = test.first.regex.matches(key);
    if groups.is_some() == test.first.negated || test.second.as_ref().is_some_and(|second| !second.holds(key)) {
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
