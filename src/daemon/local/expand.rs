//! What an alias or a .forward file says: a list of addresses, "|command", /file and :include:/file (aliases(5)).

use crate::message::tokens;

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Address(String),
    Command(String),
    File(String),
    Include(String),
}

/// Splits a value at its top-level commas and line ends; comments ("# ...") at the start of a line are skipped.
pub fn targets(text: &str) -> Vec<Target> {
    let mut found = Vec::new();
    for line in text.split('\n') {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for piece in split(line) {
            found.extend(classify(piece.trim()));
        }
    }
    found
}

/// At commas outside quotes, comments and angle brackets.
fn split(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut level, mut escaped) = (0, false, 0i32, false);
    for (at, c) in line.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '(' | '<' if !quoted => level += 1,
            ')' | '>' if !quoted => level -= 1,
            ',' if !quoted && level <= 0 => {
                pieces.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&line[start..]);
    pieces
}

fn classify(piece: &str) -> Vec<Target> {
    if piece.is_empty() {
        return Vec::new();
    }
    let bare = unquoted(piece);
    if let Some(command) = bare.strip_prefix('|') {
        return vec![Target::Command(command.trim().to_owned())];
    }
    if bare.starts_with('/') {
        return vec![Target::File(bare)];
    }
    if let Some(path) = bare.get(..9).filter(|head| head.eq_ignore_ascii_case(":include:")).map(|_| &bare[9..]) {
        return vec![Target::Include(path.trim().to_owned())];
    }
    // "\toto" is toto, with no further expansion; the backslash must outlive the tokens.
    if let Some(name) = piece.strip_prefix('\\') {
        return vec![Target::Address(format!("\\{name}"))];
    }
    tokens::addresses(piece).into_iter().map(Target::Address).collect()
}

/// The text of a piece that is one quoted string, else the piece.
fn unquoted(piece: &str) -> String {
    let Some(inner) = piece.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return piece.to_owned() };
    let mut out = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        if c == '\\' {
            out.extend(characters.next());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_aliases() {
        let value = "toto, \"|cat >/tmp/out; echo a, b\", /tmp/file, :include:/tmp/inc, \\titi, \"Jean D\" <jean@x>";
        assert_eq!(
            targets(value),
            [
                Target::Address("toto".into()),
                Target::Command("cat >/tmp/out; echo a, b".into()),
                Target::File("/tmp/file".into()),
                Target::Include("/tmp/inc".into()),
                Target::Address("\\titi".into()),
                Target::Address("jean@x".into()),
            ]
        );
        assert_eq!(targets("# comment\n\n|exit 1\n"), [Target::Command("exit 1".into())]);
    }
}
