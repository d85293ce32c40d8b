//! (rooms of proto)

/// POP3 as Dovecot speaks it.
pub mod pop3;
