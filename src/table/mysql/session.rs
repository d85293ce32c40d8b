//! A session with MySQL or MariaDB: the login, encrypted or not, and queries that are answered in text, by the packets
//! of mysql_common. Of the protocol only what a table needs is offered to the server: one statement for each query, and no
//! files of this machine (LOCAL INFILE). The `mysql` crate offers both to whoever answers, and with TLS it trusts the
//! world's authorities beside the table's.

use crate::proto::tls;
use mysql_common::constants::{CapabilityFlags, Command, StatusFlags, UTF8MB4_GENERAL_CI};
use mysql_common::io::{ParseBuf, ReadMysqlExt};
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, CommonOkPacket, ErrPacket, HandshakePacket, HandshakeResponse, OkPacket,
    OkPacketDeserializer, OldEofPacket, SslRequest,
};
use mysql_common::proto::MySerialize;
use mysql_common::proto::codec::error::PacketCodecError;
use mysql_common::proto::sync_framed::MySyncFramed;
use std::io::{self, Read, Write};
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Of an answer.
const LARGEST_PACKET: usize = 16 << 20;

/// What a session goes over; its time limits are set already.
pub trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

pub struct Login<'a> {
    pub user: Option<&'a str>,
    pub password: &'a str,
    pub database: &'a str,
    /// None: no encryption.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Over a socket of this machine nobody listens.
    pub socket: bool,
}

#[derive(Debug)]
pub enum Trouble {
    /// The server's number and words.
    Server(u16, String),
    Stream(io::Error),
    Tls(String),
    /// The server does not keep to the protocol, or wants what is not served.
    Protocol(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Stream(error)
    }
}

impl From<PacketCodecError> for Trouble {
    fn from(error: PacketCodecError) -> Trouble {
        match error {
            PacketCodecError::Io(error) => Trouble::Stream(error),
            other => Trouble::Protocol(other.to_string()),
        }
    }
}

fn malformed() -> Trouble {
    Trouble::Protocol("Malformed packet".to_owned())
}

pub struct Session {
    framed: MySyncFramed<Box<dyn Duplex>>,
    capabilities: CapabilityFlags,
    status: StatusFlags,
}

/// A row of text; None: NULL.
pub type Row = Vec<Option<Vec<u8>>>;

