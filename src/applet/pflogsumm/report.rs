//! The report of pflogsumm 1.1.5, to the byte: programs cut it apart by its headings and columns.

/// What takes long.
mod lists;
/// What is different in 1.3.0.
pub mod v130;

use super::options::{Options, Top};
use super::sort;
use super::tallies::{Counts, Day, Map, Row, Sessions, Tallies, Traffic, Verdicts};
use super::units::{Column, clock, count, time};
use crate::log::line::MONTHS;
use lists::{Lists, Users};
use std::fmt::Display;
use std::io::{self, Write};

/// Writes the whole report. `day`: the day asked for, "Nov 24".
pub fn write(out: &mut impl Write, tallies: &Tallies, options: &Options, day: Option<&str>) -> io::Result<()> {
    if let Some(day) = day {
        writeln!(out, "Postfix log summaries for {day}")?;
    }
    let none = options.users == Top::None;
    let rank = |map| if none { Vec::new() } else { sort::by_host(map) };
    let lists = Lists::new(tallies, options, rank, |report| report.problems())?;
    let mut report = Report { out, tallies, options };
    report.totals()?;
    if options.problems_first {
        report.out.write_all(&lists.problems)?;
    }
    if tallies.day_changes > 1 {
        report.days()?;
    }
    report.hours()?;
    report.recipient_domains()?;
    report.sender_domains()?;
    if options.smtpd_stats {
        if tallies.day_changes > 1 {
            report.session_days()?;
        }
        report.session_hours()?;
        report.session_domains()?;
    }
    lists.by_count.iter().chain(&lists.by_size).try_for_each(|list| report.out.write_all(list))?;
    report.sizeless("Messages with no size data")?;
    if !options.problems_first {
        report.out.write_all(&lists.problems)?;
    }
    if options.extended {
        report.details()?;
    }
    Ok(())
}

/// A titled section's head, also for --mailq.
pub fn title(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{text}\n{}", "-".repeat(text.len()))
}

struct Report<'a, W> {
    out: W,
    tallies: &'a Tallies,
    options: &'a Options,
}

