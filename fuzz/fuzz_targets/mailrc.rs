//! Any text as a start-up file of mail, as far as nothing is run.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = pillarbox::applet::mail::probe::start_up_file(text);
});
