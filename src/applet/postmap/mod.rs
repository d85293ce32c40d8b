//! postmap(1): builds, queries, lists and changes lookup tables. postalias(1) is the same program with another source
//! format; both stand on [`job`].

/// -q.
mod ask;
/// A source becomes a table.
mod build;
/// -d.
mod delete;
/// What is common to postmap and postalias.
pub mod job;
/// -s.
mod list;
/// Lines of a message as lookup keys (-b, -h, -m).
mod message_keys;

use crate::applet::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use clap::{Arg, ArgAction, Command};

pub const APPLET: Applet = Applet {
    name: "postmap",
    aliases: &[],
    links: &["sbin/postmap"],
    section: 1,
    purpose: Purpose::Configure,
    about: "build and query lookup tables",
    cli,
    run,
};

fn run(call: &Invocation) -> Result<Exit, Failure> {
    job::run(call, job::Program::Postmap)
}

fn cli() -> Command {
    common("postmap", "build and query lookup tables")
        .arg(flag("b", "with -q -: standard input is a message; each body line is a key"))
        .arg(flag("h", "with -q -: standard input is a message; each header is a key"))
        .arg(flag("m", "with -b or -h: look into MIME parts"))
        .arg(flag("F", "values are names of files whose content is stored, in base64"))
        .arg(flag("U", "with -b and -h: keys are UTF-8, where smtputf8_enable allows it"))
        .disable_help_flag(true)
}

/// The options of both programs.
pub fn common(name: &'static str, about: &'static str) -> Command {
    let value = |letter: &'static str, name: &'static str, help: &'static str| {
        Arg::new(letter).short(letter.chars().next()).value_name(name).help(help)
    };
    Command::new(name)
        .about(about)
        .arg(value("c", "DIRECTORY", "read main.cf there"))
        .arg(value("d", "KEY", "delete the key; - reads keys from standard input"))
        .arg(value("q", "KEY", "print the value of the key; - reads keys from standard input"))
        .arg(flag("s", "list all entries"))
        .arg(flag("i", "add entries from standard input to the table as it is"))
        .arg(flag("j", "with -q and -s: each key and its value as an object of JSON, one a line"))
        .arg(flag("r", "replace entries that are there already"))
        .arg(flag("w", "no warning about entries that are there already"))
        .arg(flag("f", "keep the case of keys"))
        .arg(flag("n", "keys and values without a null byte at the end"))
        .arg(flag("N", "keys and values with a null byte at the end"))
        .arg(flag("o", "root's new file stays root's when the source is another's"))
        .arg(flag("p", "the new file does not take over the source's permissions"))
        .arg(flag("u", "no UTF-8 in keys"))
        .arg(flag("v", "say more"))
        .arg(Arg::new("tables").value_name("[TYPE:]FILE").num_args(1..))
}

fn flag(letter: &'static str, help: &'static str) -> Arg {
    Arg::new(letter).short(letter.chars().next()).action(ArgAction::SetTrue).help(help)
}
