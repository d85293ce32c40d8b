//! Macros: names in braces (or of one letter) under which sendmail knows what it knows of a session and a message. Each
//! stage has a list of names; those that have a value go to the filter before the event.

use super::protocol::{STAGES, Stage};
use crate::conf::MainCf;
use crate::table::memory::{split_items, unbraced};
use std::collections::HashMap;

/// Which macros are sent when, and what stands in where nothing is known.
#[derive(Clone, Debug, Default)]
pub struct MacroLists {
    lists: [String; STAGES],
    defaults: HashMap<String, String>,
    /// What every session has: {daemon_name}, v, j.
    common: Vec<(&'static str, String)>,
}

/// What is known now, by canonical name ("{i}").
#[derive(Clone, Debug, Default)]
pub struct Macros {
    values: HashMap<&'static str, String>,
}

impl Macros {
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.values.insert(name, value.into());
    }

    /// What is not known stays so.
    pub fn set_known(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

impl MacroLists {
    /// Err: the text of milter_macro_defaults that is no list of name=value pairs.
    pub fn new(cf: &MainCf) -> Result<MacroLists, String> {
        let mut lists = MacroLists {
            common: vec![
                ("{daemon_name}", cf.milter_macro_daemon_name()),
                ("{v}", cf.milter_macro_v()),
                ("{j}", cf.myhostname()),
            ],
            ..MacroLists::default()
        };
        let set = [
            (Stage::Connect, cf.milter_connect_macros()),
            (Stage::Helo, cf.milter_helo_macros()),
            (Stage::Mail, cf.milter_mail_macros()),
            (Stage::Rcpt, cf.milter_rcpt_macros()),
            (Stage::Data, cf.milter_data_macros()),
            (Stage::EndOfMessage, cf.milter_end_of_data_macros()),
            (Stage::EndOfHeader, cf.milter_end_of_header_macros()),
            (Stage::Unknown, cf.milter_unknown_command_macros()),
        ];
        for (stage, list) in set {
            lists.lists[stage as usize] = list;
        }
        for item in split_items(&cf.milter_macro_defaults()) {
            let pair = unbraced(&item).map_err(|reason| format!("malformed milter_macro_defaults: {reason}"))?;
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                format!("malformed milter_macro_defaults: missing '=' after attribute name: \"{pair}\"")
            })?;
            lists.defaults.insert(canonical(name.trim()), value.trim().to_owned());
        }
        Ok(lists)
    }

    pub fn list(&self, stage: Stage) -> &str {
        &self.lists[stage as usize]
    }

    /// Names and values of a list, as they are sent.
    pub fn expand(&self, list: &str, known: &Macros) -> Vec<u8> {
        let mut out = Vec::new();
        for name in list.split([',', ' ', '\t', '\r', '\n']).filter(|name| !name.is_empty()) {
            let whole = canonical(name);
            let common = || self.common.iter().find(|(common, _)| *common == whole).map(|(_, value)| value);
            let value = known.values.get(whole.as_str()).or_else(common).or_else(|| self.defaults.get(&whole));
            if let Some(value) = value {
                for text in [name, value] {
                    // A NUL would end the value, and begin a name.
                    out.extend(text.bytes().filter(|&byte| byte != 0));
                    out.push(0);
                }
            }
        }
        out
    }
}

/// The value of "_": where a message came from, as sendmail writes it.
pub fn source(name: &str, reverse_name: &str, address: &str) -> String {
    let forged = if name.eq_ignore_ascii_case(reverse_name) { "" } else { " (may be forged)" };
    format!("{reverse_name} [{address}]{forged}")
}

fn canonical(name: &str) -> String {
    if name.starts_with('{') { name.to_owned() } else { format!("{{{name}}}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_form_and_defaults_fill_gaps() {
        let text = "myhostname = h.org\nmilter_macro_defaults = {who = a, b} x=1\n";
        let lists = MacroLists::new(&MainCf::parse(std::path::Path::new("/none"), text).unwrap()).unwrap();
        let mut known = Macros::default();
        known.set("{i}", "ID");
        known.set_known("{x}", None::<String>);
        assert_eq!(
            lists.expand("i {i}, {j} {who} x {none}", &known),
            b"i\0ID\0{i}\0ID\0{j}\0h.org\0{who}\0a, b\0x\x001\0"
        );
    }

    #[test]
    fn a_default_without_a_value_is_a_mistake() {
        let text = "myhostname = h.org\nmilter_macro_defaults = what\n";
        assert!(MacroLists::new(&MainCf::parse(std::path::Path::new("/none"), text).unwrap()).is_err());
    }
}
