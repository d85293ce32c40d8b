//! sendmail(1), which also answers to mailq and newaliases. Delivery mode leaves the message in maildrop/: status 0
//! means that it is on disk.

use super::cli::{self, Opt};
use super::{Applet, Invocation, Purpose};
use crate::conf::{MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::ipc::trigger;
use crate::log::Log;
use crate::message::{envelope, tokens};
use crate::queue::record::{self, Type};
use crate::queue::{Queue, maildrop};
use crate::sys::accounts;
use crate::table::{Options, rebuild};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

pub const APPLET: Applet = Applet {
    name: "sendmail",
    aliases: &["mailq", "newaliases"],
    links: &["sbin/sendmail", "lib/sendmail", "bin/mailq", "bin/newaliases"],
    section: 1,
    purpose: Purpose::Send,
    about: "send a message, as programs do; mailq lists the queue, newaliases rebuilds the aliases",
    cli,
    run,
};

/// Of Postfix 3.7.
const OPTIONS: &str = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";

fn cli() -> Command {
    let ignored = "accepted for Sendmail's sake, without effect";
    let flag = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).action(ArgAction::Count).help(help)
    };
    let value = |letter: char, name: &'static str, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).value_name(name).action(ArgAction::Append).help(help)
    };
    Command::new("sendmail")
        .about("hand a message to the mail system")
        .arg(flag('t', "take the recipients from the message's headers too"))
        .arg(flag('i', "a line with a single dot does not end the message"))
        .arg(value('f', "SENDER", "the envelope sender"))
        .arg(value('r', "SENDER", "the same as -f"))
        .arg(value('F', "NAME", "the sender's full name"))
        .arg(value(
            'b',
            "MODE",
            "m: deliver (default), p: list the queue, i: rebuild aliases, s: SMTP on standard input",
        ))
        .arg(value('q', "WHAT", "flush the queue: a time, Iid, Ssender, Rsite"))
        .arg(value('o', "OPTION", "i: as -i, m, e: without effect"))
        .arg(value('C', "FILE", "the main.cf, or its directory"))
        .arg(value('N', "DSN", "never, or success, failure, delay"))
        .arg(value('R', "RET", "what a bounce returns: full or hdrs"))
        .arg(value('V', "ENVID", "the envelope id"))
        .arg(value('B', "TYPE", "7BIT or 8BITMIME"))
        .arg(flag('G', "a gateway submits: headers are not completed"))
        .arg(flag('I', "rebuild the aliases"))
        .arg(flag('v', "report delivery by mail; more of them: be verbose"))
        .args(["A", "L", "O", "X", "e", "h", "p"].map(|name| {
            Arg::new(name).short(name.chars().next()).value_name("X").action(ArgAction::Append).help(ignored)
        }))
        .args(
            ["U", "c", "m", "n", "x"]
                .map(|name| Arg::new(name).short(name.chars().next()).action(ArgAction::Count).help(ignored)),
        )
        .arg(Arg::new("recipient").action(ArgAction::Append).num_args(0..).value_parser(clap::value_parser!(OsString)))
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Deliver,
    ListQueue,
    RebuildAliases,
    Smtp,
    Flush,
    Daemon,
}

/// What the options mean.
struct Submission {
    mode: Mode,
    config: Option<PathBuf>,
    sender: Option<String>,
    full_name: Option<String>,
    extract: bool,
    dots_are_text: bool,
    notify: u32,
    ret: u32,
    envelope_id: String,
    eight_bit: bool,
    gateway: bool,
    report: bool,
    flush: String,
    recipients: Vec<String>,
}

