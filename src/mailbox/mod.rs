//! (rooms of mailbox)
