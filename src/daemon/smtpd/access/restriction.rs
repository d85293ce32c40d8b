//! The words of a restriction list, and what each takes after it.

use super::certificate::{self, Field};
use super::policy::{PolicyService, PolicySettings};
use crate::table::memory::{split_items, unbraced};
use crate::table::{Maps, Options};
use std::sync::Arc;

/// What a restriction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Client,
    ReverseClient,
    Helo,
    Sender,
    Recipient,
    Etrn,
    /// The name that the client logged in with.
    Login,
    /// The certificate that the client showed.
    Certificate,
    Data,
    EndOfData,
}

/// The servers of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    Mx,
    Ns,
    A,
}

/// Restrictions that take no argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    Permit,
    Reject,
    Defer,
    DeferIfPermit,
    DeferIfReject,
    WarnIfReject,
    PermitMynetworks,
    PermitInetInterfaces,
    PermitAuthDestination,
    PermitMxBackup,
    PermitNakedIp,
    UnauthDestination,
    /// Permits or refuses: nothing after it is asked.
    CheckRelayDomains,
    DeferUnauthDestination,
    UnauthPipelining,
    PlaintextSession,
    UnknownClient,
    UnknownReverse,
    InvalidHelo,
    NonFqdnHelo,
    UnknownHelo,
    NonFqdnSender,
    UnknownSender,
    UnlistedSender,
    NonFqdnRecipient,
    UnknownRecipient,
    UnlistedRecipient,
    MultiRecipientBounce,
    MapsRbl,
    SenderLoginMismatch,
    UnauthenticatedLoginMismatch,
    AuthenticatedLoginMismatch,
    KnownLoginMismatch,
    UnverifiedSender,
    UnverifiedRecipient,
    PermitSaslAuthenticated,
    /// By fingerprint (relay_clientcerts); `all`: any that an authority of ours gave.
    PermitClientCertificate {
        all: bool,
    },
}

/// One step of a list.
pub enum Restriction {
    Plain(Plain),
    /// check_*_access: the maps' title is the table as it was written.
    Access(Subject, String, Maps),
    ServerAccess(Subject, Servers, String, Maps),
    /// check_ccert_access, with what it looks for.
    CertificateAccess(Vec<Field>, Maps),
    /// A DNS list; `permit` for a list of the good.
    DnsList {
        subject: Subject,
        by_address: bool,
        permit: bool,
        domain: String,
    },
    Policy(Arc<PolicyService>),
    Sleep(u64),
    Class(String),
    /// A table without a word before it: about the list's own subject.
    Table(Maps),
    /// permit, reject or defer with more after it that is never reached, and the warning about it.
    Final(Plain, String),
    /// A mistake that decides nothing: a warning.
    Ignored(String),
    /// A mistake: a warning, and a temporary refusal.
    Bad(String),
}

use Plain::*;

/// Every word without an argument; the first of several names is today's.
const PLAIN: &[(&str, Plain)] = &[
    ("permit", Permit),
    ("reject", Reject),
    ("defer", Defer),
    ("defer_if_permit", DeferIfPermit),
    ("defer_if_reject", DeferIfReject),
    ("warn_if_reject", WarnIfReject),
    ("permit_mynetworks", PermitMynetworks),
    ("permit_inet_interfaces", PermitInetInterfaces),
    ("permit_auth_destination", PermitAuthDestination),
    ("permit_mx_backup", PermitMxBackup),
    ("permit_naked_ip_address", PermitNakedIp),
    ("reject_unauth_destination", UnauthDestination),
    ("check_relay_domains", CheckRelayDomains),
    ("defer_unauth_destination", DeferUnauthDestination),
    ("reject_unauth_pipelining", UnauthPipelining),
    ("reject_plaintext_session", PlaintextSession),
    ("reject_unknown_client_hostname", UnknownClient),
    ("reject_unknown_client", UnknownClient),
    ("reject_unknown_reverse_client_hostname", UnknownReverse),
    ("reject_invalid_helo_hostname", InvalidHelo),
    ("reject_invalid_hostname", InvalidHelo),
    ("reject_non_fqdn_helo_hostname", NonFqdnHelo),
    ("reject_non_fqdn_hostname", NonFqdnHelo),
    ("reject_unknown_helo_hostname", UnknownHelo),
    ("reject_unknown_hostname", UnknownHelo),
    ("reject_non_fqdn_sender", NonFqdnSender),
    ("reject_unknown_sender_domain", UnknownSender),
    ("reject_unknown_address", UnknownSender),
    ("reject_unlisted_sender", UnlistedSender),
    ("reject_non_fqdn_recipient", NonFqdnRecipient),
    ("reject_unknown_recipient_domain", UnknownRecipient),
    ("reject_unlisted_recipient", UnlistedRecipient),
    ("check_recipient_maps", UnlistedRecipient),
    ("reject_multi_recipient_bounce", MultiRecipientBounce),
    ("reject_maps_rbl", MapsRbl),
    ("reject_sender_login_mismatch", SenderLoginMismatch),
    ("reject_unauthenticated_sender_login_mismatch", UnauthenticatedLoginMismatch),
    ("reject_authenticated_sender_login_mismatch", AuthenticatedLoginMismatch),
    ("reject_known_sender_login_mismatch", KnownLoginMismatch),
    ("reject_unverified_sender", UnverifiedSender),
    ("reject_unverified_recipient", UnverifiedRecipient),
    ("permit_sasl_authenticated", PermitSaslAuthenticated),
    ("permit_tls_clientcerts", PermitClientCertificate { all: false }),
    ("permit_tls_all_clientcerts", PermitClientCertificate { all: true }),
];

