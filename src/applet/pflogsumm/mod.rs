//! pflogsumm(1): what the mail system did, from its log. The report, the options and their mistakes are those of
//! pflogsumm 1.1.5, which the stable distributions ship, or with `--compat 1.3` those of 1.3.0; numbers that it
//! miscounts are miscounted alike. Where the reference's output is random (ties follow its hash tables) the keys' bytes
//! decide; it behaves as under LC_ALL=C.

/// 1.3.0's shorter reasons.
mod condense;
/// Threads.
mod engine;
/// What a line says.
mod fact;
/// Parts of a line.
mod fields;
/// Getopt::Long's habits.
mod getopt;
/// Lines from files.
mod input;
/// Values by text.
mod map;
/// Sizes by queue id.
mod messages;
/// The command line.
mod options;
/// Our own options.
mod ours;
/// A shard's facts in a file.
mod partial;
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
use ours::Ours;
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
    let (ours, args) = Ours::parse(&call.args)?;
    let version = ours.version;
    let now = clock();
    let request = match version {
        Version::Stable => options::parse(&call.program, &args),
        Version::Newer => options::v130::parse(&call.program, &args, now.date()),
    };
    let usage = || match version {
        Version::Stable => options::usage(&call.program),
        Version::Newer => options::v130::usage(&call.program),
    };
    let (options, warnings) = match request {
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
    let job = Job { options: &options, ours: &ours, now: &now };
    if let Some(to) = &ours.partial {
        job.write_partial(to)?;
        return Ok(Exit::OK);
    }
    let state = if ours.merge { job.merge()? } else { job.count()? };
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    job.report(&mut out, &state)?;
    finish(&mut out, &options)?;
    // The process ends here; taking millions of table entries apart first would cost a tenth of the run.
    std::mem::forget(state);
    Ok(Exit::OK)
}

/// The end of a report: the queue, if wanted.
fn finish(out: &mut impl Write, options: &Options) -> Result<(), Failure> {
    if options.mailq {
        report::title(out, "Current Mail Queue")?;
        out.flush()?;
        let _ = std::process::Command::new("mailq").status();
    }
    out.flush()?;
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
