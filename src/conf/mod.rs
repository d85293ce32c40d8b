//! main.cf, master.cf, the parameter table.

/// The texts of notices.
pub mod bounce_template;
/// `postfix check`.
pub mod check;
/// What every program reads when it starts.
pub mod common;
/// Defaults that the machine decides.
pub mod computed;
/// Dovecot's configuration, for pop3d.
pub mod dovecot;
/// Changing main.cf and master.cf.
pub mod edit;
/// The macro language of main.cf.
pub mod expand;
/// The order in which the reference walks its tables.
pub mod hash_order;
/// mailutils' configuration, for mail.
pub mod mailutils;
/// Reading main.cf.
pub mod main_cf;
/// The directories of an instance.
pub mod manifest;
/// Reading master.cf.
pub mod master_cf;
/// master.cf as postconf shows and edits it.
pub mod master_text;
/// main.cf as another service has it.
pub mod neighbour;
/// THE parameter table.
pub mod params;
/// Which names mean something.
pub mod scope;
/// Parameter types.
pub mod typed;

pub use main_cf::{ConfError, MainCf};
/// Why a parameter has no effect here.
pub mod unserved;
