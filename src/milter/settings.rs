//! What milter_* says, and lists of filters: "unix:path", "inet:host:port", or "{ inet:host:port, name = value ... }" with
//! settings of that filter alone.

use super::filters::Filters;
use super::macros::MacroLists;
use super::negotiation::{self, Mistake};
use super::verdict::DefaultAction;
use crate::conf::MainCf;
use crate::conf::typed::seconds;
use crate::log::Log;
use crate::table::memory::{split_items, unbraced};
use std::sync::Arc;
use std::time::Duration;

/// What all filters of a list have by default.
#[derive(Clone)]
pub struct Settings {
    standard: Spec,
    macros: Arc<Result<MacroLists, String>>,
    soft_bounce: bool,
}

/// One filter of a list.
#[derive(Clone, Debug)]
pub struct Spec {
    /// As it was named: log lines show it.
    pub name: String,
    pub connect_timeout: Duration,
    pub command_timeout: Duration,
    pub content_timeout: Duration,
    pub protocol: String,
    pub default_action: DefaultAction,
}

impl Settings {
    pub fn new(cf: &MainCf) -> Settings {
        // A time-out of nothing would be no time at all.
        let time = |time: Duration| time.max(Duration::from_secs(1));
        Settings {
            standard: Spec {
                name: String::new(),
                connect_timeout: time(cf.milter_connect_timeout()),
                command_timeout: time(cf.milter_command_timeout()),
                content_timeout: time(cf.milter_content_timeout()),
                protocol: cf.milter_protocol(),
                default_action: DefaultAction::parse(&cf.milter_default_action()),
            },
            macros: Arc::new(MacroLists::new(cf)),
            soft_bounce: cf.soft_bounce(),
        }
    }

    /// The filters of a list, nobody called yet; None: the list is empty. `service` is in whose name they are spoken of
    /// in the log: None is the process's own. A list that cannot be read is one filter that nobody reaches.
    pub fn filters(&self, list: &str, log: &Arc<Log>, service: Option<&'static str>) -> Option<Filters> {
        let specs = self.parse(list);
        if matches!(&specs, Ok(specs) if specs.is_empty()) {
            return None;
        }
        let made = match (specs, self.macros.as_ref()) {
            (Ok(specs), Ok(macros)) => Ok((specs, macros.clone())),
            (Err(reason), _) => Err(reason),
            (_, Err(reason)) => Err(reason.clone()),
        };
        Some(Filters::new(made, self.soft_bounce, log.clone(), service))
    }

    /// What is wrong with a list, and with what holds for each of its filters: each of these puts mail off.
    pub fn faults(&self, list: &str) -> Vec<String> {
        let specs = match self.parse(list) {
            Ok(specs) => specs,
            Err(reason) => return vec![reason],
        };
        let mut faults: Vec<String> =
            self.macros.as_ref().as_ref().err().filter(|_| !specs.is_empty()).cloned().into_iter().collect();
        for spec in &specs {
            let place = negotiation::endpoint(spec).map(drop);
            let offer = negotiation::offer(spec).map(drop);
            for mistake in [place, offer].into_iter().filter_map(Result::err) {
                match mistake {
                    Mistake::Configuration(text) | Mistake::Communication(text) => faults.push(text),
                }
            }
            if let DefaultAction::Other(action) = &spec.default_action {
                faults.push(format!("milter {}: unrecognized default action: {action}", spec.name));
            }
        }
        faults
    }

    fn parse(&self, list: &str) -> Result<Vec<Spec>, String> {
        split_items(list).iter().map(|item| self.spec(item, list)).collect()
    }

    fn spec(&self, item: &str, list: &str) -> Result<Spec, String> {
        let mut spec = self.standard.clone();
        let bad = |reason: &str| format!("milter service syntax error: {reason}");
        if !item.starts_with('{') {
            item.clone_into(&mut spec.name);
            return Ok(spec);
        }
        let words = split_items(unbraced(item).map_err(bad)?);
        let (name, settings) = words.split_first().ok_or_else(|| format!("empty milter definition: \"{list}\""))?;
        spec.name.clone_from(name);
        for setting in settings {
            let setting = unbraced(setting).map_err(bad)?;
            let malformed = |reason: &str| format!("malformed option: {reason}: \"...{setting}...\"");
            let (name, value) = setting.split_once('=').ok_or_else(|| malformed("missing '=' after attribute name"))?;
            let (name, value) = (name.trim(), value.trim());
            let time = || match seconds(value, 's') {
                Some(time) if time > 0 => Ok(Duration::from_secs(time)),
                _ => Err(malformed("bad time value or unit")),
            };
            match name {
                "connect_timeout" => spec.connect_timeout = time()?,
                "command_timeout" => spec.command_timeout = time()?,
                "content_timeout" => spec.content_timeout = time()?,
                "protocol" => value.clone_into(&mut spec.protocol),
                "default_action" => spec.default_action = DefaultAction::parse(value),
                _ => return Err(format!("unknown option: \"{name} = {value}\"")),
            }
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(&MainCf::parse(std::path::Path::new("/none"), "myhostname = h.org\n").unwrap())
    }

    #[test]
    fn a_filter_may_have_settings_of_its_own() {
        let list = "unix:a, { inet:b:1, connect_timeout=3s default_action = accept }\t{ unix:c,{protocol = 2 no_header_reply}}";
        let specs = settings().parse(&list.replace(" = accept", "=accept")).unwrap();
        assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["unix:a", "inet:b:1", "unix:c"]);
        assert_eq!(specs[1].connect_timeout, Duration::from_secs(3));
        assert_eq!(specs[1].default_action, DefaultAction::Accept);
        assert_eq!(specs[0].default_action, DefaultAction::Tempfail);
        assert_eq!(specs[2].protocol, "2 no_header_reply");
    }

    #[test]
    fn mistakes_in_a_list_are_said() {
        for (list, words) in [
            ("{ }", "empty milter definition: \"{ }\""),
            ("{unix:a", "milter service syntax error: missing '}'"),
            ("{unix:a, what=1}", "unknown option: \"what = 1\""),
            ("{unix:a, connect_timeout=0}", "malformed option: bad time value or unit: \"...connect_timeout=0...\""),
            ("{unix:a, x}", "malformed option: missing '=' after attribute name: \"...x...\""),
        ] {
            assert_eq!(settings().parse(list).unwrap_err(), words);
        }
        assert!(settings().filters(" , ", &Arc::new(Log::nowhere()), None).is_none());
    }
}
