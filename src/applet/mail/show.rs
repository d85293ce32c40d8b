//! Showing messages: header fields that are not ignored, the text part decoded, attachments listed.

use super::msglist::Chosen;
use super::screen;
use super::session::{Session, Trouble};
use crate::message::mime::{Part, html_to_text};
use crate::message::{charset, date, header, quote};
use std::io::Read;

/// Messages longer than this are shown up to here; `save` and `pipe` give all.
const LIMIT: u64 = 64 << 20;

/// How a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Fields by the ignore list.
    Chosen,
    /// Every field.
    Full,
}

/// Types messages, makes the last one current and marks them as read.
pub fn print(session: &mut Session, chosen: &[Chosen], manner: Manner) -> Result<(), Trouble> {
    for one in chosen {
        if !session.there(one.index)? {
            continue;
        }
        let text = render(session, one, manner)?;
        session.show(&text)?;
        mark_shown(session, one.index);
    }
    Ok(())
}

pub fn mark_shown(session: &mut Session, index: usize) {
    if let Some(open) = &mut session.open
        && let Some(state) = open.states.get_mut(index)
    {
        state.shown = true;
        state.unread = false;
        // Looked at again after it was saved: it goes the way of what was read.
        state.touched |= state.saved;
        open.go(index);
    }
}

/// What is shown of a message or a part.
pub fn render(session: &Session, chosen: &Chosen, manner: Manner) -> Result<Vec<u8>, Trouble> {
    let (block, body) = read(session, chosen.index)?;
    let tree = Part::parse(&block, &body);
    if !chosen.part.is_empty() {
        let part = find(&tree, &chosen.part).ok_or_else(|| session.trouble("No applicable message", &[]))?;
        return Ok(text_of(part, true));
    }
    let mut out = Vec::new();
    if session.variables.is_set("showenvelope")
        && let Some(open) = &session.open
    {
        let line = open.mbox.from_line(&open.mbox.messages()[chosen.index])?;
        out.extend(format!("From {} {}\n", date::from_line_sender(&line), date::from_line_rest(&line)).into_bytes());
    }
    out.extend(render_header(session, &block, manner));
    out.push(b'\n');
    out.extend(render_body(session, &tree));
    Ok(out)
}

