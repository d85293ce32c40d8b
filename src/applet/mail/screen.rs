//! What reaches the terminal. Nothing of a message does so as control: ESC and the other control characters, C1 codes
//! and the marks that reverse or hide text are shown as visible signs. In a pipe and in files bytes are unchanged.

use crate::message::display::is_hostile;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

/// Standard output.
pub struct Screen {
    out: io::BufWriter<io::Stdout>,
    pub terminal: bool,
    /// The terminal knows colours, and nobody said that he wants none.
    pub colours: bool,
}

impl Screen {
    pub fn new() -> Screen {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let term = std::env::var("TERM").unwrap_or_default();
        let none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = terminal && !none && !["", "dumb", "unknown"].contains(&term.as_str());
        Screen { terminal, colours, out: io::BufWriter::with_capacity(64 * 1024, out) }
    }

    /// Our own words, as they are.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Text of a message.
    pub fn message(&mut self, text: &[u8]) -> io::Result<()> {
        if self.terminal { self.out.write_all(visible(text).as_bytes()) } else { self.out.write_all(text) }
    }

    /// What somebody asked for as it is.
    pub fn bytes(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(text)
    }

    /// A line that stands out. Asked for only where [`Screen::colours`] is.
    pub fn emphasis(&mut self, text: &[u8]) -> io::Result<()> {
        write!(self.out, "\u{1b}[1;36m{}\u{1b}[0m", visible(text))
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Text of a message through the pager when it has more lines than `limit`.
    pub fn page(&mut self, text: &[u8], limit: Option<usize>, pager: &str) -> io::Result<()> {
        let lines = memchr::memchr_iter(b'\n', text).count();
        if !self.terminal || limit.is_none_or(|limit| lines <= limit) {
            return self.message(text);
        }
        self.flush()?;
        let child = Command::new("/bin/sh").arg("-c").arg(pager).stdin(Stdio::piped()).spawn();
        let Ok(mut child) = child else { return self.message(text) };
        if let Some(mut input) = child.stdin.take() {
            // A pager that was left early closes its end: no error of ours.
            let _ = input.write_all(visible(text).as_bytes());
        }
        let _ = child.wait();
        Ok(())
    }
}

/// Text that a terminal shows and does not obey. Bytes that are no UTF-8 become U+FFFD.
pub fn visible(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '\n' | '\t' => out.push(character),
            '\r' => {}
            '\0'..='\u{1f}' => {
                out.push('^');
                out.push(char::from(character as u8 + 64));
            }
            '\u{7f}' => out.push_str("^?"),
            hostile if is_hostile(hostile) => {
                let _ = write!(out, "<U+{:04X}>", hostile as u32);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(visible(b"a\x1b]0;t\x07b\r\n\x7f\xff"), "a^[]0;t^Gb\n^?\u{fffd}");
        assert_eq!(visible("\u{202e}x\u{9b}1m".as_bytes()), "<U+202E>x<U+009B>1m");
        assert_eq!(visible("é\tà".as_bytes()), "é\tà");
    }
}
