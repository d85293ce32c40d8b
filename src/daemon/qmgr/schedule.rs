//! The scheduler: which delivery is next. A pure function of what was added, what finished and the time; tests never
//! sleep.
//!
//! Each transport has a process limit and destinations; each destination a queue of jobs and a window of concurrent
//! deliveries that grows with success and shrinks when the destination does not answer (default_destination_
//! concurrency_*, postconf(5)). A destination whose whole window failed in a row is dead for minimal_backoff_time:
//! its mail is deferred without trying. Transports and destinations take turns, so that no sender of much mail
//! keeps the others waiting.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The limits of a transport.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Deliveries of the whole transport at once.
    pub processes: usize,
    /// Deliveries to one destination at once, at first and at most.
    pub initial: usize,
    pub concurrency: usize,
    /// How long a dead destination is left alone.
    pub dead_time: Duration,
}

/// A piece of work for an agent; `M` is the caller's.
#[derive(Debug, PartialEq, Eq)]
pub struct Job<M> {
    pub transport: String,
    /// What concurrency is counted by: the next hop, or the recipient where recipients go one by one.
    pub destination: String,
    pub work: M,
}

#[derive(Debug)]
struct Destination<M> {
    waiting: VecDeque<M>,
    in_flight: usize,
    window: usize,
    /// Failures without a success between them.
    failures: usize,
    dead: Option<(Instant, String)>,
    /// Whether it stands in its transport's turn queue.
    in_turn: bool,
}

#[derive(Debug)]
struct Transport<M> {
    limits: Limits,
    in_flight: usize,
    destinations: HashMap<String, Destination<M>>,
    /// Destinations with waiting work and room in their window.
    turn: VecDeque<String>,
}

#[derive(Debug)]
pub struct Scheduler<M> {
    transports: HashMap<String, Transport<M>>,
    turn: VecDeque<String>,
}

impl<M> Default for Scheduler<M> {
    fn default() -> Self {
        Scheduler { transports: HashMap::new(), turn: VecDeque::new() }
    }
}

impl<M> Scheduler<M> {
    /// Adds a job. A job for a dead destination comes back with the reason.
    pub fn add(&mut self, job: Job<M>, now: Instant, limits: impl FnOnce(&str) -> Limits) -> Result<(), (M, String)> {
        if !self.transports.contains_key(&job.transport) {
            let limits = limits(&job.transport);
            self.turn.push_back(job.transport.clone());
            let made = Transport { limits, in_flight: 0, destinations: HashMap::new(), turn: VecDeque::new() };
            self.transports.insert(job.transport.clone(), made);
        }
        let Some(transport) = self.transports.get_mut(&job.transport) else { return Err((job.work, String::new())) };
        let initial = transport.limits.initial.max(1);
        let destination = transport.destinations.entry(job.destination.clone()).or_insert_with(|| Destination {
            waiting: VecDeque::new(),
            in_flight: 0,
            window: initial,
            failures: 0,
            dead: None,
            in_turn: false,
        });
        if let Some((until, reason)) = &destination.dead {
            if now < *until {
                return Err((job.work, reason.clone()));
            }
            destination.dead = None;
            // One delivery tries first whether it lives again.
            destination.window = 1;
            destination.failures = 0;
        }
        destination.waiting.push_back(job.work);
        transport.enter_turn(&job.destination);
        Ok(())
    }

    /// The next job that may start now.
    pub fn next(&mut self) -> Option<Job<M>> {
        for _ in 0..self.turn.len() {
            let name = self.turn.pop_front()?;
            self.turn.push_back(name.clone());
            let Some(transport) = self.transports.get_mut(&name) else { continue };
            if let Some((destination, work)) = transport.next() {
                return Some(Job { transport: name, destination, work });
            }
        }
        None
    }

    /// A job ended. `down`: the destination did not answer, with the reason; when it is dead by that, the jobs that
    /// waited for it come back.
    pub fn finished(&mut self, transport: &str, destination: &str, down: Option<&str>, now: Instant) -> Vec<M> {
        let Some(entry) = self.transports.get_mut(transport) else { return Vec::new() };
        entry.in_flight = entry.in_flight.saturating_sub(1);
        let limits = entry.limits.clone();
        let Some(target) = entry.destinations.get_mut(destination) else { return Vec::new() };
        target.in_flight = target.in_flight.saturating_sub(1);
        let mut returned = Vec::new();
        match down {
            None => {
                target.failures = 0;
                target.window = (target.window + 1).min(limits.concurrency.max(1));
            }
            Some(reason) => {
                target.failures += 1;
                if target.failures >= target.window {
                    target.dead = Some((now + limits.dead_time, reason.to_owned()));
                    returned.extend(target.waiting.drain(..));
                } else {
                    target.window = target.window.saturating_sub(1).max(1);
                }
            }
        }
        let forgettable = target.waiting.is_empty() && target.in_flight == 0 && target.dead.is_none();
        if forgettable {
            entry.destinations.remove(destination);
        } else {
            entry.enter_turn(destination);
        }
        returned
    }

