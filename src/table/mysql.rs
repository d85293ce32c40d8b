//! mysql:FILE (mysql_table(5)): MySQL and MariaDB. No TLS: a table that asks for it is refused, not weakened.

use super::mysql_options;
use super::open::{Opened, Options, TableError};
use super::query::{Parameters, Query};
use super::sql::{self, ANSWER, At, CONNECT, Client, Failed, Host, NO_REASON, Question, Rows};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder, Value};

/// Where a server on this machine listens when it is called localhost.
const SOCKET: &str = "/run/mysqld/mysqld.sock";

#[derive(Clone)]
struct Settings {
    user: String,
    password: String,
    database: String,
    require_result_set: bool,
    file: mysql_options::Client,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let parameters = Parameters::read(kind, name, options)?;
    for unserved in ["tls_cert_file", "tls_key_file", "tls_CAfile", "tls_CApath"] {
        if parameters.text(unserved).is_some_and(|value| !value.is_empty()) {
            return Err(parameters.fault(format!("{name}: {unserved}: this program has no TLS for databases")));
        }
    }
    let text = |name: &str| parameters.text(name).unwrap_or_default().to_owned();
    let settings = Settings {
        user: text("user"),
        password: text("password"),
        database: parameters.required("dbname")?.to_owned(),
        require_result_set: parameters.boolean("require_result_set", true)?,
        file: mysql_options::read(
            parameters.text("option_file").filter(|file| !file.is_empty()),
            parameters.text("option_group").unwrap_or("client"),
        ),
    };
    if parameters.boolean("tls_verify_cert", false)? {
        return Err(parameters.fault(format!("{name}: tls_verify_cert: this program has no TLS for databases")));
    }
    let query = Query::new(&parameters, options, || parameters.legacy_query())?;
    Ok(sql::open::<Session>(format!("{kind}:{name}"), &parameters, query, quote, options, settings))
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

struct Session {
    conn: Conn,
    require_result_set: bool,
}

fn failed(words: impl Into<String>, last: &str) -> Failed {
    Failed { words: words.into(), last: last.to_owned(), lost: false }
}

impl Client for Session {
    type Settings = Settings;
    const KIND: &'static str = "mysql";
    const NULL_IS_EMPTY: bool = false;

    fn connect(settings: &Settings, host: &Host) -> Result<Session, Failed> {
        let user = if settings.user.is_empty() { settings.file.user.clone() } else { Some(settings.user.clone()) };
        let mut opts = OptsBuilder::new()
            .user(user)
            .pass(Some(&settings.password))
            .db_name(Some(&settings.database))
            .prefer_socket(false)
            .tcp_connect_timeout(Some(CONNECT))
            .read_timeout(Some(ANSWER))
            .write_timeout(Some(ANSWER))
            // Asked for by the library otherwise, with a query more for each connection.
            .max_allowed_packet(Some(16 << 20));
        let mut words_of = None;
        opts = match &host.at {
            At::Socket(path) => {
                words_of = Some(path.clone());
                opts.socket(Some(path))
            }
            At::Inet { host: name, .. } if name == "localhost" => {
                let path = settings.file.socket.clone().unwrap_or_else(|| SOCKET.to_owned());
                words_of = Some(path.clone());
                opts.socket(Some(path))
            }
            At::Inet { host: name, port } => {
                opts.ip_or_hostname(Some(name)).tcp_port(port.or(settings.file.port).unwrap_or(3306))
            }
            At::Uri(text) => opts.ip_or_hostname(Some(text)),
        };
        match Conn::new(opts) {
            Ok(conn) => Ok(Session { conn, require_result_set: settings.require_result_set }),
            Err(error) => Err(refusal(&error, host, words_of.as_deref())),
        }
    }

    fn query(&mut self, question: &Question) -> Result<Rows, Failed> {
        let text = if self.conn.no_backslash_escape() { &question.other } else { &question.usual };
        let said = |error: &mysql::Error| Failed { lost: is_lost(error), ..failed(words(error), NO_REASON) };
        let mut results = self.conn.query_iter(text).map_err(|error| said(&error))?;
        let mut found: Option<Rows> = None;
        while let Some(set) = results.iter() {
            if set.columns().as_ref().is_empty() {
                continue;
            }
            if found.is_some() {
                return Err(failed("multiple result sets returning data are not supported", "Operation not supported"));
            }
            let mut rows = Rows::new();
            for row in set {
                let row = row.map_err(|error| said(&error))?;
                rows.push(row.unwrap().into_iter().map(bytes).collect());
            }
            found = Some(rows);
        }
        match found {
            Some(rows) => Ok(rows),
            None if self.require_result_set => {
                Err(failed("query returned no result set(require_result_set = yes)", "Operation not supported"))
            }
            None => Ok(Rows::new()),
        }
    }

    fn complaint(table: &str, _host: &str, words: &str) -> String {
        format!("{table}: query failed: {words}")
    }
}

/// The text protocol gives bytes or NULL; numbers come with prepared statements only.
fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes),
        other => Some(other.as_sql(true).trim_matches('\'').as_bytes().to_vec()),
    }
}

fn is_lost(error: &mysql::Error) -> bool {
    matches!(error, mysql::Error::IoError(_) | mysql::Error::CodecError(_))
        // The server was shut down, or closed a connection that had been idle.
        || matches!(error, mysql::Error::MySqlError(said) if matches!(said.code, 1053 | 4031 | 1927))
}

fn words(error: &mysql::Error) -> String {
    match error {
        mysql::Error::MySqlError(said) => said.message.clone(),
        mysql::Error::IoError(error) => crate::sys::files::reason(error),
        other => other.to_string(),
    }
}

/// In the words of the reference's library.
fn refusal(error: &mysql::Error, host: &Host, socket: Option<&str>) -> Failed {
    if let mysql::Error::MySqlError(said) = error {
        return failed(&*said.message, "Operation now in progress");
    }
    let number = match error {
        mysql::Error::IoError(error) => error.raw_os_error(),
        _ => None,
    };
    match (socket, &host.at, number) {
        (Some(path), _, Some(number)) => failed(
            format!("Can't connect to local server through socket '{path}' ({number})"),
            &crate::sys::files::reason(&std::io::Error::from_raw_os_error(number)),
        ),
        (None, At::Inet { host, .. }, _) if unknown(host) => {
            failed(format!("Unknown server host '{host}' (-2)"), "No such file or directory")
        }
        (None, At::Inet { host, .. }, _) => {
            // The library does not say what became of each address.
            failed(format!("Can't connect to server on '{host}' (115)"), "Operation now in progress")
        }
        _ => failed(words(error), NO_REASON),
    }
}

fn unknown(host: &str) -> bool {
    use std::net::ToSocketAddrs;
    (host, 0).to_socket_addrs().is_err()
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn texts_between_quotes() {
        assert_eq!(quote("o'b\\\n\""), ("o\\'b\\\\\\n\\\"".into(), "o''b\\\n\"".into()));
    }
}
