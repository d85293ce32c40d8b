//! Asking the queue manager to try again: everything, one message, or the mail for a site.

use super::{through_postdrop, unavailable};
use crate::applet::sendmail::Flush;
use crate::applet::voice::Voice;
use crate::conf::MainCf;
use crate::exit::{Exit, Failure};
use crate::ipc::trigger;
use crate::queue::{Queue, QueueId};
use crate::table::matchlist::Flavour;
use crate::table::{MatchList, Options};
use std::io;

pub fn flush(cf: &MainCf, voice: &Voice, what: &Flush) -> Result<Exit, Failure> {
    let queue = Queue::new(cf);
    let (code, service, arguments) = match what {
        Flush::All => (trigger::FLUSH.to_vec(), "qmgr", vec!["-F".to_owned()]),
        Flush::Message(text) => {
            let Some(id) = QueueId::parse(text) else {
                return Err(unavailable(format!("Cannot flush queue ID - invalid name: \"{text}\"")));
            };
            (trigger::one(&id), "flush", vec!["-F".to_owned(), "-i".to_owned(), text.clone()])
        }
        Flush::Site(site) => {
            if !is_site(site) {
                return Err(unavailable(format!("Cannot flush mail queue - invalid destination: \"{site}\"")));
            }
            crate::queue::permission::check(cf, crate::queue::permission::Deed::Flush).map_err(unavailable)?;
            if !is_served(cf, site)? {
                return Err(unavailable(format!("Flush service is not configured for destination \"{site}\"")));
            }
            // All deferred mail is tried: what waits for this site is part of it.
            (trigger::FLUSH.to_vec(), "flush", vec!["-F".to_owned()])
        }
    };
    let Err(error) = trigger::send(&queue.directory().join("public/qmgr"), &code) else { return Ok(Exit::OK) };
    if error.kind() == io::ErrorKind::PermissionDenied {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        return through_postdrop(cf, voice, &arguments).map(|_| Exit::OK);
    }
    if let Some(warning) = trigger::unheard(service, &error) {
        voice.warning(warning);
    }
    Err(unavailable("Cannot flush mail queue - mail system is down"))
}

/// A host name, or an address in brackets.
fn is_site(site: &str) -> bool {
    if let Some(inside) = site.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
            Some(tag) => inside[tag.len()..].parse::<std::net::Ipv6Addr>().is_ok(),
            None => inside.parse::<std::net::Ipv4Addr>().is_ok(),
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    site.len() < 256
        && site.split('.').all(label)
        && !site.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}

/// fast_flush_domains: the sites that may be asked for.
fn is_served(cf: &MainCf, site: &str) -> Result<bool, Failure> {
    let title = "fast_flush_domains";
    let parents = crate::route::resolve::subdomains(cf, title);
    let domains = MatchList::parse(title, &cf.fast_flush_domains(), Flavour::Domains { parents }, &Options::default());
    domains.contains(site).map_err(|error| unavailable(format!("{title}: {error}")))
}
