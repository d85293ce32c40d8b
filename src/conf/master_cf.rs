//! master.cf: one service a logical line (master(5)): name type private unpriv chroot wakeup maxproc command args.
//! Options `-o name=value` may also be written `-o { name = value with blanks }`.

use super::main_cf::{ConfError, logical_lines};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The kind of endpoint that master opens for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Inet,
    Unix,
    UnixDgram,
    Fifo,
    Pass,
}

/// One service. `None` in a field stands for "-": the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub endpoint: Endpoint,
    pub private: bool,
    pub unprivileged: bool,
    pub chroot: bool,
    pub wakeup: Option<Duration>,
    /// "?" after the wake-up time: only when the service was used.
    pub wakeup_if_used: bool,
    /// None: default_process_limit. 0: no limit.
    pub max_processes: Option<u32>,
    pub command: String,
    /// All words after the command, the -o ones included, braces taken off.
    pub arguments: Vec<String>,
    /// The line on which it begins.
    pub line: usize,
}

impl Service {
    /// The `-o name=value` overrides.
    pub fn overrides(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            let assignment = match word.strip_prefix("-o") {
                Some("") => words.next().cloned(),
                Some(glued) => Some(glued.to_owned()),
                None => None,
            };
            if let Some((name, value)) = assignment.as_deref().and_then(|text| text.split_once('=')) {
                found.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        found
    }

    /// The words after the command that are not `-o` overrides.
    pub fn plain_arguments(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("-o") {
                Some("") => drop(words.next()),
                Some(_) => {}
                None => found.push(word.clone()),
            }
        }
        found
    }
}

/// Reads `directory`/master.cf.
pub fn read(directory: &Path) -> Result<Vec<Service>, ConfError> {
    let path = directory.join("master.cf");
    let bytes = std::fs::read(&path).map_err(|source| ConfError::Open { path: path.clone(), source })?;
    parse(&path, &String::from_utf8_lossy(&bytes))
}

/// Reads the text of a master.cf.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Service>, ConfError> {
    // A first line that begins with a blank continues nothing.
    let lines = logical_lines(text).into_iter().filter(|(_, text)| !text.starts_with([' ', '\t']));
    lines.map(|(line, text)| service(path, line, &text)).collect()
}

fn service(path: &Path, line: usize, text: &str) -> Result<Service, ConfError> {
    let bad = |what: String| ConfError::Other { path: PathBuf::from(path), text: format!("line {line}: {what}") };
    let words = split_words(text).map_err(&bad)?;
    let mut words = words.into_iter();
    let mut field = |what: &str| words.next().ok_or_else(|| bad(format!("missing {what} field")));
    let name = field("service name")?;
    let endpoint = match field("transport type")?.as_str() {
        "inet" => Endpoint::Inet,
        "unix" => Endpoint::Unix,
        "unix-dgram" => Endpoint::UnixDgram,
        "fifo" => Endpoint::Fifo,
        "pass" => Endpoint::Pass,
        other => return Err(bad(format!("bad transport type: {other}"))),
    };
    let flag = |what: &str, text: String, default: bool| match text.as_str() {
        "y" => Ok(true),
        "n" => Ok(false),
        "-" => Ok(default),
        _ => Err(bad(format!("field \"{what}\": bad value: \"{text}\""))),
    };
    let private = flag("private", field("private")?, true)?;
    let unprivileged = flag("unprivileged", field("unprivileged")?, true)?;
    // "-" is "n" from compatibility level 1 on; nothing of ours is chrooted by it (see ARCHITECTURE.md).
    let chroot = flag("chroot", field("chroot")?, false)?;
    let wakeup_text = field("wakeup time")?;
    let wakeup_if_used = wakeup_text.ends_with('?');
    let wakeup = match wakeup_text.trim_end_matches('?') {
        "-" => None,
        digits => Some(
            super::typed::seconds(digits, 's')
                .ok_or_else(|| bad(format!("field \"wakeup_time\": bad value: \"{wakeup_text}\"")))?,
        ),
    };
    let max_processes = match field("process limit")?.as_str() {
        "-" => None,
        digits => Some(digits.parse().map_err(|_| bad(format!("field \"max_proc\": bad value: \"{digits}\"")))?),
    };
    let command = field("command")?;
    Ok(Service {
        name,
        endpoint,
        private,
        unprivileged,
        chroot,
        wakeup: wakeup.filter(|&seconds| seconds > 0).map(Duration::from_secs),
        wakeup_if_used,
        max_processes,
        command,
        arguments: words.collect(),
        line,
    })
}

/// Words separated by blanks; "{ ... }" is one word, its braces and the blanks inside them taken off.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('{') {
            let mut level = 1u32;
            let end = inner.char_indices().find_map(|(at, c)| {
                level = match c {
                    '{' => level + 1,
                    '}' => level - 1,
                    _ => level,
                };
                (level == 0).then_some(at)
            });
            let end = end.ok_or_else(|| format!("missing '}}' in \"{{{inner}\""))?;
            words.push(inner[..end].trim().to_owned());
            rest = inner[end + 1..].trim_start();
        } else {
            let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_with_overrides() {
        let text = "submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  -o { a = b c }\n";
        let services = parse(Path::new("master.cf"), text).unwrap();
        assert_eq!(
            services[0].overrides(),
            [("syslog_name".into(), "postfix/submission".into()), ("a".into(), "b c".into())]
        );
        assert_eq!(services[0].max_processes, None);
    }

    #[test]
    fn a_bad_line_is_named() {
        let fault = parse(Path::new("/e/master.cf"), "# x\nsmtp inett n - y - - smtpd\n").unwrap_err();
        assert_eq!(fault.to_string(), "/e/master.cf: line 2: bad transport type: inett");
    }
}
