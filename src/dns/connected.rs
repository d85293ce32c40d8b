//! [`Connected`]: tokio's sockets, but that a UDP socket is connected to the one server that it asks. The kernel then
//! tells when nothing listens there (ECONNREFUSED), and mail is deferred at once; an unconnected socket waits for its
//! whole time-out, three times. It also passes over datagrams from elsewhere.

use hickory_resolver::net::runtime::DnsUdpSocket;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

type Later<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

#[derive(Clone, Default)]
pub(super) struct Connected(TokioRuntimeProvider);

impl RuntimeProvider for Connected {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Udp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.0.create_handle()
    }

    fn connect_tcp(&self, server: SocketAddr, bind: Option<SocketAddr>, timeout: Option<Duration>) -> Later<Self::Tcp> {
        self.0.connect_tcp(server, bind, timeout)
    }

    /// The library asks for a socket that is not connected, since it names the server with each datagram. Linux takes
    /// the same address once more.
    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Later<Udp> {
        let bound = self.0.bind_udp(local, server);
        Box::pin(async move {
            let socket = Arc::new(bound.await?);
            socket.connect(server).await?;
            Ok(Udp { waiting: Mutex::new(wait(&socket)), socket })
        })
    }
}

/// A socket that hears of errors while it waits for a datagram: tokio's own reading waits for data only.
pub(super) struct Udp {
    socket: Arc<UdpSocket>,
    waiting: Mutex<Later<Ready>>,
}

fn wait(socket: &Arc<UdpSocket>) -> Later<Ready> {
    let socket = Arc::clone(socket);
    Box::pin(async move { socket.ready(Interest::READABLE | Interest::ERROR).await })
}

impl DnsUdpSocket for Udp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let ready = ready!(waiting.as_mut().poll(cx))?;
            *waiting = wait(&self.socket);
            let nothing = || io::Error::from(io::ErrorKind::WouldBlock);
            let tried = if ready.is_error() {
                // "Would block" makes tokio forget the event that was looked at.
                self.socket.try_io(Interest::ERROR, || Err(self.socket.take_error()?.unwrap_or_else(nothing)))
            } else {
                self.socket.try_recv_from(buf)
            };
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                end => return Poll::Ready(end),
            }
        }
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        self.socket.poll_send_to(cx, buf, target)
    }
}
