//! Tables that cannot be opened, were never built, or are older than their source.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::MainCf;
use crate::table::open::{Options, find, open};
use crate::table::process::meant;
use std::fs::metadata;

/// Caches that the daemons make themselves.
const MADE_LATER: &[&str] = &["_session_cache_database", "address_verify_map", "postscreen_cache_map"];

/// Each table that main.cf names: parameter, "type:name".
fn named(ground: &Ground) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for assignment in &ground.assignments {
        let name = &assignment.name;
        if MADE_LATER.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let tables = MainCf::tables(&ground.value(name)).into_iter();
        // What is called unix and has a path is the socket of a filter or a policy server.
        let is_file = |kind: &str, path: &str| kind != "unix" && find(kind).is_some() && path.starts_with('/');
        let files = tables.filter(|(kind, path)| is_file(kind, path));
        found.extend(files.map(|(kind, path)| (name.clone(), format!("{kind}:{path}"))));
    }
    found
}

pub fn missing(ground: &Ground, found: &mut Findings) {
    for (name, spec) in named(ground) {
        let Err(error) = open(&spec, &Options::default()) else { continue };
        let (kind, path) = spec.split_once(':').unwrap_or((&spec, ""));
        let built = find(meant(kind)).and_then(|row| row.build);
        let help = match built {
            Some(_) if !metadata(path).is_ok_and(|data| data.is_file()) => {
                format!("write {path}, then: postmap {spec}")
            }
            Some(_) if name.starts_with("alias_") => "newaliases".to_owned(),
            Some(_) => format!("postmap {spec}"),
            None => format!("write {path}"),
        };
        found.error(
            ground.word_span(&name, &spec),
            format!("{spec} cannot be used: {}", error.reason),
            "A table that cannot be asked defers mail: it never says that an entry is not there.",
            help,
        );
    }
}

pub fn outdated(ground: &Ground, found: &mut Findings) {
    let mut told = Vec::new();
    for (name, spec) in named(ground) {
        let Some((kind, path)) = spec.split_once(':') else { continue };
        let Some(build) = find(meant(kind)).and_then(|row| row.build) else { continue };
        let database = format!("{path}.{}", build.suffix());
        let changed = |file: &str| metadata(file).and_then(|data| data.modified()).ok();
        let (Some(source), Some(built)) = (changed(path), changed(&database)) else { continue };
        if source > built && !told.contains(&spec) {
            let help = if name.starts_with("alias_") { "newaliases".to_owned() } else { format!("postmap {spec}") };
            found.warning(
                ground.word_span(&name, &spec),
                format!("{database} is older than {path}"),
                "What was changed in the file is not in force.",
                help,
            );
            told.push(spec);
        }
    }
}
