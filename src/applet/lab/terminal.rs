//! A program on a terminal of its own, with somebody typing.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a program may take to say what is expected of it.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// Everything that was shown.
    pub shown: String,
    /// Up to where it was looked at.
    seen: usize,
}

impl Terminal {
    pub fn start(mut command: Command) -> Result<Terminal> {
        let size = nix::pty::Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = nix::pty::openpty(Some(&size), None).context("open a terminal")?;
        let slave: OwnedFd = pair.slave;
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        crate::sys::spawn::on_terminal(&mut command);
        let child = command.spawn().context("start the program")?;
        drop(command);
        let keyboard = File::from(pair.master);
        let mut reader = keyboard.try_clone()?;
        let (tell, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            // The read fails when the last program on the terminal ends.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if tell.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Terminal { child, keyboard, screen, shown: String::new(), seen: 0 })
    }

    /// Waits for one of `texts`.
    pub fn expect(&mut self, texts: &[&str]) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let fresh = &self.shown[self.seen..];
            if let Some(at) = texts.iter().filter_map(|text| fresh.find(text).map(|at| at + text.len())).min() {
                self.seen += at;
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    bail!("expected {texts:?} on the screen, but it shows:\n{}", self.shown)
                }
            }
        }
    }

    pub fn keys(&mut self, keys: &str) -> Result<()> {
        self.keyboard.write_all(keys.as_bytes()).context("type")
    }

    /// Types a line.
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.keys(&format!("{line}\n"))
    }

    /// Waits for the program's end; its exit status must be 0.
    pub fn end(mut self) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                bail!("the program did not end; the screen shows:\n{}", self.shown);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_millis(100)) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        if !status.success() {
            bail!("{status}; the screen shows:\n{}", self.shown);
        }
        Ok(self.shown.replace('\r', ""))
    }
}
