//! Parts of a message: types, parameters, transfer encodings, multiparts within limits (depth and number), so that a
//! hostile message costs no more than its length.

use super::charset;
use super::header;

/// Multiparts within multiparts beyond this are shown as they stand.
const DEPTH: usize = 16;
/// Parts beyond this many are left alone.
const PARTS: usize = 1000;

/// base64 in MIME's alphabet.
pub mod base64 {
    /// Decodes; bytes outside the alphabet are passed over, as RFC 2045 says.
    pub fn decode(text: &[u8]) -> Vec<u8> {
        if let Ok(bytes) = data_encoding::BASE64.decode(text) {
            return bytes;
        }
        let mut out = Vec::with_capacity(text.len() / 4 * 3);
        let (mut bits, mut count) = (0u32, 0);
        for &byte in text {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => break,
                _ => continue,
            };
            bits = bits << 6 | u32::from(value);
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count & 0xff) as u8);
            }
        }
        out
    }

    /// Without line breaks.
    pub fn encode(bytes: &[u8]) -> String {
        data_encoding::BASE64.encode(bytes)
    }

    /// In lines of 76 characters, the last one ended too.
    pub fn encode_lines(bytes: &[u8]) -> String {
        let mut out = String::new();
        for chunk in bytes.chunks(57) {
            out.push_str(&encode(chunk));
            out.push('\n');
        }
        out
    }
}

/// quoted-printable.
pub mod quoted_printable {
    use lettre::message::Body;
    use lettre::message::header::ContentTransferEncoding;

    /// A body.
    pub fn decode(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'=' {
                out.push(byte);
                continue;
            }
            let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
            if let Some(value) = hex(rest) {
                out.push(value);
                rest = &rest[2..];
            } else if rest.get(blanks) == Some(&b'\n') {
                rest = &rest[blanks + 1..];
            } else {
                out.push(byte);
            }
        }
        out
    }

    /// The Q of encoded words.
    pub fn decode_header(text: &[u8]) -> Vec<u8> {
        let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
        decode(&spaced)
    }

    fn hex(text: &[u8]) -> Option<u8> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (high, low) = (digit(text.first()?)?, digit(text.get(1)?)?);
        u8::try_from(high * 16 + low).ok()
    }

    /// A body, in lines of at most 76 characters.
    pub fn encode(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, end) = line.strip_suffix(b"\n").map_or((line, b"".as_slice()), |text| (text, b"\n"));
            // Line by line: of bytes that are not UTF-8 the builder would encode the newlines, too. It refuses nothing that
            // is to be encoded, and breaks lines as they travel, by CR LF.
            let body = Body::new_with_encoding(text.to_vec(), ContentTransferEncoding::QuotedPrintable);
            let encoded = body.map_or_else(|given| given, Body::into_vec);
            out.extend(encoded.into_iter().filter(|&byte| byte != b'\r'));
            out.extend_from_slice(end);
        }
        out
    }
}

/// A type with its parameters ("text/plain; charset=utf-8").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// "text/plain", in lower case.
    pub kind: String,
    pub parameters: Vec<(String, String)>,
}

impl ContentType {
    pub fn parse(value: &[u8]) -> ContentType {
        let text = String::from_utf8_lossy(value);
        let mut pieces = split_parameters(&text).into_iter();
        let kind = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameters = pieces
            .filter_map(|piece| {
                let (name, value) = piece.split_once('=')?;
                Some((name.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()))
            })
            .take(100)
            .collect();
        ContentType { kind: if kind.contains('/') { kind } else { "text/plain".into() }, parameters }
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// At ";" outside quotes.
fn split_parameters(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => {
                pieces.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = pieces.last_mut() {
            last.push(character);
        }
    }
    pieces
}

/// A message or a part of one.
#[derive(Clone, Debug)]
pub struct Part<'m> {
    pub content_type: ContentType,
    /// Content-Transfer-Encoding in lower case.
    pub encoding: String,
    pub header: &'m [u8],
    /// As it stands in the message.
    pub body: &'m [u8],
    pub parts: Vec<Part<'m>>,
}

impl<'m> Part<'m> {
    /// The tree of a message given as header and body.
    pub fn parse(header: &'m [u8], body: &'m [u8]) -> Part<'m> {
        let mut left = PARTS;
        Part::of(header, body, DEPTH, &mut left)
    }

