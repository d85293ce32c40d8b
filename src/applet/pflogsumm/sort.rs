//! The orders of the report's lists. Where the reference leaves ties to its hash tables' random order, the key's bytes
//! decide, ascending.

use super::tallies::Map;
use crate::log::line::is_space;
use crate::sys::prefetch::room;

/// The order of ties: by host and user from the right, then by bytes.
pub fn by_host<V: Copy>(map: &Map<V>) -> Vec<(&[u8], V)> {
    if map.len() < 2 {
        return map.iter().map(|(key, value)| (key, *value)).collect();
    }
    // The sort keys share one buffer: one allocation for each would cost more than the sorting.
    let mut orders = Orders { bytes: room(map.texts().len()), ends: room(map.len() + 1) };
    orders.ends.push(0);
    for (key, _) in map.iter() {
        host_order(key, &mut orders.bytes);
        orders.ends.push(orders.bytes.len());
    }
    let mut list: Vec<u128> = room(map.len());
    list.extend((0..map.len() as u32).map(u128::from));
    // Ranges that are alike up to a depth. Comparing texts costs a look into the buffer each time; so the next twelve
    // bytes of each are laid beside its place, in one number.
    let mut alike = vec![(0..list.len(), 0)];
    while let Some((range, depth)) = alike.pop() {
        let mut begin = range.start;
        let Some(part) = list.get_mut(range) else { continue };
        let mut left = false;
        if part.len() > FEW {
            for packed in part.iter_mut() {
                let tail = orders.of(*packed as u32).get(depth..).unwrap_or_default();
                left |= !tail.is_empty();
                *packed = u128::from_be_bytes(packed_tail(tail)) | u128::from(*packed as u32);
            }
        }
        if !left {
            part.sort_unstable_by_key(|&packed| (orders.of(packed as u32), map.key(packed as u32)));
            continue;
        }
        part.sort_unstable();
        for same in part.chunk_by(|a, b| a >> 32 == b >> 32) {
            let end = begin + same.len();
            if same.len() > 1 {
                alike.push((begin..end, depth + STEP));
            }
            begin = end;
        }
    }
    let mut entries = room(list.len());
    entries.extend(list.into_iter().filter_map(|packed| map.entry(packed as u32).map(|(key, value)| (key, *value))));
    entries
}

/// Bytes of a sort key that are compared at once.
const STEP: usize = 12;

/// As many are compared in the buffer.
const FEW: usize = 8;

/// Sort keys by the places of what they are the keys of.
struct Orders {
    bytes: Vec<u8>,
    /// Where each begins, and the end of the last.
    ends: Vec<usize>,
}

impl Orders {
    fn of(&self, place: u32) -> &[u8] {
        let at = place as usize;
        self.ends.get(at..at + 2).and_then(|ends| self.bytes.get(ends[0]..ends[1])).unwrap_or_default()
    }
}

/// The first bytes of a text, and room for a place. What is shorter ends with zeros, which a text can also have: which of
/// the two it was shows further on, where nothing is left of it.
fn packed_tail(tail: &[u8]) -> [u8; 16] {
    let mut packed = [0; 16];
    let known = tail.len().min(STEP);
    packed[..known].copy_from_slice(&tail[..known]);
    packed
}

/// 1.3.0's order of ties: names from the right, then IPv4 addresses by their numbers, then what looks like an IPv6
/// address, then by bytes.
pub fn by_name<V: Copy>(map: &Map<V>) -> Vec<(&[u8], V)> {
    let mut list: Vec<_> = map.iter().map(|(key, value)| (name_order(key), key, *value)).collect();
    list.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    list.into_iter().map(|(_, key, value)| (key, value)).collect()
}

fn name_order(text: &[u8]) -> (u8, Vec<u8>) {
    let word = text.split(|&byte| is_space(byte)).next().unwrap_or_default();
    let mut order = Vec::new();
    match ipv4(word) {
        Some(numbers) if numbers.iter().all(|&number| number < 256) => {
            order.extend(numbers.iter().map(|&number| number as u8));
            return (1, order);
        }
        Some(_) => return (0, word.to_vec()),
        None => {}
    }
    let first = word.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if first == 0 || word.get(first) != Some(&b':') {
        host_order(text, &mut order);
        return (0, order);
    }
    // What begins as an IPv6 address is written out as one: blocks of four digits, the first empty one filled with zeros.
    let mut blocks: Vec<&[u8]> = word.split(|&byte| byte == b':').collect();
    while blocks.last().is_some_and(|block| block.is_empty()) {
        blocks.pop();
    }
    if let Some(empty) = blocks.iter().position(|block| block.is_empty()) {
        let missing = 9usize.saturating_sub(blocks.len());
        blocks.splice(empty..=empty, std::iter::repeat_n(b"0".as_slice(), missing));
    }
    blocks.resize(blocks.len().max(8), b"0");
    for block in blocks {
        order.extend(std::iter::repeat_n(b'0', 4usize.saturating_sub(block.len())));
        order.extend_from_slice(&block.to_ascii_lowercase());
    }
    (2, order)
}

/// The entries of a list, each a count and a text, descending by count; ties keep their order.
pub fn by_count<'l, 'a, T>(
    list: &'l [T],
    entry: impl Fn(&'l T) -> (u64, &'a [u8]),
) -> impl Iterator<Item = (u64, &'a [u8])> {
    // Count and place in one number, for which a comparison is two instructions and no order need be kept.
    let mut order = room(list.len());
    order.extend(list.iter().zip(0u32..).map(|(of, place)| u128::from(!entry(of).0) << 32 | u128::from(place)));
    order.sort_unstable();
    order.into_iter().filter_map(move |packed| list.get(packed as u32 as usize).map(&entry))
}

