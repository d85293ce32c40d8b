//! Mail stores: mbox and maildir. Locking is inside, never with the caller.

/// Putting a message in, for delivery agents.
pub mod deliver;
