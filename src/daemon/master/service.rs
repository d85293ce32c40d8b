//! One service of master.cf: its sockets, its processes, its pauses.

use super::MasterError;
use super::endpoint;
use crate::conf::MainCf;
use crate::conf::master_cf::{Endpoint, Service};
use crate::daemon::skeleton::{LIFETIME_FD, LISTEN_FD, Model, ROLE_FLAG, Role, STATUS_FD};
use crate::ipc::trigger;
use crate::log::Log;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest pause before a role that keeps dying is started again (the reference's service_throttle_time).
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often private files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A role that lived this long did not die of its start.
const HEALTHY: Duration = Duration::from_secs(10);

struct Process {
    available: bool,
    /// Told to finish; it no longer counts.
    retired: bool,
    /// It was busy, and free again.
    worked: bool,
    started: Instant,
}

/// What the end of a process says of how it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Good,
    Bad,
}

/// A service that is served.
pub struct Running {
    line: Service,
    role: &'static Role,
    pub command: String,
    listeners: Vec<OwnedFd>,
    socket_path: Option<PathBuf>,
    processes: HashMap<i32, Process>,
    limit: usize,
    failures: u32,
    paused_until: Option<Instant>,
    next_wakeup: Option<Instant>,
    /// The private files of its processes, as they were when the newest of them began.
    private: Vec<(String, Stamp)>,
    looked: Instant,
}

/// What tells a file from one that was put in its place: inode, size, time of change in seconds and nanoseconds.
type Stamp = Option<(u64, u64, i64, i64)>;

