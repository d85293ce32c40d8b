//! pflogsumm beside what goes on: --follow on a terminal and in a pipe, and a journal that a real systemd-journald keeps.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::tcgetattr;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

fn line(number: u32) -> String {
    format!(
        "Nov 23 08:00:0{number} mx postfix/smtp[1]: A{number}B2C3D4E5: to=<x@b{number}.example>, relay=mx[192.0.2.2]:25, \
         delay=3, delays=0/0/0/3, dsn=2.0.0, status=sent (250 ok)\n"
    )
}

fn log(dir: &Path) -> PathBuf {
    let path = dir.join("mail.log");
    std::fs::write(&path, line(1)).expect("written");
    path
}

fn append(log: &Path, text: &str) {
    File::options().append(true).open(log).expect("open").write_all(text.as_bytes()).expect("written");
}

/// pflogsumm on a terminal of its own.
struct Terminal {
    child: Child,
    master: File,
    slave: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn of(log: &Path, columns: u16, rows: u16) -> Terminal {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).expect("a terminal");
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let child = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
            .args(["pflogsumm", "--follow"])
            .arg(log)
            .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("TERM", "xterm")])
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("starts");
        let (master, shown) = (File::from(master), Arc::new(Mutex::new(Vec::new())));
        let (mut reader, sink) = (master.try_clone().expect("a descriptor"), shown.clone());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut piece) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..read]);
            }
        });
        Terminal { child, master, slave, shown }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn wait(&self, what: impl Fn(&str) -> bool) {
        for _ in 0..300 {
            if what(&self.shown()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{}", self.shown());
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.master.write_all(keys).expect("typed");
    }

    /// The program ends, and the terminal is as it was.
    fn end(mut self) -> ExitStatus {
        let status = self.child.wait().expect("ends");
        self.wait(|shown| shown.trim_end().ends_with("\x1b[?1049l"));
        let shown = self.shown();
        assert!(shown.contains("\x1b[?1049h") && shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l"), "{shown}");
        let flags = tcgetattr(self.slave.as_fd()).expect("flags");
        assert!(flags.local_flags.contains(nix::sys::termios::LocalFlags::ICANON), "the terminal gives lines again");
        status
    }
}

#[test]
fn a_growing_log_is_watched_until_q() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log(dir.path());
    let mut terminal = Terminal::of(&log, 80, 24);
    terminal.wait(|shown| shown.contains("b1.example"));
    append(&log, &line(2));
    terminal.wait(|shown| shown.contains("b2.example"));
    std::fs::rename(&log, dir.path().join("mail.log.1")).expect("rotated");
    std::fs::write(&log, line(3)).expect("written");
    terminal.wait(|shown| shown.contains("b3.example"));
    std::fs::write(&log, "").expect("truncated");
    std::thread::sleep(Duration::from_millis(600));
    append(&log, &line(4));
    terminal.wait(|shown| shown.contains("b4.example"));
    // Another size shows all again.
    let titles = |shown: &str| shown.matches("pflogsumm").count();
    let before = titles(&terminal.shown());
    let resized = Command::new("stty")
        .args(["cols", "120", "rows", "40"])
        .stdin(Stdio::from(terminal.slave.try_clone().expect("a descriptor")))
        .status()
        .expect("stty runs");
    assert!(resized.success());
    terminal.wait(|shown| titles(shown) > before);
    terminal.type_in(b"q");
    assert!(terminal.end().success());
}

#[test]
fn ctrl_c_and_a_signal_put_the_terminal_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log(dir.path());
    for (columns, rows) in [(80, 24), (20, 5)] {
        let mut terminal = Terminal::of(&log, columns, rows);
        terminal.wait(|shown| shown.contains("pflogsumm") && shown.contains("q ends"));
        terminal.type_in(b"\x03");
        assert!(terminal.end().success());
        let terminal = Terminal::of(&log, columns, rows);
        terminal.wait(|shown| shown.contains("pflogsumm"));
        let pid = i32::try_from(terminal.child.id()).expect("a process");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("sent");
        assert!(terminal.end().success());
    }
}