    fn of(block: &'m [u8], body: &'m [u8], depth: usize, left: &mut usize) -> Part<'m> {
        let value = header::find(block, "Content-Type").unwrap_or_else(|| b"text/plain".to_vec());
        let encoding = header::find(block, "Content-Transfer-Encoding").unwrap_or_default();
        let encoding = String::from_utf8_lossy(&encoding).trim().to_ascii_lowercase();
        let content_type = ContentType::parse(&value);
        let mut part = Part { content_type, encoding, header: block, body, parts: Vec::new() };
        if depth == 0 {
            return part;
        }
        if part.content_type.kind.starts_with("multipart/") {
            let boundary = part.content_type.parameter("boundary").map(str::to_owned);
            for piece in boundary.iter().flat_map(|boundary| split_multipart(body, boundary)) {
                if *left == 0 {
                    break;
                }
                *left -= 1;
                let (block, body) = header::split(piece);
                part.parts.push(Part::of(block, body, depth - 1, left));
            }
        } else if part.content_type.kind == "message/rfc822" && *left > 0 {
            *left -= 1;
            let (block, body) = header::split(body);
            part.parts.push(Part::of(block, body, depth - 1, left));
        }
        part
    }

    /// The body with its transfer encoding undone.
    pub fn decoded(&self) -> Vec<u8> {
        match self.encoding.as_str() {
            "base64" => base64::decode(self.body),
            "quoted-printable" => quoted_printable::decode(self.body),
            _ => self.body.to_vec(),
        }
    }

    /// The body as text of its character set.
    pub fn text(&self) -> String {
        charset::decode(&self.decoded(), self.content_type.parameter("charset")).into_owned()
    }

    /// The file name that the sender gave it, without directories.
    pub fn file_name(&self) -> Option<String> {
        let disposition = header::find(self.header, "Content-Disposition").map(|value| ContentType::parse_any(&value));
        let name = disposition.as_ref().and_then(|value| value.parameter("filename"));
        let name = charset::decode_words(name.or_else(|| self.content_type.parameter("name"))?.as_bytes());
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        (!name.is_empty() && name != "." && name != "..").then_some(name)
    }

    /// Whether the sender meant it as a file beside the text.
    pub fn is_attachment(&self) -> bool {
        header::find(self.header, "Content-Disposition")
            .is_some_and(|value| value.to_ascii_lowercase().starts_with(b"attachment"))
    }
}

impl ContentType {
    /// As [`ContentType::parse`], for values that are no types ("attachment; filename=x").
    fn parse_any(value: &[u8]) -> ContentType {
        let mut parsed = ContentType::parse(value);
        parsed.kind.clear();
        parsed
    }
}

/// The bodies between the boundary's lines.
fn split_multipart<'m>(body: &'m [u8], boundary: &str) -> Vec<&'m [u8]> {
    let mut pieces = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let next = at + line.len();
        if let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes())) {
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                if let Some(start) = open.take() {
                    // The newline before the boundary belongs to the boundary.
                    let end = at - usize::from(at > start && body[at - 1] == b'\n');
                    let end = end - usize::from(end > start && body[end - 1] == b'\r');
                    pieces.push(&body[start..end]);
                }
                if rest == b"--" {
                    return pieces;
                }
                open = Some(next);
            }
        }
        at = next;
    }
    // A message that was cut short shows what it has.
    if let Some(start) = open {
        pieces.push(&body[start..]);
    }
    pieces
}

