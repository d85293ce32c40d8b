//! A large mailbox in mail(1): ours without and with its index, beside mailutils, bsd-mailx, s-nail and mutt, one after
//! the other on the same file: seconds from start to end, seconds of CPU time (user and system), and peak memory. The file
//! is made here (200,000 messages, 1.1 GB) unless MAILBOX names one; MESSAGES changes the number. Programs that are not
//! installed, or take longer than LIMIT, have no figures; mailutils takes minutes and gigabytes for the whole, so it is
//! asked only with SLOW=1.

#![allow(clippy::expect_used)] // A bench that cannot run has nothing to say.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Each program runs so often, in turn; the best figures count.
const ROUNDS: usize = 2;
/// None may take longer: mutt waits for ever where it finds no terminal to its liking.
const LIMIT: Duration = Duration::from_secs(240);
/// Clock ticks a second in /proc/PID/stat; the kernel's own number for programs on all its machines.
const TICKS: f64 = 100.0;

/// Title, program, arguments before the file's name, commands, whether the index is taken away before.
type Case = (&'static str, &'static str, &'static [&'static str], &'static str, bool);

const CASES: [Case; 10] = [
    ("ours: first screen, no index", "ours", &["-nN", "-f"], "h\nx\n", true),
    ("ours: first screen, index", "ours", &["-nN", "-f"], "h\nx\n", false),
    ("bsd-mailx: first screen", "bsd-mailx", &["-n", "-N", "-f"], "h\nx\n", false),
    ("mailutils: first screen", "mail.mailutils", &["-nN", "-f"], "h\nx\n", false),
    ("ours: all lines, no index", "ours", &["-nH", "-f"], "", true),
    ("ours: all lines, index", "ours", &["-nH", "-f"], "", false),
    ("bsd-mailx: all lines", "bsd-mailx", &["-n", "-N", "-f"], "from *\nx\n", false),
    ("s-nail: all lines", "s-nail", &["-:/", "-R", "-H", "-f"], "", false),
    ("mutt: open and leave", "mutt", &["-n", "-F", "/dev/null", "-R", "-e", "push x", "-f"], "", false),
    ("mailutils: all lines", "mail.mailutils", &["-nH", "-f"], "", false),
];

fn main() {
    let dir = tempfile::tempdir_in("/var/tmp").expect("a directory in /var/tmp");
    let mailbox = std::env::var_os("MAILBOX").map_or_else(|| make(dir.path()), PathBuf::from);
    let size = std::fs::metadata(&mailbox).expect("the mailbox").len();
    println!("{} ({} MB)", mailbox.display(), size / 1_000_000);
    println!("{:<32} {:>9} {:>9} {:>10}", "", "seconds", "CPU", "peak MiB");
    for case in CASES {
        let slow = case.1 == "mail.mailutils" && std::env::var_os("SLOW").is_none();
        let rounds = if case.1 == "mail.mailutils" { 1 } else { ROUNDS };
        let figures: Vec<Figures> =
            (0..rounds).filter(|_| !slow).map_while(|_| run(&case, &mailbox, dir.path())).collect();
        let least = |of: fn(&Figures) -> f64| figures.iter().map(of).min_by(f64::total_cmp);
        let peak = figures.iter().map(|one| one.peak).max();
        match (least(|one| one.seconds), least(|one| one.cpu), peak) {
            (Some(seconds), Some(cpu), Some(peak)) => {
                println!("{:<32} {seconds:>9.2} {cpu:>9.2} {:>10.1}", case.0, peak as f64 / 1024.0);
            }
            _ => println!("{:<32} {:>9} {:>9} {:>10}", case.0, "-", "-", "-"),
        }
    }
}

/// What a run took; memory in kB.
#[derive(Default)]
struct Figures {
    seconds: f64,
    cpu: f64,
    peak: u64,
}

