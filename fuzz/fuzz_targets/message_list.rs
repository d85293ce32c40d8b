//! Any text as a message list of a mailbox of three messages, the second one deleted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox::applet::mail::probe::Lists;
use std::cell::RefCell;

thread_local! {
    static LISTS: RefCell<Lists> = RefCell::new(open());
}

fn open() -> Lists {
    let path = std::env::temp_dir().join(format!("pillarbox-fuzz-list-{}", std::process::id()));
    let one = "From a@b Tue Nov 24 10:05:15 2026\nFrom: a@b\nSubject: x\n\ntext\n\n";
    std::fs::write(&path, one.repeat(3)).unwrap();
    Lists::open(&path).unwrap()
}

fuzz_target!(|text: &str| {
    LISTS.with_borrow_mut(|lists| {
        // Without patterns: those of the C library may take their time, and are another's to test.
        if let Ok(chosen) = lists.choose(text, &[1], false) {
            assert!((1..=3).contains(&chosen[0]));
        }
    });
});
