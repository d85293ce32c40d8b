//! (rooms of daemon)
