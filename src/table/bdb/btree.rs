//! Btree files: internal pages lead from the root to leaves that are chained in key order; keys compare bytewise.

use super::file::{BTREE_INTERNAL, BTREE_LEAF, Db, Fault, Page, u16_at, u32_at};
use crate::table::many::{Asked, Found, Stored};
use std::borrow::Cow;
use std::cmp::Ordering;

const KEYDATA: u8 = 1;
const OVERFLOW_ITEM: u8 = 3;
/// A bit on the item type: deleted while a cursor stood on it.
const DELETED: u8 = 0x80;

pub fn get(db: &Db, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut path = Path::default();
    // One long key may be met on the way down, in the leaf's search and once more when it is found.
    let mut budget = db.budget().saturating_mul(64);
    let page = leaf(db, Some(key), &mut path, &mut budget)?;
    Ok(value_in(db, page, key, &mut budget)?.map(Cow::into_owned))
}

/// See [`crate::table::indexed::Keyed::get_many`].
pub fn get_many(db: &Db, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> Result<(), Fault> {
    let mut path = Path::default();
    for &(_, position) in order {
        let key = keys.at(position);
        let mut budget = db.budget().saturating_mul(64);
        // Keys come in order: one that is not beyond the last of the leaf where the one before belongs is there too.
        let page = match path.0.last() {
            Some((_, bytes)) if !is_beyond(Page { bytes }, key) => Page { bytes },
            _ => leaf(db, Some(key), &mut path, &mut budget)?,
        };
        if let Some(value) = value_in(db, page, key, &mut budget)?
            && !found(position, &value)
        {
            break;
        }
    }
    Ok(())
}

/// Whether a key is certainly or perhaps beyond a leaf's last.
fn is_beyond(page: Page<'_>, key: &[u8]) -> bool {
    let last = page.entries().ok().and_then(|entries| entries.checked_sub(2));
    let start = last.map_or(0, |last| page.offset(last));
    match (page.kind(), page.bytes.get(start..start + 3)) {
        (BTREE_LEAF, Some(head)) if last.is_some() && head[2] == KEYDATA => {
            let length = usize::from(u16_at(head, 0));
            page.bytes.get(start + 3..start + 3 + length).is_none_or(|last| key > last)
        }
        _ => true,
    }
}

/// The value of a key in the leaf where it belongs.
fn value_in<'a>(db: &Db, page: Page<'a>, key: &[u8], budget: &mut u64) -> Result<Option<Cow<'a, [u8]>>, Fault> {
    // Keys of deleted pairs still stand in order, so they part the page like the others.
    let (mut low, mut high) = (0, page.entries()? / 2);
    while low < high {
        let middle = low + (high - low) / 2;
        match any(db, page, 2 * middle, budget)?.as_ref().cmp(key) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater | Ordering::Equal => high = middle,
        }
    }
    // The first that is not less; after a deleted pair its successor may have the same key.
    for at in (2 * low..page.entries()?.saturating_sub(1)).step_by(2) {
        if any(db, page, at, budget)?.as_ref() != key {
            break;
        }
        if let (Some(_), Some(value)) = (load(db, page, at, budget)?, load(db, page, at + 1, budget)?) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

pub fn each(db: &Db, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault> {
    let mut budget = db.budget();
    let mut path = Path::default();
    let mut page = leaf(db, None, &mut path, &mut budget)?;
    let mut room = Vec::new();
    let mut steps = db.pages;
    loop {
        let entries = page.entries()?;
        for at in (0..entries.saturating_sub(1)).step_by(2) {
            let (Some(key), Some(value)) = (load(db, page, at, &mut budget)?, load(db, page, at + 1, &mut budget)?)
            else {
                continue;
            };
            if !each(&key, &value) {
                return Ok(());
            }
        }
        let next = page.next();
        if next == 0 {
            return Ok(());
        }
        steps = steps.checked_sub(1).ok_or(Fault::Damaged("leaf chain in a circle"))?;
        page = db.read(next, &mut room)?;
        if page.kind() != BTREE_LEAF {
            return Err(Fault::Damaged("leaf of another type"));
        }
    }
}

/// The pages from the root to the leaf that was looked into last, with their numbers. Page 0 is none of them.
#[derive(Default)]
struct Path(Vec<(u32, Vec<u8>)>);

/// The leaf where `key` stands or would stand; the first leaf without a key.
fn leaf<'a>(db: &Db, key: Option<&[u8]>, path: &'a mut Path, budget: &mut u64) -> Result<Page<'a>, Fault> {
    let mut number = db.root;
    let mut above = u8::MAX;
    for depth in 0.. {
        if path.0.len() == depth {
            path.0.push(Default::default());
        }
        let (known, bytes) = &mut path.0[depth];
        if *known != number {
            *known = 0;
            db.read(number, bytes)?;
            *known = number;
        }
        let page = Page { bytes };
        // Levels fall towards the leaves, so the way down ends.
        if page.level() >= above {
            break;
        }
        above = page.level();
        match page.kind() {
            BTREE_LEAF => {
                path.0.truncate(depth + 1);
                return Ok(Page { bytes: &path.0[depth].1 });
            }
            BTREE_INTERNAL => number = child(db, page, key, budget)?,
            _ => return Err(Fault::Damaged("page of an unknown type")),
        }
    }
    Err(Fault::Damaged("page of a wrong level"))
}

