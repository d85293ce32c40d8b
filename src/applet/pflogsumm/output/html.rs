//! The numbers as one page: no network, no framework, light and dark, readable on a phone. Charts are inline SVG, tables
//! sort by a few lines of script and are complete without it. Every text of the log passes through [`Escaped`]; the
//! page's policy lets no script run but the one that is named by its digest.

/// Bars.
mod chart;

use super::numbers::{Delays, Numbers};
use crate::message::display::is_hostile;
use chart::Bar;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// Of SCRIPT; a test compares.
const SCRIPT_DIGEST: &str = "sha256-dspe5BY1IuThKvTmhO0GtKqkeXJXLbmRt0M+lFrHr1Y=";
/// Rows of a table; the JSON output has all.
const MOST_ROWS: usize = 200;
/// Bars of a chart; more hours than that are taken together.
const MOST_BARS: usize = 168;

/// Places of the page.
const LINKS: [(&str, &str); 6] = [
    ("traffic", "Traffic"),
    ("delays", "Delays"),
    ("senders", "Who and where"),
    ("rejects", "Rejects"),
    ("deferrals", "Deferrals and bounces"),
    ("report", "Text report"),
];

/// Text in HTML, in an element or an attribute with double quotes.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Neither controls nor what turns the reading direction around belongs into a table.
                '\n' | '\t' => write!(f, "{c}")?,
                c if is_hostile(c) => f.write_str("\u{fffd}")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Writes the page; `report` is the text report to fold in.
pub fn write(out: &mut impl Write, numbers: &Numbers, report: &str) -> io::Result<()> {
    let period = match &numbers.period {
        Some(period) => format!("{} – {}", period.first.replace('T', " "), period.last.replace('T', " ")),
        None => "an empty log".to_owned(),
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src '{SCRIPT_DIGEST}'\">\n\
         <title>Mail report {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Mail report</h1>\n\
         <p>{title} · made {made}</p>\n<nav>{links}<input type=\"search\" placeholder=\"filter the tables\" \
         aria-label=\"filter the tables\" hidden></nav>\n</header>\n<main>\n",
        links = LINKS.map(|(id, name)| format!("<a href=\"#{id}\">{name}</a>")).concat(),
        title = Escaped(&period),
        made = Escaped(numbers.made.replace('T', " ").get(..16).unwrap_or_default()),
    )?;
    cards(out, numbers)?;
    hints(out, numbers)?;
    charts(out, numbers)?;
    delays(out, &numbers.delays)?;
    tables(out, numbers)?;
    write!(
        out,
        "<section class=\"wide\" id=\"report\"><h2>Text report</h2><details><summary>Show</summary><pre>{}</pre></details></section>\n\
         </main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        Escaped(report)
    )
}

fn cards(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    let totals = &numbers.totals;
    let cards = [
        ("received", grouped(totals.received), "in"),
        ("delivered", grouped(totals.delivered), "ok"),
        ("filtered", grouped(totals.filtered), "in"),
        ("forwarded", grouped(totals.forwarded), "ok"),
        ("deferred", grouped(totals.deferred), "late"),
        ("bounced", grouped(totals.bounced), "bad"),
        ("expired", grouped(totals.expired), "bad"),
        ("rejected", grouped(totals.rejected), "no"),
        ("held", grouped(totals.held), "late"),
        ("discarded", grouped(totals.discarded), "no"),
        ("bytes received", size(totals.bytes_received), "in"),
        ("bytes delivered", size(totals.bytes_delivered), "ok"),
        ("senders", grouped(totals.senders), "in"),
        ("recipients", grouped(totals.recipients), "ok"),
    ];
    writeln!(out, "<section class=\"cards\" aria-label=\"Totals\">")?;
    // What many servers never have is shown where it is.
    let rare = ["filtered", "forwarded", "expired", "held", "discarded"];
    for (label, value, class) in cards.into_iter().filter(|(label, value, _)| value != "0" || !rare.contains(label)) {
        writeln!(out, "<div class=\"card {class}\"><b>{value}</b><span>{label}</span></div>")?;
    }
    writeln!(out, "</section>")
}

