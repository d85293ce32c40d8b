//! One run of postmap or postalias: the command line, then building, querying, listing or changing.

use super::message_keys;
use crate::applet::{Invocation, cli};
use crate::conf::{ConfError, MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::log::Log;
use crate::sys::files::reason;
use crate::table::open::Duplicates;
use crate::table::rebuild::{Ownership, Rebuild};
use crate::table::source::Lines;
use crate::table::{self, Options, Table, TableError, files_as_values};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Longest key that is read from standard input.
const MAX_KEY: u64 = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Postmap,
    Postalias,
}

impl Program {
    fn optstring(self) -> &'static str {
        match self {
            Program::Postmap => "Nbc:d:fFhimnopq:rsuUvw",
            Program::Postalias => "Nc:d:finopq:rsuvw",
        }
    }

    fn usage(self, program: &str) -> String {
        let flags = match self {
            Program::Postmap => "bfFhimnNoprsuUvw",
            Program::Postalias => "Nfinoprsuvw",
        };
        format!("usage: {program} [-{flags}] [-c config_dir] [-d key] [-q key] [map_type:]file...")
    }
}

/// What the options ask for.
struct Job {
    program: Program,
    query: Option<Vec<u8>>,
    delete: Option<Vec<u8>>,
    list: bool,
    incremental: bool,
    keys: message_keys::Wanted,
    ownership: Ownership<'static>,
    options: Options,
    config: Option<PathBuf>,
    tables: Vec<String>,
    /// -u: no UTF-8 whatever smtputf8_enable says.
    plain: bool,
    /// -U: UTF-8 also for the keys of a message.
    force_utf8: bool,
    /// -m without -b or -h.
    ignored_mime: bool,
}

/// A fatal error: its text, said by the caller to the log and to stderr.
enum End {
    Fatal(String),
    Failure(Failure),
}

