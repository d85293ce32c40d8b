//! Signals: default SIGPIPE for programs in pipes, and flags that a handler raises for single-threaded loops.
//! tokio roles use tokio's own signal streams.

use nix::poll::{PollFd, ppoll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::time::TimeSpec;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Raised signals since the last [`take`], bit N for signal N.
static RAISED: AtomicU32 = AtomicU32::new(0);

extern "C" fn raise_flag(number: libc::c_int) {
    if let Ok(shift) = u32::try_from(number)
        && shift < 32
    {
        RAISED.fetch_or(1 << shift, Ordering::SeqCst);
    }
}

/// Lets the process die quietly of a closed pipe, as `cat` does. For command-line applets, never for roles.
pub fn default_sigpipe() {
    // SAFETY: SIG_DFL is no handler of ours, so no code runs in signal context.
    let _ = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) };
}

/// [`collect`] for loops that sleep in [`wait`]: the signals are blocked but for the time of it, so that none can slip
/// in between looking at a flag and going to sleep. Programs that are started must have them unblocked again, which
/// `sys::spawn` does.
pub fn collect_for_wait(signals: &[Signal]) -> io::Result<()> {
    let mut mask = SigSet::empty();
    signals.iter().for_each(|&signal| mask.add(signal));
    mask.thread_block()?;
    collect(signals)
}

/// Collects these signals as flags for [`take`]. Interrupts blocking system calls (no SA_RESTART).
pub fn collect(signals: &[Signal]) -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(raise_flag), SaFlags::empty(), SigSet::empty());
    for &signal in signals {
        // SAFETY: the handler only does an atomic fetch_or, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// poll(2) during which collected signals may arrive; interrupted by one, it is an error of kind Interrupted.
pub fn wait(descriptors: &mut [PollFd<'_>], timeout: Duration) -> io::Result<usize> {
    let timeout = TimeSpec::from_duration(timeout.min(Duration::from_secs(86_400)));
    Ok(usize::try_from(ppoll(descriptors, Some(timeout), Some(SigSet::empty()))?).unwrap_or(0))
}

/// Ignores these signals.
pub fn ignore(signals: &[Signal]) {
    for &signal in signals {
        // SAFETY: SIG_IGN is no handler of ours, so no code runs in signal context.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) };
    }
}

/// Whether the signal was raised since the last call for it; lowers the flag.
pub fn take(signal: Signal) -> bool {
    let bit = 1u32 << (signal as u32);
    RAISED.fetch_and(!bit, Ordering::SeqCst) & bit != 0
}
