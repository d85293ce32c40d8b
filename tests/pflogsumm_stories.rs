//! pflogsumm as its users call it. The reports that stand in tests/data/pflogsumm come from logs of our own (made by
//! a generator and by hand) and were compared with the reference's; where pflogsumm 1.1.5 is installed they are
//! compared again, as sets of lines, since it prints ties in a random order. Where the recorded cases of real servers
//! are at hand (../shared/logs), all of them are run.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The options that are tried on each log; the report's name ends in their number.
const CASES: &[&[&str]] = &[
    &[],
    &["--smtpd-stats", "--iso-date-time", "--rej-add-from", "--verp-mung=2", "-i"],
    &["-e", "-q", "--problems-first", "--zero-fill", "--verbose-msg-detail"],
    &["-d", "today", "--no-no-msg-size", "-m"],
];
const LOGS: &[&str] = &["two-days", "rfc3339", "corners"];
/// The options that are tried on newer.log with --compat 1.3; 1.3.0 gave the same (with ties by bytes, and the third
/// value of --suppress with blanks), but it is on hardly any machine.
const NEWER_CASES: &[&[&str]] = &[
    &[],
    &[
        "--smtpd-stats",
        "--pscrn-stats",
        "--ssl-tls-stats",
        "--detail",
        "1",
        "--rej-add-from",
        "--rej-add-to",
        "--iso-date-time",
    ],
    &["--quiet", "-d", "2026-11", "--use-orig-to", "--srs-mung", "--suppress", "per-hour", "--colwidth", "40"],
    &["--verbose-msg-detail", "--problems-first", "-e", "--suppress", "host/domain,size-detail,rdns-warnings"],
];
/// 2026-11-24 12:00:00 UTC
const NOON: &str = "1795521600";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pflogsumm")
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
    command.arg("pflogsumm").envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", NOON)]);
    command
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program starts")
}

#[test]
fn the_reports_are_the_recorded_ones() {
    for log in LOGS {
        for (number, options) in CASES.iter().enumerate() {
            let got = output(ours().args(*options).arg(data().join(format!("{log}.log"))));
            assert!(got.status.success());
            let file = data().join(format!("{log}.{number}.txt"));
            if std::env::var_os("RECORD").is_some() {
                std::fs::write(&file, &got.stdout).expect("recorded");
            }
            let want = std::fs::read(&file).expect("a recorded report");
            assert_eq!(String::from_utf8_lossy(&got.stdout), String::from_utf8_lossy(&want), "{log} {options:?}");
        }
    }
}

#[test]
fn the_newer_reports_are_the_recorded_ones() {
    for (number, options) in NEWER_CASES.iter().enumerate() {
        let got = output(ours().args(["--compat", "1.3"]).args(*options).arg(data().join("newer.log")));
        assert!(got.status.success());
        let file = data().join(format!("newer.{number}.txt"));
        if std::env::var_os("RECORD").is_some() {
            std::fs::write(&file, &got.stdout).expect("recorded");
        }
        let want = std::fs::read(&file).expect("a recorded report");
        assert_eq!(String::from_utf8_lossy(&got.stdout), String::from_utf8_lossy(&want), "{options:?}");
        let by_environment =
            output(ours().env("PFLOGSUMM_COMPAT", "1.3.0").args(*options).arg(data().join("newer.log")));
        assert_eq!(by_environment.stdout, got.stdout);
    }
}

#[test]
fn the_newer_options_are_those_of_its_version() {
    let newer = || {
        let mut command = ours();
        command.args(["--compat", "1.3"]);
        command
    };
    let log = data().join("newer.log");
    assert_eq!(output(newer().arg("--version")).stdout, b"pflogsumm 1.3.0\n");
    for wrong in
        [["--no-bounce-detail", ""], ["-d", "someday"], ["--suppress", "everything"], ["--config", "/proc/nowhere"]]
    {
        let got = output(newer().args(wrong.iter().filter(|word| !word.is_empty())));
        assert_eq!(got.status.code(), Some(255), "{wrong:?}");
        assert!(got.stdout.is_empty());
    }
    let listed = output(newer().args(["--suppress", "help"]));
    assert!(listed.stdout.starts_with(b"host/domain\n"));
    // A file's options are those of the command line, which wins.
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("config");
    std::fs::write(&config, "# ours\nquiet = 1\nhost-cnt: 2\nuser-cnt 3\nzero-fill = 0\n").expect("written");
    let dumped = output(newer().arg("--config").arg(&config).args(["-u", "5", "--dump-config"]));
    assert_eq!(String::from_utf8_lossy(&dumped.stdout), "host-cnt = 2\nquiet = 1\nuser-cnt = 5\n");
    // Lines that no rule knows are kept apart.
    let (rest, notes) = (dir.path().join("rest"), dir.path().join("notes"));
    let got = output(newer().arg("--unprocd-file").arg(&rest).arg("-x").arg(&notes).arg(&log));
    assert_eq!(got.stdout, output(newer().arg(&log)).stdout);
    assert!(std::fs::read_to_string(&rest).expect("written").ends_with("not a log line\n"));
    assert!(std::fs::read_to_string(&notes).expect("written").contains("delivered: 1AA\n"));
    // Underscores still work; the report says that they will not for ever.
    let told = output(newer().arg("--iso_date_time").arg(&log));
    assert!(String::from_utf8_lossy(&told.stdout).lines().next().is_some_and(|line| line.contains("--iso_date_time")));
}

