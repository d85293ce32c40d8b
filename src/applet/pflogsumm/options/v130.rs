//! The command line of pflogsumm 1.3.0: more options and long names, a configuration file, and a range of dates.

use super::dates;
use super::{Options, Request, Top};
use crate::applet::pflogsumm::getopt::{self, Parsed, Takes};
use crate::sys::files::reason;
use jiff::civil::Date;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Every option of 1.3.0.
const TABLE: &[(&str, Takes)] = &[
    ("bounce-detail", Takes::Number),
    ("colwidth", Takes::Number),
    ("config", Takes::Text),
    ("d", Takes::Text),
    ("date-range", Takes::Text),
    ("debug", Takes::Text),
    ("deferral-detail", Takes::Number),
    ("detail", Takes::Number),
    ("dow0mon", Takes::Nothing),
    ("dump-config", Takes::Nothing),
    ("e", Takes::Nothing),
    ("expired-detail", Takes::Number),
    ("extended-detail", Takes::Nothing),
    ("h", Takes::Number),
    ("help", Takes::Nothing),
    ("host-cnt", Takes::Number),
    ("i", Takes::Nothing),
    ("ignore-case", Takes::Nothing),
    ("iso-date-time", Takes::Nothing),
    ("m", Takes::Nothing),
    ("mailq", Takes::Nothing),
    ("no-no-msg-size", Takes::Nothing),
    ("problems-first", Takes::Nothing),
    ("pscrn-detail", Takes::Number),
    ("pscrn-stats", Takes::Nothing),
    ("q", Takes::Nothing),
    ("quiet", Takes::Nothing),
    ("rej-add-from", Takes::Nothing),
    ("rej-add-to", Takes::Nothing),
    ("reject-detail", Takes::Number),
    ("smtp-detail", Takes::Number),
    ("smtpd-stats", Takes::Nothing),
    ("smtpd-warning-detail", Takes::Number),
    ("srs-mung", Takes::Nothing),
    ("ssl-tls-stats", Takes::Nothing),
    ("suppress", Takes::Text),
    ("syslog-name", Takes::Text),
    ("u", Takes::Number),
    ("unprocd-file", Takes::Text),
    ("use-orig-to", Takes::Nothing),
    ("user-cnt", Takes::Number),
    ("uucp-mung", Takes::Nothing),
    ("verbose-msg-detail", Takes::Nothing),
    ("verp-mung", Takes::MaybeNumber),
    ("version", Takes::Nothing),
    ("warning-detail", Takes::Number),
    ("x", Takes::Text),
    ("zero-fill", Takes::Nothing),
];

/// Short and older names and what they stand for.
const SAME: &[(&str, &str)] = &[
    ("d", "date-range"),
    ("e", "extended-detail"),
    ("h", "host-cnt"),
    ("i", "ignore-case"),
    ("m", "uucp-mung"),
    ("q", "quiet"),
    ("smtpd-warning-detail", "warning-detail"),
    ("u", "user-cnt"),
    ("x", "debug"),
];

/// The largest configuration file that is read.
const LARGEST: u64 = 1024 * 1024;

/// What only 1.3.0 knows.
#[derive(Clone, Debug)]
pub struct Newer {
    /// Columns of a report line; None: no limit.
    pub width: Option<usize>,
    pub expired: Top,
    pub screen: Top,
    pub screen_stats: bool,
    pub rej_add_to: bool,
    pub srs: bool,
    pub original_to: bool,
    pub tls_stats: bool,
    pub suppress: Suppress,
    pub unprocessed: Option<PathBuf>,
    pub debug: Option<PathBuf>,
    /// First and last day.
    pub range: Option<(Date, Date)>,
    /// Lines that begin the report.
    pub notices: Vec<String>,
}

/// --suppress: parts that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppress {
    /// "host/domain"
    pub hosts: bool,
    /// "per-hour"
    pub hours: bool,
    /// "rdns-warnings"
    pub names: bool,
    /// "size-detail"
    pub sizes: bool,
}

impl Suppress {
    const NAMES: [&str; 4] = ["host/domain", "per-hour", "rdns-warnings", "size-detail"];

    /// Reads a list of names, apart by blanks or commas.
    fn read(list: &str) -> Option<Suppress> {
        let mut suppress = Suppress::default();
        for name in list.split([' ', ',', '\t']).filter(|name| !name.is_empty()) {
            match name {
                "host/domain" => suppress.hosts = true,
                "per-hour" => suppress.hours = true,
                "rdns-warnings" => suppress.names = true,
                "size-detail" => suppress.sizes = true,
                _ => return None,
            }
        }
        Some(suppress)
    }
}

