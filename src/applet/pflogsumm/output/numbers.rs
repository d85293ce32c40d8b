//! The accurate numbers as one structure: `--json` is its serialisation, the page and the Prometheus file are made of it.
//! Its form is version [`VERSION`]; the manual page describes it. Names only come in with the same version; one that goes
//! or changes its meaning makes a new version.

use super::hints::{self, Hint};
use crate::applet::pflogsumm::extras::{Extras, Spread};
use crate::applet::pflogsumm::map::{Counts, Map};
use crate::applet::pflogsumm::options::{Options, Top};
use crate::applet::pflogsumm::sort;
use crate::applet::pflogsumm::state::State;
use crate::applet::pflogsumm::tallies::{Tallies, Traffic, Verdicts};
use serde::Serialize;

pub const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub struct Numbers {
    pub schema: &'static str,
    pub version: u32,
    /// When it was made, with zone.
    pub made: String,
    pub period: Option<Period>,
    pub totals: Totals,
    pub delays: Delays,
    pub days: Vec<Day>,
    pub hours: Vec<Hour>,
    /// Traffic by the hour, without those in which nothing happened.
    pub series: Vec<Point>,
    pub senders: List<Mailbox>,
    pub recipients: List<Mailbox>,
    pub sender_domains: List<Domain>,
    pub recipient_domains: List<Destination>,
    pub rejects: List<Judged>,
    pub reject_warnings: List<Judged>,
    pub holds: List<Judged>,
    pub discards: List<Judged>,
    pub deferrals: List<Cause>,
    pub deferrals_by_destination: List<Cause>,
    pub bounces: List<Cause>,
    pub unreachable: List<Cause>,
    pub tls: List<Cause>,
    pub warnings: List<Cause>,
    pub fatals: List<Cause>,
    pub panics: List<Cause>,
    pub hints: Vec<Hint>,
}

/// First and last hour that something was counted in: "2026-11-24T12:00".
#[derive(Debug, Serialize)]
pub struct Period {
    pub first: String,
    pub last: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Totals {
    pub received: u64,
    pub delivered: u64,
    pub forwarded: u64,
    /// Deliveries to a content filter that gave the message back.
    pub filtered: u64,
    /// Messages.
    pub deferred: u64,
    /// Attempts.
    pub deferrals: u64,
    pub bounced: u64,
    pub expired: u64,
    pub canceled: u64,
    pub rejected: u64,
    pub reject_warnings: u64,
    pub held: u64,
    pub discarded: u64,
    pub bytes_received: u64,
    pub bytes_delivered: u64,
    pub senders: u64,
    pub sender_domains: u64,
    pub recipients: u64,
    pub recipient_domains: u64,
}

/// In seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Delays {
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
    /// How many took how long, each step without those before.
    pub spread: Vec<Step>,
}

/// Deliveries that took up to so many seconds; the last step has no end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    pub within: Option<u64>,
    pub count: u64,
}

/// Seconds that steps end at.
const STEPS: [u64; 7] = [1, 10, 60, 600, 3600, 21_600, 86_400];

