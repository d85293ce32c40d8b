//! Taking keys out of tables (-d).

use super::ask::each_line;
use super::job::{End, Job};
use crate::exit::Exit;
use crate::table;
use crate::table::rebuild::Rebuild;

/// Takes a key, or those of standard input, out of every table.
pub fn delete(job: &Job, tables: &[(String, String)], key: &[u8]) -> Result<Exit, End> {
    let mut keys = Vec::new();
    if key == b"-" {
        each_line(&mut std::io::stdin().lock(), &mut |line| {
            keys.push(line.to_owned());
            Ok(())
        })?;
    } else {
        keys.push(key.to_owned());
    }
    let mut any = false;
    for (kind, name) in tables {
        if kind == "internal" {
            // It can be changed, and is empty.
            continue;
        }
        if kind == "fail" {
            return Err(End::Fatal(format!("table {kind}:{name}: delete error: Application error")));
        }
        if kind == "static" || kind == "environ" {
            job.open(kind, name)?;
            return Err(End::Fatal(format!("table {kind}:{name}: delete operation is not supported")));
        }
        let row = table::open::find(kind);
        if row.is_some_and(|row| row.build.is_none()) {
            return Err(End::Fatal(format!("{kind}:{name} map requires O_RDONLY access mode")));
        }
        let mut table = Rebuild::change(kind, name, &job.options, None, false)?;
        let mut changed = false;
        for key in &keys {
            match table.remove(key) {
                Ok(removed) => changed |= removed,
                Err(error) => {
                    // What was removed before it stays removed.
                    if changed {
                        table.commit(job.ownership)?;
                    }
                    return Err(error.into());
                }
            }
        }
        any |= changed;
        if changed {
            table.commit(job.ownership)?;
        }
    }
    Ok(if any { Exit::OK } else { Exit::FAIL })
}
