//! Log events and the lines they are written as. What the daemons write and what pflogsumm reads is one type.

/// One variant for each line that mail programs write.
pub mod event;
/// The part of a line before its content.
pub mod line;
/// Reading events back from their lines.
mod parse;
/// Where lines go: syslog, a file, stderr.
pub mod sink;

pub use event::Event;
pub use sink::Log;
