//! postlock(1): runs a command while a mail folder is locked as the mail system locks it.

use super::cli;
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::sys::lock::{self, Dotlock, Kind, Patience};
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

const USAGE: &str = "postlock [-c config_dir] [-l lock_style] [-v] folder command...";

pub const APPLET: Applet = Applet {
    name: "postlock",
    aliases: &[],
    links: &["sbin/postlock"],
    section: 1,
    purpose: Purpose::Run,
    about: "run a command while a mail folder is locked",
    cli,
    run,
};

fn cli() -> Command {
    Command::new("postlock")
        .about(APPLET.about)
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(
            Arg::new("l")
                .short('l')
                .value_name("STYLES")
                .help("flock, fcntl, dotlock; mailbox_delivery_lock by default"),
        )
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
        .arg(
            Arg::new("words")
                .value_names(["FILE", "COMMAND"])
                .num_args(0..)
                .action(ArgAction::Append)
                .value_parser(value_parser!(OsString))
                .help("the folder, and the command with its arguments"),
        )
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let fatal = |text: String| Failure::new(Exit::TEMPFAIL, format!("fatal: {text}"));
    let matches = cli::matches(cli(), "c:l:v", call, (Exit::TEMPFAIL, USAGE))?;
    let words: Vec<&OsString> = matches.get_many::<OsString>("words").into_iter().flatten().collect();
    let [folder, program, arguments @ ..] = words.as_slice() else {
        return Err(fatal(format!("usage: {USAGE}")));
    };
    let directory = main_cf::directory(matches.get_one::<String>("c").map(Path::new));
    let cf = MainCf::read(&directory).map_err(|error| fatal(error.to_string()))?;
    let styles = MainCf::list(matches.get_one::<String>("l").unwrap_or(&cf.mailbox_delivery_lock()));
    if let Some(unknown) = styles.iter().find(|style| !["flock", "fcntl", "dotlock"].contains(&style.as_str())) {
        return Err(fatal(format!("unknown mailbox lock style: {unknown}")));
    }
    let wants = |style: &str| styles.iter().any(|wanted| wanted == style);
    let folder = Path::new(folder);
    let patience = Patience {
        attempts: u32::try_from(cf.deliver_lock_attempts()).unwrap_or(20),
        delay: cf.deliver_lock_delay(),
        stale_after: cf.stale_lock_time(),
    };
    let failed =
        |error: std::io::Error| fatal(format!("lock {}: {}", folder.display(), crate::sys::files::reason(&error)));
    let busy = || fatal(format!("unable to lock {} for exclusive access", folder.display()));
    let unlocked = |error: std::io::Error| {
        let (folder, reason) = (folder.display(), crate::sys::files::reason(&error));
        fatal(format!("open file {folder}: unable to create lock file {folder}.lock: {reason}"))
    };
    let dotlock = if wants("dotlock") {
        Some(Dotlock::acquire(folder, patience).map_err(unlocked)?.ok_or_else(busy)?)
    } else {
        None
    };
    let file = File::options().read(true).append(true).open(folder).map_err(failed)?;
    if wants("fcntl") && !lock::fcntl(&file, Kind::Exclusive, patience).map_err(failed)? {
        return Err(busy());
    }
    let flock = if wants("flock") {
        Some(lock::try_flock(file.try_clone().map_err(failed)?).map_err(failed)?.ok_or_else(busy)?)
    } else {
        None
    };
    let status = std::process::Command::new(program)
        .args(arguments)
        .status()
        .map_err(|error| fatal(format!("{}: {}", program.to_string_lossy(), crate::sys::files::reason(&error))))?;
    drop((flock, dotlock));
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(75);
    Ok(Exit(u8::try_from(code).unwrap_or(75)))
}
