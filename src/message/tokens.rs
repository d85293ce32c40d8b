//! Address lists in headers (RFC 5322 section 3.4), in aliases and in .forward files, read leniently into tokens, put
//! together to addresses, rewritten address by address and printed again as the reference prints them: one space between
//! words, a line break after commas that folding then takes back where lines stay short. Text that is not an address
//! (names, comments, groups) is kept.

use super::envelope;

/// A token of a list. Bytes, since an aliases file need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word as it stands.
    Atom(Vec<u8>),
    /// A quoted string, or a word with protected operators in it; its quotes and backslashes taken off.
    Quoted(Vec<u8>),
    /// With its parentheses and whatever stands inside.
    Comment(Vec<u8>),
    /// The inside of "[...]".
    Literal(Vec<u8>),
    /// One of [`OPERATORS`].
    Operator(u8),
    /// The colon after the name of a group.
    Group,
    /// The tokens that are an address.
    Address(Vec<Token>),
}

/// What ends a word and is a token of its own. "%" and "!" because not all mail is RFC 5322, "|" for `|"command"`.
const OPERATORS: &[u8] = b"|%!()<>@,;:\\\".[]";

/// Longest header body that is taken apart; a longer one goes through as it is.
pub const MAX_BODY: usize = 100 * 1024;

/// Splits a text into tokens. Never fails: an unclosed quote or comment ends with the text.
pub fn scan(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            _ if is_space(byte) => {}
            b'(' => tokens.push(Token::Comment(comment(text, &mut at))),
            b'[' => tokens.push(Token::Literal(collect(text, &mut at, |byte| byte != b']', true))),
            b'"' => tokens.push(Token::Quoted(collect(text, &mut at, |byte| byte != b'"', true))),
            _ if is_operator(byte) && byte != b'\\' => tokens.push(Token::Operator(byte)),
            _ => {
                at -= 1;
                let word = collect(text, &mut at, |byte| !is_space(byte) && !is_operator(byte), false);
                let is_atom = !word.iter().any(|&byte| byte == b' ' || byte.is_ascii_control() || is_operator(byte));
                tokens.push(if is_atom { Token::Atom(word) } else { Token::Quoted(word) });
            }
        }
    }
    tokens
}

/// As isspace(3).
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

pub fn is_operator(byte: u8) -> bool {
    // Asked for each byte of an aliases file.
    const ASKED: [bool; 256] = {
        let (mut asked, mut at) = ([false; 256], 0);
        while at < OPERATORS.len() {
            asked[OPERATORS[at] as usize] = true;
            at += 1;
        }
        asked
    };
    ASKED[usize::from(byte)]
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
        found.push(if is_space(byte) { b' ' } else { byte });
        *at += 1;
    }
    found
}

/// A comment with its parentheses, nested ones included; an open one is closed. Only what needs a backslash keeps it.
fn comment(text: &[u8], at: &mut usize) -> Vec<u8> {
    let mut found = vec![b'('];
    let mut level = 1usize;
    while let Some(&byte) = text.get(*at) {
        *at += 1;
        match byte {
            b'\\' => {
                let Some(&protected) = text.get(*at) else { break };
                *at += 1;
                if b"()\\\r\n".contains(&protected) {
                    found.push(b'\\');
                }
                found.push(protected);
                continue;
            }
            b'(' => level += 1,
            b')' => level -= 1,
            _ => {}
        }
        found.push(if byte == b'\n' { b' ' } else { byte });
        if level == 0 {
            return found;
        }
    }
    found.extend(std::iter::repeat_n(b')', level));
    found
}

/// Finds the addresses in a text: what stands in angle brackets, else the words of a list member. From right to left, as
/// the reference does it, because what a word is shows only behind it: "Name <a@b>", "group: a, b;". Words side by side
/// are addresses side by side, an old form of list without commas; the missing comma is put in.
pub fn parse(text: &[u8]) -> Vec<Token> {
    let mut left = scan(text);
    let mut list = Backwards::default();
    // Whether a word may come now without beginning another address; whether a colon would begin a group.
    let (mut word, mut group) = (true, false);
    while let Some(token) = left.pop() {
        match token {
            Token::Comment(_) => list.done.push(token),
            Token::Operator(b';') => {
                list.close(true);
                list.done.push(token);
                (word, group) = (true, true);
            }
            Token::Operator(b':') if group => {
                list.close(false);
                list.done.push(Token::Group);
                list.keep(&mut left, |token| *token == Token::Operator(b','));
            }
            Token::Operator(b'>') => {
                list.close(true);
                list.done.push(token);
                while let Some(token) = left.pop_if(|token| *token != Token::Operator(b'<')) {
                    match token {
                        Token::Comment(_) => list.done.push(token),
                        token => list.open.push(token),
                    }
                }
                list.close(false);
                list.keep(&mut left, |token| matches!(token, Token::Operator(b'>' | b';' | b',' | b':')));
                word = true;
            }
            Token::Operator(b',') => {
                list.close(false);
                list.done.push(token);
                word = true;
            }
            Token::Operator(_) => {
                list.open.push(token);
                word = true;
            }
            token => {
                if !word {
                    list.close(true);
                }
                list.open.push(token);
                word = false;
            }
        }
    }
    list.close(false);
    list.done.reverse();
    list.done
}

/// A list that is read from its end; the last token is the leftmost.
#[derive(Default)]
struct Backwards {
    done: Vec<Token>,
    /// The address that is being read.
    open: Vec<Token>,
}

