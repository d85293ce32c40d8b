//! Files in the queue directory, in Postfix's own format, so that the reference's tools read ours and ours theirs.

/// The bounce and defer logs of a message.
pub mod bounce_log;
/// Writing a new queue file.
pub mod create;
/// Reading a queue file, and marking recipients done in it.
pub mod file;
/// Queue ids and the subdirectories they hash to.
pub mod id;
/// The maildrop: mail that was submitted while or before the system runs.
pub mod maildrop;
/// Which users may use it.
pub mod permission;
/// The records that a queue file is made of.
pub mod record;
/// The directories, and which moves between them exist.
pub mod state;
/// Going through a queue directory.
pub mod walk;

pub use id::QueueId;
pub use state::{Queue, State};
