//! Character sets: bytes to text by their label, and RFC 2047's encoded words in both directions. Nothing here fails:
//! what cannot be decoded is shown as U+FFFD or as it stands.

use super::mime::{base64, quoted_printable};
use std::borrow::Cow;

/// Text of bytes in the labelled character set; without a usable label UTF-8, and Latin-1 (as the Web has it) for
/// bytes that are no UTF-8.
pub fn decode<'b>(bytes: &'b [u8], label: Option<&str>) -> Cow<'b, str> {
    // What nearly all is labelled needs no list of labels.
    let label = label.filter(|label| !label.eq_ignore_ascii_case("utf-8"));
    let named = label.and_then(|label| encoding_rs::Encoding::for_label(label.trim().as_bytes()));
    match named {
        Some(encoding) if encoding != encoding_rs::UTF_8 => encoding.decode_without_bom_handling(bytes).0,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
        },
    }
}

/// A header value with its encoded words decoded.
pub fn decode_words(value: &[u8]) -> Cow<'_, str> {
    if !memchr::memchr_iter(b'=', value).any(|at| value.get(at + 1) == Some(&b'?')) {
        return decode(value, None);
    }
    let mut out = String::with_capacity(value.len());
    // Bytes of neighbouring words of one character set are joined before they are decoded: a writer may have cut a
    // character in two.
    let mut open: Option<(Cow<str>, Vec<u8>)> = None;
    let mut rest = value;
    while !rest.is_empty() {
        let start = memchr::memmem::find(rest, b"=?").unwrap_or(rest.len());
        let (plain, after) = rest.split_at(start);
        let word = encoded_word(after);
        let joins = open.is_some() && word.is_some() && plain.iter().all(u8::is_ascii_whitespace);
        if !joins && !plain.is_empty() {
            flush(&mut out, &mut open);
            out.push_str(&decode(plain, None));
        }
        match word {
            Some((charset, bytes, length)) => {
                match &mut open {
                    Some((known, gathered)) if known.eq_ignore_ascii_case(&charset) => gathered.extend(bytes),
                    _ => {
                        flush(&mut out, &mut open);
                        open = Some((charset, bytes));
                    }
                }
                rest = &after[length..];
            }
            None => {
                let taken = after.len().min(2);
                flush(&mut out, &mut open);
                out.push_str(&decode(&after[..taken], None));
                rest = &after[taken..];
            }
        }
    }
    flush(&mut out, &mut open);
    Cow::Owned(out)
}

fn flush(out: &mut String, open: &mut Option<(Cow<str>, Vec<u8>)>) {
    if let Some((charset, bytes)) = open.take() {
        out.push_str(&decode(&bytes, Some(&charset)));
    }
}

/// The encoded word at the start of `text`: character set, bytes, length in `text`.
fn encoded_word(text: &[u8]) -> Option<(Cow<'_, str>, Vec<u8>, usize)> {
    let inner = text.strip_prefix(b"=?")?;
    let limit = inner.len().min(1000);
    let mut parts = inner[..limit].splitn(3, |&byte| byte == b'?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let end = memchr::memchr_iter(b'?', rest).find(|&at| rest.get(at + 1) == Some(&b'='))?;
    let data = &rest[..end];
    let bytes = match encoding {
        b"B" | b"b" => base64::decode(data),
        b"Q" | b"q" => quoted_printable::decode_header(data),
        _ => return None,
    };
    // RFC 2231 allows a language after the character set: "utf-8*fr".
    let charset = String::from_utf8_lossy(charset.split(|&byte| byte == b'*').next()?);
    let length = 2 + charset_length(inner)? + 1 + encoding.len() + 1 + end + 2;
    Some((charset, bytes, length))
}

fn charset_length(inner: &[u8]) -> Option<usize> {
    memchr::memchr(b'?', inner)
}

/// A header value that is pure ASCII: unchanged when it is so already, else in UTF-8 encoded words of at most 75
/// characters, folded.
pub fn encode_words(value: &str) -> String {
    if value.is_ascii() {
        return value.to_owned();
    }
    let mut out = String::new();
    let mut chunk = String::new();
    for character in value.chars() {
        // 45 bytes are 60 of base64; with "=?UTF-8?B?" and "?=" that is 72.
        if chunk.len() + character.len_utf8() > 45 {
            push_word(&mut out, &chunk);
            chunk.clear();
        }
        chunk.push(character);
    }
    push_word(&mut out, &chunk);
    out
}

fn push_word(out: &mut String, chunk: &str) {
    if !out.is_empty() {
        out.push_str("\n ");
    }
    out.push_str("=?UTF-8?B?");
    out.push_str(&base64::encode(chunk.as_bytes()));
    out.push_str("?=");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_both_directions() {
        assert_eq!(decode_words(b"=?utf-8?Q?H=C3=A9t=C3=A9rog=C3=A8ne?= a_b"), "Hétérogène a_b");
        assert_eq!(decode_words(b"=?utf-8?B?w6k=?=\t=?ISO-8859-1?q?=E8_x?= =?bad"), "éè x =?bad");
        assert_eq!(decode_words(b"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?="), "é");
        assert_eq!(decode_words(b"=?x?y?z"), "=?x?y?z");
        let long = "é".repeat(60);
        let encoded = encode_words(&long);
        assert!(encoded.lines().all(|line| line.len() <= 76) && encoded.is_ascii());
        assert_eq!(decode_words(encoded.as_bytes()), long);
        assert_eq!(encode_words("plain"), "plain");
    }
}
