//! [`Maps`]: a list of tables as main.cf writes it ("hash:/a, regexp:/b"), searched in order, and the ways in which an
//! address is looked up in one (canonical(5), virtual(5), transport(5) and others: full, without extension, the local
//! part of a local domain, "@domain").

use super::memory::split_items;
use super::open::{Options, TableError, Value};
use super::slot::Slot;
use crate::message::envelope;

/// Tables that are searched in order. One that cannot be opened answers every lookup that reaches it with its error,
/// until it can.
pub struct Maps {
    title: String,
    tables: Vec<Slot>,
}

/// Which tables a key may be asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    All,
    /// Not regexp, cidr and their like: the key is a part of an address.
    Fixed,
}

/// An answer for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMatch {
    pub value: Value,
    /// The extension (with its delimiter) that was taken off to find it: it belongs to the answer's local part if
    /// propagate_unmatched_extensions says so.
    pub extension: Option<Vec<u8>>,
}

/// The end of the reason when a table has a key and nothing for it.
pub const EMPTY_RESULT: &str = "returns an empty string result";

impl Maps {
    /// `title` is the parameter's name, for messages; `list` its expanded value.
    pub fn open(title: &str, list: &str, options: &Options) -> Maps {
        let tables = split_items(list).into_iter().map(|spec| Slot::new(&spec, options));
        Maps { title: title.to_owned(), tables: tables.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// The tables that could not be opened, with the reason, for a warning at start.
    pub fn unavailable(&self) -> impl Iterator<Item = (&str, TableError)> {
        self.tables.iter().filter_map(|slot| slot.get().err().map(|error| (slot.spec(), error)))
    }

    /// The value of a key in the first table that has it. An empty key is in no table; an empty value is a fault of
    /// the table, as in the reference.
    pub fn find(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        self.find_in(key, Tables::All)
    }

    /// [`Maps::find`] for text; bytes of an answer that are no UTF-8 become replacement characters.
    pub fn find_text(&self, key: &str) -> Result<Option<String>, TableError> {
        Ok(self.find(key.as_bytes())?.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    pub fn find_in(&self, key: &[u8], which: Tables) -> Result<Option<Value>, TableError> {
        if key.is_empty() {
            return Ok(None);
        }
        for slot in &self.tables {
            let table = slot.get()?;
            if which == Tables::Fixed && table.is_pattern() {
                continue;
            }
            match table.lookup(key)? {
                None => {}
                Some(value) if value.is_empty() => {
                    let key = String::from_utf8_lossy(key);
                    return Err(TableError::new(slot.spec(), format!("{} lookup of {key} {EMPTY_RESULT}", self.title)));
                }
                Some(value) => return Ok(Some(value)),
            }
        }
        Ok(None)
    }

    /// Looks an address up in all its forms: the address, without extension, the local part with and without
    /// extension if `is_local` says so of its domain, "@domain". `delimiters` is recipient_delimiter.
    pub fn find_address(
        &self,
        address: &[u8],
        delimiters: &[u8],
        is_local: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<AddressMatch>, TableError> {
        if let Some(value) = self.find(address)? {
            return Ok(Some(AddressMatch { value, extension: None }));
        }
        let (local, domain) = match memchr::memrchr(b'@', address) {
            Some(at) => (&address[..at], Some(&address[at + 1..])),
            None => (address, None),
        };
        let split = envelope::split_extension_bytes(local, delimiters);
        let without = |user: &[u8]| match domain {
            Some(domain) => [user, b"@", domain].concat(),
            None => user.to_owned(),
        };
        if let Some((user, extension)) = split
            && let Some(value) = self.find_in(&without(user), Tables::Fixed)?
        {
            return Ok(Some(AddressMatch { value, extension: Some(extension.to_owned()) }));
        }
        let Some(domain) = domain else { return Ok(None) };
        if is_local(domain) {
            if let Some(value) = self.find_in(local, Tables::Fixed)? {
                return Ok(Some(AddressMatch { value, extension: None }));
            }
            if let Some((user, extension)) = split
                && let Some(value) = self.find_in(user, Tables::Fixed)?
            {
                return Ok(Some(AddressMatch { value, extension: Some(extension.to_owned()) }));
            }
        }
        let value = self.find_in(&[b"@", domain].concat(), Tables::Fixed)?;
        Ok(value.map(|value| AddressMatch { value, extension: None }))
    }

    /// Looks a domain up: the name, then each parent as "parent" (`dotless`, parent_domain_matches_subdomains) or
    /// ".parent".
    pub fn find_domain(&self, domain: &[u8], dotless: bool) -> Result<Option<Value>, TableError> {
        let mut name = domain;
        loop {
            let which = if name.len() == domain.len() { Tables::All } else { Tables::Fixed };
            if let Some(value) = self.find_in(name, which)? {
                return Ok(Some(value));
            }
            match memchr::memchr(b'.', name.get(1..).unwrap_or_default()) {
                Some(at) => name = &name[at + 1 + usize::from(dotless)..],
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_up_in_its_forms() {
        let list = "inline:{ {u@d = full}, {v@d = noext}, {w = local}, {@e = domain} }";
        let maps = Maps::open("virtual_alias_maps", list, &Options::default());
        let find = |address: &str| {
            let found = maps.find_address(address.as_bytes(), b"+", &|domain| domain == b"l").unwrap()?;
            Some((String::from_utf8(found.value).unwrap(), found.extension.map(|e| String::from_utf8(e).unwrap())))
        };
        assert_eq!(find("u@d"), Some(("full".into(), None)));
        assert_eq!(find("V+x@D"), Some(("noext".into(), Some("+x".into()))));
        assert_eq!(find("w+x@l"), Some(("local".into(), Some("+x".into()))));
        assert_eq!(find("w@d"), None);
        assert_eq!(find("any@e"), Some(("domain".into(), None)));
    }

    #[test]
    fn an_unavailable_table_is_not_an_empty_one() {
        let maps = Maps::open("alias_maps", "inline:{a=b}, hash:/proc/nowhere/at/all", &Options::default());
        assert_eq!(maps.find(b"a").unwrap(), Some(b"b".to_vec()));
        assert_eq!(
            maps.find(b"c").unwrap_err().to_string(),
            "open database /proc/nowhere/at/all.db: No such file or directory"
        );
    }

    #[test]
    fn system_addresses_are_not_split() {
        assert_eq!(envelope::split_extension_bytes(b"a+b+c", b"+"), Some((&b"a"[..], &b"+b+c"[..])));
        for local in ["+a", "double-bounce", "owner-list", "list-request", "plain"] {
            assert_eq!(envelope::split_extension_bytes(local.as_bytes(), b"+-"), None, "{local}");
        }
    }
}