/// What a person reads of a message in HTML alone: tags away, blocks as lines, the common entities as characters.
pub fn html_to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        push_text(&mut out, &rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let end = rest.find(';').filter(|end| *end < 12);
            match end.and_then(|end| entity(&rest[1..end]).map(|character| (character, end))) {
                Some((character, end)) => {
                    out.push(character);
                    rest = &rest[end + 1..];
                }
                None => {
                    out.push('&');
                    rest = &rest[1..];
                }
            }
            continue;
        }
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        let tag: String = rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        let tag = tag.to_ascii_lowercase();
        rest = &rest[end..];
        match tag.as_str() {
            "script" | "style" | "head" | "title" => {
                let closes = |at: &usize| {
                    rest.get(at + 2..at + 2 + tag.len()).is_some_and(|name| name.eq_ignore_ascii_case(&tag))
                };
                rest = rest.match_indices("</").map(|(at, _)| at).find(closes).map_or("", |at| &rest[at..]);
            }
            "br" | "br/" | "/p" | "p" | "/div" | "/tr" | "/li" | "/h1" | "/h2" | "/h3" | "/table"
                if !out.ends_with("\n\n") =>
            {
                out.push('\n');
            }
            _ => {}
        }
    }
    push_text(&mut out, rest);
    let mut text = out.trim().to_owned();
    text.push('\n');
    text
}

/// Runs of blanks are one blank in HTML.
fn push_text(out: &mut String, text: &str) {
    for character in text.chars() {
        if !character.is_whitespace() {
            out.push(character);
        } else if !out.is_empty() && !out.ends_with([' ', '\n']) {
            out.push(' ');
        }
    }
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hexadecimal = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16).ok());
        return char::from_u32(hexadecimal.unwrap_or_else(|| number.parse().ok())?);
    }
    const NAMES: &[(&str, char)] = &[
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("eacute", 'é'),
        ("egrave", 'è'),
        ("ecirc", 'ê'),
        ("agrave", 'à'),
        ("acirc", 'â'),
        ("ccedil", 'ç'),
        ("ocirc", 'ô'),
        ("ugrave", 'ù'),
        ("ucirc", 'û'),
        ("icirc", 'î'),
        ("iuml", 'ï'),
        ("euml", 'ë'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("auml", 'ä'),
        ("szlig", 'ß'),
        ("euro", '€'),
        ("copy", '©'),
        ("laquo", '«'),
        ("raquo", '»'),
        ("hellip", '…'),
        ("rsquo", '’'),
        ("lsquo", '‘'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("ndash", '–'),
        ("mdash", '—'),
    ];
    NAMES.iter().find(|(known, _)| *known == name).map(|&(_, character)| character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_there_and_back() {
        for text in [b"".as_slice(), b"a", b"ab", b"abc", b"\x00\x01\xff\xfe", "é à\n".as_bytes()] {
            assert_eq!(base64::decode(base64::encode_lines(text).as_bytes()), text);
            assert_eq!(quoted_printable::decode(&quoted_printable::encode(text)), text);
        }
        assert_eq!(quoted_printable::decode(b"a=\nb=3Dc= \nd=zz"), b"ab=cd=zz");
        // What would also be base64.
        assert_eq!(quoted_printable::decode(b"Bonjour1"), b"Bonjour1");
        assert_eq!(quoted_printable::decode_header(b"test"), b"test");
    }

    #[test]
    fn trees_of_parts() {
        let body = b"pre\n--x\nContent-Type: text/html\n\n<p>Caf&eacute;</p>\n--x\r\n\r\nplain\r\n--x--\npost\n";
        let tree = Part::parse(b"Content-Type: multipart/mixed; boundary=\"x\"\n\n", body);
        assert_eq!(tree.parts.len(), 2);
        assert_eq!(html_to_text(&tree.parts[0].text()), "Café\n");
        assert_eq!(tree.parts[1].body, b"plain");
        let mut nested = String::new();
        for depth in 0..10_000 {
            nested.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n"));
        }
        let (block, body) = header::split(nested.as_bytes());
        assert!(!Part::parse(block, body).parts.is_empty());
    }
}
