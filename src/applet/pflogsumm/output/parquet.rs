//! `--parquet DIR`: the [event table](super::events::columns) as DIR/date=2026-11-24/host=mx/part-0.parquet, for DuckDB,
//! ClickHouse, DataFusion and whatever else reads partitions named like this.
//!
//! All is written below a directory of its own in DIR first; at the end each partition gets its name by one rename, so
//! that a reader sees the old one or the new one. A partition that is there already is left alone, unless --overwrite
//! says that it is to be replaced: two runs over halves of a day would else leave the second half only.

/// One day of one host.
mod partition;

use super::events::columns::Field;
use super::events::row::{Row, Value, time_name};
use crate::exit::{Exit, Failure};
use crate::sys::files::{exchange, reason};
use partition::Partition;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// What waits in memory for its row group, of all partitions.
const WAITING: usize = 24 << 20;
/// Partitions with an open file. Another one closes that which was quiet longest; its next rows go to another file.
const OPEN: usize = 64;
/// Days and hosts of a run; more are no log but an attack on the file system.
const MOST: usize = 10_000;

type Key = (i64, Box<[u8]>);

pub struct Table {
    dir: PathBuf,
    /// Where everything is written at first.
    staging: PathBuf,
    overwrite: bool,
    partitions: HashMap<Key, Partition>,
    waiting: usize,
    rows: u64,
}

impl Table {
    pub fn create(dir: &Path, overwrite: bool) -> Result<Table, Failure> {
        let staging = dir.join(format!(".pflogsumm-{}.tmp", std::process::id()));
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::create_dir(&staging))
            .map_err(|error| cannot(dir, &error))?;
        let partitions = HashMap::new();
        Ok(Table { dir: dir.to_owned(), staging, overwrite, partitions, waiting: 0, rows: 0 })
    }

    pub fn take(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let host = match row.get(Field::Host) {
            Some(Value::Text(host)) => host.as_ref(),
            _ => b"",
        };
        let key = (row.at().div_euclid(86_400), Box::from(host));
        self.rows += 1;
        if !self.partitions.contains_key(&key) {
            let partition = self.begin(&key)?;
            self.partitions.insert(key.clone(), partition);
        }
        let Some(partition) = self.partitions.get_mut(&key) else { return Ok(()) };
        self.waiting += partition.add(row, self.rows);
        if self.waiting > WAITING {
            let largest = self.partitions.values_mut().max_by_key(|partition| partition.waiting());
            if let Some(partition) = largest {
                self.waiting -= partition.waiting();
                partition.flush().map_err(|error| cannot(&self.dir, &error))?;
            }
            self.close_the_quiet()?;
        }
        Ok(())
    }

    fn begin(&self, key: &Key) -> Result<Partition, Failure> {
        if self.partitions.len() >= MOST {
            let text =
                format!("fatal: the logs are of more than {MOST} days and hosts: give fewer, or --from and --to");
            return Err(Failure::new(Exit::DATAERR, text));
        }
        let name = directory(key);
        let there = self.dir.join(&name);
        if !self.overwrite && there.symlink_metadata().is_ok() {
            let text =
                format!("fatal: {} is there already and nothing was written; --overwrite replaces it", there.display());
            return Err(Failure::new(Exit::CANTCREAT, text));
        }
        Ok(Partition::new(self.staging.join(name)))
    }

    fn close_the_quiet(&mut self) -> Result<(), Failure> {
        let mut open: Vec<&mut Partition> =
            self.partitions.values_mut().filter(|partition| partition.is_open()).collect();
        if open.len() <= OPEN {
            return Ok(());
        }
        open.sort_unstable_by_key(|partition| partition.last_row());
        let count = open.len() - OPEN / 2;
        for partition in open.into_iter().take(count) {
            self.waiting -= partition.waiting();
            partition.close().map_err(|error| cannot(&self.dir, &error))?;
        }
        Ok(())
    }

    /// Gives all partitions their names.
    pub fn finish(mut self) -> Result<(), Failure> {
        for partition in self.partitions.values_mut() {
            partition.close().map_err(|error| cannot(&self.dir, &error))?;
        }
        let mut names: Vec<String> = self.partitions.keys().map(directory).collect();
        names.sort_unstable();
        for name in names {
            self.publish(&name).map_err(|error| cannot(&self.dir.join(name), &error))?;
        }
        Ok(())
    }

    fn publish(&self, name: &str) -> io::Result<()> {
        let (from, to) = (self.staging.join(name), self.dir.join(name));
        if let Some(date) = to.parent() {
            std::fs::create_dir_all(date)?;
        }
        match self.overwrite && to.symlink_metadata().is_ok() {
            // The old one is in the staging directory then, and goes with it.
            true => exchange(&from, &to),
            false => std::fs::rename(&from, &to),
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // Whatever is here was not published.
        let _ = std::fs::remove_dir_all(&self.staging);
    }
}

