//! Histograms of hours and days for a terminal, or for a mail that is read in a fixed width.

use super::numbers::{Columns, Numbers};
use std::io::{self, Write};

/// Cells of the longest bar.
const WIDTH: u64 = 50;

pub fn write(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    let hours: Vec<_> = numbers.hours.iter().map(|hour| (format!("{:02}:00", hour.hour), hour.columns)).collect();
    histogram(out, "Delivered by hour of day", &hours, |columns| columns.delivered)?;
    histogram(out, "Rejected by hour of day", &hours, |columns| columns.rejected)?;
    if numbers.days.len() > 1 {
        let days: Vec<_> = numbers.days.iter().map(|day| (day.date.clone(), day.columns)).collect();
        histogram(out, "Delivered by day", &days, |columns| columns.delivered)?;
        histogram(out, "Rejected by day", &days, |columns| columns.rejected)?;
    }
    Ok(())
}

fn histogram(
    out: &mut impl Write,
    title: &str,
    rows: &[(String, Columns)],
    value: impl Fn(&Columns) -> u64,
) -> io::Result<()> {
    let most = rows.iter().map(|(_, columns)| value(columns)).max().unwrap_or(0);
    if most == 0 {
        return Ok(());
    }
    writeln!(out, "\n{title}\n{}", "-".repeat(title.len()))?;
    for (name, columns) in rows {
        let count = value(columns);
        writeln!(out, "  {name} {} {count}", bar(count, most))?;
    }
    Ok(())
}

/// Eighths of a cell, so that small differences show.
fn bar(count: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (u128::from(count) * u128::from(WIDTH) * 8).div_ceil(u128::from(most)) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_by_eighths() {
        assert_eq!(bar(0, 100), "");
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(1, 2), "█".repeat(25));
        assert_eq!(bar(u64::MAX, u64::MAX), "█".repeat(50));
    }
}
