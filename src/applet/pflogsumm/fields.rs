//! Places in a line that are counted: pure functions from bytes to parts of them.

use crate::log::line::{digits, is_space};
use crate::sys::scan::position;
use memchr::{memchr, memchr_iter, memmem};

use super::text::{find, run};

/// The line without Solaris's "[ID 197553 mail.info] ", if it has one.
pub fn without_id(rest: &[u8]) -> Option<Vec<u8>> {
    memchr_iter(b'[', rest).find_map(|bracket| {
        let at = rest.get(..bracket)?.strip_suffix(b": ")?.len();
        let number = rest.get(bracket..)?.strip_prefix(b"[ID ")?;
        let end = digits(number);
        let name = number.get(end..)?.strip_prefix(b" ").filter(|_| end > 0)?;
        let close = memchr(b']', name).filter(|&close| close > 0)?;
        let tail = name.get(close..)?.strip_prefix(b"] ")?;
        Some([rest.get(..at + 2)?, tail].concat())
    })
}

/// "ADDRESS>, size=N"
pub fn sender_and_size(rest: &[u8]) -> Option<(&[u8], u64)> {
    let (address, rest) = rest.split_at(position(rest, b'>')?);
    let size = rest.strip_prefix(b">, size=")?;
    let length = digits(size);
    (length > 0).then(|| (address, number(size.iter().take(length))))
}

/// The fields of a delivery's line that are counted.
pub struct Delivery<'a> {
    /// Only read for 1.3.0.
    pub original_to: Option<&'a [u8]>,
    /// Postfix 3.11's "tls=", only read for 1.3.0.
    pub tls: Option<&'a [u8]>,
    /// Only read for 1.3.0.
    pub dsn: Option<&'a [u8]>,
    pub to: &'a [u8],
    pub relay: &'a [u8],
    pub delay: &'a [u8],
    pub status: &'a [u8],
    /// What follows the status.
    pub after: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// `rest` begins after "to=<". A field that is not known between the known ones makes the line unreadable.
    pub fn read(rest: &'a [u8]) -> Option<Delivery<'a>> {
        let end = position(rest, b'>')?;
        let (to, rest) = (rest.get(..end)?, rest.get(end..)?.strip_prefix(b">, ")?);
        let rest = match rest.strip_prefix(b"orig_to=<") {
            Some(original) => original.get(memchr(b'>', original)?..)?.strip_prefix(b">, ")?,
            None => rest,
        };
        let (relay, rest) = field(rest, b"relay=")?;
        let rest = field(rest, b"conn_use=").map_or(rest, |(_, rest)| rest);
        let (delay, rest) = field(rest, b"delay=")?;
        let rest = field(rest, b"delays=").map_or(rest, |(_, rest)| rest);
        let rest = field(rest, b"dsn=").map_or(rest, |(_, rest)| rest);
        let rest = rest.strip_prefix(b"status=")?;
        let (status, after) = rest.split_at(run(rest));
        let (original_to, tls, dsn) = (None, None, None);
        (!status.is_empty()).then_some(Delivery { original_to, tls, dsn, to, relay, delay, status, after })
    }

    /// As [`Delivery::read`], by 1.3.0: with the address that was asked for, and with "tls=".
    pub fn read_newer(rest: &'a [u8]) -> Option<Delivery<'a>> {
        let (to, rest) = address(rest)?;
        let (original_to, rest) = match rest.strip_prefix(b"orig_to=<").and_then(address) {
            Some((original, rest)) => (Some(original), rest),
            None => (None, rest),
        };
        let (relay, rest) = spaced(rest, b"relay=")?;
        let rest = spaced(rest, b"conn_use=").map_or(rest, |(_, rest)| rest);
        let (delay, rest) = spaced(rest, b"delay=")?;
        let rest = spaced(rest, b"delays=").map_or(rest, |(_, rest)| rest);
        let (tls, rest) = spaced(rest, b"tls=").map_or((None, rest), |(tls, rest)| (Some(tls), rest));
        let (dsn, rest) = spaced(rest, b"dsn=").map_or((None, rest), |(dsn, rest)| (Some(dsn), rest));
        let rest = rest.strip_prefix(b"status=")?;
        let (status, after) = rest.split_at(run(rest));
        (!status.is_empty()).then_some(Delivery { original_to, tls, dsn, to, relay, delay, status, after })
    }

    /// The same with the fields in any order.
    pub fn read_any(rest: &'a [u8]) -> Option<Delivery<'a>> {
        let (to, rest) = address(rest)?;
        let (original_to, mut rest) = match rest.strip_prefix(b"orig_to=<").and_then(address) {
            Some((original, rest)) => (Some(original), rest),
            None => (None, rest),
        };
        const FIELDS: [&[u8]; 6] = [b"relay=", b"conn_use=", b"tls=", b"delay=", b"delays=", b"dsn="];
        let mut values: [Option<&[u8]>; 6] = [None; 6];
        while let Some((slot, (value, after))) =
            FIELDS.iter().enumerate().find_map(|(slot, name)| Some((slot, field(rest, name)?)))
        {
            values[slot] = Some(value);
            rest = after;
        }
        let [relay, _, tls, delay, _, dsn] = values;
        let (relay, delay) = (relay?, delay?);
        let rest = rest.strip_prefix(b"status=")?;
        let (status, after) = rest.split_at(run(rest));
        (!status.is_empty()).then_some(Delivery { original_to, tls, dsn, to, relay, delay, status, after })
    }

    /// What stands in brackets behind the status.
    pub fn reason(&self) -> &'a [u8] {
        let reason = self.after.strip_prefix(b" (").unwrap_or(self.after);
        reason.strip_suffix(b")").unwrap_or(reason)
    }
}

/// "ADDRESS>, " with any white space.
fn address(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = position(rest, b'>')?;
    Some((rest.get(..end)?, spaces(rest.get(end..)?.strip_prefix(b">,")?)?))
}

/// "name=value," and any white space.
fn spaced<'a>(rest: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let value = rest.strip_prefix(name)?;
    let end = position(value, b',').filter(|&end| end > 0)?;
    Some((value.get(..end)?, spaces(value.get(end + 1..)?)?))
}

