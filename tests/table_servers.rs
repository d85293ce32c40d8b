//! Tables that ask a server: small servers of this test for tcp: and socketmap:, a real memcached. With
//! `UNDER_TEST=reference` the installed postmap is tried with the same stories.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let main = "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\nmyhostname = srv.example.org\n\
            inet_interfaces = loopback-only\n";
        std::fs::write(place.0.path().join("main.cf"), main).unwrap();
        // The reference waits while main.cf is new.
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().append(true).open(place.0.path().join("main.cf")).unwrap().set_modified(old).unwrap();
        place
    }

    /// Status and what was said.
    fn query(&self, table: &str, key: &str) -> (i32, String) {
        let mut command = if std::env::var("UNDER_TEST").is_ok_and(|who| who == "reference") {
            Command::new("/usr/sbin/postmap")
        } else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
            command.arg("postmap");
            command
        };
        let done = command.arg("-c").arg(self.0.path()).args(["-q", key, table]).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code().unwrap_or(-1), said)
    }
}

/// A server that hands each connection to `serve`, until the test ends.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(&serve));
    port
}

#[test]
fn a_line_to_a_server() {
    let port = server(|stream| {
        let mut writer = stream.try_clone().unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let answer = match line.as_str() {
                "get known" => "200 a%20value",
                "get per%25cent" => "200 100%25",
                "get later" => "400 come%20again",
                "get odd" => "what?",
                _ => "500 no",
            };
            if writer.write_all(format!("{answer}\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    let place = Place::new();
    let table = format!("tcp:127.0.0.1:{port}");
    assert_eq!(place.query(&table, "known"), (0, "a value\n".into()));
    assert_eq!(place.query(&table, "per%cent"), (0, "100%\n".into()));
    assert_eq!(place.query(&table, "unknown"), (1, String::new()));
    // Not "not there": an error, which defers mail.
    for key in ["later", "odd"] {
        let (status, said) = place.query(&table, key);
        assert!(status == 1 && said.contains("fatal: table tcp:"), "{key}: {said}");
    }
}

/// A netstring: "3:abc,".
fn netstring(stream: &mut impl Read) -> Option<String> {
    let mut length = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        if byte[0] == b':' {
            break;
        }
        length.push(byte[0] as char);
    }
    let mut text = vec![0; length.parse::<usize>().ok()? + 1];
    stream.read_exact(&mut text).ok()?;
    text.pop();
    String::from_utf8(text).ok()
}

#[test]
fn maps_behind_a_socket() {
    let port = server(|mut stream| {
        while let Some(request) = netstring(&mut stream) {
            let answer = match request.as_str() {
                "people toto" => "OK toto@example.org",
                "people busy" => "TEMP the database is away",
                "people wrong" => "PERM no such map",
                _ => "NOTFOUND ",
            };
            let _ = stream.write_all(format!("{}:{answer},", answer.len()).as_bytes());
        }
    });
    let place = Place::new();
    let table = format!("socketmap:inet:127.0.0.1:{port}:people");
    assert_eq!(place.query(&table, "toto"), (0, "toto@example.org\n".into()));
    assert_eq!(place.query(&table, "nobody"), (1, String::new()));
    for (key, words) in [("busy", "the database is away"), ("wrong", "no such map")] {
        let (status, said) = place.query(&table, key);
        assert!(status == 1 && said.contains("fatal: table socketmap:") && said.contains(words), "{key}: {said}");
    }
}

/// Ours alone: how long the reference listens to such a server is its own affair.
#[test]
fn a_hostile_server_costs_bounded_time_and_memory() {
    if std::env::var("UNDER_TEST").is_ok_and(|who| who == "reference") {
        return;
    }
    let endless = server(|mut stream| while stream.write_all(&[b'9'; 65536]).is_ok() {});
    let begin = Instant::now();
    let place = Place::new();
    let (status, said) = place.query(&format!("socketmap:inet:127.0.0.1:{endless}:x"), "k");
    assert!(status == 1 && said.contains("fatal: "), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(60));
}

struct Memcached(Child);

impl Drop for Memcached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_memcached() {
    if !Path::new("/usr/bin/memcached").exists() {
        eprintln!("skipped: a_real_memcached: memcached is not installed");
        return;
    }
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("/usr/bin/memcached");
    command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0", "-u", "nobody"]);
    let _server = Memcached(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(15);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("memcached does not start: {error}"),
        }
    };
    stream.write_all(b"set pre:toto 0 0 16\r\ntoto@example.org\r\n").unwrap();
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"STORED\r\n");
    let file = place.0.path().join("mc.cf");
    let text = format!("memcache = inet:127.0.0.1:{port}\nkey_format = pre:%s\nbackup = static:from_the_backup\n");
    std::fs::write(&file, text).unwrap();
    let table = format!("memcache:{}", file.display());
    assert_eq!(place.query(&table, "toto"), (0, "toto@example.org\n".into()));
    // What memcached does not have is asked of the backup, and kept.
    assert_eq!(place.query(&table, "titi"), (0, "from_the_backup\n".into()));
    stream.write_all(b"get pre:titi\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert!(line.starts_with("VALUE pre:titi "), "{line}");
}
