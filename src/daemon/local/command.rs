//! Delivery to a command: run as the recipient, the message on its standard input.

use super::mailbox::{Form, delivered_to_command, write_message};
use super::recipient::Delivery;
use crate::delivery::command;
use crate::message::envelope;
use crate::status::{Code, Report};
use crate::sys::accounts::{self, Account};
use crate::sys::spawn;
use std::io;
use std::process::{Child, ExitStatus, Stdio};

/// How much of a command's output is kept for the report.
const OUTPUT_KEPT: usize = 4096;
/// How long processes that a command left behind may go on talking.
const OUTPUT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs `text` with the message. `login` says whether it runs as a user of its own (HOME, USER, SHELL are that
/// user's) or with default_privs.
pub fn deliver(delivery: &Delivery<'_>, text: &str, account: &Account, login: bool, extension: Option<&str>) -> Report {
    if account.uid == 0 && accounts::effective_uid() == 0 && !login {
        return Report::new(Code::new(5, 7, 0), "refusing to run a command as root");
    }
    if delivery.request.only_verifies() {
        return Report::sent(format!("delivers to command: {text}"));
    }
    let outcome = run(delivery, text, account, login, extension);
    match outcome {
        Ok((status, output)) => command::verdict(text, status, &output)
            .unwrap_or_else(|| Report::sent(format!("delivered to command: {text}"))),
        Err(Failure::TimeOut) => command::timed_out(text),
        Err(Failure::NotRun(program, error)) => command::not_run("local", &program, &error),
        Err(Failure::Io(error)) => {
            Report::deferred(format!("cannot run command: {}", crate::sys::files::reason(&error)))
        }
    }
}

enum Failure {
    TimeOut,
    /// This program cannot be run.
    NotRun(String, io::Error),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

fn run(
    delivery: &Delivery<'_>,
    text: &str,
    account: &Account,
    login: bool,
    extension: Option<&str>,
) -> Result<(ExitStatus, String), Failure> {
    let (reader, writer) = io::pipe()?;
    let groups = if accounts::effective_uid() == 0 { vec![account.gid] } else { Vec::new() };
    let started = command::start(command::ways(text), |command| {
        command.env_clear().envs(environment(delivery, account, login, extension));
        command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer.try_clone()?);
        // The home directory as the user sees it; the queue directory when there is none.
        if login && account.home.is_dir() {
            command.current_dir(&account.home);
        }
        spawn::become_user(command, account.uid, account.gid, &groups);
        Ok(())
    });
    drop(writer);
    let mut child = started.map_err(|(program, error)| Failure::NotRun(program, error))?;
    let input = child.stdin.take();
    let limit = delivery.settings.command_time_limit;
    // The command's output is drained while the message is written, so that neither side waits for the other for
    // ever; the watchdog ends both.
    let output = spawn::Output::collect(reader, OUTPUT_KEPT);
    let watchdog = spawn::Watchdog::start(child.id(), limit);
    let written = match input {
        Some(input) => {
            let mut out = io::BufWriter::with_capacity(64 * 1024, input);
            write_message(delivery, Form::Pipe, &delivered_to_command(delivery), &mut out)
                .and_then(|()| io::Write::flush(&mut out))
        }
        None => Ok(()),
    };
    let status = wait(&mut child)?;
    if watchdog.stop() {
        return Err(Failure::TimeOut);
    }
    let output = output.one_line(OUTPUT_PATIENCE);
    match written {
        // A command may be content with less than the whole message; its status says so.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok((status, output)),
    }
}

fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn environment(
    delivery: &Delivery<'_>,
    account: &Account,
    login: bool,
    extension: Option<&str>,
) -> Vec<(String, String)> {
    let settings = delivery.settings;
    let filter = |text: &str| -> String {
        text.chars().map(|c| if settings.command_filter.contains(c) { c } else { '_' }).collect()
    };
    let (local, domain) = envelope::split(&delivery.target.address);
    let (user, own_extension) = envelope::split_extension(local, &settings.delimiters);
    let name = if login { account.name.to_string_lossy().into_owned() } else { filter(user) };
    let mut values: Vec<(String, String)> = vec![
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("LANG".into(), "C".into()),
        ("MAIL_CONFIG".into(), settings.config_directory.display().to_string()),
        ("LOGNAME".into(), name.clone()),
        ("USER".into(), name),
        ("SENDER".into(), filter(if delivery.sender.is_empty() { "MAILER-DAEMON" } else { &delivery.sender })),
        ("RECIPIENT".into(), filter(&delivery.target.address)),
        ("LOCAL".into(), filter(local)),
        ("DOMAIN".into(), filter(domain.unwrap_or_default())),
        ("ORIGINAL_RECIPIENT".into(), filter(&delivery.target.original)),
    ];
    if let Some(zone) = std::env::var_os("TZ") {
        values.push(("TZ".into(), zone.to_string_lossy().into_owned()));
    }
    if login {
        values.push(("HOME".into(), account.home.display().to_string()));
        values.push(("SHELL".into(), account.shell.display().to_string()));
    }
    if let Some(extension) = extension.or(own_extension) {
        values.push(("EXTENSION".into(), filter(extension)));
    }
    for (name, attribute) in [
        ("CLIENT_ADDRESS", "client_address"),
        ("CLIENT_HOSTNAME", "client_name"),
        ("CLIENT_HELO", "helo_name"),
        ("CLIENT_PROTOCOL", "protocol_name"),
    ] {
        if let Some(value) = delivery.request.attributes.get(attribute) {
            values.push((name.into(), filter(value)));
        }
    }
    values
}
