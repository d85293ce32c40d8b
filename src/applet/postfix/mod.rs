//! postfix(1): start, stop and look after the mail system.

/// lint and explain.
mod analysis;
/// Leaving Berkeley DB.
mod non_bdb;

use super::cli;
use super::voice::{self, Voice};
use super::{Applet, Invocation, Purpose};
use crate::conf::check::Context;
use crate::conf::{MainCf, main_cf};
use crate::daemon::master::{self, Master, MasterError};
use crate::exit::{Exit, Failure};
use crate::log::{Event, Log};
use clap::{Arg, ArgAction, Command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const APPLET: Applet = Applet {
    name: "postfix",
    aliases: &[],
    links: &["sbin/postfix"],
    section: 1,
    purpose: Purpose::Run,
    about: "start, stop, reload and check the mail system",
    cli,
    run,
};

/// How long `postfix stop` waits for an orderly end.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

fn cli() -> Command {
    Command::new("postfix")
        .about("start, stop, reload and check the mail system")
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(Arg::new("D").short('D').action(ArgAction::SetTrue).help("without effect: there is no debugger to attach"))
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
        .arg(Arg::new("command").action(ArgAction::Append).num_args(0..).help(
            "start, start-fg, stop, abort, reload, check, lint, explain, status, flush, set-permissions, upgrade-configuration, logrotate, non-bdb",
        ))
}

/// The instance, and the voice in which the reference's script speaks.
struct Instance {
    cf: MainCf,
    log: Arc<Log>,
}

impl Instance {
    /// Said to a person at a terminal, and logged.
    fn say(&self, text: &str) {
        if io::stderr().is_terminal() {
            let _ = writeln!(io::stderr(), "postfix/postfix-script: {text}");
        }
        self.log.info(text);
    }

    /// A fatal error: logged, and on stderr also when that is no terminal (the reference is mute there).
    fn fatal(&self, text: impl Into<String>) -> Failure {
        let text = text.into();
        let _ = writeln!(io::stderr(), "postfix/postfix-script: fatal: {text}");
        self.log.event(&Event::Fatal(text.into_bytes().into()));
        Failure::silent(Exit::FAIL)
    }
}

const OPTIONS: &str = "c:Dv";
/// What who may not run the mail system is told.
const STRANGER: [&str; 2] =
    ["to submit mail, use the Postfix sendmail command", "the postfix command is reserved for the superuser"];
const USAGE: &str = "postfix [-c config_dir] [-Dv] command";

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut voice = Voice::of(call, "");
    let outcome = serve(call, &mut voice);
    voice.end(outcome)
}

