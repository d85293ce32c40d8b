//! Address lists (RFC 5322, leniently): names, comments, quoted strings, groups. What cannot be an address is an
//! error, never a guess: a mail to the wrong person is worse than none.

use super::charset;
use std::borrow::Cow;

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The display name, unquoted.
    pub name: Option<String>,
    /// "local@domain", or "local" alone.
    pub mailbox: String,
}

impl Address {
    /// With its domain: `toto` of this machine becomes `toto@domain`.
    pub fn qualified(mut self, domain: &str) -> Address {
        if !self.mailbox.contains('@') && !domain.is_empty() {
            self.mailbox = format!("{}@{domain}", self.mailbox);
        }
        self
    }

    /// The part before the last "@".
    pub fn local(&self) -> &str {
        self.mailbox.rsplit_once('@').map_or(&self.mailbox, |(local, _)| local)
    }
}

impl std::fmt::Display for Address {
    /// `<a@b>`, `"A B" <a@b>`.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "\"{}\" ", name.replace('\\', "\\\\").replace('"', "\\\""))?;
        }
        write!(f, "<{}>", self.mailbox)
    }
}

/// The list is not one of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Malformed email address")]
pub struct Malformed;

/// `Name Surname <local@domain>` or `local@domain` in plain ASCII, as most senders are written: (name, mailbox), as
/// [`parse`] would find them. None: [`parse`] must look.
pub fn plain(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, mailbox) = match value.strip_suffix(b">") {
        Some(inside) => {
            let (name, rest) = inside.split_at(run(inside, 1));
            (name, rest.strip_prefix(b"<")?)
        }
        None => (b"".as_slice(), value),
    };
    let name = if let [rest @ .., b' '] = name { rest } else { name };
    // Blanks that [`parse`] would take away.
    let mut before = b' ';
    let doubled = name.iter().any(|&byte| std::mem::replace(&mut before, byte) == b' ' && byte == b' ');
    let (local, domain) = mailbox.split_at(run(mailbox, 2));
    let domain = domain.strip_prefix(b"@")?;
    let is_mailbox = !local.is_empty() && !domain.is_empty() && run(domain, 2) == domain.len();
    (is_mailbox && !doubled && !name.ends_with(b" ")).then_some((name, mailbox))
}

/// "Jean Dupont <j@x>" is Jean Dupont, "j@x" is j@x: what a summary calls whoever is in a field of addresses.
pub fn short_name(value: &[u8]) -> Cow<'_, str> {
    match plain(value) {
        Some((b"", mailbox)) => return charset::decode(mailbox, None),
        Some((name, _)) => return charset::decode_words(name),
        None => {}
    }
    match parse(&String::from_utf8_lossy(value)).ok().and_then(|all| all.into_iter().next()) {
        Some(Address { name: Some(name), .. }) => Cow::Owned(charset::decode_words(name.as_bytes()).into_owned()),
        Some(one) => Cow::Owned(one.mailbox),
        // "Name <>": of the mail system, which wants no answer.
        None => charset::decode_words(value.trim_ascii().strip_suffix(b"<>").map_or(value, <[u8]>::trim_ascii)),
    }
}

/// How many bytes at the start may stand in a name (1) or in a mailbox (2).
fn run(bytes: &[u8], least: u8) -> usize {
    bytes.iter().take_while(|byte| PLAIN[usize::from(**byte)] >= least).count()
}

/// For [`plain`]: 2 may stand in a mailbox and in a name, 1 in a name only.
const PLAIN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        table[byte as usize] = match byte {
            b'"' | b'(' | b')' | b',' | b':' | b';' | b'<' | b'>' => 0,
            b' ' | b'@' | b'[' | b'\\' | b']' => 1,
            _ => 2,
        };
        byte += 1;
    }
    table
};

/// More than this in one list is not a list that a person wrote.
const LIMIT: usize = 100_000;

/// The addresses of a list; empty members are passed over.
pub fn parse(list: &str) -> Result<Vec<Address>, Malformed> {
    let mut found = Vec::new();
    for piece in pieces(list)? {
        // "group: a, b;" gives its members.
        if let Some(address) = one(&piece)? {
            found.push(address);
        }
        if found.len() > LIMIT {
            return Err(Malformed);
        }
    }
    Ok(found)
}

