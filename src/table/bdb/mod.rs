//! Berkeley DB 5.3 files as Debian's postmap writes them, read and written without Berkeley DB.
//!
//! A file is pages of one size. Page 0 is the meta page: magic, version, page size, and for hash the bucket masks and
//! the page where each doubling of the buckets begins, for btree the root. Every other page has a 26-byte header
//! (log position, own number, previous and next page, number of items, lowest item, level, type), then 16-bit offsets
//! of its items, which are filled from the end of the page. Items over a size stand on chains of overflow pages.
//!
//! Numbers are little-endian; a file from a machine of the other order is refused. Every offset, length, page number
//! and chain is checked, and a reader holds one page and one item at a time, so a hostile file gives a [`Fault`].

/// Lookup and listing in a btree file.
pub(super) mod btree;
/// Writing whole files.
pub mod build;
/// Meta page, pages, items, overflow chains.
pub mod file;
/// Lookup and listing in a hash file.
pub(super) mod hash;

pub use file::{Db, Fault, Kind};

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::table::entries::Entries;
    use crate::table::indexed::Keyed;
    use crate::table::many::Keys;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io::Write;

    fn file() -> File {
        tempfile::tempfile().unwrap()
    }

    fn built(kind: Kind, entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> File {
        let mut set = Entries::default();
        for (key, value) in entries {
            set.insert(key, value, false).unwrap();
        }
        let file = file();
        build::write(kind, &set, &file).unwrap();
        file
    }

    /// The values of many keys, asked together.
    pub fn many(db: &dyn Keyed, keys: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
        let mut found = vec![None; keys.len()];
        let keys: Keys = keys.iter().map(Vec::as_slice).collect();
        let stored = keys.stored(false);
        let order = db.order(stored);
        db.get_many(stored, &order, &mut |position, value| {
            found[position as usize] = Some(value.to_vec());
            true
        })
        .unwrap();
        found
    }

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        // Long runs are cheap to make and as good as any long text.
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            (any::<u8>(), 0..most, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(byte, length, tail)| {
                let mut text = vec![byte; length];
                text.extend(tail);
                text
            })
        ]
    }

    /// A large table comes out of its spool in parts; where the parts meet, nothing is lost and nothing stands twice.
    #[test]
    fn a_large_table_is_written_in_parts() {
        let mut entries = Entries::for_source(0, Some(file()));
        let value = [b'v'; 600];
        for number in 0..70_000u32 {
            entries.insert(&number.to_le_bytes(), &value[..number as usize % 600], false).unwrap();
        }
        assert!(entries.listing().is_none() && entries.size() > 2 * crate::table::entries::PART);
        let written = file();
        build::write(Kind::Hash, &entries, &written).unwrap();
        let mut found = BTreeMap::new();
        let db = Db::open(written).unwrap();
        db.each(&mut |key, value| found.insert(key.to_vec(), value.len()).is_none()).unwrap();
        assert_eq!(found.len(), entries.len());
        assert!((0..70_000u32).all(|number| found.get(&number.to_le_bytes()[..]) == Some(&(number as usize % 600))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_is_written_is_read(entries in prop::collection::btree_map(bytes(9000), bytes(9000), 0..300)) {
            for kind in [Kind::Hash, Kind::Btree] {
                let db = Db::open(built(kind, &entries)).unwrap();
                let mut found = BTreeMap::new();
                db.each(&mut |key, value| found.insert(key.to_vec(), value.to_vec()).is_none()).unwrap();
                prop_assert_eq!(&found, &entries);
                for (key, value) in &entries {
                    let answer = db.get(key).unwrap();
                    prop_assert_eq!(answer.as_ref(), Some(value));
                }
                let mut keys: Vec<Vec<u8>> = entries.keys().rev().cloned().collect();
                keys.insert(keys.len() / 2, b"no such key".to_vec());
                let alone: Vec<_> = keys.iter().map(|key| db.get(key).unwrap()).collect();
                prop_assert_eq!(many(&db, &keys), alone);
                prop_assert_eq!(db.get(b"no such key").unwrap(), entries.get(&b"no such key"[..]).cloned());
            }
        }

        #[test]
        fn a_damaged_file_is_an_error_or_an_answer_and_ends(
            entries in prop::collection::btree_map(bytes(3000), bytes(3000), 0..80),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..200),
            cut in any::<prop::sample::Index>(),
            truncate in any::<bool>(),
        ) {
            for kind in [Kind::Hash, Kind::Btree] {
                use std::os::unix::fs::FileExt;
                let whole = built(kind, &entries);
                let mut content = vec![0; whole.metadata().unwrap().len() as usize];
                whole.read_exact_at(&mut content, 0).unwrap();
                for (at, byte) in &damage {
                    let at = at.index(content.len());
                    content[at] = *byte;
                }
                if truncate {
                    content.truncate(cut.index(content.len()));
                }
                let mut bad = file();
                bad.write_all(&content).unwrap();
                let Ok(db) = Db::open(bad) else { continue };
                let mut read = 0usize;
                let _ = db.each(&mut |key, value| {
                    read += key.len() + value.len();
                    true
                });
                // Each page is visited once and overflow pages are paid for once.
                prop_assert!(read <= 3 * content.len());
                for key in entries.keys().take(10) {
                    let _ = db.get(key);
                }
            }
        }
    }

    #[test]
    fn one_entry_may_be_nearly_the_whole_file() {
        let entries = BTreeMap::from([(vec![b'k'; 300_000], vec![b'v'; 10])]);
        for kind in [Kind::Hash, Kind::Btree] {
            let db = Db::open(built(kind, &entries)).unwrap();
            assert_eq!(db.get(&[b'k'; 300_000]).unwrap(), Some(vec![b'v'; 10]));
        }
    }

    #[test]
    fn other_files_are_refused() {
        for content in [&b""[..], b"text", &[0; 4096], &[0xff; 8192]] {
            let mut file = file();
            file.write_all(content).unwrap();
            assert!(Db::open(file).is_err());
        }
    }
}