fn serve(call: &Invocation, voice: &mut Voice) -> Result<Exit, Failure> {
    let directory = main_cf::directory(cli::directory(OPTIONS, &call.args).as_deref());
    // A full path: the daemons will look for it from the queue directory.
    let directory = std::fs::canonicalize(&directory).unwrap_or(directory);
    // Anyone may look at what anyone may read.
    if let Ok(parsed) = cli::getopt(OPTIONS, &call.args) {
        let words: Vec<String> = parsed.operands.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        match words.split_first() {
            Some((command, words)) if command == "lint" => return analysis::lint(&directory, words),
            Some((command, words)) if command == "explain" => return analysis::explain(&directory, words),
            _ => {}
        }
    }
    // The first act in the reference too: nothing works for a stranger.
    if !voice::controls(Some(&directory)) {
        voice.error(STRANGER[0]);
        return Err(Failure::fatal(STRANGER[1]));
    }
    let matches = cli::matches(cli(), OPTIONS, call, (Exit::FAIL, USAGE))?;
    let words: Vec<&String> = matches.get_many::<String>("command").into_iter().flatten().collect();
    let command = words.first().map_or("", |word| word.as_str());
    let cf = voice.configuration(Some(&directory), Exit::FAIL)?;
    let log = Arc::new(Log::open(&cf.syslog_name(), "postfix-script", &cf.syslog_facility(), &cf.maillog_file()));
    let instance = Instance { cf, log };
    // Once; the reference says it with each of up to twenty calls of postconf. Whoever started this process did already.
    if std::env::var_os("PILLARBOX_READY").is_none() {
        let postconf = Path::new(&instance.cf.command_directory()).join("postconf");
        super::postconf::tell_faults(&instance.cf, &postconf.to_string_lossy());
    }
    match command {
        "start" => start(&instance, false),
        "start-fg" => start(&instance, true),
        "stop" => stop(&instance, Signal::SIGTERM),
        // Deliveries that are under way are always let finish.
        "drain" => stop(&instance, Signal::SIGTERM),
        // A part of "restart", which goes on where nothing runs.
        "quick-stop" => stop(&instance, Signal::SIGTERM).or(Ok(Exit::OK)),
        "abort" => stop(&instance, Signal::SIGTERM),
        "reload" => reload(&instance),
        "check" => check(&instance, matches.get_count("v") > 0),
        "status" => status(&instance),
        "flush" => super::postqueue::flush_for_others(&instance.cf, &super::sendmail::Flush::All),
        "set-permissions" | "upgrade-configuration" => {
            prepare(&instance)?;
            Ok(Exit::OK)
        }
        "logrotate" => logrotate(&instance),
        "non-bdb" => non_bdb::run(&instance, &words),
        other => Err(instance.fatal(format!(
            "unknown command: '{other}'. Usage: postfix start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, logrotate)"
        ))),
    }
}

fn running(instance: &Instance) -> Result<i32, Failure> {
    master::running(&instance.cf).ok_or_else(|| instance.fatal("the Postfix mail system is not running"))
}

/// Makes the directories that are missing.
fn prepare(instance: &Instance) -> Result<(), Failure> {
    crate::conf::manifest::create_missing(&instance.cf).map(drop).map_err(|error| instance.fatal(error.to_string()))
}

/// `postfix check`, and the start of every start: says what is wrong, makes what is missing.
fn check(instance: &Instance, verbose: bool) -> Result<Exit, Failure> {
    let findings = crate::conf::check::run(&Context::new(instance.cf.directory().to_owned()));
    let mut fatal = false;
    if verbose {
        tell_ignored(&instance.cf);
    }
    for finding in &findings {
        let _ = writeln!(io::stderr(), "postfix/postfix-script: {finding}");
        instance.log.info(finding.to_string());
        fatal |= finding.is_fatal();
    }
    if fatal { Err(Failure::silent(Exit::FAIL)) } else { Ok(Exit::OK) }
}

/// `postfix -v check`: what main.cf sets and nothing here obeys.
fn tell_ignored(cf: &MainCf) {
    let mut set: Vec<(usize, &String)> = cf
        .settings()
        .iter()
        .filter(|(name, _)| crate::conf::params::find(name).is_some_and(|row| !row.honoured))
        .map(|(name, setting)| (setting.line, name))
        .collect();
    set.sort();
    for (line, name) in set {
        let file = cf.file();
        let _ = writeln!(
            io::stderr(),
            "postfix: {}, line {line}: {name} is accepted and has no effect here: {}",
            file.display(),
            crate::conf::unserved::reason(name)
        );
    }
}

fn start(instance: &Instance, foreground: bool) -> Result<Exit, Failure> {
    if master::running(&instance.cf).is_some() {
        return Err(instance.fatal("the Postfix mail system is already running"));
    }
    prepare(instance)?;
    check(instance, false).inspect_err(|_| instance.log.fatal("mail system configuration error"))?;
    instance.say_started();
    if foreground {
        let mut master = open_master(instance)?;
        master.run();
        return Ok(Exit::OK);
    }
    // The master is ourselves again, in a session of its own; it answers through a pipe when its endpoints are open.
    let (mut reader, writer) = io::pipe()?;
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg0("postfix").args(["-c"]).arg(instance.cf.directory()).arg("start-fg");
    command.env("PILLARBOX_READY", "1").stdin(Stdio::null()).stdout(writer).stderr(Stdio::inherit());
    crate::sys::spawn::new_session(&mut command);
    command.spawn()?;
    drop(command);
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer)?;
    if answer == b"ok" { Ok(Exit::OK) } else { Err(Failure::silent(Exit::FAIL)) }
}

