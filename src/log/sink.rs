//! Where log lines go: syslog (the default), or maillog_file with the same prefix that syslog would give, and
//! stderr for commands. One [`Log`] for a process; every byte that could act on a terminal or split a line is
//! masked as "?" here and only here (faults.md C31).

use super::event::Event;
use crate::sys::syslog::{Severity, Syslog, facility};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Longest line that is written; the rest is cut, as syslog daemons do.
const MAX_LINE: usize = 2000;

enum Target {
    Syslog(Syslog),
    /// maillog_file, opened for appending; one write(2) a line, so that lines of several processes do not mix.
    File(File),
    /// maillog_file = /dev/stdout and nothing else: containers.
    Stdout,
    Nowhere,
}

/// The log of one process.
pub struct Log {
    target: Target,
    facility: u8,
    /// "postfix" or "postfix/submission": syslog_name.
    name: String,
    /// The service of lines that do not name another: "smtpd".
    service: String,
    /// Also print to stderr, as commands do ("postmap: warning: ...").
    stderr: Option<String>,
    host: String,
    /// smtputf8_enable: text beyond ASCII is shown as it is.
    utf8: bool,
}

impl Log {
    /// Opens syslog, or `maillog_file` when it is not empty.
    pub fn open(syslog_name: &str, service: &str, syslog_facility: &str, maillog_file: &str) -> Log {
        Log::on(Syslog::open, syslog_name, service, syslog_facility, maillog_file)
    }

    /// For commands, most of which have nothing to log: syslog is called on when there is something to say.
    pub fn on_demand(syslog_name: &str, service: &str, syslog_facility: &str, maillog_file: &str) -> Log {
        Log::on(Syslog::on_demand, syslog_name, service, syslog_facility, maillog_file)
    }

    fn on(syslog: fn() -> Syslog, syslog_name: &str, service: &str, syslog_facility: &str, maillog_file: &str) -> Log {
        let target = match maillog_file {
            "" => Target::Syslog(syslog()),
            "/dev/stdout" => Target::Stdout,
            file => match File::options().append(true).create(true).open(Path::new(file)) {
                Ok(file) => Target::File(file),
                Err(_) => Target::Syslog(syslog()),
            },
        };
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        Log {
            target,
            facility: facility(syslog_facility).unwrap_or(2),
            name: syslog_name.to_owned(),
            service: service.to_owned(),
            stderr: None,
            host: host.split('.').next().unwrap_or_default().to_owned(),
            utf8: true,
        }
    }

    /// A log that keeps nothing: for tests and for tools that only look.
    pub fn nowhere() -> Log {
        Log {
            target: Target::Nowhere,
            facility: 2,
            name: String::new(),
            service: String::new(),
            stderr: None,
            host: String::new(),
            utf8: true,
        }
    }

    /// Whether text beyond ASCII is shown as it is (smtputf8_enable), or each byte of it as "?".
    pub fn with_utf8(mut self, utf8: bool) -> Log {
        self.utf8 = utf8;
        self
    }

    /// Also prints each line to stderr as "PROGRAM: TEXT".
    pub fn with_stderr(mut self, program: &str) -> Log {
        self.stderr = Some(program.to_owned());
        self
    }

    /// Logs an event of this process's own service.
    pub fn event(&self, event: &Event<'_>) {
        self.event_as(&self.service, event);
    }

    /// Logs an event in the name of another service: cleanup and bounce are library calls here, and log readers
    /// still expect their lines.
    pub fn event_as(&self, service: &str, event: &Event<'_>) {
        let mut content = Vec::with_capacity(200);
        event.write_to(&mut content);
        mask(&mut content, self.utf8);
        if let Some(program) = &self.stderr {
            let _ = std::io::stderr().write_all(&[program.as_bytes(), b": ", &content, b"\n"].concat());
        }
        content.truncate(MAX_LINE);
        let severity = match event {
            Event::Fatal(_) | Event::Panic(_) => Severity::Critical,
            Event::Error(_) => Severity::Error,
            Event::Warning(_) => Severity::Warning,
            _ => Severity::Info,
        };
        let path = if service.is_empty() { self.name.clone() } else { format!("{}/{service}", self.name) };
        let tag = format!("{path}[{}]: ", std::process::id());
        match &self.target {
            Target::Syslog(syslog) => {
                let line = [stamp().as_bytes(), b" ", tag.as_bytes(), &content].concat();
                syslog.send(self.facility, severity, &line);
            }
            Target::File(file) => {
                let _ = (&*file).write_all(&self.file_line(&tag, &content));
            }
            Target::Stdout => {
                let _ = std::io::stdout().write_all(&self.file_line(&tag, &content));
            }
            Target::Nowhere => {}
        }
    }

    pub fn warning(&self, text: impl AsRef<str>) {
        self.event(&Event::Warning(text.as_ref().as_bytes().into()));
    }

    pub fn fatal(&self, text: impl AsRef<str>) {
        self.event(&Event::Fatal(text.as_ref().as_bytes().into()));
    }

    /// A line that no variant of [`Event`] stands for.
    pub fn info(&self, text: impl AsRef<str>) {
        self.event(&Event::Other(text.as_ref().as_bytes().into()));
    }

    fn file_line(&self, tag: &str, content: &[u8]) -> Vec<u8> {
        [stamp().as_bytes(), b" ", self.host.as_bytes(), b" ", tag.as_bytes(), content, b"\n"].concat()
    }
}

/// "Nov 24 12:00:00" in local time.
fn stamp() -> String {
    jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string()
}

/// Masks control characters and invalid UTF-8 as "?", as the reference does.
fn mask(line: &mut Vec<u8>, utf8: bool) {
    if line.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return;
    }
    if !utf8 {
        line.iter_mut().filter(|byte| !(0x20..0x7f).contains(*byte)).for_each(|byte| *byte = b'?');
        return;
    }
    let text: String = String::from_utf8_lossy(line)
        .chars()
        .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
        .collect();
    *line = text.into_bytes();
}
