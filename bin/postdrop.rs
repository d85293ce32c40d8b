//! postdrop(1): the set-gid gate to the mail system, for users who may not touch the queue themselves. It does three
//! things, all fixed: puts a message from standard input into maildrop/ (the default), copies the queue listing from
//! showq's socket (`-Q`), asks the queue manager to flush (`-F`). No clap, no signal handlers, no files but these.

use pillarbox::conf::{MainCf, main_cf};
use pillarbox::ipc::trigger;
use pillarbox::log::Log;
use pillarbox::queue::permission::{self, Deed};
use pillarbox::queue::{Queue, QueueId, maildrop};
use pillarbox::sys::{accounts, privilege, spawn};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    spawn::sane_standard_descriptors();
    privilege::clean_environment(&["MAIL_CONFIG"]);
    let mut log = Log::open("postfix", "postdrop", "mail", "").with_stderr("postdrop");
    match run(&mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, text)) if text.is_empty() => ExitCode::from(status),
        Err((status, text)) => {
            log.fatal(text);
            ExitCode::from(status)
        }
    }
}

const TEMPFAIL: u8 = 75;
const FAIL: u8 = 1;
const UNAVAILABLE: u8 = 69;
const NOPERM: u8 = 77;

enum Job {
    Submit,
    List,
    /// Everything, or one message.
    /// What the queue manager is told.
    Flush(Vec<u8>),
}

fn run(log: &mut Log) -> Result<(), (u8, String)> {
    let fail = |text: String| (FAIL, text);
    let mut job = Job::Submit;
    let mut option = None;
    let mut arguments = std::env::args_os().skip(1);
    let usage = || fail("usage: postdrop [-c config_dir] [-v]".to_owned());
    let complain = |text: String| {
        let _ = writeln!(io::stderr(), "postdrop: {text}");
        usage()
    };
    while let Some(argument) = arguments.next() {
        match argument.to_str().unwrap_or_default() {
            "-c" => {
                let value = arguments.next();
                option = Some(PathBuf::from(
                    value.ok_or_else(|| complain("option requires an argument -- 'c'".to_owned()))?,
                ));
            }
            // For postqueue, which is not set-gid.
            "-Q" => job = Job::List,
            "-F" => job = Job::Flush(trigger::FLUSH.to_vec()),
            "-i" => {
                let id = arguments.next().and_then(|id| QueueId::parse(&id.to_string_lossy())).ok_or_else(usage)?;
                job = Job::Flush(trigger::one(&id));
            }
            "-s" => {
                let site = arguments.next().and_then(|site| site.into_string().ok());
                let site = site.filter(|site| trigger::is_site(site)).ok_or_else(usage)?;
                job = Job::Flush(trigger::site(&site));
            }
            // Accepted for the reference's sake: the stream is always read from standard input.
            "-r" | "-v" => {}
            word if word.starts_with('-') && word.len() > 1 => {
                return Err(complain(format!("invalid option -- '{}'", word.chars().nth(1).unwrap_or('?'))));
            }
            _ => break,
        }
    }
    // What a job for postqueue comes to is said and logged by postqueue.
    if !matches!(job, Job::Submit) {
        *log = Log::nowhere().with_stderr("postdrop");
    }
    let directory = main_cf::directory(option.as_deref());
    let cf = MainCf::read(&directory).map_err(|error| fail(error.to_string()))?;
    cf.notes().iter().for_each(|note| log.warning(note.to_string()));
    // Set-gid: the caller does not choose which queue our group opens, unless the main configuration lists it.
    if privilege::started_set_id() && directory != Path::new(main_cf::DEFAULT_DIRECTORY) {
        let trusted = MainCf::read(Path::new(main_cf::DEFAULT_DIRECTORY)).map_err(|error| fail(error.to_string()))?;
        if !trusted.allows_directory(&directory) {
            return Err(fail(format!("unauthorized configuration directory name: {}", directory.display())));
        }
    }
    pillarbox::table::process::adopt(&cf, None);
    let queue = Queue::new(&cf);
    std::env::set_current_dir(queue.directory()).map_err(|error| {
        let reason = pillarbox::sys::files::reason(&error);
        fail(format!("chdir {}: {reason}", queue.directory().display()))
    })?;
    let deed = match job {
        Job::Submit => Deed::Submit,
        Job::List => Deed::List,
        Job::Flush(_) => Deed::Flush,
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
        Job::Submit => submit(&cf, &queue, log),
        Job::List => list(&queue).map_err(|error| {
            let reason = format!("Connect to the Postfix showq service: {}", pillarbox::sys::files::reason(&error));
            (UNAVAILABLE, format!("Queue report unavailable - mail system is down ({reason})"))
        }),
        Job::Flush(code) => {
            let service = if code == trigger::FLUSH { "qmgr" } else { "flush" };
            let Err(error) = trigger::send(&queue.directory().join("public/qmgr"), &code) else { return Ok(()) };
            trigger::unheard(service, &error).into_iter().for_each(|text| log.warning(text));
            Err((UNAVAILABLE, "Cannot flush mail queue - mail system is down".to_owned()))
        }
    }
}

/// Standard output gets the answer as the reference's sendmail reads it: names and values, each ended by NUL.
fn submit(cf: &MainCf, queue: &Queue, log: &Log) -> Result<(), (u8, String)> {
    let uid = accounts::real_uid();
    let limit = cf.message_limit();
    // Twice the limit has room for the envelope; what is longer is nobody's mail.
    let most = if limit > 0 { limit.saturating_mul(2).saturating_add(1 << 20) } else { u64::MAX };
    let mut stream = Vec::new();
    io::stdin().lock().take(most).read_to_end(&mut stream).map_err(|error| (TEMPFAIL, error.to_string()))?;
    let stored = maildrop::submit_patiently(queue, &stream, uid, limit, |text| log.warning(text));
    let id = stored.map_err(|error| {
        let status = if matches!(error, maildrop::DropError::Write { .. }) { TEMPFAIL } else { FAIL };
        (status, error.to_string())
    })?;
    let mut out = io::stdout().lock();
    let _ = write!(out, "queue_id\0{id}\0status\x000\0reason\0\0\0").and_then(|()| out.flush());
    maildrop::wake_pickup(queue, |text| log.warning(text));
    Ok(())
}

fn list(queue: &Queue) -> io::Result<()> {
    let stream = UnixStream::connect(queue.directory().join("public/showq"))?;
    stream.set_read_timeout(Some(Duration::from_secs(100)))?;
    let mut out = io::stdout().lock();
    io::copy(&mut stream.take(1 << 32), &mut out)?;
    out.flush()
}
