//! A message on standard input as lookup keys, as header_checks and body_checks would see it: `-h` gives each header
//! (its lines joined as they stand), `-b` each other line; with `-m` headers of MIME parts and of attached messages
//! are headers too.

use std::io::{BufRead, Read};

/// Multipart nesting beyond this is body text.
const MAX_NESTING: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub headers: bool,
    pub body: bool,
    pub mime: bool,
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Body,
}

/// What a header block says about the body after it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text,
    Message,
    Multipart(Vec<u8>, Part),
}

/// What a part of a multipart is that says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    /// In a digest.
    Message,
}

/// Calls `each` with every wanted key.
pub fn each<E: From<std::io::Error>>(
    input: &mut impl BufRead,
    wanted: Wanted,
    max: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut place = Place::Header;
    let mut header: Vec<u8> = Vec::new();
    let mut content = Content::Text;
    let mut boundaries: Vec<(Vec<u8>, Part)> = Vec::new();
    // Headers of parts are headers only with -m; those of the message itself always.
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.take(max).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        while matches!(line.last(), Some(b'\n')) {
            line.pop();
        }
        if place == Place::Header {
            if !header.is_empty() && line.starts_with(b" ") | line.starts_with(b"\t") {
                if header.len() as u64 + line.len() as u64 > max {
                    return Err(std::io::Error::other("header too long").into());
                }
                header.push(b'\n');
                header.extend_from_slice(&line);
                continue;
            }
            finish(&mut header, wanted, &mut content, each)?;
            if let Some((name, rest)) = header_line(&line) {
                // Blanks before the colon go.
                header = [name, rest].concat();
                continue;
            }
            // The header block ends: by an empty line, or by a line that is no header, as if one stood before it.
            if wanted.body {
                each(b"")?;
            }
            place = Place::Body;
            if wanted.mime {
                match std::mem::replace(&mut content, Content::Text) {
                    Content::Message => place = Place::Header,
                    Content::Multipart(boundary, part) if boundaries.len() < MAX_NESTING => {
                        boundaries.push((boundary, part));
                    }
                    _ => {}
                }
            }
            if line.is_empty() {
                continue;
            }
        }
        if wanted.body {
            each(&line)?;
        }
        if wanted.mime
            && let Some(rest) = line.strip_prefix(b"--")
            && let Some(at) = boundaries.iter().rposition(|(boundary, _)| rest.starts_with(boundary))
        {
            let (boundary, part) = &boundaries[at];
            let (closes, part) = (rest[boundary.len()..].starts_with(b"--"), *part);
            boundaries.truncate(if closes { at } else { at + 1 });
            place = if closes { Place::Body } else { Place::Header };
            content = if !closes && part == Part::Message { Content::Message } else { Content::Text };
        }
    }
    finish(&mut header, wanted, &mut content, each)
}

fn finish<E>(
    header: &mut Vec<u8>,
    wanted: Wanted,
    content: &mut Content,
    each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if header.is_empty() {
        return Ok(());
    }
    let header = std::mem::take(header);
    if let Some(found) = content_type(&header) {
        *content = found;
    }
    if wanted.headers { each(&header) } else { Ok(()) }
}

/// A name of visible characters, perhaps blanks, and a colon: the name, and the text from the colon on.
fn header_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = line.iter().take_while(|byte| (33..127).contains(*byte) && **byte != b':').count();
    let after = line[name..].trim_ascii_start();
    (name > 0 && after.starts_with(b":")).then_some((&line[..name], after))
}

fn content_type(header: &[u8]) -> Option<Content> {
    let colon = header.iter().position(|&byte| byte == b':')?;
    if !header[..colon].trim_ascii().eq_ignore_ascii_case(b"content-type") {
        return None;
    }
    let value = String::from_utf8_lossy(&header[colon + 1..]).replace('\n', " ");
    let kind = value.trim_start().to_ascii_lowercase();
    if kind.starts_with("message/rfc822") || kind.starts_with("message/global") {
        return Some(Content::Message);
    }
    if !kind.starts_with("multipart/") {
        return Some(Content::Text);
    }
    let at = value.to_ascii_lowercase().find("boundary")?;
    let rest = value[at + "boundary".len()..].trim_start().strip_prefix('=')?.trim_start();
    let boundary = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => rest.split(|c: char| c == ';' || c.is_whitespace()).next().unwrap_or_default().to_owned(),
    };
    let part = if kind.starts_with("multipart/digest") { Part::Message } else { Part::Text };
    (!boundary.is_empty()).then(|| Content::Multipart(boundary.into_bytes(), part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(wanted: Wanted) -> String {
        let message = b"From: a\nContent-Type: multipart/mixed; boundary=\"x\"\n\np\n--x\nContent-Type: message/rfc822\n\nS: n\n\nb\n--x--\ne\n";
        let mut found = Vec::new();
        let each_key = &mut |key: &[u8]| -> Result<(), std::io::Error> {
            found.push(String::from_utf8_lossy(key).into_owned());
            Ok(())
        };
        each(&mut &message[..], wanted, 1000, each_key).unwrap();
        found.join("|")
    }

    #[test]
    fn headers_and_lines() {
        let wanted = |headers, body, mime| Wanted { headers, body, mime };
        assert_eq!(keys(wanted(true, false, false)), "From: a|Content-Type: multipart/mixed; boundary=\"x\"");
        assert_eq!(
            keys(wanted(true, false, true)),
            "From: a|Content-Type: multipart/mixed; boundary=\"x\"|Content-Type: message/rfc822|S: n"
        );
        assert_eq!(keys(wanted(false, true, true)), "|p|--x|||b|--x--|e");
    }
}
