//! postfix(1): start, stop and look after the mail system.

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
            "start, start-fg, stop, abort, reload, check, lint, explain, status, flush, set-permissions, upgrade-configuration, logrotate",
        ))
}

/// The instance, and the voice in which the reference's script speaks.
struct Instance {
    cf: MainCf,
    log: Log,
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
            Some((command, words)) if command == "lint" => return lint(&directory, words),
            Some((command, words)) if command == "explain" => return explain(&directory, words),
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
    let log = Log::open(&cf.syslog_name(), "postfix-script", &cf.syslog_facility(), &cf.maillog_file());
    let instance = Instance { cf, log };
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

/// `postfix lint [--json] [--explain LINT]`: 0 nothing found, 1 warnings, 2 errors. Findings go to standard output.
fn lint(directory: &Path, words: &[String]) -> Result<Exit, Failure> {
    use crate::lint::{LINTS, Level, render};
    let mut out = io::stdout().lock();
    match words.iter().map(|word| word.as_str()).collect::<Vec<_>>()[..] {
        [] => {}
        ["--json"] => {}
        ["--explain", name] => {
            let Some(lint) = LINTS.iter().find(|lint| lint.name == name) else {
                let names: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
                return Err(Failure::fatal(format!("there is no lint {name}; there are: {}", names.join(", "))));
            };
            out.write_all(lint.page.as_bytes())?;
            return Ok(Exit::OK);
        }
        _ => return Err(Failure::fatal("usage: postfix [-c config_dir] lint [--json | --explain LINT]")),
    }
    let (ground, findings) = crate::lint::run(directory).map_err(|text| {
        let _ = writeln!(io::stderr(), "postfix: fatal: {text}");
        Failure::silent(Exit(2))
    })?;
    let colour = out.is_terminal();
    for finding in &findings {
        if words.is_empty() {
            writeln!(out, "{}", render::text(&ground, finding, colour))?;
        } else {
            writeln!(out, "{}", render::json(&ground, finding))?;
        }
    }
    Ok(match findings.iter().map(|finding| finding.level).max() {
        None => Exit::OK,
        Some(Level::Warning) => Exit(1),
        Some(Level::Error) => Exit(2),
    })
}

/// `postfix explain --from S --to R [--client IP [--helo NAME]] [--json]`: 0 the mail is taken, 1 it is refused or comes
/// back, 75 it is put off. Without a client it is a user's, by sendmail.
fn explain(directory: &Path, words: &[String]) -> Result<Exit, Failure> {
    use crate::explain::{Question, Verdict};
    use crate::message::envelope;
    const USAGE: &str =
        "postfix [-c config_dir] explain --from SENDER --to RECIPIENT [--client IP [--helo NAME]] [--json]";
    let usage = || Failure::fatal(format!("usage: {USAGE}"));
    let (mut question, mut json, mut to) =
        (Question { client: None, helo: None, sender: String::new(), recipient: String::new() }, false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.as_str() == "--json" {
            json = true;
            continue;
        }
        let value = words.next().ok_or_else(usage)?;
        let address = || envelope::unquote(value.trim_start_matches('<').trim_end_matches('>'));
        match word.as_str() {
            "--from" => question.sender = address(),
            "--to" => (question.recipient, to) = (address(), true),
            "--helo" => question.helo = Some(value.clone()),
            "--client" => {
                let client = value.parse().map_err(|_| Failure::fatal(format!("{value} is no address")))?;
                question.client = Some(client);
            }
            _ => return Err(usage()),
        }
    }
    if !to {
        return Err(usage());
    }
    let cf = MainCf::read(directory).map_err(Failure::fatal)?;
    let (steps, verdict) = crate::explain::explain(&cf, &question).map_err(Failure::fatal)?;
    let mut out = io::stdout().lock();
    if json {
        let value = serde_json::json!({ "steps": steps, "outcome": verdict });
        writeln!(out, "{value}")?;
    } else {
        out.write_all(crate::explain::text(&steps, &verdict).as_bytes())?;
    }
    Ok(match &verdict {
        Verdict::Delivered => Exit::OK,
        Verdict::Refused { reply } if reply.starts_with('4') => Exit::TEMPFAIL,
        Verdict::Refused { .. } | Verdict::Returned { .. } => Exit::FAIL,
        Verdict::Deferred { .. } => Exit::TEMPFAIL,
    })
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
    start(&Instance { cf: cf.clone(), log }, false).or(Ok(Exit::OK))
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
