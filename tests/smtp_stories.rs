//! SMTP dialogues with their replies, log lines and queue files, as Postfix 3.7.11 gave them (tests/data/smtp/*.txt).
//!
//! A file is a table:
//! ```text
//! == main            main.cf lines follow (BASE is the directory of the story's files)
//! == master          master.cf lines in place of the one smtpd (HERE is the endpoint that talks go to)
//! == file NAME       the lines of BASE/NAME follow
//! == dns             what the name server knows, "NAME TYPE DATA" (names with "fail" in them have no answer)
//! == policy          what the policy server at unix:BASE/policy answers, "RECIPIENT ACTION"
//! == milter NAME     the script of a mail filter at unix:BASE/NAME (or "NAME inet"); its language: tests/talk/filter.rs
//! == mail ARGUMENTS  sendmail's mail: "> TEXT" lines are its input
//! == sasl            whom the authentication service at BASE/auth knows (tests/talk/sasl.rs)
//! == talk [ADDRESS]  a connection, from 127.0.0.1 or ADDRESS (127.0.0.2 is a stranger); in it
//! > TEXT             is sent, and a reply awaited      >+ TEXT  is sent with the next line, no reply
//! >* N TEXT          is sent N times, no reply
//! >& TEXT            is sent with the next line, a reply awaited      >! closes the connection
//! >^ TEXT            as the first step: is sent before the greeting   >^! closes the connection before it
//! < TEXT             is a line of the reply            * TEXT   a log line (after the talk)
//! % TEXT             a line that the policy server was sent    @ NAME: TEXT  what a filter was sent
//! % TEXT             a line that the policy server or the authentication service was sent
//! >T WORDS           a TLS handshake (tests/talk/wire.rs); as the first step it comes before the greeting
//! = TEXT             a line of the queue files (postcat), where the talk has the line "?"
//! ```
//! By default the stories are told to ours, started without root in a temporary directory. `UNDER_TEST=reference` tells
//! them to the installed Postfix, on a throwaway copy of this machine; with `UPDATE=1` too, its answers are recorded.
//! Files named dns-* need a name server of their own and so that copy, also for ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A story that cannot be told has failed.

mod talk;

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use talk::filter::Filter;
use talk::wire::{Wire, wire};

const BIN: &str = env!("CARGO_BIN_EXE_pillarbox");
const NOBODY: u32 = 65534;

const MAIN_CF: &str = "compatibility_level = 3.6\nmyhostname = srvdmz.virtualux.fr\nmydomain = virtualux.fr\n\
    myorigin = $myhostname\nmydestination = $myhostname, localhost.virtualux.fr, localhost\nmynetworks = 127.0.0.1/32\n\
    inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nalias_maps =\nalias_database =\n\
    local_recipient_maps = inline:{root=1, toto=1, titi=1, eleve=1, postmaster=1}\nrecipient_delimiter = +\n\
    smtpd_peername_lookup = no\nsmtpd_error_sleep_time = 0\nsmtpd_tls_security_level = none\nnotify_classes =\n";
const SERVICES: &str = "cleanup unix n - n - 0 cleanup\ntlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n\
    postlog unix-dgram n - n - 1 postlogd\nproxymap unix - - n - - proxymap\nanvil unix - - n - 1 anvil\n";

const PICKUP: &str = "pickup unix n - n 1 1 pickup\nbounce unix - - n - 0 bounce\n";

/// A running smtpd; nothing takes the mail out of its queue.
struct Site {
    base: PathBuf,
    etc: PathBuf,
    spool: PathBuf,
    log: PathBuf,
    port: u16,
    /// Ours: the copy of the program, and whether to run it as nobody.
    ours: Option<(PathBuf, bool)>,
    /// What the policy server was sent.
    requests: Arc<Mutex<Vec<String>>>,
    filters: Vec<Filter>,
    _dir: Option<tempfile::TempDir>,
}

