//! pipe(8): hands mail to a command that master.cf names, without a shell, with the recipient's words as arguments
//! (`flags=FR user=vmail argv=/usr/bin/maildrop -d ${recipient}`).

use super::agent;
use super::skeleton::Context;
use crate::delivery::filter::Filter;
use crate::delivery::marks::Marks;
use crate::delivery::{Finisher, Relay, command};
use crate::ipc::delivery::{Answer, Request, Target};
use crate::log::Log;
use crate::message::{envelope, stamp};
use crate::queue::file::Content;
use crate::status::{Code, Report};
use crate::sys::{accounts, spawn};
use std::fs::File;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How much of the command's output is kept.
const OUTPUT_KEPT: usize = 4096;
/// How long processes that the command left behind may go on talking.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);

/// The letters of flags=, beside those of [`Marks`].
const FLAGS: &str = "BFhqu.>";

/// What the master.cf line asks for.
struct Settings {
    flags: String,
    marks: Marks,
    log: Arc<Log>,
    user: String,
    group: Option<String>,
    argv: Vec<String>,
    directory: Option<String>,
    size_limit: u64,
    null_sender: String,
    eol: String,
    time_limit: Duration,
    delimiters: String,
}

pub fn run(context: Context) -> Result<(), String> {
    let settings = Settings::parse(&context)?;
    let filter = Filter::new("pipe_delivery_status_filter", &context.cf.pipe_delivery_status_filter());
    let finisher = Finisher::from_parts(&context.cf, context.log.clone(), filter);
    agent::serve(context, |request| deliver(&settings, &finisher, request))
}

impl Settings {
    fn parse(context: &Context) -> Result<Settings, String> {
        let mut settings = Settings {
            flags: String::new(),
            marks: Marks::default(),
            log: context.log.clone(),
            user: String::new(),
            group: None,
            argv: Vec::new(),
            directory: None,
            size_limit: 0,
            null_sender: "MAILER-DAEMON".into(),
            eol: "\n".into(),
            time_limit: context.cf.for_service::<crate::conf::typed::Time>(&context.service, "_time_limit"),
            delimiters: context.cf.recipient_delimiter(),
        };
        let mut words = context.args.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("unknown attribute name: {word}"))?;
            match name {
                "flags" => {
                    for letter in value.chars().filter(|letter| !letter.is_whitespace()) {
                        if !settings.marks.take(letter) && !FLAGS.contains(letter) {
                            return Err(format!("unknown flag: {letter} (ignored)"));
                        }
                    }
                    settings.flags = value.to_owned();
                }
                "user" => match value.split_once(':') {
                    Some((user, group)) => (settings.user, settings.group) = (user.to_owned(), Some(group.to_owned())),
                    None => settings.user = value.to_owned(),
                },
                "argv" => {
                    settings.argv.push(value.to_owned());
                    settings.argv.extend(words.by_ref().cloned());
                }
                "directory" => settings.directory = Some(value.to_owned()),
                "size" => settings.size_limit = value.parse().map_err(|_| format!("bad size: {value}"))?,
                "null_sender" => settings.null_sender = value.to_owned(),
                "eol" => settings.eol = value.replace("\\r", "\r").replace("\\n", "\n"),
                _ => return Err(format!("unknown attribute name: {name}")),
            }
        }
        if settings.user.is_empty() {
            return Err("missing user= command-line attribute".into());
        }
        if settings.argv.is_empty() {
            return Err("missing argv= command-line attribute".into());
        }
        Ok(settings)
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

fn deliver(settings: &Settings, finisher: &Finisher, request: &Request) -> Answer {
    let now = Some(SystemTime::now());
    let passes_on = settings.marks.passes_on();
    let relay = Relay { begun: now, connected: now, passes_on, ..Relay::named(&request.transport) };
    let report = run_command(settings, finisher, request)
        .unwrap_or_else(|error| Report::deferred(format!("cannot run command: {}", crate::sys::files::reason(&error))));
    request.recipients.iter().map(|target| finisher.finish(request, target, &report, &relay)).collect()
}

