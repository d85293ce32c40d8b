//! pillarbox: a Postfix-compatible mail toolset. This file is the table of contents; ARCHITECTURE.md is the map.
//! Layers, lowest first; imports point down only (`tests/layers.rs` decides).

// L0
/// Exit statuses (sysexits) and the failure that an applet returns.
pub mod exit;
/// Delivery status codes (RFC 3463) and the report of one delivery.
pub mod status;
/// The operating system: the only unsafe code and every change of user.
pub mod sys;
// L1
/// Log events and the lines they are written as.
pub mod log;
/// Mail as data: addresses, headers, dates. No input or output.
pub mod message;
/// SMTP and POP3 as pure state machines: bytes in, events out.
pub mod proto;
// L2
/// main.cf, master.cf, the parameter table, the check.
pub mod conf;
/// Who says what to whom, as types.
pub mod ipc;
// L3
/// The DNS.
pub mod dns;
/// Mail stores: mbox and maildir.
pub mod mailbox;
/// Mail filters.
pub mod milter;
/// Files in the queue directory.
pub mod queue;
/// Lookup tables.
pub mod table;
// L4
/// What every message passes on its way into the queue.
pub mod cleanup;
/// Delivery agents' common part: status lines, recipient marks.
pub mod delivery;
/// Address rewriting and resolving.
pub mod route;
// L5
/// The roles that master starts.
pub mod daemon;
// L6
/// What would happen to a mail.
pub mod explain;
/// What is wrong with a configuration, found before the mail comes.
pub mod lint;
// L7
/// One file or folder for each program that a person types.
pub mod applet;
