//! What smtpd(8) reads of TLS from the configuration (TLS_README, postconf(5) smtpd_tls_*): whether it is offered or
//! required, and with which keys. A mistake disables TLS with a warning, as in the reference: STARTTLS is then announced
//! and answered with 454, so that clients wait for the administrator and do not send in the clear what they would encrypt.

use crate::conf::MainCf;
use crate::daemon::skeleton::Private;
use crate::log::Log;
use crate::proto::fingerprint::Hash;
use crate::proto::tls_ciphers::{self, Grade};
use crate::proto::tls_identity::{self, Identities};
use crate::proto::tls_server::{ByName, Server, Terms};
use crate::proto::tls_versions::Versions;
use crate::table::{Maps, Options, files_as_values};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Whether sessions are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Off,
    /// If the client asks for it.
    May,
    /// No mail without it.
    Must,
}

pub struct Encryption {
    pub level: Level,
    /// The session begins with a handshake (smtps).
    pub wrapper: bool,
    /// AUTH only in encrypted sessions.
    pub auth_only: bool,
    /// None: there is none, or a mistake keeps it from being there.
    pub server: Option<Server>,
    /// Nobody comes in without a certificate that one of our authorities gave.
    pub certificate_required: bool,
    pub hash: Hash,
    pub log_level: i64,
    /// For log level 2.
    pub cipher_list: String,
    pub received_header: bool,
    pub patience: Duration,
}

impl Encryption {
    /// For sessions without a network (sendmail -bs).
    pub fn off() -> Encryption {
        Encryption {
            level: Level::Off,
            wrapper: false,
            auth_only: false,
            server: None,
            certificate_required: false,
            hash: Hash::Sha256,
            log_level: 0,
            cipher_list: String::new(),
            received_header: false,
            patience: Duration::ZERO,
        }
    }

    /// Err: smtpd cannot start. What only disables TLS is told in the log.
    pub fn new(cf: &MainCf, private: &Private, log: &Arc<Log>) -> Result<Encryption, String> {
        let wrapper = cf.smtpd_tls_wrappermode();
        let level = level(cf, |words| log.warning(words))?;
        let mut made = Encryption {
            level,
            wrapper,
            auth_only: cf.smtpd_tls_auth_only() || level == Level::Must,
            certificate_required: level == Level::Must && cf.smtpd_tls_req_ccert(),
            log_level: cf.smtpd_tls_loglevel(),
            received_header: cf.smtpd_tls_received_header(),
            patience: cf.smtpd_starttls_timeout().max(Duration::from_secs(1)),
            ..Encryption::off()
        };
        if level == Level::Off {
            return Ok(made);
        }
        if made.log_level >= 2 {
            log.info("initializing the server-side TLS engine");
        }
        let asks = cf.smtpd_tls_ask_ccert() || made.certificate_required;
        let files = identity_files(cf);
        if files == IdentityFiles::None && asks {
            log.warning("Need a server cert to request client certs");
        }
        if level != Level::Must && cf.smtpd_tls_req_ccert() {
            log.warning("Can't require client certs unless TLS is required");
        }
        if files == IdentityFiles::None {
            log.warning("No server certs available. TLS won't be enabled");
            return Ok(made);
        }
        match made.opened(cf, private, &files, asks, log) {
            Ok(server) => made.server = Some(server),
            Err(Some(fault)) => log.warning(fault),
            Err(None) => {}
        }
        Ok(made)
    }

