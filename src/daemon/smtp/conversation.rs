//! Commands and replies, with time-outs and limits.

use super::destination::Unreachable;
use super::stream::Stream;
use crate::log::Log;
use crate::proto::smtp_reply::{Collector, Reply, Step};
use crate::status::Code;
use crate::table::Maps;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// Longest reply line that is read; a longer one is no SMTP.
const MAX_LINE: u64 = 8192;

pub struct Conversation {
    stream: BufReader<Stream>,
    /// For each command that is sent.
    write_patience: Duration,
    filter: Filter,
}

/// smtp_reply_filter: another line for a line.
pub struct Filter {
    pub maps: Arc<Maps>,
    pub log: Arc<Log>,
    /// "mx.example.org[192.0.2.1]:25"
    pub host: String,
    pub queue_id: String,
}

impl Filter {
    fn apply(&self, line: Vec<u8>) -> Result<Vec<u8>, Broken> {
        if self.maps.is_empty() {
            return Ok(line);
        }
        let shown = String::from_utf8_lossy(&line);
        match self.maps.find(&line) {
            Ok(None) => Ok(line),
            Ok(Some(other)) => {
                let (host, new) = (&self.host, String::from_utf8_lossy(&other));
                self.log.info(format!("{host}: replacing server reply \"{shown}\" with \"{new}\""));
                Ok(other)
            }
            Err(error) => {
                self.log.warning(format!("{}: lookup error for {shown}: {error}", self.queue_id));
                Err(Broken::Table)
            }
        }
    }
}

/// How the conversation broke.
pub enum Broken {
    Io(io::Error),
    Malformed(String),
    /// Our own tables do not answer.
    Table,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl Conversation {
    pub fn new(stream: Stream, write_patience: Duration, filter: Filter) -> Conversation {
        Conversation { stream: BufReader::new(stream), write_patience, filter }
    }

    /// The connection itself, for a handshake.
    pub fn stream(&mut self) -> &mut Stream {
        self.stream.get_mut()
    }

    /// Whether the server has said more than was asked.
    pub fn has_more(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    pub fn is_dead(&self) -> bool {
        self.stream.get_ref().is_dead()
    }

    pub fn send(&mut self, command: &str) -> io::Result<()> {
        self.send_bytes(format!("{command}\r\n").as_bytes(), self.write_patience)
    }

    pub fn send_bytes(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.set_timeouts(patience)?;
        stream.write_all(bytes)?;
        stream.flush()
    }

    pub fn ask(&mut self, command: &str, patience: Duration) -> Result<Reply, Broken> {
        self.send(command)?;
        self.reply(patience)
    }

    pub fn reply(&mut self, patience: Duration) -> Result<Reply, Broken> {
        self.stream.get_ref().set_timeouts(patience)?;
        let mut collector = Collector::default();
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            while line.pop_if(|last| matches!(*last, b'\n' | b'\r')).is_some() {}
            match collector.line(&self.filter.apply(line)?) {
                Step::More => {}
                Step::Done(reply) => return Ok(reply),
                Step::Malformed(text) => return Err(Broken::Malformed(text)),
            }
        }
    }
}

impl Broken {
    /// In the words of a report; `name` is the host's.
    pub fn while_doing(self, name: &str, doing: &str) -> Unreachable {
        let text = match self {
            Broken::Io(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                format!("conversation with {name} timed out while {doing}")
            }
            Broken::Io(_) => format!("lost connection with {name} while {doing}"),
            Broken::Malformed(line) => format!("unexpected reply from {name} while {doing}: {line}"),
            Broken::Table => {
                let text = format!("local data error while talking to {name}");
                return Unreachable { broken: true, ..Unreachable::temporary(Code::new(4, 3, 0), text) };
            }
        };
        Unreachable { broken: true, ..Unreachable::temporary(Code::new(4, 4, 2), text) }
    }
}
