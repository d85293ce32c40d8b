//! A relayhost that is this machine: mail loops back. The lab handout's own main.cf has it: relayhost = $mydomain, and
//! the domain's MX is the host itself.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::computed;
use crate::daemon::smtp::dns::{Answer, Dns};
use crate::sys::resolve;

pub fn check(ground: &Ground, found: &mut Findings) {
    let relay = ground.value("relayhost").trim().to_lowercase();
    if relay.is_empty() {
        return;
    }
    let (name, by_mx) = match relay.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _)) => (inner.to_owned(), false),
        None => (relay.split(':').next().unwrap_or_default().to_owned(), true),
    };
    let host = ground.value("myhostname").to_lowercase();
    let own: Vec<_> = computed::interfaces().into_iter().map(|interface| interface.address).collect();
    let is_own = |name: &str| {
        name.trim_end_matches('.').eq_ignore_ascii_case(&host)
            || resolve::addresses(name).is_ok_and(|found| found.iter().any(|address| own.contains(address)))
    };
    let exchanges = match Dns::new().map(|dns| dns.mx(&name)) {
        Ok(Answer::Found(found)) if by_mx => found,
        _ => Vec::new(),
    };
    let best = exchanges.iter().map(|(preference, _)| *preference).min();
    let culprit = exchanges.iter().find(|(preference, exchange)| Some(*preference) == best && is_own(exchange));
    let message = match culprit {
        Some((_, exchange)) => format!("relayhost = {name}, whose mail exchanger {exchange} is this machine"),
        None if exchanges.is_empty() && is_own(&name) => format!("relayhost = {name}, which is this machine"),
        None => return,
    };
    found.error(
        ground.value_span("relayhost"),
        message,
        "Mail for other domains comes back to this machine, which returns it: \"mail for ... loops back to myself\".",
        "leave relayhost empty to deliver by MX, or name your provider's server: [smtp.example.org]",
    );
}
