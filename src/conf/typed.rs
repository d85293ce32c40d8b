//! Parameter types (postconf(5)): text, bool, int, time. A value is parsed from its expanded text.

use std::time::Duration;

/// The type of a parameter, as data for postconf and the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text in which $name is for later, when a mail is at hand; it is not expanded when it is read.
    Raw,
    Bool,
    Int,
    Time,
}

/// How a value of a type is read.
pub trait Typed {
    type Value;
    /// The value of `text`, which is expanded. `default` is the parameter's default text, whose unit is that of a
    /// bare number. None: not of this type.
    fn parse(text: &str, default: &str) -> Option<Self::Value>;
    /// What stands in when even the default text cannot be read (a default that names another, broken parameter).
    fn fallback() -> Self::Value;
}

pub struct Text;
pub struct Raw;
pub struct Bool;
pub struct Int;
pub struct Time;

impl Typed for Text {
    type Value = String;
    fn parse(text: &str, _default: &str) -> Option<String> {
        Some(text.to_owned())
    }
    fn fallback() -> String {
        String::new()
    }
}

impl Typed for Raw {
    type Value = String;
    fn parse(text: &str, _default: &str) -> Option<String> {
        Some(text.to_owned())
    }
    fn fallback() -> String {
        String::new()
    }
}

impl Typed for Bool {
    type Value = bool;
    /// "yes" or "no", in any case.
    fn parse(text: &str, _default: &str) -> Option<bool> {
        match text {
            _ if text.eq_ignore_ascii_case("yes") => Some(true),
            _ if text.eq_ignore_ascii_case("no") => Some(false),
            _ => None,
        }
    }
    fn fallback() -> bool {
        false
    }
}

impl Typed for Int {
    type Value = i64;
    fn parse(text: &str, _default: &str) -> Option<i64> {
        text.trim().parse().ok()
    }
    fn fallback() -> i64 {
        0
    }
}

impl Typed for Time {
    type Value = Duration;
    /// A number and a unit of s m h d w; without a unit, that of the default text.
    fn parse(text: &str, default: &str) -> Option<Duration> {
        seconds(text, default_unit(default)).map(Duration::from_secs)
    }
    fn fallback() -> Duration {
        Duration::ZERO
    }
}

/// The unit of a parameter's bare numbers: the one that its default text ends with ("5d": days).
pub fn default_unit(default: &str) -> char {
    default.chars().last().filter(|unit| "smhdw".contains(*unit)).unwrap_or('s')
}

/// Reads "5d" into seconds; `default_unit` is that of a bare number (postconf(5): it differs by parameter).
pub fn seconds(text: &str, default_unit: char) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => default_unit,
        unit => unit.chars().next().filter(|_| unit.len() == 1)?.to_ascii_lowercase(),
    };
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        'w' => 604_800,
        _ => return None,
    };
    // The reference counts in a C int.
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|&seconds| i32::try_from(seconds).is_ok())
}

impl Kind {
    /// Whether `text` is a value of this type.
    pub fn accepts(self, text: &str, default: &str) -> bool {
        match self {
            Kind::Text | Kind::Raw => true,
            Kind::Bool => Bool::parse(text, default).is_some(),
            Kind::Int => Int::parse(text, default).is_some(),
            Kind::Time => Time::parse(text, default).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("5d", 's'), Some(432_000));
        assert_eq!(seconds("10", 'm'), Some(600));
        assert_eq!(Time::parse("3", "5d"), Some(Duration::from_secs(259_200)));
        assert_eq!(Time::parse("3", "$other"), Some(Duration::from_secs(3)));
        for wrong in ["", "d", "5x", "5dd", "-1s", "99999999999999999999w"] {
            assert_eq!(seconds(wrong, 's'), None, "{wrong}");
        }
    }
}
