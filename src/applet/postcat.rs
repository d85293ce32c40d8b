//! postcat(1): shows queue files.

use super::cli;
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::queue::record::{self, Record, Type};
use crate::queue::{Queue, QueueId};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub const APPLET: Applet = Applet {
    name: "postcat",
    aliases: &[],
    links: &["sbin/postcat"],
    section: 1,
    purpose: Purpose::Watch,
    about: "show the contents of queue files",
    cli,
    run,
};

fn cli() -> Command {
    let flag = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).action(ArgAction::SetTrue).help(help)
    };
    Command::new("postcat")
        .about("show the contents of queue files")
        .arg(flag('b', "show the body"))
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(flag('d', "show record types in decimal"))
        .arg(flag('e', "show the envelope"))
        .arg(flag('f', "show the file after its end too; without effect here"))
        .arg(flag('h', "show the headers"))
        .arg(flag('o', "show the offset of each record"))
        .arg(flag('q', "the arguments are queue ids"))
        .arg(flag('r', "show records in file order, pointers not followed"))
        .arg(Arg::new("s").short('s').value_name("OFFSET").help("skip to this offset"))
        .arg(Arg::new("v").short('v').action(ArgAction::Count).help("be verbose"))
        .arg(Arg::new("file").action(ArgAction::Append).num_args(0..).value_parser(clap::value_parser!(OsString)))
}

/// Which parts are shown, and how.
#[derive(Clone, Copy)]
struct View {
    envelope: bool,
    header: bool,
    body: bool,
    /// Nothing was chosen: everything is shown, with titles.
    whole: bool,
    offsets: bool,
    decimal: bool,
    raw: bool,
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let matches = cli::matches(cli(), "bc:defhoqrs:v", &call.args, Exit::FAIL)
        .map_err(|_| Failure::fatal("usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]"))?;
    let chosen = ["e", "h", "b"].map(|name| matches.get_flag(name));
    let whole = !chosen.contains(&true);
    let view = View {
        envelope: whole || chosen[0],
        header: whole || chosen[1],
        body: whole || chosen[2],
        whole,
        offsets: matches.get_flag("o"),
        decimal: matches.get_flag("d"),
        raw: matches.get_flag("r"),
    };
    let skip: u64 = match matches.get_one::<String>("s") {
        Some(text) => text.parse().map_err(|_| Failure::fatal(format!("bad offset: {text}")))?,
        None => 0,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let files: Vec<&OsString> = matches.get_many::<OsString>("file").into_iter().flatten().collect();
    if files.is_empty() && !matches.get_flag("q") {
        show(&mut out, "stdin", &mut BufReader::new(io::stdin().lock()), view)?;
    }
    let directory = matches.get_one::<String>("c").map(Path::new);
    for file in files {
        let path = if matches.get_flag("q") {
            let cf = MainCf::read(&main_cf::directory(directory)).map_err(Failure::fatal)?;
            in_queue(&cf, &file.to_string_lossy())?
        } else {
            PathBuf::from(file)
        };
        let failed = |error: io::Error| {
            Failure::fatal(format!("open {}: {}", path.display(), crate::sys::files::reason(&error)))
        };
        let mut input = File::open(&path).map_err(failed)?;
        io::Seek::seek(&mut input, io::SeekFrom::Start(skip))?;
        let shown = if matches.get_flag("q") { relative(&path) } else { path.display().to_string() };
        show(&mut out, &shown, &mut BufReader::new(input), view)?;
    }
    out.flush()?;
    Ok(Exit::OK)
}

fn in_queue(cf: &MainCf, name: &str) -> Result<PathBuf, Failure> {
    let missing = || Failure::fatal(format!("open queue file {name}: No such file or directory"));
    let id = QueueId::parse(name).ok_or_else(missing)?;
    let queue = Queue::new(cf);
    queue.locate(&id).map(|state| queue.path(state.name(), &id)).ok_or_else(missing)
}

/// "deferred/C/C7FD": the last parts, from the queue's name on.
fn relative(path: &Path) -> String {
    let names = ["maildrop", "incoming", "active", "deferred", "hold", "corrupt"];
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let start = parts.iter().rposition(|part| names.contains(&part.as_str())).unwrap_or(0);
    parts[start..].join("/")
}

/// Where in the file a record stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Header,
    Body,
    Extracted,
}

