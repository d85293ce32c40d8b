//! The answer of a directory: entries' values in the server's order, those of the entries that special attributes name
//! in their place. Bounded by the table's limits on nesting and on values.

use super::session::{Entry, Failure, NO_SUCH_OBJECT, Question, Session};
use super::{Found, Plan, Use};
use crate::table::query::{Answer, Query, TooMany, percent_decoded};
use crate::table::sql::NO_REASON;
use ldap3::Scope;

struct Search<'a> {
    session: &'a mut Session,
    plan: &'a Plan,
    query: &'a Query,
    key: &'a str,
    answer: Answer,
    warnings: Vec<String>,
    /// How the last search ended, if not well.
    trouble: Option<Failure>,
}

/// It is over: the last warning says why.
struct Stop;

pub fn find(session: &mut Session, plan: &Plan, query: &Query, key: &str, base: &str, filter: &str) -> Found {
    let wanted: Vec<String> = plan.attributes.iter().map(|(name, _)| name.clone()).collect();
    let mut warnings = Vec::new();
    let failed = |mut warnings: Vec<String>, words: String, last: &'static str| {
        warnings.push(words);
        Found { warnings, values: Err(last) }
    };
    let used = session.is_open();
    if let Err(refused) = session.connect() {
        return failed(warnings, refused.warning, refused.last);
    }
    let question = Question { base, scope: session.scope(), filter, attributes: &wanted };
    let mut entries = session.search(question);
    if used && entries.as_ref().is_err_and(|failure| failure.code == -1) {
        // Closed by the server since the last lookup.
        session.close();
        if let Err(refused) = session.connect() {
            return failed(warnings, refused.warning, refused.last);
        }
        entries = session.search(question);
    }
    let entries = match entries {
        Ok(entries) => entries,
        Err(Failure { code: NO_SUCH_OBJECT, words }) => {
            let name = &plan.name;
            let words = format!("dict_ldap_lookup: {name}: Search base '{base}' not found: {NO_SUCH_OBJECT}: {words}");
            return failed(warnings, words, NO_REASON);
        }
        Err(failure) => {
            session.close();
            let words = format!("dict_ldap_lookup: Search error {}: {} ", failure.code, failure.words);
            return failed(warnings, words, NO_REASON);
        }
    };
    let answer = Answer::default();
    let mut search = Search { session, plan, query, key, answer, warnings: Vec::new(), trouble: None };
    let ended = search.take(&entries, 1);
    let Search { answer, warnings: said, trouble, .. } = search;
    warnings.extend(said);
    match (ended, trouble) {
        (Err(Stop), _) => Found { warnings, values: Err(NO_REASON) },
        (Ok(()), Some(Failure { words, .. })) => {
            warnings.push(format!("dict_ldap_lookup: Had some trouble with entries returned by search: {words}"));
            Found { warnings, values: Ok(answer.value()) }
        }
        (Ok(()), None) => Found { warnings, values: Ok(answer.value()) },
    }
}

