//! Any bytes as an mbox: its messages lie one after the other, and reading them ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile();
    file.write_all(bytes).unwrap();
    let found = pillarbox::mailbox::scan::scan(&file, 0).unwrap();
    if !found.foreign {
        assert_eq!(found.end, bytes.len() as u64);
        assert!(found.messages.windows(2).all(|pair| pair[0].end() == pair[1].offset));
        assert!(found.messages.iter().all(|one| one.written_size() <= one.size() && one.body_at() <= one.end()));
    }
    let mut rest = Vec::new();
    let _ = file.read_to_end(&mut rest);
});

/// A file without a name.
fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("pillarbox-fuzz-{}", std::process::id()));
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let _ = std::fs::remove_file(path);
    file
}
