//! Finds the lines that have one of many words, as a whole word, in one pass at the speed of memory: one word by vector
//! instructions, many by looking at a few bytes of the text at a time and passing over those between (as in Wu and
//! Manber's "A fast algorithm for multi-pattern searching", 1994). An automaton looks at each byte, in a table that no
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
    One(Box<memmem::Finder<'static>>, Piece),
    Many(Sieve),
    /// No word.
    None,
}

impl<'w> Finder<'w> {
    pub fn new(words: &'w [Vec<u8>]) -> Finder<'w> {
        let given = || words.iter().filter(|word| !word.is_empty());
        let length = given().map(Vec::len).min().unwrap_or(0).min(PIECE);
        let mut words: HashMap<Piece, Vec<(&[u8], usize)>> = HashMap::new();
        for word in given() {
            let at = distinct(word, length);
            words.entry(first(&word[at..], length)).or_default().push((word, at));
        }
        let search = match words.keys().copied().collect::<Vec<_>>().as_slice() {
            [] => Search::None,
            [one] => Search::One(Box::new(memmem::Finder::new(&one.to_le_bytes()[..length]).into_owned()), *one),
            pieces => Search::Many(Sieve::new(pieces, length)),
        };
        Finder { search, words }
    }

    /// The first word from here on: a place in it.
    fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let is_there = |at, piece| self.is_there(bytes, at, piece);
        match &self.search {
            Search::One(finder, piece) => {
                let mut places = finder.find_iter(bytes.get(from..)?);
                places.find(|at| is_there(from + at, *piece)).map(|at| from + at)
            }
            Search::Many(sieve) => sieve.find(bytes, from, is_there),
            Search::None => None,
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
    /// Of a block.
    block: usize,
    blocks: Bits,
    pieces: Bits,
}

/// Bytes of a block, if the pieces have as many. Fewer of hexadecimal digits would be in many ids.
const BLOCK: usize = 6;

impl Sieve {
    fn new(pieces: &[Piece], length: usize) -> Sieve {
        let mut sieve = Sieve { length, block: BLOCK.min(length), blocks: Bits::default(), pieces: Bits::default() };
        for piece in pieces {
            for at in 0..sieve.stride() {
                sieve.blocks.set(first(&piece.to_le_bytes()[at..], sieve.block));
            }
            sieve.pieces.set(*piece);
        }
        sieve
    }

    /// As many places there are for a block in a piece.
    fn stride(&self) -> usize {
        self.length - self.block + 1
    }

    /// The first place that may be a piece's and that `is_there` takes.
    fn find(&self, bytes: &[u8], from: usize, is_there: impl Fn(usize, Piece) -> bool) -> Option<usize> {
        let stride = self.stride();
        let mut at = from;
        while at + self.block <= bytes.len() {
            if self.blocks.has(first(&bytes[at..], self.block)) {
                let found = (at.saturating_sub(stride - 1).max(from)..=at).find(|&at| {
                    let piece = first(&bytes[at..], self.length);
                    self.pieces.has(piece) && is_there(at, piece)
                });
                if found.is_some() {
                    return found;
                }
            }
            at += stride;
        }
        None
    }
}

/// A set of numbers that seems to have a few more than were put in: two bits for each, both in one word.
struct Bits {
    words: Vec<u64>,
}

/// As many as a core's first cache holds.
const BITS: u32 = 18;

impl Default for Bits {
    fn default() -> Bits {
        Bits { words: vec![0; 1 << (BITS - 6)] }
    }
}

impl Bits {
    #[inline]
    fn place(number: Piece) -> (usize, u64) {
        let halves = (number as u64).wrapping_add(((number >> 64) as u64).rotate_left(32));
        let digest = halves.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS - 6);
        ((digest >> 12) as usize, 1 << (digest & 63) | 1 << (digest >> 6 & 63))
    }

    fn set(&mut self, number: Piece) {
        let (word, bits) = Bits::place(number);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    #[inline]
    fn has(&self, number: Piece) -> bool {
        let (word, bits) = Bits::place(number);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }
}

impl Lines for Finder<'_> {
    fn begin(&mut self) {}

    fn announce(&mut self, _: &[u8]) {}

    fn line(&mut self, line: &[u8], sink: &mut impl Sink) {
        sink.take(Fact::Line(line));
    }

    fn piece(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let mut from = 0;
        while let Some(at) = self.next(bytes, from) {
            let begin = memrchr(b'\n', &bytes[..at]).map_or(0, |at| at + 1);
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
            self.line(&bytes[begin..end.min(begin + LONGEST)], sink);
            from = end;
        }
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
