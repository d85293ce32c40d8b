//! A session with MySQL or MariaDB: queries that are answered in text, by the packets of mysql_common. A query is one
//! statement, and no file of this machine is sent for one (LOCAL INFILE). The `mysql` crate offers both to whoever
//! answers, and with TLS it trusts the world's authorities beside the table's.

use mysql_common::constants::{CapabilityFlags, Command, StatusFlags};
use mysql_common::io::{ParseBuf, ReadMysqlExt};
use mysql_common::packets::{CommonOkPacket, ErrPacket, OkPacket, OkPacketDeserializer, OkPacketKind, OldEofPacket};
use mysql_common::proto::MySerialize;
use mysql_common::proto::codec::error::PacketCodecError;
use mysql_common::proto::sync_framed::MySyncFramed;
use std::io::{self, Read, Write};

/// Of an answer.
pub const LARGEST_PACKET: usize = 16 << 20;
/// Of the rows that an answer has.
const LARGEST_ANSWER: usize = 64 << 20;
/// The servers' own limit.
const MOST_COLUMNS: u64 = 4096;

/// What a session goes over; its time limits are set already.
pub trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

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

pub fn malformed() -> Trouble {
    Trouble::Protocol("Malformed packet".to_owned())
}

pub struct Session {
    pub(super) framed: MySyncFramed<Box<dyn Duplex>>,
    pub(super) capabilities: CapabilityFlags,
    pub(super) status: StatusFlags,
}

/// A row of text; None: NULL.
pub type Row = Vec<Option<Vec<u8>>>;

impl Session {
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
        let mut room = LARGEST_ANSWER;
        loop {
            let packet = self.read()?;
            match packet.first() {
                Some(0x00) => self.status = self.ok::<CommonOkPacket>(&packet)?,
                Some(0xfb) => return Err(Trouble::Protocol("LOAD DATA LOCAL INFILE is forbidden".to_owned())),
                Some(_) => {
                    let columns = (&packet[..]).read_lenenc_int()?;
                    if columns > MOST_COLUMNS {
                        return Err(malformed());
                    }
                    // What they are called does not matter.
                    for _ in 0..columns {
                        self.read()?;
                    }
                    if !is_end(&self.read()?) {
                        return Err(malformed());
                    }
                    sets.push(self.rows(columns, &mut room)?);
                }
                None => return Err(malformed()),
            }
            if !self.status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) {
                return Ok(sets);
            }
        }
    }

    fn rows(&mut self, columns: u64, room: &mut usize) -> Result<Vec<Row>, Trouble> {
        let mut rows = Vec::new();
        loop {
            let packet = self.read()?;
            if is_end(&packet) {
                self.status = self.ok::<OldEofPacket>(&packet)?;
                return Ok(rows);
            }
            // A row costs more than its bytes, and one of NULLs has next to none.
            let cost = packet.len() + size_of::<Row>() + columns as usize * size_of::<Option<Vec<u8>>>();
            *room = room.checked_sub(cost).ok_or_else(|| Trouble::Protocol("the answer is too long".to_owned()))?;
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

    pub(super) fn ok<'a, T: OkPacketKind>(&self, packet: &'a [u8]) -> Result<StatusFlags, Trouble> {
        let read = ParseBuf(packet).parse::<OkPacketDeserializer<'a, T>>(self.capabilities).map_err(|_| malformed())?;
        Ok(OkPacket::from(read).status_flags())
    }

    pub(super) fn read(&mut self) -> Result<Vec<u8>, Trouble> {
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

    pub(super) fn write(&mut self, what: &impl MySerialize) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        what.serialize(&mut bytes);
        self.send(&bytes)
    }

    pub(super) fn send(&mut self, mut bytes: &[u8]) -> Result<(), Trouble> {
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
