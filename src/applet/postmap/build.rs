//! Building a table from its source, or adding to one (-i).

use super::job::{End, Job, Program};
use crate::conf::MainCf;
use crate::sys::files::reason;
use crate::table::rebuild::Rebuild;
use crate::table::source::Lines;
use crate::table::{self, TableError};
use std::fs::File;
use std::io::{BufRead, BufReader};

pub fn build(job: &Job, kind: &str, name: &str, cf: &MainCf) -> Result<(), End> {
    if kind == "proxy" && !job.incremental {
        return Err(End::Fatal("can't create maps via the proxy service".into()));
    }
    let nul = job.options.nul;
    let source = if job.incremental {
        None
    } else {
        let file = File::open(name).map_err(|error| End::Fatal(format!("open {name}: {}", reason(&error))))?;
        let data = file.metadata()?;
        Some((file, data))
    };
    let create = |error: TableError| {
        // The reference's hint, where it cannot build: its types come in packages.
        if table::open::find(kind).is_none() {
            return End::Fatal(format!("{}. Is the postfix-{kind} package installed?", error.reason));
        }
        End::from(error)
    };
    let options = &job.options;
    let mut table = if job.incremental {
        Rebuild::change(kind, name, options, nul, true)
    } else {
        Rebuild::new(kind, name, options, nul)
    }
    .map_err(create)?;
    let mut ownership = job.ownership;
    match &source {
        Some((_, data)) if data.is_dir() => {
            // As in the reference, a directory is an empty source.
            read(job, &mut table, &mut Lines::new(name, std::io::empty()))?;
            ownership.source = Some(data);
        }
        Some((file, data)) => {
            table.expect(data.len());
            read(job, &mut table, &mut Lines::new(name, BufReader::with_capacity(1 << 17, file)))?;
            ownership.source = Some(data);
        }
        None => read(job, &mut table, &mut Lines::new("stdin", std::io::stdin().lock()))?,
    }
    if job.program == Program::Postalias {
        table.mark_aliases(&cf.text("myhostname").map_err(|error| End::Fatal(error.to_string()))?)?;
    }
    Ok(table.commit(ownership)?)
}

fn read<R: BufRead>(job: &Job, table: &mut Rebuild, lines: &mut Lines<R>) -> Result<(), End> {
    match job.program {
        Program::Postmap => Ok(table.read_map(lines)?),
        Program::Postalias => Ok(table.read_aliases(lines)?),
    }
}
