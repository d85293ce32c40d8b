//! pgsql:FILE (pgsql_table(5)): PostgreSQL. The session speaks UTF-8, and what the reference sees through its LATIN1
//! session is made of that here: `encoding = UTF8` (3.8) gives the text as it is.

/// Whether and how a session is encrypted.
mod encryption;
/// Where servers are, and connections to them.
mod places;

use super::open::{Opened, Options, TableError};
use super::query::{Parameters, Query};
use super::sql::{self, ANSWER, At, CONNECT, Client, Failed, Host, NO_REASON, Question, Rows};
use crate::sys::files::reason;
use encryption::{Encryption, Handshake};
use places::{Place, Stream, places};
use std::io;
use std::pin::Pin;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

#[derive(Clone)]
struct Settings {
    user: String,
    password: String,
    database: String,
    encoding: Encoding,
}

/// How texts of the session are bytes of mail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Latin1,
    Utf8,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let parameters = Parameters::read(kind, name, options)?;
    let text = |name: &str| parameters.text(name).unwrap_or_default().to_owned();
    let encoding = match parameters.text("encoding").unwrap_or("LATIN1").to_ascii_uppercase().as_str() {
        "LATIN1" | "ISO88591" | "ISO-8859-1" => Encoding::Latin1,
        "UTF8" | "UTF-8" | "UNICODE" | "SQL_ASCII" => Encoding::Utf8,
        other => return Err(parameters.fault(format!("{name}: unsupported client encoding: {other}"))),
    };
    let settings = Settings {
        user: text("user"),
        password: text("password"),
        database: parameters.required("dbname")?.to_owned(),
        encoding,
    };
    let query = Query::new(&parameters, options, || match parameters.text("select_function") {
        Some(function) if !function.is_empty() => Ok(format!("SELECT {function}('%s')")),
        _ => parameters.legacy_query(),
    })?;
    sql::open::<Session>(format!("{kind}:{name}"), &parameters, query, quote, options, settings)
}

/// Between single quotes; the other way where backslashes mean something.
fn quote(text: &str) -> (String, String) {
    let usual = text.replace('\'', "''");
    let other = usual.replace('\\', "\\\\");
    (usual, other)
}

type Link = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>>>>;

struct Session {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
    /// Moves the bytes; runs while something is asked.
    link: Link,
    encoding: Encoding,
    /// standard_conforming_strings is off.
    backslashes: bool,
}

fn failed(words: impl Into<String>, last: &str) -> Failed {
    Failed { words: words.into(), last: last.to_owned(), lost: true }
}

/// The server's words as the reference's library gives them, its line ends as question marks.
fn server_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{}:  {}?", said.severity(), said.message()),
        None => error.to_string(),
    }
}

impl Client for Session {
    type Settings = Settings;
    const KIND: &'static str = "pgsql";
    const NULL_IS_EMPTY: bool = true;

    fn connect(settings: &Settings, host: &Host) -> Result<Session, Failed> {
        let uri = match &host.at {
            At::Uri(uri) => Some(uri.as_str()),
            At::Socket(_) | At::Inet { .. } => None,
        };
        let (encryption, rest) = Encryption::of(uri).map_err(|words| failed(words, NO_REASON))?;
        let mut config = match uri {
            Some(_) => rest.parse().map_err(|error: tokio_postgres::Error| failed(error.to_string(), NO_REASON))?,
            None => Config::new(),
        };
        config.application_name("pillarbox");
        if config.get_user().is_none() && !settings.user.is_empty() {
            config.user(&settings.user);
        }
        if config.get_password().is_none() && !settings.password.is_empty() {
            config.password(&settings.password);
        }
        if config.get_dbname().is_none() {
            config.dbname(&settings.database);
        }
        let mut words = String::new();
        let mut last = NO_REASON.to_owned();
        for place in places(&host.at, &config) {
            match Session::at(&place, &encryption, &mut config, settings.encoding) {
                Ok(session) => return Ok(session),
                Err(refusals) => {
                    for refusal in refusals {
                        if !refusal.by_server {
                            last = if refusal.words.starts_with("Connection refused") {
                                "Operation now in progress".to_owned()
                            } else {
                                refusal.words.split('?').next().unwrap_or_default().to_owned()
                            };
                        }
                        words.push_str(&format!("connection to server {} failed: {}", place.shown, refusal.words));
                    }
                }
            }
        }
        Err(failed(words, &last))
    }

    fn query(&mut self, question: &Question) -> Result<Rows, Failed> {
        let text = if self.backslashes { &question.other } else { &question.usual };
        let text = match self.encoding {
            Encoding::Utf8 => text.clone(),
            Encoding::Latin1 => text.bytes().map(char::from).collect(),
        };
        let Session { runtime, client, link, .. } = self;
        let answer = runtime.block_on(async {
            tokio::time::timeout(ANSWER, async {
                tokio::select! {
                    answer = client.simple_query(&text) => answer.map(Some),
                    _ = link => Ok(None),
                }
            })
            .await
        });
        let messages = match answer {
            Err(_) => {
                return Err(Failed { lost: false, ..failed("the server took too long?", "Connection timed out") });
            }
            Ok(Ok(None)) => return Err(failed("server closed the connection unexpectedly?", NO_REASON)),
            Ok(Err(error)) => {
                return Err(Failed { lost: error.is_closed(), ..failed(complaint_about(&error, &text), NO_REASON) });
            }
            Ok(Ok(Some(messages))) => messages,
        };
        let mut rows = Rows::new();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let mut values = Vec::new();
            for column in 0..row.len() {
                let value = row.try_get(column).map_err(|error| failed(error.to_string(), NO_REASON))?;
                values.push(value.map(|value| self.bytes(value)).transpose()?);
            }
            rows.push(values);
        }
        Ok(rows)
    }

    fn complaint(_table: &str, host: &str, words: &str) -> String {
        format!("pgsql query failed: fatal error from host {host}: {words}")
    }
}

