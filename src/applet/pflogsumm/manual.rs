//! What the manual page says of pflogsumm beyond its options. The event table and the queries come from where the code
//! and its tests have them.

use super::output::events::columns::{COLUMNS, EVENTS, Type, VERSION};
use super::output::numbers;
use super::read::accurate::HABITS;
use crate::applet::manual::roff;

/// SQL for DuckDB: after a comment of lines, "-- N. title" and a query, ten times.
pub const QUERIES: &str = include_str!("../../../docs/pflogsumm/queries.sql");

/// Title and text; a blank line begins a paragraph.
const BEFORE: &[(&str, &str)] = &[
    (
        "VERSIONS",
        "The report and the options above are those of pflogsumm 1.1.5. --compat 1.3, or PFLOGSUMM_COMPAT=1.3 in the environment, gives those of 1.3.0: also --colwidth N (0 for no limit), --config FILE, --dump-config, -d and --date-range with today, yesterday, this or last week or month, a month, a day, or two of these (\"2026-10-01 to 2026-10-15\"), --dow0mon, --expired-detail N, --pscrn-stats, --pscrn-detail N, --rej-add-to, --srs-mung, --ssl-tls-stats, --suppress \"host/domain per-hour rdns-warnings size-detail\" (or help), --unprocd-file FILE, --use-orig-to, --warning-detail N, -x FILE, and the long names --extended-detail, --host-cnt, --user-cnt and --quiet.",
    ),
    (
        "INPUT",
        "Logs are read in the order of the command line; --in-order puts a rotated set (/var/log/mail.log*) in the order of the times that the files begin at. What gzip, bzip2, xz and zstd made, and what `journalctl -o export`, `-o json` and `-o short-iso` write, is read as a log; --journal runs journalctl for the entries of the mail facility and of Postfix's units. --from, --to and --last leave out the lines of other times, by the clock that the log shows; a date without a time is its midnight. Large logs are read on all cores (--threads N); the report does not depend on their number. A line counts up to its first 64 KiB.",
    ),
];

const AFTER: &[(&str, &str)] = &[
    (
        "OUTPUTS",
        "Each of these takes the place of the text report, except that --html FILE can stand beside --json or --prometheus.\n\n--html FILE writes one page with charts and sortable tables that needs no network. --chart writes the accurate text report with histograms of hours and days behind it. --prometheus writes totals, delays and hints for node_exporter's textfile collector; write to a file beside and rename it: pflogsumm --prometheus /var/log/mail.log > mail.prom.tmp && mv mail.prom.tmp mail.prom. The numbers are of the logs that are given, so they are gauges.",
    ),
    (
        "TRACES",
        "--trace ID tells the life of the messages that a queue id, a message id or an address leads to, line by line with the time since each came in, across forwards, requeues and notices, and ends with what became of each recipient. The logs must be files: they are searched again for what the first search found. The status is 1 when nothing is found.\n\n--follow FILE shows what happens now, from one log that grows, is rotated or truncated, or with --journal from the journal: totals, the last minute, bars for the last hour, the busiest senders and destinations, and the last troubles. It needs 80 columns and 24 lines to show everything and fits any other size. q or Ctrl-C ends it, p holds it. When standard output is no terminal, it writes each trouble as a line, and once a minute and at the end the totals with what the last minute added.",
    ),
    (
        "STATE",
        "--state FILE keeps the messages that are under way at the end of a log for the run that reads the next one, so that none is without size or sender because a rotation cut it in two. A file that is not there is the first run's. It is text: \"pflogsumm state 1\", then queue id, day, size and client of each message; what nobody spoke of for 60 days is forgotten. It is replaced when the run was good.",
    ),
    (
        "SHARDS",
        "--partial FILE writes what the logs of one machine or day say, and --merge FILE... gives of several such files, in their order, the exact report that all the logs together would give; - is standard output and standard input. The options that lines are read with (-i, -m, --verp-mung, --rej-add-from, --smtpd-stats, --syslog-name, --verbose-msg-detail, --accurate, --compat, and a --*-detail of 0) must be the same in both. The file begins with \"pflogsumm partial 3\" and is of use to the version that wrote it.",
    ),
    (
        "ENVIRONMENT",
        "PFLOGSUMM_COMPAT: whose report, as --compat. SOURCE_DATE_EPOCH: the time now, in seconds since 1970.",
    ),
    (
        "EXIT STATUS",
        "0: done, also when a log could not be read, which is said on standard error. 1: --trace found nothing. 64: an option's value is wrong, or options exclude each other. 65: a partial or state file is damaged, or of another version or other options. 69: journalctl cannot be run, or the feature is not built in. 73: a partition of --parquet is there already. 74: a file cannot be read or written. 255: the command line is wrong, as in the original.",
    ),
];

