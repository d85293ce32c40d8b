//! Numbers as the report shows them: "k" and "m" above 512 times the unit, times in seconds, minutes or hours.

/// Value (its fraction cut off) and unit of a count.
pub fn count(value: f64) -> (i64, char) {
    if value > 536_870_912.0 {
        ((value / 1_048_576.0) as i64, 'm')
    } else if value > 524_288.0 {
        ((value / 1024.0) as i64, 'k')
    } else {
        (value as i64, ' ')
    }
}

/// A count in its column of six and its unit.
pub fn column(value: u64) -> String {
    let (value, unit) = count(value as f64);
    format!("{value:6}{unit}")
}

/// A time in a column of five and its unit: "  1.5 m".
pub fn time(seconds: f64) -> String {
    let (value, unit) = if seconds > 3600.0 {
        (seconds / 3600.0, 'h')
    } else if seconds > 60.0 {
        (seconds / 60.0, 'm')
    } else {
        (seconds, 's')
    };
    format!("{value:5.1} {unit}")
}

/// "hh:mm:ss" with the hours in a column of two.
pub fn clock(seconds: f64) -> String {
    let hours = (seconds / 3600.0) as i64;
    let rest = seconds - (hours * 3600) as f64;
    let minutes = (rest / 60.0) as i64;
    let rest = rest - (minutes * 60) as f64;
    format!("{hours:2}:{minutes:02}:{:02}", rest as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_strict() {
        assert_eq!(column(524_288), "524288 ");
        assert_eq!(column(524_289), "   512k");
        assert_eq!(column(536_870_913), "   512m");
        assert_eq!(time(60.0), " 60.0 s");
        assert_eq!(time(90.0), "  1.5 m");
        assert_eq!(clock(3725.0), " 1:02:05");
    }
}
