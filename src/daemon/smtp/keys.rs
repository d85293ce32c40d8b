//! The files that a client's TLS needs: whom it trusts, and who it says it is if a server asks.

use super::policy::of;
use crate::conf::MainCf;
use crate::daemon::skeleton::Private;
use crate::log::Log;
use crate::proto::tls_identity::{self, Identities};
use std::path::Path;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Certificates with their keys, by the names of their files.
fn pairs(cf: &MainCf, lmtp: bool) -> Vec<(String, String)> {
    let all = [
        (of!(cf, lmtp, smtp_tls_cert_file lmtp_tls_cert_file), of!(cf, lmtp, smtp_tls_key_file lmtp_tls_key_file)),
        (
            of!(cf, lmtp, smtp_tls_eccert_file lmtp_tls_eccert_file),
            of!(cf, lmtp, smtp_tls_eckey_file lmtp_tls_eckey_file),
        ),
    ];
    all.into_iter().filter(|(certificate, _)| !certificate.is_empty()).collect()
}

/// What is read before privileges are dropped.
pub fn private_files(cf: &MainCf, lmtp: bool) -> Vec<String> {
    let mut files = MainCf::list(&of!(cf, lmtp, smtp_tls_chain_files lmtp_tls_chain_files));
    if files.is_empty() {
        files.extend(pairs(cf, lmtp).into_iter().flat_map(|(certificate, key)| [certificate, key]));
    }
    files.extend(Some(of!(cf, lmtp, smtp_tls_ca_file lmtp_tls_ca_file)).filter(|file| !file.is_empty()));
    files
}

/// Whom the client trusts. The error is CAfile and what is wrong with it: what CApath and the machine have is taken as
/// far as it can be read, as OpenSSL looks into them only for the authorities that it meets.
pub fn authorities(
    cf: &MainCf,
    lmtp: bool,
    private: &Private,
) -> Result<Vec<CertificateDer<'static>>, (String, String)> {
    let mut found = Vec::new();
    let file = of!(cf, lmtp, smtp_tls_ca_file lmtp_tls_ca_file);
    if !file.is_empty() {
        let read = private.get(&file).map_err(str::to_owned).and_then(certificates);
        found.extend(read.map_err(|reason| (file, reason))?);
    }
    let directory = of!(cf, lmtp, smtp_tls_ca_path lmtp_tls_ca_path);
    if !directory.is_empty() {
        found.extend(rustls_native_certs::load_certs_from_paths(None, Some(Path::new(&directory))).certs);
    }
    if cf.tls_append_default_ca() {
        found.extend(rustls_native_certs::load_native_certs().certs);
    }
    Ok(found)
}

/// The certificates in a text, of which there must be one.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read =
        CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if read.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(read) }
}

/// Who the client says it is. The error is a line for the log.
pub fn identities(cf: &MainCf, lmtp: bool, private: &Private, log: &Log) -> Result<Identities, String> {
    let text = |file: &str| private.get(file).map_err(|reason| format!("error opening chain file: {file}: {reason}"));
    let chains = MainCf::list(&of!(cf, lmtp, smtp_tls_chain_files lmtp_tls_chain_files));
    let pairs = pairs(cf, lmtp);
    let disabling = |fault: String| format!("{fault}: disabling TLS support");
    if chains.is_empty() {
        let pair = |(certificate, key): &(String, String)| {
            tls_identity::pair((text(certificate)?, certificate), (text(key)?, key)).map_err(disabling)
        };
        return pairs.iter().map(pair).collect();
    }
    if !pairs.is_empty() {
        let family = if lmtp { "lmtp" } else { "smtp" };
        let [certificate, eccert, dcert] = ["cert", "eccert", "dcert"].map(|kind| format!("{family}_tls_{kind}_file"));
        log.warning(format!(
            "Both {family}_tls_chain_files and one or more of the legacy  {certificate}, {eccert} or {dcert} are \
             non-empty; the legacy parameters will be ignored"
        ));
    }
    let texts = chains.iter().map(|file| Ok((text(file)?, file.as_str()))).collect::<Result<Vec<_>, String>>()?;
    tls_identity::chains(&texts).map_err(disabling)
}
