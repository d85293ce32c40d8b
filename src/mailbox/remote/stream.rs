//! TCP and TLS, with limits of time.

use super::RemoteError;
use super::url::Url;
use crate::proto::tls::Terms;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// An answer, or a whole message, takes no longer.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What is spoken over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for T {}

pub type Connection = Box<dyn Stream>;

/// Waits for what has a limit of time.
pub async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, RemoteError> {
    tokio::time::timeout(PATIENCE, what).await.map_err(|_| RemoteError::Late)
}

/// A connection, encrypted where the scheme says so; and whether it stays on this machine.
pub async fn connect(url: &Url) -> Result<(Connection, bool), RemoteError> {
    let tcp = in_time(TcpStream::connect((url.host.as_str(), url.port))).await??;
    let local = tcp.peer_addr().is_ok_and(|peer| match peer.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    });
    let plain: Connection = Box::new(tcp);
    Ok((if url.scheme.is_tls() { encrypt(plain, &url.host).await? } else { plain }, local))
}

/// TLS with the machine's certificate authorities (SSL_CERT_FILE names others).
pub async fn encrypt(stream: Connection, host: &str) -> Result<Connection, RemoteError> {
    let config = Terms::default().config().map_err(|fault| RemoteError::Tls(fault.to_string()))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| RemoteError::Tls(error.to_string()))?;
    let connector = TlsConnector::from(config);
    let stream = in_time(connector.connect(name, stream)).await?.map_err(|error| refusal(host, &error))?;
    Ok(Box::new(stream))
}

/// Why there is no encryption with this server.
fn refusal(host: &str, error: &std::io::Error) -> RemoteError {
    use tokio_rustls::rustls::{CertificateError, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        // A bad signature is that of another authority of the same name.
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            RemoteError::Untrusted(host.to_owned())
        }
        Some(Error::InvalidCertificate(reason)) => RemoteError::Certificate(host.to_owned(), reason.to_string()),
        _ => RemoteError::Tls(error.to_string()),
    }
}
