//! Connections to a table's servers, one of them kept between lookups, and searches over it. All has a time limit.

use super::opening::{self, External};
use super::referral::{HOPS, Referral, SERVERS};
use crate::proto::tls::Terms;
use crate::sys::files::reason;
use crate::table::query::percent_decoded;
use ldap3::asn1::{PL, StructureTag};
use ldap3::{DerefAliases, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchOptions, StdStream};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

#[derive(Clone)]
pub struct Settings {
    /// URLs.
    pub servers: Vec<String>,
    /// Name and password; None: no simple bind.
    pub bind: Option<(String, String)>,
    /// The SASL bind.
    pub external: Option<External>,
    /// Ask for TLS on connections that begin without.
    pub start_tls: bool,
    pub tls: Terms,
    pub patience: Duration,
    pub scope: Scope,
    pub dereference: DerefAliases,
    pub size_limit: i32,
    /// Whether other servers are asked that a server refers to.
    pub referrals: bool,
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
const AUTH_UNKNOWN: i32 = -6;
const BAD_FILTER: i32 = -7;
const CONNECT_ERROR: i32 = -11;
const PROTOCOL_ERROR: i32 = 2;
const REFERRAL: i32 = 10;

impl Failure {
    fn of(code: i32) -> Failure {
        let words = match code {
            SERVER_DOWN => "Can't contact LDAP server",
            TIMED_OUT => "Timed out",
            AUTH_UNKNOWN => "Unknown authentication method",
            BAD_FILTER => "Bad search filter",
            CONNECT_ERROR => "Connect error",
            1 => "Operations error",
            PROTOCOL_ERROR => "Protocol error",
            3 => "Time limit exceeded",
            4 => "Size limit exceeded",
            7 => "Authentication method not supported",
            8 => "Strong(er) authentication required",
            REFERRAL => "Referral",
            11 => "Administrative limit exceeded",
            13 => "Confidentiality required",
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

    /// With what the server, or we, have to say.
    pub fn said(code: i32, words: &str) -> Failure {
        let plain = Failure::of(code);
        if words.is_empty() { plain } else { Failure { words: format!("{}: {words}", plain.words), ..plain } }
    }

    pub fn down(error: &io::Error) -> Failure {
        Failure::server_down(&reason(error))
    }

    pub fn server_down(words: &str) -> Failure {
        Failure::said(SERVER_DOWN, words)
    }

    pub fn start_tls(words: &str) -> Failure {
        Failure::said(CONNECT_ERROR, words)
    }

    pub fn sasl(words: &str) -> Failure {
        Failure::said(AUTH_UNKNOWN, words)
    }

    pub fn protocol() -> Failure {
        Failure::of(PROTOCOL_ERROR)
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
    open: Option<Connection>,
}

/// What is searched for.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub base: &'a str,
    pub scope: Scope,
    pub filter: &'a str,
    pub attributes: &'a [String],
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

    /// The table's.
    pub fn scope(&self) -> Scope {
        self.settings.scope
    }

    /// Connects to the first server that answers, and says who asks.
    pub fn connect(&mut self) -> Result<(), Refused> {
        if self.open.is_some() {
            return Ok(());
        }
        let mut failure = Failure::of(SERVER_DOWN);
        for url in &self.settings.servers {
            match Connection::begin(&self.settings, url) {
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
        let warning = match *code {
            CONNECT_ERROR => format!("dict_ldap_connect: Unable to set STARTTLS: {code}: {words}"),
            _ => format!("dict_ldap_connect: Unable to bind to server {servers} with dn {name}: {code} ({words})"),
        };
        let last = if *code == SERVER_DOWN { "Transport endpoint is not connected" } else { "Application error" };
        Err(Refused { warning, last })
    }

    pub fn search(&mut self, question: Question) -> Result<Vec<Entry>, Failure> {
        let Some(open) = &mut self.open else { return Err(Failure::of(SERVER_DOWN)) };
        let Found { mut entries, references } = open.search(&self.settings, question)?;
        let mut servers = SERVERS;
        if self.settings.referrals {
            follow(&self.settings, question, &references, HOPS, &mut servers, &mut entries)?;
        }
        Ok(entries)
    }
}

/// Adds the entries that other servers have. Of each reference's servers, the first that answers is asked.
fn follow(
    settings: &Settings,
    question: Question,
    references: &[Vec<String>],
    hops: u32,
    servers: &mut u32,
    entries: &mut Vec<Entry>,
) -> Result<(), Failure> {
    // As nobody in particular: a password is not shown to whomever a server names.
    let anonymous = Settings { bind: None, external: None, ..settings.clone() };
    for reference in references {
        let mut outcome = Err(Failure::said(REFERRAL, &reference.join(" ")));
        for referral in reference.iter().filter_map(|url| Referral::parse(url)) {
            if hops == 0 || *servers == 0 {
                return Err(Failure::said(REFERRAL, "too many referrals"));
            }
            *servers -= 1;
            let there = Question {
                base: referral.base.as_deref().unwrap_or(question.base),
                scope: referral.scope.unwrap_or(question.scope),
                filter: referral.filter.as_deref().unwrap_or(question.filter),
                ..question
            };
            outcome = Connection::begin(&anonymous, &referral.server).and_then(|mut other| {
                let found = other.search(&anonymous, there)?;
                entries.extend(found.entries);
                follow(&anonymous, there, &found.references, hops - 1, servers, entries)
            });
            if outcome.is_ok() {
                break;
            }
        }
        outcome?;
    }
    Ok(())
}

/// What one server has: entries, and for the rest, each as a choice of URLs, where it is.
struct Found {
    entries: Vec<Entry>,
    references: Vec<Vec<String>>,
}

struct Connection {
    runtime: Runtime,
    ldap: ldap3::Ldap,
}

impl Connection {
    fn begin(settings: &Settings, url: &str) -> Result<Connection, Failure> {
        let target = Target::parse(url).ok_or_else(|| Failure::of(SERVER_DOWN))?;
        let stream = target.reach(settings.patience).ok_or_else(|| Failure::of(SERVER_DOWN))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure { code: 80, words: reason(&error) })?;
        let ldap = runtime.block_on(async {
            let prepared = tokio::time::timeout(settings.patience, opening::prepare(settings, &target, stream)).await;
            let stream = prepared.map_err(|_| Failure::of(TIMED_OUT))??;
            let failed = |error: LdapError| Failure::from(&error);
            let options = LdapConnSettings::new().set_conn_timeout(settings.patience);
            let options = options.set_std_stream(StdStream::Unix(stream));
            // The stream is open already; the library reads the scheme only.
            let (link, mut ldap) = LdapConnAsync::with_settings(options, "ldapi:///").await.map_err(failed)?;
            tokio::spawn(async move {
                // How the connection ended is seen by the next search.
                let _ = link.drive().await;
            });
            if let Some((name, password)) = &settings.bind {
                let bound = ldap.with_timeout(settings.patience).simple_bind(name, password).await;
                bound.and_then(ldap3::LdapResult::success).map_err(failed)?;
            }
            Ok(ldap)
        })?;
        Ok(Connection { runtime, ldap })
    }

    fn search(&mut self, settings: &Settings, question: Question) -> Result<Found, Failure> {
        let Connection { runtime, ldap } = self;
        let seconds = i32::try_from(settings.patience.as_secs()).unwrap_or(i32::MAX);
        let options =
            SearchOptions::new().deref(settings.dereference).timelimit(seconds).sizelimit(settings.size_limit);
        let Question { base, scope, filter, attributes } = question;
        let failed = |error: LdapError| Failure::from(&error);
        runtime.block_on(async {
            let mut found = Found { entries: Vec::new(), references: Vec::new() };
            let asked = ldap.with_timeout(settings.patience).with_search_options(options);
            let mut answers = asked.streaming_search(base, scope, filter, attributes).await.map_err(failed)?;
            while let Some(answer) = answers.next().await.map_err(failed)? {
                if answer.is_ref() {
                    found.references.push(urls(answer.0).ok_or_else(Failure::protocol)?);
                } else if !answer.is_intermediate() {
                    found.entries.push(read(answer.0).ok_or_else(Failure::protocol)?);
                }
            }
            let end = answers.finish().await;
            if end.rc == REFERRAL.unsigned_abs() && settings.referrals && !end.refs.is_empty() {
                found.references.push(end.refs);
                return Ok(found);
            }
            end.success().map_err(failed)?;
            Ok(found)
        })
    }
}

fn bytes(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

fn parts(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

/// The parts of an entry as it comes over the wire; None: it is none.
fn read(tag: StructureTag) -> Option<Entry> {
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

/// Where the rest is.
fn urls(tag: StructureTag) -> Option<Vec<String>> {
    parts(tag)?.into_iter().map(|url| String::from_utf8(bytes(url)?).ok()).collect()
}

/// The place that a URL names.
pub struct Target {
    scheme: String,
    /// Or the path of a socket.
    pub host: String,
    port: u16,
}

impl Target {
    fn parse(url: &str) -> Option<Target> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if scheme == "ldapi" {
            let path = String::from_utf8(percent_decoded(authority)).ok()?;
            let path = if path.is_empty() { "/var/run/slapd/ldapi".to_owned() } else { path };
            return Some(Target { scheme, host: path, port: 0 });
        }
        let usual = match scheme.as_str() {
            "ldap" => 389,
            "ldaps" => 636,
            _ => return None,
        };
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = port.filter(|port| !port.is_empty()).map_or(Some(usual), |port| port.parse().ok())?;
        let host = if host.is_empty() { "localhost" } else { host };
        Some(Target { scheme, host: host.to_owned(), port })
    }

    /// Whether TLS begins with the first byte.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == "ldaps"
    }

    /// A connection; to the first of a host's addresses that answers.
    fn reach(&self, patience: Duration) -> Option<StdStream> {
        if self.scheme == "ldapi" {
            return UnixStream::connect(&self.host).ok().map(StdStream::Unix);
        }
        (self.host.as_str(), self.port).to_socket_addrs().ok()?.find_map(|address| {
            let stream = TcpStream::connect_timeout(&address, patience).ok()?;
            let _ = stream.set_nodelay(true);
            Some(StdStream::Tcp(stream))
        })
    }
}
