//! The report of pflogsumm 1.3.0: the sections it has beyond those of 1.1.5, and its headings.

use super::lists::{Lists, Users};
use super::{Report, deferrals};
use crate::applet::pflogsumm::options::{Newer, Options, Top};
use crate::applet::pflogsumm::sort;
use crate::applet::pflogsumm::tallies::{Tallies, Traffic};
use crate::applet::pflogsumm::units::count;
use crate::log::line::MONTHS;
use std::io::{self, Write};

/// Writes the whole report.
pub fn write(out: &mut impl Write, tallies: &Tallies, options: &Options, newer: &Newer) -> io::Result<()> {
    let many_days = tallies.day_changes > 1;
    let lists = Lists::new(tallies, options, sort::by_name, |report| report.all_problems(newer))?;
    let mut report = Report { out, tallies, options };
    for notice in &newer.notices {
        writeln!(report.out, "{notice}")?;
    }
    report.span()?;
    report.all_totals(newer)?;
    if options.problems_first {
        report.out.write_all(&lists.problems)?;
    }
    if !newer.suppress.hours {
        if many_days {
            report.days()?;
        }
        report.hours()?;
    }
    if !newer.suppress.hosts {
        report.recipient_domains()?;
        report.sender_domains()?;
    }
    if options.smtpd_stats {
        if !newer.suppress.hours {
            if many_days {
                report.session_days()?;
            }
            report.session_hours()?;
        }
        if !newer.suppress.hosts {
            report.session_domains()?;
        }
    }
    if newer.tls_stats {
        report.reasons("SMTP TLS Levels (by relay)", &tallies.newer.tls_levels, all_or(options.hosts))?;
    }
    lists.by_count.iter().try_for_each(|list| report.out.write_all(list))?;
    if !newer.suppress.sizes {
        lists.by_size.iter().try_for_each(|list| report.out.write_all(list))?;
    }
    report.sizeless(&format!("Messages with no size data ({})", tallies.sizeless.len()))?;
    if !options.problems_first {
        report.out.write_all(&lists.problems)?;
    }
    if options.extended {
        report.details()?;
    }
    Ok(())
}

/// The lists about TLS take the length of host tables, and are whole where those are left out.
fn all_or(top: Top) -> Top {
    if top == Top::None { Top::All } else { top }
}

/// "(19)", or "(top 4 of 19)" when a list of `length` is cut; `total` is what its lines add up to.
pub fn shown(top: Top, length: usize, total: u64) -> String {
    match top {
        Top::First(count) if count < length => format!("(top {count} of {total})"),
        _ => format!("({total})"),
    }
}

impl<W: Write> Report<'_, W> {
    /// "Postfix Log Summaries for Fri, Jul 10 2026 through Sat, Jul 11 2026"
    fn span(&mut self) -> io::Result<()> {
        write!(self.out, "Postfix Log Summaries")?;
        if let Some([first, last]) = self.tallies.newer.span {
            write!(self.out, " for {}", date(first))?;
            if first != last {
                write!(self.out, " through {}", date(last))?;
            }
        }
        writeln!(self.out)
    }

    fn all_totals(&mut self, newer: &Newer) -> io::Result<()> {
        let tallies = self.tallies;
        self.title("Grand Totals")?;
        writeln!(self.out, "messages\n")?;
        // More can be taken back than the log shows coming in.
        let (value, unit) = count(tallies.received as f64 - tallies.newer.withdrawn as f64);
        writeln!(self.out, " {value:6}{unit}  received")?;
        let rows = [
            (tallies.delivered, "delivered".to_owned()),
            (tallies.forwarded, "forwarded".to_owned()),
            (tallies.deferred, format!("deferred{}", deferrals(tallies))),
            (tallies.bounced, "bounced".to_owned()),
            (tallies.newer.canceled, "removed (canceled)".to_owned()),
            (tallies.newer.expired, "expired".to_owned()),
        ];
        self.rows(rows)?;
        self.verdict_rows()?;
        writeln!(self.out)?;
        self.sizes()?;
        if self.options.smtpd_stats {
            let hosts = tallies.session_domains.len() as u64;
            self.connections("smtpd", &tallies.sessions, hosts, "hosts/domains")?;
        }
        if newer.screen_stats {
            let addresses = tallies.newer.screen_addresses.len() as u64;
            self.connections("postscreen", &tallies.newer.screen, addresses, "IP addresses")?;
        }
        writeln!(self.out)
    }

    pub(super) fn users_counted(
        &mut self,
        what: &str,
        users: &Users<'_>,
        top: Top,
        value: impl Fn(&Traffic) -> u64,
    ) -> io::Result<()> {
        let title = format!("{what} {}", shown(top, users.len(), users.len() as u64));
        if users.is_empty() {
            return if self.options.quiet { Ok(()) } else { writeln!(self.out, "\n{title}") };
        }
        self.title(&title)?;
        self.counts(sort::by_count(users, |(user, of)| (value(of), *user)), top.limit(), " ")
    }

    fn all_problems(&mut self, newer: &Newer) -> io::Result<()> {
        let (tallies, options) = (self.tallies, self.options);
        if options.verbose {
            self.reasons("message deferral detail", &tallies.deferral_reasons, options.deferrals)?;
        } else {
            self.nested("message deferral detail", &tallies.newer.deferrals, options.deferrals)?;
        }
        self.reasons("message bounce detail (by relay)", &tallies.bounce_reasons, options.bounces)?;
        let expired = &tallies.newer.expired_relays;
        if newer.expired != Top::None && self.list_title("message expired detail (by relay)", expired.is_empty())? {
            self.ranked(expired, newer.expired.limit(), "  ")?;
        }
        self.verdicts("message reject detail", &tallies.rejects)?;
        self.verdicts("message reject warning detail", &tallies.reject_warning_reasons)?;
        self.verdicts("message hold detail", &tallies.holds)?;
        self.verdicts("message discard detail", &tallies.discards)?;
        if newer.tls_stats {
            self.reasons("Inbound (smtpd) SSL Errors", &tallies.newer.tls_errors, all_or(options.hosts))?;
        }
        self.reasons("SMTP Exceptions", &tallies.smtp_failures, Top::All)?;
        self.reasons("Warnings", &tallies.warnings, options.warnings)?;
        self.reasons("postscreen actions", &tallies.newer.screen_actions, newer.screen)?;
        self.reasons("Fatal Errors", &tallies.fatals, Top::All)?;
        self.reasons("Panics", &tallies.panics, Top::All)?;
        if self.list_title("Master daemon messages", tallies.master.is_empty())? {
            self.ranked(&tallies.master, usize::MAX, " ")?;
        }
        Ok(())
    }
}

/// "Fri, Jul 10 2026"
fn date((year, month, day): (i64, i64, i64)) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let days = crate::applet::pflogsumm::fields::days_from_civil(year, month + 1, day);
    let weekday = usize::try_from(days.rem_euclid(7)).ok().and_then(|at| WEEKDAYS.get(at)).unwrap_or(&"");
    let month = usize::try_from(month).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    format!("{weekday}, {month} {day} {year}")
}
