//! pflogsumm against its reference and against the limits of reading at all, on one file in one run. The machine is
//! often shared, so the ratios count, not the times. `cargo bench --bench pflogsumm [-- FILE]`; without FILE a log is
//! made by ../shared/tools/genlog.py, if that is here.

// A bench that cannot measure has nothing to say.
#![allow(clippy::expect_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// CPU seconds, wall seconds and peak memory in MiB of the best of three runs.
struct Cost {
    cpu: f64,
    wall: f64,
    memory: f64,
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map(PathBuf::from);
    let Some(log) = given.or_else(|| generate(root)) else {
        eprintln!("skipped: no log file given and no generator at hand");
        return;
    };
    let size = std::fs::metadata(&log).expect("the log").len() as f64 / 1e6;
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").expect("written");
    line(format!("{} ({size:.1} MB)", log.display()));
    line(format!("{:<24}{:>10}{:>10}{:>10}{:>14}", "", "CPU s", "wall s", "MiB", "MB per CPU s"));
    let ours = env!("CARGO_BIN_EXE_pillarbox");
    let programs: [(&str, Vec<&str>); 10] = [
        ("ours, one core", vec!["taskset", "-c", "0", ours, "pflogsumm"]),
        ("ours, all cores", vec![ours, "pflogsumm"]),
        // These two forget a message that is removed; the report of 1.1.5 needs sixteen bytes of each.
        ("ours --compat 1.3", vec![ours, "pflogsumm", "--compat", "1.3"]),
        ("ours --json", vec![ours, "pflogsumm", "--json"]),
        ("ours --trace ID", vec![ours, "pflogsumm", "--trace", "0123456789A"]),
        ("pflogsumm (reference)", vec!["/usr/sbin/pflogsumm"]),
        ("wc -l", vec!["wc", "-l"]),
        ("rg -c status=sent", vec!["rg", "-c", "status=sent"]),
        ("grep -c status=sent", vec!["grep", "-c", "status=sent"]),
        ("grep 0123456789A", vec!["grep", "0123456789A"]),
    ];
    let mut costs = Vec::new();
    for (name, words) in &programs {
        let cost = measure(words, &log);
        match &cost {
            Some(cost) => line(format!(
                "{name:<24}{:>10.3}{:>10.3}{:>10.1}{:>14.1}",
                cost.cpu,
                cost.wall,
                cost.memory,
                size / cost.cpu.max(0.001)
            )),
            None => line(format!("{name:<24}    not installed")),
        }
        costs.push(cost);
    }
    let cost = |wanted: &str| programs.iter().zip(&costs).find(|((name, _), _)| *name == wanted)?.1.as_ref();
    let mut ratio = |of: &str, to: &str| {
        if let (Some(a), Some(b)) = (cost(of), cost(to)) {
            line(format!(
                "{of} / {to}: CPU {:.1}, wall {:.1}, memory {:.1}",
                a.cpu / b.cpu.max(0.001),
                a.wall / b.wall.max(0.001),
                a.memory / b.memory.max(0.1)
            ));
        }
    };
    ratio("pflogsumm (reference)", "ours, one core");
    ratio("pflogsumm (reference)", "ours, all cores");
    ratio("ours, one core", "rg -c status=sent");
    ratio("ours, one core", "wc -l");
    ratio("ours --trace ID", "grep 0123456789A");
}

fn measure(words: &[&str], log: &Path) -> Option<Cost> {
    let runs = (0..3).map(|_| {
        let output = Command::new("/usr/bin/time")
            .args(["-f", "%U %S %e %M"])
            .args(words)
            .arg(log)
            // Into /dev/null grep would end with its first match.
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .ok()
            // 1 is a search that finds nothing.
            .filter(|output| matches!(output.status.code(), Some(0 | 1)))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let numbers: Vec<f64> = text.lines().last()?.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [user, system, wall, memory] = numbers.try_into().ok()?;
        Some(Cost { cpu: user + system, wall, memory: memory / 1024.0 })
    });
    runs.flatten().min_by(|a, b| a.cpu.total_cmp(&b.cpu))
}

/// 60 MB of traffic.
fn generate(root: &Path) -> Option<PathBuf> {
    let tool = ["../shared/tools/genlog.py", "../../shared/tools/genlog.py"].map(|place| root.join(place));
    let tool = tool.into_iter().find(|place| place.exists())?;
    let log = std::env::temp_dir().join("pillarbox-bench.log");
    if !log.exists() {
        Command::new("python3").arg(tool).args(["--size", "60M", "--seed", "7", "-o"]).arg(&log).status().ok()?;
    }
    log.exists().then_some(log)
}
