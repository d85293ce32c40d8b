//! postconf(1).
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use std::io::Write;

pub const APPLET: Applet = Applet {
    name: "postconf",
    aliases: &[],
    links: &["sbin/postconf"],
    section: 1,
    purpose: Purpose::Configure,
    about: "show and change the configuration",
    cli: || clap::Command::new("postconf"),
    run,
};

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let cf = MainCf::read(&main_cf::directory(None)).map_err(Failure::fatal)?;
    let mut out = std::io::stdout().lock();
    for name in &call.args {
        let name = name.to_string_lossy();
        writeln!(out, "{name} = {}", cf.raw(&name).unwrap_or_default())?;
    }
    Ok(Exit::OK)
}