/// The entries of a domain table by count and size, both descending.
pub fn by_count_then_size<V>(map: &Map<V>, sizes: impl Fn(&V) -> (u64, u64)) -> Vec<(&[u8], &V)> {
    let mut list: Vec<((u64, u64), &[u8], &V)> = map.iter().map(|(key, value)| (sizes(value), key, value)).collect();
    list.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    list.into_iter().map(|(_, key, value)| (key, value)).collect()
}

/// The entries of a map by the bytes of their keys.
pub fn by_key<V>(map: &Map<V>) -> Vec<(&[u8], &V)> {
    let mut list: Vec<_> = map.iter().collect();
    list.sort_unstable_by_key(|(key, _)| *key);
    list
}

/// Appends the first word's sort key: an IPv4 address's four numbers, else its labels from right to left in lower case
/// without anything between. Bytes above 0x7f and numbers above 255 sort as the characters of these numbers.
pub fn host_order(text: &[u8], order: &mut Vec<u8>) {
    let end = text.iter().position(|&byte| is_space(byte)).unwrap_or(text.len());
    let word = &text[..end];
    let put = |order: &mut Vec<u8>, value: u16| match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => order.push(byte),
        _ => order.extend([0xc0 | (value >> 6) as u8, 0x80 | (value & 0x3f) as u8]),
    };
    if let Some(numbers) = ipv4(word) {
        numbers.into_iter().for_each(|number| put(order, number));
        return;
    }
    let (begin, ascii, mut end) = (order.len(), word.is_ascii(), word.len());
    loop {
        let dot = memchr::memrchr2(b'.', b'@', &word[..end]);
        let label = &word[dot.map_or(0, |dot| dot + 1)..end];
        if ascii {
            order.extend_from_slice(label);
        } else {
            label.iter().for_each(|&byte| put(order, u16::from(byte)));
        }
        match dot {
            Some(dot) => end = dot,
            None => break,
        }
    }
    // Bytes above 0x7f have no case and are not changed.
    order[begin..].make_ascii_lowercase();
}

/// Four groups of one to three digits.
fn ipv4(word: &[u8]) -> Option<[u16; 4]> {
    if !word.first()?.is_ascii_digit() || word.len() > 15 {
        return None;
    }
    let mut parts = word.split(|&byte| byte == b'.');
    let mut next = || -> Option<u16> {
        let part = parts.next()?;
        ((1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
            .then(|| part.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
    };
    let numbers = [next()?, next()?, next()?, next()?];
    parts.next().is_none().then_some(numbers)
}

/// -e: by the first address's domain ("host.dom.mach" for "mach.host.dom"), then its user, then the queue id.
pub fn detail_order(first: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (user, domain) = match pieces(first) {
        (user, Some(domain)) if !matches!(domain, b"" | b"0") => (user, domain),
        _ => {
            let mut parts: Vec<&[u8]> = first.split(|&byte| byte == b'!').collect();
            while parts.last().is_some_and(|part| part.is_empty()) {
                parts.pop();
            }
            let user = parts.pop().unwrap_or_default();
            (user, parts.pop().unwrap_or_default())
        }
    };
    let domain = match super::text::registered_part(domain) {
        Some(at) => [&domain[at..], b".", &domain[..at - 1]].concat(),
        None if domain == b"0" => Vec::new(),
        None => domain.to_vec(),
    };
    let user = super::text::after_last(user, b"!").unwrap_or(user);
    (domain, user.to_vec())
}

/// What stands before the first "@" and between it and the next.
fn pieces(address: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = address.split(|&byte| byte == b'@');
    (parts.next().unwrap_or_default(), parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_of(text: &[u8]) -> Vec<u8> {
        let mut order = Vec::new();
        host_order(text, &mut order);
        order
    }

    #[test]
    fn hosts_sort_by_their_labels_from_the_right() {
        assert_eq!(order_of(b"User@Mail.Example.com  (x)"), b"comexamplemailuser");
        assert!(order_of(b"9.0.0.1") < order_of(b"10.0.0.1"));
        assert!(order_of(b"127.0.0.1") < order_of(b"200.0.0.1"));
        assert_eq!(order_of(b""), b"");
    }

    proptest::proptest! {
        #[test]
        fn hosts_are_in_the_order_of_their_keys(keys in proptest::collection::vec("[ab0.@]{0,40}|a{0,30}|[0.]{0,9}", 0..200)) {
            let mut map = Map::default();
            keys.iter().for_each(|key| *map.of(key.as_bytes()) = key.len());
            let found: Vec<_> = by_host(&map).into_iter().map(|(key, length)| (key.to_vec(), length)).collect();
            let mut wanted: Vec<_> = map.iter().map(|(key, length)| (key.to_vec(), *length)).collect();
            wanted.sort_by_key(|(key, _)| (order_of(key), key.clone()));
            proptest::prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn newer_ties_have_addresses_last() {
        let mut map = Map::default();
        for key in ["2001:db8::112f", "2001:db8::34a", "10.0.0.1", "9.0.0.1", "x.example", "a.example"] {
            *map.of(key.as_bytes()) = 1;
        }
        let order: Vec<_> =
            by_name(&map).into_iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
        assert_eq!(order, ["a.example", "x.example", "9.0.0.1", "10.0.0.1", "2001:db8::34a", "2001:db8::112f"]);
    }

    #[test]
    fn details_sort_by_domain() {
        assert_eq!(detail_order(b"u@mach.host.com"), (b"host.com.mach".to_vec(), b"u".to_vec()));
        assert_eq!(detail_order(b"dom!user"), (b"dom".to_vec(), b"user".to_vec()));
    }
}
