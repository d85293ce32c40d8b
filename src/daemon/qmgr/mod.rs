//! qmgr(8): takes messages from incoming/ (and from deferred/ when their time has come) into active/, hands their
//! recipients to delivery agents, and ends each message: removed, deferred, or returned to its sender.
//!
//! The order that loses nothing: a recipient's failure is in bounce/ID on disk before it is marked done in the queue
//! file; the notice is committed to incoming/ before bounce/ID is removed; the queue file goes last.

mod active;
mod schedule;
mod trace;

use super::skeleton::Context;
use crate::conf::MainCf;
use crate::conf::typed::{Int, Time};
use crate::ipc::delivery::{Answer, Request};
use crate::ipc::{trigger, wire};
use crate::queue::walk::walk;
use active::{Active, Work};
use schedule::{Limits, Scheduler};
use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// An agent that says nothing for this long is given up; the reference's daemon_timeout is five hours, which is how
/// long a big message to a slow host may take.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5 * 3600);

/// Between looks for the mail of sites.
const SITES_PAUSE: Duration = Duration::from_secs(1);

/// What wakes the queue manager.
enum Wake {
    Triggered(Vec<u8>),
    Answered(Ticket, Result<Answer, String>),
    DeferredScan,
    Retry,
    Reload,
    Finish,
}

/// A delivery that is under way.
struct Ticket {
    work: Work,
    transport: String,
    destination: String,
}

pub fn run(context: Context) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(context))
}

async fn serve(mut context: Context) -> Result<(), String> {
    let mut active = Active::new(&context.cf, context.log.clone())?;
    let mut scheduler = Scheduler::default();
    let (tell, mut told) = mpsc::unbounded_channel::<Wake>();
    for listener in std::mem::take(&mut context.listeners) {
        let listener = std::os::unix::net::UnixListener::from(listener);
        let listener = tokio::net::UnixListener::from_std(listener).map_err(|error| error.to_string())?;
        tokio::task::spawn_local(hear_triggers(listener, tell.clone()));
    }
    if let Some(lifetime) = context.lifetime.take() {
        tokio::task::spawn_local(watch_master(lifetime, tell.clone()));
    }
    watch_signals(&tell)?;
    let mut deferred_scan = tokio::time::interval(context.cf.queue_run_delay().max(Duration::from_secs(1)));
    active.take_back();
    scan_incoming(&mut active, &mut scheduler, &context.cf);
    let mut finishing = false;
    let mut in_flight = 0usize;
    let mut stuck = false;
    let (mut sites, mut looked) = (HashSet::new(), None::<Instant>);
    loop {
        while !finishing && let Some(job) = scheduler.next() {
            in_flight += 1;
            let request = active.request(&job.transport, &job.work);
            let ticket = Ticket { work: job.work, transport: job.transport, destination: job.destination };
            tokio::task::spawn_local(deliver(ticket, request, active.queue_directory(), tell.clone()));
        }
        if finishing && in_flight == 0 {
            return Ok(());
        }
        let wake = tokio::select! {
            wake = told.recv() => wake.unwrap_or(Wake::Finish),
            _ = deferred_scan.tick() => Wake::DeferredScan,
            () = tokio::time::sleep(SITES_PAUSE), if stuck || !sites.is_empty() => Wake::Retry,
        };
        match wake {
            Wake::Triggered(codes) if codes.first() == Some(&trigger::ONE) => active.make_due(codes.get(1..)),
            Wake::Triggered(codes) if codes.first() == Some(&trigger::SITE) => {
                let site = String::from_utf8_lossy(codes.get(1..).unwrap_or_default()).to_lowercase();
                sites.insert(site);
            }
            Wake::Triggered(codes) => {
                for code in codes {
                    match code {
                        b'D' | b'F' => active.scan_deferred_now = true,
                        b'A' => {
                            active.ignore_time_stamps = true;
                            scheduler.revive();
                        }
                        _ => {}
                    }
                }
            }
            Wake::Answered(ticket, answer) => {
                in_flight -= 1;
                let down = active.answered(&ticket.transport, &ticket.work, answer);
                let returned =
                    scheduler.finished(&ticket.transport, &ticket.destination, down.as_deref(), Instant::now());
                for work in returned {
                    active.not_tried(&work, down.as_deref().unwrap_or_default());
                }
            }
            Wake::DeferredScan => {
                active.scan_deferred_now = true;
                scheduler.expire(Instant::now());
            }
            Wake::Retry => {}
            Wake::Reload => reload(&mut context, &mut active, &mut scheduler),
            Wake::Finish => finishing = true,
        }
        // Wake-up calls that came meanwhile are served by the same scan.
        if !finishing {
            // Each look goes through all of deferred/: whoever asks again and again gets no more of them.
            if !sites.is_empty() && looked.is_none_or(|at| at.elapsed() >= SITES_PAUSE) {
                active.make_sites_due(&std::mem::take(&mut sites));
                scheduler.revive();
                looked = Some(Instant::now());
            }
            if std::mem::take(&mut active.scan_deferred_now) {
                scan_deferred(&mut active, &mut scheduler, &context.cf);
            }
            stuck = scan_incoming(&mut active, &mut scheduler, &context.cf);
        }
    }
}

