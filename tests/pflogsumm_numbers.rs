//! What pflogsumm tells beyond the reference's report: right numbers and their forms, parts of the time, rotations,
//! shards, the journal, traces, and input of the worst kind.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// 2026-11-24 12:00:00 UTC
const NOON: &str = "1795521600";

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
    command.arg("pflogsumm").envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", NOON)]);
    command
}

fn run(args: &[&str], files: &[&Path]) -> Output {
    ours().args(args).args(files).stdin(Stdio::null()).output().expect("the program starts")
}

fn text(args: &[&str], files: &[&Path]) -> String {
    let output = run(args, files);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(args: &[&str], files: &[&Path]) -> serde_json::Value {
    serde_json::from_str(&text(&[&["--json"], args].concat(), files)).expect("JSON")
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pflogsumm").join(name)
}

/// A directory and files in it.
fn logs(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a directory");
    let paths = files
        .iter()
        .map(|(name, log)| {
            let path = dir.path().join(name);
            std::fs::write(&path, log).expect("written");
            path
        })
        .collect();
    (dir, paths)
}

/// What 1.1.5 miscounts, each kind once.
const HABITS: &str = "\
2024-11-22T23:59:00+01:00 mx postfix/submissions/smtpd[1]: 1AAAAAAAAA: client=pc.Example.de[2001:db8::1], sasl_method=PLAIN
2024-11-22T23:59:00+01:00 mx postfix/cleanup[2]: 1AAAAAAAAA: message-id=<one@example.de>
2024-11-22T23:59:00+01:00 mx postfix/qmgr[3]: 1AAAAAAAAA: from=<u@example.de>, size=1000, nrcpt=1 (queue active)
2024-11-22T23:59:01+01:00 mx postfix/smtp[4]: 1AAAAAAAAA: to=<x@far.example>, relay=mx.far.example[192.0.2.1]:25, \
tls=verified, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)
2024-11-22T23:59:01+01:00 mx postfix/qmgr[3]: 1AAAAAAAAA: removed
2024-11-23T00:00:01+01:00 mx postfix/smtpd[5]: connect from unknown[2001:db8::2]
2024-11-23T00:00:02+01:00 mx postfix/smtpd[5]: 1AAAAAAAAA: client=unknown[2001:db8::2]
2024-11-23T00:00:02+01:00 mx postfix/cleanup[2]: 1AAAAAAAAA: message-id=<two@example.de>
2024-11-23T00:00:02+01:00 mx postfix/qmgr[3]: 1AAAAAAAAA: from=<v@other.example>, size=500, nrcpt=1 (queue active)
2024-11-22T23:59:59+01:00 mx postfix/smtp[4]: connect to down.example[192.0.2.9]:25: Connection timed out
2024-11-23T00:00:03+01:00 mx postfix/smtp[4]: 1AAAAAAAAA: to=<y@down.example>, relay=none, delay=3, delays=0/0/3/0, \
dsn=4.4.1, status=deferred (connect to down.example[192.0.2.9]:25: Connection timed out)
2024-11-23T06:00:03+01:00 mx postfix/qmgr[3]: 1AAAAAAAAA: from=<v@other.example>, status=expired, returned to sender
2024-11-23T06:00:03+01:00 mx postfix/qmgr[3]: 1AAAAAAAAA: removed
2024-11-23T07:00:00+01:00 mx postfix/smtpd[6]: 2BBBBBBBBB: client=spam.example[192.0.2.66]
2024-11-23T07:00:00+01:00 mx postfix/cleanup[2]: 2BBBBBBBBB: message-id=<three@spam.example>
2024-11-23T07:00:00+01:00 mx postfix/cleanup[2]: 2BBBBBBBBB: milter-reject: END-OF-MESSAGE from spam.example[192.0.2.66]: \
5.7.1 Spam; from=<s@spam.example> to=<u@example.de> proto=ESMTP helo=<spam.example>
";

#[test]
fn what_the_reference_miscounts_is_counted_right() {
    let (_dir, logs) = logs(&[("log", HABITS)]);
    let numbers = json(&[], &[&logs[0]]);
    assert_eq!((&numbers["schema"], &numbers["version"]), (&"pillarbox-pflogsumm".into(), &1.into()));
    let totals = &numbers["totals"];
    for (name, want) in
        [("received", 2), ("delivered", 1), ("expired", 1), ("rejected", 1), ("deferred", 1), ("bytes_received", 1500)]
    {
        assert_eq!(totals[name], want, "{name}: {totals}");
    }
    assert_eq!(numbers["period"]["first"], "2024-11-22T23:00");
    let days: Vec<_> = numbers["days"].as_array().expect("days").iter().map(|day| day["date"].clone()).collect();
    assert_eq!(days, ["2024-11-22", "2024-11-23"]);
    assert_eq!(numbers["tls"]["entries"][0]["text"], "verified");
    assert_eq!(numbers["unreachable"]["entries"][0]["text"], "down.example");
    assert_eq!(numbers["rejects"]["entries"][0]["kind"], "END-OF-MESSAGE");
    assert_eq!(numbers["deferrals_by_destination"]["entries"][0]["of"], "down.example");
    // The text report has the same numbers, and the drop-in report has not.
    assert!(text(&["--accurate"], &[&logs[0]]).contains("      2   received\n"));
    assert!(text(&[], &[&logs[0]]).contains("      0   delivered\n"));
    let differences = text(&["--explain-differences"], &[&logs[0]]);
    let words: Vec<&str> = differences.split_whitespace().collect();
    assert!(words.windows(4).any(|words| words == ["delivered", "0", "1", "*"]), "{differences}");
    for line in ["right is expired +1", "tls=verified"] {
        assert!(differences.contains(line), "{differences}");
    }
}

