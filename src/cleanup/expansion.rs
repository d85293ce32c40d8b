//! From the recipients that were named to those that are queued: virtual aliases, automatic copies, no doubles
//! (ADDRESS_REWRITING_README).

use super::CleanupError;
use super::envelope::{Envelope, Named};
use super::mapping::{Mapping, Place};
use crate::conf::MainCf;
use crate::message::tokens;
use crate::queue::file::notify::NEVER;
use crate::route::Rewriter;
use crate::table::{Maps, Options, TableError};
use std::collections::{HashSet, VecDeque};

/// Where warnings about tables go.
pub type Warn<'a> = &'a dyn Fn(String);

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
    pub mapping: Mapping,
    virtual_aliases: Maps,
    sender_bcc: Maps,
    recipient_bcc: Maps,
    always_bcc: String,
    empty_recipient: String,
    propagate: bool,
    keep_original: bool,
    recursion_limit: usize,
    expansion_limit: usize,
    length_limit: usize,
}

/// What grows while recipients are expanded.
#[derive(Default)]
struct Growing {
    seen: HashSet<(String, String)>,
    queued: Vec<Expanded>,
}

/// Who gets a message.
pub struct Everybody {
    pub recipients: Vec<Expanded>,
    /// What stands after the content.
    pub copies: Vec<Expanded>,
    /// Those that were named, before virtual aliases. Filters hear of them, and log lines of checks name the last one.
    pub named: Vec<String>,
}

impl Expansion {
    pub fn new(cf: &MainCf) -> Result<Expansion, TableError> {
        let limit = |value: i64| usize::try_from(value).unwrap_or(1000);
        let options = Options::default();
        Ok(Expansion {
            mapping: Mapping::new(cf),
            virtual_aliases: Maps::open("virtual_alias_maps", &cf.virtual_alias_maps(), &options),
            sender_bcc: Maps::open("sender_bcc_maps", &cf.sender_bcc_maps(), &options),
            recipient_bcc: Maps::open("recipient_bcc_maps", &cf.recipient_bcc_maps(), &options),
            always_bcc: cf.always_bcc(),
            empty_recipient: cf.empty_address_recipient(),
            propagate: cf.propagate_unmatched_extensions().contains("virtual"),
            keep_original: cf.enable_original_recipient(),
            recursion_limit: limit(cf.virtual_alias_recursion_limit()),
            expansion_limit: limit(cf.virtual_alias_expansion_limit()),
            length_limit: limit(cf.virtual_alias_address_length_limit()),
        })
    }

    /// The sender as it is queued.
    pub fn sender(&self, rewriter: &Rewriter, envelope: &Envelope, warn: Warn<'_>) -> Result<String, CleanupError> {
        let rewritten = rewriter.rewrite(&envelope.sender);
        if envelope.no_mappings {
            Ok(rewritten)
        } else {
            self.mapping.apply(rewriter, Place::EnvelopeSender, rewritten, warn)
        }
    }

    /// The recipients as they are queued, without doubles, and the automatic copies.
    pub fn expand(
        &self,
        rewriter: &Rewriter,
        envelope: &Envelope,
        sender: &str,
        warn: Warn<'_>,
    ) -> Result<Everybody, CleanupError> {
        let mut growing = Growing::default();
        let mut all_named = Vec::new();
        let plain = envelope.expanded || envelope.no_mappings;
        let copied = !plain && !envelope.no_copies;
        // The sender's copy is the first, as the sender is known first.
        if copied
            && !sender.is_empty()
            && let Some(copy) = self.mapping.find(&self.sender_bcc, sender, false)?
        {
            self.add(rewriter, &copy_to(rewriter, copy), false, &mut growing, warn)?;
        }
        for named in &envelope.recipients {
            let mapped = self.add(rewriter, named, plain, &mut growing, warn)?;
            if copied && let Some(copy) = self.mapping.find(&self.recipient_bcc, &mapped, false)? {
                self.add(rewriter, &copy_to(rewriter, copy), false, &mut growing, warn)?;
            }
            all_named.push(mapped);
        }
        let count = growing.queued.len();
        for copy in &envelope.copies {
            let named = Named { address: copy.clone(), ..Named::default() };
            self.add(rewriter, &named, plain, &mut growing, warn)?;
        }
        if copied && count > 0 && !self.always_bcc.is_empty() {
            self.add(rewriter, &copy_to(rewriter, self.always_bcc.clone()), false, &mut growing, warn)?;
        }
        let copies = growing.queued.split_off(count);
        Ok(Everybody { recipients: growing.queued, copies, named: all_named })
    }

