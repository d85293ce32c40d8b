//! mail(1) as a black box: each story runs in a home of its own, with a mailbox of four messages and a sendmail that
//! writes down what it was given. `UNDER_TEST=reference` runs the stories that the reference shares on
//! /usr/bin/mail.mailutils.

#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const REFERENCE: &str = "/usr/bin/mail.mailutils";

fn on_reference() -> bool {
    std::env::var("UNDER_TEST").is_ok_and(|value| value == "reference")
}

/// A home with a mailbox and a sendmail of its own.
struct Home {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
    /// Variables of the environment that are not there.
    unset: Vec<String>,
}

/// What a run left.
#[derive(Debug)]
struct Outcome {
    out: String,
    err: String,
    status: i32,
}

fn message(from: &str, subject: &str, body: &str, date: &str, more: &str) -> String {
    format!(
        "From {from}  {date}\nReturn-Path: <{from}>\nReceived: by vm\n\tid 1; x\nTo: toto@vm\nSubject: {subject}\n\
         Date: Tue, 24 Nov 2026 10:05:15 +0000\nMessage-Id: <{}@vm>\nFrom: {from}\n{more}\n{body}\n\n",
        subject.split(' ').next().unwrap()
    )
}

fn four_messages() -> String {
    let day = "Tue Nov 24 10:05:15 2026";
    message("titi@vm", "bonjour toto", "Salut toto,\nceci est un essai.", day, "")
        + &message(
            "eleve@vm",
            "deuxieme message avec un sujet tres long qui depasse",
            "deux\nlignes",
            "Mon Nov  2 09:00:00 2026",
            "",
        )
        + &message("Jean Dupont <jean@example.org>", "=?utf-8?Q?H=C3=A9t=C3=A9rog=C3=A8ne?=", "corps", day, "")
        + &message("root@vm", "re x", "lu", day, "Status: RO\n")
}

impl Home {
    fn new() -> Home {
        let home = Home { dir: tempfile::tempdir().unwrap(), variables: Vec::new(), unset: Vec::new() };
        home.write("box", &four_messages());
        let script = format!(
            "#!/bin/sh\n{{ printf 'ARGV'; for a in \"$@\"; do printf ' [%s]' \"$a\"; done; echo; cat; echo '--END'; }} >> {}/sent\n",
            home.path("").display()
        );
        home.write("sendmail", &script);
        std::fs::set_permissions(home.path("sendmail"), std::fs::Permissions::from_mode(0o755)).unwrap();
        home.write(
            ".mailrc",
            &format!(
                "set sendmail=sendmail:{}\nset ask askcc append dot save\nignore Received Message-Id Status Return-Path Via Delivered-To\n",
                home.path("sendmail").display()
            ),
        );
        home
    }