    /// The error is what is still to be told.
    fn opened(
        &mut self,
        cf: &MainCf,
        private: &Private,
        files: &IdentityFiles,
        asks: bool,
        log: &Arc<Log>,
    ) -> Result<Server, Option<String>> {
        let must = self.level == Level::Must;
        let digest = cf.smtpd_tls_fingerprint_digest();
        self.hash = Hash::named(&digest).ok_or_else(|| {
            log.warning(format!("Digest algorithm \"{digest}\" not found"));
            "disabling TLS support".to_owned()
        })?;
        let list = if must { cf.smtpd_tls_mandatory_protocols() } else { cf.smtpd_tls_protocols() };
        let versions = Versions::parse(&list)
            .map_err(|_| format!("Invalid TLS protocol list \"{list}\": disabling TLS support"))?
            .supported();
        if versions.is_empty() {
            return Err(Some(format!(
                "TLS protocol list \"{list}\" lets in neither TLSv1.2 nor TLSv1.3: disabling TLS support"
            )));
        }
        let grade = if must { cf.smtpd_tls_mandatory_ciphers() } else { cf.smtpd_tls_ciphers() };
        let ciphers = match Grade::parse(&grade) {
            Some(Grade::High) => cf.tls_high_cipherlist(),
            Some(Grade::Medium) => cf.tls_medium_cipherlist(),
            Some(Grade::Null) => cf.tls_null_cipherlist(),
            None => return Err(Some(format!("invalid TLS cipher grade \"{grade}\": disabling TLS support"))),
        };
        let mut excluded = vec![cf.smtpd_tls_exclude_ciphers()];
        if must {
            excluded.push(cf.smtpd_tls_mandatory_exclude_ciphers());
        }
        let excluded: Vec<&str> = excluded.iter().map(String::as_str).collect();
        self.cipher_list = tls_ciphers::with_exclusions(&ciphers, &excluded);
        let curves = match cf.smtpd_tls_eecdh_grade().as_str() {
            "strong" => cf.tls_eecdh_strong_curve(),
            "ultra" => cf.tls_eecdh_ultra_curve(),
            _ => cf.tls_eecdh_auto_curves(),
        };
        let identities = identities(files, private, log)?;
        let authorities = authorities(cf, private).map_err(|file| {
            log.info(format!("cannot load Certification Authority data, {}: disabling TLS support", file.0));
            log.warning(format!("TLS library problem: {}", file.1));
            None
        })?;
        let terms = Terms {
            provider: tls_ciphers::provider(&self.cipher_list, &curves),
            versions,
            identities: identities.iter().map(|own| tls_identity::completed(own, &authorities)).collect(),
            by_name: by_name(cf, log),
            asks,
            authorities,
            prefers_own: cf.tls_preempt_cipherlist(),
            keeps_sessions: !cf.smtpd_tls_session_cache_timeout().is_zero(),
        };
        Server::new(terms).map_err(|fault| Some(format!("{fault}: disabling TLS support")))
    }
}

/// smtpd_tls_security_level, or what stood for it before it was there.
fn level(cf: &MainCf, mut warn: impl FnMut(String)) -> Result<Level, String> {
    let (mut may, mut must) = (cf.smtpd_use_tls(), cf.smtpd_enforce_tls());
    let wrapper = cf.smtpd_tls_wrappermode();
    let named = cf.smtpd_tls_security_level();
    if !wrapper && !named.is_empty() {
        (may, must) = match named.to_ascii_lowercase().as_str() {
            "none" => (false, false),
            "may" => (true, false),
            "encrypt" => (true, true),
            "fingerprint" | "verify" | "secure" | "half-dane" | "dane" | "dane-only" => {
                warn(format!("smtpd_tls_security_level: unsupported TLS level \"{named}\", using \"encrypt\""));
                (true, true)
            }
            _ => return Err(format!("Invalid TLS level \"{named}\"")),
        };
    }
    Ok(if wrapper || must {
        Level::Must
    } else if may {
        Level::May
    } else {
        Level::Off
    })
}

/// Where the keys are.
#[derive(Debug, PartialEq, Eq)]
enum IdentityFiles {
    None,
    /// Keys before their certificates.
    Chains(Vec<String>),
    /// A certificate and its key each.
    Pairs(Vec<(String, String)>),
}

fn identity_files(cf: &MainCf) -> IdentityFiles {
    let chains = MainCf::list(&cf.smtpd_tls_chain_files());
    if !chains.is_empty() {
        return IdentityFiles::Chains(chains);
    }
    let pairs =
        [(cf.smtpd_tls_cert_file(), cf.smtpd_tls_key_file()), (cf.smtpd_tls_eccert_file(), cf.smtpd_tls_eckey_file())];
    let named = |name: &String| !name.is_empty() && !name.eq_ignore_ascii_case("none");
    let pairs: Vec<(String, String)> = pairs.into_iter().filter(|(certificate, _)| named(certificate)).collect();
    if pairs.is_empty() { IdentityFiles::None } else { IdentityFiles::Pairs(pairs) }
}

