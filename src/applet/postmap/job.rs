//! One run of postmap or postalias: the command line, and what it asks for.

use super::{ask, build, delete, list, message_keys};
use crate::applet::{Invocation, cli};
use crate::conf::{ConfError, MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::log::Log;
use crate::table::open::Duplicates;
use crate::table::open::questioned;
use crate::table::rebuild::Ownership;
use crate::table::{self, Options, Table, TableError};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Longest key that is read from standard input.
pub const MAX_KEY: u64 = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Postmap,
    Postalias,
}

impl Program {
    fn optstring(self) -> &'static str {
        match self {
            Program::Postmap => "Nbc:d:fFhijmnopq:rsuUvw",
            Program::Postalias => "Nc:d:fijnopq:rsuvw",
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
pub struct Job {
    pub program: Program,
    query: Option<Vec<u8>>,
    delete: Option<Vec<u8>>,
    list: bool,
    pub incremental: bool,
    /// Answers and entries as JSON.
    json: bool,
    pub keys: message_keys::Wanted,
    pub ownership: Ownership<'static>,
    pub options: Options,
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
pub enum End {
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
            .with_utf8(cf.shows_utf8())
            .with_stderr(&call.program),
    );
    cf.notes().iter().for_each(|note| log.warning(note.to_string()));
    table::process::adopt(&cf, Some(log.clone()));
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
        json: false,
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
            'j' => job.json = true,
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
    if job.json && job.query.is_none() && !job.list {
        return Err(End::Fatal("specify -j only with -q or -s".into()));
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
        return if key == b"-" { ask::each_of_input(job, &tables) } else { ask::one(job, &tables, key) };
    }
    if let Some(key) = &job.delete {
        return delete::delete(job, &tables, key);
    }
    if job.list {
        // Without a table -s lists nothing, and has failed.
        return if tables.is_empty() { Ok(Exit::FAIL) } else { list::list(job, &tables) };
    }
    for (kind, name) in &tables {
        build::build(job, kind, name, cf)?;
    }
    Ok(Exit::OK)
}

impl Job {
    /// The reference's words about an empty value.
    pub fn warn_of_nothing(&self, spec: &str, key: &[u8]) {
        let key = questioned(key);
        self.options.warn(format_args!("table {spec}: key {key}: empty string result is not allowed"));
        self.options.warn(format_args!("table {spec} should return NO RESULT in case of NOT FOUND"));
    }

    pub fn open(&self, kind: &str, name: &str) -> Result<Box<dyn Table + Send + Sync>, End> {
        let spec = format!("{kind}:{name}");
        if kind.is_empty() || name.is_empty() {
            return Err(End::Fatal(format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\"")));
        }
        Ok(table::open(&spec, &self.options)?)
    }
}

/// A key and its value on a line: "key TAB value", with a colon after the key of an alias; or an object of JSON.
pub fn pair(job: &Job, out: &mut impl Write, key: &[u8], value: &[u8]) -> std::io::Result<()> {
    if job.json {
        let text = |bytes: &[u8]| serde_json::Value::from(String::from_utf8_lossy(bytes));
        return writeln!(out, "{{{}: {}}}", text(key), text(value));
    }
    out.write_all(key)?;
    out.write_all(if job.program == Program::Postalias { b":\t" } else { b"\t" })?;
    out.write_all(value)?;
    out.write_all(b"\n")
}

/// The answer to a single question: the value alone on a line.
pub fn value(job: &Job, out: &mut impl Write, key: &[u8], value: &[u8]) -> std::io::Result<()> {
    if job.json {
        return pair(job, out, key, value);
    }
    out.write_all(value)?;
    out.write_all(b"\n")
}
