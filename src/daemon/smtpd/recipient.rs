//! Whether a recipient exists, before its mail is accepted (LOCAL_RECIPIENT_README): mail that would only be returned
//! later is refused now.

use super::settings::Settings;
use crate::message::envelope;
use crate::route::{Class, Resolution};
use crate::table::{Maps, TableError};

/// The reply for a recipient that its domain's table does not know; None: it does, or there is no such table.
pub fn unlisted(settings: &Settings, resolution: &Resolution, named: &str) -> Result<Option<String>, String> {
    let address = resolution.recipient.as_str();
    let known = |maps: &Maps| is_known(settings, maps, address, resolution.class).map_err(|error| error.to_string());
    for maps in settings.canonical.iter().chain([&settings.virtual_aliases]) {
        if known(maps)? {
            return Ok(None);
        }
    }
    let (maps, code, table) = match resolution.class {
        Class::Local if settings.check_local_recipients => {
            (&settings.local_recipients, settings.unknown_local_code, "local recipient")
        }
        Class::VirtualAlias => (&settings.virtual_aliases, 550, "virtual alias"),
        Class::VirtualMailbox if !settings.virtual_mailboxes.is_empty() => {
            (&settings.virtual_mailboxes, 550, "virtual mailbox")
        }
        Class::Relay if !settings.relay_recipients.is_empty() => (&settings.relay_recipients, 550, "relay recipient"),
        _ => return Ok(None),
    };
    if is_ours(address) || known(maps)? {
        return Ok(None);
    }
    let dsn = if code < 500 { "4.1.1" } else { "5.1.1" };
    let place = if settings.show_unknown_table { format!(" in {table} table") } else { String::new() };
    Ok(Some(format!("{code} {dsn} <{named}>: Recipient address rejected: User unknown{place}")))
}

/// Addresses that the mail system itself uses are always there.
fn is_ours(address: &str) -> bool {
    let local = envelope::split(address).0;
    ["double-bounce", "mailer-daemon"].iter().any(|name| local.eq_ignore_ascii_case(name))
}

fn is_known(settings: &Settings, maps: &Maps, address: &str, class: Class) -> Result<bool, TableError> {
    if maps.is_empty() {
        return Ok(false);
    }
    let is_local = |_: &[u8]| class == Class::Local;
    Ok(maps.find_address(address.as_bytes(), settings.delimiters.as_bytes(), &is_local)?.is_some())
}
