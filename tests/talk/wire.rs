//! The client's end of a connection, in the clear or by TLS.

#![allow(clippy::unwrap_used, clippy::panic, dead_code)] // A test that cannot be held has failed; each user needs a part.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

pub enum Channel {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Closed,
}

/// Lines come out of it, and go in by `get_mut`.
pub type Wire = BufReader<Channel>;

pub fn wire(socket: TcpStream) -> Wire {
    BufReader::new(Channel::Plain(socket))
}

impl Channel {
    pub fn close(&mut self) {
        let _ = match self {
            Channel::Plain(socket) => socket.shutdown(Shutdown::Both),
            Channel::Tls(stream) => stream.sock.shutdown(Shutdown::Both),
            Channel::Closed => Ok(()),
        };
        *self = Channel::Closed;
    }

    /// Shakes hands, as `words` say: "1.2" for that version at most, "name=HOST" for the name that is asked for, and a
    /// file of `keys` with the client's certificate. Gives what was agreed on, or "no TLS".
    pub fn encrypt(&mut self, words: &str, keys: &Path) -> String {
        let Channel::Plain(socket) = std::mem::replace(self, Channel::Closed) else { panic!("TLS within TLS") };
        let (mut versions, mut name, mut identity) = (vec![&TLS13, &TLS12], "srvdmz.virtualux.fr", None);
        for word in words.split_whitespace() {
            match word.strip_prefix("name=") {
                Some(other) => name = other,
                None if word == "1.2" => versions = vec![&TLS12],
                None => identity = Some(keys.join(word)),
            }
        }
        let mut provider = ring::default_provider();
        // A client that cannot speak a version does not offer its suites.
        provider.cipher_suites.retain(|suite| versions.contains(&&TLS13) || suite.tls13().is_none());
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let config = match identity {
            Some(file) => {
                let chain = CertificateDer::pem_file_iter(&file).unwrap().map(Result::unwrap).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&file).unwrap()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket);
        if stream.conn.complete_io(&mut stream.sock).is_err() {
            return "no TLS".to_owned();
        }
        let version = stream.conn.protocol_version().unwrap().as_str().unwrap();
        let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
        let of = stream.conn.peer_certificates().map_or(0, <[_]>::len);
        *self = Channel::Tls(Box::new(stream));
        format!("{version} {suite:?}, certificates: {of}")
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(socket) => socket.read(buffer),
            Channel::Tls(stream) => stream.read(buffer),
            Channel::Closed => Ok(0),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(socket) => socket.write(bytes),
            Channel::Tls(stream) => stream.write(bytes),
            Channel::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Channel::Plain(socket) => socket.flush(),
            Channel::Tls(stream) => stream.flush(),
            Channel::Closed => Ok(()),
        }
    }
}

/// The server under test is who it says it is.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