/// What follows white space.
fn spaces(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
    text.get(length..).filter(|_| length > 0)
}

/// "name=value, "
#[inline]
fn field<'a>(rest: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let value = rest.strip_prefix(name)?;
    let end = position(value, b',').filter(|&end| end > 0)?;
    Some((value.get(..end)?, value.get(end..)?.strip_prefix(b", ")?))
}

/// "connect to HOST: WHY; address A port N" or "connect to HOST[A]: WHY (port N)": what smtp said before Postfix 2.3.
pub fn old_failure(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    // A ";" or a number and ")" at the end; nearly all lines have neither and are not searched.
    let port = rest.strip_suffix(b")").is_some_and(|inner| inner.last().is_some_and(u8::is_ascii_digit));
    if !port && memchr(b';', rest).is_none() {
        return None;
    }
    let places = || {
        let mut end = rest.len();
        std::iter::from_fn(move || {
            let at = memmem::rfind(rest.get(..end)?, b" connect to ")?;
            end = at + 1;
            rest.get(at + b" connect to ".len()..)
        })
        .take(16)
    };
    places()
        .find_map(|tail| {
            let run = tail.iter().position(|&byte| is_space(byte))?;
            let host = tail.get(..run)?.strip_suffix(b":").filter(|host| !host.is_empty())?;
            let why = tail.get(run..)?.strip_prefix(b" ")?;
            let end = memchr(b';', why).filter(|&end| end > 0)?;
            let address = why.get(end..)?.strip_prefix(b"; address ")?;
            let run = address.iter().position(|&byte| is_space(byte)).filter(|&run| run > 0)?;
            address.get(run..)?.starts_with(b" port").then_some((host, why.get(..end)?))
        })
        .or_else(|| {
            places().find_map(|tail| {
                let open = memchr(b'[', tail).filter(|&open| open > 0)?;
                let close = find(tail.get(open + 2..)?, b"]: ")? + open + 2;
                (!tail.get(open + 1..close)?.iter().any(|&byte| is_space(byte))).then_some(())?;
                let why = tail.get(close + 3..)?;
                let inner = why.strip_suffix(b")")?;
                let port = inner.len() - inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
                let why = inner.get(..port).filter(|_| port < inner.len())?.strip_suffix(b" (port ")?;
                (!why.is_empty()).then_some((tail.get(..open)?, why))
            })
        })
}

