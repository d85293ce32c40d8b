//! TLS as our clients speak it: one configuration made of whom they trust, how much of a server's certificate they look
//! at, and who they say they are. Versions 1.2 and 1.3 with the library's own choice of ciphers.

use super::certificate::{self, Digest};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// How much of a server's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    Nothing,
    /// That an authority gave it, and its days.
    Chain,
    /// That, and that it is for the host.
    #[default]
    Name,
}

/// What a client asks of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub check: Check,
    /// Another name of the host that its certificate may be for.
    pub alias: Option<String>,
    /// PEM. Neither: those that this machine trusts (SSL_CERT_FILE and SSL_CERT_DIR name others).
    pub authorities: Option<PathBuf>,
    pub authorities_directory: Option<PathBuf>,
    /// The client's own certificate, with those that lead to its authority, and its key; PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}: {1}")]
    File(String, String),
    #[error("{0}: no certificate authority in it can be used")]
    NoAuthority(String),
    #[error("{0}")]
    Library(#[from] Error),
}

impl Terms {
    pub fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self.check {
            Check::Nothing => Arc::new(Anybody(Arc::clone(&provider))),
            Check::Chain | Check::Name => self.known(&provider)?,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(Arc::new(match &self.identity {
            Some((chain, key)) => builder.with_client_auth_cert(certificates(chain)?, private_key(key)?)?,
            None => builder.with_no_client_auth(),
        }))
    }

    fn known(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<Known>, Fault> {
        let (file, directory) = (self.authorities.as_deref(), self.authorities_directory.as_deref());
        let given = match file.or(directory) {
            Some(named) => {
                let loaded = rustls_native_certs::load_certs_from_paths(file, directory);
                if loaded.certs.is_empty() {
                    let named = named.display().to_string();
                    return Err(match loaded.errors.into_iter().next() {
                        Some(error) => Fault::File(named, file_words(&error)),
                        None => Fault::NoAuthority(named),
                    });
                }
                loaded.certs
            }
            None => rustls_native_certs::load_native_certs().certs,
        };
        // Only a file that was named is somebody's word that this very certificate is the server's.
        let servers = if file.is_some() { given.clone() } else { Vec::new() };
        let known = Known { name: self.check == Check::Name, ..Known::of(provider, &given, servers)? };
        match file.or(directory) {
            // A file that names nobody is a mistake; a machine may trust nobody.
            Some(named) if known.library.is_none() => Err(Fault::NoAuthority(named.display().to_string())),
            _ => Ok(Arc::new(Known { alias: self.alias.clone(), ..known })),
        }
    }
}

fn file_words(error: &rustls_native_certs::Error) -> String {
    match &error.kind {
        rustls_native_certs::ErrorKind::Io { inner, .. } => crate::sys::files::reason(inner),
        _ => error.to_string(),
    }
}

fn unread(path: &Path, error: &tokio_rustls::rustls::pki_types::pem::Error) -> Fault {
    use tokio_rustls::rustls::pki_types::pem::Error as Pem;
    let words = match error {
        Pem::Io(error) => crate::sys::files::reason(error),
        Pem::NoItemsFound => "holds none in PEM format".to_owned(),
        other => other.to_string(),
    };
    Fault::File(path.display().to_string(), words)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unread(path, &error))?;
    let chain = read.collect::<Result<Vec<_>, _>>().map_err(|error| unread(path, &error))?;
    if chain.is_empty() {
        return Err(Fault::File(path.display().to_string(), "no certificate in it".to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unread(path, &error))
}

/// Why a handshake failed, in words that name what is wrong with the certificate.
pub fn refusal(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(error)) => format!("certificate verify failed: {}", certificate_words(error)),
        Some(error) => error.to_string(),
        None => crate::sys::files::reason(error),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        // A bad signature is that of another authority of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "unknown authority".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        other => other.to_string(),
    }
}

/// The hash of the server's certificate that a login is tied to (tls-server-end-point, RFC 5929).
pub fn endpoint_hash(der: &[u8]) -> Option<Vec<u8>> {
    let suite = match certificate::endpoint_digest(der)? {
        Digest::Sha256 => ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        Digest::Sha384 => ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    };
    Some(suite.tls13()?.common.hash_provider.hash(der).as_ref().to_vec())
}

/// Trusts every server. The signature of the handshake is not looked at either: it would prove nothing, for whoever is
/// in between has a certificate and a key of his own.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The library's checks, and two cases in which it is stricter than the libraries that databases' clients use: a
/// self-signed certificate that is itself among the authorities, and a host that only the common name has.
#[derive(Debug)]
pub(super) struct Known {
    provider: Arc<CryptoProvider>,
    /// None: no authority is trusted.
    library: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates of which each may be the server's own.
    servers: Vec<CertificateDer<'static>>,
    /// Whether the host's name matters.
    name: bool,
    /// Another that is as good.
    alias: Option<String>,
}