impl From<TableError> for End {
    fn from(error: TableError) -> End {
        End::Fatal(error.reason)
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> End {
        End::Failure(Failure::from(error))
    }
}

pub fn run(call: &Invocation, program: Program) -> Result<Exit, Failure> {
    let mut job = match parse(call, program) {
        Ok(job) => job,
        Err(End::Fatal(text)) => return Err(Failure::fatal(text)),
        Err(End::Failure(failure)) => return Err(failure),
    };
    let directory = main_cf::directory(job.config.as_deref());
    let cf = MainCf::read(&directory).map_err(Failure::fatal)?;
    crate::conf::common::verify(&cf).map_err(|error| {
        for note in cf.notes() {
            let _ = writeln!(std::io::stderr(), "{}: warning: {note}", call.program);
        }
        macro_warning(&call.program, &error)
    })?;
    let text = |name: &str| cf.text(name).map_err(|error| macro_warning(&call.program, &error));
    let log = Arc::new(
        Log::open(&text("syslog_name")?, &call.name, &text("syslog_facility")?, &text("maillog_file")?)
            .with_stderr(&call.program),
    );
    cf.notes().iter().for_each(|note| log.warning(note.to_string()));
    let warnings = log.clone();
    job.options.warn = Some(Arc::new(move |text: &str| warnings.warning(text)));
    job.options.directory = job.config.clone();
    job.options.utf8 = cf.smtputf8_enable() && !job.plain && (job.force_utf8 || !(job.keys.body || job.keys.headers));
    text("default_database_type")?;
    let default_type = cf.default_database_type();
    if job.ignored_mime {
        log.warning("ignoring -m option without -b or -h");
    }
    // Without a table -s lists nothing.
    if job.tables.is_empty() && !job.list {
        log.fatal(program.usage(&call.program));
        return Err(Failure::silent(Exit::FAIL));
    }
    match work(&job, &default_type, &cf) {
        Ok(exit) => Ok(exit),
        Err(End::Fatal(text)) => {
            log.fatal(text);
            Err(Failure::silent(Exit::FAIL))
        }
        Err(End::Failure(failure)) => Err(failure),
    }
}

/// A macro that cannot be read is told by a warning, and then by a fatal error that does not say which.
fn macro_warning(program: &str, error: &ConfError) -> Failure {
    let ConfError::Expand { source, .. } = error else { return Failure::fatal(error) };
    for line in source.to_string().lines() {
        let _ = writeln!(std::io::stderr(), "{program}: warning: {line}");
    }
    Failure::fatal("dictionary mail_dict: macro processing error")
}

fn parse(call: &Invocation, program: Program) -> Result<Job, End> {
    let parsed = cli::getopt(program.optstring(), &call.args).map_err(|error| {
        let usage = program.usage(&call.program);
        End::Failure(Failure::new(Exit::FAIL, format!("{error}\n{}: fatal: {usage}", call.program)))
    })?;
    let mut job = Job {
        program,
        query: None,
        delete: None,
        list: false,
        incremental: false,
        keys: message_keys::Wanted::default(),
        ownership: Ownership { source: None, inherit_mode: true, inherit_owner: true },
        options: Options { reopen: false, ..Options::default() },
        config: None,
        tables: parsed.operands.iter().map(|name| name.to_string_lossy().into_owned()).collect(),
        plain: false,
        force_utf8: false,
        ignored_mime: false,
    };
    for option in &parsed.options {
        let value = || option.value.as_deref().unwrap_or(OsStr::new("")).as_bytes().to_vec();
        let busy = job.query.is_some() || job.delete.is_some();
        match option.letter {
            'd' | 'q' if job.list || busy => return Err(End::Fatal("specify only one of -s -q or -d".into())),
            's' if busy => return Err(End::Fatal("specify only one of -s or -q or -d".into())),
            'd' => job.delete = Some(value()),
            'q' => job.query = Some(value()),
            's' => job.list = true,
            'c' => job.config = option.value.clone().map(PathBuf::from),
            'b' => job.keys.body = true,
            'h' => job.keys.headers = true,
            'm' => job.keys.mime = true,
            'f' => job.options.fold = false,
            'F' => job.options.values_are_files = true,
            'i' => job.incremental = true,
            'n' => job.options.nul = Some(false),
            'N' => job.options.nul = Some(true),
            'o' => job.ownership.inherit_owner = false,
            'p' => job.ownership.inherit_mode = false,
            'r' => job.options.duplicates = Duplicates::Replace,
            'w' => job.options.duplicates = Duplicates::Ignore,
            'u' => job.plain = true,
            'U' => job.force_utf8 = true,
            // -v: nothing more to say.
            _ => {}
        }
    }
    if job.keys != message_keys::Wanted::default() && job.query.as_deref() != Some(b"-") {
        return Err(End::Fatal("specify -b -h or -m only with \"-q -\"".into()));
    }
    if job.keys.mime && !job.keys.body && !job.keys.headers {
        job.ignored_mime = true;
        job.keys.mime = false;
    }
    Ok(job)
}

fn work(job: &Job, default_type: &str, cf: &MainCf) -> Result<Exit, End> {
    let split = |table: &str| match table.split_once(':') {
        Some((kind, name)) => (kind.to_owned(), name.to_owned()),
        None => (default_type.to_owned(), table.to_owned()),
    };
    let tables: Vec<(String, String)> = job.tables.iter().map(|table| split(table)).collect();
    if let Some(key) = &job.query {
        return if key == b"-" { query_input(job, &tables) } else { query(job, &tables, key) };
    }
    if let Some(key) = &job.delete {
        return delete(job, &tables, key);
    }
    if job.list {
        return list(job, &tables);
    }
    for (kind, name) in &tables {
        build(job, kind, name, cf)?;
    }
    Ok(Exit::OK)
}

fn build(job: &Job, kind: &str, name: &str, cf: &MainCf) -> Result<(), End> {
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
        Some((file, data)) => {
            let mut lines = Lines::new(name, BufReader::with_capacity(1 << 17, file));
            read(job, &mut table, &mut lines)?;
            ownership.source = Some(data);
            if job.program == Program::Postalias {
                table.mark_aliases(&cf.text("myhostname").map_err(|error| End::Fatal(error.to_string()))?)?;
            }
            Ok(table.commit(ownership)?)
        }
        None => {
            let mut lines = Lines::new("stdin", std::io::stdin().lock());
            read(job, &mut table, &mut lines)?;
            if job.program == Program::Postalias {
                table.mark_aliases(&cf.text("myhostname").map_err(|error| End::Fatal(error.to_string()))?)?;
            }
            Ok(table.commit(ownership)?)
        }
    }
}

fn read<R: BufRead>(job: &Job, table: &mut Rebuild, lines: &mut Lines<R>) -> Result<(), End> {
    match job.program {
        Program::Postmap => Ok(table.read_map(lines)?),
        Program::Postalias => Ok(table.read_aliases(lines)?),
    }
}

fn open(job: &Job, kind: &str, name: &str) -> Result<Box<dyn Table + Send + Sync>, End> {
    let spec = format!("{kind}:{name}");
    if kind.is_empty() || name.is_empty() {
        return Err(End::Fatal(format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\"")));
    }
    Ok(table::open(&spec, &job.options)?)
}

