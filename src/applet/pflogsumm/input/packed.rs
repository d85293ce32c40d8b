//! Compressed logs are read as they lie there; the kind shows in a file's first bytes, not in its name.

use super::journal;
use std::io::{self, Cursor, Read};

/// What a decoder may take; `xz -9` wants 65 MiB, and a file that asks for more was not made by a log rotation.
const MEMORY: u64 = 80 << 20;
/// The same for zstd, as a power of two: 64 MiB (`zstd -19` wants 8).
const WINDOW_LOG: u32 = 26;

/// The source without what it is packed in.
pub fn unpacked(source: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut source = source;
    let mut start = [0; journal::START];
    let mut known = 0;
    // A pipe may give less at a time than it has.
    while known < start.len() {
        match source.read(&mut start[known..]) {
            Ok(0) => break,
            Ok(read) => known += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = Cursor::new(start[..known].to_vec()).chain(source);
    Ok(match &start[..known] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::stream::read::Decoder::new(whole)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::read::XzDecoder::new_stream(whole, decoder))
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
        _ => journal::translated(&start[..known], whole).unwrap_or_else(|plain| plain),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        unpacked(Cursor::new(bytes.to_vec()))?.read_to_end(&mut found)?;
        Ok(found)
    }

    #[test]
    fn compressed_logs_are_read_as_they_lie_there() {
        let text = b"one\ntwo\n".repeat(30_000);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        for out in [&mut gz as &mut dyn Write, &mut bz, &mut xz] {
            out.write_all(&text).unwrap();
        }
        let kinds =
            [gz.finish().unwrap(), bz.finish().unwrap(), xz.finish().unwrap(), zstd::encode_all(&text[..], 1).unwrap()];
        for bytes in kinds {
            // Two files one after the other in one, as `cat a.gz b.gz` makes them.
            assert_eq!(read(&[bytes.clone(), bytes.clone()].concat()).unwrap(), text.repeat(2));
            assert!(read(&bytes[..bytes.len() / 2]).is_err());
        }
        for short in [&b""[..], b"x", b"\x1f", b"BZ"] {
            assert_eq!(read(short).unwrap(), short);
        }
    }
}
