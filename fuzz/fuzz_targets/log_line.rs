//! Any bytes as a log: every line parser may see them, none may panic, an event prints back to its bytes, and the report
//! of both versions comes to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox::applet::pflogsumm;
use pillarbox::log::Event;
use pillarbox::log::line::{Line, Postfix};

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Some(line) = Line::parse(line)
            && let Some(postfix) = Postfix::parse(line.rest, b"postfix")
        {
            let mut written = Vec::new();
            Event::parse(postfix.content).write_to(&mut written);
            assert_eq!(written, postfix.content);
        }
    }
    pflogsumm::count_anything(bytes);
});
