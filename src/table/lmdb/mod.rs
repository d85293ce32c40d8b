//! lmdb:FILE: FILE.lmdb in the format of OpenLDAP's LMDB, read and written without it: the library maps the file into
//! memory and dies with the program when the file is shorter than it says.
//!
//! A file is pages of one size: two meta pages, of which the one with the higher transaction number counts, and a
//! B+tree whose leaves hold the entries in key order (bytewise). A page has a 16-byte header (own number, flags, lower
//! and upper bound of its free room) and 16-bit offsets of its nodes; a node is 8 bytes of sizes and flags, the key,
//! and the value, or the number of the overflow pages that hold it. Numbers are little-endian. Written whole, as one
//! transaction on an empty file.

use super::bdb::file::{u16_at, u32_at};
use super::indexed::Keyed;
use super::many::{Asked, Found, Stored};
use crate::sys::files::reason;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Writing files.
pub mod build;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const HEADER: usize = 16;
const NODE: usize = 8;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const META: u16 = 8;
/// A node whose value stands on overflow pages.
const BIG: u16 = 1;
const NO_PAGE: u64 = u64::MAX;
/// Deeper trees do not come into being.
const MAX_DEPTH: usize = 32;

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
/// There are no empty keys.
pub const BAD_SIZE: Fault =
    Fault::Damaged("MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size");

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
        if key.is_empty() {
            return Err(BAD_SIZE);
        }
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

    fn order(&self, keys: Stored<'_>) -> Vec<Asked> {
        keys.sorted()
    }

    fn get_many(&self, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> Result<(), String> {
        let mut path = Vec::new();
        for &(_, position) in order {
            let value = self.find(keys.at(position), &mut path).map_err(|fault| fault.to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::entries::Entries;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn built(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> File {
        let mut set = Entries::default();
        for (key, value) in entries {
            set.insert(key, value, false).unwrap();
        }
        let file = tempfile::tempfile().unwrap();
        build::write(&set, &file).unwrap();
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
