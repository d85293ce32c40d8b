//! The records of a queue file: one type byte, a length in groups of seven bits (least significant first, 0x80: more
//! follow), the data. The same records travel from sendmail to postdrop.

use std::io::{self, Read, Write};

/// A record's type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Type(pub u8);

impl Type {
    /// Message size, data offset, recipient count and so on; the first record, rewritten in place at the end.
    pub const SIZE: Type = Type(b'C');
    /// Arrival time, "seconds microseconds".
    pub const TIME: Type = Type(b'T');
    /// Attribute "name=value".
    pub const ATTRIBUTE: Type = Type(b'A');
    /// The sender's full name.
    pub const FULL_NAME: Type = Type(b'F');
    pub const INSPECTION: Type = Type(b'I');
    pub const FILTER: Type = Type(b'L');
    /// Who gets the message instead of all recipients.
    pub const REDIRECT: Type = Type(b'>');
    pub const SENDER: Type = Type(b'S');
    pub const ORIGINAL_RECIPIENT: Type = Type(b'O');
    pub const RECIPIENT: Type = Type(b'R');
    /// A recipient that is done with; the type byte is overwritten in place.
    pub const DONE: Type = Type(b'D');
    /// A recipient that a filter took away.
    pub const CANCELED: Type = Type(b'/');
    pub const WARN_TIME: Type = Type(b'W');
    pub const VERP: Type = Type(b'V');
    pub const ERRORS_TO: Type = Type(b'e');
    pub const RETURN_RECEIPT: Type = Type(b'r');
    pub const DSN_ORIGINAL: Type = Type(b'o');
    pub const DSN_NOTIFY: Type = Type(b'n');
    pub const DSN_RET: Type = Type(b'<');
    pub const DSN_ENVID: Type = Type(b'i');
    pub const POINTER: Type = Type(b'p');
    /// Room that was left for a pointer.
    pub const PADDING: Type = Type(b'w');
    /// Start of the message content.
    pub const MESSAGE: Type = Type(b'M');
    /// A line of content with its newline taken off.
    pub const NORMAL: Type = Type(b'N');
    /// Content without a newline after it.
    pub const CONTINUED: Type = Type(b'L');
    /// End of the content.
    pub const EXTRACTED: Type = Type(b'X');
    pub const END: Type = Type(b'E');
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: Type,
    pub data: Vec<u8>,
}

/// Longest record that is read: nothing in a queue file is longer (line_length_limit is 2048 and an attribute value
/// is bounded by the header size limit).
pub const MAX_RECORD: usize = 256 * 1024;

/// What is wrong with a record stream.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("illegal length {1}, record type {0}")]
    TooLong(u8, i64),
    #[error("too many length bits, record type {0}")]
    LengthBits(u8),
    #[error("unexpected EOF reading length, record type {0}")]
    NoLength(u8),
    /// Or so much that no file has it.
    #[error("unexpected EOF in data, record type {0} length {1}")]
    NoData(u8, usize),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one record; None at a clean end of the file.
pub fn read(input: &mut impl Read) -> Result<Option<Record>, RecordError> {
    let mut byte = [0u8; 1];
    if !read_full(input, &mut byte)? {
        return Ok(None);
    }
    let kind = Type(byte[0]);
    let mut length: u32 = 0;
    let mut shift = 0;
    loop {
        if shift > 28 {
            return Err(RecordError::LengthBits(kind.0));
        }
        if !read_full(input, &mut byte)? {
            return Err(RecordError::NoLength(kind.0));
        }
        length |= u32::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    // A length is a whole number with a sign, in the reference too.
    if length > i32::MAX as u32 {
        return Err(RecordError::TooLong(kind.0, length.cast_signed().into()));
    }
    let length = length as usize;
    if length > MAX_RECORD {
        return Err(RecordError::NoData(kind.0, length));
    }
    let mut data = vec![0; length];
    if !read_full(input, &mut data)? {
        return Err(RecordError::NoData(kind.0, length));
    }
    Ok(Some(Record { kind, data }))
}

/// Fills `buffer`; false when the input ends before.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> Result<bool, RecordError> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes one record; the number of bytes that it took.
pub fn write(output: &mut impl Write, kind: Type, data: &[u8]) -> io::Result<u64> {
    let mut head = [0u8; 6];
    head[0] = kind.0;
    let mut used = 1;
    let mut length = data.len();
    while let Some(slot) = head.get_mut(used) {
        *slot = (length & 0x7f) as u8;
        used += 1;
        length >>= 7;
        if length == 0 {
            break;
        }
        *slot |= 0x80;
    }
    output.write_all(&head[..used])?;
    output.write_all(data)?;
    Ok((used + data.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(kind in any::<u8>(), data in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            let mut bytes = Vec::new();
            let length = write(&mut bytes, Type(kind), &data).unwrap();
            prop_assert_eq!(length, bytes.len() as u64);
            let mut input = &bytes[..];
            prop_assert_eq!(read(&mut input).unwrap(), Some(Record { kind: Type(kind), data }));
            prop_assert!(read(&mut input).unwrap().is_none());
        }

        #[test]
        fn junk_is_an_error_or_a_record_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut input = &bytes[..];
            while let Ok(Some(_)) = read(&mut input) {}
        }
    }
}
