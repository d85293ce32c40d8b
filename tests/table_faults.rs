//! What tcp:, socketmap: and memcache: say word for word when a server answers badly, hangs up, talks for ever or not at
//! all (table_servers.rs has the stories of servers that work). UNDER_TEST=reference tells the same stories to the
//! installed postmap.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Tests fail by panicking.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// postmap, ours unless told otherwise; None: the reference is wanted and is not there.
fn postmap(dir: &Path) -> Option<Command> {
    if std::env::var("UNDER_TEST").as_deref() == Ok("reference") {
        let path = "/usr/sbin/postmap";
        if !Path::new(path).exists() {
            eprintln!("skipped: no {path}");
            return None;
        }
        return Some(Command::new(path));
    }
    let link = dir.join("postmap");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pillarbox"), &link).unwrap();
    }
    let mut command = Command::new(link);
    // A configuration of our own: the machine may have none, or a strange one.
    let cf = dir.join("conf");
    std::fs::create_dir_all(&cf).unwrap();
    std::fs::write(cf.join("main.cf"), "mail_owner = daemon\nsetgid_group = mail\n").unwrap();
    command.arg("-c").arg(cf);
    Some(command)
}

/// What postmap -q - answers to the keys: standard output, standard error, status.
fn ask(spec: &str, keys: &str) -> Option<(String, String, Option<i32>)> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = postmap(dir.path())?;
    command.args(["-q", "-", spec]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A postmap that refused the configuration has ended before it read a key: its words are what the story is about.
    let _ = child.stdin.take().unwrap().write_all(keys.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(out.stdout), text(out.stderr), out.status.code()))
}

/// One step of a server: what it says to a request.
#[derive(Clone, Copy)]
enum Say {
    Reply(&'static [u8]),
    /// Says this and hangs up.
    Cut(&'static [u8]),
    /// Never answers.
    Nothing,
    /// Talks for ever.
    Flood,
}

/// Answers each connection in turn, the steps one after another and then from the start; the requests are sent on.
fn serve<S: Read + Write>(connections: impl Iterator<Item = S>, steps: &[Say], seen: &std::sync::mpsc::Sender<String>) {
    let mut steps = steps.iter().cycle();
    for mut connection in connections {
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = connection.read(&mut buffer) {
            let _ = seen.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
            let gone = match steps.next().unwrap() {
                Say::Reply(text) => connection.write_all(text).is_err(),
                Say::Cut(text) => {
                    let _ = connection.write_all(text);
                    true
                }
                Say::Nothing => false,
                Say::Flood => {
                    while connection.write_all(&[b'7'; 4096]).is_ok() {}
                    true
                }
            };
            if gone {
                break;
            }
        }
    }
}

/// A server on loopback: its port, and what it was asked.
fn inet(steps: &[Say]) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, seen) = channel();
    let steps = steps.to_vec();
    std::thread::spawn(move || serve(listener.incoming().flatten(), &steps, &sender));
    (port, seen)
}

/// A port where nobody listens.
fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn tcp_asks_a_line_and_reads_a_line() {
    let (port, seen) = inet(&[Say::Reply(b"200 va%20lue\n"), Say::Reply(b"500 no\n"), Say::Reply(b"200 x y\n")]);
    let Some((out, err, status)) = ask(&format!("tcp:127.0.0.1:{port}"), "A key%\nnone\nc\n") else { return };
    assert_eq!((out.as_str(), err.as_str(), status), ("A key%\tva lue\nc\tx y\n", "", Some(0)));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["get A%20key%25\n", "get none\n", "get c\n"]);
}

#[test]
fn tcp_faults_are_errors_and_never_not_there() {
    for (say, warning) in [
        (&b"400 later\n"[..], None),
        (b"garbage\n", Some("malformed reply: garbage")),
        (b"200 a%zz\n", Some("malformed reply: 200 a%zz")),
        (b"600 what\n", Some("bad status code: 600 what")),
    ] {
        let (port, _seen) = inet(&[Say::Reply(say)]);
        let Some((out, err, status)) = ask(&format!("tcp:127.0.0.1:{port}"), "k\n") else { return };
        let warning = warning.map_or(String::new(), |text| {
            format!("postmap: warning: read TCP map reply from 127.0.0.1:{port}: {text}\n")
        });
        let fatal = format!("postmap: fatal: table tcp:127.0.0.1:{port}: query error: Operation now in progress\n");
        assert_eq!((out, err, status), (String::new(), warning + &fatal, Some(1)));
    }
}