/// A complaint about a query, with the query and a caret under the place, where it fits a line.
fn complaint_about(error: &tokio_postgres::Error, query: &str) -> String {
    let mut words = server_words(error);
    let Some(said) = error.as_db_error() else { return words };
    if let Some(ErrorPosition::Original(at)) = said.position()
        && query.chars().count() <= 60
        && !query.contains('\n')
    {
        let before = " ".repeat("LINE 1: ".len() + (*at as usize).saturating_sub(1));
        words.push_str(&format!("LINE 1: {query}?{before}^?"));
    }
    for (label, text) in [("DETAIL", said.detail()), ("HINT", said.hint())] {
        if let Some(text) = text {
            words.push_str(&format!("{label}:  {text}?"));
        }
    }
    words
}

/// Why there is no session with a server.
struct Refusal {
    words: String,
    by_server: bool,
}

impl Refusal {
    fn of(words: impl Into<String>) -> Refusal {
        Refusal { words: words.into(), by_server: false }
    }
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Refusal {
        use std::error::Error;
        let by_server = error.as_db_error().is_some();
        let words = match error.source() {
            Some(own) if !by_server && own.to_string() == "server does not support TLS" => {
                "server does not support SSL, but SSL was required?".to_owned()
            }
            Some(own) if !by_server => format!("{own}?"),
            _ => server_words(&error),
        };
        Refusal { words, by_server }
    }
}

impl Session {
    /// A session at a place, encrypted or not as the table wants it. Err: one for each way that was tried.
    fn at(
        place: &Place,
        encryption: &Encryption,
        config: &mut Config,
        encoding: Encoding,
    ) -> Result<Session, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let attempts = encryption.attempts(place.is_socket());
        for mode in attempts {
            config.ssl_mode(*mode);
            let handshake = match mode {
                SslMode::Disable => None,
                _ => match encryption.handshake(&place.host) {
                    Ok(handshake) => Some(handshake),
                    Err(words) => {
                        refusals.push(Refusal::of(words));
                        break;
                    }
                },
            };
            let begun = place.reach().map_err(Refusal::of);
            match begun.and_then(|stream| Session::begin(config, stream, handshake.clone(), encoding)) {
                Ok(session) => return Ok(session),
                Err(refusal) => {
                    // As libpq does: without TLS after TLS that came to nothing, with it after a server's refusal.
                    let again = handshake.map_or(refusal.by_server, |handshake| handshake.was_begun());
                    refusals.push(refusal);
                    if !again {
                        break;
                    }
                }
            }
        }
        Err(refusals)
    }

    fn begin(
        config: &Config,
        stream: Stream,
        handshake: Option<Handshake>,
        encoding: Encoding,
    ) -> Result<Session, Refusal> {
        let words = |error: io::Error| Refusal::of(reason(&error));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(words)?;
        let made = runtime.block_on(async {
            tokio::time::timeout(CONNECT, async {
                match stream {
                    Stream::Tcp(stream) => {
                        stream.set_nonblocking(true).map_err(words)?;
                        let _ = stream.set_nodelay(true);
                        greet(config, tokio::net::TcpStream::from_std(stream).map_err(words)?, handshake).await
                    }
                    Stream::Unix(stream) => {
                        stream.set_nonblocking(true).map_err(words)?;
                        greet(config, tokio::net::UnixStream::from_std(stream).map_err(words)?, handshake).await
                    }
                }
            })
            .await
        });
        let (client, link, backslashes) = made.map_err(|_| Refusal::of("timeout expired?"))??;
        Ok(Session { runtime, client, link, encoding, backslashes })
    }

    /// A value of the session as bytes of mail.
    fn bytes(&self, value: &str) -> Result<Vec<u8>, Failed> {
        if self.encoding == Encoding::Utf8 {
            return Ok(value.as_bytes().to_vec());
        }
        value.chars().map(|c| u8::try_from(c).map_err(|_| c)).collect::<Result<Vec<u8>, char>>().map_err(|c| {
            let mut buffer = [0; 4];
            let bytes: Vec<String> = c.encode_utf8(&mut buffer).bytes().map(|byte| format!("0x{byte:02x}")).collect();
            let words = format!(
                "ERROR:  character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"?",
                bytes.join(" ")
            );
            Failed { lost: false, ..failed(words, NO_REASON) }
        })
    }
}

async fn greet<S>(
    config: &Config,
    stream: S,
    handshake: Option<Handshake>,
) -> Result<(tokio_postgres::Client, Link, bool), Refusal>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    const BACKSLASHES: (&str, Option<&str>) = ("standard_conforming_strings", Some("off"));
    let (name, off) = BACKSLASHES;
    Ok(match handshake {
        Some(handshake) => {
            let (client, link) = config.connect_raw(stream, handshake).await?;
            let backslashes = link.parameter(name) == off;
            (client, Box::pin(link), backslashes)
        }
        None => {
            let (client, link) = config.connect_raw(stream, NoTls).await?;
            let backslashes = link.parameter(name) == off;
            (client, Box::pin(link), backslashes)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn texts_between_quotes() {
        assert_eq!(quote(r"o'b\"), (r"o''b\".into(), r"o''b\\".into()));
    }
}
