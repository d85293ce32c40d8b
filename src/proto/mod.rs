//! (rooms of proto)
