//! Finds the lines that have one of many words, as a whole word, in one pass at the speed of memory: a few words by vector
//! instructions, each for itself, many by looking at a few bytes of the text at a time and passing over those between (as
//! in Wu and Manber's "A fast algorithm for multi-pattern searching", 1994). An automaton looks at each byte, in a table that no
//! cache holds.

use crate::applet::pflogsumm::fact::{Fact, Sink};
use crate::applet::pflogsumm::input::{LONGEST, Lines};
use memchr::{memchr, memmem, memrchr};
use std::collections::HashMap;

/// Bytes of a word that are searched, of all words as many as of the shortest.
const PIECE: usize = 16;

pub struct Finder<'w> {
    search: Search,
    /// For each piece that is searched, the words that it is part of, and where in them.
    words: HashMap<Piece, Vec<(&'w [u8], usize)>>,
}

/// As a number, the first byte lowest.
type Piece = u128;

enum Search {
    Few(Vec<(memmem::Finder<'static>, Piece)>),
    Many(Sieve),
}

/// As many pieces as are searched one after another in less time than the sieve takes for all at once.
const FEW: usize = 6;

impl<'w> Finder<'w> {
    pub fn new(words: &'w [Vec<u8>]) -> Finder<'w> {
        let given = || words.iter().filter(|word| !word.is_empty());
        let length = given().map(Vec::len).min().unwrap_or(0).min(PIECE);
        let mut words: HashMap<Piece, Vec<(&[u8], usize)>> = HashMap::new();
        for word in given() {
            let at = distinct(word, length);
            words.entry(first(&word[at..], length)).or_default().push((word, at));
        }
        let pieces: Vec<Piece> = words.keys().copied().collect();
        let finder = |piece: &Piece| (memmem::Finder::new(&piece.to_le_bytes()[..length]).into_owned(), *piece);
        let search = match pieces.len() {
            ..=FEW => Search::Few(pieces.iter().map(finder).collect()),
            _ => Search::Many(Sieve::new(&pieces, length)),
        };
        Finder { search, words }
    }

    /// Calls `found` with a place in each line that has a word, in order.
    fn each_line(&self, bytes: &[u8], mut found: impl FnMut(usize)) {
        // Where the line after this place begins.
        let after = |at: usize| memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length + 1);
        match &self.search {
            Search::Few(finders) => {
                let mut places = Vec::new();
                for (finder, piece) in finders {
                    let mut from = 0;
                    while let Some(at) = finder.find(&bytes[from..]) {
                        let at = from + at;
                        if self.is_there(bytes, at, *piece) {
                            places.push(at);
                            from = after(at);
                        } else {
                            from = at + 1;
                        }
                    }
                }
                places.sort_unstable();
                let mut end = 0;
                for at in places {
                    if at >= end {
                        found(at);
                        end = after(at);
                    }
                }
            }
            Search::Many(sieve) => {
                let mut from = 0;
                while let Some(at) = sieve.find(bytes, from, |at, piece| self.is_there(bytes, at, piece)) {
                    found(at);
                    from = after(at);
                }
            }
        }
    }

    /// Whether one of the piece's words stands here.
    fn is_there(&self, bytes: &[u8], at: usize, piece: Piece) -> bool {
        self.words.get(&piece).into_iter().flatten().any(|(word, offset)| {
            let Some(begin) = at.checked_sub(*offset) else { return false };
            let end = begin + word.len();
            bytes.get(begin..end) == Some(word) && is_word(bytes, begin, end)
        })
    }
}

/// Where the part of a word begins that tells it from others: the end of what stands before an "@" (message ids begin
/// with dates, and what follows is shared by many), else its beginning.
fn distinct(word: &[u8], length: usize) -> usize {
    memchr(b'@', word).and_then(|at| at.checked_sub(length)).unwrap_or(0)
}

/// The first bytes of a text, at most as many as of a piece; zeros are missing ones.
#[inline]
fn first(text: &[u8], length: usize) -> Piece {
    let bytes = text.first_chunk::<PIECE>().copied().unwrap_or_else(|| {
        let mut bytes = [0; PIECE];
        bytes[..text.len()].copy_from_slice(text);
        bytes
    });
    Piece::from_le_bytes(bytes) & (Piece::MAX >> ((PIECE - length) * 8))
}

/// Many pieces of the same length. Of the text every so many bytes a block is looked at, so often that each piece must
/// have one; nearly all of them are no part of any.
struct Sieve {
    /// Of a piece.
    length: usize,
    /// As many places there are for a block in a piece.
    stride: usize,
    /// Of a block, in the number that eight bytes are.
    mask: u64,
    blocks: Bits,
    pieces: Bits,
}

/// Bytes of a block, if the pieces have as many. Fewer of hexadecimal digits would be in many ids.
const BLOCK: usize = 6;

impl Sieve {
    fn new(pieces: &[Piece], length: usize) -> Sieve {
        let block = BLOCK.min(length);
        let stride = length - block + 1;
        let mask = u64::MAX >> ((8 - block) * 8);
        let (mut blocks, mut in_full) = (Bits::new(pieces.len() * stride), Bits::new(pieces.len()));
        for &piece in pieces {
            for at in 0..stride {
                blocks.set((piece >> (at * 8)) as u64 & mask);
            }
            in_full.set(digest(piece));
        }
        Sieve { length, stride, mask, blocks, pieces: in_full }
    }

    /// The first place that may be a piece's and that `is_there` takes.
    fn find(&self, bytes: &[u8], from: usize, is_there: impl Fn(usize, Piece) -> bool) -> Option<usize> {
        let is_piece = |at: usize, block: usize| {
            (at.saturating_sub(self.stride - 1).max(from)..=at).find(|&begin| {
                let piece = first(&bytes[begin..], self.length);
                begin + self.length >= at + block && self.pieces.has(digest(piece)) && is_there(begin, piece)
            })
        };
        let block = BLOCK.min(self.length);
        let mut at = from;
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            if self.blocks.has(u64::from_le_bytes(*eight) & self.mask)
                && let Some(found) = is_piece(at, block)
            {
                return Some(found);
            }
            at += self.stride;
        }
        // The last few bytes.
        while at + block <= bytes.len() {
            if let Some(found) = is_piece(at, block) {
                return Some(found);
            }
            at += self.stride;
        }
        None
    }
}

fn digest(piece: Piece) -> u64 {
    (piece as u64).wrapping_add(((piece >> 64) as u64).rotate_left(32))
}

/// A set of numbers that seems to have a few more than were put in: two bits for each, both in one word.
struct Bits {
    words: Vec<u64>,
    /// By how many bits a hashed number is too long for a place.
    shift: u32,
}

impl Bits {
    /// Room for as many numbers as are expected, sixty-four bits for each: at most as much as a core's first cache holds.
    fn new(numbers: usize) -> Bits {
        let words = numbers.next_power_of_two().clamp(64, 1 << 12);
        Bits { words: vec![0; words], shift: u64::BITS - words.trailing_zeros() }
    }

