//! A client of Dovecot's authentication service. A connection serves one conversation at a time and is kept for the next.

use super::{Conversation, PATIENCE, Place, Refusal, Step};
use crate::daemon::smtpd::endpoint::{self, Both};
use crate::log::Log;
use crate::proto::dovecot_auth::{self, Greeting, MAX_LINE, MAX_MECHANISMS, Mechanism, Reply, Request};
use std::cell::RefCell;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// Connections that are kept.
const MAX_IDLE: usize = 8;
/// Lines about other conversations (that were broken off) which may come before ours.
const MAX_STRANGE: usize = 100;

/// As the reference words it.
const LOST: &str = "Connection lost to authentication server";

pub struct Dovecot {
    server: String,
    service: String,
    idle: RefCell<Vec<Connection>>,
    /// What it offered last.
    mechanisms: RefCell<Vec<Mechanism>>,
}

struct Connection {
    stream: BufReader<Box<dyn Both>>,
    last: u32,
}

/// A conversation with its connection.
pub struct Talk {
    connection: Connection,
    id: u32,
}

/// How a connection was lost: before the service heard what was said, or before it answered. A password that it has heard
/// is not tried again: it may count mistakes.
enum Lost {
    Unsent,
    Unanswered,
}

impl Connection {
    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            let kind = if line.len() >= MAX_LINE { io::ErrorKind::InvalidData } else { io::ErrorKind::UnexpectedEof };
            return Err(kind.into());
        }
        String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes()).await?;
        self.stream.get_mut().flush().await
    }

    /// What comes about a conversation.
    async fn reply(&mut self, id: u32) -> io::Result<Reply> {
        for _ in 0..MAX_STRANGE {
            let line = self.line().await?;
            if let Some(reply) = dovecot_auth::reply(&line, id) {
                return Ok(reply);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

impl Dovecot {
    pub fn new(server: String, service: String) -> Dovecot {
        Dovecot { server, service, idle: RefCell::default(), mechanisms: RefCell::default() }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let failed = |error: io::Error| {
            let reason = crate::sys::files::reason(&error);
            format!("SASL: Connect to Dovecot auth socket '{}' failed: {reason}", self.server)
        };
        let greeted = async {
            let stream = endpoint::connect(&self.server).await?;
            let mut connection = Connection { stream: BufReader::new(stream), last: 0 };
            connection.say(&dovecot_auth::hello(std::process::id())).await?;
            let mut offered = Vec::new();
            loop {
                match dovecot_auth::greeting(&connection.line().await?) {
                    Greeting::Mechanism(mechanism) if offered.len() < MAX_MECHANISMS => offered.push(mechanism),
                    Greeting::Stranger(version) => {
                        return Err(io::Error::other(format!("protocol version {version} is not spoken here")));
                    }
                    Greeting::Done => break,
                    Greeting::Mechanism(_) | Greeting::Other => {}
                }
            }
            self.mechanisms.replace(offered);
            Ok(connection)
        };
        timeout(PATIENCE, greeted).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)
    }

    pub async fn mechanisms(&self) -> Result<Vec<Mechanism>, String> {
        if self.mechanisms.borrow().is_empty() {
            let connection = self.connect().await?;
            self.keep(connection);
        }
        Ok(self.mechanisms.borrow().clone())
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    pub async fn begin(&self, mechanism: &str, response: Option<&str>, place: &Place, log: &Log) -> Step {
        if !response.is_none_or(dovecot_auth::is_base64) {
            return Refusal::because("Invalid base64 data in initial response");
        }
        let mut last = None;
        // A kept connection may have ended meanwhile: then another is made, once.
        for kept in [true, false] {
            let taken = if kept { self.idle.borrow_mut().pop() } else { None };
            let fresh = taken.is_none();
            let mut connection = match taken {
                Some(connection) => connection,
                None => match self.connect().await {
                    Ok(connection) => connection,
                    Err(fault) => {
                        log.warning(fault);
                        return Refusal::unknown(last);
                    }
                },
            };
            connection.last = connection.last.wrapping_add(1);
            let request = Request {
                id: connection.last,
                mechanism,
                service: &self.service,
                server_address: &place.server_address,
                client_address: &place.client_address,
                encrypted: place.encrypted,
                response,
            };
            let (id, line) = (connection.last, request.line());
            match self.exchange(Talk { connection, id }, &line, log).await {
                Ok(step) => return step,
                // What was not even heard can be asked again.
                Err(Lost::Unsent) if !fresh => last = Some(LOST),
                Err(_) => return Refusal::unknown(Some(LOST)),
            }
        }
        Refusal::unknown(last)
    }

    pub async fn go_on(&self, talk: Talk, response: &str, log: &Log) -> Step {
        if !dovecot_auth::is_base64(response) {
            return Refusal::because("Invalid base64 data in continued response");
        }
        let line = dovecot_auth::continued(talk.id, response);
        self.exchange(talk, &line, log).await.unwrap_or_else(|_| Refusal::unknown(Some(LOST)))
    }

    async fn exchange(&self, mut talk: Talk, line: &str, log: &Log) -> Result<Step, Lost> {
        let Talk { connection, id } = &mut talk;
        if !matches!(timeout(PATIENCE, connection.say(line)).await, Ok(Ok(()))) {
            return Err(Lost::Unsent);
        }
        let reply = timeout(PATIENCE, connection.reply(*id)).await;
        let reply = reply.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let step = match reply {
            Ok(Reply::More(challenge)) if dovecot_auth::is_base64(&challenge) => {
                return Ok(Step::More(Conversation::Dovecot(talk), challenge));
            }
            Ok(Reply::More(_)) => {
                log.warning("SASL: Protocol error");
                return Err(Lost::Unanswered);
            }
            Ok(Reply::Good(Some(name))) if !name.is_empty() => Step::Good(name),
            Ok(Reply::Good(_)) => {
                log.warning("missing Dovecot server OK username field");
                Refusal::because("Authentication backend error")
            }
            Ok(Reply::Bad { name, reason, temporary }) => Step::Bad(Refusal { name, reason, temporary }),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                log.warning("SASL: Protocol error");
                return Err(Lost::Unanswered);
            }
            Err(_) => return Err(Lost::Unanswered),
        };
        self.keep(talk.connection);
        Ok(step)
    }
}
