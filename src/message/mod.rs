//! Mail as data: addresses, headers, dates. No input or output.

/// Address lists as people and headers write them.
pub mod address;
/// Character sets, and words of other alphabets in headers (RFC 2047).
pub mod charset;
/// Dates of From_ lines and of headers.
pub mod date;
/// Text that is shown and not obeyed.
pub mod display;
/// Addresses of the envelope: splitting, quoting.
pub mod envelope;
/// The escapes of C.
pub mod escape;
/// Header blocks and their fields.
pub mod header;
/// Host names and address literals.
pub mod host;
/// Parts of a message and their encodings.
pub mod mime;
/// Lines that begin with "From ".
pub mod quote;
/// Dates as mail writes them.
pub mod stamp;
/// Address lists in headers, as tokens that can be rewritten and printed again.
pub mod tokens;
/// Senders that name the recipient.
pub mod verp;
