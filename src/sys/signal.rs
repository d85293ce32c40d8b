//! Signals: default SIGPIPE for programs in pipes, and flags that a handler raises for single-threaded loops.
//! tokio roles use tokio's own signal streams.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Collects these signals as flags for [`take`]. Interrupts blocking system calls (no SA_RESTART).
pub fn collect(signals: &[Signal]) -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(raise_flag), SaFlags::empty(), SigSet::empty());
    for &signal in signals {
        // SAFETY: the handler only does an atomic fetch_or, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
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
