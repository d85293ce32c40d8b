//! Address lists in headers (RFC 5322 section 3.4), read leniently into tokens, rewritten address by address and
//! printed again as the reference prints them: one space between words, a line break after commas that folding then
//! takes back where lines stay short. Text that is not an address (names, comments, groups) is kept.

use super::envelope;

/// A token of a header field's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word as it stands.
    Atom(String),
    /// A quoted string, its quotes taken off and its backslashes kept away.
    Quoted(String),
    /// "(...)", with its parentheses and whatever stands inside.
    Comment(String),
    /// "[...]", with its brackets.
    Literal(String),
    /// One of < > @ , ; : .
    Special(char),
    /// An address in internal form, put together from the tokens that were it.
    Address(String),
}

/// Longest header body that is taken apart; a longer one goes through as it is.
pub const MAX_BODY: usize = 100 * 1024;

/// Splits a header body into tokens. Never fails: an unclosed quote or comment ends with the text.
pub fn scan(body: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = body.chars().peekable();
    while let Some(&c) = rest.peek() {
        match c {
            c if c.is_whitespace() => drop(rest.next()),
            '"' => {
                rest.next();
                tokens.push(Token::Quoted(until(&mut rest, '"')));
            }
            '(' => tokens.push(Token::Comment(comment(&mut rest))),
            '[' => {
                rest.next();
                tokens.push(Token::Literal(format!("[{}]", until(&mut rest, ']'))));
            }
            '<' | '>' | '@' | ',' | ';' | ':' | '.' => {
                rest.next();
                tokens.push(Token::Special(c));
            }
            _ => {
                let mut atom = String::new();
                while let Some(&c) = rest.peek() {
                    if c.is_whitespace() || "\"([<>@,;:.".contains(c) {
                        break;
                    }
                    rest.next();
                    if c == '\\' {
                        atom.extend(rest.next());
                    } else {
                        atom.push(c);
                    }
                }
                if atom.is_empty() {
                    rest.next();
                } else {
                    tokens.push(Token::Atom(atom));
                }
            }
        }
    }
    tokens
}

fn until(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, close: char) -> String {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            c if c == close => break,
            '\\' => text.extend(rest.next()),
            '\n' => {}
            _ => text.push(c),
        }
    }
    text
}

fn comment(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    let mut level = 0u32;
    while let Some(c) = rest.next() {
        text.push(if c == '\n' { ' ' } else { c });
        match c {
            '(' => level += 1,
            ')' => level -= 1,
            '\\' => text.extend(rest.next()),
            _ => {}
        }
        if level == 0 {
            return text;
        }
    }
    text.extend((0..level).map(|_| ')'));
    text
}

/// Finds the addresses in a token list: what stands in angle brackets, else the words of a list member.
pub fn parse(body: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut member: Vec<Token> = Vec::new();
    let mut in_angle = false;
    for token in scan(body) {
        match token {
            Token::Special('<') => in_angle = true,
            Token::Special('>') => in_angle = false,
            Token::Special(c @ (',' | ';')) if !in_angle => {
                finish_member(&mut member, &mut out);
                out.push(Token::Special(c));
                continue;
            }
            // The name of a group: no address before the colon.
            Token::Special(':') if !in_angle => {
                out.append(&mut member);
                out.push(Token::Special(':'));
                continue;
            }
            _ => {}
        }
        member.push(token);
    }
    finish_member(&mut member, &mut out);
    out
}

fn finish_member(member: &mut Vec<Token>, out: &mut Vec<Token>) {
    let angle = member.iter().position(|token| *token == Token::Special('<'));
    let Some(open) = angle else {
        // Without brackets all words are the address; its comments follow it.
        let (comments, words): (Vec<_>, Vec<_>) =
            member.drain(..).partition(|token| matches!(token, Token::Comment(_)));
        let is_word = |token: &Token| !matches!(token, Token::Special(_));
        // Words side by side are addresses side by side: an old form of list without commas.
        let mut start = 0;
        for end in 1..=words.len() {
            if end == words.len() || (is_word(&words[end - 1]) && is_word(&words[end])) {
                if start > 0 {
                    out.push(Token::Special(','));
                }
                out.push(Token::Address(join(&words[start..end])));
                start = end;
            }
        }
        out.extend(comments);
        return;
    };
    let close = member.iter().rposition(|token| *token == Token::Special('>')).unwrap_or(member.len());
    out.extend(member[..open].iter().cloned());
    out.push(Token::Special('<'));
    let inner: Vec<Token> = member[(open + 1).min(close)..close]
        .iter()
        .filter(|token| !matches!(token, Token::Comment(_)))
        .cloned()
        .collect();
    if !inner.is_empty() {
        out.push(Token::Address(join(without_route(&inner))));
    }
    out.push(Token::Special('>'));
    out.extend(member.get(close + 1..).unwrap_or_default().iter().cloned());
    member.clear();
}

