//! The tables of passwords that a client has for servers: opened before privileges are dropped, as the reference does, so
//! that they may be root's alone.

use crate::conf::MainCf;
use crate::table::{Maps, Options};

/// Those of the role that runs as `command`; None: it has none, or uses none.
pub fn open(command: &str, cf: &MainCf) -> Option<Maps> {
    let (title, list) = match command {
        "smtp" if cf.smtp_sasl_auth_enable() => ("smtp_sasl_password_maps", cf.smtp_sasl_password_maps()),
        "lmtp" if cf.lmtp_sasl_auth_enable() => ("lmtp_sasl_password_maps", cf.lmtp_sasl_password_maps()),
        _ => return None,
    };
    Some(Maps::open(title, &list, &Options::default()))
}
