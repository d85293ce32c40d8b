//! Where a PostgreSQL server may be: the addresses of its hosts, or a socket of this machine.

use super::super::sql::{At, CONNECT};
use crate::sys::files::reason;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use tokio_postgres::Config;
use tokio_postgres::config;

const PORT: u16 = 5432;

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub struct Place {
    /// As messages name it.
    pub shown: String,
    /// As certificates name it.
    pub host: String,
    at: Result<Spot, String>,
}

enum Spot {
    Address(SocketAddr),
    Path(String),
}

impl Place {
    pub fn is_socket(&self) -> bool {
        matches!(self.at, Ok(Spot::Path(_)))
    }

    /// A connection. Err: the system's words.
    pub fn reach(&self) -> Result<Stream, String> {
        match &self.at {
            Ok(Spot::Path(path)) => UnixStream::connect(path).map(Stream::Unix).map_err(|error| {
                let error = reason(&error);
                format!("{error}??Is the server running locally and accepting connections on that socket??")
            }),
            Ok(Spot::Address(address)) => {
                TcpStream::connect_timeout(address, CONNECT).map(Stream::Tcp).map_err(|error| {
                    let error = reason(&error);
                    format!("{error}??Is the server running on that host and accepting TCP/IP connections??")
                })
            }
            Err(words) => Err(words.clone()),
        }
    }
}

/// The places of a server, in the order in which they are tried.
pub fn places(at: &At, config: &Config) -> Vec<Place> {
    let hosts: Vec<(At, u16)> = match at {
        At::Uri(_) => {
            let port =
                |at: usize| config.get_ports().get(at).or_else(|| config.get_ports().first()).copied().unwrap_or(PORT);
            let at = config.get_hosts().iter().enumerate().map(|(number, host)| match host {
                config::Host::Tcp(name) => (At::Inet { host: name.clone(), port: None }, port(number)),
                config::Host::Unix(path) => (At::Socket(path.to_string_lossy().into_owned()), port(number)),
            });
            at.collect()
        }
        At::Inet { port, .. } => vec![(at.clone(), port.unwrap_or(PORT))],
        At::Socket(_) => vec![(at.clone(), PORT)],
    };
    hosts.into_iter().flat_map(|(at, port)| of(at, port)).collect()
}

fn of(at: At, port: u16) -> Vec<Place> {
    let host = match at {
        At::Socket(directory) => {
            let path = format!("{directory}/.s.PGSQL.{port}");
            let shown = format!("on socket \"{path}\"");
            return vec![Place { shown, host: String::new(), at: Ok(Spot::Path(path)) }];
        }
        At::Inet { host, .. } | At::Uri(host) => host,
    };
    match (host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => {
            let place = |address: SocketAddr| {
                let ip = address.ip().to_string();
                let both = if ip == host { String::new() } else { format!(" ({ip})") };
                let shown = format!("at \"{host}\"{both}, port {port}");
                Place { shown, host: host.clone(), at: Ok(Spot::Address(address)) }
            };
            addresses.map(place).collect()
        }
        Err(error) => {
            let error = error.to_string();
            let words = error.rsplit_once("information: ").map_or(error.as_str(), |(_, words)| words);
            let words = format!("could not translate host name \"{host}\" to address: {words}?");
            vec![Place { shown: format!("at \"{host}\""), host, at: Err(words) }]
        }
    }
}
