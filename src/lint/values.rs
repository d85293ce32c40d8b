//! Values of the wrong type or out of range: found now, not when the first mail comes.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::common;
use crate::conf::main_cf::ConfError;
use crate::milter::Settings;

pub fn check(ground: &Ground, found: &mut Findings) {
    const WHY: &str = "The program that reads the value stops; for most of them that is when mail arrives.";
    let mut told = Vec::new();
    let mut names: Vec<&String> = ground.cf.settings().keys().collect();
    names.sort();
    for name in names {
        if let Err(error) = ground.cf.verify_one(name) {
            let help = match &error {
                ConfError::BadValue { what: "boolean", .. } => "write yes or no",
                ConfError::BadValue { what: "numerical", .. } => "write a whole number",
                ConfError::BadTime { .. } => "write a number and a unit: s, m, h, d or w",
                _ => "mend the value",
            };
            found.error(ground.value_span(name), error.to_string(), WHY, help);
            told.push(error.to_string());
        }
    }
    let filters = Settings::new(&ground.cf);
    for name in ["smtpd_milters", "non_smtpd_milters"] {
        let faults = filters.faults(&ground.value(name));
        for fault in faults.into_iter().filter(|_| ground.cf.settings().contains_key(name)) {
            const WHY: &str =
                "A filter that cannot be asked puts mail off, unless milter_default_action says otherwise.";
            let help = "write unix:/path or inet:host:port, and look at milter_protocol and milter_default_action";
            found.error(ground.value_span(name), fault, WHY, help);
        }
    }
    if let Err(error) = common::verify(&ground.cf)
        && !told.contains(&error.to_string())
        && !matches!(&error, ConfError::Plain(text) if text.contains("cannot open file"))
    {
        let text = error.to_string();
        // The fault names its parameter somewhere: "bad ... configuration: NAME = ...", "parameter NAME: ...".
        let name =
            ground.assignments.iter().map(|assignment| assignment.name.as_str()).find(|name| text.contains(name));
        let span = name.and_then(|name| ground.value_span(name));
        found.error(span, text, "Every program of the mail system stops on this value.", "mend the value");
    }
}
