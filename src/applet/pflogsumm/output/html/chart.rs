//! Stacked bars as inline SVG: one group for each bar with its numbers as a title, which browsers show and screen
//! readers read.

use super::{Escaped, grouped};
use std::io::{self, Write};

/// Delivered, deferred, bounced, rejected.
pub struct Bar {
    pub name: String,
    /// What may stand below it.
    pub mark: Option<String>,
    pub values: [u64; 4],
}

const NAMES: [&str; 4] = ["delivered", "deferred", "bounced", "rejected"];
const CLASSES: [&str; 4] = ["ok", "late", "bad", "no"];
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 22.0;

pub fn write(out: &mut impl Write, bars: &[Bar]) -> io::Result<()> {
    let most = bars.iter().map(|bar| bar.values.iter().sum::<u64>()).max().unwrap_or(0);
    let top = ceiling(most.max(1));
    let room = HEIGHT - BOTTOM - 8.0;
    let y = |value: u64| HEIGHT - BOTTOM - value as f64 / top as f64 * room;
    let step = (WIDTH - LEFT) / bars.len().max(1) as f64;
    write!(
        out,
        "<div class=\"scroll\"><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"bars\">"
    )?;
    for part in 0..=4 {
        let value = top * part / 4;
        let at = y(value);
        write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.0}\" y=\"{:.1}\" \
             class=\"y\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            grouped(value)
        )?;
    }
    // As many marks as there is room for.
    let marks = bars.iter().filter(|bar| bar.mark.is_some()).count();
    let every = marks.div_ceil(12).max(1);
    let mut marked = 0;
    for (number, bar) in bars.iter().enumerate() {
        let x = LEFT + number as f64 * step;
        let numbers: Vec<String> =
            NAMES.iter().zip(bar.values).map(|(name, value)| format!("{name} {}", grouped(value))).collect();
        write!(out, "<g><title>{}: {}</title>", Escaped(&bar.name), numbers.join(", "))?;
        let mut below = 0;
        for (value, class) in bar.values.into_iter().zip(CLASSES).filter(|(value, _)| *value > 0) {
            let (from, to) = (y(below), y(below + value));
            write!(
                out,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{to:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                x + step * 0.08,
                step * 0.84,
                from - to
            )?;
            below += value;
        }
        write!(out, "</g>")?;
        if let Some(mark) = &bar.mark {
            if marked % every == 0 {
                write!(out, "<text x=\"{x:.1}\" y=\"{}\">{}</text>", HEIGHT - 6.0, Escaped(mark))?;
            }
            marked += 1;
        }
    }
    write!(out, "</svg></div><p class=\"legend\">")?;
    for (name, class) in NAMES.into_iter().zip(CLASSES) {
        write!(out, "<span><i class=\"{class}\"></i>{name}</span>")?;
    }
    writeln!(out, "</p>")
}

/// The next of 4, 8, 12, 20, 40, 80, ... that parts evenly.
fn ceiling(most: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for factor in [4, 8, 12, 20] {
            let value = power.saturating_mul(factor);
            if value >= most {
                return value;
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        for (most, want) in [(1, 4), (5, 8), (11, 12), (21, 40), (999, 1200), (1_900_000, 2_000_000)] {
            assert_eq!(ceiling(most), want);
        }
        assert_eq!(ceiling(u64::MAX), u64::MAX);
    }
}