    fn with(mut self, name: &str, value: &str) -> Home {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read(self.path(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command =
            if on_reference() { Command::new(REFERENCE) } else { Command::new(env!("CARGO_BIN_EXE_pillarbox")) };
        std::os::unix::process::CommandExt::arg0(&mut command, "mail");
        command.args([OsStr::new("-n")]).args(args).current_dir(self.dir.path()).env_clear();
        command
            .env("HOME", self.dir.path())
            .env("MAIL", self.path("box"))
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "dumb")
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8");
        command.envs(self.variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.unset.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Outcome {
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Outcome {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code().unwrap_or(-1),
        }
    }

    /// What sendmail was given, dates and programs' names made equal.
    fn sent(&self) -> String {
        let mut text = String::new();
        for line in self.read("sent").lines() {
            let line = if line.starts_with("User-Agent: ") {
                "User-Agent: X"
            } else if line.starts_with("Date: ") {
                "Date: X"
            } else {
                line
            };
            // The sender is user@host of whoever runs the tests.
            let line = line.split(" [-f] ").next().map_or(line.to_owned(), |head| {
                if line.starts_with("ARGV") { format!("{head} [-t]") } else { line.to_owned() }
            });
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

/// Commands, and what they print on standard output.
fn reading(commands: &str, expected: &str) {
    let home = Home::new();
    let outcome = home.run(&["-N"], commands);
    assert_eq!(outcome.out, expected, "{commands:?}: {outcome:?}");
}

/// Commands, and the complaint.
fn complaint(commands: &str, expected: &str) {
    let outcome = Home::new().run(&["-N"], commands);
    assert_eq!(outcome.err, expected, "{commands:?}: {outcome:?}");
}

const LINE1: &str = "N   1 titi@vm            Tue Nov 24 10:05  11/191   bonjour toto\n";
const LINE2: &str = "N   2 eleve@vm           Mon Nov  2 09:00  11/215   deuxieme message avec un \n";
const LINE3: &str = "N   3 Jean Dupont        Tue Nov 24 10:05  10/267   Hétérogène\n";
const LINE4: &str = "    4 root@vm            Tue Nov 24 10:05  11/161   re x\n";
const SHOWN1: &str = "To: toto@vm\nSubject: bonjour toto\nDate: Tue, 24 Nov 2026 10:05:15 +0000\nFrom: titi@vm\n\nSalut toto,\nceci est un essai.\n";
const SHOWN4: &str = "To: toto@vm\nSubject: re x\nDate: Tue, 24 Nov 2026 10:05:15 +0000\nFrom: root@vm\n\nlu\n";

#[test]
fn the_first_screen_and_leaving_at_the_end_of_input() {
    let home = Home::new();
    let outcome = home.run(&[], "");
    let name = home.path("box");
    let expected = format!(
        "\"{0}\": 4 messages 3 new\n>{LINE1} {LINE2} {LINE3} {LINE4}\nHeld 4 messages in {0}\n",
        name.display()
    );
    assert_eq!(outcome.out, expected);
    assert_eq!(outcome.status, 0);
}

#[test]
fn message_lists() {
    for (list, lines) in [
        ("1-2", vec![1, 2]),
        ("1,3", vec![1, 3]),
        ("1 3", vec![1, 3]),
        ("3 1", vec![3, 1]),
        ("*", vec![1, 2, 3, 4]),
        (":n", vec![1, 2, 3]),
        (":r", vec![4]),
        (":o", vec![4]),
        (":u", vec![1, 2, 3]),
        ("/toto/", vec![1]),
        ("titi@vm", vec![1]),
        (".", vec![1]),
        ("$", vec![4]),
        ("^", vec![1]),
        ("{1 3}", vec![1, 3]),
        ("from:/titi/", vec![1]),
        ("subject:/essage/", vec![2]),
        ("3-4", vec![3, 4]),
    ] {
        let all = [LINE1, LINE2, LINE3, LINE4];
        let expected: String =
            lines.iter().map(|&n| format!("{}{}", if n == 1 { ">" } else { " " }, all[n - 1])).collect();
        reading(&format!("f {list}\nx\n"), &expected);
    }
}

#[test]
fn message_lists_that_are_none() {
    for (command, say) in [
        ("t 9", "mail: 9: invalid message number\n"),
        ("t 0", "mail: No applicable messages\n"),
        ("f :d", "mail: No messages satisfy :d\n"),
        ("f :t", "mail: No messages satisfy :t\n"),
        ("f :x", "mail: f: unknown message type near end\n"),
        ("f *:n", "mail: f: syntax error near end\n"),
        ("f nobody", "mail: No applicable messages from {nobody}\n"),
        ("f /zz/", "mail: No applicable messages from {/zz}\n"),
        ("t 4-2", "mail: t: range error near end\nmail: No applicable messages\n"),
        ("foo", "mail: Unknown command: foo\n"),
        ("1 3", "mail: Unknown command: 1\n"),
        ("zzz", "mail: Bad arguments for the scrolling command\n"),
        ("d 1\nd 1", "mail: 1: Inappropriate message (has been deleted)\n"),
        ("reply 1 2", "mail: Can't reply to multiple messages at once\n"),
        ("fi #", "mail: No previous file\n"),
        ("folders", "mail: No value set for \"folder\"\n"),
        ("else", "mail: else without matching if\n"),
        ("endif", "mail: endif without matching if\n"),
        ("if", "mail: if requires an argument: s | r | t\n"),
        ("if q", "mail: Valid if arguments are: s | r | t\n"),
        ("source", "mail: source requires a single argument\n"),
        ("alias nn", "mail: \"nn\": not a group\n"),
        ("-", "mail: No applicable message\n"),
    ] {
        complaint(&format!("{command}\nx\n"), say);
    }
}

#[test]
fn showing_messages() {
    reading("t 1\nx\n", SHOWN1);
    reading("p 4\n=\nx\n", &format!("{SHOWN4}4\n"));
    reading("1\nx\n", SHOWN1);
    reading("$\nx\n", SHOWN4);
    reading("n\n=\nx\n", &format!("{SHOWN1}1\n"));
    reading("t 1\nh\nx\n", &format!("{SHOWN1}>R{} {LINE2} {LINE3} {LINE4}", &LINE1[1..]));
    reading("si 1 2\nx\n", "> 1  11/191  \n  2  11/215  \n");
    reading("to 1\nx\n", "Return-Path: <titi@vm>\nReceived: by vm\n\tid 1; x\nTo: toto@vm\nSubject: bonjour toto\n");
    reading("st 1\nx\n", "1                text/plain                 191\n");
}

#[test]
fn every_field_and_chosen_fields() {
    let home = Home::new();
    assert!(
        home.run(&["-N"], "P 1\nx\n")
            .out
            .starts_with("Return-Path: <titi@vm>\nReceived: by vm\n\tid 1; x\nTo: toto@vm\n")
    );
    let home = Home::new();
    assert_eq!(
        home.run(&["-N"], "retain subject\nt 1\nx\n").out,
        "Subject: bonjour toto\n\nSalut toto,\nceci est un essai.\n"
    );
    let home = Home::new();
    assert_eq!(
        home.run(&["-N"], "ignore to date from\nt 1\nx\n").out,
        "Subject: bonjour toto\n\nSalut toto,\nceci est un essai.\n"
    );
}

#[test]
fn deleting_moves_on_and_undelete_takes_back() {
    reading("d\nf *\nx\n", &format!(">{LINE2} {LINE3} {LINE4}"));
    reading("d 3\nf *\nx\n", &format!(">{LINE1} {LINE2} {LINE4}"));
    reading("d *\nu 2\nf *\nx\n", &format!(">R{}", &LINE2[1..]));
}

#[test]
fn quitting_saves_what_was_read_and_holds_the_rest() {
    let home = Home::new();
    let outcome = home.run(&["-N"], "t 1\nd 2\nq\n");
    let expected = format!(
        "{SHOWN1}Saved 1 message in {}\nHeld 2 messages in {}\n",
        home.path("mbox").display(),
        home.path("box").display()
    );
    assert_eq!(outcome.out, expected);
    let (mbox, rest) = (home.read("mbox"), home.read("box"));
    assert!(mbox.starts_with("From titi@vm Tue Nov 24 10:05:15 2026\n") && mbox.contains("\nStatus: R\n"), "{mbox}");
    assert!(
        rest.contains("jean@example.org") && !rest.contains("bonjour toto") && !rest.contains("deuxieme"),
        "{rest}"
    );
    assert_eq!(std::fs::metadata(home.path("mbox")).unwrap().permissions().mode() & 0o777, 0o600);
    // The second time they are no news.
    assert!(home.run(&["-H"], "").out.contains("U   1 Jean Dupont"));
}

#[test]
fn marks_decide_where_messages_go() {
    for (commands, saved, held) in [
        ("hold 1\nt 1\nt 4\nq\n", 1, 3),
        ("touch 1\nq\n", 1, 3),
        ("mb 3\nq\n", 1, 3),
        ("set hold\nt *\nq\n", 0, 4),
        ("t *\nq\n", 4, 0),
        ("w 1 ww\nq\n", 0, 3),
        ("s 1 sv\nq\n", 0, 3),
        ("c 1 cp\nq\n", 0, 4),
    ] {
        let home = Home::new();
        let out = home.run(&["-N"], commands).out;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        assert!(
            out.ends_with(&format!("Held {held} message{} in {}\n", plural(held), home.path("box").display())),
            "{commands:?}: {out}"
        );
        assert_eq!(
            out.contains(&format!("Saved {saved} message{} in ", plural(saved))),
            saved > 0,
            "{commands:?}: {out}"
        );
        assert_eq!(home.read("mbox").matches("\nSubject: ").count(), saved, "{commands:?}");
        assert_eq!(home.read("box").matches("\nSubject: ").count(), held, "{commands:?}");
    }
}

#[test]
fn raw_is_byte_for_byte() {
    if on_reference() {
        return eprintln!("skipped: a command of ours");
    }
    let home = Home::new();
    let message = "Subject: =?utf-8?q?=C3=A9?=\nX: \u{1b}[2J\n\n\u{1b}]0;t\u{7}body\n";
    home.write("m", &format!("From a@b Tue Nov 24 10:05:15 2026\n{message}\n"));
    assert_eq!(home.run(&["-N", "-f", "m"], "raw\nx\n").out, message);
    let (shown, _) = at_terminal(&home, &["-N", "-f", "m"], &["raw\n", "x\n"]);
    assert!(shown.replace('\r', "").contains(message), "{shown:?}");
}

#[test]
fn options_of_s_nail_where_the_value_tells() {
    if on_reference() {
        return eprintln!("skipped: options of another mail");
    }
    let home = Home::new();
    home.write("page", "<p>h</p>\n");
    home.write("rest", "rest\n");
    let rest = home.path("rest").display().to_string();
    assert_eq!(home.run(&["-M", "text/html", "-s", "s", "toto"], "<p>h</p>\n").status, 0);
    assert!(home.sent().contains("\nContent-Type: text/html; charset=UTF-8\n"), "{}", home.sent());
    assert_eq!(home.run(&["-q", &rest, "-s", "s", "toto"], "and more\n").status, 0);
    assert!(home.sent().contains("\n\nrest\nand more\n--END\n"), "{}", home.sent());
    let outcome = home.run(&["-a", "/nowhere/report.pdf", "-s", "s", "toto"], "body\n");
    let err = "mail: -a /nowhere/report.pdf: a header line in mailutils and bsd-mailx, a file in s-nail, and this is neither\n";
    assert_eq!((outcome.err.as_str(), outcome.status), (err, 1));
    assert_eq!(home.sent().matches("--END").count(), 2);
}

#[test]
fn a_verbose_delivery_tells_its_steps() {
    let home = Home::new();
    let outcome = home.run(&["-E", "set verbose", "-r", "a@b", "-s", "s", "toto"], "body\n");
    let path = home.path("sendmail").display().to_string();
    let err: Vec<_> =
        outcome.err.lines().filter(|line| !line.contains("User-Agent: ") && !line.contains("Date: ")).collect();
    let expected = format!(
        "mail: sendmail binary: {path}\nmail: exec {path} argv: {path} -oi -f a@b -t\nmail: Sending headers...\n\
         mail: Header: Subject: s\nmail: Header: To: toto\nmail: Header: \nmail: Sending body...\n\
         mail: {path} exited with: 0"
    );
    assert_eq!(err.join("\n"), expected);
    if on_reference() {
        return;
    }
    // What sendmail says is heard when it fails, and only then.
    let script = "#!/bin/sh\ncat >/dev/null\necho spoke\necho why >&2\nexit $(cat status)\n";
    home.write("sendmail", script);
    for (status, err) in [("0", ""), ("1", "why\nmail: cannot send message: Process exited with a non-zero status\n")] {
        home.write("status", status);
        let outcome = home.run(&["-s", "s", "toto"], "body\n");
        assert_eq!((outcome.out.as_str(), outcome.err.as_str()), ("", err));
    }
}

#[test]
fn exit_changes_nothing_and_neither_does_looking() {
    if on_reference() {
        return eprintln!("skipped: the reference writes Status lines here");
    }
    let home = Home::new();
    for (args, input) in [(vec!["-N"], "t *\nd *\nx\n"), (vec!["-p"], ""), (vec!["-e"], "")] {
        assert_eq!(home.run(&args, input).status, 0);
        assert_eq!(home.read("box"), four_messages(), "{args:?}");
    }
}

#[test]
fn a_summary_never_writes() {
    if on_reference() {
        return eprintln!("skipped: the reference rewrites the mailbox here");
    }
    let home = Home::new();
    home.run(&["-H"], "");
    assert_eq!(home.read("box"), four_messages());
}

#[test]
fn saving_copying_and_writing() {
    let home = Home::new();
    let out = home.run(&["-N"], "s 1 sv\nc 1 cp\nw 3 wf\nS 1\nC 2\nx\n").out;
    let dir = std::fs::canonicalize(home.path("")).unwrap();
    let line = |name: &str, size: &str| format!("\"{}\" {size}\n", dir.join(name).display());
    let expected = line("sv", " 13/230  ")
        + &line("cp", " 13/230  ")
        + &line("wf", "  1/6    ")
        + &line("titi", " 13/230  ")
        + &line("eleve", " 13/255  ");
    assert_eq!(out, expected);
    assert_eq!(home.read("wf"), "corps\n");
    assert!(home.read("sv").starts_with("From titi@vm Tue Nov 24"));
}

#[test]
fn no_mail_and_its_statuses() {
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let home = Home::new();
    home.write("empty", "");
    let empty = home.path("empty").display().to_string();
    let home = home.with("MAIL", &empty);
    let outcome = home.run(&[], "");
    assert_eq!((outcome.out, outcome.status), (format!("No mail for {user}"), 1));
    assert_eq!(home.run(&["-e"], "").status, 1);
    let outcome = home.run(&["-f", "empty"], "");
    assert_eq!((outcome.out, outcome.status), (format!("\"{empty}\": 0 messages\n"), 1));
}

#[test]
fn a_mailbox_that_is_not_there() {
    if on_reference() {
        return eprintln!("skipped: the reference makes the file where it can");
    }
    let home = Home::new();
    let missing = home.path("missing").display().to_string();
    let home = home.with("MAIL", &missing);
    // One's own mailbox that one could make is empty; it is not made for that.
    let outcome = home.run(&[], "");
    assert_eq!((outcome.err.as_str(), outcome.status), ("", 1));
    assert!(outcome.out.starts_with("No mail for ") && !home.path("missing").exists(), "{outcome:?}");
    let outcome = home.run(&["-f", "missing"], "");
    assert_eq!((outcome.out, outcome.err.as_str(), outcome.status), (format!("\"{missing}\": 0 messages\n"), "", 1));
    assert!(!home.path("missing").exists());
    // Where it could not be made either, it is told.
    let outcome = home.run(&["-f", "no/box"], "");
    let shown = home.path("no/box").display().to_string();
    assert_eq!(outcome.err, format!("mail: Cannot open mailbox {shown}: No such file or directory\n"));
    assert_eq!((outcome.out.as_str(), outcome.status), ("\"\": 0 messages\n", 1));
    let home = home.with("LC_ALL", "fr_FR.UTF-8");
    let french = home.run(&["-f", "no/box"], "");
    assert_eq!(
        french.err,
        format!("mail: Impossible d'ouvrir la boîte aux lettres {shown}\u{a0}: Aucun fichier ou dossier de ce type\n")
    );
    let french = home.run(&[], "");
    assert!(french.out.starts_with("Pas de courrier pour "), "{french:?}");
}

#[test]
fn letters_have_their_header_in_the_known_order() {
    for (args, input, expected) in [
        (vec!["-s", "sujet", "toto"], "corps\n", "Subject: sujet\nTo: toto\nUser-Agent: X\nDate: X\n\ncorps\n"),
        (vec!["toto", "-s", "x"], "c", "Subject: x\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n"),
        (vec!["a@b.c"], "c\n", "To: <a@b.c>\nUser-Agent: X\nDate: X\n\nc\n"),
        (vec!["-s", "x", "A B <a@b.c>"], "c\n", "Subject: x\nTo: \"A B\" <a@b.c>\nUser-Agent: X\nDate: X\n\nc\n"),
        (vec!["-s", "x", "toto"], "~s y\n~~\n", "Subject: x\nTo: toto\nUser-Agent: X\nDate: X\n\n~s y\n~~\n"),
        (
            vec!["-a", "X-T: 1", "-a", "From: me@x", "-s", "x", "toto"],
            "c\n",
            "X-T: 1\nFrom: me@x\nSubject: x\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n",
        ),
        (vec!["-s", "x", "-a", "Cc: k", "toto"], "c\n", "Subject: x\nCc: k\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n"),
        (vec!["-E", "set nouseragent", "-s", "x", "toto"], "c\n", "Subject: x\nTo: toto\nDate: X\n\nc\n"),
        (
            vec!["-E", "alias toto a@b, c@d", "-s", "k", "toto"],
            "c\n",
            "Subject: k\nTo: <a@b>,<c@d>\nUser-Agent: X\nDate: X\n\nc\n",
        ),
        (
            vec!["--subject=k", "--append=X: y", "-i", "toto"],
            "c\n",
            "Subject: k\nX: y\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n",
        ),
        (
            vec!["-t"],
            "To: a@b\nCc: c@d\nBcc: e@f\nSubject: hi\n\nbody\n",
            "To: <a@b>\nCc: <c@d>\nBcc: <e@f>\nSubject: hi\nUser-Agent: X\nDate: X\n\nbody\n",
        ),
        (
            vec!["-t", "x@y", "-s", "other"],
            "To: a@b\nSubject: hi\n\nbody\n",
            "To: <a@b>\nSubject: other\nUser-Agent: X\nDate: X\n\nbody\n",
        ),
        (
            vec!["-s", "x", "--mime", "toto"],
            "c\n",
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nSubject: x\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n",
        ),
        (
            vec!["-s", "x", "--content-type=text/html", "toto"],
            "c\n",
            "MIME-Version: 1.0\nContent-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nSubject: x\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n",
        ),
    ] {
        let home = Home::new();
        let outcome = home.run(&args, input);
        assert_eq!(home.sent(), format!("ARGV [-oi] [-t]\n{expected}--END\n"), "{args:?}: {outcome:?}");
        assert_eq!((outcome.status, outcome.out.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn senders_of_letters() {
    for (args, sender) in [
        (vec!["-r", "me@x.y", "toto"], "[-f] [me@x.y]"),
        (vec!["-a", "From: you@x", "toto"], "[-f] [you@x]"),
        (vec!["-E", "set return-address=z@z", "toto"], "[-f] [z@z]"),
    ] {
        let home = Home::new();
        home.run(&args, "c\n");
        assert!(home.read("sent").contains(sender), "{args:?}: {}", home.read("sent"));
    }
}

#[test]
fn letters_that_are_not_sent() {
    for (args, input, say) in [
        (vec!["-s", "x", "-A", "/nonexistent", "toto"], "c\n", "mail: /nonexistent: file does not exist\n"),
        (vec!["-s", "k", "-E", "set nonullbody", "toto"], "", ""),
        (vec!["-t"], "nothing\n", "mail: 1: not a header line\nmail: Errors parsing message\n"),
        (vec!["-Z"], "", "mail: unrecognized option '-Z'\n"),
        (vec!["-s"], "", "mail: option '-s' requires an argument\n"),
        (vec!["--attach"], "", "mail: option '--attach' requires an argument\n"),
        (vec!["--headers=3"], "", "mail: option '--headers' doesn't allow an argument\n"),
        (vec!["-f", "a", "b"], "", "mail: -f requires at most one command line argument\n"),
        (vec!["-u", "root", "-s", "x"], "", "mail: No recipients specified\n"),
    ] {
        let home = Home::new();
        let outcome = home.run(&args, input);
        assert_eq!((outcome.err.as_str(), outcome.status), (say, 1), "{args:?}: {outcome:?}");
        assert_eq!(home.sent(), "", "{args:?}");
    }
}

#[test]
fn an_empty_letter_is_sent_with_a_word() {
    let home = Home::new();
    let outcome = home.run(&["-s", "vide", "toto"], "");
    assert_eq!((outcome.err.as_str(), outcome.status), ("mail: Null message body; hope that's ok\n", 0));
    assert!(home.sent().contains("Subject: vide\n"));
    let french = Home::new().with("LC_ALL", "fr_FR.UTF-8").run(&["-s", "vide", "toto"], "");
    if !on_reference() {
        assert_eq!(french.err, "mail: Corps du message vide; en espérant que cela soit correct\n");
    }
}

#[test]
fn attachments() {
    let home = Home::new();
    home.write("pj.txt", "piece\n");
    home.run(&["-s", "att", "-A", "pj.txt", "toto"], "c\n");
    let sent = home.sent();
    for part in [
        "\nContent-Type: multipart/mixed; boundary=\"",
        "\nContent-Type: text/plain; charset=UTF-8\nContent-Disposition: inline\nContent-Transfer-Encoding: 8bit\n",
        "\nContent-Type: application/octet-stream; name=\"pj.txt\"\nContent-Disposition: attachment; filename=\"pj.txt\"\nContent-Transfer-Encoding: base64\n",
        "\n\ncGllY2UK\n",
    ] {
        assert!(sent.contains(part), "{part}: {sent}");
    }
}

#[test]
fn answers() {
    let home = Home::new();
    let outcome = home.run(&["-N"], "r 1\nbody\n.\nR 2\nbody2\n.\nF 1 2\nb3\n.\nx\n");
    assert_eq!(
        outcome.out,
        "To: <titi@vm>,<toto@vm>\nSubject: Re: bonjour toto\n\n\
         To: <eleve@vm>\nSubject: Re: deuxieme message avec un sujet tres long qui depasse\n\n\
         To: <titi@vm>,<eleve@vm>\nSubject: Re: bonjour toto\n\n"
    );
    assert!(home.sent().starts_with(
        "ARGV [-oi] [-t]\nTo: <titi@vm>,<toto@vm>\nSubject: Re: bonjour toto\n\
         In-Reply-To: Your message of Tue, 24 Nov 2026 10:05:15 +0000\n\t<bonjour@vm>\nReferences: <bonjour@vm>\n"
    ));
}

#[test]
fn settings_and_words() {
    let home = Home::new();
    let out = home.run(&["-N"], "echo a b  \"c d\"\necho $HOME\nx\n").out;
    assert_eq!(out, format!("a b c d\n{}\n", home.path("").display().to_string().trim_end_matches('/')));
    reading("alias a b c\nalias a\nalt x y\nalt\nsender\nx\n", "a    b c \nx y \nmail-followup-to\nreply-to\nfrom\n");
    reading(
        "if r\necho yes\nelse\necho no\nendif\nif s\necho no\nelse\necho yes\nendif\nif t\necho no\nendif\nx\n",
        "yes\nyes\n",
    );
    reading("? t\n? foo\nx\n", "t[ype] [msglist]\nUnknown command: foo\n");
    reading("!echo hi\nsh echo hey\npipe 1 \"grep -c essai\"\nx\n", "hi\nhey\n1\n");
    reading(
        "set headline=\"%a|%3m|%-10f|%L|%s\"\nf 1 3\nx\n",
        "N|  1|titi@vm   |11|bonjour toto\nN|  3|Jean Dupon|10|Hétérogène\n",
    );
}

/// Stories that the reference would not survive or does not tell.
fn ours_only() -> bool {
    if on_reference() {
        eprintln!("skipped: not a story of the reference");
    }
    !on_reference()
}

#[test]
fn a_message_without_a_body_is_a_message() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    let from = "From titi@vm  Tue Nov 24 10:07:19 2026\n";
    let text = format!("{from}Subject: vide\nFrom: titi@vm\n\n{from}Subject: apres\nFrom: titi@vm\n\ncorps");
    home.write("box", &text);
    assert_eq!(home.run(&["-H"], "").out.lines().count(), 2);
    assert_eq!(home.read("box"), text);
    let outcome = home.run(&["-N"], "d 1\nq\n");
    assert!(outcome.out.starts_with("Held 1 message in "), "{outcome:?}");
    assert_eq!(home.read("box"), format!("{from}Subject: apres\nFrom: titi@vm\nStatus: O\n\ncorps"));
}

#[test]
fn quoted_lines_are_read_as_they_were_written() {
    let home = Home::new();
    home.write("box", &message("a@b", "q", ">From here\n>>From there\n> From", "Tue Nov 24 10:05:15 2026", ""));
    assert!(home.run(&["-N"], "t 1\nx\n").out.ends_with("\n\nFrom here\n>From there\n> From\n"));
}

#[test]
fn crlf_mailboxes_are_read_and_rewritten_as_they_are() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    home.write("box", &four_messages().replace('\n', "\r\n"));
    assert_eq!(home.run(&["-H"], "").out.lines().count(), 4);
    home.run(&["-N"], "d 2-4\nq\n");
    let expected = four_messages()
        .split("From eleve")
        .next()
        .unwrap()
        .replace("From: titi@vm\n\n", "From: titi@vm\nStatus: O\n\n");
    assert_eq!(home.read("box"), expected.replace('\n', "\r\n"));
}

#[test]
fn maildirs_are_read_and_changed_too() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    for part in ["Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        std::fs::create_dir_all(home.path(part)).unwrap();
    }
    home.write("Maildir/new/1.a.h", "From: a@b\nSubject: un\n\n>From x\n");
    home.write("Maildir/new/2.b.h", "From: a@b\nSubject: deux\n\ndeux\n");
    let outcome = home.run(&["-N", "-f", "Maildir"], "t 1\nd 2\nq\n");
    assert!(outcome.out.starts_with("From: a@b\nSubject: un\n\n>From x\nHeld 1 message in "), "{outcome:?}");
    assert!(home.path("Maildir/cur/1.a.h:2,S").exists() && !home.path("Maildir/new/2.b.h").exists());
}

#[test]
fn what_is_no_mailbox_is_left_alone() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    home.write("notes", "dear diary\nFrom now on\n");
    let outcome = home.run(&["-f", "notes"], "d *\nq\n");
    assert_eq!(outcome.status, 1);
    assert_eq!(home.read("notes"), "dear diary\nFrom now on\n");
}

#[test]
fn nothing_gets_into_a_header_or_a_command_line() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    home.run(&["-s", "a\nBcc: x@y", "-a", "X-A: b\nX-C: d", "toto"], "c\n");
    assert_eq!(
        home.sent(),
        "ARGV [-oi] [-t]\nSubject: a Bcc: x@y\nX-A: b X-C: d\nTo: toto\nUser-Agent: X\nDate: X\n\nc\n--END\n"
    );
    for recipient in ["|touch pwned", "/tmp/../pwned", "\"|touch pwned\""] {
        let home = Home::new();
        let outcome = home.run(&["-s", "x", recipient], "c\n");
        assert_eq!((outcome.status, home.sent().as_str()), (1, ""), "{outcome:?}");
        assert!(!home.path("pwned").exists());
    }
    let home = Home::new();
    home.run(&["-s", "x", "--", "-bs@x", "-OQueueDirectory=/tmp"], "c\n");
    assert!(
        home.sent().starts_with("ARGV [-oi] [-t]\nSubject: x\nTo: <-bs@x>,<-OQueueDirectory=/tmp@"),
        "{}",
        home.sent()
    );
}

#[test]
fn escapes_in_a_pipe_are_text() {
    let home = Home::new();
    home.run(&["-s", "x", "toto"], "~!touch pwned\n~r /etc/passwd\n");
    assert!(home.sent().contains("\n\n~!touch pwned\n~r /etc/passwd\n--END"));
    assert!(!home.path("pwned").exists());
}

#[test]
fn other_alphabets_are_mime_by_themselves() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    home.run(&["-s", "Sujet é", "toto"], "accent é\n");
    assert_eq!(
        home.sent(),
        "ARGV [-oi] [-t]\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\
         Subject: =?UTF-8?B?U3VqZXQgw6k=?=\nTo: toto\nUser-Agent: X\nDate: X\n\naccent é\n--END\n"
    );
}

#[test]
fn mime_messages_are_shown_as_text() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    let parts = "Content-Type: multipart/mixed; boundary=x\n";
    let body = "pre\n--x\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ncaf=E9\n\
                --x\nContent-Type: application/pdf; name=f.pdf\nContent-Transfer-Encoding: base64\n\nAAEC\n--x--";
    home.write("box", &message("a@b", "multi", body, "Tue Nov 24 10:05:15 2026", parts));
    let out = home.run(&["-N"], "retain subject\nt 1\nst 1\nw 1[2] f.pdf\nx\n").out;
    assert!(
        out.starts_with(
            "Subject: multi\n\ncafé\n[2] f.pdf (application/pdf, 3)\n1.1              text/plain; charset=iso-8859-1 "
        ),
        "{out}"
    );
    assert_eq!(std::fs::read(home.path("f.pdf")).unwrap(), [0, 1, 2]);
    let html = "Content-Type: text/html; charset=utf-8\n";
    home.write(
        "box",
        &message(
            "a@b",
            "html",
            "<p>Bonjour &amp; <b>merci</b></p><script>x</script>",
            "Tue Nov 24 10:05:15 2026",
            html,
        ),
    );
    assert!(home.run(&["-N"], "t 1\nx\n").out.ends_with("\n\nBonjour & merci\n"));
}

#[test]
fn the_dialects_of_other_mails() {
    if !ours_only() {
        return;
    }
    for (args, expected) in [
        (vec!["-s", "x", "-c", "eleve", "-b", "titi", "toto"], "Subject: x\nCc: eleve\nBcc: titi\nTo: toto\n"),
        (vec!["-s", "x", "-E", "toto"], "Subject: x\nTo: toto\n"),
        (vec!["-E", "set escape", "-s", "x", "toto"], "Subject: x\nTo: toto\n"),
        (vec!["-S", "nouseragent", "-s", "x", "toto"], "Subject: x\nTo: toto\n"),
    ] {
        let home = Home::new();
        let outcome = home.run(&args, "c\n");
        assert!(
            home.sent().starts_with(&format!("ARGV [-oi] [-t]\n{expected}")),
            "{args:?} {outcome:?} {}",
            home.sent()
        );
    }
    let home = Home::new();
    assert_eq!(home.run(&["-E", "-s", "x", "toto"], "").status, 0);
    assert_eq!(home.sent(), "", "-E before another option: no empty letters");
    let home = Home::new();
    home.run(&["-s", "x", "toto", "--", "-f", "me@x"], "c\n");
    assert!(home.read("sent").starts_with("ARGV [-oi] [-f] [me@x] [-t]\nSubject: x\nTo: toto\n"));
    let home = Home::new();
    home.write("f.txt", "file\n");
    home.run(&["-s", "x", "-a", "f.txt", "toto"], "c\n");
    assert!(home.sent().contains("filename=\"f.txt\""), "-a of a file attaches it");
}

/// What frm(1) and from(1) list, told on either.
#[test]
fn frm_and_from_name_senders() {
    let home = Home::new();
    let day = "Tue Nov 24 10:05:15 2026";
    let from = |from: &str, to: &str, more: &str| format!("From a@b  {day}\nFrom: {from}\nTo: {to}\n{more}\nbody\n\n");
    let letters = [
        from("Jean Dupont <jean@example.org>, x@y", "toto@vm, Titi <titi@vm>", "Subject: one\nStatus: R\n"),
        from("<a.b@c.example>", "Un Eleve <eleve@vm>, titi@vm", ""),
        from("list: a@b, c@d;", "<q@r>", "Subject: \nStatus: O\n"),
        from("daemon@vm (Mail System)", "x@y", "Subject: two\nStatus: OR\n"),
    ];
    home.write("box", &letters.concat());
    let said = |program: &str, args: &[&str]| {
        let path = if on_reference() { format!("/usr/bin/{program}.mailutils").into() } else { home.path(program) };
        if !on_reference() {
            let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pillarbox"), &path);
        }
        let mut command = Command::new(path);
        let mail = home.command(&[]);
        command.args(args).current_dir(home.dir.path()).env_clear();
        command.envs(mail.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).replace(".mailutils", "");
        format!("{}{err}{}", String::from_utf8_lossy(&output.stdout), output.status.code().unwrap())
    };
    let all = "Jean Dupont\tone\n<a.b@c.example>\nlist: a@b, c@d;\t\nMail System\ttwo\n";
    assert_eq!(said("frm", &["box"]), format!("{all}1"));
    assert_eq!(said("from", &[]), format!("{all}0"));
    assert_eq!(
        said("frm", &["-l", "box"]),
        "(toto@vm, Titi <titi@vm>)\tJean Dupont\tone\n(Un Eleve)\t<a.b@c.example>\n\
         (<q@r>)\tlist: a@b, c@d;\t\n(x@y)\tMail System\ttwo\n1"
    );
    assert_eq!(said("frm", &["-s", "n", "box"]), "Jean Dupont\tone\n<a.b@c.example>\n0");
    assert_eq!(
        said("frm", &["-s", "x", "-s", "ol", "box"]),
        "list: a@b, c@d;\t\nMail System\ttwo\nfrm: x: unknown attribute\n0"
    );
    assert_eq!(
        said("frm", &["-S", "-Q", "box"]),
        "Folder contains 1 new message, 1 unread message, 2 read messages.\n1"
    );
}

#[test]
fn scripts_can_ask() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    assert_eq!(home.run(&["--count"], "").out, "4\n");
    let out = home.run(&["--json", "-H"], "").out;
    assert!(out.lines().nth(2).unwrap().contains("\"subject\":\"Hétérogène\""), "{out}");
}

#[test]
fn in_french() {
    if !ours_only() {
        return;
    }
    let home = Home::new().with("LC_ALL", "fr_FR.UTF-8");
    let name = home.path("box").display().to_string();
    let outcome = home.run(&[], "t 42\nd 4\nsu\nzzz\nt 1\nq\n");
    assert!(
        outcome
            .out
            .starts_with(&format!("\"{name}\": 4 messages 3 nouveaux\n>N   1 titi@vm            mar. nov. 24 10:")),
        "{outcome:?}"
    );
    assert!(outcome.out.contains(&format!("\"{name}\": 4 messages 3 nouveaux 1 effacé\n")));
    assert!(outcome.out.ends_with(&format!(
        "1 message sauvegardé dans {}\n2 messages conservés dans {name}\n",
        home.path("mbox").display()
    )));
    assert_eq!(
        outcome.err,
        "mail: 42: numéro de message non valide\nmail: Arguments erronés pour la commande de défilement\n"
    );
}

#[test]
fn start_up_files_do_not_run_away() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    home.write(".mailrc", "source .mailrc\nif s\nset nodot\nelse\nalias x y\nendif\nbogus\n");
    let outcome = home.run(&["-N"], "alias x\nx\n");
    assert_eq!(outcome.status, 0);
    assert!(outcome.out.starts_with("x    y"), "{outcome:?}");
}

/// Whether all that was typed at a terminal is read, and a process or one of its children sleeps until there is more
/// (proc(5), wchan); nothing where the kernel does not tell.
fn waits_for_a_key(slave: &std::os::fd::OwnedFd, process: u32) -> Option<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    if poll(&mut [PollFd::new(slave.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) != Ok(0) {
        return Some(false);
    }
    let told = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).ok();
    let (state, place) = (told("stat")?, told("wchan")?);
    if !state.rsplit(')').next()?.starts_with(" S") {
        return Some(false);
    }
    match place.as_str() {
        "" | "0" => return None,
        "wait_woken" | "n_tty_read" => return Some(true),
        other if other.contains("poll") || other.contains("select") => return Some(true),
        _ => {}
    }
    let children = told(&format!("task/{process}/children"))?;
    let mut children = children.split_whitespace().filter_map(|child| child.parse().ok());
    Some(children.any(|child| waits_for_a_key(slave, child).unwrap_or(false)))
}

/// A terminal that no other process inherits: whoever held it would hold up its end.
fn terminal() -> nix::pty::OpenptyResult {
    use nix::fcntl::{OFlag, open};
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = open(ptsname_r(&master).unwrap().as_str(), flags, nix::sys::stat::Mode::empty()).unwrap();
    nix::pty::OpenptyResult { master: master.into(), slave }
}

/// Types lines at a terminal and returns what it showed.
fn at_terminal(home: &Home, args: &[&str], lines: &[&str]) -> (String, i32) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::io::Read;
    use std::os::fd::AsFd;
    let pty = terminal();
    let mut command = home.command(args);
    let side = || Stdio::from(pty.slave.try_clone().unwrap());
    command.stdin(side()).stdout(side()).stderr(side());
    // The terminal must be the child's own, or Ctrl-C would go nowhere: setsid(1) does it for us.
    let mut wrapped = Command::new("setsid");
    wrapped.arg("-cw").arg("env").arg("-i");
    for (name, value) in command.get_envs() {
        let mut word = name.to_owned();
        word.push("=");
        word.push(value.unwrap_or_default());
        wrapped.arg(word);
    }
    let link = home.path("mail");
    let _ = std::os::unix::fs::symlink(command.get_program(), &link);
    wrapped.arg(&link).args(command.get_args()).current_dir(home.dir.path());
    wrapped.stdin(side()).stdout(side()).stderr(side());
    let mut child = wrapped.spawn().unwrap();
    drop(wrapped);
    drop(command);
    let mut master = std::fs::File::from(pty.master);
    let mut reader = master.try_clone().unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let shared = seen.clone();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            shared.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    let mut late = 0;
    for line in lines {
        // Typed when the program asks for it: the terminal is quiet, all keys before this were read, and somebody waits
        // for one. What is typed after the end is only echoed: this side of the terminal stays open for that.
        let (mut before, mut quiet) = (usize::MAX, 0);
        for _ in 0..200 {
            std::thread::sleep(std::time::Duration::from_millis(15));
            let now = seen.lock().unwrap().len();
            quiet = if now == before && now > 0 { quiet + 1 } else { 0 };
            before = now;
            let asked =
                child.try_wait().unwrap().is_some() || waits_for_a_key(&pty.slave, child.id()).unwrap_or(quiet > 3);
            if quiet > 0 && asked {
                break;
            }
        }
        if child.try_wait().unwrap().is_some() {
            late += line.bytes().filter(|&byte| byte == b'\n' || byte >= b' ').count();
        }
        let _ = master.write_all(line.as_bytes());
    }
    // A session that never ends is an outcome (124), not a wait: it asks for more, or does nothing for long.
    let start = std::time::Instant::now();
    let mut asking = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        asking = if waits_for_a_key(&pty.slave, child.id()) == Some(true) { asking + 1 } else { 0 };
        if asking > 100 || start.elapsed().as_secs() > 20 {
            if let Ok(group) = nix::unistd::tcgetpgrp(&master) {
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = child.wait();
            break 124;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    // The kernel echoes a key when its turn comes, and forgets it when the last of the slave's side is gone before. Once
    // a key can be read here, it was echoed: all that was typed after the end is read, the last line too (to wait for
    // the first alone lost the echo of the second on a busy machine).
    let mut slave = std::fs::File::from(pty.slave);
    let mut left = late;
    while left > 0 {
        let readable = poll(&mut [PollFd::new(slave.as_fd(), PollFlags::POLLIN)], PollTimeout::from(5000u16));
        let mut buffer = [0; 256];
        match readable.map(|count| if count > 0 { slave.read(&mut buffer).ok() } else { None }) {
            Ok(Some(count)) => left = left.saturating_sub(count),
            _ => break,
        }
    }
    if late == 0 {
        // After a session that took all its keys there is little to wait for.
        let _ = poll(&mut [PollFd::new(slave.as_fd(), PollFlags::POLLIN)], PollTimeout::from(50u16));
    }
    drop(slave);
    drop(master);
    let _ = thread.join();
    let text = String::from_utf8_lossy(&seen.lock().unwrap()).replace("\r\n", "\n");
    (text, status)
}

#[test]
fn composing_at_a_terminal() {
    let home = Home::new();
    let (text, status) =
        at_terminal(&home, &["toto"], &["eleve\n", "bonjour\n", "ligne un\n", "~p\n", "~s autre\n", ".\n"]);
    assert!(text.starts_with("Cc: eleve\nSubject: bonjour\n \u{8}ligne un\n"), "{text:?}");
    assert!(
        text.contains("Message contains:\nTo: toto\nCc: eleve\nSubject: bonjour\n\nligne un\n(continue)\n"),
        "{text:?}"
    );
    assert_eq!(status, 0);
    assert_eq!(
        home.sent(),
        "ARGV [-oi] [-t]\nTo: toto\nCc: eleve\nSubject: autre\nUser-Agent: X\nDate: X\n\nligne un\n--END\n"
    );
}

#[test]
fn two_interrupts_kill_a_letter_and_keep_it() {
    let home = Home::new();
    let (text, status) = at_terminal(&home, &["toto"], &["\n", "s\n", "l1\n", "\u{3}", "l2\n", "\u{3}", "\u{3}"]);
    assert_eq!(text.matches("(Interrupt -- one more to kill letter)").count(), 2, "{text:?}");
    assert_eq!(status, 1);
    assert_eq!(home.sent(), "");
    assert!(home.read("dead.letter").ends_with("To: toto\nSubject: s\n\nl1\nl2\n\n"), "{}", home.read("dead.letter"));
}

#[test]
fn reading_at_a_terminal() {
    let home = Home::new();
    let (text, status) = at_terminal(&home, &[], &["\n", "\n", "foo\n", "t 99\n", "\u{3}", "d 1\n", "q\n"]);
    assert!(text.contains("\n? \nTo: toto@vm\nSubject: bonjour toto\n"), "{text:?}");
    assert!(text.contains("\n? foo\nUnknown command: foo\n? t 99\n99: invalid message number\n? "), "{text:?}");
    assert!(text.contains("Interrupt\n? "), "{text:?}");
    assert!(text.contains("Saved 1 message in ") && text.contains("Held 2 messages in "), "{text:?}");
    assert_eq!(status, 0);
}

#[test]
fn a_message_cannot_command_the_terminal() {
    if !ours_only() {
        return;
    }
    let home = Home::new();
    home.write(
        "box",
        &message("a@b", "x\u{1b}]0;owned\u{7}y", "a\u{1b}[2Jb\u{202e}c\u{9b}31md", "Tue Nov 24 10:05:15 2026", ""),
    );
    let (text, _) = at_terminal(&home, &[], &["t 1\n", "P 1\n", "x\n"]);
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\u{202e}') && !text.contains('\u{9b}'),
        "{text:?}"
    );
    assert!(text.contains("^[]0;owned^Gy") && text.contains("a^[[2Jb<U+202E>c<U+009B>31md"), "{text:?}");
    // In a pipe the bytes are those of the message.
    assert!(home.run(&["-N"], "t 1\nx\n").out.contains("a\u{1b}[2Jb\u{202e}c"));
}

#[test]
fn mail_that_arrives_meanwhile_is_told_and_kept() {
    let home = Home::new();
    let more = message("new@vm", "nouveau", "n", "Tue Nov 24 10:05:15 2026", "");
    let append = format!("!cat more >> {}\n", home.path("box").display());
    home.write("more", &more);
    let out = home.run(&["-N"], &format!("d 1\n{append}=\nf 5\nq\n")).out;
    assert!(out.contains("New mail has arrived.\n"), "{out}");
    assert!(out.contains("N   5 new@vm "), "{out}");
    assert!(home.read("box").contains("Subject: nouveau"));
    assert!(!home.read("box").contains("bonjour toto"));
}

#[test]
fn killed_at_any_system_call_the_mailbox_is_old_or_new() {
    if !ours_only() || Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("skipped: needs strace");
    }
    // Two messages go, one moves to mbox, one is held.
    let commands = "d 1 3\nt 2\nq\n";
    let new = {
        let home = Home::new();
        home.run(&["-N"], commands);
        home.read("box")
    };
    let old = four_messages();
    let traced = |home: &Home, options: &[String]| {
        let inner = home.command(&["-N"]);
        let mut command = Command::new("strace");
        command.args(["-qq", "-f"]).args(options);
        let link = home.path("mail");
        std::os::unix::fs::symlink(inner.get_program(), &link).unwrap();
        command.arg(&link).args(inner.get_args()).current_dir(home.dir.path()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(commands.as_bytes());
        child.wait().unwrap();
    };
    // Which calls there are, and how often each.
    let mut calls = std::collections::BTreeMap::new();
    let home = Home::new();
    traced(&home, &["-o".into(), home.path("trace").display().to_string()]);
    for line in home.read("trace").lines() {
        let name = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').split('(').next().unwrap();
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *calls.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    let killed_at = |call: &str, number: usize| {
        let home = Home::new();
        let inject = format!("inject={call}:signal=KILL:when={number}");
        traced(&home, &["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject].map(str::to_owned));
        let (mailbox, moved) = (home.read("box"), home.read("mbox"));
        assert!(mailbox == old || mailbox == new, "killed at {call} {number}: {mailbox}");
        let second = "Subject: deuxieme message";
        assert!(mailbox.contains(second) || moved.contains(second), "killed at {call} {number}: a message is lost");
        // Whoever comes next finds a mailbox that works.
        if number.is_multiple_of(10) {
            assert_eq!(home.run(&["-e"], "").status, 0, "killed at {call} {number}");
        }
        mailbox == old
    };
    let all: Vec<(&String, usize)> =
        calls.iter().flat_map(|(call, count)| (1..=*count).map(move |number| (call, number))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let seen_old = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        use std::sync::atomic::Ordering::Relaxed;
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((call, number)) = all.get(next.fetch_add(1, Relaxed)) {
                    seen_old.fetch_add(usize::from(killed_at(call, *number)), Relaxed);
                }
            });
        }
    });
    let seen_old = seen_old.into_inner();
    assert!(all.len() > 100 && seen_old > 20 && all.len() - seen_old > 5, "{seen_old} of {}", all.len());
}

/// Sessions recorded from the reference (`expected`), with our own outcome where it differs on purpose (`ours`).
/// RECORD=1, or RECORD=FILE for one of the files, writes what the program under test does into it.
#[test]
fn recorded_sessions() {
    recorded_file("recorded.json");
    recorded_file("sessions.json");
}

/// The same on wider ground: headlines, lists, words, variables, letters, answers, files.
#[test]
fn more_recorded_sessions() {
    recorded_file("wider.json");
}

/// Command lines in all their spellings, message lists of every form, and variables that change letters and answers.
#[test]
fn recorded_command_lines_and_message_lists() {
    recorded_file("options.json");
}

/// mailutils' configuration: its syntax and its mistakes, and what addresses and mailboxes make of it.
#[test]
fn recorded_configurations() {
    recorded_file("configuration.json");
}

/// What users meet on odd days: descriptors, numbers that are none, conditions, quoting, folders, groups.
#[test]
fn recorded_odd_days() {
    recorded_file("further.json");
}

/// What becomes of messages: which one is current, what is deleted and taken back, held, saved, answered.
#[test]
fn recorded_states() {
    recorded_file("states.json");
}

/// The same at a terminal of the simplest kind.
#[test]
fn recorded_sessions_at_a_terminal() {
    recorded_file("terminal.json");
}

/// Escapes one by one, in letters and in answers.
#[test]
fn recorded_escapes_at_a_terminal() {
    recorded_file("escapes.json");
}

fn recorded_file(name: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mail").join(name);
    let mut cases: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let record = std::env::var("RECORD").is_ok_and(|value| value == "1" || value == name);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let found = outcomes(&cases);
    let mut wrong = Vec::new();
    for (case, found) in cases.iter_mut().zip(found) {
        let expected = case.get("expected").map(text).unwrap_or_default();
        if record && on_reference() {
            case["expected"] = found.into();
            continue;
        }
        if record {
            case.as_object_mut().unwrap().remove("ours");
            if found != expected {
                case["ours"] = found.into();
            }
            continue;
        }
        let wanted = case.get("ours").filter(|_| !on_reference()).map(text).unwrap_or(expected);
        // A session at a terminal is typed by the clock: on a machine that was too busy it is played once more, alone.
        let typed = case.get("tty").is_some_and(|typed| typed.is_array());
        let found = if typed && found != wanted { outcomes(std::slice::from_ref(case)).remove(0) } else { found };
        if found != wanted {
            wrong.push(format!("{} {}\n--- expected\n{wanted}--- found\n{found}", case["args"], case["input"]));
        }
    }
    if record {
        let lines: Vec<String> = cases.iter().map(|case| case.to_string()).collect();
        std::fs::write(&file, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What each session leaves, several at a time.
fn outcomes(cases: &[serde_json::Value]) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let pairs = |case: &serde_json::Value, name: &str| -> Vec<(String, String)> {
        let all = case.get(name).and_then(|all| all.as_object());
        all.map(|all| all.iter().map(|(name, value)| (name.clone(), text(value))).collect()).unwrap_or_default()
    };
    let list = |value: Option<&serde_json::Value>| -> Option<Vec<String>> {
        Some(value?.as_array()?.iter().map(text).collect())
    };
    let run = |case: &serde_json::Value| {
        let (args, typed) = (list(case.get("args")).unwrap(), list(case.get("tty")));
        let shown = list(case.get("show")).unwrap_or_default();
        recorded(&args, &text(&case["input"]), &pairs(case, "env"), &pairs(case, "files"), &shown, typed.as_deref())
    };
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found: Vec<std::sync::Mutex<String>> = cases.iter().map(|_| std::sync::Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    *found[index].lock().unwrap() = run(case);
                }
            });
        }
    });
    found.into_iter().map(|outcome| outcome.into_inner().unwrap()).collect()
}