#[test]
fn the_accurate_numbers_agree_with_each_other_in_all_forms() {
    let log = data("two-days.log");
    let numbers = json(&[], &[&log]);
    let delivered = numbers["totals"]["delivered"].as_u64().expect("a number");
    let sum = |list: &str| -> u64 {
        numbers[list].as_array().expect("a list").iter().filter_map(|of| of["delivered"].as_u64()).sum()
    };
    assert!(delivered > 0);
    assert_eq!([sum("days"), sum("hours"), sum("series")], [delivered; 3]);
    assert!(
        text(&["--prometheus"], &[&log])
            .contains(&format!("pflogsumm_messages{{outcome=\"delivered\"}} {delivered}\n"))
    );
    let events = text(&["--ndjson"], &[&log]);
    let sent = events.lines().filter(|line| line.contains("\"status\":\"sent\"") && !line.contains("forwarded as"));
    let filtered = numbers["totals"]["filtered"].as_u64().expect("a number");
    assert_eq!(sent.count() as u64, delivered + filtered);
    assert!(events.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(text(&["--chart"], &[&log]).contains("Delivered by hour of day"));
    let limited = json(&["-u", "1"], &[&log]);
    assert_eq!(limited["senders"]["entries"].as_array().expect("a list").len(), 1);
    assert_eq!(limited["senders"]["total"], numbers["senders"]["total"]);
}

/// Addresses and names that would be markup.
const HOSTILE: &str = "\
Nov 23 13:00:01 mx postfix/smtpd[1]: A1B2C3D4E5: client=<script>alert(1)</script>[192.0.2.1]
Nov 23 13:00:01 mx postfix/qmgr[1]: A1B2C3D4E5: from=<\"<img src=x onerror=alert(2)>\"@evil.example>, size=100, nrcpt=1 \
(queue active)
Nov 23 13:00:01 mx postfix/smtp[1]: A1B2C3D4E5: to=<\"</td></table><svg onload=alert(3)>\"@x.example>, \
relay=mx[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 <b>ok</b>)
Nov 23 13:00:02 mx postfix/smtpd[1]: warning: </pre></title><script>document.title='owned'</script>
Nov 23 14:00:02 mx postfix/smtpd[1]: B1B2C3D4E5: client=a.example[192.0.2.3]
Nov 23 14:00:03 mx postfix/qmgr[1]: B1B2C3D4E5: from=<zed@a.example>, size=100, nrcpt=1 (queue active)
Nov 23 14:00:02 mx postfix/smtpd[1]: C1B2C3D4E5: client=a.example[192.0.2.3]
Nov 23 14:00:03 mx postfix/qmgr[1]: C1B2C3D4E5: from=<zed@a.example>, size=100, nrcpt=1 (queue active)
";

#[test]
fn the_page_is_whole_and_nothing_in_it_is_the_logs_markup() {
    let (dir, logs) = logs(&[("log", HOSTILE)]);
    let page = text(&["--html", "-"], &[&logs[0]]);
    for markup in ["<script>alert", "<img", "<svg onload", "<b>ok", "</pre></title>"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "the page needs the network");
    assert!(page.contains("&lt;img src=x onerror=alert(2)&gt;"));
    // In a browser: no script but the page's own runs, and a click on a column's head sorts.
    let Some(chromium) = ["chromium", "chromium-browser"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok())
    else {
        eprintln!("skipped: chromium is not installed");
        return;
    };
    let dump = |name: &str, page: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, page).expect("written");
        let output = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .arg(format!("file://{}", path.display()))
            .stderr(Stdio::null())
            .output()
            .expect("chromium runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let dom = dump("page.html", &page);
    assert!(dom.contains("<title>Mail report 2026-11-23"), "{}", &dom[..dom.len().min(500)]);
    let row = "document.querySelector('table.sorts').tBodies[0].rows[0].cells[0].textContent";
    let click = "document.querySelector('table.sorts thead button').click()";
    let probe = format!("<script>const first={row};{click};document.title=first+' / '+{row};</script></body>");
    // The probe is foreign to the page's policy, so that goes first.
    let policy = page.find("<meta http-equiv").expect("a policy");
    let end = policy + page[policy..].find('>').expect("its end") + 1;
    let open = format!("{}{}", &page[..policy], &page[end..]);
    let dom = dump("probe.html", &open.replace("</body>", &probe));
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap_or_default();
    assert_eq!(title, "zed@a.example / \"&lt;img src=x onerror=alert(2)&gt;\"@evil.example");
    // With the policy it does not run.
    assert!(dump("closed.html", &page.replace("</body>", &probe)).contains("<title>Mail report 2026-11-23"));
}

#[test]
fn a_message_cut_in_two_by_a_rotation_keeps_its_size_and_sender() {
    let first = "\
Nov 23 23:59:58 mx postfix/smtpd[1]: A1B2C3D4E5: client=a.example[192.0.2.3]
Nov 23 23:59:58 mx postfix/qmgr[1]: A1B2C3D4E5: from=<zed@a.example>, size=4711, nrcpt=1 (queue active)
Nov 23 23:59:59 mx postfix/smtpd[1]: B1B2C3D4E5: client=a.example[192.0.2.3]
";
    let second = "\
Nov 24 00:00:01 mx postfix/qmgr[1]: B1B2C3D4E5: from=<ada@a.example>, size=99, nrcpt=1 (queue active)
Nov 24 00:00:01 mx postfix/smtp[1]: A1B2C3D4E5: to=<x@b.example>, relay=mx[192.0.2.2]:25, delay=3, status=sent (250 ok)
Nov 24 00:00:02 mx postfix/qmgr[1]: A1B2C3D4E5: removed
";
    let (dir, logs) = logs(&[("mail.log.1", first), ("mail.log", second)]);
    let state = dir.path().join("state");
    let state = state.to_str().expect("text");
    assert!(text(&[], &[&logs[1]]).contains("Messages with no size data"));
    for version in [&[][..], &["--compat", "1.3"], &["--accurate"]] {
        let _ = std::fs::remove_file(state);
        text(&[version, &["--state", state]].concat(), &[&logs[0]]);
        let report = text(&[version, &["--state", state]].concat(), &[&logs[1]]);
        assert!(!report.contains("Messages with no size data\n"), "{report}");
        assert!(report.contains("   4711   bytes delivered\n"), "{version:?} {report}");
        assert!(report.contains("     99   bytes received\n"), "{version:?} {report}");
        // What is done with is forgotten.
        let kept = std::fs::read_to_string(state).expect("a state");
        assert!(kept.contains("\nB1B2C3D4E5 ") && !kept.contains("A1B2C3D4E5"), "{kept}");
    }
    std::fs::write(state, "something else\n").expect("written");
    assert_eq!(run(&["--state", state], &[&logs[1]]).status.code(), Some(65));
}

#[test]
fn shards_merge_to_the_report_of_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let names = ["two-days.log", "corners.log", "rfc3339.log"].map(data);
    let whole: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
    for options in [&[][..], &["-e", "--smtpd-stats", "--zero-fill", "-i"], &["--compat", "1.3"], &["--accurate"]] {
        let mut shards = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let shard = dir.path().join(format!("{number}.partial"));
            let written = text(&[options, &["--partial", shard.to_str().expect("text")]].concat(), &[name]);
            assert_eq!(written, "");
            shards.push(shard);
        }
        let shards: Vec<&Path> = shards.iter().map(PathBuf::as_path).collect();
        assert_eq!(text(&[options, &["--merge"]].concat(), &shards), text(options, &whole), "{options:?}");
        let refused = run(&["--merge", "-m"], &shards);
        assert_eq!(refused.status.code(), Some(65));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("was written with other options"), "{refused:?}");
    }
    let refused = run(&["--merge"], &[&names[0]]);
    assert_eq!(refused.status.code(), Some(65));
}

