//! The command line of pflogsumm 1.1.5. What was typed ([`getopt`](super::getopt)) becomes [`Options`].

/// The dates of --date-range.
mod dates;
/// The command line of 1.3.0.
pub mod v130;

use super::getopt::{self, Takes};
use super::ours;
use std::ffi::OsString;
pub use v130::Newer;

/// Every option of 1.1.5.
const TABLE: &[(&str, Takes)] = &[
    ("bounce-detail", Takes::Number),
    ("d", Takes::Text),
    ("deferral-detail", Takes::Number),
    ("detail", Takes::Number),
    ("e", Takes::Nothing),
    ("h", Takes::Number),
    ("help", Takes::Nothing),
    ("i", Takes::Nothing),
    ("ignore-case", Takes::Nothing),
    ("iso-date-time", Takes::Nothing),
    ("m", Takes::Nothing),
    ("mailq", Takes::Nothing),
    ("no-bounce-detail", Takes::Nothing),
    ("no-deferral-detail", Takes::Nothing),
    ("no-no-msg-size", Takes::Nothing),
    ("no-reject-detail", Takes::Nothing),
    ("no-smtpd-warnings", Takes::Nothing),
    ("problems-first", Takes::Nothing),
    ("q", Takes::Nothing),
    ("rej-add-from", Takes::Nothing),
    ("reject-detail", Takes::Number),
    ("smtp-detail", Takes::Number),
    ("smtpd-stats", Takes::Nothing),
    ("smtpd-warning-detail", Takes::Number),
    ("syslog-name", Takes::Text),
    ("u", Takes::Number),
    ("uucp-mung", Takes::Nothing),
    ("verbose-msg-detail", Takes::Nothing),
    ("verp-mung", Takes::MaybeNumber),
    ("version", Takes::Nothing),
    ("zero-fill", Takes::Nothing),
];

/// Whose options, rules and report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 1.1.5
    #[default]
    Stable,
    /// 1.3.0
    Newer,
}

impl Version {
    /// The version of this name, "1.1.5" or its beginning.
    pub fn of(name: &str) -> Option<Version> {
        match name {
            "" | "1.1" | "1.1.5" => Some(Version::Stable),
            "1.3" | "1.3.0" => Some(Version::Newer),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Version::Stable => "1.1.5",
            Version::Newer => "1.3.0",
        }
    }
}

/// The day that a report is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    Today,
    Yesterday,
}

/// How many lines a section shows at most: all of them, none (the section is left out), or some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    All,
    None,
    First(usize),
}

impl Top {
    /// 0 is none, -1 all. Other negative numbers are also all, but only -1 gives way to --detail.
    fn of(value: Option<i64>, detail: Option<i64>) -> Top {
        let value = value.filter(|&value| value != -1).or(detail).unwrap_or(-1);
        match usize::try_from(value) {
            Ok(0) => Top::None,
            Ok(count) => Top::First(count),
            Err(_) => Top::All,
        }
    }