/// A home as the recorded sessions know it, and what one of them leaves: output, status, letters, files.
fn recorded(
    args: &[String],
    input: &str,
    environment: &[(String, String)],
    files: &[(String, String)],
    show: &[String],
    typed: Option<&[String]>,
) -> String {
    let day = "Tue Nov 24 10:05:15 2026";
    let long = "ligne\n".repeat(30);
    let four = |first: &str| {
        message("titi@ex.org", "bonjour toto", "Salut toto,\nceci est un essai.", day, first)
            + &message(
                "eleve@ex.org",
                "deuxieme message avec un sujet tres long qui depasse",
                &long,
                "Mon Nov  2 09:00:00 2026",
                "",
            )
            + &message("Jean Dupont <jean@example.org>", "=?utf-8?Q?H=C3=A9t=C3=A9rog=C3=A8ne?=", "corps", day, "")
            + &message("root@ex.org", "re x", "lu", day, "Status: RO\n")
    };
    let mut home = Home::new();
    let root = home.dir.path().display().to_string();
    home.write("box", &four("").replace("@vm", "@ex.org"));
    home.write("box2", &four("Status: RO\n").replace("@vm", "@ex.org"));
    home.write("multi", "From a@b Tue Nov 24 10:05:15 2026\nFrom: a@b\nSubject: multi\nContent-Type: multipart/mixed; boundary=\"x\"\n\npre\n--x\nContent-Type: text/plain; charset=utf-8\n\ncafe\n--x\nContent-Type: application/octet-stream; name=\"f.bin\"\nContent-Transfer-Encoding: base64\n\nAAEC\n--x--\n\nFrom a@b Tue Nov 24 10:05:15 2026\nFrom: a@b\nSubject: qp\nContent-Type: text/plain; charset=iso-8859-1\n\nx\n\n");
    home.write("pj.txt", "piece\n");
    home.write("empty", "");
    std::fs::create_dir(home.path("home")).unwrap();
    let rc = home.read(".mailrc").replace("append dot save", "append dot save crt");
    home.write(".mailrc", &rc);
    home.write("home/.mailrc", "");
    for (name, content) in files {
        if let Some(parent) = home.path(name).parent() {
            std::fs::create_dir_all(parent).unwrap();
        }
        let text = match content.as_str() {
            "@MM@" => include_str!("data/mail/mm"),
            "@TEA@" => include_str!("data/mail/tea"),
            "@NEST@" => include_str!("data/mail/nest"),
            "@LISTS@" => include_str!("data/mail/lists"),
            text => text,
        };
        home.write(name, &text.replace("@HOME@", &root).replace("@OWN@", &own_address()));
    }
    for (name, value) in environment {
        match value.as_str() {
            "@UNSET@" => home.unset.push(name.clone()),
            value => home = home.with(name, &value.replace("@HOME@", &root)),
        }
    }
    let args: Vec<String> = args.iter().map(|arg| arg.replace("@HOME@", &root)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let shown = |name: &str| {
        let content = home.read(name);
        if content.is_empty() { String::new() } else { format!("--{name}\n{content}") }
    };
    if let Some(typed) = typed {
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let (screen, status) = at_terminal(&home, &args, &typed);
        let mut text = format!("{screen}[status {status}]\n");
        for name in ["sent", "mbox", "dead.letter"] {
            text.push_str(&shown(name));
        }
        return made_equal(&text, &root);
    }
    // One file for both streams, so that their order shows.
    let out = std::fs::OpenOptions::new().append(true).create(true).open(home.path("out")).unwrap();
    let mut child =
        home.command(&args).stdin(Stdio::piped()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let status = child.wait().unwrap().code().unwrap_or(-1);
    let mut text = format!("{}[status {status}]\n", home.read("out"));
    for name in ["sent", "mbox", "dead.letter"].into_iter().chain(show.iter().map(String::as_str)) {
        text.push_str(&shown(name));
    }
    made_equal(&text, &root)
}

/// user@host of whoever runs the tests.
fn own_address() -> String {
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    format!("{}@{}", user.trim(), pillarbox::sys::host::canonical_name())
}

/// Names of this machine, moments and numbers of processes out of the way.
fn made_equal(text: &str, root: &str) -> String {
    let own = own_address();
    let (user, host) = own.split_once('@').unwrap();
    let mut out = String::new();
    for line in text.replace(root, "@HOME@").lines() {
        let line = line.replace(&own, "@OWN@").replace(&format!("@{host}"), "@HOST@");
        let line = line
            .replace(&format!("No mail for {user}"), "No mail for USER")
            .replace(&format!("Pas de courrier pour {user}"), "Pas de courrier pour USER");
        if line.starts_with("X-IMAPbase: ") || line.starts_with("X-UID: ") {
            continue;
        }
        if line.starts_with("User-Agent: mail (") {
            out.push_str("User-Agent: X");
        } else if line.starts_with("Date: ") && !line.contains(" 10:05:15 +0000") && !line.contains("2024") {
            out.push_str("Date: X");
        } else if line.starts_with("Content-ID: ") {
            out.push_str("Content-ID: X");
        } else if line.starts_with("From @OWN@ ") {
            out.push_str("From @OWN@ NOW");
        } else if line.starts_with("PID=") {
            out.push_str("PID");
        } else if let Some(at) = line.find("=:") {
            let start = line[..at].rfind(|c: char| !c.is_ascii_digit() && c != '-').map_or(0, |start| start + 1);
            let end = line[at + 2..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |end| at + 2 + end);
            let dashes = line[start..].len() - line[start..].trim_start_matches('-').len();
            out.push_str(&format!("{}BOUNDARY{}", &line[..start + dashes], &line[end..]));
        } else {
            out.push_str(&line);
        }
        out.push('\n');
    }
    out
}

#[test]
fn searching_counting_and_json_are_for_programs() {
    if on_reference() {
        return eprintln!("skipped: ours only");
    }
    let home = Home::new();
    let lines = |args: &[&str]| {
        let outcome = home.run(args, "");
        (outcome.out.lines().map(|line| line[5..6].to_owned()).collect::<Vec<_>>().concat(), outcome.status)
    };
    assert_eq!(lines(&["--search", "hétérog"]), ("3".into(), 0));
    assert_eq!(lines(&["--search", "ESSAI"]), ("1".into(), 0));
    assert_eq!(lines(&["--search", "titi@vm"]), ("1".into(), 0));
    assert_eq!(lines(&["--search", ":r"]), ("4".into(), 0));
    assert_eq!(lines(&["--search", "from:/jean/"]), ("3".into(), 0));
    assert_eq!(lines(&["--search", "nothing of this"]), (String::new(), 1));
    assert_eq!(home.run(&["--search", "@vm", "--count"], "").out, "4\n");
    assert_eq!(home.run(&["--count"], "").out, "4\n");
    let json = home.run(&["--search", "Jean", "--json"], "").out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&object["number"], &object["subject"]), (&3.into(), &"Hétérogène".into()));
    assert_eq!(home.read("box"), four_messages());
}

