//! Letters to a server, `set sendmail=smtp://…`: a server that says what a story has it say, and mail's answers to it.
//! `UNDER_TEST=reference` tells the stories that the reference shares to /usr/bin/mail.mailutils.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const OURS: &str = env!("CARGO_BIN_EXE_pillarbox");
const REFERENCE: &str = "/usr/bin/mail.mailutils";

fn on_reference() -> bool {
    std::env::var("UNDER_TEST").is_ok_and(|value| value == "reference")
}

/// What a run left.
struct Outcome {
    /// The lines that mail sent, but dates and programs' names.
    heard: Vec<String>,
    /// mail's own sentences.
    said: Vec<String>,
    err: String,
    status: i32,
    dead_letter: String,
}

/// The client's line or its first word, and what the server answers: "" hangs up.
type Answers = [(&'static str, &'static str)];

/// `url` has PORT in it; "greeting" is what the server begins with.
fn send(url: &str, answers: &Answers, args: &[&str], text: &str, files: &[(&str, &str)]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let home = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = home.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let answer = |word: &str| answers.iter().find(|(known, _)| *known == word).map(|(_, answer)| *answer);
    let output = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut heard = Vec::new();
            if answer("nobody").is_some() {
                return heard;
            }
            let (stream, _) = listener.accept().unwrap();
            let mut out = stream.try_clone().unwrap();
            let mut say = |text: &str| !text.is_empty() && out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
            let mut data = false;
            if !say(answer("greeting").unwrap_or("220 test ESMTP")) {
                return heard;
            }
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                let word = if data { line.as_str() } else { line.split([' ', ':']).next().unwrap_or_default() };
                let usual = match word {
                    "EHLO" => "250-test\r\n250 8BITMIME",
                    "DATA" => "354 go",
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                let (word, inside) = (word.to_owned(), data && line != ".");
                let whole = answer(&line);
                if !line.starts_with("User-Agent: ") && !line.starts_with("Date: ") {
                    heard.push(line);
                }
                if inside {
                    continue;
                }
                let reply = whole.or_else(|| answer(&word)).unwrap_or(usual);
                data = word == "DATA" && reply.starts_with("354");
                if !say(reply) || word == "QUIT" {
                    break;
                }
            }
            heard
        });
        let mut command = Command::new(if on_reference() { REFERENCE } else { OURS });
        let url = url.replace("PORT", &port.to_string());
        command.arg0("mail").args(["-n", "-E", &format!("set sendmail={url}"), "-E", "set nouseragent"]).args(args);
        command.env_clear().env("HOME", home.path()).env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin");
        command.current_dir(home.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        (output, server.join().unwrap())
    });
    let (output, heard) = output;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Outcome {
        heard,
        said: err.lines().filter(|line| line.starts_with("mail: ")).map(str::to_owned).collect(),
        status: output.status.code().unwrap_or(-1),
        dead_letter: std::fs::read_to_string(home.path().join("dead.letter")).unwrap_or_default(),
        err,
    }
}

const TO_TWO: &[&str] = &["-s", "s", "-r", "me@y", "toto@x", "titi@x"];

#[test]
fn a_letter_goes_to_the_server_whole() {
    let args = ["-s", "s", "-r", "me@y", "-a", "Cc: c@x", "-a", "Bcc: d@x", "toto@x"];
    let outcome = send("smtp://127.0.0.1:PORT", &[], &args, "body\n.\n.dot\n..two\nend", &[]);
    assert_eq!((outcome.status, outcome.err.as_str()), (0, ""));
    let mut heard = outcome.heard;
    assert!(heard.remove(0).starts_with("EHLO "));
    heard[1..4].sort();
    let expected = [
        "MAIL FROM:<me@y>",
        "RCPT TO:<c@x>",
        "RCPT TO:<d@x>",
        "RCPT TO:<toto@x>",
        "DATA",
        "Subject: s",
        "Cc: <c@x>",
        "To: <toto@x>",
        "",
        "body",
        "..",
        "..dot",
        "...two",
        "end",
        ".",
        "QUIT",
    ];
    assert_eq!(heard, expected);
}