    pub fn limit(self) -> usize {
        match self {
            Top::All => usize::MAX,
            Top::None => 0,
            Top::First(count) => count,
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What only 1.3.0 knows; None makes the report that of 1.1.5.
    pub newer: Option<Newer>,
    /// Count right; never together with `newer`.
    pub accurate: bool,
    pub day: Option<Day>,
    pub hosts: Top,
    pub users: Top,
    pub bounces: Top,
    pub deferrals: Top,
    pub rejects: Top,
    pub smtp: Top,
    pub warnings: Top,
    pub extended: bool,
    pub ignore_case: bool,
    pub iso_date_time: bool,
    pub uucp: bool,
    pub mailq: bool,
    pub sizeless: bool,
    pub smtpd_warnings: bool,
    pub problems_first: bool,
    pub quiet: bool,
    pub rej_add_from: bool,
    pub smtpd_stats: bool,
    pub syslog_name: Vec<u8>,
    pub verbose: bool,
    /// --verp-mung; above 1 the aggressive kind.
    pub verp: Option<i64>,
    pub zero_fill: bool,
    pub files: Vec<OsString>,
}

impl Options {
    /// Whose rules lines are read by.
    pub fn rules(&self) -> &'static str {
        match self.newer {
            _ if self.accurate => "accurate",
            Some(_) => Version::Newer.name(),
            None => Version::Stable.name(),
        }
    }
}

/// What to do.
#[derive(Debug)]
pub enum Request {
    Report(Box<Options>, Vec<String>),
    Help,
    Version,
    /// A text for stdout instead of a report.
    Say(String),
    /// The lines for stderr before the usage.
    Wrong(Vec<String>),
}

/// Reads the command line. The strings beside a report are warnings about deprecated options.
pub fn parse(program: &str, args: &[OsString]) -> Request {
    let parsed = getopt::parse(TABLE, args);
    if !parsed.errors.is_empty() {
        return Request::Wrong(parsed.errors);
    }
    let flag = |name: &str| parsed.flag(name);
    let number = |name: &str| parsed.number(name);
    let text = |name: &str| parsed.text(name).map(<[u8]>::to_vec);
    if flag("help") {
        return Request::Help;
    }
    if flag("version") {
        return Request::Version;
    }
    let day = match text("d").as_deref() {
        None => None,
        Some(b"today") => Some(Day::Today),
        Some(b"yesterday") => Some(Day::Yesterday),
        Some(_) => return Request::Wrong(Vec::new()),
    };
    let mut warnings = Vec::new();
    let mut limit = |name: &str, old: &str, new: &str| {
        if !old.is_empty() && flag(&format!("no-{old}")) {
            let old = old.replace('-', "_");
            warnings.push(format!("{program}: \"no_{old}\" is deprecated, use \"{new}=0\" instead"));
            return Top::None;
        }
        Top::of(number(name), number("detail"))
    };
    let options = Options {
        newer: None,
        accurate: false,
        day,
        bounces: limit("bounce-detail", "bounce-detail", "bounce-detail"),
        deferrals: limit("deferral-detail", "deferral-detail", "deferral-detail"),
        rejects: limit("reject-detail", "reject-detail", "reject-detail"),
        warnings: limit("smtpd-warning-detail", "smtpd-warnings", "smtpd-warning-detail"),
        smtp: limit("smtp-detail", "", ""),
        hosts: limit("h", "", ""),
        users: limit("u", "", ""),
        extended: flag("e"),
        ignore_case: flag("i") || flag("ignore-case"),
        iso_date_time: flag("iso-date-time"),
        uucp: flag("m") || flag("uucp-mung"),
        mailq: flag("mailq"),
        sizeless: !flag("no-no-msg-size"),
        smtpd_warnings: !flag("no-smtpd-warnings"),
        problems_first: flag("problems-first"),
        quiet: flag("q"),
        rej_add_from: flag("rej-add-from"),
        smtpd_stats: flag("smtpd-stats"),
        syslog_name: text("syslog-name").filter(|name| !name.is_empty()).unwrap_or_else(|| b"postfix".to_vec()),
        verbose: flag("verbose-msg-detail"),
        verp: number("verp-mung"),
        zero_fill: flag("zero-fill"),
        files: parsed.files.clone(),
    };
    Request::Report(Box::new(options), warnings)
}

/// The usage text; programs and people know it, so its form is the reference's.
pub fn usage(program: &str) -> String {
    const OPTIONS: &[&str] = &[
        "-[eq] [-d <today|yesterday>] [--detail <cnt>]",
        "[--bounce-detail <cnt>] [--deferral-detail <cnt>]",
        "[-h <cnt>] [-i|--ignore-case] [--iso-date-time] [--mailq]",
        "[-m|--uucp-mung] [--no-no-msg-size] [--problems-first]",
        "[--rej-add-from] [--reject-detail <cnt>] [--smtp-detail <cnt>]",
        "[--smtpd-stats] [--smtpd-warning-detail <cnt>]",
        "[--syslog-name=string] [-u <cnt>] [--verbose-msg-detail]",
        "[--verp-mung[=<n>]] [--zero-fill] [file1 [filen]]",
    ];
    format!("usage: {program} {}\n\n       {program} --[version|help]", OPTIONS.join("\n\t"))
}

/// The command line as clap knows it: for the manual page and completions. Parsing is Getopt::Long's.
pub fn command() -> clap::Command {
    let mut command = clap::Command::new("pflogsumm").disable_help_flag(true).disable_version_flag(true);
    for (name, takes) in TABLE.iter().filter(|(name, _)| !matches!(*name, "i" | "m") && !DEPRECATED.contains(name)) {
        let arg = clap::Arg::new(*name);
        let arg = match name.chars().next().filter(|_| name.len() == 1) {
            Some(letter) => arg.short(letter),
            None => arg.long(*name),
        };
        let arg = match *name {
            "ignore-case" => arg.short('i'),
            "uucp-mung" => arg.short('m'),
            _ => arg,
        };
        let help = HELP.iter().find(|(known, _)| known == name).map_or("", |(_, help)| help);
        command = command.arg(match takes {
            Takes::Nothing => arg.help(help).action(clap::ArgAction::SetTrue),
            Takes::MaybeNumber => arg.help(help).num_args(0..=1).value_name("N"),
            Takes::Number => arg.help(help).value_name("N"),
            Takes::Text => arg.help(help).value_name(if *name == "d" { "DAY" } else { "NAME" }),
        });
    }
    for (name, value, help) in ours::TABLE {
        let arg = clap::Arg::new(*name).long(*name).help(*help);
        command = command.arg(match value {
            Some(value) => arg.value_name(*value),
            None => arg.action(clap::ArgAction::SetTrue),
        });
    }
    command.arg(clap::Arg::new("file").value_name("FILE").num_args(0..).help("logs, oldest first; else standard input"))
}

/// Still taken, with a warning.
const DEPRECATED: &[&str] = &["no-bounce-detail", "no-deferral-detail", "no-reject-detail", "no-smtpd-warnings"];

/// One line for each option.
const HELP: &[(&str, &str)] = &[
    ("bounce-detail", "show N reasons a relay in the bounce section; 0 leaves the section out"),
    ("d", "report on one day: today or yesterday"),
    ("deferral-detail", "show N reasons in the deferral section; 0 leaves it out"),
    ("detail", "N for every section that has no number of its own"),
    ("e", "also list sender and recipients of each message"),
    ("h", "show N hosts and domains"),
    ("help", "show the usage"),
    ("ignore-case", "take whole addresses, not only domains, as lower case"),
    ("iso-date-time", "write dates as 2026-11-24 and hours as 12:00"),
    ("mailq", "end with the output of mailq"),
    ("no-no-msg-size", "leave out the messages whose size is not in the log"),
    ("problems-first", "begin with the problem sections"),
    ("q", "no headings for empty sections"),
    ("rej-add-from", "add the sender to what reject sections list"),
    ("reject-detail", "show N lines a reason in the reject sections; 0 leaves them out"),
    ("smtp-detail", "show N hosts a failure in the delivery failure section; 0 leaves it out"),
    ("smtpd-stats", "add statistics of smtpd connections"),
    ("smtpd-warning-detail", "show N warnings a program; 0 leaves the section out"),
    ("syslog-name", "read the lines of this syslog_name beside postfix"),
    ("u", "show N senders and recipients"),
    ("uucp-mung", "turn host!user@next into next!user@host"),
    ("verbose-msg-detail", "do not cut reasons short"),
    ("verp-mung", "replace numbers in list senders' addresses; 2 removes the member, too"),
    ("version", "show the version"),
    ("zero-fill", "fill the columns of days without rejects with 0"),
];
