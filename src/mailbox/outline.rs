//! What summaries are made of, read message by message into one buffer: from the index where it has it, else from the
//! mailbox, with one read a message.

use super::briefs::{self, BriefReader, Briefs};
use super::digest::Digest;
use super::store::Store;
use std::io;

/// So much of a header is looked at.
const HEADER: usize = 1 << 20;
/// So much of a From_ line is.
const LINE: usize = 4096;

/// Reads outlines, best in the order of the messages.
pub struct Outlines<'s> {
    store: &'s Store,
    briefs: Option<BriefReader<'s>>,
    buffer: Vec<u8>,
}

/// The From_ line with its newline, and header fields: all of them, or at least those that are in a brief.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'b> {
    pub from_line: &'b [u8],
    pub block: &'b [u8],
    /// Where the index has it.
    digest: Option<&'b [u8]>,
}

impl<'b> Outline<'b> {
    pub fn digest(&self) -> Digest<'b> {
        self.digest.and_then(Digest::from_bytes).unwrap_or_else(|| Digest::of(self.from_line, self.block))
    }
}

impl<'s> Outlines<'s> {
    /// `whole`: fields are wanted that are not in [`super::scan::BRIEF_FIELDS`].
    pub fn new(store: &'s Store, whole: bool) -> Outlines<'s> {
        let briefs = match store {
            Store::Mbox(mbox) if !whole => mbox.briefs(),
            _ => None,
        };
        Outlines { store, briefs: briefs.map(Briefs::reader), buffer: Vec::new() }
    }

    /// Of the message at this place.
    pub fn of(&mut self, index: usize) -> io::Result<Outline<'_>> {
        let Some(message) = self.store.messages().get(index) else { return Err(io::ErrorKind::NotFound.into()) };
        self.buffer.clear();
        let mut line = usize::try_from(message.from_line).unwrap_or(usize::MAX);
        let mut raw = usize::MAX;
        let brief = self.briefs.as_mut().and_then(|briefs| briefs.brief(index));
        if let Some((fields, digest)) = brief.and_then(briefs::parts) {
            raw = fields.len();
            self.buffer.extend_from_slice(fields);
            self.buffer.extend_from_slice(digest);
        } else {
            match self.store {
                Store::Mbox(mbox) if line <= LINE => mbox.start(message, HEADER, &mut self.buffer)?,
                store => {
                    self.buffer.extend(store.from_line(message)?);
                    line = self.buffer.len();
                    self.buffer.extend(store.header(message, HEADER)?);
                }
            }
        }
        let (raw, digest) = match self.buffer.split_at_checked(raw) {
            Some((raw, digest)) => (raw, Some(digest)),
            None => (self.buffer.as_slice(), None),
        };
        let (from_line, block) = raw.split_at_checked(line).unwrap_or((raw, b""));
        Ok(Outline { from_line, block, digest })
    }
}
