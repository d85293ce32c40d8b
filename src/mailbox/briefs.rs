//! What summaries are made of: of each message the From_ line and the fields of [`super::scan::BRIEF_FIELDS`], byte for
//! byte, then their digest and its length (2 bytes, little endian). They are in the index's file: a list of a large mailbox
//! reads these and not the mailbox. They are read by the block, and believed when the block's hash is right.

use super::digest::Digest;
use super::scan::hash;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Messages of one block.
pub(super) const BLOCK: usize = 256;

/// Puts the digest behind the From_ line and the fields, which begin at `start`: how long the brief is, 0 for none.
pub(super) fn finish(briefs: &mut Vec<u8>, start: usize, from_line: u32) -> u16 {
    let raw = briefs.get(start..).unwrap_or_default();
    let Some((line, block)) = raw.split_at_checked(from_line as usize) else { return 0 };
    let Some(digest) = Digest::of(line, block).to_bytes() else { return 0 };
    let (length, whole) = (u16::try_from(digest.len()), u16::try_from(raw.len() + digest.len() + 2));
    let (Ok(length), Ok(whole)) = (length, whole) else { return 0 };
    briefs.extend(digest);
    briefs.extend(length.to_le_bytes());
    whole
}

/// The From_ line and the fields of a brief, and the digest.
pub(super) fn parts(brief: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, length) = brief.split_last_chunk()?;
    rest.split_at_checked(rest.len().checked_sub(u16::from_le_bytes(*length).into())?)
}

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
        let from = number * BLOCK;
        self.lengths.get(from..self.lengths.len().min(from + BLOCK)).unwrap_or_default()
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
    /// The message of the block that begins at `at`, and so the next one to be asked for.
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
        let start = self.at + lengths.get(self.next..place)?.iter().map(|length| usize::from(*length)).sum::<usize>();
        (self.next, self.at) = (place + 1, start + usize::from(*lengths.get(place)?));
        self.bytes.get(start..self.at).filter(|brief| !brief.is_empty())
    }
}
