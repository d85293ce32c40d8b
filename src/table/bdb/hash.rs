//! Hash files: a key's bucket is the last bits of its hash; a bucket is a page and the chain after it; items stand in
//! pairs, key and value, sorted by key on pages of type 13.

use super::file::{Db, Fault, HASH, HASH_UNSORTED, Page, u32_at};
use crate::table::many::{Asked, Found, Stored};
use crate::table::window::Window;
use std::borrow::Cow;

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
    let mut number = bucket_page(db, bucket(db, key))?;
    let mut room = Vec::new();
    for _ in 0..db.pages {
        match look(db, db.read(number, &mut room)?, key)? {
            Look::Here(value) => return Ok(Some(value.into_owned())),
            Look::Next(0) => return Ok(None),
            Look::Next(next) => number = next,
        }
    }
    Err(CIRCLE)
}

/// See [`crate::table::indexed::Keyed::order`]: keys by the page of their bucket.
pub fn order(db: &Db, keys: Stored<'_>) -> Vec<Asked> {
    let mut order: Vec<Asked> = keys.positions().map(|position| (bucket(db, keys.at(position)), position)).collect();
    order.sort_unstable();
    order
}

/// See [`crate::table::indexed::Keyed::get_many`].
pub fn get_many(db: &Db, keys: Stored<'_>, order: &[Asked], found: &mut Found<'_>) -> Result<(), Fault> {
    let mut window = Window::default();
    // There is no page 0: that is a fault.
    let first = order.iter().map(|&(bucket, position)| (bucket_page(db, bucket).unwrap_or(0), position));
    let mut next = look_many(db, keys, first, &mut window, found)?;
    for _ in 0..db.pages {
        if next.is_empty() {
            return Ok(());
        }
        next.sort_unstable();
        next = look_many(db, keys, next.iter().copied(), &mut window, found)?;
    }
    Err(CIRCLE)
}

/// Looks for keys, each on a page of its bucket, once through the file; pages where some of them may be instead.
fn look_many(
    db: &Db,
    keys: Stored<'_>,
    mut asked: impl Iterator<Item = Asked> + Clone,
    window: &mut Window,
    found: &mut Found<'_>,
) -> Result<Vec<Asked>, Fault> {
    let mut next = Vec::new();
    while let Some((number, position)) = asked.next() {
        let page = db.read_along(number, asked.clone().map(|(number, _)| number), window)?;
        match look(db, page, keys.at(position))? {
            Look::Here(value) if !found(position, &value) => return Ok(Vec::new()),
            Look::Here(_) | Look::Next(0) => {}
            Look::Next(number) => next.push((number, position)),
        }
    }
    Ok(next)
}

const CIRCLE: Fault = Fault::Damaged("bucket chain in a circle");

/// What a page of a key's bucket says.
enum Look<'a> {
    Here(Cow<'a, [u8]>),
    /// Perhaps on this page, which is none when it is 0.
    Next(u32),
}

fn look<'a>(db: &Db, page: Page<'a>, key: &[u8]) -> Result<Look<'a>, Fault> {
    let entries = pairs(page)?;
    let mut budget = db.budget();
    // Most pages have short items in order.
    if page.kind() == HASH
        && let Some(at) = search(page, entries, key)?
    {
        return at.map_or(Ok(Look::Next(page.next())), |at| Ok(Look::Here(item(page, at + 1)?.load(db, &mut budget)?)));
    }
    for at in (0..entries).step_by(2) {
        let equal = match item(page, at)? {
            Item::Here(bytes) => bytes == key,
            Item::Elsewhere { length, .. } if length as usize != key.len() => false,
            Item::Elsewhere { page, length } => db.overflow(page, length, &mut budget)? == key,
        };
        if equal {
            return Ok(Look::Here(item(page, at + 1)?.load(db, &mut budget)?));
        }
    }
    Ok(Look::Next(page.next()))
}

/// The number of items on a bucket's page: keys with their values.
fn pairs(page: Page<'_>) -> Result<usize, Fault> {
    match page.kind() {
        HASH | HASH_UNSORTED => {}
        // A page of zeros, see Db::read: it has no items and no next one.
        0 => return Ok(0),
        _ => return Err(Fault::Damaged("bucket page of another type")),
    }
    let entries = page.entries()?;
    if entries.is_multiple_of(2) { Ok(entries) } else { Err(Fault::Damaged("key without value")) }
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
fn search(page: Page<'_>, entries: usize, key: &[u8]) -> Result<Option<Option<usize>>, Fault> {
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
    pair: &mut dyn FnMut(Page<'_>, usize) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let mut number = bucket_page(db, bucket)?;
    let mut room = Vec::new();
    while number != 0 {
        *steps = steps.checked_sub(1).ok_or(CIRCLE)?;
        let page = db.read(number, &mut room)?;
        for at in (0..pairs(page)?).step_by(2) {
            if !pair(page, at)? {
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
fn item(page: Page<'_>, at: usize) -> Result<Item<'_>, Fault> {
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
