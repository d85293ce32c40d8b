//! A large mailbox in mail(1): ours without and with its index, beside bsd-mailx, s-nail and mutt; and one of a tenth of
//! its size in all of them and in mailutils, which would take minutes and gigabytes for the large one. One program after
//! the other on the same file: seconds from start to end, seconds of CPU time (user and system), and peak memory. The
//! files are made here (200,000 messages, 1.1 GB) unless MAILBOX names the large one; MESSAGES changes the number.
//! Programs that are not installed, or take longer than LIMIT, have no figures.

#![allow(clippy::expect_used)] // A bench that cannot run has nothing to say.

use nix::pty::openpty;
use pillarbox::sys::spawn::on_terminal;
use std::fmt::Write as _;
use std::io::{BufWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Each program runs so often, in turn; the best figures count.
const ROUNDS: usize = 2;
/// None may take longer.
const LIMIT: Duration = Duration::from_secs(120);
/// Clock ticks a second in /proc/PID/stat; the kernel's own number for programs on all its machines.
const TICKS: f64 = 100.0;

/// Title, program, arguments before the file's name, commands, whether the index is taken away before.
type Case = (&'static str, &'static str, &'static [&'static str], &'static str, bool);

const CASES: [Case; 9] = [
    ("ours: first screen, no index", "ours", &["-nN", "-f"], "h\nx\n", true),
    ("ours: first screen, index", "ours", &["-nN", "-f"], "h\nx\n", false),
    ("bsd-mailx: first screen", "bsd-mailx", &["-n", "-N", "-f"], "h\nx\n", false),
    ("ours: all lines, no index", "ours", &["-nH", "-f"], "", true),
    ("ours: all lines, index", "ours", &["-nH", "-f"], "", false),
    ("bsd-mailx: all lines", "bsd-mailx", &["-n", "-N", "-f"], "from *\nx\n", false),
    ("s-nail: all lines", "s-nail", &["-:/", "-R", "-H", "-f"], "", false),
    ("mailutils: all lines", "mail.mailutils", &["-nH", "-f"], "", false),
    // It draws on a terminal only, and asks there whether a directory that is away is to be made. Last, because it sets
    // the file's times again, and no index of a file that was just changed is trusted.
    (
        "mutt: first screen",
        "mutt",
        &["-n", "-F", "/dev/null", "-R", "-e", "set folder=/", "-e", "exec exit", "-f"],
        "",
        false,
    ),
];

fn main() {
    let dir = tempfile::tempdir_in("/var/tmp").expect("a directory in /var/tmp");
    let hangs = run(&("", "sleep", &["1000"], "", false), Path::new("1000"), dir.path(), Duration::from_millis(200));
    assert!(hangs.is_none(), "a program that hangs is not ended");
    let count: usize = std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let small = make(&dir.path().join("small"), count / 10);
    table(&small, dir.path(), &CASES);
    let large = std::env::var_os("MAILBOX").map_or_else(|| make(&dir.path().join("large"), count), PathBuf::from);
    let quick: Vec<Case> = CASES.into_iter().filter(|case| case.1 != "mail.mailutils").collect();
    table(&large, dir.path(), &quick);
}

fn table(mailbox: &Path, dir: &Path, cases: &[Case]) {
    let size = std::fs::metadata(mailbox).expect("the mailbox").len();
    println!("{} ({} MB)", mailbox.display(), size / 1_000_000);
    println!("{:<32} {:>9} {:>9} {:>10}", "", "seconds", "CPU", "peak MiB");
    for case in cases {
        let figures: Vec<Figures> = (0..ROUNDS).map_while(|_| run(case, mailbox, dir, LIMIT)).collect();
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

/// None where the program is not installed, or takes longer than the limit.
fn run(case: &Case, mailbox: &Path, home: &Path, limit: Duration) -> Option<Figures> {
    let (_, program, arguments, commands, without_index) = *case;
    if without_index {
        let _ = std::fs::remove_dir_all(home.join(".cache"));
    }
    let mut command = Command::new(if program == "ours" { env!("CARGO_BIN_EXE_pillarbox") } else { program });
    if program == "ours" {
        command.arg0("mail");
    }
    command.args(arguments).arg(mailbox).env("HOME", home).env("LC_ALL", "C.UTF-8");
    let start = Instant::now();
    let mut child = if program == "mutt" { at_terminal(command) } else { in_a_pipe(command, commands) }?;
    let mut figures = Figures::default();
    loop {
        let (cpu, peak) = usage_of(child.id());
        figures.cpu = figures.cpu.max(cpu);
        figures.peak = figures.peak.max(peak);
        figures.seconds = start.elapsed().as_secs_f64();
        if child.try_wait().ok()?.is_some() {
            return Some(figures);
        }
        if start.elapsed() > limit {
            child.kill().ok()?;
            child.wait().ok()?;
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn in_a_pipe(mut command: Command, commands: &str) -> Option<Child> {
    command.env("TERM", "dumb").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let _ = child.stdin.take()?.write_all(commands.as_bytes());
    Some(child)
}

fn at_terminal(mut command: Command) -> Option<Child> {
    let pty = openpty(None, None).ok()?;
    let side = || pty.slave.try_clone().ok().map(Stdio::from);
    command.env("TERM", "vt100").stdin(side()?).stdout(side()?).stderr(side()?);
    on_terminal(&mut command);
    let child = command.spawn().ok()?;
    let mut screen = std::fs::File::from(pty.master);
    // It ends when the last of the other side is gone.
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(1..) = screen.read(&mut buffer) {}
    });
    Some(child)
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

/// Letters of many sizes, some with names that need decoding.
fn make(path: &Path, count: usize) -> PathBuf {
    let mut out = BufWriter::new(std::fs::File::create(path).expect("a mailbox"));
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
    path.to_owned()
}
