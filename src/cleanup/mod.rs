//! What every message passes on its way into the queue, as a library (cleanup(8) is a process in the reference; log
//! lines keep its name, because log readers count on it). The envelope is completed and expanded, headers are
//! rewritten and the missing ones added, and the file is committed to incoming/.

/// header_checks and body_checks.
pub mod checks;
/// A held message in the hands of filters.
mod draft;
/// Filters and a complete message.
pub mod filtering;
/// Headers on their way in.
mod header;
/// Content that is not written yet.
mod held;
/// Addresses made over, one to one.
mod mapping;
/// Where in the structure of a message a line stands.
pub mod mime;

/// The envelope of a message that is coming in.
pub mod envelope;
/// Virtual aliases and automatic copies: from the recipients that were named to those that are queued.
pub mod expansion;
/// The content, line by line.
pub mod intake;

pub use envelope::{Envelope, Origin};
pub use filtering::Filtering;
pub use intake::{Cleanup, Intake};

use crate::status::Code;
use std::io;
use thiserror::Error;

/// Why a message did not enter the queue. Nothing is left behind.
#[derive(Debug, Error)]
pub enum CleanupError {
    #[error("message size exceeds message_size_limit")]
    TooBig,
    #[error("too many hops")]
    TooManyHops,
    #[error("no recipients specified")]
    NoRecipients,
    #[error("queue file write error: {}", crate::sys::files::reason(.0))]
    Write(#[source] io::Error),
    #[error("{0}")]
    Table(#[from] crate::table::TableError),
    /// virtual_alias_maps lead nowhere.
    #[error("alias expansion error")]
    Expansion,
    /// A header or body check said no; the text is for the client.
    #[error("{1}")]
    Rejected(Code, String),
    /// A filter said no: the whole SMTP reply.
    #[error("{0}")]
    Filtered(String),
}

impl CleanupError {
    /// The SMTP reply that tells of it.
    pub fn reply(&self) -> String {
        match self {
            CleanupError::TooBig => "552 5.3.4 Error: message file too big".into(),
            CleanupError::TooManyHops => "554 5.4.0 Error: too many hops".into(),
            CleanupError::NoRecipients => "554 5.5.1 Error: no valid recipients".into(),
            CleanupError::Write(_) => "451 4.3.0 Error: queue file write error".into(),
            CleanupError::Table(_) => "451 4.3.0 Error: queue file write error".into(),
            CleanupError::Expansion => "451 4.6.0 Alias expansion error".into(),
            CleanupError::Rejected(code, text) => {
                format!("{} {code} {text}", if code.class() == 4 { 451 } else { 550 })
            }
            CleanupError::Filtered(reply) => reply.clone(),
        }
    }

    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            CleanupError::Write(_) | CleanupError::Table(_) | CleanupError::Expansion => true,
            CleanupError::Rejected(code, _) => code.class() == 4,
            CleanupError::Filtered(reply) => reply.starts_with('4'),
            _ => false,
        }
    }
}
