//! Any bytes as a MIME message: parts, encodings, character sets, HTML.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox::message::{header, mime};

fn visit(part: &mime::Part) {
    let _ = (part.text(), part.file_name(), part.decoded(), part.is_attachment());
    part.parts.iter().for_each(visit);
}

fuzz_target!(|bytes: &[u8]| {
    let (block, body) = header::split(bytes);
    visit(&mime::Part::parse(block, body));
    let _ = mime::html_to_text(&String::from_utf8_lossy(bytes));
});
