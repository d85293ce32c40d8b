//! What pgsql and mysql tables share (pgsql_table(5), mysql_table(5)): the servers of a table, tried in random order,
//! those on this machine's sockets first, one that failed left alone for a minute; the query of a key; the answer made of
//! all columns of all rows. A server that cannot be asked, or does not understand, is an error when no other answers.

use super::open::{Opened, Options, Table, TableError, Value};
use super::query::{Answer, Parameters, Query, TooMany};
use super::worker::{IDLE, Worker};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How long a server may take to be connected to.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer a query.
pub const ANSWER: Duration = Duration::from_secs(60);

/// What the reference ends its messages with when the system has nothing to say.
pub const NO_REASON: &str = "Application error";

/// A server of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// As it stands in the list; messages name it so.
    pub shown: String,
    pub at: At,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    Socket(String),
    Inet {
        host: String,
        port: Option<u16>,
    },
    /// What the client's library reads by itself.
    Uri(String),
}

impl Host {
    pub fn parse(shown: &str) -> Host {
        let text = shown.strip_prefix("inet:").unwrap_or(shown);
        let at = if let Some(path) = text.strip_prefix("unix:") {
            At::Socket(path.to_owned())
        } else if text.starts_with('/') {
            At::Socket(text.to_owned())
        } else if text.contains("://") {
            At::Uri(text.to_owned())
        } else {
            let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((host, rest)) => (host, rest.strip_prefix(':')),
                None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
            };
            At::Inet { host: host.to_owned(), port: port.and_then(crate::sys::resolve::port_number) }
        };
        Host { shown: shown.to_owned(), at }
    }
}

/// A query with its texts quoted in the two ways that servers understand them.
#[derive(Clone, Debug)]
pub struct Question {
    /// As a server in its usual state reads it.
    pub usual: String,
    /// As one reads it whose backslashes mean the opposite.
    pub other: String,
}

/// The rows that were found; None: NULL.
pub type Rows = Vec<Vec<Option<Vec<u8>>>>;

/// Why a server did not answer.
#[derive(Debug)]
pub struct Failed {
    /// The library's or server's words.
    pub words: String,
    /// The system's, for the end of the message.
    pub last: String,
    /// The connection is gone. One that had been used may have been closed by the server in the meantime.
    pub lost: bool,
}

/// A connection to a server of some kind.
pub trait Client: Sized + 'static {
    type Settings: Clone + Send + Sync + 'static;
    /// "pgsql"
    const KIND: &'static str;
    /// Whether NULL is worth a word, as an empty text is.
    const NULL_IS_EMPTY: bool;

    fn connect(settings: &Self::Settings, host: &Host) -> Result<Self, Failed>;
    fn query(&mut self, question: &Question) -> Result<Rows, Failed>;
    /// What is said of a query that failed.
    fn complaint(table: &str, host: &str, words: &str) -> String;
}

enum State<C> {
    Untried,
    Open(Box<C>, Instant),
    Failed(Instant),
}

/// The servers of a table.
struct Pool<C: Client> {
    table: String,
    /// How long a connection is kept without work, and a server left alone that failed (3.9).
    idle: Duration,
    retry: Duration,
    settings: C::Settings,
    hosts: Vec<(Host, State<C>)>,
}

/// What came of asking: the warnings on the way, and the rows or the system's last word.
struct Asked {
    warnings: Vec<String>,
    outcome: Result<Rows, String>,
}

impl<C: Client> Pool<C> {
    /// The server to ask next: an open connection, else one that may be tried; this machine's sockets first.
    fn next(&mut self) -> Option<usize> {
        let now = Instant::now();
        let rank = |(host, state): &(Host, State<C>)| {
            let inet = u8::from(!matches!(host.at, At::Socket(_)));
            match state {
                State::Open(..) => Some(inet),
                State::Failed(until) if now < *until => None,
                State::Failed(_) | State::Untried => Some(2 + inet),
            }
        };
        let best = self.hosts.iter().filter_map(rank).min()?;
        let among: Vec<usize> = (0..self.hosts.len()).filter(|&at| rank(&self.hosts[at]) == Some(best)).collect();
        let chance = RandomState::new().hash_one(now.elapsed().as_nanos());
        among.get(usize::try_from(chance % among.len().max(1) as u64).ok()?).copied()
    }