impl Site {
    /// Ours, as whoever we are (nobody, under root).
    fn rootless(story: &Story) -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let root = Path::new("/proc/self").metadata().unwrap().uid() == 0;
        let me = if root {
            "nobody".to_owned()
        } else {
            String::from_utf8_lossy(&Command::new("id").arg("-un").output().unwrap().stdout).trim().to_owned()
        };
        let base = dir.path().to_owned();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = base.join("pillarbox");
        std::fs::copy(carried("pillarbox").unwrap_or(BIN.into()), &program).unwrap();
        for name in ["etc", "spool", "data"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        let b = base.display();
        let own = format!(
            "mail_owner = {me}\nqueue_directory = {b}/spool\ndata_directory = {b}/data\ncommand_directory = {b}\n\
             maillog_file = {b}/mail.log\nmaillog_file_prefixes = {b}\n"
        );
        let mut site = Site {
            etc: base.join("etc"),
            spool: base.join("spool"),
            log: base.join("mail.log"),
            port,
            ours: Some((program, root)),
            base,
            requests: Arc::default(),
            filters: Vec::new(),
            _dir: Some(dir),
        };
        site.lay_out(story, &own);
        if root {
            assert!(
                Command::new("chown").arg("-R").arg(NOBODY.to_string()).arg(&site.base).status().unwrap().success()
            );
        }
        site.control("start");
        site
    }

    /// On a throwaway machine: whatever is installed there.
    fn installed(story: &Story) -> Site {
        let base = PathBuf::from("/tmp/story");
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir(&base).unwrap();
        for file in std::fs::read_dir("/var/lib/postfix").into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with("postscreen_cache") {
                let _ = std::fs::remove_file(file.path());
            }
        }
        for folder in ["incoming", "hold", "deferred", "active"] {
            for file in std::fs::read_dir(format!("/var/spool/postfix/{folder}")).into_iter().flatten().flatten() {
                let _ = std::fs::remove_file(file.path());
            }
        }
        let mut site = Site {
            etc: "/etc/postfix".into(),
            spool: "/var/spool/postfix".into(),
            log: "/var/log/mail.log".into(),
            port: 25,
            ours: None,
            base,
            requests: Arc::default(),
            filters: Vec::new(),
            _dir: None,
        };
        let log = if Path::new("/run/rsyslogd.pid").exists() { "" } else { "maillog_file = /var/log/mail.log\n" };
        site.lay_out(story, log);
        if !story.dns.is_empty() {
            std::fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n").unwrap();
            serve_names(story.dns.clone());
        }
        site.control("start");
        site
    }

    fn lay_out(&mut self, story: &Story, own: &str) {
        let base = self.base.display().to_string();
        self.filters = story.filters.iter().map(|(title, script)| Filter::start(title, script, &self.base)).collect();
        let mut main = format!("{MAIN_CF}{own}{}", story.main.replace("BASE", &base));
        for filter in &self.filters {
            if let Some(address) = &filter.inet {
                main = main.replace(&format!("inet:{}", filter.name), address);
            }
        }
        std::fs::write(self.etc.join("main.cf"), main).unwrap();
        let own = if story.master.is_empty() { "HERE inet n - n - - smtpd\n" } else { &story.master };
        let mut master = format!("{own}{SERVICES}").replace("HERE", &format!("127.0.0.1:{}", self.port));
        if story.talks.iter().any(|talk| talk.title.starts_with("mail")) {
            master.push_str(PICKUP);
        }
        std::fs::write(self.etc.join("master.cf"), master).unwrap();
        // The reference waits for files that were changed just now.
        for name in ["main.cf", "master.cf"] {
            let _ = Command::new("touch").args(["-t", "197101010000"]).arg(self.etc.join(name)).status();
        }
        if !story.policy.is_empty() {
            let path = self.base.join("policy");
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
            let (answers, requests) = (story.policy.clone(), self.requests.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let (answers, requests) = (answers.clone(), requests.clone());
                    std::thread::spawn(move || serve_policy(stream, &answers, &requests));
                }
            });
        }
        if !story.sasl.is_empty() {
            let path = self.base.join("auth");
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
            talk::sasl::serve(listener, story.sasl.clone(), self.requests.clone());
        }
        for key in std::fs::read_dir(folder().join("keys")).unwrap().flatten() {
            std::fs::copy(key.path(), self.base.join(key.file_name())).unwrap();
        }
        for (name, text) in &story.files {
            std::fs::write(self.base.join(name), text.replace("BASE", &base)).unwrap();
        }
    }

    fn program(&self, name: &str) -> Command {
        match &self.ours {
            Some((program, root)) => {
                let mut command = Command::new(program);
                command.arg0(name).env("MAIL_CONFIG", &self.etc).current_dir(&self.base);
                if *root {
                    command.uid(NOBODY).gid(NOBODY);
                }
                command
            }
            None => Command::new(name),
        }
    }

    fn control(&self, verb: &str) {
        let done = self.program("postfix").arg(verb).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success() || verb == "stop", "postfix {verb}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// What is in the queue, which is emptied.
    fn queue_files(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for folder in ["incoming", "hold"] {
            let mut files: Vec<PathBuf> = std::fs::read_dir(self.spool.join(folder))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o100 != 0))
                .collect();
            files.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
            for file in files {
                let text = self.program("postcat").arg(&file).output().unwrap().stdout;
                lines.push(format!("-- {folder}"));
                let text = String::from_utf8_lossy(&text).into_owned();
                let keep = |line: &&str| {
                    let noise = ["***", "message_size:", "message_arrival", "create_time"];
                    !noise.iter().any(|word| line.starts_with(word))
                        && ["named_attribute: log_", "client_", "server_", "helo_name", "protocol_name"]
                            .iter()
                            .all(|word| !line.contains(word) || !line.starts_with("named_attribute"))
                };
                let kept: Vec<String> = text.lines().filter(keep).map(|line| normal(line, self)).collect();
                let (mut routes, others): (Vec<String>, Vec<String>) = kept
                    .into_iter()
                    .partition(|line| line.starts_with("redirect_to") || line.starts_with("content_filter"));
                routes.extend(others);
                let mut kept = routes;
                // Attributes before the first recipient stand in no order that matters.
                let head = kept
                    .iter()
                    .position(|line| {
                        ["recipient", "dsn_orig_rcpt", "notify_flags"].iter().any(|word| line.contains(word))
                    })
                    .unwrap_or(0);
                kept[..head].sort();
                let mut at = 0;
                kept.retain(|line| {
                    at += 1;
                    at <= head || !line.starts_with("named_attribute: encoding=")
                });
                lines.extend(kept);
                let _ = std::fs::remove_file(file);
            }
        }
        lines
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.control("stop");
    }
}

