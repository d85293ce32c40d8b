//! Threads (`set threads`): the answers of a message stand below it, by References and In-Reply-To. Numbers stay what
//! they are; only the order of the summary changes, and the answers' subjects are set in.

use super::session::OpenBox;
use crate::mailbox::outline::Outlines;
use crate::message::header;
use std::collections::HashMap;
use std::io;

/// A message's place in its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 0.
    pub index: usize,
    /// 0 for the message that began the thread.
    pub depth: usize,
}

/// These messages in the order of their threads, each thread where its first message stands.
pub fn order(open: &OpenBox, indices: &[usize]) -> io::Result<Vec<Place>> {
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut named: Vec<Vec<Vec<u8>>> = Vec::with_capacity(indices.len());
    let mut outlines = Outlines::new(&open.mbox, true);
    for (place, &index) in indices.iter().enumerate() {
        if index >= open.count() {
            continue;
        }
        let block = outlines.of(index)?.block;
        if let Some(id) = ids(&header::find(block, "Message-Id").unwrap_or_default()).pop() {
            known.entry(id).or_insert(place);
        }
        let mut before = ids(&header::find(block, "In-Reply-To").unwrap_or_default());
        before.truncate(1);
        before.extend(ids(&header::find(block, "References").unwrap_or_default()));
        named.push(before);
    }
    let parents: Vec<Option<usize>> = named
        .iter()
        .enumerate()
        .map(|(place, before)| before.iter().rev().filter_map(|id| known.get(id)).copied().find(|&one| one != place))
        .collect();
    Ok(walk(indices, &parents))
}

/// The identifiers in a field's value.
pub fn ids(value: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(start) = memchr::memchr(b'<', rest) {
        let Some(length) = memchr::memchr(b'>', &rest[start..]) else { break };
        found.push(rest[start..=start + length].to_vec());
        rest = &rest[start + length + 1..];
    }
    found
}

/// Depth first, without recursion: mail says of itself what it answers, and may say nonsense.
fn walk(indices: &[usize], parents: &[Option<usize>]) -> Vec<Place> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    for (place, parent) in parents.iter().enumerate() {
        if let Some(parent) = parent {
            children[*parent].push(place);
        }
    }
    let mut seen = vec![false; parents.len()];
    let mut found = Vec::with_capacity(parents.len());
    let roots = (0..parents.len()).filter(|&place| parents[place].is_none());
    // What is left after the roots goes round in circles; each circle is broken at its first message.
    for root in roots.chain(0..parents.len()) {
        let mut waiting = vec![(root, 0)];
        while let Some((place, depth)) = waiting.pop() {
            if std::mem::replace(&mut seen[place], true) {
                continue;
            }
            found.push(Place { index: indices[place], depth });
            waiting.extend(children[place].iter().rev().map(|&child| (child, depth + 1)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_below_and_circles_end() {
        let flat = |parents: &[Option<usize>]| {
            let indices: Vec<usize> = (0..parents.len()).collect();
            walk(&indices, parents).iter().map(|place| (place.index, place.depth)).collect::<Vec<_>>()
        };
        assert_eq!(flat(&[None, None, Some(0), Some(2), Some(1)]), [(0, 0), (2, 1), (3, 2), (1, 0), (4, 1)]);
        assert_eq!(flat(&[Some(1), Some(0), None]), [(2, 0), (0, 0), (1, 1)]);
        assert_eq!(ids(b"<a@b> x <c>\n <d"), [b"<a@b>".to_vec(), b"<c>".to_vec()]);
    }
}
