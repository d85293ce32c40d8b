//! The parts of a line as 1.3.0 takes it apart.

use super::blanks;
use crate::applet::pflogsumm::fields::{is_queue_id, number};
use crate::log::line::{Line, MONTHS, Stamp, digits, is_space};

/// Who says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// "smtpd", "10025/smtpd", "postfix-script".
    pub service: &'a [u8],
    pub process: Option<u64>,
    /// The first word, which is a queue id or not.
    pub id: &'a [u8],
    /// What follows the process, and "ID: " if that is a queue id.
    pub text: &'a [u8],
}

impl<'a> Said<'a> {
    /// Reads what stands behind a line's host when the program is "postfix/..." or `name`/...
    pub fn read(rest: &'a [u8], name: &[u8]) -> Option<Said<'a>> {
        let (service, process, id) = [b"postfix".as_slice(), name]
            .into_iter()
            .find_map(|name| below(rest.strip_prefix(name)?.strip_prefix(b"/")?))
            .or_else(|| script(rest))?;
        Some(Said { service, process, id, text: text(rest) })
    }
}

/// "service\[PID\]: word ...", a "smtps/" or "submission/" before it left out.
fn below(path: &[u8]) -> Option<(&[u8], Option<u64>, &[u8])> {
    let of = |path: &'_ [u8]| -> Option<(usize, u64, usize)> {
        let open = memchr::memchr(b'[', path).filter(|&open| open > 0)?;
        let inner = &path[open + 1..];
        let length = digits(inner);
        let tail = inner[length..].strip_prefix(b"]").filter(|_| length > 0)?;
        Some((open, number(inner[..length].iter()), path.len() - tail.len()))
    };
    [b"smtps/".as_slice(), b"submission/", b""].into_iter().find_map(|prefix| {
        let path = path.strip_prefix(prefix)?;
        let (open, process, tail) = of(path)?;
        Some((&path[..open], Some(process), word(&path[tail..])?))
    })
}

/// "postfix: word" or "postfix-script\[PID\]: word"
fn script(rest: &[u8]) -> Option<(&[u8], Option<u64>, &[u8])> {
    let tail = rest.strip_prefix(b"postfix")?;
    let tail = tail.strip_prefix(b"-script").unwrap_or(tail);
    let service = &rest[..rest.len() - tail.len()];
    let tagged = tail.strip_prefix(b"[").and_then(|inner| {
        let length = digits(inner);
        let tail = inner[length..].strip_prefix(b"]").filter(|_| length > 0)?;
        Some((number(inner[..length].iter()), tail))
    });
    match tagged {
        Some((process, tail)) => Some((service, Some(process), word(tail)?)),
        None => Some((service, None, word(tail)?)),
    }
}

/// The first word behind ": ", or ": - "; something must follow it.
fn word(tail: &[u8]) -> Option<&[u8]> {
    let tail = tail.strip_prefix(b":").unwrap_or(tail);
    let begin = blanks(tail);
    let content = &tail[begin..];
    let after_dash = content.strip_prefix(b"-").filter(|rest| blanks(rest) > 0).map(|rest| &rest[blanks(rest)..]);
    [after_dash, Some(content)].into_iter().flatten().filter(|_| begin > 0).find_map(|content| {
        let end = content.iter().position(|&byte| byte == b':' || is_space(byte)).filter(|&end| end > 0)?;
        let after = content[end..].strip_prefix(b":").unwrap_or(&content[end..]);
        after.first().is_some_and(|&byte| is_space(byte)).then(|| &content[..end])
    })
}

/// What follows the first "\[PID\]: ", and a queue id behind it.
fn text(rest: &[u8]) -> &[u8] {
    let behind_tag = memchr::memchr_iter(b'[', rest).find_map(|at| {
        let inner = &rest[at + 1..];
        let length = digits(inner);
        let tail = inner[length..].strip_prefix(b"]").filter(|_| length > 0)?;
        let tail = tail.strip_prefix(b":").unwrap_or(tail);
        let begin = level(tail);
        (begin > 0).then(|| &tail[begin..])
    });
    let Some(text) = behind_tag else { return rest };
    let text = match text.strip_prefix(b"-") {
        Some(rest) if blanks(rest) > 0 => &rest[blanks(rest)..],
        _ => text,
    };
    let Some(end) = memchr::memchr(b':', text) else { return text };
    let (word, after) = (&text[..end], &text[end + 1..]);
    let known = !word.is_empty() && (word == b"NOQUEUE" || is_queue_id(word));
    if known && level(after) > 0 { &after[level(after)..] } else { text }
}

/// Blanks and tabs at the beginning of a text: how many.
fn level(text: &[u8]) -> usize {
    text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len())
}

/// Stamp and rest of a line, which may begin with "<PRIORITY>" or "<PRIORITY>VERSION "; the zone may be missing, and a
/// month must be one.
pub fn stamped(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let behind = || {
        let rest = line.strip_prefix(b"<")?;
        let length = Some(digits(rest)).filter(|length| (1..=3).contains(length))?;
        let rest = rest[length..].strip_prefix(b">")?;
        let version = if rest.first() == Some(&b'0') { 0 } else { digits(rest) };
        Some(match blanks(&rest[version..]) {
            0 => rest,
            blanks => &rest[version + blanks..],
        })
    };
    let line = behind().unwrap_or(line);
    let Line { stamp, rest, .. } = Line::parse_zoneless(line)?;
    let known = stamp.year.is_some() || MONTHS.iter().any(|month| line.starts_with(month.as_bytes()));
    known.then_some((stamp, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        for (line, service, id, text) in [
            ("postfix/smtpd[7]: 1A2B: client=x", "smtpd", "1A2B", "client=x"),
            ("postfix/submission/smtpd[7]: NOQUEUE: reject: x", "smtpd", "NOQUEUE", "reject: x"),
            ("postfix/submission[7]: - statistics: max x", "submission", "statistics", "statistics: max x"),
            ("postfix-script[9]: starting the system", "postfix-script", "starting", "starting the system"),
            ("postfix/10025/smtpd[7] connect from x", "10025/smtpd", "connect", "connect from x"),
        ] {
            let said = Said::read(line.as_bytes(), b"postfix").unwrap();
            assert_eq!((said.service, said.id, said.text), (service.as_bytes(), id.as_bytes(), text.as_bytes()));
        }
        for line in ["postfix/master[1]: x", "postfix/smtpd: 1A2B: client=x", "postfix/smtpd[]: a b", "dovecot: a b"] {
            assert_eq!(Said::read(line.as_bytes(), b"postfix"), None, "{line}");
        }
    }

    #[test]
    fn stamps_have_priorities_and_need_no_zone() {
        for line in ["<22>Nov 24 12:00:00 h x y", "<22>1 2026-11-24T12:00:00Z h x", "2026-11-24T12:00:00 h x"] {
            assert!(stamped(line.as_bytes()).is_some(), "{line}");
        }
        assert!(stamped(b"Nev 24 12:00:00 h x").is_none());
    }
}
