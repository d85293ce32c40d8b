//! inet_interfaces that no interface has.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::MainCf;
use crate::conf::computed;
use crate::sys::resolve;
use std::net::IpAddr;

pub fn check(ground: &Ground, found: &mut Findings) {
    let own: Vec<IpAddr> = computed::interfaces().into_iter().map(|interface| interface.address).collect();
    for name in ["inet_interfaces", "proxy_interfaces"].iter().filter(|name| ground.assignment(name).is_some()) {
        for word in MainCf::list(&ground.value(name)) {
            if ["all", "loopback-only", "none"].contains(&word.as_str()) {
                continue;
            }
            let bare = word.trim_start_matches('[').trim_end_matches(']');
            let addresses = match bare.parse::<IpAddr>() {
                Ok(address) => vec![address],
                Err(_) => match resolve::addresses(bare) {
                    Ok(addresses) => addresses,
                    Err(error) => {
                        found.error(
                            ground.word_span(name, &word),
                            format!("{name} names {word}, which has no address: {}", error.reason),
                            "The mail system does not start when it cannot tell where to listen.",
                            format!("put {word} into /etc/hosts, or write the address"),
                        );
                        continue;
                    }
                },
            };
            // A proxy's addresses are elsewhere by definition.
            if *name == "inet_interfaces" && !addresses.iter().any(|address| own.contains(address)) {
                found.error(
                    ground.word_span(name, &word),
                    format!("no interface of this machine has {word}"),
                    "Listening fails, and mail for this address is not taken for local.",
                    "write an address that `ip address` shows, or: all, loopback-only",
                );
            }
        }
    }
}