fn usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::USAGE, format!("fatal: {}", text.into()))
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let submission = parse(call)?;
    let directory = main_cf::directory(submission.config.as_deref());
    // Without a configuration the mail stays with the caller, who may try again.
    let cf = MainCf::read(&directory).map_err(|error| Failure::new(Exit::TEMPFAIL, format!("fatal: {error}")))?;
    match submission.mode {
        Mode::ListQueue => super::postqueue::list(&cf, &call.program, super::postqueue::Form::Text),
        Mode::RebuildAliases => rebuild_aliases(&cf),
        Mode::Flush => super::postqueue::flush(&cf, &submission.flush),
        Mode::Smtp => smtp_on_stdin(&cf),
        Mode::Daemon => super::postfix::start_for_sendmail(&cf),
        Mode::Deliver => deliver(&cf, &submission),
    }
}

fn parse(call: &Invocation) -> Result<Submission, Failure> {
    let mut submission = Submission {
        mode: match call.name.as_str() {
            "mailq" => Mode::ListQueue,
            "newaliases" => Mode::RebuildAliases,
            _ => Mode::Deliver,
        },
        config: None,
        sender: None,
        full_name: None,
        extract: false,
        dots_are_text: false,
        notify: 0,
        ret: 0,
        envelope_id: String::new(),
        eight_bit: false,
        gateway: false,
        report: false,
        flush: String::new(),
        recipients: Vec::new(),
    };
    // "-q" alone and "-XV" are older than getopt.
    let args: Vec<OsString> =
        call.args.iter().map(|arg| if arg == "-q" { "-q0".into() } else { arg.clone() }).collect();
    let parsed = cli::getopt(OPTIONS, &args).map_err(|error| usage(format!("usage: sendmail [options] ({error})")))?;
    let mut daemon = false;
    for Opt { letter, value } in &parsed.options {
        let text = value.as_ref().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        match letter {
            'b' => match text.chars().next() {
                Some('m') => submission.mode = Mode::Deliver,
                Some('p') => submission.mode = Mode::ListQueue,
                Some('i') => submission.mode = Mode::RebuildAliases,
                Some('s') => submission.mode = Mode::Smtp,
                Some('d' | 'l') => daemon = true,
                Some('v') => {
                    // Verifying must never deliver, and the report that it asks for cannot be made yet.
                    return Err(Failure::new(Exit::UNAVAILABLE, "fatal: -bv is not served: no message was taken"));
                }
                Some('h' | 'H') => return Ok(Submission { mode: Mode::Flush, flush: String::new(), ..submission }),
                _ => return Err(usage(format!("unsupported: -b{text}"))),
            },
            'C' => {
                let path = PathBuf::from(&text);
                let directory =
                    if path.is_dir() { path } else { path.parent().map(Path::to_owned).unwrap_or_default() };
                submission.config = Some(directory);
            }
            'f' | 'r' => submission.sender = Some(text),
            'F' => submission.full_name = Some(text),
            'i' => submission.dots_are_text = true,
            'o' => match text.chars().next() {
                Some('i') => submission.dots_are_text = true,
                Some('d' | 'e' | 'm' | 'A' | '7' | '8' | 'p') => {}
                _ => {}
            },
            't' => submission.extract = true,
            'I' => submission.mode = Mode::RebuildAliases,
            'N' => {
                submission.notify = notify_bits(&text).ok_or_else(|| usage(format!("bad -N option value: {text}")))?
            }
            'R' => {
                submission.ret = match text.to_ascii_lowercase().as_str() {
                    "full" => 1,
                    "hdrs" => 2,
                    _ => return Err(usage(format!("bad -R option value: {text}"))),
                }
            }
            'V' => submission.envelope_id = text,
            'B' => submission.eight_bit = text.eq_ignore_ascii_case("8bitmime"),
            'G' => submission.gateway = true,
            'v' => submission.report = true,
            'q' => {
                // With -bd, -q15m is the daemon's queue interval.
                if submission.mode == Mode::Deliver {
                    submission.mode = Mode::Flush;
                }
                submission.flush = text;
            }
            _ => {}
        }
    }
    if daemon {
        submission.mode = Mode::Daemon;
    }
    if submission.mode != Mode::Deliver && submission.extract {
        return Err(usage("-t can be used only in delivery mode"));
    }
    submission.recipients = parsed.operands.iter().map(|operand| operand.to_string_lossy().into_owned()).collect();
    Ok(submission)
}

