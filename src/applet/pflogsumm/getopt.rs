//! The command line habits of Perl's Getopt::Long in its default configuration, which scripts around pflogsumm count
//! on: one dash or two (or "+"), any case, unique abbreviations, `--x=v` and `--x v`, options among the files, `--`
//! ends them, no bundling. clap has none of these together.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Number,
    /// A number if the next argument is one, else 0.
    MaybeNumber,
    Text,
}

/// One option that was given: the name in its full spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Flag(&'static str),
    Number(&'static str, i64),
    Text(&'static str, Vec<u8>),
}

/// What a command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub given: Vec<Given>,
    pub files: Vec<OsString>,
    /// In Getopt::Long's words, one line each; any of them makes the program end.
    pub errors: Vec<String>,
}

impl Parsed {
    pub fn flag(&self, name: &str) -> bool {
        self.given.iter().any(|given| matches!(given, Given::Flag(flag) if *flag == name))
    }

    /// The last value given.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.given.iter().rev().find_map(|given| match given {
            Given::Number(known, value) if *known == name => Some(*value),
            _ => None,
        })
    }

    /// The last value given.
    pub fn text(&self, name: &str) -> Option<&[u8]> {
        self.given.iter().rev().find_map(|given| match given {
            Given::Text(known, value) if *known == name => Some(value.as_slice()),
            _ => None,
        })
    }
}

/// Reads `args` by `table` (lower-case names).
pub fn parse(table: &[(&'static str, Takes)], args: &[OsString]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut queue: std::collections::VecDeque<Vec<u8>> = args.iter().map(|arg| underscores(arg)).collect();
    let mut ended = false;
    while let Some(arg) = queue.pop_front() {
        if !ended && arg == b"--" {
            ended = true;
            continue;
        }
        let body = [b"--".as_slice(), b"-", b"+"].into_iter().find_map(|start| arg.strip_prefix(start));
        match body.filter(|_| !ended && arg != b"-") {
            Some(body) => {
                if let Err(error) = option(table, body, &arg, &mut queue, &mut parsed.given) {
                    parsed.errors.push(error);
                }
            }
            None => parsed.files.push(OsString::from_vec(arg)),
        }
    }
    parsed
}

/// Underscores stand for dashes in arguments that begin with two dashes and a word character. Everything after "--"
/// should be spared, which the caller's loop does for options; file names that begin with "--" are written "./--x".
fn underscores(arg: &OsStr) -> Vec<u8> {
    let bytes = arg.as_bytes();
    match bytes {
        [b'-', b'-', first, ..] if first.is_ascii_alphanumeric() || *first == b'_' => {
            bytes.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect()
        }
        _ => bytes.to_vec(),
    }
}

fn option(
    table: &[(&'static str, Takes)],
    body: &[u8],
    arg: &[u8],
    queue: &mut std::collections::VecDeque<Vec<u8>>,
    given: &mut Vec<Given>,
) -> Result<(), String> {
    let (typed, glued) = match body.iter().position(|&byte| byte == b'=') {
        Some(at) if at > 0 => (&body[..at], Some(body[at + 1..].to_vec())),
        _ => (body, None),
    };
    let typed = String::from_utf8_lossy(typed).to_lowercase();
    if typed.is_empty() {
        return Err(format!("Missing option after {}", String::from_utf8_lossy(arg)));
    }
    let (name, takes) = find(table, &typed)?;
    if takes == Takes::Nothing {
        return match glued {
            None => {
                given.push(Given::Flag(name));
                Ok(())
            }
            Some(_) => Err(format!("Option {name} does not take an argument")),
        };
    }
    let is_glued = glued.is_some();
    let value = match glued {
        Some(value) if value.is_empty() => None,
        Some(value) => Some(value),
        None => queue.pop_front(),
    };
    let Some(value) = value else {
        if takes == Takes::MaybeNumber {
            given.push(Given::Number(name, 0));
            return Ok(());
        }
        return Err(format!("Option {name} requires an argument"));
    };
    match (takes, integer(&value)) {
        (Takes::Text, _) => given.push(Given::Text(name, value)),
        (_, Some(number)) => given.push(Given::Number(name, number)),
        (Takes::MaybeNumber, None) if !is_glued => {
            queue.push_front(value);
            given.push(Given::Number(name, 0));
        }
        _ => {
            let value = String::from_utf8_lossy(&value);
            return Err(format!("Value \"{value}\" invalid for option {name} (number expected)"));
        }
    }
    Ok(())
}

/// The option of this name or unique beginning.
fn find(table: &[(&'static str, Takes)], typed: &str) -> Result<(&'static str, Takes), String> {
    if let Some(&exact) = table.iter().find(|(name, _)| *name == typed) {
        return Ok(exact);
    }
    let mut hits: Vec<_> = table.iter().copied().filter(|(name, _)| name.starts_with(typed)).collect();
    hits.sort_unstable_by_key(|(name, _)| *name);
    match hits.as_slice() {
        [] => Err(format!("Unknown option: {typed}")),
        [only] => Ok(*only),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(format!("Option {typed} is ambiguous ({})", names.join(", ")))
        }
    }
}

/// A whole number with an optional sign; "_" may stand between digits.
fn integer(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value);
    let plain: String = digits.iter().filter(|&&byte| byte != b'_').map(|&byte| char::from(byte)).collect();
    if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = plain.parse().unwrap_or(i64::MAX);
    Some(if value.starts_with(b"-") { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&str, Takes)] = &[
        ("d", Takes::Text),
        ("detail", Takes::Number),
        ("e", Takes::Nothing),
        ("h", Takes::Number),
        ("help", Takes::Nothing),
        ("rej-add-from", Takes::Nothing),
        ("reject-detail", Takes::Number),
        ("verp-mung", Takes::MaybeNumber),
    ];

    fn read(line: &str) -> Parsed {
        parse(TABLE, &line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn spellings() {
        let number = |name, value| Given::Number(name, value);
        assert_eq!(read("-detail 5 --DET=5 +e x").given, [number("detail", 5), number("detail", 5), Given::Flag("e")]);
        assert_eq!(read("f1 --rej_add_from f2 -- -e").files, ["f1", "f2", "-e"]);
        assert_eq!(read("--verp-mung f1").given, [number("verp-mung", 0)]);
        assert_eq!(read("--verp-mung f1").files, ["f1"]);
        assert_eq!(read("--verp-mung=2 f1").given, [number("verp-mung", 2)]);
        assert_eq!(read("-h -1").given, [number("h", -1)]);
    }

    #[test]
    fn mistakes() {
        for (line, words) in [
            ("-eq", "Unknown option: eq"),
            ("-h5", "Unknown option: h5"),
            ("--rej", "Option rej is ambiguous (rej-add-from, reject-detail)"),
            ("-h", "Option h requires an argument"),
            ("-h x", "Value \"x\" invalid for option h (number expected)"),
            ("-e=1", "Option e does not take an argument"),
        ] {
            assert_eq!(read(line).errors, [words]);
        }
    }
}
