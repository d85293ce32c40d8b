//! The login to MySQL or MariaDB: what is offered to the server, TLS, and the proof of who asks. A password goes over an
//! open line only as a hash, or locked with the server's key.

use super::session::{Duplex, LARGEST_PACKET, Session, Trouble, malformed};
use crate::proto::tls;
use mysql_common::constants::{CapabilityFlags, StatusFlags, UTF8MB4_GENERAL_CI};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, CommonOkPacket, HandshakePacket, HandshakeResponse, SslRequest,
};
use mysql_common::proto::sync_framed::MySyncFramed;
use std::io;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

pub struct Login<'a> {
    pub user: Option<&'a str>,
    pub password: &'a str,
    pub database: &'a str,
    /// None: no encryption.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Over a socket of this machine nobody listens.
    pub socket: bool,
}

impl Session {
    pub fn begin(stream: Box<dyn Duplex>, login: &Login) -> Result<Session, Trouble> {
        let mut framed = MySyncFramed::new(stream);
        framed.codec_mut().max_allowed_packet = LARGEST_PACKET;
        let mut session = Session { framed, capabilities: CapabilityFlags::empty(), status: StatusFlags::empty() };
        let packet = session.read()?;
        if !is_greeting(&packet) {
            return Err(malformed());
        }
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
}

/// The library subtracts from the length of the scramble, 20 bytes behind the server's version, as from a signed one.
fn is_greeting(packet: &[u8]) -> bool {
    let version_end = packet.iter().skip(1).position(|byte| *byte == 0).map(|at| at + 1);
    version_end.and_then(|end| packet.get(end + 21)).is_some_and(|length| *length < 0x80)
}

fn clear(password: &str) -> Vec<u8> {
    [password.as_bytes(), &[0]].concat()
}

fn unknown(plugin: &AuthPlugin) -> Trouble {
    let name = String::from_utf8_lossy(plugin.as_bytes()).into_owned();
    Trouble::Protocol(format!("Authentication plugin '{name}' cannot be loaded: this program does not know it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::proto::MySerialize;
    use std::cell::RefCell;
    use std::io::{Read, Write};
    use std::rc::Rc;

    /// A server whose answers are there already, and what was sent to it.
    struct Acted {
        answers: io::Cursor<Vec<u8>>,
        sent: Rc<RefCell<Vec<u8>>>,
    }

    impl Read for Acted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answers.read(buffer)
        }
    }

    impl Write for Acted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

    fn greeting(plugin: &str) -> Vec<u8> {
        let can = CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_SECURE_CONNECTION
            | CapabilityFlags::CLIENT_LOCAL_FILES
            | CapabilityFlags::CLIENT_MULTI_STATEMENTS
            | CapabilityFlags::CLIENT_PLUGIN_AUTH;
        let (one, two) = (*b"12345678", &b"901234567890\0"[..]);
        let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT;
        let packet =
            HandshakePacket::new(10, &b"8.0.30"[..], 1, one, Some(two), can, 45, status, Some(plugin.as_bytes()));
        let mut bytes = Vec::new();
        packet.serialize(&mut bytes);
        bytes
    }

    fn switch(plugin: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        AuthSwitchRequest::new(plugin.as_bytes(), &b"12345678901234567890\0"[..]).serialize(&mut bytes);
        bytes
    }

    /// A login over a socket of this machine or over an open line, and what was sent meanwhile.
    fn login(socket: bool, answers: &[(u8, &[u8])]) -> (Result<Session, Trouble>, Rc<RefCell<Vec<u8>>>) {
        let mut stream = Vec::new();
        for (number, answer) in answers {
            stream.extend_from_slice(&[answer.len() as u8, 0, 0, *number]);
            stream.extend_from_slice(answer);
        }
        let sent = Rc::new(RefCell::new(Vec::new()));
        let acted = Acted { answers: io::Cursor::new(stream), sent: Rc::clone(&sent) };
        let login = Login { user: Some("u"), password: "sesam", database: "mail", tls: None, socket };
        (Session::begin(Box::new(acted), &login), sent)
    }

    fn shows_the_password(sent: &Rc<RefCell<Vec<u8>>>) -> bool {
        sent.borrow().windows(5).any(|bytes| bytes == b"sesam")
    }

    /// As MySQL 8 does: it knows a hash of the password, or wants the password itself where nobody listens.
    #[test]
    fn the_password_of_mysql_8() {
        let hello = greeting("caching_sha2_password");
        let (session, sent) = login(false, &[(0, &hello), (2, &[1, 3]), (3, OK)]);
        assert!(session.is_ok() && !shows_the_password(&sent));
        let (session, sent) = login(true, &[(0, &hello), (2, &[1, 4]), (4, OK)]);
        assert!(session.is_ok() && shows_the_password(&sent));
        // Over an open line the server's key is asked for instead; this server has none.
        let (session, sent) = login(false, &[(0, &hello), (2, &[1, 4]), (4, OK)]);
        assert!(session.is_err() && !shows_the_password(&sent));
    }

    #[test]
    fn a_server_that_asks_too_much() {
        let hello = greeting("mysql_native_password");
        let (session, sent) = login(false, &[(0, &hello), (2, &switch("mysql_clear_password"))]);
        assert!(matches!(session, Err(Trouble::Protocol(words)) if words.contains("'mysql_clear_password'")));
        assert!(!shows_the_password(&sent));
        let (session, _) = login(false, &[(0, &hello), (2, &switch("dialog"))]);
        assert!(session.is_err());
        // A file of this machine is no answer to a query, and neither it nor more statements were offered.
        let (session, sent) = login(false, &[(0, &hello), (2, OK), (1, b"\xfb/etc/shadow")]);
        let mut session = session.unwrap();
        let offered = CapabilityFlags::from_bits_retain(u32::from_le_bytes(sent.borrow()[4..8].try_into().unwrap()));
        let dangerous = CapabilityFlags::CLIENT_LOCAL_FILES | CapabilityFlags::CLIENT_MULTI_STATEMENTS;
        assert!(!offered.intersects(dangerous) && offered.contains(CapabilityFlags::CLIENT_PROTOCOL_41));
        assert!(matches!(session.query("SELECT 1"), Err(Trouble::Protocol(words)) if words.contains("LOCAL INFILE")));
        // TLS that is wanted and not there.
        let config = tls::Terms { check: tls::Check::Nothing, ..tls::Terms::default() }.config().unwrap();
        let name = ServerName::try_from("h.org").unwrap();
        let mut stream = vec![hello.len() as u8, 0, 0, 0];
        stream.extend_from_slice(&hello);
        let acted = Acted { answers: io::Cursor::new(stream), sent: Rc::clone(&sent) };
        let login = Login { user: None, password: "sesam", database: "", tls: Some((config, name)), socket: false };
        assert!(matches!(Session::begin(Box::new(acted), &login), Err(Trouble::Tls(_))));
    }

    /// Damaged answers are errors, or answers.
    #[test]
    fn a_server_that_stutters() {
        let framed = |number: u8, answer: &[u8]| [&[answer.len() as u8, 0, 0, number], answer].concat();
        let eof = [0xfe, 0, 0, 2, 0];
        let hello = greeting("caching_sha2_password");
        let answers: [(u8, &[u8]); 10] = [
            (0, &hello),
            (2, &[1, 4]),
            (4, OK),
            (1, &[2]),
            (2, b"\x03def"),
            (3, b"\x03def"),
            (4, &eof),
            (5, b"\x03one\xfb"),
            (6, b"\x00\x03two"),
            (7, &eof),
        ];
        let good: Vec<u8> = answers.iter().flat_map(|(number, answer)| framed(*number, answer)).collect();
        let ask = |stream: Vec<u8>| {
            let acted = Acted { answers: io::Cursor::new(stream), sent: Rc::default() };
            let login = Login { user: None, password: "sesam", database: "", tls: None, socket: true };
            Session::begin(Box::new(acted), &login)?.query("SELECT 1")
        };
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(ask(good.clone()).unwrap(), [[[text("one"), None], [text(""), text("two")]]]);
        let mut dice = 1_u64;
        let mut roll = |below: usize| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            usize::try_from(dice % below as u64).unwrap()
        };
        for _ in 0..20_000 {
            let mut bad = good.clone();
            for _ in 0..=roll(4) {
                let at = roll(bad.len());
                match roll(3) {
                    0 => bad[at] = u8::try_from(roll(256)).unwrap(),
                    1 => bad[at] ^= 1 << roll(8),
                    _ => bad.truncate(at.max(1)),
                }
            }
            let _ = ask(bad);
        }
    }
}
