//! `postfix check`: is the instance fit to run? [`run`] says nothing where nothing is wrong, and the reference's words
//! where it has some. Missing directories are made on the way, as there.

/// What was found.
mod finding;
/// Owners and modes.
mod owners;
/// Values of main.cf.
mod parameters;
/// Commands of master.cf.
pub mod services;

pub use finding::{Finding, Severity};

use super::{MainCf, main_cf, manifest, master_cf};
use std::path::PathBuf;

/// What is checked.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configuration directory.
    pub directory: PathBuf,
    /// Commands that master.cf may name, besides files in daemon_directory; empty: [`services::COMMANDS`].
    pub commands: &'static [&'static str],
}

impl Context {
    pub fn new(directory: PathBuf) -> Context {
        Context { directory, commands: services::COMMANDS }
    }
}

/// Everything that is wrong, fatal findings first ended the check: what follows could not be trusted.
pub fn run(context: &Context) -> Vec<Finding> {
    let mut found = Vec::new();
    let main = context.directory.join("main.cf");
    let cf = match MainCf::read(&context.directory) {
        Ok(cf) => cf,
        Err(error) => {
            let line = match &error {
                main_cf::ConfError::MissingEquals { line, .. } | main_cf::ConfError::MissingName { line, .. } => {
                    Some(*line)
                }
                _ => None,
            };
            found.push(Finding::fatal(error).at(&main, line));
            return found;
        }
    };
    for note in cf.notes() {
        let line = match note {
            main_cf::Note::LeadingBlank { line, .. } | main_cf::Note::Double { line, .. } => *line,
        };
        found.push(Finding::warning(note).at(&main, Some(line)));
    }
    parameters::check(&cf, &mut found);
    if found.iter().any(Finding::is_fatal) {
        return found;
    }
    let queue = cf.text("queue_directory").unwrap_or_default();
    if let Err(error) = std::fs::metadata(&queue) {
        let text = format!("chdir({queue}): {}", crate::sys::files::reason(&error));
        let line = cf.settings().get("queue_directory").map(|setting| setting.line);
        found.push(Finding::fatal(text).at(&main, line));
        return found;
    }
    if let Err(error) = manifest::create_missing(&cf) {
        found.push(Finding::fatal(error));
        return found;
    }
    let file = context.directory.join("master.cf");
    if !file.exists() {
        found.push(Finding::fatal(format!("no {} file found", file.display())).at(&file, None));
        return found;
    }
    match super::master_text::read(&context.directory, &mut |text| found.push(Finding::warning(text))) {
        Ok(_) => {}
        Err(error) => {
            let line = match &error {
                main_cf::ConfError::Master { line, .. } => Some(*line),
                _ => None,
            };
            found.push(Finding::fatal(error).at(&file, line));
            return found;
        }
    }
    match master_cf::read(&context.directory) {
        Ok(services) => services::check(&cf, &services, context.commands, &mut found),
        Err(error) => found.push(Finding::fatal(error).at(&file, None)),
    }
    if found.iter().any(Finding::is_fatal) {
        return found;
    }
    owners::check(&cf, &mut found);
    found
}
