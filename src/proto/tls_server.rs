//! TLS as our servers answer it. Each session has a configuration of its own, made of what all share and of a [`Witness`]
//! that sees what the library keeps to itself: with which signature the server proved who it is, and what became of the
//! client's certificate. That certificate decides nothing in the handshake; whoever asked for it looks at it afterwards.

use super::certificate;
use super::fingerprint::Hash;
use super::tls_identity::Identities;
use super::tls_summary::{Signature, Summary};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    CertificateError, CommonState, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion,
};

/// Sessions that a client may come back to.
const KEPT_SESSIONS: usize = 1024;

/// Identities for a name that the client asked for (SNI); None: nothing is known of it.
pub type ByName = Arc<dyn Fn(&str) -> Option<Identities> + Send + Sync>;

/// What all sessions of a server share.
pub struct Server {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    identities: Arc<Identities>,
    by_name: Option<ByName>,
    /// Whether clients are asked for certificates, and whom those are measured by.
    asks: bool,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    prefers_own: bool,
    sessions: Arc<dyn StoresServerSessions>,
}

/// What a server is made of.
pub struct Terms {
    pub provider: CryptoProvider,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    pub identities: Identities,
    pub by_name: Option<ByName>,
    /// Ask clients for a certificate.
    pub asks: bool,
    /// DER: who may have given them.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The order of ciphers is ours and not the client's.
    pub prefers_own: bool,
    pub keeps_sessions: bool,
}

impl Server {
    pub fn new(terms: Terms) -> Result<Server, String> {
        let provider = Arc::new(terms.provider);
        if terms.versions.is_empty() {
            return Err("no TLS protocol version is left".into());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(terms.authorities);
        let authorities = if roots.is_empty() {
            None
        } else {
            let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
            Some(built.map_err(|error| error.to_string())?)
        };
        // What came of a certificate is seen in a whole handshake only.
        let sessions: Arc<dyn StoresServerSessions> = if terms.keeps_sessions && !terms.asks {
            ServerSessionMemoryCache::new(KEPT_SESSIONS)
        } else {
            Arc::new(NoServerSessionStorage {})
        };
        let server = Server {
            provider,
            versions: terms.versions,
            identities: Arc::new(terms.identities),
            by_name: terms.by_name,
            asks: terms.asks,
            authorities,
            prefers_own: terms.prefers_own,
            sessions,
        };
        server.session().map_err(|error| error.to_string())?;
        Ok(server)
    }

    /// For one session.
    pub fn session(&self) -> Result<(Arc<ServerConfig>, Arc<Witness>), Error> {
        let witness = Arc::new(Witness::default());
        let chooser = Chooser {
            identities: Arc::clone(&self.identities),
            by_name: self.by_name.clone(),
            provider: Arc::clone(&self.provider),
            speaks_newest: self.versions.contains(&&TLS13),
            witness: Arc::clone(&witness),
        };
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&self.provider)).with_protocol_versions(&self.versions)?;
        let builder = if self.asks {
            builder.with_client_cert_verifier(Arc::new(Onlooker {
                provider: Arc::clone(&self.provider),
                authorities: self.authorities.clone(),
                witness: Arc::clone(&witness),
            }))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::new(chooser));
        config.ignore_client_order = self.prefers_own;
        config.session_storage = Arc::clone(&self.sessions);
        Ok((Arc::new(config), witness))
    }

    /// What a session came to, once its handshake is over.
    pub fn established(&self, state: &CommonState, witness: &Witness, hash: Hash) -> Option<Established> {
        let seen = witness.0.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = state.peer_certificates().and_then(|chain| chain.first()).map(|own| ClientCertificate {
            subject: certificate::subject(own).unwrap_or_default(),
            issuer: certificate::issuer(own).unwrap_or_default(),
            fingerprint: hash.of(own),
            key_fingerprint: hash.of_key(own).unwrap_or_default(),
            trusted: seen.trusted,
            distrust: seen.distrust.clone(),
        });
        let summary = Summary::of(state, seen.server.clone(), seen.client.clone())?;
        Some(Established { summary, asked: self.asks, certificate, name: seen.name.clone() })
    }
}

/// A session with TLS.
#[derive(Clone, Debug)]
pub struct Established {
    pub summary: Summary,
    /// Whether the client was asked for a certificate.
    pub asked: bool,
    pub certificate: Option<ClientCertificate>,
    /// The name that the client asked for (SNI), where identities go by names.
    pub name: Option<Name>,
}

/// A name that a client asked for.
#[derive(Clone, Debug)]
pub struct Name {
    pub asked: String,
    /// Whether there is an identity by that name.
    pub found: bool,
}

/// What is known of a client's certificate.
#[derive(Clone, Debug, Default)]
pub struct ClientCertificate {
    /// Common names.
    pub subject: String,
    pub issuer: String,
    pub fingerprint: String,
    pub key_fingerprint: String,
    /// Whether an authority of ours gave it, and why not.
    pub trusted: bool,
    pub distrust: Option<String>,
}

