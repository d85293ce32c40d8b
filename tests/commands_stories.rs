//! Stories about the commands of the queue, as a person at a shell tells them: each line of a `.story` is a command on a
//! queue of its own that nothing runs; the `.golden` beside it holds what the reference (Postfix 3.7.11) answered.
//!
//! By default our programs are tried, as whoever runs the tests. `UNDER_TEST=reference` tries the installed reference
//! (as root) against the same answers, and with `RECORD=1` too writes them anew. Queue ids, times and the caller's name
//! are told as QID, DATE and ME.

#![allow(clippy::unwrap_used, clippy::panic)] // A story that cannot be told has failed.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAMS: &[&str] = &[
    "sendmail",
    "mailq",
    "newaliases",
    "postqueue",
    "postsuper",
    "postcat",
    "postlog",
    "postkick",
    "postlock",
    "postalias",
];

/// What differs from run to run and from machine to machine.
const SAME: &str = r"s/\b[0-9A-F]{6,14}\b/QID/g
s/[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}( [0-9]{4})?/DATE/g
s/\b1[0-9]{9}( +[0-9]+)?/EPOCH/g
s/(QID[!*#]*) +[0-9]+ DATE/\1 SIZE DATE/
s/(message_size.: )[0-9]+/\1SIZE/
s#(deferred)/[0-9A-F]/QID#\1/X/QID#g";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/commands")
}

fn on_reference() -> bool {
    std::env::var("UNDER_TEST").is_ok_and(|which| which == "reference")
}

/// A directory with the queue and, in front of PATH, the programs under test.
fn workplace() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for name in ["c", ".bin"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    // The reference's mail owner walks through it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.path(), mode).unwrap();
    if !on_reference() {
        for name in PROGRAMS {
            symlink(env!("CARGO_BIN_EXE_pillarbox"), place.path().join(".bin").join(name)).unwrap();
        }
    }
    place
}

/// What a line was answered, normalised.
fn answer(place: &Path, line: &str) -> String {
    let script = format!(
        ". {}/prelude.sh\n{{ {line}\n}} >.out 2>.err\nstatus=$?\nfor f in .out .err; do sed -E -i -e \"$SAME\" \
         -e \"s#$PWD#HERE#g; s/(($(id -un))?)\\($(id -u)\\)/(UID)/g; s/(uid|userid)[= ]$(id -u)/\\1=UID/; s/\\b$(id \
         -un)\\b/ME/g\" $f; done\nexit $status",
        data().display()
    );
    let path = format!("{}/.bin:/usr/sbin:/usr/bin:/sbin:/bin", place.display());
    let done = Command::new("bash")
        .args(["-c", &script])
        .current_dir(place)
        .env("PATH", &path)
        .env("SAME", SAME)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let read = |name: &str| String::from_utf8_lossy(&fs::read(place.join(name)).unwrap_or_default()).into_owned();
    let mut told = format!("$ {line}\n");
    let (out, err) = (read(".out"), read(".err") + &String::from_utf8_lossy(&done.stderr));
    out.lines().for_each(|said| writeln!(told, "{said}").unwrap());
    err.lines().for_each(|said| writeln!(told, "! {said}").unwrap());
    writeln!(told, "= {}", done.status.code().unwrap_or(-1)).unwrap();
    told
}

fn tell(name: &str) {
    if on_reference() && !Path::new("/usr/sbin/postsuper").exists() {
        eprintln!("skipped: {name}: the reference is not installed");
        return;
    }
    let story = fs::read_to_string(data().join(format!("{name}.story"))).unwrap();
    let place = workplace();
    // A directory that is not the caller's own is refused to all but root before it is looked at.
    let root = nix::unistd::geteuid().is_root();
    let lines = story.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines = lines.filter(|line| root || !line.contains("/nonexistent"));
    let told: Vec<String> = lines.map(|line| answer(place.path(), line)).collect();
    let golden = data().join(format!("{name}.golden"));
    if on_reference() && std::env::var_os("RECORD").is_some() {
        return fs::write(&golden, told.concat()).unwrap();
    }
    let wanted = fs::read_to_string(&golden).unwrap();
    let mut wrong = String::new();
    for got in &told {
        if !wanted.contains(got.as_str()) {
            let line = got.lines().next().unwrap_or_default();
            let want = wanted.split("\n$ ").find(|want| want.trim_start_matches("$ ").starts_with(&line[2..]));
            writeln!(wrong, "--- got\n{got}--- want\n$ {}", want.unwrap_or("(no such line)")).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{name}.story: these answers differ\n{wrong}");
    assert!(!root || wanted.lines().count() == told.concat().lines().count(), "{name}.story: lines");
}

/// What one side submits, the other shows, byte for byte as it shows its own.
#[test]
fn queue_files_go_both_ways() {
    let reference = ["/usr/sbin/sendmail", "/usr/sbin/postcat", "/usr/lib/postfix/sbin/showq"];
    let root = nix::unistd::geteuid().is_root();
    if on_reference() || !root || reference.iter().any(|program| !Path::new(program).exists()) {
        eprintln!("skipped: queue_files_go_both_ways: needs root and the reference's programs beside ours");
        return;
    }
    let place = workplace();
    let submit = "-N success -V e1 -f x a b 2>/dev/null <../letter; ls maildrop | tail -n 1";
    fs::write(place.path().join("letter"), "Subject: s\n folded\n\nbody\n.dot\n\nend").unwrap();
    for sender in ["sendmail -i", "/usr/sbin/sendmail -i"] {
        answer(place.path(), "queue");
        for options in ["", "-e", "-h", "-b", "-d", "-o", "-be", "-do"] {
            let shown = |program: &str| answer(place.path(), &format!("(cd q; {program} {options} maildrop/*)"));
            let made = answer(place.path(), &format!("rm -f q/maildrop/*; (cd q; {sender} {submit})"));
            assert!(made.contains("\nQID\n"), "{made}");
            let body = |told: String| told.split_once('\n').map(|(_, rest)| rest.to_owned());
            assert_eq!(body(shown("postcat")), body(shown("/usr/sbin/postcat")), "{sender}, postcat {options}");
        }
    }
}

#[test]
fn usage() {
    tell("usage");
}

#[test]
fn submission() {
    tell("submit");
}

#[test]
fn the_queue() {
    tell("queue");
}

#[test]
fn queue_files() {
    tell("postcat");
}