/// The files that are read before privileges are dropped, and that a running smtpd is replaced for when they change.
pub fn private_files(cf: &MainCf) -> Vec<String> {
    if !matches!(level(cf, |_| {}), Ok(Level::May | Level::Must)) {
        return Vec::new();
    }
    let mut files = match identity_files(cf) {
        IdentityFiles::None => Vec::new(),
        IdentityFiles::Chains(files) => files,
        IdentityFiles::Pairs(pairs) => pairs.into_iter().flat_map(|(certificate, key)| [certificate, key]).collect(),
    };
    files.extend(Some(cf.smtpd_tls_cafile()).filter(|file| !file.is_empty()));
    files
}

fn identities(files: &IdentityFiles, private: &Private, log: &Arc<Log>) -> Result<Identities, Option<String>> {
    let text = |place: &str| {
        let read = private.get(place).map_err(|error| format!("error opening chain file: {place}: {error}"));
        read.map_err(Some)
    };
    match files {
        IdentityFiles::None => Ok(Vec::new()),
        IdentityFiles::Chains(files) => {
            let texts = files
                .iter()
                .map(|file| Ok((text(file)?, file.as_str())))
                .collect::<Result<Vec<_>, Option<String>>>()?;
            let found = tls_identity::chains(&texts);
            let found = found.and_then(|found| match found.is_empty() {
                true => Err("no private key in any of them".to_owned()),
                false => Ok(found),
            });
            found.map_err(|fault| {
                log.warning(fault);
                let named = files.join(" ");
                Some(format!("error loading private keys and certificates from: {named}: disabling TLS support"))
            })
        }
        IdentityFiles::Pairs(pairs) => pairs
            .iter()
            .map(|(certificate, key)| {
                let found = tls_identity::pair((text(certificate)?, certificate), (text(key)?, key));
                found.map_err(|fault| match fault.contains("does not match") {
                    true => Some(format!("{fault}: disabling TLS support")),
                    false => {
                        log.warning(fault);
                        let from = "error loading private keys and certificates from";
                        Some(format!("{from}: {certificate}: disabling TLS support"))
                    }
                })
            })
            .collect(),
    }
}

/// Who may give certificates to clients. The error is the file, and what is wrong with it.
fn authorities(cf: &MainCf, private: &Private) -> Result<Vec<CertificateDer<'static>>, (String, String)> {
    let (file, directory) = (cf.smtpd_tls_cafile(), cf.smtpd_tls_capath());
    let mut found = Vec::new();
    if !file.is_empty() {
        let fault = |reason: &dyn std::fmt::Display| (format!("CAfile=\"{file}\""), format!("{file}: {reason}"));
        let text = private.get(&file).map_err(|reason| fault(&reason))?;
        let read = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(|error| fault(&error))?;
        if read.is_empty() {
            return Err(fault(&"no certificate in it"));
        }
        found.extend(read);
    }
    if !directory.is_empty() {
        let directory = std::path::Path::new(&directory);
        found.extend(rustls_native_certs::load_certs_from_paths(None, Some(directory)).certs);
    }
    if cf.tls_append_default_ca() {
        found.extend(rustls_native_certs::load_native_certs().certs);
    }
    Ok(found)
}

/// tls_server_sni_maps: a host name, or ".domain" for the hosts in it, and PEM text with keys before certificates.
fn by_name(cf: &MainCf, log: &Arc<Log>) -> Option<ByName> {
    let list = cf.tls_server_sni_maps();
    let options = Options { values_are_files: true, ..Options::default() };
    let warn = Arc::clone(log);
    let maps = Some(Maps::open("tls_server_sni_maps", &list, &options)).filter(|_| !list.is_empty())?;
    Some(Arc::new(move |name: &str| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let parents = name.match_indices('.').map(|(at, _)| &name[at..]);
        for key in std::iter::once(name.as_str()).chain(parents) {
            let place = || format!("{list}, key \"{key}\"");
            let fault = match maps.find(key.as_bytes()) {
                Ok(None) => continue,
                Ok(Some(text)) => match files_as_values::decoded(&text) {
                    Some(text) => match tls_identity::chains(&[(&text, &place())]) {
                        Ok(found) => return Some(found).filter(|found| !found.is_empty()),
                        Err(fault) => fault,
                    },
                    None => format!("{}: value is not base64 (built without postmap -F?)", place()),
                },
                Err(error) => error.to_string(),
            };
            warn.warning(fault);
            return None;
        }
        None
    }))
}