impl Backwards {
    /// Ends the address, with a comma before it if one is missing.
    fn close(&mut self, comma: bool) {
        if self.open.is_empty() {
            return;
        }
        self.open.reverse();
        self.done.push(Token::Address(std::mem::take(&mut self.open)));
        if comma {
            self.done.push(Token::Operator(b','));
        }
    }

    /// Takes tokens as they are, up to one that ends them.
    fn keep(&mut self, left: &mut Vec<Token>, ends: impl Fn(&Token) -> bool) {
        while let Some(token) = left.pop_if(|token| !ends(token)) {
            self.done.push(token);
        }
    }
}

/// The tokens of an address in internal form, without quotes.
pub fn internal(tokens: &[Token]) -> String {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            Token::Atom(text) | Token::Quoted(text) | Token::Comment(text) => out.extend_from_slice(text),
            Token::Literal(text) => out.extend([b"[", text.as_slice(), b"]"].concat()),
            Token::Operator(byte) => out.push(*byte),
            Token::Group => out.push(b':'),
            Token::Address(_) => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// "@a,@b:user@c" is "user@c": source routes are ignored (RFC 5321 appendix C).
pub fn without_route(tokens: &[Token]) -> &[Token] {
    if tokens.first() == Some(&Token::Operator(b'@'))
        && let Some(colon) = tokens.iter().position(|token| *token == Token::Operator(b':'))
        && colon + 1 < tokens.len()
    {
        return &tokens[colon + 1..];
    }
    tokens
}

/// The members of a list in internal form: recipients of sendmail -t, or the targets of an alias. A source route stays: it
/// goes when the address is rewritten.
pub fn addresses(text: &str) -> Vec<String> {
    let address = |token| if let Token::Address(tokens) = token { Some(internal(&tokens)) } else { None };
    parse(text.as_bytes()).into_iter().filter_map(address).collect()
}

/// Rewrites every address of a header body with `rewrite` (internal form to internal form). None: nothing changed,
/// and the header goes through byte for byte.
pub fn rewrite(body: &str, mut rewrite: impl FnMut(&str) -> String) -> Option<String> {
    if body.len() > MAX_BODY {
        return None;
    }
    let mut tokens = parse(body.as_bytes());
    let mut changed = false;
    for token in &mut tokens {
        if let Token::Address(address) = token {
            let plain = without_route(address);
            let old = internal(plain);
            let new = rewrite(&old);
            if new != old || plain.len() != address.len() {
                changed = true;
                *address = vec![Token::Atom(envelope::quote(&new).into_bytes())];
            }
        }
    }
    changed.then(|| String::from_utf8_lossy(&print(&tokens, true)).into_owned())
}

/// The tokens as text, with spaces between words and after commas; `lines`: a line break after each comma instead.
pub fn print(tokens: &[Token], lines: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let is_word = |token: &Token| !matches!(token, Token::Operator(_) | Token::Group);
    for (at, token) in tokens.iter().enumerate() {
        // Also the last one: what follows a comma belongs to it.
        if *token == Token::Operator(b',') {
            out.extend_from_slice(if lines { b",\n" } else { b", " });
            continue;
        }
        print_one(token, &mut out);
        if let Some(next) = tokens.get(at + 1)
            && (*token == Token::Group || *next == Token::Operator(b'<') || (is_word(token) && is_word(next)))
        {
            out.push(b' ');
        }
    }
    out
}

fn print_one(token: &Token, out: &mut Vec<u8>) {
    let mut protected = |open: &[u8], text: &[u8], special: &[u8], close: &[u8]| {
        out.extend_from_slice(open);
        for &byte in text {
            if special.contains(&byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.extend_from_slice(close);
    };
    match token {
        Token::Atom(text) | Token::Comment(text) => out.extend_from_slice(text),
        Token::Quoted(text) => protected(b"\"", text, b"\"\\\r\n", b"\""),
        Token::Literal(text) => protected(b"[", text, b"\\\r\n", b"]"),
        Token::Operator(byte) => out.push(*byte),
        Token::Group => out.push(b':'),
        // No spaces inside.
        Token::Address(tokens) => tokens.iter().for_each(|token| print_one(token, out)),
    }
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
            ("toto titi", vec!["H: toto@srvdmz.virtualux.fr, titi@srvdmz.virtualux.fr"]),
        ] {
            assert_eq!(fold("H", &rewrite(body, qualify).unwrap()), lines);
        }
        assert_eq!(rewrite("toto@x,   titi@y", qualify), None);
    }

    #[test]
    fn lists_without_commas_and_words_with_operators() {
        assert_eq!(addresses("toto titi@x  \\eleve"), ["toto", "titi@x", "eleve"]);
        assert_eq!(addresses("|\"/bin/cmd a b\", \"|/bin/cmd c\""), ["|/bin/cmd a b", "|/bin/cmd c"]);
        assert_eq!(addresses("a:toto, eleve;"), ["toto", "eleve"]);
        assert_eq!(addresses("Toto T <toto@x> titi"), ["toto@x", "titi"]);
        assert_eq!(addresses("a\\ b"), ["a b"]);
        assert_eq!(addresses("undisclosed-recipients:;"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(body in ".{0,200}") {
            let _ = addresses(&body);
            let _ = rewrite(&body, qualify);
        }
    }
}
