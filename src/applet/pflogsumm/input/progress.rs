//! How far the reading is, on standard error if that is a terminal and only when it takes long. The share of the files
//! is known for plain files only; else the bytes alone are shown.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What takes less is not worth a word.
const LONG: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(200);

#[derive(Default)]
pub struct Progress {
    /// When to write next; never without a terminal.
    next: Option<Instant>,
    all: Option<u64>,
    read: u64,
    shown: bool,
}

impl Progress {
    pub fn of(names: &VecDeque<OsString>) -> Progress {
        // A report on the same terminal would be mixed with it while it comes out of a pager.
        let visible = std::io::stderr().is_terminal();
        let packed = [".gz", ".bz2", ".xz", ".zst"];
        let size = |name: &OsString| {
            let plain = !packed.iter().any(|end| name.to_string_lossy().ends_with(end));
            std::fs::metadata(name).ok().filter(|file| file.is_file() && plain).map(|file| file.len())
        };
        Progress {
            next: visible.then(|| Instant::now() + LONG),
            all: names.iter().map(size).sum(),
            ..Progress::default()
        }
    }

    pub fn add(&mut self, bytes: usize) {
        self.read += bytes as u64;
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if now < next {
            return;
        }
        self.next = Some(now + EVERY);
        self.shown = true;
        let read = self.read / 1_000_000;
        let text = match self.all {
            Some(all) if all > 0 => format!("{read} MB, {} %", (self.read * 100 / all).min(100)),
            _ => format!("{read} MB"),
        };
        let _ = write!(std::io::stderr(), "\rpflogsumm: {text}\x1b[K");
    }

    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
