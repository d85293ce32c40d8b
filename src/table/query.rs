//! What the database tables (sqlite and its like) have in common: their parameters, read from a file of their own in
//! main.cf's format or from main.cf as NAME_parameter; the query made of a key, and the answer made of the values
//! (sqlite_table(5), mysql_table(5) and others).

use super::matchlist::{Flavour, MatchList};
use super::open::{Options, TableError};
use crate::conf::main_cf::{self, MainCf, Missing, logical_lines, split_assignment};
use crate::sys::files::reason;
use std::collections::HashMap;

/// The parameters of one table.
pub struct Parameters {
    table: String,
    /// The file, or the name before the underscore.
    name: String,
    values: HashMap<String, String>,
    /// What stands before each name: "NAME_" for those from main.cf.
    prefix: String,
}

impl Parameters {
    pub fn read(kind: &str, name: &str, options: &Options) -> Result<Parameters, TableError> {
        let table = format!("{kind}:{name}");
        if !name.starts_with(['/', '.']) {
            let cf = MainCf::read(&main_cf::directory(options.directory.as_deref()))
                .map_err(|error| TableError::new(&table, error.to_string()))?;
            let prefix = format!("{name}_");
            let own = cf.settings().keys().filter_map(|key| Some((key, key.strip_prefix(&prefix)?.to_owned())));
            let values = own.filter_map(|(key, short)| Some((short, cf.text(key).ok()?))).collect();
            return Ok(Parameters { table, name: name.to_owned(), values, prefix });
        }
        let bytes =
            std::fs::read(name).map_err(|error| TableError::new(&table, format!("open {name}: {}", reason(&error))))?;
        let mut values = HashMap::new();
        for (line, logical) in logical_lines(&String::from_utf8_lossy(&bytes)) {
            let (key, value) = split_assignment(&logical).map_err(|missing| {
                let what = match missing {
                    Missing::Equals => "missing '=' after attribute name",
                    Missing::Name => "missing attribute name",
                };
                TableError::new(&table, format!("{name}, line {line}: {what}: \"{logical}\""))
            })?;
            if let Some(earlier) = values.insert(key.to_owned(), value.to_owned()) {
                options.warn(format_args!("{name}, line {line}: overriding earlier entry: {key}={earlier}"));
            }
        }
        Ok(Parameters { table, name: name.to_owned(), values, prefix: String::new() })
    }

    pub fn fault(&self, text: impl Into<String>) -> TableError {
        TableError::new(&self.table, text)
    }

    /// What messages call the table's configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, TableError> {
        self.text(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let own = format!("bad string length 0 < 1: {}{name} = ", self.prefix);
            self.fault(if self.prefix.is_empty() { format!("{}: {own}", self.name) } else { own })
        })
    }

    /// The query of Postfix before 2.2, made of its parts.
    pub fn legacy_query(&self) -> Result<String, TableError> {
        let table = self.required("table")?;
        let (field, column) = (self.required("select_field")?, self.required("where_field")?);
        let more = self.text("additional_conditions").unwrap_or_default();
        Ok(format!("SELECT {field} FROM {table} WHERE {column} = '%s' {more}"))
    }

    /// A whole number, of at least `least`.
    pub fn integer(&self, name: &str, default: i32, least: Option<i32>) -> Result<i32, TableError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let shown = format!("{}{name}", self.prefix);
        let file = if self.prefix.is_empty() { format!("{}: ", self.name) } else { String::new() };
        let value: i32 =
            text.parse().map_err(|_| self.fault(format!("{file}bad numerical configuration: {shown} = {text}")))?;
        match least {
            Some(least) if value < least => {
                Err(self.fault(format!("{file}invalid {shown} parameter value {value} < {least}")))
            }
            _ => Ok(value),
        }
    }

    /// yes or no.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, TableError> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(_) => {
                let text = self.text(name).unwrap_or_default();
                let file = if self.prefix.is_empty() { format!("{}: ", self.name) } else { String::new() };
                Err(self.fault(format!("{file}bad boolean configuration: {}{name} = {text}", self.prefix)))
            }
        }
    }
}

