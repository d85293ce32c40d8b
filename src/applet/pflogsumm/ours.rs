//! The options that the reference does not have. They are taken in their full spelling only and before Getopt::Long sees
//! the rest, so that no abbreviation that works with the reference means something else here.

use super::options::Version;
use super::range::{self, Range};
use crate::exit::{Exit, Failure};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What is asked for beyond the reference.
#[derive(Debug, Default)]
pub struct Ours {
    /// --compat, or PFLOGSUMM_COMPAT: whose report.
    pub version: Version,
    /// --threads
    pub threads: Option<usize>,
    /// --partial: where the facts go instead of a report.
    pub partial: Option<PathBuf>,
    /// --merge: the files are such partials.
    pub merge: bool,
    /// --state: the messages under way, from run to run.
    pub state: Option<PathBuf>,
    /// --from, --to, --last
    pub range: Range,
    /// --journal: read what journalctl gives.
    pub journal: bool,
    /// --in-order: files by the time they begin at.
    pub in_order: bool,
    /// --accurate, or an output that always is.
    pub accurate: bool,
    pub output: Output,
    /// --html: where the page goes.
    pub html: Option<PathBuf>,
    /// --parquet: where the event table goes.
    pub parquet: Option<PathBuf>,
    /// --overwrite: replace what of the table is there.
    pub overwrite: bool,
    /// --chart: histograms behind the text.
    pub chart: bool,
    /// --trace: a queue id, a message id or an address.
    pub trace: Option<OsString>,
}

/// What is written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Text,
    /// --json
    Json,
    /// --ndjson
    Events,
    /// --prometheus
    Prometheus,
    /// --explain-differences
    Differences,
    /// --follow
    Live,
}

/// Name, value's name if there is one, and one line of help.
pub const TABLE: &[(&str, Option<&str>, &str)] = &[
    ("compat", Some("VERSION"), "whose report: 1.1.5 or 1.3"),
    ("accurate", None, "count right what the reference miscounts"),
    ("explain-differences", None, "show the lines that --accurate counts differently"),
    ("json", None, "write the accurate numbers as JSON"),
    ("ndjson", None, "write each event as a line of JSON"),
    ("parquet", Some("DIR"), "write each event as a row of Parquet files in DIR/date=DATE/host=HOST"),
    ("overwrite", None, "let --parquet replace the days and hosts that are there already"),
    ("prometheus", None, "write the accurate numbers for a Prometheus textfile collector"),
    ("html", Some("FILE"), "write a page with charts and tables, which needs no network; - is standard output"),
    ("chart", None, "end the accurate report with histograms of hours and days"),
    ("trace", Some("ID"), "tell the life of a message: a queue id, a message id or an address"),
    ("follow", None, "watch a growing log, or the journal with --journal; q ends"),
    ("from", Some("TIME"), "leave out what is older: 2026-11-24, \"2026-11-24 12:00\", 12:00, today, yesterday"),
    ("to", Some("TIME"), "leave out what is as old or newer"),
    ("last", Some("TIME"), "only the last 30m, 24h, 7d or 2w"),
    ("in-order", None, "read the files in the order of the times they begin at"),
    ("journal", None, "read the mail lines of the systemd journal"),
    ("state", Some("FILE"), "keep the messages under way from run to run"),
    ("partial", Some("FILE"), "write what these logs say for a later --merge; - is standard output"),
    ("merge", None, "the files are partials; report on all of them"),
    ("threads", Some("N"), "read with N threads; else with one for each core"),
];

/// More than any machine has cores.
const MOST_THREADS: usize = 1024;

