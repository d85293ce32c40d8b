//! Address lists (RFC 5322, leniently): names, comments, quoted strings, groups. What cannot be an address is an
//! error, never a guess: a mail to the wrong person is worse than none.

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
pub fn plain(value: &str) -> Option<(&str, &str)> {
    let bytes = value.as_bytes();
    let run = |from: usize, least: u8| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| PLAIN[usize::from(**byte)] >= least).count()
    };
    let (start, end) = match bytes.strip_suffix(b">") {
        Some(inside) => (run(0, 1) + 1, inside.len()),
        None => (0, bytes.len()),
    };
    let at = run(start, 2);
    let is_mailbox = at > start && at + 1 < end && bytes[at] == b'@' && run(at + 1, 2) == end;
    let (name, mailbox) = (value.get(..start)?, value.get(start..end)?);
    let name = if name.is_empty() { name } else { name.strip_suffix('<')?.trim_end_matches(' ') };
    let is_name = !name.starts_with(' ') && !name.as_bytes().windows(2).any(|pair| pair == b"  ");
    (is_mailbox && is_name).then_some((name, mailbox))
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
            '<' if piece.route.is_none() => {
                let mut inside = String::new();
                loop {
                    match characters.next().ok_or(Malformed)? {
                        '>' => break,
                        '<' => return Err(Malformed),
                        other => inside.push(other),
                    }
                }
                piece.route = Some(inside);
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
            let route = squeezed(route.rsplit_once(':').map_or(route.as_str(), |(_, last)| last).trim());
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
        assert_eq!(text(""), Ok(String::new()));
        for list in
            ["A B <a@b.c>", "a@b", "<a@b>", "A  B <a@b>", "A,B <a@b>", "a b@c", "A <a@b> ", "a@b@c", "A <a>", "@b"]
        {
            if let Some((name, mailbox)) = plain(list) {
                let one = Address {
                    name: Some(name.to_owned()).filter(|name| !name.is_empty()),
                    mailbox: mailbox.to_owned(),
                };
                assert_eq!(parse(list), Ok(vec![one]), "{list}");
            }
        }
        assert_eq!(plain("A B <a@b.c>"), Some(("A B", "a@b.c")));
        for bad in ["bad <<", "a b", "<a", "x@", "@x", "\"open", "(open", "a\u{7}b"] {
            assert_eq!(text(bad), Err(Malformed), "{bad}");
        }
    }
}
