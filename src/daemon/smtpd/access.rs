//! The restriction lists (SMTPD_ACCESS_README, postconf(5) smtpd_*_restrictions). A list is read once into verbs; an
//! unknown word, a table that cannot be asked or an empty list that would relay is a temporary error for the client
//! and a warning for the administrator, never an open door.

use super::settings::Settings;
use crate::conf::MainCf;
use crate::message::envelope;
use crate::route::{Class, Resolution};
use crate::table::{Maps, Options, TableError};
use std::net::IpAddr;

/// What a restriction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the next one decides.
    Neutral,
    Permit,
    /// "554 5.7.1 ...": the reply.
    Refuse(String),
    /// The message is taken and goes on hold, or is thrown away.
    Hold,
    Discard,
    /// Refuse, and end the session.
    Disconnect(String),
}

/// What is known of the client and the transaction when a list is asked.
pub struct Asked<'a> {
    pub client_name: &'a str,
    pub client_reverse: &'a str,
    pub client_address: IpAddr,
    pub helo: &'a str,
    pub sender: Option<&'a str>,
    pub recipient: Option<&'a str>,
    pub resolution: Option<&'a Resolution>,
}

/// What an access table is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Client,
    Helo,
    Sender,
    Recipient,
}

enum Verb {
    Permit,
    Reject,
    Defer,
    PermitMynetworks,
    PermitInetInterfaces,
    PermitAuthDestination,
    RejectUnauthDestination {
        temporary: bool,
    },
    RejectUnlistedRecipient,
    RejectInvalidHelo,
    RejectNonFqdnHelo,
    RejectNonFqdnSender,
    RejectNonFqdnRecipient,
    RejectUnknownReverse,
    RejectUnknownClient,
    Table {
        subject: Subject,
        maps: Maps,
    },
    /// Accepted; what it asks for cannot be true here (no SASL, no TLS), so it decides nothing.
    Never,
    WarnIfReject,
    Unknown(String),
}

/// One list with its parameter's name.
pub struct List {
    title: &'static str,
    verbs: Vec<Verb>,
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
}

impl Restrictions {
    pub fn new(cf: &MainCf) -> Restrictions {
        let classes = MainCf::list(&cf.smtpd_restriction_classes());
        let list = |title, text: String| List { title, verbs: verbs(cf, &text, &classes, 0) };
        Restrictions {
            client: list("smtpd_client_restrictions", cf.smtpd_client_restrictions()),
            helo: list("smtpd_helo_restrictions", cf.smtpd_helo_restrictions()),
            sender: list("smtpd_sender_restrictions", cf.smtpd_sender_restrictions()),
            relay: list("smtpd_relay_restrictions", cf.smtpd_relay_restrictions()),
            recipient: list("smtpd_recipient_restrictions", cf.smtpd_recipient_restrictions()),
            data: list("smtpd_data_restrictions", cf.smtpd_data_restrictions()),
            end_of_data: list("smtpd_end_of_data_restrictions", cf.smtpd_end_of_data_restrictions()),
            etrn: list("smtpd_etrn_restrictions", cf.smtpd_etrn_restrictions()),
        }
    }
}