impl Search<'_> {
    /// Adds the values of entries, `level` searches deep.
    fn take(&mut self, entries: &[Entry], level: u32) -> Result<(), Stop> {
        entries.iter().try_for_each(|entry| self.entry(entry, level))
    }

    fn entry(&mut self, entry: &Entry, level: u32) -> Result<(), Stop> {
        let plan = self.plan;
        let used = |name: &str| {
            let named = |(attribute, _): &&(String, Use)| attribute.eq_ignore_ascii_case(name);
            plan.attributes.iter().find(named).map(|&(_, how)| how)
        };
        let has = |how: Use| entry.iter().any(|(name, values)| used(name) == Some(how) && !values.is_empty());
        let (terminal, branch) = (has(Use::Terminal), has(Use::Special));
        for (name, values) in entry {
            match used(name) {
                Some(Use::Terminal) => self.add(values, level)?,
                _ if terminal => {}
                Some(Use::Result) => self.add(values, level)?,
                Some(Use::Leaf) if !branch => self.add(values, level)?,
                Some(Use::Special) => {
                    values.iter().try_for_each(|value| self.follow(name, &String::from_utf8_lossy(value), level))?;
                }
                Some(Use::Leaf) | None => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, values: &[Vec<u8>], level: u32) -> Result<(), Stop> {
        for value in values {
            let value = String::from_utf8_lossy(value);
            if let Err(TooMany) = self.query.add(&mut self.answer, self.key, &value) {
                let (name, key) = (&self.plan.name, self.key);
                debug_assert!(self.plan.expansion_limit > 0);
                return self.stop(level, format!("{name}: Expansion limit exceeded for key: '{key}'"));
            }
        }
        Ok(())
    }

    fn stop(&mut self, level: u32, words: String) -> Result<(), Stop> {
        self.warnings.push(format!("dict_ldap_get_values[{level}]: {words}"));
        Err(Stop)
    }

    /// The entries that a special attribute names: one by its name, or those of a search by URL.
    fn follow(&mut self, attribute: &str, value: &str, level: u32) -> Result<(), Stop> {
        if level >= self.plan.recursion_limit {
            let name = &self.plan.name;
            let words = format!("{name}: Recursion limit exceeded for special attribute {attribute}={value}");
            return self.stop(level, words);
        }
        let all: Vec<String> = self.plan.attributes.iter().map(|(name, _)| name.clone()).collect();
        let found = match Url::parse(value) {
            Some(url) => {
                let wanted = url.wanted(&all);
                if wanted.is_empty() {
                    return Ok(());
                }
                let (base, scope, filter) = (url.base.as_str(), url.scope, url.filter.as_str());
                self.session.search(Question { base, scope, filter, attributes: &wanted })
            }
            None => {
                let (scope, filter) = (Scope::Base, "(objectclass=*)");
                self.session.search(Question { base: value, scope, filter, attributes: &all })
            }
        };
        match found {
            Ok(entries) => {
                self.trouble = None;
                self.take(&entries, level + 1)
            }
            Err(failure) if failure.code == NO_SUCH_OBJECT => {
                self.warnings.push(format!("dict_ldap_get_values[{level}]: DN {value} not found, skipping "));
                self.trouble = Some(failure);
                Ok(())
            }
            Err(failure) => self.stop(level, format!("search error {}: {} ", failure.code, failure.words)),
        }
    }
}

/// "ldap://host/base?attributes?scope?filter": the host is not asked, as in the reference; the table's server is.
#[derive(Debug)]
struct Url {
    base: String,
    attributes: Vec<String>,
    scope: Scope,
    filter: String,
}

impl Url {
    fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        if !["ldap", "ldaps", "ldapi"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return None;
        }
        let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut parts = path.split('?');
        let mut next = || String::from_utf8(percent_decoded(parts.next().unwrap_or_default())).ok();
        let (base, attributes, scope, filter) = (next()?, next()?, next()?, next()?);
        let scope = match scope.to_ascii_lowercase().as_str() {
            "sub" | "subtree" => Scope::Subtree,
            "one" | "onelevel" => Scope::OneLevel,
            _ => Scope::Base,
        };
        let attributes = attributes.split(',').filter(|name| !name.is_empty() && *name != "*").map(str::to_owned);
        let filter = if filter.is_empty() { "(objectClass=*)".to_owned() } else { filter };
        Some(Url { base, attributes: attributes.collect(), scope, filter })
    }

    /// The table's attributes that the URL names, with the sub-type that one of both may give.
    fn wanted(&self, all: &[String]) -> Vec<String> {
        if self.attributes.is_empty() {
            return all.to_vec();
        }
        let bare = |name: &str| name.split(';').next().unwrap_or_default().to_ascii_lowercase();
        let mut wanted = Vec::new();
        for named in &self.attributes {
            for own in all {
                if named.eq_ignore_ascii_case(own) || (bare(named) == bare(own) && !own.contains(';')) {
                    wanted.push(named.clone());
                } else if bare(named) == bare(own) && !named.contains(';') {
                    wanted.push(own.clone());
                }
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_by_url() {
        let url = Url::parse("ldap:///ou=a%20b,dc=x?mail,cn;lang-en?sub?(cn=two)").unwrap();
        assert_eq!((url.base.as_str(), url.filter.as_str()), ("ou=a b,dc=x", "(cn=two)"));
        assert_eq!(url.wanted(&["Mail".into(), "cn".into(), "uid".into()]), ["mail", "cn;lang-en"]);
        assert!(Url::parse("uid=x,dc=org").is_none() && Url::parse("http://x/").is_none());
    }
}
