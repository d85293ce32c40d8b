//! From the logs of a command line to its report.

use super::carried::Carried;
use super::engine;
use super::input::{self, Feed};
use super::options::{self, Day, Newer, Options, Request};
use super::ours::{Ours, Output};
use super::output::numbers::Numbers;
#[cfg(feature = "parquet")]
use super::output::parquet;
use super::output::trace::{self, Finder, Found};
use super::output::{chart, differences, events, hints, html, live, prometheus};
use super::partial;
use super::range::{self, Range};
use super::read::accurate::AccurateReader;
use super::read::v130::NewerReader;
use super::read::{Now, Reader};
use super::replaced::{Replaced, cannot};
use super::report;
use super::state::State;
use super::tape::play;
use super::{DIED, fact::Sink};
use crate::exit::{Exit, Failure};
use crate::log::line::MONTHS;
use crate::sys::files::reason;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a command line asks for.
pub struct Job<'a> {
    pub options: &'a Options,
    pub ours: &'a Ours,
    pub now: &'a jiff::Zoned,
}

impl<'a> Job<'a> {
    /// The tallies of all logs.
    pub fn count(&self) -> Result<State<'a>, Failure> {
        let mut state = self.state()?;
        if let Some(path) = &self.ours.state {
            state.carry(Carried::load(path)?);
        }
        self.read(self.feed()?, self.threads(), engine::PIECE, &mut state)?;
        state.finish()?;
        if let (Some(path), Some(carried)) = (&self.ours.state, &state.carried) {
            carried.save(path)?;
        }
        Ok(state)
    }

    /// The logs.
    pub fn feed(&self) -> Result<Feed, Failure> {
        if self.ours.journal {
            let range = self.accurate_range();
            // The range is of the wall clock, as journalctl's.
            let time = |second: Option<i64>| {
                let time = second.and_then(|second| jiff::Timestamp::from_second(second).ok())?;
                Some(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
            };
            let feed = Feed::journal(time(range.from).as_deref(), time(range.to).as_deref());
            return feed.map_err(|error| {
                Failure::new(Exit::UNAVAILABLE, format!("fatal: cannot run journalctl: {}", reason(&error)))
            });
        }
        let files = &self.options.files;
        if self.ours.in_order {
            let reader = AccurateReader::new(self.options, Now::of(self.now), Range::default());
            return Ok(Feed::new(&input::in_order(files, |stamp| reader.at(stamp))).with_progress());
        }
        Ok(Feed::new(files).with_progress())
    }

    /// The tallies of shards that --partial wrote, in the order of the command line.
    pub fn merge(&self) -> Result<State<'a>, Failure> {
        let mut state = self.state()?;
        let files = &self.options.files;
        let input = [OsString::from("-")];
        for name in if files.is_empty() { &input[..] } else { files } {
            partial::read(Path::new(name), self.options, &mut state)?;
        }
        state.finish()?;
        Ok(state)
    }

    /// Writes the facts of all logs instead of a report.
    pub fn write_partial(&self, to: &Path) -> Result<(), Failure> {
        let mut writer = partial::Writer::create(to, self.options)?;
        self.read(self.feed()?, self.threads(), engine::PIECE, &mut writer)?;
        writer.finish()
    }

    pub fn report(&self, out: &mut impl Write, state: &State<'_>) -> io::Result<()> {
        match &self.options.newer {
            Some(newer) => report::v130::write(out, &state.tallies, self.options, newer),
            None => report::write(out, &state.tallies, self.options, self.day().as_ref().map(month_and_day).as_deref()),
        }
    }

    /// What is asked for of the accurate numbers.
    pub fn outputs(&self, out: &mut impl Write, state: &State<'_>) -> Result<(), Failure> {
        let numbers = Numbers::of(state, self.options, self.now);
        if let Some(path) = &self.ours.html {
            let mut report = Vec::new();
            self.report(&mut report, state)?;
            let report = String::from_utf8_lossy(&report);
            if path == Path::new("-") {
                html::write(out, &numbers, &report)?;
            } else {
                let write = || -> io::Result<()> {
                    let mut file = BufWriter::new(Replaced::create(path)?);
                    html::write(&mut file, &numbers, &report)?;
                    file.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
                };
                write().map_err(|error| cannot("write", path, &error))?;
            }
            if self.ours.output == Output::Text {
                return Ok(());
            }
        }
        match self.ours.output {
            Output::Json => numbers.write_json(out)?,
            Output::Prometheus => prometheus::write(out, &numbers)?,
            _ => {
                self.report(out, state)?;
                if self.ours.chart {
                    chart::write(out, &numbers)?;
                }
                hints::write(out, &numbers.hints)?;
            }
        }
        Ok(())
    }

    /// --ndjson
    pub fn events(&self, out: &mut impl Write) -> Result<(), Failure> {
        Ok(events::write(out, self.feed()?, self.accurate_reader(), engine::PIECE)?)
    }

    /// --parquet
    #[cfg(feature = "parquet")]
    pub fn table(&self, dir: &Path) -> Result<(), Failure> {
        let mut table = parquet::Table::create(dir, self.ours.overwrite)?;
        events::read(self.feed()?, self.accurate_reader(), engine::PIECE, |row| table.take(&row))?;
        table.finish()
    }

    /// Nobody comes here: the option was refused.
    #[cfg(not(feature = "parquet"))]
    pub fn table(&self, _: &Path) -> Result<(), Failure> {
        Err(Failure::silent(Exit::UNAVAILABLE))
    }

    /// --follow
    pub fn follow(&self, out: &mut impl Write) -> Result<(), Failure> {
        let log = match (self.ours.journal, self.options.files.as_slice()) {
            (true, []) => None,
            (false, [log]) => Some(log.as_os_str()),
            _ => {
                return Err(Failure::new(
                    Exit::USAGE,
                    "fatal: --follow watches one log, or with --journal the journal",
                ));
            }
        };
        let shown = live::follow(out, log, self.accurate_reader(), self.state()?);
        shown.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => error.into(),
            _ => {
                let what = log.map_or("the journal".into(), |log| log.to_string_lossy());
                Failure::new(Exit::IOERR, format!("fatal: cannot follow {what}: {}", reason(&error)))
            }
        })
    }

    /// --explain-differences
    pub fn differences(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.options.newer.is_some() {
            return Err(Failure::new(Exit::USAGE, "fatal: differences are explained for 1.1.5 only"));
        }
        let right = Options { accurate: true, ..self.options.clone() };
        let plain = Options { accurate: false, ..self.options.clone() };
        let old = Job { options: &plain, ours: self.ours, now: self.now };
        let new = Job { options: &right, ours: self.ours, now: self.now };
        let (old, new) = ((old.stable_reader(), old.state()?), (new.accurate_reader(), new.state()?));
        Ok(differences::write(out, self.feed()?, old, new, engine::PIECE)?)
    }

    /// --trace; status 1 when nothing is found, as grep's.
    pub fn trace(&self, out: &mut impl Write, term: &OsStr) -> Result<Exit, Failure> {
        let files = &self.options.files;
        if !self.ours.journal && (files.is_empty() || files.iter().any(|file| file == "-")) {
            return Err(Failure::new(
                Exit::USAGE,
                "fatal: --trace reads the logs more than once: it needs their names, or --journal",
            ));
        }
        let reader = self.accurate_reader();
        let threads = self.threads();
        // The journal is asked again for each search; what goes wrong with it is said the first time.
        let mut feed = Some(self.feed()?);
        let found = trace::trace(out, term.as_bytes(), &reader, |words| {
            let feed = feed.take().or_else(|| self.feed().ok()).unwrap_or_else(|| Feed::of(Box::new(io::empty())));
            let mut found = Found::default();
            engine::read(feed, || Finder::new(words), &mut found, threads, engine::PIECE);
            Ok(found)
        })?;
        out.flush()?;
        Ok(if found { Exit::OK } else { Exit::FAIL })
    }

    fn accurate_reader(&self) -> AccurateReader<'a> {
        AccurateReader::new(self.options, Now::of(self.now), self.accurate_range())
    }

    fn state(&self) -> Result<State<'a>, Failure> {
        let debug = match &self.options.newer {
            Some(Newer { debug: Some(debug), .. }) => Some(create(debug)? as Box<dyn Write + Send>),
            _ => None,
        };
        Ok(State::new(self.options, debug))
    }

    /// Reads a feed by the rules that are asked for.
    fn read(&self, feed: Feed, threads: usize, size: usize, sink: &mut (impl Sink + Send)) -> Result<(), Failure> {
        let (now, range) = (Now::of(self.now), self.ours.range);
        match &self.options.newer {
            // Lines that no rule knows are written in their order.
            Some(newer @ Newer { unprocessed: Some(path), .. }) => {
                let mut reader = NewerReader::new(self.options, newer, now, range, Some(create(path)?));
                engine::read_alone(feed, &mut reader, sink, size);
                reader.finish()?;
            }
            Some(newer) => {
                engine::read(feed, || NewerReader::new(self.options, newer, now, range, None), sink, threads, size);
            }
            None if self.options.accurate => {
                let reader = self.accurate_reader();
                engine::read(feed, || reader.clone(), sink, threads, size);
            }
            None => {
                let reader = self.stable_reader();
                engine::read(feed, || reader.clone(), sink, threads, size);
            }
        }
        Ok(())
    }

    /// Reads by the rules of 1.1.5.
    pub fn stable_reader(&self) -> Reader<'a> {
        let wanted = self.day().map(|day| {
            let iso = day.strftime("%Y-%m-%dT").to_string();
            [format!("{} ", month_and_day(&day)).into_bytes(), iso.into_bytes()]
        });
        Reader::new(self.options, Now::of(self.now), wanted, self.ours.range, self.ours.state.is_some())
    }

    /// -d as a part of the time.
    pub fn accurate_range(&self) -> Range {
        let Some(day) = self.day() else { return self.ours.range };
        let from = range::wall(day.date().to_datetime(jiff::civil::Time::midnight()));
        let (first, end) = (self.ours.range.from, self.ours.range.to);
        Range {
            from: Some(first.map_or(from, |first| first.max(from))),
            to: Some(end.map_or(from + 86_400, |end| end.min(from + 86_400))),
        }
    }

    /// 1.1.5's -d.
    fn day(&self) -> Option<jiff::Zoned> {
        self.options.day.map(|day| match day {
            Day::Today => self.now.clone(),
            // Two hours before the last midnight, as the reference steps back.
            Day::Yesterday => self.now.saturating_sub(jiff::Span::new().hours(i64::from(self.now.hour()) + 2)),
        })
    }

    /// How many threads read. What is read in a moment is not worth starting any.
    fn threads(&self) -> usize {
        const SMALL: u64 = 4 << 20;
        let size =
            |name: &OsString| std::fs::metadata(name).map_or(0, |file| if file.is_file() { file.len() } else { SMALL });
        let files = &self.options.files;
        match self.ours.threads {
            Some(threads) => threads,
            None if !files.is_empty() && files.iter().map(size).sum::<u64>() < SMALL => 1,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Every rule's report on any bytes, and the other outputs; they go nowhere. Their first bytes also stand for a tape.
pub fn count_anything(bytes: &[u8]) {
    let Ok(now) = jiff::civil::datetime(2026, 11, 24, 12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC) else { return };
    let flags = ["-e", "--smtpd-stats", "--rej-add-from", "--verp-mung=2", "-m"].map(OsString::from);
    let stable = options::parse("pflogsumm", &flags);
    let newer = options::v130::parse("pflogsumm", &flags, now.date());
    for (request, accurate) in [(&stable, false), (&newer, false), (&stable, true)] {
        let Request::Report(options, _) = request else { continue };
        let options = Options { accurate, ..(**options).clone() };
        let ours = Ours::default();
        let job = Job { options: &options, ours: &ours, now: &now };
        let feed = || Feed::of(Box::new(io::Cursor::new(bytes.to_vec())));
        let Ok(mut state) = job.state() else { continue };
        let done = job.read(feed(), 1, engine::PIECE, &mut state).is_ok() && state.finish().is_ok();
        let _ = done && job.report(&mut io::sink(), &state).is_ok();
        if accurate {
            let _ = html::write(&mut io::sink(), &Numbers::of(&state, &options, &now), "");
            let _ = events::write(&mut io::sink(), feed(), job.accurate_reader(), engine::PIECE);
            let plain = Options { accurate: false, ..options.clone() };
            let old = Job { options: &plain, ours: &ours, now: &now };
            if let (Ok(before), Ok(after)) = (old.state(), job.state()) {
                let (old, new) = ((old.stable_reader(), before), (job.accurate_reader(), after));
                let _ = differences::write(&mut io::sink(), feed(), old, new, engine::PIECE);
            }
        }
        if let Ok(mut state) = job.state() {
            play(bytes, &mut state);
            let _ = state.finish();
            let _ = job.report(&mut io::sink(), &state);
        }
    }
}

fn create(path: &PathBuf) -> Result<Box<dyn Write + Send>, Failure> {
    let file = File::create(path)
        .map_err(|error| Failure::new(DIED, format!("fatal: cannot write {}: {}", path.display(), reason(&error))))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// "Nov 24", "Nov  4"
fn month_and_day(day: &jiff::Zoned) -> String {
    let month = usize::try_from(day.month()).ok().and_then(|month| MONTHS.get(month - 1)).unwrap_or(&"");
    format!("{month} {:2}", day.day())
}

#[cfg(test)]
mod tests {
    use super::super::tape::Tape;
    use super::*;
    use proptest::prelude::*;

    /// Options that have a part in reading or counting.
    const STABLE: &[&str] = &[
        "-e",
        "-i",
        "-m",
        "--smtpd-stats",
        "--zero-fill",
        "--rej-add-from",
        "--verp-mung=2",
        "--verbose-msg-detail",
        "--detail=3",
        "--reject-detail=0",
        "--deferral-detail=0",
        "--no-no-msg-size",
        "--problems-first",
        "--iso-date-time",
        "--bounce-detail=0",
        "-h=0",
        "-u=2",
    ];
    const NEWER: &[&str] = &[
        "-e",
        "-i",
        "--smtpd-stats",
        "--pscrn-stats",
        "--ssl-tls-stats",
        "--zero-fill",
        "--rej-add-from",
        "--rej-add-to",
        "--verbose-msg-detail",
        "--srs-mung",
        "--use-orig-to",
        "--colwidth=60",
        "--suppress=rdns-warnings",
        "-d=2026-11",
    ];

    fn logs() -> Vec<Vec<u8>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut places = vec![root.join("tests/data/pflogsumm")];
        places.extend(["../shared/logs/dev", "../../shared/logs/dev"].map(|place| root.join(place)));
        let mut logs = Vec::new();
        while let Some(place) = places.pop() {
            for path in std::fs::read_dir(&place).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                match path.extension().and_then(|end| end.to_str()) {
                    None if path.is_dir() => places.push(path),
                    Some("log") => logs.push(std::fs::read(&path).unwrap()),
                    _ => {}
                }
            }
        }
        // The large ones say nothing that the small ones do not, and take their time.
        logs.retain(|log| log.len() < 300_000);
        logs.sort();
        logs
    }

    fn options_of(newer: bool, args: &[&str]) -> Box<Options> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let today = jiff::civil::date(2026, 11, 24);
        let request = if newer { options::v130::parse("x", &args, today) } else { options::parse("x", &args) };
        match request {
            Request::Report(options, _) => options,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            count_anything(&bytes);
        }

        /// A log with some bytes changed comes further than one of chance.
        #[test]
        fn a_bent_log_is_borne(
            log in any::<proptest::sample::Index>(),
            from in any::<proptest::sample::Index>(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..200),
        ) {
            let logs = logs();
            let log = log.get(&logs);
            let from = from.index(log.len().max(1));
            let mut bytes = log[from..log.len().min(from + 4000)].to_vec();
            for (at, byte) in changes.iter().filter(|_| from < log.len()) {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            count_anything(&bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn a_report_is_the_same_at_any_split_and_thread_count(
            newer: bool,
            chosen in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
            log in any::<proptest::sample::Index>(),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
            threads in 2usize..6,
            size in 5_000usize..100_000,
        ) {
            let logs = logs();
            let log = log.get(&logs);
            let table = if newer { NEWER } else { STABLE };
            let args: Vec<&str> = chosen.iter().map(|index| *index.get(table)).collect();
            let options = options_of(newer, &args);
            let ours = Ours::default();
            let now = jiff::civil::datetime(2026, 11, 24, 12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
            let job = Job { options: &options, ours: &ours, now: &now };
            let report = |state: &mut State<'_>| {
                state.finish().unwrap();
                let mut text = Vec::new();
                job.report(&mut text, state).unwrap();
                String::from_utf8_lossy(&text).into_owned()
            };
            let feed = |bytes: &[u8]| Feed::of(Box::new(io::Cursor::new(bytes.to_vec())));
            let mut whole = job.state().unwrap();
            job.read(feed(log), 1, engine::PIECE, &mut whole).unwrap();
            let want = report(&mut whole);
            // In small pieces by several threads.
            let mut pieces = job.state().unwrap();
            job.read(feed(log), threads, size, &mut pieces).unwrap();
            prop_assert_eq!(&report(&mut pieces), &want);
            // In shards cut at any line, each read by itself and written down.
            let ends: Vec<usize> = memchr::memchr_iter(b'\n', log).map(|at| at + 1).collect();
            let mut cuts: Vec<usize> = cuts.iter().filter(|_| !ends.is_empty()).map(|cut| *cut.get(&ends)).collect();
            cuts.extend([0, log.len()]);
            cuts.sort_unstable();
            let mut merged = job.state().unwrap();
            for pair in cuts.windows(2) {
                let mut shard = Tape::portable();
                job.read(feed(&log[pair[0]..pair[1]]), 1, size, &mut shard).unwrap();
                prop_assert!(play(shard.bytes(), &mut merged));
            }
            prop_assert_eq!(&report(&mut merged), &want);
        }
    }
}
