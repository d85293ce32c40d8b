//! Lookup tables, ours and the reference side by side in one run: building a table of 500,000 entries, 100,000 queries
//! on standard input, listing, and the aliases of 300,000 people. Prints the best wall time of three, processor time and
//! peak memory of that run. Ratios count; absolute times are the machine's.

#![allow(clippy::expect_used, clippy::panic)] // A bench that cannot run has nothing to say.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const ROUNDS: usize = 3;

fn main() {
    let place = std::env::temp_dir().join(format!("pillarbox-bench-{}", std::process::id()));
    std::fs::create_dir_all(place.join("bin")).expect("a directory to work in");
    let ours = env!("CARGO_BIN_EXE_pillarbox");
    for name in ["postmap", "postalias"] {
        std::os::unix::fs::symlink(ours, place.join("bin").join(name)).expect("a link");
    }
    prepare(&place);
    let reference = Path::new("/usr/sbin/postmap").exists();
    if !reference {
        eprintln!("skipped: the reference is not installed; ours alone");
    }
    println!("{:<28} {:>24} {:>24} {:>7}", "", "ours  s  cpu s     kB", "reference  s  cpu s  kB", "ratio");
    for (title, command) in [
        ("hash: build 500,000", "postmap hash:map"),
        ("hash: 100,000 queries", "postmap -q - hash:map <keys"),
        ("hash: list", "postmap -s hash:map"),
        ("btree: build 500,000", "postmap btree:map"),
        ("btree: 100,000 queries", "postmap -q - btree:map <keys"),
        ("cdb: build 500,000", "postmap cdb:map"),
        ("cdb: 100,000 queries", "postmap -q - cdb:map <keys"),
        ("aliases: build 300,000", "postalias hash:aliases"),
    ] {
        let own = measure(&place, &format!("{}/bin/", place.display()), command);
        let theirs = reference.then(|| measure(&place, "/usr/sbin/", command));
        let shown = |figures: &[f64; 3]| format!("{:.2}  {:.2}  {:>6}", figures[0], figures[1], figures[2]);
        let other = theirs.as_ref().map(shown).unwrap_or_default();
        let ratio = theirs.map(|theirs| format!("{:.1}x", theirs[0] / own[0])).unwrap_or_default();
        println!("{title:<28} {:>24} {other:>24} {ratio:>7}", shown(&own));
    }
    let _ = std::fs::remove_dir_all(&place);
}

fn prepare(place: &Path) {
    let (mut map, mut keys, mut aliases) = (String::new(), String::new(), String::new());
    for number in 0..500_000u32 {
        let domain = number % 1000;
        writeln!(map, "user{number}@example{domain}.com\tmailbox{number}@host{}.example.org", number % 77)
            .expect("text");
        if number % 5 == 0 {
            // Not in the table's order.
            let other = number.wrapping_mul(7919) % 500_000;
            writeln!(keys, "user{other}@example{}.com", other % 1000).expect("text");
        }
        if number < 300_000 {
            writeln!(aliases, "person{number}: user{number}, archive").expect("text");
        }
    }
    for (name, text) in [("map", map), ("keys", keys), ("aliases", aliases)] {
        std::fs::write(place.join(name), text).expect("room for the bench");
    }
}

/// Wall seconds, processor seconds and peak kilobytes of the fastest of some runs.
fn measure(place: &Path, programs: &str, command: &str) -> [f64; 3] {
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        let script = format!("exec /usr/bin/time -f '%e %U %S %M' {programs}{command}");
        let done = Command::new("bash")
            .args(["-c", &script])
            .current_dir(place)
            .stdout(Stdio::null())
            .output()
            .expect("bash and /usr/bin/time");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let figures: Vec<f64> =
            said.lines().last().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
        let [wall, user, system, memory] = figures[..] else { panic!("{command}: {said}") };
        if wall < best[0] {
            best = [wall, user + system, memory];
        }
    }
    best
}
