//! TLS with a server: what all connections have in common ([`Engine`]), one handshake ([`Engine::secure`]), and whether
//! the certificate is what the policy asks for ([`Secured`]).

use super::keys;
use super::policy::{Level, Policy, of};
use super::stream::{Failure, Stream};
use crate::conf::MainCf;
use crate::daemon::skeleton::Private;
use crate::log::Log;
use crate::proto::certificate;
use crate::proto::fingerprint::Hash;
use crate::proto::tls_ciphers::{self, Grade};
use crate::proto::tls_identity::{Identities, Own};
use crate::proto::tls_summary::{Signature, Summary};
use crate::proto::tls_versions::Versions;
use crate::proto::tls_witness::{Doubt, Seen, Trust, Witness};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::ServerName;

/// What connections share.
pub struct Engine {
    trust: Trust,
    own: Arc<Identities>,
    hash: Hash,
    loglevel: i64,
    timeout: Duration,
    /// tls_high_cipherlist, tls_medium_cipherlist, tls_null_cipherlist.
    lists: [String; 3],
    curves: String,
    /// "*.example.org" is for a.b.example.org too.
    wide_stars: bool,
}

/// A host in the words of the log and of certificates.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// "mx.example.org[192.0.2.1]:25"
    pub shown: &'a str,
    pub name: &'a str,
    /// The next hop's domain, without brackets and port.
    pub nexthop: &'a str,
}

/// What became of a handshake.
pub struct Secured {
    /// The certificate has what the policy asks for; levels that ask for nothing are met by none.
    pub matched: bool,
}

/// One handshake, before it begins.
struct Prepared {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    witness: Arc<Witness>,
    own: Arc<Own>,
}

impl Engine {
    /// None: there is no TLS; the log says why, as the mail that needs it will.
    pub fn new(cf: &MainCf, lmtp: bool, private: &Private, log: &Log) -> Option<Engine> {
        let provider = Arc::new(ring::default_provider());
        let loglevel = of!(cf, lmtp, smtp_tls_loglevel lmtp_tls_loglevel);
        if loglevel > 1 {
            log.info("initializing the client-side TLS engine");
        }
        let digest = of!(cf, lmtp, smtp_tls_fingerprint_digest lmtp_tls_fingerprint_digest);
        let Some(hash) = Hash::named(&digest) else {
            log.warning(format!("Digest algorithm \"{digest}\" not found"));
            log.warning("disabling TLS support");
            return None;
        };
        let authorities = match keys::authorities(cf, lmtp, private) {
            Ok(found) => found,
            Err((file, reason)) => {
                log.info(format!("cannot load Certification Authority data, CAfile=\"{file}\": disabling TLS support"));
                log.warning(format!("TLS library problem: {file}: {reason}"));
                return None;
            }
        };
        let trust = Trust::of(&authorities, &provider)
            .inspect_err(|error| log.warning(format!("{error}: disabling TLS support")))
            .ok()?;
        let own = keys::identities(cf, lmtp, private, log).inspect_err(|fault| log.warning(fault)).ok()?;
        Some(Engine {
            trust,
            own: Arc::new(own),
            hash,
            loglevel,
            timeout: of!(cf, lmtp, smtp_starttls_timeout lmtp_starttls_timeout),
            lists: [cf.tls_high_cipherlist(), cf.tls_medium_cipherlist(), cf.tls_null_cipherlist()],
            curves: cf.tls_eecdh_auto_curves(),
            wide_stars: cf.tls_wildcard_matches_multiple_labels(),
        })
    }

