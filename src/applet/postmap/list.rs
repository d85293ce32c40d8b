//! Listing a table (-s).

use super::job::{End, Job, pair};
use crate::exit::Exit;
use crate::table::files_as_values;
use std::io::{BufWriter, Write};

/// Lists the first table; the reference, too, stops after it.
pub fn list(job: &Job, tables: &[(String, String)]) -> Result<Exit, End> {
    let Some((kind, name)) = tables.first() else { return Ok(Exit::OK) };
    let spec = format!("{kind}:{name}");
    if kind == "proxy" {
        return Err(End::Fatal("can't sequence maps via the proxy service".into()));
    }
    let table = job.open(kind, name)?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut failed = None;
    let listed = table.entries(&mut |key, value| {
        if key.is_empty() {
            job.options.warn(format_args!("table {spec}: empty lookup key value is not allowed"));
        } else if value.is_empty() {
            job.warn_of_nothing(&spec, key);
        }
        let value = match job.options.values_are_files.then(|| files_as_values::decoded(value)) {
            Some(Some(content)) => content,
            _ => value.to_owned(),
        };
        match pair(job, &mut out, key, &value) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    });
    listed.map_err(|error| {
        if error.table.is_empty() {
            let file = if kind == "cdb" { ".cdb" } else { "" };
            End::Fatal(format!("table {spec}{file}: sequence operation is not supported"))
        } else {
            let reason = error.reason.rsplit(": query error: ").next().unwrap_or_default();
            End::Fatal(format!("table {spec}: sequence error: {reason}"))
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    out.flush()?;
    Ok(Exit::OK)
}
