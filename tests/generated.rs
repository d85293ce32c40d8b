//! man/ and completions/ are made from the applet table and committed; this makes them again and compares.
//! `UPDATE=1 cargo test --test generated` writes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Tests fail by panicking.

use pillarbox::applet::manual;
use std::fs;
use std::path::Path;

fn compare(folder: &str, made: Vec<(String, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let update = std::env::var_os("UPDATE").is_some();
    for (path, text) in &made {
        let file = root.join(path);
        if update {
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(&file, text).expect("written");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == *text, "{folder}/{path} is out of date: UPDATE=1 cargo test --test generated");
    }
}

#[test]
fn manual_pages_are_up_to_date() {
    compare("man", manual::pages());
}

#[test]
fn completions_are_up_to_date() {
    compare("completions", manual::completions());
}
