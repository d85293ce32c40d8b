//! What the texts of records say, read as the reference reads them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// What the size record tells; -1: nothing.
#[derive(Clone, Copy)]
pub struct Size {
    pub length: i64,
    /// Where the content begins.
    pub start: i64,
}

impl Size {
    pub fn of(data: &[u8]) -> Size {
        let length = leading_number(until_nul(data));
        let start = length.and_then(|(_, rest)| leading_number(rest));
        let number = |found: Option<(i64, &[u8])>| found.map_or(-1, |(number, _)| number);
        Size { length: number(length), start: number(start) }
    }

    pub fn is_whole(self) -> bool {
        self.length > 0 && self.start > 0
    }

    /// Where the content ends.
    pub fn end(self) -> Option<u64> {
        let known = self.start > 0 && self.length >= 0;
        known.then(|| self.start.checked_add(self.length)).flatten().and_then(|end| u64::try_from(end).ok())
    }
}

/// The number at the beginning of a text, as C reads it, and what follows.
fn leading_number(text: &[u8]) -> Option<(i64, &[u8])> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let count = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = text.split_at_checked(text.len() - digits.len() + count)?;
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// Text ends at a NUL.
pub fn until_nul(data: &[u8]) -> &[u8] {
    data.get(..memchr::memchr(0, data).unwrap_or(data.len())).unwrap_or_default()
}

/// Text in a complaint, which is no place for much of it.
pub fn complained(data: &[u8]) -> Cow<'_, str> {
    let text = until_nul(data);
    String::from_utf8_lossy(text.get(..100).unwrap_or(text))
}

/// The name and value of "name = value".
pub fn attribute(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|&byte| byte == b'=' || byte.is_ascii_whitespace()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("missing attribute name");
    }
    let value = rest.trim_ascii_start().strip_prefix(b"=").ok_or("missing '=' after attribute name")?;
    Ok((name, value.trim_ascii()))
}

/// The time that is so many seconds after 1970, as ctime(3) writes it.
pub fn time(text: &[u8]) -> String {
    let seconds = leading_number(text).and_then(|(seconds, _)| u64::try_from(seconds).ok()).unwrap_or(0).min(1 << 40);
    crate::message::stamp::ctime(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
