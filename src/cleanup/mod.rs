//! (rooms of cleanup)
