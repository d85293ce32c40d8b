//! [`Window`]: a stretch of a file that was read in one go, for places in it that are asked for one after the other.
//!
//! A file that is mapped would need no reading at all, but kills its reader when somebody cuts it short.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes between two places that are read along: they cost less than one more call to the system.
const GAP: u64 = 4 << 10;
/// Bytes that are read in one go, unless a single place is longer.
const MOST: u64 = 64 << 10;

#[derive(Default)]
pub struct Window {
    /// Of which the first so many were read.
    bytes: Vec<u8>,
    read: usize,
    start: u64,
}

impl Window {
    /// The bytes of a place; an error when the file ends before it does. `later` are places that will be asked for after
    /// this one, ascending, of which those nearby are read along; it is only asked when something must be read.
    pub fn get(
        &mut self,
        file: &File,
        place: Range<u64>,
        later: impl IntoIterator<Item = Range<u64>>,
    ) -> io::Result<&[u8]> {
        if let Some(here) = self.within(&place) {
            return Ok(&self.bytes[here]);
        }
        let mut end = place.end;
        for next in later {
            if next.start < place.start
                || next.start > end.saturating_add(GAP)
                || next.end > place.start.saturating_add(MOST)
            {
                break;
            }
            end = end.max(next.end);
        }
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let wanted =
            place.end.checked_sub(place.start).and_then(|length| usize::try_from(length).ok()).ok_or_else(short)?;
        let length = usize::try_from(end - place.start).map_err(|_| short())?;
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        self.start = place.start;
        self.read = 0;
        while self.read < wanted {
            match file.read_at(&mut self.bytes[self.read..length], place.start + self.read as u64) {
                Ok(0) => return Err(short()),
                Ok(count) => self.read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.bytes[..wanted])
    }

    /// Where a place stands in what was read, if all of it does.
    fn within(&self, place: &Range<u64>) -> Option<Range<usize>> {
        let start = usize::try_from(place.start.checked_sub(self.start)?).ok()?;
        let end = usize::try_from(place.end.checked_sub(self.start)?).ok()?;
        (start <= end && end <= self.read).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #[test]
        fn a_place_is_what_the_file_has_there(
            size in 0usize..300_000,
            places in prop::collection::vec((0u64..310_000, 0u64..9000), 1..40),
            lies in any::<bool>(),
        ) {
            let content: Vec<u8> = (0..size).map(|at| (at * 7 + at / 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            let mut places: Vec<Range<u64>> = places.iter().map(|&(start, length)| start..start + length).collect();
            if !lies {
                places.sort_by_key(|place| place.start);
            }
            let mut window = Window::default();
            for (at, place) in places.iter().enumerate() {
                let found = window.get(&file, place.clone(), places[at + 1..].iter().cloned()).ok();
                let there = content.get(place.start as usize..place.end as usize);
                // Nothing at all stands everywhere.
                prop_assert_eq!(found.filter(|_| there.is_some() || !place.is_empty()), there);
            }
        }
    }
}
