//! `postfix non-bdb status|disable|enable-redirect|enable-reindex` (Postfix 3.11): for those who leave Berkeley DB. The level
//! stands in main.cf (non_bdb_migration_level); with a redirection hash: stands for $default_database_type and btree: for
//! $default_cache_db_type everywhere. `enable-reindex` builds the tables that main.cf and master.cf name, at once: the
//! reference leaves that to a service which builds, as root, what a daemon asks for.

use super::Instance;
use crate::conf::edit::{self, Action};
use crate::conf::{MainCf, master_text};
use crate::exit::{Exit, Failure};
use crate::table::process::BERKELEY;
use crate::table::rebuild;
use crate::table::{self, Options};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const LEVEL: &str = "non_bdb_migration_level";
const USAGE: &str = "usage: postfix non-bdb status (or enable-redirect, or enable-reindex, or disable)";

pub(super) fn run(instance: &Instance, words: &[&String]) -> Result<Exit, Failure> {
    let cf = &instance.cf;
    match words.iter().map(|word| word.as_str()).collect::<Vec<_>>()[..] {
        [_, "status"] => println!("{}", cf.non_bdb_migration_level()),
        [_, "disable"] => set(instance, Action::Remove, "")?,
        [_, level @ "enable-redirect"] => {
            targets(instance)?;
            set(instance, Action::Set, level)?;
        }
        [_, level @ "enable-reindex"] => {
            reindex(instance, &targets(instance)?)?;
            set(instance, Action::Set, level)?;
        }
        _ => return Err(instance.fatal(USAGE)),
    }
    Ok(Exit::OK)
}

fn set(instance: &Instance, action: Action, level: &str) -> Result<(), Failure> {
    let change = [(LEVEL.to_owned(), level.to_owned())];
    let path = instance.cf.directory().join("main.cf");
    edit::replace(&path, |text| Ok(edit::main_cf(text, action, &change, &mut |_| {})))
        .map_err(|error| instance.fatal(error.to_string()))
}

/// What hash: and btree: will stand for.
fn targets(instance: &Instance) -> Result<[String; 2], Failure> {
    let cf = &instance.cf;
    let named =
        [("default_database_type", cf.default_database_type()), ("default_cache_db_type", cf.default_cache_db_type())];
    for (name, kind) in &named {
        if BERKELEY.contains(&kind.as_str()) {
            return Err(instance.fatal(format!("parameter {name} specifies a Berkeley DB type: '{kind}'")));
        }
    }
    Ok(named.map(|(_, kind)| kind))
}

/// Builds each table of Berkeley DB's types that the configuration names, where its source is there, as its new type.
fn reindex(instance: &Instance, targets: &[String; 2]) -> Result<(), Failure> {
    let cf = &instance.cf;
    let services = master_text::read(cf.directory(), &mut |text| instance.log.warning(text))
        .map_err(|error| instance.fatal(error.to_string()))?;
    let mut values: Vec<(&str, String)> = Vec::new();
    // The aliases' tables are there also when main.cf says nothing of them.
    let by_default = ["alias_maps", "alias_database"].into_iter().filter(|name| !cf.settings().contains_key(*name));
    for name in cf.settings().keys().map(String::as_str).chain(by_default) {
        values.push((name, cf.text(name).map_err(|error| instance.fatal(error.to_string()))?));
    }
    for service in &services {
        for (name, value) in service.overrides() {
            values.push((name, cf.expand_text(name, value).map_err(|error| instance.fatal(error.to_string()))?));
        }
    }
    let mut done = BTreeSet::new();
    for (parameter, value) in values {
        for (kind, name) in MainCf::tables(&value) {
            let Some(at) = BERKELEY.iter().position(|berkeley| *berkeley == kind) else { continue };
            let spec = format!("{}:{name}", targets[at]);
            if !Path::new(&name).is_file() || !done.insert(spec.clone()) {
                continue;
            }
            instance.say(&format!("building {spec}"));
            build(instance, parameter.starts_with("alias_"), &spec)?;
        }
    }
    Ok(())
}

fn build(instance: &Instance, aliases: bool, spec: &str) -> Result<(), Failure> {
    let warnings = instance.log.clone();
    let options = Options { warn: Some(Arc::new(move |text: &str| warnings.warning(text))), ..Options::default() };
    let built = if aliases {
        rebuild::aliases(spec, &instance.cf.myhostname(), &options)
    } else {
        rebuild::map(spec, &options)
    };
    built.map_err(|error: table::TableError| instance.fatal(error.to_string()))
}