/// Hexadecimal, or in the alphabet of Postfix's long ids, which has no vowels.
pub fn is_queue_id(word: &[u8]) -> bool {
    let hexadecimal = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    let long = |byte: &u8| {
        byte.is_ascii_digit()
            || byte.is_ascii_alphabetic() && !matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u')
    };
    word.iter().all(hexadecimal) || word.iter().all(long)
}

/// Without RFC 5424's "<PRIORITY>VERSION ".
pub fn without_priority(line: &[u8]) -> &[u8] {
    let after = || {
        let rest = line.strip_prefix(b"<")?;
        let priority = digits(rest);
        let rest = rest.get(priority..)?.strip_prefix(b">")?;
        let version = digits(rest);
        rest.get(version..)?.strip_prefix(b" ").filter(|_| priority > 0 && version > 0)
    };
    after().unwrap_or(line)
}

/// Where "; from=<...", with " from HOST" before it, cuts a cleanup verdict's text.
pub fn end_of_content(text: &[u8]) -> usize {
    let Some(mark) = find(text, b"; from=<") else { return text.len() };
    let with_host = memmem::find_iter(text, b" from ").take(64).find(|&at| {
        let run = text.get(at + 6..).unwrap_or_default();
        let end = run.iter().position(|&byte| is_space(byte)).unwrap_or(run.len());
        end > 1 && text.get(at + 6 + end - 1..).is_some_and(|tail| tail.starts_with(b"; from=<"))
    });
    with_host.map_or(mark, |at| at.min(mark))
}

/// The domain of a recipient; the whole address when it has none.
pub fn domain_or_all(address: &[u8]) -> &[u8] {
    match memchr(b'@', address) {
        Some(at) if at > 0 => address.get(at + 1..).unwrap_or_default(),
        _ => address,
    }
}

/// The longer of two delays; a delay of 0 is none.
pub fn longest(known: f64, delay: f64) -> f64 {
    if known == 0.0 || delay > known { delay } else { known }
}

/// The number that a delay begins with, as Perl reads it: "inf" and "nan" are numbers too.
pub fn decimal(text: &[u8]) -> f64 {
    if let Some(value) = plain_decimal(text) {
        return value;
    }
    match text.trim_ascii_start() {
        [b'-', rest @ ..] => -unsigned(rest),
        [b'+', rest @ ..] => unsigned(rest),
        text => unsigned(text),
    }
}

fn unsigned(text: &[u8]) -> f64 {
    let begins = |name: &[u8]| text.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    if begins(b"inf") {
        return f64::INFINITY;
    }
    if begins(b"nan") {
        return f64::NAN;
    }
    let whole = digits(text);
    let fraction = match text.get(whole..) {
        Some([b'.', rest @ ..]) => digits(rest),
        _ => 0,
    };
    let end = if fraction > 0 { whole + 1 + fraction } else { whole };
    if let Some([b'e' | b'E', power @ ..]) = text.get(end..) {
        let sign = usize::from(matches!(power.first(), Some(b'+' | b'-')));
        let length = digits(power.get(sign..).unwrap_or_default());
        let text = text.get(..end + 1 + sign + length).filter(|_| length > 0 && whole > 0);
        if let Some(value) = text.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()) {
            return value;
        }
    }
    // Up to 15 digits both numbers are exact, and so their quotient is the nearest one, as the library's would be.
    const POWERS: [f64; 15] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];
    if whole + fraction <= 15
        && let Some(power) = POWERS.get(fraction)
    {
        let figures = text.iter().take(whole).chain(text.iter().skip(whole + 1).take(fraction));
        return number(figures) as f64 / power;
    }
    let text = text.get(..whole + 1 + fraction).unwrap_or(text);
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// "12" or "0.25", in up to eight bytes: nearly all delays.
#[inline]
fn plain_decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
    if text.len() > 8 {
        return None;
    }
    let (mut value, mut point) = (0u32, text.len());
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u32::from(byte - b'0'),
            b'.' if point == text.len() && at > 0 && at + 1 < text.len() => point = at,
            _ => return None,
        }
    }
    let fraction = text.len().saturating_sub(point + 1);
    (!text.is_empty()).then(|| f64::from(value) / POWERS[fraction])
}