/// One answer, with the reference's warning about an empty one; -F values are given as the files were.
fn ask(job: &Job, table: &dyn Table, spec: &str, key: &[u8]) -> Result<Option<Vec<u8>>, End> {
    let failed = |error: TableError| {
        // A table in a table fails in the name of the outer one.
        // A driver that dies where it stands says so in the name of its own function.
        if error.reason.starts_with("dict_") {
            return End::Fatal(error.reason);
        }
        if error.reason.is_empty() {
            return End::Fatal(format!("table {}: query error", error.table));
        }
        let reason = error.reason.rsplit(": query error: ").next().unwrap_or_default();
        End::Fatal(format!("table {spec}: query error: {reason}"))
    };
    let Some(value) = table.lookup(key).map_err(failed)? else { return Ok(None) };
    if value.is_empty() {
        let key = String::from_utf8_lossy(key);
        job.options.warn(format_args!("table {spec}: key {key}: empty string result is not allowed"));
        job.options.warn(format_args!("table {spec} should return NO RESULT in case of NOT FOUND"));
    }
    if job.options.values_are_files {
        return match files_as_values::decoded(&value) {
            Some(content) => Ok(Some(content)),
            None => Err(End::Fatal(format!(
                "table {spec}: query error: malformed BASE64 value: {}",
                String::from_utf8_lossy(&value)
            ))),
        };
    }
    Ok(Some(value))
}

fn query(job: &Job, tables: &[(String, String)], key: &[u8]) -> Result<Exit, End> {
    for (kind, name) in tables {
        let table = open(job, kind, name)?;
        if let Some(value) = ask(job, table.as_ref(), &format!("{kind}:{name}"), key)? {
            let mut out = std::io::stdout().lock();
            out.write_all(&value)?;
            out.write_all(b"\n")?;
            return Ok(Exit::OK);
        }
    }
    Ok(Exit::FAIL)
}

/// Each key of standard input, in the first table that has it.
fn query_input(job: &Job, tables: &[(String, String)]) -> Result<Exit, End> {
    let mut opened = Vec::new();
    for (kind, name) in tables {
        opened.push((format!("{kind}:{name}"), open(job, kind, name)?));
    }
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut any = false;
    let mut each = |key: &[u8]| -> Result<(), End> {
        for (spec, table) in &opened {
            if let Some(value) = ask(job, table.as_ref(), spec, key)? {
                any = true;
                pair(job, &mut out, key, &value)?;
                break;
            }
        }
        Ok(())
    };
    let mut input = std::io::stdin().lock();
    if job.keys.body || job.keys.headers {
        message_keys::each(&mut input, job.keys, MAX_KEY, &mut each)?;
    } else {
        let mut key = Vec::new();
        while next_line(&mut input, &mut key)? {
            each(&key)?;
        }
    }
    out.flush()?;
    Ok(if any { Exit::OK } else { Exit::FAIL })
}

/// Reads a line without its end; false at the end of the input.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, End> {
    use std::io::Read;
    line.clear();
    let read = input.take(MAX_KEY).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == MAX_KEY {
        return Err(End::Fatal("input line too long".into()));
    }
    Ok(read > 0)
}

/// "key TAB value"; aliases have a colon after the key.
fn pair(job: &Job, out: &mut impl Write, key: &[u8], value: &[u8]) -> std::io::Result<()> {
    out.write_all(key)?;
    out.write_all(if job.program == Program::Postalias { b":\t" } else { b"\t" })?;
    out.write_all(value)?;
    out.write_all(b"\n")
}

fn delete(job: &Job, tables: &[(String, String)], key: &[u8]) -> Result<Exit, End> {
    let mut keys = Vec::new();
    if key == b"-" {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        while next_line(&mut input, &mut line)? {
            keys.push(line.clone());
        }
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
            return Err(End::Fatal(format!("table {kind}:{name}: delete operation is not supported")));
        }
        let row = table::open::find(kind);
        if row.is_some_and(|row| row.build.is_none()) {
            return Err(End::Fatal(format!("{kind}:{name} map requires O_RDONLY access mode")));
        }
        let mut table = Rebuild::change(kind, name, &job.options, None, false)?;
        let mut changed = false;
        for key in &keys {
            changed |= table.remove(key);
        }
        any |= changed;
        if changed {
            table.commit(job.ownership)?;
        }
    }
    Ok(if any { Exit::OK } else { Exit::FAIL })
}

/// Lists the first table; the reference, too, stops after it.
fn list(job: &Job, tables: &[(String, String)]) -> Result<Exit, End> {
    let Some((kind, name)) = tables.first() else { return Ok(Exit::OK) };
    let spec = format!("{kind}:{name}");
    if kind == "proxy" {
        return Err(End::Fatal("can't sequence maps via the proxy service".into()));
    }
    let table = open(job, kind, name)?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut failed = None;
    let listed = table.entries(&mut |key, value| {
        if key.is_empty() {
            job.options.warn(format_args!("table {spec}: empty lookup key value is not allowed"));
        } else if value.is_empty() {
            let key = String::from_utf8_lossy(key);
            job.options.warn(format_args!("table {spec}: key {key}: empty string value is not allowed"));
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
