//! The order in which the reference walks its hash tables. It is another one at each start, unless NORANDOMIZE is in the
//! environment, as scripts have it that compare outputs (hash_fnv(3) of its sources): only then does it matter, and only
//! then is it followed. Otherwise ours is the order of the source.

use std::collections::VecDeque;

/// Buckets of a table that is new; there are always an odd number.
const BUCKETS: usize = 13;

/// Positions of `keys` (in the order in which they are first set) in the order of a walk; None: any order will do.
pub fn walk<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Option<Vec<usize>> {
    std::env::var_os("NORANDOMIZE")?;
    Some(walked(keys))
}

fn walked<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Vec<usize> {
    let mut buckets = vec![VecDeque::new(); BUCKETS];
    for (position, key) in keys.enumerate() {
        // As many entries as buckets: a table of twice the size, into which each chain goes from its head.
        if position >= buckets.len() {
            let larger = vec![VecDeque::new(); buckets.len() * 2 + 1];
            for (hash, position) in std::mem::replace(&mut buckets, larger).into_iter().flatten() {
                link(&mut buckets, hash, position);
            }
        }
        link(&mut buckets, hash(key), position);
    }
    buckets.into_iter().flatten().map(|(_, position)| position).collect()
}

/// New entries stand at the head of their chain.
fn link(buckets: &mut [VecDeque<(u64, usize)>], hash: u64, position: usize) {
    let count = buckets.len() as u64;
    if let Some(chain) = usize::try_from(hash % count).ok().and_then(|bucket| buckets.get_mut(bucket)) {
        chain.push_front((hash, position));
    }
}

/// Fowler, Noll and Vo's hash 1a (RFC 9923) with one added to each byte, so that zeros count.
fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ (u64::from(byte) + 1)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    /// As `NORANDOMIZE=1 postmap -s texthash:` of the reference lists them.
    #[test]
    fn entries_are_walked_as_the_reference_does() {
        let names: Vec<String> = (0..14).map(|number| format!("key{}x", number * 7)).collect();
        let order = super::walked(names.iter().map(|name| name.as_bytes()));
        let walked: Vec<usize> = order.iter().map(|at| at * 7).collect();
        assert_eq!(walked, [42, 0, 91, 70, 49, 35, 63, 84, 7, 21, 56, 28, 77, 14]);
    }
}