    /// What somebody leads to who was not named before.
    pub fn one_more(
        &self,
        rewriter: &Rewriter,
        named: &Named,
        plain: bool,
        warn: Warn<'_>,
    ) -> Result<Vec<Expanded>, CleanupError> {
        let mut growing = Growing::default();
        self.add(rewriter, named, plain, &mut growing, warn)?;
        Ok(growing.queued)
    }

    /// Copies that the content asked for.
    pub fn copies(
        &self,
        rewriter: &Rewriter,
        wanted: Vec<String>,
        warn: Warn<'_>,
    ) -> Result<Vec<Expanded>, CleanupError> {
        let mut growing = Growing::default();
        for copy in wanted {
            self.add(rewriter, &copy_to(rewriter, copy), false, &mut growing, warn)?;
        }
        Ok(growing.queued)
    }

    /// Adds what a recipient expands to; gives the recipient as it was before virtual aliases.
    fn add(
        &self,
        rewriter: &Rewriter,
        named: &Named,
        plain: bool,
        growing: &mut Growing,
        warn: Warn<'_>,
    ) -> Result<String, CleanupError> {
        let mut complete = rewriter.rewrite(&named.address);
        if complete.is_empty() {
            complete = rewriter.rewrite(&self.empty_recipient);
        }
        let original = match &named.original {
            _ if !self.keep_original => String::new(),
            Some(original) => original.clone(),
            None => named.address.clone(),
        };
        let dsn_original = named.dsn_original.clone().unwrap_or_else(|| format!("rfc822;{complete}"));
        let mapped =
            if plain { complete } else { self.mapping.apply(rewriter, Place::EnvelopeRecipient, complete, warn)? };
        let targets = if plain { vec![mapped.clone()] } else { self.virtual_targets(rewriter, mapped.clone(), warn)? };
        for target in targets {
            if growing.seen.insert((target.to_lowercase(), original.to_lowercase())) {
                growing.queued.push(Expanded {
                    address: target,
                    original: original.clone(),
                    dsn_original: dsn_original.clone(),
                    notify: named.notify,
                });
            }
        }
        Ok(mapped)
    }

    /// virtual_alias_maps, applied to their own results. An address that maps to itself stays.
    fn virtual_targets(&self, rewriter: &Rewriter, start: String, warn: Warn<'_>) -> Result<Vec<String>, CleanupError> {
        if self.virtual_aliases.is_empty() {
            return Ok(vec![start]);
        }
        let unreasonable = |what: String| {
            warn(format!("unreasonable {what} -- message not accepted, try again later"));
            Err(CleanupError::Expansion)
        };
        let mut final_targets = Vec::new();
        let mut pending = VecDeque::from([(start.clone(), 0usize)]);
        while let Some((current, depth)) = pending.pop_front() {
            if final_targets.len() + pending.len() >= self.expansion_limit {
                return unreasonable(format!("virtual_alias_maps map expansion size for {start}"));
            }
            if depth >= self.recursion_limit {
                return unreasonable(format!("virtual_alias_maps map nesting for {start}"));
            }
            let Some(text) = self.mapping.find(&self.virtual_aliases, &current, self.propagate)? else {
                final_targets.push(current);
                continue;
            };
            let mut found = Vec::new();
            for target in tokens::addresses(&text) {
                let target = rewriter.rewrite(&target);
                if target.len() > self.length_limit {
                    let shown: String = target.chars().take(300).collect();
                    return unreasonable(format!("virtual_alias_maps result {shown}..."));
                }
                if target.eq_ignore_ascii_case(&current) {
                    final_targets.push(target);
                } else {
                    found.push((target, depth + 1));
                }
            }
            // What an address leads to stands where it stood.
            for entry in found.into_iter().rev() {
                pending.push_front(entry);
            }
        }
        Ok(final_targets)
    }
}

/// An automatic copy: nobody is told of it.
fn copy_to(rewriter: &Rewriter, address: String) -> Named {
    let original = Some(rewriter.rewrite(&address));
    Named { address, original, dsn_original: Some(String::new()), notify: NEVER }
}
