//! mysql:FILE (mysql_table(5)): MySQL and MariaDB.

/// Who asks.
mod login;
/// The option files of MySQL's clients.
mod option_file;
/// Packets, queries and their rows.
mod session;

use super::open::{Opened, Options, TableError};
use super::query::{Parameters, Query};
use super::sql::{self, ANSWER, At, CONNECT, Client, Failed, Host, NO_REASON, Question, Rows};
use crate::proto::tls::{Check, Terms};
use crate::sys::files::reason;
use login::Login;
use session::{Duplex, Session, Trouble};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use tokio_rustls::rustls::pki_types::ServerName;

/// Where a server on this machine listens when it is called localhost.
const SOCKET: &str = "/run/mysqld/mysqld.sock";

#[derive(Clone)]
struct Settings {
    user: String,
    password: String,
    database: String,
    require_result_set: bool,
    file: option_file::Client,
    /// None: no encryption.
    tls: Option<Terms>,
    charset: String,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let parameters = Parameters::read(kind, name, options)?;
    let text = |name: &str| parameters.text(name).unwrap_or_default().to_owned();
    let settings = Settings {
        user: text("user"),
        password: text("password"),
        database: parameters.required("dbname")?.to_owned(),
        require_result_set: parameters.boolean("require_result_set", true)?,
        file: option_file::read(
            parameters.text("option_file").filter(|file| !file.is_empty()),
            parameters.text("option_group").unwrap_or("client"),
        ),
        tls: terms(&parameters)?,
        charset: charset(&parameters)?,
    };
    let query = Query::new(&parameters, options, || parameters.legacy_query())?;
    sql::open::<Server>(format!("{kind}:{name}"), &parameters, query, quote, options, settings)
}

/// `charset` (3.9). In those that are known no letter is made of the bytes of quotes and backslashes, or a key could
/// end its quotes (as in GBK).
fn charset(parameters: &Parameters) -> Result<String, TableError> {
    const SAFE: &[&str] = &["ascii", "binary", "latin1", "latin2", "latin5", "latin7", "utf8", "utf8mb3", "utf8mb4"];
    let name = parameters.text("charset").filter(|name| !name.is_empty()).unwrap_or("utf8mb4").to_ascii_lowercase();
    if SAFE.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(parameters.fault(format!("{}: charset = {name}: not one of {}", parameters.name(), SAFE.join(" "))))
}

/// Any of the parameters asks for TLS, and then there is no session without it. An authority that is named is asked
/// without tls_verify_cert too, as by the reference's library; the host's name only with it.
fn terms(parameters: &Parameters) -> Result<Option<Terms>, TableError> {
    let text = |name: &str| parameters.text(name).filter(|value| !value.is_empty());
    let file = |name: &str| text(name).map(PathBuf::from);
    let authorities = file("tls_CAfile");
    let authorities_directory = if authorities.is_some() { None } else { file("tls_CApath") };
    let strict = parameters.boolean("tls_verify_cert", false)?;
    let check = match (strict, authorities.is_some() || authorities_directory.is_some()) {
        (true, _) => Check::Name,
        (false, true) => Check::Chain,
        (false, false) => Check::Nothing,
    };
    // A key and its certificate may stand in one file.
    let (certificate, key) = (file("tls_cert_file"), file("tls_key_file"));
    let identity = certificate.clone().or_else(|| key.clone()).zip(key.or(certificate));
    let asked = strict || check == Check::Chain || identity.is_some() || text("tls_ciphers").is_some();
    Ok(asked.then_some(Terms { check, alias: None, authorities, authorities_directory, identity }))
}

/// Between single quotes; the other way where backslashes mean nothing (NO_BACKSLASH_ESCAPES).
fn quote(text: &str) -> (String, String) {
    let mut usual = String::new();
    for c in text.chars() {
        match c {
            '\0' => usual.push_str("\\0"),
            '\n' => usual.push_str("\\n"),
            '\r' => usual.push_str("\\r"),
            '\x1a' => usual.push_str("\\Z"),
            '\\' | '\'' | '"' => usual.extend(['\\', c]),
            _ => usual.push(c),
        }
    }
    (usual, text.replace('\'', "''"))
}

struct Server {
    session: Session,
    require_result_set: bool,
}

fn failed(words: impl Into<String>, last: &str) -> Failed {
    Failed { words: words.into(), last: last.to_owned(), lost: false }
}

impl Client for Server {
    type Settings = Settings;
    const KIND: &'static str = "mysql";
    const NULL_IS_EMPTY: bool = false;

