//! Lines typed at a terminal that moves no cursor (TERM=dumb): what is typed is shown, but for Ctrl-C, which would be a
//! control character on the paper; the last character, word or line can be taken back, and earlier lines come again.

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

/// Where in a key's sequence of bytes what was typed stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    None,
    /// After ESC.
    Begun,
    /// After ESC and "[" or "O".
    Function,
}

/// Lines that were typed before, and where among them the one that is shown stands; what was being typed is the last.
struct Recall<'h> {
    history: &'h [String],
    place: usize,
    typed: Vec<u8>,
}

impl Recall<'_> {
    /// Shows the line before this one or, with `later`, the one after it.
    fn step(&mut self, later: bool, line: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
        if self.history.is_empty() && !later {
            return Ok(());
        }
        let place = if later { self.place + 1 } else { self.place.wrapping_sub(1) };
        if place > self.history.len() {
            return out.write_all(b"\x07");
        }
        if self.place == self.history.len() {
            self.typed.clone_from(line);
        }
        self.place = place;
        let wanted = self.history.get(place).map_or(self.typed.as_slice(), String::as_bytes).to_vec();
        replace(line, wanted, out)
    }
}

/// Reads a line that begins with `text`. Keys that were typed ahead wait in `pending`.
pub fn read(pending: &mut Vec<u8>, text: &str, history: &[String], out: &mut impl Write) -> io::Result<Event> {
    let mut line = text.as_bytes().to_vec();
    let mut sequence = Sequence::None;
    let mut recall = Recall { history, place: history.len(), typed: Vec::new() };
    loop {
        while !pending.is_empty() {
            let key = pending.remove(0);
            match (sequence, key) {
                (Sequence::None, _) => {}
                (Sequence::Begun, b'[' | b'O') => {
                    sequence = Sequence::Function;
                    continue;
                }
                // Parameters come before the letter.
                (Sequence::Function, b' '..=b'?') => continue,
                (before, key) => {
                    sequence = Sequence::None;
                    if before == Sequence::Function && [b'A', b'B'].contains(&key) {
                        recall.step(key == b'B', &mut line, out)?;
                    }
                    continue;
                }
            }
            match key {
                0x1b => sequence = Sequence::Begun,
                0x0e | 0x10 => recall.step(key == 0x0e, &mut line, out)?,
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

/// Writes another line over this one, from where they differ.
fn replace(line: &mut Vec<u8>, wanted: Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    let (old, new) = (String::from_utf8_lossy(line), String::from_utf8_lossy(&wanted));
    let same: usize = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (old, new) = (&old[same..], &new[same..]);
    let less = old.width().saturating_sub(new.width());
    let mark = |mark: &str, count: usize| mark.repeat(count);
    write!(out, "{}{new}{}{}", mark("\u{8}", old.width()), mark(" ", less), mark("\u{8}", less))?;
    *line = wanted;
    Ok(())
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
        let history = ["f 1", "f 22"].map(str::to_owned);
        let event = read(&mut keys.to_vec(), text, &history, &mut out).unwrap();
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
        assert_eq!(typed(b"a\x1b[A\x1bOA\n", ""), (line("f 1"), "a\u{8}f 22\u{8}\u{8}1 \u{8}\n".into()));
        assert_eq!(typed(b"a\x10\x10\x10\x0e\x0e\n", "").0, line("a"));
        assert_eq!(typed(b"\x1b[1;5Cx\x1bf\x1b[B\n", "").0, line("x"));
        assert_eq!(typed(b"a\x04\x02b\n", "").0, line("ab"));
    }
}
