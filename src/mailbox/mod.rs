//! Mail stores: mbox and maildir. Locking is inside, never with the caller.

/// Adding one message to the end of an mbox.
pub mod append;
/// What a summary shows of each message.
pub mod briefs;
/// Putting a message in, for delivery agents.
pub mod deliver;
/// What a summary says about a message.
pub mod digest;
/// What a scan found, for the next program.
mod index;
/// The copy that makes rewriting in place survive a kill, where no file can be made beside the mailbox.
mod journal;
/// How mailboxes are locked.
pub mod locking;
/// One file a message.
pub mod maildir;
/// What an mbox notes about a message in its header: read, old, answered, UIDs.
pub mod marks;
/// One mbox: open, read, see what arrived.
pub mod mbox;
/// What begins a message, for summaries.
pub mod outline;
/// A large mbox on all cores.
mod pieces;
/// Mailboxes on servers.
pub mod remote;
/// Deleting messages and changing their marks.
pub mod rewrite;
/// Where messages begin and end in an mbox.
pub mod scan;
/// A mailbox of whatever kind.
pub mod store;
/// A piece of a file in memory.
mod window;
