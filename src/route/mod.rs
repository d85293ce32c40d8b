//! (rooms of route)