fn show(out: &mut impl Write, name: &str, input: &mut impl Read, view: View) -> Result<(), Failure> {
    let mut part = Part::Envelope;
    let mut offset = 0u64;
    let mut line_start = true;
    if view.whole {
        writeln!(out, "*** ENVELOPE RECORDS {name} ***")?;
    }
    loop {
        let record = record::read(input).map_err(|error| Failure::fatal(format!("{name}: {error}")))?;
        let Some(record) = record else { break };
        let at = offset;
        offset += length(&record);
        let titles = |out: &mut dyn Write, title: &str| {
            if view.whole { writeln!(out, "*** {title} {name} ***") } else { Ok(()) }
        };
        match record.kind {
            Type::MESSAGE => {
                part = Part::Header;
                titles(out, "MESSAGE CONTENTS")?;
                continue;
            }
            Type::EXTRACTED => {
                part = Part::Extracted;
                titles(out, "HEADER EXTRACTED")?;
                continue;
            }
            Type::END => {
                titles(out, "MESSAGE FILE END")?;
                break;
            }
            _ => {}
        }
        // In the envelope the type of a continued line is that of a filter.
        let content =
            matches!(record.kind, Type::NORMAL | Type::CONTINUED) && matches!(part, Part::Header | Part::Body);
        if content && part == Part::Header && line_start && is_end_of_header(&record.data) {
            part = Part::Body;
            // The empty line between belongs to the header's display when only that is shown with the body.
            if view.header && !view.body {
                continue;
            }
        }
        let shown = match part {
            Part::Envelope | Part::Extracted => view.envelope,
            Part::Header => view.header,
            Part::Body => view.body,
        };
        if !shown {
            line_start = record.kind != Type::CONTINUED;
            continue;
        }
        if view.offsets {
            write!(out, "{at:9} ")?;
        }
        if view.decimal {
            write!(out, "{:3} ", record.kind.0)?;
        }
        if content {
            out.write_all(&record.data)?;
            if record.kind == Type::NORMAL {
                out.write_all(b"\n")?;
            }
        } else if record.kind != Type::POINTER || view.raw {
            write_envelope(out, &record)?;
        }
        line_start = record.kind != Type::CONTINUED;
    }
    Ok(())
}

fn is_end_of_header(line: &[u8]) -> bool {
    let continues = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    line.is_empty() || !(continues || line.contains(&b':'))
}

fn length(record: &Record) -> u64 {
    let mut bytes = 2u64;
    let mut rest = record.data.len() >> 7;
    while rest > 0 {
        bytes += 1;
        rest >>= 7;
    }
    bytes + record.data.len() as u64
}

fn write_envelope(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let text = String::from_utf8_lossy(&record.data);
    let label = match record.kind {
        Type::SIZE => "message_size",
        Type::TIME => "message_arrival_time",
        Type::WARN_TIME => "warning_message_time",
        Type::ATTRIBUTE => {
            return match text.split_once('=') {
                Some(("create_time", seconds)) => writeln!(out, "create_time: {}", time(seconds)),
                _ => writeln!(out, "named_attribute: {text}"),
            };
        }
        Type::FULL_NAME => "sender_fullname",
        Type::INSPECTION => "content_inspector",
        Type::FILTER => "content_filter",
        Type::REDIRECT => "redirect_to",
        Type::SENDER => "sender",
        Type::ORIGINAL_RECIPIENT => "original_recipient",
        Type::RECIPIENT => "recipient",
        Type::DONE => "done_recipient",
        Type::VERP => "verp_delimiters",
        Type::ERRORS_TO => "errors_to",
        Type::RETURN_RECEIPT => "return_receipt",
        Type::POINTER => "pointer_record",
        Type::DSN_ORIGINAL => "dsn_orig_rcpt",
        Type::DSN_NOTIFY => "notify_flags",
        _ => return writeln!(out, "unknown_record_type: {text}"),
    };
    match record.kind {
        Type::TIME | Type::WARN_TIME => writeln!(out, "{label}: {}", time(text.split(' ').next().unwrap_or_default())),
        _ => writeln!(out, "{label}: {text}"),
    }
}

fn time(seconds: &str) -> String {
    let seconds = seconds.trim().parse().unwrap_or(0u64).min(1 << 40);
    crate::message::stamp::ctime(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
