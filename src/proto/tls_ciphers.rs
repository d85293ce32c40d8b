//! The cipher suites of our TLS library under the names that OpenSSL gives them, which are those of Postfix's settings and log lines, and
//! which of them a cipher list lets in (ciphers(1)). Suites of TLS 1.3 are no matter of such lists, there or here.

use tokio_rustls::rustls::crypto::ring::{default_provider, kx_group};
use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup};
use tokio_rustls::rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

/// A suite: the library's name, OpenSSL's, the bits of its key, and the words of a list that it goes by.
pub struct Cipher {
    suite: CipherSuite,
    pub name: &'static str,
    pub bits: u16,
    words: &'static [&'static str],
}

const fn newest(suite: CipherSuite, name: &'static str, bits: u16) -> Cipher {
    Cipher { suite, name, bits, words: &[] }
}

macro_rules! older {
    ($suite:ident, $name:literal, $bits:literal, $($word:literal)*) => {
        Cipher { suite: CipherSuite::$suite, name: $name, bits: $bits, words: &[$name, "ALL", "DEFAULT", "HIGH",
            "TLSv1.2", "kECDHE", "kEECDH", "ECDHE", "EECDH", $($word),*] }
    };
}

/// Strongest first.
const CIPHERS: &[Cipher] = &[
    newest(CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384", 256),
    newest(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256", 256),
    newest(CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256", 128),
    older!(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", 256,
        "ECDSA" "aECDSA" "AES" "AES256" "AESGCM" "SHA384"),
    older!(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", 256,
        "RSA" "aRSA" "AES" "AES256" "AESGCM" "SHA384"),
    older!(TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", 256,
        "ECDSA" "aECDSA" "CHACHA20" "SHA256"),
    older!(TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", 256,
        "RSA" "aRSA" "CHACHA20" "SHA256"),
    older!(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", 128,
        "ECDSA" "aECDSA" "AES" "AES128" "AESGCM" "SHA256"),
    older!(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", 128,
        "RSA" "aRSA" "AES" "AES128" "AESGCM" "SHA256"),
];

/// The row of a suite.
pub fn find(suite: CipherSuite) -> Option<&'static Cipher> {
    CIPHERS.iter().find(|row| row.suite == suite)
}

/// A grade of smtp(d)_tls_ciphers. `export` and `low` mean medium, as since Postfix 3.6 at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    High,
    Medium,
    Null,
}

impl Grade {
    pub fn parse(text: &str) -> Option<Grade> {
        match text.to_ascii_lowercase().as_str() {
            "high" => Some(Grade::High),
            "medium" | "low" | "export" => Some(Grade::Medium),
            "null" => Some(Grade::Null),
            _ => None,
        }
    }
}

/// The suites of TLS 1.2 that a list leaves, in its order (ciphers(1)): elements add, "-" takes out, "!" takes out for
/// good, "+" puts last, "@STRENGTH" sorts; words joined by "+" must all fit.
fn chosen(list: &str) -> Vec<&'static Cipher> {
    let mut left: Vec<&Cipher> = Vec::new();
    let mut killed: Vec<CipherSuite> = Vec::new();
    for element in list.split([' ', ',', ':', ';']).filter(|element| !element.is_empty()) {
        if element.eq_ignore_ascii_case("@STRENGTH") {
            left.sort_by_key(|row| std::cmp::Reverse(row.bits));
            continue;
        }
        let (sign, words) = match element.as_bytes() {
            [sign @ (b'!' | b'-' | b'+'), ..] => (*sign, &element[1..]),
            _ => (0, element),
        };
        let fits = |row: &Cipher| words.split('+').all(|word| row.words.contains(&word));
        let matching = || CIPHERS.iter().filter(|row| fits(row));
        match sign {
            b'!' => {
                killed.extend(matching().map(|row| row.suite));
                left.retain(|row| !fits(row));
            }
            b'-' => left.retain(|row| !fits(row)),
            b'+' => {
                let (last, first): (Vec<&Cipher>, Vec<&Cipher>) = left.iter().partition(|row| fits(row));
                left = first.into_iter().chain(last).collect();
            }
            _ => {
                for row in matching() {
                    if !killed.contains(&row.suite) && left.iter().all(|other| other.suite != row.suite) {
                        left.push(row);
                    }
                }
            }
        }
    }
    left
}

