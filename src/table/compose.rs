//! Tables made of tables: unionmap:{type:name, ...} answers with all their answers, pipemap: feeds each answer to the
//! next table, randmap:{value, ...} picks one.

use super::memory::braced_items;
use super::open::{Opened, Options, Table, TableError, Value, open};

fn items(kind: &str, name: &str, form: &str) -> Result<Vec<String>, TableError> {
    let table = format!("{kind}:{name}");
    match braced_items(name) {
        Ok(items) if !items.is_empty() => Ok(items),
        _ => Err(TableError::new(&table, format!("bad syntax: \"{table}\"; need \"{kind}:{{{form}}}\""))),
    }
}

fn tables(kind: &str, name: &str, options: &Options) -> Result<Vec<Opened>, TableError> {
    let items = items(kind, name, "type:name...")?;
    items
        .iter()
        .map(|spec| {
            let table = format!("{kind}:{name}");
            if !spec.contains(':') {
                return Err(TableError::new(
                    &table,
                    format!("bad syntax: \"{table}\"; need \"{kind}:{{type:name...}}\""),
                ));
            }
            open(spec, options)
        })
        .collect()
}

struct Union(Vec<Opened>);

pub fn unionmap(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    Ok(Box::new(Union(tables(kind, name, options)?)))
}

impl Table for Union {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let mut answers: Vec<Value> = Vec::new();
        for table in &self.0 {
            answers.extend(table.lookup(key)?);
        }
        Ok((!answers.is_empty()).then(|| answers.join(&b','))).map(|joined| joined.filter(|text| !text.is_empty()))
    }

    fn is_pattern(&self) -> bool {
        self.0.iter().any(|table| table.is_pattern())
    }

    fn is_remote(&self) -> bool {
        self.0.iter().any(|table| table.is_remote())
    }
}

struct Pipe(Vec<Opened>);

pub fn pipemap(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    Ok(Box::new(Pipe(tables(kind, name, options)?)))
}

impl Table for Pipe {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let mut key = key.to_owned();
        for table in &self.0 {
            match table.lookup(&key)? {
                Some(answer) => key = answer,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    fn is_pattern(&self) -> bool {
        self.0.iter().any(|table| table.is_pattern())
    }

    fn is_remote(&self) -> bool {
        self.0.iter().any(|table| table.is_remote())
    }
}

struct Random(Vec<Value>);

pub fn randmap(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let values = items(kind, name, "value...")?.into_iter().map(|value| match options.values_are_files {
        true => super::files_as_values::encoded(value.as_bytes()),
        false => Ok(value.into_bytes()),
    });
    let values: Result<Vec<Value>, String> = values.collect();
    Ok(Box::new(Random(values.map_err(|reason| TableError::new(format!("{kind}:{name}"), reason))?)))
}

impl Table for Random {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Value>, TableError> {
        use std::hash::{BuildHasher, Hasher};
        // A fresh RandomState is seeded from the system's randomness: enough to spread load.
        let at = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let count = self.0.len().max(1) as u64;
        Ok(self.0.get((at % count) as usize).cloned())
    }

    fn is_pattern(&self) -> bool {
        true
    }
}