/// The query, the form of the answer, and for which keys they are made.
pub struct Query {
    query: Template,
    result: Template,
    /// Where a directory is searched.
    base: Option<Template>,
    domains: Option<MatchList>,
    /// Most values of an answer; 0: no limit.
    pub limit: u64,
}

impl Query {
    /// `default_query` is made of the old parameters where there is no `query`.
    pub fn new(
        parameters: &Parameters,
        options: &Options,
        default_query: impl FnOnce() -> Result<String, TableError>,
    ) -> Result<Query, TableError> {
        let template = |what: &str, text: &str| {
            Template::parse(text).ok_or_else(|| {
                parameters.fault(format!("db_common_parse: {}: Invalid {what} template: {text}", parameters.name()))
            })
        };
        let query = match parameters.text("query").filter(|text| !text.is_empty()) {
            Some(text) => template("query", text)?,
            None => template("query", &default_query()?)?,
        };
        let result = template("result", parameters.text("result_format").unwrap_or("%s"))?;
        let limit = u64::try_from(parameters.integer("expansion_limit", 0, None)?).unwrap_or(0);
        Ok(Query { query, result, base: None, domains: domains(parameters, options), limit })
    }

    /// Only the form of keys.
    pub fn keys(parameters: &Parameters, options: &Options, format: &str) -> Result<Query, TableError> {
        let bad =
            || parameters.fault(format!("db_common_parse: {}: Invalid query template: {format}", parameters.name()));
        let query = Template::parse(format).ok_or_else(bad)?;
        Ok(Query { query, result: Template(Vec::new()), base: None, domains: domains(parameters, options), limit: 0 })
    }

    /// A directory's search: where, and for what.
    pub fn of_directory(
        parameters: &Parameters,
        options: &Options,
        base: &str,
        filter: &str,
        result: &str,
    ) -> Result<Query, TableError> {
        let template = |what: &str, text: &str| {
            Template::parse(text).ok_or_else(|| {
                parameters.fault(format!("db_common_parse: {}: Invalid {what} template: {text}", parameters.name()))
            })
        };
        let limit = u64::try_from(parameters.integer("expansion_limit", 0, Some(0))?).unwrap_or(0);
        let (query, base) = (template("query", filter)?, Some(template("query", base)?));
        Ok(Query { query, result: template("result", result)?, base, domains: domains(parameters, options), limit })
    }

    /// Where a directory is searched for a key; None: nowhere.
    pub fn base(&self, key: &str, quote: &dyn Fn(&str) -> String) -> Option<String> {
        self.base.as_ref()?.expand(key, None, quote)
    }

    /// Only what makes answers, for another thread.
    pub fn result_only(&self) -> Query {
        Query { query: Template(Vec::new()), result: self.result.clone(), base: None, domains: None, limit: self.limit }
    }

    /// The query for a key; None: the database is not asked, and the table does not have the key.
    pub fn ask(&self, key: &str, quote: &dyn Fn(&str) -> String) -> Result<Option<String>, TableError> {
        if let Some(domains) = &self.domains {
            match key.rsplit_once('@') {
                Some((user, domain)) if !user.is_empty() && domains.contains(domain)? => {}
                _ => return Ok(None),
            }
        }
        // A key that lacks what the answer will need of it is not asked for.
        if !self.result.has_all_of(key) {
            return Ok(None);
        }
        Ok(self.query.expand(key, None, quote))
    }

    /// Adds a value to the answer; a value that lacks what the format names is passed over. Err: there are too many.
    pub fn add(&self, answer: &mut Answer, key: &str, value: &str) -> Result<(), TooMany> {
        let Some(text) = (!value.is_empty()).then(|| self.result.expand(key, Some(value), &str::to_owned)).flatten()
        else {
            return Ok(());
        };
        if answer.count > 0 {
            answer.text.push(',');
        }
        answer.count += 1;
        answer.text.push_str(&text);
        if self.limit > 0 && answer.count > self.limit { Err(TooMany) } else { Ok(()) }
    }
}

fn domains(parameters: &Parameters, options: &Options) -> Option<MatchList> {
    let list = parameters.text("domain").filter(|text| !text.is_empty())?;
    Some(MatchList::parse("domain", list, Flavour::Strings, options))
}

