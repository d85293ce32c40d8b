//! What looks unusual, each with the figures behind it: never a verdict, always a place to look at.

use super::numbers::text;
use crate::applet::pflogsumm::extras::Extras;
use crate::applet::pflogsumm::tallies::Tallies;
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Write};

#[derive(Debug, Serialize)]
pub struct Hint {
    /// "destination-defers", "sender-above-habit", "reject-reason-rises"
    pub kind: &'static str,
    /// The domain, sender or reason.
    pub about: String,
    pub text: String,
    pub count: u64,
    /// What would have been usual, where there is a habit.
    pub usual: Option<f64>,
}

/// Below these numbers nothing is said: small numbers are always unusual.
const FEWEST_DEFERRALS: u64 = 5;
const FEWEST_SENT: u64 = 50;
const FEWEST_REJECTS: u64 = 20;
/// How many times the habit is unusual.
const TIMES: f64 = 5.0;
/// Days that make a habit.
const HABIT: usize = 2;
/// Hints of a kind.
const MOST: usize = 10;

/// All hints, each kind's strongest first.
pub fn hints(tallies: &Tallies, extras: &Extras) -> Vec<Hint> {
    let mut hints = Vec::new();
    let mut keep = |mut list: Vec<Hint>| {
        list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.about.cmp(&b.about)));
        list.truncate(MOST);
        hints.extend(list);
    };
    let deferring = tallies
        .recipient_domains
        .iter()
        .filter(|(_, of)| of.deferrals >= FEWEST_DEFERRALS && of.deferrals >= of.messages.saturating_mul(9));
    keep(
        deferring
            .map(|(domain, of)| {
                let (deferrals, messages) = (of.deferrals, of.messages);
                Hint {
                    kind: "destination-defers",
                    text: format!("{} put off {deferrals} deliveries and took {messages}", text(domain)),
                    about: text(domain),
                    count: deferrals,
                    usual: None,
                }
            })
            .collect(),
    );
    let senders = risen(tallies, &extras.sender_days, FEWEST_SENT).into_iter().filter_map(|(place, count, usual)| {
        let sender = text(tallies.senders.key(place)?);
        let text = format!("{sender} sent {count} messages on the last day and {usual:.1} a day before");
        Some(Hint { kind: "sender-above-habit", about: sender, text, count, usual: Some(usual) })
    });
    keep(senders.collect());
    let reasons =
        risen(tallies, &extras.reason_days, FEWEST_REJECTS).into_iter().filter_map(|(place, count, usual)| {
            let reason = text(extras.reject_reasons.key(place)?);
            let text = format!("\"{reason}\" rejected {count} times on the last day and {usual:.1} times a day before");
            Some(Hint { kind: "reject-reason-rises", about: reason, text, count, usual: Some(usual) })
        });
    keep(reasons.collect());
    hints
}

/// Who did at least this much on the last day and many times what was usual before: place, count, usual count.
fn risen(tallies: &Tallies, days: &HashMap<(u32, usize), u64>, fewest: u64) -> Vec<(u32, u64, f64)> {
    let date = |at: usize| tallies.days.get(at).map(|day| (day.year, day.month, day.day));
    let Some(last) = (0..tallies.days.len()).max_by_key(|&at| date(at)) else { return Vec::new() };
    let before = tallies.days.len() - 1;
    if before < HABIT {
        return Vec::new();
    }
    let mut earlier: HashMap<u32, u64> = HashMap::new();
    for (&(place, day), &count) in days {
        if day != last {
            *earlier.entry(place).or_default() += count;
        }
    }
    let risen = days.iter().filter(|&(&(_, day), &count)| day == last && count >= fewest);
    risen
        .map(|(&(place, _), &count)| (place, count, earlier.get(&place).copied().unwrap_or(0) as f64 / before as f64))
        .filter(|&(_, count, usual)| count as f64 >= usual * TIMES)
        .collect()
}

/// The section of the accurate text report.
pub fn write(out: &mut impl Write, hints: &[Hint]) -> io::Result<()> {
    if hints.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nHints\n-----")?;
    for hint in hints {
        writeln!(out, "  {}", hint.text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applet::pflogsumm::fact::Reason;
    use crate::applet::pflogsumm::map::Key;
    use crate::applet::pflogsumm::tallies::Day;

    #[test]
    fn what_is_usual_is_no_hint() {
        let mut tallies = Tallies::default();
        let mut extras = Extras::default();
        // The log does not begin with the earliest day.
        tallies.days = [24, 22, 23].map(|day| Day { year: 2026, month: 10, day, ..Day::default() }).to_vec();
        let rises = tallies.senders.place(Key::of(b"rises@a.example")).0;
        let steady = tallies.senders.place(Key::of(b"steady@a.example")).0;
        for (day, count) in [(0, 100), (1, 3), (2, 3)] {
            (0..count).for_each(|_| extras.sender(rises, day));
            (0..60).for_each(|_| extras.sender(steady, day));
        }
        let why = Reason { kind: b"RCPT", reason: b"blocked using rbl.example", about: b"" };
        (0..30).for_each(|_| extras.reject(&why, 0));
        for (domain, messages, deferrals) in [("down.example", 0, 7), ("slow.example", 20, 7), ("few.example", 0, 2)] {
            let of = tallies.recipient_domains.of(domain.as_bytes());
            (of.messages, of.deferrals) = (messages, deferrals);
        }
        let hints = hints(&tallies, &extras);
        let texts: Vec<&str> = hints.iter().map(|hint| hint.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "down.example put off 7 deliveries and took 0",
                "rises@a.example sent 100 messages on the last day and 3.0 a day before",
                "\"RCPT: blocked using rbl.example\" rejected 30 times on the last day and 0.0 times a day before",
            ]
        );
    }
}
