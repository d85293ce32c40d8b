//! pflogsumm(1): what the mail system did, from its log. The report, the options and their mistakes are those of
//! pflogsumm 1.1.5, which the stable distributions ship; numbers that it miscounts are miscounted alike. Where the
//! reference's output is random (ties follow its hash tables) the keys' bytes decide; it behaves as under LC_ALL=C.

/// From lines to tallies.
mod collect;
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
use collect::{Collector, Now};
use options::{Day, Request};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};

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

/// The version whose report this is.
const VERSION: &str = "1.1.5";
/// What Perl's die ends with.
const DIED: Exit = Exit(255);

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut errors = std::io::stderr();
    let (wanted, args) = compatibility(&call.args);
    if !matches!(wanted.as_deref(), None | Some("" | "1.1" | "1.1.5")) {
        let wanted = wanted.unwrap_or_default();
        let text = format!("fatal: the report of version {wanted} is not known here, only that of {VERSION}");
        return Err(Failure::new(Exit::UNAVAILABLE, text));
    }
    let (options, warnings) = match options::parse(&call.program, &args) {
        Request::Report(options, warnings) => (options, warnings),
        Request::Help => {
            writeln!(std::io::stdout(), "{}", options::usage(&call.program))?;
            return Ok(Exit::OK);
        }
        Request::Version => {
            writeln!(std::io::stdout(), "{} {VERSION}", call.program)?;
            return Ok(Exit::OK);
        }
        Request::Wrong(lines) => {
            for line in lines {
                let _ = writeln!(errors, "{line}");
            }
            let _ = writeln!(errors, "{}", options::usage(&call.program));
            return Err(Failure::silent(DIED));
        }
    };
    for warning in warnings {
        let _ = writeln!(errors, "{warning}");
    }
    let now = clock();
    let day = options.day.map(|day| match day {
        Day::Today => now.clone(),
        // Two hours before the last midnight, as the reference steps back.
        Day::Yesterday => now.saturating_sub(jiff::Span::new().hours(i64::from(now.hour()) + 2)),
    });
    let day_name = day.as_ref().map(month_and_day);
    let wanted = day.as_ref().map(|day| {
        [format!("{} ", month_and_day(day)).into_bytes(), day.strftime("%Y-%m-%dT").to_string().into_bytes()]
    });
    let now = Now { year: i64::from(now.year()), month: i64::from(now.month()) - 1 };
    let mut collector = Collector::new(&options, now, wanted);
    read_all(&options.files, &mut collector, &mut errors);
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    report::write(&mut out, &collector.tallies, &options, day_name.as_deref())?;
    if options.mailq {
        report::title(&mut out, "Current Mail Queue")?;
        out.flush()?;
        let _ = std::process::Command::new("mailq").status();
    }
    out.flush()?;
    // The process ends here; taking millions of table entries apart first would cost a tenth of the run.
    std::mem::forget(collector);
    Ok(Exit::OK)
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
fn read_all(files: &[OsString], collector: &mut Collector<'_>, errors: &mut impl Write) {
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