impl Known {
    /// Trusts these authorities, and each of `servers` itself, whatever the host.
    pub(super) fn of(
        provider: &Arc<CryptoProvider>,
        authorities: &[CertificateDer<'static>],
        servers: Vec<CertificateDer<'static>>,
    ) -> Result<Known, Fault> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let library = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            Some(built.map_err(|error| Error::General(error.to_string()))?)
        };
        Ok(Known { provider: Arc::clone(provider), library, servers, alias: None, name: false })
    }

    fn is_for(&self, end_entity: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<ServerCertVerified, Error> {
        let by_alternative_names = verify_server_name(&ParsedCertificate::try_from(end_entity)?, host);
        match (by_alternative_names, host) {
            (Err(_), _) if !self.name => Ok(ServerCertVerified::assertion()),
            (Err(_), ServerName::DnsName(host)) if certificate::is_for(end_entity, host.as_ref()) => {
                Ok(ServerCertVerified::assertion())
            }
            (Err(_), _) if self.alias.as_deref().is_some_and(|alias| certificate::is_for(end_entity, alias)) => {
                Ok(ServerCertVerified::assertion())
            }
            (verdict, _) => verdict.map(|()| ServerCertVerified::assertion()),
        }
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.library {
            Some(library) => library.verify_server_cert(end_entity, intermediates, host, ocsp, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        match verdict {
            // The name comes last: all else was in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => self.is_for(end_entity, host),
            Err(Error::InvalidCertificate(error)) if self.servers.iter().any(|own| own == end_entity) => {
                let since = std::time::Duration::from_secs(now.as_secs());
                match error {
                    CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                        Err(Error::InvalidCertificate(error))
                    }
                    _ if certificate::is_in_its_days(end_entity, since) => self.is_for(end_entity, host),
                    _ => Err(Error::InvalidCertificate(CertificateError::Expired)),
                }
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    /// Made by `openssl req -x509 -newkey ed25519 -nodes -days 36500 -subj /CN=db.example.org`: its own authority, and
    /// without alternative names.
    pub(in crate::proto) const ALONE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBSDCB+6ADAgECAhR8fpGcFbymepI+7Dxu22w06SQq7TAFBgMrZXAwGTEXMBUG\n\
A1UEAwwOZGIuZXhhbXBsZS5vcmcwIBcNMjYxMTI4MDYwMjI4WhgPMjEyNjExMDQw\n\
NjAyMjhaMBkxFzAVBgNVBAMMDmRiLmV4YW1wbGUub3JnMCowBQYDK2VwAyEAPXtB\n\
CDpwqO+XhS3vqEXrsTNtOFEsDvcnX9N86abwkd2jUzBRMB0GA1UdDgQWBBRl1tJA\n\
LOf8+m4FNf6Xydo7m+PR/jAfBgNVHSMEGDAWgBRl1tJALOf8+m4FNf6Xydo7m+PR\n\
/jAPBgNVHRMBAf8EBTADAQH/MAUGAytlcANBANQeNfDhuJrbUZPotEMxH6SgqDSH\n\
mIL3IqFvTbKQEIiOTqYV+pRhUorcHvlr0DIZTjhCwb9HG0dl2U/w7ILlUAs=\n\
-----END CERTIFICATE-----\n\
";

    fn verdict(check: Check, host: &str, alias: &str, at: u64) -> Result<ServerCertVerified, Error> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("server.pem");
        std::fs::write(&file, ALONE).unwrap();
        let terms = Terms { check, alias: Some(alias.into()), authorities: Some(file.clone()), ..Terms::default() };
        let known = terms.known(&Arc::new(ring::default_provider())).unwrap();
        let end_entity = CertificateDer::from_pem_file(&file).unwrap();
        let host = ServerName::try_from(host.to_owned()).unwrap();
        known.verify_server_cert(&end_entity, &[], &host, &[], UnixTime::since_unix_epoch(Duration::from_secs(at)))
    }

    /// As a database's own installation makes them, and as OpenSSL and GnuTLS take them.
    #[test]
    fn a_server_that_is_its_own_authority() {
        let (in_its_days, before) = (1_800_000_000, 1_000_000_000);
        assert!(verdict(Check::Name, "DB.example.org", "a.org", in_its_days).is_ok());
        assert!(verdict(Check::Chain, "other.example.org", "a.org", in_its_days).is_ok());
        assert!(verdict(Check::Name, "other.example.org", "a.org", in_its_days).is_err());
        assert!(verdict(Check::Name, "localhost", "db.example.org", in_its_days).is_ok());
        assert!(verdict(Check::Chain, "db.example.org", "a.org", before).is_err());
    }

    #[test]
    fn files_that_are_none() {
        let terms = |file: &str| Terms { authorities: Some(file.into()), ..Terms::default() };
        assert_eq!(terms("/no/ca.pem").config().unwrap_err().to_string(), "/no/ca.pem: No such file or directory");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let path = empty.path().to_str().unwrap();
        assert!(terms(path).config().unwrap_err().to_string().starts_with(path));
        let identity = Some((path.into(), path.into()));
        assert!(Terms { check: Check::Nothing, identity, ..Terms::default() }.config().is_err());
    }
}
