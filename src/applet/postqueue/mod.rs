//! postqueue(1), and what mailq prints. Every refusal has status 69, as the reference has it.

/// Asking the queue manager to try again.
mod flush;
/// The forms of a listing.
mod listing;

use super::cli;
use super::sendmail::Flush;
use super::voice::Voice;
use super::{Applet, Invocation, Purpose};
use crate::conf::MainCf;
use crate::exit::{Exit, Failure};
use crate::queue::Queue;
use clap::{Arg, ArgAction, Command};
use listing::Form;
use std::fmt::Display;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Output, Stdio};

pub const APPLET: Applet = Applet {
    name: "postqueue",
    aliases: &[],
    links: &["sbin/postqueue"],
    section: 1,
    purpose: Purpose::Watch,
    about: "list and flush the mail queue",
    cli,
    run,
};

fn cli() -> Command {
    Command::new("postqueue")
        .about("list and flush the mail queue")
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(Arg::new("f").short('f').action(ArgAction::SetTrue).help("flush: try to deliver all queued mail"))
        .arg(Arg::new("i").short('i').value_name("QUEUE_ID").help("try to deliver this message now"))
        .arg(Arg::new("j").short('j').action(ArgAction::SetTrue).help("list the queue, one JSON object a line"))
        .arg(Arg::new("p").short('p').action(ArgAction::SetTrue).help("list the queue as mailq does"))
        .arg(Arg::new("s").short('s').value_name("SITE").help("try to deliver the mail for this site"))
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
}

const USAGE: &str = "postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";

/// A fatal error of this program.
fn unavailable(text: impl Display) -> Failure {
    Failure::new(Exit::UNAVAILABLE, format!("fatal: {text}"))
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut voice = Voice::of(call, "postqueue");
    let outcome = serve(call, &mut voice);
    voice.end(outcome)
}

fn serve(call: &Invocation, voice: &mut Voice) -> Result<Exit, Failure> {
    let matches = cli::matches(cli(), "c:fi:jps:v", call, (Exit::UNAVAILABLE, USAGE))?;
    let cf = voice.configuration(matches.get_one::<String>("c").map(Path::new), Exit::UNAVAILABLE)?;
    voice.enter_queue(&cf, Exit::UNAVAILABLE)?;
    let site = matches.get_one::<String>("s");
    let id = matches.get_one::<String>("i");
    match (matches.get_flag("p"), matches.get_flag("j"), matches.get_flag("f"), id, site) {
        (true, false, false, None, None) => list(&cf, voice, Form::Text),
        (false, true, false, None, None) => list(&cf, voice, Form::Json),
        (false, false, true, None, None) => flush::flush(&cf, voice, &Flush::All),
        (false, false, false, Some(id), None) => flush::flush(&cf, voice, &Flush::Message(id.clone())),
        (false, false, false, None, Some(site)) => flush::flush(&cf, voice, &Flush::Site(site.clone())),
        _ => Err(unavailable(format!("usage: {USAGE}"))),
    }
}

/// Runs as postqueue for another program, which speaks with its voice.
fn as_postqueue(cf: &MainCf, work: impl FnOnce(&Voice) -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    let mut voice = Voice::named("postqueue", "postqueue");
    voice.adopt(cf);
    let outcome = work(&voice);
    voice.end(outcome)
}

/// mailq
pub fn list_for_sendmail(cf: &MainCf) -> Result<Exit, Failure> {
    as_postqueue(cf, |voice| list(cf, voice, Form::Text))
}

/// sendmail -q, postfix flush
pub fn flush_for_others(cf: &MainCf, what: &Flush) -> Result<Exit, Failure> {
    as_postqueue(cf, |voice| flush::flush(cf, voice, what))
}

/// Lists the queue: from showq, through the set-gid postdrop for users, or from the queue itself when nothing runs.
fn list(cf: &MainCf, voice: &Voice, form: Form) -> Result<Exit, Failure> {
    listing::print(source(cf, voice)?, form)?;
    Ok(Exit::OK)
}

fn source(cf: &MainCf, voice: &Voice) -> Result<Box<dyn Read>, Failure> {
    let queue = Queue::new(cf);
    let error = match UnixStream::connect(queue.directory().join("public/showq")) {
        Ok(stream) => return Ok(Box::new(stream)),
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::PermissionDenied {
        let output = through_postdrop(cf, voice, &["-Q"])?;
        return Ok(Box::new(io::Cursor::new(output.stdout)));
    }
    let reason = format!("(Connect to the Postfix showq service: {})", crate::sys::files::reason(&error));
    // Whoever may read the queue does not need a daemon to do it.
    if std::fs::read_dir(queue.top("active")).is_err() {
        return Err(unavailable(format!("Queue report unavailable - mail system is down {reason}")));
    }
    voice.warning(format!("Mail system is down -- accessing queue directly {reason}"));
    let mut listing = Vec::new();
    crate::daemon::showq::list(&queue, &mut listing)?;
    Ok(Box::new(io::Cursor::new(listing)))
}

/// Has the set-gid postdrop do what the caller may not do himself; what it says is said in our name.
fn through_postdrop(cf: &MainCf, voice: &Voice, arguments: &[&str]) -> Result<Output, Failure> {
    let path = Path::new(&cf.command_directory()).join("postdrop");
    let mut command = std::process::Command::new(&path);
    command.args(arguments).arg("-c").arg(cf.directory()).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| unavailable(format!("execute {}: {}", path.display(), crate::sys::files::reason(&error))))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in said.lines() {
        if let Some(text) = line.strip_prefix("postdrop: warning: ") {
            voice.warning(text);
        } else if let Some(text) = line.strip_prefix("postdrop: fatal: ") {
            return Err(unavailable(text));
        }
    }
    if output.status.success() {
        Ok(output)
    } else {
        Err(unavailable(format!("{}: {}", path.display(), output.status)))
    }
}
