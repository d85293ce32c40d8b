//! Imports point down the layers only (ARCHITECTURE.md): a file's `crate::module` mentions are read and compared.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Tests fail by panicking.

use std::fs;
use std::path::{Path, PathBuf};

/// Layer of each room, lowest first.
const LAYERS: &[(&str, u8)] = &[
    ("sys", 0),
    ("exit", 0),
    ("status", 0),
    ("message", 1),
    ("proto", 1),
    ("log", 1),
    ("conf", 2),
    ("ipc", 2),
    ("dns", 3),
    ("table", 3),
    ("mailbox", 3),
    ("milter", 3),
    ("queue", 3),
    ("cleanup", 4),
    ("route", 4),
    ("delivery", 4),
    ("daemon", 5),
    ("explain", 6),
    ("lint", 6),
    ("applet", 7),
];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|&(_, layer)| layer)
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&root).expect("under src");
        let room = inside.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let own = layer(&room).unwrap_or_else(|| panic!("src/{} stands in no layer", inside.display()));
        let text = fs::read_to_string(file).expect("readable");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = layer(&name) else { continue };
                let same_role = room == name;
                if other > own || (other == own && !same_role && own >= 5) {
                    wrong.push(format!("src/{} (L{own}) imports crate::{name} (L{other})", inside.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Anybody may run postdrop with its group, so it is one small file: no database, no Perl patterns, no event loop, no
/// option parser. Each has words that are in every binary that links it.
#[test]
fn the_set_gid_program_links_no_more_than_it_needs() {
    let words = [
        ("SQLite", "SQLite format 3"),
        ("PCRE2", "quantifier does not follow a repeatable item"),
        ("tokio", "Cannot drop a runtime in a context where blocking is not allowed"),
        ("clap", "For more information, try"),
    ];
    let holds = |file: &str, word: &str| {
        let bytes = fs::read(file).expect("a built binary");
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    };
    for (library, word) in words {
        assert!(!holds(env!("CARGO_BIN_EXE_postdrop"), word), "postdrop links {library}");
        // Or the test would prove nothing.
        assert!(holds(env!("CARGO_BIN_EXE_pillarbox"), word), "{library} says something else by now");
    }
}
