//! An open file: the meta page, single pages with their items, and overflow chains.

use crate::table::window::Window;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

pub const PAGE_HEADER: usize = 26;
pub const META_SIZE: usize = 512;
pub const HASH_MAGIC: u32 = 0x0006_1561;
pub const BTREE_MAGIC: u32 = 0x0005_3162;

/// Page types.
pub const HASH_UNSORTED: u8 = 2;
pub const BTREE_INTERNAL: u8 = 3;
pub const BTREE_LEAF: u8 = 5;
pub const OVERFLOW: u8 = 7;
pub const HASH_META: u8 = 8;
pub const BTREE_META: u8 = 9;
pub const HASH: u8 = 13;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{}", crate::sys::files::reason(.0))]
    Io(#[from] io::Error),
    /// Not a Berkeley DB file, one of another version or byte order, or one with wrong numbers in it.
    #[error("{0}")]
    Damaged(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Hash,
    Btree,
}

/// What the meta page says, and the file.
pub struct Db {
    file: File,
    pub kind: Kind,
    pub page_size: usize,
    /// Pages that the file really has.
    pub pages: u32,
    pub max_bucket: u32,
    pub high_mask: u32,
    pub low_mask: u32,
    pub spares: [u32; 32],
    pub root: u32,
    /// Hash files before version 7 have another hash function.
    pub version: u32,
}

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

impl Db {
    pub fn open(file: File) -> Result<Db, Fault> {
        let size = file.metadata()?.len();
        let mut meta = [0u8; META_SIZE];
        if size < META_SIZE as u64 {
            return Err(Fault::Damaged("Invalid argument"));
        }
        file.read_exact_at(&mut meta, 0)?;
        let (magic, version) = (u32_at(&meta, 12), u32_at(&meta, 16));
        let (kind, page_type) = match magic {
            HASH_MAGIC if (8..=10).contains(&version) => (Kind::Hash, HASH_META),
            BTREE_MAGIC if (8..=10).contains(&version) => (Kind::Btree, BTREE_META),
            HASH_MAGIC | BTREE_MAGIC => return Err(Fault::Damaged("unsupported database version")),
            other if other == HASH_MAGIC.swap_bytes() || other == BTREE_MAGIC.swap_bytes() => {
                return Err(Fault::Damaged("database of another byte order"));
            }
            _ => return Err(Fault::Damaged("Invalid argument")),
        };
        let page_size = u32_at(&meta, 20) as usize;
        if !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) || meta[25] != page_type {
            return Err(Fault::Damaged("bad meta page"));
        }
        // Encryption, checksums and partitions are never asked for by mail programs.
        if meta[24] != 0 || meta[26] != 0 || u32_at(&meta, 36) != 0 {
            return Err(Fault::Damaged("encrypted, checksummed or partitioned database"));
        }
        let pages = u32::try_from(size / page_size as u64).map_err(|_| Fault::Damaged("database too big"))?;
        let db = Db {
            file,
            kind,
            page_size,
            pages,
            max_bucket: u32_at(&meta, 72),
            high_mask: u32_at(&meta, 76),
            low_mask: u32_at(&meta, 80),
            spares: std::array::from_fn(|at| u32_at(&meta, 96 + 4 * at)),
            root: u32_at(&meta, 88),
            version,
        };
        if kind == Kind::Hash {
            let masks = (db.high_mask.wrapping_add(1).is_power_of_two() || db.high_mask == u32::MAX)
                && db.low_mask == db.high_mask >> 1;
            if !masks || db.max_bucket > db.high_mask || db.max_bucket >= db.pages {
                return Err(Fault::Damaged("bad bucket numbers"));
            }
        } else if db.root == 0 || db.root >= db.pages {
            return Err(Fault::Damaged("bad root page"));
        }
        Ok(db)
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.kind {
            Kind::Hash => super::hash::get(self, key),
            Kind::Btree => super::btree::get(self, key),
        }
    }

    /// Calls `each` with every key and value until it answers false.
    pub fn each(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault> {
        match self.kind {
            Kind::Hash => super::hash::each(self, each),
            Kind::Btree => super::btree::each(self, each),
        }
    }

    /// Reads page `number` into `room`, which may be used again and again.
    pub fn read<'a>(&self, number: u32, room: &'a mut Vec<u8>) -> Result<Page<'a>, Fault> {
        let place = self.place(number)?;
        room.resize(self.page_size, 0);
        self.file.read_exact_at(room, place.start)?;
        Page::checked(number, room)
    }

    /// Page `number` by way of a window; `later` are pages that will be asked for next.
    pub fn read_along<'a>(
        &self,
        number: u32,
        later: impl Iterator<Item = u32>,
        window: &'a mut Window,
    ) -> Result<Page<'a>, Fault> {
        let later = later.map_while(|number| self.place(number).ok());
        Page::checked(number, window.get(&self.file, self.place(number)?, later)?)
    }

    fn place(&self, number: u32) -> Result<Range<u64>, Fault> {
        if number == 0 || number >= self.pages {
            return Err(Fault::Damaged("page number out of range"));
        }
        let start = u64::from(number) * self.page_size as u64;
        Ok(start..start + self.page_size as u64)
    }

    /// Reads an item of `length` bytes from the overflow chain that begins at `number`. `budget` is what may still
    /// be read in this operation; a chain that loops or lies about its length ends there.
    pub fn overflow(&self, number: u32, length: u32, budget: &mut u64) -> Result<Vec<u8>, Fault> {
        let length = length as usize;
        if length as u64 > *budget {
            return Err(Fault::Damaged("item longer than the file"));
        }
        *budget -= length as u64;
        let mut item = Vec::new();
        let mut room = Vec::new();
        let mut next = number;
        while item.len() < length {
            let page = self.read(next, &mut room)?;
            let here = usize::from(u16_at(page.bytes, 22));
            let bytes = page.bytes.get(PAGE_HEADER..PAGE_HEADER + here);
            match bytes {
                Some(bytes) if page.kind() == OVERFLOW && here > 0 => item.extend_from_slice(bytes),
                _ => return Err(Fault::Damaged("bad overflow page")),
            }
            next = page.next();
        }
        if item.len() == length { Ok(item) } else { Err(Fault::Damaged("bad overflow chain")) }
    }

    /// What one operation may read from overflow pages.
    pub fn budget(&self) -> u64 {
        u64::from(self.pages) * self.page_size as u64
    }
}

