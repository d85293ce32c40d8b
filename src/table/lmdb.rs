//! lmdb:FILE: FILE.lmdb in the format of OpenLDAP's LMDB, read and written without it: the library maps the file into
//! memory and dies with the program when the file is shorter than it says.
//!
//! A file is pages of one size: two meta pages, of which the one with the higher transaction number counts, and a
//! B+tree whose leaves hold the entries in key order (bytewise). A page has a 16-byte header (own number, flags, lower
//! and upper bound of its free room) and 16-bit offsets of its nodes; a node is 8 bytes of sizes and flags, the key,
//! and the value, or the number of the overflow pages that hold it. Numbers are little-endian. Written whole, as one
//! transaction on an empty file.

use super::bdb::file::{u16_at, u32_at};
use super::entries::Entries;
use super::indexed::{Found, Keyed};
use super::many::Keys;
use crate::sys::files::reason;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const PAGE: usize = 4096;
const HEADER: usize = 16;
const NODE: usize = 8;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const META: u16 = 8;
/// A node whose value stands on overflow pages.
const BIG: u16 = 1;
/// A longer node's value goes to overflow pages, so that a page has room for two.
const NODE_MAX: usize = (((PAGE - HEADER) / 2) & !1) - 2;
/// Longest key that the library takes.
const KEY_MAX: usize = 511;
const NO_PAGE: u64 = u64::MAX;
/// Deeper trees do not come into being.
const MAX_DEPTH: usize = 32;
/// The free pages' database's flags as the reference's files have them: whole numbers as keys (of free pages), and a file
/// that is no directory.
const FREE_FLAGS: u16 = 0x4008;

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// What is wrong with a file, in the library's words where it has some.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{}", reason(.0))]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(&'static str),
}

const INVALID: Fault = Fault::Damaged("MDB_INVALID: File is not an LMDB file");
const CORRUPTED: Fault = Fault::Damaged("MDB_CORRUPTED: Located page was wrong type");
const NOT_FOUND: Fault = Fault::Damaged("MDB_PAGE_NOTFOUND: Requested page not found");

/// An open file.
pub struct Lmdb {
    file: File,
    page_size: usize,
    pages: u64,
    root: u64,
}

impl Lmdb {
    pub fn open(file: File) -> Result<Lmdb, Fault> {
        let size = file.metadata()?.len();
        let mut best: Option<(u64, usize, u64)> = None;
        // The second meta page stands one page further, whose size the first one tells.
        let mut at = 0;
        for _ in 0..2 {
            let mut page = [0u8; HEADER + 136];
            if file.read_exact_at(&mut page, at).is_err() {
                break;
            }
            let meta = &page[HEADER..];
            let page_size = u32_at(meta, 24) as usize;
            if u16_at(&page, 10) & META == 0 || u32_at(meta, 0) != MAGIC {
                break;
            }
            if u32_at(meta, 4) != VERSION {
                return Err(Fault::Damaged("MDB_VERSION_MISMATCH: Database environment version mismatch"));
            }
            if !page_size.is_power_of_two() || !(256..=65536).contains(&page_size) {
                break;
            }
            let (root, transaction) = (u64_at(meta, 24 + 48 + 40), u64_at(meta, 24 + 96 + 8));
            if best.is_none_or(|(known, ..)| transaction > known) {
                best = Some((transaction, page_size, root));
            }
            at = page_size as u64;
        }
        let Some((_, page_size, root)) = best else { return Err(INVALID) };
        Ok(Lmdb { file, page_size, pages: size / page_size as u64, root })
    }

    fn page(&self, number: u64, page: &mut Vec<u8>) -> Result<(), Fault> {
        if number < 2 || number >= self.pages {
            return Err(NOT_FOUND);
        }
        page.resize(self.page_size, 0);
        self.file.read_exact_at(page, number * self.page_size as u64)?;
        if u64_at(page, 0) != number || HEADER + 2 * nodes(page) > page.len() {
            return Err(CORRUPTED);
        }
        Ok(())
    }

    /// The value of a leaf's node, which may be on overflow pages.
    fn value(&self, node: &Node<'_>) -> Result<Vec<u8>, Fault> {
        let length = node.low as usize;
        if node.flags & BIG == 0 {
            return node.rest.get(..length).map(<[u8]>::to_vec).ok_or(CORRUPTED);
        }
        let first = u64_at(node.rest, 0);
        let count = (HEADER + length).div_ceil(self.page_size) as u64;
        if first < 2 || first.checked_add(count).is_none_or(|end| end > self.pages) {
            return Err(NOT_FOUND);
        }
        let start = first * self.page_size as u64;
        let mut header = [0u8; HEADER];
        self.file.read_exact_at(&mut header, start)?;
        if u16_at(&header, 10) & OVERFLOW == 0 {
            return Err(CORRUPTED);
        }
        let mut value = vec![0; length];
        self.file.read_exact_at(&mut value, start + HEADER as u64)?;
        Ok(value)
    }

