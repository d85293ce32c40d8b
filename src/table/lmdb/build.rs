//! Writing whole files: one transaction on an empty file.

use super::{BIG, BRANCH, HEADER, LEAF, MAGIC, META, NO_PAGE, NODE, OVERFLOW, VERSION};
use crate::table::entries::Entries;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

const PAGE: usize = 4096;
/// A longer node's value goes to overflow pages, so that a page has room for two.
const NODE_MAX: usize = (((PAGE - HEADER) / 2) & !1) - 2;
/// Longest key that the library takes.
const KEY_MAX: usize = 511;
/// The free pages' database's flags as the reference's files have them: whole numbers as keys (of free pages), and a file
/// that is no directory.
const FREE_FLAGS: u16 = 0x4008;

/// A page that is being filled: nodes from the end, their offsets from the beginning.
struct Filling {
    bytes: Vec<u8>,
    lower: usize,
    upper: usize,
}

impl Filling {
    fn new(flags: u16) -> Filling {
        let mut bytes = vec![0; PAGE];
        bytes[10..12].copy_from_slice(&flags.to_le_bytes());
        Filling { bytes, lower: HEADER, upper: PAGE }
    }

    /// False when there is no room.
    fn push(&mut self, low: u32, flags: u16, key: &[u8], value: &[u8]) -> bool {
        let size = (NODE + key.len() + value.len()).next_multiple_of(2);
        if self.upper < self.lower + 2 + size {
            return false;
        }
        self.upper -= size;
        let offset = (self.upper as u16).to_le_bytes();
        self.bytes[self.lower..self.lower + 2].copy_from_slice(&offset);
        self.lower += 2;
        let head = [&low.to_le_bytes()[..], &flags.to_le_bytes(), &(key.len() as u16).to_le_bytes(), key, value];
        let mut at = self.upper;
        for part in head {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        true
    }

    fn finish(mut self, number: u64) -> Vec<u8> {
        self.bytes[..8].copy_from_slice(&number.to_le_bytes());
        self.bytes[12..14].copy_from_slice(&(self.lower as u16).to_le_bytes());
        self.bytes[14..16].copy_from_slice(&(self.upper as u16).to_le_bytes());
        self.bytes
    }
}

/// How many pages of each kind were written, as the meta page counts them.
#[derive(Default)]
struct Count {
    branches: u64,
    leaves: u64,
    overflow: u64,
    depth: u16,
}

/// Writes `entries` as a file; `file` is empty. A key that is too long is refused in the library's words.
pub fn write(entries: &Entries, file: &File) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, file);
    out.write_all(&[0; 2 * PAGE])?;
    let mut count = Count::default();
    let mut next: u64 = 2;
    // The first key and the page of each page of the level that is being built.
    let mut level: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut page = Filling::new(LEAF);
    let mut first_key: Option<Vec<u8>> = None;
    let mut waiting: Vec<u8> = Vec::new();
    let mut close = |page: Filling, first: Vec<u8>, next: &mut u64, out: &mut BufWriter<&File>| -> io::Result<()> {
        level.push((first, *next));
        out.write_all(&page.finish(*next))?;
        *next += 1;
        Ok(())
    };
    entries.in_order(|key, value| {
        if key.is_empty() || key.len() > KEY_MAX {
            let text = "MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size";
            return Err(io::Error::other(text));
        }
        let length = u32::try_from(value.len()).map_err(|_| io::Error::other("value too long"))?;
        let is_big = NODE + key.len() + value.len() > NODE_MAX;
        // Overflow pages stand before the leaf that names them; while the leaf is open its number is not known yet.
        let overflow = (HEADER + value.len()).div_ceil(PAGE);
        let number = next.to_le_bytes();
        let (flags, stored): (u16, &[u8]) = if is_big { (BIG, &number) } else { (0, value) };
        if !page.push(length, flags, key, stored) {
            let full = std::mem::replace(&mut page, Filling::new(LEAF));
            close(full, first_key.replace(key.to_vec()).unwrap_or_default(), &mut next, &mut out)?;
            // The number that was tried is the full page's now.
            let number = next.to_le_bytes();
            page.push(length, flags, key, if is_big { &number } else { value });
            count.leaves += 1;
        } else if first_key.is_none() {
            first_key = Some(key.to_vec());
        }
        if is_big {
            waiting.clear();
            waiting.extend_from_slice(&next.to_le_bytes());
            waiting.extend_from_slice(&[0, 0]);
            waiting.extend_from_slice(&OVERFLOW.to_le_bytes());
            waiting.extend_from_slice(&(overflow as u32).to_le_bytes());
            waiting.extend_from_slice(value);
            waiting.resize(overflow * PAGE, 0);
            out.write_all(&waiting)?;
            next += overflow as u64;
            count.overflow += overflow as u64;
        }
        Ok(())
    })?;
    if let Some(first) = first_key {
        close(page, first, &mut next, &mut out)?;
        count.leaves += 1;
    }
    count.depth = u16::from(!level.is_empty());
    while level.len() > 1 {
        level = write_branches(&level, &mut next, &mut out)?;
        count.branches += level.len() as u64;
        count.depth += 1;
    }
    out.flush()?;
    drop(out);
    let root = level.first().map_or(NO_PAGE, |&(_, number)| number);
    let empty = Count::default();
    file.write_all_at(&meta(0, &empty, 0, NO_PAGE, 1, 0), 0)?;
    file.write_all_at(&meta(1, &count, entries.len() as u64, root, next - 1, 1), PAGE as u64)
}

