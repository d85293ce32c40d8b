//! The content of DATA (RFC 5321 section 4.1.1.4). The end is `<CR><LF>.<CR><LF>` and nothing else: a bare LF ends a
//! line of content (it is normalised), but a dot between bare line feeds never ends the message, or one message
//! could be smuggled inside another (CVE-2023-51764). The one exception is a peer that is trusted and has never sent
//! a CR LF in the whole session: a person with a pipe into netcat.

/// What the bytes amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A line without its end and without the dot that was stuffed; `newline` is false for a piece of an over-long
    /// line whose rest follows.
    Line { data: Vec<u8>, newline: bool },
    /// The end of the data.
    End,
    /// A bare LF where none may be ([`Mode::Reject`]).
    BareLf,
}

/// What a bare LF is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A line end, though never part of the end of data.
    Normalize,
    /// A mistake: [`Event::BareLf`] once, at the first.
    Reject,
    /// For a trusted peer that has sent nothing but bare LF: it ends the data too.
    Lenient,
}

/// Longest piece of a line that is handed on at once.
const PIECE: usize = 2048;

/// The state between two reads.
#[derive(Debug)]
pub struct Decoder {
    mode: Mode,
    line: Vec<u8>,
    /// Whether the line before ended with CR LF; the DATA command's own line counts.
    after_crlf: bool,
    /// The current line had a piece handed on already.
    continued: bool,
    told: bool,
}

impl Decoder {
    pub fn new(mode: Mode) -> Decoder {
        Decoder { mode, line: Vec::new(), after_crlf: true, continued: false, told: false }
    }

    /// Takes bytes up to the next event; gives how many were used, and the event if there is one.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Event>) {
        let end = memchr::memchr(b'\n', bytes);
        let take = end.unwrap_or(bytes.len());
        let room = PIECE.saturating_sub(self.line.len());
        if take > room {
            self.line.extend_from_slice(&bytes[..room]);
            // A CR at the very end may belong to a line end: it stays for the next piece.
            let held = self.line.pop_if(|last| *last == b'\r');
            let data = self.stuffed();
            self.continued = true;
            self.line.extend(held);
            return (room, Some(Event::Line { data, newline: false }));
        }
        self.line.extend_from_slice(&bytes[..take]);
        if end.is_none() {
            return (take, None);
        }
        let crlf = self.line.pop_if(|last| *last == b'\r').is_some();
        if !crlf && self.mode == Mode::Reject && !self.told {
            self.told = true;
            self.finish_line(crlf);
            return (take + 1, Some(Event::BareLf));
        }
        let strict = crlf && self.after_crlf;
        if !self.continued && self.line == b"." && (strict || self.mode == Mode::Lenient) {
            self.finish_line(crlf);
            return (take + 1, Some(Event::End));
        }
        let data = self.stuffed();
        self.finish_line(crlf);
        (take + 1, Some(Event::Line { data, newline: true }))
    }

    fn finish_line(&mut self, crlf: bool) {
        self.line.clear();
        self.after_crlf = crlf;
        self.continued = false;
    }

    /// The line without its stuffed dot; a CR inside it becomes a blank, since it could be a line end to others.
    fn stuffed(&mut self) -> Vec<u8> {
        let mut data = std::mem::take(&mut self.line);
        if !self.continued && data.first() == Some(&b'.') {
            data.remove(0);
        }
        for byte in data.iter_mut().filter(|byte| **byte == b'\r') {
            *byte = b' ';
        }
        data
    }
}

/// Encodes content for sending: CR LF line ends, dots stuffed, no bare CR or LF.
#[derive(Debug)]
pub struct Encoder {
    at_line_start: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { at_line_start: true }
    }
}

impl Encoder {
    /// Appends a line (or, without `newline`, a piece of one) to `out`. A line over `limit` bytes is broken, its rest
    /// beginning with a blank (smtp_line_length_limit); 0: no limit.
    pub fn line(&mut self, data: &[u8], newline: bool, limit: usize, out: &mut Vec<u8>) {
        let mut rest = data;
        loop {
            let take = if limit > 0 { rest.len().min(limit) } else { rest.len() };
            let (piece, after) = rest.split_at(take);
            if self.at_line_start && piece.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend(piece.iter().map(|&byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte }));
            self.at_line_start &= piece.is_empty();
            if after.is_empty() {
                break;
            }
            out.extend_from_slice(b"\r\n ");
            rest = after;
        }
        if newline {
            out.extend_from_slice(b"\r\n");
            self.at_line_start = true;
        }
    }

    /// Appends the end of data.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        self.at_line_start = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines before the end, and what follows it.
    fn decode(mode: Mode, bytes: &[u8], split: usize) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut decoder = Decoder::new(mode);
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let chunks = [&bytes[..split.min(bytes.len())], &bytes[split.min(bytes.len())..]];
        for (number, chunk) in chunks.iter().enumerate() {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let (used, event) = decoder.feed(rest);
                rest = &rest[used..];
                match event {
                    Some(Event::Line { data, newline }) => {
                        lines.last_mut().unwrap().extend(data);
                        if newline {
                            lines.push(Vec::new());
                        }
                    }
                    Some(Event::End) => {
                        let mut left = rest.to_vec();
                        chunks[number + 1..].iter().for_each(|chunk| left.extend_from_slice(chunk));
                        lines.pop();
                        return (lines, Some(left));
                    }
                    Some(Event::BareLf) | None => {}
                }
            }
        }
        (lines, None)
    }

    /// faults.md A1 to A12: only the genuine end ends, at every split into two reads.
    #[test]
    fn nothing_smuggles() {
        let forms: &[&[u8]] = &[
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r.\n",
            b"\n.\r",
            b"\r\n.\r\r\n",
            b"\r\n.\0\r\n",
            b"\r\n\0.\r\n",
            b"\r\n. \r\n",
            b"\r\n.\x0b\r\n",
        ];
        for form in forms {
            for mode in [Mode::Normalize, Mode::Reject] {
                let bytes = [b"line", *form, b"MAIL FROM:<evil@x>\r\nDATA\r\nsmuggled\r\n.\r\nQUIT\r\n"].concat();
                for split in 0..bytes.len() {
                    let (_, left) = decode(mode, &bytes, split);
                    assert_eq!(left.as_deref(), Some(&b"QUIT\r\n"[..]), "{form:?} {mode:?} at {split}");
                }
            }
        }
        let genuine = b"line\r\r\n.\r\nQUIT\r\n";
        assert_eq!(decode(Mode::Normalize, genuine, 3).1.as_deref(), Some(&b"QUIT\r\n"[..]));
        assert_eq!(decode(Mode::Lenient, b"a\n.\nQUIT\n", 3).1.as_deref(), Some(&b"QUIT\n"[..]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..6)) {
            let clean: Vec<Vec<u8>> = lines.iter()
                .map(|line| line.iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }).collect()).collect();
            let mut encoder = Encoder::default();
            let mut bytes = Vec::new();
            for line in &lines {
                encoder.line(line, true, 0, &mut bytes);
            }
            encoder.end(&mut bytes);
            let middle = bytes.len() / 2;
            let (decoded, left) = decode(Mode::Normalize, &bytes, middle);
            prop_assert_eq!(decoded, clean);
            prop_assert_eq!(left, Some(Vec::new()));
        }
    }
}