#[test]
fn parts_of_the_time_and_rotated_sets() {
    let line = |time: &str, number: u32| {
        format!(
            "{time} mx postfix/smtp[1]: A{number}B2C3D4E5: to=<x{number}@b.example>, relay=mx[192.0.2.2]:25, delay=3, \
             status=sent (250 ok)\n"
        )
    };
    let older = line("Nov 23 08:00:00", 1) + &line("Nov 23 20:00:00", 2);
    let newer = line("Nov 24 08:00:00", 3) + &line("Nov 24 11:30:00", 4);
    let (_dir, logs) = logs(&[("mail.log", &newer), ("mail.log.1", &older)]);
    let files: Vec<&Path> = logs.iter().map(PathBuf::as_path).collect();
    for version in [&[][..], &["--compat", "1.3"], &["--accurate"]] {
        let delivered = |args: &[&str]| {
            let report = text(&[version, args].concat(), &files);
            let line = report.lines().find(|line| line.ends_with("  delivered")).expect("a line").to_owned();
            line.split_whitespace().next().and_then(|number| number.parse::<u32>().ok()).expect("a number")
        };
        assert_eq!(delivered(&[]), 4);
        assert_eq!(delivered(&["--last", "1h"]), 1);
        assert_eq!(delivered(&["--last=24h"]), 3);
        assert_eq!(delivered(&["--from", "2026-11-23 12:00", "--to", "today"]), 1);
        assert_eq!(delivered(&["--from", "yesterday", "--to", "11:00"]), 3);
        assert_eq!(delivered(&["-d", "today"]), 2);
    }
    // 1.1.5 begins a new day with each change of the day, so the order of the files shows.
    let days = |args: &[&str], files: &[&Path]| text(args, files).matches("    Nov 2").count();
    assert_eq!(days(&["--in-order"], &files), 2);
    let mixed: Vec<&Path> = vec![files[1], files[0]];
    assert_eq!(text(&["--in-order"], &files), text(&[], &mixed));
}

