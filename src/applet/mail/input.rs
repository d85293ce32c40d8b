//! Lines from a person or from a file. At a terminal that can do more than a teletype, rustyline edits them; a teletype
//! has its own few keys (`teletype`); from a file they are read as they come. Ctrl-C is an event, not a death.

use crate::sys::signal;
use nix::sys::signal::Signal;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Line(Vec<u8>),
    End,
    Interrupt,
}

/// Longer lines are cut here.
const LINE_LIMIT: usize = 16 << 20;

/// So many commands come again.
const HISTORY: usize = 1000;

/// Standard input, and lines that were put before it (`-E`, start-up files).
pub struct Input {
    pub terminal: bool,
    editor: Option<rustyline::DefaultEditor>,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// Typed at a simple terminal, and not used yet.
    pending: Vec<u8>,
    /// Commands that were typed at one.
    history: Vec<String>,
}

impl Input {
    pub fn new() -> Input {
        let terminal = io::stdin().is_terminal();
        let term = std::env::var("TERM").unwrap_or_default();
        let simple = ["", "dumb", "cons25", "emacs", "unknown"].contains(&term.as_str());
        let editor = (terminal && !simple && io::stdout().is_terminal()).then(editor).flatten();
        if terminal {
            // Without SA_RESTART: a Ctrl-C ends the read.
            let _ = signal::collect(&[Signal::SIGINT]);
        }
        Input { terminal, editor, buffer: Vec::new(), at: 0, ended: false, pending: Vec::new(), history: Vec::new() }
    }

    /// Whether rustyline is at work.
    pub fn edits(&self) -> bool {
        self.editor.is_some()
    }

    /// The next line without its newline. The prompt is shown only at a terminal. `text` stands there to be changed.
    pub fn line(&mut self, prompt: &str, text: &str, remember: bool) -> io::Result<Event> {
        if let Some(editor) = &mut self.editor {
            return Ok(match editor.readline_with_initial(prompt, (text, "")) {
                Ok(line) => {
                    if remember && !line.trim().is_empty() {
                        let _ = editor.add_history_entry(&line);
                    }
                    Event::Line(line.into_bytes())
                }
                Err(rustyline::error::ReadlineError::Interrupted) => Event::Interrupt,
                Err(_) => Event::End,
            });
        }
        if self.terminal {
            let mut out = io::stdout();
            write!(out, "{prompt}{text}")?;
            out.flush()?;
            if let Some(_raw) = super::teletype::Raw::enter() {
                let history = if remember { self.history.as_slice() } else { &[] };
                let event = super::teletype::read(&mut self.pending, text, history, &mut out)?;
                if let Event::Line(line) = &event
                    && let command = String::from_utf8_lossy(line).trim().to_owned()
                    && remember
                    && !command.is_empty()
                {
                    self.history.push(command);
                    let surplus = self.history.len().saturating_sub(HISTORY);
                    self.history.drain(..surplus);
                }
                return Ok(event);
            }
        }
        let event = self.plain()?;
        Ok(match event {
            // Without an editor what stood there cannot be changed, only continued.
            Event::Line(line) if !text.is_empty() => Event::Line([text.as_bytes(), &line].concat()),
            other => other,
        })
    }

    fn plain(&mut self) -> io::Result<Event> {
        let mut line = Vec::new();
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(index) = memchr::memchr(b'\n', rest) {
                line.extend_from_slice(&rest[..index]);
                self.at += index + 1;
                return Ok(Event::Line(line));
            }
            if line.len() < LINE_LIMIT {
                line.extend_from_slice(rest);
            }
            self.at = 0;
            self.buffer.clear();
            if self.ended || !self.fill()? {
                if signal::take(Signal::SIGINT) {
                    return Ok(Event::Interrupt);
                }
                // A terminal's end of file may be followed by more; a file's may not.
                self.ended = !self.terminal;
                return Ok(if line.is_empty() { Event::End } else { Event::Line(line) });
            }
        }
    }

    /// False at the end or after an interrupt.
    fn fill(&mut self) -> io::Result<bool> {
        // Commands that are started read on where mail stopped: of a pipe no more is taken than a line needs.
        self.buffer.resize(if self.terminal { 64 * 1024 } else { 1 }, 0);
        let stdin = io::stdin();
        let count = loop {
            match nix::unistd::read(stdin.as_fd(), &mut self.buffer) {
                Ok(count) => break count,
                Err(nix::errno::Errno::EINTR) if self.terminal => break 0,
                Err(nix::errno::Errno::EINTR) => {}
                // A terminal that went away, a directory: nothing more will come.
                Err(nix::errno::Errno::EIO | nix::errno::Errno::EISDIR | nix::errno::Errno::EBADF) => break 0,
                Err(errno) => {
                    self.buffer.clear();
                    return Err(errno.into());
                }
            }
        };
        self.buffer.truncate(count);
        Ok(count > 0)
    }

    /// All that is left, for a body that comes through a pipe.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = self.buffer.split_off(self.at.min(self.buffer.len()));
        self.buffer.clear();
        self.at = 0;
        if !self.ended {
            match io::stdin().lock().read_to_end(&mut all) {
                Ok(_) => {}
                Err(error)
                    if matches!(error.raw_os_error(), Some(nix::libc::EIO | nix::libc::EISDIR | nix::libc::EBADF)) => {}
                Err(error) => return Err(error),
            }
            self.ended = true;
        }
        Ok(all)
    }
}

fn editor() -> Option<rustyline::DefaultEditor> {
    use rustyline::config::Configurer;
    let config = rustyline::Config::builder().bracketed_paste(false).auto_add_history(false).build();
    let mut editor = rustyline::DefaultEditor::with_config(config).ok()?;
    // Marks around every change of the line that not all terminals know.
    editor.enable_synchronized_output(false);
    Some(editor)
}
