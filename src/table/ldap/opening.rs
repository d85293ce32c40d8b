//! How a connection to a directory begins: StartTLS, or TLS from the first byte on, and the SASL bind that says who
//! asks by what lies below the protocol (EXTERNAL: the client's certificate, or its user on this machine). The library's
//! own TLS knows no sockets of this machine, and its EXTERNAL no authorization identity; it takes the connection when
//! this is done, and sees only messages that it survives: its parser calls itself for each level of a message, as deep as
//! a server likes, and waits for a message of any length.

use super::session::{Failure, Settings, Target};
use crate::proto::tls::{self, Terms};
use ldap3::StdStream;
use ldap3::asn1::{PL, StructureTag, TagClass, write};
use std::io;
use std::os::unix::net::UnixStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// RFC 4511, section 4.14.1.
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// What OpenLDAP counts a socket of this machine as.
const LOCAL_STRENGTH: i32 = 71;
/// An answer to what is asked here is a number and some words.
const LARGEST_ANSWER: usize = 65_536;
/// An entry, with its values.
const LARGEST_MESSAGE: usize = 16 << 20;
/// An entry has five levels.
const DEEPEST_MESSAGE: usize = 32;

const SEQUENCE: u64 = 16;
const INTEGER: u64 = 2;
const OCTETS: u64 = 4;
const EXTENDED_REQUEST: u64 = 23;
const EXTENDED_RESPONSE: u64 = 24;
const BIND_REQUEST: u64 = 0;
const BIND_RESPONSE: u64 = 1;

/// What a SASL bind says.
#[derive(Clone, Debug)]
pub struct External {
    pub authorization: String,
    /// In bits, of what lies below.
    pub least_strength: i32,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Does what is asked of a connection before its first search, and gives it in a form that the library takes.
pub async fn prepare(settings: &Settings, target: &Target, stream: StdStream) -> Result<UnixStream, Failure> {
    let external = settings.external.as_ref();
    let encrypted = target.is_encrypted() || settings.start_tls;
    let (mut wire, mut strength): (Box<dyn Duplex>, i32) = match stream {
        StdStream::Tcp(stream) => {
            stream.set_nonblocking(true).map_err(|error| Failure::down(&error))?;
            let stream = tokio::net::TcpStream::from_std(stream).map_err(|error| Failure::down(&error))?;
            (Box::new(stream), 0)
        }
        StdStream::Unix(stream) => {
            stream.set_nonblocking(true).map_err(|error| Failure::down(&error))?;
            let stream = tokio::net::UnixStream::from_std(stream).map_err(|error| Failure::down(&error))?;
            (Box::new(stream), LOCAL_STRENGTH)
        }
        StdStream::Invalid => return Err(Failure::down(&io::ErrorKind::NotConnected.into())),
    };
    let mut number = 0;
    if encrypted {
        let failed = |words: String| match target.is_encrypted() {
            true => Failure::server_down(&words),
            false => Failure::start_tls(&words),
        };
        if !target.is_encrypted() {
            number += 1;
            let name = octets(TagClass::Context, 0, START_TLS.as_bytes());
            let request = constructed(TagClass::Application, EXTENDED_REQUEST, vec![name]);
            let (code, words) = ask(&mut wire, number, request, EXTENDED_RESPONSE).await?;
            if code != 0 {
                return Err(failed(if words.is_empty() { format!("the server answers {code}") } else { words }));
            }
        }
        // A server that is called localhost may show the certificate of this machine, as to the reference's library.
        let alias = target.host.eq_ignore_ascii_case("localhost").then(crate::sys::host::canonical_name);
        let config = Terms { alias, ..settings.tls.clone() }.config().map_err(|fault| failed(fault.to_string()))?;
        let name = ServerName::try_from(target.host.clone()).map_err(|error| failed(error.to_string()))?;
        let done = TlsConnector::from(config).connect(name, wire).await;
        let done = done.map_err(|error| failed(tls::refusal(&error)))?;
        let suite = done.get_ref().1.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        strength = if suite.is_some_and(|suite| suite.contains("AES_128")) { 128 } else { 256 };
        wire = Box::new(done);
    }
    if let Some(External { authorization, least_strength }) = external {
        if strength < *least_strength {
            return Err(Failure::sasl(&format!("sasl_minssf = {least_strength}: the connection has {strength}")));
        }
        number += 1;
        let mechanism = octets(TagClass::Universal, OCTETS, b"EXTERNAL");
        let credentials = octets(TagClass::Universal, OCTETS, authorization.as_bytes());
        let version = octets(TagClass::Universal, INTEGER, &[3]);
        let nobody = octets(TagClass::Universal, OCTETS, b"");
        let sasl = constructed(TagClass::Context, 3, vec![mechanism, credentials]);
        let request = constructed(TagClass::Application, BIND_REQUEST, vec![version, nobody, sasl]);
        let (code, words) = ask(&mut wire, number, request, BIND_RESPONSE).await?;
        if code != 0 {
            return Err(Failure::said(code, &words));
        }
    }
    // The library takes streams of the system only: it gets one end of a pair, and messages are carried from the other.
    let (ours, theirs) = UnixStream::pair().map_err(|error| Failure::down(&error))?;
    ours.set_nonblocking(true).map_err(|error| Failure::down(&error))?;
    let ours = tokio::net::UnixStream::from_std(ours).map_err(|error| Failure::down(&error))?;
    // How it ended is seen by the next search.
    tokio::spawn(carry(wire, ours));
    Ok(theirs)
}

/// Until one of both has no more to say, or the server sends what is not taken.
async fn carry(wire: Box<dyn Duplex>, ours: tokio::net::UnixStream) {
    let (mut answers, mut requests) = tokio::io::split(wire);
    let (mut asked, mut answered) = ours.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut asked, &mut requests) => {}
        () = async {
            while let Ok(message) = one_message(&mut answers, LARGEST_MESSAGE).await
                && is_shallow(&message)
                && answered.write_all(&message).await.is_ok()
            {}
        } => {}
    }
}

