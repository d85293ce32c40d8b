//! ldap:FILE (ldap_table(5)): a search in a directory for each key, and the values of some attributes of what is found;
//! attributes that name other entries are followed.

/// TLS and SASL, before the first search.
mod opening;
/// Other servers.
mod referral;
/// A connection, and searches.
mod session;
/// The values of entries, and of entries that they name.
mod values;

use super::open::{Opened, Options, Table, TableError, Value};
use super::query::{Parameters, Query};
use super::sql::NO_REASON;
use super::worker::Worker;
use crate::proto::tls::{Check, Terms};
use session::{Session, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

struct Ldap {
    table: String,
    query: Query,
    options: Options,
    plan: Arc<Plan>,
    worker: Worker<Session>,
}

/// What is read of entries.
struct Plan {
    /// The configuration file, as messages name it.
    name: String,
    /// For each attribute, how it is used; a name may be there only once.
    attributes: Vec<(String, Use)>,
    expansion_limit: u64,
    recursion_limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Result,
    /// Alone, where an entry has it.
    Terminal,
    /// Unless the entry names others.
    Leaf,
    /// Names other entries.
    Special,
}

/// What was said on the way, and the values or an error, whose last warning says why.
struct Found {
    warnings: Vec<String>,
    values: Result<Option<Vec<u8>>, &'static str>,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let parameters = Parameters::read(kind, name, options)?;
    let text = |name: &str, default: &str| parameters.text(name).unwrap_or(default).to_owned();
    let warn = |words: String| options.warn(format_args!("dict_ldap_open: {name}{words}"));
    let unserved = |words: &str| Err(parameters.fault(format!("{name}: {words}")));

    let version = match parameters.integer("version", 3, Some(0))? {
        version @ (2 | 3) => version,
        other => {
            warn(format!(" Unknown version {other}, using 3."));
            3
        }
    };
    if version == 2 {
        return unserved("version = 2: this program speaks version 3 of the protocol only");
    }
    let scope = match text("scope", "sub").to_ascii_lowercase().as_str() {
        "sub" => ldap3::Scope::Subtree,
        "base" => ldap3::Scope::Base,
        "one" => ldap3::Scope::OneLevel,
        other => {
            warn(format!(": Unrecognized value {other} specified for scope; using sub"));
            ldap3::Scope::Subtree
        }
    };
    let seconds = parameters.integer("timeout", 10, Some(0))?;
    let dereference = match parameters.integer("dereference", 0, Some(0))? {
        0 => ldap3::DerefAliases::Never,
        1 => ldap3::DerefAliases::Searching,
        2 => ldap3::DerefAliases::Finding,
        3 => ldap3::DerefAliases::Always,
        other => {
            warn(format!(" Unrecognized value {other} specified for dereference; using 0"));
            ldap3::DerefAliases::Never
        }
    };
    let servers = servers(&text("server_host", "localhost"), parameters.integer("server_port", 389, Some(0))?);
    let (simple, sasl) = match text("bind", "yes").to_ascii_lowercase().as_str() {
        "yes" | "simple" => (true, false),
        "no" | "none" => (false, false),
        "sasl" => (false, true),
        _ => return unserved(&format!("unsupported parameter value: bind = {}", text("bind", ""))),
    };
    let mechanisms = text("sasl_mechs", "");
    let mut known = mechanisms.split_ascii_whitespace().map(|mechanism| mechanism.eq_ignore_ascii_case("EXTERNAL"));
    if sasl && !mechanisms.trim().is_empty() && !known.any(|known| known) {
        return unserved(&format!("sasl_mechs = {mechanisms}: this program knows the mechanism EXTERNAL only"));
    }
    let external = opening::External {
        authorization: text("sasl_authz_id", ""),
        least_strength: parameters.integer("sasl_minssf", 0, Some(0))?,
    };
    let start_tls = parameters.boolean("start_tls", false)?;
    if start_tls && servers.iter().any(|url| url.to_ascii_lowercase().starts_with("ldaps:")) {
        return unserved("start_tls = yes: connections to ldaps: servers are encrypted from the first byte on");
    }
    for ignored in ["cache", "cache_expiry", "cache_size"] {
        if parameters.text(ignored).is_some() {
            warn(format!(" ignoring {ignored}"));
        }
    }
    let attributes = attributes(&parameters);
    let filter = text("query_filter", "mailacceptinggeneralid=%s");
    let format = parameters.text("result_format").or(parameters.text("result_filter")).unwrap_or("%s");
    let query = Query::of_directory(&parameters, options, &text("search_base", ""), &filter, format)?;
    let plan = Plan {
        name: name.to_owned(),
        attributes,
        expansion_limit: query.limit,
        recursion_limit: parameters.integer("recursion_limit", 1000, Some(1))?.unsigned_abs(),
    };
    let expansion = i32::try_from(query.limit).unwrap_or(0);
    let settings = Settings {
        servers,
        external: sasl.then_some(external),
        start_tls,
        tls: terms(&parameters)?,
        referrals: parameters.boolean("chase_referrals", false)?,
        bind: simple.then(|| (text("bind_dn", ""), text("bind_pw", ""))),
        patience: Duration::from_secs(match seconds {
            // No limit in the reference; nobody waits for more than a day.
            0 => 24 * 3600,
            seconds => u64::from(seconds.unsigned_abs()),
        }),
        scope,
        dereference,
        size_limit: parameters.integer("size_limit", expansion, Some(0))?,
    };
    let worker = Worker::new(move || Session::new(settings.clone()));
    Ok(Box::new(Ldap {
        table: format!("{kind}:{name}"),
        query,
        options: options.clone(),
        plan: Arc::new(plan),
        worker,
    }))
}

/// A file of authorities goes before a directory. tls_random_file and tls_cipher_suite have no effect: the system's
/// random numbers and the library's ciphers are as good as any.
fn terms(parameters: &Parameters) -> Result<Terms, TableError> {
    let file = |name: &str| parameters.text(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let authorities = file("tls_ca_cert_file");
    let authorities_directory = if authorities.is_some() { None } else { file("tls_ca_cert_dir") };
    let check = if parameters.boolean("tls_require_cert", false)? { Check::Name } else { Check::Nothing };
    let identity = match (file("tls_cert"), file("tls_key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(parameters.fault(format!("{}: tls_cert and tls_key need each other", parameters.name()))),
    };
    Ok(Terms { check, alias: None, authorities, authorities_directory, identity })
}

/// The servers as URLs.
fn servers(list: &str, port: i32) -> Vec<String> {
    let words = list.split([' ', '\t', '\n', '\r', ',']).filter(|word| !word.is_empty());
    words
        .map(|word| match word {
            url if url.contains("://") => url.to_owned(),
            host if host.contains(':') => format!("ldap://{host}"),
            host => format!("ldap://{host}:{port}"),
        })
        .collect()
}

fn attributes(parameters: &Parameters) -> Vec<(String, Use)> {
    let lists = [
        ("result_attribute", "maildrop", Use::Result),
        ("terminal_result_attribute", "", Use::Terminal),
        ("leaf_result_attribute", "", Use::Leaf),
        ("special_result_attribute", "", Use::Special),
    ];
    let mut attributes: Vec<(String, Use)> = Vec::new();
    for (name, default, how) in lists {
        let list = parameters.text(name).unwrap_or(default);
        for attribute in list.split([' ', '\t', '\n', '\r', ',']).filter(|word| !word.is_empty()) {
            if !attributes.iter().any(|(known, _)| known.eq_ignore_ascii_case(attribute)) {
                attributes.push((attribute.to_owned(), how));
            }
        }
    }
    attributes
}

/// A text in a filter (RFC 2254).
fn filter_quote(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '*' | '(' | ')' | '\\' | '\0' => quoted.push_str(&format!("\\{:02x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted
}

/// A text in a distinguished name (RFC 2253).
fn name_quote(text: &str) -> String {
    let mut quoted = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=')
            || (c == '#' && at == 0)
            || (c == ' ' && (at == 0 || at == last))
        {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

impl Table for Ldap {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let folded = self.options.folded(key);
        // The protocol's texts are UTF-8.
        let Ok(key) = std::str::from_utf8(&folded) else { return Ok(None) };
        let Some(filter) = self.query.ask(key, &filter_quote)? else { return Ok(None) };
        let Some(base) = self.query.base(key, &name_quote) else { return Ok(None) };
        let (plan, query, owned) = (Arc::clone(&self.plan), self.query.result_only(), key.to_owned());
        let found = self.worker.ask(move |session| values::find(session, &plan, &query, &owned, &base, &filter));
        let Some(Found { mut warnings, values }) = found else {
            return Err(TableError::query(&self.table, NO_REASON));
        };
        let reason = if values.is_err() { warnings.pop() } else { None };
        warnings.iter().for_each(|warning| self.options.warn(warning));
        values.map_err(|last| match reason {
            Some(words) => self.options.failed(&self.table, words, last),
            None => TableError::query(&self.table, last),
        })
    }

    fn is_remote(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_filters_and_names() {
        assert_eq!(filter_quote("a*(b)\\é"), "a\\2a\\28b\\29\\5cé");
        assert_eq!(name_quote(" #a,b=c "), "\\ #a\\,b\\=c\\ ");
        assert_eq!(name_quote("#x y"), "\\#x y");
    }

    #[test]
    fn servers_as_they_are_written() {
        assert_eq!(servers("a, b:7 ldapi://%2Fx", 9), ["ldap://a:9", "ldap://b:7", "ldapi://%2Fx"]);
    }
}
