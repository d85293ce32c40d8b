//! What tables know of the process that they are in: its log, and which types stand for hash: and btree:. A process has
//! one main.cf and one log and opens tables in forty places; handing both to each of them would make every signature say
//! what no one decides there. A process that has told nothing has no log and redirects nothing.

use crate::conf::MainCf;
use crate::log::Log;
use std::sync::{Arc, OnceLock};

struct Process {
    log: Option<Arc<Log>>,
    /// What hash: and btree: stand for (non_bdb_migration_level).
    instead: Option<[String; 2]>,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

/// The types of Berkeley DB.
pub const BERKELEY: [&str; 2] = ["hash", "btree"];

/// Tables of this process speak in this log, and obey this configuration. Later calls change nothing.
pub fn adopt(cf: &MainCf, log: Option<Arc<Log>>) {
    let _ = PROCESS.set(Process { log, instead: redirection(cf) });
}

/// The types that stand for hash: and btree:, where the administrator is leaving Berkeley DB.
fn redirection(cf: &MainCf) -> Option<[String; 2]> {
    let level = cf.non_bdb_migration_level();
    let instead = [cf.default_database_type(), cf.default_cache_db_type()];
    let leaving = matches!(level.as_str(), "enable-redirect" | "enable-reindex");
    // Not to Berkeley DB again.
    (leaving && instead.iter().all(|kind| !BERKELEY.contains(&kind.as_str()))).then_some(instead)
}

/// The type that stands for a type in this process.
pub fn meant(kind: &str) -> &str {
    let instead = PROCESS.get().and_then(|process| process.instead.as_ref());
    let at = BERKELEY.iter().position(|berkeley| *berkeley == kind);
    match (instead, at) {
        (Some(instead), Some(at)) => instead.get(at).map_or(kind, String::as_str),
        _ => kind,
    }
}

/// Says what is wrong with a table's source.
pub fn warning(text: &str) {
    if let Some(log) = PROCESS.get().and_then(|process| process.log.as_ref()) {
        log.warning(text);
    }
}

/// Says what was asked of a table that is watched.
pub fn info(text: &str) {
    if let Some(log) = PROCESS.get().and_then(|process| process.log.as_ref()) {
        log.info(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn who_leaves_berkeley_db_does_not_come_back_to_it() {
        let of = |text: &str| redirection(&MainCf::parse(Path::new("/etc/postfix"), text).unwrap());
        let leaving = "non_bdb_migration_level = enable-redirect\n";
        assert_eq!(of("default_database_type = lmdb\n"), None);
        assert_eq!(of(leaving), None, "the default type is hash");
        let to = |kind: &str| of(&format!("{leaving}default_database_type = {kind}\n"));
        assert_eq!(to("cdb"), Some(["cdb".to_owned(), "lmdb".to_owned()]));
        assert_eq!(to("btree"), None);
    }
}