#[test]
fn threads_put_answers_below_what_they_answer() {
    if on_reference() {
        return eprintln!("skipped: ours only");
    }
    let day = "Tue Nov 24 10:05:15 2026";
    let one = |subject: &str, more: &str| message("a@b", subject, "x", day, more);
    let home = Home::new();
    home.write(
        "box",
        &(one("first", "")
            + &one("second", "")
            + &one("answer to first", "In-Reply-To: Your message of today\n\t<first@vm>\n")
            + &one("again", "References: <first@vm> <answer@vm>\n")),
    );
    let order = |commands: &str| {
        let out = home.run(&["-N"], commands).out;
        out.lines().map(|line| (line[5..6].to_owned(), line[53..].to_owned())).collect::<Vec<_>>()
    };
    let expected = [("1", "first"), ("3", "  answer to first"), ("4", "    again"), ("2", "second")]
        .map(|(number, subject)| (number.to_owned(), subject.to_owned()));
    assert_eq!(order("set threads\nh\nx\n"), expected);
    assert_eq!(order("set threads\nf *\nx\n"), expected);
    assert_eq!(order("set threads screen=2\nz\nx\n"), expected[2..]);
    assert_eq!(order("h\nx\n")[1].1, "second");
}

#[test]
fn colour_is_for_terminals_that_know_it_and_for_what_is_unread() {
    if on_reference() {
        return eprintln!("skipped: ours only");
    }
    let home = Home::new().with("TERM", "xterm");
    let (text, _) = at_terminal(&home, &[], &["x\n"]);
    assert!(text.contains("\u{1b}[1;36m>N   1 titi@vm"), "{text:?}");
    assert!(text.contains("\n     4 root@vm"), "{text:?}");
    let (text, _) = at_terminal(&Home::new().with("TERM", "xterm").with("NO_COLOR", "1"), &[], &["x\n"]);
    assert!(!text.contains("[1;36m"), "{text:?}");
    assert!(!Home::new().with("TERM", "xterm").run(&["-H"], "").out.contains('\u{1b}'));
}

