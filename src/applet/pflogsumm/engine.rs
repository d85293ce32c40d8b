//! Reading on several cores. Each thread takes the next piece of the logs, turns its lines into facts, and lays these on
//! the desk; whoever finds the next facts in the order of the log there counts them. The pieces may be cut anywhere: no
//! fact depends on another line, and all that does depend on order is counted in order.
//!
//! A thread that does nothing but count would be one more than there are cores: it and the readers wake each other for
//! each piece, and meanwhile a core has nothing to do.

use super::fact::Sink;
use super::input::{Feed, LONGEST, Lines};
use super::tape::Tape;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of a piece: small enough to stay in a core's cache while it is read twice.
pub const PIECE: usize = 192 * 1024;
const _: () = assert!(PIECE > LONGEST);

/// Tapes for each thread. As many pieces are under way as there are tapes: whoever has none waits, so memory is bounded.
const TAPES: usize = 4;

/// Reads all logs into `sink`; `reader` makes one for each thread. The result is the same for any number of threads and
/// any size of pieces.
pub fn read<L: Lines>(
    feed: Feed,
    reader: impl Fn() -> L + Sync,
    sink: &mut (impl Sink + Send),
    threads: usize,
    size: usize,
) {
    if threads < 2 {
        return read_alone(feed, &mut reader(), sink, size);
    }
    let spare = (0..threads * TAPES).map(|_| Tape::default()).collect();
    let office = Office {
        feed: Mutex::new((feed, 0)),
        desk: Mutex::new(Desk { spare, ..Desk::default() }),
        moved: Condvar::new(),
        sink: Mutex::new(sink),
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| office.work(&mut reader(), size));
        }
        office.work(&mut reader(), size);
    });
}

/// Reads all logs into `sink` in this thread.
pub fn read_alone(mut feed: Feed, reader: &mut impl Lines, sink: &mut impl Sink, size: usize) {
    let mut piece = vec![0; size];
    // Also here by a tape: a sink does better with many facts at hand.
    let mut tape = Tape::default();
    while let Some(length) = feed.fill(&mut piece) {
        tape.clear();
        reader.piece(&piece[..length], &mut tape);
        sink.tape(&tape);
    }
}

/// What the threads share.
struct Office<'s, S> {
    /// The logs, and the number of their next piece.
    feed: Mutex<(Feed, u64)>,
    desk: Mutex<Desk>,
    /// Something on the desk has changed.
    moved: Condvar,
    sink: Mutex<&'s mut S>,
}

/// Tapes that nobody works on.
#[derive(Default)]
struct Desk {
    spare: Vec<Tape>,
    /// With facts of pieces, to be counted in this order.
    full: BTreeMap<u64, Tape>,
    /// The piece whose turn it is.
    next: u64,
    /// Somebody counts already.
    counting: bool,
    /// A thread has panicked: its piece will never come.
    failed: bool,
}

impl<S: Sink> Office<'_, S> {
    /// One thread's part.
    fn work(&self, reader: &mut impl Lines, size: usize) {
        let _alarm = Alarm(self);
        let mut piece = vec![0; size];
        // First the tape, then the piece: whoever has a piece can always go on.
        while let Some(mut tape) = self.tape() {
            let (number, length) = {
                let (feed, next) = &mut *self.feed.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(length) = feed.fill(&mut piece) else { return };
                *next += 1;
                (*next - 1, length)
            };
            tape.clear();
            reader.begin();
            reader.piece(&piece[..length], &mut tape);
            let mut desk = self.desk();
            desk.full.insert(number, tape);
            self.count(desk);
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty tape, as soon as there is one; nothing when all is in vain.
    fn tape(&self) -> Option<Tape> {
        let mut desk = self.desk();
        loop {
            if desk.failed {
                return None;
            }
            // There are more tapes than threads: when all are full and nobody counts, the next piece is still being read,
            // and its reader will count.
            match desk.spare.pop() {
                Some(tape) => return Some(tape),
                None => desk = self.moved.wait(desk).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Counts what has its turn, unless somebody does already, who then counts this also.
    fn count<'d>(&'d self, mut desk: MutexGuard<'d, Desk>) {
        if desk.counting {
            return;
        }
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = desk.next;
        while let Some(tape) = desk.full.remove(&next) {
            desk.counting = true;
            drop(desk);
            sink.tape(&tape);
            next += 1;
            desk = self.desk();
            desk.next = next;
            desk.spare.push(tape);
            self.moved.notify_one();
        }
        desk.counting = false;
    }
}

/// Wakes those who would wait for a thread that panics.
struct Alarm<'o, 's, S>(&'o Office<'s, S>);

impl<S> Drop for Alarm<'_, '_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.desk.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
            self.0.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applet::pflogsumm::fact::Fact;

    /// Gives up at a word.
    struct Fearful;

    impl Lines for Fearful {
        fn begin(&mut self) {}

        fn announce(&mut self, _: bool) {}

        fn line(&mut self, line: &[u8], sink: &mut impl Sink) {
            assert_ne!(line, b"stop");
            sink.take(Fact::Line(line));
        }
    }

    #[derive(Default)]
    struct Count(usize);

    impl Sink for Count {
        fn take(&mut self, _: Fact<'_>) {
            self.0 += 1;
        }
    }

    fn count(log: String) -> usize {
        let mut count = Count::default();
        read(Feed::of(Box::new(std::io::Cursor::new(log))), || Fearful, &mut count, 3, 2 * LONGEST);
        count.0
    }

    #[test]
    fn all_lines_are_counted() {
        assert_eq!(count("a line\n".repeat(100_000)), 100_000);
    }

    /// Nobody waits for the piece that will not come.
    #[test]
    #[should_panic]
    fn a_panic_of_one_thread_ends_all() {
        count(format!("{}stop\n{}", "a line\n".repeat(50_000), "a line\n".repeat(500_000)));
    }
}
