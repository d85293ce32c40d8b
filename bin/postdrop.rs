//! postdrop(1): the set-gid gate to the mail system, for users who may not touch the queue themselves. It does three
//! things, all fixed: puts a message from standard input into maildrop/ (the default), copies the queue listing from
//! showq's socket (`-Q`), asks the queue manager to flush (`-F`). No clap, no signal handlers, no files but these.

use pillarbox::conf::{MainCf, main_cf};
use pillarbox::ipc::trigger;
use pillarbox::log::Log;
use pillarbox::queue::permission::{self, Deed};
use pillarbox::queue::{Queue, maildrop};
use pillarbox::sys::{accounts, privilege, spawn};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    spawn::sane_standard_descriptors();
    privilege::clean_environment(&["MAIL_CONFIG"]);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, text)) if text.is_empty() => ExitCode::from(status),
        Err((status, text)) => {
            let _ = writeln!(io::stderr(), "postdrop: fatal: {text}");
            ExitCode::from(status)
        }
    }
}

const TEMPFAIL: u8 = 75;
const FAIL: u8 = 1;
const NOPERM: u8 = 77;

enum Job {
    Submit,
    List,
    Flush,
}

fn run() -> Result<(), (u8, String)> {
    let fail = |text: String| (FAIL, text);
    let mut job = Job::Submit;
    let mut option = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("-c") => {
                option =
                    Some(PathBuf::from(arguments.next().ok_or((64, "option requires an argument -- 'c'".to_owned()))?))
            }
            Some("-Q") => job = Job::List,
            Some("-F") => job = Job::Flush,
            // Accepted for the reference's sake: the stream is always read from standard input.
            Some("-r" | "-v") => {}
            _ => return Err((64, "usage: postdrop [-c config_dir] [-v]".to_owned())),
        }
    }
    let directory = main_cf::directory(option.as_deref());
    let cf = MainCf::read(&directory).map_err(|error| fail(error.to_string()))?;
    // Set-gid: the caller does not choose which queue our group opens, unless the main configuration lists it.
    if privilege::started_set_id() && directory != Path::new(main_cf::DEFAULT_DIRECTORY) {
        let trusted = MainCf::read(Path::new(main_cf::DEFAULT_DIRECTORY)).map_err(|error| fail(error.to_string()))?;
        if !trusted.allows_directory(&directory) {
            return Err(fail(format!("unauthorized configuration directory name: {}", directory.display())));
        }
    }
    let queue = Queue::new(&cf);
    let deed = match job {
        Job::Submit => Deed::Submit,
        Job::List => Deed::List,
        Job::Flush => Deed::Flush,
    };
    if let Err(text) = permission::check(&cf, deed) {
        if deed == Deed::Submit {
            // sendmail says it in its own name, as the reference's does.
            let mut out = io::stdout().lock();
            let _ = write!(out, "queue_id\0\0status\x008\0reason\0{text}\0\0").and_then(|()| out.flush());
            return Err((NOPERM, String::new()));
        }
        return Err((NOPERM, text));
    }
    match job {
        Job::Submit => submit(&cf, &queue),
        Job::List => {
            list(&queue).map_err(|error| (69, format!("Queue report unavailable - mail system is down: {error}")))
        }
        Job::Flush => trigger::send(&queue.directory().join("public/qmgr"), trigger::FLUSH)
            .map_err(|_| (69, "Cannot flush mail queue - mail system is down".to_owned())),
    }
}

/// Standard output gets the answer as the reference's sendmail reads it: names and values, each ended by NUL.
fn submit(cf: &MainCf, queue: &Queue) -> Result<(), (u8, String)> {
    let uid = accounts::real_uid();
    let log = Log::open("postfix", "postdrop", "mail", "").with_stderr("postdrop");
    let limit = cf.message_limit();
    let id = maildrop::submit(queue, &mut io::stdin().lock(), uid, limit).map_err(|error| {
        let status = if matches!(error, maildrop::DropError::Write { .. }) { TEMPFAIL } else { FAIL };
        (status, error.to_string())
    })?;
    let mut out = io::stdout().lock();
    let _ = write!(out, "queue_id\0{id}\0status\x000\0reason\0\0\0").and_then(|()| out.flush());
    let pickup = queue.directory().join("public/pickup");
    if let Err(error) = trigger::send(&pickup, trigger::WAKEUP) {
        let reason = pillarbox::sys::files::reason(&error);
        // The mail is safe and waits; only the wake-up call did not reach anyone.
        let words = if error.kind() == io::ErrorKind::NotFound {
            "unable to look up public/pickup"
        } else {
            "mail system is down"
        };
        log.warning(format!("{words}: {reason}"));
    }
    Ok(())
}

fn list(queue: &Queue) -> io::Result<()> {
    let stream = UnixStream::connect(queue.directory().join("public/showq"))?;
    stream.set_read_timeout(Some(Duration::from_secs(100)))?;
    let mut out = io::stdout().lock();
    io::copy(&mut stream.take(1 << 32), &mut out)?;
    out.flush()
}
