//! Fingerprints of certificates and of their keys, as `smtp(d)_tls_fingerprint_digest` asks for them: hexadecimal pairs in
//! capitals, joined by colons.

use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// A hash by OpenSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub fn named(name: &str) -> Option<Hash> {
        Some(match name.to_ascii_lowercase().as_str() {
            "md5" => Hash::Md5,
            "sha1" => Hash::Sha1,
            "sha224" => Hash::Sha224,
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            _ => return None,
        })
    }

    /// The fingerprint of any bytes.
    pub fn of(self, bytes: &[u8]) -> String {
        use sha2::Digest;
        let sum: Vec<u8> = match self {
            Hash::Md5 => md5::Md5::digest(bytes).to_vec(),
            Hash::Sha1 => <sha1::Sha1 as sha1::Digest>::digest(bytes).to_vec(),
            Hash::Sha224 => sha2::Sha224::digest(bytes).to_vec(),
            Hash::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Hash::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Hash::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        };
        sum.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// The fingerprint of a certificate's (DER) public key, with its algorithm (SubjectPublicKeyInfo).
    pub fn of_key(self, certificate: &[u8]) -> Option<String> {
        let read = Certificate::from_der(certificate).ok()?;
        Some(self.of(&read.tbs_certificate.subject_public_key_info.to_der().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_nothing() {
        assert_eq!(
            Hash::named("MD5").map(|hash| hash.of(b"")).unwrap(),
            "D4:1D:8C:D9:8F:00:B2:04:E9:80:09:98:EC:F8:42:7E"
        );
        assert!(Hash::Sha1.of(b"").starts_with("DA:39:A3:EE:"));
        assert!(Hash::Sha256.of(b"").starts_with("E3:B0:C4:42:"));
        assert_eq!(Hash::named("md4"), None);
    }
}