/// More values than expansion_limit allows.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

/// The values that were found, joined by commas.
#[derive(Debug, Default)]
pub struct Answer {
    text: String,
    count: u64,
}

impl Answer {
    /// None when nothing was found. An answer may be the empty text; whoever asked tells of that.
    pub fn value(self) -> Option<Vec<u8>> {
        (self.count > 0).then(|| self.text.into_bytes())
    }
}

/// Text with %s, %u, %d, %S, %U, %D, %1 to %9 and %%.
#[derive(Clone)]
struct Template(Vec<Part>);

#[derive(Clone)]
enum Part {
    Text(String),
    /// s, u or d; `upper`: of the key, also in an answer.
    Letter {
        letter: char,
        upper: bool,
    },
    /// A label of the key's domain, 1 being the last.
    Label(usize),
}

impl Template {
    fn parse(text: &str) -> Option<Template> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                plain.push(c);
                continue;
            }
            let part = match rest.next()? {
                '%' => {
                    plain.push('%');
                    continue;
                }
                letter @ ('s' | 'u' | 'd' | 'S' | 'U' | 'D') => {
                    Part::Letter { letter: letter.to_ascii_lowercase(), upper: letter.is_ascii_uppercase() }
                }
                digit @ '1'..='9' => Part::Label(digit as usize - '0' as usize),
                _ => return None,
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Some(Template(parts))
    }

    /// Whether the key has the parts of it that an answer names.
    fn has_all_of(&self, key: &str) -> bool {
        let of_key = |part: &&Part| matches!(part, Part::Label(_) | Part::Letter { upper: true, .. });
        let expands = |part: &Part| match part {
            Part::Label(number) => key
                .rsplit_once('@')
                .is_some_and(|(_, domain)| domain.rsplit('.').nth(number - 1).is_some_and(|l| !l.is_empty())),
            Part::Letter { letter: 'd', .. } => key.rsplit_once('@').is_some_and(|(_, domain)| !domain.is_empty()),
            Part::Letter { letter: 'u', .. } => key.rsplit_once('@').is_none_or(|(user, _)| !user.is_empty()),
            _ => true,
        };
        self.0.iter().filter(of_key).all(expands)
    }

    /// None when key or value lack a part that is named.
    fn expand(&self, key: &str, value: Option<&str>, quote: &dyn Fn(&str) -> String) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Letter { letter, upper } => {
                    let subject = value.filter(|_| !upper).unwrap_or(key);
                    let address = subject.rsplit_once('@');
                    let text = match (letter, address) {
                        ('u', Some((user, _))) => Some(user).filter(|user| !user.is_empty())?,
                        ('d', Some((_, domain))) => Some(domain).filter(|domain| !domain.is_empty())?,
                        ('d', None) => return None,
                        _ => subject,
                    };
                    out.push_str(&quote(text));
                }
                Part::Label(number) => {
                    let (_, domain) = key.rsplit_once('@')?;
                    let label = domain.rsplit('.').nth(number - 1).filter(|label| !label.is_empty())?;
                    out.push_str(&quote(label));
                }
            }
        }
        Some(out)
    }
}

/// A part of a URL without its "%20".
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, key: &str, value: Option<&str>) -> Option<String> {
        Template::parse(template).unwrap().expand(key, value, &|text| text.replace('\'', "''"))
    }

    /// Recorded from Postfix 3.7.11.
    #[test]
    fn keys_and_values_go_into_templates() {
        assert_eq!(expand("'%s' %u %d %%", "o'b@x.org", None).unwrap(), "'o''b@x.org' o''b x.org %");
        assert_eq!(expand("%u", "user", None).unwrap(), "user");
        assert_eq!(expand("%d", "user", None), None);
        assert_eq!(expand("%u", "@x.org", None), None);
        assert_eq!(expand("%2.%1", "@x.org", None).unwrap(), "x.org");
        assert_eq!(expand("%3", "u@x.org", None), None);
        assert_eq!(expand("%u|%d|%s|%S", "big", Some("u@d.com")).unwrap(), "u|d.com|u@d.com|big");
        assert!(Template::parse("%z").is_none() && Template::parse("x%").is_none());
    }
}
