//! The aliases file (aliases(5)) as a source: "name: value, value" lines, where the left side may be quoted and the
//! right side is kept as an address list in one line.

use super::open::Options;
use super::source::Lines;
use std::io::BufRead;

/// A piece of an address line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Atom(Vec<u8>),
    Quoted(Vec<u8>),
    /// With its parentheses.
    Comment(Vec<u8>),
    /// The inside of `[...]`.
    Literal(Vec<u8>),
    Special(u8),
}

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
    while let Some(line) = lines.next_line(options)? {
        match pair(&line.text, options.utf8) {
            Ok((name, value)) => store(line.first, &name, &value),
            Err(fault) => options.warn(format_args!("{}, line {}: {fault}", lines.name(), line.first)),
        }
    }
    Ok(())
}

/// Splits "name: value" at the first colon outside quotes and comments.
pub fn pair(line: &[u8], utf8: bool) -> Result<(Vec<u8>, Vec<u8>), AliasError> {
    if utf8 && std::str::from_utf8(line).is_err() {
        return Err(AliasError::NotUtf8(String::from_utf8_lossy(line).into_owned()));
    }
    let tokens = scan(line);
    let colon = tokens.iter().position(|token| *token == Token::Special(b':')).ok_or(AliasError::Pair)?;
    let (name, value) = (&tokens[..colon], &tokens[colon + 1..]);
    if name.is_empty() || value.is_empty() {
        return Err(AliasError::Pair);
    }
    if name.contains(&Token::Special(b'@')) {
        return Err(AliasError::NotLocal);
    }
    Ok((join(name, false), join(value, true)))
}

fn scan(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            _ if byte.is_ascii_whitespace() => {}
            b'(' => tokens.push(Token::Comment(comment(text, &mut at))),
            b'[' => tokens.push(Token::Literal(collect(text, &mut at, |byte| byte != b']', true))),
            b'"' => tokens.push(Token::Quoted(collect(text, &mut at, |byte| byte != b'"', true))),
            _ if is_special(byte) && byte != b'\\' => tokens.push(Token::Special(byte)),
            _ => {
                at -= 1;
                let inside = |byte: u8| !byte.is_ascii_whitespace() && !is_special(byte);
                tokens.push(Token::Atom(collect(text, &mut at, inside, false)));
            }
        }
    }
    tokens
}

fn is_special(byte: u8) -> bool {
    b"()<>@,;:\\\".[]".contains(&byte)
}

/// Bytes as long as `inside` holds, a backslash protecting the one after it; `skip` also takes the byte that ended it.
fn collect(text: &[u8], at: &mut usize, inside: impl Fn(u8) -> bool, skip: bool) -> Vec<u8> {
    let mut found = Vec::new();
    while let Some(&byte) = text.get(*at) {
        let mut byte = byte;
        if byte == b'\\' {
            *at += 1;
            match text.get(*at) {
                Some(&protected) => byte = protected,
                None => break,
            }
        } else if !inside(byte) {
            *at += usize::from(skip);
            break;
        }
        found.push(if byte.is_ascii_whitespace() { b' ' } else { byte });
        *at += 1;
    }
    found
}

/// A comment with its parentheses, nested ones included; an open one is closed.
fn comment(text: &[u8], at: &mut usize) -> Vec<u8> {
    let mut found = vec![b'('];
    let mut level = 1u32;
    while let Some(&byte) = text.get(*at) {
        *at += 1;
        found.push(byte);
        match byte {
            b'\\' => {
                found.extend(text.get(*at));
                *at += 1;
            }
            b'(' => level += 1,
            b')' => level -= 1,
            _ => {}
        }
        if level == 0 {
            return found;
        }
    }
    found.extend(std::iter::repeat_n(b')', level as usize));
    found
}

/// The tokens as text: blanks between words and after commas only.
fn join(tokens: &[Token], quote: bool) -> Vec<u8> {
    let mut text = Vec::new();
    let word = |token: &Token| !matches!(token, Token::Special(_));
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Atom(bytes) | Token::Comment(bytes) => text.extend_from_slice(bytes),
            Token::Quoted(bytes) if quote => {
                text.push(b'"');
                for &byte in bytes {
                    if byte == b'"' || byte == b'\\' {
                        text.push(b'\\');
                    }
                    text.push(byte);
                }
                text.push(b'"');
            }
            Token::Quoted(bytes) => text.extend_from_slice(bytes),
            Token::Literal(bytes) => {
                text.push(b'[');
                text.extend_from_slice(bytes);
                text.push(b']');
            }
            Token::Special(byte) => text.push(*byte),
        }
        if let Some(next) = tokens.get(at + 1)
            && (*token == Token::Special(b',') || *next == Token::Special(b'<') || (word(token) && word(next)))
        {
            text.push(b' ');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(line: &str) -> (String, String) {
        let (name, value) = pair(line.as_bytes(), true).unwrap();
        (String::from_utf8(name).unwrap(), String::from_utf8(value).unwrap())
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
