//! What summaries show of each message (its From_ line and the fields of [`super::scan::BRIEF_FIELDS`], byte for byte), in the
//! index's file: a list of a large mailbox reads these and not the mailbox. They are read by the block, and believed when
//! the block's hash is right.

use super::scan::hash;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Messages of one block.
pub(super) const BLOCK: usize = 256;

/// The briefs of a mailbox.
#[derive(Debug)]
pub struct Briefs {
    file: File,
    /// The length of each, 0 where there is none.
    lengths: Vec<u16>,
    /// Where each block begins, and its hash.
    blocks: Vec<(u64, u64)>,
}

impl Briefs {
    pub(super) fn new(file: File, lengths: Vec<u16>, sums: Vec<u64>) -> Briefs {
        let mut at = 0;
        let starts = lengths.chunks(BLOCK).map(|block| {
            let start = at;
            at += block.iter().map(|length| u64::from(*length)).sum::<u64>();
            start
        });
        let blocks = starts.zip(sums).collect();
        Briefs { file, lengths, blocks }
    }

    pub fn reader(&self) -> BriefReader<'_> {
        BriefReader { briefs: self, block: None, bytes: Vec::new(), next: 0, at: 0 }
    }

    fn block(&self, number: usize) -> &[u16] {
        self.lengths.chunks(BLOCK).nth(number).unwrap_or_default()
    }

    /// The block's bytes, when they are what was written.
    fn read(&self, number: usize, into: &mut Vec<u8>) -> Option<()> {
        let &(start, sum) = self.blocks.get(number)?;
        let lengths = self.block(number);
        into.resize(lengths.iter().map(|length| usize::from(*length)).sum(), 0);
        self.file.read_exact_at(into, start).ok()?;
        let mut rest = into.as_slice();
        let mut state = 0;
        for &length in lengths {
            let (brief, after) = rest.split_at_checked(length.into())?;
            state = hash(state, brief);
            rest = after;
        }
        (state == sum).then_some(())
    }
}

/// Reads briefs, best in their order.
pub struct BriefReader<'b> {
    briefs: &'b Briefs,
    /// The block in memory; None when there is none, or it is bad.
    block: Option<usize>,
    bytes: Vec<u8>,
    /// The message of the block that begins at `at`.
    next: usize,
    at: usize,
}

impl BriefReader<'_> {
    /// The brief of a message, by its place in the mailbox.
    pub fn brief(&mut self, index: usize) -> Option<&[u8]> {
        let (block, place) = (index / BLOCK, index % BLOCK);
        if self.block != Some(block) {
            self.block = None;
            self.briefs.read(block, &mut self.bytes)?;
            (self.block, self.next, self.at) = (Some(block), 0, 0);
        }
        if place < self.next {
            (self.next, self.at) = (0, 0);
        }
        let lengths = self.briefs.block(block);
        self.at += lengths.get(self.next..place)?.iter().map(|length| usize::from(*length)).sum::<usize>();
        self.next = place;
        let length = usize::from(*lengths.get(place)?);
        self.bytes.get(self.at..self.at + length).filter(|brief| !brief.is_empty())
    }
}
