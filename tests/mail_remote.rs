//! mail(1) on mailboxes of servers: our own pop3d, and a real Dovecot for IMAP and TLS where one is installed and the tests
//! run as root. Everything stays on loopback.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use nix::pty::openpty;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_pillarbox");
const DOVECOT: &str = "/usr/sbin/dovecot";

/// A server with one mailbox of two messages; it ends with the value.
struct Server {
    dir: tempfile::TempDir,
    /// POP3, IMAP, IMAP over TLS, POP3 over TLS.
    ports: [u16; 4],
    child: Child,
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("opened");
}

fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|data| data.uid() == 0)
}

/// Signed by itself, for localhost.
fn certificate(key: &Path, file: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(file)
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate");
}

fn message(subject: &str) -> String {
    format!(
        "From a@ex.org Tue Nov 24 10:05:15 2026\nFrom: A <a@ex.org>\nTo: toto@ex.org\nSubject: {subject}\n\
         Date: Tue, 24 Nov 2026 10:05:15 +0000\n\n.dot {subject}\n>From me\n\n"
    )
}

impl Server {
    fn start(program: &str, args: &[&str], conf: impl Fn(&Path, [u16; 4]) -> String) -> Server {
        let dir = tempfile::tempdir().expect("a directory");
        open_to_all(dir.path());
        let home = dir.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        open_to_all(&home);
        let mailbox = home.join("box-toto");
        std::fs::write(&mailbox, message("one") + &message("two")).expect("delivered");
        open_to_all(&mailbox);
        if is_root() {
            chown(&mailbox, Some(65534), Some(65534)).expect("given away");
        }
        std::fs::write(dir.path().join("log"), "").expect("written");
        open_to_all(&dir.path().join("log"));
        let ids = if is_root() { "65534:65534" } else { ":" };
        std::fs::write(dir.path().join("users"), format!("toto:{{PLAIN}}secret word:{ids}::{}\n", home.display()))
            .expect("written");
        let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = listeners.each_ref().map(|one| one.local_addr().expect("its number").port());
        drop(listeners);
        let file = dir.path().join("dovecot.conf");
        std::fs::write(&file, conf(dir.path(), ports)).expect("written");
        let child =
            Command::new(program).args(args).arg(&file).stdin(Stdio::null()).spawn().expect("the server starts");
        let server = Server { dir, ports, child };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", ports[0])).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "not in time; the log: {}", server.log());
            std::thread::sleep(Duration::from_millis(30));
        }
        server
    }

    fn ours() -> Server {
        Server::start(BIN, &["pop3d", "-F", "-c"], |dir, ports| {
            format!(
                "protocols = pop3\nlisten = 127.0.0.1\nservice pop3-login {{\n  inet_listener pop3 {{\n    port = {}\n  }}\n}}\n\
                 mail_location = mbox:%h:INBOX=%h/box-%u\nlog_path = {dir}/log\nauth_failure_delay = 1 secs\n\
                 passdb {{\n  driver = passwd-file\n  args = {dir}/users\n}}\n\
                 userdb {{\n  driver = passwd-file\n  args = {dir}/users\n}}\nfirst_valid_uid = 1\n",
                ports[0],
                dir = dir.display()
            )
        })
    }

    /// None where there is no Dovecot, or no right to start one.
    fn dovecot() -> Option<Server> {
        if !is_root() || !Path::new(DOVECOT).exists() || !Path::new("/usr/lib/dovecot/imap").exists() {
            eprintln!("skipped: needs root and Dovecot");
            return None;
        }
        Some(Server::start(DOVECOT, &["-F", "-c"], |dir, ports| {
            certificate(&dir.join("key"), &dir.join("cert"));
            // That of a stranger who says the same of himself.
            certificate(&dir.join("foreign-key"), &dir.join("foreign"));
            let listener = |name: &str, port: u16| format!("  inet_listener {name} {{\n    port = {port}\n  }}\n");
            format!(
                "protocols = imap pop3\nlisten = 127.0.0.1\nbase_dir = {dir}/run\nstate_dir = {dir}/state\nlog_path = {dir}/log\n\
                 service pop3-login {{\n{}{}}}\nservice imap-login {{\n{}{}}}\n\
                 mail_location = mbox:%h/mail:INBOX=%h/box-%u\nssl = yes\nssl_cert = <{dir}/cert\nssl_key = <{dir}/key\n\
                 disable_plaintext_auth = no\nauth_failure_delay = 1 secs\nfirst_valid_uid = 1\n\
                 passdb {{\n  driver = passwd-file\n  args = {dir}/users\n}}\n\
                 userdb {{\n  driver = passwd-file\n  args = {dir}/users\n}}\n",
                listener("pop3", ports[0]),
                listener("pop3s", ports[3]),
                listener("imap", ports[1]),
                listener("imaps", ports[2]),
                dir = dir.display()
            )
        }))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn mailbox(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("home/box-toto")).expect("a mailbox")
    }

    /// What mail says, with these commands; `netrc` is the password file.
    fn mail(&self, args: &[&str], netrc: &str, commands: &str) -> String {
        self.mail_trusting("cert", args, netrc, commands)
    }

    /// With another file of authorities.
    fn mail_trusting(&self, authorities: &str, args: &[&str], netrc: &str, commands: &str) -> String {
        let mut command = self.reader(args, netrc);
        command.env("SSL_CERT_FILE", self.dir.path().join(authorities));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mail starts");
        let _ = child.stdin.take().expect("a pipe").write_all(commands.as_bytes());
        let output = child.wait_with_output().expect("mail ends");
        self.no_mail_is_left();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// What a person at a terminal sees who types these lines, each when the text before it stands there.
    fn at_terminal(&self, args: &[&str], lines: &[(&str, &str)]) -> String {
        let pty = openpty(None, None).expect("a terminal");
        let mut command = self.reader(args, "");
        let side = || Stdio::from(pty.slave.try_clone().expect("its other side"));
        let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("mail starts");
        drop((command, pty.slave));
        let mut terminal = std::fs::File::from(pty.master);
        let (mut seen, mut buffer, mut lines) = (String::new(), [0; 4096], lines.iter().peekable());
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            if let Some((_, line)) = lines.next_if(|(prompt, _)| seen.ends_with(prompt)) {
                terminal.write_all(line.as_bytes()).expect("typed");
            }
        }
        child.wait().expect("mail ends");
        self.no_mail_is_left();
        seen.replace("\r\n", "\n")
    }

    /// mail in a home of its own; `netrc` is the password file.
    fn reader(&self, args: &[&str], netrc: &str) -> Command {
        let home = self.home_of_reader();
        let _ = std::fs::create_dir(&home);
        let file: PathBuf = home.join(".netrc");
        std::fs::write(&file, netrc).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("closed");
        let mut command = Command::new(BIN);
        command
            .arg0("mail")
            .args(["-n"])
            .args(args)
            .env_clear()
            .env("HOME", &home)
            .env("TZ", "UTC")
            .env("PATH", "/usr/bin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("TERM", "dumb").env("SSL_CERT_FILE", self.dir.path().join("cert"));
        command
    }

    fn home_of_reader(&self) -> PathBuf {
        self.dir.path().join("reader")
    }

    fn no_mail_is_left(&self) {
        let cache = self.home_of_reader().join(".cache/pillarbox");
        assert!(std::fs::read_dir(cache).map_or(0, Iterator::count) == 0, "no fetched mail is left");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Its password, for [`with_simple_password`].
const TICKET: &str = "default login toto password secretword\n";
const NETRC: &str = "machine localhost login toto password \"x\"\n";

/// The way of a reader through a mailbox on a server.
fn reading_and_deleting(server: &Server, url: &str) {
    let netrc = "machine localhost login toto password secretword\nmachine 127.0.0.1 login toto password secretword\n";
    let before = server.mailbox();
    let listed = server.mail(&["-H", "-f", url], netrc, "");
    assert!(listed.contains("   1 A                  Tue Nov 24 10:05") && listed.contains("  two\n"), "{listed}");
    let read = server.mail(&["-N", "-f", url], netrc, "t 1\nx\n");
    assert!(read.contains("Subject: one\n") && read.contains("\n.dot one\n"), "{read}");
    let held = server.mail(&["-N", "-f", url], netrc, "t 1\nq\n");
    assert!(held.ends_with(&format!("Held 2 messages in {url}\n")), "{held}");
    let plain = |text: &str| text.lines().filter(|line| !line.starts_with("X-") && !line.starts_with("Status")).count();
    assert_eq!(plain(&server.mailbox()), plain(&before), "reading takes nothing away");
    let done = server.mail(&["-N", "-f", url], netrc, "d 1\nq\n");
    assert!(done.ends_with(&format!("Held 1 message in {url}\n")), "{done}");
    let left = server.mailbox();
    assert!(!left.contains("Subject: one") && left.contains("Subject: two"), "{left}");
}

fn with_simple_password(server: &Server) {
    let file = server.dir.path().join("users");
    let users = std::fs::read_to_string(&file).expect("users").replace("secret word", "secretword");
    std::fs::write(file, users).expect("written");
}

#[test]
fn our_own_pop3_server_is_read() {
    let server = Server::ours();
    with_simple_password(&server);
    let url = format!("pop://127.0.0.1:{}", server.ports[0]);
    let refused = server.mail(&["-H", "-f", &url], "machine 127.0.0.1 login toto password wrong\n", "");
    assert!(refused.contains("the server says: [AUTH] Authentication failed."), "{refused}");
    assert!(!refused.contains("wrong"), "{refused}");
    let unknown = server.mail(&["-H", "-f", &url], NETRC, "");
    assert!(unknown.contains("no password for "), "{unknown}");
    let named = server.mail(&["-H", "-f", &url.replace("//", "//toto:geheim@")], NETRC, "");
    assert!(named.contains("no password in a name") && !named.contains("geheim"), "{named}");
    reading_and_deleting(&server, &url);
}

#[test]
fn a_real_dovecot_is_read_by_pop3_with_tls() {
    let Some(server) = Server::dovecot() else { return };
    with_simple_password(&server);
    // STLS.
    let listed = server.mail(&["-H", "-f", &format!("pop://toto@localhost:{}", server.ports[0])], TICKET, "");
    assert!(listed.contains("   2 A                  Tue Nov 24 10:05"), "{listed} {}", server.log());
    // From the first byte on.
    reading_and_deleting(&server, &format!("pops://toto@localhost:{}", server.ports[3]));
}

#[test]
fn a_real_dovecot_is_read_by_imap_with_tls() {
    let Some(server) = Server::dovecot() else { return };
    with_simple_password(&server);
    // STARTTLS.
    let url = format!("imap://toto@localhost:{}", server.ports[1]);
    let listed = server.mail(&["-H", "-f", &url], TICKET, "");
    assert!(listed.contains("   2 A                  Tue Nov 24 10:05"), "{listed} {}", server.log());
    // From the first byte on.
    reading_and_deleting(&server, &format!("imaps://toto@localhost:{}", server.ports[2]));
}

#[test]
fn a_certificate_that_proves_nothing_ends_it_before_the_password() {
    let Some(server) = Server::dovecot() else { return };
    with_simple_password(&server);
    // Nobody is trusted, or somebody else of this name.
    for (scheme, port, trusted) in
        [("imaps", 2, "foreign"), ("pops", 3, "/dev/null"), ("imap", 1, "/dev/null"), ("pop", 0, "foreign")]
    {
        let url = |host: &str| format!("{scheme}://toto@{host}:{}", server.ports[port]);
        let name = url("localhost");
        let foreign = server.mail_trusting(trusted, &["-H", "-f", &name], TICKET, "");
        let expected = format!(
            "mail: Cannot open mailbox {name}: the certificate of localhost is signed by nobody whom this machine trusts; \
             if you do, name its authority's file in SSL_CERT_FILE\n"
        );
        assert!(foreign.contains(&expected), "{foreign}");
        // The right certificate on the wrong machine.
        let elsewhere = server.mail(&["-H", "-f", &url("127.0.0.1")], TICKET, "");
        let expected = "the certificate of 127.0.0.1 is not to be trusted: ";
        assert!(elsewhere.contains(expected), "{elsewhere}");
    }
    assert!(!server.log().contains("Login:") && !server.log().contains("auth failed"), "{}", server.log());
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let server = Server::ours();
    with_simple_password(&server);
    let url = format!("pop://toto@127.0.0.1:{}", server.ports[0]);
    let prompt = "Password for toto@127.0.0.1: ";
    let seen = server.at_terminal(&["-N", "-f", &url], &[(prompt, "secretword\n"), ("? ", "f 1\n"), ("? ", "x\n")]);
    assert!(seen.starts_with(&format!("{prompt}\n? ")) && seen.contains("   1 A  "), "{seen}");
    assert!(!seen.contains("secretword"), "{seen}");
    let refused = server.at_terminal(&["-N", "-f", &url], &[(prompt, "geheim\n")]);
    assert!(refused.contains("Authentication failed.") && !refused.contains("geheim"), "{refused}");
}
