//! How a letter leaves: what the `sendmail` variable names, in mailutils' forms.
//!
//! `sendmail:PATH` is called as sendmail(8) is, `-oi -f SENDER -t`; `;from=` and `;to=` behind it name another sender, and
//! recipients beside the header's. `prog:PATH?ARGUMENT&ARGUMENT` is any program. What these two say is shown only when
//! they fail: a warning of a mail system that is just being restarted is nothing for whoever runs a script. `/PATH WORDS`
//! and `|COMMAND` are commands of the shell; they get the letter and nothing else, and speak for themselves.
//! `smtp://HOST` and `smtps://HOST` are servers (`smtp`).

use super::smtp::Server;
use super::texts::Texts;
use crate::mailbox::remote::Secret;
use crate::message::header;
use crate::sys::files;
use crate::sys::spawn::Output;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The machine's own, as the variable has it from the start.
pub const DEFAULT: &str = "sendmail:/usr/sbin/sendmail";

/// What a program says is cut here.
const MOST: usize = 64 * 1024;
/// So long is what a program said waited for when it left another one behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// What takes the letter.
#[derive(Debug, PartialEq, Eq)]
pub enum Mailer {
    Sendmail { path: String, words: Vec<String>, from: Option<String>, to: Vec<String> },
    Program { path: String, words: Vec<String> },
    Shell(String),
    Smtp(Server),
}

/// A letter on its way to a mailer.
pub struct Passage<'l> {
    pub letter: &'l [u8],
    /// Who sends, where nobody chose anyone.
    pub sender: Option<String>,
    /// By `-r`, `return-address` or the letter's own From.
    pub chosen: Option<String>,
    /// Further options for sendmail.
    pub options: Vec<String>,
    /// Whose commands the shell runs.
    pub shell: String,
    /// Where names without a domain are.
    pub host: String,
    /// For a server that asks who sends.
    pub account: Option<(String, Secret)>,
}

/// Why it did not: at which step, and the reason in English.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    NotSet,
    Create(&'static str),
    /// The address that a letter comes back to is none.
    Sender(String),
    Open(String),
    /// The command did not take it.
    Data(String),
    End(String),
}

impl Refusal {
    /// The sentences for the user, the last one the verdict.
    pub fn sentences(&self, texts: Texts, value: &str) -> Vec<String> {
        let (before, reason) = match self {
            Refusal::NotSet => {
                (Some(texts.say("Variable sendmail not set: no mailer", &[])), "Function not implemented")
            }
            Refusal::Create(reason) => {
                (Some(texts.say("Cannot create mailer: {}", &[&texts.say(reason, &[])])), *reason)
            }
            Refusal::Sender(reason) => {
                let said = texts.say("invalid return address: {}", &[&texts.say(reason, &[])]);
                (Some(said), reason.as_str())
            }
            Refusal::Open(reason) => {
                (Some(texts.say("Cannot open mailer: {}", &[&texts.say(reason, &[])])), reason.as_str())
            }
            Refusal::Data(reason) => {
                let said = texts.say("Sending data to {} failed: {}", &[value, &texts.say(reason, &[])]);
                (Some(said), reason.as_str())
            }
            Refusal::End(reason) => (None, reason.as_str()),
        };
        let verdict = texts.say("cannot send message: {}", &[&texts.say(reason, &[])]);
        before.into_iter().chain([verdict]).collect()
    }
}

