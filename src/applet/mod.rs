//! One file or folder for each program that a person types, and [`APPLETS`], the one table of them: dispatch,
//! installation links, manual pages and completions iterate it.

/// getopt habits for clap.
pub mod cli;
/// pillarbox install and uninstall.
pub mod install;
/// The founding lab, without root.
pub mod lab;
/// mail(1).
pub mod mail;
/// Manual pages and completions.
pub mod manual;
/// pflogsumm(1).
pub mod pflogsumm;
/// pop3d(8).
pub mod pop3d;
/// postalias(1).
pub mod postalias;
/// postcat(1).
pub mod postcat;
/// postconf(1).
pub mod postconf;
/// postfix(1).
pub mod postfix;
/// postkick(1).
pub mod postkick;
/// postlock(1).
pub mod postlock;
/// postlog(1).
pub mod postlog;
/// postmap(1).
pub mod postmap;
/// mailq and postqueue(1).
pub mod postqueue;
/// postsuper(1).
pub mod postsuper;
/// sendmail(1), mailq, newaliases.
pub mod sendmail;
/// How the mail system's commands speak.
mod voice;

use crate::exit::{Exit, Failure};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

/// What people want to do, for `pillarbox --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Send,
    Run,
    Configure,
    Watch,
    /// Pillarbox's own affairs.
    House,
}

/// The purposes in the order of the help, with their titles.
pub const PURPOSES: &[(Purpose, &str)] = &[
    (Purpose::Send, "Write and read mail"),
    (Purpose::Run, "Run the mail system"),
    (Purpose::Configure, "Configure it"),
    (Purpose::Watch, "See what it does"),
    (Purpose::House, "Try it and install it"),
];

/// One program.
pub struct Applet {
    pub name: &'static str,
    /// Other names that mean the same program ("mailx" for mail). Matched exactly, as the name is.
    pub aliases: &'static [&'static str],
    /// Where links to the binary are installed, from the prefix ("sbin/sendmail"); empty: not installed.
    pub links: &'static [&'static str],
    /// Section of its manual page.
    pub section: u8,
    pub purpose: Purpose,
    /// One line for the help and the manual page.
    pub about: &'static str,
    /// The command line, for parsing, manual pages and completions.
    pub cli: fn() -> clap::Command,
    pub run: fn(&Invocation) -> Result<Exit, Failure>,
}

/// How an applet was called.
pub struct Invocation {
    /// argv[0]'s last component as the caller wrote it; messages begin with it.
    pub program: String,
    /// The name that was matched: an applet's name or one of its aliases.
    pub name: String,
    pub args: Vec<OsString>,
}

/// Every applet.
pub const APPLETS: &[&Applet] = &[
    &sendmail::APPLET,
    &postfix::APPLET,
    &postqueue::APPLET,
    &postsuper::APPLET,
    &postcat::APPLET,
    &postlog::APPLET,
    &postkick::APPLET,
    &postlock::APPLET,
    &postconf::APPLET,
    &postalias::APPLET,
    &postmap::APPLET,
    &pflogsumm::APPLET,
    &pop3d::APPLET,
    &mail::APPLET,
    &lab::APPLET,
    &install::INSTALL,
    &install::UNINSTALL,
    &mail::FRM,
    &mail::FROM,
];

/// The applet of this exact name.
pub fn find(name: &str) -> Option<&'static Applet> {
    APPLETS.iter().copied().find(|applet| applet.name == name || applet.aliases.contains(&name))
}

/// Runs the program that argv asks for: by argv[0]'s basename, or as `pillarbox NAME ...`.
pub fn main(argv: Vec<OsString>) -> Exit {
    let mut argv = argv.into_iter();
    let Some(first) = argv.next() else { return Exit::USAGE };
    let mut program = base_name(&first);
    let mut args: Vec<OsString> = argv.collect();
    // Roles are started by master, under their own names so that ps tells them apart.
    if args.first().is_some_and(|first| first == crate::daemon::skeleton::ROLE_FLAG)
        && let Some(role) = crate::daemon::find(&program)
    {
        return crate::daemon::skeleton::start(role, &args[1..]);
    }
    let mut applet = find(&program);
    if applet.is_none()
        && let Some(named) = args.first().and_then(|name| find(&name.to_string_lossy()))
    {
        program = base_name(&args.remove(0));
        applet = Some(named);
    }
    let outcome = match applet {
        Some(applet) => (applet.run)(&Invocation { program: program.clone(), name: program.clone(), args }),
        None => help(&program, &args),
    };
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(message) = failure.message {
                let _ = writeln!(std::io::stderr(), "{program}: {message}");
            }
            failure.status
        }
    }
}

fn base_name(path: &OsStr) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `pillarbox`, `pillarbox --help`, `pillarbox --version`, or an unknown name.
fn help(program: &str, args: &[OsString]) -> Result<Exit, Failure> {
    let first = args.first().map(|arg| arg.to_string_lossy().into_owned());
    let mut out = std::io::stdout().lock();
    match first.as_deref() {
        Some("--version" | "-V") => writeln!(out, "pillarbox {}", env!("CARGO_PKG_VERSION"))?,
        None | Some("--help" | "-h" | "help") => {
            writeln!(
                out,
                "pillarbox: a mail system in one file\n\nUsage: pillarbox NAME [ARGUMENT...], or a link of that name\n"
            )?;
            for &(purpose, title) in PURPOSES {
                writeln!(out, "{title}:")?;
                for applet in APPLETS.iter().filter(|applet| applet.purpose == purpose) {
                    writeln!(out, "  {:<12} {}", applet.name, applet.about)?;
                }
                writeln!(out)?;
            }
        }
        Some(name) => {
            return Err(Failure::new(
                Exit::USAGE,
                format!("{program}: no program of the name {name}; see pillarbox --help"),
            ));
        }
    }
    Ok(Exit::OK)
}
