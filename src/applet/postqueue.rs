//! postqueue(1), and what mailq prints.

use super::cli;
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::ipc::listing::Listed;
use crate::ipc::trigger;
use crate::queue::state::By;
use crate::queue::{Queue, QueueId, State};
use clap::{Arg, ArgAction, Command};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

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

/// How the queue is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let usage = || {
        Failure::new(
            Exit::USAGE,
            "fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site",
        )
    };
    let matches = cli::matches(cli(), "c:fi:jps:v", &call.args, Exit::USAGE).map_err(|_| usage())?;
    let directory = matches.get_one::<String>("c").map(Path::new);
    let cf = MainCf::read(&main_cf::directory(directory)).map_err(Failure::fatal)?;
    let site = matches.get_one::<String>("s");
    let id = matches.get_one::<String>("i");
    match (matches.get_flag("p"), matches.get_flag("j"), matches.get_flag("f"), id, site) {
        (true, false, false, None, None) => list(&cf, &call.program, Form::Text),
        (false, true, false, None, None) => list(&cf, &call.program, Form::Json),
        (false, false, true, None, None) => flush(&cf, ""),
        (false, false, false, Some(id), None) => flush(&cf, &format!("I{id}")),
        (false, false, false, None, Some(site)) => flush(&cf, &format!("R{site}")),
        _ => Err(usage()),
    }
}

/// Lists the queue: from showq, through the set-gid postdrop for users, or from the queue itself when nothing runs.
pub fn list(cf: &MainCf, program: &str, form: Form) -> Result<Exit, Failure> {
    let source = source(cf).map_err(|text| Failure::new(Exit::UNAVAILABLE, format!("fatal: {text}")))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut lines = BufReader::new(source);
    let mut total = Total::default();
    let mut line = String::new();
    loop {
        line.clear();
        if lines.by_ref().take(1 << 26).read_line(&mut line)? == 0 {
            break;
        }
        if form == Form::Json {
            let listed: Listed = parse(program, &line)?;
            writeln!(out, "{}", json(&listed))?;
        } else {
            let listed = parse(program, &line)?;
            total.print(&mut out, &listed)?;
        }
    }
    if form == Form::Text {
        total.end(&mut out)?;
    }
    out.flush()?;
    Ok(Exit::OK)
}

fn parse(program: &str, line: &str) -> Result<Listed, Failure> {
    serde_json::from_str(line)
        .map_err(|error| Failure::new(Exit::UNAVAILABLE, format!("fatal: {program}: malformed queue report: {error}")))
}

fn source(cf: &MainCf) -> Result<Box<dyn Read>, String> {
    let queue = Queue::new(cf);
    match UnixStream::connect(queue.directory().join("public/showq")) {
        Ok(stream) => return Ok(Box::new(stream)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut command = std::process::Command::new(Path::new(&cf.command_directory()).join("postdrop"));
            command
                .arg("-Q")
                .arg("-c")
                .arg(cf.directory())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let down = |_| "Queue report unavailable - mail system is down".to_owned();
            let output = command.output().map_err(down)?;
            if output.status.success() {
                return Ok(Box::new(io::Cursor::new(output.stdout)));
            }
            // "postdrop: fatal: User ... is not allowed ...": its reason, in our name.
            let said = String::from_utf8_lossy(&output.stderr);
            if let Some(reason) = said.trim().strip_prefix("postdrop: fatal: ") {
                return Err(reason.to_owned());
            }
        }
        Err(_) => {}
    }
    // Whoever may read the queue does not need a daemon to do it.
    if std::fs::read_dir(queue.top("active")).is_ok() {
        let mut listing = Vec::new();
        crate::daemon::showq::list(&queue, &mut listing).map_err(|error| error.to_string())?;
        return Ok(Box::new(io::Cursor::new(listing)));
    }
    Err("Queue report unavailable - mail system is down".into())
}