/// Takes up what waits in incoming/, as far as there is room. True when something has to be tried again soon.
fn scan_incoming(active: &mut Active, scheduler: &mut Scheduler<Work>, cf: &MainCf) -> bool {
    // No more than there is room for: the directory may hold far more, and is looked at again when there is room.
    let found: Vec<_> = walk(active.queue(), "incoming").take(active.room()).collect();
    let mut again = active.room() == 0;
    for (id, _) in found {
        match active.activate(&id, crate::queue::State::Incoming) {
            Ok(jobs) => submit(active, scheduler, cf, jobs),
            Err(error) => {
                active.log().warning(format!("{id}: {error}"));
                again = true;
            }
        }
    }
    again
}

/// Takes up what is due in deferred/. A file's modification time is when it is due.
fn scan_deferred(active: &mut Active, scheduler: &mut Scheduler<Work>, cf: &MainCf) {
    let now = SystemTime::now();
    let all = std::mem::take(&mut active.ignore_time_stamps);
    let found: Vec<_> = walk(active.queue(), "deferred").collect();
    for (id, path) in found {
        if active.room() == 0 {
            return;
        }
        let due = std::fs::metadata(&path).is_ok_and(|data| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(data.mtime()).unwrap_or(0));
            all || time <= now
        });
        if due {
            match active.activate(&id, crate::queue::State::Deferred) {
                Ok(jobs) => submit(active, scheduler, cf, jobs),
                Err(error) => active.log().warning(format!("{id}: {error}")),
            }
        }
    }
}

fn submit(active: &mut Active, scheduler: &mut Scheduler<Work>, cf: &MainCf, jobs: Vec<schedule::Job<Work>>) {
    for job in jobs {
        if let Err((work, reason)) = scheduler.add(job, Instant::now(), |transport| limits(cf, transport)) {
            active.not_tried(&work, &reason);
        }
    }
}

/// The limits of a transport, by its own parameters or the defaults.
fn limits(cf: &MainCf, transport: &str) -> Limits {
    let count = |value: i64| usize::try_from(value).unwrap_or(1);
    let unlimited = |value: usize| if value == 0 { usize::MAX } else { value };
    Limits {
        processes: unlimited(count(cf.default_process_limit())),
        initial: count(cf.initial_destination_concurrency())
            .min(unlimited(count(cf.for_service::<Int>(transport, "_destination_concurrency_limit")))),
        concurrency: unlimited(count(cf.for_service::<Int>(transport, "_destination_concurrency_limit"))),
        dead_time: cf.typed::<Time>("minimal_backoff_time"),
    }
}

/// SIGHUP: the configuration is read again, in place: deliveries that are under way go on.
fn reload(context: &mut Context, active: &mut Active, scheduler: &mut Scheduler<Work>) {
    let fresh = MainCf::read(context.cf.directory()).and_then(|cf| cf.verify().map(|()| cf));
    let applied = fresh.map_err(|error| error.to_string()).and_then(|cf| active.configure(&cf).map(|()| cf));
    match applied {
        Ok(cf) => {
            context.cf = cf;
            scheduler.refresh_limits(|transport| limits(&context.cf, transport));
        }
        Err(error) => context.log.warning(format!("reload: {error}; the old configuration stays")),
    }
}

/// One delivery: ask the agent, await its answer.
async fn deliver(ticket: Ticket, request: Request, queue: PathBuf, tell: mpsc::UnboundedSender<Wake>) {
    let socket = queue.join("private").join(&ticket.transport);
    let ask = async {
        let mut stream = UnixStream::connect(&socket).await.map_err(|error| {
            format!("connect to transport private/{}: {}", ticket.transport, crate::sys::files::reason(&error))
        })?;
        wire::send_async(&mut stream, &request)
            .await
            .map_err(|error| format!("transport {}: {error}", ticket.transport))?;
        match wire::receive_async::<Answer>(&mut stream).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(format!("transport {}: the agent ended without an answer", ticket.transport)),
            Err(error) => Err(format!("transport {}: {error}", ticket.transport)),
        }
    };
    let answer =
        tokio::time::timeout(AGENT_TIMEOUT, ask).await.unwrap_or_else(|_| Err("the agent did not answer".into()));
    let _ = tell.send(Wake::Answered(ticket, answer));
}

/// Reads wake-up calls: each connection may hold a few codes.
async fn hear_triggers(listener: tokio::net::UnixListener, tell: mpsc::UnboundedSender<Wake>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut codes = [0u8; trigger::LONGEST];
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut codes)).await;
        if let Ok(Ok(length)) = read {
            let _ = tell.send(Wake::Triggered(codes[..length].to_vec()));
        }
    }
}

/// Ends with master: the lifetime pipe is readable (at its end) only then.
async fn watch_master(lifetime: OwnedFd, tell: mpsc::UnboundedSender<Wake>) {
    if let Ok(mut pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(lifetime) {
        let mut byte = [0u8; 1];
        let _ = pipe.read(&mut byte).await;
        let _ = tell.send(Wake::Finish);
    }
}

fn watch_signals(tell: &mpsc::UnboundedSender<Wake>) -> Result<(), String> {
    for (kind, reload) in [(SignalKind::hangup(), true), (SignalKind::terminate(), false)] {
        let mut stream = signal(kind).map_err(|error| error.to_string())?;
        let tell = tell.clone();
        tokio::task::spawn_local(async move {
            while stream.recv().await.is_some() {
                let _ = tell.send(if reload { Wake::Reload } else { Wake::Finish });
            }
        });
    }
    Ok(())
}