fn notify_bits(text: &str) -> Option<u32> {
    use crate::queue::file::notify;
    if text.eq_ignore_ascii_case("never") {
        return Some(notify::NEVER);
    }
    text.split(',').try_fold(0, |bits, word| {
        Some(
            bits | match word.trim().to_ascii_lowercase().as_str() {
                "success" => notify::SUCCESS,
                "failure" => notify::FAILURE,
                "delay" => notify::DELAY,
                _ => return None,
            },
        )
    })
}

/// newaliases: every table of alias_database is built again. Warnings carry postalias's name, as the reference's do.
fn rebuild_aliases(cf: &MainCf) -> Result<Exit, Failure> {
    let warn = |text: &str| drop(writeln!(io::stderr(), "postalias: warning: {text}"));
    let options = Options { warn: Some(Arc::new(warn)), ..Options::default() };
    for spec in MainCf::list(&cf.alias_database()) {
        if let Err(error) = rebuild::aliases(&spec, &cf.myhostname(), &options) {
            let _ = writeln!(io::stderr(), "postalias: fatal: {error}");
            return Err(Failure::silent(Exit::FAIL));
        }
    }
    Ok(Exit::OK)
}

/// -bs: a whole SMTP session on standard input and output, by smtpd's own code; the mail goes into the maildrop.
fn smtp_on_stdin(cf: &MainCf) -> Result<Exit, Failure> {
    let log = Log::open(&cf.syslog_name(), "smtpd", &cf.syslog_facility(), &cf.maillog_file());
    let own = cf.clone();
    let submit = move |stream: Vec<u8>| hand_over(&own, &stream).map_err(|failure| failure.message.unwrap_or_default());
    crate::daemon::smtpd::on_standard_streams(cf, Arc::new(log), Arc::new(submit)).map_err(Failure::fatal)?;
    Ok(Exit::OK)
}

fn deliver(cf: &MainCf, submission: &Submission) -> Result<Exit, Failure> {
    let stream = compose(cf, submission)?;
    hand_over(cf, &stream).map(|_| Exit::OK)
}

/// Puts a message into the maildrop, itself or by postdrop; its id there.
fn hand_over(cf: &MainCf, stream: &[u8]) -> Result<String, Failure> {
    let owner = accounts::by_name(cf.mail_owner()).map(|account| account.uid);
    let uid = accounts::real_uid();
    if uid == 0 || owner == Some(uid) {
        let queue = Queue::new(cf);
        let id = maildrop::submit(&queue, &mut &stream[..], uid, cf.message_limit())
            .map_err(|error| Failure::new(Exit::TEMPFAIL, format!("fatal: {error}")))?;
        let _ = trigger::send(&queue.directory().join("public/pickup"), trigger::WAKEUP);
        return Ok(id.to_string());
    }
    through_postdrop(cf, stream)
}