impl Delays {
    fn of(spread: &Spread) -> Delays {
        let at = |percent| round(spread.percentile(percent));
        let mut before = 0;
        let step = |within: Option<u64>| {
            let up_to = within.map_or(spread.count(), |seconds| spread.up_to(seconds as f64));
            Step { within, count: up_to - std::mem::replace(&mut before, up_to) }
        };
        let steps = STEPS.into_iter().map(Some).chain([None]).map(step).collect();
        let max = spread.longest();
        Delays { count: spread.count(), p50: at(50), p90: at(90), p95: at(95), p99: at(99), max, spread: steps }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Columns {
    pub received: u64,
    pub delivered: u64,
    pub deferred: u64,
    pub bounced: u64,
    pub rejected: u64,
}

impl Columns {
    fn of([received, delivered, deferred, bounced, rejected]: [u64; 5]) -> Columns {
        Columns { received, delivered, deferred, bounced, rejected }
    }
}

#[derive(Debug, Serialize)]
pub struct Day {
    /// "2026-11-24"
    pub date: String,
    #[serde(flatten)]
    pub columns: Columns,
}

#[derive(Debug, Serialize)]
pub struct Hour {
    pub hour: usize,
    #[serde(flatten)]
    pub columns: Columns,
}

#[derive(Debug, Serialize)]
pub struct Point {
    /// "2026-11-24T12:00"
    pub time: String,
    #[serde(skip)]
    pub at: i64,
    #[serde(flatten)]
    pub columns: Columns,
}

/// The first entries of a list, and how many there are.
#[derive(Debug, Serialize)]
pub struct List<T> {
    pub total: usize,
    pub entries: Vec<T>,
}

impl<T> List<T> {
    fn of(entries: impl ExactSizeIterator<Item = T>, top: Top) -> List<T> {
        List { total: entries.len(), entries: entries.take(top.limit()).collect() }
    }
}

#[derive(Debug, Serialize)]
pub struct Mailbox {
    pub address: String,
    pub messages: u64,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct Domain {
    pub domain: String,
    pub messages: u64,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct Destination {
    pub domain: String,
    pub messages: u64,
    pub bytes: u64,
    pub deferrals: u64,
    pub mean_delay: f64,
    pub p95_delay: f64,
    pub max_delay: f64,
}

/// A rejection: the command (RCPT, ...) or "cleanup", why, and whom it is about.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub kind: String,
    pub reason: String,
    pub about: String,
    pub count: u64,
}

/// `of`: a program, a domain, a relay or a reason, see the manual page.
#[derive(Debug, Serialize)]
pub struct Cause {
    pub of: String,
    pub text: String,
    pub count: u64,
}

impl Numbers {
    pub fn of(state: &State<'_>, options: &Options, now: &jiff::Zoned) -> Numbers {
        let tallies = &state.tallies;
        let none = Extras::default();
        let extras = state.extras.as_deref().unwrap_or(&none);
        let point = |(&at, &values): (&i64, &[u64; 5])| Point { time: hour_name(at), at, columns: Columns::of(values) };
        let series: Vec<Point> = extras.series.iter().map(point).collect();
        let period = series.first().zip(series.last());
        let mut days: Vec<_> = tallies.days.iter().collect();
        days.sort_by_key(|day| (day.year, day.month, day.day));
        let hours = tallies.hours.iter().take(24).enumerate();
        let (rejects, texts) = (options.rejects, options.warnings);
        Numbers {
            schema: "pillarbox-pflogsumm",
            version: VERSION,
            made: now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            period: period.map(|(first, last)| Period { first: first.time.clone(), last: last.time.clone() }),
            totals: totals(tallies),
            delays: Delays::of(&extras.delays),
            days: days
                .into_iter()
                .map(|day| Day {
                    date: format!("{:04}-{:02}-{:02}", day.year, day.month + 1, day.day),
                    columns: Columns::of(day.traffic.values),
                })
                .collect(),
            hours: hours.map(|(hour, row)| Hour { hour, columns: Columns::of(row.values) }).collect(),
            series,
            senders: mailboxes(&tallies.senders, options.users),
            recipients: mailboxes(&tallies.recipients, options.users),
            sender_domains: {
                let list = sort::by_count_then_size(&tallies.sender_domains, |of| (of.messages, of.bytes));
                let domain = |(domain, of): (&[u8], &Traffic)| Domain {
                    domain: text(domain),
                    messages: of.messages,
                    bytes: of.bytes,
                };
                List::of(list.into_iter().map(domain), options.hosts)
            },
            recipient_domains: destinations(tallies, extras, options.hosts),
            rejects: judged(&tallies.rejects, rejects),
            reject_warnings: judged(&tallies.reject_warning_reasons, rejects),
            holds: judged(&tallies.holds, rejects),
            discards: judged(&tallies.discards, rejects),
            deferrals: causes(&tallies.deferral_reasons, options.deferrals),
            deferrals_by_destination: causes(&extras.destinations, options.deferrals),
            bounces: causes(&tallies.bounce_reasons, options.bounces),
            unreachable: causes(&tallies.smtp_failures, options.smtp),
            tls: causes(&tallies.newer.tls_levels, Top::All),
            warnings: causes(&tallies.warnings, texts),
            fatals: causes(&tallies.fatals, Top::All),
            panics: causes(&tallies.panics, Top::All),
            hints: hints::hints(tallies, extras),
        }
    }

    /// One JSON text with a newline at its end.
    pub fn write_json(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

fn totals(tallies: &Tallies) -> Totals {
    let recipient_domains = tallies.recipient_domains.values().filter(|domain| domain.messages > 0).count();
    Totals {
        received: tallies.received,
        delivered: tallies.delivered,
        forwarded: tallies.forwarded,
        filtered: tallies.newer.filtered,
        deferred: tallies.deferred,
        deferrals: tallies.deferrals,
        bounced: tallies.bounced,
        expired: tallies.newer.expired,
        canceled: tallies.newer.canceled,
        rejected: tallies.rejected,
        reject_warnings: tallies.reject_warnings,
        held: tallies.held,
        discarded: tallies.discarded,
        bytes_received: tallies.bytes_received,
        bytes_delivered: tallies.bytes_delivered,
        senders: tallies.senders.len() as u64,
        sender_domains: tallies.sender_domains.len() as u64,
        recipients: tallies.recipients.len() as u64,
        recipient_domains: recipient_domains as u64,
    }
}

fn mailboxes(map: &Map<Traffic>, top: Top) -> List<Mailbox> {
    let list = sort::by_count_then_size(map, |of| (of.messages, of.bytes));
    let mailbox =
        |(address, of): (&[u8], &Traffic)| Mailbox { address: text(address), messages: of.messages, bytes: of.bytes };
    List::of(list.into_iter().map(mailbox), top)
}

fn destinations(tallies: &Tallies, extras: &Extras, top: Top) -> List<Destination> {
    let places: std::collections::HashMap<&[u8], u32> =
        tallies.recipient_domains.iter().map(|(domain, _)| domain).zip(0..).collect();
    let list = sort::by_count_then_size(&tallies.recipient_domains, |of| (of.messages, of.bytes));
    let destinations = list.into_iter().map(|(domain, of)| {
        let spread = places.get(domain).and_then(|place| extras.domain_delays.get(place));
        Destination {
            domain: text(domain),
            messages: of.messages,
            bytes: of.bytes,
            deferrals: of.deferrals,
            mean_delay: if of.messages > 0 { round(of.delay / of.messages as f64) } else { 0.0 },
            p95_delay: spread.map_or(0.0, |spread| round(spread.percentile(95))),
            max_delay: of.longest,
        }
    });
    List::of(destinations, top)
}

fn judged(map: &Verdicts, top: Top) -> List<Judged> {
    let mut list = Vec::new();
    for (kind, reasons) in map.iter() {
        for (reason, abouts) in reasons.iter() {
            list.extend(abouts.iter().map(|(about, &count)| (count, [kind, reason, about])));
        }
    }
    list.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let judged = list.into_iter().map(|(count, [kind, reason, about])| Judged {
        kind: text(kind),
        reason: text(reason),
        about: text(about),
        count,
    });
    List::of(judged, top)
}

fn causes(map: &Map<Counts>, top: Top) -> List<Cause> {
    let mut list: Vec<(&[u8], &[u8], u64)> = Vec::new();
    for (of, texts) in map.iter() {
        list.extend(texts.iter().map(|(text, &count)| (of, text, count)));
    }
    list.sort_unstable_by(|a, b| b.2.cmp(&a.2).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
    List::of(list.into_iter().map(|(of, what, count)| Cause { of: text(of), text: text(what), count }), top)
}

/// Bytes of a log as text; what is no UTF-8 becomes the replacement character.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Milliseconds are as fine as a log is.
fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// "2026-11-24T12:00" for hours of the wall clock since 1970.
pub fn hour_name(hour: i64) -> String {
    let time = hour.checked_mul(3600).and_then(|second| jiff::Timestamp::from_second(second).ok());
    match time {
        Some(time) => time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:00").to_string(),
        None => hour.to_string(),
    }
}
