//! The handout's scenario, step by step.

use super::layout::Lab;
use super::terminal::Terminal;
use anyhow::{Context, Result, bail, ensure};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long mail may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many lines of a long output are shown.
const SHOWN_LINES: usize = 24;

/// The narrator: what is typed, what comes of it, what it proves.
struct Walk<'a> {
    lab: &'a Lab,
    count: usize,
}

/// Walks the whole scenario; the number of steps that held.
pub fn walk(lab: &Lab) -> Result<usize> {
    let mut walk = Walk { lab, count: 0 };
    walk.title(&format!("A mail server for srvdmz.virtualux.fr, in {}", lab.directory.display()))?;
    walk.configure()?;
    walk.send_and_read()?;
    walk.dialogues()?;
    walk.watch()?;
    Ok(walk.count)
}

impl Walk<'_> {
    fn title(&self, text: &str) -> Result<()> {
        writeln!(io::stdout(), "\n== {text}\n")?;
        Ok(())
    }

    fn proved(&mut self, text: &str) -> Result<()> {
        self.count += 1;
        writeln!(io::stdout(), "   -> {text}\n")?;
        Ok(())
    }

    /// Shows text, indented, long text cut.
    fn show(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().take(SHOWN_LINES) {
            writeln!(out, "   {line}")?;
        }
        if lines.len() > SHOWN_LINES {
            writeln!(out, "   ... {} more lines", lines.len() - SHOWN_LINES)?;
        }
        Ok(())
    }

    /// Runs a command as a user; its output (both channels). It must succeed.
    fn run(&self, user: &str, line: &str) -> Result<String> {
        let (output, success) = self.try_run(user, line)?;
        ensure!(success, "{line} failed:\n{output}");
        Ok(output)
    }

    fn try_run(&self, user: &str, line: &str) -> Result<(String, bool)> {
        writeln!(io::stdout(), "{user}$ {line}")?;
        let output =
            self.lab.command(user, line).stdin(Stdio::null()).output().with_context(|| format!("run {line}"))?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        self.show(&text)?;
        Ok((text, output.status.success()))
    }

    /// Waits until something is so.
    fn wait(&self, what: &str, holds: impl Fn() -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > end {
                bail!("{what}: still not so after {} seconds", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn configure(&mut self) -> Result<()> {
        self.run("eleve", "newaliases")?;
        ensure!(self.lab.path("etc/aliases.db").exists(), "newaliases made no etc/aliases.db");
        self.proved("the alias database is built: root's mail goes to eleve")?;
        let answer =
            self.run("eleve", &format!("postalias -q root hash:{}", self.lab.path("etc/aliases").display()))?;
        ensure!(answer.trim() == "eleve", "expected eleve, got {answer}");
        self.proved("the database answers")?;
        let silence = self.run("eleve", "postfix check")?;
        ensure!(silence.is_empty(), "postfix check should be silent on a good configuration");
        self.proved("the configuration is good: the check is silent")?;
        self.run("eleve", "postfix start")?;
        self.run("eleve", "postfix status")?;
        self.proved("the mail system runs")
    }

    fn send_and_read(&mut self) -> Result<()> {
        self.title("Sending with mail, as the handout does")?;
        for (from, to, subject) in [
            ("eleve", "titi", "essai titi"),
            ("eleve", "toto", "essai toto"),
            ("toto", "titi", "de toto"),
            ("toto", "root", "pour root"),
        ] {
            self.compose(from, to, subject)?;
        }
        let count = |user: &str| self.lab.mailbox(user).matches("\nSubject: ").count();
        self.wait("two messages for titi, one for toto", || count("titi") == 2 && count("toto") == 1)?;
        self.proved("titi has two messages and toto one, in mail/titi and mail/toto")?;
        self.wait("root's mail at eleve", || self.lab.mailbox("eleve").contains("Subject: pour root"))?;
        self.proved("root's mail reached eleve, by the alias")?;
        self.read()?;
        self.title("What goes wrong comes back")?;
        self.run("toto", "echo perdu | mail -s perdu personne")?;
        self.wait("a bounce", || self.lab.mailbox("toto").contains("Undelivered Mail Returned to Sender"))?;
        self.proved("mail for nobody is returned to its sender, with the reason")?;
        let queue = self.run("eleve", "mailq")?;
        ensure!(queue.trim() == "Mail queue is empty", "the queue should be empty");
        self.proved("nothing is left in the queue")
    }

    /// Types a letter at a terminal, which ends with Ctrl-D.
    fn compose(&mut self, from: &str, to: &str, subject: &str) -> Result<()> {
        writeln!(io::stdout(), "{from}$ mail {to}")?;
        let mut terminal = Terminal::start(self.lab.command(from, &format!("mail {to}")))?;
        terminal.expect(&["Cc: "])?;
        terminal.line("")?;
        terminal.expect(&["Subject: "])?;
        terminal.line(subject)?;
        terminal.line(&format!("Bonjour de {from}"))?;
        terminal.line("à bientôt")?;
        std::thread::sleep(Duration::from_millis(100));
        terminal.keys("\x04")?;
        let screen = terminal.end()?;
        self.show(&screen)?;
        self.proved(&format!("{from}'s letter to {to} is accepted"))
    }

    fn read(&mut self) -> Result<()> {
        self.title("Reading with mail")?;
        writeln!(io::stdout(), "titi$ mail")?;
        let mut terminal = Terminal::start(self.lab.command("titi", "mail"))?;
        terminal.expect(&["? "])?;
        for (typed, wanted) in [("t 1", "Bonjour de eleve"), ("d 1", ""), ("q", "")] {
            terminal.line(typed)?;
            if !wanted.is_empty() {
                terminal.expect(&[wanted])?;
            }
            if typed != "q" {
                terminal.expect(&["\n? "])?;
            }
        }
        let screen = terminal.end()?;
        self.show(&screen)?;
        ensure!(screen.contains("essai titi") && screen.contains("de toto"), "the summary should list both messages");
        let left = self.lab.mailbox("titi");
        ensure!(
            !left.contains("Subject: essai titi") && left.contains("Subject: de toto"),
            "one message should be left"
        );
        self.proved("titi saw two messages, read the first, deleted it, and one is left")
    }

    fn dialogues(&mut self) -> Result<()> {
        self.title("SMTP, as telnet shows it")?;
        let (smtp, pop3) = (self.lab.smtp_port, self.lab.pop3_port);
        let mut talk = Talk::open(smtp)?;
        talk.hear("220 ")?;
        talk.say("EHLO lubuntu.virtualux.fr", "250")?;
        talk.say("MAIL FROM:<eleve@virtualux.fr>", "250 2.1.0 Ok")?;
        talk.say("RCPT TO:<personne@virtualux.fr>", "550 5.1.1")?;
        talk.say("RCPT TO:<titi@virtualux.fr>", "250 2.1.5 Ok")?;
        talk.say("DATA", "354")?;
        talk.say("Subject: par telnet\r\n\r\nBonjour\r\n.", "250 2.0.0 Ok: queued as")?;
        talk.say("QUIT", "221")?;
        self.wait("the message by SMTP", || self.lab.mailbox("titi").contains("Subject: par telnet"))?;
        self.proved("a client's mail for titi@virtualux.fr arrived; a stranger's name was refused at once")?;
        self.title("POP3, as telnet shows it")?;
        let before = self.lab.mailbox("toto");
        let mut talk = Talk::open(pop3)?;
        talk.hear("+OK")?;
        talk.say("USER toto", "+OK")?;
        talk.say("PASS toto", "+OK Logged in.")?;
        talk.say("STAT", "+OK 2 ")?;
        talk.say_lines("RETR 1", "Bonjour de eleve")?;
        talk.say("QUIT", "+OK Logging out.")?;
        ensure!(self.lab.mailbox("toto") == before, "reading by POP3 should change no byte");
        self.proved("toto's mail can be fetched, and stays as it was")?;
        let mut talk = Talk::open(pop3)?;
        talk.hear("+OK")?;
        talk.say("USER toto", "+OK")?;
        talk.say("PASS wrong", "-ERR")?;
        self.proved("a wrong password is refused")
    }

    fn watch(&mut self) -> Result<()> {
        self.title("What the log says")?;
        let report = self.run("eleve", "pflogsumm log/mail.log")?;
        ensure!(
            report.contains("Grand Totals") && report.contains("   received\n") && report.contains("   delivered\n"),
            "no report"
        );
        self.proved("pflogsumm counts what was received, delivered and bounced")
    }
}

/// A conversation line by line, printed as it goes.
struct Talk {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl Talk {
    fn open(port: u16) -> Result<Talk> {
        writeln!(io::stdout(), "eleve$ telnet 127.0.0.1 {port}")?;
        let output = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("connect to port {port}"))?;
        output.set_read_timeout(Some(PATIENCE))?;
        Ok(Talk { input: BufReader::new(output.try_clone()?), output })
    }

    /// Reads a reply (all its lines); it must begin with `wanted`.
    fn hear(&mut self, wanted: &str) -> Result<()> {
        loop {
            let line = self.read_line()?;
            ensure!(line.starts_with(wanted), "expected {wanted}, got {line}");
            // SMTP's replies go on while the fourth character is a hyphen.
            if line.as_bytes().get(3) != Some(&b'-') || !line.as_bytes()[0].is_ascii_digit() {
                return Ok(());
            }
        }
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.input.read_line(&mut line)? > 0, "the server closed the connection");
        let line = line.trim_end().to_owned();
        writeln!(io::stdout(), "   {line}")?;
        Ok(line)
    }

    fn say(&mut self, line: &str, wanted: &str) -> Result<()> {
        for part in line.split("\r\n") {
            writeln!(io::stdout(), "   > {part}")?;
        }
        self.output.write_all(format!("{line}\r\n").as_bytes())?;
        self.hear(wanted)
    }

    /// A POP3 command with a reply of many lines, one of which must be `wanted`.
    fn say_lines(&mut self, line: &str, wanted: &str) -> Result<()> {
        self.say(line, "+OK")?;
        let mut found = false;
        loop {
            let line = self.read_line()?;
            found |= line.contains(wanted);
            if line == "." {
                break;
            }
        }
        ensure!(found, "the reply should hold {wanted:?}");
        Ok(())
    }
}
