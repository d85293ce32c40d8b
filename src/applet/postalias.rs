//! postalias(1): postmap for the aliases file's own format.

use super::postmap::{common, job};
use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};

pub const APPLET: Applet = Applet {
    name: "postalias",
    aliases: &[],
    links: &["sbin/postalias"],
    section: 1,
    purpose: Purpose::Configure,
    about: "build and query alias databases",
    cli: || common("postalias", "build and query alias databases"),
    run,
};

fn run(call: &Invocation) -> Result<Exit, Failure> {
    job::run(call, job::Program::Postalias)
}
