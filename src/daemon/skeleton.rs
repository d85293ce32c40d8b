//! What every role does before it serves, in one order: sane descriptors, configuration with the service's own
//! overrides, log, sockets handed over by master, chdir to the queue, privileges dropped for good. No byte from
//! outside is read before that.
//!
//! Descriptors: 3 is the status pipe to master, 4 the lifetime pipe (it ends when master does), 5 and on are the
//! listening sockets.

use super::passwords::Passwords;
use crate::conf::MainCf;
use crate::exit::Exit;
use crate::log::Log;
use crate::sys::{accounts, privilege, signal, spawn};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

/// The first argument of a role, which no applet has.
pub const ROLE_FLAG: &str = "--pillarbox-role";

pub const STATUS_FD: RawFd = 3;
pub const LIFETIME_FD: RawFd = 4;
pub const LISTEN_FD: RawFd = 5;

/// How master runs a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One process that serves many sessions.
    Sessions,
    /// One process, one request at a time.
    Single,
    /// As many processes as there is work for, up to the process limit; each takes one request at a time.
    Agent,
    /// Accepted in master.cf; nothing is started.
    Absorbed,
}

/// As whom a role runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// mail_owner, for good.
    MailOwner,
    /// Root, which becomes the recipient for each delivery.
    Root,
}

/// One command that a line of master.cf may name.
pub struct Role {
    pub command: &'static str,
    pub model: Model,
    pub privilege: Privilege,
    pub run: fn(Context) -> Result<(), String>,
    /// The files that only root may read, and that are read before privileges are dropped. Master replaces the processes
    /// of a service when one of them changes.
    pub private: fn(&MainCf) -> Vec<String>,
    /// For absorbed commands: what stands in for it.
    pub note: &'static str,
}

/// What a started role has.
pub struct Context {
    pub cf: MainCf,
    /// The first field of its master.cf line: "smtp", "127.0.0.1:10025".
    pub service: String,
    pub log: Arc<Log>,
    pub listeners: Vec<OwnedFd>,
    pub status: Option<std::fs::File>,
    pub lifetime: Option<OwnedFd>,
    pub private: Private,
    /// Words of the master.cf line after the command that are no -o overrides.
    pub args: Vec<String>,
    /// smtp_sasl_password_maps, opened as root.
    pub passwords: Option<Passwords>,
}

/// The content of the files of [`Role::private`], or why there is none.
#[derive(Default)]
pub struct Private(HashMap<String, Result<Vec<u8>, String>>);

/// Longest of them.
const MAX_PRIVATE: u64 = 1 << 20;