/// As it is written in a list.
impl std::fmt::Display for Restriction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |plain: &Plain| PLAIN.iter().find(|(_, known)| known == plain).map_or("permit", |(name, _)| name);
        match self {
            Restriction::Plain(plain) | Restriction::Final(plain, _) => f.write_str(word(plain)),
            Restriction::Access(_, word, maps) | Restriction::ServerAccess(_, _, word, maps) => {
                write!(f, "{word} {}", maps.title())
            }
            Restriction::CertificateAccess(_, maps) => write!(f, "check_ccert_access {}", maps.title()),
            Restriction::DnsList { subject, by_address, permit, domain } => {
                let row = DNS_LISTS.iter().find(|row| (row.1, row.2, row.3) == (*subject, *by_address, *permit));
                write!(f, "{} {domain}", row.map_or("", |row| row.0))
            }
            Restriction::Policy(_) => f.write_str("check_policy_service"),
            Restriction::Sleep(seconds) => write!(f, "sleep {seconds}"),
            Restriction::Class(name) => f.write_str(name),
            Restriction::Table(maps) => f.write_str(maps.title()),
            Restriction::Ignored(text) | Restriction::Bad(text) => f.write_str(text),
        }
    }
}

const SUBJECTS: &[(&str, Subject)] = &[
    ("client", Subject::Client),
    ("reverse_client_hostname", Subject::ReverseClient),
    ("helo", Subject::Helo),
    ("sender", Subject::Sender),
    ("recipient", Subject::Recipient),
    ("etrn", Subject::Etrn),
    ("sasl", Subject::Login),
];

/// The words that take a table: check_SUBJECT_access and check_SUBJECT_(mx|ns|a)_access.
fn access_word(word: &str) -> Option<(Subject, Option<Servers>)> {
    let inner = word.strip_prefix("check_")?.strip_suffix("_access")?;
    let kinds = [("_mx", Servers::Mx), ("_ns", Servers::Ns), ("_a", Servers::A)];
    let (name, servers) = kinds
        .iter()
        .find_map(|(end, servers)| Some((inner.strip_suffix(end)?, Some(*servers))))
        .unwrap_or((inner, None));
    let subject = SUBJECTS.iter().find(|(known, _)| *known == name)?.1;
    (!matches!(subject, Subject::Etrn | Subject::Login) || servers.is_none()).then_some((subject, servers))
}

/// The words that take a domain: is it about an address, does it permit.
const DNS_LISTS: &[(&str, Subject, bool, bool)] = &[
    ("reject_rbl_client", Subject::Client, true, false),
    ("reject_rbl", Subject::Client, true, false),
    ("permit_dnswl_client", Subject::Client, true, true),
    ("reject_rhsbl_client", Subject::Client, false, false),
    ("permit_rhswl_client", Subject::Client, false, true),
    ("reject_rhsbl_reverse_client", Subject::ReverseClient, false, false),
    ("reject_rhsbl_helo", Subject::Helo, false, false),
    ("reject_rhsbl_sender", Subject::Sender, false, false),
    ("reject_rhsbl_recipient", Subject::Recipient, false, false),
];

/// Every word that a list may have, for those who look for the one that was meant.
pub fn words() -> Vec<String> {
    let mut words: Vec<String> = PLAIN.iter().map(|(name, _)| (*name).to_owned()).collect();
    words.extend(DNS_LISTS.iter().map(|row| row.0.to_owned()));
    words.extend(OTHERS.iter().map(|name| (*name).to_owned()));
    for (subject, _) in SUBJECTS {
        for servers in ["", "_mx", "_ns", "_a"] {
            words.push(format!("check_{subject}{servers}_access"));
        }
    }
    words.retain(|word| access_word(word).is_some() || !word.starts_with("check_") || OTHERS.contains(&word.as_str()));
    words
}

