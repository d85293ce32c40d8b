//! Which versions of TLS a list of `smtpd_tls_protocols` and its kin lets in (postconf(5)): names that are wanted, names
//! after "!" that are not, and bounds (">=TLSv1.2", "<=TLSv1.3"). The library speaks 1.2 and 1.3; what a list says of
//! older ones is understood, and lets in nothing.

use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// Names with their numbers in the protocol, oldest first. SSLv2 has none that compares: it is never spoken.
const NAMES: &[(&str, u16)] =
    &[("SSLv3", 0x0300), ("TLSv1", 0x0301), ("TLSv1.1", 0x0302), ("TLSv1.2", 0x0303), ("TLSv1.3", 0x0304)];

/// The versions that may be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub tls12: bool,
    pub tls13: bool,
}

/// A name or a hexadecimal number ("0303"); 0 where a bound has nothing behind it: none.
fn number(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    if let Some((_, number)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(*number);
    }
    // As strtol(3) to the base of 16: with or without "0x".
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    u16::from_str_radix(digits, 16).ok()
}

impl Versions {
    /// Reads a list; the error is the word that it fails at.
    pub fn parse(list: &str) -> Result<Versions, String> {
        let (mut floor, mut ceiling) = (0, 0);
        let mut wanted: Vec<u16> = Vec::new();
        let mut unwanted: Vec<u16> = Vec::new();
        let mut names_some = false;
        for word in list.split([' ', '\t', '\r', '\n', ',', ':']).filter(|word| !word.is_empty()) {
            let wrong = || word.to_owned();
            if let Some(bound) = word.strip_prefix(">=") {
                floor = number(bound).ok_or_else(wrong)?;
            } else if let Some(bound) = word.strip_prefix("<=") {
                ceiling = number(bound).ok_or_else(wrong)?;
            } else {
                let (name, out) = word.strip_prefix('!').map_or((word, false), |name| (name, true));
                let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
                if known.is_none() && !name.eq_ignore_ascii_case("SSLv2") {
                    return Err(wrong());
                }
                names_some |= !out;
                if out { &mut unwanted } else { &mut wanted }.extend(known);
            }
        }
        let is_in = |version: u16| {
            (floor == 0 || version >= floor)
                && (ceiling == 0 || version <= ceiling)
                && !unwanted.contains(&version)
                && (!names_some || wanted.contains(&version))
        };
        Ok(Versions { tls12: is_in(0x0303), tls13: is_in(0x0304) })
    }

    /// For the library; empty where the list lets in nothing that it speaks.
    pub fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        [(self.tls13, &TLS13), (self.tls12, &TLS12)]
            .into_iter()
            .filter_map(|(on, version)| on.then_some(version))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_people_write_them() {
        let read = |list| Versions::parse(list).map(|Versions { tls12, tls13 }| (tls12, tls13));
        assert_eq!(read(""), Ok((true, true)));
        assert_eq!(read(">=TLSv1"), Ok((true, true)));
        assert_eq!(read("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"), Ok((true, true)));
        assert_eq!(read(">=TLSv1.2, <=TLSv1.2"), Ok((true, false)));
        assert_eq!(read("TLSv1.3"), Ok((false, true)));
        assert_eq!(read("tlsv1.2:!TLSv1.3"), Ok((true, false)));
        assert_eq!(read("<=0302"), Ok((false, false)));
        assert_eq!(read(">=0x0304"), Ok((false, true)));
        assert_eq!(read("!TLSv1.4"), Err("!TLSv1.4".to_owned()));
        assert_eq!(read(">=new"), Err(">=new".to_owned()));
        assert_eq!(read(">= <="), Ok((true, true)));
    }
}
