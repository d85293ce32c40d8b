//! cidr:FILE (cidr_table(5)): "network/length result", negation, IF and ENDIF; and [`Network`], the address pattern,
//! which mynetworks uses too.

use super::files_as_values;
use super::open::{Opened, Options, Table, TableError, Value, questioned};
use super::rules::{self, Rules};
use super::source::{is_space, trim};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Reads "ADDRESS", "ADDRESS/LENGTH", "[ADDRESS]" or "[ADDRESS]/LENGTH"; the error is the reference's text.
    pub fn parse(text: &str) -> Result<Network, String> {
        let bad_pattern = |shown: &str| format!("bad address pattern: \"{shown}\"");
        let (host, length) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) =
                rest.split_once(']').ok_or_else(|| format!("missing ']' character after \"{text}\""))?;
            match after {
                "" => (host, None),
                _ => match after.strip_prefix('/') {
                    Some(length) => (host, Some(length)),
                    None => return Err(format!("garbage after \"[{host}]\"")),
                },
            }
        } else {
            match text.split_once('/') {
                Some((host, length)) => (host, Some(length)),
                None => (text, None),
            }
        };
        // Messages show it without brackets.
        let bare = length.map_or_else(|| host.to_owned(), |length| format!("{host}/{length}"));
        let text = bare.as_str();
        let digits = |length: &str| !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(length) = length
            && !digits(length)
        {
            return Err(format!("bad mask value in \"{text}\""));
        }
        let address: IpAddr = host.parse().map_err(|_| match length {
            Some(_) => format!("bad network value in \"{text}\""),
            None => bad_pattern(text),
        })?;
        let full = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => full,
            Some(length) => length
                .parse()
                .ok()
                .filter(|&length| length <= full)
                .ok_or_else(|| format!("bad mask length in \"{text}\""))?,
        };
        let network = Network { address: masked(address, length), length };
        if network.address != address {
            let right = network.address;
            return Err(format!(
                "non-null host address bits in \"{text}\", perhaps you should use \"{right}/{length}\" instead"
            ));
        }
        Ok(network)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.length) == self.address
    }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

struct Test {
    network: Network,
    negated: bool,
}

impl Test {
    fn holds(&self, address: IpAddr) -> bool {
        // An address of the other family is neither in a network nor out of it.
        address.is_ipv4() == self.network.address.is_ipv4() && self.network.contains(address) != self.negated
    }
}

struct Cidr(Rules<Test, Value>);

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let mut rules = Rules::default();
    let directory = |error: TableError| match error.reason.ends_with(": Is a directory") {
        true => TableError::new(&error.table, format!("cidr map {name}: read error: Is a directory")),
        false => error,
    };
    rules::read(kind, name, options, |line, text| {
        if let Err(fault) = rule(&mut rules, line, text, options) {
            options.warn(format_args!("cidr map {name}, line {line}: {fault}: skipping this rule"));
        }
    })
    .map_err(directory)?;
    for line in rules.unended() {
        options.warn(format_args!("cidr map {name}, line {line}: IF has no matching ENDIF"));
    }
    Ok(Box::new(Cidr(rules)))
}

fn rule(rules: &mut Rules<Test, Value>, line: usize, text: &[u8], options: &Options) -> Result<(), String> {
    if let Some(rest) = rules::keyword(text, "endif") {
        if !trim(rest).is_empty() {
            return Err("garbage after ENDIF".into());
        }
        return if rules.end_if() { Ok(()) } else { Err("ENDIF without IF".into()) };
    }
    if let Some(rest) = rules::keyword(text, "if") {
        let (negated, pattern) = rules::negation(trim(rest));
        if pattern.is_empty() {
            return Err("no address pattern".into());
        }
        let network = Network::parse(&questioned(pattern))?;
        rules.start_if(Test { network, negated }, line);
        return Ok(());
    }
    let (negated, text) = rules::negation(text);
    let end = text.iter().position(|&byte| is_space(byte)).unwrap_or(text.len());
    let (pattern, value) = (&text[..end], trim(&text[end..]));
    if pattern.is_empty() {
        return Err("no address pattern".into());
    }
    let pattern = questioned(pattern);
    let network = if value.is_empty() {
        // The reference looks at the pattern first only when there is a result to give.
        Network::parse(&pattern)
            .ok()
            .map(|_| ())
            .map_or_else(|| Err(bad(&pattern)), |()| Err("no lookup result".to_owned()))
    } else {
        Network::parse(&pattern)
    }?;
    let value = if options.values_are_files { files_as_values::encoded(value)? } else { value.to_vec() };
    rules.push(Test { network, negated }, value);
    Ok(())
}

fn bad(pattern: &str) -> String {
    Network::parse(pattern).err().unwrap_or_default()
}

impl Table for Cidr {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        let Some(address) = std::str::from_utf8(key).ok().and_then(|text| text.parse::<IpAddr>().ok()) else {
            return Ok(None);
        };
        Ok(self.0.run(|test| test.holds(address), |test, value| test.holds(address).then(|| value.clone())))
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("[::1]/128", "::1", "::2"),
            ("2001:db8::/32", "2001:db8:1::", "127.0.0.1"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
            ("[::ffff:127.0.0.0]/104", "::ffff:127.0.0.1", "127.0.0.1"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{outside}");
        }
        assert_eq!(
            Network::parse("10.0.0.1/8").unwrap_err(),
            "non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead"
        );
    }
}
