//! A domain belongs to one address class: local, virtual alias, virtual mailbox, relay (ADDRESS_CLASS_README).

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::MainCf;
use crate::table::matchlist::{Flavour, MatchList};
use crate::table::open::Options;

const CLASSES: &[(&str, &str)] = &[
    ("mydestination", "local"),
    ("virtual_alias_domains", "virtual alias"),
    ("virtual_mailbox_domains", "virtual mailbox"),
    ("relay_domains", "relay"),
];

pub fn check(ground: &Ground, found: &mut Findings) {
    let lists: Vec<(&str, &str, String, MatchList)> = CLASSES
        .iter()
        // The default of virtual_alias_domains is the table of addresses, not a list of domains.
        .filter(|(name, _)| *name == "mydestination" || ground.assignment(name).is_some())
        .map(|&(name, class)| {
            let value = ground.value(name);
            let list = MatchList::parse(name, &value, Flavour::Strings, &Options::default());
            (name, class, value, list)
        })
        .collect();
    for (name, class, value, _) in &lists {
        for domain in MainCf::list(value).iter().filter(|word| !word.contains([':', '/', '!'])) {
            for (other, other_class, _, list) in &lists {
                // Each pair once, told at the later of the two.
                let position = |name: &str| CLASSES.iter().position(|(known, _)| *known == name);
                if position(other) >= position(name) || !list.contains(domain).unwrap_or(false) {
                    continue;
                }
                found.error(
                    ground.word_span(name, domain),
                    format!("{domain} is both a {class} domain and a {other_class} domain"),
                    "Only one of them can deliver its mail: Postfix warns with each message and takes the first.",
                    format!("remove it from {name} or from {other}"),
                );
            }
        }
    }
}