/// A file of tests/data/smtp.
struct Story {
    main: String,
    master: String,
    files: Vec<(String, String)>,
    talks: Vec<Talk>,
    dns: Vec<(String, String, String)>,
    policy: Vec<(String, String)>,
    filters: Vec<(String, String)>,
    sasl: Vec<(String, String)>,
    /// The lines before the first talk, as they stand.
    head: String,
}

struct Talk {
    title: String,
    /// What is done; what is expected stands in `expected`.
    steps: Vec<String>,
    expected: Vec<String>,
}

impl Story {
    fn read(path: &Path) -> Story {
        let text = std::fs::read_to_string(path).unwrap();
        let mut story = Story {
            main: String::new(),
            master: String::new(),
            files: Vec::new(),
            talks: Vec::new(),
            head: String::new(),
            dns: Vec::new(),
            policy: Vec::new(),
            filters: Vec::new(),
            sasl: Vec::new(),
        };
        let mut section = String::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("== ") {
                section = title.to_owned();
                if let Some(name) = title.strip_prefix("file ") {
                    story.files.push((name.to_owned(), String::new()));
                } else if let Some(name) = title.strip_prefix("milter ") {
                    story.filters.push((name.to_owned(), String::new()));
                } else if is_talk(title) {
                    story.talks.push(Talk { title: title.to_owned(), steps: Vec::new(), expected: Vec::new() });
                }
            } else if is_talk(&section) {
                let talk = story.talks.last_mut().unwrap();
                if line.starts_with(['<', '*', '=', '%', '@']) {
                    talk.expected.push(line.to_owned());
                } else if !line.is_empty() {
                    talk.steps.push(line.to_owned());
                    talk.expected.push(line.to_owned());
                }
                continue;
            } else if section == "main" {
                story.main.push_str(line);
                story.main.push('\n');
            } else if section == "master" {
                story.master.push_str(line);
                story.master.push('\n');
            } else if section == "dns" {
                let mut words = line.splitn(3, ' ').map(str::to_owned);
                let mut word = || words.next().unwrap_or_default();
                story.dns.push((word(), word(), word()));
            } else if section == "policy" {
                let (recipient, action) = line.split_once(' ').unwrap_or((line, ""));
                story.policy.push((recipient.to_owned(), action.to_owned()));
            } else if section == "sasl" {
                let (name, words) = line.split_once(' ').unwrap_or((line, ""));
                story.sasl.push((name.to_owned(), words.to_owned()));
            } else if section.starts_with("file ") {
                let text = &mut story.files.last_mut().unwrap().1;
                text.push_str(line);
                text.push('\n');
            }
            if section.starts_with("milter ") && !line.starts_with("== ") {
                let script = &mut story.filters.last_mut().unwrap().1;
                script.push_str(line);
                script.push('\n');
            }
            if !is_talk(&section) {
                story.head.push_str(line);
                story.head.push('\n');
            }
        }
        story
    }

    fn tell(&self, site: &Site) -> Vec<Vec<String>> {
        self.talks.iter().map(|talk| talk.tell(site)).collect()
    }
}

