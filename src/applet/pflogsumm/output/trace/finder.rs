//! Finds the lines that have one of many words, as a whole word, in one pass at the speed of memory: of each word a piece
//! of eight bytes is searched, by vector instructions when the words are few, by an automaton when they are many, and
//! then looked at closely.

use crate::applet::pflogsumm::fact::{Fact, Sink};
use crate::applet::pflogsumm::input::{LONGEST, Lines};
use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind, packed};
use memchr::{memchr, memmem, memrchr};
use std::collections::HashMap;

/// Bytes of a word that are searched; of short words all.
const PIECE: usize = 8;
/// More words than that are too many for vectors.
const FEW: usize = 64;
/// For more words than that the fastest automaton is too large: each takes about a kilobyte of it.
const DENSE: usize = 50_000;

pub struct Finder<'w> {
    search: Search,
    /// For each piece that is searched, the words that it, or one that begins like it, is part of, and where in them.
    words: Vec<Vec<(&'w [u8], usize)>>,
}

enum Search {
    One(memmem::Finder<'static>),
    Few(packed::Searcher),
    Many(AhoCorasick),
    /// No word, or more than an automaton can hold.
    None,
}

impl<'w> Finder<'w> {
    pub fn new(words: &'w [Vec<u8>]) -> Finder<'w> {
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut owners: Vec<Vec<(&[u8], usize)>> = Vec::new();
        for word in words.iter().filter(|word| !word.is_empty()) {
            let (piece, offset) = piece(word);
            let at = *places.entry(piece).or_insert_with(|| {
                pieces.push(piece);
                owners.push(Vec::new());
                pieces.len() - 1
            });
            if let Some(words) = owners.get_mut(at) {
                words.push((word, offset));
            }
        }
        let packed = || (pieces.len() <= FEW).then(|| packed::Searcher::new(&pieces)).flatten();
        // The leftmost match, as with vectors: what begins before it was looked at.
        let many = || {
            let mut builder = AhoCorasick::builder();
            let kind = (pieces.len() <= DENSE).then_some(AhoCorasickKind::DFA);
            builder.match_kind(MatchKind::LeftmostFirst).kind(kind);
            builder.build(&pieces).ok()
        };
        let search = match pieces.as_slice() {
            [] => Search::None,
            [one] => Search::One(memmem::Finder::new(one).into_owned()),
            _ => packed().map(Search::Few).or_else(|| many().map(Search::Many)).unwrap_or(Search::None),
        };
        // Where one piece is found, a longer or shorter one may stand, too.
        let words = pieces
            .iter()
            .map(|piece| {
                let both = pieces.iter().zip(&owners);
                let alike = both.filter(|(other, _)| other.starts_with(piece) || piece.starts_with(other));
                alike.flat_map(|(_, words)| words).copied().collect()
            })
            .collect();
        Finder { search, words }
    }

    /// The first piece from here on: where, and which.
    fn next(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        match &self.search {
            Search::One(finder) => Some((finder.find(bytes.get(from..)?)? + from, 0)),
            Search::Few(searcher) => {
                let found = searcher.find_in(bytes, (from..bytes.len()).into())?;
                Some((found.start(), found.pattern().as_usize()))
            }
            Search::Many(automaton) => {
                let found = automaton.find(Input::new(bytes).range(from..))?;
                Some((found.start(), found.pattern().as_usize()))
            }
            Search::None => None,
        }
    }

    /// Whether one of the piece's words stands here.
    fn is_there(&self, bytes: &[u8], at: usize, piece: usize) -> bool {
        self.words.get(piece).into_iter().flatten().any(|(word, offset)| {
            let Some(begin) = at.checked_sub(*offset) else { return false };
            let end = begin + word.len();
            bytes.get(begin..end) == Some(word) && is_word(bytes, begin, end)
        })
    }
}

/// The part of a word that tells it from others: the end of what stands before an "@" (message ids begin with dates, and
/// what follows is shared by many), else its beginning.
fn piece(word: &[u8]) -> (&[u8], usize) {
    match memchr(b'@', word) {
        Some(at) if at >= PIECE => (&word[at - PIECE..at], at - PIECE),
        _ => (&word[..word.len().min(PIECE)], 0),
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
        while let Some((at, piece)) = self.next(bytes, from) {
            if !self.is_there(bytes, at, piece) {
                from = at + 1;
                continue;
            }
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
