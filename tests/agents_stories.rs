//! Delivery agents and notices as a user meets them: a mail system of one's own in a temporary directory, without
//! root (under root the stories run as nobody), mail in by sendmail, mail out in mailboxes.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_pillarbox");
const NOBODY: u32 = 65534;

/// A running mail system; it ends with the value.
struct Site {
    dir: tempfile::TempDir,
    root: bool,
}

impl Site {
    fn start(main_cf: &str) -> Site {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("opened");
        let uid = Path::new("/proc/self").metadata().expect("ourselves").uid();
        let root = uid == 0;
        let me = if root {
            "nobody".to_owned()
        } else {
            let name = Command::new("id").arg("-un").output().expect("id runs").stdout;
            String::from_utf8_lossy(&name).trim().to_owned()
        };
        let ids = if root { NOBODY } else { uid };
        let base = dir.path().display().to_string();
        let site = Site { dir, root };
        std::fs::copy(BIN, site.path("pillarbox")).expect("a copy of the program");
        for name in ["etc", "spool", "data", "mail", "vmail", "home"] {
            std::fs::create_dir(site.path(name)).expect("a directory");
        }
        let text = format!(
            "compatibility_level = 3.6\nmail_owner = {me}\nqueue_directory = {base}/spool\n\
             data_directory = {base}/data\ncommand_directory = {base}\nmaillog_file = {base}/mail.log\n\
             maillog_file_prefixes = {base}\nmail_spool_directory = {base}/mail\nmydomain = example.org\n\
             myhostname = host.$mydomain\nmyorigin = $mydomain\nmydestination = $myhostname, localhost, $mydomain\n\
             mynetworks = 127.0.0.0/8\ninet_interfaces = loopback-only\ninet_protocols = ipv4\n\
             alias_maps = texthash:{base}/etc/aliases\nalias_database =\nlocal_recipient_maps =\n\
             virtual_mailbox_domains = v.example\nvirtual_mailbox_base = {base}/vmail\n\
             virtual_uid_maps = static:{ids}\nvirtual_gid_maps = static:{ids}\nvirtual_minimum_uid = 1\n{}",
            main_cf.replace("BASE", &base)
        );
        std::fs::write(site.path("etc/main.cf"), text).expect("written");
        let master = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             smtp unix - - n - - smtp\nshowq unix n - n - - showq\nerror unix - - n - - error\n\
             retry unix - - n - - error\ndiscard unix - - n - - discard\nlocal unix - n n - - local\n\
             virtual unix - n n - - virtual\nlmtp unix - - n - - lmtp\npostlog unix-dgram n - n - 1 postlogd\n";
        std::fs::write(site.path("etc/master.cf"), master).expect("written");
        std::fs::write(site.path("etc/aliases"), "").expect("written");
        std::fs::write(
            site.path("etc/passwd"),
            format!("toto:x:::toto:{base}/home:/bin/sh\ntiti:x:::titi:{base}/home:/bin/sh\n"),
        )
        .expect("written");
        std::fs::set_permissions(site.path("etc/passwd"), std::fs::Permissions::from_mode(0o600)).expect("closed");
        if root {
            let own = Command::new("chown").arg("-R").arg(NOBODY.to_string()).arg(site.dir.path()).status();
            assert!(own.expect("chown runs").success());
        }
        let started = site.program("postfix").arg("start").output().expect("postfix runs");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.path("pillarbox"));
        command.arg0(name).env("MAIL_CONFIG", self.path("etc")).current_dir(self.dir.path());
        if self.root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn send(&self, from: &str, to: &[&str], text: &str) {
        let mut child = self
            .program("sendmail")
            .args(["-i", "-f", from])
            .args(to)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sendmail runs");
        child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
        assert!(child.wait().expect("its end").success());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("mail.log")).unwrap_or_default()
    }

    /// Waits until `found` gives something; the log explains why it does not.
    fn wait_for<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(value) = found() {
                return value;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "no {what}; the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn wait_for_file(&self, name: &str) -> String {
        self.wait_for(name, || std::fs::read_to_string(self.path(name)).ok().filter(|text| text.ends_with("\n\n")))
    }

    fn wait_for_log(&self, words: &str) -> String {
        self.wait_for(words, || self.log().lines().find(|line| line.contains(words)).map(str::to_owned))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.program("postfix").arg("stop").stderr(Stdio::null()).status();
    }
}

