//! What a watched log has told so far: the accurate tallies, what came in each second of the last hour, and the last
//! troubles.

use crate::applet::pflogsumm::input::{LONGEST, Lines};
use crate::applet::pflogsumm::output::numbers::text;
use crate::applet::pflogsumm::read::accurate::{AccurateReader, Parts};
use crate::applet::pflogsumm::state::State;
use crate::applet::pflogsumm::tallies::Map;
use crate::log::event::Event;
use crate::message::display::harmless;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

pub const NAMES: [&str; 5] = ["received", "delivered", "deferred", "bounced", "rejected"];
/// Seconds that are remembered one by one.
const HOUR: i64 = 3600;
/// Troubles that are remembered.
const TROUBLES: usize = 200;

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Deferred,
    Bounced,
    Rejected,
    Warning,
    Fatal,
}

pub struct Trouble {
    /// "12:00:00"
    pub time: String,
    pub kind: Kind,
    /// Service and what it said, without control characters.
    pub text: String,
}

pub struct Watch<'o> {
    pub name: String,
    reader: AccurateReader<'o>,
    pub state: State<'o>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// What came in each second, of the clock that the log shows.
    seconds: BTreeMap<i64, [u64; 5]>,
    /// The newest line's second, and when it was read.
    newest: Option<(i64, Instant)>,
    /// The newest first.
    troubles: VecDeque<Trouble>,
    /// How many of them nobody has asked for yet.
    fresh: usize,
}

impl<'o> Watch<'o> {
    pub fn new(name: &str, reader: AccurateReader<'o>, state: State<'o>) -> Watch<'o> {
        Watch {
            name: harmless(name),
            reader,
            state,
            line: Vec::new(),
            seconds: BTreeMap::new(),
            newest: None,
            troubles: VecDeque::new(),
            fresh: 0,
        }
    }

    /// Bytes that were cut anywhere.
    pub fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let room = LONGEST.saturating_sub(self.line.len());
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            if part.ends_with(b"\n") {
                let mut line = std::mem::take(&mut self.line);
                self.whole(&line);
                line.clear();
                self.line = line;
            }
        }
    }

    fn whole(&mut self, line: &[u8]) {
        let Some(parts) = self.reader.parts(line) else { return };
        let at = parts.at;
        if let Some(kind) = kind(&parts) {
            let stamp = parts.stamp;
            self.troubles.push_front(Trouble {
                time: format!("{:02}:{:02}:{:02}", stamp.hour, stamp.minute, stamp.second),
                kind,
                text: harmless(&format!("{} {}", text(parts.service), text(parts.content))),
            });
            self.troubles.truncate(TROUBLES);
            self.fresh += 1;
        }
        let before = self.totals();
        self.reader.line(line, &mut self.state);
        let moved = std::array::from_fn(|at| self.totals()[at].saturating_sub(before[at]));
        if moved != [0; 5] {
            let second = self.seconds.entry(at).or_default();
            second.iter_mut().zip(moved).for_each(|(sum, moved): (&mut u64, u64)| *sum += moved);
        }
        if self.newest.is_none_or(|(newest, _)| at >= newest) {
            self.newest = Some((at, Instant::now()));
            if self.seconds.len() as i64 > HOUR {
                self.seconds = self.seconds.split_off(&(at - HOUR));
            }
        }
    }

    /// In the order of [`NAMES`].
    pub fn totals(&self) -> [u64; 5] {
        let tallies = &self.state.tallies;
        let received = tallies.received.saturating_sub(tallies.newer.withdrawn);
        [received, tallies.delivered + self.state.waiting().0, tallies.deferrals, tallies.bounced, tallies.rejected]
    }

    /// The log's clock: it goes on while no line comes.
    fn now(&self) -> i64 {
        self.newest.map_or(0, |(at, read)| at.saturating_add(read.elapsed().as_secs() as i64))
    }

    /// What came in the last minutes, the newest last.
    pub fn minutes(&self, count: usize) -> Vec<[u64; 5]> {
        let end = self.now() + 1;
        let mut minutes = vec![[0; 5]; count];
        for (&at, moved) in self.seconds.range(end - count as i64 * 60..end) {
            let back = usize::try_from((end - 1 - at) / 60).unwrap_or(0);
            if let Some(minute) = count.checked_sub(back + 1).and_then(|at| minutes.get_mut(at)) {
                minute.iter_mut().zip(moved).for_each(|(sum, moved)| *sum += moved);
            }
        }
        minutes
    }

    /// The newest first.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.troubles.iter()
    }

    /// The troubles since the last call, the oldest first.
    pub fn news(&mut self) -> impl Iterator<Item = &Trouble> {
        let fresh = std::mem::take(&mut self.fresh).min(self.troubles.len());
        self.troubles.iter().take(fresh).rev()
    }

    /// "received 5 (+1), delivered 4 (+0), ...", in all and in the last minute.
    pub fn in_words(&self) -> String {
        let minute = self.minutes(1).pop().unwrap_or_default();
        let words: Vec<String> = NAMES
            .iter()
            .zip(self.totals())
            .zip(minute)
            .map(|((name, total), minute)| format!("{name} {total} (+{minute})"))
            .collect();
        words.join(", ")
    }
}

fn kind(parts: &Parts<'_>) -> Option<Kind> {
    match Event::parse(parts.content) {
        Event::Delivery(delivery) => match delivery.status.as_ref() {
            b"deferred" => Some(Kind::Deferred),
            b"bounced" | b"expired" => Some(Kind::Bounced),
            _ => None,
        },
        Event::Expired { .. } => Some(Kind::Bounced),
        Event::Unreachable { .. } => Some(Kind::Deferred),
        Event::Verdict { action, .. } => match action.as_ref() {
            b"reject" | b"milter-reject" | b"proxy-reject" | b"discard" | b"milter-discard" => Some(Kind::Rejected),
            b"reject_warning" | b"warn" | b"warning" | b"hold" | b"milter-hold" => Some(Kind::Warning),
            _ => None,
        },
        Event::Warning(_) | Event::Error(_) => Some(Kind::Warning),
        Event::Fatal(_) | Event::Panic(_) => Some(Kind::Fatal),
        _ => None,
    }
}

/// The keys with the highest values that are not 0, at most `count`, ties by key.
pub fn top<V>(map: &Map<V>, count: usize, value: impl Fn(&V) -> u64) -> Vec<(&[u8], &V)> {
    let mut best: Vec<(u64, &[u8], &V)> = Vec::with_capacity(count + 1);
    for (key, of) in map.iter() {
        let value = value(of);
        let full = best.len() == count;
        if value == 0 || full && best.last().is_none_or(|last| (value, last.1) <= (last.0, key)) {
            continue;
        }
        let at = best.partition_point(|other| (other.0, key) >= (value, other.1));
        best.insert(at, (value, key, of));
        best.truncate(count);
    }
    best.into_iter().map(|(_, key, of)| (key, of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_that_of_a_sorted_list() {
        let mut map: Map<u64> = Map::default();
        for number in 0..1000u64 {
            *map.of(format!("key {:03}", number * 7919 % 1000).as_bytes()) = number * 31 % 17;
        }
        let mut all: Vec<(&[u8], &u64)> = map.iter().filter(|(_, value)| **value > 0).collect();
        all.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        for count in [0, 1, 5, 100, 2000] {
            assert_eq!(top(&map, count, |value| *value), all[..count.min(all.len())]);
        }
    }
}
