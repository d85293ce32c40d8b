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
    /// Macro errors met on the way.
    pub faults: Vec<ExpandError>,
}

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
        let classes = cf.text("smtpd_restriction_classes").unwrap_or_default();
        made.extend(MainCf::list(&classes));
        let mut settings: Vec<(&String, &super::main_cf::Setting)> = cf.settings().iter().collect();
        settings.sort_by_key(|(_, setting)| setting.line);
        // Defaults mention old names (virtual_maps) that mean something when they are set.
        let raw = |name: &str| params::find(name).is_some_and(|row| row.kind == Kind::Raw);
        for row in PARAMS.iter().filter(|row| row.kind != Kind::Raw) {
            let _ = mentioned(cf, row.default, &[], &mut made, &mut Vec::new());
        }
        let mut undefined = Vec::new();
        for (name, setting) in &settings {
            if raw(name) {
                continue;
            }
            let seen = mentioned(cf, &setting.raw, &[], &mut made, &mut undefined);
            if let Err(fault) = seen.and_then(|()| followed(cf, name, &setting.raw, &[])) {
                scope.faults.push(fault);
            }
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
                let seen = mentioned(cf, value, &own, &mut made, &mut undefined);
                if let Err(fault) = seen.and_then(|()| followed(cf, name, value, &own)) {
                    scope.faults.push(fault);
                }
                made.extend(database_names(cf, value));
            }
        }
        scope.undefined_master = undefined.into_iter().filter(|name| !known(&scope.names, name)).collect();
        for name in made {
            scope.names.entry(name).or_insert((Class::User, String::new()));
        }
        scope
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

/// Adds to `made` the names that `text` mentions and main.cf sets; to `undefined` those that nothing defines (`own`:
/// overrides of the same service do). Values of values are looked through in their own turn.
fn mentioned(
    cf: &MainCf,
    text: &str,
    own: &[(&str, &str)],
    made: &mut BTreeSet<String>,
    undefined: &mut Vec<String>,
) -> Result<(), ExpandError> {
    let found = RefCell::new((made, undefined));
    scan(text, &|name| {
        let mut found = found.borrow_mut();
        if own.iter().any(|(known, _)| *known == name) {
        } else if cf.settings().contains_key(name) {
            found.0.insert(name.to_owned());
        } else if params::find(name).is_none() {
            found.1.push(name.to_owned());
        }
        None
    })
}

/// The value of one of the table's own parameters is followed to its end, where it may nest without one.
fn followed(cf: &MainCf, name: &str, text: &str, own: &[(&str, &str)]) -> Result<(), ExpandError> {
    if params::find(name).is_none_or(|row| row.kind == Kind::Raw) {
        return Ok(());
    }
    let local = |name: &str| own.iter().find(|(known, _)| *known == name).map(|&(_, value)| value.to_owned());
    let value = |name: &str| local(name).or_else(|| cf.settings().get(name).map(|setting| setting.raw.clone()));
    match super::expand::expand(text, &value) {
        Err(fault @ ExpandError::Nesting(_)) => Err(fault),
        // Other faults were seen already.
        _ => Ok(()),
    }
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
    for item in MainCf::list(value) {
        let item = item.strip_prefix("proxy:").unwrap_or(&item);
        let Some((kind, table)) = item.split_once(':') else { continue };
        let Some((_, suffixes)) = DATABASES.iter().find(|(name, _)| *name == kind) else { continue };
        names.extend(
            suffixes.iter().map(|suffix| format!("{table}_{suffix}")).filter(|name| cf.settings().contains_key(name)),
        );
    }
    names
}
