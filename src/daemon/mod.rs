//! (rooms of daemon)

/// POP3 for system users.
pub mod pop3d;
