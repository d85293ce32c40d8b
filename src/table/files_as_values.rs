//! Values that name files (`postmap -F`): the table holds their content in base64. A value may name several files,
//! separated by commas or blanks.

use crate::sys::files::reason;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Longest content of one entry.
const MAX_CONTENT: u64 = 64 << 20;

/// The content of the files that `value` names, one after the other, in base64; the error names the file.
pub fn encoded(value: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let value = String::from_utf8_lossy(value);
    let mut content = Vec::new();
    for path in super::memory::split_items(&value) {
        let open = |error: &std::io::Error| format!("open {path}: {}", reason(error));
        let file = std::fs::File::open(&path).map_err(|error| open(&error))?;
        let read = file.take(MAX_CONTENT).read_to_end(&mut content);
        read.map_err(|error| format!("read {path}: {}", reason(&error)))?;
        if content.len() as u64 >= MAX_CONTENT {
            return Err(format!("read {path}: File too large"));
        }
    }
    Ok(encode(&content))
}

fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = (group >> (18 - 6 * at)) & 63;
            text.push(if at <= three.len() { ALPHABET[digit as usize] } else { b'=' });
        }
    }
    text
}

/// The content behind a base64 value; None when it is not base64.
pub fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(&text);
    for four in body.chunks(4) {
        if four.len() == 1 {
            return None;
        }
        let mut group = 0u32;
        for digit in four {
            let value = ALPHABET.iter().position(|letter| letter == digit)?;
            group = group << 6 | value as u32;
        }
        group <<= 6 * (4 - four.len());
        bytes.extend(group.to_be_bytes().iter().skip(1).take(four.len() - 1));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(encode(plain.as_bytes()), text.as_bytes());
            assert_eq!(decoded(text.as_bytes()).unwrap(), plain.as_bytes());
        }
        assert_eq!(decoded(b"Zg="), None);
        assert_eq!(decoded(b"Z!=="), None);
    }
}