/// Users hand the message to the set-gid postdrop.
fn through_postdrop(cf: &MainCf, stream: &[u8]) -> Result<String, Failure> {
    let failed = |what: String| Failure::new(Exit::TEMPFAIL, format!("fatal: {what}"));
    let path = Path::new(&cf.command_directory()).join("postdrop");
    let mut command = std::process::Command::new(&path);
    if cf.directory() != Path::new(main_cf::DEFAULT_DIRECTORY) {
        command.arg("-c").arg(cf.directory());
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("execute {}: {}", path.display(), crate::sys::files::reason(&error))))?;
    if let Some(mut input) = child.stdin.take() {
        // A postdrop that ends early says why itself, and its status is what counts.
        let _ = input.write_all(stream);
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let fields: Vec<&[u8]> = output.stdout.split(|&byte| byte == 0).collect();
    if let [b"queue_id", b"", b"status", _, b"reason", reason, ..] = fields.as_slice() {
        return Err(failed(String::from_utf8_lossy(reason).into_owned()));
    }
    let mut answer = fields.into_iter();
    if output.status.success()
        && answer.next() == Some(b"queue_id")
        && let Some(id) = answer.next()
    {
        return Ok(String::from_utf8_lossy(id).into_owned());
    }
    let user = accounts::by_uid(accounts::real_uid())
        .map(|account| account.name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let uid = accounts::real_uid();
    Err(failed(format!("{user}({uid}): unable to execute {}: {}", path.display(), output.status)))
}

/// The record stream of the message on standard input.
fn compose(cf: &MainCf, submission: &Submission) -> Result<Vec<u8>, Failure> {
    let uid = accounts::real_uid();
    let account = accounts::caller();
    let login = account.as_ref().map(|account| account.name.to_string_lossy().into_owned());
    let sender = match &submission.sender {
        Some(text) => parse_sender(text)?,
        None => login.clone().ok_or_else(|| usage(format!("no login name found for user ID {uid}")))?,
    };
    let named: Vec<String> = submission.recipients.iter().flat_map(|text| recipients_of(text)).collect();
    if named.is_empty() && !submission.extract {
        return Err(usage("Recipient addresses must be specified on the command line or via the -t option"));
    }
    let mut stream = Vec::new();
    let mut put = |kind, data: &[u8]| drop(record::write(&mut stream, kind, data));
    put(Type::ATTRIBUTE, if submission.gateway { b"rewrite_context=remote" } else { b"rewrite_context=local" });
    if let Some(name) = full_name(submission, account.as_ref()) {
        put(Type::FULL_NAME, clean(&name).as_bytes());
    }
    put(Type::SENDER, clean(&sender).as_bytes());
    for (name, value) in attributes(submission) {
        put(Type::ATTRIBUTE, format!("{name}={}", clean(&value)).as_bytes());
    }
    for recipient in &named {
        put(Type::RECIPIENT, clean(recipient).as_bytes());
    }
    put(Type::MESSAGE, b"");
    let mut extracted = Extracted::default();
    copy_content(cf, submission, &mut stream, &mut extracted)?;
    let mut put = |kind, data: &[u8]| drop(record::write(&mut stream, kind, data));
    put(Type::EXTRACTED, b"");
    if submission.extract {
        let found = extracted.recipients();
        if found.is_empty() && named.is_empty() {
            return Err(usage("No recipient addresses found in message header"));
        }
        found.iter().for_each(|recipient| put(Type::RECIPIENT, clean(recipient).as_bytes()));
    }
    put(Type::END, b"");
    Ok(stream)
}

fn attributes(submission: &Submission) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if submission.notify != 0 {
        found.push(("notify_flags", submission.notify.to_string()));
    }
    if submission.ret != 0 {
        found.push(("ret_flags", submission.ret.to_string()));
    }
    if !submission.envelope_id.is_empty() {
        found.push(("envelope_id", submission.envelope_id.clone()));
    }
    if submission.eight_bit {
        found.push(("encoding", "8bit".to_owned()));
    }
    if submission.report {
        found.push(("trace_flags", "2".to_owned()));
    }
    found
}

/// -F, else $NAME, else the gecos field with "&" for the login name.
fn full_name(submission: &Submission, account: Option<&accounts::Account>) -> Option<String> {
    if let Some(name) = &submission.full_name {
        return Some(name.clone()).filter(|name| !name.is_empty());
    }
    if let Some(name) =
        std::env::var_os("NAME").map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.is_empty())
    {
        return Some(name);
    }
    let account = account?;
    let login = account.name.to_string_lossy();
    let mut capital = login.chars();
    let capital: String = capital.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(capital).collect();
    Some(account.full_name.replace('&', &capital)).filter(|name| !name.is_empty())
}

