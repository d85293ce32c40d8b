//! Opening the endpoints of master.cf: internet sockets on the addresses of inet_interfaces, local sockets in public/
//! or private/.

use crate::conf::MainCf;
use crate::conf::computed;
use crate::conf::master_cf::{Endpoint, Service};
use crate::sys::resolve;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Connections that wait to be accepted, for any endpoint.
const BACKLOG: i32 = 512;

/// Opens what a line of master.cf asks for.
pub fn open(cf: &MainCf, service: &Service) -> Result<Vec<OwnedFd>, String> {
    match service.endpoint {
        Endpoint::Inet => internet(cf, &service.name),
        Endpoint::Unix | Endpoint::Fifo | Endpoint::UnixDgram | Endpoint::Pass => {
            let path = local_path(cf, service);
            local(cf, &path)
                .map(|fd| vec![fd])
                .map_err(|error| format!("bind {}: {}", path.display(), crate::sys::files::reason(&error)))
        }
    }
}

/// Where a local service's socket is.
pub fn local_path(cf: &MainCf, service: &Service) -> PathBuf {
    let directory = if service.private { "private" } else { "public" };
    Path::new(&cf.queue_directory()).join(directory).join(&service.name)
}

fn local(cf: &MainCf, path: &Path) -> io::Result<OwnedFd> {
    // A socket that a dead master left behind; a live one holds the lock, so it is not his.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    use std::os::unix::fs::PermissionsExt;
    // The directory decides who may connect: private/ is 0700, public/ is for the set-gid programs too.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    if let Some(owner) = crate::sys::accounts::by_name(cf.mail_owner()) {
        let _ = std::os::unix::fs::lchown(path, Some(owner.uid), None);
    }
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// "smtp", "10025", "127.0.0.1:10025", "[::1]:smtp".
fn internet(cf: &MainCf, name: &str) -> Result<Vec<OwnedFd>, String> {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) => (host.trim_start_matches('[').trim_end_matches(']'), port),
        None => ("", name),
    };
    let port = resolve::port_number(port).ok_or_else(|| format!("unknown service name or port: {name}"))?;
    let addresses = if host.is_empty() { interface_addresses(cf)? } else { resolve(host)? };
    let wanted = |address: &IpAddr| {
        let protocols = cf.inet_protocols();
        let version = if address.is_ipv6() { "ipv6" } else { "ipv4" };
        protocols.contains("all") || protocols.contains(version)
    };
    let mut opened = Vec::new();
    let mut failure = None;
    for address in addresses.into_iter().filter(wanted) {
        match bind(SocketAddr::new(address, port)) {
            Ok(socket) => opened.push(socket),
            // IPv6 may be switched off in the kernel while inet_protocols still says "all".
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
                    && address.is_ipv6() => {}
            Err(error) => failure = Some(format!("bind {address} port {port}: {}", crate::sys::files::reason(&error))),
        }
    }
    match failure {
        Some(text) => Err(text),
        None if opened.is_empty() => {
            Err(format!("service {name}: no address to listen on (inet_interfaces, inet_protocols)"))
        }
        None => Ok(opened),
    }
}

fn bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The addresses of inet_interfaces.
fn interface_addresses(cf: &MainCf) -> Result<Vec<IpAddr>, String> {
    let mut found: Vec<IpAddr> = Vec::new();
    for word in MainCf::list(&cf.inet_interfaces()) {
        let more = match word.as_str() {
            "all" => vec![std::net::Ipv4Addr::UNSPECIFIED.into(), std::net::Ipv6Addr::UNSPECIFIED.into()],
            "loopback-only" => {
                computed::interfaces().iter().map(|interface| interface.address).filter(IpAddr::is_loopback).collect()
            }
            name => resolve(name.trim_start_matches('[').trim_end_matches(']'))
                .map_err(|text| format!("parameter inet_interfaces: {text}"))?,
        };
        for address in more {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    Ok(found)
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = (host, 0u16).to_socket_addrs().map_err(|_| format!("host not found: {host}"))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}