/// None where the program is not installed, or takes too long.
fn run(case: &Case, mailbox: &Path, home: &Path) -> Option<Figures> {
    let (_, program, arguments, commands, without_index) = *case;
    if without_index {
        let _ = std::fs::remove_dir_all(home.join(".cache"));
    }
    let mut command = Command::new(if program == "ours" { env!("CARGO_BIN_EXE_pillarbox") } else { program });
    if program == "ours" {
        std::os::unix::process::CommandExt::arg0(&mut command, "mail");
    }
    command.args(arguments).arg(mailbox).env("HOME", home).env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
    if program == "mutt" {
        // It draws only on a terminal.
        let words: Vec<String> = std::iter::once(&"mutt").chain(arguments).map(|word| format!("'{word}'")).collect();
        let line = format!("exec {} '{}'", words.join(" "), mailbox.display());
        command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("HOME", home).env("TERM", "vt100");
        Command::new("mutt").arg("-v").stdout(Stdio::null()).status().ok()?;
    }
    let start = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let mut input = child.stdin.take()?;
    let _ = input.write_all(commands.as_bytes());
    let keep = (program == "mutt").then_some(input);
    let mut figures = Figures::default();
    loop {
        let (cpu, peak) = usage_of(child.id());
        figures.cpu = figures.cpu.max(cpu);
        figures.peak = figures.peak.max(peak);
        figures.seconds = start.elapsed().as_secs_f64();
        if child.try_wait().ok()?.is_some() {
            drop(keep);
            return Some(figures);
        }
        if start.elapsed() > LIMIT {
            child.kill().ok()?;
            child.wait().ok()?;
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// CPU seconds and VmHWM of a process and of what it started, as far as they live.
fn usage_of(pid: u32) -> (f64, u64) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let line = read("status").lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned));
    let peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    // After the name in brackets: state is the first, utime and stime are the twelfth and thirteenth.
    let stat = read("stat");
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|number| number.parse::<f64>().ok()).sum();
    let children = read(&format!("task/{pid}/children"));
    children
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .map(usage_of)
        .fold((ticks / TICKS, peak), |(cpu, peak), (more, other)| (cpu + more, peak.max(other)))
}

/// Letters of many sizes, some with attachments, some with names and subjects that need decoding.
fn make(dir: &Path) -> PathBuf {
    let count: usize = std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let path = dir.join("box");
    let mut out = BufWriter::new(std::fs::File::create(&path).expect("a mailbox"));
    let mut state = 42u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for number in 0..count {
        let (day, hour, minute) = (number % 28 + 1, number % 24, number % 60);
        let name = if number % 7 == 0 { "=?UTF-8?B?w4lsw6h2ZSBNb2TDqGxl?=" } else { "Jean Dupont" };
        let mut text = format!(
            "From u{number}@example.net Tue Nov {day:2} {hour:02}:{minute:02}:15 2026\n\
             Return-Path: <u{number}@example.net>\nReceived: from mx.example.net (mx.example.net [192.0.2.1])\n\
             \tby vm (Postfix) with ESMTPS id {number:010X}\n\tfor <eleve@localhost>; Tue, {day} Nov 2026 10:05:15 +0000\n\
             Date: Tue, {day} Nov 2026 {hour:02}:{minute:02}:15 +0000\nFrom: {name} <u{number}@example.net>\n\
             To: eleve@localhost\nSubject: rapport {number} de sauvegarde\nMessage-Id: <{number}@example.net>\n\n"
        );
        let lines = if random(20) == 0 { 700 } else { 20 + random(60) };
        for line in 0..lines {
            let quoted = if random(400) == 0 { ">From " } else { "" };
            let _ =
                writeln!(text, "{quoted}ligne {line} du rapport, avec assez de mots pour une ligne entiere de texte");
        }
        text.push('\n');
        out.write_all(text.as_bytes()).expect("a mailbox");
    }
    out.flush().expect("a mailbox");
    path
}
