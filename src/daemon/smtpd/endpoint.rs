//! Connections to the services that smtpd asks: "inet:host:port", "unix:path", or a path below the queue directory.

use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A stream of either kind.
pub trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

pub async fn connect(server: &str) -> io::Result<Box<dyn Both>> {
    let (kind, place) = server.split_once(':').unwrap_or(("unix", server));
    Ok(match kind {
        "inet" => match place.rsplit_once(':') {
            Some((host, port)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let port = port.parse().map_err(|_| io::Error::other("unknown port"))?;
                Box::new(TcpStream::connect((if host.is_empty() { "localhost" } else { host }, port)).await?)
            }
            None => Box::new(TcpStream::connect(("localhost", place.parse().map_err(io::Error::other)?)).await?),
        },
        // Below the queue directory, where we are.
        _ => Box::new(UnixStream::connect(place).await?),
    })
}
