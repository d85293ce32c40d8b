//! Mail that goes through a program and comes back: pipe(8) hands a message to a filter, SpamAssassin's spamc most often,
//! and the filter hands it to sendmail(1). What comes back is no new message, and the way there is no delivery
//! (--accurate). The Message-ID is all that ties the two together. The message that comes back is mostly logged after the
//! delivery, so a delivery by pipe(8) waits until some more messages have left before it counts.

use super::{Moment, State};
use crate::applet::pflogsumm::map::{Digest, Key};
use std::collections::{HashMap, VecDeque};

/// How many messages leave the queue before a delivery counts.
const PATIENCE: usize = 64;

/// A delivery that waits.
pub struct Held {
    number: u64,
    at: Moment,
    id: Box<[u8]>,
    address: Box<[u8]>,
    delay: f64,
    size: u64,
}

/// A message that was given to a program.
struct Given {
    id: Digest,
    held: Vec<Held>,
    came_back: bool,
}

/// What a delivery by pipe(8) is.
enum Way {
    /// Not known yet.
    Held,
    /// To a filter, and this is the message that came back, if it was not known before.
    Through(Option<Digest>),
}

/// Messages by the digest of their Message-ID.
#[derive(Default)]
pub struct Filters {
    given: HashMap<Digest, Given>,
    /// What sendmail brought.
    brought: HashMap<Digest, Digest>,
    /// Message-ID and queue id of messages that have left.
    left: VecDeque<(Digest, Digest)>,
    deliveries: u64,
    /// Deliveries that turned out to be some.
    settled: Vec<Held>,
}

impl Filters {
    /// sendmail brought a message. If it is one that comes back, how many deliveries were none.
    pub fn brought(&mut self, name: Digest, id: Digest) -> Option<usize> {
        match self.given.get_mut(&name).filter(|given| given.id != id) {
            Some(given) => {
                given.came_back = true;
                Some(std::mem::take(&mut given.held).len())
            }
            None => {
                self.brought.insert(name, id);
                None
            }
        }
    }

    fn given(&mut self, name: Digest, id: Digest, mut held: Held) -> Way {
        if let Some(given) = self.given.get(&name)
            && given.id == id
            && given.came_back
        {
            return Way::Through(None);
        }
        if self.given.get(&name).is_none_or(|given| given.id != id) {
            let before = self.given.insert(name, Given { id, held: Vec::new(), came_back: false });
            self.settled.extend(before.into_iter().flat_map(|before| before.held));
        }
        let back = self.brought.get(&name).copied().filter(|&back| back != id);
        let Some(given) = self.given.get_mut(&name) else { return Way::Held };
        if back.is_some() {
            self.brought.remove(&name);
            given.came_back = true;
            return Way::Through(back);
        }
        self.deliveries += 1;
        held.number = self.deliveries;
        given.held.push(held);
        Way::Held
    }

    /// A message has left the queue.
    pub fn left(&mut self, name: Digest, id: Digest) {
        self.left.push_back((name, id));
        if self.left.len() <= PATIENCE {
            return;
        }
        let Some((name, id)) = self.left.pop_front() else { return };
        if self.brought.get(&name) == Some(&id) {
            self.brought.remove(&name);
        }
        if self.given.get(&name).is_some_and(|given| given.id == id)
            && let Some(given) = self.given.remove(&name)
        {
            self.settled.extend(given.held);
        }
    }

    /// Nothing comes any more.
    fn settle(&mut self) {
        self.settled.extend(self.given.drain().flat_map(|(_, given)| given.held));
        // In the order of the log, which sums of delays depend on.
        self.settled.sort_unstable_by_key(|held| held.number);
    }

    /// How many deliveries wait, and their bytes.
    fn waiting(&self) -> (u64, u64) {
        let held = self.given.values().flat_map(|given| &given.held);
        held.fold((0, 0), |(count, bytes), held| (count + 1, bytes + held.size))
    }
}

impl State<'_> {
    /// cleanup has seen a message.
    pub(super) fn open(&mut self, id: Key<'_>, name: Option<Key<'_>>) {
        let Some(newer) = &mut self.newer else { return };
        if newer.open(&mut self.tallies, id.digest, name.map(|name| name.digest)) {
            self.undo();
        }
    }

    /// pipe(8) gave a message to a program.
    pub(super) fn piped(&mut self, hour: u8, id: Key<'_>, address: Key<'_>, delay: f64) {
        let at = self.moment(hour);
        let Some((newer, name)) = self.newer.as_mut().and_then(|newer| newer.name(id.digest).map(|name| (newer, name)))
        else {
            return self.sent(hour, id, address, delay);
        };
        let size = newer.size(id);
        let held = Held { number: 0, at, id: id.text.into(), address: address.text.into(), delay, size };
        match newer.filters.given(name, id.digest, held) {
            Way::Held => {}
            Way::Through(back) => {
                self.tallies.newer.filtered += 1;
                if let Some(back) = back {
                    newer.came_back(&mut self.tallies, back);
                }
                self.undo();
            }
        }
        self.count_settled();
    }

    /// Counts the deliveries that waited for nothing.
    pub(super) fn count_settled(&mut self) {
        let Some(newer) = self.newer.as_mut().filter(|newer| !newer.filters.settled.is_empty()) else { return };
        for held in std::mem::take(&mut newer.filters.settled) {
            self.delivered(held.at, &held.id, Key::of(&held.address), held.delay, held.size);
        }
    }

    /// The end: nothing comes back any more.
    pub(super) fn settle(&mut self) {
        if let Some(newer) = &mut self.newer {
            newer.filters.settle();
        }
        self.count_settled();
    }

    /// Deliveries that may yet be none, and their bytes.
    pub fn waiting(&self) -> (u64, u64) {
        self.newer.as_ref().map_or((0, 0), |newer| newer.filters.waiting())
    }
}
