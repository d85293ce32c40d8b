//! pflogsumm(1): what the mail system did, from its log. The report, the options and their mistakes are those of
//! pflogsumm 1.1.5, which the stable distributions ship, or with `--compat 1.3` those of 1.3.0; numbers that it
//! miscounts are miscounted alike. Where the reference's output is random (ties follow its hash tables) the keys' bytes
//! decide; it behaves as under LC_ALL=C.

/// From lines to tallies.
mod collect;
/// 1.3.0's shorter reasons.
mod condense;
/// Parts of a line.
mod fields;
/// Getopt::Long's habits.
mod getopt;
/// Lines from files.
mod input;
/// The command line.
mod options;
/// smtpd's verdicts.
mod reject;
/// The text report.
mod report;
/// Orders of lists.
mod sort;
/// What is counted.
mod tallies;
/// Addresses and reasons.
mod text;
/// Numbers in columns.
mod units;

use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use crate::log::line::MONTHS;
use crate::sys::files::reason;
use collect::v130::NewerCollector;
use collect::{Collector, Now};
use input::Lines;
use options::{Day, Newer, Options, Request, Version};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

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
    let (wanted, args) = compatibility(&call.args);
    let name = wanted.unwrap_or_default();
    let Some(version) = Version::of(&name) else {
        let text = format!("fatal: the report of version {name} is not known here, only those of 1.1.5 and 1.3.0");
        return Err(Failure::new(Exit::UNAVAILABLE, text));
    };
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
    if let Some(newer) = &options.newer {
        return summarise_newer(&options, newer, &now, &mut errors);
    }
    let day = options.day.map(|day| match day {
        Day::Today => now.clone(),
        // Two hours before the last midnight, as the reference steps back.
        Day::Yesterday => now.saturating_sub(jiff::Span::new().hours(i64::from(now.hour()) + 2)),
    });
    let day_name = day.as_ref().map(month_and_day);
    let wanted = day.as_ref().map(|day| {
        [format!("{} ", month_and_day(day)).into_bytes(), day.strftime("%Y-%m-%dT").to_string().into_bytes()]
    });
    let mut collector = Collector::new(&options, Now::of(&now), wanted);
    read_all(&options.files, &mut collector, &mut errors);
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    report::write(&mut out, &collector.tallies, &options, day_name.as_deref())?;
    finish(&mut out, &options)?;
    // The process ends here; taking millions of table entries apart first would cost a tenth of the run.
    std::mem::forget(collector);
    Ok(Exit::OK)
}

/// The report of 1.3.0.
fn summarise_newer(
    options: &Options,
    newer: &Newer,
    now: &jiff::Zoned,
    errors: &mut impl Write,
) -> Result<Exit, Failure> {
    let create = |path: &Option<PathBuf>| -> Result<Option<Box<dyn Write>>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create(path).map_err(|error| {
            Failure::new(DIED, format!("fatal: cannot write {}: {}", path.display(), reason(&error)))
        })?;
        Ok(Some(Box::new(BufWriter::new(file))))
    };
    let mut collector = NewerCollector::new(options, newer, Now::of(now));
    collector.side_outputs(create(&newer.unprocessed)?, create(&newer.debug)?);
    read_all(&options.files, &mut collector, errors);
    collector.finish()?;
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    report::v130::write(&mut out, &collector.common.tallies, options, newer)?;
    finish(&mut out, options)?;
    std::mem::forget(collector);
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

/// Which version's report is asked for, by `--compat VERSION` (ours, so only in its full spelling) or
/// PFLOGSUMM_COMPAT, and the arguments without it.
fn compatibility(args: &[OsString]) -> (Option<String>, Vec<OsString>) {
    let mut wanted = std::env::var("PFLOGSUMM_COMPAT").ok();
    let mut rest = Vec::with_capacity(args.len());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            rest.push(arg.clone());
            break;
        } else if arg == "--compat" {
            wanted = Some(args.next().map(|version| version.to_string_lossy().into_owned()).unwrap_or_default());
        } else if let Some(version) = arg.to_string_lossy().strip_prefix("--compat=") {
            wanted = Some(version.to_owned());
        } else {
            rest.push(arg.clone());
        }
    }
    rest.extend(args.cloned());
    (wanted, rest)
}

/// The files in their order, or standard input. One that cannot be read is named, and the next is taken.
fn read_all(files: &[OsString], collector: &mut impl Lines, errors: &mut impl Write) {
    let standard_input = [OsString::from("-")];
    for name in if files.is_empty() { standard_input.as_slice() } else { files } {
        let done = if name == "-" {
            input::lines(std::io::stdin().lock(), collector)
        } else {
            File::open(name).and_then(|file| input::lines(file, collector))
        };
        if let Err(error) = done {
            let _ = writeln!(errors, "Can't open {}: {}.", name.to_string_lossy(), reason(&error));
        }
    }
}

/// The time now; SOURCE_DATE_EPOCH fixes it.
fn clock() -> jiff::Zoned {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.trim().parse().ok());
    match fixed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
        Some(time) => time.to_zoned(jiff::tz::TimeZone::system()),
        None => jiff::Zoned::now(),
    }
}

/// "Nov 24", "Nov  4"
fn month_and_day(day: &jiff::Zoned) -> String {
    let month = usize::try_from(day.month()).ok().and_then(|month| MONTHS.get(month - 1)).unwrap_or(&"");
    format!("{month} {:2}", day.day())
}