/// One page.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    pub bytes: &'a [u8],
}

impl<'a> Page<'a> {
    fn checked(number: u32, bytes: &'a [u8]) -> Result<Page<'a>, Fault> {
        let page = Page { bytes };
        let own = u32_at(bytes, 8);
        // Buckets of a doubling that were never used are pages of zeros.
        if own != number && !(own == 0 && page.kind() == 0) {
            return Err(Fault::Damaged("page has another page's number"));
        }
        Ok(page)
    }

    pub fn kind(&self) -> u8 {
        self.bytes.get(25).copied().unwrap_or(0)
    }

    pub fn level(&self) -> u8 {
        self.bytes.get(24).copied().unwrap_or(0)
    }

    pub fn next(&self) -> u32 {
        u32_at(self.bytes, 16)
    }

    /// The number of items; an offset table that does not fit the page is no table.
    pub fn entries(&self) -> Result<usize, Fault> {
        let entries = usize::from(u16_at(self.bytes, 20));
        if PAGE_HEADER + 2 * entries > self.bytes.len() {
            return Err(Fault::Damaged("too many items on a page"));
        }
        Ok(entries)
    }

    /// Where item `at` begins.
    pub fn offset(&self, at: usize) -> usize {
        usize::from(u16_at(self.bytes, PAGE_HEADER + 2 * at))
    }
}
