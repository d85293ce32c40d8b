//! postsuper(1): delete, hold, release, requeue, expire, and put the queue's structure in order.

use super::cli;
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::log::Log;
use crate::queue::state::By;
use crate::queue::walk::walk;
use crate::queue::{Queue, QueueId, State};
use crate::sys::accounts;
use clap::{Arg, ArgAction, Command};
use std::io::{self, BufRead};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub const APPLET: Applet = Applet {
    name: "postsuper",
    aliases: &[],
    links: &["sbin/postsuper"],
    section: 1,
    purpose: Purpose::Run,
    about: "delete, hold, release and requeue queued mail",
    cli,
    run,
};

fn cli() -> Command {
    let ids = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).value_name("QUEUE_ID").action(ArgAction::Append).help(help)
    };
    Command::new("postsuper")
        .disable_help_flag(true)
        .about("maintain the queue; QUEUE_ID may be ALL, or - for ids on standard input")
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(ids('d', "delete messages"))
        .arg(ids('h', "put messages on hold"))
        .arg(ids('H', "release messages that are on hold"))
        .arg(ids('r', "requeue messages: addresses are rewritten anew"))
        .arg(Arg::new("p").short('p').action(ArgAction::SetTrue).help("remove temporary files that a crash left"))
        .arg(Arg::new("s").short('s').action(ArgAction::SetTrue).help("check the structure of the queue and mend it"))
        .arg(
            Arg::new("S")
                .short('S')
                .action(ArgAction::SetTrue)
                .help("rename files whose name does not match their inode"),
        )
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
        .arg(Arg::new("queue").action(ArgAction::Append).num_args(0..).help("queues to look in; all by default"))
}

/// What is done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Delete,
    Hold,
    Release,
    Requeue,
}

impl Action {
    /// The directories in which it finds messages, and the sentence that counts them.
    fn scope(self) -> (&'static [State], &'static str) {
        match self {
            Action::Delete => {
                (&[State::Maildrop, State::Incoming, State::Active, State::Deferred, State::Hold], "Deleted")
            }
            Action::Hold => (&[State::Incoming, State::Active, State::Deferred], "Placed on hold"),
            Action::Release => (&[State::Hold], "Released from hold"),
            Action::Requeue => {
                (&[State::Maildrop, State::Incoming, State::Active, State::Deferred, State::Hold], "Requeued")
            }
        }
    }

    fn apply(self, queue: &Queue, id: &QueueId, state: State) -> io::Result<()> {
        match self {
            Action::Delete => {
                // The message first: without it, the logs say nothing about anybody.
                std::fs::remove_file(queue.path(state.name(), id))?;
                ["bounce", "defer", "trace"].into_iter().try_for_each(|name| queue.remove(name, id))
            }
            Action::Hold => queue.shift(id, state, State::Hold, By::Postsuper),
            Action::Release => queue.shift(id, State::Hold, State::Deferred, By::Postsuper),
            Action::Requeue if state == State::Maildrop => Ok(()),
            Action::Requeue => {
                queue.shift(id, state, State::Maildrop, By::Postsuper)?;
                ["bounce", "defer", "trace"].into_iter().try_for_each(|name| queue.remove(name, id))
            }
        }
    }
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let matches = cli::matches(cli(), "c:d:h:H:pr:sSv", &call.args, Exit::FAIL).map_err(|error| {
        Failure::fatal(format!(
            "usage: postsuper [-d queue_id] [-h queue_id] [-H queue_id] [-r queue_id] [-p] [-s] [-S] ({})",
            error.message.unwrap_or_default()
        ))
    })?;
    if accounts::effective_uid() != 0 && !is_rootless(&matches) {
        return Err(Failure::fatal("use of this command is reserved for the superuser"));
    }
    let directory = matches.get_one::<String>("c").map(Path::new);
    let cf = MainCf::read(&main_cf::directory(directory)).map_err(Failure::fatal)?;
    let queue = Queue::new(&cf);
    let log =
        Log::open(&cf.syslog_name(), "postsuper", &cf.syslog_facility(), &cf.maillog_file()).with_stderr(&call.program);
    let wanted: Vec<String> = matches.get_many::<String>("queue").into_iter().flatten().cloned().collect();
    for name in &wanted {
        if State::from_name(name).is_none() {
            return Err(Failure::fatal(format!("invalid directory name: {name}")));
        }
    }
    for (option, action) in [("d", Action::Delete), ("h", Action::Hold), ("H", Action::Release), ("r", Action::Requeue)]
    {
        let Some(ids) = matches.get_many::<String>(option) else { continue };
        let mut count = 0;
        for id in ids {
            count += on_ids(&queue, action, id, &wanted, &log)?;
        }
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            log.info(format!("{}: {count} message{plural}", action.scope().1));
        }
    }
    let nothing_named = !["d", "h", "H", "r"].iter().any(|option| matches.contains_id(option));
    if matches.get_flag("p") || matches.get_flag("s") || nothing_named {
        purge_temporary(&queue);
    }
    if matches.get_flag("s") || nothing_named {
        mend_structure(&queue, &log);
    }
    Ok(Exit::OK)
}

