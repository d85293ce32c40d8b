//! The mail system, ours and the reference one after the other on throwaway machines of their own: accepted messages a
//! second with 20 sessions, the same messages end to end into /var/mail, sendmail calls, `postfix check`, the start-up
//! of a program, and the memory of the idle system. Needs root (tests/machine/box); ratios count.

#![allow(clippy::expect_used, clippy::panic)] // A bench that cannot run has nothing to say.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Each machine runs so often, in turn; the best figure of each counts.
const ROUNDS: usize = 2;

/// Name in mail.sh, title, whether more is better.
const FIGURES: [(&str, &str, bool); 7] = [
    ("accepted", "accepted, 20 sessions  /s", true),
    ("end-to-end", "into /var/mail  /s", true),
    ("sendmail-as-root", "sendmail as root  /s", true),
    ("sendmail-as-user", "sendmail as user  /s", true),
    ("checks", "postfix check  /s", true),
    ("postconf", "postconf -h  /s", true),
    ("idle-pss", "idle memory (PSS)  kB", false),
];

fn main() {
    let (mut ours, mut theirs) = (HashMap::new(), HashMap::new());
    for _ in 0..ROUNDS {
        measure("ours", &mut ours);
        measure("reference", &mut theirs);
    }
    println!("{:<28} {:>10} {:>10} {:>8}", "", "ours", "reference", "better");
    for (name, title, more) in FIGURES {
        let shown = |figure: Option<&f64>| figure.map(|value| format!("{value:.0}")).unwrap_or("-".into());
        let ratio = match (ours.get(name), theirs.get(name)) {
            (Some(own), Some(other)) => format!("{:.2}x", if more { own / other } else { other / own }),
            _ => String::new(),
        };
        println!("{title:<28} {:>10} {:>10} {ratio:>8}", shown(ours.get(name)), shown(theirs.get(name)));
    }
}

fn measure(under_test: &str, best: &mut HashMap<String, f64>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binaries = Path::new(env!("CARGO_BIN_EXE_pillarbox")).parent().expect("target directory");
    let script = std::fs::File::open(root.join("benches/mail.sh")).expect("benches/mail.sh");
    let done = Command::new("timeout")
        .arg("300")
        .arg(root.join("tests/machine/box"))
        .arg(binaries)
        .args(["bash", "-s"])
        .env("UNDER_TEST", under_test)
        .stdin(Stdio::from(script))
        .output()
        .expect("timeout(1)");
    let words = String::from_utf8_lossy(&done.stderr);
    match done.status.code() {
        Some(0) => {}
        Some(77) => return eprintln!("{under_test}: {}", words.trim_end()),
        status => panic!("{under_test}: status {status:?}\n{words}"),
    }
    for line in String::from_utf8_lossy(&done.stdout).lines() {
        let (name, value) = line.split_once(' ').expect("NAME VALUE");
        let value: f64 = value.parse().expect("a number");
        let more = FIGURES.iter().any(|(known, _, more)| *known == name && *more);
        best.entry(name.to_owned())
            .and_modify(|old| *old = if more { old.max(value) } else { old.min(value) })
            .or_insert(value);
    }
}