    fn ask(&mut self, question: &Question) -> Asked {
        let mut warnings = Vec::new();
        let mut last = NO_REASON.to_owned();
        let now = Instant::now();
        for (_, state) in &mut self.hosts {
            if matches!(state, State::Open(_, since) if now.duration_since(*since) > self.idle) {
                *state = State::Untried;
            }
        }
        while let Some(at) = self.next() {
            let Some((host, state)) = self.hosts.get_mut(at) else { break };
            let (mut client, used) = match std::mem::replace(state, State::Untried) {
                State::Open(client, _) => (client, true),
                State::Untried | State::Failed(_) => match C::connect(&self.settings, host) {
                    Ok(client) => (Box::new(client), false),
                    Err(failed) => {
                        warnings.push(format!("connect to {} server {}: {}", C::KIND, host.shown, failed.words));
                        last = failed.last;
                        *state = State::Failed(Instant::now() + self.retry);
                        continue;
                    }
                },
            };
            match client.query(question) {
                Ok(rows) => {
                    *state = State::Open(client, Instant::now());
                    return Asked { warnings, outcome: Ok(rows) };
                }
                // The server was restarted since: it is connected to again at once, and not left alone.
                Err(failed) if failed.lost && used => {}
                Err(failed) => {
                    warnings.push(C::complaint(&self.table, &host.shown, &failed.words));
                    last = failed.last;
                    *state = State::Failed(Instant::now() + self.retry);
                }
            }
        }
        Asked { warnings, outcome: Err(last) }
    }
}

pub struct Sql<C: Client> {
    table: String,
    /// The configuration file, as messages name it.
    name: String,
    query: Query,
    quote: fn(&str) -> (String, String),
    options: Options,
    worker: Worker<Pool<C>>,
}

/// Makes a table of its parameters. `quote` gives a text as it is written between quotes, in the usual way and in the
/// other.
pub fn open<C: Client>(
    table: String,
    parameters: &Parameters,
    query: Query,
    quote: fn(&str) -> (String, String),
    options: &Options,
    settings: C::Settings,
) -> Result<Opened, TableError> {
    let list = parameters.text("hosts").filter(|list| !list.trim().is_empty()).unwrap_or("localhost");
    let hosts: Vec<Host> =
        list.split([' ', '\t', '\n', '\r', ',']).filter(|word| !word.is_empty()).map(Host::parse).collect();
    let shown = table.clone();
    let (idle, retry) = (seconds(parameters, "idle_interval")?, seconds(parameters, "retry_interval")?);
    let worker = Worker::kept(idle, move || Pool {
        table: shown.clone(),
        idle,
        retry,
        settings: settings.clone(),
        hosts: hosts.iter().map(|host| (host.clone(), State::<C>::Untried)).collect(),
    });
    Ok(Box::new(Sql { table, name: parameters.name().to_owned(), query, quote, options: options.clone(), worker }))
}

fn seconds(parameters: &Parameters, name: &str) -> Result<Duration, TableError> {
    let usual = i32::try_from(IDLE.as_secs()).unwrap_or(i32::MAX);
    Ok(Duration::from_secs(u64::from(parameters.integer(name, usual, Some(1))?.unsigned_abs())))
}

impl<C: Client> Table for Sql<C> {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let folded = self.options.folded(key);
        let Ok(key) = std::str::from_utf8(&folded) else { return Ok(None) };
        let Some(usual) = self.query.ask(key, &|text| (self.quote)(text).0)? else { return Ok(None) };
        let other = self.query.ask(key, &|text| (self.quote)(text).1)?.unwrap_or_default();
        let question = Question { usual, other };
        let Some(Asked { mut warnings, outcome }) = self.worker.ask(move |pool| pool.ask(&question)) else {
            return Err(TableError::query(&self.table, NO_REASON));
        };
        let rows = match outcome {
            Ok(rows) => rows,
            Err(last) => {
                let final_words = warnings.pop();
                warnings.iter().for_each(|warning| self.options.warn(warning));
                return Err(match final_words {
                    Some(words) => self.options.failed(&self.table, words, &last),
                    None => TableError::query(&self.table, &last),
                });
            }
        };
        warnings.iter().for_each(|warning| self.options.warn(warning));
        let mut answer = Answer::default();
        for value in rows.into_iter().flatten() {
            let value = match value {
                Some(bytes) => match String::from_utf8(bytes) {
                    Ok(text) => text,
                    // Whoever opened the table refuses it, in words.
                    Err(bytes) if self.options.utf8 => return Ok(Some(bytes.into_bytes())),
                    Err(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned(),
                },
                None if C::NULL_IS_EMPTY => String::new(),
                None => continue,
            };
            if value.is_empty() {
                let table = &self.table;
                self.options.warn(format_args!("table \"{table}\": empty lookup result for: \"{key}\" -- ignored"));
            }
            if let Err(TooMany) = self.query.add(&mut answer, key, &value) {
                let words =
                    format!("dict_{}_lookup: {}: Expansion limit exceeded for key: '{key}'", C::KIND, self.name);
                return Err(self.options.failed(&self.table, words, NO_REASON));
            }
        }
        Ok(answer.value())
    }

