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
use crate::log::line::MONTHS;
use crate::sys::files::reason;
use input::Feed;
use options::{Day, Newer, Options, Request, Version};
use ours::Ours;
use read::v130::NewerReader;
use read::{Now, Reader};
use state::State;
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
    if let Some(newer) = &options.newer {
        return summarise_newer(&options, newer, &ours, &now);
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
    let mut state = State::new(&options, None);
    let reader = Reader::new(&options, Now::of(&now), wanted);
    engine::read(Feed::new(&options.files), || reader.clone(), &mut state, threads(&ours, &options), engine::PIECE);
    state.finish()?;
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    report::write(&mut out, &state.tallies, &options, day_name.as_deref())?;
    finish(&mut out, &options)?;
    // The process ends here; taking millions of table entries apart first would cost a tenth of the run.
    std::mem::forget(state);
    Ok(Exit::OK)
}

/// How many threads read. What is read in a moment is not worth starting any.
fn threads(ours: &Ours, options: &Options) -> usize {
    const SMALL: u64 = 4 << 20;
    if let Some(threads) = ours.threads {
        return threads;
    }
    let size = |name| std::fs::metadata(name).map_or(0, |file| if file.is_file() { file.len() } else { SMALL });
    if !options.files.is_empty() && options.files.iter().map(size).sum::<u64>() < SMALL {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The report of 1.3.0.
fn summarise_newer(options: &Options, newer: &Newer, ours: &Ours, now: &jiff::Zoned) -> Result<Exit, Failure> {
    let create = |path: &Option<PathBuf>| -> Result<Option<Box<dyn Write + Send>>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create(path).map_err(|error| {
            Failure::new(DIED, format!("fatal: cannot write {}: {}", path.display(), reason(&error)))
        })?;
        Ok(Some(Box::new(BufWriter::new(file))))
    };
    let mut state = State::new(options, create(&newer.debug)?.map(|debug| debug as Box<dyn Write>));
    let feed = Feed::new(&options.files);
    let reader = |unprocessed| NewerReader::new(options, newer, Now::of(now), unprocessed);
    match create(&newer.unprocessed)? {
        // Those lines are written in their order.
        Some(unprocessed) => engine::read_alone(feed, reader(Some(unprocessed)), &mut state, engine::PIECE),
        None => engine::read(feed, || reader(None), &mut state, threads(ours, options), engine::PIECE),
    }
    state.finish()?;
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    report::v130::write(&mut out, &state.tallies, options, newer)?;
    finish(&mut out, options)?;
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

/// "Nov 24", "Nov  4"
fn month_and_day(day: &jiff::Zoned) -> String {
    let month = usize::try_from(day.month()).ok().and_then(|month| MONTHS.get(month - 1)).unwrap_or(&"");
    format!("{month} {:2}", day.day())
}