fn verbs(cf: &MainCf, text: &str, classes: &[String], depth: u32) -> Vec<Verb> {
    let words = MainCf::list(text);
    let mut words = words.iter().map(String::as_str).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let mut table = |subject| match words.next() {
            Some(spec) => Verb::Table { subject, maps: Maps::open(word, spec, &Options::default()) },
            None => Verb::Unknown(format!("{word} (no table named)")),
        };
        let verb = match word.to_ascii_lowercase().as_str() {
            "permit" => Verb::Permit,
            "reject" => Verb::Reject,
            "defer" => Verb::Defer,
            "permit_mynetworks" => Verb::PermitMynetworks,
            "permit_inet_interfaces" => Verb::PermitInetInterfaces,
            "permit_auth_destination" => Verb::PermitAuthDestination,
            "reject_unauth_destination" => Verb::RejectUnauthDestination { temporary: false },
            "defer_unauth_destination" => Verb::RejectUnauthDestination { temporary: true },
            "reject_unlisted_recipient" | "check_recipient_maps" => Verb::RejectUnlistedRecipient,
            "reject_invalid_helo_hostname" | "reject_invalid_hostname" => Verb::RejectInvalidHelo,
            "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => Verb::RejectNonFqdnHelo,
            "reject_non_fqdn_sender" => Verb::RejectNonFqdnSender,
            "reject_non_fqdn_recipient" => Verb::RejectNonFqdnRecipient,
            "reject_unknown_reverse_client_hostname" => Verb::RejectUnknownReverse,
            "reject_unknown_client_hostname" | "reject_unknown_client" => Verb::RejectUnknownClient,
            "check_client_access" => table(Subject::Client),
            "check_helo_access" => table(Subject::Helo),
            "check_sender_access" => table(Subject::Sender),
            "check_recipient_access" => table(Subject::Recipient),
            // Early talkers are refused before any list is asked, and pipelining out of turn with them.
            "reject_unauth_pipelining" => Verb::Never,
            "permit_sasl_authenticated" | "permit_tls_clientcerts" | "permit_tls_all_clientcerts" => Verb::Never,
            "warn_if_reject" => Verb::WarnIfReject,
            name if depth < 10 && classes.iter().any(|class| class == name) => {
                let inner = cf.text(name).unwrap_or_default();
                found.extend(verbs(cf, &inner, classes, depth + 1));
                continue;
            }
            // A bare table is a check of the list's own subject in the oldest form; it names no subject here.
            _ => Verb::Unknown(word.to_owned()),
        };
        found.push(verb);
    }
    found
}

/// What a list decided, and what is to be logged beside it.
pub struct Outcome {
    pub decision: Decision,
    /// Refusals that warn_if_reject turned into log lines.
    pub warnings: Vec<String>,
    /// For the administrator.
    pub fault: Option<String>,
}

impl List {
    /// Asks the restrictions in order.
    pub fn ask(&self, settings: &Settings, asked: &Asked<'_>) -> Outcome {
        let mut outcome = Outcome { decision: Decision::Neutral, warnings: Vec::new(), fault: None };
        let mut warn_only = false;
        for verb in &self.verbs {
            if matches!(verb, Verb::WarnIfReject) {
                warn_only = true;
                continue;
            }
            let decision = match decide(settings, verb, asked) {
                Ok(decision) => decision,
                Err(fault) => {
                    outcome.fault = Some(format!("{}: {fault}", self.title));
                    Decision::Refuse("451 4.3.5 Server configuration error".into())
                }
            };
            match decision {
                Decision::Neutral => {}
                Decision::Refuse(text) if warn_only => outcome.warnings.push(text),
                decision => {
                    outcome.decision = decision;
                    return outcome;
                }
            }
            warn_only = false;
        }
        outcome
    }
}