impl Ours {
    /// Takes our options out of the arguments.
    pub fn parse(args: &[OsString], now: &jiff::Zoned) -> Result<(Ours, Vec<OsString>), Failure> {
        let mut ours = Ours::default();
        let mut version = std::env::var("PFLOGSUMM_COMPAT").unwrap_or_default();
        let mut rest = Vec::with_capacity(args.len());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                rest.push(arg.clone());
                break;
            }
            let (name, glued) = split(arg);
            let known = TABLE.iter().find(|(known, ..)| name.strip_prefix("--") == Some(known));
            let value = match (known, glued) {
                (Some((_, None, _)), None) => OsString::new(),
                (Some((_, Some(_), _)), Some(value)) => value,
                // The last argument: as if an empty one followed.
                (Some((_, Some(_), _)), None) => args.next().cloned().unwrap_or_default(),
                _ => {
                    rest.push(arg.clone());
                    continue;
                }
            };
            if name == "--compat" {
                version = value.to_string_lossy().into_owned();
            } else {
                ours.set(name, value, now)?;
            }
        }
        rest.extend(args.cloned());
        ours.version = Version::of(&version).ok_or_else(|| {
            let known = "only those of 1.1.5 and 1.3.0";
            Failure::new(
                Exit::UNAVAILABLE,
                format!("fatal: the report of version {version} is not known here, {known}"),
            )
        })?;
        if ours.accurate && ours.version == Version::Newer {
            let text = "fatal: --compat 1.3 counts as 1.3.0 does; it and the accurate outputs exclude each other";
            return Err(Failure::new(Exit::USAGE, text));
        }
        Ok((ours, rest))
    }

    fn set(&mut self, name: &str, value: OsString, now: &jiff::Zoned) -> Result<(), Failure> {
        let wrong = |want: &str| {
            let text = format!("fatal: {name} {}: {want} is expected", value.to_string_lossy());
            Failure::new(Exit::USAGE, text)
        };
        let path = |want: &str| if value.is_empty() { Err(wrong(want)) } else { Ok(Some(PathBuf::from(&value))) };
        let text = value.to_string_lossy();
        let time = || range::moment(&text, now).ok_or_else(|| wrong("a time"));
        match name {
            "--threads" => {
                let number = text.parse().ok().filter(|number| (1..=MOST_THREADS).contains(number));
                self.threads = Some(number.ok_or_else(|| wrong("a number of threads"))?);
            }
            "--partial" => self.partial = path("a file")?,
            "--merge" => self.merge = true,
            "--state" => self.state = path("a file")?,
            "--from" => self.range.from = Some(time()?),
            "--to" => self.range.to = Some(time()?),
            "--last" => {
                self.range.from = Some(range::ago(&text, now).ok_or_else(|| wrong("a time like 24h or 7d"))?);
            }
            "--journal" => self.journal = true,
            "--in-order" => self.in_order = true,
            "--chart" => (self.accurate, self.chart) = (true, true),
            "--overwrite" => self.overwrite = true,
            "--parquet" if !cfg!(feature = "parquet") => {
                let text = "fatal: --parquet: this pillarbox was built without its feature parquet";
                return Err(Failure::new(Exit::UNAVAILABLE, text));
            }
            "--parquet" => (self.accurate, self.parquet) = (true, path("a directory")?),
            "--html" => (self.accurate, self.html) = (true, path("a file")?),
            "--trace" => self.trace = path("a queue id, a message id or an address")?.map(PathBuf::into_os_string),
            "--json" => (self.accurate, self.output) = (true, Output::Json),
            "--ndjson" => (self.accurate, self.output) = (true, Output::Events),
            "--prometheus" => (self.accurate, self.output) = (true, Output::Prometheus),
            "--follow" => (self.accurate, self.output) = (true, Output::Live),
            "--explain-differences" => self.output = Output::Differences,
            // "--accurate", the last of the table.
            _ => self.accurate = true,
        }
        Ok(())
    }
}

/// "--name" and what follows "=".
fn split(arg: &OsStr) -> (&str, Option<OsString>) {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = arg.as_bytes();
    let end = memchr::memchr(b'=', bytes).unwrap_or(bytes.len());
    let name = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
    (name, bytes.get(end + 1..).map(|value| OsString::from_vec(value.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Ours, Vec<OsString>), Failure> {
        let now = jiff::civil::datetime(2026, 11, 24, 12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        Ours::parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>(), &now)
    }

    #[test]
    fn ours_are_taken_and_the_rest_is_left() {
        let (ours, rest) = read("-d today --json --threads=3 log --last 2h -- --json").unwrap();
        assert_eq!(rest, ["-d", "today", "log", "--", "--json"]);
        assert!(ours.accurate && ours.output == Output::Json && ours.threads == Some(3));
        assert_eq!(ours.range.from, Some(1_795_521_600 - 7200));
        // An abbreviation is the reference's to refuse, and a value where none belongs, too.
        assert_eq!(read("--accur --merge=1").unwrap().1, ["--accur", "--merge=1"]);
        for wrong in ["--threads 0", "--from someday", "--compat 9", "--state", "--compat 1.3 --json"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