fn is_talk(section: &str) -> bool {
    section.starts_with("talk") || section.starts_with("mail ")
}

impl Talk {
    /// Hands a mail to sendmail and waits until pickup has taken it.
    fn submit(&self, site: &Site, arguments: &str) -> Vec<String> {
        let before = site.log_text().len();
        let mut sendmail =
            site.program("sendmail").args(arguments.split_whitespace()).stdin(Stdio::piped()).spawn().unwrap();
        let input: Vec<&str> = self.steps.iter().filter_map(|step| step.strip_prefix('>')).collect();
        let lines = input.iter().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)));
        sendmail.stdin.take().unwrap().write_all(lines.collect::<String>().as_bytes()).unwrap();
        assert!(sendmail.wait().unwrap().success(), "sendmail {arguments}");
        let begin = Instant::now();
        // It is committed or returned, or left for another time.
        while std::fs::read_dir(site.spool.join("maildrop")).unwrap().count() > 0
            && !site.log_text().get(before..).unwrap_or_default().contains("milter-reject")
        {
            assert!(begin.elapsed() < Duration::from_secs(30), "pickup: {}", site.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut said: Vec<String> = self.steps.iter().filter(|step| *step != "?").cloned().collect();
        let heard: Vec<String> = site.filters.iter().flat_map(Filter::heard).map(|line| normal(&line, site)).collect();
        let text = site.log_text();
        said.extend(text.get(before..).unwrap_or_default().lines().filter_map(|line| log_line(line, site)));
        said.extend(heard);
        if self.steps.iter().any(|step| step == "?") {
            said.push("?".to_owned());
            said.extend(site.queue_files().into_iter().map(|line| format!("= {line}").trim_end().to_owned()));
        }
        said
    }

    /// Has the talk; gives its steps with what was answered.
    fn tell(&self, site: &Site) -> Vec<String> {
        if let Some(arguments) = self.title.strip_prefix("mail ") {
            return self.submit(site, arguments);
        }
        let before = site.log_text().len();
        let from: IpAddr = self.title.strip_prefix("talk ").unwrap_or("127.0.0.1").trim().parse().unwrap();
        let stream = connect(from, site.port);
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let mut wire = wire(stream);
        let mut steps = self.steps.as_slice();
        let mut said = Vec::new();
        // A proxy speaks before the greeting.
        if let [first, rest @ ..] = steps
            && let Some(header) = first.strip_prefix("> PROXY ")
        {
            wire.get_mut().write_all(format!("PROXY {header}\r\n").as_bytes()).unwrap();
            said.push(first.clone());
            steps = rest;
        }
        if let [first, rest @ ..] = steps
            && let Some(words) = first.strip_prefix(">T")
        {
            said.push(first.clone());
            said.push(format!("< ({})", wire.get_mut().encrypt(words, &site.base)));
            steps = rest;
        }
        // So does who cannot wait.
        while let [first, rest @ ..] = steps
            && let Some(early) = first.strip_prefix(">^ ")
        {
            said.push(first.clone());
            let end = if early.ends_with("\\c") { "" } else { "\r\n" };
            wire.get_mut().write_all(&[unescape(early).as_slice(), end.as_bytes()].concat()).unwrap();
            steps = rest;
        }
        if let [first] = steps
            && first == ">^!"
        {
            said.push(first.clone());
            wire.get_mut().close();
            steps = &[];
        } else {
            said.extend(reply(&mut wire, site));
        }
        let mut held: Vec<u8> = Vec::new();
        let mut awaited = 0;
        let mut look = false;
        for step in steps {
            said.push(step.clone());
            if step == "?" {
                look = true;
                said.pop();
                continue;
            }
            if step.starts_with('#') {
                continue;
            }
            if step == ">!" {
                wire.get_mut().close();
                continue;
            }
            if let Some(words) = step.strip_prefix(">T") {
                said.push(format!("< ({})", wire.get_mut().encrypt(words, &site.base)));
                continue;
            }
            if let Some((count, text)) = step.strip_prefix(">* ").and_then(|rest| rest.split_once(' ')) {
                held.extend(format!("{text}\r\n").repeat(count.parse().unwrap()).into_bytes());
                continue;
            }
            let (kind, text) = step.split_once(' ').unwrap_or((step, ""));
            held.extend_from_slice(unescape(text).as_slice());
            if !text.ends_with("\\c") {
                held.extend_from_slice(b"\r\n");
            }
            match kind {
                ">+" => continue,
                ">&" => awaited += 1,
                ">" => {
                    let _ = wire.get_mut().write_all(&held).and_then(|()| wire.get_mut().flush());
                    held.clear();
                    for _ in 0..=awaited {
                        said.extend(reply(&mut wire, site));
                    }
                    awaited = 0;
                }
                other => panic!("step {other}"),
            }
        }
        drop(wire);
        let begin = Instant::now();
        loop {
            let text = site.log_text();
            let fresh = text.get(before..).unwrap_or_default();
            if is_over(fresh) {
                // In the reference each is a process of its own: which writes first is chance.
                let lines = fresh.lines().filter_map(|line| log_line(line, site));
                let (screen, lines): (Vec<String>, Vec<String>) =
                    lines.partition(|line| line.starts_with("* postscreen"));
                let (mut lists, lines): (Vec<String>, Vec<String>) =
                    lines.into_iter().partition(|line| line.starts_with("* dnsblog"));
                lists.sort();
                said.extend(screen);
                said.extend(lists);
                let (own, mut others): (Vec<String>, Vec<String>) =
                    lines.into_iter().partition(|line| line.starts_with("* smtpd"));
                // The reference says this once for each write that fails.
                others.dedup_by(|one, other| one == other && one.ends_with("queue file size limit exceeded"));
                said.extend(own);
                said.extend(others);
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "no end in the log:\n{text}\n{said:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        said.extend(site.requests.lock().unwrap().drain(..).map(|line| normal(&line, site)));
        said.extend(site.filters.iter().flat_map(Filter::heard).map(|line| normal(&line, site)));
        if look {
            said.push("?".to_owned());
            said.extend(site.queue_files().into_iter().map(|line| format!("= {line}").trim_end().to_owned()));
        }
        said
    }
}

/// Whether the log tells of the end of a session, and of the proxy's that encrypted it before it had begun.
fn is_over(log: &str) -> bool {
    let count = |service: &str, word: &str| {
        log.lines().filter(|line| line.contains(service) && line.contains(&format!("]: {word} "))).count()
    };
    (count("/smtpd[", "disconnect") > 0 || count("/postscreen[", "DISCONNECT") > 0)
        && count("/tlsproxy[", "CONNECT") == count("/tlsproxy[", "DISCONNECT")
}

fn connect(from: IpAddr, port: u16) -> TcpStream {
    let begin = Instant::now();
    loop {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        match socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()) {
            Ok(()) => return socket.into(),
            Err(error) if begin.elapsed() > Duration::from_secs(10) => panic!("connect: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn reply(reader: &mut Wire, site: &Site) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => lines.push("< (closed)".to_owned()),
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                let more = text.as_bytes().get(3) == Some(&b'-');
                lines.push(format!("< {}", normal(&text, site)));
                if more {
                    continue;
                }
            }
        }
        return lines;
    }
}

/// "\r", "\n", "\0", "\xNN", "\\" in what is sent; "\c" at the end: no line end.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.strip_suffix("\\c").unwrap_or(text).chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.extend_from_slice(c.to_string().as_bytes());
            continue;
        }
        match rest.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('0') => out.push(0),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            Some(other) => out.extend_from_slice(other.to_string().as_bytes()),
            None => {}
        }
    }
    out
}