/// Whether a message's elements are whole and stand in few others.
fn is_shallow(message: &[u8]) -> bool {
    // The ends of the elements around, and the place.
    let mut around: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let end = around.last().copied().unwrap_or(message.len());
        let Some((tag, content, rest)) = message.get(at..end).and_then(element) else { return false };
        let after = end - rest.len();
        // Constructed.
        if tag & 0x20 != 0 && !content.is_empty() {
            if around.len() == DEEPEST_MESSAGE {
                return false;
            }
            around.push(after);
            at = after - content.len();
        } else {
            at = after;
        }
        while around.last() == Some(&at) {
            around.pop();
        }
    }
    true
}

fn octets(class: TagClass, id: u64, bytes: &[u8]) -> StructureTag {
    StructureTag { class, id, payload: PL::P(bytes.to_vec()) }
}

fn constructed(class: TagClass, id: u64, parts: Vec<StructureTag>) -> StructureTag {
    StructureTag { class, id, payload: PL::C(parts) }
}

/// Sends a request and reads its answer: the result's number and words (RFC 4511, section 4.1.9).
async fn ask(
    wire: &mut Box<dyn Duplex>,
    number: u8,
    request: StructureTag,
    response: u64,
) -> Result<(i32, String), Failure> {
    let down = |error: io::Error| Failure::down(&error);
    let message =
        constructed(TagClass::Universal, SEQUENCE, vec![octets(TagClass::Universal, INTEGER, &[number]), request]);
    let mut bytes = bytes::BytesMut::new();
    write::encode_into(&mut bytes, message).map_err(down)?;
    wire.write_all(&bytes).await.map_err(down)?;
    wire.flush().await.map_err(down)?;
    let answer = one_message(wire, LARGEST_ANSWER).await?;
    result(&answer, response).ok_or_else(Failure::protocol)
}

