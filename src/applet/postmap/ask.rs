//! Asking tables for keys (-q).

use super::job::{End, Job, MAX_KEY, pair, value};
use super::message_keys;
use crate::exit::Exit;
use crate::table::many::Keys;
use crate::table::{Table, TableError, files_as_values};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};

/// Bytes of keys that are looked up together; they and their answers are held in memory. With more of them less of the file
/// is read twice, and more memory taken than the reference takes.
const BATCH: usize = 640 << 10;

/// An open table, and how it is called.
type Named = (String, Box<dyn Table + Send + Sync>);

/// What is done with a key and its value.
type Found<'a> = dyn FnMut(&[u8], &[u8]) -> std::io::Result<()> + 'a;

/// Prints the value of a key from the first table that has it.
pub fn one(job: &Job, tables: &[(String, String)], key: &[u8]) -> Result<Exit, End> {
    for (kind, name) in tables {
        let table = job.open(kind, name)?;
        if let Some(found) = ask(job, table.as_ref(), &format!("{kind}:{name}"), key)? {
            value(job, &mut std::io::stdout().lock(), key, &found)?;
            return Ok(Exit::OK);
        }
    }
    Ok(Exit::FAIL)
}

/// Each key of standard input, in the first table that has it.
pub fn each_of_input(job: &Job, tables: &[(String, String)]) -> Result<Exit, End> {
    let mut opened = Vec::new();
    for (kind, name) in tables {
        opened.push((format!("{kind}:{name}"), job.open(kind, name)?));
    }
    let mut out = BufWriter::with_capacity(1 << 15, std::io::stdout().lock());
    let mut any = false;
    let mut found = |key: &[u8], value: &[u8]| {
        any = true;
        pair(job, &mut out, key, value)
    };
    let mut input = BufReader::with_capacity(1 << 15, std::io::stdin().lock());
    if job.keys.body || job.keys.headers {
        let mut each = |key: &[u8]| alone(job, &opened, key, &mut found);
        message_keys::each(&mut input, job.keys, MAX_KEY, &mut each)?;
    } else if std::io::stdin().is_terminal() {
        each_line(&mut input, &mut |key| alone(job, &opened, key, &mut found))?;
    } else {
        let mut keys = Keys::default();
        each_line(&mut input, &mut |key| {
            if keys.size() + key.len() > BATCH || !keys.push(key) {
                together(job, &opened, &keys, &mut found)?;
                keys.clear();
                keys.push(key);
            }
            Ok(())
        })?;
        together(job, &opened, &keys, &mut found)?;
    }
    out.flush()?;
    Ok(if any { Exit::OK } else { Exit::FAIL })
}

/// Each key's value, in the order of the keys; nothing after one that fails.
fn together(job: &Job, tables: &[Named], keys: &Keys, found: &mut Found<'_>) -> Result<(), End> {
    // With several tables, which of them is asked hangs on the answer of the one before.
    if let [(spec, table)] = tables
        && let Some(answers) = table.lookup_many(keys)
    {
        for (key, value) in keys.iter().zip(answers.iter()) {
            if let Some(value) = value {
                found(key, &shown(job, spec, key, Cow::Borrowed(value))?)?;
            }
        }
        return Ok(());
    }
    keys.iter().try_for_each(|key| alone(job, tables, key, found))
}

/// A key's value in the first table that has it.
fn alone(job: &Job, tables: &[Named], key: &[u8], found: &mut Found<'_>) -> Result<(), End> {
    for (spec, table) in tables {
        if let Some(value) = ask(job, table.as_ref(), spec, key)? {
            found(key, &value)?;
            break;
        }
    }
    Ok(())
}

/// One answer.
fn ask(job: &Job, table: &dyn Table, spec: &str, key: &[u8]) -> Result<Option<Vec<u8>>, End> {
    let failed = |error: TableError| {
        // A table in a table fails in the name of the outer one.
        // A driver that dies where it stands says so in the name of its own function.
        if error.reason.starts_with("dict_") || error.reason.starts_with("error reading ") {
            return End::Fatal(error.reason);
        }
        if error.reason.is_empty() {
            return End::Fatal(format!("table {}: query error", error.table));
        }
        let reason = error.reason.rsplit(": query error: ").next().unwrap_or_default();
        End::Fatal(format!("table {spec}: query error: {reason}"))
    };
    let Some(value) = table.lookup(key).map_err(failed)? else { return Ok(None) };
    shown(job, spec, key, Cow::Owned(value)).map(|value| Some(value.into_owned()))
}

/// A value as it is printed, with the reference's warning about an empty one; -F values are given as the files were.
fn shown<'a>(job: &Job, spec: &str, key: &[u8], value: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, End> {
    if value.is_empty() {
        job.warn_of_nothing(spec, key);
    }
    if !job.options.values_are_files {
        return Ok(value);
    }
    files_as_values::decoded(&value).map(Cow::Owned).ok_or_else(|| {
        let value = String::from_utf8_lossy(&value);
        End::Fatal(format!("table {spec}: query error: malformed BASE64 value: {value}"))
    })
}

/// Calls `each` with every line, without its end.
pub fn each_line(input: &mut impl BufRead, each: &mut dyn FnMut(&[u8]) -> Result<(), End>) -> Result<(), End> {
    // A line of which a part was read before.
    let mut begun: Vec<u8> = Vec::new();
    loop {
        let some = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            some => some?,
        };
        if some.is_empty() {
            return if begun.is_empty() { Ok(()) } else { each(&begun) };
        }
        let mut rest = some;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if begun.is_empty() {
                each(line)?;
            } else {
                begun.extend_from_slice(line);
                each(&begun)?;
                begun.clear();
            }
            rest = after;
        }
        begun.extend_from_slice(rest);
        let count = some.len();
        input.consume(count);
        if begun.len() as u64 >= MAX_KEY {
            return Err(End::Fatal("input line too long".into()));
        }
    }
}
