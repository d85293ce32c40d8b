//! What journalctl gives, as log lines: `-o export` and `-o json` become lines with RFC 3339 stamps in local time, as
//! rsyslog would have written them, and the zones of `-o short-iso` get their colon. Entries without a program's name
//! are left out; a message of several lines is one line with blanks.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The longest field or line that is read; what is longer is no log entry.
const LONGEST: u64 = 1 << 20;

/// journalctl for the entries that are mail's: of the facility that programs log mail with, or of Postfix's units.
pub fn command() -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--output=export", "SYSLOG_FACILITY=2"]);
    command.args(["+", "_SYSTEMD_UNIT=postfix.service", "+", "_SYSTEMD_UNIT=postfix@-.service"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// What a journalctl writes; its failure is an error where its output ends.
pub struct Journalctl {
    child: Child,
    out: ChildStdout,
}

impl Journalctl {
    /// The entries of these times, which are journalctl's --since and --until.
    pub fn of(since: Option<&str>, until: Option<&str>) -> io::Result<Journalctl> {
        let mut command = command();
        command.args(since.map(|since| format!("--since={since}")));
        command.args(until.map(|until| format!("--until={until}")));
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Journalctl { child, out })
    }
}

impl Read for Journalctl {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.out.read(into)?;
        if read == 0 && !into.is_empty() {
            let status = self.child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("journalctl ended with {status}")));
            }
        }
        Ok(read)
    }
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// How the source is written, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Export,
    Json,
    ShortIso,
}

/// What is enough to see the kind.
pub const START: usize = 32;

/// A source of log lines, if `start` is how an output of journalctl begins.
pub fn translated(
    start: &[u8],
    whole: impl Read + Send + 'static,
) -> Result<Box<dyn Read + Send>, Box<dyn Read + Send>> {
    let kind = if start.starts_with(b"__CURSOR=") {
        Kind::Export
    } else if start.starts_with(b"{\"") {
        Kind::Json
    } else if is_short_iso(start) {
        Kind::ShortIso
    } else {
        return Err(Box::new(whole));
    };
    Ok(Box::new(Journal { kind, source: BufReader::with_capacity(64 * 1024, whole), line: Vec::new(), given: 0 }))
}

/// "2026-11-24T12:00:00+0100 "
fn is_short_iso(line: &[u8]) -> bool {
    let shape = |byte: &u8| if byte.is_ascii_digit() { b'0' } else { *byte };
    let known: Vec<u8> = line.iter().take(25).map(shape).collect();
    matches!(known.as_slice(), b"0000-00-00T00:00:00+0000 " | b"0000-00-00T00:00:00-0000 ")
}

struct Journal<R> {
    kind: Kind,
    source: BufReader<R>,
    /// A translated line, of which `given` bytes are gone.
    line: Vec<u8>,
    given: usize,
}

/// The fields of an entry that a log line has.
#[derive(Default)]
struct Entry {
    time: Option<i64>,
    host: Vec<u8>,
    program: Vec<u8>,
    process: Vec<u8>,
    message: Vec<u8>,
}

impl Entry {
    fn set(&mut self, name: &[u8], value: &[u8]) {
        let field = match name {
            b"__REALTIME_TIMESTAMP" => {
                self.time = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                return;
            }
            b"_HOSTNAME" => &mut self.host,
            b"SYSLOG_IDENTIFIER" => &mut self.program,
            b"SYSLOG_PID" => &mut self.process,
            b"_PID" if self.process.is_empty() => &mut self.process,
            b"MESSAGE" => &mut self.message,
            _ => return,
        };
        *field = value.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect();
    }