    /// The handshake. None: it failed, and the stream is dead; the log says why.
    pub fn secure(&self, stream: &mut Stream, policy: &Policy, host: Host<'_>, log: &Log) -> Option<Secured> {
        let shown = host.shown;
        if self.loglevel > 1 {
            log.info(format!("setting up TLS connection to {shown}"));
        }
        let prepared = self.prepare(policy, host, log).map_err(|wrong| log.warning(format!("{shown}: {wrong}"))).ok();
        let Some(Prepared { config, name, witness, own }) = prepared else {
            *stream = Stream::Dead;
            return None;
        };
        let agreed = stream.secure(config, name, self.timeout).map(|state| {
            let seen = witness.seen();
            let signature = seen.scheme.zip(seen.chain.first()).map(|(scheme, own)| Signature::by(scheme, own));
            (Summary::of(state, signature, own.used()), seen)
        });
        let (summary, seen) = match agreed {
            Ok(agreed) => agreed,
            Err(Failure::Lost) => {
                log.info(format!("SSL_connect error to {shown}: lost connection"));
                return None;
            }
            Err(Failure::Io(error)) => {
                let timed_out = matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock);
                let reason =
                    if timed_out { "Connection timed out".to_owned() } else { crate::sys::files::reason(&error) };
                log.info(format!("SSL_connect error to {shown}: {reason}"));
                return None;
            }
            Err(Failure::Library(error)) => {
                log.info(format!("SSL_connect error to {shown}: -1"));
                log.warning(format!("TLS library problem: {error}"));
                return None;
            }
        };
        let matched = self.matches(policy, &seen, host, log);
        if self.loglevel > 1 {
            self.tell_certificate(&seen, shown, log);
        }
        if self.loglevel > 0 {
            let how = match (seen.chain.is_empty(), &seen.doubt) {
                (true, _) => "Anonymous",
                _ if matched => "Verified",
                (_, None) if policy.level <= Level::Encrypt => "Trusted",
                _ => "Untrusted",
            };
            let summary = summary.map_or_else(|| "unknown".to_owned(), |summary| summary.text());
            log.info(format!("{how} TLS connection established to {shown}: {summary}"));
        }
        Some(Secured { matched })
    }

    fn prepare(&self, policy: &Policy, host: Host<'_>, log: &Log) -> Result<Prepared, String> {
        let versions = Versions::parse(&policy.protocols)
            .map_err(|_| format!("Invalid TLS protocol list \"{}\": aborting TLS session", policy.protocols))?;
        let grade = Grade::parse(&policy.grade).ok_or_else(|| format!("invalid cipher grade: \"{}\"", policy.grade))?;
        let excluded: Vec<&str> = policy.excluded.iter().map(String::as_str).collect();
        let separates = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ':');
        if let Some(word) =
            excluded.iter().flat_map(|list| list.split(separates)).find(|word| word.starts_with(['!', '+', '-', '@']))
        {
            return Err(format!("invalid unary '!+-@' in cipher exclusion: {word}"));
        }
        let list = &self.lists[match grade {
            Grade::High => 0,
            Grade::Medium => 1,
            Grade::Null => 2,
        }];
        let list = tls_ciphers::with_exclusions(list, &excluded);
        if self.loglevel > 1 {
            log.info(format!("{}: TLS cipher list \"{list}\"", host.shown));
        }
        let provider: Arc<CryptoProvider> = Arc::new(tls_ciphers::provider(&list, &self.curves));
        let trust = if policy.anchors.is_empty() {
            self.trust.clone()
        } else {
            Trust::of(&policy.anchors, &provider).map_err(|error| error.to_string())?
        };
        let witness = Arc::new(Witness::new(Arc::clone(&provider), trust));
        let versions = versions.supported();
        if versions.is_empty() {
            return Err(format!("no protocol of \"{}\" is spoken here: aborting TLS session", policy.protocols));
        }
        let verifier: Arc<dyn tokio_rustls::rustls::client::danger::ServerCertVerifier> = witness.clone();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| format!("{error}: aborting TLS session"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let own = Arc::new(Own::new(self.own.clone()));
        let mut config = builder.with_client_cert_resolver(own.clone());
        // A session that is taken up again shows no certificate, and each must be looked at.
        config.resumption = Resumption::disabled();
        let wanted = match policy.servername.as_str() {
            "hostname" => host.name,
            "nexthop" => host.nexthop,
            name => name,
        };
        let name = ServerName::try_from(wanted.to_owned()).ok().filter(|_| !wanted.is_empty());
        config.enable_sni = name.is_some();
        // An address is never told; it only fills the place.
        let name = name.unwrap_or(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()));
        Ok(Prepared { config: Arc::new(config), name, witness, own })
    }

    /// Whether the certificate has what the policy asks for. What it lacks is told.
    fn matches(&self, policy: &Policy, seen: &Seen, host: Host<'_>, log: &Log) -> bool {
        let Some(own) = seen.chain.first() else { return false };
        let lacks = |number: u8, what: &str| {
            log.info(format!("server certificate verification failed for {}: num={number}:{what}", host.shown));
            false
        };
        match policy.level {
            Level::Fingerprint => {
                if let Some(doubt @ Doubt::Signature) = &seen.doubt {
                    log.info(doubt.of_host(host.shown));
                    return false;
                }
                let bare = |print: &str| print.replace(':', "").to_ascii_uppercase();
                let prints: Vec<String> =
                    std::iter::once(self.hash.of(own)).chain(self.hash.of_key(own)).map(|print| bare(&print)).collect();
                let wanted: Vec<String> = policy.matches.iter().map(|wanted| bare(wanted)).collect();
                if wanted.iter().all(|wanted| prints.iter().all(|print| print.len() != wanted.len())) {
                    log.warning(format!("{}: all fingerprints unusable", host.shown));
                    return lacks(1, "unspecified certificate verification error");
                }
                // The number and the words are those of DANE there, which compares fingerprints too.
                wanted.iter().any(|wanted| prints.contains(wanted)) || lacks(65, "no matching DANE TLSA records")
            }
            Level::Verify | Level::Secure => {
                if let Some(doubt) = &seen.doubt {
                    log.info(doubt.of_host(host.shown));
                    return false;
                }
                let names = certificate::host_names(own);
                let matched = policy.matches.iter().any(|wanted| {
                    let (wanted, below) = match wanted.to_ascii_lowercase().as_str() {
                        "nexthop" => (host.nexthop, false),
                        "hostname" => (host.name, false),
                        "dot-nexthop" => (host.nexthop, true),
                        _ => match wanted.strip_prefix('.') {
                            Some(domain) if !domain.is_empty() => (domain, true),
                            _ => (wanted.as_str(), false),
                        },
                    };
                    names.iter().any(|name| is_for(name, wanted, below, self.wide_stars))
                });
                matched || lacks(62, "hostname mismatch")
            }
            _ => false,
        }
    }

    fn tell_certificate(&self, seen: &Seen, shown: &str, log: &Log) {
        let Some(own) = seen.chain.first() else { return };
        let (subject, issuer) =
            (certificate::subject(own).unwrap_or_default(), certificate::issuer(own).unwrap_or_default());
        let (print, key) = (self.hash.of(own), self.hash.of_key(own).unwrap_or_default());
        log.info(format!(
            "{shown}: subject_CN={subject}, issuer_CN={issuer}, fingerprint={print}, pkey_fingerprint={key}"
        ));
    }
}