impl Private {
    fn read(files: Vec<String>) -> Private {
        let read = |file: &String| -> io::Result<Vec<u8>> {
            let mut content = Vec::new();
            std::fs::File::open(file)?.take(MAX_PRIVATE + 1).read_to_end(&mut content)?;
            if content.len() as u64 > MAX_PRIVATE {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(content)
        };
        let reason = |error: io::Error| crate::sys::files::reason(&error);
        Private(files.into_iter().map(|file| (file.clone(), read(&file).map_err(reason))).collect())
    }

    pub fn get(&self, file: &str) -> Result<&[u8], &str> {
        match self.0.get(file) {
            Some(Ok(content)) => Ok(content),
            Some(Err(reason)) => Err(reason),
            None => Err("it was not read"),
        }
    }
}

/// For roles without private files.
pub fn no_files(_: &MainCf) -> Vec<String> {
    Vec::new()
}

/// For absorbed roles; master never starts them.
pub fn nothing(_: Context) -> Result<(), String> {
    Err("this service is not served by a process".into())
}

/// Starts a role: `ROLE -n SERVICE -c CONFIG_DIRECTORY -l LISTENERS [-o NAME=VALUE]... [--] [ARGUMENT]...`.
pub fn start(role: &'static Role, args: &[OsString]) -> Exit {
    match prepare(role, args) {
        Ok(context) => {
            let log = context.log.clone();
            match (role.run)(context) {
                Ok(()) => Exit::OK,
                Err(text) => {
                    log.fatal(&text);
                    Exit::FAIL
                }
            }
        }
        Err(text) => {
            let _ = writeln!(io::stderr(), "{}: fatal: {text}", role.command);
            Exit::FAIL
        }
    }
}

fn prepare(role: &'static Role, args: &[OsString]) -> Result<Context, String> {
    let parsed = Arguments::parse(args)?;
    let mut cf = MainCf::read(Path::new(&parsed.directory)).map_err(|error| {
        // Where the log is, nobody could say: the default place hears of it.
        Log::open("postfix", role.command, "mail", "").fatal(error.to_string());
        error.to_string()
    })?;
    cf.set("service_name", &parsed.service);
    cf.set("process_name", role.command);
    for (name, value) in &parsed.overrides {
        cf.set(name, value);
    }
    let log = Log::open(&cf.syslog_name(), role.command, &cf.syslog_facility(), &cf.maillog_file());
    let log = Arc::new(log.with_utf8(cf.shows_utf8()));
    crate::table::process::adopt(&cf, Some(log.clone()));
    let fail = |text: String| {
        log.fatal(&text);
        text
    };
    cf.verify().map_err(|error| fail(error.to_string()))?;
    let status = spawn::inherited(STATUS_FD).map(std::fs::File::from);
    let lifetime = spawn::inherited(LIFETIME_FD);
    let listeners = (0..parsed.listeners).filter_map(|n| spawn::inherited(LISTEN_FD + n)).collect();
    signal::ignore(&[Signal::SIGPIPE]);
    let queue = cf.queue_directory();
    std::env::set_current_dir(&queue)
        .map_err(|error| fail(format!("chdir {queue}: {}", crate::sys::files::reason(&error))))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let private = Private::read((role.private)(&cf));
    let passwords = Passwords::open(role.command, &cf);
    if role.privilege == Privilege::MailOwner {
        let owner = cf.mail_owner();
        let account = accounts::by_name(&owner).ok_or_else(|| {
            fail(format!("{}: parameter mail_owner: unknown user name: {owner}", cf.file().display()))
        })?;
        privilege::drop_for_good(account.uid, account.gid, &[])
            .and_then(|()| privilege::forbid_new_privileges())
            .map_err(|error| fail(format!("cannot become mail_owner {owner}: {error}")))?;
    }
    Ok(Context { cf, service: parsed.service, log, listeners, status, lifetime, private, args: parsed.rest, passwords })
}

/// The command line that master gives a role.
struct Arguments {
    service: String,
    directory: String,
    listeners: i32,
    overrides: Vec<(String, String)>,
    rest: Vec<String>,
}

impl Arguments {
    fn parse(args: &[OsString]) -> Result<Arguments, String> {
        let mut parsed = Arguments {
            service: String::new(),
            directory: crate::conf::main_cf::DEFAULT_DIRECTORY.into(),
            listeners: 0,
            overrides: Vec::new(),
            rest: Vec::new(),
        };
        let mut words = args.iter().map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("option {word} requires an argument"));
            match word.as_str() {
                "-n" => parsed.service = value()?,
                "-c" => parsed.directory = value()?,
                "-l" => parsed.listeners = value()?.parse().map_err(|_| "bad number of listeners".to_owned())?,
                "-o" => {
                    let assignment = value()?;
                    let (name, text) = assignment.split_once('=').ok_or("missing '=' in -o")?;
                    parsed.overrides.push((name.to_owned(), text.to_owned()));
                }
                "--" => {
                    parsed.rest.extend(words);
                    break;
                }
                _ => return Err("this program is started by master(8) only; use \"postfix start\"".into()),
            }
        }
        if parsed.service.is_empty() {
            return Err("this program is started by master(8) only; use \"postfix start\"".into());
        }
        Ok(parsed)
    }
}

/// Whether a process of an agent service is free, told to master through the status pipe: five bytes, pid and flag.
/// A write of five bytes to a pipe is atomic.
pub fn report_status(status: &mut Option<std::fs::File>, available: bool) {
    let Some(pipe) = status else { return };
    let mut frame = [0u8; 5];
    frame[..4].copy_from_slice(&std::process::id().to_ne_bytes());
    frame[4] = available.into();
    let _ = pipe.write_all(&frame);
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait {
    /// A connection waits on this listener.
    Ready,
    Idle,
    /// Master is gone, or told us to finish (SIGTERM, SIGHUP).
    Finish,
}

/// Waits for a connection for at most `idle`. For the single-threaded roles.
pub fn wait_for_work(listeners: &[OwnedFd], lifetime: &Option<OwnedFd>, idle: std::time::Duration) -> Wait {
    let mut descriptors: Vec<PollFd<'_>> =
        listeners.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    if let Some(lifetime) = lifetime {
        descriptors.push(PollFd::new(lifetime.as_fd(), PollFlags::POLLIN));
    }
    if finishing() {
        return Wait::Finish;
    }
    match signal::wait(&mut descriptors, idle) {
        Ok(0) => Wait::Idle,
        Ok(_) => {
            let raised = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            if lifetime.is_some() && descriptors.last().is_some_and(raised) { Wait::Finish } else { Wait::Ready }
        }
        // A signal: the flag tells which.
        Err(_) if finishing() => Wait::Finish,
        Err(_) => Wait::Idle,
    }
}

/// Collects SIGTERM and SIGHUP, so that a delivery that is under way is finished first.
pub fn finish_gracefully() {
    let _ = signal::collect_for_wait(&[Signal::SIGTERM, Signal::SIGHUP]);
}

fn finishing() -> bool {
    signal::take(Signal::SIGTERM) | signal::take(Signal::SIGHUP)
}
