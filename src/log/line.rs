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
    #[inline]
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        Line::read(line, true)
    }

    /// The same where an RFC 3339 stamp may lack its zone.
    pub fn parse_zoneless(line: &'a [u8]) -> Option<Line<'a>> {
        Line::read(line, false)
    }

    #[inline]
    fn read(line: &'a [u8], zone: bool) -> Option<Line<'a>> {
        let (stamp, after) = if line.get(4) == Some(&b'-') { rfc3339(line, zone) } else { rfc3164(line) }?;
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
    /// Whether the content follows "NAME/service\[PID\]: " at once, as in nearly every line.
    pub regular: bool,
}

impl<'a> Postfix<'a> {
    /// Reads [`Line::rest`] when the program is "postfix/..." or `name`/...; a "smtps/" or "submission/" between is
    /// left out of the service, as log readers have always done.
    #[inline(always)]
    pub fn parse(rest: &'a [u8], name: &[u8]) -> Option<Postfix<'a>> {
        if let Some((b"postfix/", path)) = rest.split_first_chunk::<8>()
            && let Some(found) = Postfix::regular(path)
        {
            return Some(found);
        }
        Postfix::irregular(rest, name)
    }

    /// "service\[PID\]: content" after "postfix/", as in nearly every line.
    #[inline(always)]
    fn regular(path: &'a [u8]) -> Option<Postfix<'a>> {
        let path = match path.first() {
            Some(b's') => path.strip_prefix(b"smtps/").or_else(|| path.strip_prefix(b"submission/")).unwrap_or(path),
            _ => path,
        };
        let end = either(path, b'[', b':');
        let (service, [b'[', inner @ ..]) = path.split_at_checked(end)? else { return None };
        let (number, [b']', b':', b' ', content @ ..]) = inner.split_at_checked(digits(inner))? else { return None };
        let word = word(content);
        (!number.is_empty() && !word.is_empty()).then_some(Postfix { service, word, content, regular: true })
    }

    #[inline(never)]
    fn irregular(rest: &'a [u8], name: &[u8]) -> Option<Postfix<'a>> {
        let path = rest.strip_prefix(b"postfix");
        if let Some(found) = path.and_then(Postfix::below) {
            return Some(found);
        }
        if name != b"postfix"
            && let Some(found) = rest.strip_prefix(name).and_then(Postfix::below)
        {
            return Some(found);
        }
        let path = path?;
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
        (!word.is_empty()).then_some(Postfix { service: rest.get(..length)?, word, content, regular: false })
    }

    /// The rest of "NAME/service\[pid\]: content" after NAME.
    fn below(path: &'a [u8]) -> Option<Postfix<'a>> {
        let path = match path {
            [b'/', b's', b'm', b't', b'p', b's', b'/', inner @ ..] => inner,
            [b'/', b's', b'u', b'b', b'm', b'i', b's', b's', b'i', b'o', b'n', b'/', inner @ ..] => inner,
            [b'/', inner @ ..] => inner,
            _ => return None,
        };
        let end = either(path, b'[', b':');
        let (service, tail) = path.split_at(end);
        // Nearly always "[PID]: " and a word.
        if let [b'[', inner @ ..] = tail
            && let number = digits(inner)
            && let [b']', b':', b' ', content @ ..] = &inner[number..]
        {
            let word = word(content);
            if !word.is_empty() {
                return Some(Postfix { service, word, content, regular: number > 0 });
            }
        }
        let (word, content) = first_word(tail)?;
        Some(Postfix { service, word, content, regular: false })
    }
}

/// The first ": " that a word follows.
fn first_word(tail: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = tail;
    loop {
        let at = rest.iter().position(|&byte| byte == b':')?;
        rest = rest.get(at + 1..)?;
        if let Some(content) = rest.strip_prefix(b" ") {
            let word = word(content);
            if !word.is_empty() {
                return Some((word, content));
            }
        }
    }
}

#[inline(always)]
fn word(content: &[u8]) -> &[u8] {
    // Eight bytes at a time up to one that may end it: a colon, or one not above the blank.
    let (chunks, _) = content.as_chunks::<8>();
    let mut at = 0;
    for chunk in chunks {
        let bytes = u64::from_le_bytes(*chunk);
        let ends = equal(bytes, b':') | (bytes.wrapping_sub(EACH * 0x21) & !bytes & HIGH);
        if ends != 0 {
            at += ends.trailing_zeros() as usize / 8;
            if matches!(content.get(at), Some(b':' | b' ')) {
                return content.get(..at).unwrap_or_default();
            }
            break;
        }
        at += 8;
    }
    slow_word(content, at)
}

/// The word when nothing ends it before `at`.
#[cold]
fn slow_word(content: &[u8], at: usize) -> &[u8] {
    // What is left, or a control character, which may be a part of it.
    let tail = content.get(at..).unwrap_or_default();
    let end = tail.iter().position(|&byte| ENDS_WORD[usize::from(byte)]).unwrap_or(tail.len());
    content.get(..at + end).unwrap_or_default()
}

/// A byte of a word of eight, times this, is that byte eight times.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = EACH * 0x80;

/// The highest bit of the lowest byte that is `byte`; those above it may be wrong.
fn equal(bytes: u64, byte: u8) -> u64 {
    let differ = bytes ^ (EACH * u64::from(byte));
    differ.wrapping_sub(EACH) & !differ & HIGH
}

/// Where the first of two bytes stands, or the length; for texts too short for memchr to pay.
#[inline(always)]
fn either(bytes: &[u8], one: u8, other: u8) -> usize {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let found = equal(word, one) | equal(word, other);
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().position(|&byte| byte == one || byte == other).unwrap_or(rest.len());
    chunks.len() * 8 + tail
}

/// A colon and white space.
const ENDS_WORD: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        ends[byte] = byte == b':' as usize || byte == b' ' as usize || (byte >= 9 && byte <= 13);
        byte += 1;
    }
    ends
};

/// White space in the sense of C's isspace.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// How many digits `bytes` begin with.
#[inline(always)]
pub fn digits(bytes: &[u8]) -> usize {
    // Eight at a time: a digit's upper half is 3, and still is when 6 is added. A byte that is none may spoil the ones
    // behind it, and those do not matter.
    if let Some(chunk) = bytes.first_chunk::<8>() {
        let chunk = u64::from_le_bytes(*chunk);
        let upper = EACH * 0xf0;
        let others = (chunk & upper | (chunk.wrapping_add(EACH * 6) & upper) >> 4) ^ (EACH * 0x33);
        if others != 0 {
            return others.trailing_zeros() as usize / 8;
        }
    }
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// "Nov 24 12:00:00 " or "Nov  4 12:00:00 ". This and the next run on every line, so they look at bytes by place.
fn rfc3164(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let [m1, m2, m3, b' ', rest @ ..] = line else { return None };
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let (day, rest) = match rest {
        [ten, one, b' ', rest @ ..] if ten.is_ascii_digit() => (pair(*ten, *one)?, rest),
        [one, b' ', rest @ ..] if one.is_ascii_digit() => (one - b'0', rest),
        _ => return None,
    };
    let (hour, minute, second, rest) = time_of_day(rest)?;
    let month = month_number([*m1, *m2, *m3]);
    Some((Stamp { year: None, month, day, hour, minute, second }, rest.strip_prefix(b" ")?))
}

/// From 0; an unknown name counts as 0.
fn month_number(name: [u8; 3]) -> i16 {
    match &name {
        b"Feb" => 1,
        b"Mar" => 2,
        b"Apr" => 3,
        b"May" => 4,
        b"Jun" => 5,
        b"Jul" => 6,
        b"Aug" => 7,
        b"Sep" => 8,
        b"Oct" => 9,
        b"Nov" => 10,
        b"Dec" => 11,
        _ => 0,
    }
}

/// "2026-11-24T12:00:00.123456+01:00 "; the fraction may be missing, and unless `zone`, the zone.
fn rfc3339(line: &[u8], zone: bool) -> Option<(Stamp, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', rest @ ..] = line else { return None };
    let (century, year) = (pair(*y1, *y2)?, pair(*y3, *y4)?);
    let (month, day) = (pair(*m1, *m2)?, pair(*d1, *d2)?);
    let (hour, minute, second, mut rest) = time_of_day(rest)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        rest = fraction.get(length..).filter(|_| length > 0)?;
    }
    let rest = match rest {
        [b'Z', rest @ ..] => rest,
        [b'+' | b'-', h1, h2, b':', m1, m2, rest @ ..] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) => rest,
        rest if !zone => rest,
        _ => return None,
    };
    let year = Some(u16::from(century) * 100 + u16::from(year));
    Some((Stamp { year, month: i16::from(month) - 1, day, hour, minute, second }, rest.strip_prefix(b" ")?))
}

fn time_of_day(bytes: &[u8]) -> Option<(u8, u8, u8, &[u8])> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = bytes else { return None };
    Some((pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?, rest))
}

/// A number of two digits.
#[inline]
pub fn pair(ten: u8, one: u8) -> Option<u8> {
    let (ten, one) = (ten.wrapping_sub(b'0'), one.wrapping_sub(b'0'));
    (ten < 10 && one < 10).then(|| ten * 10 + one)
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
