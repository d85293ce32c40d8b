//! The orders of the report's lists. Where the reference leaves ties to its hash tables' random order, the key's bytes
//! decide, ascending.

use super::tallies::{Key, Map};
use crate::log::line::is_space;

/// The entries of a map by count (descending), then by host and user.
pub fn by_count_then_host<'a, V>(map: &'a Map<V>, count: impl Fn(&V) -> u64) -> Vec<(u64, &'a [u8])> {
    let mut list: Vec<(u64, Vec<u8>, &[u8])> =
        map.iter().map(|(key, value)| (count(value), host_order(key), key.as_ref())).collect();
    list.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)).then_with(|| a.2.cmp(b.2)));
    list.into_iter().map(|(count, _, key)| (count, key)).collect()
}

/// The entries of a domain table by count and size, both descending.
pub fn by_count_then_size<'a, V>(map: &'a Map<V>, sizes: impl Fn(&V) -> (u64, u64)) -> Vec<(&'a [u8], &'a V)> {
    let mut list: Vec<((u64, u64), &[u8], &V)> =
        map.iter().map(|(key, value)| (sizes(value), key.as_ref(), value)).collect();
    list.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    list.into_iter().map(|(_, key, value)| (key, value)).collect()
}

/// The entries of a map by the bytes of their keys.
pub fn by_key<V>(map: &Map<V>) -> Vec<(&Key, &V)> {
    let mut list: Vec<_> = map.iter().collect();
    list.sort_unstable_by_key(|(key, _)| *key);
    list
}

/// The first word's sort key: an IPv4 address's four numbers, else its labels from right to left in lower case
/// without anything between. Bytes above 0x7f and numbers above 255 sort as the characters of these numbers.
pub fn host_order(text: &[u8]) -> Vec<u8> {
    let word = text.split(|&byte| is_space(byte)).next().unwrap_or_default();
    let mut order = Vec::with_capacity(word.len());
    let mut put = |value: u16| match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => order.push(byte),
        _ => order.extend([0xc0 | (value >> 6) as u8, 0x80 | (value & 0x3f) as u8]),
    };
    if let Some(numbers) = ipv4(word) {
        numbers.into_iter().for_each(&mut put);
    } else {
        for label in word.rsplit(|byte| matches!(byte, b'.' | b'@')) {
            label.iter().for_each(|byte| put(u16::from(byte.to_ascii_lowercase())));
        }
    }
    order
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

    #[test]
    fn hosts_sort_by_their_labels_from_the_right() {
        assert_eq!(host_order(b"User@Mail.Example.com  (x)"), b"comexamplemailuser");
        assert!(host_order(b"9.0.0.1") < host_order(b"10.0.0.1"));
        assert!(host_order(b"127.0.0.1") < host_order(b"200.0.0.1"));
        assert_eq!(host_order(b""), b"");
    }

    #[test]
    fn details_sort_by_domain() {
        assert_eq!(detail_order(b"u@mach.host.com"), (b"host.com.mach".to_vec(), b"u".to_vec()));
        assert_eq!(detail_order(b"dom!user"), (b"dom".to_vec(), b"user".to_vec()));
    }
}
