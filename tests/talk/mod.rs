//! What a dialogue with smtpd is held over, and whom smtpd asks meanwhile.

pub mod filter;
pub mod sasl;
pub mod wire;
