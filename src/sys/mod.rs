//! The operating system: the only place with `unsafe`, and the only place that changes a user id.

#![allow(unsafe_code)]

/// Users and groups by name and number.
pub mod accounts;
/// crypt(3) and shadow(5).
pub mod crypt;
/// Datagrams with descriptors between our processes.
pub mod descriptor;
/// Libraries that are loaded when they are needed.
mod dynamic;
/// Atomic writes, directory fsync, safe opening.
pub mod files;
/// The host's name, the terminal's size.
pub mod host;
/// flock, fcntl and dotlock.
pub mod lock;
/// Passwords by PAM.
pub mod pam;
/// Expressions by PCRE2.
pub mod pcre;
/// Hints about memory.
pub mod prefetch;
/// Dropping privileges, and borrowing a recipient's.
pub mod privilege;
/// POSIX regular expressions by regcomp(3).
pub mod regex;
/// Names of addresses, by the C library.
pub mod resolve;
/// Looking for bytes.
pub mod scan;
/// Signals as flags and descriptors.
pub mod signal;
/// Running commands and handing descriptors to roles.
pub mod spawn;
/// /dev/log.
pub mod syslog;
