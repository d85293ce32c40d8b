//! The numbers for node_exporter's textfile collector. Labels are the few that stay few: no address or reason is one, so
//! that a flood of spam makes no flood of series.

use super::numbers::Numbers;
use std::io::{self, Write};

pub fn write(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    let totals = &numbers.totals;
    let mut metric = |name: &str, help: &str, values: &[(&str, f64)]| -> io::Result<()> {
        writeln!(out, "# HELP pflogsumm_{name} {help}\n# TYPE pflogsumm_{name} gauge")?;
        values.iter().try_for_each(|(labels, value)| writeln!(out, "pflogsumm_{name}{labels} {value}"))
    };
    let count = |value: u64| value as f64;
    metric(
        "messages",
        "Messages in the log, by what became of them.",
        &[
            ("{outcome=\"received\"}", count(totals.received)),
            ("{outcome=\"delivered\"}", count(totals.delivered)),
            ("{outcome=\"forwarded\"}", count(totals.forwarded)),
            ("{outcome=\"filtered\"}", count(totals.filtered)),
            ("{outcome=\"deferred\"}", count(totals.deferred)),
            ("{outcome=\"bounced\"}", count(totals.bounced)),
            ("{outcome=\"expired\"}", count(totals.expired)),
            ("{outcome=\"canceled\"}", count(totals.canceled)),
            ("{outcome=\"rejected\"}", count(totals.rejected)),
            ("{outcome=\"reject_warning\"}", count(totals.reject_warnings)),
            ("{outcome=\"held\"}", count(totals.held)),
            ("{outcome=\"discarded\"}", count(totals.discarded)),
        ],
    )?;
    metric("deferrals", "Deliveries that were put off.", &[("", count(totals.deferrals))])?;
    metric(
        "bytes",
        "Bytes of messages.",
        &[
            ("{direction=\"received\"}", count(totals.bytes_received)),
            ("{direction=\"delivered\"}", count(totals.bytes_delivered)),
        ],
    )?;
    metric(
        "parties",
        "Different senders, recipients and their domains.",
        &[
            ("{party=\"sender\"}", count(totals.senders)),
            ("{party=\"sender_domain\"}", count(totals.sender_domains)),
            ("{party=\"recipient\"}", count(totals.recipients)),
            ("{party=\"recipient_domain\"}", count(totals.recipient_domains)),
        ],
    )?;
    let delays = &numbers.delays;
    metric(
        "delay_seconds",
        "Delay of deliveries.",
        &[
            ("{quantile=\"0.5\"}", delays.p50),
            ("{quantile=\"0.9\"}", delays.p90),
            ("{quantile=\"0.95\"}", delays.p95),
            ("{quantile=\"0.99\"}", delays.p99),
            ("{quantile=\"1\"}", delays.max),
        ],
    )?;
    metric("hints", "Things that look unusual, see the report.", &[("", numbers.hints.len() as f64)])
}