fn hints(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    if numbers.hints.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section class=\"hints\"><h2>Worth a look</h2><ul>")?;
    for hint in &numbers.hints {
        writeln!(out, "<li>{}</li>", Escaped(&hint.text))?;
    }
    writeln!(out, "</ul></section>")
}

fn charts(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    let (first, last) = match (numbers.series.first(), numbers.series.last()) {
        (Some(first), Some(last)) => (first.at, last.at),
        _ => return Ok(()),
    };
    // Hours, or as many together as it takes, in wholes that people count in.
    let hours = last.saturating_sub(first).saturating_add(1);
    let each = [1, 2, 3, 6, 12, 24, 48, 168, 336, 720];
    let each = each.into_iter().find(|each| hours / each < MOST_BARS as i64).unwrap_or(hours / MOST_BARS as i64 + 1);
    let start = first.div_euclid(each);
    let mut bars: Vec<Bar> = (start..=last.div_euclid(each))
        .map(|bar| {
            let hour = bar * each;
            let name = super::numbers::hour_name(hour).replace('T', " ");
            // Days are marked where there are several; else hours.
            let mark = match (hours > 48, hour.rem_euclid(24)) {
                (true, 0) => name.get(..10),
                (false, _) => name.get(11..),
                _ => None,
            };
            Bar { mark: mark.map(str::to_owned), name, values: [0; 4] }
        })
        .collect();
    for point in &numbers.series {
        let at = usize::try_from(point.at.div_euclid(each) - start).unwrap_or(0);
        if let Some(bar) = bars.get_mut(at) {
            let columns = point.columns;
            let values = [columns.delivered, columns.deferred, columns.bounced, columns.rejected];
            bar.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    let unit = match each {
        1 => "hour".to_owned(),
        24 => "day".to_owned(),
        each if each % 24 == 0 => format!("{} days", each / 24),
        each => format!("{each} hours"),
    };
    writeln!(out, "<section class=\"wide\" id=\"traffic\"><h2>Traffic by {unit}</h2>")?;
    chart::write(out, &bars)?;
    writeln!(out, "</section>\n<section class=\"wide\"><h2>Traffic by hour of day</h2>")?;
    let hours: Vec<Bar> = numbers
        .hours
        .iter()
        .map(|hour| Bar {
            mark: Some(format!("{:02}", hour.hour)),
            name: format!("{:02}:00", hour.hour),
            values: [hour.columns.delivered, hour.columns.deferred, hour.columns.bounced, hour.columns.rejected],
        })
        .collect();
    chart::write(out, &hours)?;
    writeln!(out, "</section>")
}

fn delays(out: &mut impl Write, delays: &Delays) -> io::Result<()> {
    if delays.count == 0 {
        return Ok(());
    }
    let rows = [
        ("half of the deliveries within", delays.p50),
        ("90 %", delays.p90),
        ("95 %", delays.p95),
        ("99 %", delays.p99),
        ("all", delays.max),
    ];
    writeln!(
        out,
        "<section class=\"wide\" id=\"delays\"><h2>Delay of deliveries <small>{}</small></h2><div class=\"pair\">\
         <table><tbody>",
        grouped(delays.count)
    )?;
    // Times differ by magnitudes; so do the bars, by their logarithm.
    let length = |seconds: f64| (seconds * 1000.0 + 1.0).ln();
    let longest = length(delays.max).max(f64::MIN_POSITIVE);
    for (label, seconds) in rows {
        meter(out, label, &duration(seconds), length(seconds) / longest)?;
    }
    writeln!(out, "</tbody></table><table><tbody>")?;
    let most = delays.spread.iter().map(|step| step.count).max().unwrap_or(0).max(1);
    for step in &delays.spread {
        let label = match step.within {
            Some(seconds) => format!("up to {}", whole_time(seconds)),
            None => "longer".to_owned(),
        };
        meter(out, &label, &grouped(step.count), step.count as f64 / most as f64)?;
    }
    writeln!(out, "</tbody></table></div></section>")
}

/// A row with a bar of this part of the longest.
fn meter(out: &mut impl Write, label: &str, value: &str, part: f64) -> io::Result<()> {
    writeln!(
        out,
        "<tr><th scope=\"row\">{label}</th><td class=\"n\">{value}</td><td class=\"bar\"><svg viewBox=\"0 0 100 8\" \
         preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"ok\" width=\"{:.1}\" height=\"8\"/></svg></td></tr>",
        part * 100.0
    )
}

/// "1 s", "10 min"
fn whole_time(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn tables(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    for (id, title, list) in
        [("senders", "Top senders", &numbers.senders), ("recipients", "Top recipients", &numbers.recipients)]
    {
        let rows =
            list.entries.iter().map(|of| vec![Cell::text(&of.address), Cell::count(of.messages), Cell::size(of.bytes)]);
        Table { id, title, head: &["address", "messages", "bytes"], total: list.total }.write(out, rows)?;
    }
    let list = &numbers.sender_domains;
    let rows =
        list.entries.iter().map(|of| vec![Cell::text(&of.domain), Cell::count(of.messages), Cell::size(of.bytes)]);
    let head = &["domain", "messages", "bytes"];
    Table { id: "from", title: "Sending hosts and domains", head, total: list.total }.write(out, rows)?;
    let list = &numbers.recipient_domains;
    let rows = list.entries.iter().map(|of| {
        vec![
            Cell::text(&of.domain),
            Cell::count(of.messages),
            Cell::size(of.bytes),
            Cell::count(of.deferrals),
            Cell::seconds(of.mean_delay),
            Cell::seconds(of.p95_delay),
            Cell::seconds(of.max_delay),
        ]
    });
    let head = &["domain", "messages", "bytes", "deferrals", "mean delay", "95 %", "longest"];
    Table { id: "to", title: "Recipient domains", head, total: list.total }.write(out, rows)?;
    for (id, title, list) in [
        ("rejects", "Rejects by reason", &numbers.rejects),
        ("reject-warnings", "Reject warnings by reason", &numbers.reject_warnings),
        ("holds", "Holds by reason", &numbers.holds),
        ("discards", "Discards by reason", &numbers.discards),
    ] {
        let mut reasons: HashMap<(&str, &str), (u64, u64)> = HashMap::new();
        for of in &list.entries {
            let (count, abouts) = reasons.entry((&of.kind, &of.reason)).or_default();
            *count += of.count;
            *abouts += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_unstable_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
        let total = reasons.len();
        let rows = reasons.into_iter().map(|((kind, reason), (count, abouts))| {
            vec![Cell::text(reason), Cell::text(kind), Cell::count(count), Cell::count(abouts)]
        });
        // Of clients, senders or recipients, whichever the reason is about.
        Table { id, title, head: &["reason", "command", "count", "parties"], total }.write(out, rows)?;
    }
    for (id, title, of, text, list) in [
        ("deferrals", "Deferrals by destination", "domain", "reason", &numbers.deferrals_by_destination),
        ("bounces", "Bounces by relay", "relay", "reason", &numbers.bounces),
        ("unreachable", "Hosts that could not be reached", "reason", "host", &numbers.unreachable),
        ("tls", "TLS by relay", "relay", "level", &numbers.tls),
        ("warnings", "Warnings", "program", "warning", &numbers.warnings),
        ("fatals", "Fatal errors", "program", "error", &numbers.fatals),
        ("panics", "Panics", "program", "panic", &numbers.panics),
    ] {
        let rows = list
            .entries
            .iter()
            .map(|cause| vec![Cell::text(&cause.of), Cell::text(&cause.text), Cell::count(cause.count)]);
        Table { id, title, head: &[of, text, "count"], total: list.total }.write(out, rows)?;
    }
    Ok(())
}

/// What is shown, and the number that it sorts by.
struct Cell {
    shown: String,
    sorts: Option<f64>,
}

impl Cell {
    fn text(text: &str) -> Cell {
        Cell { shown: text.to_owned(), sorts: None }
    }

    fn count(count: u64) -> Cell {
        Cell { shown: grouped(count), sorts: Some(count as f64) }
    }

    fn size(bytes: u64) -> Cell {
        Cell { shown: size(bytes), sorts: Some(bytes as f64) }
    }

    fn seconds(seconds: f64) -> Cell {
        Cell { shown: duration(seconds), sorts: Some(seconds) }
    }
}

struct Table<'a> {
    id: &'static str,
    title: &'static str,
    head: &'a [&'static str],
    /// Rows, of which as many are shown as there is sense in.
    total: usize,
}

impl Table<'_> {
    fn write(&self, out: &mut impl Write, rows: impl Iterator<Item = Vec<Cell>>) -> io::Result<()> {
        if self.total == 0 {
            return Ok(());
        }
        let rows: Vec<Vec<Cell>> = rows.take(MOST_ROWS).collect();
        // What has many columns or long reasons needs the width.
        let texts = rows.first().map_or(0, |row| row.iter().filter(|cell| cell.sorts.is_none()).count());
        let class = if self.head.len() > 3 || texts > 1 { " class=\"wide\"" } else { "" };
        write!(
            out,
            "<section id=\"{}\"{class}><h2>{} <small>{}</small></h2><div class=\"scroll\"><table class=\"sorts\"><thead><tr>",
            self.id,
            self.title,
            grouped(self.total as u64)
        )?;
        let is_number = |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(|c| c.sorts.is_some());
        for (column, name) in self.head.iter().enumerate() {
            let class = if is_number(column) { " class=\"n\"" } else { "" };
            write!(out, "<th scope=\"col\"{class}><button type=\"button\">{name}</button></th>")?;
        }
        writeln!(out, "</tr></thead><tbody>")?;
        // The first number has a bar of its part of the largest.
        let counted = (0..self.head.len()).find(|&column| is_number(column));
        let value = |row: &Vec<Cell>| counted.and_then(|at| row.get(at)?.sorts).unwrap_or(0.0);
        let most = rows.iter().map(value).fold(f64::MIN_POSITIVE, f64::max);
        for row in &rows {
            write!(out, "<tr>")?;
            for (column, cell) in row.iter().enumerate() {
                let shown = Escaped(&cell.shown);
                match cell.sorts {
                    Some(number) if Some(column) == counted => {
                        let part = number / most * 100.0;
                        write!(
                            out,
                            "<td class=\"n part\" data-n=\"{number}\" style=\"--part:{part:.1}%\">{shown}</td>"
                        )?;
                    }
                    Some(number) => write!(out, "<td class=\"n\" data-n=\"{number}\">{shown}</td>")?,
                    None => write!(out, "<td>{shown}</td>")?,
                }
            }
            writeln!(out, "</tr>")?;
        }
        write!(out, "</tbody></table></div>")?;
        if rows.len() < self.total {
            write!(out, "<p class=\"more\">and {} more</p>", grouped((self.total - rows.len()) as u64))?;
        }
        writeln!(out, "</section>")
    }
}

/// "1 234 567" with narrow blanks.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 10.0 => format!("{seconds:.2} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.1} h", seconds / 3600.0),
        seconds => format!("{:.1} d", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_log_is_markup() {
        let hostile = "<script>alert(1)</script>\" onload='x' & \u{202e}gpj.exe\u{7}";
        let safe = Escaped(hostile).to_string();
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}', '\u{7}']), "{safe}");
        assert!(safe.starts_with("&lt;script&gt;") && safe.contains("&amp; "));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(12), "12");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_500_000), "1.5 MB");
        assert_eq!(duration(0.12), "0.12 s");
        assert_eq!(duration(7200.0), "2.0 h");
    }

    #[test]
    fn the_policy_names_the_script() {
        let digest = std::process::Command::new("sh")
            .args(["-c", "printf %s \"$1\" | openssl dgst -sha256 -binary | base64", "sh", SCRIPT])
            .output();
        match digest {
            Ok(output) if output.status.success() && output.stdout.len() > 40 => {
                assert_eq!(format!("sha256-{}", String::from_utf8_lossy(&output.stdout).trim()), SCRIPT_DIGEST);
            }
            _ => eprintln!("skipped: no openssl"),
        }
    }
}