    /// "2026-11-24T12:00:00.000001+01:00 host program[1]: message"
    fn write(&self, line: &mut Vec<u8>) {
        let Some(time) = self.time.and_then(|time| jiff::Timestamp::from_microsecond(time).ok()) else { return };
        if self.program.is_empty() {
            return;
        }
        let time = time.to_zoned(jiff::tz::TimeZone::system());
        line.extend_from_slice(time.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z ").to_string().as_bytes());
        let host: &[u8] = if self.host.is_empty() { b"localhost" } else { &self.host };
        for part in [host, b" ", &self.program] {
            line.extend_from_slice(part);
        }
        if !self.process.is_empty() {
            for part in [b"[".as_slice(), &self.process, b"]"] {
                line.extend_from_slice(part);
            }
        }
        for part in [b": ".as_slice(), &self.message, b"\n"] {
            line.extend_from_slice(part);
        }
    }
}

impl<R: Read> Journal<R> {
    /// The next line of the source with its newline; empty at the end.
    fn source_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.source).take(LONGEST).read_until(b'\n', &mut line)?;
        Ok(line)
    }

    /// The next entry of an export: "NAME=value" lines, or a name, a length in eight bytes, and that many bytes.
    fn export(&mut self) -> io::Result<Option<Entry>> {
        let mut entry = Entry::default();
        let mut any = false;
        loop {
            let line = self.source_line()?;
            let field = line.strip_suffix(b"\n").unwrap_or(&line);
            if field.is_empty() {
                if line.is_empty() || any {
                    return Ok(any.then_some(entry));
                }
                continue;
            }
            any = true;
            match memchr::memchr(b'=', field) {
                Some(at) => entry.set(&field[..at], &field[at + 1..]),
                None => {
                    let mut length = [0; 8];
                    self.source.read_exact(&mut length)?;
                    let length = u64::from_le_bytes(length);
                    let mut value = Vec::new();
                    (&mut self.source).take(length.min(LONGEST)).read_to_end(&mut value)?;
                    // What is too long, and the newline behind it.
                    let rest = length.saturating_sub(LONGEST).saturating_add(1);
                    io::copy(&mut (&mut self.source).take(rest), &mut io::sink())?;
                    entry.set(field, &value);
                }
            }
        }
    }

    /// Makes the next line; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.given = 0;
        match self.kind {
            Kind::Export => match self.export()? {
                Some(entry) => entry.write(&mut self.line),
                None => return Ok(false),
            },
            Kind::Json => {
                let line = self.source_line()?;
                if line.is_empty() {
                    return Ok(false);
                }
                if let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(&line) {
                    let mut entry = Entry::default();
                    for (name, value) in &fields {
                        entry.set(name.as_bytes(), &bytes(value));
                    }
                    entry.write(&mut self.line);
                }
            }
            Kind::ShortIso => {
                self.line = self.source_line()?;
                if self.line.is_empty() {
                    return Ok(false);
                }
                if is_short_iso(&self.line) {
                    self.line.insert(22, b':');
                }
            }
        }
        Ok(true)
    }
}

/// A field's value: text, or numbers that are its bytes, or a list of several values, of which the first counts.
fn bytes(value: &serde_json::Value) -> Vec<u8> {
    match value {
        serde_json::Value::String(text) => text.as_bytes().to_vec(),
        serde_json::Value::Array(list) if list.iter().all(serde_json::Value::is_number) => {
            list.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
        }
        serde_json::Value::Array(list) => match list.first() {
            Some(serde_json::Value::String(text)) => text.as_bytes().to_vec(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl<R: Read> Read for Journal<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.line.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let rest = self.line.get(self.given..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &'static [u8]) -> String {
        let start = &source[..source.len().min(START)];
        let mut text = String::new();
        translated(start, source).ok().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn each_output_of_journalctl_is_a_log() {
        let line = |text: &str| text.split_once(' ').unwrap().1.to_owned();
        let export = read(
            b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795521600000001\n_HOSTNAME=mx\nSYSLOG_IDENTIFIER=postfix/qmgr\n_PID=7\n\
              MESSAGE\n\x0c\x00\x00\x00\x00\x00\x00\x00A1: \nremoved\n\n__CURSOR=s=2\nMESSAGE=nothing\n\n",
        );
        assert_eq!(line(&export), "mx postfix/qmgr[7]: A1:  removed\n");
        assert!(export.contains(".000001"), "{export}");
        let json = read(
            b"{\"__REALTIME_TIMESTAMP\":\"1795521600000001\",\"_HOSTNAME\":\"mx\",\"SYSLOG_IDENTIFIER\":\"postfix/qmgr\",\
              \"SYSLOG_PID\":\"8\",\"_PID\":\"7\",\"MESSAGE\":[65,49,58,32,114]}\nnonsense\n",
        );
        assert_eq!(line(&json), "mx postfix/qmgr[8]: A1: r\n");
        assert_eq!(
            read(b"2026-11-24T12:00:00+0100 mx postfix/qmgr[7]: A1: removed\n"),
            "2026-11-24T12:00:00+01:00 mx postfix/qmgr[7]: A1: removed\n"
        );
        assert!(translated(b"Nov 24 12:00:00 mx", io::empty()).is_err());
    }
}