/// A list's text as it goes into a header: `<a>,<b>`.
pub fn join(addresses: &[Address]) -> String {
    addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",")
}

/// Something between commas.
#[derive(Default)]
struct Piece {
    /// Words outside "<>", with quoted ones unquoted.
    words: String,
    quoted: bool,
    /// Where the last quoted string stands in the words.
    quote: Option<(usize, usize)>,
    route: Option<String>,
    comment: String,
}

fn pieces(list: &str) -> Result<Vec<Piece>, Malformed> {
    let mut all = Vec::new();
    let mut piece = Piece::default();
    let mut characters = list.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                piece.quoted = true;
                if piece.route.is_none() && piece.words.ends_with(|c: char| c != ' ' && c != '.') {
                    piece.words.push(' ');
                }
                let start = piece.words.len();
                quoted(&mut characters, &mut piece.words)?;
                piece.quote = Some((start, piece.words.len()));
            }
            '(' => comment(&mut characters, &mut piece.comment)?,
            '[' if piece.route.is_none() && piece.words.ends_with('@') => {
                piece.words.push('[');
                while !piece.words.ends_with(']') {
                    piece.words.push(characters.next().ok_or(Malformed)?);
                }
            }
            '<' if piece.route.is_none() => {
                piece.route = Some(route(&mut characters)?);
            }
            '<' | '>' => return Err(Malformed),
            ',' | ';' => all.push(std::mem::take(&mut piece)),
            ':' if piece.route.is_none() => piece = Piece::default(),
            '\r' | '\n' | '\t' => piece.words.push(' '),
            other if other.is_control() => return Err(Malformed),
            other => {
                if let Some((start, end)) = piece.quote
                    && other == '@'
                    && end == piece.words.len()
                {
                    quote_again(&mut piece.words, start);
                }
                // A comment before the address, or inside it, is nobody's name.
                if other != ' ' && piece.route.is_none() {
                    piece.comment.clear();
                }
                piece.words.push(other);
            }
        }
    }
    all.push(piece);
    Ok(all)
}

/// `"a b"@c` keeps its quotes, `"a"@c` needs none.
fn quote_again(words: &mut String, start: usize) {
    let local = words.split_off(start);
    if local.is_empty() || local.contains(|c: char| !(c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))) {
        let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
        words.push_str(&format!("\"{escaped}\""));
    } else {
        words.push_str(&local);
    }
}

/// Without the blanks that may stand around "@" and dots.
fn squeezed(mailbox: &str) -> String {
    let mut out = String::with_capacity(mailbox.len());
    let mut blank = false;
    let mut inside = false;
    for character in mailbox.chars() {
        inside ^= character == '"';
        if !inside && character.is_whitespace() {
            blank = true;
            continue;
        }
        if blank && !(['@', '.'].contains(&character) || out.ends_with(['@', '.'])) {
            out.push(' ');
        }
        blank = false;
        out.push(character);
    }
    out
}

/// What stands between "<" and ">", where both may be part of a quoted string.
fn route(characters: &mut std::str::Chars) -> Result<String, Malformed> {
    let (mut inside, mut quoted) = (String::new(), false);
    loop {
        match characters.next().ok_or(Malformed)? {
            '>' if !quoted => return Ok(inside),
            '<' if !quoted => return Err(Malformed),
            '\\' if quoted => inside.extend(['\\', characters.next().ok_or(Malformed)?]),
            other => {
                quoted ^= other == '"';
                inside.push(other);
            }
        }
    }
}

fn quoted(characters: &mut std::str::Chars, into: &mut String) -> Result<(), Malformed> {
    loop {
        match characters.next().ok_or(Malformed)? {
            '"' => return Ok(()),
            '\\' => into.push(characters.next().ok_or(Malformed)?),
            '\n' | '\r' => into.push(' '),
            other => into.push(other),
        }
    }
}

