//! postlog(1): logs text in the mail system's manner, for scripts.

use super::cli;
use super::voice::Voice;
use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use crate::log::{Event, Log};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

pub const APPLET: Applet = Applet {
    name: "postlog",
    aliases: &[],
    links: &["sbin/postlog"],
    section: 1,
    purpose: Purpose::Watch,
    about: "write a line to the mail log",
    cli,
    run,
};

fn cli() -> Command {
    Command::new("postlog")
        .about("write a line to the mail log")
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(Arg::new("i").short('i').action(ArgAction::SetTrue).help("with the process id (always so here)"))
        .arg(Arg::new("p").short('p').value_name("PRIORITY").help("info (default), warn, error, fatal or panic"))
        .arg(Arg::new("t").short('t').value_name("TAG").help("the program's name in the line"))
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
        .arg(Arg::new("text").action(ArgAction::Append).num_args(0..).value_parser(clap::value_parser!(OsString)))
}

const USAGE: &str = "postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]";

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut voice = Voice::at_terminal("postlog");
    let outcome = serve(call, &mut voice);
    voice.end(outcome)
}

/// Levels by name, and what they make of a text.
type Level = fn(Vec<u8>) -> Event<'static>;
const LEVELS: &[(&str, Level)] = &[
    ("info", |text| Event::Other(text.into())),
    ("warn", |text| Event::Warning(text.into())),
    ("warning", |text| Event::Warning(text.into())),
    ("error", |text| Event::Error(text.into())),
    ("err", |text| Event::Error(text.into())),
    ("fatal", |text| Event::Fatal(text.into())),
    ("crit", |text| Event::Fatal(text.into())),
    ("panic", |text| Event::Panic(text.into())),
];

fn serve(call: &Invocation, voice: &mut Voice) -> Result<Exit, Failure> {
    let matches = cli::matches(cli(), "c:ip:t:v", call, (Exit::FAIL, USAGE))?;
    let cf = voice.configuration(matches.get_one::<String>("c").map(Path::new), Exit::FAIL)?;
    let priority = matches.get_one::<String>("p").map_or("info", String::as_str);
    let named = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(priority));
    let (_, make) = named.ok_or_else(|| Failure::fatal(format!("bad severity: \"{priority}\"")))?;
    let tag = matches.get_one::<String>("t").cloned().unwrap_or_else(|| format!("{}/postlog", cf.syslog_name()));
    let (name, service) = tag.split_once('/').unwrap_or((tag.as_str(), ""));
    let log = Log::open(name, service, &cf.syslog_facility(), &cf.maillog_file());
    // A person at a terminal sees what is logged, as the reference does it.
    let log = if io::stderr().is_terminal() { log.with_stderr(&tag) } else { log };
    let say = |text: Vec<u8>| log.event(&make(text));
    let words: Vec<String> = matches
        .get_many::<OsString>("text")
        .into_iter()
        .flatten()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if !words.is_empty() {
        say(words.join(" ").into_bytes());
        return Ok(Exit::OK);
    }
    for line in io::stdin().lock().split(b'\n') {
        say(line?);
    }
    Ok(Exit::OK)
}
