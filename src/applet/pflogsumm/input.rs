//! Lines from files and pipes, in large reads. Of a line longer than [`LONGEST`] the beginning is kept and the rest
//! passed over, so that memory is bounded whatever comes in. Files are read, not mapped: a rotation that truncates one
//! ends the reading and kills nobody.

use memchr::memchr;
use std::io::{self, Read};

/// Bytes of a line that are looked at.
pub const LONGEST: usize = 64 * 1024;
const BUFFER: usize = 128 * 1024;
/// What a decoder may take; `xz -9` wants 65 MiB, and a file that asks for more was not made by a log rotation.
const MEMORY: u64 = 80 << 20;
/// The same for zstd, as a power of two: 64 MiB (`zstd -19` wants 8).
const WINDOW_LOG: u32 = 26;

/// Who takes lines.
pub trait Lines {
    /// All bytes of the lines to come until the next announcement.
    fn announce(&mut self, bytes: &[u8]);
    /// A line without its newline; the last one of a file may have had none.
    fn line(&mut self, line: &[u8]);
}

/// Hands over each line of a source, which may be compressed: rotated logs are read as they lie there. The kind shows
/// in its first bytes, not in its name.
pub fn lines(source: impl Read, taker: &mut impl Lines) -> io::Result<()> {
    let mut source = source;
    let mut start = [0; 6];
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
    let start = &start[..known];
    let whole = start.chain(source);
    match start {
        [0x1f, 0x8b, ..] => plain(flate2::read::MultiGzDecoder::new(whole), taker),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::stream::read::Decoder::new(whole)?;
            decoder.window_log_max(WINDOW_LOG)?;
            plain(decoder, taker)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)?;
            plain(liblzma::read::XzDecoder::new_stream(whole, decoder), taker)
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => plain(bzip2::read::MultiBzDecoder::new(whole), taker),
        _ => plain(whole, taker),
    }
}

fn plain(mut source: impl Read, taker: &mut impl Lines) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    // Bytes at the buffer's beginning that no newline has ended yet.
    let mut kept = 0;
    // Whether the line's beginning was taken already, because it was too long.
    let mut passing = false;
    loop {
        let read = match source.read(&mut buffer[kept..]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + read;
        taker.announce(&buffer[..filled]);
        let mut begin = 0;
        // What was kept holds no newline.
        let mut search = kept;
        while let Some(length) = memchr(b'\n', &buffer[search..filled]) {
            let end = search + length;
            if !std::mem::take(&mut passing) {
                let line = &buffer[begin..end];
                taker.line(&line[..line.len().min(LONGEST)]);
            }
            begin = end + 1;
            search = begin;
        }
        kept = filled - begin;
        if passing {
            kept = 0;
        } else if kept > LONGEST {
            taker.line(&buffer[begin..begin + LONGEST]);
            passing = true;
            kept = 0;
        } else {
            buffer.copy_within(begin..filled, 0);
        }
    }
    if kept > 0 {
        taker.line(&buffer[..kept]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Lines for Vec<Vec<u8>> {
        fn announce(&mut self, _: &[u8]) {}

        fn line(&mut self, line: &[u8]) {
            self.push(line.to_vec());
        }
    }

    fn read(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        lines(bytes, &mut found).unwrap();
        found
    }

    #[test]
    fn lines_come_out_whole_at_any_read_size() {
        struct Drops<'a>(&'a [u8], usize);
        impl Read for Drops<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let count = self.1.min(self.0.len()).min(into.len());
                into[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let text = b"one\n\ntwo\r\nthree";
        for size in 1..text.len() + 1 {
            let mut found: Vec<Vec<u8>> = Vec::new();
            lines(Drops(text, size), &mut found).unwrap();
            assert_eq!(found, [&b"one"[..], b"", b"two\r", b"three"]);
        }
    }

    #[test]
    fn compressed_logs_are_read_as_they_lie_there() {
        use std::io::Write;
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
            let found = read(&[bytes.clone(), bytes.clone()].concat());
            assert_eq!(found.len(), 120_000);
            assert!(lines(&bytes[..bytes.len() / 2], &mut Vec::new()).is_err());
        }
        for short in [&b""[..], b"x", b"\x1f", b"BZ"] {
            assert_eq!(read(short).len(), usize::from(!short.is_empty()));
        }
    }

    #[test]
    fn a_huge_line_is_cut_and_the_next_is_whole() {
        let mut text = vec![b'x'; 5 * BUFFER];
        text.extend_from_slice(b"\nnext\n");
        let found = read(&text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].len(), LONGEST);
        assert_eq!(found[1], b"next");
    }
}
