//! Opening a connection to a filter, and what both sides agree on: the version, the edits that it may ask for, the events
//! and answers that are left out, and its own lists of macros.

use super::packet::{self, Fields};
use super::protocol::{self, Event, STAGES, Stage, VERSIONS};
use super::settings::Spec;
use crate::sys::files::reason;
use crate::table::stream::{Connection, Endpoint, Refused};

/// What was agreed on.
#[derive(Clone, Debug, Default)]
pub struct Agreed {
    /// Steps that this version does not know: not even macros are sent for them.
    pub unknown_steps: u32,
    /// Steps that the filter asked to leave out, and its other wishes.
    pub steps: u32,
    /// Lists of macros in place of the configured ones; empty: those.
    pub macros: [String; STAGES],
}

/// What is offered: the version, and all steps that it knows.
pub struct Offer {
    pub version: u32,
    pub steps: u32,
}

/// Why nothing can be offered, or nobody be reached.
#[derive(Debug)]
pub enum Mistake {
    /// Here, in the configuration.
    Configuration(String),
    /// There.
    Communication(String),
}

/// milter_protocol: a version, and "no_header_reply".
pub fn offer(spec: &Spec) -> Result<Offer, Mistake> {
    let name = &spec.name;
    let bad = |text: String| Err(Mistake::Configuration(text));
    let mut offer = Offer { version: 0, steps: 0 };
    for word in spec.protocol.split([' ', ',', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        let known = word.parse().ok().and_then(|wanted: u32| VERSIONS.iter().find(|(version, _)| *version == wanted));
        match known {
            Some((version, steps)) if offer.version == 0 => {
                offer.version = *version;
                offer.steps |= steps;
            }
            None if word == "no_header_reply" => offer.steps |= protocol::NO_HEADER_REPLY,
            _ => return bad(format!("milter {name}: bad protocol information: {word}")),
        }
    }
    if offer.version == 0 {
        return bad(format!("milter {name}: no protocol version information"));
    }
    Ok(offer)
}

/// Where the filter listens: "unix:path" (or "local:"), "inet:host:port".
pub fn endpoint(spec: &Spec) -> Result<Endpoint, Mistake> {
    let name = &spec.name;
    let (kind, place) = name.split_once(':').unwrap_or((name, ""));
    if kind.is_empty() || place.is_empty() {
        let text = format!("Milter service needs transport:endpoint instead of \"{name}\"");
        return Err(Mistake::Configuration(text));
    }
    // sendmail's "inet:port@host" is not Postfix's.
    match kind {
        "inet" => Endpoint::inet(place).map_err(Mistake::Configuration),
        "unix" | "local" => Ok(Endpoint::Unix(place.to_owned())),
        _ => {
            let text = format!("invalid transport name: {kind} in Milter service: {name}");
            Err(Mistake::Configuration(text))
        }
    }
}

pub fn connect(spec: &Spec) -> Result<Connection, Mistake> {
    let name = &spec.name;
    Connection::open(&endpoint(spec)?, spec.connect_timeout).map_err(|refused| {
        let why = match refused {
            Refused::Unknown(why) => why,
            Refused::Io(error) => reason(&error),
        };
        Mistake::Communication(format!("connect to Milter service {name}: {why}"))
    })
}

/// The packet that opens the talk.
pub fn opening(offer: &Offer) -> Vec<u8> {
    let mut out = Vec::new();
    let numbers = [offer.version, protocol::ACTIONS, offer.steps].map(u32::to_be_bytes);
    packet::write(&mut out, Event::Negotiate.row().code, &[&numbers.concat()]);
    out
}

/// Reads the filter's answer to the offer. Err: what is said of it, in one or two lines.
pub fn agree(offer: &Offer, name: &str, data: &[u8], warn: &dyn Fn(String)) -> Result<Agreed, Vec<String>> {
    let unreadable =
        |error: packet::PacketError| vec![error.to_string(), format!("milter {name}: read error in initial handshake")];
    let mut fields = Fields::new(data, name);
    let version = fields.number().map_err(unreadable)?;
    let actions = fields.number().map_err(unreadable)?;
    let steps = fields.number().map_err(unreadable)?;
    if version > offer.version {
        let ours = offer.version;
        return Err(vec![format!(
            "milter {name}: protocol version {version} conflict with MTA protocol version {ours}"
        )]);
    }
    if actions & !protocol::ACTIONS != 0 {
        let ours = protocol::ACTIONS;
        return Err(vec![format!("milter {name}: request mask {actions:#x} conflict with MTA request mask {ours:#x}")]);
    }
    let mut agreed = Agreed { steps, unknown_steps: protocol::UNSENT & !offer.steps, ..Agreed::default() };
    // A version between those that are known is as the one below it.
    match VERSIONS.iter().find(|(known, _)| *known <= version) {
        Some((_, known_steps)) => agreed.unknown_steps |= protocol::UNSENT & !known_steps,
        None => warn(format!("milter {name}: unexpected protocol version {version}")),
    }
    while !fields.is_empty() {
        let stage = fields.number().map_err(|error| vec![error.to_string()])?;
        let list = fields.string().map_err(|error| vec![error.to_string()])?;
        match Stage::numbered(stage) {
            Some(stage) => agreed.macros[stage as usize] = String::from_utf8_lossy(list).into_owned(),
            None => warn(format!("milter {name}: ignoring unknown macro type {stage}")),
        }
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::milter::verdict::DefaultAction;
    use std::time::Duration;

    fn spec(protocol: &str) -> Spec {
        let second = Duration::from_secs(1);
        Spec {
            name: "unix:f".into(),
            connect_timeout: second,
            command_timeout: second,
            content_timeout: second,
            protocol: protocol.into(),
            default_action: DefaultAction::Tempfail,
        }
    }

    #[test]
    fn a_protocol_is_one_version_and_its_extensions() {
        assert!(offer(&spec("6")).is_ok_and(|offer| offer.version == 6 && offer.steps == 0x1f_ffff));
        assert!(offer(&spec("2, no_header_reply")).is_ok_and(|offer| offer.version == 2 && offer.steps == 0xff));
        for wrong in ["5", "2 3", "", "no_header_reply", "six"] {
            assert!(offer(&spec(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_of_macros_are_the_filters_wish() {
        let offer = offer(&spec("6")).unwrap_or(Offer { version: 0, steps: 0 });
        let data = [&[0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0x08, 0, 0, 0, 0, 3][..], b"i {rcpt_addr}\0\0\0\0\x63x\0"].concat();
        let warned = std::cell::RefCell::new(Vec::new());
        let agreed = agree(&offer, "f", &data, &|text| warned.borrow_mut().push(text)).unwrap();
        assert_eq!(agreed.macros[Stage::Rcpt as usize], "i {rcpt_addr}");
        assert_eq!(*warned.borrow(), ["milter f: ignoring unknown macro type 99"]);
    }

    proptest::proptest! {
        #[test]
        fn a_hostile_answer_is_an_error_never_a_panic(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let _ = agree(&Offer { version: 6, steps: 0x1f_ffff }, "f", &data, &|_| {});
        }
    }
}
