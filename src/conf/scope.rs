//! Which names mean something: the table's, those that services of master.cf bring (transport parameters), those that
//! the administrator made and that some value uses, restriction classes, and the parameters of database tables. What
//! is set and means nothing is unused: a mistake, most often of spelling.

use super::computed::DERIVED_SUFFIXES;
use super::expand::{ExpandError, scan};
use super::main_cf::MainCf;
use super::master_text::Entry;
use super::params::{self, PARAMS};
use super::typed::Kind;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Builtin,
    Service,
    User,
}

/// Every known name.
#[derive(Debug, Default)]
pub struct Scope {
    /// By name: its class and its default text (before expansion).
    pub names: BTreeMap<String, (Class, String)>,
    /// Names that values of main.cf, and then overrides of master.cf, mention and nothing defines, in that order,
    /// one for each mention.
    pub undefined_main: Vec<String>,
    pub undefined_master: Vec<String>,
    /// A value that the machine's defaults are computed from, or the names of restriction classes, and cannot be read.
    pub unreadable: Option<ExpandError>,
    /// Macro errors met on the way; nothing after a fatal one.
    pub faults: Vec<Fault>,
}

/// A value that cannot be read.
#[derive(Debug)]
pub struct Fault {
    pub error: ExpandError,
    /// It is a parameter's of the table: its value is wanted, to look for tables in it.
    pub fatal: bool,
}

/// What is expanded before any name is looked for, in this order, and the parameter that makes it unnecessary: a default is
/// computed only where nothing is set.
const FIRST: &[(&str, &str)] = &[
    ("inet_protocols", ""),
    ("myhostname", "mydomain"),
    ("mydomain", "myhostname"),
    ("inet_interfaces", "mynetworks"),
    ("mynetworks_style", "mynetworks"),
    ("smtpd_restriction_classes", ""),
];

/// Names that the program itself gives a value.
pub const READ_ONLY: &[&str] = &["process_id", "process_name", "service_name"];
/// Agents whose services have transport parameters.
const TRANSPORTS: &[&str] = &["local", "error", "virtual", "smtp", "lmtp", "pipe"];
/// Agents whose services have a time limit.
const TIMED: &[&str] = &["pipe", "spawn"];

impl Scope {
    /// Without administrator-made names: what `postconf -d` knows.
    pub fn defaults(services: &[Entry]) -> Scope {
        let mut scope = Scope::default();
        for row in PARAMS.iter().filter(|row| !row.newer) {
            // These rows exist because the agent's own code reads them; postconf knows them from the service, which
            // takes over the two that it knows anyway.
            if row.name.starts_with("local_destination_")
                && !matches!(row.name, "local_destination_concurrency_limit" | "local_destination_recipient_limit")
            {
                continue;
            }
            scope.names.insert(row.name.to_owned(), (Class::Builtin, row.default.to_owned()));
        }
        for service in services {
            let (name, command) = (&service.fields[0], service.command.as_str());
            if TRANSPORTS.contains(&command) {
                for suffix in DERIVED_SUFFIXES {
                    let name = format!("{name}{suffix}");
                    let default = match params::find(&name) {
                        Some(row) => row.default.to_owned(),
                        None => super::computed::derived(&name).unwrap_or_default(),
                    };
                    if name.starts_with("local_destination_") {
                        scope.names.remove(&name);
                    }
                    scope.names.entry(name).or_insert((Class::Service, default));
                }
            }
            if TIMED.contains(&command) {
                let default = "$command_time_limit".to_owned();
                scope.names.entry(format!("{name}_time_limit")).or_insert((Class::Service, default));
            }
        }
        scope
    }

