//! From the recipients that were named to those that are queued: rewriting, canonical addresses, virtual aliases,
//! automatic copies, no doubles (ADDRESS_REWRITING_README).

use super::CleanupError;
use super::envelope::{Envelope, Named};
use crate::conf::MainCf;
use crate::message::{envelope as address, tokens};
use crate::route::Rewriter;
use crate::table::TableError;
use crate::table::maps::Maps;
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
    recursion_limit: usize,
    expansion_limit: usize,
}

impl Expansion {
    pub fn new(cf: &MainCf) -> Result<Expansion, TableError> {
        let limit = |value: i64| usize::try_from(value).unwrap_or(1000);
        Ok(Expansion {
            canonical: Maps::open(&cf.canonical_maps())?,
            sender_canonical: Maps::open(&cf.sender_canonical_maps())?,
            recipient_canonical: Maps::open(&cf.recipient_canonical_maps())?,
            virtual_aliases: Maps::open(&cf.virtual_alias_maps())?,
            sender_bcc: Maps::open(&cf.sender_bcc_maps())?,
            recipient_bcc: Maps::open(&cf.recipient_bcc_maps())?,
            always_bcc: cf.always_bcc(),
            delimiters: cf.recipient_delimiter(),
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
        for named in &envelope.recipients {
            self.add(rewriter, named, envelope.expanded, &mut seen, &mut queued)?;
            if !envelope.expanded
                && let Some(copy) = self.recipient_bcc.find_address(&rewriter.rewrite(&named.address), &self.delimiters)?
            {
                copies.push(copy);
            }
        }
        if !envelope.expanded && !queued.is_empty() {
            copies.extend(Some(self.always_bcc.clone()).filter(|copy| !copy.is_empty()));
            copies.extend(self.sender_bcc.find_address(&rewriter.rewrite(&envelope.sender), &self.delimiters)?);
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
        let dsn_original = named.dsn_original.clone().unwrap_or_else(|| format!("rfc822;{}", address::quote(&complete)));
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
            match self.virtual_aliases.find_address(&current, &self.delimiters)? {
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

    fn mapped(&self, maps: &Maps, rewriter: &Rewriter, address: String) -> Result<String, TableError> {
        let found = maps.find_address(&address, &self.delimiters)?;
        let first = found.and_then(|text| tokens::addresses(&text).into_iter().next());
        Ok(first.map_or(address, |new| rewriter.rewrite(&new)))
    }
}
