//! `--explain-differences`: both ways of counting side by side, line by line. Whatever line moves a total of one and not
//! of the other is shown with what it moved; so what a reused queue id or a later line changes shows, too.

use super::numbers::text;
use crate::applet::pflogsumm::fact::{Fact, Sink};
use crate::applet::pflogsumm::input::{Feed, Lines};
use crate::applet::pflogsumm::read::Reader;
use crate::applet::pflogsumm::read::accurate::{AccurateReader, HABITS};
use crate::applet::pflogsumm::state::State;
use memchr::memchr_iter;
use std::collections::HashMap;
use std::io::{self, Write};

const NAMES: [&str; 19] = [
    "received",
    "delivered",
    "forwarded",
    "filtered",
    "deferred",
    "deferrals",
    "bounced",
    "expired",
    "rejected",
    "reject warnings",
    "held",
    "discarded",
    "bytes received",
    "bytes delivered",
    "days",
    "sending hosts/domains",
    "unreachable",
    "master messages",
    "year",
];
/// Shown as it is, not as what was added.
const YEAR: usize = NAMES.len() - 1;
const HOSTS: usize = NAMES.len() - 4;
type Totals = [i64; NAMES.len()];

/// Lines shown of a kind, and how much of each.
const EXAMPLES: usize = 3;
const LONGEST: usize = 400;
/// Kinds of differences: what counts differently, and by which service.
const MOST_KINDS: usize = 1000;

fn totals(state: &State<'_>) -> Totals {
    let tallies = &state.tallies;
    let received = tallies.received as i64 - tallies.newer.withdrawn as i64;
    // What waits counts until it turns out to be none.
    let (waiting, bytes_waiting) = state.waiting();
    [
        received,
        (tallies.delivered + waiting) as i64,
        tallies.forwarded as i64,
        tallies.newer.filtered as i64,
        tallies.deferred as i64,
        tallies.deferrals as i64,
        tallies.bounced as i64,
        tallies.newer.expired as i64,
        tallies.rejected as i64,
        tallies.reject_warnings as i64,
        tallies.held as i64,
        tallies.discarded as i64,
        tallies.bytes_received as i64,
        tallies.bytes_delivered.saturating_add(bytes_waiting) as i64,
        tallies.days.len().max(tallies.day_changes as usize) as i64,
        tallies.sender_domains.len() as i64,
        tallies.smtp_failures.values().flat_map(|hosts| hosts.values()).sum::<u64>() as i64,
        tallies.master.values().sum::<u64>() as i64,
        state.year(),
    ]
}

struct Kind {
    count: u64,
    examples: Vec<String>,
}

/// Counts facts, and remembers of one line's those whose texts may differ where the totals do not.
struct Heard<'s, 'o> {
    state: &'s mut State<'o>,
    deferral: Option<String>,
    master: Option<String>,
}

impl<'s, 'o> Heard<'s, 'o> {
    fn of(state: &'s mut State<'o>) -> Heard<'s, 'o> {
        Heard { state, deferral: None, master: None }
    }
}

impl Sink for Heard<'_, '_> {
    fn take(&mut self, fact: Fact<'_>) {
        match fact {
            Fact::Deferred { why: Some(why), .. } => {
                // The reference leaves that out; no text is another one by it.
                self.deferral = Some(text(why.reason.strip_prefix(b"connect to ").unwrap_or(why.reason)));
            }
            Fact::Master(said) => self.master = Some(text(said)),
            _ => {}
        }
        self.state.take(fact);
    }
}