#[test]
fn what_the_server_refuses_is_told_and_kept() {
    let rejected = "Operation rejected by remote party";
    for (answers, opens, reason) in [
        ([("greeting", "421 busy")], false, rejected),
        ([("greeting", "554 no")], false, rejected),
        ([("greeting", "")], false, "Input/output error"),
        ([("EHLO", "421 no")], false, rejected),
        ([("EHLO", "")], false, "Input/output error"),
        ([("MAIL", "451 later")], true, rejected),
        ([("MAIL", "550 5.1.0 no")], true, rejected),
        ([("MAIL", "")], true, "Input/output error"),
        ([("RCPT", "450 later")], true, rejected),
        ([("RCPT", "550-no\r\n550 user")], true, rejected),
        ([("DATA", "451 later")], true, rejected),
        ([(".", "554 spam")], true, rejected),
        ([(".", "")], true, "Input/output error"),
    ] {
        let outcome = send("smtp://127.0.0.1:PORT", &answers, TO_TWO, "body\n", &[]);
        let open = (!opens).then(|| format!("mail: Cannot open mailer: {reason}"));
        let said: Vec<String> = open.into_iter().chain([format!("mail: cannot send message: {reason}")]).collect();
        assert_eq!((outcome.said, outcome.status), (said, 1), "{answers:?}");
        assert!(outcome.dead_letter.contains("\nTo: <toto@x>,<titi@x>\n"), "{answers:?}");
        assert!(outcome.dead_letter.contains("\n\nbody\n"), "{answers:?}");
        if !on_reference() && answers[0].1.len() > 4 {
            // The server's own words, which mailutils keeps to itself.
            let words = answers[0].1.rsplit(['-', '\n']).next().unwrap();
            assert!(outcome.err.contains(&words[4..]), "{answers:?}: {}", outcome.err);
        }
    }
    for answers in [[("QUIT", "500 x")], [("QUIT", "")]] {
        let outcome = send("smtp://127.0.0.1:PORT", &answers, TO_TWO, "body\n", &[]);
        assert_eq!((outcome.status, outcome.err.as_str(), outcome.dead_letter.as_str()), (0, "", ""));
    }
}

#[test]
fn servers_that_are_none() {
    for (url, create, reason) in [
        ("smtp://", false, "Address family not supported"),
        ("smtp://nobody.invalid", false, "Name or service not known"),
        ("smtp://127.0.0.1:x", true, "Invalid port or service specification"),
        ("smtp:127.0.0.1", false, "No such file or directory"),
        ("lmtp://127.0.0.1", true, "Malformed or unsupported mailer URL"),
    ] {
        let outcome = send(url, &[("nobody", "")], TO_TWO, "body\n", &[]);
        let before = if create { "Cannot create mailer" } else { "Cannot open mailer" };
        assert_eq!(outcome.said, [format!("mail: {before}: {reason}"), format!("mail: cannot send message: {reason}")]);
        assert!(outcome.status == 1 && outcome.dead_letter.contains("\n\nbody\n"), "{url}");
    }
}

#[test]
fn one_refused_recipient_is_told_and_the_others_get_the_letter() {
    if on_reference() {
        return eprintln!("skipped: the reference does not tell");
    }
    let answers = [("RCPT TO:<titi@x>", "550 no user")];
    let outcome = send("smtp://127.0.0.1:PORT", &answers, TO_TWO, "body\n", &[]);
    assert_eq!((outcome.status, outcome.err.as_str()), (0, "titi@x: 550 no user\n"));
    assert!(outcome.heard.contains(&"body".to_owned()) && outcome.dead_letter.is_empty());
}

#[test]
fn a_password_comes_from_the_url_or_a_file_and_answers_a_server_that_asks() {
    if on_reference() {
        return eprintln!("skipped: the reference waits for challenges that are none");
    }
    let asks = [("EHLO", "250-test\r\n250 AUTH PLAIN LOGIN"), ("AUTH", "235 ok")];
    let heard = |url: &str, files: &[(&str, &str)]| send(url, &asks, TO_TWO, "body\n", files);
    // base64 of "\0u\0p".
    let outcome = heard("smtp://u:p@127.0.0.1:PORT", &[]);
    assert!(outcome.status == 0 && outcome.heard.contains(&"AUTH PLAIN AHUAcA==".to_owned()), "{:?}", outcome.heard);
    let outcome = heard("smtp://u@127.0.0.1:PORT", &[(".netrc", "machine 127.0.0.1 login u password p\n")]);
    assert!(outcome.status == 0 && outcome.heard.contains(&"AUTH PLAIN AHUAcA==".to_owned()), "{:?}", outcome.heard);
    let outcome = heard("smtp://u:p@127.0.0.1:PORT;noauth", &[]);
    assert!(outcome.status == 0 && !outcome.heard.iter().any(|line| line.starts_with("AUTH")));
    let outcome = heard("smtp://u@127.0.0.1:PORT;domain=me.example.org", &[(".mu-tickets", "smtp://u:p@*\n")]);
    assert_eq!((outcome.status, outcome.heard[0].as_str()), (0, "EHLO me.example.org"));
    let outcome = send(
        "smtp://u:p@127.0.0.1:PORT",
        &[("EHLO", "250-test\r\n250 AUTH PLAIN"), ("AUTH", "535 bad password")],
        TO_TWO,
        "body\n",
        &[],
    );
    assert!(outcome.status == 1 && outcome.err.contains("535 bad password") && outcome.dead_letter.contains("body"));
}
