//! Defaults that the machine decides: its name, its domain, its networks (postconf(5), mynetworks_style), and the
//! parameters that the services of master.cf bring with them (SERVICE_destination_concurrency_limit and so on).

use super::main_cf::MainCf;
use std::net::IpAddr;

/// The machine's own default of a parameter; None for one that has a text default.
pub(super) fn default(cf: &MainCf, name: &str) -> Option<String> {
    match name {
        "myhostname" => Some(host_name(cf)),
        "mydomain" => Some(domain(cf)),
        "mynetworks" => Some(networks(cf)),
        "process_id" => Some(std::process::id().to_string()),
        "process_name" => {
            let name = std::env::args_os().next().unwrap_or_default();
            let name = std::path::Path::new(&name).file_name().unwrap_or_default();
            Some(name.to_string_lossy().into_owned())
        }
        _ => None,
    }
}

/// The suffixes that a transport or a spawned service of any name has a parameter for.
pub const DERIVED_SUFFIXES: &[&str] = &[
    "_delivery_slot_cost",
    "_delivery_slot_discount",
    "_delivery_slot_loan",
    "_destination_concurrency_failed_cohort_limit",
    "_destination_concurrency_limit",
    "_destination_concurrency_negative_feedback",
    "_destination_concurrency_positive_feedback",
    "_destination_rate_delay",
    "_destination_recipient_limit",
    "_extra_recipient_limit",
    "_initial_destination_concurrency",
    "_minimum_delivery_slots",
    "_recipient_limit",
    "_recipient_refill_delay",
    "_recipient_refill_limit",
    "_transport_rate_delay",
];

/// The default of a parameter that a service name makes: "$default_..." of the same suffix.
pub(super) fn derived(name: &str) -> Option<String> {
    if name.ends_with("_time_limit") && name != "command_time_limit" {
        return Some("$command_time_limit".into());
    }
    let suffix = DERIVED_SUFFIXES.iter().filter(|suffix| name.ends_with(*suffix)).max_by_key(|suffix| suffix.len())?;
    let initial = *suffix == "_initial_destination_concurrency";
    Some(if initial { "$initial_destination_concurrency".into() } else { format!("$default{suffix}") })
}

/// What main.cf makes of a parameter without any default: who computes a default would ask for itself.
fn as_set(cf: &MainCf, name: &str) -> Option<String> {
    let set = |name: &str| cf.settings().get(name).map(|setting| setting.raw.clone());
    Some(super::expand::expand(&set(name)?, &set).unwrap_or_default())
}

/// The kernel's host name, with the domain after it when it has none.
fn host_name(cf: &MainCf) -> String {
    let name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    if name.contains('.') {
        return name;
    }
    // The domain is asked only as set: its own default comes from this name.
    let domain = as_set(cf, "mydomain").unwrap_or_else(|| "localdomain".to_owned());
    format!("{name}.{domain}")
}

/// myhostname without its first label; "localdomain" when that leaves nothing.
fn domain(cf: &MainCf) -> String {
    let host = as_set(cf, "myhostname")
        .unwrap_or_else(|| nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned());
    match host.split_once('.') {
        Some((_, domain)) if !domain.is_empty() => domain.to_owned(),
        _ => "localdomain".to_owned(),
    }
}

/// An address of this machine and the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    pub address: IpAddr,
    pub prefix: u32,
}

/// The addresses of the interfaces that are up, IPv4 first, without doubles.
pub fn interfaces() -> Vec<Interface> {
    let mut found: Vec<Interface> = Vec::new();
    for entry in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        if !entry.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP) {
            continue;
        }
        let (Some(address), Some(mask)) = (entry.address, entry.netmask) else { continue };
        let interface = if let (Some(v4), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
            Interface { address: v4.ip().into(), prefix: u32::from(mask.ip()).count_ones() }
        } else if let (Some(v6), Some(mask)) = (address.as_sockaddr_in6(), mask.as_sockaddr_in6()) {
            Interface { address: v6.ip().into(), prefix: u128::from(mask.ip()).count_ones() }
        } else {
            continue;
        };
        if !found.contains(&interface) {
            found.push(interface);
        }
    }
    found.sort_by_key(|interface| interface.address.is_ipv6());
    found
}

/// mynetworks by mynetworks_style: host, subnet, class.
fn networks(cf: &MainCf) -> String {
    let style = cf.mynetworks_style();
    let protocols = cf.text("inet_protocols").unwrap_or_default();
    let wants = |version: &str| protocols.contains("all") || protocols.contains(version);
    let mut networks: Vec<String> = Vec::new();
    for interface in interfaces() {
        if !wants(if interface.address.is_ipv6() { "ipv6" } else { "ipv4" }) {
            continue;
        }
        let full = if interface.address.is_ipv6() { 128 } else { 32 };
        let prefix = match (style.as_str(), interface.address) {
            ("subnet", _) => interface.prefix,
            ("class", IpAddr::V4(v4)) => match v4.octets()[0] {
                0..=127 => 8,
                128..=191 => 16,
                _ => 24,
            },
            ("class", _) => interface.prefix,
            (_, IpAddr::V4(v4)) if v4.is_loopback() => interface.prefix,
            _ => full,
        };
        let text = network_text(interface.address, prefix);
        if !networks.contains(&text) {
            networks.push(text);
        }
    }
    networks.join(" ")
}

/// "192.168.4.0/24" or "[fe80::]/64": the address with the host bits off.
fn network_text(address: IpAddr, prefix: u32) -> String {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            format!("[{}]/{prefix}", std::net::Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}
