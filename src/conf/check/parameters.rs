//! Values of main.cf: what every program reads must be right, or none of them starts; a wrong value elsewhere will
//! stop the program that reads it, and is told now.

use super::Finding;
use crate::conf::common;
use crate::conf::main_cf::{ConfError, MainCf};

pub fn check(cf: &MainCf, found: &mut Vec<Finding>) {
    let file = cf.file();
    if let Err(error) = common::verify(cf) {
        let line = parameter_of(&error).and_then(|name| cf.settings().get(name)).map(|setting| setting.line);
        found.push(Finding::fatal(error).at(&file, line));
        return;
    }
    let mut settings: Vec<_> = cf.settings().iter().collect();
    settings.sort_by_key(|(_, setting)| setting.line);
    for (name, setting) in settings {
        if let Err(error) = cf.verify_one(name) {
            let text = match &error {
                ConfError::Expand { .. } => error.to_string(),
                other => format!("{}, line {}: {other}", file.display(), setting.line),
            };
            found.push(Finding::warning(text).at(&file, Some(setting.line)));
        }
    }
}

/// The parameter that an error names.
fn parameter_of(error: &ConfError) -> Option<&str> {
    match error {
        ConfError::BadValue { name, .. } | ConfError::BadTime { name, .. } | ConfError::Expand { name, .. } => {
            Some(name)
        }
        _ => None,
    }
}
