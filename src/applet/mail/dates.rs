//! strftime(3) in English and in French: what depends on the language comes from here, the rest from jiff.

use super::texts::{FRENCH_DAYS, FRENCH_MONTHS, Texts};
use crate::message::date::{DAYS, MONTHS};
use jiff::Zoned;
use jiff::civil::DateTime;

/// Without a format "Tue Nov 24 10:05".
/// `zoned`: the moment in the machine's zone; a From_ line tells none.
pub fn format(texts: Texts, time: &DateTime, zoned: Option<&Zoned>, format: Option<&str>) -> String {
    let names = Names::of(texts, time);
    let Some(format) = format else {
        let digit = |number: i8| b'0' + number.unsigned_abs() % 10;
        let (day, hour, minute) = (time.day(), time.hour(), time.minute());
        let rest = [
            b' ',
            if day < 10 { b' ' } else { digit(day / 10) },
            digit(day),
            b' ',
            digit(hour / 10),
            digit(hour),
            b':',
            digit(minute / 10),
            digit(minute),
        ];
        let mut out = String::with_capacity(24);
        for part in [names.day, " ", names.month, std::str::from_utf8(&rest).unwrap_or_default()] {
            out.push_str(part);
        }
        return out;
    };
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut specifier = String::from('%');
        for next in characters.by_ref() {
            // E and O ask for other numerals, which neither language has.
            if !['E', 'O'].contains(&next) {
                specifier.push(next);
            }
            if !(next.is_ascii_digit() || "EO_-^#0".contains(next)) {
                break;
            }
        }
        let start = out.len();
        match specifier.chars().last() {
            Some('a') => out.push_str(names.day),
            Some('A') if names.french => out.push_str(WHOLE_FRENCH_DAYS[names.at.0]),
            Some('b' | 'h') => out.push_str(names.month),
            Some('B') if names.french => out.push_str(WHOLE_FRENCH_MONTHS[names.at.1]),
            Some('p' | 'P') if names.french => {}
            Some('c') => out.push_str(&self::format(texts, time, zoned, Some(names.date_and_time))),
            Some('x') => out.push_str(&self::format(texts, time, zoned, Some(names.date))),
            Some('X') => out.push_str(&self::format(texts, time, zoned, Some("%H:%M:%S"))),
            Some('r') => out.push_str(&self::format(texts, time, zoned, Some("%I:%M:%S %p"))),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('Z' | 'z') => out.extend(zoned.iter().map(|time| time.strftime(&specifier).to_string())),
            Some('s') => {
                let instant = time.to_zoned(jiff::tz::TimeZone::system());
                out.push_str(&instant.map(|time| time.timestamp().as_second().to_string()).unwrap_or_default());
            }
            Some('%') => out.push('%'),
            _ => out.push_str(&jiff::fmt::strtime::format(&specifier, *time).unwrap_or_else(|_| specifier.clone())),
        }
        if specifier.ends_with(['a', 'A', 'b', 'B', 'h', 'c', 'x', 'X', 'r']) {
            let text = out.split_off(start);
            let text = if specifier.contains(['^', '#']) { text.to_uppercase() } else { text };
            let width: String = specifier.chars().skip_while(|c| !('1'..='9').contains(c)).collect();
            let width = width[..width.len().saturating_sub(1)].parse().unwrap_or(0).min(WIDEST);
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(text.chars().count())));
            out.push_str(&text);
        }
    }
    out
}

/// Names stand in columns no wider than this.
const WIDEST: usize = 1000;

/// What a day is called, and how a language writes it.
struct Names {
    french: bool,
    /// Day of the week, from Monday, and month, both from 0.
    at: (usize, usize),
    day: &'static str,
    month: &'static str,
    date_and_time: &'static str,
    date: &'static str,
}

const WHOLE_FRENCH_DAYS: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];
const WHOLE_FRENCH_MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

impl Names {
    fn of(texts: Texts, time: &DateTime) -> Names {
        let day = usize::try_from(time.weekday().to_monday_zero_offset()).unwrap_or(0) % 7;
        let month = usize::try_from(time.month() - 1).unwrap_or(0) % 12;
        if texts.has_french_dates() {
            return Names {
                french: true,
                at: (day, month),
                day: FRENCH_DAYS[day],
                month: FRENCH_MONTHS[month],
                date_and_time: "%a %d %b %Y %H:%M:%S",
                date: "%d/%m/%Y",
            };
        }
        Names {
            french: false,
            at: (day, month),
            day: DAYS[day],
            month: MONTHS[month],
            date_and_time: "%a %b %e %H:%M:%S %Y",
            date: "%m/%d/%y",
        }
    }
}
