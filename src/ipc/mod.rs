//! Who says what to whom, as types. Nobody trusts a peer process, including our own: every read is bounded and checked.

/// A delivery request, from the queue manager to an agent, and the agent's answer.
pub mod delivery;
/// What the queue lists: from showq to postqueue.
pub mod listing;
/// One-byte wake-up calls.
pub mod trigger;
/// Asking and telling verify(8).
pub mod verify;
/// Messages on a stream socket: a length, then JSON.
pub mod wire;