    fn connect(settings: &Settings, host: &Host) -> Result<Server, Failed> {
        let user = Some(settings.user.as_str()).filter(|user| !user.is_empty()).or(settings.file.user.as_deref());
        let (stream, socket, name) = match &host.at {
            At::Socket(path) => (at_socket(path)?, true, "localhost"),
            At::Inet { host: name, .. } if name.eq_ignore_ascii_case("localhost") => {
                (at_socket(settings.file.socket.as_deref().unwrap_or(SOCKET))?, true, "localhost")
            }
            At::Inet { host: name, port } => {
                (at_address(name, port.or(settings.file.port).unwrap_or(3306))?, false, name.as_str())
            }
            At::Uri(text) => (at_address(text, 3306)?, false, text.as_str()),
        };
        let tls = match &settings.tls {
            Some(terms) => Some((
                terms.config().map_err(|fault| tls_trouble(&fault.to_string()))?,
                ServerName::try_from(name.to_owned()).map_err(|error| tls_trouble(&error.to_string()))?,
            )),
            None => None,
        };
        let login = Login { user, password: &settings.password, database: &settings.database, tls, socket };
        match Session::begin(stream, &login) {
            Ok(mut session) => {
                // The login is in utf8mb4.
                if settings.charset != "utf8mb4" {
                    let named = session.query(&format!("SET NAMES {}", settings.charset));
                    named.map_err(|trouble| failed(words(&trouble), NO_REASON))?;
                }
                Ok(Server { session, require_result_set: settings.require_result_set })
            }
            Err(trouble) => Err(failed(words(&trouble), "Operation now in progress")),
        }
    }

    fn query(&mut self, question: &Question) -> Result<Rows, Failed> {
        let text = if self.session.no_backslash_escapes() { &question.other } else { &question.usual };
        let sets = self.session.query(text);
        let sets = sets.map_err(|trouble| Failed { lost: is_lost(&trouble), ..failed(words(&trouble), NO_REASON) })?;
        let mut sets = sets.into_iter();
        match (sets.next(), sets.next()) {
            (Some(_), Some(_)) => {
                Err(failed("multiple result sets returning data are not supported", "Operation not supported"))
            }
            (Some(rows), None) => Ok(rows),
            (None, _) if self.require_result_set => {
                Err(failed("query returned no result set(require_result_set = yes)", "Operation not supported"))
            }
            (None, _) => Ok(Rows::new()),
        }
    }

    fn complaint(table: &str, _host: &str, words: &str) -> String {
        format!("{table}: query failed: {words}")
    }
}

/// A session that is out of step with its server is of no more use than one that ended.
fn is_lost(trouble: &Trouble) -> bool {
    match trouble {
        // The server was shut down, or closed a connection that had been idle.
        Trouble::Server(code, _) => matches!(code, 1053 | 4031 | 1927),
        Trouble::Stream(_) | Trouble::Tls(_) | Trouble::Protocol(_) => true,
    }
}

/// In the words of the reference's library.
fn words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Server(_, words) | Trouble::Protocol(words) => words.clone(),
        Trouble::Stream(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "Lost connection to server during query".to_owned()
        }
        Trouble::Stream(error) if error.kind() == io::ErrorKind::WouldBlock => "Connection timed out".to_owned(),
        Trouble::Stream(error) => reason(error),
        Trouble::Tls(words) => format!("TLS/SSL error: {words}"),
    }
}

fn tls_trouble(words: &str) -> Failed {
    failed(format!("TLS/SSL error: {words}"), NO_REASON)
}

fn at_socket(path: &str) -> Result<Box<dyn Duplex>, Failed> {
    let reach = || {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(stream)
    };
    let stream = reach().map_err(|error: io::Error| {
        let number = error.raw_os_error().unwrap_or_default();
        failed(format!("Can't connect to local server through socket '{path}' ({number})"), &reason(&error))
    })?;
    Ok(Box::new(stream))
}

fn at_address(name: &str, port: u16) -> Result<Box<dyn Duplex>, Failed> {
    let unknown = |_| failed(format!("Unknown server host '{name}' (-2)"), "No such file or directory");
    let reached = (name, port).to_socket_addrs().map_err(unknown)?.find_map(|address| {
        let stream = TcpStream::connect_timeout(&address, CONNECT).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        stream.set_write_timeout(Some(ANSWER)).ok()?;
        Some(stream)
    });
    // The reference's library waits for each connection and says so, whatever became of it.
    let stream = reached
        .ok_or_else(|| failed(format!("Can't connect to server on '{name}' (115)"), "Operation now in progress"))?;
    Ok(Box::new(stream))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn texts_between_quotes() {
        assert_eq!(quote("o'b\\\n\""), ("o\\'b\\\\\\n\\\"".into(), "o''b\\\n\"".into()));
    }
}
