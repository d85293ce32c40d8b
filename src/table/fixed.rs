//! Tables without a file: static:VALUE answers every key with it, environ: asks the environment, fail: always fails,
//! internal: is an empty table, nis: says what the reference says on a machine without NIS.

use super::files_as_values::encoded;
use super::memory::unbraced;
use super::open::{Opened, Options, Table, TableError, Value};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

struct Static(Value);

/// static:VALUE, or static:{ value with blanks }.
pub fn r#static(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let value = unbraced(name).map_err(|reason| {
        TableError::new(format!("{kind}:{name}"), format!("bad {kind}:name syntax: {reason} in \"{name}\""))
    })?;
    let value = value.as_bytes();
    let value = if options.values_are_files {
        encoded(value).map_err(|reason| TableError::new(format!("{kind}:{name}"), reason))?
    } else {
        value.to_vec()
    };
    Ok(Box::new(Static(value)))
}

impl Table for Static {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Value>, TableError> {
        Ok(Some(self.0.clone()))
    }

    /// Every key matches: partial addresses are not asked.
    fn is_pattern(&self) -> bool {
        true
    }
}

struct Environ(Options);

/// environ:ANYTHING
pub fn environ(_kind: &str, _name: &str, options: &Options) -> Result<Opened, TableError> {
    Ok(Box::new(Environ(options.clone())))
}

impl Table for Environ {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let key = self.0.folded(key);
        if key.is_empty() || key.contains(&b'=') || key.contains(&0) {
            return Ok(None);
        }
        Ok(std::env::var_os(OsStr::from_bytes(&key)).map(OsStringExt::into_vec))
    }
}

struct Fail(String);

/// fail:ANYTHING
pub fn fail(kind: &str, name: &str, _options: &Options) -> Result<Opened, TableError> {
    Ok(Box::new(Fail(format!("{kind}:{name}"))))
}

impl Table for Fail {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Value>, TableError> {
        Err(TableError::new(&self.0, format!("table {}: query error: Application error", self.0)))
    }

    fn entries(&self, _each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        self.lookup(b"").map(|_| ())
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

struct Empty {
    listed: bool,
}

/// internal:ANYTHING: a table that a process fills for itself; one that is named in a configuration is empty.
pub fn internal(_kind: &str, _name: &str, _options: &Options) -> Result<Opened, TableError> {
    Ok(Box::new(Empty { listed: true }))
}

/// nis:MAP: on a machine that is in no NIS domain, as good as all are, an empty table; in a domain an error, since
/// nobody here can ask it. The default alias_maps names one.
pub fn nis(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let domain = std::fs::read_to_string("/proc/sys/kernel/domainname").unwrap_or_default();
    let domain = domain.trim();
    if domain.is_empty() || domain == "(none)" {
        options.warn("dict_nis_init: NIS domain name not set - NIS lookups disabled");
        return Ok(Box::new(Empty { listed: false }));
    }
    let table = format!("{kind}:{name}");
    Err(TableError::new(&table, format!("{table}: this program cannot ask NIS domain {domain}")))
}

impl Table for Empty {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Value>, TableError> {
        Ok(None)
    }

    fn entries(&self, _each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        if self.listed { Ok(()) } else { Err(TableError::new("", "the table cannot be listed")) }
    }
}