    /// `path` holds the pages on the way to the key that was looked for before, root first, with their numbers.
    fn find(&self, key: &[u8], path: &mut Vec<(u64, Vec<u8>)>) -> Result<Option<Vec<u8>>, Fault> {
        let mut number = self.root;
        if number == NO_PAGE {
            return Ok(None);
        }
        for depth in 0..MAX_DEPTH {
            if path.len() == depth {
                path.push((NO_PAGE, Vec::new()));
            }
            let (known, page) = &mut path[depth];
            if *known != number {
                *known = NO_PAGE;
                self.page(number, page)?;
                *known = number;
            }
            let is_leaf = match u16_at(page, 10) & (BRANCH | LEAF) {
                BRANCH => false,
                LEAF => true,
                _ => return Err(CORRUPTED),
            };
            // The first node whose key is greater; in a branch the first key is less than any.
            let (mut low, mut high) = (usize::from(!is_leaf), nodes(page));
            while low < high {
                let middle = low + (high - low) / 2;
                if Node::at(page, middle)?.key <= key { low = middle + 1 } else { high = middle }
            }
            let Some(at) = low.checked_sub(1) else { return Ok(None) };
            let node = Node::at(page, at)?;
            if is_leaf {
                return if node.key == key { self.value(&node).map(Some) } else { Ok(None) };
            }
            number = node.page();
        }
        Err(CORRUPTED)
    }

    fn walk(
        &self,
        number: u64,
        depth: usize,
        budget: &mut u64,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<bool, Fault> {
        // Every page is met once: more is a circle.
        *budget = budget.checked_sub(1).filter(|_| depth < MAX_DEPTH).ok_or(CORRUPTED)?;
        let mut page = Vec::new();
        self.page(number, &mut page)?;
        let is_leaf = u16_at(&page, 10) & LEAF != 0;
        for at in 0..nodes(&page) {
            let node = Node::at(&page, at)?;
            let go_on = if is_leaf {
                each(node.key, &self.value(&node)?)
            } else {
                self.walk(node.page(), depth + 1, budget, each)?
            };
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Keyed for Lmdb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.find(key, &mut Vec::new()).map_err(|fault| fault.to_string())
    }

    fn get_many(&self, keys: &Keys, some: Range<u32>, found: &mut Found<'_>) -> Result<(), String> {
        let mut path = Vec::new();
        for position in keys.sorted(some) {
            let value = self.find(keys.at(position as usize), &mut path).map_err(|fault| fault.to_string())?;
            if value.is_some_and(|value| !found(position, &value)) {
                break;
            }
        }
        Ok(())
    }

    fn each(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        if self.root == NO_PAGE {
            return Ok(());
        }
        self.walk(self.root, 0, &mut self.pages.clone(), each).map(drop).map_err(|fault| fault.to_string())
    }
}

/// How many nodes a page has.
fn nodes(page: &[u8]) -> usize {
    usize::from(u16_at(page, 12)).saturating_sub(HEADER) / 2
}

/// A node of a page.
struct Node<'a> {
    /// A leaf's: the value's length. A branch's: the lower part of the page number.
    low: u32,
    flags: u16,
    key: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Node<'a> {
    fn at(page: &'a [u8], index: usize) -> Result<Node<'a>, Fault> {
        let start = usize::from(u16_at(page, HEADER + 2 * index));
        let node = page.get(start..).filter(|node| node.len() >= NODE).ok_or(CORRUPTED)?;
        let key_length = usize::from(u16_at(node, 6));
        let (key, rest) = node[NODE..].split_at_checked(key_length).ok_or(CORRUPTED)?;
        Ok(Node { low: u32_at(node, 0), flags: u16_at(node, 4), key, rest })
    }

    fn page(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}

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
    let mut order: Vec<u32> = (0..u32::try_from(entries.len()).map_err(io::Error::other)?).collect();
    super::bdb::build::sort(entries, &mut order, &mut Vec::new());
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
    for position in order {
        let (key, value) = entries.at(position as usize);
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
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn built(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> File {
        let mut set = Entries::default();
        for (key, value) in entries {
            set.insert(key, value, false);
        }
        let file = tempfile::tempfile().unwrap();
        write(&set, &file).unwrap();
        file
    }

    fn all(db: &Lmdb) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
        let mut found = BTreeMap::new();
        Keyed::each(db, &mut |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            true
        })?;
        Ok(found)
    }

    fn table() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
        let key = prop_oneof![
            prop::collection::vec(any::<u8>(), 1..30),
            (any::<u8>(), any::<u16>(), 300..509usize).prop_map(|(byte, tail, length)| [
                vec![byte; length],
                tail.to_be_bytes().to_vec()
            ]
            .concat()),
        ];
        let value = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..30),
            (any::<u8>(), 0..9000usize).prop_map(|(byte, length)| vec![byte; length]),
        ];
        prop::collection::btree_map(key, value, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_is_written_is_read(entries in table()) {
            let db = Lmdb::open(built(&entries)).unwrap();
            prop_assert_eq!(&all(&db).unwrap(), &entries);
            for (key, value) in &entries {
                let answer = db.get(key).unwrap();
                prop_assert_eq!(answer.as_ref(), Some(value));
            }
            let mut keys: Vec<Vec<u8>> = entries.keys().rev().cloned().collect();
            keys.insert(keys.len() / 2, b"no such key".to_vec());
            let alone: Vec<_> = keys.iter().map(|key| db.get(key).unwrap()).collect();
            prop_assert_eq!(crate::table::bdb::tests::many(&db, &keys), alone);
            prop_assert_eq!(db.get(b"no such key").unwrap(), entries.get(&b"no such key"[..]).cloned());
        }

        #[test]
        fn a_damaged_file_is_an_error_or_an_answer_and_ends(
            entries in table(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..100),
            cut in any::<prop::sample::Index>(),
            truncate in any::<bool>(),
        ) {
            let file = built(&entries);
            let size = file.metadata().unwrap().len();
            for (at, byte) in damage {
                file.write_all_at(&[byte], at.index(size as usize) as u64).unwrap();
            }
            if truncate {
                file.set_len(cut.index(size as usize) as u64).unwrap();
            }
            if let Ok(db) = Lmdb::open(file) {
                let _ = db.get(b"some key");
                let _ = all(&db);
            }
        }
    }
}
