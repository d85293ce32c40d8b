//! (rooms of table)
