//! Restriction lists: names that are none, and what stands behind an unconditional answer.

use super::finding::Findings;
use super::ground::Ground;
use super::names::nearest;
use crate::conf::MainCf;
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

/// Names of restrictions (postconf(5)); old spellings included.
const KNOWN: &[&str] = &[
    "check_ccert_access",
    "check_client_a_access",
    "check_client_access",
    "check_client_mx_access",
    "check_client_ns_access",
    "check_etrn_access",
    "check_helo_a_access",
    "check_helo_access",
    "check_helo_mx_access",
    "check_helo_ns_access",
    "check_policy_service",
    "check_recipient_a_access",
    "check_recipient_access",
    "check_recipient_mx_access",
    "check_recipient_ns_access",
    "check_relay_domains",
    "check_reverse_client_hostname_a_access",
    "check_reverse_client_hostname_access",
    "check_reverse_client_hostname_mx_access",
    "check_reverse_client_hostname_ns_access",
    "check_sasl_access",
    "check_sender_a_access",
    "check_sender_access",
    "check_sender_mx_access",
    "check_sender_ns_access",
    "defer",
    "defer_if_permit",
    "defer_if_reject",
    "defer_unauth_destination",
    "permit",
    "permit_auth_destination",
    "permit_dnswl_client",
    "permit_inet_interfaces",
    "permit_mx_backup",
    "permit_mynetworks",
    "permit_naked_ip_address",
    "permit_rhswl_client",
    "permit_sasl_authenticated",
    "permit_tls_all_clientcerts",
    "permit_tls_clientcerts",
    "reject",
    "reject_authenticated_sender_login_mismatch",
    "reject_invalid_helo_hostname",
    "reject_invalid_hostname",
    "reject_known_sender_login_mismatch",
    "reject_maps_rbl",
    "reject_multi_recipient_bounce",
    "reject_non_fqdn_helo_hostname",
    "reject_non_fqdn_hostname",
    "reject_non_fqdn_recipient",
    "reject_non_fqdn_sender",
    "reject_plaintext_session",
    "reject_rbl_client",
    "reject_rhsbl_client",
    "reject_rhsbl_helo",
    "reject_rhsbl_recipient",
    "reject_rhsbl_reverse_client",
    "reject_rhsbl_sender",
    "reject_sender_login_mismatch",
    "reject_unauth_destination",
    "reject_unauth_pipelining",
    "reject_unauthenticated_sender_login_mismatch",
    "reject_unknown_address",
    "reject_unknown_client",
    "reject_unknown_client_hostname",
    "reject_unknown_forward_client_hostname",
    "reject_unknown_helo_hostname",
    "reject_unknown_hostname",
    "reject_unknown_recipient_domain",
    "reject_unknown_reverse_client_hostname",
    "reject_unknown_sender_domain",
    "reject_unlisted_recipient",
    "reject_unlisted_sender",
    "reject_unverified_recipient",
    "reject_unverified_sender",
    "sleep",
    "warn_if_reject",
];

/// Restrictions that take the next word.
fn takes_word(name: &str) -> bool {
    name.starts_with("check_") && name != "check_relay_domains"
        || name.contains("_rbl_client")
        || name.contains("_rhsbl_")
        || name.contains("_dnswl_")
        || name.contains("_rhswl_")
        || name == "sleep"
}

/// The words of a list that are restrictions.
fn restrictions(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = split_items(value).into_iter();
    while let Some(word) = words.next() {
        if takes_word(&word.to_ascii_lowercase()) {
            words.next();
        }
        found.push(word);
    }
    found
}

pub fn unknown(ground: &Ground, found: &mut Findings) {
    let classes = MainCf::list(&ground.value("smtpd_restriction_classes"));
    let lists = LISTS.iter().copied().map(str::to_owned).chain(classes.iter().cloned());
    for list in lists.filter(|list| ground.assignment(list).is_some()) {
        for word in restrictions(&ground.value(&list)) {
            let name = word.to_ascii_lowercase();
            if KNOWN.contains(&name.as_str()) || classes.contains(&word) || word.contains(':') {
                continue;
            }
            let near = nearest(&name, KNOWN.iter().copied().chain(classes.iter().map(String::as_str)));
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

/// No probe is made here: all mail that gets to such a restriction is put off.
pub fn unverified(ground: &Ground, found: &mut Findings) {
    for list in LISTS.iter().filter(|list| ground.assignment(list).is_some()) {
        for word in restrictions(&ground.value(list)) {
            if word.to_ascii_lowercase().starts_with("reject_unverified_") {
                found.error(
                    ground.word_span(list, &word),
                    format!("{word} puts all mail off"),
                    "Addresses are not verified by probes here; smtpd answers 450 address verification problem.",
                    "use reject_unlisted_recipient with relay_recipient_maps, or a policy service",
                );
            }
        }
    }
}
