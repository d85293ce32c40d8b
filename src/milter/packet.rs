//! Packets: a length of four bytes, a byte that says what it is, and its data (numbers in network order, strings with a
//! NUL at their end). What a filter sends is taken apart here; all of it may be hostile.

use thiserror::Error;

/// Longest packet that is read. libmilter sends at most a megabyte, and less by default.
pub const MAX_PACKET: usize = 4 << 20;

/// What is wrong with a packet. In the words of the reference, with the filter's name before or in them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PacketError {
    #[error("milter {0}: input packet too short for network long")]
    ShortNumber(String),
    #[error("milter {0}: packet too short for string")]
    ShortString(String),
    #[error("milter8_read_data: milter {0}: missing string null termimator")]
    Unterminated(String),
    #[error("milter8_read_data: left-over data {0} bytes")]
    LeftOver(usize),
}

/// Writes a packet.
pub fn write(out: &mut Vec<u8>, code: u8, parts: &[&[u8]]) {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    // Headers and commands are bounded long before.
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.push(code);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The data of a packet, being read.
pub struct Fields<'a> {
    data: &'a [u8],
    filter: &'a str,
}

impl<'a> Fields<'a> {
    pub fn new(data: &'a [u8], filter: &'a str) -> Fields<'a> {
        Fields { data, filter }
    }

    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    pub fn number(&mut self) -> Result<u32, PacketError> {
        let (number, rest) =
            self.data.split_first_chunk::<4>().ok_or_else(|| PacketError::ShortNumber(self.filter.to_owned()))?;
        self.data = rest;
        Ok(u32::from_be_bytes(*number))
    }

    pub fn string(&mut self) -> Result<&'a [u8], PacketError> {
        if self.data.is_empty() {
            return Err(PacketError::ShortString(self.filter.to_owned()));
        }
        let end = memchr::memchr(0, self.data).ok_or_else(|| PacketError::Unterminated(self.filter.to_owned()))?;
        let (text, rest) = self.data.split_at(end);
        self.data = rest.get(1..).unwrap_or_default();
        Ok(text)
    }

    pub fn end(self) -> Result<(), PacketError> {
        if self.data.is_empty() { Ok(()) } else { Err(PacketError::LeftOver(self.data.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_in_their_order() {
        let mut fields = Fields::new(b"\0\0\0\x02name\0value\0", "f");
        assert_eq!(fields.number(), Ok(2));
        assert_eq!(fields.string(), Ok(&b"name"[..]));
        assert_eq!(fields.string(), Ok(&b"value"[..]));
        assert!(fields.is_empty() && fields.end().is_ok());
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(Fields::new(b"\0\0", "f").number(), Err(PacketError::ShortNumber("f".into())));
        assert_eq!(Fields::new(b"", "f").string(), Err(PacketError::ShortString("f".into())));
        assert_eq!(Fields::new(b"abc", "f").string(), Err(PacketError::Unterminated("f".into())));
        assert_eq!(Fields::new(b"abc", "f").end(), Err(PacketError::LeftOver(3)));
    }

    proptest! {
        #[test]
        fn junk_is_an_error_never_a_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut fields = Fields::new(&data, "f");
            let _ = fields.number();
            while fields.string().is_ok() {}
            let _ = fields.end();
        }

        #[test]
        fn what_is_written_has_its_length(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            write(&mut out, b'B', &[&data, b"x"]);
            prop_assert_eq!(out.len(), 4 + 1 + data.len() + 1);
            prop_assert_eq!(u32::from_be_bytes([out[0], out[1], out[2], out[3]]) as usize, out.len() - 4);
        }
    }
}