/// One message and no byte more: what follows a StartTLS answer is TLS.
async fn one_message(wire: &mut (impl AsyncRead + Unpin), longest: usize) -> Result<Vec<u8>, Failure> {
    let down = |error: io::Error| Failure::down(&error);
    let mut message = vec![0; 2];
    wire.read_exact(&mut message).await.map_err(down)?;
    let length = match message.get(1).copied().unwrap_or_default() {
        short @ 0..=127 => usize::from(short),
        long => {
            let count = usize::from(long & 0x7f);
            if !(1..=4).contains(&count) {
                return Err(Failure::protocol());
            }
            let mut bytes = vec![0; count];
            wire.read_exact(&mut bytes).await.map_err(down)?;
            message.extend_from_slice(&bytes);
            bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte))
        }
    };
    if length > longest {
        return Err(Failure::protocol());
    }
    let mut content = vec![0; length];
    wire.read_exact(&mut content).await.map_err(down)?;
    message.extend_from_slice(&content);
    Ok(message)
}

/// The result in a message that is the expected response. The library's parser goes as deep as a server likes.
fn result(message: &[u8], response: u64) -> Option<(i32, String)> {
    let (_, message, _) = element(message)?;
    let (_, _, operation) = element(message)?;
    let (tag, parts, _) = element(operation)?;
    // Application class, constructed.
    if u64::from(tag) != 0x60 | response {
        return None;
    }
    let (_, code, rest) = element(parts)?;
    let (_, _, rest) = element(rest)?;
    let (_, words, _) = element(rest)?;
    let code = code.iter().fold(0_i32, |code, byte| code.saturating_mul(256).saturating_add(i32::from(*byte)));
    Some((code, String::from_utf8_lossy(words).into_owned()))
}

/// The tag and the content of what stands first, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let (length, rest) =
                rest.split_at_checked(usize::from(long & 0x7f)).filter(|(length, _)| length.len() <= 4)?;
            (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_what_is_none() {
        let bind = [0x30, 0x0f, 2, 1, 1, 0x61, 10, 10, 1, 49, 4, 0, 4, 3, b'b', b'a', b'd'];
        let read = |bytes: &[u8]| result(bytes, BIND_RESPONSE);
        assert_eq!(read(&bind), Some((49, "bad".into())));
        let other = [0x30, 0x0c, 2, 1, 1, 0x78, 7, 10, 1, 0, 4, 0, 4, 0];
        assert_eq!(read(&other), None);
        let long = [0x30, 0x82, 0, 0x0f, 2, 1, 1, 0x61, 10, 10, 1, 49, 4, 0, 4, 3, b'b', b'a', b'd'];
        assert_eq!(read(&long), Some((49, "bad".into())));
        for end in 0..long.len() {
            assert_eq!(read(&long[..end]), None);
        }
    }

    #[test]
    fn messages_that_the_library_would_not_survive() {
        let nested = |depth: usize| {
            (0..depth).fold(vec![4, 1, 7], |inner, _| {
                let length = u32::try_from(inner.len()).unwrap().to_be_bytes();
                [&[0x30, 0x84], &length[..], &inner].concat()
            })
        };
        assert!(is_shallow(&nested(5)) && is_shallow(&nested(DEEPEST_MESSAGE)));
        assert!(!is_shallow(&nested(DEEPEST_MESSAGE + 1)) && !is_shallow(&nested(20_000)));
        assert!(is_shallow(&[0x30, 7, 0x30, 0, 0x31, 1 + 2, 4, 1, 9]));
        // An element that is longer than the one around it.
        assert!(!is_shallow(&[0x30, 3, 4, 9, 0]) && !is_shallow(&[0x30, 0x84, 0xff]));
    }
}
