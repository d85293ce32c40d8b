//! Delivery to a command, as local(8) and pipe(8) share it: how it is run, and what its end means.

use crate::status::{self, Code, Diagnostic, Report};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

/// What a command line may consist of to be run without a shell, beside letters and digits.
const PLAIN: &str = "!@%-_=+:,./ \t";

/// The ways to run a command line, the first that can be is taken: by itself, where no character is the shell's, and
/// by the shell. A program that is run by itself and cannot be found may be there again later (it is being replaced),
/// which a shell in between would turn into a permanent failure; and the signal that ends it is seen.
pub fn ways(text: &str) -> Vec<Command> {
    let mut shell = Command::new("/bin/sh");
    std::os::unix::process::CommandExt::arg0(&mut shell, "sh");
    shell.arg("-c").arg(text);
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c));
    match words.next().filter(|_| plain) {
        Some(program) => {
            let mut direct = Command::new(program);
            direct.args(words);
            // Without a path it may be the shell's own ("exit 1").
            if program.contains('/') { vec![direct] } else { vec![direct, shell] }
        }
        None => vec![shell],
    }
}

/// Starts the first way that there is, after `prepare`.
///
/// # Errors
/// The program, and why it cannot be run.
pub fn start(
    ways: Vec<Command>,
    mut prepare: impl FnMut(&mut Command) -> io::Result<()>,
) -> Result<Child, (String, io::Error)> {
    let mut fault = (String::new(), io::Error::from(io::ErrorKind::NotFound));
    for mut command in ways {
        let name = |command: &Command| command.get_program().to_string_lossy().into_owned();
        prepare(&mut command).map_err(|error| (name(&command), error))?;
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) => {
                fault = (name(&command), error);
                if fault.1.kind() != io::ErrorKind::NotFound {
                    break;
                }
            }
        }
    }
    Err(fault)
}

/// The report of a program that could not be run: it is tried again.
pub fn not_run(agent: &str, program: &str, error: &io::Error) -> Report {
    let output = format!("{agent}: fatal: execvp {program}: {}", crate::sys::files::reason(error));
    let reason = format!("temporary failure. Command output: {output}");
    Report { diagnostic: Some(Diagnostic::Unix(output)), ..Report::deferred(reason) }
}

/// The report of a command that took too long.
pub fn timed_out(name: &str) -> Report {
    let text = "internal software error".to_owned();
    let report = Report::new(Code::new(5, 3, 0), format!("Command time limit exceeded: \"{name}\""));
    Report { diagnostic: Some(Diagnostic::Unix(text)), ..report }
}

/// The verdict on how a command ended (sysexits(3)) and on what it said; None: it took the mail. A signal is temporary.
pub fn verdict(name: &str, status: ExitStatus, output: &str) -> Option<Report> {
    let tail = if output.is_empty() { String::new() } else { format!(". Command output: {output}") };
    if let Some(signal) = status.signal() {
        return Some(Report::deferred(format!("Command died with signal {signal}: \"{name}\"{tail}")));
    }
    let exit = status.code().unwrap_or(75);
    if exit == 0 {
        return None;
    }
    // A command may give its own code: "4.2.1 mailbox is full".
    if let Some((code, words)) = Code::split(output).filter(|(code, _)| code.class() != 2) {
        return Some(Report { diagnostic: Some(Diagnostic::Unix(words.to_owned())), ..Report::new(code, words) });
    }
    let (code, words) = status::of_command_exit(u8::try_from(exit).unwrap_or(1));
    let reason = match words {
        "" => format!("Command died with status {exit}: \"{name}\"{tail}"),
        words => format!("{words}{tail}"),
    };
    let said = match (output, words) {
        ("", "") => format!("unknown mail system error {exit}"),
        ("", words) => words.to_owned(),
        (output, _) => output.to_owned(),
    };
    Some(Report { diagnostic: Some(Diagnostic::Unix(said)), ..Report::new(code, reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_asked_only_where_it_has_something_to_do() {
        let programs = |text: &str| -> Vec<String> {
            ways(text).iter().map(|way| way.get_program().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(programs("/usr/bin/procmail -t  x"), ["/usr/bin/procmail"]);
        assert_eq!(programs("exit 75"), ["exit", "/bin/sh"]);
        for text in ["procmail -a \"$EXTENSION\"", "a; b", " \t", "/bin/echo a\nb", "/bin/é"] {
            assert_eq!(programs(text), ["/bin/sh"], "{text:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_tried_again() {
        let (program, error) = start(ways("/nonexistent/program x"), |_| Ok(())).unwrap_err();
        let report = not_run("local", &program, &error);
        assert_eq!(report.verdict(), status::Verdict::Deferred);
        let wanted = "local: fatal: execvp /nonexistent/program: No such file or directory";
        assert_eq!(report.diagnostic, Some(Diagnostic::Unix(wanted.to_owned())));
    }
}