/// Whether a name of a certificate is `wanted`, or below it. A star stands for the leftmost label; with `wide` for
/// more than one.
fn is_for(name: &str, wanted: &str, below: bool, wide: bool) -> bool {
    let ends_with = |text: &str, domain: &str| {
        text.len() > domain.len() + 1
            && text.is_char_boundary(text.len() - domain.len())
            && text[..text.len() - domain.len()].ends_with('.')
            && text[text.len() - domain.len()..].eq_ignore_ascii_case(domain)
    };
    if below {
        return ends_with(name, wanted);
    }
    match name.strip_prefix("*.") {
        Some(domain) if wide => ends_with(wanted, domain),
        Some(_) => certificate::covers(name, wanted),
        None => name.eq_ignore_ascii_case(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::is_for;

    #[test]
    fn names_of_certificates() {
        assert!(is_for("MX.example.org", "mx.example.org", false, false));
        assert!(is_for("*.example.org", "a.b.example.org", false, true));
        assert!(!is_for("*.example.org", "a.b.example.org", false, false));
        assert!(!is_for("*.example.org", "example.org", false, true));
        assert!(is_for("a.example.org", "example.org", true, false));
        assert!(!is_for("example.org", "example.org", true, false));
        assert!(!is_for("badexample.org", "example.org", true, false));
        assert!(!is_for("mx.example.org", "", true, true));
    }
}