pub fn number<'a>(digits: impl Iterator<Item = &'a u8>) -> u64 {
    digits.fold(0, |value: u64, digit| value.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// Whether a text counts as given: the empty one and "0" do not.
pub fn truth(text: &[u8]) -> bool {
    !matches!(text, b"" | b"0")
}

/// Days since 1970-01-01 (proleptic Gregorian calendar).
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_read_and_unknown_fields_hide_it() {
        let line = b"a@b.c>, relay=mx[1.2.3.4]:25, conn_use=2, delay=1.5, delays=1/0/0/.5, dsn=2.0.0, status=sent (ok)";
        let found = Delivery::read(line).unwrap();
        assert_eq!((found.to, found.relay, found.delay), (&b"a@b.c"[..], &b"mx[1.2.3.4]:25"[..], &b"1.5"[..]));
        assert_eq!((found.status, found.after), (&b"sent"[..], &b" (ok)"[..]));
        assert!(Delivery::read(b"a@b.c>, relay=mx, tls=encrypt, delay=1, status=sent (ok)").is_none());
    }

    #[test]
    fn queue_ids_and_priorities() {
        for word in ["1A2B3C", "4b8vDv5pWbz2H2x", "PQRST22222"] {
            assert!(is_queue_id(word.as_bytes()), "{word}");
        }
        for word in ["KLMNO11111", "connect", "NOQUEUE"] {
            assert!(!is_queue_id(word.as_bytes()), "{word}");
        }
        assert_eq!(without_priority(b"<22>1 2026-11-24T"), b"2026-11-24T");
        assert_eq!(without_priority(b"<22>x"), b"<22>x");
    }

    #[test]
    fn newer_deliveries_have_more_fields() {
        let line = b"a@b.c>, orig_to=<x>, relay=mx[1.2.3.4]:25, delay=1,  tls=verified/a, dsn=2.0.0, status=sent (ok)";
        let found = Delivery::read_newer(line).unwrap();
        assert_eq!(
            (found.original_to, found.tls, found.status),
            (Some(&b"x"[..]), Some(&b"verified/a"[..]), &b"sent"[..])
        );
    }

    #[test]
    fn delays_are_numbers_as_in_perl() {
        for (text, want) in [
            ("0.25", 0.25),
            ("-1.5x", -1.5),
            ("+5", 5.0),
            ("-+5", 0.0),
            (" 1e3", 1000.0),
            ("1e400", f64::INFINITY),
            ("Infx", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("in", 0.0),
            ("", 0.0),
        ] {
            assert_eq!(decimal(text.as_bytes()), want, "{text}");
        }
        assert!(decimal(b"-NaN").is_nan());
    }

    #[test]
    fn old_connection_failures() {
        let pair = |a: &'static str, b: &'static str| Some((a.as_bytes(), b.as_bytes()));
        assert_eq!(
            old_failure(b"postfix/smtp[1]: connect to mx.a.b: Connection refused; address 1.2.3.4 port 25"),
            pair("mx.a.b", "Connection refused")
        );
        assert_eq!(
            old_failure(b"postfix/smtp[1]: connect to mx.a.b[1.2.3.4]: Connection refused (port 25)"),
            pair("mx.a.b", "Connection refused")
        );
        assert_eq!(old_failure(b"postfix/smtp[1]: connect to mx.a.b[1.2.3.4]:25: Connection timed out"), None);
    }
}