impl<W: Write> Report<'_, W> {
    fn title(&mut self, text: &str) -> io::Result<()> {
        title(&mut self.out, text)
    }

    /// A list's head: underlined, or "none" when the list is empty, which --quiet leaves out. Whether to go on.
    fn list_title(&mut self, text: &str, empty: bool) -> io::Result<bool> {
        if !empty {
            self.title(text)?;
        } else if !self.options.quiet {
            writeln!(self.out, "\n{text}: none")?;
        }
        Ok(!empty)
    }

    fn line(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        parts.iter().try_for_each(|part| self.out.write_all(part))?;
        self.out.write_all(b"\n")
    }

    fn totals(&mut self) -> io::Result<()> {
        let tallies = self.tallies;
        self.title("Grand Totals")?;
        writeln!(self.out, "messages\n")?;
        let deferrals = deferrals(tallies);
        let rows = [
            (tallies.received, "received".to_owned()),
            (tallies.delivered, "delivered".to_owned()),
            (tallies.forwarded, "forwarded".to_owned()),
            (tallies.deferred, format!("deferred{deferrals}")),
            (tallies.bounced, "bounced".to_owned()),
        ];
        self.rows(rows)?;
        self.verdict_rows()?;
        if self.options.accurate {
            let newer = &tallies.newer;
            self.rows([(newer.expired, "expired"), (newer.filtered, "passed through a content filter")])?;
        }
        writeln!(self.out)?;
        self.sizes()?;
        if self.options.smtpd_stats {
            let hosts = tallies.session_domains.len() as u64;
            self.connections("smtpd", &tallies.sessions, hosts, "hosts/domains")?;
        }
        writeln!(self.out)
    }

    fn sizes(&mut self) -> io::Result<()> {
        let tallies = self.tallies;
        let recipient_domains = tallies.recipient_domains.values().filter(|domain| domain.messages > 0).count();
        let rows = [
            (tallies.bytes_received, "bytes received"),
            (tallies.bytes_delivered, "bytes delivered"),
            (tallies.senders.len() as u64, "senders"),
            (tallies.sender_domains.len() as u64, "sending hosts/domains"),
            (tallies.recipients.len() as u64, "recipients"),
            (recipient_domains as u64, "recipient hosts/domains"),
        ];
        self.rows(rows)
    }

    /// Numbers of the totals.
    fn rows(&mut self, rows: impl IntoIterator<Item = (u64, impl Display)>) -> io::Result<()> {
        rows.into_iter().try_for_each(|(value, label)| writeln!(self.out, " {}  {label}", Column(value)))
    }

    /// What was not let through.
    fn verdict_rows(&mut self) -> io::Result<()> {
        let tallies = self.tallies;
        self.rows([
            (tallies.rejected, format!("rejected ({}%)", percent(tallies, tallies.rejected))),
            (tallies.reject_warnings, "reject warnings".to_owned()),
            (tallies.held, "held".to_owned()),
            (tallies.discarded, format!("discarded ({}%)", percent(tallies, tallies.discarded))),
        ])
    }

    /// smtpd's or postscreen's part of the totals.
    fn connections(&mut self, who: &str, sessions: &Sessions, hosts: u64, what: &str) -> io::Result<()> {
        writeln!(self.out, "\n{who}\n")?;
        writeln!(self.out, "  {}  connections", Column(sessions.count))?;
        writeln!(self.out, "  {}  {what}", Column(hosts))?;
        writeln!(self.out, "  {:6}   avg. connect time (seconds)", average(sessions))?;
        writeln!(self.out, " {}  total connect time", clock(sessions.seconds as f64))
    }

    /// The beginning of a day's row.
    fn date(&mut self, day: &Day) -> io::Result<()> {
        if self.options.iso_date_time {
            return write!(self.out, "    {:04}-{:02}-{:02} ", day.year, day.month + 1, day.day);
        }
        let month = usize::try_from(day.month).map_or(Some(&"Dec"), |month| MONTHS.get(month));
        write!(self.out, "    {} {:2} {}", month.unwrap_or(&""), day.day, day.year)
    }

    /// The beginning of an hour's row.
    fn hour(&mut self, hour: usize) -> io::Result<()> {
        if self.options.iso_date_time {
            write!(self.out, "    {hour:02}:00-{:02}:00", hour + 1)
        } else {
            write!(self.out, "    {hour:02}00-{:02}00  ", hour + 1)
        }
    }

    fn days(&mut self) -> io::Result<()> {
        self.title("Per-Day Traffic Summary")?;
        self.traffic_head("date")?;
        for day in in_order(&self.tallies.days, |day| day.traffic.filled > 0) {
            self.date(day)?;
            for &value in &day.traffic.values[..day.traffic.filled] {
                write!(self.out, "    {}", Column(value))?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn traffic_head(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.out, "    {what}          received  delivered   deferred    bounced     rejected")?;
        writeln!(self.out, "    {}", "-".repeat(68))
    }

    fn hours(&mut self) -> io::Result<()> {
        let days = self.tallies.day_changes;
        self.title(&format!("Per-Hour Traffic {}", if days > 1 { "Daily Average" } else { "Summary" }))?;
        self.traffic_head("time")?;
        for (hour, Row { values, .. }) in self.tallies.hours.iter().take(24).enumerate() {
            self.hour(hour)?;
            for &value in values {
                let value = if days > 0 { value as f64 / days as f64 + 0.5 } else { value as f64 };
                let (value, unit) = count(value);
                write!(self.out, "    {value:6}{unit}")?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    /// The head of a host table; false when it is not wanted.
    fn hosts_title(&mut self, what: &str, length: usize) -> io::Result<bool> {
        let top = match self.options.hosts {
            Top::None => return Ok(false),
            top if self.newer() => v130::shown(top, length, length as u64),
            Top::All => String::new(),
            Top::First(count) => format!("(top {count})"),
        };
        self.title(&format!("Host/Domain Summary: {what} {top}"))?;
        Ok(true)
    }

    fn recipient_domains(&mut self) -> io::Result<()> {
        if !self.hosts_title("Message Delivery", self.tallies.recipient_domains.len())? {
            return Ok(());
        }
        let counts = if self.newer() { " msg cnt   bytes" } else { " sent cnt  bytes" };
        writeln!(self.out, "{counts}   defers   avg dly max dly host/domain")?;
        writeln!(self.out, " -------- -------  -------  ------- ------- -----------")?;
        let list = sort::by_count_then_size(&self.tallies.recipient_domains, |of| (of.messages, of.bytes));
        let mut line = Vec::new();
        for (domain, of) in list.into_iter().take(self.options.hosts.limit()) {
            let delay = if of.messages > 0 { of.delay / of.messages as f64 } else { 0.0 };
            line.clear();
            for value in [of.messages, of.bytes, of.deferrals] {
                line.push(b' ');
                Column(value).push(&mut line);
                line.push(b' ');
            }
            for value in [delay, of.longest] {
                line.push(b' ');
                time(value, &mut line);
                line.push(b' ');
            }
            line.push(b' ');
            self.line(&[&line, domain])?;
        }
        Ok(())
    }

    fn sender_domains(&mut self) -> io::Result<()> {
        if !self.hosts_title("Messages Received", self.tallies.sender_domains.len())? {
            return Ok(());
        }
        writeln!(self.out, " msg cnt   bytes   host/domain\n -------- -------  -----------")?;
        let list = sort::by_count_then_size(&self.tallies.sender_domains, |of| (of.messages, of.bytes));
        let mut line = Vec::new();
        for (domain, of) in list.into_iter().take(self.options.hosts.limit()) {
            line.clear();
            for value in [of.messages, of.bytes] {
                line.push(b' ');
                Column(value).push(&mut line);
                line.push(b' ');
            }
            line.push(b' ');
            self.line(&[&line, domain])?;
        }
        Ok(())
    }

    fn session_days(&mut self) -> io::Result<()> {
        self.title("Per-Day SMTPD Connection Summary")?;
        writeln!(self.out, "    date        connections    time conn.    avg./conn.   max. time")?;
        writeln!(self.out, "    {}", "-".repeat(68))?;
        for day in in_order(&self.tallies.days, |day| day.sessions.count > 0) {
            self.date(day)?;
            let of = &day.sessions;
            let (connections, time) = (Column(of.count), clock(of.seconds as f64));
            writeln!(self.out, "   {connections}       {time}      {:6}s      {:6}s", average(of), of.longest)?;
        }
        Ok(())
    }

    fn session_hours(&mut self) -> io::Result<()> {
        let days = self.tallies.day_changes;
        if days > 1 {
            self.title("Per-Hour SMTPD Connection Daily Average")?;
            writeln!(self.out, "    hour        connections    time conn.\n    {}", "-".repeat(37))?;
        } else {
            self.title("Per-Hour SMTPD Connection Summary")?;
            writeln!(self.out, "    hour        connections    time conn.    avg./conn.   max. time")?;
            writeln!(self.out, "    {}", "-".repeat(68))?;
        }
        for (hour, of) in self.tallies.session_hours.iter().take(24).enumerate().filter(|(_, of)| of.count > 0) {
            let per_day = |value: f64| if days > 1 { value / days as f64 + 0.5 } else { value };
            let (connections, unit) = count(per_day(of.count as f64));
            let time = clock(per_day(of.seconds as f64));
            self.hour(hour)?;
            write!(self.out, "   {connections:6}{unit}       {time}")?;
            if days < 2 {
                write!(self.out, "      {:6}s      {:6}s", average(of), of.longest)?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn session_domains(&mut self) -> io::Result<()> {
        if !self.hosts_title("SMTPD Connections", self.tallies.session_domains.len())? {
            return Ok(());
        }
        writeln!(self.out, " connections  time conn.  avg./conn.  max. time  host/domain")?;
        writeln!(self.out, " -----------  ----------  ----------  ---------  -----------")?;
        // The time is added up signed; as a sort key a clock that went backwards counts as none.
        let key = |of: &Sessions| (of.count, u64::try_from(of.seconds).unwrap_or(0));
        let list = sort::by_count_then_size(&self.tallies.session_domains, key);
        for (domain, of) in list.into_iter().take(self.options.hosts.limit()) {
            let (connections, time) = (Column(of.count), clock(of.seconds as f64));
            write!(self.out, "  {connections}      {time}     {:6}s    {:6}s   ", average(of), of.longest)?;
            self.line(&[domain])?;
        }
        Ok(())
    }

    fn newer(&self) -> bool {
        self.options.newer.is_some()
    }

    fn users(&mut self, what: &str, users: &Users<'_>, value: impl Fn(&Traffic) -> u64) -> io::Result<()> {
        let top = match self.options.users {
            Top::None => return Ok(()),
            top if self.newer() => return self.users_counted(what, users, top, value),
            Top::All => String::new(),
            Top::First(count) => format!("top {count} "),
        };
        if self.list_title(&format!("{top}{what}"), users.is_empty())? {
            let list = sort::by_count(users, |(user, of)| (value(of), *user));
            self.counts(list, self.options.users.limit(), " ")?;
        }
        Ok(())
    }

    /// Texts by their counts.
    fn ranked(&mut self, counts: &Counts, limit: usize, indent: &str) -> io::Result<()> {
        let list = if self.newer() { sort::by_name(counts) } else { sort::by_host(counts) };
        self.counts(sort::by_count(&list, |(text, count)| (*count, *text)), limit, indent)
    }

    fn sizeless(&mut self, title: &str) -> io::Result<()> {
        if !self.tallies.sizeless.is_empty() {
            self.title(title)?;
            for (queue_id, recipient) in sort::by_key(&self.tallies.sizeless) {
                self.line(&[b" ", queue_id, b"  ", recipient])?;
            }
        }
        Ok(())
    }

    fn counts<'t>(
        &mut self,
        list: impl Iterator<Item = (u64, &'t [u8])>,
        limit: usize,
        indent: &str,
    ) -> io::Result<()> {
        let mut line = indent.as_bytes().to_vec();
        for (value, text) in list.take(limit) {
            line.truncate(indent.len());
            Column(value).push(&mut line);
            line.extend_from_slice(b"  ");
            line.extend_from_slice(text);
            line.push(b'\n');
            self.out.write_all(&line)?;
        }
        Ok(())
    }

    fn problems(&mut self) -> io::Result<()> {
        let (tallies, options) = (self.tallies, self.options);
        self.reasons("message deferral detail", &tallies.deferral_reasons, options.deferrals)?;
        self.reasons("message bounce detail (by relay)", &tallies.bounce_reasons, options.bounces)?;
        self.verdicts("message reject detail", &tallies.rejects)?;
        self.verdicts("message reject warning detail", &tallies.reject_warning_reasons)?;
        self.verdicts("message hold detail", &tallies.holds)?;
        self.verdicts("message discard detail", &tallies.discards)?;
        self.reasons("smtp delivery failures", &tallies.smtp_failures, options.smtp)?;
        self.reasons("Warnings", &tallies.warnings, options.warnings)?;
        self.reasons("Fatal Errors", &tallies.fatals, Top::All)?;
        self.reasons("Panics", &tallies.panics, Top::All)?;
        if self.list_title("Master daemon messages", tallies.master.is_empty())? {
            self.ranked(&tallies.master, usize::MAX, " ")?;
        }
        Ok(())
    }

    fn reasons(&mut self, title: &str, map: &Map<Counts>, top: Top) -> io::Result<()> {
        if top == Top::None || !self.list_title(title, map.is_empty())? {
            return Ok(());
        }
        self.groups(map, top, "  ")
    }

    fn verdicts(&mut self, title: &str, map: &Verdicts) -> io::Result<()> {
        self.nested(title, map, self.options.rejects)
    }

    fn nested(&mut self, title: &str, map: &Verdicts, top: Top) -> io::Result<()> {
        if top == Top::None || !self.list_title(title, map.is_empty())? {
            return Ok(());
        }
        for (kind, reasons) in sort::by_key(map) {
            self.line(&[b"  ", kind])?;
            self.groups(reasons, top, "    ")?;
        }
        Ok(())
    }

    fn groups(&mut self, map: &Map<Counts>, top: Top, indent: &str) -> io::Result<()> {
        for (group, counts) in sort::by_key(map) {
            self.out.write_all(indent.as_bytes())?;
            self.out.write_all(group)?;
            let total = counts.values().sum::<u64>();
            if self.newer() {
                writeln!(self.out, " {}", v130::shown(top, counts.len(), total))?;
            } else {
                if let Top::First(count) = top {
                    write!(self.out, " (top {count})")?;
                }
                writeln!(self.out, " (total: {total})")?;
            }
            self.ranked(counts, top.limit(), &format!("{indent}  "))?;
        }
        Ok(())
    }

    fn details(&mut self) -> io::Result<()> {
        let details = &self.tallies.details;
        if !self.list_title("Message detail", details.is_empty())? {
            return Ok(());
        }
        let mut list: Vec<_> = details
            .iter()
            .map(|(queue_id, lines)| (sort::detail_order(lines.first().map_or(b"", |first| first)), queue_id, lines))
            .collect();
        list.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        for (_, queue_id, lines) in list {
            let Some((first, others)) = lines.split_first() else { continue };
            self.line(&[b" ", queue_id, b"  ", first])?;
            for other in others {
                self.line(&[b"   ", other])?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }
}

/// A part of all deliveries and rejections.
fn percent(tallies: &Tallies, part: u64) -> u64 {
    let all = tallies.delivered + tallies.rejected + tallies.discarded;
    if all == 0 { 0 } else { ((part as f64 / all as f64) * 100.0) as u64 }
}

/// "  (12  deferrals)" when there were any.
fn deferrals(tallies: &Tallies) -> String {
    match tallies.deferrals {
        0 => String::new(),
        deferrals => {
            let (value, unit) = count(deferrals as f64);
            format!("  ({value}{unit} deferrals)")
        }
    }
}

/// The mean time of a session in seconds, rounded.
fn average(of: &Sessions) -> i64 {
    if of.count == 0 { 0 } else { (of.seconds as f64 / of.count as f64 + 0.5) as i64 }
}

/// The days that have something, by date.
fn in_order(days: &[Day], has: impl Fn(&Day) -> bool) -> Vec<&Day> {
    let mut list: Vec<&Day> = days.iter().filter(|day| has(day)).collect();
    // The reference sorts "YEAR" "MONTH" "DAY" in a row, as a number: month "00" of an RFC 3339 stamp is "-1", and what
    // follows the sign does not count.
    let row = |day: &Day| match day.month {
        -1 => day.year,
        month => day.year * 10_000 + month * 100 + day.day,
    };
    list.sort_by_key(|day| (row(day), day.day));
    list
}
