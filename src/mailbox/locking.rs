//! How this process locks mailboxes: one rule for all of them, as an administrator gives it to all mail programs of a
//! machine. A mailbox of its own rules would be unlocked for whoever keeps the others.

use crate::sys::lock::Patience;
use std::sync::OnceLock;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Locking {
    pub patience: Patience,
    /// "MAILBOX.lock".
    pub dotlock: bool,
    /// fcntl(2).
    pub kernel: bool,
}

impl Default for Locking {
    /// Both, as Debian's policy has it. So long waits a program at a terminal; a dotlock older than two minutes was left
    /// behind.
    fn default() -> Locking {
        let patience =
            Patience { attempts: 40, delay: Duration::from_millis(250), stale_after: Duration::from_secs(120) };
        Locking { patience, dotlock: true, kernel: true }
    }
}

static CHOSEN: OnceLock<Locking> = OnceLock::new();

/// Chooses for the whole process. The first choice stands.
pub fn choose(locking: Locking) {
    let _ = CHOSEN.set(locking);
}

pub fn chosen() -> Locking {
    CHOSEN.get().copied().unwrap_or_default()
}
