//! The aliases file (aliases(5)) as a source: "name: value, value" lines, where the left side may be quoted and the
//! right side is kept as an address list in one line.

use super::open::{Options, questioned};
use super::source::{Line, Lines};
use crate::message::tokens::{Token, is_operator, print, scan};
use std::borrow::Cow;
use std::io::BufRead;

/// What is wrong with a line; the text is the reference's, after "FILE, line N: ".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    #[error("need name:value pair")]
    Pair,
    #[error("name must be local")]
    NotLocal,
    #[error("non-UTF-8 input \"{0}\" -- ignoring this line")]
    NotUtf8(String),
}

/// Reads a whole source: `store` gets each name and value; faulty lines are told to `options` and left out.
pub fn read<R: BufRead>(
    lines: &mut Lines<R>,
    options: &Options,
    mut store: impl FnMut(usize, &[u8], &[u8]),
) -> std::io::Result<()> {
    let mut line = Line::default();
    while lines.read_line(options, &mut line)? {
        match pair(&line.text, options.utf8) {
            Ok((name, value)) => store(line.first, &name, &value),
            Err(fault) => options.warn(format_args!("{}, line {}: {fault}", lines.name(), line.first)),
        }
    }
    Ok(())
}

/// A name and its value.
pub type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Splits "name: value" at the first colon outside quotes and comments.
pub fn pair(line: &[u8], utf8: bool) -> Result<Pair<'_>, AliasError> {
    if utf8 && !line.is_ascii() && std::str::from_utf8(line).is_err() {
        return Err(AliasError::NotUtf8(questioned(line)));
    }
    if let Some((name, value)) = plain(line) {
        return Ok((Cow::Borrowed(name), Cow::Borrowed(value)));
    }
    let tokens = scan(line);
    let colon = tokens.iter().position(|token| *token == Token::Operator(b':')).ok_or(AliasError::Pair)?;
    let (name, value) = (&tokens[..colon], &tokens[colon + 1..]);
    // A comma would make two names of one.
    if name.is_empty() || value.is_empty() || name.contains(&Token::Operator(b',')) {
        return Err(AliasError::Pair);
    }
    if name.contains(&Token::Operator(b'@')) {
        return Err(AliasError::NotLocal);
    }
    Ok((Cow::Owned(name_of(name)), Cow::Owned(print(value, false))))
}

/// A line that stays as it is: "name: value" with nothing quoted, and blanks only after commas, one each. Most lines of
/// a big file are; None sends a line to the tokens.
fn plain(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let ordinary = |byte: u8| byte > b' ' && byte != 0x7f && !is_operator(byte);
    if name.is_empty() || value.is_empty() || !name.iter().all(|&byte| ordinary(byte)) {
        return None;
    }
    let mut before = b',';
    for (at, &byte) in value.iter().enumerate() {
        let fits = match byte {
            b' ' => before == b',' && at > 0,
            b',' => value.get(at + 1) == Some(&b' ') && before != b',' && before != b' ',
            b'@' | b'.' => before != b' ',
            _ => ordinary(byte),
        };
        if !fits {
            return None;
        }
        before = byte;
    }
    Some((name, value))
}

/// The name: its tokens side by side, without quotes.
fn name_of(tokens: &[Token]) -> Vec<u8> {
    let bare: Vec<Token> = tokens
        .iter()
        .map(|token| if let Token::Quoted(text) = token { Token::Atom(text.clone()) } else { token.clone() })
        .collect();
    print(&bare, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(line: &str) -> (String, String) {
        let (name, value) = pair(line.as_bytes(), true).unwrap();
        (String::from_utf8(name.into()).unwrap(), String::from_utf8(value.into()).unwrap())
    }

    #[test]
    fn the_short_way_and_the_long_way_agree() {
        for line in
            ["a: b, c", "a: b@c.d, e", "a:b", "a: b,c", "a: b  c", "a: b ,c", "a: ,b", "a: b,", "a: b@ c", "a: /f, |g"]
        {
            let tokens = scan(line.as_bytes());
            let long = (name_of(&tokens[..1]), print(&tokens[2..], false));
            if let Some((name, value)) = plain(line.as_bytes()) {
                assert_eq!((name.to_vec(), value.to_vec()), long, "{line}");
            }
        }
        assert!(plain(b"a: b@c.d, e").is_some());
    }

    #[test]
    fn names_and_values_as_postalias_has_them() {
        for (line, name, value) in [
            ("root: admin", "root", "admin"),
            ("\"quoted user\": a@b, c , d", "quoted user", "a@b, c, d"),
            ("list: :include:/x, \"|cmd a b\", /file", "list", ":include:/x, \"|cmd a b\", /file"),
            ("x:\ty, z # comment  contin", "x", "y, z # comment contin"),
            ("\"a\\\"b\": q", "a\"b", "q"),
            ("(comment) foo: bar", "(comment) foo", "bar"),
            ("owner-x: \"unbal", "owner-x", "\"unbal\""),
        ] {
            assert_eq!(both(line), (name.into(), value.into()), "{line}");
        }
        for wrong in ["noval:", "bad line", ": x"] {
            assert_eq!(pair(wrong.as_bytes(), true), Err(AliasError::Pair), "{wrong}");
        }
        assert_eq!(pair(b"a@b: c", true), Err(AliasError::NotLocal));
    }
}
