//! `--follow`: what happens now, on a screen of 80 by 24, from a log that grows and is rotated or from the journal. `q`
//! ends it. What stands in the log already is counted first; the rates are those of the last minute.

use super::numbers::text;
use crate::applet::pflogsumm::input::{LONGEST, Lines, followed};
use crate::applet::pflogsumm::read::accurate::AccurateReader;
use crate::applet::pflogsumm::sort;
use crate::applet::pflogsumm::state::State;
use crate::applet::pflogsumm::tallies::Tallies;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

const COLUMNS: usize = 80;
/// Between two pictures.
const EVERY: Duration = Duration::from_secs(1);
/// How far back rates look.
const MINUTE: Duration = Duration::from_secs(60);
const NAMES: [&str; 5] = ["received", "delivered", "deferred", "bounced", "rejected"];
/// Lines of the lists.
const TOP: usize = 5;
const RECENT: usize = 7;

/// Shows the log of this name, or the journal, until `q`.
pub fn follow(
    out: &mut impl Write,
    log: Option<&OsStr>,
    reader: AccurateReader<'_>,
    state: State<'_>,
) -> io::Result<()> {
    let pieces = followed(log)?;
    let keys = Keys::new();
    let mut screen = Screen { reader, state, line: Vec::new(), recent: VecDeque::new(), past: VecDeque::new() };
    write!(out, "\x1b[?1049h\x1b[?25l")?;
    let shown = screen.run(out, &pieces, &keys);
    let back = write!(out, "\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
    shown.and(back)
}

struct Screen<'o> {
    reader: AccurateReader<'o>,
    state: State<'o>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// What went wrong last.
    recent: VecDeque<String>,
    /// Totals of the last minute.
    past: VecDeque<(Instant, [u64; 5])>,
}

impl Screen<'_> {
    fn run(&mut self, out: &mut impl Write, pieces: &Receiver<Vec<u8>>, keys: &Keys) -> io::Result<()> {
        let mut open = true;
        loop {
            let next = Instant::now() + EVERY;
            self.draw(out)?;
            while Instant::now() < next {
                if keys.quit() {
                    return Ok(());
                }
                if !open {
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
                match pieces.recv_timeout(Duration::from_millis(100)) {
                    Ok(piece) => self.take(&piece),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => open = false,
                }
            }
            // A log that grows faster than it is shown is still read.
            loop {
                match pieces.try_recv() {
                    Ok(piece) if Instant::now() < next + EVERY => self.take(&piece),
                    Ok(piece) => {
                        self.take(&piece);
                        break;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        open = false;
                        break;
                    }
                }
            }
        }
    }

    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part).get(..room).unwrap_or(part));
            self.line.truncate(LONGEST);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.note(&line);
                self.reader.line(&line, &mut self.state);
            }
        }
    }

    /// Keeps what is trouble.
    fn note(&mut self, line: &[u8]) {
        const TROUBLE: [&str; 6] = ["status=deferred", "status=bounced", "reject: ", "warning: ", "fatal: ", "panic: "];
        let Some(parts) = self.reader.parts(line) else { return };
        let said = text(parts.content);
        if TROUBLE.iter().any(|mark| said.contains(mark)) {
            let stamp = parts.stamp;
            let time = format!("{:02}:{:02}:{:02}", stamp.hour, stamp.minute, stamp.second);
            self.recent.push_front(format!("{time} {} {said}", text(parts.service)));
            self.recent.truncate(RECENT);
        }
    }

    fn draw(&mut self, out: &mut impl Write) -> io::Result<()> {
        let now = Instant::now();
        let tallies = &self.state.tallies;
        let totals = totals(tallies);
        self.past.push_back((now, totals));
        while self.past.len() > 1 && self.past.front().is_some_and(|(then, _)| now.duration_since(*then) > MINUTE) {
            self.past.pop_front();
        }
        let before = self.past.front().map_or(totals, |(_, totals)| *totals);
        let mut lines = vec![format!("pflogsumm --follow{:>62}", "q ends "), String::new()];
        lines.push(format!("  {:<12}{:>12}{:>18}", "", "in all", "the last minute"));
        for ((name, total), before) in NAMES.iter().zip(totals).zip(before) {
            lines.push(format!("  {name:<12}{total:>12}{:>18}", total.saturating_sub(before)));
        }
        lines.push(String::new());
        lines.push(format!("  {:<38}{}", "senders", "destinations (messages, put off)"));
        let senders = sort::by_count_then_size(&tallies.senders, |of| (of.messages, of.bytes));
        let domains = sort::by_count_then_size(&tallies.recipient_domains, |of| (of.messages + of.deferrals, of.bytes));
        for row in 0..TOP {
            let left = senders.get(row).map(|(sender, of)| format!("{:>6} {}", of.messages, text(sender)));
            let right =
                domains.get(row).map(|(domain, of)| format!("{:>6} {:>5} {}", of.messages, of.deferrals, text(domain)));
            let left: String = left.unwrap_or_default().chars().take(36).collect();
            lines.push(format!("  {left:<38}{}", right.unwrap_or_default()));
        }
        lines.push(String::new());
        lines.extend(self.recent.iter().map(|line| format!("  {line}")));
        write!(out, "\x1b[H")?;
        for line in &lines {
            // Nothing of a log drives the terminal.
            let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).take(COLUMNS - 1).collect();
            write!(out, "{line}\x1b[K\r\n")?;
        }
        write!(out, "\x1b[J")?;
        out.flush()
    }
}

fn totals(tallies: &Tallies) -> [u64; 5] {
    let received = tallies.received.saturating_sub(tallies.newer.withdrawn);
    [received, tallies.delivered, tallies.deferrals, tallies.bounced, tallies.rejected]
}

/// A terminal that gives each key at once, as long as this lives.
struct Keys {
    before: Option<Termios>,
}

impl Keys {
    fn new() -> Keys {
        let input = io::stdin();
        let before = input.is_terminal().then(|| tcgetattr(input.as_fd()).ok()).flatten();
        if let Some(before) = &before {
            let mut now = before.clone();
            // Ctrl-C comes as a key, too, so that the terminal is put back.
            now.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
            let _ = tcsetattr(input.as_fd(), SetArg::TCSANOW, &now);
        }
        Keys { before }
    }

    fn quit(&self) -> bool {
        if self.before.is_none() {
            return false;
        }
        let input = io::stdin();
        let mut wanted = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut wanted, PollTimeout::ZERO), Ok(ready) if ready > 0) {
            return false;
        }
        let mut key = [0];
        // A terminal that is gone ends it.
        !matches!(input.lock().read(&mut key), Ok(1)) || matches!(key, [b'q' | b'Q' | 3])
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, before);
        }
    }
}