#[test]
fn forwarding_sends_the_whole_message_along() {
    if on_reference() {
        return eprintln!("skipped: ours only");
    }
    let home = Home::new();
    home.run(&["-N"], "forward 3 a@b\nlook at this\n.\nforw c@d\n.\nx\n");
    let sent = home.sent();
    assert!(sent.contains("\nTo: <a@b>\nSubject: =?UTF-8?B?RndkOiBIw6l0w6lyb2fDqG5l?=\n"), "{sent}");
    assert!(sent.contains("\nlook at this\n") && sent.contains("Content-Type: message/rfc822\n"), "{sent}");
    assert!(sent.contains("\nFrom: Jean Dupont <jean@example.org>\n\ncorps\n"), "{sent}");
    assert_eq!(sent.matches("--END\n").count(), 2);
}

#[test]
fn french_dates_are_whole_and_their_columns_straight() {
    if on_reference() {
        return eprintln!("skipped: the reference cuts them");
    }
    let out = Home::new().with("LC_ALL", "fr_FR.UTF-8").run(&["-H"], "").out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], ">N   1 titi@vm            mar. nov. 24 10:05   11/191   bonjour toto");
    assert!(lines[1].starts_with(" N   2 eleve@vm           lun. nov.  2 09:00   11/215   deuxieme"), "{out}");
}

