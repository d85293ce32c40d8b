//! Reading on several cores. Each thread takes the next piece of the logs, turns its lines into facts, and hands these
//! over; one thread counts them in the order of the log. The pieces may be cut anywhere: no fact depends on another line,
//! and all that does depend on order is counted in order.

use super::fact::Sink;
use super::input::{Feed, LONGEST, Lines};
use super::tape::Tape;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Bytes of a piece: small enough to stay in a core's cache while it is read twice.
pub const PIECE: usize = 192 * 1024;
const _: () = assert!(PIECE > LONGEST);

/// Reads all logs into `sink`; `reader` makes one for each thread. The result is the same for any number of threads and
/// any size of pieces.
pub fn read<L: Lines>(feed: Feed, reader: impl Fn() -> L + Sync, sink: &mut impl Sink, threads: usize, size: usize) {
    if threads < 2 {
        return read_alone(feed, &mut reader(), sink, size);
    }
    // As many pieces are under way as there are tapes: whoever has none waits, so memory is bounded.
    let (give_back, spare) = sync_channel(threads * 2);
    for _ in 0..threads * 2 {
        let _ = give_back.send(Tape::default());
    }
    let (spare, feed) = (Mutex::new(spare), Mutex::new((feed, 0u64)));
    std::thread::scope(|scope| {
        // Dropped with this thread's part, whatever ends it: then nobody waits for a tape any more.
        let give_back = give_back;
        let (send, receive) = sync_channel(threads * 2);
        for _ in 0..threads {
            let (send, spare, feed, reader) = (send.clone(), &spare, &feed, &reader);
            scope.spawn(move || work(spare, feed, reader(), &send, size));
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (number, tape) in receive {
            match tape {
                Ok(tape) => early.insert(number, tape),
                Err(panic) => std::panic::resume_unwind(panic),
            };
            while let Some(tape) = early.remove(&next) {
                sink.tape(&tape);
                next += 1;
                // Nobody waits for it at the end.
                let _ = give_back.send(tape);
            }
        }
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

/// One thread's part.
fn work<L: Lines>(
    spare: &Mutex<Receiver<Tape>>,
    feed: &Mutex<(Feed, u64)>,
    mut reader: L,
    done: &SyncSender<(u64, std::thread::Result<Tape>)>,
    size: usize,
) {
    let mut piece = vec![0; size];
    loop {
        // First the tape, then the piece: whoever has a piece can always go on.
        let Ok(mut tape) = spare.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
        let (number, length) = {
            let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
            let (feed, next) = &mut *feed;
            let Some(length) = feed.fill(&mut piece) else { return };
            let number = *next;
            *next += 1;
            (number, length)
        };
        let facts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tape.clear();
            reader.begin();
            reader.piece(&piece[..length], &mut tape);
            tape
        }));
        let failed = facts.is_err();
        if done.send((number, facts)).is_err() || failed {
            return;
        }
    }
}
