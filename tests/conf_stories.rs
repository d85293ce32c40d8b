//! Stories about the configuration and the lookup tables, as a person at a shell tells them: each line of a `.story` is
//! a command, the `.golden` beside it what the reference (Postfix 3.7.11, Debian 12) answered.
//!
//! By default our program is tried. `UNDER_TEST=reference` tries the installed reference against the same answers, and
//! with `RECORD=1` too writes them anew.

#![allow(clippy::unwrap_used, clippy::panic)] // A story that cannot be told has failed.

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
        for name in ["postmap", "postalias", "postconf", "postfix"] {
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
    // What no reference here has is written by us, and read by a person.
    if (on_reference() || ["newer", "leaving"].contains(&name)) && std::env::var_os("RECORD").is_some() {
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

/// Runs a program with arguments in a directory; its standard output, once it has ended well.
fn output(place: &Path, program: &str, arguments: &[&str]) -> Vec<u8> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(place)
        .env("MAIL_CONFIG", place.join("c"))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

fn sorted(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Keys and values around every size at which an item moves to pages of its own, and a bucket to a second page.
fn adversarial() -> String {
    let mut text = String::new();
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for number in 0..6000 {
        let key = match random(12) {
            0 => [1017, 1022, 1023, 1024, 1025, 4070, 4071, 9000][random(8)],
            _ => random(40),
        };
        let value = match random(12) {
            0 => [1, 1022, 1023, 1024, 4069, 4070, 4071, 20_000][random(8)],
            _ => 1 + random(60),
        };
        writeln!(text, "{}{number} {}", "k".repeat(key), "v".repeat(value)).unwrap();
    }
    text
}

#[test]
fn files_go_both_ways_between_ours_and_the_reference() {
    let reference = "/usr/sbin/postmap";
    if !Path::new(reference).exists() || on_reference() {
        eprintln!("skipped: files_go_both_ways: needs the reference's postmap beside ours");
        return;
    }
    let place = workplace();
    let here = place.path();
    let ours = here.join(".bin/postmap").display().to_string();
    let owners = "mail_owner=daemon\nsetgid_group=mail\n";
    fs::write(here.join("c/main.cf"), format!("{owners}inet_interfaces=loopback-only\n")).unwrap();
    let all = adversarial();
    for kind in ["hash", "btree", "lmdb"] {
        // LMDB has a limit on keys, the trailing NUL included.
        let fits = |line: &&str| kind != "lmdb" || line.split(' ').next().unwrap().len() < 511;
        let source: String = all.split_inclusive('\n').filter(fits).collect();
        fs::write(here.join("big"), &source).unwrap();
        let table = format!("{kind}:big");
        let wanted = source.replace(' ', "\t");
        output(here, &ours, &[&table]);
        assert_eq!(sorted(&output(here, reference, &["-s", &table])), sorted(wanted.as_bytes()), "{kind}: ours, read");
        if kind != "lmdb" && Path::new("/usr/bin/db5.3_verify").exists() {
            output(here, "/usr/bin/db5.3_verify", &["big.db"]);
        }
        // The reference adds to our file in place, and we to its.
        for (program, more) in [(reference, "added-by-reference"), (ours.as_str(), "added-by-us")] {
            let script = format!("for n in $(seq 400); do echo {more}$n x$n; done | {program} -i {table}");
            output(here, "bash", &["-c", &script]);
        }
        if kind != "lmdb" && Path::new("/usr/bin/db5.3_verify").exists() {
            output(here, "/usr/bin/db5.3_verify", &["big.db"]);
        }
        let (theirs, own) = (output(here, reference, &["-s", &table]), output(here, &ours, &["-s", &table]));
        assert_eq!(sorted(&theirs), sorted(&own), "{kind}: after both have added");
        fs::remove_file(here.join(if kind == "lmdb" { "big.lmdb" } else { "big.db" })).unwrap();
        output(here, reference, &[&table]);
        assert_eq!(sorted(&output(here, &ours, &["-s", &table])), sorted(wanted.as_bytes()), "{kind}: theirs, read");
    }
}

/// What is written of half a million entries, the reference reads in full.
#[test]
fn half_a_million_entries_are_read_by_the_reference() {
    let reference = "/usr/sbin/postmap";
    if !Path::new(reference).exists() || on_reference() {
        eprintln!("skipped: half_a_million_entries: needs the reference's postmap beside ours");
        return;
    }
    let place = workplace();
    let here = place.path();
    let ours = here.join(".bin/postmap").display().to_string();
    fs::write(here.join("c/main.cf"), "mail_owner=daemon\nsetgid_group=mail\n").unwrap();
    let source: String = (0..500_000u64)
        .map(|number| format!("user{:x}@example.org value {number}\n", number * 7919 % 1_000_003))
        .collect();
    fs::write(here.join("big"), &source).unwrap();
    let wanted: String = source.lines().map(|line| line.replacen(' ', "\t", 1) + "\n").collect();
    for kind in ["hash", "btree", "lmdb"] {
        let table = format!("{kind}:big");
        output(here, &ours, &[&table]);
        assert!(sorted(&output(here, reference, &["-s", &table])) == sorted(wanted.as_bytes()), "{kind}");
    }
    // A cdb cannot be listed by the reference: it is asked for each key.
    output(here, &ours, &["cdb:big"]);
    let script = format!("cut -d' ' -f1 big | {reference} -c c -q - cdb:big");
    assert!(sorted(&output(here, "bash", &["-c", &script])) == sorted(wanted.as_bytes()), "cdb");
}

#[test]
fn tables() {
    tell("tables");
}

#[test]
fn plugins() {
    tell("plugins");
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
fn names_that_mean_something() {
    tell("names");
}

#[test]
fn oddities() {
    tell("oddities");
}

#[test]
fn defaults() {
    tell("defaults");
}

#[test]
fn notices() {
    tell("notices");
}

#[test]
fn cdb() {
    tell("cdb");
}

#[test]
fn newer() {
    if on_reference() {
        eprintln!("skipped: newer: the reference is 3.7");
        return;
    }
    tell("newer");
}

#[test]
fn leaving() {
    if on_reference() || !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: leaving: the reference is 3.7, or we are not root");
        return;
    }
    tell("leaving");
}