    /// With the administrator's own names.
    pub fn new(cf: &MainCf, services: &[Entry]) -> Scope {
        let mut scope = Scope::defaults(services);
        for row in PARAMS.iter().filter(|row| row.newer && cf.settings().contains_key(row.name)) {
            scope.names.insert(row.name.to_owned(), (Class::Builtin, row.default.to_owned()));
        }
        let mut made: BTreeSet<String> = BTreeSet::new();
        let set = |name: &str| cf.settings().get(name).map(|setting| setting.raw.clone());
        scope.unreadable = FIRST
            .iter()
            .filter(|(_, instead)| set(instead).is_none())
            .find_map(|(name, _)| super::expand::expand(&set(name)?, &set).err());
        let classes = cf.text("smtpd_restriction_classes").unwrap_or_default();
        made.extend(MainCf::list(&classes));
        let mut settings: Vec<(&String, &super::main_cf::Setting)> = cf.settings().iter().collect();
        settings.sort_by_key(|(_, setting)| setting.line);
        // Defaults mention old names (virtual_maps) that mean something when they are set.
        let raw = |name: &str| params::find(name).is_some_and(|row| row.kind == Kind::Raw);
        for row in PARAMS.iter().filter(|row| row.kind != Kind::Raw) {
            let _ = mentioned(cf, row.default, Own::Main(services), &mut made, &mut Vec::new());
        }
        let mut undefined = Vec::new();
        for (name, setting) in &settings {
            if raw(name) || READ_ONLY.contains(&name.as_str()) {
                continue;
            }
            let seen = mentioned(cf, &setting.raw, Own::Main(services), &mut made, &mut undefined);
            scope.note(seen, followed(cf, name, &setting.raw, &[]));
            made.extend(database_names(cf, &setting.raw));
        }
        let known = |names: &BTreeMap<String, (Class, String)>, name: &String| names.contains_key(name);
        scope.undefined_main = undefined.into_iter().filter(|name| !known(&scope.names, name)).collect();
        let mut undefined = Vec::new();
        for service in services {
            let own = service.settings();
            for &(name, value) in &own {
                if raw(name) {
                    continue;
                }
                let seen = mentioned(cf, value, Own::Service(&own), &mut made, &mut undefined);
                scope.note(seen, followed(cf, name, value, &own));
                made.extend(database_names(cf, value));
            }
        }
        scope.undefined_master = undefined.into_iter().filter(|name| !known(&scope.names, name)).collect();
        for name in made {
            scope.names.entry(name).or_insert((Class::User, String::new()));
        }
        scope
    }

    /// Notes what is wrong with a value as it stands, and with what it comes to.
    fn note(&mut self, seen: Result<(), ExpandError>, followed: Result<(), ExpandError>) {
        if self.faults.last().is_some_and(|fault| fault.fatal) {
            return;
        }
        self.faults.extend(seen.err().map(|error| Fault { error, fatal: false }));
        self.faults.extend(followed.err().map(|error| Fault { error, fatal: true }));
    }

    /// Parameters of main.cf that mean nothing, by name.
    pub fn unused_main<'a>(&'a self, cf: &'a MainCf) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut names: Vec<&String> = cf.settings().keys().filter(|name| !self.names.contains_key(*name)).collect();
        names.sort();
        names.into_iter().filter_map(|name| cf.settings().get(name).map(|set| (name.as_str(), set.raw.as_str())))
    }

    /// Overrides of master.cf that mean nothing.
    pub fn unused_master<'a>(&'a self, services: &'a [Entry]) -> Vec<(&'a str, &'a str)> {
        let mut unused = Vec::new();
        for service in services {
            let mentions = RefCell::new(BTreeSet::new());
            let settings = service.settings();
            for (_, value) in &settings {
                let _ = scan(value, &|name| {
                    mentions.borrow_mut().insert(name.to_owned());
                    None
                });
                for class in MainCf::list(value) {
                    mentions.borrow_mut().insert(class);
                }
            }
            let mentions = mentions.into_inner();
            unused.extend(
                settings.into_iter().filter(|(name, _)| !self.names.contains_key(*name) && !mentions.contains(*name)),
            );
        }
        unused
    }
}

