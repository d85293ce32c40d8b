//! Database servers for tests: a place that an ordinary user owns, programs started in it, and postmap that asks.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const NOBODY: u32 = 65534;

pub fn reference() -> bool {
    std::env::var("UNDER_TEST").is_ok_and(|who| who == "reference")
}

/// A directory that the servers' user owns, and a main.cf.
pub struct Place(pub tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        let place = Place(tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap());
        let main = "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\nmyhostname = srv.example.org\n\
            inet_interfaces = loopback-only\n";
        place.file("main.cf", main);
        // The reference waits while main.cf is new.
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::options().append(true).open(place.path("main.cf")).unwrap().set_modified(old).unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(place.0.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A program that an ordinary user runs here.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).env("HOME", self.0.path()).env("LC_ALL", "C");
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) {
        let done = self.command(program).args(arguments).stderr(Stdio::piped()).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Status and what was said.
    pub fn query(&self, table: &str, key: &str) -> (i32, String) {
        let mut command = if reference() {
            Command::new("/usr/sbin/postmap")
        } else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
            command.arg("postmap");
            command
        };
        let directory = if reference() { Path::new("/etc/postfix") } else { self.0.path() };
        let done = command.arg("-c").arg(directory).args(["-q", key, table]).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code().unwrap_or(-1), said)
    }

    /// Asks a table of these parameters.
    pub fn ask(&self, kind: &str, parameters: &str, key: &str) -> (i32, String) {
        let file = self.file("table.cf", parameters);
        self.query(&format!("{kind}:{}", file.display()), key)
    }
}

pub fn found(value: &str) -> (i32, String) {
    (0, format!("{value}\n"))
}

pub const NOT_THERE: (i32, String) = (1, String::new());

/// Never "not there", which would return mail.
#[track_caller]
pub fn is_an_error((status, said): (i32, String)) {
    // The reference says it to its log only where there is no terminal.
    assert!(status == 1 && (reference() || said.contains("fatal: ")), "{status} {said}");
}

pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap()),
            nix::sys::signal::Signal::SIGINT,
        );
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a server and waits until it listens.
pub fn start(mut command: Command, port: u16) -> Server {
    let mut server = Server(command.spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.0.try_wait().unwrap().is_none(), "the server does not start: {command:?}");
        assert!(Instant::now() < end, "the server does not listen: {command:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// Hands SQL to a client program until the server takes it.
pub fn feed(mut command: impl FnMut() -> Command, sql: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let mut child = command().stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        if done.status.success() {
            return;
        }
        assert!(Instant::now() < end, "{}", String::from_utf8_lossy(&done.stderr));
        std::thread::sleep(Duration::from_millis(200));
    }
}
