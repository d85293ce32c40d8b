//! Lines typed at a terminal that moves no cursor (TERM=dumb): what is typed is shown, but for Ctrl-C, which would be a
//! control character on the paper; the last character, word or line can be taken back.

use super::input::Event;
use crate::sys::signal;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use std::io::{self, Write};
use std::os::fd::AsFd;
use unicode_width::UnicodeWidthStr;

/// Longer lines are cut here.
const LINE_LIMIT: usize = 1 << 20;

/// While this lives, keys come one by one and are not shown by the terminal itself.
pub struct Raw {
    before: Termios,
}

impl Raw {
    pub fn enter() -> Option<Raw> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// Reads a line that begins with `text`. Keys that were typed ahead wait in `pending`.
pub fn read(pending: &mut Vec<u8>, text: &str, out: &mut impl Write) -> io::Result<Event> {
    let mut line = text.as_bytes().to_vec();
    loop {
        while !pending.is_empty() {
            let key = pending.remove(0);
            match key {
                b'\n' | b'\r' => {
                    writeln!(out)?;
                    out.flush()?;
                    return Ok(Event::Line(line));
                }
                // The end of the text, where nothing stands on the line.
                4 if line.is_empty() => return Ok(Event::End),
                8 | 0x7f => take_back(&mut line, 1, out)?,
                0x15 => {
                    let all = String::from_utf8_lossy(&line).chars().count();
                    take_back(&mut line, all, out)?;
                }
                0x17 => {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    let word = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
                    take_back(&mut line, text[word..].chars().count(), out)?;
                }
                0..=8 | 10..=31 => {}
                _ if line.len() < LINE_LIMIT => {
                    line.push(key);
                    out.write_all(&[key])?;
                }
                _ => {}
            }
        }
        out.flush()?;
        let mut keys = [0; 1024];
        match nix::unistd::read(io::stdin().as_fd(), &mut keys) {
            Ok(0) | Err(nix::errno::Errno::EIO) => {
                return Ok(if line.is_empty() { Event::End } else { Event::Line(line) });
            }
            Ok(count) => pending.extend_from_slice(&keys[..count]),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if signal::take(Signal::SIGINT) {
            pending.clear();
            return Ok(Event::Interrupt);
        }
    }
}

/// Takes the last characters off the line and off the paper.
fn take_back(line: &mut Vec<u8>, count: usize, out: &mut impl Write) -> io::Result<()> {
    let text = String::from_utf8_lossy(line).into_owned();
    let keep = text.chars().count().saturating_sub(count);
    let kept: String = text.chars().take(keep).collect();
    let width = text[kept.len()..].width();
    for mark in ["\u{8}", " ", "\u{8}"] {
        out.write_all(mark.repeat(width).as_bytes())?;
    }
    *line = kept.into_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8], text: &str) -> (Event, String) {
        let mut out = Vec::new();
        let event = read(&mut keys.to_vec(), text, &mut out).unwrap();
        (event, String::from_utf8(out).unwrap())
    }

    #[test]
    fn keys_are_shown_and_taken_back() {
        let line = |text: &str| Event::Line(text.as_bytes().to_vec());
        assert_eq!(typed(b"ab\x7fc\n", ""), (line("ac"), "ab\u{8} \u{8}c\n".into()));
        assert_eq!(typed("é\u{7f}x\n".as_bytes(), ""), (line("x"), "é\u{8} \u{8}x\n".into()));
        assert_eq!(typed(b"one two\x17\n", "").0, line("one "));
        assert_eq!(typed(b"\x15z\n", "old").0, line("z"));
        assert_eq!(typed(b"\x04", "").0, Event::End);
        assert_eq!(typed(b"a\x04\x02b\n", "").0, line("ab"));
    }
}