/// What Perl makes of odd values; both references gave these lines.
#[test]
fn odd_values_are_what_perl_makes_of_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let sent = |domain: &str, delay: &str| {
        format!(
            "Nov 23 08:00:00 mx postfix/smtp[5]: A1B2C3D4E5: to=<x@{domain}>, relay=mx[192.0.2.2]:25, delay={delay}, \
             delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n"
        )
    };
    let mut text: String = [("a.example", "inf"), ("b.example", "-Inf"), ("c.example", "nan"), ("d.example", "+5")]
        .map(|(domain, delay)| sent(domain, delay))
        .concat();
    text.push_str(
        "Nov 23 08:00:00 mx postfix/anvil[9]: fatal: \t\n\
         Nov 23 08:00:00 mx postfix/smtpd[1]: NOQUEUE: hold: DATA from localhost[127.0.0.1]: 550 5.7.23 x: Rejected; \
         from=<> to=<0\n",
    );
    std::fs::write(&log, text).expect("written");
    for version in ["1.1.5", "1.3"] {
        let got = output(ours().args(["--compat", version]).arg(&log)).stdout;
        let got = String::from_utf8_lossy(&got);
        for line in ["  Inf h    Inf h  a.", " -Inf s   -Inf s  b.", "  NaN s    NaN s  c.", "  5.0 s    5.0 s  d."] {
            assert!(got.contains(line), "{version}: {line}\n{got}");
        }
    }
    let got = output(ours().args(["--compat", "1.3", "--rej-add-to"]).arg(&log)).stdout;
    let got = String::from_utf8_lossy(&got);
    for line in ["  anvil (1)\n         1   \t\n", "         1   localhost\n"] {
        assert!(got.contains(line), "{line}\n{got}");
    }
}

#[test]
fn the_reference_prints_the_same_lines() {
    let reference = Path::new("/usr/sbin/pflogsumm");
    if !reference.exists() {
        eprintln!("skipped: pflogsumm is not installed");
        return;
    }
    let sorted = |text: &[u8]| {
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        lines.sort_unstable();
        lines.into_iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>()
    };
    for log in LOGS {
        for options in CASES {
            let file = data().join(format!("{log}.log"));
            // Its clock is set inside Perl: faketime fails where an earlier process of its number left a file.
            let mut command = Command::new("perl");
            command.args(["-e", "BEGIN { *CORE::GLOBAL::time = sub () { 1795521600 } } $0 = shift; do $0"]);
            command.arg(reference).args(*options).arg(&file);
            let want = output(command.envs([("LC_ALL", "C"), ("TZ", "UTC")]));
            let got = output(ours().args(*options).arg(&file));
            assert_eq!(sorted(&got.stdout), sorted(&want.stdout), "{log} {options:?}");
        }
    }
}