#[test]
fn without_a_terminal_troubles_come_as_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log(dir.path());
    let trouble = "Nov 23 08:00:05 mx postfix/smtp[1]: A5B2C3D4E5: to=<x@b5.example>, relay=none, delay=3, \
                   delays=0/0/0/3, dsn=4.4.1, status=deferred (connect to b5: \x1b[31mno)\n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(["pflogsumm", "--follow", "-"])
        .envs([("LC_ALL", "C"), ("TZ", "UTC")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&[std::fs::read(&log).expect("a log"), trouble.into()].concat()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].starts_with("08:00:05 smtp A5B2C3D4E5: to=<x@b5.example>") && !lines[0].contains('\x1b'),
        "{text}"
    );
    assert!(lines[1].starts_with("received 0 (+0), delivered 1 (+1), deferred 1 (+1)"), "{text}");
    for wrong in [dir.path(), Path::new("/proc/nowhere")] {
        let refused = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
            .args(["pflogsumm", "--follow"])
            .arg(wrong)
            .output()
            .expect("runs");
        assert_eq!(refused.status.code(), Some(74));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(&format!("cannot follow {}", wrong.display())));
    }
}

/// What the story prints between marks, by their names.
fn parts(text: &str) -> std::collections::HashMap<&str, String> {
    let mut parts = std::collections::HashMap::new();
    let mut name = "";
    for line in text.lines() {
        match line.strip_prefix("== ") {
            Some(next) => name = next,
            None => *parts.entry(name).or_insert_with(String::new) += &format!("{line}\n"),
        }
    }
    parts
}

/// A journald in a mount namespace of its own; entries by its native protocol, and older ones from an export.
const JOURNAL: &str = r#"
set -eu
mount -t tmpfs none /run
machine=$(cat /etc/machine-id 2>/dev/null || true)
[ -n "$machine" ] || { echo 0123456789abcdef0123456789abcdef >"$TMP/id"; [ -e /etc/machine-id ] || : >/etc/machine-id
    mount --bind "$TMP/id" /etc/machine-id; machine=$(cat /etc/machine-id); }
mkdir -p /run/systemd/journal "/run/log/journal/$machine"
# Entries of other days, in a file that a rotation left.
remote=/lib/systemd/systemd-journal-remote
[ -x $remote ] && $remote -o "/run/log/journal/$machine/older.journal" - <"$TMP/export" >/dev/null 2>&1
/lib/systemd/systemd-journald >/dev/null 2>&1 & journald=$!
trap 'kill $journald $follower 2>/dev/null || true' EXIT
follower=
for i in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
say() { printf 'MESSAGE=%s\nSYSLOG_IDENTIFIER=postfix/%s\nSYSLOG_PID=%s\nSYSLOG_FACILITY=%s\nPRIORITY=6\n' "$3" "$1" 7 "$2" | logger --journald; }
say smtpd 2 'A1B2C3D4E5: client=a.example[192.0.2.3]'
say qmgr 2 'A1B2C3D4E5: from=<zed@a.example>, size=4711, nrcpt=1 (queue active)'
say cron 9 'B1B2C3D4E5: client=not.mail.example[192.0.2.3]'
journalctl --sync
journalctl --rotate
# A message of bytes that are no text comes as binary fields, also in the next file.
say smtp 2 "$(printf 'A1B2C3D4E5: to=<x@b.example>, relay=mx[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 \033[31m\377 ok)')"
journalctl --sync
echo "== files"; ls "/run/log/journal/$machine" | grep -c journal
echo "== now"; $PFLOGSUMM --journal --json --last 1h
echo "== all"; $PFLOGSUMM --journal --json
echo "== range"; $PFLOGSUMM --journal --ndjson --from '2026-11-20 12:00' --to 2026-11-21
echo "== trace"; $PFLOGSUMM --journal --trace A1B2C3D4E5
# Growing.
$PFLOGSUMM --journal --follow >"$TMP/follow" & follower=$!
for i in $(seq 100); do grep -q 'older trouble' "$TMP/follow" && break; sleep 0.1; done
say smtp 2 'connect to down.example[192.0.2.9]:25: Connection timed out'
for i in $(seq 100); do grep -q down.example "$TMP/follow" && break; sleep 0.1; done
kill -TERM $follower; wait $follower; follower=
echo "== follow"; cat "$TMP/follow"
kill $journald; wait $journald || true
rm -r /run/log/journal
echo "== none"; $PFLOGSUMM --journal --last 1h 2>&1 | head -n 1
echo "== broken"; PATH=$TMP/bin:$PATH; $PFLOGSUMM --journal 2>&1 >/dev/null | tail -n 1
"#;

