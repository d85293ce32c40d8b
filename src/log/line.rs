//! The part of a log line before its content: time stamp, host, and for Postfix lines program, process and queue id.
//! Two stamps are known: RFC 3164 ("Nov 24 12:00:00", no year) and RFC 3339 ("2026-11-24T12:00:00.5+01:00").
//!
//! All slices borrow from the line; nothing here allocates, fails loudly or looks at a line twice.

/// When a line was written, in the writer's local time. Numbers are as they stand: a log can say "day 99".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Only RFC 3339 stamps have one.
    pub year: Option<u16>,
    /// From 0. An unknown month name counts as 0; "00" of an RFC 3339 stamp is -1.
    pub month: i16,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// A line without its stamp and host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub stamp: Stamp,
    pub host: &'a [u8],
    /// "postfix/smtpd\[123\]: connect from ..."
    pub rest: &'a [u8],
}

/// Month names as they are logged.
pub const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl<'a> Line<'a> {
    /// Splits a line (without its newline); None when it has neither kind of stamp.
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let (stamp, after) = rfc3164(line).or_else(|| rfc3339(line))?;
        let host_end = after.iter().position(|&byte| is_space(byte))?;
        let (host, rest) = after.split_at(host_end);
        let rest = rest.strip_prefix(b" ")?;
        (!host.is_empty() && !rest.is_empty()).then_some(Line { stamp, host, rest })
    }
}

/// Program path and queue id (or first word) of a Postfix line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Postfix<'a> {
    /// "smtpd", "10025/smtpd"; "postfix" or "postfix-script" for the start-up script.
    pub service: &'a [u8],
    /// The first word of the content, up to a colon: a queue id, "NOQUEUE", "warning", "connect".
    pub word: &'a [u8],
    /// Where the content begins in [`Line::rest`].
    pub content: &'a [u8],
}

impl<'a> Postfix<'a> {
    /// Reads [`Line::rest`] when the program is "postfix/..." or `name`/...; a "smtps/" or "submission/" between is
    /// left out of the service, as log readers have always done.
    pub fn parse(rest: &'a [u8], name: &[u8]) -> Option<Postfix<'a>> {
        for known in [b"postfix".as_slice(), name] {
            let Some(path) = rest.strip_prefix(known) else { continue };
            let inner = [b"/smtps/".as_slice(), b"/submission/"].into_iter().find_map(|skip| path.strip_prefix(skip));
            let Some(path) = inner.or_else(|| path.strip_prefix(b"/")) else { continue };
            let end = path.iter().position(|byte| matches!(byte, b'[' | b':')).unwrap_or(path.len());
            let (service, tail) = path.split_at(end);
            if let Some((word, content)) = first_word(tail) {
                return Some(Postfix { service, word, content });
            }
        }
        let path = rest.strip_prefix(b"postfix")?;
        let (length, tail) = match path.strip_prefix(b"-script") {
            Some(tail) => (b"postfix-script".len(), tail),
            None => (b"postfix".len(), path),
        };
        let tail = match tail.strip_prefix(b"[") {
            Some(tail) => {
                let digits = digits(tail);
                tail.get(digits..)?.strip_prefix(b"]").filter(|_| digits > 0)?
            }
            None => tail,
        };
        let content = tail.strip_prefix(b": ")?;
        let word = word(content);
        (!word.is_empty()).then_some(Postfix { service: rest.get(..length)?, word, content })
    }
}

/// The first ": " that a word follows.
fn first_word(tail: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr::memchr_iter(b':', tail).find_map(|at| {
        let content = tail.get(at..)?.strip_prefix(b": ")?;
        let word = word(content);
        (!word.is_empty()).then_some((word, content))
    })
}

fn word(content: &[u8]) -> &[u8] {
    let end = content.iter().position(|&byte| byte == b':' || is_space(byte)).unwrap_or(content.len());
    content.get(..end).unwrap_or_default()
}

/// White space in the sense of C's isspace.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// How many digits `bytes` begin with.
pub fn digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// "Nov 24 12:00:00 " or "Nov  4 12:00:00 ".
fn rfc3164(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let (name, rest) = line.split_at_checked(3)?;
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let length = digits(rest.get(..2)?);
    let (day, rest) = (number(rest.get(..length)?)?, rest.get(length..)?.strip_prefix(b" ")?);
    let (hour, minute, second, rest) = time_of_day(rest)?;
    let month = MONTHS.iter().position(|known| known.as_bytes() == name).unwrap_or(0);
    let month = i16::try_from(month).unwrap_or(0);
    Some((Stamp { year: None, month, day, hour, minute, second }, rest.strip_prefix(b" ")?))
}

/// "2026-11-24T12:00:00.123456+01:00 "; the zone is required, the fraction is not.
fn rfc3339(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', rest @ ..] = line else { return None };
    let (century, year) = (number(&[*y1, *y2])?, number(&[*y3, *y4])?);
    let (month, day) = (number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    let (hour, minute, second, mut rest) = time_of_day(rest)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        rest = fraction.get(length..).filter(|_| length > 0)?;
    }
    let rest = match rest {
        [b'Z', rest @ ..] => rest,
        [b'+' | b'-', h1, h2, b':', m1, m2, rest @ ..] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) => rest,
        _ => return None,
    };
    let year = Some(u16::from(century) * 100 + u16::from(year));
    Some((Stamp { year, month: i16::from(month) - 1, day, hour, minute, second }, rest.strip_prefix(b" ")?))
}

