//! A command line's words: blanks separate, quotes and backslashes join. Variables are not put in here: `echo` and file
//! names do that, with [`expand`].

use std::iter::Peekable;
use std::str::Chars;

/// A quote that nobody closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Unclosed;

/// The words of a line.
pub fn split(line: &str) -> Result<Vec<String>, Unclosed> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars().peekable();
    let mut quote: Option<char> = None;
    let mut literal = false;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                // Only at the start of a word do single quotes keep backslashes: the original's way.
                literal = character == '\'' && word.is_none();
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) if literal => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().push(escaped(&mut characters)),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_none() { Ok(words) } else { Err(Unclosed) }
}

/// What a backslash and the characters after it mean, as in C.
fn escaped(characters: &mut Peekable<Chars>) -> char {
    match characters.next() {
        None => '\\',
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some('a') => '\u{7}',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('v') => '\u{b}',
        Some('x') => number(characters, 16, 2, 0),
        Some(digit @ '0'..='7') => number(characters, 8, 2, digit.to_digit(8).unwrap_or(0)),
        Some(other) => other,
    }
}

fn number(characters: &mut Peekable<Chars>, base: u32, most: usize, first: u32) -> char {
    let mut value = first;
    for _ in 0..most {
        let Some(digit) = characters.peek().and_then(|c| c.to_digit(base)) else { break };
        value = value * base + digit;
        characters.next();
    }
    // NUL would end the word for every program that gets it.
    char::from_u32(value & 0xff).filter(|c| *c != '\0').unwrap_or('?')
}

/// A text with `$NAME` and `${NAME}` filled in and its quotes taken off; the error is a sentence.
pub fn expand(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => out.push(c),
            (_, '\\') => match characters.next() {
                Some('\\') | None => out.push('\\'),
                Some(next) => out.extend(['\\', next]),
            },
            (_, '$') => match characters.peek() {
                Some('(') => return Err("unbalanced parenthesis"),
                Some(c) if c.is_ascii_alphabetic() || *c == '_' || *c == '{' => {
                    let name = name(&mut characters);
                    out.push_str(&value(&name).unwrap_or_default());
                }
                _ => out.push('$'),
            },
            (_, c) => out.push(c),
        }
    }
    if quote.is_none() { Ok(out) } else { Err("missing closing quote") }
}

fn name(characters: &mut Peekable<Chars>) -> String {
    let braced = characters.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(next) = characters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_' || (braced && *c != '}')) {
        name.push(next);
    }
    if braced {
        characters.next();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_join_and_backslashes_are_those_of_c() {
        let words = |line: &str| split(line).unwrap();
        assert_eq!(words("a  b \"c d\" 'e $HOME' f\\ g \"\" $"), ["a", "b", "c d", "e $HOME", "f g", "", "$"]);
        assert_eq!(words("set headline=\"%>%a\" x=\"a\\tb\""), ["set", "headline=%>%a", "x=a\tb"]);
        assert_eq!(words("a\\101 '\\t' x='\\t' \\q \\x41"), ["aA", "\\t", "x=\t", "q", "A"]);
        assert_eq!(split("a 'b"), Err(Unclosed));
    }

    #[test]
    fn variables_are_put_in_and_quotes_taken_off() {
        let filled = |text: &str| expand(text, &|name| (name == "HOME").then(|| "/h".to_owned()));
        assert_eq!(filled("$HOME/x ${HOME}y $nope. $1 $"), Ok("/h/x /hy . $1 $".into()));
        assert_eq!(filled("\"a  b\" '$HOME' \\$HOME"), Ok("a  b $HOME \\$HOME".into()));
        assert_eq!(filled("it's"), Err("missing closing quote"));
    }
}
