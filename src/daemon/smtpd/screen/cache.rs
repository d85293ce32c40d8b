//! The temporary allowlist (postscreen_cache_map): addresses with the [`Times`] of their tests. It is in memory, and in a
//! file that it is read from at start: "ADDRESS TIMES" lines, of which the last of an address counts. A client that passes
//! adds a line by one write(2); a cleanup writes the file anew beside itself and renames it (the commit). What a crash
//! loses is a client that is tested once more, so lines are not synced.
//!
//! The file stands beside the one that the reference would have, as NAME.list: a database of its own kind is not written
//! here, and its owner should find it as it was. A cleanup and a process that is being replaced may lose lines of each
//! other: those clients too are tested once more.

use super::results::{Tests, Times};
use crate::conf::MainCf;
use crate::log::Log;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Most clients that are remembered: some 70 MB.
const MAX_CLIENTS: usize = 900_000;
/// Longest line that is read.
const MAX_LINE: usize = 256;
/// Lines beyond the clients known at which the file is written anew before its time.
const MAX_EXCESS: usize = 100_000;
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Types whose place is a file of ours to choose.
const LOCAL: &[&str] = &["btree", "hash", "lmdb", "dbm", "sdbm", "cdb"];

pub struct Cache {
    /// "btree:/var/lib/postfix/postscreen_cache", for the log; None: nothing is remembered.
    name: Option<String>,
    path: Option<PathBuf>,
    interval: Duration,
    retention: u64,
    enabled: Tests,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    clients: HashMap<IpAddr, Times>,
    file: Option<File>,
    /// In the file.
    lines: usize,
    /// Lines that came while the file was written anew.
    meanwhile: Option<Vec<u8>>,
}

impl Cache {
    /// Reads what earlier processes wrote; a file that cannot be had costs persistence only, and is told of.
    pub fn open(cf: &MainCf, enabled: Tests, log: &Log) -> Cache {
        let spec = cf.postscreen_cache_map();
        let inner = spec.strip_prefix("proxy:").unwrap_or(&spec);
        let path = match inner.split_once(':') {
            Some((kind, place)) if LOCAL.contains(&kind) => Some(PathBuf::from(format!("{place}.list"))),
            _ => None,
        };
        if path.is_none() && !spec.is_empty() {
            log.warning(format!(
                "postscreen_cache_map: {spec} is not written here: clients are remembered in memory only"
            ));
        }
        let cache = Cache {
            name: Some(spec).filter(|spec| !spec.is_empty()),
            path,
            interval: cf.postscreen_cache_cleanup_interval(),
            retention: cf.postscreen_cache_retention_time().as_secs(),
            enabled,
            state: RefCell::default(),
        };
        if let Some(path) = &cache.path
            && let Err(error) = cache.read(path)
        {
            log.warning(format!("open {}: {}", path.display(), crate::sys::files::reason(&error)));
        }
        cache
    }

    fn read(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let file = File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A piece of a longer line is no line either.
            if io::Read::take(&mut reader, MAX_LINE as u64).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            state.lines += 1;
            if let Some((client, times)) = parse(&line) {
                state.remember(client, times);
            }
        }
        state.file = Some(file);
        Ok(())
    }

    /// Whether a client can be remembered at all.
    pub fn is_on(&self) -> bool {
        self.name.is_some()
    }

    pub fn find(&self, client: IpAddr) -> Option<Times> {
        self.state.borrow().clients.get(&client).copied()
    }

    pub fn update(&self, client: IpAddr, times: Times, log: &Log) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.remember(client, times);
        state.lines += 1;
        let line = line(client, times);
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.extend_from_slice(line.as_bytes());
        }
        let failed = state.file.as_mut().and_then(|file| file.write_all(line.as_bytes()).err());
        if let Some(error) = failed {
            // A full disk is told once, not with each client.
            state.file = None;
            log.warning(format!("postscreen_cache_map: {}", crate::sys::files::reason(&error)));
        }
    }

    /// Cleans up at start and after each postscreen_cache_cleanup_interval, for ever.
    pub async fn tend(&self, log: &Log) {
        if !self.is_on() {
            return;
        }
        let mut since = None;
        loop {
            let grown = {
                let state = self.state.borrow();
                state.lines > state.clients.len() + MAX_EXCESS
            };
            let over = since.is_none_or(|since: tokio::time::Instant| since.elapsed() >= self.interval);
            if grown || over && !self.interval.is_zero() {
                self.clean(log).await;
                since = Some(tokio::time::Instant::now());
            }
            tokio::time::sleep(if self.interval.is_zero() { LOOK } else { LOOK.min(self.interval) }).await;
        }
    }

    async fn clean(&self, log: &Log) {
        let before = now().saturating_sub(self.retention);
        let (kept, retained, dropped) = {
            let mut state = self.state.borrow_mut();
            let all = state.clients.len();
            // As long as any test counts that is on, or counted until a short while ago, the client is no new one.
            state.clients.retain(|_, times| times.due(self.enabled, before).is_empty());
            // A copy, since the lines of many clients are not made while others wait.
            let kept: Vec<(IpAddr, Times)> = state.clients.iter().map(|(client, times)| (*client, *times)).collect();
            state.meanwhile = Some(Vec::new());
            (kept, state.clients.len(), all - state.clients.len())
        };
        if let Some(path) = self.path.clone() {
            let written = tokio::task::spawn_blocking(move || replace(&path, &kept)).await;
            let mut state = self.state.borrow_mut();
            let meanwhile = state.meanwhile.take().unwrap_or_default();
            match written.unwrap_or_else(|_| Err(io::Error::other("broken off"))) {
                Ok(mut file) => {
                    state.lines = retained + meanwhile.iter().filter(|byte| **byte == b'\n').count();
                    state.file = file.write_all(&meanwhile).is_ok().then_some(file);
                }
                Err(error) => log.warning(format!("postscreen_cache_map: {}", crate::sys::files::reason(&error))),
            }
        } else {
            let mut state = self.state.borrow_mut();
            (state.meanwhile, state.lines) = (None, retained);
        }
        let name = self.name.as_deref().unwrap_or_default();
        log.info(format!("cache {name} full cleanup: retained={retained} dropped={dropped} entries"));
    }
}

