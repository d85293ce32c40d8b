//! Hash files: a key's bucket is the last bits of its hash; a bucket is a page and the chain after it; items stand in
//! pairs, key and value, sorted by key on pages of type 13.

use super::file::{Db, Fault, HASH, HASH_UNSORTED, Page, u32_at};
use crate::table::indexed::Found;
use crate::table::many::Keys;
use std::borrow::Cow;
use std::ops::Range;

const KEYDATA: u8 = 1;
const OFFPAGE: u8 = 3;

/// Fowler/Noll/Vo, as Berkeley DB starts it (from 0, not from the offset basis).
pub fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0u32, |hash, &byte| hash.wrapping_mul(16_777_619) ^ u32::from(byte))
}

/// The index of the doubling that a bucket belongs to: the number of bits of `bucket`.
pub fn doubling(bucket: u32) -> usize {
    (u32::BITS - bucket.leading_zeros()) as usize
}

fn bucket_page(db: &Db, bucket: u32) -> Result<u32, Fault> {
    let base = db.spares.get(doubling(bucket)).copied().unwrap_or(0);
    match bucket.checked_add(base) {
        Some(page) if base != 0 => Ok(page),
        _ => Err(Fault::Damaged("bucket has no page")),
    }
}

/// The bucket of a key.
pub fn bucket(db: &Db, key: &[u8]) -> u32 {
    let bucket = hash(key) & db.high_mask;
    if bucket > db.max_bucket { bucket & db.low_mask } else { bucket }
}

pub fn get(db: &Db, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut value = None;
    find(db, bucket(db, key), key, &mut Kept::default(), &mut |found| value = Some(found.to_vec()))?;
    Ok(value)
}

/// See [`Db::get_many`].
pub fn get_many(db: &Db, keys: &Keys, some: Range<u32>, found: &mut Found<'_>) -> Result<(), Fault> {
    // A small table has many of the keys on a page.
    let mut order: Vec<(u32, u32)> = some.map(|position| (bucket(db, keys.at(position as usize)), position)).collect();
    order.sort_unstable();
    let mut kept = Kept::default();
    for (bucket, position) in order {
        let mut go_on = true;
        find(db, bucket, keys.at(position as usize), &mut kept, &mut |value| go_on = found(position, value))?;
        if !go_on {
            break;
        }
    }
    Ok(())
}

/// The first page of the bucket that was looked into last. No bucket's is page 0.
#[derive(Default)]
struct Kept {
    number: u32,
    page: Page,
}

/// Calls `found` with the value of a key.
fn find(db: &Db, bucket: u32, key: &[u8], kept: &mut Kept, found: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let number = bucket_page(db, bucket)?;
    if kept.number != number {
        kept.number = 0;
        db.read(number, &mut kept.page)?;
        kept.number = number;
    }
    let first = &kept.page;
    let mut budget = db.budget();
    // Most buckets are one page of short items in order.
    if first.kind() == HASH
        && first.next() == 0
        && let Some(at) = search(first, key)?
    {
        if let Some(at) = at {
            found(&item(first, at + 1)?.load(db, &mut budget)?);
        }
        return Ok(());
    }
    let mut steps = db.pages;
    chain(db, bucket, &mut steps, &mut |page, at| {
        let equal = match item(page, at)? {
            Item::Here(bytes) => bytes == key,
            Item::Elsewhere { length, .. } if length as usize != key.len() => false,
            Item::Elsewhere { page, length } => db.overflow(page, length, &mut budget)? == key,
        };
        if equal {
            found(&item(page, at + 1)?.load(db, &mut budget)?);
        }
        Ok(!equal)
    })?;
    Ok(())
}

pub fn each(db: &Db, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault> {
    let mut steps = db.pages;
    let mut budget = db.budget();
    for bucket in 0..=db.max_bucket {
        let finished = !chain(db, bucket, &mut steps, &mut |page, at| {
            let key = item(page, at)?.load(db, &mut budget)?;
            let value = item(page, at + 1)?.load(db, &mut budget)?;
            Ok(each(&key, &value))
        })?;
        if finished {
            break;
        }
    }
    Ok(())
}

/// Where a key stands among the sorted pairs of a page: Some(None) when it does not. None: it cannot be told from the
/// page alone, since a long key is met.
fn search(page: &Page, key: &[u8]) -> Result<Option<Option<usize>>, Fault> {
    let entries = page.entries()?;
    if !entries.is_multiple_of(2) {
        return Err(Fault::Damaged("key without value"));
    }
    let (mut low, mut high) = (0, entries / 2);
    while low < high {
        let middle = low + (high - low) / 2;
        let Item::Here(bytes) = item(page, 2 * middle)? else { return Ok(None) };
        match bytes.cmp(key) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Ok(Some(Some(2 * middle))),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Ok(Some(None))
}

/// Goes through the pairs of a bucket; `pair` gets the page and the position of the key and says whether to go on.
/// False when it ended early. `steps` bounds the pages, so that a chain in a circle ends.
fn chain(
    db: &Db,
    bucket: u32,
    steps: &mut u32,
    pair: &mut dyn FnMut(&Page, usize) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let mut number = bucket_page(db, bucket)?;
    let mut page = Page::default();
    while number != 0 {
        *steps = steps.checked_sub(1).ok_or(Fault::Damaged("bucket chain in a circle"))?;
        db.read(number, &mut page)?;
        match page.kind() {
            HASH | HASH_UNSORTED => {}
            // A page of zeros, see Db::read.
            0 => return Ok(true),
            _ => return Err(Fault::Damaged("bucket page of another type")),
        }
        let entries = page.entries()?;
        if !entries.is_multiple_of(2) {
            return Err(Fault::Damaged("key without value"));
        }
        for at in (0..entries).step_by(2) {
            if !pair(&page, at)? {
                return Ok(false);
            }
        }
        number = page.next();
    }
    Ok(true)
}

enum Item<'a> {
    Here(&'a [u8]),
    Elsewhere { page: u32, length: u32 },
}

impl<'a> Item<'a> {
    fn load(self, db: &Db, budget: &mut u64) -> Result<Cow<'a, [u8]>, Fault> {
        match self {
            Item::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Item::Elsewhere { page, length } => Ok(Cow::Owned(db.overflow(page, length, budget)?)),
        }
    }
}

/// Item `at`: it reaches from its offset to the item before it.
fn item(page: &Page, at: usize) -> Result<Item<'_>, Fault> {
    let start = page.offset(at);
    let end = if at == 0 { page.bytes.len() } else { page.offset(at - 1) };
    let bytes = page.bytes.get(start..end).ok_or(Fault::Damaged("item outside its page"))?;
    match bytes.split_first() {
        Some((&KEYDATA, data)) => Ok(Item::Here(data)),
        Some((&OFFPAGE, _)) if bytes.len() >= 12 => {
            Ok(Item::Elsewhere { page: u32_at(bytes, 4), length: u32_at(bytes, 8) })
        }
        _ => Err(Fault::Damaged("item of an unknown type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_function_is_berkeleys() {
        // Every file carries the hash of this word, so that another function is noticed.
        assert_eq!(hash(b"%$sniglet^&\0"), 0x5e68_8dd1);
        assert_eq!([0u32, 1, 2, 3, 4, 7, 8].map(doubling), [0, 1, 2, 2, 3, 3, 4]);
    }
}