#[test]
fn the_journal_is_a_log() {
    let log = "\
2026-11-23T08:00:00.000001+00:00 mx postfix/smtpd[7]: A1B2C3D4E5: client=a.example[192.0.2.3]
2026-11-23T08:00:00.000002+00:00 mx postfix/qmgr[8]: A1B2C3D4E5: from=<zed@a.example>, size=4711, nrcpt=1 (queue active)
";
    let entries = [
        ("1795420800000001", "postfix/smtpd", "7", "A1B2C3D4E5: client=a.example[192.0.2.3]"),
        (
            "1795420800000002",
            "postfix/qmgr",
            "8",
            "A1B2C3D4E5: from=<zed@a.example>, size=4711, nrcpt=1 (queue active)",
        ),
    ];
    let (mut export, mut lines) = (String::new(), String::new());
    for (time, program, process, message) in entries {
        let _ = write!(
            export,
            "__CURSOR=s=1\n__REALTIME_TIMESTAMP={time}\n_HOSTNAME=mx\nSYSLOG_IDENTIFIER={program}\n_PID={process}\n\
             MESSAGE={message}\n\n"
        );
        let object = serde_json::json!({"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": time, "_HOSTNAME": "mx",
            "SYSLOG_IDENTIFIER": program, "_PID": process, "MESSAGE": message});
        let _ = writeln!(lines, "{object}");
    }
    let short = log.replace(".000001+00:00", "+0000").replace(".000002+00:00", "+0000");
    let (_dir, logs) = logs(&[("log", log), ("export", &export), ("json", &lines), ("short", &short)]);
    let want = text(&[], &[&logs[0]]);
    assert!(want.contains("   4711   bytes received\n"), "{want}");
    for other in &logs[1..] {
        assert_eq!(text(&[], &[other]), want, "{}", other.display());
    }
}

#[test]
fn a_trace_follows_forwards_notices_and_filters() {
    let log = "\
Nov 23 08:00:00 mx postfix/smtpd[7]: A1B2C3D4E5: client=a.example[192.0.2.3]
Nov 23 08:00:00 mx postfix/cleanup[9]: A1B2C3D4E5: message-id=<one@a.example>
Nov 23 08:00:00 mx postfix/qmgr[8]: A1B2C3D4E5: from=<zed@a.example>, size=4711, nrcpt=2 (queue active)
Nov 23 08:00:00 mx postfix/qmgr[8]: FFFFFFFFF1: from=<other@a.example>, size=1, nrcpt=1 (queue active)
Nov 23 08:00:01 mx postfix/local[5]: A1B2C3D4E5: to=<list@b.example>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, \
status=sent (forwarded as B1B2C3D4E5)
Nov 23 08:00:01 mx postfix/qmgr[8]: B1B2C3D4E5: from=<zed@a.example>, size=4800, nrcpt=1 (queue active)
Nov 23 08:00:02 mx postfix/smtp[5]: A1B2C3D4E5: to=<gone@c.example>, relay=mx[192.0.2.2]:25, delay=2, delays=0/0/0/2, \
dsn=5.1.1, status=bounced (unknown user)
Nov 23 08:00:02 mx postfix/bounce[4]: A1B2C3D4E5: sender non-delivery notification: C1B2C3D4E5
Nov 23 08:00:02 mx postfix/qmgr[8]: A1B2C3D4E5: removed
Nov 23 08:00:03 mx postfix/smtp[5]: C1B2C3D4E5: to=<zed@a.example>, relay=mx[192.0.2.2]:25, delay=1, delays=0/0/0/1, \
dsn=2.0.0, status=sent (250 ok)
Nov 23 09:30:03 mx postfix/smtp[5]: B1B2C3D4E5: to=<d@d.example>, relay=none, delay=5402, delays=0/0/5402/0, dsn=4.4.1, \
status=deferred (connect to d[192.0.2.8]:25: Connection refused)
";
    let (_dir, logs) = logs(&[("log", log)]);
    for term in ["A1B2C3D4E5", "<one@a.example>", "gone@c.example", "C1B2C3D4E5"] {
        let life = text(&["--trace", term], &[&logs[0]]);
        let told = |line: &str| assert!(life.contains(line), "{term}: {line}\n{life}");
        if term != "C1B2C3D4E5" {
            told("Message A1B2C3D4E5 <one@a.example>\n");
            told("=> gone@c.example: bounced (unknown user), 2s after it came in\n");
            told("=> sender non-delivery notification C1B2C3D4E5\n");
            told("Message B1B2C3D4E5\n");
            told("+90m02s");
            told("=> still in the queue when the logs end\n");
        }
        told("Message C1B2C3D4E5\n");
        assert!(!life.contains("FFFFFFFFF1"), "{life}");
    }
    let none = run(&["--trace", "2C3D4E5"], &[&logs[0]]);
    assert_eq!(none.status.code(), Some(1));
    let mut input = ours().args(["--trace", "A1B2C3D4E5"]).stdin(Stdio::null()).output().expect("runs");
    assert_eq!(input.status.code(), Some(64));
    input.stderr.truncate(200);
}

