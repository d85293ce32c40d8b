//! POP3 as clients see it, with a server of our own on a free port: without root, passwords from a passwd-file, one
//! mailbox of the caller's. The expected replies are those of Dovecot 2.3.19, as recorded.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "talk/wire.rs"]
mod wire;

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_pillarbox");

/// A running server with its own configuration, passwords and mailbox; it ends with the value.
struct Server {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Server {
    fn start(more: &str) -> Server {
        let dir = tempfile::tempdir().expect("a directory");
        // Under root the sessions become other users, which are not here: they get the ids of nobody.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("opened");
        let home = dir.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).expect("opened");
        let root = Path::new("/proc/self").metadata().is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0);
        let ids = if root { "65534:65534" } else { ":" };
        let users =
            format!("toto:{{PLAIN}}secret word:{ids}::{}\nleer:{{PLAIN}}x:{ids}::{}\n", home.display(), home.display());
        std::fs::write(dir.path().join("users"), users).expect("written");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
        let conf = format!(
            "protocols = pop3\nlisten = 127.0.0.1\nservice pop3-login {{\n  inet_listener pop3 {{\n    port = {port}\n  }}\n}}\n\
             mail_location = mbox:%h:INBOX=%h/box-%u\nlog_path = {dir}/log\nauth_failure_delay = 1 secs\n\
             passdb {{\n  driver = passwd-file\n  args = {dir}/users\n}}\n\
             userdb {{\n  driver = passwd-file\n  args = {dir}/users\n}}\nfirst_valid_uid = 1\n{more}",
            dir = dir.path().display()
        );
        let file = dir.path().join("dovecot.conf");
        std::fs::write(&file, conf).expect("written");
        std::fs::write(dir.path().join("log"), "").expect("written");
        std::fs::set_permissions(dir.path().join("log"), std::fs::Permissions::from_mode(0o666)).expect("opened");
        let child = Command::new(BIN)
            .args(["pop3d", "-F", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Server { dir, port, child };
        server.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn wait_until(&self, mut ready: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !ready() {
            assert!(begin.elapsed() < Duration::from_secs(20), "not in time; the log: {}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn mailbox(&self) -> PathBuf {
        self.dir.path().join("home/box-toto")
    }

    fn deliver(&self, text: &str) {
        std::fs::write(self.mailbox(), text).expect("delivered");
        std::fs::set_permissions(self.mailbox(), std::fs::Permissions::from_mode(0o666)).expect("opened");
        if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc")) == 0 {
            std::os::unix::fs::chown(self.mailbox(), Some(65534), Some(65534)).expect("given away");
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        let mut client = Client { lines: wire::wire(stream) };
        assert_eq!(client.line(), "+OK Dovecot (Debian) ready.");
        client
    }

    fn login(&self) -> Client {
        let mut client = self.connect();
        assert_eq!(client.ask("USER toto"), "+OK");
        assert_eq!(client.ask("PASS secret word"), "+OK Logged in.");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

struct Client {
    lines: wire::Wire,
}

impl Client {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.strip_suffix("\r\n").unwrap_or("<EOF>").to_owned()
    }

    fn send(&mut self, text: &str) {
        self.lines.get_mut().write_all(text.as_bytes()).expect("sent");
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n"));
        self.line()
    }

    /// The lines up to the dot.
    fn list(&mut self, command: &str) -> Vec<String> {
        let mut lines = vec![self.ask(command)];
        while lines.last().is_some_and(|line| line != "." && line != "<EOF>") {
            lines.push(self.line());
        }
        lines
    }

    fn rest(mut self) -> String {
        let mut text = String::new();
        self.lines.read_to_string(&mut text).expect("the rest");
        text
    }
}

fn message(name: &str) -> String {
    format!("From a@b.example  Tue Nov 24 10:22:48 2026\nSubject: {name}\nStatus: O\n\n{name}\n.dot\n\n")
}

#[test]
fn a_session_from_greeting_to_goodbye() {
    let server = Server::start("");
    server.deliver(&(message("un") + &message("deux") + &message("trois")));
    let mut client = server.connect();
    assert_eq!(
        client.list("CAPA"),
        ["+OK", "CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE", "USER", "SASL PLAIN", "."]
    );
    assert_eq!(client.ask("PASS x"), "-ERR No username given.");
    assert_eq!(client.ask("user toto"), "+OK");
    assert_eq!(client.ask("pass secret word"), "+OK Logged in.");
    assert_eq!(client.ask("STAT"), "+OK 3 85");
    assert_eq!(client.list("LIST"), ["+OK 3 messages:", "1 25", "2 29", "3 31", "."].map(str::to_owned));
    let uids = client.list("UIDL");
    assert_eq!(uids.len(), 5);
    assert!(uids[1].starts_with("1 00000001") && uids[3].starts_with("3 00000003"), "{uids:?}");
    assert_eq!(client.list("RETR 1"), ["+OK 25 octets", "Subject: un", "", "un", "..dot", "."]);
    assert_eq!(client.list("TOP 2 1"), ["+OK", "Subject: deux", "", "deux", "."]);
    for (command, reply) in [
        ("LIST 99", "-ERR There's no message 99."),
        ("RETR", "-ERR Invalid message number: "),
        ("TOP 1", "-ERR Noise after message number: "),
        ("TOP 1 -1", "-ERR Invalid size: -1"),
        ("XTND", "-ERR Unknown command: XTND"),
        ("DELE 1", "+OK Marked to be deleted."),
        ("DELE 1", "-ERR Message is deleted."),
        ("STAT", "+OK 2 60"),
        ("RSET", "+OK"),
        ("NOOP x", "+OK"),
        ("DELE 1", "+OK Marked to be deleted."),
        ("QUIT", "+OK Logging out, messages deleted."),
    ] {
        assert_eq!(client.ask(command), reply, "{command}");
    }
    let left = std::fs::read_to_string(server.mailbox()).expect("the mailbox");
    assert!(!left.contains("Subject: un\n") && left.contains("Subject: deux\n"), "{left}");
    let mut again = server.login();
    assert_eq!(again.list("UIDL")[1..], [uids[2].replacen('2', "1", 1), uids[3].replacen('3', "2", 1), ".".into()]);
    server.wait_until(|| server.log().contains("Disconnected: Logged out top=1/"));
    let log = server.log();
    assert!(
        log.contains("pop3-login: Info: Login: user=<toto>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid="),
        "{log}"
    );
    assert!(log.contains(", retr=1/") && log.contains(", del=1/3, size=85\n"), "{log}");
}

#[test]
fn all_in_one_packet() {
    let server = Server::start("");
    server.deliver(&message("un"));
    let mut client = server.connect();
    client.send("USER toto\r\nPASS secret word\r\nSTAT\nNOOP\r\nQUIT\r\n");
    assert_eq!(client.rest(), "+OK\r\n+OK Logged in.\r\n+OK 1 25\r\n+OK\r\n+OK Logging out.\r\n");
}

#[test]
fn reading_and_a_lost_connection_change_nothing() {
    let server = Server::start("");
    let before = message("un") + &message("deux");
    server.deliver(&before);
    let mut client = server.login();
    assert_eq!(client.list("RETR 2")[1], "Subject: deux");
    assert_eq!(client.ask("DELE 1"), "+OK Marked to be deleted.");
    drop(client);
    server.wait_until(|| server.log().contains("Disconnected: Connection closed top=0/0, retr=1/"));
    assert_eq!(std::fs::read_to_string(server.mailbox()).expect("the mailbox"), before);
}

#[test]
fn wrong_passwords_are_refused_late() {
    let server = Server::start("");
    let mut client = server.connect();
    for user in ["toto", "nobody-here", ""] {
        assert_eq!(client.ask(&format!("USER {user}")), "+OK");
        let begin = Instant::now();
        assert_eq!(client.ask("PASS wrong"), "-ERR [AUTH] Authentication failed.");
        assert!(begin.elapsed() >= Duration::from_millis(900), "{user}");
        if user == "nobody-here" {
            break;
        }
    }
    assert_eq!(client.ask("QUIT"), "+OK Logging out");
    server.wait_until(|| server.log().contains("Aborted login by logging out (auth failed, 2 attempts in "));
}

#[test]
fn the_plain_mechanism() {
    let server = Server::start("");
    let mut client = server.connect();
    assert_eq!(client.list("AUTH"), ["+OK", "PLAIN", "."]);
    assert_eq!(client.ask("AUTH CRAM-MD5"), "-ERR [AUTH] Unsupported authentication mechanism.");
    assert_eq!(client.ask("APOP toto c4"), "-ERR APOP not enabled.");
    assert_eq!(client.ask("AUTH PLAIN"), "+ ");
    assert_eq!(client.ask("*"), "-ERR Authentication aborted by client.");
    assert_eq!(client.ask("AUTH PLAIN AHRvdG8Ac2VjcmV0IHdvcmQ="), "+OK Logged in.");
    assert_eq!(client.ask("STAT"), "+OK 0 0");
}

#[test]
fn strangers_who_talk_nonsense_are_sent_away() {
    let server = Server::start("");
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\nHost: x\r\nAccept: y\r\n");
    let said = client.rest();
    assert_eq!(said, "-ERR Unknown command.\r\n".repeat(3) + "-ERR Too many invalid bad commands.\r\n");
    let mut client = server.connect();
    client.send(&"x".repeat(20_000));
    assert_eq!(client.line(), "-ERR Input buffer full, aborting");
    // And others are still served.
    assert_eq!(server.login().ask("NOOP"), "+OK");
}

#[test]
fn two_sessions_and_mail_that_arrives() {
    let server = Server::start("");
    server.deliver(&(message("un") + &message("deux") + &message("trois")));
    let (mut a, mut b) = (server.login(), server.login());
    assert_eq!(b.ask("DELE 2"), "+OK Marked to be deleted.");
    assert_eq!(b.ask("QUIT"), "+OK Logging out, messages deleted.");
    assert_eq!(a.ask("RETR 2"), "-ERR Message 2 expunged.");
    let mut file = std::fs::File::options().append(true).open(server.mailbox()).expect("the mailbox");
    file.write_all(message("quatre").as_bytes()).expect("delivered");
    assert_eq!(a.ask("STAT"), "+OK 3 85");
    assert_eq!(a.ask("DELE 1"), "+OK Marked to be deleted.");
    assert_eq!(a.ask("QUIT"), "+OK Logging out, messages deleted.");
    let left = std::fs::read_to_string(server.mailbox()).expect("the mailbox");
    assert_eq!(left.matches("Subject: ").count(), 2);
    assert!(left.contains("Subject: trois") && left.contains("Subject: quatre"), "{left}");
}

#[test]
fn a_maildir() {
    let server = Server::start("mail_location = maildir:%h/Maildir\n");
    let maildir = server.dir.path().join("home/Maildir");
    for part in ["", "new", "cur", "tmp"] {
        std::fs::create_dir(maildir.join(part)).expect("made");
        std::fs::set_permissions(maildir.join(part), std::fs::Permissions::from_mode(0o777)).expect("opened");
    }
    std::fs::write(maildir.join("new/100.M1.host"), "Subject: un\n\nun\n").expect("delivered");
    std::fs::write(maildir.join("new/200.M1.host"), "Subject: deux\n\n.deux\n").expect("delivered");
    let mut client = server.login();
    assert_eq!(client.list("LIST"), ["+OK 2 messages:", "1 19", "2 24", "."].map(str::to_owned));
    let uids = client.list("UIDL");
    assert_eq!(client.list("RETR 2"), ["+OK 24 octets", "Subject: deux", "", "..deux", "."].map(str::to_owned));
    assert_eq!(client.ask("DELE 1"), "+OK Marked to be deleted.");
    assert_eq!(client.ask("QUIT"), "+OK Logging out, messages deleted.");
    assert!(!maildir.join("new/100.M1.host").exists() && maildir.join("new/200.M1.host").exists());
    assert_eq!(server.login().list("UIDL")[1], uids[2].replacen('2', "1", 1));
}

#[test]
fn too_many_sessions_of_one_user() {
    let server = Server::start("mail_max_userip_connections = 1\n");
    let _first = server.login();
    let mut second = server.connect();
    assert_eq!(second.ask("USER toto"), "+OK");
    assert_eq!(
        second.ask("PASS secret word"),
        "-ERR [IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=1)"
    );
}

#[test]
fn the_configuration_is_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("dovecot.conf");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("written");
        Command::new(BIN).args(["pop3d", "--check-config", "-c"]).arg(&file).output().expect("runs")
    };
    let good = check("listen = 127.0.0.1\nstats_x = 1\n");
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success());
    assert!(
        said.contains("stats_x: not honoured by this server\n") && said.contains("listens on 127.0.0.1:110\n"),
        "{said}"
    );
    for (text, what) in
        [("x\n", "line 1: expecting '='"), ("mail_location = sdbox:~/x\n", "neither mbox: nor maildir:")]
    {
        let bad = check(text);
        assert_eq!(bad.status.code(), Some(78));
        assert!(String::from_utf8_lossy(&bad.stderr).contains(what), "{bad:?}");
    }
}

#[test]
fn encrypted_sessions() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smtp/keys");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    let file = keys.join("server.pem").display().to_string();
    let more = format!(
        "ssl = yes\nssl_cert = <{file}\nssl_key = <{file}\n\
         service pop3-login {{\n  inet_listener pop3s {{\n    port = {port}\n  }}\n}}\n"
    );
    let server = Server::start(&more);
    server.deliver(&message("un"));
    let mut client = server.connect();
    let offered = client.list("CAPA");
    assert!(offered.contains(&"STLS".to_owned()), "{offered:?}");
    // What comes behind STLS in the clear is not heard (CVE-2011-0411).
    client.send("STLS\r\nUSER toto\r\nPASS injected\r\n");
    assert_eq!(client.line(), "+OK Begin TLS negotiation now.");
    assert!(client.lines.get_mut().encrypt("", &keys).starts_with("TLSv1_3"));
    assert_eq!(client.ask("PASS x"), "-ERR No username given.");
    assert_eq!(client.ask("STLS"), "-ERR TLS is already active.");
    assert_eq!(client.ask("USER toto"), "+OK");
    assert_eq!(client.ask("PASS wrong"), "-ERR [AUTH] Authentication failed.");
    client.send("USER toto\r\nPASS secret word\r\nSTAT\r\n");
    assert_eq!([client.line(), client.line(), client.line()], ["+OK", "+OK Logged in.", "+OK 1 25"]);
    assert_eq!(client.list("RETR 1"), ["+OK 25 octets", "Subject: un", "", "un", "..dot", "."]);
    assert_eq!(client.ask("DELE 1"), "+OK Marked to be deleted.");
    assert_eq!(client.ask("QUIT"), "+OK Logging out, messages deleted.");
    server.wait_until(|| std::fs::metadata(server.mailbox()).is_ok_and(|data| data.len() == 0));
    server.wait_until(|| server.log().contains(", TLS, session=<"));
    // The port of its own.
    let mut client = Client { lines: wire::wire(TcpStream::connect(("127.0.0.1", port)).expect("connected")) };
    client.lines.get_mut().encrypt("1.2", &keys);
    assert_eq!(client.line(), "+OK Dovecot (Debian) ready.");
    assert_eq!(client.ask("USER toto"), "+OK");
    assert_eq!(client.ask("PASS secret word"), "+OK Logged in.");
    // A client that goes away takes nothing with it.
    client.lines.get_mut().close();
    server.wait_until(|| server.log().matches("Disconnected").count() >= 2);
    // A stranger who cannot shake hands is sent away.
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stranger.write_all(b"CAPA\r\n").expect("sent");
    let mut said = Vec::new();
    let _ = stranger.read_to_end(&mut said);
    assert!(!said.starts_with(b"+OK"));
    server.wait_until(|| server.log().contains("SSL_accept() failed"));
}
