//! smtpd_upstream_proxy_protocol = haproxy: a proxy before us says in its first bytes who the client is (the PROXY
//! protocol, versions 1 and 2). Where it is asked for, a connection without such a header is none.

use super::stream::{Duplex, Stream};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longest header of version 1, its line end included.
const MAX_LINE: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 2 that is read; what follows the addresses means nothing to us.
const MAX_BINARY: usize = 16 + 2048;

/// Client and server; None: the proxy speaks for itself (a health check).
pub type Ends = Option<(SocketAddr, SocketAddr)>;

/// Reads the header. The error is for the log.
pub async fn read<S: Duplex>(stream: &mut Stream<S>, patience: Duration) -> Result<Ends, String> {
    let header = async {
        loop {
            if let Some((used, ends)) = parse(stream.pending())? {
                stream.consume(used);
                return Ok(ends);
            }
            match stream.fill(MAX_BINARY).await {
                Ok(true) => {}
                Ok(false) => return Err("lost connection".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    tokio::time::timeout(patience, header).await.unwrap_or_else(|_| Err("time limit exceeded".into()))
}

/// None: more is needed.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Ends)>, String> {
    if bytes.starts_with(SIGNATURE) {
        return binary(bytes);
    }
    if SIGNATURE.starts_with(bytes) && bytes.len() < SIGNATURE.len() {
        return Ok(None);
    }
    let head = bytes.get(..MAX_LINE).unwrap_or(bytes);
    match memchr::memchr(b'\n', head) {
        Some(end) => Ok(Some((end + 1, line(&head[..end])?))),
        None if bytes.len() >= MAX_LINE => Err("header too long".into()),
        None => Ok(None),
    }
}

/// "PROXY TCP4 192.0.2.1 192.0.2.2 1234 25"
fn line(line: &[u8]) -> Result<Ends, String> {
    let bad = || format!("bad header: {}", super::session::escaped(line));
    let text = std::str::from_utf8(line).map_err(|_| bad())?;
    let words: Vec<&str> = text.trim_end_matches('\r').split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4" | "TCP6", client, server, client_port, server_port] => {
            let end = |address: &str, port: &str| -> Option<SocketAddr> {
                Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
            };
            let client = end(client, client_port).ok_or_else(bad)?;
            Ok(Some((client, end(server, server_port).ok_or_else(bad)?)))
        }
        _ => Err(bad()),
    }
}

fn binary(bytes: &[u8]) -> Result<Option<(usize, Ends)>, String> {
    let Some(fixed) = bytes.get(12..16) else { return Ok(None) };
    let (version, family) = (fixed[0], fixed[1]);
    let length = 16 + usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if length > MAX_BINARY {
        return Err("header too long".into());
    }
    let Some(data) = bytes.get(16..length) else { return Ok(None) };
    let port = |at: usize| data.get(at..at + 2).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes);
    let four =
        |at: usize| -> Option<IpAddr> { Some(Ipv4Addr::from(<[u8; 4]>::try_from(data.get(at..at + 4)?).ok()?).into()) };
    let sixteen = |at: usize| -> Option<IpAddr> {
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(data.get(at..at + 16)?).ok()?).into())
    };
    let ends = match (version, family) {
        (0x20, _) => return Ok(Some((length, None))),
        (0x21, 0x11) => four(0).zip(four(4)).zip(port(8).zip(port(10))),
        (0x21, 0x21) => sixteen(0).zip(sixteen(16)).zip(port(32).zip(port(34))),
        _ => return Err(format!("bad header: version {version:#x}, family {family:#x}")),
    };
    let ((client, server), (client_port, server_port)) = ends.ok_or("bad header: addresses missing")?;
    let ends = (SocketAddr::new(client, client_port), SocketAddr::new(server, server_port));
    Ok(Some((length, Some(ends))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_versions() {
        let (used, ends) = parse(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\nEHLO").unwrap().unwrap();
        assert_eq!((used, ends.unwrap().0.to_string().as_str()), (40, "192.0.2.1:1234"));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Ok(Some((15, None))));
        assert!(parse(b"EHLO x\r\n").is_err() && parse(b"PROXY TCP4 x y 1 2\r\n").is_err());
        assert_eq!(parse(b"PROXY TC"), Ok(None));
        let mut header = SIGNATURE.to_vec();
        header.extend([0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 0, 25]);
        assert_eq!(parse(&header[..20]), Ok(None));
        let (used, ends) = parse(&header).unwrap().unwrap();
        assert_eq!((used, ends.unwrap().0.to_string().as_str()), (28, "192.0.2.1:1234"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[&SIGNATURE[..], &bytes].concat());
        }
    }
}