/// The sections as roff.
pub fn sections() -> String {
    let mut text = String::new();
    let mut section = |title: &str, body: &str| text.push_str(&format!(".SH \"{title}\"\n{body}\n"));
    BEFORE.iter().for_each(|(title, body)| section(title, &paragraphs(body)));
    section("ACCURATE NUMBERS", &accurate());
    AFTER.iter().take(1).for_each(|(title, body)| section(title, &paragraphs(body)));
    section("JSON", &paragraphs(&json()));
    section("EVENT TABLE", &events());
    section("QUERIES", &queries());
    AFTER.iter().skip(1).for_each(|(title, body)| section(title, &paragraphs(body)));
    text
}

fn paragraphs(text: &str) -> String {
    roff(&text.replace("\n\n", "\n\u{1}\n")).replace('\u{1}', ".PP")
}

fn accurate() -> String {
    let mut text = paragraphs(
        "The report above miscounts what pflogsumm 1.1.5 miscounts. --accurate, and every output named below, counts right:",
    );
    for habit in HABITS {
        text.push_str(&format!("\n.IP \\(bu 2\n{}", roff(habit)));
    }
    text + "\n.PP\n"
        + &paragraphs(
            "--explain-differences shows both totals and the lines that make the difference. The accurate text report ends with hints: a destination that takes nothing, a sender far above its habit, a reject reason that rises, each with its figures.",
        )
}

fn json() -> String {
    format!(
        "--json writes one object: schema (\"pillarbox-pflogsumm\"), version ({}), made, period (first, last), totals (received, delivered, forwarded, filtered, deferred, deferrals, bounced, expired, canceled, rejected, reject_warnings, held, discarded, bytes_received, bytes_delivered, senders, sender_domains, recipients, recipient_domains), delays in seconds (count, p50, p90, p95, p99, max, and spread: how many took up to so many seconds, within and count), days (date), hours (hour), series (time), each of them with received, delivered, deferred, bounced and rejected; hints (kind, about, text, count, usual); and lists, objects of total and entries: senders and recipients (address, messages, bytes), sender_domains (domain, messages, bytes), recipient_domains (also deferrals, mean_delay, p95_delay, max_delay), rejects, reject_warnings, holds and discards (kind, reason, about, count), and with of, text and count: deferrals (of: program), deferrals_by_destination (domain), bounces (relay), unreachable (reason; text: host), tls (relay), warnings, fatals and panics (program). -h, -u and the --*-detail options limit the entries, not the totals. Names may be added to a version; one that goes or changes its meaning makes the next.",
        numbers::VERSION
    )
}

fn events() -> String {
    let mut text = paragraphs(&format!(
        "--ndjson writes each Postfix line as an object on a line of its own, --parquet DIR as a row of a table, version {VERSION}. Both have the same names, and leave out what a line does not say. The table's files are DIR/date=2026-11-24/host=mx/part-0.parquet (the date and host of the line; a character that no host name has is written as %41), compressed with zstd. They get their names when all is written. A day of a host that is there already is not touched and ends the run, unless --overwrite is given: the new rows then take the place of the old. So give all the logs that hold a day, or a part of the time: pflogsumm --parquet events -d yesterday /var/log/mail.log.1 /var/log/mail.log. Names may be added to a version; one that goes or changes its meaning makes the next. The columns:"
    ));
    for column in COLUMNS {
        let of = match column.of {
            Type::Time => "timestamp",
            Type::Text => "text",
            Type::Integer => "integer",
            Type::Decimal => "decimal",
        };
        text.push_str(&format!("\n.TP\n\\fB{}\\fR \\fI{of}\\fR\n{}", roff(column.name), roff(column.about)));
    }
    text.push_str("\n.PP\nThe values of event:");
    for (name, about) in EVENTS {
        text.push_str(&format!("\n.TP\n\\fB{}\\fR\n{}", roff(name), roff(about)));
    }
    text
}

/// Each title as a paragraph, each query as it stands.
fn queries() -> String {
    let mut text = String::new();
    let mut verbatim = false;
    for line in QUERIES.lines() {
        let prose = line.strip_prefix("-- ").filter(|prose| !prose.starts_with(' '));
        if verbatim != (prose.is_none() && !line.is_empty()) {
            verbatim = !verbatim;
            text.push_str(if verbatim { ".RS 2\n.nf\n" } else { ".fi\n.RE\n" });
        }
        match prose {
            Some(prose) => text.push_str(&format!(".PP\n{}\n", roff(prose))),
            None if line.is_empty() => {}
            None => text.push_str(&format!("{}\n", roff(line.strip_prefix("-- ").unwrap_or(line)))),
        }
    }
    text + if verbatim { ".fi\n.RE" } else { "" }
}