#[test]
fn the_worst_input_costs_little_memory_and_linear_time() {
    let time = Path::new("/usr/bin/time");
    if !time.exists() {
        eprintln!("skipped: /usr/bin/time is not installed");
        return;
    }
    let log = std::fs::read(data("corners.log")).expect("the log");
    let want = text(&[], &[&data("corners.log")]);
    let junk: Vec<u8> = (0u32..).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).take(1 << 20).collect();
    let huge: Vec<u8> =
        [b"Nov 23 08:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from x[1.2.3.4]: ".as_slice(), &[b'<'; 4096]]
            .concat();
    // What, and how often 1 MiB of it comes.
    let kinds: [(&str, Vec<u8>, usize); 4] = [
        ("one line", vec![b'x'; 1 << 20], 100),
        ("binary", junk.into_iter().filter(|&byte| byte != b'\n').collect(), 20),
        ("blank lines", vec![b'\n'; 1 << 20], 20),
        ("marks without end", huge.repeat(256), 20),
    ];
    for (what, block, times) in kinds {
        for threads in ["1", "3"] {
            let mut child = Command::new(time)
                .args(["-f", "%M %e", env!("CARGO_BIN_EXE_pillarbox"), "pflogsumm", "--threads", threads])
                .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", NOON)])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("starts");
            let mut input = child.stdin.take().expect("a pipe");
            let (log, block) = (log.clone(), block.clone());
            let writer = std::thread::spawn(move || {
                input.write_all(&log).expect("written");
                (0..times).for_each(|_| input.write_all(&block).expect("written"));
            });
            let done = child.wait_with_output().expect("ends");
            writer.join().expect("all was read");
            let figures = String::from_utf8_lossy(&done.stderr).into_owned();
            let mut figures = figures.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
            let (memory, seconds) = (figures.next().expect("memory"), figures.next().expect("seconds"));
            assert!(memory <= 64.0 * 1024.0, "{what}: {memory} KiB");
            // An unoptimised build on a shared machine; what is not linear takes minutes.
            assert!(seconds < 60.0, "{what}: {seconds} s");
            if what != "marks without end" {
                assert_eq!(String::from_utf8_lossy(&done.stdout), want, "{what}");
            }
        }
    }
    // CRLF: the reference keeps the return in what ends a line; nothing else may change.
    let (_dir, logs) = logs(&[("crlf", &String::from_utf8_lossy(&log).replace('\n', "\r\n"))]);
    let report = text(&[], &[&logs[0]]);
    assert_eq!(report.lines().next(), want.lines().next());
    // Each prefix of a log is a log: syslog cuts lines, and disks fill up.
    for cut in (0..log.len()).step_by(997) {
        let (_dir, logs) = logs_of(&log[..cut]);
        assert!(run(&[], &[&logs]).status.success());
    }
}

fn logs_of(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    std::fs::write(&path, bytes).expect("written");
    (dir, path)
}

/// A message through Amavis and back, with what Debian's master.cf makes Postfix log, and one that stays in the relay of
/// another service on this machine.
const FILTERED: &str = "\
Nov 23 08:00:00 mx postfix/smtpd[1]: A1B2C3D4E5: client=mail.a.example[192.0.2.3]
Nov 23 08:00:00 mx postfix/cleanup[2]: A1B2C3D4E5: message-id=<one@a.example>
Nov 23 08:00:00 mx postfix/qmgr[3]: A1B2C3D4E5: from=<zed@a.example>, size=1000, nrcpt=2 (queue active)
CLIENT
Nov 23 08:00:01 mx postfix/cleanup[2]: B1B2C3D4E5: message-id=<one@a.example>
Nov 23 08:00:01 mx postfix/qmgr[3]: B1B2C3D4E5: from=<zed@a.example>, size=1500, nrcpt=2 (queue active)
Nov 23 08:00:02 mx amavis[9]: (00009-01) Passed CLEAN, queued_as: B1B2C3D4E5
Nov 23 08:00:02 mx postfix/smtp[5]: A1B2C3D4E5: to=<x@b.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=2, \
delays=0/0/0/2, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as B1B2C3D4E5)
Nov 23 08:00:02 mx postfix/smtp[5]: A1B2C3D4E5: to=<y@b.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=2, \
delays=0/0/0/2, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as B1B2C3D4E5)
Nov 23 08:00:02 mx postfix/qmgr[3]: A1B2C3D4E5: removed
Nov 23 08:00:03 mx postfix/lmtp[6]: B1B2C3D4E5: to=<x@b.example>, relay=mx[private/dovecot-lmtp], delay=1, \
delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <x@b.example> abc Saved)
Nov 23 08:00:03 mx postfix/smtp[6]: B1B2C3D4E5: to=<y@b.example>, relay=127.0.0.1[127.0.0.1]:2525, delay=1, \
delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9F9F9F9F9F)
Nov 23 08:00:03 mx postfix/qmgr[3]: B1B2C3D4E5: removed
";

#[test]
fn what_goes_through_a_content_filter_counts_once() {
    // Without XFORWARD, with it, with a syslog_name of the service, and before the queue.
    for (how, client) in [
        ("plain", "Nov 23 08:00:01 mx postfix/smtpd[4]: B1B2C3D4E5: client=localhost[127.0.0.1]"),
        (
            "xforward",
            "Nov 23 08:00:01 mx postfix/smtpd[4]: B1B2C3D4E5: client=localhost[127.0.0.1], orig_queue_id=A1B2C3D4E5, \
             orig_client=mail.a.example[192.0.2.3]",
        ),
        ("named", "Nov 23 08:00:01 mx postfix/10025/smtpd[4]: B1B2C3D4E5: client=localhost[127.0.0.1]"),
    ] {
        let (_dir, logs) = logs(&[("log", &FILTERED.replace("CLIENT", client))]);
        let numbers = json(&[], &[&logs[0]]);
        let totals = &numbers["totals"];
        for (name, want) in
            [("received", 1), ("delivered", 2), ("filtered", 2), ("bytes_received", 1000), ("senders", 1)]
        {
            assert_eq!(totals[name], want, "{how}: {name}: {totals}");
        }
        for list in ["days", "hours", "series"] {
            let sum = |column: &str| -> u64 {
                numbers[list].as_array().expect("a list").iter().filter_map(|of| of[column].as_u64()).sum()
            };
            assert_eq!((sum("received"), sum("delivered")), (1, 2), "{how}: {list}");
        }
        assert_eq!(numbers["sender_domains"]["entries"].as_array().expect("a list").len(), 1, "{how}");
        assert!(text(&["--accurate"], &[&logs[0]]).contains("      2   passed through a content filter\n"));
        assert!(text(&["--explain-differences"], &[&logs[0]]).contains("right is filtered +1"));
        // The reference counts all four, and so does the drop-in report.
        assert!(text(&[], &[&logs[0]]).contains("      4   delivered\n"));
    }
    let before = "\
Nov 23 08:00:00 mx postfix/smtpd[1]: NOQUEUE: client=mail.a.example[192.0.2.3]
Nov 23 08:00:01 mx postfix/10025/smtpd[4]: B1B2C3D4E5: client=localhost[127.0.0.1], orig_client=mail.a.example[192.0.2.3]
Nov 23 08:00:01 mx postfix/qmgr[3]: B1B2C3D4E5: from=<zed@a.example>, size=1500, nrcpt=1 (queue active)
";
    let (_dir, logs) = logs(&[("log", before)]);
    assert_eq!(json(&[], &[&logs[0]])["totals"]["received"], 1);
}

