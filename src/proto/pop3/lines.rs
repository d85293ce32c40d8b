//! [`Lines`]: input split into commands.

/// Splits input into lines; a lone line feed ends one, too.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// No newline before here.
    searched: usize,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its end.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let tail = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', tail).map(|found| found + self.searched) else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.get(self.at..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.at = end + 1;
        self.searched = self.at;
        Some(line)
    }

    /// Bytes that wait for the end of their line.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// What has not been read.
    pub fn rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.at);
        *self = Lines::default();
        rest
    }
}

/// The word before the first blank in upper case, and what follows the blanks.
pub(super) fn split_command(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    let rest = line.get(end..).unwrap_or_default();
    let blanks = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
    (line[..end].to_ascii_uppercase(), &rest[blanks..])
}