fn run_command(settings: &Settings, finisher: &Finisher, request: &Request) -> io::Result<Report> {
    if settings.size_limit > 0 && request.size > settings.size_limit {
        return Ok(Report::new(
            Code::new(5, 3, 4),
            format!("message size {} exceeds size limit {}", request.size, settings.size_limit),
        ));
    }
    let Some(account) = accounts::by_name(&settings.user) else {
        return Ok(Report::deferred(format!("unknown user in master.cf: {}", settings.user)));
    };
    let gid = match &settings.group {
        Some(group) => accounts::group_id(group).ok_or_else(|| io::Error::other(format!("unknown group: {group}")))?,
        None => account.gid,
    };
    if account.uid == 0 {
        return Ok(Report::deferred("user= command-line attribute specifies root"));
    }
    let argv = arguments(settings, request);
    let (program, rest) = argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    if request.only_verifies() {
        return Ok(Report::sent(format!("delivers to command: {program}")));
    }
    let file = finisher.open(request)?;
    if let Some(report) = settings.marks.refusal("pipe flag", request, &file, &settings.log) {
        return Ok(report);
    }
    let (reader, writer) = io::pipe()?;
    let mut direct = Command::new(program);
    direct.args(rest);
    let started = command::start(vec![direct], |command| {
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C");
        if let Some(directory) = &settings.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer.try_clone()?);
        spawn::become_user(command, account.uid, gid, &[gid]);
        Ok(())
    });
    drop(writer);
    let mut child = match started {
        Ok(child) => child,
        Err((program, error)) => return Ok(command::not_run("pipe", &program, &error)),
    };
    let output = spawn::Output::collect(reader, OUTPUT_KEPT);
    let watchdog = spawn::Watchdog::start(child.id(), settings.time_limit);
    if let Some(input) = child.stdin.take() {
        let mut out = io::BufWriter::with_capacity(64 * 1024, input);
        match write_message(settings, request, &file, &mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    let status = child.wait()?;
    if watchdog.stop() {
        return Ok(command::timed_out(program));
    }
    let failure = command::verdict(program, status, &output.one_line(OUTPUT_PATIENCE));
    Ok(failure.unwrap_or_else(|| Report::sent(format!("delivered via {} service", request.transport))))
}

/// The command's words. One that names a recipient is repeated for each.
fn arguments(settings: &Settings, request: &Request) -> Vec<String> {
    let mut argv = Vec::new();
    for word in &settings.argv {
        let each = ["recipient", "user", "extension", "domain", "mailbox", "original_recipient"];
        if each.iter().any(|name| word.contains(&format!("${{{name}}}")) || word.contains(&format!("${name}"))) {
            argv.extend(request.recipients.iter().map(|target| expand(settings, request, Some(target), word)));
        } else {
            argv.push(expand(settings, request, None, word));
        }
    }
    argv
}

fn expand(settings: &Settings, request: &Request, target: Option<&Target>, word: &str) -> String {
    let fold = |text: &str, flag: char| if settings.has(flag) { text.to_lowercase() } else { text.to_owned() };
    let lookup = |name: &str| -> Option<String> {
        let address = target.map(|target| target.address.as_str()).unwrap_or_default();
        let (local, domain) = envelope::split(address);
        let (user, extension) = envelope::split_extension(local, &settings.delimiters);
        Some(match name {
            "recipient" => format!("{}@{}", fold(local, 'u'), fold(domain.unwrap_or_default(), 'h')),
            "user" => fold(user, 'u'),
            "extension" => fold(extension.unwrap_or_default(), 'u'),
            "mailbox" => fold(local, 'u'),
            "domain" => fold(domain.unwrap_or_default(), 'h'),
            "original_recipient" => target.map(|target| target.original.clone()).unwrap_or_default(),
            "sender" => {
                if request.sender.is_empty() {
                    settings.null_sender.clone()
                } else {
                    quoted(settings, &request.sender)
                }
            }
            "nexthop" => fold(&request.nexthop, 'h'),
            "size" => request.size.to_string(),
            "queue_id" => request.queue_id.clone(),
            "client_address" | "client_helo" | "client_hostname" | "client_port" | "client_protocol" => {
                let attribute = match name {
                    "client_helo" => "helo_name",
                    "client_hostname" => "client_name",
                    "client_protocol" => "protocol_name",
                    other => other,
                };
                request.attributes.get(attribute).cloned().unwrap_or_default()
            }
            _ => return None,
        })
    };
    // A word that cannot be expanded goes as it stands: the command will say what it thinks of it.
    crate::conf::expand::expand(word, &lookup).unwrap_or_else(|_| word.to_owned())
}

fn quoted(settings: &Settings, address: &str) -> String {
    if settings.has('q') { envelope::quote(address) } else { address.to_owned() }
}

/// The message with the headers that the flags ask for.
fn write_message(settings: &Settings, request: &Request, file: &File, out: &mut impl Write) -> io::Result<()> {
    let eol = settings.eol.as_bytes();
    let line = |out: &mut dyn Write, text: &str| out.write_all(text.as_bytes()).and_then(|()| out.write_all(eol));
    let sender = envelope::quote_path(&request.sender);
    let first = request.recipients.first();
    if settings.has('F') {
        let shown = if sender.is_empty() { "MAILER-DAEMON" } else { &sender };
        line(out, &format!("From {shown}  {}", stamp::ctime(SystemTime::now())))?;
    }
    let (original, address) =
        first.map(|target| (target.original.as_str(), target.address.as_str())).unwrap_or_default();
    for header in settings.marks.headers(&sender, original, address) {
        line(out, &header)?;
    }
    let mut at_line_start = true;
    for piece in Content::open(file, request.data_offset)? {
        let piece = piece.map_err(|error| io::Error::other(error.to_string()))?;
        if at_line_start && settings.has('>') && piece.data.starts_with(b"From ") {
            out.write_all(b">")?;
        }
        if at_line_start && settings.has('.') && piece.data.starts_with(b".") {
            out.write_all(b".")?;
        }
        out.write_all(&piece.data)?;
        if piece.newline {
            out.write_all(eol)?;
        }
        at_line_start = piece.newline;
    }
    if settings.has('B') { out.write_all(eol) } else { Ok(()) }
}
