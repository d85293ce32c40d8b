//! Stories about the configuration and the lookup tables, as a person at a shell tells them: each line of a `.story` is
//! a command, the `.golden` beside it what the reference (Postfix 3.7.11, Debian 12) answered.
//!
//! By default our program is tried. `UNDER_TEST=reference` tries the installed reference against the same answers, and
//! with `RECORD=1` too writes them anew.

#![allow(clippy::unwrap_used)] // A story that cannot be told has failed.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conf")
}

fn on_reference() -> bool {
    std::env::var("UNDER_TEST").is_ok_and(|which| which == "reference")
}

/// A directory with the story's files and, in front of PATH, the programs under test.
fn workplace() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for file in fs::read_dir(data().join("files")).unwrap().flatten() {
        fs::copy(file.path(), place.path().join(file.file_name())).unwrap();
    }
    fs::create_dir(place.path().join("c")).unwrap();
    fs::create_dir(place.path().join(".bin")).unwrap();
    if !on_reference() {
        for name in ["postmap", "postalias", "postconf"] {
            symlink(env!("CARGO_BIN_EXE_pillarbox"), place.path().join(".bin").join(name)).unwrap();
        }
    }
    place
}

fn tell(name: &str) {
    if on_reference() && !Path::new("/usr/sbin/postconf").exists() {
        eprintln!("skipped: {name}: the reference is not installed");
        return;
    }
    let story = fs::read_to_string(data().join(format!("{name}.story"))).unwrap();
    let place = workplace();
    let path = format!("{}/.bin:/usr/sbin:/usr/bin:/sbin:/bin", place.path().display());
    let mut told = String::new();
    for line in story.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let script = format!(". {}/prelude.sh\n{line}", data().display());
        let done = Command::new("bash")
            .args(["-c", &script])
            .current_dir(place.path())
            .env("PATH", &path)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        writeln!(told, "$ {line}").unwrap();
        told.push_str(&String::from_utf8_lossy(&done.stdout));
        if !done.stdout.is_empty() && !done.stdout.ends_with(b"\n") {
            told.push('\n');
        }
        for said in String::from_utf8_lossy(&done.stderr).lines() {
            writeln!(told, "! {said}").unwrap();
        }
        writeln!(told, "= {}", done.status.code().unwrap_or(-1)).unwrap();
    }
    let golden = data().join(format!("{name}.golden"));
    if on_reference() && std::env::var_os("RECORD").is_some() {
        fs::write(&golden, told).unwrap();
        return;
    }
    let wanted = fs::read_to_string(&golden).unwrap();
    let mut wrong = String::new();
    for (want, got) in wanted.split("\n$ ").zip(told.split("\n$ ")) {
        if want == got {
            continue;
        }
        writeln!(wrong, "$ {}", want.lines().next().unwrap_or_default()).unwrap();
        let (wanted, told): (Vec<_>, Vec<_>) = (want.lines().collect(), got.lines().collect());
        wanted.iter().filter(|line| !told.contains(line)).for_each(|line| writeln!(wrong, "  want: {line}").unwrap());
        told.iter().filter(|line| !wanted.contains(line)).for_each(|line| writeln!(wrong, "  got:  {line}").unwrap());
    }
    assert!(wrong.is_empty(), "{name}.story: these answers differ\n{wrong}");
    assert_eq!(wanted.lines().count(), told.lines().count(), "{name}.story: lines");
}

#[test]
fn tables() {
    tell("tables");
}

#[test]
fn macros() {
    tell("macros");
}

#[test]
fn startup() {
    tell("startup");
}

#[test]
fn postconf_shows() {
    tell("postconf");
}

#[test]
fn postconf_changes() {
    tell("edit");
}

#[test]
fn defaults() {
    tell("defaults");
}
