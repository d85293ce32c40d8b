//! A connection to a mail server: by TCP, or to a socket of this machine; in clear, or by TLS.

use super::Settings;
use super::destination::Peer;
use socket2::{Domain, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, CommonState, Error, StreamOwned};

pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub enum Stream {
    Plain(Socket),
    Secure(Box<StreamOwned<ClientConnection, Socket>>),
    /// A handshake failed, and nobody knows what the server makes of another byte.
    Dead,
}

/// Why there is no connection.
pub enum Unconnected {
    Host(io::Error),
    /// smtp_bind_address cannot be had, and no other address will do.
    Own,
}

impl From<io::Error> for Unconnected {
    fn from(error: io::Error) -> Unconnected {
        Unconnected::Host(error)
    }
}

/// Why there is no TLS.
pub enum Failure {
    /// The server went away.
    Lost,
    Io(io::Error),
    Library(Error),
}

impl Stream {
    /// `unbound` hears of an own address that cannot be taken.
    pub fn connect(
        settings: &Settings,
        peer: &Peer,
        unbound: &dyn Fn(&IpAddr, &io::Error),
    ) -> Result<Stream, Unconnected> {
        Ok(Stream::Plain(match peer {
            Peer::Host(host) => Socket::Tcp(tcp(settings, host.address, unbound)?),
            // Roles run in the queue directory.
            Peer::Socket { path, .. } => Socket::Unix(UnixStream::connect(path)?),
        }))
    }

    pub fn is_dead(&self) -> bool {
        matches!(self, Stream::Dead)
    }

    /// Makes it a connection by TLS, all steps together in `patience`. After a failure it is dead.
    pub fn secure(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        patience: Duration,
    ) -> Result<&CommonState, Failure> {
        let Stream::Plain(mut socket) = std::mem::replace(self, Stream::Dead) else {
            return Err(Failure::Library(Error::General("TLS is active already".to_owned())));
        };
        let mut connection = ClientConnection::new(config, name).map_err(Failure::Library)?;
        let begun = Instant::now();
        // In steps: one call for the whole handshake would let each byte take the time of all.
        while connection.is_handshaking() || connection.wants_write() {
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(Failure::Io(io::ErrorKind::TimedOut.into()));
            }
            socket.set_timeouts(left).map_err(Failure::Io)?;
            if connection.wants_write() {
                connection.write_tls(&mut socket).map_err(Failure::from)?;
                continue;
            }
            if connection.read_tls(&mut socket).map_err(Failure::from)? == 0 {
                return Err(Failure::Lost);
            }
            if let Err(error) = connection.process_new_packets() {
                // What we have to say of it; whether it arrives changes nothing.
                let _ = connection.write_tls(&mut socket);
                return Err(Failure::Library(error));
            }
        }
        *self = Stream::Secure(Box::new(StreamOwned::new(connection, socket)));
        match self {
            Stream::Secure(stream) => Ok(&stream.conn),
            _ => Err(Failure::Lost),
        }
    }

    /// Says that nothing follows, where that can be told from a cut (RFC 8446 section 6.1).
    pub fn close(&mut self) {
        if let Stream::Secure(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }

    pub fn set_timeouts(&self, patience: Duration) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.set_timeouts(patience),
            Stream::Secure(stream) => stream.sock.set_timeouts(patience),
            Stream::Dead => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Failure::Lost,
            _ => Failure::Io(error),
        }
    }
}

impl Socket {
    /// For each read and each write.
    fn set_timeouts(&self, patience: Duration) -> io::Result<()> {
        let patience = Some(patience.max(Duration::from_millis(1)));
        match self {
            Socket::Tcp(stream) => stream.set_read_timeout(patience).and(stream.set_write_timeout(patience)),
            Socket::Unix(stream) => stream.set_read_timeout(patience).and(stream.set_write_timeout(patience)),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Secure(stream) => stream.read(buffer),
            Stream::Dead => Ok(0),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Secure(stream) => stream.write(bytes),
            Stream::Dead => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Secure(stream) => stream.flush(),
            _ => Ok(()),
        }
    }
}

fn tcp(
    settings: &Settings,
    address: SocketAddr,
    unbound: &dyn Fn(&IpAddr, &io::Error),
) -> Result<TcpStream, Unconnected> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = socket2::Socket::new(domain, Type::STREAM, None)?;
    let own = settings.bind_addresses.iter().flatten().find(|own| own.is_ipv6() == address.is_ipv6());
    if let Some(own) = own
        && let Err(error) = socket.bind(&SocketAddr::new(*own, 0).into())
    {
        unbound(own, &error);
        if settings.bind_enforced {
            return Err(Unconnected::Own);
        }
    }
    let patience =
        if settings.connect_timeout.is_zero() { Duration::from_secs(3600) } else { settings.connect_timeout };
    socket.connect_timeout(&address.into(), patience)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
