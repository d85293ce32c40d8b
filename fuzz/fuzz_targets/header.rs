//! Any bytes as a header: fields, encoded words, addresses, dates.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox::message::{address, charset, date, header};

fuzz_target!(|bytes: &[u8]| {
    let (block, body) = header::split(bytes);
    assert!(block.len() + body.len() <= bytes.len());
    for field in header::fields(block) {
        let text = charset::decode_words(&header::unfold(field.value));
        if let Ok(all) = address::parse(&text) {
            let again = address::parse(&address::join(&all));
            assert!(again.is_ok_and(|again| again.len() == all.len()));
        }
        let _ = (date::of_header(&text), charset::encode_words(&text));
    }
    let _ = (date::of_from_line(bytes), date::from_line_sender(bytes), date::from_line_rest(bytes));
});