/// "smtpd: text" of a log line of smtpd, postscreen, dnsblog or cleanup.
fn log_line(line: &str, site: &Site) -> Option<String> {
    let (prefix, text) = line.split_once("]: ")?;
    let service = prefix.rsplit_once("postfix/")?.1.split('[').next()?;
    let (service, kept) = (service.rsplit('/').next()?, ["smtpd", "cleanup", "postscreen", "dnsblog", "tlsproxy"]);
    let noise = text.starts_with("connect from")
        || text.contains("public/qmgr")
        || text.contains("overriding earlier")
        || text.contains(" full cleanup: ")
        || text.contains("mail_stream_cleanup")
        // The words of a TLS library are its own.
        || text.contains("TLS library problem")
        || text.contains("table ") && text.contains("has changed");
    let text = if ["postscreen", "tlsproxy"].contains(&service) { without_ports(text) } else { text.to_owned() };
    (kept.contains(&service) && !noise).then(|| format!("* {service}: {}", normal(&text, site)))
}

/// "[127.0.0.1]:4321 after 0.04 from" without the numbers that chance decides.
fn without_ports(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let mut parts = text.split("]:");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push_str("]:");
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(if rest.len() < part.len() { "PORT" } else { "" });
        out.push_str(rest);
    }
    match out.split_once(" after ") {
        Some((before, rest)) if rest.starts_with(digits) => {
            format!("{before} after TIME{}", rest.trim_start_matches(digits))
        }
        _ => out,
    }
}

