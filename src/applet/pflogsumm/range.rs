//! --from, --to and --last: a part of the time that the logs tell of. A log line says what the clock on the wall showed,
//! and that is what is compared: seconds since 1970 as if that wall stood at Greenwich.

use super::fields::days_from_civil;
use jiff::civil::{Date, DateTime, Time};

/// From the first second on, before the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

impl Range {
    pub fn has(self, second: i64) -> bool {
        self.from.is_none_or(|from| second >= from) && self.to.is_none_or(|to| second < to)
    }

    pub fn is_all(self) -> bool {
        self == Range::default()
    }
}

/// The wall clock of a date and time.
pub fn wall(time: DateTime) -> i64 {
    let days = days_from_civil(time.year().into(), time.month().into(), time.day().into());
    days * 86_400 + i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

/// "2026-11-24", "2026-11-24 12:00", "2026-11-24T12:00:30", "12:00", "today", "yesterday", "now".
pub fn moment(text: &str, now: &jiff::Zoned) -> Option<i64> {
    let today = now.date();
    let midnight = |date: Date| wall(date.to_datetime(Time::midnight()));
    match text {
        "now" => return Some(wall(now.datetime())),
        "today" => return Some(midnight(today)),
        "yesterday" => return today.yesterday().ok().map(midnight),
        _ => {}
    }
    if let Some(time) = clock(text) {
        return Some(wall(today.to_datetime(time)));
    }
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, clock(time.trim())?),
        None => (text, Time::midnight()),
    };
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i16>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(wall(date.to_datetime(time)))
}

/// "12:00" or "12:00:30"
fn clock(text: &str) -> Option<Time> {
    let parts: Vec<Option<i8>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [Some(hour), Some(minute)] => Time::new(*hour, *minute, 0, 0).ok(),
        [Some(hour), Some(minute), Some(second)] => Time::new(*hour, *minute, *second, 0).ok(),
        _ => None,
    }
}

/// The moment that lies "30m", "24h", "7d" or "2w" back.
pub fn ago(text: &str, now: &jiff::Zoned) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    wall(now.datetime()).checked_sub(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now = jiff::civil::datetime(2026, 11, 24, 12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        let noon = 1_795_521_600;
        for (text, want) in [
            ("now", Some(noon)),
            ("today", Some(noon - 43_200)),
            ("yesterday", Some(noon - 129_600)),
            ("12:00", Some(noon)),
            ("2026-11-24", Some(noon - 43_200)),
            ("2026-11-24 12:00", Some(noon)),
            ("2026-11-24T12:00:01", Some(noon + 1)),
            ("2026-13-24", None),
            ("25:00", None),
            ("", None),
        ] {
            assert_eq!(moment(text, &now), want, "{text}");
        }
        assert_eq!(ago("24h", &now), Some(noon - 86_400));
        assert_eq!(ago("2w", &now), Some(noon - 14 * 86_400));
        assert_eq!(ago("h", &now), None);
        assert_eq!(ago("5", &now), None);
        assert!(Range { from: Some(1), to: Some(2) }.has(1) && !Range { from: Some(1), to: Some(2) }.has(2));
    }
}
