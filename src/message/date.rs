//! Dates: reading those of From_ lines and Date headers, writing both. The clock is the caller's.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
pub const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time of a From_ line ("From a@b  Tue Nov 24 10:05:15 2026"), as it stands there.
pub fn of_from_line(line: &[u8]) -> Option<DateTime> {
    if let Some(time) = of_asctime(line) {
        return Some(time);
    }
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_whitespace().skip(1).collect();
    // The address may hold blanks: the last month name that a day and a time follow counts.
    (0..words.len()).rev().find_map(|index| {
        let month = month(words.get(index)?)?;
        let day = words.get(index + 1)?.parse().ok()?;
        let (hour, minute, second) = clock(words.get(index + 2)?)?;
        let year = words[index + 3..].iter().take(3).find_map(|word| year(word))?;
        DateTime::new(year, month, day, hour, minute, second, 0).ok()
    })
}

/// The time at the end of a line where it is written as asctime(3) has it, and as nearly all programs do.
fn of_asctime(line: &[u8]) -> Option<DateTime> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (_, tail) = line.split_last_chunk::<24>()?;
    let [_, _, _, b' ', month @ .., b' ', d, e, b' ', h, i, b':', m, n, b':', s, t, b' ', c, a, y, z] = tail else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| i8::try_from((tens - b'0') * 10 + (ones - b'0')).unwrap_or(0))
    };
    let month = MONTHS.iter().position(|name| name.as_bytes() == month)?;
    let day = two(if *d == b' ' { &b'0' } else { d }, e)?;
    let year = i16::from(two(c, a)?) * 100 + i16::from(two(y, z)?);
    DateTime::new(year, i8::try_from(month + 1).ok()?, day, two(h, i)?, two(m, n)?, two(s, t)?, 0).ok()
}

/// The address of a From_ line: what stands between "From " and the date.
pub fn from_line_sender(line: &[u8]) -> String {
    let (sender, _) = split_from_line(line);
    sender.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The date of a From_ line as it is written there.
pub fn from_line_rest(line: &[u8]) -> String {
    split_from_line(line).1.trim().to_owned()
}

/// At the last name of a day that the name of a month follows.
fn split_from_line(line: &[u8]) -> (String, String) {
    const DAYS: [&str; 7] = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
    let text = String::from_utf8_lossy(line.strip_prefix(b"From ").unwrap_or(line)).trim_end().to_owned();
    let is_date = |at: &usize| text[at + 4..].split_whitespace().next().is_some_and(|word| month(word).is_some());
    let at = DAYS.iter().flat_map(|day| text.match_indices(day).map(|(at, _)| at)).filter(is_date).max();
    let (sender, rest) = text.split_at(at.unwrap_or(text.len()));
    (sender.to_owned(), rest.to_owned())
}

/// The time of a Date header, in its own zone: (local time, offset in seconds).
pub fn of_header(value: &str) -> Option<(DateTime, i32)> {
    let text = value.split('(').next()?;
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_whitespace();
    let day = words.next()?.parse().ok()?;
    let month = month(words.next()?)?;
    let year = year(words.next()?)?;
    let (hour, minute, second) = clock(words.next()?)?;
    let zone = words.next().map_or(0, offset);
    Some((DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?, zone))
}

fn month(word: &str) -> Option<i8> {
    let index = MONTHS
        .iter()
        .position(|name| word.len() >= 3 && word.is_char_boundary(3) && name.eq_ignore_ascii_case(&word[..3]))?;
    i8::try_from(index + 1).ok()
}

fn year(word: &str) -> Option<i16> {
    let number: i16 = word.parse().ok()?;
    match (word.len(), number) {
        (2, 0..=49) => Some(2000 + number),
        (2 | 3, _) => Some(1900 + number),
        (4, _) => Some(number),
        _ => None,
    }
}

fn clock(word: &str) -> Option<(i8, i8, i8)> {
    let mut numbers = word.split(':').map(|number| number.parse::<i8>().ok());
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    ((0..24).contains(&hour) && (0..60).contains(&minute) && (0..61).contains(&second))
        .then_some((hour, minute, second))
}

fn offset(word: &str) -> i32 {
    let (sign, digits) = match word.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return named_offset(word),
    };
    let Some(number) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i32>().ok()) else { return 0 };
    if digits.len() == 4 { sign * (number / 100 * 3600 + number % 100 * 60) } else { 0 }
}

fn named_offset(word: &str) -> i32 {
    match word {
        "EST" => -5 * 3600,
        "EDT" => -4 * 3600,
        "CST" => -6 * 3600,
        "CDT" => -5 * 3600,
        "MST" => -7 * 3600,
        "MDT" => -6 * 3600,
        "PST" => -8 * 3600,
        "PDT" => -7 * 3600,
        _ => 0,
    }
}

/// A header date as local time of this machine.
pub fn local(time: DateTime, offset: i32) -> Option<DateTime> {
    let zone = jiff::tz::Offset::from_seconds(offset).ok()?;
    let instant = zone.to_timestamp(time).ok()?;
    Some(instant.to_zoned(TimeZone::system()).datetime())
}

/// "Tue, 24 Nov 2026 10:05:15 +0000".
pub fn header_date(now: &Zoned) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// "Tue Nov 24 10:05:15 2026", the date of a From_ line.
pub fn from_line_date(now: &Zoned) -> String {
    now.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// This moment in the machine's zone.
pub fn now() -> Zoned {
    Timestamp::now().to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_all_their_spellings() {
        let text = |line: &str| of_from_line(line.as_bytes()).map(|time| time.to_string());
        assert_eq!(text("From a@b  Tue Nov 24 10:05:15 2026\n").as_deref(), Some("2026-11-24T10:05:15"));
        for line in [
            "From a@b Tue Nov 24 10:05:15 2026",
            "From a Mon Nov  2 09:00:00 2026",
            "From a Mon Nov 02 09:00:00 2026\n",
        ] {
            assert_eq!(of_asctime(line.as_bytes()).map(|time| time.to_string()), text(&line.replace("Nov", "nov")));
        }
        assert_eq!(of_asctime(b"From a Mon Nov 32 09:00:00 2026"), None);
        assert_eq!(text("From May B <a@b> Mon Nov  2 9:00 UTC 2026").as_deref(), Some("2026-11-02T09:00:00"));
        assert_eq!(text("From a"), None);
        assert_eq!(from_line_sender(b"From May B <a@b>  Mon Nov  2 9:00 2026\n"), "May B <a@b>");
        let (time, zone) = of_header("Tue, 24 Nov 2026 10:05 -0330 (x)").unwrap();
        assert_eq!((time.to_string().as_str(), zone), ("2026-11-24T10:05:00", -12600));
        assert_eq!(of_header("é"), None);
    }
}
