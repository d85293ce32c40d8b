//! postkick(1): sends a request to a service of the mail system, for scripts (`postkick public pickup W`).

use super::cli;
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::ipc::trigger;
use clap::{Arg, ArgAction, Command};
use std::io::{ErrorKind, Write};
use std::path::Path;

const USAGE: &str = "postkick [-c config_dir] [-v] class service request";

pub const APPLET: Applet = Applet {
    name: "postkick",
    aliases: &[],
    links: &["sbin/postkick"],
    section: 1,
    purpose: Purpose::Run,
    about: "wake a service of the mail system",
    cli,
    run,
};

fn cli() -> Command {
    Command::new("postkick")
        .about(APPLET.about)
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
        .arg(
            Arg::new("words")
                .value_names(["CLASS", "SERVICE", "REQUEST"])
                .num_args(0..)
                .action(ArgAction::Append)
                .help("public or private, the service's name, and the request: W, I, D, F, A"),
        )
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let usage = || Failure::fatal(format!("usage: {USAGE}"));
    let matches = cli::matches(cli(), "c:v", call, (Exit::FAIL, USAGE))?;
    let words: Vec<&String> = matches.get_many::<String>("words").into_iter().flatten().collect();
    let [class, service, request] = words.as_slice() else { return Err(usage()) };
    // The words become a path below the queue directory, and must stay there.
    if !matches!(class.as_str(), "public" | "private") || service.contains('/') || service.starts_with('.') {
        return Err(usage());
    }
    let directory = main_cf::directory(matches.get_one::<String>("c").map(Path::new));
    let cf = MainCf::read(&directory).map_err(Failure::fatal)?;
    let socket = Path::new(&cf.queue_directory()).join(class.as_str()).join(service.as_str());
    let shown = format!("{class}/{service}");
    let Err(error) = trigger::send(&socket, request.as_bytes()) else { return Ok(Exit::OK) };
    let reason = crate::sys::files::reason(&error);
    let what = if error.kind() == ErrorKind::NotFound { "unable to look up" } else { "connect to" };
    let mut err = std::io::stderr().lock();
    writeln!(err, "{}: warning: {what} {shown}: {reason}", call.program)?;
    let sentence = format!("Cannot contact class {class} service {service} - perhaps the mail system is down");
    writeln!(err, "{}: warning: {sentence}", call.program)?;
    Err(Failure::silent(Exit::FAIL))
}