/// The names of a list of exclusions (smtp(d)_tls_exclude_ciphers), as a cipher list takes them.
fn exclusions(list: &str) -> String {
    list.split([' ', '\t', '\r', '\n', ',', ':'])
        .filter(|word| !word.is_empty())
        .map(|word| format!(":!{word}"))
        .collect()
}

/// A cipher list (the text of tls_high_cipherlist or its kin) less lists of exclusions.
pub fn with_exclusions(list: &str, excluded: &[&str]) -> String {
    let mut whole = list.to_owned();
    excluded.iter().for_each(|list| whole.push_str(&exclusions(list)));
    whole
}

/// The library's parts for a cipher list, and for a list of curves by OpenSSL's names (tls_eecdh_auto_curves). A list of
/// curves of which the library has none is as none.
pub fn provider(list: &str, curves: &str) -> CryptoProvider {
    let mut provider = default_provider();
    let all: Vec<SupportedCipherSuite> = std::mem::take(&mut provider.cipher_suites);
    let (newest, older): (Vec<_>, Vec<_>) = all.into_iter().partition(|suite| suite.tls13().is_some());
    provider.cipher_suites = newest;
    let find = |row: &&Cipher| older.iter().find(|suite| suite.suite() == row.suite).copied();
    provider.cipher_suites.extend(chosen(list).iter().filter_map(find));
    let groups: Vec<&'static dyn SupportedKxGroup> = curves
        .split([' ', '\t', '\r', '\n', ',', ':'])
        .filter_map(|word| match word {
            "X25519" => Some(kx_group::X25519),
            "prime256v1" | "P-256" => Some(kx_group::SECP256R1),
            "secp384r1" | "P-384" => Some(kx_group::SECP384R1),
            _ => None,
        })
        .collect();
    if !groups.is_empty() {
        provider.kx_groups = groups;
    }
    provider
}

/// A curve as OpenSSL, and so a log line, names it.
pub fn curve(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "X25519",
        NamedGroup::secp256r1 => "ECDHE (prime256v1)",
        NamedGroup::secp384r1 => "ECDHE (secp384r1)",
        _ => "ECDHE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<&'static str> {
        chosen(list).iter().map(|row| row.name).collect()
    }

    #[test]
    fn the_lists_of_the_grades_and_what_people_exclude() {
        let medium = "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH";
        assert_eq!(names(medium).len(), 6);
        assert_eq!(names("eNULL:!aNULL").len(), 0);
        assert_eq!(names("HIGH:!aRSA:!CHACHA20"), ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
        assert_eq!(names("ECDHE+AESGCM+AES256:!ECDSA"), ["ECDHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(
            names("ECDHE-RSA-AES128-GCM-SHA256:HIGH:!AES256:!ECDSA:@STRENGTH").last(),
            Some(&"ECDHE-RSA-AES128-GCM-SHA256")
        );
        assert_eq!(names("!AES:HIGH").len(), 2);
    }

    #[test]
    fn every_suite_of_the_library_has_its_row() {
        let provider = default_provider();
        assert_eq!(provider.cipher_suites.len(), CIPHERS.len());
        assert!(provider.cipher_suites.iter().all(|suite| find(suite.suite()).is_some()));
        let list = with_exclusions("HIGH", &["aECDSA, AES128", "CHACHA20"]);
        let own = super::provider(&list, "X448 secp384r1");
        assert_eq!(own.cipher_suites.len(), 4);
        assert_eq!(own.kx_groups.len(), 1);
    }
}