/// The fields that are shown, decoded.
pub fn render_header(session: &Session, block: &[u8], manner: Manner) -> Vec<u8> {
    let mut out = Vec::new();
    for field in header::fields(block) {
        if manner == Manner::Chosen && is_ignored(session, field.name) {
            continue;
        }
        let encoded = memchr::memmem::find(field.value, b"=?").is_some();
        let name = String::from_utf8_lossy(field.name);
        let folded = memchr::memchr(b'\n', field.value.trim_ascii_end()).is_some();
        let unfolds = folded && session.unfolded.iter().any(|known| known.eq_ignore_ascii_case(&name));
        if manner == Manner::Full || !(encoded || unfolds) {
            out.extend(field.raw.iter().copied().filter(|byte| *byte != b'\r'));
            if out.ends_with(b":\n") && field.value.is_empty() {
                out.splice(out.len() - 1.., *b" \n");
            }
            if !out.ends_with(b"\n") {
                out.push(b'\n');
            }
        } else {
            out.extend_from_slice(field.name);
            out.extend_from_slice(b": ");
            let value = header::unfold(field.text());
            let mut text = super::headline::plain(session.texts, charset::decode_words(&value)).into_owned();
            if unfolds {
                text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        }
    }
    out
}

/// The fields that are shown, as they stand.
pub fn plain_header(session: &Session, block: &[u8]) -> Vec<u8> {
    header::fields(block)
        .filter(|field| !is_ignored(session, field.name))
        .flat_map(|field| field.raw.iter().copied())
        .collect()
}

pub fn is_ignored(session: &Session, name: &[u8]) -> bool {
    let is = |list: &[String]| list.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if session.retained.is_empty() { is(&session.ignored) } else { !is(&session.retained) }
}

/// The text: of a multipart its text parts, and a line for each other part.
fn render_body(session: &Session, tree: &Part) -> Vec<u8> {
    if !session.variables.is_set("metamail") {
        return tree.body.to_vec();
    }
    if tree.parts.is_empty() {
        return text_of(tree, tree.encoding != "base64" || tree.content_type.kind.starts_with("text/"));
    }
    let mut out = Vec::new();
    parts_text(tree, "", &mut out);
    out
}

fn parts_text(part: &Part, number: &str, out: &mut Vec<u8>) {
    let kind = part.content_type.kind.as_str();
    if kind == "multipart/alternative" {
        let plain = part.parts.iter().position(|one| one.content_type.kind == "text/plain");
        let best = plain.or_else(|| part.parts.len().checked_sub(1));
        if let Some(index) = best {
            parts_text(&part.parts[index], &below(number, index), out);
        }
        return;
    }
    if !part.parts.is_empty() {
        for (index, one) in part.parts.iter().enumerate() {
            if kind == "message/rfc822" {
                if !out.is_empty() {
                    out.push(b'\n');
                }
                for name in ["From", "To", "Subject", "Date"] {
                    if let Some(value) = header::find(one.header, name) {
                        out.extend_from_slice(format!("{name}: {}\n", charset::decode_words(&value)).as_bytes());
                    }
                }
                out.push(b'\n');
            }
            parts_text(one, &below(number, index), out);
        }
        return;
    }
    if kind.starts_with("text/") && !part.is_attachment() {
        out.extend(text_of(part, true));
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        return;
    }
    if kind == "message/delivery-status" {
        out.extend(text_of(part, true));
        return;
    }
    let name = part.file_name().map(|name| format!(" {name}")).unwrap_or_default();
    out.extend_from_slice(format!("[{number}]{name} ({kind}, {})\n", part.decoded().len()).as_bytes());
}

fn below(number: &str, index: usize) -> String {
    if number.is_empty() { (index + 1).to_string() } else { format!("{number}.{}", index + 1) }
}

/// A part's text. Bytes of an unlabelled or UTF-8 text stay as they are.
fn text_of(part: &Part, readable: bool) -> Vec<u8> {
    if !readable {
        return part.body.to_vec();
    }
    let html = part.content_type.kind == "text/html";
    let set = part.content_type.parameter("charset").unwrap_or("us-ascii").to_ascii_lowercase();
    if !html && ["us-ascii", "utf-8"].contains(&set.as_str()) {
        return part.decoded();
    }
    let text = part.text();
    if html { html_to_text(&text).into_bytes() } else { text.into_bytes() }
}

/// The part at the end of the path.
pub fn find<'t, 'm>(tree: &'t Part<'m>, path: &[usize]) -> Option<&'t Part<'m>> {
    let mut part = tree;
    for &number in path {
        part = part.parts.get(number - 1)?;
    }
    Some(part)
}

/// Header block and body of a message, the marks before "From " lines taken off.
pub fn read(session: &Session, index: usize) -> Result<(Vec<u8>, Vec<u8>), Trouble> {
    let none = || session.trouble("No applicable messages", &[]);
    let open = session.open.as_ref().ok_or_else(none)?;
    let message = open.mbox.messages().get(index).ok_or_else(none)?;
    let block = open.mbox.header(message, usize::try_from(LIMIT).unwrap_or(usize::MAX))?;
    let mut body = Vec::new();
    open.mbox.body(message)?.take(LIMIT).read_to_end(&mut body)?;
    Ok((block, if message.quoted > 0 { quote::unquote(&body) } else { body }))
}

/// The message as it was written, header and body.
pub fn raw(session: &Session, index: usize) -> Result<Vec<u8>, Trouble> {
    let (mut block, body) = read(session, index)?;
    block.extend(body);
    Ok(block)
}

/// `struct`: one line a part that holds something itself.
pub fn structure(session: &Session, index: usize) -> Result<String, Trouble> {
    let (block, body) = read(session, index)?;
    let tree = Part::parse(&block, &body);
    let mut out = String::new();
    structure_lines(&tree, &(index + 1).to_string(), &mut out);
    Ok(screen::visible(out.as_bytes()))
}

fn structure_lines(part: &Part, name: &str, out: &mut String) {
    for (index, one) in part.parts.iter().enumerate() {
        structure_lines(one, &format!("{name}.{}", index + 1), out);
    }
    if !part.parts.is_empty() {
        return;
    }
    let size = part.header.len() + part.body.len();
    let human = match size {
        0..=1023 => format!("{size}"),
        1024..=1_048_575 => format!("{}K", size / 1024),
        _ => format!("{}M", size / 1_048_576),
    };
    let kind = header::find(part.header, "Content-Type")
        .map_or_else(|| "text/plain".to_owned(), |value| String::from_utf8_lossy(&value).into_owned());
    out.push_str(&format!("{name:<16} {kind:<25} {human:>4}\n"));
}
