//! Each Postfix line as a row of the [event table](columns): `--ndjson` writes a row as an object on a line of its own,
//! for tools that do their own counting.

/// The table.
pub mod columns;
/// From an event to a row.
pub mod row;

use crate::applet::pflogsumm::fact::{Fact, Sink};
use crate::applet::pflogsumm::input::{Feed, Lines};
use crate::applet::pflogsumm::read::accurate::AccurateReader;
use row::Row;
use std::io::{self, Write};

/// Hands the row of each line to `take`; its first error ends the reading.
pub fn read<E>(
    mut feed: Feed,
    reader: AccurateReader<'_>,
    piece: usize,
    take: impl FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut rows = Rows { reader, take, failed: None };
    let mut bytes = vec![0; piece];
    while let Some(length) = feed.fill(&mut bytes) {
        rows.piece(&bytes[..length], &mut Nothing);
        if let Some(error) = rows.failed.take() {
            return Err(error);
        }
    }
    Ok(())
}

/// --ndjson; a reader that goes away ends the reading.
pub fn write(out: &mut impl Write, feed: Feed, reader: AccurateReader<'_>, piece: usize) -> io::Result<()> {
    read(feed, reader, piece, |row| {
        serde_json::to_writer(&mut *out, &row)?;
        out.write_all(b"\n")
    })?;
    out.flush()
}

struct Rows<'o, T, E> {
    reader: AccurateReader<'o>,
    take: T,
    failed: Option<E>,
}

/// No facts come of this.
struct Nothing;

impl Sink for Nothing {
    fn take(&mut self, _: Fact<'_>) {}
}

impl<E, T: FnMut(Row<'_>) -> Result<(), E>> Lines for Rows<'_, T, E> {
    fn begin(&mut self) {}

    fn announce(&mut self, _: bool) {}

    fn line(&mut self, line: &[u8], _: &mut impl Sink) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(parts) = self.reader.parts(line).filter(|_| self.failed.is_none()) else { return };
        self.failed = (self.take)(Row::of(&parts)).err();
    }
}