impl Established {
    pub fn is_trusted(&self) -> bool {
        self.certificate.as_ref().is_some_and(|own| own.trusted)
    }

    /// "Anonymous", "Untrusted", "Trusted": as the log speaks of the client.
    pub fn standing(&self) -> &'static str {
        match &self.certificate {
            None => "Anonymous",
            Some(own) if own.trusted => "Trusted",
            Some(_) => "Untrusted",
        }
    }

    /// Lines of a Received header (smtpd_tls_received_header).
    pub fn received(&self) -> Vec<String> {
        let summary = self.summary.lines().join("\n\t ");
        let mut lines: Vec<String> = format!("\t(using {summary})").split('\n').map(str::to_owned).collect();
        lines.push(match &self.certificate {
            Some(own) => {
                let verdict = if own.trusted { "verified OK" } else { "not verified" };
                format!("\t(Client CN \"{}\", Issuer \"{}\" ({verdict}))", comment(&own.subject), comment(&own.issuer))
            }
            None if self.asked => "\t(Client did not present a certificate)".to_owned(),
            None => "\t(No client certificate requested)".to_owned(),
        });
        lines
    }
}

/// Why a certificate is not trusted, as the reference words it.
fn distrust(own: &CertificateDer<'_>, error: Option<Error>) -> String {
    match error {
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "certificate has expired".to_owned()
        }
        _ if certificate::names_of(own).is_some_and(|(issuer, subject)| issuer == subject) => {
            "self-signed certificate".to_owned()
        }
        None | Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            format!("untrusted issuer {}", comment(&certificate::issuer(own).unwrap_or_default()))
        }
        Some(other) => other.to_string(),
    }
}

/// A name from outside, inside a comment of a header.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() && !"()\\\"".contains(c) || c == ' ' { c } else { '?' }).collect()
}

/// What one handshake showed.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    server: Option<Signature>,
    client: Option<Signature>,
    trusted: bool,
    /// Why it is not.
    distrust: Option<String>,
    name: Option<Name>,
}

impl Witness {
    fn note(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Chooses the identity that suits the client.
struct Chooser {
    identities: Arc<Identities>,
    by_name: Option<ByName>,
    provider: Arc<CryptoProvider>,
    /// TLS 1.3
    speaks_newest: bool,
    witness: Arc<Witness>,
}

impl Chooser {
    /// Whether a suite that both sides know goes with a key of this kind. Those of TLS 1.3 go with any.
    fn has_suite(&self, hello: &ClientHello<'_>, kind: SignatureAlgorithm) -> bool {
        let mut both = self.provider.cipher_suites.iter().filter(|own| hello.cipher_suites().contains(&own.suite()));
        both.any(|own| match own.tls13() {
            Some(_) => self.speaks_newest,
            None => own.usable_for_signature_algorithm(kind),
        })
    }
}

impl std::fmt::Debug for Chooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chooser")
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = self.by_name.as_ref().zip(hello.server_name());
        let named = asked.and_then(|(by_name, name)| by_name(name));
        if let Some((_, name)) = asked {
            let found = named.is_some();
            self.witness.note(|seen| seen.name = Some(Name { asked: name.to_owned(), found }));
        }
        let identities = named.as_ref().unwrap_or(&self.identities);
        // In the order in which the client would have them.
        let suits = |identity: &Arc<CertifiedKey>, scheme: SignatureScheme| {
            identity.key.choose_scheme(&[scheme]).is_some() && self.has_suite(&hello, identity.key.algorithm())
        };
        let chosen = hello
            .signature_schemes()
            .iter()
            .find_map(|scheme| identities.iter().find(|identity| suits(identity, *scheme)))?;
        let scheme = chosen.key.choose_scheme(hello.signature_schemes())?.scheme();
        let own = chosen.cert.first().map(|own| own.as_ref()).unwrap_or_default();
        self.witness.note(|seen| seen.server = Some(Signature::by(scheme, own)));
        Some(Arc::clone(chosen))
    }
}

/// Looks at client certificates and lets all of them in.
#[derive(Debug)]
struct Onlooker {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    witness: Arc<Witness>,
}

impl Onlooker {
    fn note(&self, certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) {
        self.witness.note(|seen| seen.client = Some(Signature::by(signed.scheme, certificate)));
    }
}

impl ClientCertVerifier for Onlooker {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.authorities.as_ref().map(|own| own.verify_client_cert(end_entity, intermediates, now));
        self.witness.note(|seen| {
            seen.trusted = matches!(verdict, Some(Ok(_)));
            seen.distrust = (!seen.trusted).then(|| distrust(end_entity, verdict.and_then(Result::err)));
        });
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note(certificate, signed);
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note(certificate, signed);
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
