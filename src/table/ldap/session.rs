//! A connection to one of the servers, kept between lookups, and searches over it. Everything has a time limit.

use crate::sys::files::reason;
use ldap3::asn1::{PL, StructureTag};
use ldap3::{DerefAliases, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchOptions, StdStream};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

#[derive(Clone)]
pub struct Settings {
    /// URLs.
    pub servers: Vec<String>,
    /// Name and password; None: no bind.
    pub bind: Option<(String, String)>,
    pub patience: Duration,
    pub scope: Scope,
    pub dereference: DerefAliases,
    pub size_limit: i32,
}

/// An entry: its attributes and their values, in the server's order.
pub type Entry = Vec<(String, Vec<Vec<u8>>)>;

/// Why a search came to nothing: the number of the protocol, or of the reference's library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i32,
    pub words: String,
}

pub const NO_SUCH_OBJECT: i32 = 32;
const SERVER_DOWN: i32 = -1;
const TIMED_OUT: i32 = -5;
const BAD_FILTER: i32 = -7;

impl Failure {
    fn of(code: i32) -> Failure {
        let words = match code {
            SERVER_DOWN => "Can't contact LDAP server",
            TIMED_OUT => "Timed out",
            BAD_FILTER => "Bad search filter",
            1 => "Operations error",
            2 => "Protocol error",
            3 => "Time limit exceeded",
            4 => "Size limit exceeded",
            8 => "Strong(er) authentication required",
            11 => "Administrative limit exceeded",
            16 => "No such attribute",
            17 => "Undefined attribute type",
            18 => "Inappropriate matching",
            21 => "Invalid syntax",
            32 => "No such object",
            34 => "Invalid DN syntax",
            48 => "Inappropriate authentication",
            49 => "Invalid credentials",
            50 => "Insufficient access",
            51 => "Server is busy",
            52 => "Server is unavailable",
            53 => "Server is unwilling to perform",
            80 => "Other (e.g., implementation specific) error",
            _ => "Unknown error",
        };
        Failure { code, words: words.to_owned() }
    }

    fn from(error: &LdapError) -> Failure {
        match error {
            LdapError::Timeout { .. } => Failure::of(TIMED_OUT),
            LdapError::FilterParsing => Failure::of(BAD_FILTER),
            LdapError::LdapResult { result } => Failure::of(i32::try_from(result.rc).unwrap_or(80)),
            _ => Failure::of(SERVER_DOWN),
        }
    }
}

/// Why there is no connection.
pub struct Refused {
    pub warning: String,
    /// The system's last word.
    pub last: &'static str,
}

pub struct Session {
    settings: Settings,
    open: Option<(Runtime, ldap3::Ldap)>,
}

impl Session {
    pub fn new(settings: Settings) -> Session {
        Session { settings, open: None }
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub fn close(&mut self) {
        self.open = None;
    }

    /// Connects to the first server that answers, and says who asks.
    pub fn connect(&mut self) -> Result<(), Refused> {
        if self.open.is_some() {
            return Ok(());
        }
        let mut failure = Failure::of(SERVER_DOWN);
        for url in &self.settings.servers {
            let Some(stream) = reach(url, self.settings.patience) else { continue };
            match begin(&self.settings, url, stream) {
                Ok(open) => {
                    self.open = Some(open);
                    return Ok(());
                }
                Err(said) => failure = said,
            }
        }
        let servers = self.settings.servers.join(" ");
        let name = self.settings.bind.as_ref().map_or("", |(name, _)| name);
        let name = if name.is_empty() { "empty or implicit" } else { name };
        let Failure { code, words } = &failure;
        Err(Refused {
            warning: format!("dict_ldap_connect: Unable to bind to server {servers} with dn {name}: {code} ({words})"),
            last: if *code == SERVER_DOWN { "Transport endpoint is not connected" } else { "Application error" },
        })
    }

    /// A search of the table's scope.
    pub fn search(&mut self, base: &str, filter: &str, attributes: &[String]) -> Result<Vec<Entry>, Failure> {
        self.search_in(base, self.settings.scope, filter, attributes)
    }

    pub fn search_in(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[String],
    ) -> Result<Vec<Entry>, Failure> {
        let Some((runtime, ldap)) = &mut self.open else { return Err(Failure::of(SERVER_DOWN)) };
        let seconds = i32::try_from(self.settings.patience.as_secs()).unwrap_or(i32::MAX);
        let options = SearchOptions::new()
            .deref(self.settings.dereference)
            .timelimit(seconds)
            .sizelimit(self.settings.size_limit);
        let done = runtime.block_on(async {
            ldap.with_timeout(self.settings.patience)
                .with_search_options(options)
                .search(base, scope, filter, attributes)
                .await
        });
        let result = done.map_err(|error| Failure::from(&error))?;
        let (entries, _) = result.success().map_err(|error| Failure::from(&error))?;
        let references = |entry: &ldap3::ResultEntry| entry.is_ref() || entry.is_intermediate();
        let entries = entries.into_iter().filter(|entry| !references(entry));
        entries.map(|entry| read(entry.0).ok_or_else(|| Failure::of(2))).collect()
    }
}

/// The parts of an entry as it comes over the wire; None: it is none.
fn read(tag: StructureTag) -> Option<Entry> {
    let bytes = |tag: StructureTag| match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    };
    let parts = |tag: StructureTag| match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    };
    let attributes = parts(tag)?.into_iter().nth(1)?;
    let mut entry = Entry::new();
    for attribute in parts(attributes)? {
        let mut both = parts(attribute)?.into_iter();
        let name = String::from_utf8(bytes(both.next()?)?).ok()?;
        let values: Option<Vec<Vec<u8>>> = parts(both.next()?)?.into_iter().map(bytes).collect();
        entry.push((name, values?));
    }
    Some(entry)
}

/// A connection to the place that a URL names; the first of its addresses that answers.
fn reach(url: &str, patience: Duration) -> Option<StdStream> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("ldapi") {
        let path = String::from_utf8(crate::table::query::percent_decoded(authority)).ok()?;
        let path = if path.is_empty() { "/var/run/slapd/ldapi".to_owned() } else { path };
        return UnixStream::connect(path).ok().map(StdStream::Unix);
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map_or(Some(389), |port| port.parse().ok())?;
    let host = if host.is_empty() { "localhost" } else { host };
    (host, port).to_socket_addrs().ok()?.find_map(|address| {
        let stream = TcpStream::connect_timeout(&address, patience).ok()?;
        let _ = stream.set_nodelay(true);
        Some(StdStream::Tcp(stream))
    })
}

fn begin(settings: &Settings, url: &str, stream: StdStream) -> Result<(Runtime, ldap3::Ldap), Failure> {
    let trouble = |error: &std::io::Error| Failure { code: 80, words: reason(error) };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| trouble(&error))?;
    // The stream is open already; the library reads the scheme only.
    let url = if url.to_ascii_lowercase().starts_with("ldapi:") { "ldapi:///" } else { "ldap://localhost" };
    let ldap = runtime.block_on(async {
        let options = LdapConnSettings::new().set_conn_timeout(settings.patience).set_std_stream(stream);
        let (link, mut ldap) = LdapConnAsync::with_settings(options, url).await?;
        tokio::spawn(async move {
            // How the connection ended is seen by the next search.
            let _ = link.drive().await;
        });
        if let Some((name, password)) = &settings.bind {
            ldap.with_timeout(settings.patience).simple_bind(name, password).await?.success()?;
        }
        Ok::<_, LdapError>(ldap)
    });
    Ok((runtime, ldap.map_err(|error| Failure::from(&error))?))
}
