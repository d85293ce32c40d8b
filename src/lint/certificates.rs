//! The server's certificate: its days, and whether it is for this host.

use super::finding::Findings;
use super::ground::Ground;
use crate::conf::MainCf;
use crate::proto::certificate::{covers, names};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_cert::Certificate;

/// Parameters that name the server's certificates, each file the host's own first.
const SERVER: &[&str] =
    &["smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file", "smtpd_tls_chain_files"];
const CLIENT: &[&str] = &["smtp_tls_cert_file", "smtp_tls_eccert_file", "smtp_tls_chain_files", "lmtp_tls_cert_file"];

/// How long before its end a certificate is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// A certificate in a file: the first, which is the host's own. Err: the file has none that can be read.
fn own(path: &str) -> std::io::Result<Result<Certificate, String>> {
    let bytes = std::fs::read(path)?;
    let begin = memchr::memmem::find(&bytes, b"-----BEGIN CERTIFICATE-----");
    let Some(rest) = begin.and_then(|at| bytes.get(at..)) else { return Ok(Err("holds no certificate".to_owned())) };
    Ok(match Certificate::load_pem_chain(rest) {
        Ok(chain) => chain.into_iter().next().ok_or_else(|| "holds no certificate".to_owned()),
        Err(error) => Err(format!("holds a certificate that cannot be read: {error}")),
    })
}

/// Calls `each` with every file of these parameters that can be opened. A file of keys only is no certificate's.
fn each(
    ground: &Ground,
    names: &[&'static str],
    mut each: impl FnMut(&'static str, &str, Result<Certificate, String>),
) {
    for name in names.iter().filter(|name| ground.assignment(name).is_some()) {
        for path in MainCf::list(&ground.value(name)).iter().filter(|path| path.starts_with('/')) {
            let keys_too = name.ends_with("chain_files");
            match own(path) {
                Ok(Err(_)) if keys_too => {}
                Ok(certificate) => each(name, path, certificate),
                // What cannot be opened is another lint's.
                Err(_) => {}
            }
        }
    }
}

pub fn expired(ground: &Ground, found: &mut Findings) {
    let names: Vec<&'static str> = SERVER.iter().chain(CLIENT).copied().collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    each(ground, &names, |name, path, certificate| {
        let span = ground.word_span(name, path);
        let renew = "have the certificate authority's client renew it, and `postfix reload` afterwards";
        let validity = match certificate {
            Ok(certificate) => certificate.tbs_certificate.validity,
            Err(what) => {
                let why = "Without its certificate the server offers no TLS.";
                return found.error(span, format!("{path} {what}"), why, "name a file in PEM format");
            }
        };
        let (begin, end) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
        if now > end {
            let text = format!("the certificate in {path} expired on {}", validity.not_after);
            found.error(span, text, "Clients that check certificates do not send mail here.", renew);
        } else if now < begin {
            let text = format!("the certificate in {path} begins on {}", validity.not_before);
            found.error(span, text, "Clients that check certificates do not send mail here.", "set the clock, or wait");
        } else if end.saturating_sub(now) < SOON {
            let text = format!("the certificate in {path} expires on {}", validity.not_after);
            found.warning(span, text, "Something should have renewed it by now.", renew);
        }
    });
}

pub fn name(ground: &Ground, found: &mut Findings) {
    let host = ground.value("myhostname");
    each(ground, SERVER, |name, path, certificate| {
        let Ok(certificate) = certificate else { return };
        let names = names(&certificate);
        if names.is_empty() || names.iter().any(|pattern| covers(pattern, &host)) {
            return;
        }
        found.warning(
            ground.word_span(name, path),
            format!("the certificate in {path} is for {}, not for {host}", names.join(", ")),
            "Clients that check the name ($myhostname, most often) do not send mail here.",
            format!("ask for a certificate with the name {host}, or set myhostname to the name that MX records give"),
        );
    });
}