impl Session {
    pub fn begin(stream: Box<dyn Duplex>, login: &Login) -> Result<Session, Trouble> {
        let mut framed = MySyncFramed::new(stream);
        framed.codec_mut().max_allowed_packet = LARGEST_PACKET;
        let mut session = Session { framed, capabilities: CapabilityFlags::empty(), status: StatusFlags::empty() };
        let packet = session.read()?;
        let greeting: HandshakePacket = ParseBuf(&packet).parse(()).map_err(|_| malformed())?;
        if greeting.protocol_version() != 10 {
            return Err(Trouble::Protocol("Protocol mismatch".to_owned()));
        }
        let mut wanted = CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_SECURE_CONNECTION
            | CapabilityFlags::CLIENT_LONG_PASSWORD
            | CapabilityFlags::CLIENT_LONG_FLAG
            | CapabilityFlags::CLIENT_TRANSACTIONS
            | CapabilityFlags::CLIENT_MULTI_RESULTS
            | CapabilityFlags::CLIENT_PLUGIN_AUTH
            | CapabilityFlags::CLIENT_CONNECT_WITH_DB;
        if login.tls.is_some() {
            wanted |= CapabilityFlags::CLIENT_SSL;
        }
        session.capabilities = wanted & greeting.capabilities();
        if !session.capabilities.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
            return Err(Trouble::Protocol("Protocol mismatch".to_owned()));
        }
        if let Some((config, name)) = &login.tls {
            if !session.capabilities.contains(CapabilityFlags::CLIENT_SSL) {
                return Err(Trouble::Tls("SSL is required, but the server does not support it".to_owned()));
            }
            session.encrypt(config, name)?;
        }
        let version = greeting.server_version_parsed().unwrap_or((0, 0, 0));
        let plugin = match greeting.auth_plugin() {
            Some(plugin @ AuthPlugin::CachingSha2Password) => plugin.into_owned(),
            _ => AuthPlugin::MysqlNativePassword,
        };
        // 20 bytes and a zero.
        let mut nonce = greeting.scramble_1_ref().to_vec();
        nonce.extend_from_slice(greeting.scramble_2_ref().unwrap_or_default());
        nonce.resize(20, 0);
        let proof = plugin.gen_data(Some(login.password), &nonce).map(|data| data.to_vec());
        session.write(&HandshakeResponse::new(
            proof,
            version,
            login.user.map(str::as_bytes),
            Some(login.database.as_bytes()).filter(|name| !name.is_empty()),
            Some(plugin.clone()),
            session.capabilities,
            None,
            u32::try_from(LARGEST_PACKET).unwrap_or(u32::MAX),
        ))?;
        session.prove(login, plugin, nonce)?;
        Ok(session)
    }

    /// Asks for TLS, and goes on over it.
    fn encrypt(&mut self, config: &Arc<ClientConfig>, name: &ServerName<'static>) -> Result<(), Trouble> {
        let size = u32::try_from(LARGEST_PACKET).unwrap_or(u32::MAX);
        let charset = u8::try_from(UTF8MB4_GENERAL_CI).unwrap_or_default();
        self.write(&SslRequest::new(self.capabilities, size, charset))?;
        let nothing: Box<dyn Duplex> = Box::new(io::empty());
        let (read, written, codec, stream) = std::mem::replace(&mut self.framed, MySyncFramed::new(nothing)).destruct();
        // Bytes that came before the handshake are not the server's for sure.
        if !read.is_empty() {
            return Err(malformed());
        }
        let connection = ClientConnection::new(Arc::clone(config), name.clone());
        let mut stream = StreamOwned::new(connection.map_err(|error| Trouble::Tls(error.to_string()))?, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| Trouble::Tls(tls::refusal(&error)))?;
        }
        self.framed = MySyncFramed::construct(read, written, codec, Box::new(stream));
        Ok(())
    }

    /// Answers what the server asks until it is content.
    fn prove(&mut self, login: &Login, mut plugin: AuthPlugin<'static>, mut nonce: Vec<u8>) -> Result<(), Trouble> {
        let hidden = login.socket || login.tls.is_some();
        let mut switched = false;
        loop {
            let packet = self.read()?;
            match packet.split_first() {
                Some((0x00, _)) => {
                    self.status = self.ok::<CommonOkPacket>(&packet)?;
                    return Ok(());
                }
                Some((0xfe, rest)) if !switched && !rest.is_empty() => {
                    let request: AuthSwitchRequest = ParseBuf(&packet).parse(()).map_err(|_| malformed())?;
                    switched = true;
                    plugin = request.auth_plugin().into_owned();
                    nonce = request.plugin_data().to_vec();
                    let proof = match &plugin {
                        AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password | AuthPlugin::Ed25519 => {
                            plugin.gen_data(Some(login.password), &nonce).map(|data| data.to_vec())
                        }
                        // A password is not shown to whoever listens.
                        AuthPlugin::MysqlClearPassword if hidden => Some(clear(login.password)),
                        other => return Err(unknown(other)),
                    };
                    self.send(&proof.unwrap_or_default())?;
                }
                // The server knows the password by a hash of it that it has in memory, or needs the whole.
                Some((0x01, [0x03])) if plugin == AuthPlugin::CachingSha2Password => {}
                Some((0x01, [0x04])) if plugin == AuthPlugin::CachingSha2Password && hidden => {
                    self.send(&clear(login.password))?;
                }
                Some((0x01, [0x04])) if plugin == AuthPlugin::CachingSha2Password => {
                    self.send(&[0x02])?;
                    let answer = self.read()?;
                    let key = answer.strip_prefix(&[0x01]).ok_or_else(malformed)?;
                    let mask = nonce.iter().cycle();
                    let masked: Vec<u8> =
                        clear(login.password).iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
                    self.send(&mysql_common::crypto::encrypt(&masked, key))?;
                }
                _ => return Err(malformed()),
            }
        }
    }

    /// Whether backslashes in texts are letters like others.
    pub fn no_backslash_escapes(&self) -> bool {
        self.status.contains(StatusFlags::SERVER_STATUS_NO_BACKSLASH_ESCAPES)
    }

    /// What a query gives: the rows of each of its result sets. Statements without one give nothing.
    pub fn query(&mut self, text: &str) -> Result<Vec<Vec<Row>>, Trouble> {
        self.framed.codec_mut().reset_seq_id();
        let mut command = vec![Command::COM_QUERY as u8];
        command.extend_from_slice(text.as_bytes());
        self.send(&command)?;
        let mut sets = Vec::new();
        loop {
            let packet = self.read()?;
            match packet.first() {
                Some(0x00) => self.status = self.ok::<CommonOkPacket>(&packet)?,
                Some(0xfb) => return Err(Trouble::Protocol("LOAD DATA LOCAL INFILE is forbidden".to_owned())),
                Some(_) => {
                    let columns = (&packet[..]).read_lenenc_int()?;
                    // What they are called does not matter.
                    while !is_end(&self.read()?) {}
                    sets.push(self.rows(columns)?);
                }
                None => return Err(malformed()),
            }
            if !self.status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) {
                return Ok(sets);
            }
        }
    }

    fn rows(&mut self, columns: u64) -> Result<Vec<Row>, Trouble> {
        let mut rows = Vec::new();
        loop {
            let packet = self.read()?;
            if is_end(&packet) {
                self.status = self.ok::<OldEofPacket>(&packet)?;
                return Ok(rows);
            }
            let mut rest = &packet[..];
            let mut row = Row::new();
            for _ in 0..columns {
                row.push(match rest.split_first() {
                    Some((0xfb, after)) => {
                        rest = after;
                        None
                    }
                    _ => {
                        let length = usize::try_from(rest.read_lenenc_int()?).map_err(|_| malformed())?;
                        let (value, after) = rest.split_at_checked(length).ok_or_else(malformed)?;
                        rest = after;
                        Some(value.to_vec())
                    }
                });
            }
            rows.push(row);
        }
    }

    fn ok<'a, T: mysql_common::packets::OkPacketKind>(&self, packet: &'a [u8]) -> Result<StatusFlags, Trouble> {
        let read = ParseBuf(packet).parse::<OkPacketDeserializer<'a, T>>(self.capabilities).map_err(|_| malformed())?;
        Ok(OkPacket::from(read).status_flags())
    }

    fn read(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut packet = Vec::new();
        if !self.framed.next_packet(&mut packet)? {
            return Err(Trouble::Stream(io::ErrorKind::UnexpectedEof.into()));
        }
        if packet.first() != Some(&0xff) {
            return Ok(packet);
        }
        match ParseBuf(&packet).parse::<ErrPacket>(self.capabilities) {
            Ok(ErrPacket::Error(said)) => Err(Trouble::Server(said.error_code(), said.message_str().into_owned())),
            _ => Err(malformed()),
        }
    }

    fn write(&mut self, what: &impl MySerialize) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        what.serialize(&mut bytes);
        self.send(&bytes)
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Trouble> {
        Ok(self.framed.send(&mut bytes)?)
    }
}

/// The server need not wonder; one that is gone already does not matter.
impl Drop for Session {
    fn drop(&mut self) {
        self.framed.codec_mut().reset_seq_id();
        let _ = self.send(&[Command::COM_QUIT as u8]);
    }
}

/// EOF: nothing else of this first byte is that short.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

fn clear(password: &str) -> Vec<u8> {
    [password.as_bytes(), &[0]].concat()
}

fn unknown(plugin: &AuthPlugin) -> Trouble {
    let name = String::from_utf8_lossy(plugin.as_bytes()).into_owned();
    Trouble::Protocol(format!("Authentication plugin '{name}' cannot be loaded: this program does not know it"))
}