/// What differs from run to run, by its kind.
fn normal(text: &str, site: &Site) -> String {
    let text = text.replace(&site.base.display().to_string(), "BASE");
    let mut text = text;
    for filter in &site.filters {
        if let Some(address) = &filter.inet {
            text = text.replace(address.as_str(), &format!("inet:{}", filter.name));
        }
    }
    let text = text.replace(&format!("for service 127.0.0.1:{}", site.port), "for service 127.0.0.1:PORT");
    // Whoever runs the tests submits the mail.
    let text =
        ["root", "nobody"].iter().fold(text, |text, user| text.replace(&format!("From:{user} <"), "From:USER <"));
    let text =
        ["root", "nobody"].iter().fold(text, |text, user| text.replace(&format!("From: {user} <"), "From: USER <"));
    let text = text.replace("sender_fullname: nobody", "sender_fullname: root").replace("userid 65534)", "userid 0)");
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let is_id =
            (9..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        let is_stamp = word.len() == 14 && word.starts_with("20");
        out.push_str(if is_stamp {
            "STAMP"
        } else if is_id {
            "QID"
        } else {
            &word
        });
        word.clear();
        if c != '\n' {
            out.push(c);
        }
    }
    let days = ["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"];
    match days.iter().filter_map(|day| out.find(day)).min() {
        Some(at) if out.contains(" +0") || out.contains(" -0") => format!("{}DATE", &out[..at]),
        _ => out.trim_end().to_owned(),
    }
}

fn serve_policy(stream: UnixStream, answers: &[(String, String)], requests: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut recipient = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.is_empty() {
            match answers.iter().find(|(known, _)| *known == recipient) {
                Some((_, action)) if action == "close" => return,
                Some((_, action)) if action == "garbage" => writer.write_all(b"what=ever\n\n").unwrap(),
                Some((_, action)) => writer.write_all(format!("action={action}\n\n").as_bytes()).unwrap(),
                None => writer.write_all(b"action=DUNNO\n\n").unwrap(),
            }
            continue;
        }
        let (name, value) = line.split_once('=').unwrap();
        if name == "recipient" {
            value.clone_into(&mut recipient);
        }
        let varies = ["client_port", "server_port", "server_address", "instance"].contains(&name);
        requests.lock().unwrap().push(format!("% {name}={}", if varies { "..." } else { value }));
    }
}