fn parse_sender(text: &str) -> Result<String, Failure> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed == "<>" {
        return Ok(String::new());
    }
    let found = tokens::addresses(trimmed);
    match found.as_slice() {
        [one] if one.len() <= envelope::MAX_ADDRESS => Ok(one.clone()),
        _ => Err(usage(format!("malformed sender address: {text}"))),
    }
}

fn recipients_of(text: &str) -> Vec<String> {
    if text.is_empty() { vec![String::new()] } else { tokens::addresses(text) }
}

/// Envelope text without controls; those are nobody's address and could become lines elsewhere.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Recipients in headers, for -t.
#[derive(Default)]
struct Extracted {
    plain: Vec<String>,
    resent: Vec<String>,
    header: Vec<u8>,
    has_resent: bool,
}

impl Extracted {
    fn recipients(&self) -> &[String] {
        if self.has_resent { &self.resent } else { &self.plain }
    }

    /// Takes a physical header line; a continuation belongs to the one before.
    fn line(&mut self, line: &[u8]) {
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            self.header.extend_from_slice(line);
        } else {
            self.finish();
            self.header = line.to_vec();
        }
    }

    fn finish(&mut self) {
        let header = std::mem::take(&mut self.header);
        let text = String::from_utf8_lossy(&header);
        let Some((name, body)) = text.split_once(':') else { return };
        let name = name.trim_end().to_ascii_lowercase();
        self.has_resent |= name.starts_with("resent-");
        match name.as_str() {
            "to" | "cc" | "bcc" => self.plain.extend(tokens::addresses(body)),
            "resent-to" | "resent-cc" | "resent-bcc" => self.resent.extend(tokens::addresses(body)),
            _ => {}
        }
    }
}

/// Longest line that is read in one piece; a longer one is passed on in pieces.
const LINE_PIECE: usize = 2048;
/// Most bytes of headers that -t looks through.
const MAX_HEADERS: usize = 1024 * 1024;

/// Copies standard input as content records, to a dot alone on a line unless that is text. CR LF line ends become
/// LF when the first line has one.
fn copy_content(
    cf: &MainCf,
    submission: &Submission,
    stream: &mut Vec<u8>,
    extracted: &mut Extracted,
) -> Result<(), Failure> {
    let limit = cf.message_limit();
    let mut input = io::BufReader::new(io::stdin().lock());
    let mut in_header = true;
    let mut header_bytes = 0;
    let mut strip_cr = None;
    let mut at_line_start = true;
    let mut size = 0u64;
    let mut first = true;
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(LINE_PIECE as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let newline = line.last() == Some(&b'\n');
        if newline {
            line.pop();
            let strip = *strip_cr.get_or_insert(line.last() == Some(&b'\r'));
            if strip && line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if at_line_start && newline && line == b"." && !submission.dots_are_text {
            break;
        }
        if std::mem::take(&mut first) {
            let mark = line.iter().take_while(|&&byte| byte == b'>').count();
            // A mailbox's From_ line is no header.
            if line.get(mark..).is_some_and(|rest| rest.starts_with(b"From ")) {
                line.splice(0..0, *b"Mail-From: ");
            }
        }
        if in_header && at_line_start {
            let continues = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
            in_header = !line.is_empty() && (continues || line.contains(&b':')) && header_bytes < MAX_HEADERS;
        }
        if in_header && submission.extract {
            header_bytes += line.len();
            if at_line_start { extracted.line(&line) } else { extracted.header.extend_from_slice(&line) }
        }
        size += read as u64;
        if limit > 0 && size > limit {
            return Err(Failure::new(Exit::UNAVAILABLE, "fatal: message file too big"));
        }
        record::write(stream, if newline { Type::NORMAL } else { Type::CONTINUED }, &line)?;
        at_line_start = newline;
    }
    extracted.finish();
    Ok(())
}