/// "2026-11-20 12:00:00 UTC" and a minute before and after each, in microseconds.
const OLDER: &str = "\
__CURSOR=s=1;i=1\n__REALTIME_TIMESTAMP=1795175940000000\n__MONOTONIC_TIMESTAMP=1000000\n\
_BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=mx\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=9\n\
MESSAGE=warning: before the time\n\n\
__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795176060000000\n__MONOTONIC_TIMESTAMP=121000000\n\
_BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=mx\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=9\n\
MESSAGE=warning: older trouble\n\n\
__CURSOR=s=1;i=3\n__REALTIME_TIMESTAMP=1795219260000000\n__MONOTONIC_TIMESTAMP=43321000000\n\
_BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=mx\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=9\n\
MESSAGE=warning: after the time\n\n";

#[test]
fn a_real_journal_is_read_and_followed() {
    let there = |path: &str| Path::new(path).exists();
    let namespace = Command::new("unshare").args(["--mount", "true"]).output();
    if !there("/lib/systemd/systemd-journald") || !there("/usr/bin/journalctl") {
        eprintln!("skipped: systemd-journald is not installed");
        return;
    }
    if !namespace.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: no mount namespace (root only)");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("export"), OLDER).expect("written");
    // A journalctl that fails half way.
    std::fs::create_dir(dir.path().join("bin")).expect("made");
    let broken = dir.path().join("bin/journalctl");
    std::fs::write(&broken, "#!/bin/sh\necho __CURSOR=s=1\nexit 3\n").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).expect("executable");
    let program = dir.path().join("pflogsumm");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pillarbox"), &program).expect("linked");
    let output = Command::new("timeout")
        .args(["120", "unshare", "--mount", "--propagation", "private", "sh", "-c", JOURNAL])
        .env("PFLOGSUMM", &program)
        .env("TMP", dir.path())
        .envs([("LC_ALL", "C"), ("TZ", "UTC")])
        .output()
        .expect("runs");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    let parts = parts(&text);
    let json = |part: &str| -> serde_json::Value { serde_json::from_str(&parts[part]).expect("an object") };
    let totals = &json("now")["totals"];
    for (name, want) in [("received", 1), ("delivered", 1), ("bytes_received", 4711), ("bytes_delivered", 4711)] {
        assert_eq!(totals[name], want, "{name}: {totals}\n{errors}");
    }
    assert!(parts["files"].trim().parse::<u32>().expect("a number") >= 2, "the journal was rotated");
    assert!(parts["trace"].contains("=> x@b.example: sent (250 \u{fffd}[31m\u{fffd} ok)"), "{}", parts["trace"]);
    assert!(parts["follow"].contains("smtp connect to down.example"), "{}", parts["follow"]);
    assert!(parts["broken"].contains("journalctl ended with exit status: 3"), "{}", parts["broken"]);
    if !there("/lib/systemd/systemd-journal-remote") {
        eprintln!("skipped: older entries, systemd-journal-remote is not installed");
        return;
    }
    assert_eq!(json("all")["totals"]["received"], 1);
    let range: Vec<&str> = parts["range"].lines().collect();
    assert!(range.len() == 1 && range[0].contains("older trouble"), "{range:?}");
    assert!(range[0].contains("\"time\":\"2026-11-20T12:01:00\""), "{range:?}");
}
