//! Lines from files and pipes, in large reads. Of a line longer than [`LONGEST`] the beginning is kept and the rest
//! passed over, so that memory is bounded whatever comes in. Files are read, not mapped: a rotation that truncates one
//! ends the reading and kills nobody.

use memchr::memchr;
use std::io::{self, Read};

/// Bytes of a line that are looked at.
pub const LONGEST: usize = 64 * 1024;
const BUFFER: usize = 128 * 1024;

/// Who takes lines.
pub trait Lines {
    /// All bytes of the lines to come until the next announcement.
    fn announce(&mut self, bytes: &[u8]);
    /// A line without its newline; the last one of a file may have had none.
    fn line(&mut self, line: &[u8]);
}

/// Hands over each line of a source.
pub fn lines(mut source: impl Read, taker: &mut impl Lines) -> io::Result<()> {
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
    fn a_huge_line_is_cut_and_the_next_is_whole() {
        let mut text = vec![b'x'; 5 * BUFFER];
        text.extend_from_slice(b"\nnext\n");
        let found = read(&text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].len(), LONGEST);
        assert_eq!(found[1], b"next");
    }
}