fn decide(settings: &Settings, verb: &Verb, asked: &Asked<'_>) -> Result<Decision, String> {
    let table = |error: TableError| error.to_string();
    let refuse_if = |condition: bool, text: String| if condition { Decision::Refuse(text) } else { Decision::Neutral };
    let client = || format!("{}[{}]", asked.client_name, asked.client_address);
    Ok(match verb {
        Verb::Permit => Decision::Permit,
        Verb::Reject => {
            Decision::Refuse(format!("{} 5.7.1 {}: Access denied", settings.reject_code, about(asked, "rejected")))
        }
        Verb::Defer => {
            Decision::Refuse(format!("{} 4.3.2 {}: Try again later", settings.defer_code, about(asked, "rejected")))
        }
        Verb::PermitMynetworks => permit_if(
            settings.mynetworks.contains_client(known(asked.client_name), asked.client_address).map_err(table)?,
        ),
        Verb::PermitInetInterfaces => permit_if(settings.own_addresses.contains(&asked.client_address)),
        Verb::PermitAuthDestination => permit_if(is_authorized(asked)),
        Verb::RejectUnauthDestination { temporary } => {
            let (code, dsn) = if *temporary { (454, "4.7.1") } else { (settings.relay_code, "5.7.1") };
            let recipient = asked.recipient.unwrap_or_default();
            let relays = asked.recipient.is_some() && !is_authorized(asked);
            refuse_if(relays, format!("{code} {dsn} <{recipient}>: Relay access denied"))
        }
        Verb::RejectUnlistedRecipient => match asked.resolution {
            Some(resolution) => {
                match super::recipient::unlisted(settings, resolution, asked.recipient.unwrap_or_default())? {
                    Some(text) => Decision::Refuse(text),
                    None => Decision::Neutral,
                }
            }
            None => Decision::Neutral,
        },
        Verb::RejectInvalidHelo => refuse_if(
            !asked.helo.is_empty() && !is_host_or_literal(asked.helo, false),
            format!("501 5.5.2 <{}>: Helo command rejected: Invalid name", asked.helo),
        ),
        Verb::RejectNonFqdnHelo => refuse_if(
            !asked.helo.is_empty() && !is_host_or_literal(asked.helo, true),
            format!("504 5.5.2 <{}>: Helo command rejected: need fully-qualified hostname", asked.helo),
        ),
        Verb::RejectNonFqdnSender => refuse_if(
            asked.sender.is_some_and(|sender| !sender.is_empty() && !is_fqdn(envelope::domain(sender))),
            format!(
                "504 5.5.2 <{}>: Sender address rejected: need fully-qualified address",
                asked.sender.unwrap_or_default()
            ),
        ),
        Verb::RejectNonFqdnRecipient => refuse_if(
            asked.recipient.is_some_and(|recipient| {
                !recipient.eq_ignore_ascii_case("postmaster") && !is_fqdn(envelope::domain(recipient))
            }),
            format!(
                "504 5.5.2 <{}>: Recipient address rejected: need fully-qualified address",
                asked.recipient.unwrap_or_default()
            ),
        ),
        Verb::RejectUnknownReverse => refuse_if(
            asked.client_reverse == "unknown",
            format!("450 4.7.1 Client host rejected: cannot find your reverse hostname, [{}]", asked.client_address),
        ),
        Verb::RejectUnknownClient => refuse_if(
            asked.client_name == "unknown",
            format!("450 4.7.1 Client host rejected: cannot find your hostname, [{}]", asked.client_address),
        ),
        Verb::Table { subject, maps } => {
            let (found, text) = match subject {
                Subject::Client => (client_access(maps, asked).map_err(table)?, format!("<{}>: Client host", client())),
                Subject::Helo => {
                    (domain_access(maps, asked.helo).map_err(table)?, format!("<{}>: Helo command", asked.helo))
                }
                Subject::Sender => {
                    let sender = asked.sender.unwrap_or_default();
                    (address_access(settings, maps, sender).map_err(table)?, format!("<{sender}>: Sender address"))
                }
                Subject::Recipient => match asked.recipient {
                    Some(recipient) => (
                        address_access(settings, maps, recipient).map_err(table)?,
                        format!("<{recipient}>: Recipient address"),
                    ),
                    None => (None, String::new()),
                },
            };
            match found {
                Some(action) => act(settings, &action, &text, asked)?,
                None => Decision::Neutral,
            }
        }
        Verb::Never | Verb::WarnIfReject => Decision::Neutral,
        Verb::Unknown(name) => return Err(format!("unknown smtpd restriction: \"{name}\"")),
    })
}

fn permit_if(condition: bool) -> Decision {
    if condition { Decision::Permit } else { Decision::Neutral }
}

fn known(name: &str) -> Option<&str> {
    Some(name).filter(|name| *name != "unknown")
}

/// What a general refusal is about, by the last thing that the client said.
fn about(asked: &Asked<'_>, verb: &str) -> String {
    match (asked.recipient, asked.sender) {
        (Some(recipient), _) => format!("<{recipient}>: Recipient address {verb}"),
        (None, Some(sender)) => format!("<{sender}>: Sender address {verb}"),
        (None, None) => format!("<{}[{}]>: Client host {verb}", asked.client_name, asked.client_address),
    }
}

/// Mail for here, or for a domain that we relay to; never with another route inside the address.
fn is_authorized(asked: &Asked<'_>) -> bool {
    asked.resolution.is_some_and(|resolution| resolution.class != Class::Default && !resolution.routed)
}

