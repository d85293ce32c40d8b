//! (rooms of queue)
