//! Mail as data: no input, no output.

/// Address lists as people and headers write them.
pub mod address;
/// Character sets, and words of other alphabets in headers (RFC 2047).
pub mod charset;
/// Dates of From_ lines and of headers.
pub mod date;
/// Header blocks and their fields.
pub mod header;
/// Parts of a message and their encodings.
pub mod mime;
/// Lines that begin with "From ".
pub mod quote;
