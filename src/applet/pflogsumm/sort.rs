//! The orders of the report's lists. Where the reference leaves ties to its hash tables' random order, the key's bytes
//! decide, ascending.

use super::tallies::Map;
use crate::log::line::is_space;

/// The order of ties: by host and user from the right, then by bytes.
pub fn by_host<V>(map: &Map<V>) -> Vec<(&[u8], &V)> {
    // The sort keys share one buffer: one allocation for each would cost more than the sorting. Their first bytes
    // stand in the list and decide most comparisons without a look into the buffer.
    let mut orders = Vec::new();
    let mut ends = vec![0];
    // Twelve bytes of the key and the place in one number.
    let mut list: Vec<u128> = Vec::with_capacity(map.len());
    for ((key, _), place) in map.iter().zip(0u32..) {
        let begin = orders.len();
        host_order(key, &mut orders);
        let mut first = [0; 16];
        let known = (orders.len() - begin).min(12);
        first[..known].copy_from_slice(&orders[begin..begin + known]);
        list.push(u128::from_be_bytes(first) | u128::from(place));
        ends.push(orders.len());
    }
    list.sort_unstable();
    let place = |packed: u128| packed as u32;
    let order = |packed: u128| {
        let at = place(packed) as usize;
        (ends.get(at).zip(ends.get(at + 1)).and_then(|(&from, &to)| orders.get(from..to)), map.key(place(packed)))
    };
    for alike in list.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|alike| alike.len() > 1) {
        alike.sort_unstable_by(|&a, &b| order(a).cmp(&order(b)));
    }
    list.into_iter().filter_map(|packed| map.entry(place(packed))).collect()
}

/// 1.3.0's order of ties: names from the right, then IPv4 addresses by their numbers, then what looks like an IPv6
/// address, then by bytes.
pub fn by_name<V>(map: &Map<V>) -> Vec<(&[u8], &V)> {
    let mut list: Vec<_> = map.iter().map(|(key, value)| (name_order(key), key, value)).collect();
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

/// Descending by count; ties keep their order.
pub fn by_count(mut list: Vec<(u64, &[u8])>) -> Vec<(u64, &[u8])> {
    list.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    list
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
