//! TLS as Dovecot's settings have it (ssl, ssl_cert, ssl_key, ssl_min_protocol, ssl_cipher_list, ssl_curve_list,
//! ssl_prefer_server_ciphers). The key is read before privileges are dropped.

use crate::conf::dovecot::Dovecot;
use crate::proto::tls_server::{Server, Terms};
use crate::proto::tls_versions::Versions;
use crate::proto::{tls_ciphers, tls_identity};
use std::io::Read;

/// Longest file of certificates or keys.
const MAX_FILE: u64 = 1 << 20;
/// As Dovecot has it.
const CIPHERS: &str = "ALL:!kRSA:!SRP:!kDHd:!DSS:!aNULL:!eNULL:!EXPORT:!DES:!3DES:!MD5:!PSK:!RC4:!ADH:!LOW@STRENGTH";

/// Whether the settings ask for TLS: `ssl` is not "no", and there is a certificate.
pub fn is_wanted(conf: &Dovecot) -> bool {
    conf.value("ssl", "yes") != "no" && !conf.value("ssl_cert", "").is_empty()
}

/// None: there is none. The error says what keeps it from being there.
pub fn server(conf: &Dovecot) -> Result<Option<Server>, String> {
    if !is_wanted(conf) {
        return Ok(None);
    }
    let (certificates, certificate_place) = content(conf, "ssl_cert")?;
    let (key, key_place) = content(conf, "ssl_key")?;
    let identity = tls_identity::pair((&certificates, &certificate_place), (&key, &key_place))?;
    let least = conf.value("ssl_min_protocol", "TLSv1.2");
    let versions = Versions::parse(&format!(">={least}")).map_err(|_| format!("ssl_min_protocol: unknown {least}"))?;
    // Words of a list that begin a new one, or end in "@STRENGTH", as OpenSSL takes them.
    let list = conf.value("ssl_cipher_list", CIPHERS).replace('@', ":@");
    let server = Server::new(Terms {
        provider: tls_ciphers::provider(&list, conf.value("ssl_curve_list", "")),
        versions: versions.supported(),
        identities: vec![identity],
        by_name: None,
        asks: false,
        authorities: Vec::new(),
        prefers_own: conf.yes("ssl_prefer_server_ciphers", false),
        keeps_sessions: true,
    });
    server.map(Some)
}

/// What a setting holds, or the file that it names ("<FILE"), with a name for messages.
fn content(conf: &Dovecot, name: &str) -> Result<(Vec<u8>, String), String> {
    let value = conf.value(name, "");
    let Some(file) = value.strip_prefix('<').map(str::trim) else {
        return Ok((value.as_bytes().to_vec(), name.to_owned()));
    };
    let mut text = Vec::new();
    let read = std::fs::File::open(file).and_then(|open| open.take(MAX_FILE).read_to_end(&mut text));
    read.map_err(|error| format!("{name}: {file}: {}", crate::sys::files::reason(&error)))?;
    Ok((text, file.to_owned()))
}
