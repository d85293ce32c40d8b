//! Mail as data: addresses, headers, dates. No input or output.

/// Addresses of the envelope: splitting, quoting.
pub mod envelope;
/// Dates as mail writes them.
pub mod stamp;
/// Address lists in headers, as tokens that can be rewritten and printed again.
pub mod tokens;
