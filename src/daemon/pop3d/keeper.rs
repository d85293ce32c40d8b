//! The privileged parent. It owns the listening sockets, starts the login process that speaks with strangers, and for
//! each attempt to log in a verifier; it reads nothing from the network, and of its children only messages of fixed
//! form. A child that dies is replaced or forgotten; its death is nobody else's.

use super::wire::{FINISH, MESSAGE, Request, Verdict};
use super::{login, session, verify, words::Words};
use crate::daemon::pop3d::settings::Settings;
use crate::sys::{descriptor, signal, spawn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A verifier that has not answered by then is ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// One verifier, later one session.
struct Attempt {
    child: Child,
    id: u32,
    /// None: the verdict is known.
    verdict: Option<io::PipeReader>,
    since: Instant,
    /// "user/address", for the limit of sessions.
    key: (Vec<u8>, String),
    logged_in: bool,
}

/// Serves until SIGTERM, SIGINT, or the end of `lifetime`, the pipe that master holds open. Sessions that run then go on.
/// After SIGHUP (a reload) it takes no more connections, and ends when those that are there have logged in or gone.
pub fn run(
    listeners: &[TcpListener],
    settings: &Settings,
    config: Option<&Path>,
    lifetime: Option<&OwnedFd>,
) -> io::Result<()> {
    signal::collect(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD])?;
    signal::ignore(&[Signal::SIGPIPE]);
    let log = Words::open(&settings.conf);
    let mut keeper = Keeper { settings, config: config.map(Path::to_owned), log, attempts: Vec::new() };
    let mut started = Instant::now();
    let mut finishing = false;
    let (mut control, mut login) = keeper.start_login(listeners)?;
    loop {
        let master_is_gone = lifetime.is_some_and(|lifetime| {
            let mut waited = [PollFd::new(lifetime.as_fd(), PollFlags::POLLIN)];
            poll(&mut waited, PollTimeout::ZERO).is_ok() && waited[0].any().unwrap_or(false)
        });
        if signal::take(Signal::SIGTERM) || signal::take(Signal::SIGINT) || master_is_gone {
            let _ = login.kill();
            let _ = login.wait();
            keeper.log.warning("master", "Killed with signal 15");
            return Ok(());
        }
        if signal::take(Signal::SIGHUP) && !finishing {
            finishing = true;
            let _ = descriptor::send(&control, &Verdict::No.encode(FINISH), None);
        }
        keeper.wait_for_children();
        match keeper.turn(&control) {
            Ok(true) => {}
            Ok(false) if finishing => {
                let _ = login.wait();
                return Ok(());
            }
            Ok(false) => {
                let _ = login.kill();
                let _ = login.wait();
                keeper.log.error("pop3-login", "the login process ended and is started again");
                if started.elapsed() < Duration::from_secs(1) {
                    std::thread::sleep(Duration::from_secs(1));
                }
                started = Instant::now();
                (control, login) = keeper.start_login(listeners)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => keeper.log.error("master", &error.to_string()),
        }
    }
}

struct Keeper<'s> {
    settings: &'s Settings,
    config: Option<PathBuf>,
    log: Words,
    attempts: Vec<Attempt>,
}