/// A message for two recipients that spamc gets, each time; the second comes back before its delivery is logged. Both are
/// then delivered by pipe(8), too, and that is the end of it.
#[test]
fn what_a_program_gives_back_counts_once() {
    let log = "\
Nov 23 08:00:00 mx postfix/smtpd[1]: A1B2C3D4E5: client=mail.a.example[192.0.2.3]
Nov 23 08:00:00 mx postfix/cleanup[2]: A1B2C3D4E5: message-id=<one@a.example>
Nov 23 08:00:00 mx postfix/qmgr[3]: A1B2C3D4E5: from=<zed@a.example>, size=1000, nrcpt=2 (queue active)
Nov 23 08:00:01 mx postfix/pickup[4]: B1B2C3D4E5: uid=116 from=<zed@a.example>
Nov 23 08:00:01 mx postfix/pipe[5]: A1B2C3D4E5: to=<x@b.example>, relay=spamassassin, delay=0.6, \
delays=0.2/0/0/0.4, dsn=2.0.0, status=sent (delivered via spamassassin service)
Nov 23 08:00:01 mx postfix/cleanup[2]: B1B2C3D4E5: message-id=<one@a.example>
Nov 23 08:00:01 mx postfix/qmgr[3]: B1B2C3D4E5: from=<zed@a.example>, size=1500, nrcpt=1 (queue active)
Nov 23 08:00:02 mx postfix/pipe[7]: B1B2C3D4E5: to=<x@b.example>, relay=dovecot, delay=0.1, \
delays=0/0/0/0.1, dsn=2.0.0, status=sent (delivered via dovecot service)
Nov 23 08:00:02 mx postfix/qmgr[3]: B1B2C3D4E5: removed
Nov 23 09:00:01 mx postfix/smtpd[1]: D1B2C3D4E5: client=mail.a.example[192.0.2.3]
Nov 23 09:00:01 mx postfix/cleanup[2]: D1B2C3D4E5: message-id=<two@a.example>
Nov 23 09:00:01 mx postfix/qmgr[3]: D1B2C3D4E5: from=<zed@a.example>, size=1000, nrcpt=1 (queue active)
Nov 23 09:00:01 mx postfix/pickup[4]: C1B2C3D4E5: uid=116 from=<zed@a.example>
Nov 23 09:00:01 mx postfix/cleanup[2]: C1B2C3D4E5: message-id=<two@a.example>
Nov 23 09:00:01 mx postfix/qmgr[3]: C1B2C3D4E5: from=<zed@a.example>, size=1500, nrcpt=1 (queue active)
Nov 23 09:00:01 mx postfix/pipe[5]: D1B2C3D4E5: to=<y@b.example>, relay=spamassassin, delay=1, \
delays=0.2/0/0/0.8, dsn=2.0.0, status=sent (delivered via spamassassin service)
Nov 23 09:00:02 mx postfix/pipe[7]: C1B2C3D4E5: to=<y@b.example>, relay=dovecot, delay=0.1, \
delays=0/0/0/0.1, dsn=2.0.0, status=sent (delivered via dovecot service)
Nov 23 09:00:02 mx postfix/qmgr[3]: C1B2C3D4E5: removed
";
    let (_dir, logs) = logs(&[("log", log)]);
    let numbers = json(&[], &[&logs[0]]);
    let totals = &numbers["totals"];
    for (name, want) in [
        ("received", 2),
        ("delivered", 2),
        ("filtered", 2),
        ("bytes_received", 2000),
        ("bytes_delivered", 3000),
        ("senders", 1),
        ("recipients", 2),
    ] {
        assert_eq!(totals[name], want, "{name}: {totals}");
    }
    for list in ["days", "hours", "series"] {
        let sum = |column: &str| -> u64 {
            numbers[list].as_array().expect("a list").iter().filter_map(|of| of[column].as_u64()).sum()
        };
        assert_eq!((sum("received"), sum("delivered")), (2, 2), "{list}");
    }
    let differences = text(&["--explain-differences"], &[&logs[0]]);
    assert!(differences.contains("right is received -1, delivered -1, filtered +1"), "{differences}");
    // The reference counts all four.
    assert!(text(&[], &[&logs[0]]).contains("      4   delivered\n"));
}

