//! (rooms of message)
