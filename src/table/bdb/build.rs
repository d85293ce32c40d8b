//! Writing whole files. A table is built at once: the bucket pages or leaves stand one after the other, in key order,
//! and there is nothing to split later. The reference reads, verifies and extends such a file.

use super::file::{
    BTREE_INTERNAL, BTREE_LEAF, BTREE_MAGIC, BTREE_META, HASH, HASH_MAGIC, HASH_META, Kind, OVERFLOW, PAGE_HEADER,
};
use super::hash;
use crate::table::entries::{Entries, PART};
use crate::table::listing::Listing;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

const PAGE_SIZE: usize = 4096;
const ROOM: usize = PAGE_SIZE - PAGE_HEADER;
/// Pages are collected into writes of this size.
const BATCH: usize = 1 << 20;
/// Hash items longer than a quarter of a page stand on overflow pages; so that four always fit.
const HASH_BIG: usize = PAGE_SIZE / 4;
/// Likewise for btree leaves: two pairs on each page.
const BTREE_BIG: usize = (ROOM / 4 - 2) - 12;
/// How full the average bucket may be, in hundredths. Some have to go on to a second page then, as in the reference's files;
/// in a file of half as many entries to a page twice as many pages are read.
const FILL: usize = 98;

/// Writes `entries` as a file of this kind. `file` is empty.
pub fn write(kind: Kind, entries: &Entries, file: &File) -> io::Result<()> {
    if entries.len() >= (u32::MAX / 4) as usize {
        return Err(io::Error::other("too many entries"));
    }
    match kind {
        Kind::Hash => write_hash(entries, file),
        Kind::Btree => write_btree(entries, file),
    }
}

/// Pages of one file that follow each other, written in batches.
struct Run<'a> {
    file: &'a File,
    batch: Vec<u8>,
    /// The page number where the batch begins.
    first: u32,
    /// The number of the page that is appended next.
    next: u32,
}

impl<'a> Run<'a> {
    fn new(file: &'a File, first: u32) -> Run<'a> {
        Run { file, batch: Vec::with_capacity(BATCH), first, next: first }
    }

    fn push(&mut self, page: &[u8]) -> io::Result<()> {
        self.batch.extend_from_slice(page);
        self.next = self.next.checked_add(1).ok_or_else(|| io::Error::other("database too big"))?;
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.batch, u64::from(self.first) * PAGE_SIZE as u64)?;
        self.batch.clear();
        self.first = self.next;
        Ok(())
    }

    /// Puts an item on overflow pages; the number of the first.
    fn overflow(&mut self, item: &[u8]) -> io::Result<u32> {
        let start = self.next;
        let mut previous = 0;
        let mut parts = item.chunks(ROOM).peekable();
        while let Some(part) = parts.next() {
            let number = self.next;
            let mut page = Sheet::new(number, OVERFLOW, 0);
            page.put32(12, previous);
            page.put32(16, if parts.peek().is_some() { number + 1 } else { 0 });
            // One reference, and how much of the item is here.
            page.put16(20, 1);
            page.put16(22, part.len());
            page.bytes[PAGE_HEADER..PAGE_HEADER + part.len()].copy_from_slice(part);
            self.push(&page.bytes)?;
            previous = number;
        }
        Ok(start)
    }
}

/// A page that is being filled.
struct Sheet {
    bytes: Vec<u8>,
    entries: usize,
    low: usize,
}

impl Sheet {
    fn new(number: u32, kind: u8, level: u8) -> Sheet {
        let mut sheet = Sheet { bytes: vec![0; PAGE_SIZE], entries: 0, low: PAGE_SIZE };
        sheet.restart(number, kind, level);
        sheet
    }

    /// Makes it an empty page.
    fn restart(&mut self, number: u32, kind: u8, level: u8) {
        self.bytes.fill(0);
        (self.entries, self.low) = (0, PAGE_SIZE);
        // The log position of files that have no log.
        self.put32(4, 1);
        self.put32(8, number);
        self.put16(22, PAGE_SIZE);
        self.bytes[24] = level;
        self.bytes[25] = kind;
    }