impl Instance {
    fn say_started(&self) {
        if std::env::var_os("PILLARBOX_READY").is_none() {
            self.say("starting the Postfix mail system");
        }
    }
}

fn open_master(instance: &Instance) -> Result<Master, Failure> {
    let opened = Master::start(instance.cf.directory()).map_err(|error| match error {
        MasterError::AlreadyRunning => instance.fatal(error.to_string()),
        error => {
            instance.log.event_as("master", &Event::Fatal(error.to_string().into_bytes().into()));
            Failure::fatal(error)
        }
    })?;
    if std::env::var_os("PILLARBOX_READY").is_some() {
        // The pipe's other end waits for this and for the pipe to close: stdout and stderr go, as a daemon's do.
        let _ = io::stdout().write_all(b"ok").and_then(|()| io::stdout().flush());
        crate::sys::spawn::detach_standard_descriptors();
    }
    Ok(opened)
}

/// For sendmail -bd, which ends well whatever comes of it: the log tells.
pub fn start_for_sendmail(cf: &MainCf) -> Result<Exit, Failure> {
    if !voice::controls(Some(cf.directory())) {
        let log = Log::open(&cf.syslog_name(), "", &cf.syslog_facility(), &cf.maillog_file());
        log.event(&Event::Error(STRANGER[0].as_bytes().into()));
        log.fatal(STRANGER[1]);
        return Ok(Exit::OK);
    }
    let log = Log::open(&cf.syslog_name(), "postfix-script", &cf.syslog_facility(), &cf.maillog_file());
    start(&Instance { cf: cf.clone(), log: Arc::new(log) }, false).or(Ok(Exit::OK))
}

fn stop(instance: &Instance, signal: Signal) -> Result<Exit, Failure> {
    let pid = running(instance)?;
    instance.say("stopping the Postfix mail system");
    kill(Pid::from_raw(pid), signal).map_err(|errno| instance.fatal(format!("cannot stop: {errno}")))?;
    let end = Instant::now() + STOP_PATIENCE;
    while master::running(&instance.cf).is_some() {
        if Instant::now() > end {
            instance.say("stopping the Postfix mail system with force");
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Exit::OK)
}

fn reload(instance: &Instance) -> Result<Exit, Failure> {
    let pid = running(instance)?;
    instance.say("refreshing the Postfix mail system");
    kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|errno| instance.fatal(format!("cannot reload: {errno}")))?;
    Ok(Exit::OK)
}

fn status(instance: &Instance) -> Result<Exit, Failure> {
    match master::running(&instance.cf) {
        Some(pid) => {
            instance.say(&format!("the Postfix mail system is running: PID: {pid}"));
            Ok(Exit::OK)
        }
        None => {
            instance.say("the Postfix mail system is not running");
            Ok(Exit::FAIL)
        }
    }
}

/// Renames maillog_file with a time stamp; writers open the new one after the reload.
fn logrotate(instance: &Instance) -> Result<Exit, Failure> {
    let file = instance.cf.maillog_file();
    if file.is_empty() || file.starts_with("/dev/") {
        return Err(instance.fatal("empty 'maillog_file' parameter value - logfile rotation failed"));
    }
    let suffix = jiff::Zoned::now().strftime(&instance.cf.maillog_file_rotate_suffix()).to_string();
    std::fs::rename(&file, format!("{file}.{suffix}"))
        .map_err(|error| instance.fatal(format!("rename {file}: {error}")))?;
    reload(instance)
}
