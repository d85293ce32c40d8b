//! [`Encoder`]: stored bytes in their transmitted form.

/// Turns a stored message into the transmitted form: CRLF line ends, dots doubled at line starts. Push all parts, then
/// finish.
#[derive(Debug)]
pub struct Encoder {
    line_start: bool,
    last: u8,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder { line_start: true, last: b'\n' }
    }
}

impl Encoder {
    /// Appends the transmitted form of `bytes`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            match line.strip_suffix(b"\n") {
                Some(text) => {
                    out.extend_from_slice(text);
                    if text.last().copied().unwrap_or(self.last) != b'\r' || (text.is_empty() && self.line_start) {
                        out.push(b'\r');
                    }
                    out.push(b'\n');
                    self.line_start = true;
                    self.last = b'\n';
                }
                None => {
                    out.extend_from_slice(line);
                    self.line_start = false;
                    self.last = line.last().copied().unwrap_or(self.last);
                }
            }
        }
    }

    /// The end: a missing last line end, and the dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// What goes out, undone by RFC 1939's rules, is the message with CRLF line ends, however it was pushed.
        #[test]
        fn a_message_survives(lines in proptest::collection::vec("[.\r a]{0,4}", 0..8), size in 1usize..9, last in proptest::bool::ANY) {
            let mut text = lines.join("\n").into_bytes();
            if last { text.push(b'\n'); }
            let (mut out, mut encoder) = (Vec::new(), Encoder::default());
            text.chunks(size).for_each(|part| encoder.push(part, &mut out));
            encoder.finish(&mut out);
            let body = out.strip_suffix(b".\r\n").unwrap();
            let mut undone = Vec::new();
            for line in body.split_inclusive(|&byte| byte == b'\n') {
                undone.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            }
            let mut want = Vec::new();
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let plain = line.strip_suffix(b"\n").unwrap_or(line);
                let plain = if line.ends_with(b"\n") { plain.strip_suffix(b"\r").unwrap_or(plain) } else { plain };
                want.extend_from_slice(plain);
                want.extend_from_slice(b"\r\n");
            }
            proptest::prop_assert_eq!(undone, want);
        }
    }
}