    fn put16(&mut self, at: usize, value: usize) {
        self.bytes[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn fits(&self, items: &[usize]) -> bool {
        let needed: usize = items.iter().map(|length| length + 2).sum();
        PAGE_HEADER + 2 * self.entries + needed <= self.low
    }

    /// Makes room for an item of `length` bytes, which [`Sheet::fits`] has allowed; its bytes are zero.
    fn item(&mut self, length: usize) -> &mut [u8] {
        self.low -= length;
        let low = self.low;
        self.put16(PAGE_HEADER + 2 * self.entries, low);
        self.entries += 1;
        let entries = self.entries;
        self.put16(20, entries);
        self.put16(22, low);
        &mut self.bytes[low..low + length]
    }
}

fn meta(kind: Kind, last_page: u32) -> Sheet {
    let (magic, page_type) = match kind {
        Kind::Hash => (HASH_MAGIC, HASH_META),
        Kind::Btree => (BTREE_MAGIC, BTREE_META),
    };
    let mut sheet = Sheet { bytes: vec![0; PAGE_SIZE], entries: 0, low: PAGE_SIZE };
    sheet.put32(4, 1);
    sheet.put32(12, magic);
    sheet.put32(16, 9);
    sheet.put32(20, PAGE_SIZE as u32);
    sheet.bytes[25] = page_type;
    sheet.put32(32, last_page);
    // The file's identity in Berkeley DB's page cache: must differ from every other file's.
    let random = RandomState::new();
    for at in 0..5u32 {
        sheet.put32(52 + 4 * at as usize, random.hash_one(at) as u32);
    }
    sheet
}

fn hash_item_length(item: &[u8]) -> usize {
    if item.len() > HASH_BIG { 12 } else { 1 + item.len() }
}

fn write_hash(entries: &Entries, file: &File) -> io::Result<()> {
    let mut total = 0;
    let mut hashes = Vec::with_capacity(entries.len());
    let measure = |_, key: &[u8], value: &[u8]| {
        total += hash_item_length(key) + hash_item_length(value) + 4;
        hashes.push(hash::hash(key));
        Ok(())
    };
    entries.each(measure)?;
    let buckets = (total * 100 / (ROOM * FILL) + 1).next_power_of_two().max(2);
    let mask = buckets as u32 - 1;

    let mut run = Run::new(file, 1);
    let mut extra = Run::new(file, 1 + buckets as u32);
    if let Some(all) = entries.listing() {
        write_buckets(&all, mask, 0..buckets, &mut run, &mut extra)?;
    } else {
        // So many buckets at a time that their entries fit into memory; the spool is read from its beginning for each.
        let at_once = buckets.div_ceil(entries.size().div_ceil(PART));
        for first in (0..buckets).step_by(at_once) {
            let range = first..(first + at_once).min(buckets);
            let part =
                entries.part(|at| hashes.get(at).is_some_and(|hash| range.contains(&((hash & mask) as usize))))?;
            write_buckets(&part, mask, range, &mut run, &mut extra)?;
        }
    }
    run.flush()?;
    extra.flush()?;

    let mut head = meta(Kind::Hash, extra.next - 1);
    head.put32(72, mask);
    head.put32(76, mask);
    head.put32(80, mask >> 1);
    head.put32(88, entries.len() as u32);
    head.put32(92, hash::hash(b"%$sniglet^&\0"));
    for doubling in 0..=hash::doubling(mask) {
        head.put32(96 + 4 * doubling, 1);
    }
    file.write_all_at(&head.bytes, 0)
}

/// Writes the buckets of a range; `entries` are all that belong there, and no others.
fn write_buckets(
    entries: &Listing<'_>,
    mask: u32,
    range: Range<usize>,
    run: &mut Run<'_>,
    extra: &mut Run<'_>,
) -> io::Result<()> {
    // Counting sort by bucket: where each bucket's entries begin in `order`.
    let mut starts = vec![0u32; range.len() + 1];
    let bucket = |position| (hash::hash(entries.at(position).0) & mask) as usize - range.start;
    let buckets: Vec<u32> = entries.positions().map(|position| bucket(position) as u32).collect();
    for &bucket in &buckets {
        starts[bucket as usize + 1] += 1;
    }
    for bucket in 0..range.len() {
        starts[bucket + 1] += starts[bucket];
    }
    let mut order = vec![0u32; buckets.len()];
    let mut next = starts.clone();
    for (position, &bucket) in buckets.iter().enumerate() {
        order[next[bucket as usize] as usize] = position as u32;
        next[bucket as usize] += 1;
    }
    drop((buckets, next));

    let mut keyed = Vec::new();
    for bucket in 0..range.len() {
        let members = &mut order[starts[bucket] as usize..starts[bucket + 1] as usize];
        entries.sort(members, &mut keyed);
        write_bucket(entries, members, run, extra)?;
    }
    Ok(())
}

/// One bucket: its page in `run`, the pages of its chain and of its big items in `extra`.
fn write_bucket(entries: &Listing<'_>, members: &[u32], run: &mut Run<'_>, extra: &mut Run<'_>) -> io::Result<()> {
    let mut sheets = vec![Sheet::new(run.next, HASH, 0)];
    for &position in members {
        let (key, value) = entries.at(position);
        let lengths = [hash_item_length(key), hash_item_length(value)];
        if sheets.last().is_some_and(|sheet| !sheet.fits(&lengths)) {
            // Numbered when its place in `extra` is known.
            sheets.push(Sheet::new(0, HASH, 0));
        }
        for (item, length) in [key, value].into_iter().zip(lengths) {
            let page = if item.len() > HASH_BIG { Some(extra.overflow(item)?) } else { None };
            let Some(sheet) = sheets.last_mut() else { continue };
            let room = sheet.item(length);
            match page {
                Some(page) => {
                    room[0] = 3;
                    room[4..8].copy_from_slice(&page.to_le_bytes());
                    room[8..12].copy_from_slice(&(item.len() as u32).to_le_bytes());
                }
                None => {
                    room[0] = 1;
                    room[1..].copy_from_slice(item);
                }
            }
        }
    }
    let own = run.next;
    let base = extra.next;
    let count = sheets.len() as u32;
    let number = |at: u32| if at == 0 { own } else { base + at - 1 };
    for (at, mut sheet) in (0u32..).zip(sheets) {
        sheet.put32(8, number(at));
        sheet.put32(12, if at == 0 { 0 } else { number(at - 1) });
        sheet.put32(16, if at + 1 < count { number(at + 1) } else { 0 });
        if at == 0 { run.push(&sheet.bytes)? } else { extra.push(&sheet.bytes)? }
    }
    Ok(())
}

/// The first key below a page, and the page.
type Branch = (Vec<u8>, u32);

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn leaf_item_length(item: &[u8]) -> usize {
    if item.len() > BTREE_BIG { 12 } else { aligned(3 + item.len()) }
}

/// Overflow pages come first (page 2 on), because a leaf names them; page 1 is the root, as Berkeley DB wants it.
fn write_btree(entries: &Entries, file: &File) -> io::Result<()> {
    let mut run = Run::new(file, 2);
    let mut big = vec![];
    if entries.longest() > BTREE_BIG {
        entries.in_order(|key, value| {
            for item in [key, value] {
                if item.len() > BTREE_BIG {
                    big.push(run.overflow(item)?);
                }
            }
            Ok(())
        })?;
    }
    let mut big = big.into_iter();

    // Leaves, one after the other.
    let first_leaf = run.next;
    let mut branches: Vec<Branch> = Vec::new();
    let mut sheet = Sheet::new(first_leaf, BTREE_LEAF, 1);
    let mut last_key = Vec::new();
    branches.push((Vec::new(), first_leaf));
    entries.in_order(|key, value| {
        let lengths = [leaf_item_length(key), leaf_item_length(value)];
        if !sheet.fits(&lengths) {
            let number = run.next;
            sheet.put32(16, number + 1);
            run.push(&sheet.bytes)?;
            sheet.restart(number + 1, BTREE_LEAF, 1);
            sheet.put32(12, number);
            // The shortest key that parts the two leaves.
            let common = last_key.iter().zip(key).take_while(|(left, right)| left == right).count();
            branches.push((key.get(..=common).unwrap_or(key).to_vec(), number + 1));
        }
        for (item, length) in [key, value].into_iter().zip(lengths) {
            let room = sheet.item(length);
            if item.len() > BTREE_BIG {
                room[2] = 3;
                room[4..8].copy_from_slice(&big.next().unwrap_or(0).to_le_bytes());
                room[8..12].copy_from_slice(&(item.len() as u32).to_le_bytes());
            } else {
                room[..2].copy_from_slice(&(item.len() as u16).to_le_bytes());
                room[2] = 1;
                room[3..3 + item.len()].copy_from_slice(item);
            }
        }
        last_key.clear();
        last_key.extend_from_slice(key);
        Ok(())
    })?;
    if branches.len() == 1 {
        // All on one leaf: that is the root.
        sheet.put32(8, 1);
        file.write_all_at(&sheet.bytes, PAGE_SIZE as u64)?;
    } else {
        run.push(&sheet.bytes)?;
        write_branches(branches, &mut run)?;
    }
    run.flush()?;
    let mut head = meta(Kind::Btree, run.next - 1);
    head.put32(76, 2);
    head.put32(84, u32::from(b' '));
    head.put32(88, 1);
    file.write_all_at(&head.bytes, 0)
}

/// The internal levels, until one page is left: the root.
fn write_branches(mut branches: Vec<Branch>, run: &mut Run<'_>) -> io::Result<()> {
    let mut level = 2u8;
    loop {
        let mut sheets: Vec<(Vec<u8>, Sheet)> = Vec::new();
        for (key, child) in branches {
            let big = key.len() > BTREE_BIG;
            // The first key of a page stands for everything below the second; it is left empty.
            let length = |key: &[u8]| aligned(12 + if big { 12 } else { key.len() });
            let starts = sheets.last().is_none_or(|(_, sheet)| !sheet.fits(&[length(&key)]));
            if starts {
                sheets.push((key.clone(), Sheet::new(0, BTREE_INTERNAL, level)));
            }
            let overflow = if big && !starts { Some(run.overflow(&key)?) } else { None };
            let Some((_, sheet)) = sheets.last_mut() else { continue };
            let room = sheet.item(if starts { 12 } else { length(&key) });
            room[4..8].copy_from_slice(&child.to_le_bytes());
            room[2] = 1;
            if let Some(page) = overflow {
                room[..2].copy_from_slice(&12u16.to_le_bytes());
                room[2] = 3;
                room[14] = 3;
                room[16..20].copy_from_slice(&page.to_le_bytes());
                room[20..24].copy_from_slice(&(key.len() as u32).to_le_bytes());
            } else if !starts {
                room[..2].copy_from_slice(&(key.len() as u16).to_le_bytes());
                room[12..12 + key.len()].copy_from_slice(&key);
            }
        }
        if let [(_, root)] = sheets.as_mut_slice() {
            root.put32(8, 1);
            return run.file.write_all_at(&root.bytes, PAGE_SIZE as u64);
        }
        branches = Vec::with_capacity(sheets.len());
        for (key, mut sheet) in sheets {
            let number = run.next;
            sheet.put32(8, number);
            run.push(&sheet.bytes)?;
            branches.push((key, number));
        }
        level = level.checked_add(1).ok_or_else(|| io::Error::other("database too big"))?;
    }
}
