//! What is known of each message by its queue id: size, whether it was deferred, the client that sent it. Sixteen bytes
//! each, kept for the whole input: 1.1.5 does not count a queue id twice, and gives a delivery the size that its id first
//! had, however long ago that message was removed. Forgetting those that are done with would be flat and would count
//! otherwise wherever a log is given twice or short queue ids come again. 1.3.0 and --accurate do forget them.

use super::map::{Digest, Key, Map};
use crate::sys::prefetch::{filled, prefetch};
use std::collections::HashMap;

/// Messages by digest of their queue id, in an open table.
#[derive(Default)]
pub struct Messages {
    slots: Vec<Message>,
    used: usize,
    /// Sizes that do not fit into a slot.
    large: HashMap<Digest, u64>,
    /// Each client's domain stands once here, however many messages are under way.
    clients: Map<()>,
}

/// An empty slot has digest 0.
#[derive(Clone, Copy, Default)]
struct Message {
    digest: u64,
    /// In bytes; 0 when it was not logged, LARGE when it stands elsewhere.
    size: u32,
    /// The client's place + 1, 0 for none; the highest bit says that the message was deferred.
    client: u32,
}

const LARGE: u32 = u32::MAX;
const DEFERRED: u32 = 1 << 31;

/// Of a queue id.
pub fn key(id: Key<'_>) -> Digest {
    Digest(id.digest.0.max(1))
}

impl Messages {
    /// A message that is asked for soon.
    pub fn want(&self, message: Digest) {
        prefetch(&self.slots, message.0 as usize & self.slots.len().wrapping_sub(1));
    }

    /// The message's size in bytes; 0 when it was not logged.
    pub fn size(&self, message: Digest) -> u64 {
        match self.find(message) {
            None => 0,
            Some(Message { size: LARGE, .. }) => self.large.get(&message).copied().unwrap_or(0),
            Some(Message { size, .. }) => u64::from(size),
        }
    }

    /// Sets the size of a message that has none yet and gives its client, once; None when it has one.
    pub fn set_size(&mut self, message: Digest, size: u64) -> Option<Option<&[u8]>> {
        let slot = self.slot(message);
        if slot.size != 0 {
            return None;
        }
        slot.size = u32::try_from(size).unwrap_or(LARGE);
        let place = slot.client & !DEFERRED;
        slot.client &= DEFERRED;
        if slot.size == LARGE {
            self.large.insert(message, size);
        }
        Some(place.checked_sub(1).and_then(|place| self.clients.key(place)))
    }

    /// True the first time.
    pub fn first_deferral(&mut self, message: Digest) -> bool {
        let slot = self.slot(message);
        let first = slot.client & DEFERRED == 0;
        slot.client |= DEFERRED;
        first
    }

    /// smtpd or pickup took the message in; `client` is the sending domain, None when it cannot be read.
    pub fn arrive(&mut self, message: Digest, client: Option<&[u8]>) {
        let place = client.map_or(0, |client| self.clients.place(Key::of(client)).0 + 1);
        let slot = self.slot(message);
        // There are fewer clients than 2^31: their names would not fit into memory.
        slot.client = slot.client & DEFERRED | place & !DEFERRED;
    }

    fn find(&self, message: Digest) -> Option<Message> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = message.0 as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.digest == message.0 {
                return Some(slot);
            }
            if slot.digest == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    fn slot(&mut self, message: Digest) -> &mut Message {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let slots = filled((self.slots.len() * 2).max(64), Message::default());
            for old in std::mem::replace(&mut self.slots, slots).into_iter().filter(|old| old.digest != 0) {
                let at = self.place(old.digest);
                self.slots[at] = old;
            }
        }
        let at = self.place(message.0);
        let slot = &mut self.slots[at];
        if slot.digest == 0 {
            slot.digest = message.0;
            self.used += 1;
        }
        slot
    }

    /// Where a digest stands, or would.
    fn place(&self, digest: u64) -> usize {
        // A quarter of the slots is empty, so this ends.
        let mask = self.slots.len() - 1;
        let mut at = digest as usize & mask;
        while self.slots[at].digest != 0 && self.slots[at].digest != digest {
            at = (at + 1) & mask;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_once_and_kept() {
        let mut messages = Messages::default();
        for number in 0..1000u64 {
            let message = key(Key::of(&number.to_le_bytes()));
            assert_eq!(messages.size(message), 0);
            messages.arrive(message, Some(b"a.example"));
            assert!(messages.first_deferral(message));
            assert_eq!(messages.set_size(message, 0), Some(Some(&b"a.example"[..])));
            assert_eq!(messages.set_size(message, number << 30 | 1), Some(None));
            assert_eq!(messages.set_size(message, 5), None);
            assert!(!messages.first_deferral(message));
        }
        assert_eq!(messages.size(key(Key::of(&999u64.to_le_bytes()))), 999 << 30 | 1);
    }
}
