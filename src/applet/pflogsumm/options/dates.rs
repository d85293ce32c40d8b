//! --date-range: "today", "last week", "2026-10", "2026-10-01 to 2026-10-15" as the first and the last day.

use jiff::Span;
use jiff::civil::{Date, Weekday};

/// Reads a range; `monday`: weeks begin on Monday, not Sunday. None when it is none.
pub fn range(text: &str, today: Date, monday: bool) -> Option<(Date, Date)> {
    let text = text.replace('_', " ").to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [one] => span(one, today),
        [which @ ("this" | "last"), unit @ ("week" | "month")] => period(which, unit, today, monday),
        [first, last] | [first, "-" | "to", last] => {
            let (first, last) = (span(first, today)?.0, span(last, today)?.1);
            (first <= last).then_some((first, last))
        }
        _ => None,
    }
}

/// A day or a month.
fn span(text: &str, today: Date) -> Option<(Date, Date)> {
    let yesterday = || today.yesterday().ok();
    match text {
        "today" => Some((today, today)),
        "yesterday" => yesterday().map(|day| (day, day)),
        _ => {
            let mut parts = text.split('-');
            let year = number(parts.next()?, 4)?;
            let month = i8::try_from(number(parts.next()?, 2)?).ok()?;
            let day = parts.next();
            if parts.next().is_some() {
                return None;
            }
            match day {
                Some(day) => {
                    let date = Date::new(year, month, i8::try_from(number(day, 2)?).ok()?).ok()?;
                    Some((date, date))
                }
                None => {
                    let first = Date::new(year, month, 1).ok()?;
                    Some((first, first.last_of_month()))
                }
            }
        }
    }
}

fn number(text: &str, digits: usize) -> Option<i16> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn period(which: &str, unit: &str, today: Date, monday: bool) -> Option<(Date, Date)> {
    let back = i64::from(which == "last");
    if unit == "month" {
        let first = today.first_of_month().checked_sub(Span::new().months(back)).ok()?;
        return Some((first, first.last_of_month()));
    }
    let begin = if monday { Weekday::Monday } else { Weekday::Sunday };
    let passed = i64::from(begin.until(today.weekday()));
    let first = today.checked_sub(Span::new().days(passed + 7 * back)).ok()?;
    Some((first, first.checked_add(Span::new().days(6)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn ranges() {
        // A Tuesday.
        let today = date(2026, 11, 24);
        let of = |text| range(text, today, false);
        assert_eq!(of("today"), Some((today, today)));
        assert_eq!(of("yesterday"), Some((date(2026, 11, 23), date(2026, 11, 23))));
        assert_eq!(of("last_month"), Some((date(2026, 10, 1), date(2026, 10, 31))));
        assert_eq!(of("this week"), Some((date(2026, 11, 22), date(2026, 11, 28))));
        assert_eq!(range("last week", today, true), Some((date(2026, 11, 16), date(2026, 11, 22))));
        assert_eq!(of("2026-02"), Some((date(2026, 2, 1), date(2026, 2, 28))));
        assert_eq!(of("2026-01 to 2026-02-03"), Some((date(2026, 1, 1), date(2026, 2, 3))));
        assert_eq!(of("2026-01-01 2026-01-02"), of("2026-01-01 - 2026-01-02"));
        for wrong in ["", "soon", "2026-13", "2026-1-1", "2026-02-30", "2026-02 2026-01"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
