//! A connection to a mail server: by TCP, or to a socket of this machine.

use super::Settings;
use super::destination::Peer;
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub fn connect(settings: &Settings, peer: &Peer) -> io::Result<Stream> {
        match peer {
            Peer::Host(host) => tcp(settings, host.address).map(Stream::Tcp),
            // Roles run in the queue directory.
            Peer::Socket { path, .. } => UnixStream::connect(path).map(Stream::Unix),
        }
    }

    pub fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
        }
    }

    pub fn set_read_timeout(&self, patience: Duration) -> io::Result<()> {
        let patience = Some(patience.max(Duration::from_millis(1)));
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(patience),
            Stream::Unix(stream) => stream.set_read_timeout(patience),
        }
    }

    pub fn set_write_timeout(&self, patience: Duration) -> io::Result<()> {
        let patience = Some(patience.max(Duration::from_millis(1)));
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(patience),
            Stream::Unix(stream) => stream.set_write_timeout(patience),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tcp(settings: &Settings, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 }, Type::STREAM, None)?;
    if let Ok(own) = settings.bind_address.parse::<IpAddr>()
        && own.is_ipv6() == address.is_ipv6()
    {
        socket.bind(&SocketAddr::new(own, 0).into())?;
    }
    let patience =
        if settings.connect_timeout.is_zero() { Duration::from_secs(3600) } else { settings.connect_timeout };
    socket.connect_timeout(&address.into(), patience)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
