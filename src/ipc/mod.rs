//! (rooms of ipc)
