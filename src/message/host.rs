//! Host names and address literals, as the reference takes them (its valid_hostname; RFC 5321 section 4.1.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Labels of letters, digits, "-" and "_" with single dots between, at most 255 bytes; not an address.
pub fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    name.len() <= 255 && !numeric && name.split('.').all(label)
}

/// The address in "[192.0.2.1]", "[IPv6:::1]" or "[IPv6:::ffff:192.0.2.1]".
pub fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => {
            inner[5..].parse().ok().map(|address: Ipv6Addr| IpAddr::V6(address).to_canonical())
        }
        _ => dotted(inner).map(IpAddr::V4),
    }
}

/// Four numbers with dots between. Unlike the standard library's reader it takes leading zeros, as the reference does;
/// the first number is zero only in 0.0.0.0.
fn dotted(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = text
        .split('.')
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten())
        .collect::<Option<_>>()?;
    let octets: [u8; 4] = parts.try_into().ok()?;
    (octets[0] != 0 || octets == [0; 4]).then(|| octets.into())
}

/// What may stand behind the "@": a host name or an address literal.
pub fn is_domain(domain: &str) -> bool {
    if domain.starts_with('[') { literal(domain).is_some() } else { is_name(domain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals() {
        for name in ["a.b", "a.b.", "a_b.c", "1a.2", "\u{e9}.fr", "[1.2.3.4]", "[127.0.0.01]", "[IPv6:::1]"] {
            assert!(is_domain(name), "{name}");
        }
        for name in [
            "",
            ".",
            "a..b",
            ".a",
            "-a.b",
            "a-.b",
            "1.2.3.4",
            "127",
            "a b",
            "[1.2.3]",
            "[0.1.2.3]",
            "[::1]",
            "[]",
            "[",
            "a@b",
        ] {
            assert!(!is_domain(name), "{name}");
        }
    }
}