fn time_of_day(bytes: &[u8]) -> Option<(u8, u8, u8, &[u8])> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = bytes else { return None };
    Some((number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?, rest))
}

/// One or two digits.
fn number(bytes: &[u8]) -> Option<u8> {
    match *bytes {
        [one] if one.is_ascii_digit() => Some(one - b'0'),
        [ten, one] if ten.is_ascii_digit() && one.is_ascii_digit() => Some((ten - b'0') * 10 + one - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stamps_are_read() {
        let old = Line::parse(b"Nov  4 01:02:03 mx postfix/qmgr[7]: A1: removed").unwrap();
        assert_eq!(old.stamp, Stamp { year: None, month: 10, day: 4, hour: 1, minute: 2, second: 3 });
        assert_eq!((old.host, old.rest), (b"mx".as_slice(), b"postfix/qmgr[7]: A1: removed".as_slice()));
        let new = Line::parse(b"2026-11-24T12:00:00.123+01:00 mx x").unwrap();
        assert_eq!(new.stamp, Stamp { year: Some(2026), month: 10, day: 24, hour: 12, minute: 0, second: 0 });
        assert!(Line::parse(b"2026-11-24T12:00:00Z mx x").is_some());
        for junk in [
            &b""[..],
            b"Nov",
            b"Nov 4",
            b"Nov   4 01:02:03 mx x",
            b"2026-11-24T12:00:00 mx x",
            b"Nov 14 01:02:03 mx",
            b"Nov 14 01:02:03 mx ",
        ] {
            assert_eq!(Line::parse(junk), None, "{}", String::from_utf8_lossy(junk));
        }
    }

    #[test]
    fn services_and_words_are_found() {
        let of = |rest: &'static str, name: &str| {
            Postfix::parse(rest.as_bytes(), name.as_bytes()).map(|line| {
                (String::from_utf8_lossy(line.service).into_owned(), String::from_utf8_lossy(line.word).into_owned())
            })
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(of("postfix/smtpd[1]: A1: client=x", "postfix"), pair("smtpd", "A1"));
        assert_eq!(of("postfix/submission/smtpd[1]: A1: client=x", "postfix"), pair("smtpd", "A1"));
        assert_eq!(of("postfix/submissions/smtpd[1]: A1: client=x", "postfix"), pair("submissions/smtpd", "A1"));
        assert_eq!(of("postfix-out/smtp[1]: warning: x", "postfix-out"), pair("smtp", "warning"));
        assert_eq!(of("postfix-out/smtp[1]: warning: x", "postfix"), None);
        assert_eq!(of("postfix-script[1]: starting", "postfix"), pair("postfix-script", "starting"));
        assert_eq!(of("postfix/postfix-script: : fatal: x", "postfix"), pair("postfix-script", "fatal"));
        assert_eq!(of("dovecot: pop3-login: x", "postfix"), None);
    }
}