/// A name server for one zone file's worth of records.
fn serve_names(records: Vec<(String, String, String)>) {
    static KNOWN: Mutex<Vec<(String, String, String)>> = Mutex::new(Vec::new());
    let first = {
        let mut known = KNOWN.lock().unwrap();
        let first = known.is_empty();
        *known = records;
        first
    };
    if !first {
        return;
    }
    let socket = std::net::UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || {
        let mut packet = [0u8; 1500];
        while let Ok((size, client)) = socket.recv_from(&mut packet) {
            let _ = socket.send_to(&name_answer(&packet[..size], &KNOWN.lock().unwrap()), client);
        }
    });
}

fn name_answer(query: &[u8], records: &[(String, String, String)]) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
        at += length + 1;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let known: Vec<_> = records.iter().filter(|(owner, ..)| *owner == name).collect();
    let mut answers: Vec<(u16, Vec<u8>)> = Vec::new();
    let encoded = |name: &str| -> Vec<u8> {
        let labels = name.split('.').filter(|label| !label.is_empty());
        let mut out: Vec<u8> =
            labels.flat_map(|l| [&[u8::try_from(l.len()).unwrap()], l.as_bytes()].concat()).collect();
        out.push(0);
        out
    };
    for (_, record, data) in &known {
        let (number, bytes) = match record.as_str() {
            "A" => (1, data.parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec()),
            "NS" => (2, encoded(data)),
            "PTR" => (12, encoded(data)),
            "TXT" => (16, [&[u8::try_from(data.len()).unwrap()], data.as_bytes()].concat()),
            "MX" => {
                let (preference, host) = data.split_once(' ').unwrap();
                (15, [&preference.parse::<u16>().unwrap().to_be_bytes()[..], &encoded(host)].concat())
            }
            other => panic!("record type {other}"),
        };
        if number == kind {
            answers.push((number, bytes));
        }
    }
    let below = format!(".{name}");
    let exists = !known.is_empty() || records.iter().any(|(owner, ..)| owner.ends_with(&below));
    let code: u8 = if name.contains("fail") {
        2
    } else if exists {
        0
    } else {
        3
    };
    let mut out = query[..2].to_vec();
    out.extend([0x85, 0x80 | code, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
    out.extend_from_slice(&query[12..at + 5]);
    for (number, bytes) in answers {
        out.extend([0xc0, 12]);
        out.extend(number.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
    }
    out
}

/// Where the stories are.
fn folder() -> PathBuf {
    carried("smtp").unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smtp"))
}

fn stories(dns: bool) -> Vec<PathBuf> {
    let wanted = std::env::var("STORY").unwrap_or_default();
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_file());
    all.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("dns-") == dns && name.contains(&wanted)
    });
    all.sort();
    all
}

/// Tells the stories; what differs is a list of sentences, or is recorded.
fn tell(paths: &[PathBuf], start: impl Fn(&Story) -> Site) -> Vec<String> {
    let update =
        std::env::var_os("UPDATE").is_some() && std::env::var("UNDER_TEST").is_ok_and(|who| who == "reference");
    let mut wrong = Vec::new();
    for path in paths {
        let story = Story::read(path);
        let site = start(&story);
        let answers = story.tell(&site);
        drop(site);
        let name = path.file_stem().unwrap().to_string_lossy();
        if update {
            let mut text = story.head.clone();
            for (talk, said) in story.talks.iter().zip(&answers) {
                text.push_str(&format!("== {}\n{}\n", talk.title, said.join("\n")));
            }
            std::fs::write(path, text).unwrap();
            continue;
        }
        for (talk, said) in story.talks.iter().zip(&answers) {
            if talk.expected != *said {
                wrong.push(format!("{name}, {}:\n{}", talk.title, difference(&talk.expected, said)));
            }
        }
    }
    wrong
}

