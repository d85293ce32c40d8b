//! Header blocks: fields in their order, byte for byte, and unfolded values.

use std::borrow::Cow;

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'h> {
    pub name: &'h [u8],
    /// After the colon and its blanks, folds and all, without the last newline.
    pub value: &'h [u8],
    /// The whole field with its newlines.
    pub raw: &'h [u8],
}

impl<'h> Field<'h> {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value with the blanks at its end.
    pub fn text(&self) -> &'h [u8] {
        let line = self.raw.strip_suffix(b"\n").unwrap_or(self.raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        let value = line.get(colon + 1..).unwrap_or_default();
        let blanks = value.iter().take_while(|byte| **byte == b' ' || **byte == b'\t').count();
        &value[blanks..]
    }
}

/// The fields of a block that may end with its empty line; lines that are no fields are passed over.
pub fn fields(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
                return None;
            }
            let mut end = line_end(rest, 0);
            while rest.get(end).is_some_and(|byte| *byte == b' ' || *byte == b'\t') {
                end = line_end(rest, end);
            }
            let (raw, after) = rest.split_at(end);
            rest = after;
            let end = raw.iter().take_while(|byte| (33..=126).contains(*byte) && **byte != b':').count();
            let (name, after) = raw.split_at(end);
            let Some(value) = after.trim_ascii_start().strip_prefix(b":").filter(|_| !name.is_empty()) else {
                continue;
            };
            let value = value.trim_ascii_end();
            let blanks = value.iter().take_while(|byte| **byte == b' ' || **byte == b'\t').count();
            return Some(Field { name, value: &value[blanks..], raw });
        }
    })
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |index| from + index + 1)
}

/// The first field of this name, unfolded.
pub fn find(block: &[u8], name: &str) -> Option<Vec<u8>> {
    fields(block).find(|field| field.is(name)).map(|field| unfold(field.value))
}

/// [`unfold`]; a value in one line is not copied.
pub fn in_one_line(value: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'\n', b'\r', value) {
        None => Cow::Borrowed(value),
        Some(_) => Cow::Owned(unfold(value)),
    }
}

/// The value without its line breaks; the blanks that folding put after them stay, one of each.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for line in value.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if out.is_empty() {
            out.extend_from_slice(line);
        } else {
            out.push(b' ');
            out.extend_from_slice(line.trim_ascii_start());
        }
    }
    out
}

/// Splits a message at the empty line that ends its header: (header with that line, body).
pub fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < message.len() {
        let end = line_end(message, at);
        if matches!(&message[at..end], b"\n" | b"\r\n") {
            return message.split_at(end);
        }
        at = end;
    }
    (message, b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_bytes() {
        let block = b"Subject:  a\n\tb\r\nnoise\nTo: x\n\nbody: no\n";
        let all: Vec<_> = fields(block).map(|field| (field.name, unfold(field.value))).collect();
        assert_eq!(all, [(b"Subject".as_slice(), b"a b".to_vec()), (b"To", b"x".to_vec())]);
        let texts = fields(b"A: b \t\nB:\nC: d \n e \r\nD:  ").map(|field| field.text().to_vec()).collect::<Vec<_>>();
        assert_eq!(texts, [b"b \t".to_vec(), Vec::new(), b"d \n e ".to_vec(), Vec::new()]);
        assert_eq!(split(block).1, b"body: no\n");
    }
}