/// An instance whose mail_owner is the caller is the caller's to maintain.
fn is_rootless(matches: &clap::ArgMatches) -> bool {
    let directory = matches.get_one::<String>("c").map(Path::new);
    let Ok(cf) = MainCf::read(&main_cf::directory(directory)) else { return false };
    accounts::by_name(cf.mail_owner()).is_some_and(|owner| owner.uid == accounts::effective_uid())
}

fn on_ids(queue: &Queue, action: Action, id: &str, wanted: &[String], log: &Log) -> Result<usize, Failure> {
    match id {
        "ALL" => Ok(on_all(queue, action, wanted, log)),
        "-" => {
            let mut count = 0;
            for line in io::stdin().lock().lines() {
                let line = line?;
                // mailq marks active and held messages behind their id.
                count += on_one(queue, action, line.trim().trim_end_matches(['*', '!']), wanted, log);
            }
            Ok(count)
        }
        id => Ok(on_one(queue, action, id, wanted, log)),
    }
}

fn states<'a>(action: Action, wanted: &'a [String]) -> impl Iterator<Item = State> + 'a {
    action.scope().0.iter().copied().filter(|state| wanted.is_empty() || wanted.iter().any(|name| name == state.name()))
}

fn on_all(queue: &Queue, action: Action, wanted: &[String], log: &Log) -> usize {
    let mut count = 0;
    for state in states(action, wanted).collect::<Vec<_>>() {
        for (id, _) in walk(queue, state.name()).collect::<Vec<_>>() {
            match action.apply(queue, &id, state) {
                Ok(()) => count += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => log.warning(format!("{id}: {error}")),
            }
        }
    }
    count
}

fn on_one(queue: &Queue, action: Action, id: &str, wanted: &[String], log: &Log) -> usize {
    let Some(id) = QueueId::parse(id) else {
        log.warning(format!("invalid mail queue id: {id}"));
        return 0;
    };
    // The queue manager may move it while we look: once more is enough, it moves one way.
    for state in states(action, wanted).chain(states(action, wanted)).collect::<Vec<_>>() {
        match action.apply(queue, &id, state) {
            Ok(()) if queue_had(action, queue, &id, state) => {
                let word = match action {
                    Action::Delete => "removed",
                    Action::Hold => "placed on hold",
                    Action::Release => "released from hold",
                    Action::Requeue => "requeued",
                };
                log.info(format!("{id}: {word}"));
                return 1;
            }
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log.warning(format!("{id}: {error}")),
        }
    }
    0
}

/// Requeueing what is in maildrop already is no move: count it only if it is there.
fn queue_had(action: Action, queue: &Queue, id: &QueueId, state: State) -> bool {
    action != Action::Requeue || state != State::Maildrop || queue.path("maildrop", id).exists()
}

/// Temporary files of dead writers: not complete, and older than any that is being written.
fn purge_temporary(queue: &Queue) {
    for name in ["maildrop", "incoming"] {
        let Ok(entries) = std::fs::read_dir(queue.top(name)) else { continue };
        for entry in entries.flatten() {
            let Ok(data) = entry.metadata() else { continue };
            let old = data.modified().is_ok_and(|time| {
                SystemTime::now().duration_since(time).is_ok_and(|age| age > Duration::from_secs(24 * 3600))
            });
            if data.is_file() && data.mode() & 0o100 == 0 && old {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Puts files where hash_queue_depth wants them.
fn mend_structure(queue: &Queue, log: &Log) {
    for name in ["incoming", "active", "deferred", "hold", "defer", "bounce"] {
        for (id, path) in walk(queue, name).collect::<Vec<_>>() {
            let right = queue.path(name, &id);
            if path == right {
                continue;
            }
            if let Err(error) = queue.with_subdirectory(&right, |right| std::fs::rename(&path, right)) {
                log.warning(format!("rename {} to {}: {error}", path.display(), right.display()));
            }
        }
    }
}