/// "@a,@b:user@c" is "user@c": source routes are ignored (RFC 5321 appendix C).
fn without_route(tokens: &[Token]) -> &[Token] {
    if tokens.first() == Some(&Token::Special('@'))
        && let Some(colon) = tokens.iter().position(|token| *token == Token::Special(':'))
        && colon + 1 < tokens.len()
    {
        return &tokens[colon + 1..];
    }
    tokens
}

/// The address in internal form.
fn join(tokens: &[Token]) -> String {
    let mut out = String::new();
    let mut previous_word = false;
    for token in tokens {
        let (text, word) = match token {
            Token::Atom(text)
            | Token::Quoted(text)
            | Token::Literal(text)
            | Token::Address(text)
            | Token::Comment(text) => (text.clone(), true),
            Token::Special(c) => (c.to_string(), false),
        };
        if word && previous_word {
            out.push(' ');
        }
        out.push_str(&text);
        previous_word = word;
    }
    out
}

/// The addresses of a header body in internal form, for extracting recipients (sendmail -t).
pub fn addresses(body: &str) -> Vec<String> {
    let found = parse(body).into_iter();
    found.filter_map(|token| if let Token::Address(address) = token { Some(address) } else { None }).collect()
}

/// Rewrites every address of a header body with `rewrite` (internal form to internal form). None: nothing changed,
/// and the header goes through byte for byte.
pub fn rewrite(body: &str, mut rewrite: impl FnMut(&str) -> String) -> Option<String> {
    if body.len() > MAX_BODY {
        return None;
    }
    let mut tokens = parse(body);
    let mut changed = false;
    for token in &mut tokens {
        if let Token::Address(address) = token {
            let new = rewrite(address);
            changed |= new != *address;
            *address = new;
        }
    }
    changed.then(|| print(&tokens))
}

/// Prints tokens with a line break after each comma.
fn print(tokens: &[Token]) -> String {
    let mut out = String::new();
    let mut previous: Option<&Token> = None;
    for token in tokens {
        let word = |token: &Token| !matches!(token, Token::Special(_));
        let space = match (previous, token) {
            (Some(Token::Special(':')), Token::Special(_)) => true,
            (Some(Token::Special(':')), _) => true,
            (Some(previous), Token::Special('<')) => word(previous),
            (Some(previous), token) => word(previous) && word(token),
            (None, _) => false,
        };
        if space {
            out.push(' ');
        }
        match token {
            Token::Atom(text) | Token::Literal(text) | Token::Comment(text) => out.push_str(text),
            Token::Quoted(text) => out.push_str(&format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
            Token::Address(address) if address.is_empty() => {}
            Token::Address(address) => out.push_str(&envelope::quote(address)),
            Token::Special(',') => out.push_str(",\n"),
            Token::Special(c) => out.push(*c),
        }
        previous = Some(token);
    }
    out
}

/// Lays out "Name: body" whose body has a line break after each comma: as many on a line as stay below 70 columns,
/// continuation lines beginning with a tab.
pub fn fold(name: &str, body: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, part) in format!("{name}: {body}").split('\n').enumerate() {
        match lines.last_mut() {
            Some(line) if index > 0 && line.len() + 1 + part.len() < 70 => {
                line.push(' ');
                line.push_str(part);
            }
            Some(_) => lines.push(format!("\t{part}")),
            None => lines.push(part.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn qualify(address: &str) -> String {
        if address.contains('@') { address.to_owned() } else { format!("{address}@srvdmz.virtualux.fr") }
    }

    /// Recorded from Postfix 3.7.11.
    #[test]
    fn as_the_reference_prints() {
        for (body, lines) in [
            ("\"Jean Dupont, jr\" <toto>", vec!["H: \"Jean Dupont, jr\" <toto@srvdmz.virtualux.fr>"]),
            (
                "toto, titi@localhost , \"A. B\" <eleve@srvdmz> (comment, x), undisclosed: ;",
                vec![
                    "H: toto@srvdmz.virtualux.fr, titi@localhost,",
                    "\t\"A. B\" <eleve@srvdmz>(comment, x), undisclosed: ;",
                ],
            ),
            ("toto (Toto T)", vec!["H: toto@srvdmz.virtualux.fr (Toto T)"]),
            ("x, <@h1,@h2:user@dom>", vec!["H: x@srvdmz.virtualux.fr, <user@dom>"]),
        ] {
            assert_eq!(fold("H", &rewrite(body, qualify).unwrap()), lines);
        }
        assert_eq!(rewrite("toto@x,   titi@y", qualify), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(body in ".{0,200}") {
            let _ = addresses(&body);
            let _ = rewrite(&body, qualify);
        }
    }
}