impl State {
    fn remember(&mut self, client: IpAddr, times: Times) {
        if self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&client) {
            // Anyone: who is forgotten is tested once more.
            if let Some(other) = self.clients.keys().next().copied() {
                self.clients.remove(&other);
            }
        }
        self.clients.insert(client, times);
    }
}

fn line(client: IpAddr, times: Times) -> String {
    format!("{client} {}\n", times.text())
}

fn parse(line: &[u8]) -> Option<(IpAddr, Times)> {
    let (client, times) = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?.split_once(' ')?;
    Some((client.parse().ok()?, Times::parse(times)?))
}

/// Writes a file anew; gives it opened for lines to come.
fn replace(path: &Path, clients: &[(IpAddr, Times)]) -> io::Result<File> {
    let beside = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let written = (|| {
        let mut file = File::options().append(true).create(true).truncate(false).mode(0o600).open(&beside)?;
        file.set_len(0)?;
        let mut writer = BufWriter::new(&mut file);
        for (client, times) in clients {
            writer.write_all(line(*client, *times).as_bytes())?;
        }
        writer.flush()?;
        drop(writer);
        file.sync_all()?;
        // The commit.
        std::fs::rename(&beside, path)?;
        Ok(file)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(directory: &Path) -> Cache {
        let text = format!("postscreen_cache_map = btree:{}/cache\n", directory.display());
        let cf = MainCf::parse(directory, &text).unwrap();
        Cache::open(&cf, Tests::early(), &Log::nowhere())
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn clients_are_remembered_by_the_next_process() {
        let (directory, log) = (tempfile::tempdir().unwrap(), Log::nowhere());
        let cache = opened(directory.path());
        assert_eq!(cache.find(client(1)), None);
        let late = Times::parse(&format!("{0};{0};1;1;1", now() + 1000)).unwrap();
        let old = Times::parse("5;5;1;1;1").unwrap();
        cache.update(client(1), old, &log);
        cache.update(client(1), late, &log);
        cache.update(client(2), old, &log);
        let cache = opened(directory.path());
        assert_eq!((cache.find(client(1)), cache.find(client(2))), (Some(late), Some(old)));
        cache.clean(&log).await;
        cache.update(client(3), late, &log);
        assert_eq!(std::fs::read_to_string(directory.path().join("cache.list")).unwrap().lines().count(), 2);
        let cache = opened(directory.path());
        assert_eq!(
            (cache.find(client(1)), cache.find(client(2)), cache.find(client(3))),
            (Some(late), None, Some(late))
        );
    }

    #[test]
    fn a_broken_file_costs_the_lines_that_are_broken() {
        let directory = tempfile::tempdir().unwrap();
        let long = "x".repeat(10_000);
        let text = format!("192.0.2.1 9;9;1;1;1\n{long}\n\0\nzzz\n192.0.2.2 9;9\n192.0.2.3 9;9;1;1");
        std::fs::write(directory.path().join("cache.list"), text).unwrap();
        let cache = opened(directory.path());
        assert!(cache.find(client(1)).is_some() && cache.find(client(2)).is_some());
        assert_eq!(cache.find(client(3)), None, "a line without its end was not written to its end");
    }
}
