//! `--follow`: what happens now, from a log that grows and is rotated or from the journal. On a terminal it is a screen
//! of any size that `q` or Ctrl-C ends; elsewhere the troubles come as lines, and once a minute the totals.

/// What is drawn.
mod screen;
/// What is known.
mod watch;

use crate::applet::pflogsumm::input::followed;
use crate::applet::pflogsumm::read::accurate::AccurateReader;
use crate::applet::pflogsumm::state::State;
use crate::sys::signal;
use nix::sys::signal::Signal;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use watch::Watch;

/// Between two pictures.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the keys.
const KEYS: Duration = Duration::from_millis(100);
/// Between two lines of totals.
const MINUTE: Duration = Duration::from_secs(60);
/// What ends it, with the terminal put back.
const ENDS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Shows the log of this name, or the journal, until it is told to end.
pub fn follow(
    out: &mut impl Write,
    log: Option<&OsStr>,
    reader: AccurateReader<'_>,
    state: State<'_>,
) -> io::Result<()> {
    let source = followed(log)?;
    let name = log.map_or("the journal".into(), |log| log.to_string_lossy());
    let mut watch = Watch::new(&name, reader, state);
    signal::collect(&ENDS)?;
    if io::stdout().is_terminal() {
        on_a_screen(&mut watch, &source.pieces)
    } else {
        as_lines(out, &mut watch, &source.pieces)
    }
}

/// A terminal that gives each key at once and shows another screen, as long as this lives.
struct Screen;

impl Screen {
    fn begin() -> io::Result<Screen> {
        enable_raw_mode()?;
        // Whatever fails from here on, the terminal is put back.
        let screen = Screen;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn on_a_screen(watch: &mut Watch<'_>, pieces: &Receiver<Vec<u8>>) -> io::Result<()> {
    let _screen = Screen::begin()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut paused = false;
    loop {
        // Its size is looked at each time.
        terminal.draw(|frame| screen::draw(frame, watch, paused))?;
        let next = Instant::now() + EVERY;
        let mut redraw = false;
        while !redraw && Instant::now() < next {
            if ENDS.into_iter().any(signal::take) {
                return Ok(());
            }
            // A log that grows faster than it is shown is still read: then nobody waits for keys.
            let piece = if paused { None } else { pieces.try_recv().ok() };
            let wait = if piece.is_some() { Duration::ZERO } else { KEYS };
            match key(wait, &mut paused)? {
                Key::Quit => return Ok(()),
                Key::Redraw => redraw = true,
                Key::None => {}
            }
            if let Some(piece) = piece {
                watch.take(&piece);
            }
        }
    }
}

enum Key {
    Quit,
    Redraw,
    None,
}

/// Waits for a key for so long.
fn key(wait: Duration, paused: &mut bool) -> io::Result<Key> {
    match event::poll(wait) {
        Ok(true) => {}
        Ok(false) => return Ok(Key::None),
        // There is no keyboard: the screen goes on without.
        Err(_) => {
            std::thread::sleep(wait);
            return Ok(Key::None);
        }
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('q' | 'Q') => Key::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
            KeyCode::Char('p' | 'P' | ' ') => {
                *paused = !*paused;
                Key::Redraw
            }
            _ => Key::None,
        },
        Event::Resize(..) => Key::Redraw,
        _ => Key::None,
    })
}

/// For a pipe or a file: each trouble when it comes, and the totals once a minute and at the end.
fn as_lines(out: &mut impl Write, watch: &mut Watch<'_>, pieces: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut next = Instant::now() + MINUTE;
    loop {
        if ENDS.into_iter().any(signal::take) {
            break;
        }
        match pieces.recv_timeout(KEYS) {
            Ok(piece) => {
                watch.take(&piece);
                for trouble in watch.news() {
                    writeln!(out, "{} {}", trouble.time, trouble.text)?;
                }
                out.flush()?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= next {
            next += MINUTE;
            writeln!(out, "{}", watch.in_words())?;
            out.flush()?;
        }
    }
    writeln!(out, "{}", watch.in_words())?;
    out.flush()
}
