//! Command lines of SMTP (RFC 5321 section 4.1), read as leniently as the reference reads them.

use crate::message::{envelope, tokens};

/// The commands that are counted and answered by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Helo,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Etrn,
    Xclient,
    Xforward,
    Quit,
    Unknown,
}

/// Every verb with its name, in the order in which the disconnect line counts them.
pub const VERBS: &[(Verb, &str)] = &[
    (Verb::Helo, "helo"),
    (Verb::Ehlo, "ehlo"),
    (Verb::Xclient, "xclient"),
    (Verb::Xforward, "xforward"),
    (Verb::StartTls, "starttls"),
    (Verb::Auth, "auth"),
    (Verb::Mail, "mail"),
    (Verb::Rcpt, "rcpt"),
    (Verb::Data, "data"),
    (Verb::Bdat, "bdat"),
    (Verb::Rset, "rset"),
    (Verb::Noop, "noop"),
    (Verb::Vrfy, "vrfy"),
    (Verb::Etrn, "etrn"),
    (Verb::Quit, "quit"),
    (Verb::Unknown, "unknown"),
];

impl Verb {
    /// The name for log lines: "RCPT", "UNKNOWN".
    pub fn name(self) -> String {
        VERBS.iter().find(|(verb, _)| *verb == self).map(|(_, name)| name.to_uppercase()).unwrap_or_default()
    }
}

/// A command line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Command<'a> {
    pub verb: Verb,
    /// The first word as it was sent.
    pub word: &'a str,
    /// What follows it, blanks around it taken off.
    pub rest: &'a str,
}

/// Takes a line apart; its line end must be off already.
pub fn parse(line: &str) -> Command<'_> {
    let line = line.trim_matches(|c: char| c == ' ' || c == '\t');
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let verb = VERBS.iter().find(|(verb, name)| *verb != Verb::Unknown && word.eq_ignore_ascii_case(name));
    Command { verb: verb.map_or(Verb::Unknown, |(verb, _)| *verb), word, rest: rest.trim() }
}

/// Why MAIL or RCPT could not be read.
#[derive(Debug, PartialEq, Eq)]
pub enum PathError {
    /// No "FROM:" or "TO:", or no address after it.
    Syntax,
    /// The address is none.
    Address,
}

/// A path and what follows it: "FROM:<a@b> SIZE=10".
#[derive(Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// Internal form; empty for "<>".
    pub address: String,
    /// The address as it was written, without its brackets.
    pub written: String,
    /// "SIZE=10", "BODY=8BITMIME".
    pub parameters: Vec<&'a str>,
}

/// Reads "FROM:<address> parameters" (`keyword` is "FROM") or the same with "TO".
pub fn path<'a>(rest: &'a str, keyword: &str) -> Result<Path<'a>, PathError> {
    let head = rest.get(..keyword.len()).ok_or(PathError::Syntax)?;
    if !head.eq_ignore_ascii_case(keyword) {
        return Err(PathError::Syntax);
    }
    let after = rest[keyword.len()..].trim_start().strip_prefix(':').ok_or(PathError::Syntax)?.trim_start();
    if after.is_empty() {
        return Err(PathError::Syntax);
    }
    let (written, parameters) = if let Some(inner) = after.strip_prefix('<') {
        let close = end_of_bracket(inner).ok_or(PathError::Address)?;
        (&inner[..close], &inner[close + 1..])
    } else {
        let end = after.find([' ', '\t']).unwrap_or(after.len());
        after.split_at(end)
    };
    if !(parameters.is_empty() || parameters.starts_with([' ', '\t'])) {
        return Err(PathError::Address);
    }
    let address = address(written).ok_or(PathError::Address)?;
    Ok(Path { address, written: written.to_owned(), parameters: parameters.split_whitespace().collect() })
}

/// The closing bracket, quotes and backslashes respected.
fn end_of_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// An address in internal form; None for one that is no address. "" is the null address.
fn address(written: &str) -> Option<String> {
    if written.trim().is_empty() {
        return Some(String::new());
    }
    if written.len() > envelope::MAX_ADDRESS || written.chars().any(char::is_control) {
        return None;
    }
    let bare = written.trim_matches(|c| c == '<' || c == '>');
    // "@a,@b:user@c": a source route, of which only the last address counts (RFC 5321 appendix C).
    let bare = if bare.starts_with('@') { bare.rsplit_once(':').map_or(bare, |(_, last)| last) } else { bare };
    let found = tokens::addresses(bare);
    let [address] = found.as_slice() else { return None };
    let (local, domain) = envelope::split(address);
    let dashed = local.starts_with('-');
    let bad_domain = domain.is_some_and(|domain| !is_domain(domain));
    if local.is_empty() || dashed || bad_domain { None } else { Some(address.clone()) }
}

/// A domain name, an address literal, or nothing that could be mistaken for either.
pub fn is_domain(domain: &str) -> bool {
    if domain.starts_with('[') {
        return domain.ends_with(']') && domain.len() <= 255;
    }
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    !domain.is_empty()
        && domain.len() <= 255
        && domain.split('.').all(|label| {
            let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii();
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(fine)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_as_the_reference_takes_them() {
        let to = |text| path(text, "TO").map(|path| path.address);
        assert_eq!(to("TO:<toto@localhost>"), Ok("toto@localhost".into()));
        assert_eq!(to("to: <\"to to\"@localhost>"), Ok("to to@localhost".into()));
        assert_eq!(to("TO:toto"), Ok("toto".into()));
        assert_eq!(to("TO:<@a,@b:toto@localhost>"), Ok("toto@localhost".into()));
        assert_eq!(to("TO:<to@to@localhost>"), Ok("to@to@localhost".into()));
        assert_eq!(to("TO:<>"), Ok(String::new()));
        for bad in
            ["TO:<toto@localhost", "TO:<a@b,c@d>", "TO:<-oQ@localhost>", "TO:<a@-bad>", "TO:<a@b..c>", "TO:<a@b>x"]
        {
            assert_eq!(to(bad), Err(PathError::Address), "{bad}");
        }
        for bad in ["", "TO", "TO:", "FROM:<a@b>"] {
            assert_eq!(to(bad), Err(PathError::Syntax), "{bad}");
        }
        assert_eq!(path("FROM:<a@b> SIZE=10 BODY=8BITMIME", "FROM").unwrap().parameters, ["SIZE=10", "BODY=8BITMIME"]);
    }

    proptest! {
        #[test]
        fn any_line_is_answered(line in ".{0,300}") {
            let command = parse(&line);
            let _ = path(command.rest, "FROM");
            let _ = path(command.rest, "TO");
        }
    }
}
