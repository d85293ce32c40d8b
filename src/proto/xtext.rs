//! xtext (RFC 3461 section 4): printable ASCII, where "+" and two hexadecimal digits stand for a byte.

/// The text behind `value`; None for what is no xtext, or no UTF-8 behind it.
pub fn decode(value: &str) -> Option<String> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            }
            33..=126 if byte != b'=' => out.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(out).ok()
}

/// `text` as xtext.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(&format!("+{byte:02X}")),
            33..=126 => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_pairs() {
        assert_eq!(decode("a+2Bb+3d").as_deref(), Some("a+b="));
        assert_eq!(decode(&encode("é = +")).as_deref(), Some("é = +"));
        for bad in ["a+", "a+2", "a+2G", "a=b", "a b", "+FF"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
