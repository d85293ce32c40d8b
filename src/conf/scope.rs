//! Which names mean something: the table's, those that services of master.cf bring (transport parameters), those that
//! the administrator made and that some value uses, restriction classes, and the parameters of database tables. What
//! is set and means nothing is unused: a mistake, most often of spelling.

use super::computed::DERIVED_SUFFIXES;
use super::expand::{ExpandError, scan};
use super::hash_order;
use super::main_cf::{MainCf, Setting};
use super::master_text::{Entry, within_braces, words};
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
    /// An old name that defaults still mention: never listed unless it is set.
    Legacy,
}

/// Every known name.
#[derive(Debug, Default)]
pub struct Scope {
    /// By name: its class and its default text (before expansion).
    pub names: BTreeMap<String, (Class, String)>,
    /// For each service, the administrator's names that mean something in it alone.
    own_names: Vec<BTreeSet<String>>,
    /// Names that overrides of master.cf, and then values of main.cf, mention and nothing defines, one for each mention.
    pub undefined_main: Vec<String>,
    pub undefined_master: Vec<String>,
    /// Braces that do not fit in values that may name tables; the words are the reference's.
    pub misshapen: Vec<String>,
    /// Tables with a client configuration file of their own that values name: type and file, each once.
    pub clients: Vec<(&'static str, String)>,
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
/// Names of older releases that the defaults of others mention.
const LEGACY: &[&str] = &[
    "authorized_verp_clients",
    "fallback_relay",
    "lmtp_per_record_deadline",
    "postscreen_blacklist_action",
    "postscreen_dnsbl_ttl",
    "postscreen_dnsbl_whitelist_threshold",
    "postscreen_whitelist_interfaces",
    "smtp_per_record_deadline",
    "smtpd_client_connection_limit_exceptions",
    "smtpd_per_record_deadline",
    "tlsproxy_client_level",
    "tlsproxy_client_policy",
    "virtual_maps",
];
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
        scope.names.extend(LEGACY.iter().map(|name| ((*name).to_owned(), (Class::Legacy, String::new()))));
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
        let set = |name: &str| cf.settings().get(name).map(|setting| setting.raw.clone());
        scope.unreadable = FIRST
            .iter()
            .filter(|(_, instead)| set(instead).is_none())
            .find_map(|(name, _)| super::expand::expand(&set(name)?, &set).err());
        let owns: Vec<Vec<(&str, &str)>> = services
            .iter()
            .map(|service| service.settings().into_iter().filter(|(name, _)| !READ_ONLY.contains(name)).collect())
            .collect();
        let keys: Vec<String> = services.iter().map(Entry::key).collect();
        scope.own_names = vec![BTreeSet::new(); services.len()];
        let classes = MainCf::list(&cf.text(CLASSES).unwrap_or_default());
        for (at, own) in owns.iter().enumerate() {
            let local = |name: &str| own.iter().find(|(known, _)| *known == name).map(|&(_, value)| value.to_owned());
            let own_classes = local(CLASSES).and_then(|value| super::expand::expand(&value, &local).ok());
            let mut finder = Finder { cf, owns: &owns, service: Some(at), keys: &keys, scope: &mut scope };
            MainCf::list(&own_classes.unwrap_or_default()).iter().for_each(|class| finder.mention(class, true));
            finder.scope.own_names[at]
                .extend(own.iter().map(|(name, _)| (*name).to_owned()).filter(|name| classes.contains(name)));
            own.iter().for_each(|(name, value)| finder.value(name, value));
        }
        let mut finder = Finder { cf, owns: &owns, service: None, keys: &keys, scope: &mut scope };
        // Defaults mention old names that mean something when they are set.
        for row in PARAMS.iter().filter(|row| row.kind != Kind::Raw && !cf.settings().contains_key(row.name)) {
            let _ = finder.mentions(row.default);
        }
        finder.scope.undefined_main.clear();
        classes.iter().for_each(|class| finder.mention(class, true));
        let mut settings: Vec<(&String, &super::main_cf::Setting)> = cf.settings().iter().collect();
        settings.sort_by_key(|(_, setting)| setting.line);
        for (name, setting) in settings.iter().filter(|(name, _)| !READ_ONLY.contains(&name.as_str())) {
            if let Some(entry) = finder.scope.names.get_mut(*name).filter(|(class, _)| *class == Class::Legacy) {
                entry.0 = Class::User;
            }
            finder.value(name, &setting.raw);
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
        let unused = |&(name, _): &(&str, &Setting)| !self.names.contains_key(name);
        // Its own directory is what the reference sets before all others.
        in_order(cf, Some("config_directory")).into_iter().filter(unused).map(|(name, set)| (name, set.raw.as_str()))
    }

    /// Overrides of master.cf that mean nothing.
    pub fn unused_master<'a>(&'a self, services: &'a [Entry]) -> Vec<(&'a str, &'a str)> {
        let mut unused = Vec::new();
        for (at, service) in services.iter().enumerate() {
            let own = self.own_names.get(at);
            let mut settings = service.settings();
            if let Some(order) = hash_order::walk(settings.iter().map(|(name, _)| name.as_bytes())) {
                settings = order.iter().filter_map(|&at| settings.get(at).copied()).collect();
            }
            unused.extend(settings.into_iter().filter(|(name, _)| {
                !READ_ONLY.contains(name)
                    && !self.names.contains_key(*name)
                    && !own.is_some_and(|own| own.contains(*name))
            }));
        }
        unused
    }
}

