//! What is done with a hostile file: everything that can be asked of it. It must end soon, in bounded memory, without a
//! panic. Used by the fuzz targets and, on a corpus of mutations, by tests/hostile_files.rs.

use pillarbox::conf::MainCf;
use pillarbox::message::{address, charset, date, header};
use pillarbox::table::{self, Options};
use std::path::Path;

const KEYS: [&[u8]; 6] = [b"a", b"key7", b"k1999@example.com", b"", b"10.1.2.3", b"x\xff"];

/// `place` is a directory to write in.
pub fn table(place: &Path, kind: &str, suffix: &str, content: &[u8]) {
    let name = place.join("table");
    let file = if suffix.is_empty() { name.clone() } else { name.with_extension(suffix) };
    std::fs::write(file, content).expect("room");
    let Ok(table) = table::open(&format!("{kind}:{}", name.display()), &Options::default()) else { return };
    for key in KEYS {
        let _ = table.lookup(key);
    }
    let _ = table.lookup_many(&KEYS.iter().copied().cycle().take(60).collect());
    let mut read = 0;
    let _ = table.entries(&mut |key, value| {
        read += key.len() + value.len();
        true
    });
    assert!(read <= 4 * content.len() + 1024, "{kind}: {read} bytes came of {}", content.len());
}

pub fn main_cf(content: &[u8]) {
    let Ok(cf) = MainCf::parse(Path::new("/etc/postfix"), &String::from_utf8_lossy(content)) else { return };
    for name in cf.settings().keys() {
        let _ = cf.text(name);
    }
}

/// A message's header: fields, encoded words, addresses, dates. Addresses that were understood are so when they are
/// written again.
pub fn header(content: &[u8]) {
    let (block, body) = header::split(content);
    assert_eq!(block.len() + body.len(), content.len());
    for field in header::fields(block) {
        let value = header::unfold(field.text());
        let text = charset::decode_words(&value);
        if let Ok(all) = address::parse(&text) {
            assert_eq!(address::parse(&address::join(&all)).map(|again| again.len()), Ok(all.len()), "{text:?}");
        }
        let _ = (address::short_name(field.value), date::of_header(&text), charset::encode_words(&text));
    }
    let _ = (date::of_from_line(content), date::from_line_sender(content), date::from_line_rest(content));
}