/// Reads the command line; `today` is the date that relative ranges count from.
pub fn parse(program: &str, args: &[OsString], today: Date) -> Request {
    let mut parsed = getopt::parse(TABLE, args);
    if !parsed.errors.is_empty() {
        return Request::Wrong(parsed.errors);
    }
    if parsed.flag("help") {
        return Request::Help;
    }
    if parsed.flag("version") {
        return Request::Version;
    }
    let notices = underscored(program, args);
    if let Some(file) = parsed.text("config") {
        match configuration(OsStr::from_bytes(file)) {
            Ok(mut given) => {
                // The command line comes after the file, and so wins.
                given.append(&mut parsed.given);
                parsed.given = given;
            }
            Err(lines) => return Request::Wrong(lines),
        }
    }
    if parsed.flag("dump-config") {
        return Request::Say(dump(&parsed));
    }
    let suppress = match either_text(&parsed, "suppress") {
        None => Suppress::default(),
        Some(list) if list == "help" => return Request::Say(Suppress::NAMES.join("\n") + "\n"),
        Some(list) => match Suppress::read(&list) {
            Some(suppress) => suppress,
            None => return Request::Wrong(vec![format!("{program}: unknown report in --suppress \"{list}\"")]),
        },
    };
    let range = match either_text(&parsed, "date-range") {
        None => None,
        Some(text) => match dates::range(&text, today, parsed.flag("dow0mon")) {
            Some(range) => Some(range),
            None => return Request::Wrong(vec![format!("{program}: invalid date or date range \"{text}\"")]),
        },
    };
    let top = |name: &str| Top::of(either_number(&parsed, name), parsed.number("detail"));
    let flag = |name: &str| parsed.flag(name) || short(name).any(|short| parsed.flag(short));
    let path = |name: &str| either_bytes(&parsed, name).map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)));
    let width = usize::try_from(parsed.number("colwidth").unwrap_or(80)).unwrap_or(80);
    let newer = Newer {
        width: (width > 0).then_some(width),
        expired: top("expired-detail"),
        screen: top("pscrn-detail"),
        screen_stats: flag("pscrn-stats"),
        rej_add_to: flag("rej-add-to"),
        srs: flag("srs-mung"),
        original_to: flag("use-orig-to"),
        tls_stats: flag("ssl-tls-stats"),
        suppress,
        unprocessed: path("unprocd-file"),
        debug: path("debug"),
        range,
        notices,
    };
    let syslog_name = either_bytes(&parsed, "syslog-name").filter(|name| !name.is_empty()).unwrap_or(b"postfix");
    let options = Options {
        newer: Some(newer),
        accurate: false,
        day: None,
        bounces: top("bounce-detail"),
        deferrals: top("deferral-detail"),
        rejects: top("reject-detail"),
        warnings: top("warning-detail"),
        // --smtp-detail is taken and means nothing.
        smtp: Top::All,
        hosts: top("host-cnt"),
        users: top("user-cnt"),
        extended: flag("extended-detail"),
        ignore_case: flag("ignore-case"),
        iso_date_time: flag("iso-date-time"),
        uucp: flag("uucp-mung"),
        mailq: flag("mailq"),
        sizeless: !flag("no-no-msg-size"),
        smtpd_warnings: true,
        problems_first: flag("problems-first"),
        quiet: flag("quiet"),
        rej_add_from: flag("rej-add-from"),
        smtpd_stats: flag("smtpd-stats"),
        syslog_name: syslog_name.to_vec(),
        verbose: flag("verbose-msg-detail"),
        verp: parsed.number("verp-mung"),
        zero_fill: flag("zero-fill"),
        files: parsed.files.clone(),
    };
    Request::Report(Box::new(options), Vec::new())
}

/// The other names of an option.
fn short(name: &str) -> impl Iterator<Item = &'static str> {
    SAME.iter().filter(move |(_, long)| *long == name).map(|(short, _)| *short)
}

fn either_number(parsed: &Parsed, name: &str) -> Option<i64> {
    parsed.number(name).or_else(|| short(name).find_map(|short| parsed.number(short)))
}

fn either_bytes<'a>(parsed: &'a Parsed, name: &str) -> Option<&'a [u8]> {
    parsed.text(name).or_else(|| short(name).find_map(|short| parsed.text(short)))
}

