//! `postfix explain`: what would happen to a mail, told by the daemons' own code. (The reference has no such command.)

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::process::Command;

const MAIN: &str = "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\nmyhostname = srv.example.org\n\
    inet_interfaces = loopback-only\nmydestination = $myhostname, localhost\nmynetworks = 192.0.2.0/24\nalias_maps =\n\
    virtual_alias_maps = inline:{ info@srv.example.org=toto, { all@srv.example.org = toto joe@elsewhere.example } }\n\
    smtpd_sender_restrictions = check_sender_access inline:{ spam.example=REJECT }\nlocal_recipient_maps =\n\
    transport_maps = inline:{ elsewhere.example=smtp:[mx.elsewhere.example]:2525 }\nsmtpd_peername_lookup = no\n";

fn explain(main: &str, args: &[&str]) -> (i32, String) {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("main.cf"), main).unwrap();
    fs::write(place.path().join("master.cf"), "smtp inet n - y - - smtpd\n").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(["postfix", "-c"])
        .arg(place.path())
        .arg("explain")
        .args(args)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    (done.status.code().unwrap_or(-1), said)
}

fn holds(said: &str, parts: &[&str]) {
    let mut rest = said;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or stands too early:\n{said}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_stranger_writes_to_an_alias() {
    let (status, said) = explain(
        MAIN,
        &["--from", "a@b.example", "--to", "info@srv.example.org", "--client", "203.0.113.4", "--helo", "x"],
    );
    assert_eq!(status, 0, "{said}");
    holds(
        &said,
        &[
            "smtpd_sender_restrictions",
            "check_sender_access inline:{ spam.example=REJECT }",
            "\"a@b.example\": no entry",
            "= dunno",
            "smtpd_relay_restrictions",
            "permit_mynetworks",
            "203.0.113.4 in mynetworks: no",
            "defer_unauth_destination",
            "srv.example.org in mydestination: yes",
            "rewriting",
            "\"info@srv.example.org\": \"toto\"",
            "recipient <info@srv.example.org> becomes <toto@srv.example.org>",
            "delivery",
            "<toto@srv.example.org> (Local) goes by local to srv.example.org",
            "accepted",
        ],
    );
}

#[test]
fn what_is_refused_says_which_restriction_did_it() {
    let (status, said) =
        explain(MAIN, &["--from", "a@spam.example", "--to", "toto@localhost", "--client", "203.0.113.4"]);
    assert_eq!(status, 1);
    holds(
        &said,
        &[
            "\"spam.example\": \"REJECT\"",
            "= 554 5.7.1",
            "refused: 554 5.7.1 <a@spam.example>: Sender address rejected",
        ],
    );
    let (status, said) = explain(MAIN, &["--from", "", "--to", "x@other.example", "--client", "203.0.113.4"]);
    assert_ne!(status, 0);
    holds(&said, &["defer_unauth_destination", "refused: ", "Relay access denied"]);
}

#[test]
fn a_user_of_this_machine_meets_no_restrictions() {
    let (status, said) = explain(MAIN, &["--from", "toto", "--to", "all"]);
    assert_eq!(status, 0, "{said}");
    assert!(!said.contains("restrictions"));
    holds(
        &said,
        &[
            "sender <toto> becomes <toto@srv.example.org>",
            "becomes <joe@elsewhere.example>",
            "goes by local",
            "<joe@elsewhere.example> (Default) goes by smtp to [mx.elsewhere.example]:2525",
        ],
    );
}

#[test]
fn programs_get_the_same_steps() {
    let (_, said) = explain(MAIN, &["--from", "toto", "--to", "info", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(value["outcome"]["verdict"], "delivered");
    let route = value["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&route["step"], &route["transport"]), (&"route".into(), &"local".into()));
}

#[test]
fn a_table_that_cannot_be_asked_puts_the_mail_off() {
    let broken = MAIN.replace("virtual_alias_maps = inline:", "virtual_alias_maps = fail:x inline:");
    let (status, said) = explain(&broken, &["--from", "toto", "--to", "info"]);
    assert_eq!(status, 75, "{said}");
    holds(&said, &["fail:x", "cannot be asked", "put off: "]);
    let (status, said) = explain(MAIN, &["--from", "toto"]);
    assert_eq!(status, 1);
    holds(&said, &["usage: postfix"]);
}

/// Postfix 3.7.11 with a login by SASL gives these replies.
#[test]
fn who_logs_in_may_relay_and_uses_his_own_address() {
    let main = format!(
        "{MAIN}smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n\
         smtpd_sasl_auth_enable = yes\nsmtpd_sender_login_maps = inline:{{ toto@srv.example.org=toto }}\n\
         smtpd_recipient_restrictions = reject_sender_login_mismatch, check_sasl_access inline:{{ titi=REJECT }}\n"
    );
    let ask = |from: &str, login: &[&str]| {
        let mut args = vec!["--from", from, "--to", "x@elsewhere.example", "--client", "203.0.113.4"];
        args.extend(login);
        explain(&main, &args)
    };
    let (status, said) = ask("toto@srv.example.org", &[]);
    assert_eq!(status, 1, "{said}");
    holds(
        &said,
        &["permit_sasl_authenticated", "= dunno", "refused: 554 5.7.1 <x@elsewhere.example>: Relay access denied"],
    );
    let (status, said) = ask("toto@srv.example.org", &["--sasl", "Toto"]);
    assert_eq!(status, 0, "{said}");
    holds(&said, &["permit_sasl_authenticated", "= permit", "accepted"]);
    let (_, said) = ask("toto@srv.example.org", &["--sasl", "titi"]);
    holds(&said, &["refused: 553 5.7.1 <toto@srv.example.org>: Sender address rejected: not owned by user titi"]);
    let (_, said) = ask("nobody@srv.example.org", &["--sasl", "toto"]);
    holds(&said, &["refused: 553 5.7.1 <nobody@srv.example.org>: Sender address rejected: not owned by user toto"]);
    let free = main.replace("reject_sender_login_mismatch", "reject_known_sender_login_mismatch");
    let args = ["--from", "n@srv.example.org", "--to", "x@elsewhere.example", "--client", "203.0.113.4"];
    let (_, said) = explain(&free, &[&args[..], &["--sasl", "titi"]].concat());
    holds(&said, &["refused: 554 5.7.1 <titi>: SASL login name rejected: Access denied"]);
}
