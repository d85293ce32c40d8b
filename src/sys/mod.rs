//! The operating system: the only place with `unsafe`, and the only place that changes a user id.

#![allow(unsafe_code)]

/// Users and groups by name and number.
pub mod accounts;
/// Atomic writes, directory fsync, safe opening.
pub mod files;
/// The host's name, the terminal's size.
pub mod host;
/// flock, fcntl and dotlock.
pub mod lock;
/// Dropping privileges, and borrowing a recipient's.
pub mod privilege;
/// Regular expressions.
pub mod regex;
/// Signals as flags and descriptors.
pub mod signal;
/// Running commands and handing descriptors to roles.
pub mod spawn;
/// /dev/log.
pub mod syslog;
