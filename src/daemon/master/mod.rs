//! master(8): opens the endpoints of master.cf, starts a role when there is work for it, watches it, starts it again
//! with growing pauses when it dies, and wakes pickup and qmgr on time. It reads no byte from outside.

mod endpoint;
mod service;

use crate::conf::master_cf::Endpoint;
use crate::conf::{MainCf, master_cf};
use crate::log::Log;
use crate::sys::{files, signal};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use service::{Running, Start};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long processes may take to end after SIGTERM before they are killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The lock that says a master runs, and its pid inside.
pub fn pid_file(cf: &MainCf) -> PathBuf {
    Path::new(&cf.queue_directory()).join(cf.process_id_directory()).join("master.pid")
}

/// The pid of the running master; None when none runs.
pub fn running(cf: &MainCf) -> Option<i32> {
    let mut file = File::options().read(true).write(true).open(pid_file(cf)).ok()?;
    let mut text = String::new();
    (&mut file).take(64).read_to_string(&mut text).ok()?;
    match crate::sys::lock::try_flock(file) {
        Ok(None) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Why master could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    #[error("{0}")]
    Conf(#[from] crate::conf::ConfError),
    #[error("the Postfix mail system is already running")]
    AlreadyRunning,
    #[error("{what}: {}", files::reason(source))]
    Io { what: String, source: io::Error },
    #[error("{path}: line {line}: {text}")]
    Service { path: String, line: usize, text: String },
}

/// A running master.
pub struct Master {
    directory: PathBuf,
    cf: MainCf,
    log: Log,
    services: Vec<Running>,
    /// Where agents say whether they are free.
    status: (OwnedFd, OwnedFd),
    /// Ends when we do, and with it every role.
    lifetime: (OwnedFd, OwnedFd),
    _lock: nix::fcntl::Flock<File>,
}

impl Master {
    /// Takes the lock, opens all endpoints. When this returns, clients can connect.
    pub fn start(directory: &Path) -> Result<Master, MasterError> {
        let cf = MainCf::read(directory)?;
        cf.verify()?;
        let log = Log::open(&cf.syslog_name(), "master", &cf.syslog_facility(), &cf.maillog_file());
        let queue = cf.queue_directory();
        std::env::set_current_dir(&queue)
            .map_err(|source| MasterError::Io { what: format!("chdir {queue}"), source })?;
        let lock = take_lock(&cf)?;
        let pipe = || -> Result<(OwnedFd, OwnedFd), MasterError> {
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)
                .map_err(|errno| MasterError::Io { what: "pipe".into(), source: errno.into() })
        };
        let (status, lifetime) = (pipe()?, pipe()?);
        signal::collect_for_wait(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD])
            .map_err(|source| MasterError::Io { what: "sigaction".into(), source })?;
        signal::ignore(&[Signal::SIGPIPE]);
        let mut master =
            Master { directory: directory.to_owned(), cf, log, services: Vec::new(), status, lifetime, _lock: lock };
        master.open_services()?;
        let version = master.cf.mail_version();
        master.log.info(format!("daemon started -- version {version}, configuration {}", directory.display()));
        Ok(master)
    }

    /// Serves until SIGTERM.
    pub fn run(&mut self) {
        for service in &mut self.services {
            service.schedule_first_wakeup(Instant::now());
        }
        loop {
            if signal::take(Signal::SIGCHLD) {
                self.reap();
            }
            if signal::take(Signal::SIGTERM) | signal::take(Signal::SIGINT) {
                self.log.info("terminating on signal 15");
                return self.stop();
            }
            if signal::take(Signal::SIGHUP) {
                self.reload();
            }
            self.turn();
        }
    }

    /// One wait, and what came of it.
    fn turn(&mut self) {
        let now = Instant::now();
        let wanted: Vec<usize> = (0..self.services.len()).filter(|&n| self.services[n].wants_process(now)).collect();
        let mut descriptors = vec![PollFd::new(self.status.0.as_fd(), PollFlags::POLLIN)];
        let mut owners = Vec::new();
        for &index in &wanted {
            for listener in self.services[index].listeners() {
                descriptors.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
                owners.push(index);
            }
        }
        let next = self.services.iter().filter_map(|service| service.next_event(now)).min();
        let wait =
            next.map_or(Duration::from_secs(60), |at| at.saturating_duration_since(now)).min(Duration::from_secs(60));
        if signal::wait(&mut descriptors, wait + Duration::from_millis(1)).is_err() {
            return;
        }
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLIN));
        let mut starting: Vec<usize> =
            owners.iter().zip(&descriptors[1..]).filter(|(_, fd)| ready(fd)).map(|(&owner, _)| owner).collect();
        let status_ready = ready(&descriptors[0]);
        drop(descriptors);
        starting.dedup();
        if status_ready {
            self.read_status();
        }
        let now = Instant::now();
        for index in starting {
            // The status just read may say that a process became free meanwhile.
            if self.services[index].wants_process(now) {
                self.services[index].spawn(&self.cf, &self.directory, &self.status.1, &self.lifetime.0, &self.log);
            }
        }
        for service in &mut self.services {
            service.wake_if_due(now);
            service.look_at_private_files(now, &self.log);
        }
    }

    fn read_status(&mut self) {
        let mut buffer = [0u8; 5 * 200];
        let Ok(length) = nix::unistd::read(&self.status.0, &mut buffer) else { return };
        for frame in buffer[..length].chunks_exact(5) {
            let [a, b, c, d, available] = *frame else { continue };
            let pid = i32::from_ne_bytes([a, b, c, d]);
            for service in &mut self.services {
                service.note_status(pid, available == 1);
            }
        }
    }

    /// Takes in the ends of processes.
    fn reap(&mut self) {
        loop {
            let (pid, clean, what) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, status == 0, format!("exit status {status}")),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, false, format!("killed by signal {}", signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            for service in &mut self.services {
                let Some(start) = service.forget(pid.as_raw(), clean) else { continue };
                // The path that the reference's process would have: log readers know these lines.
                let path = format!("{}/{}", self.cf.daemon_directory(), service.command);
                if !clean {
                    self.log.warning(format!("process {path} pid {pid} {what}"));
                }
                if start == Start::Bad {
                    self.log.warning(format!("{path}: bad command startup -- throttling"));
                }
            }
        }
    }

    /// SIGHUP: the configuration is read again. A fault in it leaves everything as it was. Sockets that stay are
    /// kept open, and processes finish what they do before they end, so no connection is dropped.
    fn reload(&mut self) {
        let version = self.cf.mail_version();
        self.log.info(format!("reload -- version {version}, configuration {}", self.directory.display()));
        let fresh = MainCf::read(&self.directory).and_then(|cf| cf.verify().map(|()| cf));
        match fresh {
            Ok(cf) => self.cf = cf,
            Err(error) => return self.log.event(&crate::log::Event::Error(error.to_string().into_bytes().into())),
        }
        if let Err(error) = self.open_services() {
            self.log.event(&crate::log::Event::Error(error.to_string().into_bytes().into()));
        }
        for service in &mut self.services {
            service.retire(Signal::SIGHUP);
            service.schedule_first_wakeup(Instant::now());
        }
    }

    /// Brings the services in line with master.cf; endpoints that are open already are kept.
    fn open_services(&mut self) -> Result<(), MasterError> {
        let lines = master_cf::read(&self.directory)?;
        let mut services = Vec::new();
        let mut old = std::mem::take(&mut self.services);
        let mut failure = None;
        for line in lines {
            let kept = old.iter().position(|service| service.is(&line));
            let made = match kept {
                Some(at) => {
                    let mut service = old.swap_remove(at);
                    service.adopt(&self.cf, &line);
                    Ok(Some(service))
                }
                None => Running::open(&self.cf, &self.directory, &line),
            };
            if let (Ok(None), Some(role)) =
                (&made, crate::daemon::find(&line.command).filter(|_| line.endpoint == Endpoint::Inet))
            {
                let (name, command) = (&line.name, &line.command);
                self.log.warning(format!("master.cf, line {}: service {name}: {command}: {}", line.line, role.note));
            }
            match made {
                Ok(service) => services.extend(service),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        for mut gone in old {
            gone.retire(Signal::SIGTERM);
            gone.remove_socket();
            if gone.has_processes() {
                // Kept without its sockets until its processes have ended.
                gone.close();
                services.push(gone);
            }
        }
        self.services = services;
        failure.map_or(Ok(()), Err)
    }

    /// Lets every process finish what it does, then ends.
    fn stop(&mut self) {
        for service in &mut self.services {
            service.close();
            // Its socket stays: who calls learns that nobody answers, and not that there is no mail system here.
            service.retire(Signal::SIGTERM);
        }
        let end = Instant::now() + STOP_PATIENCE;
        while self.services.iter().any(Running::has_processes) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
            let _ = signal::take(Signal::SIGCHLD);
            self.reap();
        }
        for pid in self.services.iter().flat_map(Running::pids) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn take_lock(cf: &MainCf) -> Result<nix::fcntl::Flock<File>, MasterError> {
    let path = pid_file(cf);
    let failed = |source| MasterError::Io { what: format!("open lock file {}", path.display()), source };
    use std::os::unix::fs::OpenOptionsExt;
    let file =
        File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    let mut lock = crate::sys::lock::try_flock(file).map_err(failed)?.ok_or(MasterError::AlreadyRunning)?;
    lock.set_len(0).map_err(failed)?;
    writeln!(lock, "{:32}", std::process::id()).map_err(failed)?;
    Ok(lock)
}