/// access(5): what a table's right-hand side asks for.
fn act(settings: &Settings, action: &str, text: &str, asked: &Asked<'_>) -> Result<Decision, String> {
    let (word, rest) = action.trim().split_once([' ', '\t']).unwrap_or((action.trim(), ""));
    let rest = rest.trim();
    let with = |default: &str| if rest.is_empty() { default.to_owned() } else { rest.to_owned() };
    let code_text = |code: i64, dsn: &str, default: &str| {
        // The text may begin with its own enhanced code.
        match crate::status::Code::split(rest) {
            Some((own, words)) => format!("{code} {own} {text} rejected: {words}"),
            None => format!("{code} {dsn} {text} rejected: {}", with(default)),
        }
    };
    Ok(match word.to_ascii_uppercase().as_str() {
        "OK" | "RELAY" | "PERMIT" => Decision::Permit,
        "DUNNO" => Decision::Neutral,
        "REJECT" => Decision::Refuse(code_text(settings.access_code, "5.7.1", "Access denied")),
        "DEFER" | "DEFER_IF_PERMIT" | "DEFER_IF_REJECT" => Decision::Refuse(code_text(450, "4.7.1", "Try again later")),
        "HOLD" => Decision::Hold,
        "DISCARD" => Decision::Discard,
        "WARN" | "INFO" | "PREPEND" | "REDIRECT" | "FILTER" | "BCC" => Decision::Neutral,
        "REJECT_UNAUTH_DESTINATION" => decide(settings, &Verb::RejectUnauthDestination { temporary: false }, asked)?,
        "PERMIT_MYNETWORKS" => decide(settings, &Verb::PermitMynetworks, asked)?,
        digits if digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let code: i64 = digits.parse().unwrap_or(554);
            match digits.as_bytes()[0] {
                b'4' | b'5' => {
                    let reply = code_text(code, if code < 500 { "4.7.1" } else { "5.7.1" }, "Access denied");
                    if code == 421 || code == 521 { Decision::Disconnect(reply) } else { Decision::Refuse(reply) }
                }
                _ => Decision::Permit,
            }
        }
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => Decision::Permit,
        _ => return Err(format!("unknown command in access table: \"{action}\"")),
    })
}

/// The client's name and its parents, then its address and the networks that begin it.
fn client_access(maps: &Maps, asked: &Asked<'_>) -> Result<Option<String>, TableError> {
    if let Some(name) = known(asked.client_name)
        && let Some(found) = domain_access(maps, name)?
    {
        return Ok(Some(found));
    }
    let address = asked.client_address.to_string();
    let separator = if asked.client_address.is_ipv6() { ':' } else { '.' };
    let mut part = address.as_str();
    loop {
        if let Some(found) = maps.find_text(part)? {
            return Ok(Some(found));
        }
        match part.rfind(separator) {
            Some(at) => part = &part[..at],
            None => return Ok(None),
        }
    }
}

fn domain_access(maps: &Maps, domain: &str) -> Result<Option<String>, TableError> {
    Ok(maps.find_domain(domain.as_bytes(), true)?.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

/// access(5): user@domain, domain and its parents, user@; with and without the extension.
fn address_access(settings: &Settings, maps: &Maps, address: &str) -> Result<Option<String>, TableError> {
    if address.is_empty() {
        return maps.find_text("<>");
    }
    let (local, domain) = envelope::split(address);
    let domain = domain.unwrap_or_default();
    let bare = envelope::split_extension(local, &settings.delimiters).0;
    if let Some(found) = maps.find_text(address)? {
        return Ok(Some(found));
    }
    if bare != local
        && let Some(found) = maps.find_text(&format!("{bare}@{domain}"))?
    {
        return Ok(Some(found));
    }
    if !domain.is_empty()
        && let Some(found) = domain_access(maps, domain)?
    {
        return Ok(Some(found));
    }
    if let Some(found) = maps.find_text(&format!("{local}@"))? {
        return Ok(Some(found));
    }
    if bare != local { maps.find_text(&format!("{bare}@")) } else { Ok(None) }
}

fn is_fqdn(domain: &str) -> bool {
    is_host_or_literal(domain, true)
}

fn is_host_or_literal(name: &str, dotted: bool) -> bool {
    if name.starts_with('[') {
        return crate::route::resolve::address_literal(name).is_some();
    }
    crate::proto::smtp_command::is_domain(name) && (!dotted || name.trim_end_matches('.').contains('.'))
}
