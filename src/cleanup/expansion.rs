//! From the recipients that were named to those that are queued: rewriting, canonical addresses, virtual aliases,
//! automatic copies, no doubles (ADDRESS_REWRITING_README).

use super::CleanupError;
use super::envelope::{Envelope, Named};
use crate::conf::MainCf;
use crate::message::{envelope as address, tokens};
use crate::route::Rewriter;
use crate::table::matchlist::Flavour;
use crate::table::{Maps, MatchList, Options, TableError};
use std::collections::{HashSet, VecDeque};

/// A recipient that will be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    pub address: String,
    pub original: String,
    pub dsn_original: String,
    pub notify: u32,
}

/// The tables and limits.
pub struct Expansion {
    canonical: Maps,
    sender_canonical: Maps,
    recipient_canonical: Maps,
    virtual_aliases: Maps,
    sender_bcc: Maps,
    recipient_bcc: Maps,
    always_bcc: String,
    delimiters: String,
    origin: String,
    destinations: MatchList,
    propagate: bool,
    recursion_limit: usize,
    expansion_limit: usize,
}

impl Expansion {
    pub fn new(cf: &MainCf) -> Result<Expansion, TableError> {
        let limit = |value: i64| usize::try_from(value).unwrap_or(1000);
        let options = Options::default();
        Ok(Expansion {
            canonical: Maps::open("canonical_maps", &cf.canonical_maps(), &options),
            sender_canonical: Maps::open("sender_canonical_maps", &cf.sender_canonical_maps(), &options),
            recipient_canonical: Maps::open("recipient_canonical_maps", &cf.recipient_canonical_maps(), &options),
            virtual_aliases: Maps::open("virtual_alias_maps", &cf.virtual_alias_maps(), &options),
            sender_bcc: Maps::open("sender_bcc_maps", &cf.sender_bcc_maps(), &options),
            recipient_bcc: Maps::open("recipient_bcc_maps", &cf.recipient_bcc_maps(), &options),
            always_bcc: cf.always_bcc(),
            delimiters: cf.recipient_delimiter(),
            origin: cf.origin(),
            destinations: MatchList::parse("mydestination", &cf.mydestination(), Flavour::Strings, &options),
            propagate: ["canonical", "virtual"].iter().all(|word| cf.propagate_unmatched_extensions().contains(word)),
            recursion_limit: limit(cf.virtual_alias_recursion_limit()),
            expansion_limit: limit(cf.virtual_alias_expansion_limit()),
        })
    }

    /// The sender as it is queued.
    pub fn sender(&self, rewriter: &Rewriter, sender: &str) -> Result<String, TableError> {
        let rewritten = rewriter.rewrite(sender);
        if rewritten.is_empty() {
            return Ok(rewritten);
        }
        let own = self.mapped(&self.sender_canonical, rewriter, rewritten)?;
        self.mapped(&self.canonical, rewriter, own)
    }

    /// The recipients as they are queued, without doubles.
    pub fn expand(&self, rewriter: &Rewriter, envelope: &Envelope) -> Result<Vec<Expanded>, CleanupError> {
        let mut seen = HashSet::new();
        let mut queued = Vec::new();
        let mut copies = Vec::new();
        for copy in &envelope.copies {
            let named = Named { address: copy.clone(), ..Named::default() };
            self.add(rewriter, &named, false, &mut seen, &mut queued)?;
        }
        for named in &envelope.recipients {
            self.add(rewriter, named, envelope.expanded, &mut seen, &mut queued)?;
            if !envelope.expanded
                && let Some(copy) = self.find(&self.recipient_bcc, &rewriter.rewrite(&named.address))?
            {
                copies.push(copy);
            }
        }
        if !envelope.expanded && !queued.is_empty() {
            copies.extend(Some(self.always_bcc.clone()).filter(|copy| !copy.is_empty()));
            copies.extend(self.find(&self.sender_bcc, &rewriter.rewrite(&envelope.sender))?);
            for copy in copies {
                let named = Named { address: copy, notify: crate::queue::file::notify::NEVER, ..Named::default() };
                self.add(rewriter, &named, false, &mut seen, &mut queued)?;
            }
        }
        Ok(queued)
    }