/// What a file sets in the order of the reference's walk, with `first` set before all else; by name if any will do.
pub fn in_order<'a>(cf: &'a MainCf, first: Option<&'a str>) -> Vec<(&'a str, &'a Setting)> {
    let mut all: Vec<_> = cf.settings().iter().map(|(name, set)| (name.as_str(), set)).collect();
    all.sort_by_key(|&(name, set)| (set.line, name));
    let mut keys: Vec<&str> = first.into_iter().collect();
    keys.extend(all.iter().map(|&(name, _)| name).filter(|&name| first != Some(name)));
    match hash_order::walk(keys.iter().map(|key| key.as_bytes())) {
        Some(order) => order
            .iter()
            .filter_map(|&at| keys.get(at).and_then(|&key| cf.settings().get(key).map(|set| (key, set))))
            .collect(),
        None => {
            all.sort_by_key(|&(name, _)| name);
            all
        }
    }
}

/// The parameter that names restriction classes.
const CLASSES: &str = "smtpd_restriction_classes";

/// Braces in braces that are looked into: without an end, a value of nothing but braces would cost its length squared.
const DEEPEST: usize = 100;

/// Looks through values for names that they make mean something.
struct Finder<'a> {
    cf: &'a MainCf,
    /// The overrides of each service.
    owns: &'a [Vec<(&'a str, &'a str)>],
    /// Whose override is looked at; None: a value of main.cf.
    service: Option<usize>,
    /// "name/type" of each service.
    keys: &'a [String],
    scope: &'a mut Scope,
}

impl Finder<'_> {
    fn value(&mut self, name: &str, text: &str) {
        if params::find(name).is_some_and(|row| row.kind == Kind::Raw) {
            return;
        }
        let seen = self.mentions(text);
        // Tables are looked for in what the values of known parameters come to.
        let known =
            self.scope.names.get(name).is_some_and(|(class, _)| matches!(class, Class::Builtin | Class::Service));
        let own = self.service.map_or(&[][..], |at| &self.owns[at]);
        let local = |name: &str| own.iter().find(|(known, _)| *known == name).map(|&(_, value)| value.to_owned());
        let come_to = match known {
            true => super::expand::expand(text, &|name| local(name).or_else(|| self.cf.raw(name))).map(Some),
            false => Ok(None),
        };
        let (text, failed) = match come_to {
            Ok(text) => (text, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.scope.note(seen, failed);
        if let Some(text) = text {
            self.tables(&text, 0);
        }
    }

    /// Every name that stands in the text; values of values are looked through in their own turn.
    fn mentions(&mut self, text: &str) -> Result<(), ExpandError> {
        let names = RefCell::new(Vec::new());
        let seen = scan(text, &|name| {
            names.borrow_mut().push(name.to_owned());
            None
        });
        names.into_inner().iter().for_each(|name| self.mention(name, true));
        seen
    }

    /// A name means something where it is set: in the service whose override mentions it, else in main.cf; for a value
    /// of main.cf, in every service that sets it. `wanted`: it is a fault if it is nowhere.
    fn mention(&mut self, name: &str, wanted: bool) {
        let mut set = false;
        let sets = |at: usize| self.owns[at].iter().any(|(known, _)| *known == name);
        if let Some(at) = self.service.filter(|at| sets(*at)) {
            self.scope.own_names[at].insert(name.to_owned());
            set = true;
        } else if self.cf.settings().contains_key(name) {
            self.scope.names.entry(name.to_owned()).or_insert((Class::User, String::new()));
            set = true;
        }
        if self.service.is_none() {
            for at in (0..self.owns.len()).filter(|at| sets(*at)) {
                self.scope.own_names[at].insert(name.to_owned());
                set = true;
            }
        }
        let known = READ_ONLY.contains(&name) || self.scope.names.contains_key(name) || params::find(name).is_some();
        if wanted && !set && !known {
            match self.service {
                Some(_) => self.scope.undefined_master.push(name.to_owned()),
                None => self.scope.undefined_main.push(name.to_owned()),
            }
        }
    }

    /// The words "type:name" of a text, also within braces, make the parameters of that table known.
    fn tables(&mut self, text: &str, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let place = match self.service {
            Some(at) => format!("master.cf:{}", self.keys[at]),
            None => "main.cf".to_owned(),
        };
        for word in words(text, &[',', ' ', '\t', '\r', '\n']) {
            if word.starts_with('{') {
                let inner = self.within(word, &place);
                self.tables(&inner, depth + 1);
                continue;
            }
            let Some((kind, name)) = word.trim_start_matches("proxy:").split_once(':') else { continue };
            if name.starts_with('{') {
                let inner = self.within(name, &place);
                self.tables(&inner, depth + 1);
                continue;
            }
            let Some((kind, suffixes)) = DATABASES.iter().find(|(known, _)| *known == kind) else { continue };
            if name.starts_with('/') {
                let client = (*kind, name.to_owned());
                if !self.scope.clients.contains(&client) {
                    self.scope.clients.push(client);
                }
            } else if !name.starts_with('.') {
                suffixes.iter().for_each(|suffix| self.mention(&format!("{name}_{suffix}"), false));
            }
        }
    }

    fn within(&mut self, word: &str, place: &str) -> String {
        within_braces(word, &mut |text| self.scope.misshapen.push(format!("{place}: {text}"))).to_owned()
    }
}

/// Whether a client configuration file of a table may set `name`.
pub fn is_client_parameter(kind: &str, name: &str) -> bool {
    DATABASES.iter().any(|(known, suffixes)| *known == kind && suffixes.contains(&name))
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
            "charset",
            "dbname",
            "domain",
            "expansion_limit",
            "hosts",
            "idle_interval",
            "option_file",
            "option_group",
            "password",
            "query",
            "require_result_set",
            "result_format",
            "retry_interval",
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
            "idle_interval",
            "password",
            "query",
            "result_format",
            "retry_interval",
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
            "domain",
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