impl Mailer {
    /// By the variable's value. `as_sendmail`: a path is a program that is called as sendmail, as in bsd-mailx and s-nail.
    pub fn parse(value: &str, as_sendmail: bool) -> Result<Mailer, Refusal> {
        if value.is_empty() {
            return Err(Refusal::NotSet);
        }
        // The machine's sendmail takes no letter without its options, however it is named.
        let own = DEFAULT.strip_prefix("sendmail:").is_some_and(|path| value == path) || value == "/usr/lib/sendmail";
        if value.starts_with('/') && (own || as_sendmail) {
            return Ok(Mailer::sendmail(value));
        }
        if value.starts_with('/') {
            return Ok(Mailer::Shell(value.to_owned()));
        }
        if let Some(command) = value.strip_prefix('|').filter(|command| !command.trim().is_empty()) {
            return Ok(Mailer::Shell(command.to_owned()));
        }
        let scheme = value.split_once(':').filter(|(scheme, _)| !scheme.is_empty());
        match scheme.map(|(scheme, rest)| (scheme.to_ascii_lowercase(), without_host(rest))) {
            Some((scheme, rest)) if scheme == "sendmail" => Ok(Mailer::sendmail(rest)),
            Some((scheme, "")) if scheme == "prog" => Err(Refusal::Open("Requested item not found".into())),
            Some((scheme, rest)) if scheme == "prog" => {
                let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
                let words = query.split('&').filter(|word| !word.is_empty()).map(str::to_owned).collect();
                Ok(Mailer::Program { path: path.to_owned(), words })
            }
            Some((scheme, _)) if scheme == "smtp" || scheme == "smtps" => {
                let rest = value.split_once(':').map_or("", |(_, rest)| rest);
                Server::parse(scheme == "smtps", rest).map(Mailer::Smtp)
            }
            None if !value.starts_with('.') => Err(Refusal::Create("URL missing required parts")),
            _ => Err(Refusal::Create("Malformed or unsupported mailer URL")),
        }
    }

    fn sendmail(value: &str) -> Mailer {
        let value = value.split_once('?').map_or(value, |(value, _)| value);
        let mut parts = value.split(';');
        let whole = parts.next().filter(|path| !path.is_empty()).unwrap_or("/usr/sbin/sendmail");
        // "PATH -a WORD" is another mail's way to say it; a name may hold a blank too.
        let mut words = whole.split_whitespace().map(str::to_owned);
        let (path, words) = match words.next() {
            Some(first) if first != whole && !Path::new(whole).exists() => (first, words.collect()),
            _ => (whole.to_owned(), Vec::new()),
        };
        let (mut from, mut to) = (None, Vec::new());
        for part in parts {
            match part.split_once('=') {
                Some(("from", sender)) => from = Some(sender.to_owned()),
                Some(("to", recipient)) => to.push(recipient.to_owned()),
                _ => {}
            }
        }
        Mailer::Sendmail { path, words, from, to }
    }

    /// Hands over the letter. `trace` is told each step, but of a command of the shell.
    pub fn send(&self, passage: &Passage, trace: &mut dyn FnMut(&str)) -> Result<(), Refusal> {
        let (path, mut command) = match self {
            Mailer::Smtp(server) => return server.send(passage.account.as_ref(), passage, trace),
            Mailer::Shell(text) => {
                let mut command = Command::new(&passage.shell);
                command.arg("-c").arg(text);
                return hand_over(command, passage.letter).map_err(|(_, reason)| Refusal::Data(reason));
            }
            Mailer::Program { path, words } => {
                let mut command = program(path)?;
                trace(&format!("prog ({path})"));
                command.args(words);
                (path, command)
            }
            Mailer::Sendmail { path, words, from, to } => {
                let mut command = program(path)?;
                trace(&format!("sendmail binary: {path}"));
                let sender = passage.chosen.as_deref().or(from.as_deref()).or(passage.sender.as_deref());
                if let Some(sender) = sender.filter(|_| passage.chosen.is_none()) {
                    trace(&format!("mu_mailer_send_message(): using From: {sender}"));
                }
                command.args(words).arg("-oi");
                if let Some(sender) = sender {
                    command.arg("-f").arg(sender);
                }
                if to.is_empty() {
                    command.arg("-t")
                } else {
                    command.args(to)
                };
                command.args(&passage.options);
                (path, command)
            }
        };
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        trace(&format!("exec {path} argv: {path} {}", words.join(" ")));
        trace("Sending headers...");
        for line in header::split(passage.letter).0.split_inclusive(|&byte| byte == b'\n') {
            trace(&format!("Header: {}", String::from_utf8_lossy(line).trim_end_matches('\n')));
        }
        trace("Sending body...");
        let (reader, writer) = io::pipe().map_err(|error| Refusal::Open(files::reason(&error)))?;
        command.stdout(Stdio::null()).stderr(writer);
        let said = Output::collect(reader, MOST);
        let done = hand_over(command, passage.letter);
        let status = done.as_ref().map_or_else(|(status, _)| *status, |()| Some(0));
        if let Some(status) = status {
            trace(&format!("{path} exited with: {status}"));
        }
        done.map_err(|(_, reason)| {
            trace(&format!("progmailer error: {reason}"));
            let said = said.text(PATIENCE);
            if !said.is_empty() {
                let _ = writeln!(io::stderr(), "{said}");
            }
            Refusal::End(reason)
        })
    }
}

