//! Addresses made over, one to one (ADDRESS_REWRITING_README): completed, canonical_maps and its like, masquerading.
//! Each table is for the places that its classes name: envelope or header, sender or recipient.

use super::CleanupError;
use super::expansion::Warn;
use crate::conf::MainCf;
use crate::message::{envelope as address, tokens};
use crate::route::Rewriter;
use crate::table::matchlist::Flavour;
use crate::table::{Maps, MatchList, Options, TableError};

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    EnvelopeSender,
    EnvelopeRecipient,
    HeaderSender,
    HeaderRecipient,
}

const PLACES: &[(&str, Place)] = &[
    ("envelope_sender", Place::EnvelopeSender),
    ("envelope_recipient", Place::EnvelopeRecipient),
    ("header_sender", Place::HeaderSender),
    ("header_recipient", Place::HeaderRecipient),
];

/// A canonical table may send an address on to another of its entries so often.
const MAX_RECURSION: u32 = 10;

struct Canonical {
    maps: Maps,
    places: Vec<Place>,
}

/// The tables.
pub struct Mapping {
    /// In the order in which they are asked: the particular one, then the common one.
    canonical: Vec<Canonical>,
    masquerade_domains: Vec<(bool, String)>,
    masquerade_exceptions: MatchList,
    masquerade_places: Vec<Place>,
    delimiters: String,
    origin: String,
    destinations: MatchList,
    propagate: bool,
}

fn places(list: &str) -> Vec<Place> {
    let words = MainCf::list(list);
    PLACES.iter().filter(|(name, _)| words.iter().any(|word| word == name)).map(|(_, place)| *place).collect()
}

impl Mapping {
    pub fn new(cf: &MainCf) -> Mapping {
        let options = Options::default();
        let canonical = |title: &str, list: String, classes: String| Canonical {
            maps: Maps::open(title, &list, &options),
            places: places(&classes),
        };
        let domain = |word: String| match word.strip_prefix('!') {
            Some(rest) => (false, rest.to_lowercase()),
            None => (true, word.to_lowercase()),
        };
        Mapping {
            canonical: vec![
                canonical("sender_canonical_maps", cf.sender_canonical_maps(), cf.sender_canonical_classes()),
                canonical("recipient_canonical_maps", cf.recipient_canonical_maps(), cf.recipient_canonical_classes()),
                canonical("canonical_maps", cf.canonical_maps(), cf.canonical_classes()),
            ],
            masquerade_domains: MainCf::list(&cf.masquerade_domains()).into_iter().map(domain).collect(),
            masquerade_exceptions: MatchList::parse(
                "masquerade_exceptions",
                &cf.masquerade_exceptions(),
                Flavour::Strings,
                &options,
            ),
            masquerade_places: places(&cf.masquerade_classes()),
            delimiters: cf.recipient_delimiter(),
            origin: cf.origin(),
            destinations: MatchList::parse("mydestination", &cf.mydestination(), Flavour::Strings, &options),
            propagate: cf.propagate_unmatched_extensions().contains("canonical"),
        }
    }

    /// The address as it is from now on; `complete` has its domain already.
    pub fn apply(
        &self,
        rewriter: &Rewriter,
        place: Place,
        complete: String,
        warn: Warn<'_>,
    ) -> Result<String, CleanupError> {
        if complete.is_empty() {
            return Ok(complete);
        }
        let mut address = complete;
        for table in self.canonical.iter().filter(|table| table.places.contains(&place)) {
            address = self.canonical(&table.maps, rewriter, address, warn)?;
        }
        if self.masquerade_places.contains(&place) {
            address = self.masqueraded(address)?;
        }
        Ok(address)
    }

    fn canonical(
        &self,
        maps: &Maps,
        rewriter: &Rewriter,
        start: String,
        warn: Warn<'_>,
    ) -> Result<String, CleanupError> {
        let mut address = start;
        for _ in 0..MAX_RECURSION {
            let found = self.find(maps, &address, self.propagate)?;
            let mut values = tokens::addresses(&found.unwrap_or_default()).into_iter();
            let Some(new) = values.next() else { return Ok(address) };
            if values.next().is_some() {
                warn(format!("multi-valued {} entry for {address}", maps.title()));
            }
            let new = rewriter.rewrite(&new);
            let same = new.eq_ignore_ascii_case(&address);
            address = new;
            if same {
                return Ok(address);
            }
        }
        // As the reference does: it says so, and takes the address.
        let title = maps.title();
        warn(format!("unreasonable {title} map nesting for {address} -- message not accepted, try again later"));
        Ok(address)
    }

    /// "user@host.example.com" becomes "user@example.com".
    fn masqueraded(&self, whole: String) -> Result<String, CleanupError> {
        let (local, Some(domain)) = address::split(&whole) else { return Ok(whole) };
        if self.masquerade_domains.is_empty() || self.masquerade_exceptions.contains(local)? {
            return Ok(whole);
        }
        let lower = domain.to_lowercase();
        for (wanted, parent) in &self.masquerade_domains {
            if lower == *parent {
                return Ok(whole);
            }
            if lower.strip_suffix(parent.as_str()).is_some_and(|head| head.ends_with('.')) {
                return Ok(if *wanted { format!("{local}@{parent}") } else { whole });
            }
        }
        Ok(whole)
    }

    /// An address in a table: as it is, without its extension, the local part of a local domain, "@domain".
    pub fn find(&self, maps: &Maps, address: &str, propagate: bool) -> Result<Option<String>, TableError> {
        if maps.is_empty() {
            return Ok(None);
        }
        let is_local = |domain: &[u8]| {
            let domain = String::from_utf8_lossy(domain);
            domain.eq_ignore_ascii_case(&self.origin) || self.destinations.contains(&domain).unwrap_or(false)
        };
        let found = maps.find_address(address.as_bytes(), self.delimiters.as_bytes(), &is_local)?;
        Ok(found.map(|found| {
            let text = String::from_utf8_lossy(&found.value).into_owned();
            let text = match text.trim().strip_prefix('@') {
                // "@domain @other": the local part stays.
                Some(domain) if !text.contains(',') => format!("{}@{domain}", address::split(address).0),
                _ => text,
            };
            match found.extension.filter(|_| propagate) {
                Some(extension) => with_extension(&text, &String::from_utf8_lossy(&extension)),
                None => text,
            }
        }))
    }
}

/// Puts an extension (with its delimiter) after the local part of each address of an answer.
fn with_extension(text: &str, extension: &str) -> String {
    let each = tokens::addresses(text).into_iter().map(|address| match address.split_once('@') {
        Some((local, domain)) if !local.is_empty() && !local.contains(extension) => {
            format!("{local}{extension}@{domain}")
        }
        None => format!("{address}{extension}"),
        _ => address,
    });
    each.map(|address| address::quote(&address)).collect::<Vec<_>>().join(", ")
}