fn stamp(file: &str) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    Some((data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}

impl Running {
    /// Opens the endpoint of a line; None for a command that is absorbed. An unknown command names its line.
    pub fn open(cf: &MainCf, directory: &Path, line: &Service) -> Result<Option<Running>, MasterError> {
        let path = directory.join("master.cf").display().to_string();
        let fault = |text: String| MasterError::Service { path: path.clone(), line: line.line, text };
        let role =
            crate::daemon::find(&line.command).ok_or_else(|| fault(format!("unknown command: {}", line.command)))?;
        if role.model == Model::Absorbed {
            return Ok(None);
        }
        let listeners = endpoint::open(cf, line).map_err(fault)?;
        let socket_path = (line.endpoint != Endpoint::Inet).then(|| endpoint::local_path(cf, line));
        let mut running = Running {
            line: line.clone(),
            role,
            command: line.command.clone(),
            listeners,
            socket_path,
            processes: HashMap::new(),
            limit: 1,
            failures: 0,
            paused_until: None,
            next_wakeup: None,
            private: Vec::new(),
            looked: Instant::now(),
        };
        running.adopt(cf, line);
        Ok(Some(running))
    }

    /// Whether this is the endpoint of `line`.
    pub fn is(&self, line: &Service) -> bool {
        self.line.name == line.name
            && self.line.endpoint == line.endpoint
            && self.line.private == line.private
            && self.line.command == line.command
            && !self.listeners.is_empty()
    }

    /// Takes over the settings of a line that was read again.
    pub fn adopt(&mut self, cf: &MainCf, line: &Service) {
        self.line = line.clone();
        // Whoever reloads has mended what kept it from starting.
        (self.failures, self.paused_until) = (0, None);
        let default = u32::try_from(cf.default_process_limit()).unwrap_or(100);
        let limit = match line.max_processes.unwrap_or(default) {
            0 => usize::MAX,
            limit => limit as usize,
        };
        self.limit = if self.role.model == Model::Agent { limit } else { 1 };
    }

    pub fn listeners(&self) -> &[OwnedFd] {
        &self.listeners
    }

    fn current(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(|process| !process.retired)
    }

    /// Whether a connection on the endpoint should start a process.
    pub fn wants_process(&self, now: Instant) -> bool {
        let free = match self.role.model {
            Model::Agent => self.current().any(|process| process.available),
            _ => self.current().next().is_some(),
        };
        // One queue manager at a time: a retired one must have ended first.
        let exclusive = self.role.model == Model::Single && !self.processes.is_empty();
        !self.listeners.is_empty()
            && !free
            && !exclusive
            && self.current().count() < self.limit
            && self.paused_until.is_none_or(|until| now >= until)
    }

    /// When something is due without an event.
    pub fn next_event(&self, now: Instant) -> Option<Instant> {
        [self.next_wakeup, self.paused_until.filter(|&until| until > now)].into_iter().flatten().min()
    }

    pub fn schedule_first_wakeup(&mut self, now: Instant) {
        self.next_wakeup = self.line.wakeup.map(|_| now);
    }

    /// Sends the periodic wake-up call, which may itself be what starts the process.
    pub fn wake_if_due(&mut self, now: Instant) {
        let (Some(due), Some(period)) = (self.next_wakeup, self.line.wakeup) else { return };
        if now < due {
            return;
        }
        self.next_wakeup = Some(now + period);
        let unused = self.line.wakeup_if_used && self.processes.is_empty();
        if let Some(path) = self.socket_path.as_ref().filter(|_| !unused) {
            let _ = trigger::send(path, trigger::WAKEUP);
        }
    }

    /// A certificate that was renewed is used without a reload: the reference's processes end after a while, and their
    /// successors read it; ours go on, and are replaced when there is something new. No session is cut for it.
    pub fn look_at_private_files(&mut self, now: Instant, log: &Log) {
        if now.duration_since(self.looked) < LOOK_AGAIN {
            return;
        }
        self.looked = now;
        let changed = self.private.iter().find(|(file, before)| stamp(file) != *before);
        if let Some((file, _)) = changed {
            log.info(format!("{file} has changed -- restarting {}", self.command));
            self.private.clear();
            self.retire(Signal::SIGHUP);
        }
    }

    fn note_private_files(&mut self, cf: &MainCf) {
        let mut own = cf.clone();
        for (name, value) in self.line.overrides() {
            own.set(&name, &value);
        }
        self.private = (self.role.private)(&own).into_iter().map(|file| (file.clone(), stamp(&file))).collect();
    }

    /// Starts a process: ourselves again, under the role's name, with the sockets on fixed descriptors.
    pub fn spawn(&mut self, cf: &MainCf, directory: &Path, status: &OwnedFd, lifetime: &OwnedFd, log: &Log) {
        if self.role.model == Model::Sessions {
            self.note_private_files(cf);
        }
        let started = self.try_spawn(directory, status, lifetime);
        match started {
            Ok(pid) => {
                self.processes
                    .insert(pid, Process { available: true, retired: false, worked: false, started: Instant::now() });
            }
            Err(error) => {
                log.warning(format!("cannot start {}: {error}", self.command));
                self.pause();
            }
        }
    }

    fn try_spawn(&self, directory: &Path, status: &OwnedFd, lifetime: &OwnedFd) -> std::io::Result<i32> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0(self.role.command).args([ROLE_FLAG, "-n", &self.line.name, "-c"]).arg(directory);
        command.arg("-l").arg(self.listeners.len().to_string());
        for (name, value) in self.line.overrides() {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        command.arg("--").args(self.line.plain_arguments());
        command.env_clear().envs(kept_environment()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut map = vec![(status.try_clone()?, STATUS_FD), (lifetime.try_clone()?, LIFETIME_FD)];
        for (number, listener) in (LISTEN_FD..).zip(&self.listeners) {
            map.push((listener.try_clone()?, number));
        }
        crate::sys::spawn::hand_over(&mut command, map);
        let child = command.spawn()?;
        Ok(child.id() as i32)
    }

    pub fn note_status(&mut self, pid: i32, available: bool) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.worked |= available && !process.available;
            process.available = available;
        }
    }

    /// A process ended; None when it was not ours. One that died young, and before it had brought any work to its
    /// end, delays the next.
    pub fn forget(&mut self, pid: i32, clean: bool) -> Option<Start> {
        let process = self.processes.remove(&pid)?;
        if clean || process.worked || process.started.elapsed() > HEALTHY {
            self.failures = 0;
            return Some(Start::Good);
        }
        self.pause();
        Some(Start::Bad)
    }

    /// At once after a first failure, then 1, 2, 4... seconds later.
    fn pause(&mut self) {
        let seconds = if self.failures == 0 { 0 } else { 1u64 << (self.failures - 1).min(6) };
        self.failures += 1;
        self.paused_until = Some(Instant::now() + Duration::from_secs(seconds).min(LONGEST_PAUSE));
    }

    /// Tells all processes to finish. The queue manager reads its configuration again by itself and stays.
    pub fn retire(&mut self, signal: Signal) {
        let stays = signal == Signal::SIGHUP && self.role.command.ends_with("qmgr");
        for (&pid, process) in &mut self.processes {
            let _ = kill(Pid::from_raw(pid), signal);
            process.retired |= !stays;
        }
    }

    pub fn close(&mut self) {
        self.listeners.clear();
        self.next_wakeup = None;
    }

    pub fn remove_socket(&mut self) {
        if let Some(path) = self.socket_path.take() {
            let _ = std::fs::remove_file(path);
        }
    }

    pub fn has_processes(&self) -> bool {
        !self.processes.is_empty()
    }

    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.processes.keys().copied()
    }
}

/// The environment of roles (import_environment's default, as far as it concerns us).
fn kept_environment() -> impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)> {
    ["MAIL_CONFIG", "MAIL_DEBUG", "TZ", "LANG=C", "PATH"].into_iter().filter_map(|name| match name.split_once('=') {
        Some((name, value)) => Some((name.into(), value.into())),
        None => Some((name.into(), std::env::var_os(name)?)),
    })
}
