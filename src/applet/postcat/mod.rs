//! postcat(1): shows queue files.

/// One file, record by record.
mod show;
/// Sizes, attributes and times.
mod text;

use super::voice::Voice;
use super::{Applet, Invocation, Purpose, cli};
use crate::conf::MainCf;
use crate::exit::{Exit, Failure};
use crate::queue::{Queue, QueueId};
use clap::{Arg, ArgAction, Command};
use show::{Shown, View};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

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

const USAGE: &str = "postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] \
[-h (header text)] [-q (access queue)] [-v] [file(s)...]";
/// Where -q looks, in the reference's order.
const DIRECTORIES: &[&str] = &["maildrop", "hold", "incoming", "active", "deferred", "corrupt"];
/// Most that is read of a standard input that is no file; a message is smaller.
const MAX_STDIN: u64 = 1 << 31;

fn cli() -> Command {
    let flag = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).action(ArgAction::Count).help(help)
    };
    Command::new("postcat")
        .about("show the contents of queue files")
        .arg(flag('b', "show the body"))
        .arg(Arg::new("c").short('c').value_name("DIRECTORY").help("the configuration directory"))
        .arg(flag('d', "show record types in decimal"))
        .arg(flag('e', "show the envelope"))
        .arg(flag('h', "show the headers"))
        .arg(flag('o', "show the offset of each record"))
        .arg(flag('q', "the arguments are queue ids"))
        .arg(flag('r', "records in the order of the file"))
        .arg(Arg::new("s").short('s').value_name("OFFSET").action(ArgAction::Append).help("skip to this offset"))
        .arg(flag('v', "show every record with its name, pointers and padding too"))
        .arg(Arg::new("file").action(ArgAction::Append).num_args(0..).value_parser(clap::value_parser!(OsString)))
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let matches = cli::matches(cli(), "bc:dehoqrs:v", call, (Exit::FAIL, USAGE))?;
    let mut voice = Voice::unlogged(call);
    let cf = voice.configuration(matches.get_one::<String>("c").map(Path::new), Exit::FAIL)?;
    let given = |letter: &str| matches.get_count(letter) > 0;
    let whole = !["e", "h", "b"].iter().any(|letter| given(letter));
    let view = View {
        envelope: whole || given("e"),
        header: whole || given("h"),
        body: whole || given("b"),
        offsets: given("o"),
        decimal: given("d"),
        named: given("v"),
        in_file_order: given("r"),
    };
    let start = match matches.get_many::<String>("s").and_then(Iterator::last) {
        Some(text) => text.parse().map_err(|_| Failure::fatal(format!("bad offset: {text}")))?,
        None => 0,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut show = |name: &str, input: &mut dyn Source, pipe: bool| -> Result<(), Failure> {
        let shown = Shown { program: &call.program, name, view, start, pipe };
        let outcome = shown.show(input, &mut out);
        // Records and complaints stand in the order in which they came.
        out.flush()?;
        outcome
    };
    let files: Vec<&OsString> = matches.get_many::<OsString>("file").into_iter().flatten().collect();
    if given("q") {
        voice.enter_queue(&cf, Exit::FAIL)?;
        for name in files {
            let (path, mut file) = in_queue(&cf, &name.to_string_lossy())?;
            show(&path, &mut file, false)?;
        }
    } else if files.is_empty() {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MAX_STDIN).read_to_end(&mut bytes)?;
        show("stdin", &mut io::Cursor::new(bytes), !crate::sys::files::stdin_is_file())?;
    } else {
        for path in files.into_iter().map(PathBuf::from) {
            let shown = path.display().to_string();
            let mut file = File::open(&path)
                .map_err(|error| Failure::fatal(format!("open {shown}: {}", crate::sys::files::reason(&error))))?;
            if file.metadata().is_ok_and(|data| data.is_dir()) {
                writeln!(io::stderr(), "{}: warning: close {shown}: Is a directory", call.program)?;
                continue;
            }
            show(&shown, &mut file, false)?;
        }
    }
    Ok(Exit::OK)
}

/// What can be read from any place.
pub trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// The file of a message, and its path from the queue directory.
fn in_queue(cf: &MainCf, name: &str) -> Result<(String, File), Failure> {
    let id = QueueId::parse(name).ok_or_else(|| Failure::fatal(format!("bad mail queue ID: {name}")))?;
    let failed = |reason: &str| Failure::fatal(format!("open queue file {name}: {reason}"));
    let queue = Queue::new(cf);
    for directory in DIRECTORIES {
        let path = queue.path(directory, &id);
        match File::open(&path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                let shown = path.strip_prefix(queue.directory()).unwrap_or(&path);
                return Ok((shown.display().to_string(), file));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&crate::sys::files::reason(&error))),
        }
    }
    Err(failed("No such file or directory"))
}