/// "//HOST/PATH" is "/PATH": programs are here.
fn without_host(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(behind) => behind.find('/').map_or("", |at| &behind[at..]),
        None => rest,
    }
}

fn program(path: &str) -> Result<Command, Refusal> {
    // A rootless instance is its own sendmail.
    let own = std::env::var_os("MAIL_CONFIG").is_some() && DEFAULT.strip_prefix("sendmail:") == Some(path);
    if let Some(exe) = std::env::current_exe().ok().filter(|_| own) {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(exe);
        command.arg0("sendmail");
        return Ok(command);
    }
    files::check_executable(Path::new(path)).map_err(|error| Refusal::Open(files::reason(&error)))?;
    Ok(Command::new(path))
}

/// The error: exit status, where there was one, and the reason.
fn hand_over(mut command: Command, letter: &[u8]) -> Result<(), (Option<i32>, String)> {
    let child = command.stdin(Stdio::piped()).spawn();
    // Its ends of the pipes are the child's alone.
    drop(command);
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => (None, "Cannot execute".to_owned()),
        _ => (None, "Process exited with a non-zero status".to_owned()),
    })?;
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(letter));
    let status = child.wait().map_err(|error| (None, files::reason(&error)))?;
    let reason = match status.code() {
        // A program that is content without the whole letter has its reasons.
        Some(0) if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => return Ok(()),
        Some(0) => return written.map_err(|error| (Some(0), files::reason(&error))),
        Some(127) => "Cannot execute",
        _ if status.signal().is_some() => "Process exited on signal",
        _ => "Process exited with a non-zero status",
    };
    Err((status.code(), reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sendmail(path: &str, words: &[&str]) -> Result<Mailer, Refusal> {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Ok(Mailer::Sendmail { path: path.into(), words, from: None, to: Vec::new() })
    }

    #[test]
    fn a_value_names_a_program_or_a_command() {
        let parse = |value| Mailer::parse(value, false);
        for value in ["sendmail:", "sendmail:/usr/sbin/sendmail", "SendMail:///usr/sbin/sendmail", "/usr/sbin/sendmail"]
        {
            assert_eq!(parse(value), sendmail("/usr/sbin/sendmail", &[]), "{value}");
        }
        assert_eq!(parse("sendmail:/x/y -a b"), sendmail("/x/y", &["-a", "b"]));
        assert_eq!(Mailer::parse("/x/y -a b", true), sendmail("/x/y", &["-a", "b"]));
        assert_eq!(parse("/x/y -a b"), Ok(Mailer::Shell("/x/y -a b".into())));
        assert_eq!(parse("|cat >x"), Ok(Mailer::Shell("cat >x".into())));
        let words = vec!["a=1".to_owned(), "b".to_owned()];
        assert_eq!(parse("prog:///x/y?a=1&b"), Ok(Mailer::Program { path: "/x/y".into(), words }));
        for (value, reason) in [
            ("sm", "URL missing required parts"),
            (":/x", "URL missing required parts"),
            ("|", "URL missing required parts"),
            ("./sm", "Malformed or unsupported mailer URL"),
            ("mbox:/x", "Malformed or unsupported mailer URL"),
        ] {
            assert_eq!(parse(value), Err(Refusal::Create(reason)), "{value}");
        }
        assert_eq!(parse(""), Err(Refusal::NotSet));
    }
}