/// The child under the last key that is not greater; the first key stands for everything below the second.
fn child(db: &Db, page: Page<'_>, key: Option<&[u8]>, budget: &mut u64) -> Result<u32, Fault> {
    let entries = page.entries()?;
    if entries == 0 {
        return Err(Fault::Damaged("empty internal page"));
    }
    let (mut low, mut high) = (0, if key.is_some() { entries } else { 1 });
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let bytes = internal(page, middle)?;
        let found = match bytes[2] & !DELETED {
            OVERFLOW_ITEM if bytes.len() >= 24 => {
                Cow::Owned(db.overflow(u32_at(bytes, 16), u32_at(bytes, 20), budget)?)
            }
            KEYDATA => Cow::Borrowed(&bytes[12..]),
            _ => return Err(Fault::Damaged("item of an unknown type")),
        };
        if key.is_some_and(|key| found.as_ref() <= key) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(u32_at(internal(page, low)?, 4))
}

/// An item of an internal page: length, type, child, records, key.
fn internal(page: Page<'_>, at: usize) -> Result<&[u8], Fault> {
    let start = page.offset(at);
    let length = usize::from(u16_at(page.bytes, start));
    page.bytes.get(start..start + 12 + length).ok_or(Fault::Damaged("item outside its page"))
}

/// Item `at` of a leaf; None when it is deleted.
fn load<'a>(db: &Db, page: Page<'a>, at: usize, budget: &mut u64) -> Result<Option<Cow<'a, [u8]>>, Fault> {
    let kind = page.bytes.get(page.offset(at) + 2).copied().unwrap_or(0);
    if kind & DELETED != 0 { Ok(None) } else { any(db, page, at, budget).map(Some) }
}

/// Item `at` of a leaf, deleted or not.
fn any<'a>(db: &Db, page: Page<'a>, at: usize, budget: &mut u64) -> Result<Cow<'a, [u8]>, Fault> {
    let start = page.offset(at);
    let head = page.bytes.get(start..start + 3).ok_or(Fault::Damaged("item outside its page"))?;
    match head[2] & !DELETED {
        KEYDATA => {
            let length = usize::from(u16_at(head, 0));
            let data = page.bytes.get(start + 3..start + 3 + length).ok_or(Fault::Damaged("item outside its page"))?;
            Ok(Cow::Borrowed(data))
        }
        OVERFLOW_ITEM => {
            let item = page.bytes.get(start..start + 12).ok_or(Fault::Damaged("item outside its page"))?;
            Ok(Cow::Owned(db.overflow(u32_at(item, 4), u32_at(item, 8), budget)?))
        }
        _ => Err(Fault::Damaged("item of an unknown type")),
    }
}