fn either_text(parsed: &Parsed, name: &str) -> Option<String> {
    either_bytes(parsed, name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// A line for each option that is spelled with underscores.
fn underscored(program: &str, args: &[OsString]) -> Vec<String> {
    let options = args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--");
    let names = options.filter_map(|arg| {
        let name = arg.strip_prefix("--")?.split('=').next().unwrap_or_default().to_owned();
        name.contains('_').then_some(name)
    });
    names
        .map(|name| {
            format!("{program}: option \"--{name}\" is deprecated, use \"--{}\" instead", name.replace('_', "-"))
        })
        .collect()
}

/// The options of a file: "name value", "name = value" or "name: value" a line; "#" and ";" begin comments, "[...]"
/// a section, which means nothing here.
fn configuration(file: &OsStr) -> Result<Vec<getopt::Given>, Vec<String>> {
    use std::io::Read;
    let wrong = |error: &std::io::Error| vec![format!("Can't open {}: {}.", file.to_string_lossy(), reason(error))];
    let mut text = Vec::new();
    let source = std::fs::File::open(file).map_err(|error| wrong(&error))?;
    source.take(LARGEST).read_to_end(&mut text).map_err(|error| wrong(&error))?;
    let mut args = Vec::new();
    for line in String::from_utf8_lossy(&text).lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '[']) {
            continue;
        }
        let end = line.find(['=', ':', ' ', '\t']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let value = rest.trim_start_matches(['=', ':', ' ', '\t']).trim_matches(['"', '\'']);
        let name = name.trim_start_matches('-').replace('_', "-");
        let takes = TABLE.iter().find(|(known, _)| *known == name).map(|(_, takes)| *takes);
        match takes {
            Some(Takes::Nothing) => match value {
                "0" | "no" | "off" | "false" => {}
                _ => args.push(OsString::from(format!("--{name}"))),
            },
            _ if value.is_empty() => args.push(OsString::from(format!("--{name}"))),
            _ => args.push(OsString::from(format!("--{name}={value}"))),
        }
    }
    let parsed = getopt::parse(TABLE, &args);
    if parsed.errors.is_empty() { Ok(parsed.given) } else { Err(parsed.errors) }
}

/// The options given, in the form of a configuration file.
fn dump(parsed: &Parsed) -> String {
    let long = |name: &'static str| SAME.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| *long);
    let mut lines: Vec<String> = Vec::new();
    for given in &parsed.given {
        let (name, value) = match given {
            getopt::Given::Flag(name) => (long(name), "1".to_owned()),
            getopt::Given::Number(name, number) => (long(name), number.to_string()),
            getopt::Given::Text(name, text) => (long(name), String::from_utf8_lossy(text).into_owned()),
        };
        if matches!(name, "config" | "dump-config") {
            continue;
        }
        lines.retain(|line| line.split(' ').next() != Some(name));
        lines.push(format!("{name} = {value}"));
    }
    lines.sort();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The usage text.
pub fn usage(program: &str) -> String {
    let mut text = format!("usage: {program}");
    let mut column = text.len();
    for (name, takes) in TABLE.iter().filter(|(name, _)| !matches!(*name, "help" | "version" | "dump-config")) {
        if SAME.iter().any(|(_, long)| long == name) || *name == "smtp-detail" || *name == "smtpd-warning-detail" {
            continue;
        }
        let dash = if name.len() == 1 { "-" } else { "--" };
        let value = match takes {
            Takes::Nothing => "",
            Takes::Number => " <cnt>",
            Takes::MaybeNumber => "[=<n>]",
            Takes::Text => " <text>",
        };
        let word = format!(" [{dash}{name}{value}]");
        if column + word.len() > 76 {
            text.push_str("\n\t");
            column = 8;
        }
        column += word.len();
        text.push_str(&word);
    }
    format!("{text} [file1 [filen]]\n\n       {program} --[dump-config|help|version]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Options {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse("pflogsumm", &args, jiff::civil::date(2026, 11, 24)) {
            Request::Report(options, _) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn long_and_short_names_are_the_same() {
        for line in ["-q -h 3 -d today", "--quiet --host-cnt=3 --date-range today", "--qui --host 3 --date today"] {
            let options = read(line);
            assert!(options.quiet);
            assert_eq!(options.hosts, Top::First(3));
            assert!(options.newer.unwrap().range.is_some());
        }
    }

    #[test]
    fn suppressed_parts() {
        assert_eq!(
            Suppress::read("per-hour, size-detail").map(|it| (it.hours, it.sizes, it.hosts)),
            Some((true, true, false))
        );
        assert_eq!(Suppress::read("hours"), None);
    }
}