#[test]
fn all_recorded_cases_of_real_servers() {
    let shared = ["../shared/logs", "../../shared/logs"]
        .iter()
        .map(|place| Path::new(env!("CARGO_MANIFEST_DIR")).join(place))
        .find(|place| place.join("check.sh").exists());
    let Some(shared) = shared else {
        eprintln!("skipped: ../shared/logs is not here");
        return;
    };
    // Our clock is SOURCE_DATE_EPOCH. faketime is not needed, and where a killed one left a file in /dev/shm, the next
    // process of that number fails: a faketime that starts the command takes its place.
    let shim = tempfile::tempdir().expect("a directory");
    let faketime = shim.path().join("faketime");
    std::fs::write(&faketime, "#!/bin/sh\nshift 2\nexec \"$@\"\n").expect("written");
    std::fs::set_permissions(&faketime, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", shim.path().display(), std::env::var("PATH").unwrap_or_default());
    for (version, cases, want) in
        [("1.1.5", "cases.tsv", "780 passed, 0 failed"), ("1.3", "cases130.tsv", "224 passed, 0 failed")]
    {
        let checked = Command::new(shared.join("check.sh"))
            .arg(format!("{} pflogsumm --compat {version}", env!("CARGO_BIN_EXE_pillarbox")))
            .arg(shared.join("dev"))
            .env("CASES", cases)
            .env("PATH", &path)
            .output()
            .expect("check.sh runs");
        assert_eq!(String::from_utf8_lossy(&checked.stdout).trim(), want);
    }
}

#[test]
fn every_recorded_line_prints_back_to_the_same_bytes() {
    use pillarbox::log::{Event, line::Line, line::Postfix};
    let mut places = vec![data()];
    places.extend(
        ["../shared/logs/dev", "../../shared/logs/dev"].iter().map(|at| Path::new(env!("CARGO_MANIFEST_DIR")).join(at)),
    );
    let (mut known, mut all) = (0, 0);
    while let Some(place) = places.pop() {
        let Ok(entries) = std::fs::read_dir(&place) else { continue };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                places.push(path);
                continue;
            }
            for line in std::fs::read(&path).expect("readable").split(|&byte| byte == b'\n') {
                let Some(content) = Line::parse(line).and_then(|line| Postfix::parse(line.rest, b"postfix")) else {
                    continue;
                };
                let event = Event::parse(content.content);
                let mut written = Vec::new();
                event.write_to(&mut written);
                assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(content.content));
                all += 1;
                known += usize::from(!matches!(event, Event::Other(_)));
            }
        }
    }
    eprintln!("{known} of {all} lines are events");
    assert!(known * 3 > all, "{known} of {all}");
}

#[test]
fn one_log_cut_anywhere_gives_one_report() {
    let log = std::fs::read(data().join("corners.log")).expect("the log");
    let whole = output(ours().arg(data().join("corners.log"))).stdout;
    let dir = tempfile::tempdir().expect("a directory");
    for (at, _) in log.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        std::fs::write(&first, &log[..=at]).expect("written");
        std::fs::write(&second, &log[at + 1..]).expect("written");
        assert_eq!(output(ours().arg(&first).arg(&second)).stdout, whole);
    }
}

#[test]
fn mistakes_are_answered_as_scripts_know_it() {
    let missing = output(ours().args(["/proc/nowhere", data().join("corners.log").to_str().expect("text")]));
    assert!(missing.status.success());
    assert!(
        String::from_utf8_lossy(&missing.stderr).starts_with("Can't open /proc/nowhere: No such file or directory")
    );
    assert!(String::from_utf8_lossy(&missing.stdout).contains("      2   bounced\n") || !missing.stdout.is_empty());
    for (args, first) in [
        (vec!["-eq"], "Unknown option: eq\n"),
        (vec!["--bounce", "x"], "Value \"x\" invalid for option bounce-detail (number expected)\n"),
        (vec!["-d", "foo"], "usage: pflogsumm -[eq] [-d <today|yesterday>] [--detail <cnt>]\n"),
    ] {
        let got = output(ours().args(&args));
        assert_eq!(got.status.code(), Some(255), "{args:?}");
        assert!(String::from_utf8_lossy(&got.stderr).starts_with(first), "{args:?}");
        assert!(got.stdout.is_empty());
    }
    assert_eq!(output(ours().arg("--version")).stdout, b"pflogsumm 1.1.5\n");
    assert_eq!(output(ours().args(["--compat", "1.1.5", "--version"])).stdout, b"pflogsumm 1.1.5\n");
    let other = output(ours().env("PFLOGSUMM_COMPAT", "9.9").arg(data().join("corners.log")));
    assert_eq!(other.status.code(), Some(69));
    assert!(other.stdout.is_empty() && String::from_utf8_lossy(&other.stderr).contains("version 9.9 is not known"));
}

#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    let mut child = ours()
        .args(["-e", data().join("two-days.log").to_str().expect("text")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("ends");
    assert!(done.status.success(), "{done:?}");
    assert!(done.stderr.is_empty());
}

#[test]
fn junk_and_a_huge_line_change_nothing() {
    let mut child = ours().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    let log = std::fs::read(data().join("corners.log")).expect("the log");
    let writer = std::thread::spawn(move || {
        input.write_all(&vec![b'x'; 8 << 20]).expect("written");
        input.write_all(b"\n\0\xff\xfe\n").expect("written");
        input.write_all(&log).expect("written");
    });
    let done = child.wait_with_output().expect("ends");
    writer.join().expect("all was read");
    assert_eq!(done.stdout, output(ours().arg(data().join("corners.log"))).stdout);
}