#[test]
fn tcp_tries_ten_times() {
    let port = dead_port();
    let started = Instant::now();
    let Some((_, err, status)) = ask(&format!("tcp:127.0.0.1:{port}"), "k\n") else { return };
    let line = format!("postmap: warning: connect to TCP map 127.0.0.1:{port}: Connection refused\n");
    let fatal = format!("postmap: fatal: table tcp:127.0.0.1:{port}: query error: Connection refused\n");
    assert_eq!((err, status), (line.repeat(10) + &fatal, Some(1)));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn socketmap_asks_in_netstrings() {
    let replies = [&b"9:OK a b  c,"[..], b"9:NOTFOUND ,", b"4:OK z,"].map(Say::Reply);
    let (port, seen) = inet(&replies);
    let Some((out, err, status)) = ask(&format!("socketmap:inet:127.0.0.1:{port}:na"), "A k\nnone\nc\n") else {
        return;
    };
    assert_eq!((out.as_str(), err.as_str(), status), ("A k\ta b  c\nc\tz\n", "", Some(0)));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["6:na A k,", "7:na none,", "4:na c,"]);
}

#[test]
fn socketmap_by_a_unix_socket_that_hangs_up_in_between() {
    if std::env::var("UNDER_TEST").as_deref() == Ok("reference") {
        eprintln!("skipped: the reference's postmap is ended by SIGPIPE here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let (sender, _seen) = channel();
    std::thread::spawn(move || {
        serve(listener.incoming().flatten(), &[Say::Cut(b"4:OK x,"), Say::Reply(b"4:OK y,")], &sender);
    });
    let Some((out, err, status)) = ask(&format!("socketmap:unix:{}:n", path.display()), "a\nb\n") else { return };
    assert_eq!((out.as_str(), err.as_str(), status), ("a\tx\nb\ty\n", "", Some(0)));
}

#[test]
fn socketmap_faults_are_errors_and_never_not_there() {
    for (say, warning, errno) in [
        (Say::Reply(b"8:TEMP why,"), "SPEC socketmap server temporary error: why", true),
        (Say::Reply(b"11:TIMEOUT why,"), "SPEC socketmap server timeout error: why", true),
        (Say::Reply(b"8:PERM why,"), "SPEC socketmap server permanent error: why", false),
        (Say::Reply(b"5:PERM ,"), "SPEC socketmap server permanent error", false),
        (Say::Reply(b"5:FOO x,"), "SPEC socketmap server unknown error: x", true),
        (Say::Reply(b"4:OK x;"), "table SPEC lookup error: input format error", true),
        (Say::Reply(b"x:OK x,"), "table SPEC lookup error: input format error", true),
        (Say::Reply(b"100001:OK x,"), "table SPEC lookup error: input exceeds size limit", true),
        (Say::Flood, "table SPEC lookup error: input exceeds size limit", true),
        (Say::Cut(b"4:OK"), "table SPEC lookup error: unexpected disconnect", true),
        (Say::Cut(b""), "table SPEC lookup error: unexpected disconnect", true),
    ] {
        let (port, _seen) = inet(&[say]);
        let spec = format!("socketmap:inet:127.0.0.1:{port}:n");
        let Some((out, err, status)) = ask(&spec, "k\n") else { return };
        let errno = if errno { ": Operation now in progress" } else { "" };
        let warning = warning.replace("SPEC", &spec);
        let expected = format!("postmap: warning: {warning}\npostmap: fatal: table {spec}: query error{errno}\n");
        assert_eq!((out, err, status), (String::new(), expected, Some(1)));
    }
}

/// What a configuration file with these lines answers.
fn memcache(lines: &str, keys: &str) -> Option<(String, String, Option<i32>)> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mc.cf");
    std::fs::write(&file, lines).unwrap();
    let (out, err, status) = ask(&format!("memcache:{}", file.display()), keys)?;
    Some((out, err.replace(file.to_str().unwrap(), "FILE"), status))
}

#[test]
fn memcache_tells_the_server_what_the_backup_knows() {
    let (port, seen) = inet(&[
        Say::Reply(b"VALUE p:a 0 3\r\nabc\r\nEND\r\n"),
        Say::Reply(b"END\r\n"),
        Say::Reply(b"STORED\r\n"),
        Say::Reply(b"END\r\n"),
    ]);
    let lines = format!("memcache = inet:127.0.0.1:{port}\nbackup = inline:{{b=v}}\nkey_format = p:%s\nttl = 5\n");
    let Some((out, err, status)) = memcache(&lines, "A\nb\nnone\n") else { return };
    assert_eq!((out.as_str(), err.as_str(), status), ("A\tabc\nb\tv\n", "", Some(0)));
    let asked = ["get p:a\r\n", "get p:b\r\n", "set p:b 0 5 1\r\nv\r\n", "get p:none\r\n"];
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), asked);
}

