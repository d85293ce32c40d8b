//! XCLIENT and XFORWARD (XCLIENT_README, XFORWARD_README): a trusted client speaks for another.

use super::session::Session;
use super::stream::Duplex;
use crate::cleanup::envelope::{Login, XCLIENT};
use crate::message::host;
use crate::proto::smtp_command::Verb;
use crate::proto::xtext;
use std::net::IpAddr;

pub const OFFER: &str = "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";
pub const FORWARD_OFFER: &str = "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT";

/// Longest value.
const MAX_VALUE: usize = 255;

/// What XFORWARD said, for the log attributes of the message.
#[derive(Clone, Debug, Default)]
pub struct Forwarded {
    pub name: Option<String>,
    pub address: Option<String>,
    pub port: Option<String>,
    pub helo: Option<String>,
    pub protocol: Option<String>,
    pub identity: Option<String>,
    pub source: Option<String>,
}

impl<S: Duplex> Session<S> {
    pub async fn xclient(&mut self, rest: &str) {
        let verb = Verb::Xclient;
        if self.transaction.sender.is_some() {
            return self.error(verb, "503 5.5.1 Error: MAIL transaction in progress").await;
        }
        let hosts = &self.shared.settings.xclient_hosts;
        // As in the reference, who spoke for somebody else has that client's rights from then on.
        if !self.peer.is_in(hosts) {
            return self.error(verb, "550 5.7.0 Error: insufficient authorization").await;
        }
        let attributes = match attributes(rest, "XCLIENT") {
            Ok(attributes) => attributes,
            Err(reply) => return self.error(verb, &reply).await,
        };
        let mut peer = self.peer.clone();
        peer.origin.get_or_insert_with(|| Box::new(self.peer.clone()));
        // Another client has not said hello.
        let (mut helo, mut extended, mut login) = (None, false, self.login.clone());
        for (name, value) in attributes {
            let bad = || format!("501 5.5.4 Bad {name} syntax: {value}");
            let absent = value.eq_ignore_ascii_case("[UNAVAILABLE]");
            let later = value.eq_ignore_ascii_case("[TEMPUNAVAIL]");
            let fault = match name.as_str() {
                "NAME" | "REVERSE_NAME" => {
                    let known = !absent && !later;
                    let fault = (known && !host::is_name(&value)).then(bad);
                    let text = if known { value.clone() } else { "unknown".to_owned() };
                    if name == "NAME" {
                        (peer.name, peer.name_failed) = (text.clone(), later);
                    }
                    // Both, until REVERSE_NAME says otherwise.
                    (peer.reverse, peer.reverse_failed) = (text, later);
                    fault
                }
                "ADDR" => {
                    peer.address = address(&value);
                    (peer.address.is_none() && !absent).then(bad)
                }
                "PORT" if absent => None,
                "PORT" => value.parse().map(|port| peer.port = port).err().map(|_| bad()),
                "HELO" if absent => {
                    helo = None;
                    None
                }
                "HELO" => {
                    helo = Some(value.clone());
                    None
                }
                "PROTO" => {
                    extended = value.eq_ignore_ascii_case("ESMTP");
                    (!extended && !value.eq_ignore_ascii_case("SMTP")).then(bad)
                }
                "LOGIN" => {
                    let named = || Login { method: XCLIENT.into(), name: value.clone() };
                    login = (!absent).then(named);
                    None
                }
                "DESTADDR" if absent => None,
                "DESTADDR" => match address(&value) {
                    Some(address) => {
                        peer.server_address = address.to_string();
                        None
                    }
                    None => Some(bad()),
                },
                "DESTPORT" if absent => None,
                "DESTPORT" => value.parse().map(|port| peer.server_port = port).err().map(|_| bad()),
                _ => Some(format!("501 5.5.4 Bad XCLIENT attribute name: {name}")),
            };
            if let Some(reply) = fault {
                return self.error(verb, &reply).await;
            }
        }
        if self.helo.is_some() && helo.is_none() {
            self.filter_abort().await;
        }
        self.peer = peer;
        (self.helo, self.extended, self.login) = (helo, extended, login);
        self.reset_transaction().await;
        self.forwarded = None;
        self.early_deferral = None;
        // Counted as a failure and no error, as in the reference.
        self.count(verb, false);
        self.greet("XCLIENT").await;
    }

    /// XFORWARD is the true client's right.
    pub fn may_forward(&self) -> bool {
        self.peer.origin.as_deref().unwrap_or(&self.peer).is_in(&self.shared.settings.xforward_hosts)
    }

    pub async fn xforward(&mut self, rest: &str) {
        let verb = Verb::Xforward;
        if self.transaction.sender.is_some() {
            return self.error(verb, "503 5.5.1 Error: MAIL transaction in progress").await;
        }
        if !self.may_forward() {
            return self.error(verb, "550 5.7.0 Error: insufficient authorization").await;
        }
        let attributes = match attributes(rest, "XFORWARD") {
            Ok(attributes) => attributes,
            Err(reply) => return self.error(verb, &reply).await,
        };
        let mut forwarded = self.forwarded.clone().unwrap_or_default();
        for (name, value) in attributes {
            let value = Some(value).filter(|value| !value.eq_ignore_ascii_case("[UNAVAILABLE]"));
            let place = match name.as_str() {
                "NAME" => &mut forwarded.name,
                "ADDR" => &mut forwarded.address,
                "PORT" => &mut forwarded.port,
                "HELO" => &mut forwarded.helo,
                "PROTO" => &mut forwarded.protocol,
                "IDENT" => &mut forwarded.identity,
                "SOURCE" => &mut forwarded.source,
                _ => return self.error(verb, &format!("501 5.5.4 Bad XFORWARD attribute name: {name}")).await,
            };
            let bad = match (name.as_str(), value.as_deref()) {
                ("ADDR", Some(text)) => address(text).is_none(),
                ("PORT", Some(text)) => text.parse::<u16>().is_err(),
                ("SOURCE", Some(text)) => !["LOCAL", "REMOTE"].iter().any(|word| word.eq_ignore_ascii_case(text)),
                _ => false,
            };
            if bad {
                let value = value.unwrap_or_default();
                return self.error(verb, &format!("501 5.5.4 Bad {name} syntax: {value}")).await;
            }
            *place = value;
        }
        self.forwarded = Some(forwarded);
        self.good(verb, "250 2.0.0 Ok").await;
    }
}

/// "NAME=xtext ..." with the names in capitals and the values decoded, nothing in them that could end a line.
fn attributes(rest: &str, command: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for word in rest.split_whitespace() {
        let (name, value) = word.split_once('=').ok_or("501 5.5.4 Error: attribute=value expected")?;
        let name = name.to_ascii_uppercase();
        if value.len() > MAX_VALUE {
            return Err("501 5.5.4 Error: attribute value too long".into());
        }
        let value = xtext::decode(value).ok_or_else(|| format!("501 5.5.4 Bad {name} syntax: {value}"))?;
        found.push((
            name,
            value.chars().map(|c| if c.is_control() || "<>\"\\;@".contains(c) { '?' } else { c }).collect(),
        ));
    }
    if found.is_empty() {
        return Err(format!("501 5.5.4 Syntax: {command} attribute=value..."));
    }
    Ok(found)
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &text[5..],
        _ => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}
