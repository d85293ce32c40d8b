//! The restriction lists (SMTPD_ACCESS_README, postconf(5) smtpd_*_restrictions). A list is read once into
//! [`Restriction`]s; an unknown word, a table that cannot be asked or a list that would relay for everyone is a
//! temporary error for the client and a warning for the administrator, never an open door.

/// access(5): what a table's right-hand side asks for.
mod action;
/// Addresses: unlisted, unknown, not complete, not the sender's own.
mod address;
/// The client's certificate.
mod certificate;
/// One run through lists: what is known, what was found.
mod check;
/// The client and what it calls itself.
mod client;
/// DNS lists: rbl, rhsbl, dnswl.
mod list;
/// The orders in which access tables are asked.
mod lookup;
/// check_policy_service.
mod policy;
/// The words of a list.
mod restriction;
/// Tables about the mail and name servers of a domain.
mod server;
/// Whether mail for an address could be delivered.
mod verification;

pub use check::{Check, Deferral, Effects, Outcome, Status};
pub use list::{matches, reversed};
pub use policy::PolicySettings;
pub use restriction::{Restriction, Subject, takes_word, words};
pub use verification::VerificationSettings;

use crate::conf::MainCf;
use crate::table::memory::split_items;
use std::collections::HashMap;

/// One list.
pub struct List {
    /// The parameter or class.
    pub name: String,
    pub restrictions: Vec<Restriction>,
}

/// All lists.
pub struct Restrictions {
    pub client: List,
    pub helo: List,
    pub sender: List,
    pub relay: List,
    pub recipient: List,
    pub data: List,
    pub end_of_data: List,
    pub etrn: List,
    /// smtpd_restriction_classes.
    pub classes: HashMap<String, List>,
}

/// One of these must stand in the lists that decide about relaying.
const CLOSING: &[&str] = &[
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject",
    "defer",
    "defer_if_permit",
    "check_relay_domains",
];

impl Restrictions {
    pub fn new(cf: &MainCf) -> Result<Restrictions, String> {
        let names = MainCf::list(&cf.smtpd_restriction_classes());
        let mut classes = HashMap::new();
        for name in &names {
            let text = cf.text(name).unwrap_or_default();
            if text.trim().is_empty() {
                return Err(format!("restriction class `{name}' needs a definition"));
            }
            classes.insert(name.clone(), text);
        }
        let policy = PolicySettings::new(cf);
        let is_class = |word: &str| classes.contains_key(word);
        let list = |name: &str, text: &str| -> Result<List, String> {
            Ok(List { name: name.to_owned(), restrictions: restriction::parse(text, &is_class, &policy)? })
        };
        let relay = cf.smtpd_relay_restrictions();
        let recipient = cf.smtpd_recipient_restrictions();
        if !closes(&relay, &classes, 0) && !closes(&recipient, &classes, 0) {
            return Err(format!(
                "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working \
                 instance of: {}",
                match CLOSING {
                    [first @ .., last] => format!("{} or {last}", first.join(", ")),
                    [] => String::new(),
                }
            ));
        }
        Ok(Restrictions {
            client: list("smtpd_client_restrictions", &cf.smtpd_client_restrictions())?,
            helo: list("smtpd_helo_restrictions", &cf.smtpd_helo_restrictions())?,
            sender: list("smtpd_sender_restrictions", &cf.smtpd_sender_restrictions())?,
            relay: list("smtpd_relay_restrictions", &relay)?,
            recipient: list("smtpd_recipient_restrictions", &recipient)?,
            data: list("smtpd_data_restrictions", &cf.smtpd_data_restrictions())?,
            end_of_data: list("smtpd_end_of_data_restrictions", &cf.smtpd_end_of_data_restrictions())?,
            etrn: list("smtpd_etrn_restrictions", &cf.smtpd_etrn_restrictions())?,
            classes: classes
                .iter()
                .map(|(name, text)| Ok((name.clone(), list(name, text)?)))
                .collect::<Result<_, String>>()?,
        })
    }
}

/// Whether a list, or a class that it names, holds a word that refuses strangers' mail for others. What follows "permit"
/// is never reached, and what follows "warn_if_reject" refuses nothing.
fn closes(text: &str, classes: &HashMap<String, String>, depth: u32) -> bool {
    let words = split_items(text);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("warn_if_reject") {
            words.next();
        } else if word.eq_ignore_ascii_case("permit") {
            return false;
        } else if CLOSING.iter().any(|known| word.eq_ignore_ascii_case(known))
            || (depth < 10 && classes.get(word).is_some_and(|inner| closes(inner, classes, depth + 1)))
        {
            return true;
        }
    }
    false
}
