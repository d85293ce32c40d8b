//! Mail stores: mbox and maildir. Locking is inside, never with the caller.

/// Adding one message to the end of an mbox.
pub mod append;
/// Putting a message in, for delivery agents.
pub mod deliver;
/// The copy that makes rewriting in place survive a kill, where no file can be made beside the mailbox.
mod journal;
/// What an mbox notes about a message in its header: read, old, answered, UIDs.
pub mod marks;
/// One mbox: open, read, see what arrived.
pub mod mbox;
/// Deleting messages and changing their marks.
pub mod rewrite;
/// Where messages begin and end in an mbox.
pub mod scan;