/// Adds to `made` the names that `text` mentions and main.cf or (for a value of main.cf) a service sets; to `undefined` those
/// that nothing defines (`own`: overrides of the same service do). Values of values are looked through in their own turn.
fn mentioned(
    cf: &MainCf,
    text: &str,
    own: Own<'_>,
    made: &mut BTreeSet<String>,
    undefined: &mut Vec<String>,
) -> Result<(), ExpandError> {
    let found = RefCell::new((made, undefined));
    scan(text, &|name| {
        let mut found = found.borrow_mut();
        let by_service = match own {
            Own::Service(own) if own.iter().any(|(known, _)| *known == name) => return None,
            Own::Service(_) => false,
            Own::Main(services) => services.iter().any(|service| service.overrides().any(|(known, _)| known == name)),
        };
        if by_service || cf.settings().contains_key(name) {
            found.0.insert(name.to_owned());
        } else if params::find(name).is_none() {
            found.1.push(name.to_owned());
        }
        None
    })
}

/// Whose value is looked at.
#[derive(Clone, Copy)]
enum Own<'a> {
    Main(&'a [Entry]),
    /// With the service's overrides.
    Service(&'a [(&'a str, &'a str)]),
}

/// The value of one of the table's own parameters is expanded as it will be when it is used.
fn followed(cf: &MainCf, name: &str, text: &str, own: &[(&str, &str)]) -> Result<(), ExpandError> {
    if params::find(name).is_none_or(|row| row.kind == Kind::Raw) {
        return Ok(());
    }
    let local = |name: &str| own.iter().find(|(known, _)| *known == name).map(|&(_, value)| value.to_owned());
    super::expand::expand(text, &|name| local(name).or_else(|| cf.raw(name))).map(drop)
}

/// What stands after the name of a table "ldap:NAME" in the names of its parameters (ldap_table(5) and others,
/// in the form that has no file of its own).
const DATABASES: &[(&str, &[&str])] = &[
    (
        "ldap",
        &[
            "bind",
            "bind_dn",
            "bind_pw",
            "cache",
            "cache_expiry",
            "cache_size",
            "chase_referrals",
            "debuglevel",
            "dereference",
            "domain",
            "expansion_limit",
            "leaf_result_attribute",
            "query_filter",
            "recursion_limit",
            "result_attribute",
            "result_filter",
            "result_format",
            "scope",
            "search_base",
            "server_host",
            "server_port",
            "sasl_authz_id",
            "sasl_mechs",
            "sasl_minssf",
            "sasl_realm",
            "size_limit",
            "special_result_attribute",
            "start_tls",
            "terminal_result_attribute",
            "timeout",
            "tls_ca_cert_dir",
            "tls_ca_cert_file",
            "tls_cert",
            "tls_cipher_suite",
            "tls_key",
            "tls_random_file",
            "tls_require_cert",
            "version",
        ],
    ),
    (
        "mysql",
        &[
            "additional_conditions",
            "dbname",
            "domain",
            "expansion_limit",
            "hosts",
            "option_file",
            "option_group",
            "password",
            "query",
            "require_result_set",
            "result_format",
            "select_field",
            "table",
            "tls_CAfile",
            "tls_CApath",
            "tls_cert_file",
            "tls_ciphers",
            "tls_key_file",
            "tls_verify_cert",
            "user",
            "where_field",
        ],
    ),
    (
        "pgsql",
        &[
            "additional_conditions",
            "dbname",
            "domain",
            "encoding",
            "expansion_limit",
            "hosts",
            "password",
            "query",
            "result_format",
            "select_field",
            "select_function",
            "table",
            "user",
            "where_field",
        ],
    ),
    (
        "sqlite",
        &[
            "additional_conditions",
            "dbpath",
            "domain",
            "expansion_limit",
            "query",
            "result_format",
            "select_field",
            "table",
            "where_field",
        ],
    ),
    (
        "memcache",
        &[
            "backup",
            "data_size_limit",
            "flags",
            "key_format",
            "line_size_limit",
            "max_try",
            "memcache",
            "retry_pause",
            "timeout",
            "ttl",
        ],
    ),
];

/// The parameters of database tables that `value` names and main.cf sets.
fn database_names(cf: &MainCf, value: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (kind, table) in MainCf::tables(value) {
        let Some((_, suffixes)) = DATABASES.iter().find(|(name, _)| *name == kind) else { continue };
        names.extend(
            suffixes.iter().map(|suffix| format!("{table}_{suffix}")).filter(|name| cf.settings().contains_key(name)),
        );
    }
    names
}
