//! Key files that others can read.

use super::finding::Findings;
use super::ground::Ground;
use std::os::unix::fs::MetadataExt;

/// Parameters that name private keys; chain files hold one too.
const KEYS: &[&str] = &[
    "smtpd_tls_key_file",
    "smtpd_tls_eckey_file",
    "smtpd_tls_dkey_file",
    "smtpd_tls_chain_files",
    "smtp_tls_key_file",
    "smtp_tls_eckey_file",
    "smtp_tls_chain_files",
    "lmtp_tls_key_file",
    "tlsproxy_tls_key_file",
];

pub fn key(ground: &Ground, found: &mut Findings) {
    for name in KEYS.iter().filter(|name| ground.assignment(name).is_some()) {
        for path in crate::conf::MainCf::list(&ground.value(name)).iter().filter(|path| path.starts_with('/')) {
            // A file that only holds a certificate may be read by all.
            let public = std::fs::read(path).is_ok_and(|text| memchr::memmem::find(&text, b"PRIVATE KEY").is_none());
            match std::fs::metadata(path) {
                Ok(data) if data.mode() & 0o004 != 0 && !public => found.error(
                    ground.word_span(name, path),
                    format!("{path} holds a private key and can be read by everybody"),
                    "Whoever can read the key can pretend to be this server.",
                    format!("chmod 600 {path}"),
                ),
                Ok(_) => {}
                Err(error) => found.error(
                    ground.word_span(name, path),
                    format!("{path}: {}", crate::sys::files::reason(&error)),
                    "Without its key the server offers no TLS.",
                    "name the file that the certificate authority's client keeps up to date",
                ),
            }
        }
    }
}