#[test]
fn help_finds_commands_by_what_they_do() {
    if on_reference() {
        return eprintln!("skipped: ours only");
    }
    let out = Home::new().run(&["-N"], "? attachment\n? xyzzy\nx\n").out;
    assert!(out.contains("\nw[rite] [[msglist] file]") && out.starts_with("st[ruct] [msglist]"), "{out}");
    assert!(out.ends_with("Unknown command: xyzzy\n"), "{out}");
}

#[test]
fn every_shape_of_mbox_shows_every_message() {
    if on_reference() {
        return eprintln!("skipped: the reference glues and loses messages here");
    }
    let from = "From a@b Tue Nov 24 10:05:15 2026";
    for (shape, text, count) in [
        // procmail's message without a body: one blank line, and the next one follows at once.
        ("no body", format!("{from}\nSubject: 1\n\n{from}\nSubject: 2\n\nx\n\n"), 2),
        ("two newlines", format!("{from}\nSubject: 1\n\n\n{from}\nSubject: 2\n\nx\n\n"), 2),
        ("quoted", format!("{from}\nSubject: 1\n\n>From here\n>>From there\n\n{from}\nSubject: 2\n\nx\n\n"), 2),
        ("crlf", format!("{from}\r\nSubject: 1\r\n\r\nx\r\n\r\n{from}\r\nSubject: 2\r\n\r\ny\r\n"), 2),
        ("no end", format!("{from}\nSubject: 1\n\nx\n\n{from}\nSubject: 2\n\nno newline"), 2),
        ("header only", format!("{from}\nSubject: 1\n"), 1),
        ("sentence", format!("{from}\nSubject: 1\n\nHello\n\nFrom here on it rains\n"), 1),
    ] {
        let home = Home::new();
        home.write("box", &text);
        let listed = home.run(&["-H"], "");
        assert_eq!(listed.out.lines().count(), count, "{shape}: {listed:?}");
        assert_eq!(home.read("box"), text, "{shape}: a list writes nothing");
        // Deleting one leaves the other's bytes as they were, but for the mark that it is old.
        if count == 2 {
            home.run(&["-N"], "d 1\nq\n");
            let rest = home.read("box").replace("Status: O\r\n", "").replace("Status: O\n", "");
            let second = &text[text.rfind(from).unwrap()..];
            assert_eq!(rest.trim_end(), second.trim_end(), "{shape}");
        }
        let home = Home::new();
        home.write("box", &text);
        home.run(&["-N"], "c * copy\nx\n");
        assert_eq!(home.run(&["-H", "-f", "copy"], "").out.lines().count(), count, "{shape}: copied");
    }
    let home = Home::new();
    home.write("box", &format!("{from}\nSubject: 1\n\n>From here\n>>From there\n\n"));
    assert!(home.run(&["-N"], "t 1\nx\n").out.ends_with("\nFrom here\n>From there\n"));
}

