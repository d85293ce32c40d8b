//! A client that takes every certificate and remembers what is to be thought of it: mail goes out encrypted to hosts that
//! nobody vouches for, and where a policy asks for more, the session is ended in words that name what was wrong.

use super::certificate;
use super::tls::{Fault, Known};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Whom a client believes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust(Arc<Known>);

impl Trust {
    /// Authorities; each may also be the server's own certificate.
    pub fn of(authorities: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Result<Trust, Fault> {
        Ok(Trust(Arc::new(Known::of(provider, authorities, authorities.to_vec())?)))
    }
}

/// Why a server's certificate is not trusted, in the reference's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("certificate verification failed for {{host}}: self-signed certificate")]
    SelfSigned,
    #[error("certificate verification failed for {{host}}: untrusted issuer {0}")]
    Issuer(String),
    #[error("server certificate verification failed for {{host}}: certificate has expired")]
    Expired,
    #[error("server certificate verification failed for {{host}}: certificate not yet valid")]
    Early,
    /// The server does not have the certificate's key.
    #[error("server certificate verification failed for {{host}}: its signature is wrong")]
    Signature,
    #[error("server certificate verification failed for {{host}}: {0}")]
    Other(String),
}

impl Doubt {
    /// The line for the log.
    pub fn of_host(&self, host: &str) -> String {
        self.to_string().replacen("{host}", host, 1)
    }
}

/// What was seen of a server.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its own certificate comes first.
    pub chain: Vec<CertificateDer<'static>>,
    pub doubt: Option<Doubt>,
    /// How it signed the handshake.
    pub scheme: Option<SignatureScheme>,
}

/// For one handshake.
#[derive(Debug)]
pub struct Witness {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    seen: Mutex<Seen>,
}

impl Witness {
    pub fn new(provider: Arc<CryptoProvider>, trust: Trust) -> Witness {
        Witness { provider, trust, seen: Mutex::default() }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn signed(
        &self,
        signed: &DigitallySignedStruct,
        library: Result<HandshakeSignatureValid, Error>,
        message: &[u8],
        certificate: &CertificateDer<'_>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = match library {
            Ok(_) => true,
            // A certificate that the library does not read (version 1, say) still has a key.
            Err(Error::InvalidCertificate(_)) => self.is_by_key_of(certificate, message, signed),
            Err(_) => false,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.scheme = Some(signed.scheme);
        if !valid {
            seen.doubt = Some(Doubt::Signature);
        }
        Ok(HandshakeSignatureValid::assertion())
    }

    fn is_by_key_of(&self, certificate: &CertificateDer<'_>, message: &[u8], signed: &DigitallySignedStruct) -> bool {
        let Some((algorithm, key)) = certificate::public_key(certificate) else { return false };
        let schemes = self.provider.signature_verification_algorithms.mapping.iter();
        let mut checks = schemes.filter(|(scheme, _)| *scheme == signed.scheme).flat_map(|(_, checks)| checks.iter());
        checks.any(|check| {
            check.public_key_alg_id().as_ref() == algorithm.as_slice()
                && check.verify_signature(&key, message, signed.signature()).is_ok()
        })
    }
}

/// The library's word, in terms of the reference.
fn doubt(error: Error, chain: &[CertificateDer<'_>]) -> Doubt {
    let top = chain.last().map_or(&[][..], |top| top.as_ref());
    let alone = chain.len() == 1 && certificate::is_self_issued(top);
    let error = match error {
        Error::InvalidCertificate(error) => error,
        other => return Doubt::Other(other.to_string()),
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Doubt::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Doubt::Early,
        _ if alone => Doubt::SelfSigned,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Doubt::Issuer(certificate::issuer_line(top))
        }
        other => Doubt::Other(other.to_string()),
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> =
            std::iter::once(end_entity).chain(intermediates).map(|one| one.clone().into_owned()).collect();
        let verdict = self.trust.0.verify_server_cert(end_entity, intermediates, host, ocsp, now);
        let doubt = verdict.err().map(|error| doubt(error, &chain));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { chain, doubt, scheme: None };
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let library = self.trust.0.verify_tls12_signature(message, certificate, signed);
        self.signed(signed, library, message, certificate)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let library = self.trust.0.verify_tls13_signature(message, certificate, signed);
        self.signed(signed, library, message, certificate)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls::tests::ALONE;
    use super::*;
    use std::time::Duration;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    fn alone() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(ALONE.as_bytes()).unwrap()
    }

    fn seen(trusted: &[CertificateDer<'static>], at: u64) -> Seen {
        let provider = Arc::new(ring::default_provider());
        let witness = Witness::new(provider.clone(), Trust::of(trusted, &provider).unwrap());
        let (host, now) =
            (ServerName::try_from("mx.test").unwrap(), UnixTime::since_unix_epoch(Duration::from_secs(at)));
        // Whatever it thinks of it.
        assert!(witness.verify_server_cert(&alone(), &[], &host, &[], now).is_ok());
        witness.seen()
    }

    #[test]
    fn every_certificate_is_taken_and_remembered() {
        let (in_its_days, before) = (1_800_000_000, 1_000_000_000);
        let stranger = seen(&[], in_its_days);
        assert_eq!((stranger.chain.len(), stranger.doubt), (1, Some(Doubt::SelfSigned)));
        assert_eq!(seen(&[alone()], in_its_days).doubt, None, "the name is looked at later");
        assert_eq!(seen(&[alone()], before).doubt, Some(Doubt::Expired));
    }

    #[test]
    fn doubts_in_the_words_of_the_reference() {
        let said = |error, chain: &[CertificateDer<'_>]| {
            doubt(Error::InvalidCertificate(error), chain).of_host("mx.test[192.0.2.1]:25")
        };
        let chain = [alone(), alone()];
        assert_eq!(
            said(CertificateError::UnknownIssuer, &chain),
            "certificate verification failed for mx.test[192.0.2.1]:25: untrusted issuer /CN=db.example.org"
        );
        assert_eq!(
            said(CertificateError::UnknownIssuer, &chain[..1]),
            "certificate verification failed for mx.test[192.0.2.1]:25: self-signed certificate"
        );
        assert_eq!(
            said(CertificateError::NotValidYet, &chain),
            "server certificate verification failed for mx.test[192.0.2.1]:25: certificate not yet valid"
        );
    }
}