/// Whether a word takes the next one.
pub fn takes_word(word: &str) -> bool {
    access_word(word).is_some() || DNS_LISTS.iter().any(|row| row.0 == word) || OTHERS.contains(&word)
}

/// Words with an argument that are of no family.
const OTHERS: &[&str] = &["check_policy_service", "sleep", "check_ccert_access"];

/// "type:table", or "{ type:table, { search_order = subject, ... } }".
fn certificate_table(spec: &str, open: &dyn Fn(&str) -> Maps) -> Result<Restriction, String> {
    if !spec.starts_with('{') {
        return Ok(Restriction::CertificateAccess(certificate::USUAL.to_vec(), open(spec)));
    }
    let items = split_items(unbraced(spec)?);
    let Some((table, settings)) = items.split_first() else {
        return Err(format!("check_ccert_access: no table in \"{spec}\""));
    };
    let mut order = certificate::USUAL.to_vec();
    for setting in settings {
        let text = unbraced(setting)?;
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("missing '=' after attribute name in \"{text}\""))?;
        if name.trim() != "search_order" {
            return Err(format!("check_ccert_access: unknown attribute \"{}\"", name.trim()));
        }
        let key = |word: &String| {
            Field::named(word).ok_or_else(|| format!("check_ccert_access: unknown search_order element \"{word}\""))
        };
        order = split_items(value).iter().map(key).collect::<Result<_, _>>()?;
    }
    Ok(Restriction::CertificateAccess(order, open(table)))
}

/// Reads a list. An error is one that keeps the server from starting.
pub fn parse(text: &str, is_class: &dyn Fn(&str) -> bool, policy: &PolicySettings) -> Result<Vec<Restriction>, String> {
    let words = split_items(text);
    let mut words = words.iter().peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let lower = word.to_ascii_lowercase();
        let open = |spec: &str| Maps::open(spec, spec, &Options::default());
        found.push(if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == lower) {
            match words.peek() {
                Some(next) if matches!(plain, Permit | Reject | Defer | CheckRelayDomains) => {
                    Restriction::Final(*plain, format!("restriction `{next}' after `{word}' is ignored"))
                }
                _ => Restriction::Plain(*plain),
            }
        } else if let Some((subject, servers)) = access_word(&lower) {
            match words.next_if(|next| next.contains(':')) {
                Some(spec) => match servers {
                    Some(servers) => Restriction::ServerAccess(subject, servers, lower.clone(), open(spec)),
                    None => Restriction::Access(subject, lower.clone(), open(spec)),
                },
                None => {
                    // At the end of the list the reference shows the word itself.
                    let next = words.next().unwrap_or(word);
                    Restriction::Bad(format!("restriction {word}: bad argument \"{next}\": need maptype:mapname"))
                }
            }
        } else if let Some((_, subject, by_address, permit)) = DNS_LISTS.iter().find(|(name, ..)| *name == lower) {
            match words.next() {
                Some(domain) => Restriction::DnsList {
                    subject: *subject,
                    by_address: *by_address,
                    permit: *permit,
                    domain: domain.clone(),
                },
                None => Restriction::Ignored(format!("restriction {word} requires domain name argument")),
            }
        } else if lower == "check_policy_service" {
            match words.next() {
                Some(spec) => Restriction::Policy(Arc::new(PolicyService::parse(spec, policy)?)),
                None => Restriction::Bad(format!("restriction {word} must be followed by transport:server")),
            }
        } else if lower == "check_ccert_access" {
            match words.next_if(|next| next.contains(':')) {
                Some(spec) => certificate_table(spec, &open)?,
                None => {
                    let next = words.next().unwrap_or(word);
                    Restriction::Bad(format!("restriction {word}: bad argument \"{next}\": need maptype:mapname"))
                }
            }
        } else if lower == "sleep" {
            match words.next().and_then(|next| next.parse().ok()) {
                Some(seconds) => Restriction::Sleep(seconds),
                None => Restriction::Bad(format!("restriction {word} must be followed by number")),
            }
        } else if is_class(word) {
            Restriction::Class(word.clone())
        } else if word.contains(':') {
            Restriction::Table(open(word))
        } else {
            Restriction::Bad(format!("unknown smtpd restriction: \"{word}\""))
        });
    }
    Ok(found)
}