/// "date=2026-11-24/host=mx"; what is no plain character of a host's name is written as %41, as Hive does.
fn directory((day, host): &Key) -> String {
    let date = time_name(day.saturating_mul(86_400));
    let mut name = format!("date={}/host=", date.split('T').next().unwrap_or_default());
    // A directory's name has 255 bytes at most.
    for &byte in host.iter().take(80) {
        match byte {
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::IOERR, format!("fatal: cannot write {}: {}", path.display(), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applet::pflogsumm::read::accurate::Parts;
    use crate::log::line::Stamp;

    fn parts<'a>(at: i64, host: &'a str, content: &'a str) -> Parts<'a> {
        Parts {
            stamp: Stamp::default(),
            at,
            host: host.as_bytes(),
            service: b"qmgr",
            again: false,
            process: None,
            content: content.as_bytes(),
        }
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut places = vec![dir.to_owned()];
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(place).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => places.push(path),
                    false => found.push(path.strip_prefix(dir).unwrap().display().to_string()),
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_partition_is_replaced_on_purpose_only() {
        let dir = tempfile::tempdir().unwrap();
        let noon = 1_795_521_600;
        let write = |overwrite: bool, rows: &[Parts<'_>]| -> Result<(), Failure> {
            let mut table = Table::create(dir.path(), overwrite)?;
            rows.iter().try_for_each(|row| table.take(&Row::of(row)))?;
            table.finish()
        };
        let line = "A1B2C3: removed";
        write(false, &[parts(noon, "mx", line), parts(noon + 86_400, "../x y", line)]).unwrap();
        let first = ["date=2026-11-24/host=mx/part-0.parquet", "date=2026-11-25/host=..%2Fx%20y/part-0.parquet"];
        assert_eq!(files(dir.path()), first);
        let refused = write(false, &[parts(noon + 2 * 86_400, "mx", line), parts(noon, "mx", line)]).unwrap_err();
        assert!(refused.message.unwrap().contains("date=2026-11-24/host=mx is there already"));
        assert_eq!(files(dir.path()), first);
        let size = || std::fs::metadata(dir.path().join(first[0])).unwrap().len();
        let before = size();
        write(true, &[parts(noon, "mx", &format!("{line}, or something much longer"))]).unwrap();
        assert!(size() > before);
        assert_eq!(files(dir.path()), first);
    }

    /// A log of many hosts keeps few files open, and nothing is lost.
    #[test]
    fn many_partitions_are_closed_and_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::create(dir.path(), false).unwrap();
        let long = format!("warning: {}", "x".repeat(20_000));
        for round in 0..8 {
            for host in 0..200 {
                table.take(&Row::of(&parts(round, &format!("mx{host}"), &long))).unwrap();
                assert!(table.waiting <= WAITING + 40_000);
            }
        }
        assert!(table.partitions.values().filter(|partition| partition.is_open()).count() <= OPEN);
        table.finish().unwrap();
        assert!(files(dir.path()).len() >= 200);
        assert!(files(dir.path()).iter().all(|file| file.starts_with("date=1970-01-01/host=mx")));
    }
}
