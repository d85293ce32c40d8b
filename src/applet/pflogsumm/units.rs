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
#[derive(Clone, Copy, Debug)]
pub struct Column(pub u64);

impl Column {
    /// Appends the column; the long lists' way, several times as fast as the formatter.
    pub fn push(self, line: &mut Vec<u8>) {
        let (mut value, unit) = count(self.0 as f64);
        let mut digits = [b' '; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        line.extend_from_slice(&digits[at.min(digits.len() - 6)..]);
        line.push(unit as u8);
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (value, unit) = count(self.0 as f64);
        write!(f, "{value:6}{unit}")
    }
}

/// Appends a time in a column of five and its unit: "  1.5 m".
pub fn time(seconds: f64, line: &mut Vec<u8>) {
    let (value, unit) = if seconds > 3600.0 {
        (seconds / 3600.0, b'h')
    } else if seconds > 60.0 {
        (seconds / 60.0, b'm')
    } else {
        (seconds, b's')
    };
    let tenths = value * 10.0;
    let (whole, rest) = (tenths.floor(), tenths - tenths.floor());
    // Away from the middle between two tenths the rounding is plain; near it, and for what is not a small positive
    // number, the formatter decides by the exact value.
    if (0.0..9_990.0).contains(&tenths) && !(0.499..0.501).contains(&rest) {
        let mut left = whole as u64 + u64::from(rest > 0.5);
        let mut digits = [b' '; 5];
        digits[4] = b'0' + (left % 10) as u8;
        digits[3] = b'.';
        for place in digits[..3].iter_mut().rev() {
            left /= 10;
            *place = b'0' + (left % 10) as u8;
            if left < 10 {
                break;
            }
        }
        line.extend_from_slice(&digits);
    } else if value.is_finite() {
        line.extend_from_slice(format!("{value:5.1}").as_bytes());
    } else {
        line.extend_from_slice(if value.is_nan() {
            b"  NaN"
        } else if value > 0.0 {
            b"  Inf"
        } else {
            b" -Inf"
        });
    }
    line.push(b' ');
    line.push(unit);
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
        for (value, shown) in [
            (0, "     0 "),
            (524_288, "524288 "),
            (524_289, "   512k"),
            (536_870_913, "   512m"),
            (u64::MAX, "17592186044416m"),
        ] {
            assert_eq!(Column(value).to_string(), shown);
            let mut pushed = Vec::new();
            Column(value).push(&mut pushed);
            assert_eq!(pushed, shown.as_bytes());
        }
        for seconds in [0.0, 0.04, 0.05, 0.06, 0.25, 0.95, 9.96, 59.99, 60.0, 90.0, 3599.0, 5400.0, 4e6, 1e12, -36.0] {
            let mut line = Vec::new();
            time(seconds, &mut line);
            let (value, unit) = match seconds {
                seconds if seconds > 3600.0 => (seconds / 3600.0, 'h'),
                seconds if seconds > 60.0 => (seconds / 60.0, 'm'),
                seconds => (seconds, 's'),
            };
            assert_eq!(String::from_utf8(line).unwrap(), format!("{value:5.1} {unit}"));
        }
        assert_eq!(clock(3725.0), " 1:02:05");
    }
}