    fn is_remote(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn servers_as_they_are_written() {
        let inet = |host: &str, port| At::Inet { host: host.into(), port };
        for (text, at) in [
            ("inet:h.org:25", inet("h.org", Some(25))),
            ("h.org", inet("h.org", None)),
            ("[::1]:7", inet("::1", Some(7))),
            ("unix:/run/x", At::Socket("/run/x".into())),
            ("/run/x", At::Socket("/run/x".into())),
            ("postgresql://u@h/d", At::Uri("postgresql://u@h/d".into())),
        ] {
            assert_eq!(Host::parse(text), Host { shown: text.into(), at });
        }
    }

    /// Servers that do what their name says.
    struct Acted {
        name: String,
        queries: u32,
    }

    impl Client for Acted {
        type Settings = Arc<Mutex<Vec<String>>>;
        const KIND: &'static str = "acted";
        const NULL_IS_EMPTY: bool = false;

        fn connect(log: &Self::Settings, host: &Host) -> Result<Acted, Failed> {
            log.lock().unwrap().push(host.shown.clone());
            match host.shown.as_str() {
                "dead" => Err(Failed { words: "no".into(), last: "refused".into(), lost: true }),
                name => Ok(Acted { name: name.into(), queries: 0 }),
            }
        }

        fn query(&mut self, question: &Question) -> Result<Rows, Failed> {
            self.queries += 1;
            match self.name.as_str() {
                "restarts" if self.queries > 1 => Err(Failed { words: "gone".into(), last: "".into(), lost: true }),
                "angry" => Err(Failed { words: "syntax".into(), last: NO_REASON.into(), lost: false }),
                _ => Ok(vec![vec![Some(question.usual.clone().into_bytes())]]),
            }
        }

        fn complaint(_: &str, host: &str, words: &str) -> String {
            format!("{host}: {words}")
        }
    }

    fn pool(hosts: &[&str]) -> Pool<Acted> {
        let hosts = hosts.iter().map(|host| (Host::parse(host), State::Untried)).collect();
        Pool { table: "t".into(), idle: IDLE, retry: IDLE, settings: Arc::default(), hosts }
    }

    #[test]
    fn a_dead_server_is_left_alone_and_the_others_answer() {
        let question = Question { usual: "q".into(), other: "q".into() };
        let mut two = pool(&["dead", "angry", "alive"]);
        for _ in 0..20 {
            assert!(two.ask(&question).outcome.is_ok());
        }
        let tried = two.settings.lock().unwrap().clone();
        assert!(tried.len() <= 3, "{tried:?}");
        let mut none = pool(&["dead"]);
        let asked = none.ask(&question);
        assert_eq!((asked.warnings.len(), asked.outcome), (1, Err("refused".into())));
        // Not tried again within the minute: silent, and still an error.
        let asked = none.ask(&question);
        assert!(asked.warnings.is_empty() && asked.outcome.is_err());
        // One that had closed our connection is asked again over a new one.
        let mut restarts = pool(&["restarts"]);
        for _ in 0..3 {
            assert!(restarts.ask(&question).outcome.is_ok());
        }
    }

    #[test]
    fn this_machines_sockets_first() {
        let question = Question { usual: "q".into(), other: "q".into() };
        for _ in 0..20 {
            let mut pool = pool(&["alive", "unix:/x"]);
            pool.ask(&question).outcome.unwrap();
            assert_eq!(*pool.settings.lock().unwrap(), ["unix:/x"]);
        }
    }
}