impl Keeper<'_> {
    fn command(&self, role: &str) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("pop3d").args(["--role", role]);
        if let Some(config) = &self.config {
            command.arg("-c").arg(config);
        }
        command
    }

    fn start_login(&self, listeners: &[TcpListener]) -> io::Result<(OwnedFd, Child)> {
        let (ours, theirs) = descriptor::pair()?;
        let mut command = self.command("login");
        let mut handed = vec![(theirs, login::CONTROL)];
        for (listener, number) in listeners.iter().zip(login::CONTROL + 1..) {
            handed.push((OwnedFd::from(listener.try_clone()?), number));
        }
        command.arg("--listeners").arg(listeners.len().to_string()).stdin(Stdio::null());
        spawn::hand_over(&mut command, handed);
        Ok((ours, command.spawn()?))
    }

    /// Waits for one event and deals with it; false when the login process is gone.
    fn turn(&mut self, control: &OwnedFd) -> io::Result<bool> {
        let mut waited = vec![PollFd::new(control.as_fd(), PollFlags::POLLIN)];
        let mut whose = Vec::new();
        for (index, attempt) in self.attempts.iter().enumerate() {
            if let Some(verdict) = &attempt.verdict {
                waited.push(PollFd::new(verdict.as_fd(), PollFlags::POLLIN));
                whose.push(index);
            }
        }
        poll(&mut waited, PollTimeout::from(1000u16))?;
        let ready: Vec<bool> = waited.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(waited);
        for (index, ready) in whose.into_iter().zip(ready.iter().skip(1)) {
            let late = self.attempts[index].since.elapsed() > PATIENCE;
            if *ready || late {
                self.verdict(index, control, late)?;
            }
        }
        if !ready.first().copied().unwrap_or(false) {
            return Ok(true);
        }
        let (message, client) = descriptor::receive(control, MESSAGE)?;
        if message.is_empty() {
            return Ok(false);
        }
        let (Some(request), Some(client)) = (Request::decode(&message), client) else {
            self.log.error("master", "the login process sent nonsense");
            return Ok(false);
        };
        if let Err(error) = self.start_verifier(&request, &message, client) {
            self.log.error("auth", &format!("a verifier did not start: {error}"));
            descriptor::send(control, &Verdict::Temporary.encode(request.id), None)?;
        }
        Ok(true)
    }

    fn start_verifier(&mut self, request: &Request, message: &[u8], client: OwnedFd) -> io::Result<()> {
        if self.attempts.len() >= self.settings.process_limit {
            return Err(io::Error::other("process_limit is reached"));
        }
        let (verdict, theirs) = io::pipe()?;
        let mut command = self.command("verify");
        command.stdin(Stdio::piped());
        spawn::hand_over(&mut command, vec![(client, session::CLIENT), (OwnedFd::from(theirs), verify::VERDICT)]);
        let mut child = command.spawn()?;
        drop(command);
        if let Some(mut input) = child.stdin.take() {
            // Less than a pipe holds, so that the keeper never waits for a child.
            input.write_all(message)?;
        }
        let key = (request.user.to_ascii_lowercase(), request.remote.clone());
        let attempt =
            Attempt { child, id: request.id, verdict: Some(verdict), since: Instant::now(), key, logged_in: false };
        self.attempts.push(attempt);
        Ok(())
    }

    /// Passes a verifier's answer on.
    fn verdict(&mut self, index: usize, control: &OwnedFd, late: bool) -> io::Result<()> {
        let mut letter = [0];
        let Some(mut pipe) = self.attempts[index].verdict.take() else { return Ok(()) };
        let read = if late { 0 } else { pipe.read(&mut letter).unwrap_or(0) };
        let mut sessions: HashMap<&(Vec<u8>, String), u64> = HashMap::new();
        for attempt in self.attempts.iter().filter(|attempt| attempt.logged_in) {
            *sessions.entry(&attempt.key).or_default() += 1;
        }
        let known = sessions.get(&self.attempts[index].key).copied().unwrap_or(0);
        let limit = self.settings.max_per_user_and_address;
        let attempt = &mut self.attempts[index];
        let verdict = match (read, letter) {
            (1, [b'y']) if limit > 0 && known >= limit => {
                let _ = attempt.child.kill();
                Verdict::Crowded
            }
            (1, [b'y']) => {
                attempt.logged_in = true;
                Verdict::Yes(attempt.child.id())
            }
            (1, [b'n']) => Verdict::No,
            _ => {
                let _ = attempt.child.kill();
                Verdict::Temporary
            }
        };
        let id = attempt.id;
        descriptor::send(control, &verdict.encode(id), None)
    }

    fn wait_for_children(&mut self) {
        signal::take(Signal::SIGCHLD);
        self.attempts
            .retain_mut(|attempt| attempt.verdict.is_some() || !matches!(attempt.child.try_wait(), Ok(Some(_))));
    }
}
