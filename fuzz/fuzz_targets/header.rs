//! Any bytes as a header: fields, encoded words, addresses, dates.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillarbox_fuzz::header(data));
