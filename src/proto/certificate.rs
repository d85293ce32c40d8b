//! What a certificate says: the host names that it is for, the days that it is valid, and the hash that ties a login to
//! the connection it came over (RFC 5929).

use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, PrintableStringRef, UintRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The host names that a certificate is for: the alternative names, or where there are none the common name.
pub fn names(certificate: &Certificate) -> Vec<String> {
    let alternative = match certificate.tbs_certificate.get::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        _ => Vec::new(),
    };
    let hosts: Vec<String> = alternative
        .iter()
        .filter_map(|name| match name {
            GeneralName::DnsName(host) => Some(host.as_str().to_owned()),
            _ => None,
        })
        .collect();
    if !hosts.is_empty() {
        return hosts;
    }
    common_names(&certificate.tbs_certificate.subject)
}

fn common_names(name: &Name) -> Vec<String> {
    let parts = name.0.iter().flat_map(|part| part.0.iter());
    parts
        .filter(|part| part.oid == COMMON_NAME)
        .filter_map(|part| {
            let text = part.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
            text.or_else(|_| part.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned())).ok()
        })
        .collect()
}

/// The same of a certificate in DER.
pub fn host_names(der: &[u8]) -> Vec<String> {
    Certificate::from_der(der).map(|read| names(&read)).unwrap_or_default()
}

/// Whom a certificate (DER) is from and for, as they stand in it.
pub fn names_of(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let read = Certificate::from_der(der).ok()?.tbs_certificate;
    Some((read.issuer.to_der().ok()?, read.subject.to_der().ok()?))
}

/// The (last) common name of whom a certificate (DER) is for.
pub fn subject(der: &[u8]) -> Option<String> {
    common_names(&Certificate::from_der(der).ok()?.tbs_certificate.subject).pop()
}

/// That of who gave it.
pub fn issuer(der: &[u8]) -> Option<String> {
    common_names(&Certificate::from_der(der).ok()?.tbs_certificate.issuer).pop()
}

/// Whether a name of a certificate is for a host: "*.example.org" is for one label more.
pub fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// Whether a certificate (DER) is for a host by these rules.
pub fn is_for(der: &[u8], host: &str) -> bool {
    Certificate::from_der(der).is_ok_and(|read| names(&read).iter().any(|pattern| covers(pattern, host)))
}

/// Whether a certificate (DER) is valid at a time since 1970.
pub fn is_in_its_days(der: &[u8], now: Duration) -> bool {
    Certificate::from_der(der).is_ok_and(|read| {
        let days = read.tbs_certificate.validity;
        (days.not_before.to_unix_duration()..=days.not_after.to_unix_duration()).contains(&now)
    })
}

/// The length of a certificate's (DER) key in bits, if it is one of RSA.
pub fn rsa_bits(der: &[u8]) -> Option<usize> {
    let read = Certificate::from_der(der).ok()?;
    let key = &read.tbs_certificate.subject_public_key_info;
    if key.algorithm.oid != RSA {
        return None;
    }
    // RFC 8017, appendix A.1.1: a sequence of which the modulus is the first number.
    let mut reader = SliceReader::new(key.subject_public_key.as_bytes()?).ok()?;
    let (modulus, _) = reader.sequence(|parts| Ok((UintRef::decode(parts)?, UintRef::decode(parts)?))).ok()?;
    let zeros = modulus.as_bytes().first()?.leading_zeros();
    Some(modulus.as_bytes().len() * 8 - zeros as usize)
}

/// A certificate's (DER) public key: what its algorithm is (the inside of an AlgorithmIdentifier), and its bits.
pub fn public_key(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let read = Certificate::from_der(der).ok()?;
    let key = &read.tbs_certificate.subject_public_key_info;
    let whole = key.algorithm.to_der().ok()?;
    let inside = AnyRef::from_der(&whole).ok()?.value().to_vec();
    Some((inside, key.subject_public_key.as_bytes()?.to_vec()))
}

/// Whether subject and issuer of a certificate (DER) are one.
pub fn is_self_issued(der: &[u8]) -> bool {
    Certificate::from_der(der).is_ok_and(|read| read.tbs_certificate.subject == read.tbs_certificate.issuer)
}

/// Names as OpenSSL's one line gives them, by their objects.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Who gave a certificate (DER), in OpenSSL's one line: "/C=FR/O=Example/CN=Example CA".
pub fn issuer_line(der: &[u8]) -> String {
    let Ok(read) = Certificate::from_der(der) else { return "<unknown>".to_owned() };
    let parts = read.tbs_certificate.issuer.0.iter().flat_map(|part| part.0.iter());
    parts
        .map(|part| {
            let object = part.oid.to_string();
            let name = SHORT_NAMES.iter().find(|(number, _)| *number == object).map_or(object.as_str(), |row| row.1);
            // Every type of text that is in use is made of bytes that are ASCII or UTF-8; the log masks the others.
            format!("/{name}={}", String::from_utf8_lossy(part.value.value()))
        })
        .collect()
}

/// The hash that a certificate is signed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Sha256,
    Sha384,
}

/// Which hash of a server's certificate (DER) stands for its end of a connection (RFC 5929, section 4.1): that of its
/// signature, MD5 and SHA-1 counting as SHA-256. None: it has none, or one (SHA-512) that TLS itself has no use for.
pub fn endpoint_digest(der: &[u8]) -> Option<Digest> {
    match Certificate::from_der(der).ok()?.signature_algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => Some(Digest::Sha256),
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => Some(Digest::Sha256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Digest::Sha384),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn names_with_stars() {
        assert!(covers("*.example.org", "srv.EXAMPLE.org") && covers("a.b", "A.b"));
        assert!(!covers("*.example.org", "a.b.example.org") && !covers("*.example.org", "example.org"));
    }
}
