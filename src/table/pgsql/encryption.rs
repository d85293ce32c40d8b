//! The TLS of a PostgreSQL session, as the reference's library has it (libpq: sslmode, sslrootcert, sslcert, sslkey and
//! their PGSSL* variables): `prefer` when nothing is said, which encrypts where the server can and checks nothing.

use crate::proto::tls::{self, Check, Terms};
use crate::sys::files::reason;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

const MODES: &[(&str, Mode)] = &[
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

/// Parameters of a URI that the library we use does not know, and the values with which they change nothing here.
const HARMLESS: &[(&str, &[&str])] = &[
    ("client_encoding", &[]),
    ("fallback_application_name", &[]),
    ("gssencmode", &["disable", "prefer"]),
    ("gsslib", &[]),
    ("krbsrvname", &[]),
    ("ssl_max_protocol_version", &["", "TLSv1.3"]),
    ("ssl_min_protocol_version", &["", "TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("sslcompression", &[]),
    ("sslcrl", &[""]),
    ("sslcrldir", &[""]),
    ("sslpassword", &[""]),
    ("sslsni", &["1"]),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    mode: Mode,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Encryption {
    /// Takes its part out of a URI's parameters, and gives the rest. Err: the words of a refusal.
    pub fn of(uri: Option<&str>) -> Result<(Encryption, String), String> {
        let (place, query) = uri.map_or(("", ""), |uri| uri.split_once('?').unwrap_or((uri, "")));
        let said = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let mut mode = said("PGSSLMODE");
        let mut own = Encryption {
            mode: Mode::Prefer,
            root: said("PGSSLROOTCERT"),
            certificate: said("PGSSLCERT"),
            key: said("PGSSLKEY"),
        };
        let mut rest: Vec<&str> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decoded(value);
            match name {
                "sslmode" => mode = Some(value),
                "sslrootcert" => own.root = Some(value).filter(|value| !value.is_empty()),
                "sslcert" => own.certificate = Some(value).filter(|value| !value.is_empty()),
                "sslkey" => own.key = Some(value).filter(|value| !value.is_empty()),
                _ => match HARMLESS.iter().find(|(known, _)| *known == name) {
                    Some((_, values)) if values.is_empty() || values.contains(&value.as_str()) => {}
                    Some(_) => return Err(format!("{name}={value}: not served by this program?")),
                    None => rest.push(parameter),
                },
            }
        }
        if let Some(mode) = mode {
            let known = MODES.iter().find(|(name, _)| *name == mode);
            own.mode = known.map(|(_, known)| *known).ok_or_else(|| format!("invalid sslmode value: \"{mode}\"?"))?;
        }
        let end = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        Ok((own, format!("{place}{end}")))
    }

    /// How a server is tried, one after the other. Sockets of this machine need no TLS.
    pub fn attempts(&self, socket: bool) -> &'static [SslMode] {
        match self.mode {
            Mode::Disable => &[SslMode::Disable],
            _ if socket => &[SslMode::Disable],
            Mode::Allow => &[SslMode::Disable, SslMode::Require],
            Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
        }
    }

    /// Err: the words of a refusal.
    pub fn handshake(&self, host: &str) -> Result<Handshake, String> {
        let config = self.terms()?.config().map_err(|fault| format!("could not set up TLS: {fault}?"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("host name \"{host}\" is none?"))?;
        Ok(Handshake { config, name, begun: Arc::default() })
    }

    fn terms(&self) -> Result<Terms, String> {
        let of_home = |name: &str| std::env::home_dir().map(|home| home.join(".postgresql").join(name));
        let named = |given: &Option<String>, usual: &str| given.as_ref().map(PathBuf::from).or_else(|| of_home(usual));
        let strict = if self.mode == Mode::VerifyFull { Check::Name } else { Check::Chain };
        let mut terms = Terms { check: strict, ..Terms::default() };
        if self.root.as_deref() == Some("system") {
            if self.mode != Mode::VerifyFull {
                return Err("weak sslmode may not be used with sslrootcert=system (use \"verify-full\")?".to_owned());
            }
        } else {
            match named(&self.root, "root.crt").filter(|path| path.exists()) {
                // Whoever keeps a list of authorities wants it asked, also with `require` and `prefer`.
                Some(path) => terms.authorities = Some(path),
                None if self.mode < Mode::VerifyCa => terms.check = Check::Nothing,
                None => {
                    let path = named(&self.root, "root.crt").unwrap_or_default();
                    return Err(format!(
                        "root certificate file \"{}\" does not exist?Either provide the file or change sslmode to \
                         disable server certificate verification.?",
                        path.display()
                    ));
                }
            }
        }
        if let Some(certificate) = named(&self.certificate, "postgresql.crt").filter(|path| path.exists()) {
            let key = named(&self.key, "postgresql.key").unwrap_or_default();
            check_key(&key)?;
            terms.identity = Some((certificate, key));
        }
        Ok(terms)
    }
}

/// A key that others may read is none.
fn check_key(key: &std::path::Path) -> Result<(), String> {
    let shown = key.display();
    let about = match std::fs::metadata(key) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("certificate present, but not private key file \"{shown}\"?"));
        }
        Err(error) => return Err(format!("could not stat private key file \"{shown}\": {}?", reason(&error))),
    };
    let others = if about.uid() == 0 { 0o037 } else { 0o077 };
    if about.mode() & others != 0 {
        return Err(format!(
            "private key file \"{shown}\" has group or world access?File must have permissions u=rw (0600) or less if \
             owned by the current user, or permissions u=rw,g=r (0640) or less if owned by root.?"
        ));
    }
    Ok(())
}

fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&crate::table::query::percent_decoded(text)).into_owned()
}

/// Makes one session encrypted.
#[derive(Clone)]
pub struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    begun: Arc<AtomicBool>,
}

impl Handshake {
    /// Whether the server agreed to TLS; it may have failed since.
    pub fn was_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = String;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, String>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        self.begun.store(true, Ordering::Relaxed);
        Box::pin(async move {
            let done = TlsConnector::from(self.config).connect(self.name, stream).await;
            done.map(Encrypted).map_err(|error| format!("SSL error: {}", tls::refusal(&error)))
        })
    }
}

pub struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let server = self.0.get_ref().1.peer_certificates().and_then(<[_]>::first);
        match server.and_then(|certificate| tls::endpoint_hash(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_part_of_a_uri() {
        let uri = "postgresql://u@h/d?host=%2Frun&sslmode=verify-ca&sslrootcert=%2Fa%20b&sslcompression=0&port=7";
        let (own, rest) = Encryption::of(Some(uri)).unwrap();
        assert_eq!(rest, "postgresql://u@h/d?host=%2Frun&port=7");
        assert_eq!((own.mode, own.root.as_deref()), (Mode::VerifyCa, Some("/a b")));
        assert_eq!(own.attempts(true), &[SslMode::Disable]);
        assert!(Encryption::of(Some("postgresql://h/d?sslmode=yes")).unwrap_err().contains("invalid sslmode"));
        // What would weaken the connection unseen is refused.
        assert!(Encryption::of(Some("postgresql://h/d?sslcrl=/x")).is_err());
        assert!(own.terms().unwrap_err().contains("root certificate file \"/a b\" does not exist"));
    }
}