#[test]
fn what_other_programs_call() {
    // smartd, fail2ban, unattended-upgrades, logwatch, a backup script, mdadm's fallback, certbot hooks: their own lines.
    for (args, header) in [
        (
            vec!["-s", "SMART error (CurrentPendingSector) detected on host: vm", "root"],
            "Subject: SMART error (CurrentPendingSector) detected on host: vm\nTo: root\n",
        ),
        (
            vec!["-E", "set escape", "-s", "[Fail2Ban] sshd: banned 192.0.2.1 from vm", "root"],
            "Subject: [Fail2Ban] sshd: banned 192.0.2.1 from vm\nTo: root\n",
        ),
        (
            vec!["-s", "unattended-upgrades result for vm: SUCCESS", "root@example.org"],
            "Subject: unattended-upgrades result for vm: SUCCESS\nTo: <root@example.org>\n",
        ),
        (
            vec!["-s", "Logwatch for vm (Linux)", "admin@example.org"],
            "Subject: Logwatch for vm (Linux)\nTo: <admin@example.org>\n",
        ),
        (
            vec!["-a", "From: backup@example.org", "-s", "Backup OK", "ops@example.org"],
            "From: backup@example.org\nSubject: Backup OK\nTo: <ops@example.org>\n",
        ),
        (vec!["-s", "certbot: renewed", "-r", "certbot@example.org", "root"], "Subject: certbot: renewed\nTo: root\n"),
        // A crontab's pipe that wants no empty letters, in the words of bsd-mailx and s-nail.
        (vec!["-E", "-s", "cron: backup", "root"], "Subject: cron: backup\nTo: root\n"),
        // mdadm's PROGRAM, rkhunter, logcheck, apticron.
        (
            vec!["-s", "Fail event on /dev/md0:vm", "root@localhost"],
            "Subject: Fail event on /dev/md0:vm\nTo: <root@localhost>\n",
        ),
        (
            vec!["-s", "[rkhunter] Warnings found for vm", "root"],
            "Subject: [rkhunter] Warnings found for vm\nTo: root\n",
        ),
        (
            vec!["-s", "vm 2026-11-24 10:02 System Events", "logcheck"],
            "Subject: vm 2026-11-24 10:02 System Events\nTo: logcheck\n",
        ),
        (
            vec!["-s", "1 Debian package update(s) for vm", "root"],
            "Subject: 1 Debian package update(s) for vm\nTo: root\n",
        ),
        // Copies and a sender in the old way, as scripts for BSD and heirloom mailx write them.
        (
            vec![
                "-s",
                "rapport",
                "-c",
                "chef@example.org",
                "-b",
                "log@example.org",
                "root",
                "--",
                "-f",
                "web@example.org",
            ],
            "Subject: rapport\nCc: <chef@example.org>\nBcc: <log@example.org>\nTo: root\n",
        ),
    ] {
        let home = Home::new();
        let outcome = home.run(&args, "~!touch pwned\ntext of the report\n");
        assert_eq!((outcome.status, outcome.err.as_str()), (0, ""), "{args:?}");
        let sent = home.sent();
        assert!(sent.starts_with(&format!("ARGV [-oi] [-t]\n{header}")), "{sent}");
        assert!(sent.ends_with("\n\n~!touch pwned\ntext of the report\n--END\n"), "{sent}");
        assert!(!home.path("pwned").exists());
    }
}