/// JSON with the reference's blanks after colons and commas.
fn json(listed: &Listed) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let recipients: Vec<String> = listed
        .recipients
        .iter()
        .map(|recipient| {
            let reason = recipient.delay_reason.as_ref().map(|reason| format!(", \"delay_reason\": {}", text(reason)));
            format!("{{\"address\": {}{}}}", text(&recipient.address), reason.unwrap_or_default())
        })
        .collect();
    format!(
        "{{\"queue_name\": {}, \"queue_id\": {}, \"arrival_time\": {}, \"message_size\": {}, \"forced_expire\": {}, \"sender\": {}, \"recipients\": [{}]}}",
        text(&listed.queue_name),
        text(&listed.queue_id),
        listed.arrival_time,
        listed.message_size,
        listed.forced_expire,
        text(&listed.sender),
        recipients.join(", ")
    )
}

/// The table that mailq prints, and its last line.
#[derive(Default)]
struct Total {
    messages: u64,
    bytes: u64,
}

impl Total {
    fn print(&mut self, out: &mut impl Write, listed: &Listed) -> io::Result<()> {
        if self.messages == 0 {
            writeln!(out, "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------")?;
        } else {
            writeln!(out)?;
        }
        self.messages += 1;
        self.bytes += listed.message_size;
        let mark = match listed.queue_name.as_str() {
            "active" => "*",
            "hold" => "!",
            _ => " ",
        };
        let id = format!("{}{mark}", listed.queue_id);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(listed.arrival_time);
        let stamp = crate::message::stamp::ctime(time);
        writeln!(out, "{id:<11}{:>8} {}  {}", listed.message_size, stamp.get(..19).unwrap_or_default(), listed.sender)?;
        let mut said = None;
        let mut sorted: Vec<_> = listed.recipients.iter().collect();
        sorted.sort_by_key(|recipient| recipient.delay_reason.is_some());
        for recipient in sorted {
            if let Some(reason) = &recipient.delay_reason
                && said != Some(reason)
            {
                let indent = 76usize.saturating_sub(reason.len());
                writeln!(out, "{}({reason})", " ".repeat(indent))?;
                said = Some(reason);
            }
            writeln!(out, "{:41}{}", "", recipient.address)?;
        }
        Ok(())
    }

    fn end(&self, out: &mut impl Write) -> io::Result<()> {
        if self.messages == 0 {
            return writeln!(out, "Mail queue is empty");
        }
        let plural = if self.messages == 1 { "" } else { "s" };
        writeln!(out, "\n-- {} Kbytes in {} Request{plural}.", self.bytes / 1024, self.messages)
    }
}

/// Asks the queue manager to try again: everything, one message ("Iid"), or a site ("Rsite", all of which is tried).
pub fn flush(cf: &MainCf, what: &str) -> Result<Exit, Failure> {
    let queue = Queue::new(cf);
    let down = || Failure::new(Exit::UNAVAILABLE, "fatal: Cannot flush mail queue - mail system is down");
    if let Some(id) = what.strip_prefix('I') {
        let id = QueueId::parse(id).ok_or_else(|| Failure::fatal(format!("invalid queue ID: {id}")))?;
        // Due now: the next scan takes it.
        if queue.locate(&id) == Some(State::Deferred) {
            queue
                .shift(&id, State::Deferred, State::Active, By::Qmgr)
                .and_then(|()| queue.shift(&id, State::Active, State::Incoming, By::Qmgr))?;
        }
        return trigger::send(&queue.directory().join("public/qmgr"), trigger::INCOMING)
            .map(|()| Exit::OK)
            .map_err(|_| down());
    }
    match trigger::send(&queue.directory().join("public/qmgr"), trigger::FLUSH) {
        Ok(()) => Ok(Exit::OK),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut command = std::process::Command::new(Path::new(&cf.command_directory()).join("postdrop"));
            let status = command.arg("-F").arg("-c").arg(cf.directory()).status().map_err(|_| down())?;
            if status.success() { Ok(Exit::OK) } else { Err(Failure::silent(Exit::UNAVAILABLE)) }
        }
        Err(_) => Err(down()),
    }
}
