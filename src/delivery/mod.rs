//! (rooms of delivery)
