//! A large mbox on all cores. Where a message begins can be told from the bytes around its From_ line alone, so the file
//! is cut into pieces of equal length, each thread takes the next piece, and finds the messages that begin in it. What
//! they found is put together in the order of the file; if the messages of two pieces do not meet (a file that changes
//! while it is read), everything is read once more by one thread.

use super::scan::{Scan, Scanner};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of one piece.
const PIECE: u64 = 8 << 20;
/// More threads than this wait for the disk only.
const THREADS: usize = 8;

/// What one thread found in one piece.
#[derive(Default)]
pub(super) struct Piece {
    pub scan: Scan,
    /// The briefs of its messages, one after the other, and the length of each.
    pub briefs: Vec<u8>,
    pub lengths: Vec<u16>,
}

/// Takes the pieces in the order of the file.
pub(super) trait Sink: Send {
    fn take(&mut self, piece: &mut Piece);
    /// Everything that was taken is void.
    fn clear(&mut self);
}

/// For callers that want the messages only.
pub(super) struct NoBriefs;

impl Sink for NoBriefs {
    fn take(&mut self, _: &mut Piece) {}
    fn clear(&mut self) {}
}

/// The messages from `from`, the start of one, to the end of the file; `brief` asks for briefs in the pieces.
pub(super) fn scan(file: &File, from: u64, brief: bool, sink: &mut dyn Sink) -> io::Result<Scan> {
    scan_in(file, from, brief, sink, PIECE)
}

fn scan_in(file: &File, from: u64, brief: bool, sink: &mut dyn Sink, piece: u64) -> io::Result<Scan> {
    let mut scanner = Scanner::new(file, from, brief);
    let head = scanner.head(from)?;
    if head.foreign {
        return Ok(head);
    }
    let start = head.end;
    let length = file.metadata()?.len().saturating_sub(start);
    let count = usize::try_from(length / piece).unwrap_or(usize::MAX).max(1);
    let threads = std::thread::available_parallelism().map_or(1, |number| number.get().min(THREADS)).min(count);
    if count > 1
        && let Some(found) = by_pieces(file, start, brief, Cut { piece, count, threads }, sink)?
    {
        return Ok(found);
    }
    sink.clear();
    let mut piece = scanner.piece(start, u64::MAX)?;
    sink.take(&mut piece);
    Ok(piece.scan)
}

/// What is known of the file so far.
struct Joined<'s> {
    scan: Scan,
    next: usize,
    waiting: BTreeMap<usize, Piece>,
    meets: bool,
    sink: &'s mut dyn Sink,
}

impl Joined<'_> {
    fn add(&mut self, number: usize, piece: Piece) {
        self.waiting.insert(number, piece);
        while let Some(mut piece) = self.waiting.remove(&self.next) {
            self.next += 1;
            let Some(first) = piece.scan.messages.first() else { continue };
            self.meets &= first.offset == self.scan.end;
            self.scan.end = piece.scan.end;
            self.scan.base = self.scan.base.or(piece.scan.base);
            self.sink.take(&mut piece);
            self.scan.messages.append(&mut piece.scan.messages);
        }
    }
}

/// How a file is cut.
#[derive(Clone, Copy)]
struct Cut {
    piece: u64,
    count: usize,
    threads: usize,
}

/// None: the pieces do not meet.
fn by_pieces(
    file: &File,
    start: u64,
    brief: bool,
    Cut { piece, count, threads }: Cut,
    sink: &mut dyn Sink,
) -> io::Result<Option<Scan>> {
    let joined =
        Joined { scan: Scan { end: start, ..Scan::default() }, next: 0, waiting: BTreeMap::new(), meets: true, sink };
    let (joined, next, failed) = (Mutex::new(joined), AtomicUsize::new(0), AtomicBool::new(false));
    let work = || -> io::Result<()> {
        let mut scanner = Scanner::new(file, start, brief);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let from = start + number as u64 * piece;
            // The last piece has what is left, and what came since.
            let to = if number + 1 == count { u64::MAX } else { from + piece };
            let first = if number == 0 { Some(from) } else { scanner.message_from(from, to)? };
            let found = first.map_or_else(|| Ok(Piece::default()), |first| scanner.piece(first, to))?;
            joined.lock().unwrap_or_else(PoisonError::into_inner).add(number, found);
        }
    };
    let outcomes: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let watched = || {
            let outcome = work();
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcome
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(watched)).collect();
        let own = watched();
        let died = |_| Err(io::Error::other("a thread died"));
        others.into_iter().map(|thread| thread.join().unwrap_or_else(died)).chain([own]).collect()
    });
    outcomes.into_iter().collect::<io::Result<()>>()?;
    let joined = joined.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(joined.meets.then_some(joined.scan))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// What a sink was given.
    #[derive(Default, PartialEq, Debug)]
    struct Kept(Vec<u8>, Vec<u16>);

    impl Sink for Kept {
        fn take(&mut self, piece: &mut Piece) {
            self.0.append(&mut piece.briefs);
            self.1.append(&mut piece.lengths);
        }
        fn clear(&mut self) {
            assert!(self.0.is_empty(), "the pieces did not meet");
        }
    }

    #[test]
    fn pieces_of_any_length_find_the_same_messages() {
        let line = "From a@b Tue Nov 24 10:05:15 2026";
        let shapes = [
            format!("{line}\nSubject: x\n\nbody\n\n"),
            format!("{line}\nSubject: x\n\n"),
            format!("{line}\n\n"),
            format!("{line}\r\nFrom: a\r\n\r\nbody\r\n\r\n"),
            format!("{line}\nX-UID: 7\nno field\n\nFrom here\n\n>From there\n{line} is no start\n\n"),
            format!("{line}\nX-IMAPbase: 5 7\nSubject: a\n b\n\n\n\n\n"),
        ];
        let text: String = (0..40).map(|number: usize| shapes[number * number % 7 % shapes.len()].as_str()).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let (mut kept, mut whole) = (Kept::default(), None);
        for piece in [1 << 20, 1, 2, 3, 5, 7, 30, 34, 35, 64, 100, 333, 1000] {
            let mut again = Kept::default();
            let found = scan_in(&file, 0, true, &mut again, piece).unwrap();
            let found = (found.messages, found.base, found.end);
            assert_eq!(found.0.len(), again.1.len());
            match &whole {
                None => (kept, whole) = (again, Some(found)),
                Some(whole) => assert_eq!((&found, &again), (whole, &kept), "{piece}"),
            }
        }
        assert!(whole.is_some_and(|(messages, _, end)| messages.len() == 40 && end == text.len() as u64));
    }
}
