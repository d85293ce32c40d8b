//! A connection that may become encrypted while it stands.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{CommonState, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A stream of either kind: a socket, or standard input and output.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// What carries the bytes.
pub enum Transport<S> {
    Plain(S),
    Encrypted(Box<TlsStream<S>>),
    /// A handshake failed, and took the socket with it.
    Gone,
}

impl<S: Duplex> AsyncRead for Transport<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::Encrypted(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
            Transport::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl<S: Duplex> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Encrypted(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Transport::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Encrypted(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Transport::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Encrypted(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Transport::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl<S: Duplex> Transport<S> {
    /// Answers a TLS handshake. After a failure the connection is gone.
    pub async fn encrypt(&mut self, config: Arc<ServerConfig>, patience: Duration) -> io::Result<&CommonState> {
        let Transport::Plain(socket) = std::mem::replace(self, Transport::Gone) else {
            return Err(io::Error::other("TLS is active already"));
        };
        let stream = tokio::time::timeout(patience, TlsAcceptor::from(config).accept(socket)).await??;
        *self = Transport::Encrypted(Box::new(stream));
        match self {
            Transport::Encrypted(stream) => Ok(stream.get_ref().1),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
