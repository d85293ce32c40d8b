//! What the accurate outputs tell beyond the reference's tallies: traffic by the hour, how delays spread, why
//! destinations defer, and what is needed to see that a day is unlike those before it.

use super::fact::Reason;
use super::map::{Counts, Key, Map};
use super::tallies::Column;
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub struct Extras {
    /// The columns of each hour, by hours of the wall clock since 1970.
    pub series: BTreeMap<i64, [u64; 5]>,
    hour: Option<i64>,
    /// Of all deliveries.
    pub delays: Spread,
    /// By the recipient domain's place.
    pub domain_delays: HashMap<u32, Spread>,
    /// Recipient domain, reason.
    pub destinations: Map<Counts>,
    /// Messages by the sender's place and the day's.
    pub sender_days: HashMap<(u32, usize), u64>,
    /// "RCPT: reason"
    pub reject_reasons: Map<u64>,
    pub reason_days: HashMap<(u32, usize), u64>,
}

/// The hours that a series has at most; a log of a hundred years has fewer.
const MOST_HOURS: usize = 1 << 20;

impl Extras {
    pub fn hour(&mut self, hour: i64) {
        self.hour = Some(hour);
    }

    pub fn count(&mut self, hour: Option<i64>, column: Column) {
        let Some(hour) = hour else { return };
        if self.series.len() < MOST_HOURS || self.series.contains_key(&hour) {
            self.series.entry(hour).or_default()[column as usize] += 1;
        }
    }

    /// The hour of the newest line.
    pub fn this_hour(&self) -> Option<i64> {
        self.hour
    }

    pub fn uncount(&mut self, hour: Option<i64>, column: Column) {
        if let Some(count) = hour.and_then(|hour| self.series.get_mut(&hour)?.get_mut(column as usize)) {
            *count = count.saturating_sub(1);
        }
    }

    pub fn unsender(&mut self, sender: u32, day: usize) {
        if let Some(count) = self.sender_days.get_mut(&(sender, day)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The senders' new places, by their old ones.
    pub fn senders_moved(&mut self, places: &[Option<u32>]) {
        let old = std::mem::take(&mut self.sender_days);
        self.sender_days = old
            .into_iter()
            .filter_map(|((place, day), count)| Some(((places.get(place as usize).copied()??, day), count)))
            .collect();
    }

    pub fn delay(&mut self, domain: u32, delay: f64) {
        self.delays.add(delay);
        self.domain_delays.entry(domain).or_default().add(delay);
    }

    pub fn sender(&mut self, sender: u32, day: usize) {
        *self.sender_days.entry((sender, day)).or_default() += 1;
    }

    pub fn reject(&mut self, why: &Reason<'_>, day: usize) {
        let (place, _) = self.reject_reasons.place(Key::of(&[why.kind, b": ", why.reason].concat()));
        if let Some(count) = self.reject_reasons.at(place) {
            *count += 1;
        }
        *self.reason_days.entry((place, day)).or_default() += 1;
    }
}

/// How times spread, in sixteen steps for each doubling: percentiles are right to 5 %.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    steps: BTreeMap<u16, u64>,
    count: u64,
    longest: f64,
}

impl Spread {
    pub fn add(&mut self, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        *self.steps.entry(Spread::step(seconds)).or_default() += 1;
        self.count += 1;
        self.longest = self.longest.max(seconds);
    }

    fn step(seconds: f64) -> u16 {
        let milliseconds = seconds * 1000.0;
        // Below a millisecond is step 0; u16 holds any other.
        if milliseconds < 1.0 { 0 } else { (milliseconds.log2() * 16.0) as u16 + 1 }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many stayed within this time, to the step.
    pub fn up_to(&self, seconds: f64) -> u64 {
        self.steps.range(..=Spread::step(seconds)).map(|(_, count)| count).sum()
    }

    pub fn longest(&self) -> f64 {
        self.longest
    }

    /// The time in seconds that this many of a hundred stayed within.
    pub fn percentile(&self, percent: u64) -> f64 {
        let want = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        for (&step, &count) in &self.steps {
            seen += count;
            if seen >= want {
                return match step {
                    0 => 0.0,
                    step => ((f64::from(step) / 16.0).exp2() / 1000.0).min(self.longest),
                };
            }
        }
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_close() {
        let mut spread = Spread::default();
        (1..=1000).for_each(|number| spread.add(f64::from(number) / 10.0));
        for (percent, want) in [(50, 50.0), (90, 90.0), (99, 99.0), (100, 100.0)] {
            let got = spread.percentile(percent);
            assert!((got - want).abs() <= want * 0.05, "{percent}: {got}");
        }
        spread.add(f64::NAN);
        spread.add(-5.0);
        assert_eq!((spread.count(), spread.longest()), (1002, 100.0));
        assert_eq!(Spread::default().percentile(50), 0.0);
    }
}