/// What fuzz/ does with a fuzzer, without one: the recorded corpora with bytes changed, cut and doubled.
#[test]
fn mutated_corpora_harm_nobody() {
    use pillarbox::message::{address, charset, header, mime};
    let corpora: [&[u8]; 3] = [
        include_bytes!("data/mail/mm"),
        include_bytes!("data/mail/sessions.json"),
        b"From a@b Tue Nov 24 10:05:15 2026\n\n",
    ];
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    for round in 0..400 {
        let corpus = corpora[round % corpora.len()];
        let start = random(corpus.len());
        let mut bytes = if round % 2 == 0 { corpus.to_vec() } else { corpus[start..].to_vec() };
        bytes.truncate(6000);
        for _ in 0..=random(12) {
            let at = random(bytes.len());
            match random(4) {
                0 if !bytes.is_empty() => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => bytes.truncate(at),
                2 => {
                    let piece = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.splice(at..at, *b"\n\nFrom x Tue Nov 24 10:05:15 2026\n").for_each(drop),
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (block, body) = header::split(&bytes);
        let part = mime::Part::parse(block, body);
        let _ = (part.text(), part.file_name(), part.decoded(), charset::decode_words(&bytes), address::parse(&text));
        let _ = pillarbox::applet::mail::probe::start_up_file(&text);
        if let Some(mut lists) = pillarbox::applet::mail::probe::Lists::open(&path) {
            for list in ["*", ":n", "/a/", "from:/x/", ":/b/", "1-9", "!1", "{1 2}[1]"] {
                let _ = lists.choose(list, &[], round % 3 == 0);
            }
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "reading wrote");
    }
}

mod any_bytes {
    use pillarbox::mailbox::scan::scan;
    use pillarbox::message::{address, charset, date, header, mime, quote};
    use proptest::prelude::*;
    use std::io::Write;

    /// Pieces that mean something to the parsers, and anything between.
    fn mail() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"From a@b Tue Nov 24 10:05:15 2026\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"Subject: =?utf-8?Q?=C3=A9?= x\n".to_vec()),
            Just(b"Content-Type: multipart/mixed; boundary=\"b\"\n".to_vec()),
            Just(b"Content-Transfer-Encoding: base64\n".to_vec()),
            Just(b"--b\n".to_vec()),
            Just(b"--b--\n".to_vec()),
            Just(b"Status: RO\nX-UID: 4294967296\n".to_vec()),
            Just(b">From x\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn messages_tile_the_mailbox(bytes in mail()) {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let found = scan(&file, 0).unwrap();
            if !found.foreign {
                prop_assert_eq!(found.end, bytes.len() as u64);
                for pair in found.messages.windows(2) {
                    prop_assert_eq!(pair[0].end(), pair[1].offset);
                }
                for message in &found.messages {
                    prop_assert!(message.body_at() + u64::from(message.separator) <= message.end());
                    prop_assert!(bytes[usize::try_from(message.offset).unwrap()..].starts_with(b"From "));
                }
            }
        }

        #[test]
        fn message_lists_choose_what_is_there(text in "[0-9a-z{}()!,.*^$+:/\\[\\] -]{0,24}", deleted in proptest::collection::vec(0usize..4, 0..4)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("box");
            std::fs::write(&path, super::four_messages()).unwrap();
            let mut lists = pillarbox::applet::mail::probe::Lists::open(&path).unwrap();
            match lists.choose(&text, &deleted, true) {
                Ok(chosen) => prop_assert!((1..=4).contains(&chosen[0]), "{:?}", chosen),
                Err(length) => prop_assert!(length > 5, "{text}"),
            }
        }

        #[test]
        fn start_up_files_are_read_whatever_they_hold(text in "([a-z?!=#]{1,8}[ =\"'\\\\${}%nox0-9a-z]{0,20}\n){0,12}") {
            let lines = text.lines().count();
            prop_assert!(pillarbox::applet::mail::probe::start_up_file(&text) <= lines);
        }

        #[test]
        fn no_parser_panics(bytes in mail()) {
            let (block, body) = header::split(&bytes);
            let part = mime::Part::parse(block, body);
            let _ = (part.text(), part.file_name(), part.decoded());
            let text = charset::decode_words(&bytes);
            let _ = (address::parse(&text), date::of_header(&text), mime::html_to_text(&text));
            let _ = (date::of_from_line(&bytes), date::from_line_sender(&bytes), date::from_line_rest(&bytes));
            prop_assert_eq!(quote::unquote(&quote::quote(body)).len() <= quote::quote(body).len(), true);
        }

        #[test]
        fn encoded_words_come_back(text in "\\PC{0,120}") {
            let encoded = charset::encode_words(&text);
            prop_assert!(text.is_ascii() || encoded.is_ascii());
            if !text.is_ascii() {
                prop_assert_eq!(charset::decode_words(encoded.as_bytes()), text);
            }
        }

        #[test]
        fn addresses_that_are_written_can_be_read(name in "[a-zA-Z ,\"\\\\é]{1,12}", mailbox in "[a-z]{1,8}@[a-z]{1,8}") {
            let one = address::Address { name: Some(name.clone()), mailbox: mailbox.clone() };
            let read = address::parse(&one.to_string()).unwrap();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(&read[0].mailbox, &mailbox);
        }
    }
}