/// The seventeen habits of pflogsumm 1.1.5 that miscount or garble: a log for each, and what is right. Those that are
/// about the report's form (4 of them) are in `pflogsumm_stories.rs`.
#[test]
fn each_habit_is_mended_and_shown() {
    let sent = |time: &str, rest: &str| format!("{time} mx postfix/smtp[5]: A1B2C3D4E5: to=<x@b.example>, {rest}\n");
    let plain = "relay=mx[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)";
    let from = |time: &str, service: &str, client: &str, id: &str| {
        format!(
            "{time} mx postfix{service}[1]: {id}: client={client}\n\
             {time} mx postfix/qmgr[3]: {id}: from=<u@a.example>, size=10, nrcpt=1 (queue active)\n"
        )
    };
    // What, the log, where in the JSON and what is right there, what the differences say.
    let cases: Vec<(&str, String, &str, serde_json::Value, &str)> = vec![
        (
            "2: a service below another name",
            from("Nov 23 08:00:00", "/submissions/smtpd", "a.example[192.0.2.3]", "A1B2C3D4E5"),
            "/totals/received",
            1.into(),
            "right is received +1",
        ),
        (
            "2: an instance's syslog_name",
            from("Nov 23 08:00:00", "-in/smtpd", "a.example[192.0.2.3]", "A1B2C3D4E5"),
            "/totals/received",
            1.into(),
            "right is received +1",
        ),
        ("3: the year of the log", sent("2019-05-04T08:00:00+02:00", plain), "/days/0/date", "2019-05-04".into(), "year 2019"),
        (
            "4: interleaved days",
            [sent("Nov 22 23:59:59", plain), sent("Nov 23 00:00:00", plain), sent("Nov 22 23:59:59", plain)].concat(),
            "/days/1/date",
            "2026-11-23".into(),
            "the reference counts days +1; right is nothing",
        ),
        (
            "4: the same day of the month",
            [sent("Oct 23 08:00:00", plain), sent("Nov 23 08:00:00", plain)].concat(),
            "/days/1/date",
            "2026-11-23".into(),
            "the reference counts nothing; right is days +1",
        ),
        (
            "6: a queue id that is used again",
            [
                from("Nov 23 08:00:00", "/smtpd", "a.example[192.0.2.3]", "A1B2C3D4E5"),
                "Nov 23 08:00:01 mx postfix/qmgr[3]: A1B2C3D4E5: removed\n".to_owned(),
                from("Nov 23 09:00:00", "/smtpd", "a.example[192.0.2.3]", "A1B2C3D4E5"),
            ]
            .concat(),
            "/totals/bytes_received",
            20.into(),
            "the reference counts nothing; right is bytes received",
        ),
        (
            "8: hosts in small letters",
            from("Nov 23 08:00:00", "/smtpd", "Mail.X.info[192.0.2.3]", "A1B2C3D4E5").replace("u@a.example", ""),
            "/sender_domains/entries/0/domain",
            "mail.x.info".into(),
            "Mail.X.info, right is mail.x.info: Nov 23",
        ),
        (
            "9: IPv6 hosts",
            from("Nov 23 08:00:00", "/smtpd", "mail.Example.de[2001:db8::1]", "A1B2C3D4E5").replace("u@a.example", ""),
            "/sender_domains/entries/0/domain",
            "mail.example.de".into(),
            "right is mail.example.de: Nov 23",
        ),
        (
            "10: tls=",
            sent("Nov 23 08:00:00", &plain.replace("delay=1", "tls=verified, delay=1")),
            "/totals/delivered",
            1.into(),
            "right is delivered +1",
        ),
        (
            "10: expired",
            "Nov 23 08:00:00 mx postfix/qmgr[3]: A1B2C3D4E5: from=<u@a>, status=expired, returned to sender\n".to_owned(),
            "/totals/expired",
            1.into(),
            "right is expired +1",
        ),
        (
            "11: a reason with brackets in it",
            sent(
                "Nov 23 08:00:00",
                "relay=mx[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=4.2.0, status=deferred (host mx said: 450 (later) ok)",
            ),
            "/deferrals/entries/0/text",
            "host mx said: 450 (later) ok".into(),
            "\"host mx said: 450 (later\", right is \"host mx said: 450 (later) ok\"",
        ),
        (
            "16: what the master daemon says",
            "Nov 23 08:00:00 mx postfix/master[1]: reload: configuration: /etc/postfix\n".to_owned(),
            "",
            serde_json::Value::Null,
            "\"/etc/postfix\", right is \"reload: configuration: /etc/postfix\"",
        ),
        (
            "13: a milter's and a proxy's rejects",
            "Nov 23 08:00:00 mx postfix/smtpd[1]: NOQUEUE: milter-reject: RCPT from h[192.0.2.9]: 451 4.7.1 Later; \
             from=<a@b> to=<c@d> proto=ESMTP helo=<h>\n"
                .to_owned(),
            "/totals/rejected",
            1.into(),
            "right is rejected +1",
        ),
        (
            "14: hosts that cannot be reached",
            "Nov 23 08:00:00 mx postfix/smtp[1]: connect to mx.far.example[192.0.2.9]:25: Connection timed out\n".to_owned(),
            "/unreachable/entries/0/text",
            "mx.far.example".into(),
            "right is unreachable +1",
        ),
        (
            "15: a session's name without its statistics",
            "Nov 23 08:00:00 mx postfix/smtpd[1]: connect from mail.Example.de[2001:db8::1]\n\
             Nov 23 08:00:09 mx postfix/smtpd[1]: disconnect from mail.Example.de[2001:db8::1] ehlo=1 auth=0/1 commands=1/2\n"
                .to_owned(),
            "",
            serde_json::Value::Null,
            "",
        ),
        (
            "12: a reject after the message had an id",
            "Nov 23 08:00:00 mx postfix/smtpd[1]: A1B2C3D4E5: client=a.example[192.0.2.3]\n\
             Nov 23 08:00:01 mx postfix/smtpd[1]: A1B2C3D4E5: reject: DATA from a.example[192.0.2.3]: 550 5.7.1 No; \
             from=<a@b> to=<c@d> proto=ESMTP helo=<h>\n"
                .to_owned(),
            "/totals/received",
            0.into(),
            "right is received -1",
        ),
        (
            "17: what is no UTF-8",
            sent("Nov 23 08:00:00", plain).replace("x@b", "j\u{f6}rg@b"),
            "/recipients/entries/0/address",
            "j\u{f6}rg@b.example".into(),
            "",
        ),
    ];
    for (what, log, place, want, shown) in cases {
        let (_dir, logs) = logs(&[("log", &log)]);
        let numbers = json(&[], &[&logs[0]]);
        if !place.is_empty() {
            assert_eq!(numbers.pointer(place), Some(&want), "{what}");
        }
        let differences = text(&["--explain-differences"], &[&logs[0]]);
        assert!(differences.contains(shown), "{what}: {shown}\n{differences}");
        if what.starts_with("15") {
            let report = text(&["--accurate", "--smtpd-stats"], &[&logs[0]]);
            assert!(report.contains("example.de\n") && !report.contains("ehlo=1"), "{report}");
        }
    }
    // 5: -d means the year, too.
    let (_dir, logs) = logs(&[("log", &sent("2019-11-24T08:00:00+02:00", plain))]);
    assert_eq!(json(&["-d", "today"], &[&logs[0]])["totals"]["delivered"], 0);
}