fn comment(characters: &mut std::str::Chars, into: &mut String) -> Result<(), Malformed> {
    let mut depth = 1;
    loop {
        match characters.next().ok_or(Malformed)? {
            '(' => depth += 1,
            ')' if depth == 1 => return Ok(()),
            ')' => depth -= 1,
            '\\' => into.extend(characters.next()),
            other => into.push(other),
        }
    }
}

fn one(piece: &Piece) -> Result<Option<Address>, Malformed> {
    let words = piece.words.trim();
    let (name, mailbox) = match &piece.route {
        Some(route) => {
            // A source route ("@a,@b:c@d") is of no use to anyone now.
            let route = route.trim();
            let route = if route.starts_with('@') { route.split_once(':').map_or("", |(_, last)| last) } else { route };
            let route = squeezed(route.trim());
            let name = words.split_whitespace().collect::<Vec<_>>().join(" ");
            ((!name.is_empty()).then_some(name), route)
        }
        None if words.is_empty() => return if piece.quoted { Err(Malformed) } else { Ok(None) },
        None => ((!piece.comment.is_empty()).then(|| piece.comment.trim().to_owned()), squeezed(words)),
    };
    let bad = |c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c);
    let local_is_quoted = mailbox.starts_with('"');
    if mailbox.is_empty() || (mailbox.contains(bad) && !local_is_quoted) || mailbox.contains(char::is_control) {
        return Err(Malformed);
    }
    // Colons are for groups; and for addresses of hosts, "[IPv6:::1]".
    let (unbracketed, _) = mailbox.split_once("@[").unwrap_or((&mailbox, ""));
    if unbracketed.contains(':') && !local_is_quoted {
        return Err(Malformed);
    }
    if mailbox.starts_with('@') || mailbox.ends_with('@') {
        return Err(Malformed);
    }
    Ok(Some(Address { name, mailbox }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_people_write_them() {
        let text = |list: &str| parse(list).map(|all| join(&all));
        assert_eq!(text("toto, A B <a@b.c>,"), Ok("<toto>,\"A B\" <a@b.c>".into()));
        assert_eq!(text("\"Doe, John\" <j@x> , k@y (Kay)"), Ok("\"Doe, John\" <j@x>,\"Kay\" <k@y>".into()));
        assert_eq!(text("team: a@b, c@d;"), Ok("<a@b>,<c@d>".into()));
        assert_eq!(text("a @b, c . d@ e, (x) f@g (y)"), Ok("<a@b>,<c.d@e>,\"y\" <f@g>".into()));
        assert_eq!(text("\"a b\"@c, \"a\"@c, (x) d@e, d (x)@e"), Ok("<\"a b\"@c>,<a@c>,<d@e>,<d@e>".into()));
        assert_eq!(
            text("a@[IPv6:::1], <@x,@y:b@[IPv6:2001:db8::1]>"),
            Ok("<a@[IPv6:::1]>,<b@[IPv6:2001:db8::1]>".into())
        );
        assert_eq!(text(""), Ok(String::new()));
        for list in
            ["A B <a@b.c>", "a@b", "<a@b>", "A  B <a@b>", "A,B <a@b>", "a b@c", "A <a@b> ", "a@b@c", "A <a>", "@b"]
        {
            if let Some((name, mailbox)) = plain(list.as_bytes()) {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let one = Address { name: Some(text(name)).filter(|name| !name.is_empty()), mailbox: text(mailbox) };
                assert_eq!(parse(list), Ok(vec![one]), "{list}");
            }
        }
        assert_eq!(plain(b"A B <a@b.c>"), Some((b"A B".as_slice(), b"a@b.c".as_slice())));
        assert_eq!([plain(b" A <a@b>"), plain(b"A  B <a@b>"), plain(b"A  <a@b>"), plain(b"A B a@b>")], [None; 4]);
        for bad in ["bad <<", "a b", "<a", "x@", "@x", "\"open", "(open", "\"a:b\"", "<a:b>", "a@[1", "a\u{7}b"] {
            assert_eq!(text(bad), Err(Malformed), "{bad}");
        }
    }
}