#[test]
fn virtual_mailboxes_are_files_and_maildirs_and_unknown_ones_bounce() {
    let site = Site::start("virtual_mailbox_maps = inline:{a@v.example=a/ b@v.example=deep/b}\n");
    site.send("toto", &["a@v.example", "b@v.example", "c@v.example"], "Subject: x\n\nFrom here\n");
    let mbox = site.wait_for_file("vmail/deep/b");
    assert!(mbox.starts_with("From toto@example.org  "), "{mbox}");
    assert!(mbox.contains("\nX-Original-To: b@v.example\nDelivered-To: b@v.example\nReceived: "), "{mbox}");
    assert!(mbox.contains("\n>From here\n"), "{mbox}");
    let new = site.wait_for("a maildir", || std::fs::read_dir(site.path("vmail/a/new")).ok()?.next()?.ok());
    assert!(std::fs::read_to_string(new.path()).expect("a message").ends_with("\n\nFrom here\n"));
    let notice = site.wait_for_file("mail/toto");
    assert!(notice.contains("\n<c@v.example>: unknown user: \"c@v.example\"\n"), "{notice}");
    site.wait_for_log("relay=virtual, ");
    site.wait_for_log("status=sent (delivered to maildir)");
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let site = Site::start("virtual_mailbox_maps = static:x\nvirtual_transport = lmtp:unix:BASE/data/lmtp\n");
    let socket = site.path("data/lmtp");
    let listener = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777)).expect("opened");
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut output = stream.try_clone().expect("a copy");
        let mut say = |text: &str| output.write_all(text.as_bytes()).expect("a reader");
        let mut heard = Vec::new();
        say("220 lmtp.example LMTP\r\n");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            match line.split([' ', ':']).next().unwrap_or_default() {
                "LHLO" => say("250-lmtp.example\r\n250 PIPELINING\r\n"),
                "DATA" => say("354 go\r\n"),
                "." => say("250 2.1.5 <a> kept\r\n552 5.2.2 <b> over quota\r\n"),
                "MAIL" | "RCPT" => say("250 ok\r\n"),
                "QUIT" => break,
                _ => {}
            }
            heard.push(line);
        }
        heard
    });
    site.send("toto", &["a@v.example", "b@v.example"], "Subject: x\n\nhello\n");
    let line = site.wait_for_log("to=<a@v.example>");
    assert!(line.contains("/lmtp") && line.contains("dsn=2.1.5, status=sent (250 2.1.5 <a> kept)"), "{line}");
    let line = site.wait_for_log("to=<b@v.example>");
    assert!(line.contains("dsn=5.2.2, status=bounced (host host.example.org["), "{line}");
    assert!(line.contains("] said: 552 5.2.2 <b> over quota (in reply to end of DATA command))"), "{line}");
    let heard = server.join().expect("the dialogue");
    assert_eq!(heard[0], "LHLO host.example.org");
}

#[test]
fn notices_have_the_site_s_words() {
    let site = Site::start("bounce_template_file = BASE/etc/bounce\nmailbox_transport_maps = inline:{titi=virtual:}\n");
    // A template may be changed at any time; it is read with the configuration.
    std::fs::write(
        site.path("etc/bounce"),
        "failure_template = <<EOF\nCharset: us-ascii\nFrom: Postier <MAILER-DAEMON>\nSubject: Retour\n\nIci $myhostname.\nEOF\n",
    )
    .expect("written");
    assert!(site.program("postfix").arg("reload").output().expect("postfix runs").status.success());
    site.send("toto", &["nosuch"], "Subject: x\n\nhello\n");
    let notice = site.wait_for_file("mail/toto");
    assert!(notice.contains("\nFrom: Postier <MAILER-DAEMON@example.org>\nSubject: Retour\n"), "{notice}");
    assert!(
        notice.contains("\n\nIci host.example.org.\n\n<nosuch@example.org> (expanded from <nosuch>): unknown user:")
    );
    // mailbox_transport: the other agent speaks, and its refusal comes back.
    site.send("toto", &["titi"], "Subject: y\n\nhello\n");
    let line = site.wait_for_log("to=<titi@example.org>");
    assert!(
        line.contains("relay=virtual,") && line.contains("status=bounced (unknown user: \"titi@example.org\")"),
        "{line}"
    );
}