/// Reads all lines twice and writes what differs. The states are of the two ways of counting.
pub fn write(
    out: &mut impl Write,
    mut feed: Feed,
    (mut stable, mut old): (Reader<'_>, State<'_>),
    (mut accurate, mut new): (AccurateReader<'_>, State<'_>),
    piece: usize,
) -> io::Result<()> {
    let mut kinds: HashMap<String, Kind> = HashMap::new();
    let mut bytes = vec![0; piece];
    let (mut before_old, mut before_new) = (totals(&old), totals(&new));
    while let Some(length) = feed.fill(&mut bytes) {
        let bytes = &bytes[..length];
        stable.announce(true);
        let mut begin = 0;
        for end in memchr_iter(b'\n', bytes).chain([length]) {
            let line = bytes.get(begin..end).unwrap_or_default();
            begin = end + 1;
            if line.is_empty() {
                continue;
            }
            let (mut by_reference, mut right) = (Heard::of(&mut old), Heard::of(&mut new));
            stable.line(line, &mut by_reference);
            accurate.line(line, &mut right);
            for (what, said, rightly) in [
                ("a deferral has another reason", by_reference.deferral, right.deferral),
                ("a message of the master daemon has another text", by_reference.master, right.master),
            ] {
                if let (Some(said), Some(rightly)) = (said, rightly)
                    && said != rightly
                {
                    note(&mut kinds, what.to_owned(), format!("{said:?}, right is {rightly:?}: {}", text(line)));
                }
            }
            let (now_old, now_new) = (totals(&old), totals(&new));
            let moved = |before: &Totals, now: &Totals| -> Totals {
                std::array::from_fn(|at| now[at].wrapping_sub(before[at]))
            };
            let (by_old, by_new) = (moved(&before_old, &now_old), moved(&before_new, &now_new));
            if by_old != by_new {
                let (by_old, by_new) = (words(&by_old, &by_new, &now_old), words(&by_new, &by_old, &now_new));
                note(&mut kinds, format!("the reference counts {by_old}; right is {by_new}"), text(line));
            }
            let names = [old.tallies.sender_domains.newest(), new.tallies.sender_domains.newest()]
                .map(Option::unwrap_or_default);
            if names[0] != names[1]
                && before_old != now_old
                && before_new != now_new
                && by_old[HOSTS] + by_new[HOSTS] > 0
            {
                let example = format!("{}, right is {}: {}", text(names[0]), text(names[1]), text(line));
                note(&mut kinds, "a sending host or domain has another name".to_owned(), example);
            }
            (before_old, before_new) = (now_old, now_new);
        }
    }
    report(out, &before_old, &before_new, kinds)
}

fn note(kinds: &mut HashMap<String, Kind>, name: String, mut example: String) {
    if kinds.len() >= MOST_KINDS && !kinds.contains_key(&name) {
        return;
    }
    let kind = kinds.entry(name).or_insert_with(|| Kind { count: 0, examples: Vec::new() });
    kind.count += 1;
    if kind.examples.len() < EXAMPLES {
        if let Some((end, _)) = example.char_indices().nth(LONGEST) {
            example.truncate(end);
        }
        kind.examples.push(example);
    }
}

/// "received +1, days +1" or "nothing", without what the other way moved alike; sizes of bytes are left out, so that
/// lines alike are alike.
fn words(moved: &Totals, other: &Totals, now: &Totals) -> String {
    let words: Vec<String> = NAMES
        .iter()
        .zip(moved)
        .enumerate()
        .filter(|(at, (_, moved))| **moved != 0 && other.get(*at) != Some(moved))
        .map(|(at, (name, moved))| match at {
            YEAR => format!("{name} {}", now[YEAR]),
            _ if name.starts_with("bytes") => (*name).to_owned(),
            _ => format!("{name} {moved:+}"),
        })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn report(out: &mut impl Write, old: &Totals, new: &Totals, kinds: HashMap<String, Kind>) -> io::Result<()> {
    writeln!(out, "{:<22}{:>14}{:>14}", "", "pflogsumm", "accurate")?;
    for ((name, old), new) in NAMES.iter().zip(old).zip(new) {
        let mark = if old == new { "" } else { "  *" };
        writeln!(out, "{name:<22}{old:>14}{new:>14}{mark}")?;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_unstable_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
    for (name, kind) in kinds {
        writeln!(out, "\n{} lines: {name}", kind.count)?;
        for example in kind.examples {
            writeln!(out, "  {example}")?;
        }
    }
    writeln!(out, "\nWhat --accurate does otherwise:")?;
    HABITS.iter().try_for_each(|habit| writeln!(out, "  * {habit}"))
}
