//! Mail filters that speak sendmail's milter protocol (MILTER_README), as the mail server sees them: version 2 to 6, told
//! of the commands of a session and of the content of each message, for which they answer and which they may edit. Blocking;
//! whoever serves many sessions at once calls it from threads. Every answer has a time-out and a limit.

/// A message on its way to a filter.
mod content;
/// What a filter asks to have changed.
pub mod edit;
/// Edits, from a filter's packets to a draft.
mod editing;
/// One filter: its connection and where in the protocol it is.
mod filter;
/// All filters of a session.
mod filters;
/// What is known of the session, for the filters' macros.
pub mod macros;
/// Opening a connection, and what both sides agree on.
mod negotiation;
/// Packets taken apart.
mod packet;
/// The protocol's numbers and names.
mod protocol;
/// What milter_* and the lists of filters say.
mod settings;
/// What becomes of a command or a message.
mod verdict;

pub use edit::{Draft, Edit};
pub use filters::{Client, Filters};
pub use macros::Macros;
pub use settings::Settings;
pub use verdict::Verdict;
