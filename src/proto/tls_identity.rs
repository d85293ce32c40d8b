//! Who a server, or a client, says it is: private keys with the certificates that lead to their authorities, from PEM
//! text.

use super::certificate;
use super::tls_summary::Signature;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{PemObject, SectionKind};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use tokio_rustls::rustls::sign::{CertifiedKey, Signer, SigningKey};
use tokio_rustls::rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// Keys with their certificates, in the order in which they were named.
pub type Identities = Vec<Arc<CertifiedKey>>;

/// For a client and one connection: the first that the server's wishes for signatures allow. Which authorities it names
/// is not asked: it may take others, and a certificate that it does not want harms no one.
#[derive(Debug)]
pub struct Own {
    identities: Arc<Identities>,
    used: Mutex<Option<Signature>>,
}

impl Own {
    pub fn new(identities: Arc<Identities>) -> Own {
        Own { identities, used: Mutex::new(None) }
    }

    /// How the client signed, if the server asked.
    pub fn used(&self) -> Option<Signature> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let signs = |own: &CertifiedKey| schemes.iter().find(|scheme| own.key.choose_scheme(&[**scheme]).is_some());
        let (own, scheme) = self.identities.iter().find_map(|own| Some((own, *signs(own)?)))?;
        let signature = own.cert.first().map(|certificate| Signature::by(scheme, certificate));
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = signature;
        Some(own.clone())
    }

    fn has_certs(&self) -> bool {
        !self.identities.is_empty()
    }
}

/// Longest chain.
const MAX_CHAIN: usize = 10;

/// The sections of a text that matter here.
fn sections(text: &[u8], place: &str) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
    let read = <(SectionKind, Vec<u8>)>::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| format!("error loading chain from {place}: {error}"))?;
    Ok(found.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate || is_key(*kind)).collect())
}

fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// smtpd_tls_chain_files: `files` are texts with their names, in which each key stands before its certificates.
pub fn chains(files: &[(&[u8], &str)]) -> Result<Identities, String> {
    let mut found = Vec::new();
    let mut open: Option<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>, &str)> = None;
    let mut close = |open: Option<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>, &str)>| match open {
        Some((_, chain, place)) if chain.is_empty() => {
            Err(format!("error loading chain from {place}: key without certificates"))
        }
        Some((key, chain, place)) => identity(chain, key, place, place).map(|identity| found.push(identity)),
        None => Ok(()),
    };
    for (text, place) in files {
        for (kind, der) in sections(text, place)? {
            match &mut open {
                _ if is_key(kind) => {
                    close(open.take())?;
                    let key =
                        PrivateKeyDer::from_pem(kind, der).ok_or_else(|| format!("No private key found in {place}"))?;
                    open = Some((key, Vec::new(), place));
                }
                Some((_, chain, _)) => chain.push(der.into()),
                None => return Err(format!("error loading chain from {place}: key not first")),
            }
        }
    }
    close(open)?;
    Ok(found)
}

/// A certificate, with those that lead to its authority behind it, and its key, from two texts with their names (or one twice).
pub fn pair(certificates: (&[u8], &str), key: (&[u8], &str)) -> Result<Arc<CertifiedKey>, String> {
    let chain: Vec<CertificateDer<'static>> = sections(certificates.0, certificates.1)?
        .into_iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| der.into())
        .collect();
    if chain.is_empty() {
        return Err(format!("no certificate found in {}", certificates.1));
    }
    let mut keys = sections(key.0, key.1)?.into_iter().filter(|(kind, _)| is_key(*kind));
    let key_found = keys.next().and_then(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
    let Some(found) = key_found else {
        return Err(format!("No private key found in {}", key.1));
    };
    identity(chain, found, certificates.1, key.1)
}

fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    certificate_place: &str,
    key_place: &str,
) -> Result<Arc<CertifiedKey>, String> {
    let unusable = |error: Error| format!("cannot use private key in {key_place}: {error}");
    let signer = ring::sign::any_supported_type(&key).map_err(unusable)?;
    let kind = match signer.algorithm() {
        SignatureAlgorithm::RSA => "RSA",
        SignatureAlgorithm::ECDSA => "EC",
        SignatureAlgorithm::ED25519 => "ED25519",
        _ => "other",
    };
    let identity = CertifiedKey::new(chain, Arc::new(InOrder(signer)));
    match identity.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(tokio_rustls::rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(identity))
        }
        Err(Error::InconsistentKeys(_)) => {
            Err(format!("{kind} private key in {key_place} does not match public key in {certificate_place}"))
        }
        Err(error) => Err(format!("cannot use certificate in {certificate_place}: {error}")),
    }
}

/// The same with the certificates of `authorities` that lead from its own to one that stands by itself, where none stand
/// behind it already: many a server has those that stand between in its CAfile.
pub fn completed(identity: &Arc<CertifiedKey>, authorities: &[CertificateDer<'static>]) -> Arc<CertifiedKey> {
    let [own] = identity.cert.as_slice() else { return Arc::clone(identity) };
    let mut chain = vec![own.clone()];
    while let Some(issuer) =
        chain.last().filter(|_| chain.len() < MAX_CHAIN).and_then(|last| certificate::names_of(last))
    {
        let (issuer, subject) = issuer;
        let next = authorities.iter().find(|own| certificate::names_of(own).is_some_and(|(_, name)| name == issuer));
        match next.filter(|_| issuer != subject) {
            Some(next) => chain.push(next.clone()),
            None => break,
        }
    }
    Arc::new(CertifiedKey { cert: chain, key: Arc::clone(&identity.key), ocsp: None })
}

/// A key that signs as the client likes best; the library's own order prefers the longest digest.
#[derive(Debug)]
struct InOrder(Arc<dyn SigningKey>);

impl SigningKey for InOrder {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.iter().find_map(|scheme| self.0.choose_scheme(&[*scheme]))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ed25519 -nodes -days 36500 -subj /CN=srv.example.org`.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIKEYKEYKEY\n-----END PRIVATE KEY-----\n";

    #[test]
    fn texts_that_are_no_identity() {
        let fault = |files: &[(&[u8], &str)]| chains(files).unwrap_err();
        assert!(chains(&[(b"", "a")]).unwrap().is_empty());
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert_eq!(fault(&[(certificate.as_bytes(), "a")]), "error loading chain from a: key not first");
        assert_eq!(fault(&[(KEY.as_bytes(), "a")]), "error loading chain from a: key without certificates");
        let both = format!("{KEY}{certificate}");
        assert!(fault(&[(both.as_bytes(), "a")]).starts_with("cannot use private key in a: "));
        assert!(fault(&[(b"-----BEGIN CERTIFICATE-----\n", "b")]).starts_with("error loading chain from b: "));
        let none = pair((certificate.as_bytes(), "c"), (certificate.as_bytes(), "c"));
        assert_eq!(none.unwrap_err(), "No private key found in c");
    }
}
