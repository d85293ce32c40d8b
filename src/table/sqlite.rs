//! sqlite:FILE (sqlite_table(5)): one query a lookup, on a database that is opened for reading only.

use super::open::{Opened, Options, Table, TableError, Value};
use super::query::{Answer, Parameters, Query, TooMany};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a lookup waits for somebody who writes to the database.
const PATIENCE: Duration = Duration::from_secs(10);

struct Sqlite {
    table: String,
    /// The configuration file, as messages name it.
    name: String,
    query: Query,
    options: Options,
    connection: Mutex<Connection>,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let parameters = Parameters::read(kind, name, options)?;
    let path = parameters.required("dbpath")?;
    let query = Query::new(&parameters, options, || parameters.legacy_query())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| {
        // The odd "?" is the reference's line end.
        TableError::new(format!("{kind}:{name}"), format!("{kind}:{name}: Can't open database: {}?", words(&error)))
    };
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    Ok(Box::new(Sqlite {
        table: format!("{kind}:{name}"),
        name: parameters.name().to_owned(),
        query,
        options: options.clone(),
        connection: Mutex::new(connection),
    }))
}

/// SQLite's own text.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => {
            // The binding adds the path of a database that it cannot open.
            text.split(": /").next().unwrap_or(text).to_owned()
        }
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

impl Table for Sqlite {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let folded = self.options.folded(key);
        let Ok(key) = std::str::from_utf8(&folded) else { return Ok(None) };
        let Some(sql) = self.query.ask(key, &|text| text.replace('\'', "''"))? else { return Ok(None) };
        let failed = |what: &str, error: &rusqlite::Error| {
            TableError::new(
                &self.table,
                format!("dict_sqlite_lookup: {}: SQL {what} failed: {}?", self.name, words(error)),
            )
        };
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare(&sql).map_err(|error| failed("prepare", &error))?;
        let mut rows = statement.query([]).map_err(|error| failed("prepare", &error))?;
        let mut answer = Answer::default();
        while let Some(row) = rows.next().map_err(|error| failed("step", &error))? {
            // The first column, as in the reference; the other databases' tables take them all.
            let value = match row.get_ref(0).map_err(|error| failed("step", &error))? {
                ValueRef::Null => continue,
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => format!("{number:?}"),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            };
            if value.is_empty() {
                let table = &self.table;
                self.options.warn(format_args!("table \"{table}\": empty lookup result for: \"{key}\" -- ignored"));
            }
            if let Err(TooMany) = self.query.add(&mut answer, key, &value) {
                self.options
                    .warn(format_args!("dict_sqlite_lookup: {}: Expansion limit exceeded for key '{key}'", self.name));
                return Err(TableError::new(
                    &self.table,
                    format!("table {}: query error: No such file or directory", self.table),
                ));
            }
        }
        Ok(answer.value())
    }
}
