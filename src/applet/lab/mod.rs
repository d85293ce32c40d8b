//! pillarbox lab: the school lab that this project was founded on, whole and without root, in a directory of its own:
//! a mail server with the users eleve, toto and titi on ports above 1024. Each step is what a person would type,
//! shown with its output, and says what it proved.

mod layout;
mod steps;
mod terminal;

use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use crate::sys::{accounts, privilege};
use clap::{Arg, ArgAction, Command, value_parser};
use layout::Lab;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

pub const APPLET: Applet = Applet {
    name: "lab",
    aliases: &[],
    links: &[],
    section: 1,
    purpose: Purpose::House,
    about: "run a whole mail system of its own in a directory, without root, step by step",
    cli,
    run,
};

fn cli() -> Command {
    Command::new("lab")
        .about(APPLET.about)
        .arg(
            Arg::new("directory")
                .value_name("DIRECTORY")
                .default_value("lab")
                .value_parser(value_parser!(PathBuf))
                .help("where the lab is laid out; made anew each time"),
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .action(ArgAction::SetTrue)
                .help("leave it running, and say how to talk to it"),
        )
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let matches = crate::applet::cli::long(cli(), &call.args)?;
    let directory = matches.get_one::<PathBuf>("directory").cloned().unwrap_or_else(|| "lab".into());
    let directory = std::path::absolute(&directory).map_err(Failure::fatal)?;
    if accounts::effective_uid() == 0 {
        return without_root(&directory, matches.get_flag("keep"));
    }
    let lab = Lab::lay_out(&directory).map_err(|error| Failure::fatal(format!("{error:#}")))?;
    let held = steps::walk(&lab);
    let keep = matches.get_flag("keep") && held.is_ok();
    if keep {
        lab.tell_how_to_talk()?;
    } else {
        lab.stop();
    }
    match held {
        Ok(count) => {
            let end = if keep { "" } else { " It is stopped." };
            writeln!(std::io::stdout(), "\nThe lab holds: {count} steps, each proved.{end}")?;
            Ok(Exit::OK)
        }
        Err(error) => Err(Failure::fatal(format!("{error:#}\n{}", lab.last_log_lines()))),
    }
}

/// The lab shows that no root is needed, so root's lab runs as nobody.
fn without_root(directory: &Path, keep: bool) -> Result<Exit, Failure> {
    let nobody = accounts::by_name("nobody")
        .ok_or_else(|| Failure::fatal("the lab runs without root, and there is no user nobody to run it as"))?;
    layout::make_empty(directory).map_err(|error| Failure::fatal(format!("{error:#}")))?;
    std::os::unix::fs::chown(directory, Some(nobody.uid), Some(nobody.gid))?;
    writeln!(std::io::stdout(), "The lab needs no root: it goes on as the user nobody.\n")?;
    // The program's file may lie where only root can go: it is read while we still can.
    let own = std::fs::File::open("/proc/self/exe")?;
    let program = layout::program_in(directory);
    layout::copy_program(&own, &program, Some((nobody.uid, nobody.gid)))
        .map_err(|error| Failure::fatal(format!("{error:#}")))?;
    std::env::set_current_dir("/")?;
    privilege::drop_for_good(nobody.uid, nobody.gid, &[])?;
    let mut command = std::process::Command::new(&program);
    command.arg("lab").arg(directory).args(keep.then_some("--keep"));
    Err(Failure::fatal(format!(
        "cannot go on as nobody: {} (can nobody reach {}?)",
        command.exec(),
        directory.display()
    )))
}
