//! postsuper(1): delete, hold, release, requeue, expire, and put the queue's structure in order.

/// What is done to single messages.
mod action;
/// Names and places of files.
mod structure;

use super::voice::{self, Voice};
use super::{Applet, Invocation, Purpose, cli};
use crate::exit::{Exit, Failure};
use crate::queue::Queue;
use action::{Action, Doer};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::Path;

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

const OPTIONS: &str = "c:d:e:f:h:H:pr:sSv";
const USAGE: &str = "postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] \
[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] \
[-r queue_id (requeue)] [-s (structure fix)] [-S (redundant structure fix)][-v (verbose)] [queue...]";

fn cli() -> Command {
    let ids = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).value_name("QUEUE_ID").action(ArgAction::Append).help(help)
    };
    let flag = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).action(ArgAction::Count).help(help)
    };
    Command::new("postsuper")
        .disable_help_flag(true)
        .about("maintain the queue; QUEUE_ID may be ALL, or - for ids on standard input")
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(ids('d', "delete messages"))
        .arg(ids('e', "expire messages: at the next attempt they go back to their senders"))
        .arg(ids('f', "expire messages, and release those that are on hold"))
        .arg(ids('h', "put messages on hold"))
        .arg(ids('H', "release messages that are on hold"))
        .arg(ids('r', "requeue messages: addresses are rewritten anew"))
        .arg(flag('p', "remove temporary files that a crash left"))
        .arg(flag('s', "put files where they belong, under the name that their inode gives them"))
        .arg(flag('S', "the same as -s"))
        .arg(flag('v', "be verbose"))
        .arg(Arg::new("queue").action(ArgAction::Append).num_args(0..).help("queues to look in; all by default"))
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut voice = Voice::of(call, "postsuper");
    let outcome = serve(call, &mut voice);
    voice.end(outcome)
}

fn serve(call: &Invocation, voice: &mut Voice) -> Result<Exit, Failure> {
    if !voice::controls(cli::directory(OPTIONS, &call.args).as_deref()) {
        return Err(Failure::fatal("use of this command is reserved for the superuser"));
    }
    let matches = cli::matches(cli(), OPTIONS, call, (Exit::FAIL, USAGE))?;
    let cf = voice.configuration(matches.get_one::<String>("c").map(Path::new), Exit::FAIL)?;
    voice.enter_queue(&cf, Exit::FAIL)?;
    let queue = Queue::new(&cf);
    let wanted: Vec<String> = matches.get_many::<String>("queue").into_iter().flatten().cloned().collect();
    if let Some(unknown) = wanted.iter().find(|name| !structure::DIRECTORIES.contains(&name.as_str())) {
        return Err(Failure::fatal(format!("invalid directory name: {unknown}")));
    }
    let given = |letter: &str| matches.get_count(letter) > 0;
    let ids_given = Action::OPTIONS.iter().any(|(letter, _)| matches.contains_id(letter));
    let everything = !ids_given && !["p", "s", "S"].iter().any(|letter| given(letter));
    let mend = structure::Mend { queue: &queue, voice, wanted: &wanted };
    if given("p") || everything {
        mend.purge()?;
    }
    if given("s") || given("S") || everything {
        let renamed = mend.restructure()?;
        if renamed > 0 {
            voice.info(format!("Renamed to match inode number: {}", messages(renamed)));
            voice.warning("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
        }
    }
    let mut doer = Doer::new(&queue, voice, &wanted);
    for (letter, actions) in Action::OPTIONS {
        for id in ids(&matches, letter) {
            doer.on(actions, id)?;
        }
    }
    report(&matches, &doer, voice);
    Ok(Exit::OK)
}

fn ids<'a>(matches: &'a ArgMatches, letter: &str) -> impl Iterator<Item = &'a String> {
    matches.get_many::<String>(letter).into_iter().flatten()
}

/// A line for each thing that was asked for, also when it found nothing to do.
fn report(matches: &ArgMatches, doer: &Doer<'_>, voice: &Voice) {
    for (action, words) in Action::REPORTS {
        let asked =
            Action::OPTIONS.iter().any(|(letter, actions)| actions.contains(action) && matches.contains_id(letter));
        if asked {
            voice.info(format!("{words}: {}", messages(doer.count(*action))));
        }
    }
}

fn messages(count: usize) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}
