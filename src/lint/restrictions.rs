//! Restriction lists: names that are none, and what stands behind an unconditional answer.

use super::finding::Findings;
use super::ground::Ground;
use super::names::nearest;
use crate::conf::MainCf;
use crate::daemon::smtpd::dry::{takes_word, words};
use crate::table::memory::split_items;

const LISTS: &[&str] = &[
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_etrn_restrictions",
];

/// The words of a list that are restrictions.
fn restrictions(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut items = split_items(value).into_iter();
    while let Some(word) = items.next() {
        if takes_word(&word.to_ascii_lowercase()) {
            items.next();
        }
        found.push(word);
    }
    found
}

pub fn unknown(ground: &Ground, found: &mut Findings) {
    let known = words();
    let classes = MainCf::list(&ground.value("smtpd_restriction_classes"));
    let lists = LISTS.iter().copied().map(str::to_owned).chain(classes.iter().cloned());
    for list in lists.filter(|list| ground.assignment(list).is_some()) {
        for word in restrictions(&ground.value(&list)) {
            let name = word.to_ascii_lowercase();
            if known.contains(&name) || classes.contains(&word) || word.contains(':') {
                continue;
            }
            let near = nearest(&name, known.iter().map(String::as_str).chain(classes.iter().map(String::as_str)));
            found.error(
                ground.word_span(&list, &word),
                format!("{word} is no restriction"),
                "smtpd answers 451 4.3.5 Server configuration error to every client that gets here.",
                near.map_or("remove it, or name it in smtpd_restriction_classes".to_owned(), |near| {
                    format!("did you mean {near}?")
                }),
            );
        }
    }
}

pub fn unreachable(ground: &Ground, found: &mut Findings) {
    for list in LISTS.iter().filter(|list| ground.assignment(list).is_some()) {
        let words = restrictions(&ground.value(list));
        let mut before = "";
        for (at, word) in words.iter().enumerate() {
            let always = ["permit", "reject", "defer"].contains(&word.to_ascii_lowercase().as_str());
            if always
                && before != "warn_if_reject"
                && let Some(next) = words.get(at + 1)
            {
                found.warning(
                    ground.word_span(list, next),
                    format!("{next} is never reached: {word} stands before it"),
                    "The list ends at the first restriction that decides.",
                    format!("put it before {word}, or remove it"),
                );
                break;
            }
            before = word;
        }
    }
}

/// Without verify(8) no probe is made: all mail that gets to such a restriction is put off.
pub fn unverified(ground: &Ground, found: &mut Findings) {
    let name = ground.cf.address_verify_service_name();
    if ground.services.iter().any(|service| service.name == name && service.command == "verify") {
        return;
    }
    for list in LISTS.iter().filter(|list| ground.assignment(list).is_some()) {
        for word in restrictions(&ground.value(list)) {
            if word.to_ascii_lowercase().starts_with("reject_unverified_") {
                found.error(
                    ground.word_span(list, &word),
                    format!("{word} puts all mail off"),
                    &format!("master.cf has no service {name} that verifies addresses; smtpd answers 450 address verification problem."),
                    format!("add \"{name} unix - - n - 1 verify\" to master.cf"),
                );
            }
        }
    }
}