/// What promtool checks of a text file: help and type before the samples of a name, each name once, labels and values in
/// their form (Prometheus's text exposition format).
#[test]
fn the_prometheus_file_is_in_its_form() {
    let file = text(&["--prometheus"], &[&data("two-days.log")]);
    let is_name = |name: &str| {
        name.starts_with("pflogsumm_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let (mut known, mut typed, mut current) = (Vec::new(), false, String::new());
    for line in file.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, said) = help.split_once(' ').expect("a name and its help");
            assert!(is_name(name) && said.ends_with('.') && !known.contains(&name.to_owned()), "{line}");
            (current, typed) = (name.to_owned(), false);
            known.push(current.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind, format!("{current} gauge"));
            typed = true;
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert!(typed && name == current && value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
                let (name, value) = label.split_once("=\"").expect("a label");
                assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()) && value.ends_with('"'), "{line}");
            }
        }
    }
    assert!(known.len() >= 5 && file.ends_with('\n'));
}

#[test]
fn mistakes_say_what_is_wrong_and_leave_what_is_there() {
    let (dir, logs) = logs(&[("log", HOSTILE), ("state", "pflogsumm state 7\n"), ("old", "pflogsumm partial 1\nx\n")]);
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    std::fs::create_dir(path("place")).expect("made");
    let (log, page, place) = (path("log"), path("page"), path("place"));
    std::fs::write(&page, "old page").expect("written");
    let nowhere = path("nowhere/file");
    let cases: [(&[&str], i32, &str); 12] = [
        (&["--html", &nowhere, &log], 74, "cannot write"),
        (&["--html", &place, &log], 74, "Is a directory"),
        (&["--state", &nowhere, &log], 74, "cannot write"),
        (&["--state", &path("state"), &log], 65, "was written by another version of pflogsumm"),
        (&["--state", &log, &log], 65, "not a file of pflogsumm --state"),
        (&["--partial", &nowhere, &log], 74, "cannot write"),
        (&["--merge", &path("old")], 65, "was written by another version of pflogsumm"),
        (&["--merge", &path("none")], 74, "cannot read"),
        (&["--last", "5x", &log], 64, "--last 5x: a time like 24h or 7d is expected"),
        (&["--last"], 64, "--last: a time like 24h or 7d is expected"),
        (&["--journal", &log], 64, "--journal takes the place of logs"),
        (&["--json", "--trace", "x", &log], 64, "--trace and --json exclude each other"),
    ];
    for (args, status, said) in cases {
        let output = run(args, &[]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{args:?} {errors}");
        assert!(errors.contains(said) && errors.lines().count() == 1, "{args:?} {errors}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert_eq!(std::fs::read_to_string(path("state")).expect("a state"), "pflogsumm state 7\n");
    // A page is replaced as a whole, and what is no plain file is written to.
    assert_eq!(text(&["--html", &page], &[&logs[0]]), "");
    assert!(std::fs::read_to_string(&page).expect("a page").ends_with("</html>\n"));
    assert!(text(&["--html", "/dev/stdout"], &[&logs[0]]).ends_with("</html>\n"));
    // Shards come through pipes, too.
    let shard = run(&["--partial", "-"], &[&logs[0]]).stdout;
    let mut child = ours().args(["--merge"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("a pipe").write_all(&shard).expect("written");
    let merged = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&merged.stdout), text(&[], &[&logs[0]]));
    let names = std::fs::read_dir(dir.path()).expect("a directory").count();
    assert_eq!(names, 5, "nothing half written is left");
}
