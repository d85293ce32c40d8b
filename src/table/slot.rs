//! [`Slot`]: a table of a list, which may not be there yet. What could not be opened is tried again by later lookups,
//! so that a newaliases after the start heals the programs that run.

use super::open::{Opened, Options, TableError, open};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two attempts: a table that is gone must not cost an open(2), or the reading of a broken
/// file, for every lookup.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub struct Slot {
    spec: String,
    options: Options,
    opened: OnceLock<Opened>,
    /// When the last attempt failed, and why.
    failed: Mutex<Option<(Instant, TableError)>>,
}

impl Slot {
    /// Opens "type:name", now if that is possible.
    pub fn new(spec: &str, options: &Options) -> Slot {
        let slot =
            Slot { spec: spec.to_owned(), options: options.clone(), opened: OnceLock::new(), failed: Mutex::new(None) };
        let _ = slot.get();
        slot
    }

    /// "type:name"
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The table, opened when it was not before.
    pub fn get(&self) -> Result<&Opened, TableError> {
        if let Some(table) = self.opened.get() {
            return Ok(table);
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, error)) = &*failed
            && when.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        match open(&self.spec, &self.options) {
            Ok(table) => Ok(self.opened.get_or_init(|| table)),
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_comes_later_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        let slot = Slot::new(&format!("texthash:{}", path.display()), &Options::default());
        assert!(slot.get().is_err());
        std::fs::write(&path, "key value\n").unwrap();
        std::thread::sleep(RETRY_AFTER + Duration::from_millis(50));
        assert_eq!(slot.get().unwrap().lookup(b"key").unwrap(), Some(b"value".to_vec()));
    }
}