    #[inline]
    fn place(&self, number: u64) -> (usize, u64) {
        let digest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((digest >> self.shift) as usize, 1 << (digest >> 40 & 63) | 1 << (digest >> 34 & 63))
    }

    fn set(&mut self, number: u64) {
        let (word, bits) = self.place(number);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    #[inline]
    fn has(&self, number: u64) -> bool {
        let (word, bits) = self.place(number);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }
}

impl Lines for Finder<'_> {
    fn begin(&mut self) {}

    fn announce(&mut self, _: bool) {}

    fn line(&mut self, line: &[u8], sink: &mut impl Sink) {
        sink.take(Fact::Line(line));
    }

    fn piece(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        self.each_line(bytes, |at| {
            let begin = memrchr(b'\n', &bytes[..at]).map_or(0, |at| at + 1);
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
            sink.take(Fact::Line(&bytes[begin..end.min(begin + LONGEST)]));
        });
    }
}

/// Whether what stands at from..to is not a part of a longer id or address.
fn is_word(bytes: &[u8], from: usize, to: usize) -> bool {
    let inside =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'=' | b'@') || byte >= 0x80;
    let before = from.checked_sub(1).and_then(|at| bytes.get(at)).is_some_and(|&byte| inside(byte) || byte == b'.');
    // A full stop may end a sentence; one that something follows does not.
    let after = match bytes.get(to..) {
        Some([b'.', next, ..]) => inside(*next),
        Some([next, ..]) => inside(*next),
        _ => false,
    };
    // "orig_to=<...>" and "from=<...>" have the address in brackets; "queued_as=ID" and "sasl_username=NAME" do not.
    let before = before && !bytes[..from].ends_with(b"=");
    !before && !after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Found(Vec<Vec<u8>>);

    impl Sink for Found {
        fn take(&mut self, fact: Fact<'_>) {
            if let Fact::Line(line) = fact {
                self.0.push(line.to_vec());
            }
        }
    }

    #[test]
    fn words_are_whole() {
        let line = b"A1B2C: to=<bob@a.example>, orig_to=<bob.x@a.example>, queued_as=C3D4E, (250 queued as F5A6B).";
        let whole = |word: &str| memmem::find_iter(line, word).any(|at| is_word(line, at, at + word.len()));
        for word in ["A1B2C", "bob@a.example", "C3D4E", "F5A6B"] {
            assert!(whole(word), "{word}");
        }
        for word in ["1B2C", "ob@a.example", "x@a.example", "bob@a"] {
            assert!(!whole(word), "{word}");
        }
    }

    /// One word, some, and many find what a plain look at each line finds.
    #[test]
    fn any_number_of_words_finds_the_same_lines() {
        let word = |number: u64| match number % 3 {
            0 => format!("{:X}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20),
            1 => format!("2026112412.{number}{}@mx.example", number * 7919),
            _ => format!("u{number}@d.example"),
        };
        let log: String =
            (0..3000).map(|number| format!("x {} y {}\n", word(number), word((number * 31) % 4000))).collect();
        for count in [0usize, 1, 2, 3, 40, 64, 65, 500] {
            let words: Vec<Vec<u8>> = (0..count as u64).map(|number| word(number * 17).into_bytes()).collect();
            let mut found = Found::default();
            Finder::new(&words).piece(log.as_bytes(), &mut found);
            let want: Vec<Vec<u8>> = log
                .lines()
                .filter(|line| line.split(' ').any(|part| words.iter().any(|word| word == part.as_bytes())))
                .map(|line| line.as_bytes().to_vec())
                .collect();
            let text = |lines: &[Vec<u8>]| String::from_utf8_lossy(&lines.join(&b'\n')).into_owned();
            assert_eq!(text(&found.0), text(&want), "{count}");
        }
    }
}
