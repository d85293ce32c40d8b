//! Table files that main.cf names: they exist and can be read. Whether their content is right is for whoever opens
//! them; here nothing is read.

use super::Finding;
use crate::conf::MainCf;
use crate::sys::files::reason;
use std::fs::File;

/// What a table type adds to the name to get its file.
const FILES: &[(&str, &str)] = &[
    ("hash", ".db"),
    ("btree", ".db"),
    ("lmdb", ".lmdb"),
    ("cdb", ".cdb"),
    ("texthash", ""),
    ("regexp", ""),
    ("pcre", ""),
    ("cidr", ""),
];

/// Caches that the daemons make themselves.
const MADE_LATER: &[&str] = &["_session_cache_database", "address_verify_map", "postscreen_cache_map"];

pub fn check(cf: &MainCf, found: &mut Vec<Finding>) {
    let mut settings: Vec<_> = cf.settings().iter().collect();
    settings.sort_by_key(|(_, setting)| setting.line);
    for (name, setting) in settings {
        if MADE_LATER.iter().any(|suffix| name.ends_with(suffix)) || !setting.raw.contains(':') {
            continue;
        }
        let Ok(value) = cf.text(name) else { continue };
        for item in MainCf::list(&value) {
            let item = item.strip_prefix("proxy:").unwrap_or(&item);
            let Some((kind, path)) = item.split_once(':') else { continue };
            let Some((_, suffix)) = FILES.iter().find(|(known, _)| *known == kind) else { continue };
            if !path.starts_with('/') {
                continue;
            }
            let file = format!("{path}{suffix}");
            if let Err(error) = File::open(&file) {
                let main = cf.file();
                let text = format!(
                    "{}, line {}: {name}: open {} {file}: {}",
                    main.display(),
                    setting.line,
                    if suffix.is_empty() { "table" } else { "database" },
                    reason(&error)
                );
                found.push(Finding::warning(text).at(&main, Some(setting.line)));
            }
        }
    }
}
