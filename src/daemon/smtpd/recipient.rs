//! Whether an address exists, before its mail is accepted (LOCAL_RECIPIENT_README): mail that would only be returned
//! later is refused now.

use super::settings::Settings;
use crate::message::envelope;
use crate::route::{Class, Resolution};
use crate::status::Code;
use crate::table::maps::AddressMatch;
use crate::table::{Maps, TableError};

/// Why an address is refused.
pub struct Unknown {
    pub code: i64,
    pub dsn: String,
    pub text: String,
}

/// What is wrong with an address that its domain's table does not know; None: it does, or there is no such table.
pub fn unlisted(settings: &Settings, resolution: &Resolution, sender: bool) -> Result<Option<Unknown>, TableError> {
    let address = resolution.recipient.as_str();
    let codes = &settings.codes;
    let dsn = if sender { "5.1.0" } else { "5.1.1" };
    let sender_maps = if sender { Some(&settings.sender_canonical) } else { None };
    for maps in settings.canonical.iter().chain(sender_maps).chain([&settings.virtual_aliases]) {
        if find(settings, maps, address, resolution.class)?.is_some() {
            return Ok(None);
        }
    }
    // What goes to the error mailer is known to be undeliverable.
    if resolution.transport == "error" || resolution.transport == "retry" {
        let (dsn, words) = match Code::split(&resolution.nexthop) {
            Some((own, words)) => (own.to_string(), words),
            None => (dsn.to_owned(), resolution.nexthop.as_str()),
        };
        let code = match (resolution.transport.as_str(), resolution.class) {
            ("retry", _) => 450,
            (_, Class::VirtualAlias) => codes.unknown_virtual_alias,
            _ => 550,
        };
        // The words are the resolver's.
        let hidden = resolution.class == Class::VirtualAlias && !settings.router.shows_unknown_table;
        let text = if hidden { words.replace(" in virtual alias table", "") } else { words.to_owned() };
        return Ok(Some(Unknown { code, dsn, text }));
    }
    let (maps, code, table) = match resolution.class {
        Class::Local => (&settings.local_recipients, codes.unknown_local, "local recipient"),
        Class::VirtualMailbox => (&settings.virtual_mailboxes, codes.unknown_virtual_mailbox, "virtual mailbox"),
        Class::Relay => (&settings.relay_recipients, codes.unknown_relay, "relay recipient"),
        Class::VirtualAlias | Class::Default => return Ok(None),
    };
    let ours = resolution.class == Class::Local && is_ours(settings, address);
    if maps.is_empty() || ours || find(settings, maps, address, resolution.class)?.is_some() {
        return Ok(None);
    }
    let place = if settings.show_unknown_table { format!(" in {table} table") } else { String::new() };
    Ok(Some(Unknown { code, dsn: dsn.to_owned(), text: format!("User unknown{place}") }))
}

/// Addresses that the mail system itself uses are always there.
fn is_ours(settings: &Settings, address: &str) -> bool {
    let local = envelope::split(address).0;
    [settings.double_bounce.as_str(), "postmaster", "mailer-daemon"].iter().any(|name| local.eq_ignore_ascii_case(name))
}

pub fn find(settings: &Settings, maps: &Maps, address: &str, class: Class) -> Result<Option<AddressMatch>, TableError> {
    if maps.is_empty() {
        return Ok(None);
    }
    let is_local = |_: &[u8]| class == Class::Local;
    maps.find_address(address.as_bytes(), settings.delimiters.as_bytes(), &is_local)
}
