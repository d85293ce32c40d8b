//! mynetworks wider than the networks of this machine: everyone in them may relay.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::MainCf;
use crate::conf::computed;
use std::net::IpAddr;

pub fn check(ground: &Ground, found: &mut Findings) {
    if ground.assignment("mynetworks").is_none() {
        return;
    }
    let own = computed::interfaces();
    for word in MainCf::list(&ground.value("mynetworks")) {
        let Some((address, length)) = network(&word) else { continue };
        let full = if address.is_ipv6() { 128 } else { 32 };
        if length == full || address.is_loopback() {
            continue;
        }
        let span = ground.word_span("mynetworks", &word);
        if length == 0 {
            found.error(
                span,
                format!("mynetworks has the whole world in {word}"),
                "Whoever is in mynetworks may send mail to everyone through this machine: it is an open relay.",
                "write the networks of your own machines only",
            );
            continue;
        }
        // The network of an interface, or a part of it, is what is meant; a network that has it inside is wider.
        let inside = own.iter().find(|interface| {
            interface.address.is_ipv6() == address.is_ipv6()
                && common(interface.address, address) >= length
                && interface.prefix > length
        });
        if let Some(interface) = inside {
            found.warning(
                span,
                format!("{word} is wider than this machine's network, which has {} bits", interface.prefix),
                "Machines outside of your network may send mail to everyone through this one.",
                format!("write /{} instead of /{length}, if that is your network", interface.prefix),
            );
        }
    }
}

/// "192.168.4.0/24", "[fe80::]/10".
fn network(word: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = word.trim_start_matches('!').split_once('/')?;
    Some((address.trim_start_matches('[').trim_end_matches(']').parse().ok()?, length.parse().ok()?))
}

/// How many bits two addresses of a kind have in common.
fn common(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => 0,
    }
}