/// The lines that differ, by the longest common subsequence.
fn difference(want: &[String], have: &[String]) -> String {
    let mut table = vec![vec![0usize; have.len() + 1]; want.len() + 1];
    for i in (0..want.len()).rev() {
        for j in (0..have.len()).rev() {
            table[i][j] =
                if want[i] == have[j] { table[i + 1][j + 1] + 1 } else { table[i + 1][j].max(table[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    // The step that a difference follows.
    let mut step = None;
    while i < want.len() || j < have.len() {
        if i < want.len() && j < have.len() && want[i] == have[j] {
            if want[i].starts_with('>') {
                step = Some(format!("    {}\n", want[i]));
            }
            (i, j) = (i + 1, j + 1);
            continue;
        }
        out.push_str(&step.take().unwrap_or_default());
        if j >= have.len() || (i < want.len() && table[i + 1][j] >= table[i][j + 1]) {
            out.push_str(&format!("  - {}\n", want[i]));
            i += 1;
        } else {
            out.push_str(&format!("  + {}\n", have[j]));
            j += 1;
        }
    }
    out
}

/// What was carried into the throwaway machine, which may not see the place where this program was built.
fn carried(name: &str) -> Option<PathBuf> {
    std::env::var_os("STORIES_LUGGAGE").map(|place| Path::new(&place).join(name))
}

/// The test of this program by the name `inside`, on a throwaway machine.
fn in_a_box(dns: bool) {
    // /var is seen there, /tmp is not. UPDATE records into the tree itself.
    let luggage = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(luggage.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), luggage.path().join("stories")).unwrap();
    std::fs::copy(BIN, luggage.path().join("pillarbox")).unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smtp");
    std::fs::create_dir_all(luggage.path().join("smtp/keys")).unwrap();
    for folder in ["smtp", "smtp/keys"] {
        for file in std::fs::read_dir(data.parent().unwrap().join(folder)).unwrap().flatten() {
            if file.path().is_file() {
                std::fs::copy(file.path(), luggage.path().join(folder).join(file.file_name())).unwrap();
            }
        }
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/box");
    let done = Command::new("timeout")
        .args(["--kill-after=5", "900"])
        .arg(here)
        .arg(Path::new(BIN).parent().unwrap())
        .arg(luggage.path().join("stories"))
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .envs(std::env::var_os("UPDATE").is_none().then_some(("STORIES_LUGGAGE", luggage.path())))
        .env("STORIES_WITH_DNS", if dns { "1" } else { "" })
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    match done.status.code() {
        Some(0) => {}
        Some(77) => eprintln!("{}", said.trim_end()),
        status => panic!("status {status:?}\n{said}"),
    }
}

#[test]
fn dialogues() {
    if std::env::var("UNDER_TEST").is_ok_and(|who| who == "reference") {
        return in_a_box(false);
    }
    let wrong = tell(&stories(false), Site::rootless);
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// More sessions wait for a dead filter than there are threads for the disk; a client whom it does not concern goes on.
#[test]
fn a_slow_filter_holds_up_its_own_session_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slow.txt");
    let text = "== main\nsmtpd_milters = unix:BASE/f1\nsmtpd_milter_maps = inline:{127.0.0.2=DISABLE}\n\
                milter_command_timeout = 300s\n== milter f1\non helo: silent\n";
    std::fs::write(&path, text).unwrap();
    let story = Story::read(&path);
    let site = Site::rootless(&story);
    let mut waiting: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = connect([127, 0, 0, 1].into(), site.port);
            let mut greeted = wire(stream.try_clone().unwrap());
            assert_eq!(reply(&mut greeted, &site), ["< 220 srvdmz.virtualux.fr ESMTP Postfix"]);
            stream.write_all(b"EHLO client.example\r\n").unwrap();
            stream
        })
        .collect();
    let mut other = wire(connect([127, 0, 0, 2].into(), site.port));
    let mut said = reply(&mut other, &site);
    for line in ["EHLO client", "MAIL FROM:<a@b.example>", "RCPT TO:<root@localhost>", "DATA", "Subject: x\r\n."] {
        other.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        said = reply(&mut other, &site);
    }
    assert_eq!(said, ["< 250 2.0.0 Ok: queued as QID"]);
    for stream in &mut waiting {
        stream.set_nonblocking(true).unwrap();
        let read = std::io::Read::read(stream, &mut [0; 100]);
        assert!(
            read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "an answer without the filter"
        );
    }
}

#[test]
fn dialogues_with_names() {
    in_a_box(true);
}

#[test]
#[ignore = "the part of these tests that runs on a throwaway machine"]
fn inside() {
    let dns = std::env::var("STORIES_WITH_DNS").is_ok_and(|set| set == "1");
    let wrong = tell(&stories(dns), Site::installed);
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