#[test]
fn memcache_never_sends_a_key_that_would_be_a_command() {
    let (port, seen) = inet(&[Say::Reply(b"END\r\n")]);
    let lines = format!("memcache = inet:127.0.0.1:{port}\n");
    let Some((out, _, status)) = memcache(&lines, "a b\na\tb\n") else { return };
    assert_eq!((out.as_str(), status, seen.try_iter().count()), ("", Some(1), 0));
}

#[test]
fn memcache_faults_are_errors_in_bounded_time() {
    let stale = "Operation now in progress";
    for (say, warning, errno) in [
        (Say::Reply(b"ERROR\r\n"), "FILE: unexpected memcache server reply: ERROR", stale),
        (Say::Reply(b"VALUE k 0 99999\r\n"), "FILE: unexpected memcache server reply: VALUE k 0 99999", stale),
        (Say::Cut(b"VALUE k 0 3\r\nab"), "FILE: EOF receiving memcache server reply", stale),
        (Say::Cut(b""), "database memcache:FILE: I/O error: Operation now in progress", stale),
        (Say::Flood, "database memcache:FILE: I/O error: Operation now in progress", stale),
        (Say::Nothing, "database memcache:FILE: I/O error: Connection timed out", "Connection timed out"),
    ] {
        let started = Instant::now();
        let (port, _seen) = inet(&[say]);
        let Some((out, err, status)) = memcache(&format!("memcache = inet:127.0.0.1:{port}\ntimeout = 1\n"), "k\n")
        else {
            return;
        };
        let expected =
            format!("postmap: warning: {warning}\npostmap: fatal: table memcache:FILE: query error: {errno}\n");
        assert_eq!((out, err, status), (String::new(), expected, Some(1)));
        assert!(started.elapsed() < Duration::from_secs(15));
    }
}

#[test]
fn configurations_that_cannot_be_are_told() {
    for (lines, fatal) in [
        ("memcache = foo:bar", "invalid transport name: foo in service: foo:bar"),
        ("memcache =", "need service transport:endpoint instead of \"\""),
        ("ttl = x", "FILE: bad numerical configuration: ttl = x"),
        ("max_try = 0", "FILE: invalid max_try parameter value 0 < 1"),
        ("key_format = %z", "db_common_parse: FILE: Invalid query template: %z"),
        ("backup = foo:bar", "unsupported dictionary type: foo"),
    ] {
        let Some((_, err, status)) = memcache(lines, "k\n") else { return };
        assert_eq!((err, status), (format!("postmap: fatal: {fatal}\n"), Some(1)), "{lines}");
    }
    for (spec, fatal) in [
        ("tcp:127.0.0.1", "127.0.0.1: garbage after numerical service"),
        ("socketmap:unix", "socketmap requires server:socketmap argument"),
        ("socketmap:unix:/x", "need service transport:endpoint instead of \"unix\""),
        ("socketmap:foo:a:b", "invalid transport name: foo in service: foo:a"),
    ] {
        let Some((_, err, status)) = ask(spec, "k\n") else { return };
        assert_eq!((err, status), (format!("postmap: fatal: {fatal}\n"), Some(1)), "{spec}");
    }
}