    fn add(
        &self,
        rewriter: &Rewriter,
        named: &Named,
        expanded: bool,
        seen: &mut HashSet<(String, String)>,
        queued: &mut Vec<Expanded>,
    ) -> Result<(), CleanupError> {
        let mut complete = rewriter.rewrite(&named.address);
        if complete.is_empty() {
            // Mail to the null address is for whoever empty_address_recipient names by default.
            complete = rewriter.rewrite("MAILER-DAEMON");
        }
        let original = named.original.clone().unwrap_or_else(|| named.address.clone());
        let dsn_original =
            named.dsn_original.clone().unwrap_or_else(|| format!("rfc822;{}", address::quote(&complete)));
        let canonical = if expanded {
            complete
        } else {
            let own = self.mapped(&self.recipient_canonical, rewriter, complete)?;
            self.mapped(&self.canonical, rewriter, own)?
        };
        let targets = if expanded { vec![canonical] } else { self.virtual_targets(rewriter, canonical)? };
        for target in targets {
            if seen.insert((target.to_lowercase(), original.clone())) {
                queued.push(Expanded {
                    address: target,
                    original: original.clone(),
                    dsn_original: dsn_original.clone(),
                    notify: named.notify,
                });
            }
        }
        Ok(())
    }

    /// virtual_alias_maps, applied to their own results. An address that maps to itself stays.
    fn virtual_targets(&self, rewriter: &Rewriter, start: String) -> Result<Vec<String>, CleanupError> {
        let mut final_targets = Vec::new();
        let mut visited = HashSet::new();
        let mut pending = VecDeque::from([(start, 0usize)]);
        while let Some((current, depth)) = pending.pop_front() {
            if depth > self.recursion_limit || final_targets.len() + pending.len() > self.expansion_limit {
                return Err(CleanupError::Rejected("virtual alias expansion error".into()));
            }
            if !visited.insert(current.to_lowercase()) {
                continue;
            }
            match self.find(&self.virtual_aliases, &current)? {
                None => final_targets.push(current),
                Some(text) => {
                    for target in tokens::addresses(&text) {
                        let target = rewriter.rewrite(&target);
                        if target.eq_ignore_ascii_case(&current) {
                            final_targets.push(target);
                        } else {
                            pending.push_back((target, depth + 1));
                        }
                    }
                }
            }
        }
        Ok(final_targets)
    }

    /// An address in a table: as it is, without its extension, the local part of a local domain, "@domain".
    fn find(&self, maps: &Maps, address: &str) -> Result<Option<String>, TableError> {
        let is_local = |domain: &[u8]| {
            let domain = String::from_utf8_lossy(domain);
            domain.eq_ignore_ascii_case(&self.origin) || self.destinations.contains(&domain).unwrap_or(false)
        };
        let found = maps.find_address(address.as_bytes(), self.delimiters.as_bytes(), &is_local)?;
        Ok(found.map(|found| {
            let text = String::from_utf8_lossy(&found.value).into_owned();
            match found.extension.filter(|_| self.propagate) {
                Some(extension) => with_extension(&text, &String::from_utf8_lossy(&extension)),
                None => text,
            }
        }))
    }

    fn mapped(&self, maps: &Maps, rewriter: &Rewriter, address: String) -> Result<String, TableError> {
        let found = self.find(maps, &address)?;
        let first = found.and_then(|text| tokens::addresses(&text).into_iter().next());
        Ok(first.map_or(address, |new| rewriter.rewrite(&new)))
    }
}

/// Puts an extension (with its delimiter) after the local part of an answer that is one address; "@domain" and lists
/// are left alone.
fn with_extension(text: &str, extension: &str) -> String {
    match text.trim().split_once('@') {
        Some((local, domain)) if !local.is_empty() && !text.contains(',') => format!("{local}{extension}@{domain}"),
        None if !text.contains(',') && !text.trim().is_empty() => format!("{}{extension}", text.trim()),
        _ => text.to_owned(),
    }
}
