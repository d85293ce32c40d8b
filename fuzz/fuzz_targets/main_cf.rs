//! A hostile main.cf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillarbox_fuzz::main_cf(data));