    /// Forgets which destinations are dead (a flush).
    pub fn revive(&mut self) {
        for transport in self.transports.values_mut() {
            transport.destinations.retain(|_, destination| {
                destination.dead = None;
                destination.failures = 0;
                destination.in_flight > 0 || !destination.waiting.is_empty()
            });
        }
    }

    /// Forgets limits, so that a new configuration's apply; work that waits stays.
    pub fn refresh_limits(&mut self, limits: impl Fn(&str) -> Limits) {
        for (name, transport) in &mut self.transports {
            transport.limits = limits(name);
        }
    }

    /// Forgets dead destinations whose time is over, so that memory stays bounded.
    pub fn expire(&mut self, now: Instant) {
        for transport in self.transports.values_mut() {
            transport.destinations.retain(|_, destination| {
                let over = destination.dead.as_ref().is_none_or(|(until, _)| now >= *until);
                !(over && destination.in_flight == 0 && destination.waiting.is_empty())
            });
        }
    }
}

impl<M> Transport<M> {
    fn enter_turn(&mut self, name: &str) {
        if let Some(destination) = self.destinations.get_mut(name)
            && !destination.in_turn
            && !destination.waiting.is_empty()
            && destination.in_flight < destination.window
        {
            destination.in_turn = true;
            self.turn.push_back(name.to_owned());
        }
    }

    fn next(&mut self) -> Option<(String, M)> {
        if self.in_flight >= self.limits.processes {
            return None;
        }
        while let Some(name) = self.turn.pop_front() {
            let Some(destination) = self.destinations.get_mut(&name) else { continue };
            destination.in_turn = false;
            if destination.in_flight >= destination.window {
                continue;
            }
            let Some(work) = destination.waiting.pop_front() else { continue };
            destination.in_flight += 1;
            self.in_flight += 1;
            self.enter_turn(&name);
            return Some((name, work));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(_: &str) -> Limits {
        Limits { processes: 3, initial: 2, concurrency: 4, dead_time: Duration::from_secs(300) }
    }

    fn job(destination: &str, work: u32) -> Job<u32> {
        Job { transport: "smtp".into(), destination: destination.into(), work }
    }

    #[test]
    fn destinations_take_turns_within_their_windows() {
        let now = Instant::now();
        let mut scheduler = Scheduler::default();
        for work in 0..4 {
            scheduler.add(job("a", work), now, limits).unwrap();
        }
        scheduler.add(job("b", 10), now, limits).unwrap();
        let started: Vec<u32> = std::iter::from_fn(|| scheduler.next()).map(|job| job.work).collect();
        // Two of a by its window, one of b; the transport's limit is three.
        assert_eq!(started, [0, 10, 1]);
        assert!(scheduler.finished("smtp", "a", None, now).is_empty());
        assert_eq!(scheduler.next().map(|job| job.work), Some(2));
    }

    #[test]
    fn a_dead_destination_gives_its_mail_back_and_is_left_alone() {
        let now = Instant::now();
        let mut scheduler = Scheduler::default();
        for work in 0..4 {
            scheduler.add(job("a", work), now, limits).unwrap();
        }
        let _ = (scheduler.next(), scheduler.next());
        // The first failure shrinks the window to one, which the second then fills.
        let first = scheduler.finished("smtp", "a", Some("refused"), now);
        let second = scheduler.finished("smtp", "a", Some("refused"), now);
        assert_eq!([first, second].concat(), [2, 3]);
        assert_eq!(scheduler.add(job("a", 9), now, limits), Err((9, "refused".into())));
        let later = now + Duration::from_secs(301);
        assert_eq!(scheduler.add(job("a", 9), later, limits), Ok(()));
        assert_eq!(scheduler.next().map(|job| job.work), Some(9));
    }

    #[test]
    fn a_flush_revives() {
        let now = Instant::now();
        let mut scheduler = Scheduler::default();
        scheduler.add(job("a", 0), now, |_| Limits { initial: 1, ..limits("") }).unwrap();
        let _ = scheduler.next();
        scheduler.finished("smtp", "a", Some("refused"), now);
        assert!(scheduler.add(job("a", 1), now, limits).is_err());
        scheduler.revive();
        assert!(scheduler.add(job("a", 1), now, limits).is_ok());
    }
}