/// One level of branch pages over `level`. The first key of a page is left empty: it is less than any.
fn write_branches(
    level: &[(Vec<u8>, u64)],
    next: &mut u64,
    out: &mut BufWriter<&File>,
) -> io::Result<Vec<(Vec<u8>, u64)>> {
    let mut above = Vec::new();
    let mut at = 0;
    while let Some((first, _)) = level.get(at) {
        let mut page = Filling::new(BRANCH);
        let start = at;
        while let Some((key, number)) = level.get(at) {
            let key: &[u8] = if at == start { b"" } else { key };
            // One page must not stay alone for the last branch: a branch has two nodes at least.
            let leaves_one = level.len() - at == 2 && page.upper < page.lower + 4 + 2 * (NODE + KEY_MAX + 1);
            if (leaves_one && at > start + 1) || !page.push(*number as u32, (*number >> 32) as u16, key, b"") {
                break;
            }
            at += 1;
        }
        above.push((first.clone(), *next));
        out.write_all(&page.finish(*next))?;
        *next += 1;
    }
    Ok(above)
}

fn meta(number: u64, count: &Count, entries: u64, root: u64, last: u64, transaction: u64) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(&number.to_le_bytes());
    page.extend_from_slice(&[0, 0]);
    page.extend_from_slice(&META.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.extend_from_slice(&MAGIC.to_le_bytes());
    page.extend_from_slice(&VERSION.to_le_bytes());
    page.extend_from_slice(&0u64.to_le_bytes());
    // Readers map so much, at least what there is (lmdb_map_size is for those who go on writing).
    let size = ((last + 1) * PAGE as u64).max(16 << 20);
    page.extend_from_slice(&size.to_le_bytes());
    let mut tree = |pad: u32, flags: u16, count: &Count, entries: u64, root: u64| {
        page.extend_from_slice(&pad.to_le_bytes());
        page.extend_from_slice(&flags.to_le_bytes());
        page.extend_from_slice(&count.depth.to_le_bytes());
        for value in [count.branches, count.leaves, count.overflow, entries, root] {
            page.extend_from_slice(&value.to_le_bytes());
        }
    };
    tree(PAGE as u32, FREE_FLAGS, &Count::default(), 0, NO_PAGE);
    tree(0, 0, count, entries, root);
    page.extend_from_slice(&last.to_le_bytes());
    page.extend_from_slice(&transaction.to_le_bytes());
    page.resize(PAGE, 0);
    page
}
