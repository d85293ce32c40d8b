//! Starting programs: roles with sockets on fixed descriptors, and commands as another user.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Puts each descriptor of `map` on its number in the child; every other one from 3 on is closed by its
/// close-on-exec flag, which Rust sets on all that it opens.
pub fn hand_over(command: &mut Command, map: Vec<(OwnedFd, RawFd)>) {
    let first_free = map.iter().map(|(_, target)| *target).max().unwrap_or(2) + 1;
    // SAFETY: between fork and exec only fcntl and dup2 are called, which are async-signal-safe, and no memory is
    // allocated: the vector was made before.
    unsafe {
        command.pre_exec(move || {
            use std::os::fd::AsRawFd;
            unblock_signals();
            // In two steps, so that no target number is overwritten while it is still somebody's source.
            let mut moved = [(0, 0); 16];
            for (slot, (source, target)) in moved.iter_mut().zip(&map) {
                let high = libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, first_free);
                if high < 0 {
                    return Err(io::Error::last_os_error());
                }
                *slot = (high, *target);
            }
            for &(high, target) in moved.iter().take(map.len()) {
                if libc::dup2(high, target) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// Takes over a descriptor that master put on a fixed number. None if nothing is open there.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: fcntl(F_SETFD) on any number is harmless; it fails with EBADF when nothing is open there.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, and roles call this once for each number before anything else opens files.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The child becomes `uid`, `gid`, `groups` for good and leads a process group of its own, which a time limit can kill.
pub fn become_user(command: &mut Command, uid: u32, gid: u32, groups: &[u32]) {
    let groups: Vec<libc::gid_t> = groups.to_vec();
    // SAFETY: only async-signal-safe system calls between fork and exec; the vector was made before.
    unsafe {
        command.pre_exec(move || {
            unblock_signals();
            libc::setsid();
            if libc::getuid() == 0 {
                // Root comes back first when the parent holds another effective identity.
                if libc::setresuid(u32::MAX, 0, u32::MAX) < 0
                    || libc::setgroups(groups.len(), groups.as_ptr()) < 0
                    || libc::setresgid(gid, gid, gid) < 0
                    || libc::setresuid(uid, uid, uid) < 0
                {
                    return Err(io::Error::last_os_error());
                }
            } else if libc::geteuid() != uid {
                return Err(io::Error::from_raw_os_error(libc::EPERM));
            }
            Ok(())
        });
    }
}

/// Opens /dev/null on each of descriptors 0 to 2 that the caller left closed, so that no file of ours lands there.
pub fn sane_standard_descriptors() {
    for number in 0..3 {
        // SAFETY: fcntl(F_GETFD) on any number is harmless; open(2) gets a constant, terminated path.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) < 0 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// The child leads a session of its own, as daemons do.
pub fn new_session(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            unblock_signals();
            libc::setsid();
            Ok(())
        });
    }
}

/// Points descriptors 0 to 2 at /dev/null, as a daemon's are when its start is told.
pub fn detach_standard_descriptors() {
    // SAFETY: open(2) gets a constant, terminated path; dup2 on the standard numbers closes what was there.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if null >= 0 {
            for number in 0..3 {
                libc::dup2(null, number);
            }
            libc::close(null);
        }
    }
}

/// Kills a command's process group when its time is over.
pub struct Watchdog {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watchdog {
    pub fn start(pid: u32, limit: Duration) -> Watchdog {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            if stopped.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = i32::try_from(pid).map(|pid| killpg(Pid::from_raw(pid), Signal::SIGKILL));
                return true;
            }
            false
        });
        Watchdog { stop, thread }
    }

    /// True when the command was killed.
    pub fn stop(self) -> bool {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or(false)
    }
}

/// The child leads a session whose terminal is its standard input.
pub fn on_terminal(command: &mut Command) {
    // SAFETY: setsid and ioctl are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// Between fork and exec: what the parent has blocked (`sys::signal::collect_for_wait`) is its own affair.
///
/// # Safety
/// None beyond what its calls ask: sigemptyset and sigprocmask are async-signal-safe.
unsafe fn unblock_signals() {
    // SAFETY: the set is ours, and sigemptyset initialises it before it is used.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// What a command says, collected while it runs: the first bytes are kept, the rest is read and forgotten, so that a
/// chatty command never blocks.
pub struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Output {
    pub fn collect(mut reader: io::PipeReader, limit: usize) -> Output {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = mpsc::channel();
        let shared = kept.clone();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if let Ok(mut kept) = shared.lock() {
                    let room = limit.saturating_sub(kept.len());
                    kept.extend_from_slice(&buffer[..count.min(room)]);
                }
            }
            let _ = end.send(());
        });
        Output { kept, ended }
    }

    /// The text so far, controls masked, once the command has ended. A process that it left behind may hold the pipe
    /// for ever: it is waited for no longer than `patience`.
    pub fn text(self, patience: Duration) -> String {
        self.masked(patience).trim_end().to_owned()
    }

    /// The same as one line, for a log: a blank for each end of line, the last one too, as the reference has it.
    pub fn one_line(self, patience: Duration) -> String {
        self.masked(patience).replace('\n', " ")
    }

    fn masked(self, patience: Duration) -> String {
        let _ = self.ended.recv_timeout(patience);
        let kept = self.kept.lock().map(|kept| kept.clone()).unwrap_or_default();
        let text = String::from_utf8_lossy(&kept);
        text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// faults.md C15: a command that leaves a process behind must not hold the delivery.
    #[test]
    fn a_process_left_behind_holds_nobody() {
        let (reader, writer) = io::pipe().unwrap();
        let begun = Instant::now();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 20 & echo said"]).stdout(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        let output = Output::collect(reader, 100);
        child.wait().unwrap();
        assert_eq!(output.text(Duration::from_millis(200)), "said");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_chatty_command_is_cut() {
        let (reader, writer) = io::pipe().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "yes | head -c 1000000"]).stdout(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        let output = Output::collect(reader, 10);
        child.wait().unwrap();
        assert_eq!(output.text(Duration::from_secs(5)), "y\ny\ny\ny\ny");
    }
}
