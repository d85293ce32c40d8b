//! pflogsumm(1): what the mail system did, from its log. The report, the options and their mistakes are those of
//! pflogsumm 1.1.5, which the stable distributions ship, or with `--compat 1.3` those of 1.3.0; numbers that it
//! miscounts are miscounted alike. Where the reference's output is random (ties follow its hash tables) the keys' bytes
//! decide; it behaves as under LC_ALL=C.

/// Messages from run to run.
mod carried;
/// 1.3.0's shorter reasons.
mod condense;
/// Threads.
mod engine;
/// What only the accurate outputs tell.
mod extras;
/// What a line says.
mod fact;
/// Parts of a line.
mod fields;
/// Getopt::Long's habits.
mod getopt;
/// Lines from files.
mod input;
/// The manual page.
pub mod manual;
/// Values by text.
mod map;
/// Sizes by queue id.
mod messages;
/// The command line.
mod options;
/// Our own options.
mod ours;
/// What the numbers are written as.
mod output;
/// A shard's facts in a file.
mod partial;
/// Parts of the time.
mod range;
/// From lines to facts.
mod read;
/// smtpd's verdicts.
mod reject;
/// The text report.
mod report;
/// Orders of lists.
mod sort;
/// From facts to tallies.
mod state;
/// From logs to a report.
mod summary;
/// What is counted.
mod tallies;
/// Facts as bytes.
mod tape;
/// Addresses and reasons.
mod text;
/// Numbers in columns.
mod units;

use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use options::{Options, Request, Version};
use ours::{Ours, Output};
use std::io::{BufWriter, Write};
use summary::Job;

pub const APPLET: Applet = Applet {
    name: "pflogsumm",
    aliases: &[],
    links: &["sbin/pflogsumm"],
    section: 1,
    purpose: Purpose::Watch,
    about: "summarise the mail log",
    cli: options::command,
    run,
};

/// What Perl's die ends with.
const DIED: Exit = Exit(255);

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut errors = std::io::stderr();
    let now = clock();
    let (ours, args) = Ours::parse(&call.args, &now)?;
    let version = ours.version;
    let request = match version {
        Version::Stable => options::parse(&call.program, &args),
        Version::Newer => options::v130::parse(&call.program, &args, now.date()),
    };
    let usage = || match version {
        Version::Stable => options::usage(&call.program),
        Version::Newer => options::v130::usage(&call.program),
    };
    let (mut options, warnings) = match request {
        Request::Report(options, warnings) => (options, warnings),
        Request::Help => {
            writeln!(std::io::stdout(), "{}", usage())?;
            return Ok(Exit::OK);
        }
        Request::Version => {
            writeln!(std::io::stdout(), "{} {}", call.program, version.name())?;
            return Ok(Exit::OK);
        }
        Request::Say(text) => {
            std::io::stdout().write_all(text.as_bytes())?;
            return Ok(Exit::OK);
        }
        Request::Wrong(lines) => {
            for line in lines {
                let _ = writeln!(errors, "{line}");
            }
            let _ = writeln!(errors, "{}", usage());
            return Err(Failure::silent(DIED));
        }
    };
    for warning in warnings {
        let _ = writeln!(errors, "{warning}");
    }
    options.accurate = ours.accurate;
    let job = Job { options: &options, ours: &ours, now: &now };
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    if let Some(to) = &ours.partial {
        job.write_partial(to)?;
    } else if let Some(term) = &ours.trace {
        return job.trace(&mut out, term);
    } else if let Some(dir) = &ours.parquet {
        job.table(dir)?;
    } else if ours.output == Output::Events {
        job.events(&mut out)?;
    } else if ours.output == Output::Live {
        job.follow(&mut out)?;
    } else if ours.output == Output::Differences {
        job.differences(&mut out)?;
    } else {
        let state = if ours.merge { job.merge()? } else { job.count()? };
        if options.accurate {
            job.outputs(&mut out, &state)?;
        } else {
            job.report(&mut out, &state)?;
        }
        if ours.output == Output::Text && ours.html.is_none() {
            finish(&mut out, &options)?;
        }
        // The process ends here; taking millions of table entries apart first would cost a tenth of the run.
        std::mem::forget(state);
    }
    out.flush()?;
    Ok(Exit::OK)
}

/// Counts any bytes by all rules and reports on them, for those who look for bytes that it cannot bear.
pub fn count_anything(bytes: &[u8]) {
    summary::count_anything(bytes);
}

/// The end of a report: the queue, if wanted.
fn finish(out: &mut impl Write, options: &Options) -> Result<(), Failure> {
    if options.mailq {
        report::title(out, "Current Mail Queue")?;
        out.flush()?;
        let _ = std::process::Command::new("mailq").status();
    }
    Ok(())
}

/// The time now; SOURCE_DATE_EPOCH fixes it.
fn clock() -> jiff::Zoned {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.trim().parse().ok());
    match fixed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
        Some(time) => time.to_zoned(jiff::tz::TimeZone::system()),
        None => jiff::Zoned::now(),
    }
}
