//! main.cf, master.cf, the parameter table.

/// postfix check.
pub mod check;
/// Defaults that the machine decides.
pub mod computed;
/// Dovecot's configuration, for pop3d.
pub mod dovecot;
/// The macro language of main.cf.
pub mod expand;
/// Reading main.cf.
pub mod main_cf;
/// Reading master.cf.
pub mod master_cf;
/// THE parameter table.
pub mod params;
/// Parameter types.
pub mod typed;

pub use main_cf::{ConfError, MainCf};
