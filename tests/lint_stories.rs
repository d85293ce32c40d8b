//! `postfix lint` on broken configurations, one or more for each lint: what it finds, on which line, and that a sound
//! configuration has none of it. (The reference has no such command.)

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SOUND: &str = "compatibility_level = 3.6\nmail_owner = daemon\nsetgid_group = mail\nmyhostname = srv.example.org\ninet_interfaces = loopback-only\n\
    mydestination = $myhostname, localhost\nmynetworks = 127.0.0.0/8\nalias_maps = hash:@/aliases\n";
const MASTER: &str = "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\ncleanup unix n - y - 0 cleanup\n\
    qmgr unix n - n 300 1 qmgr\nlocal unix - n n - - local\nsmtp unix - - y - - smtp\n";
const ALIASES: &str = "postmaster: root\n";

struct Place(tempfile::TempDir);

/// Lint, level, file, line, message.
type Found = (String, String, String, u64, String);

impl Place {
    /// `more` is added to main.cf; "@" (in aliases "%") stands for the directory.
    fn new(more: &str, master: &str, aliases: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let here = place.0.path().display().to_string();
        place.write("main.cf", &SOUND.replace('@', &here));
        place.write("master.cf", &format!("{MASTER}{master}"));
        place.write("aliases", &format!("{ALIASES}{aliases}").replace('%', &here));
        let built = place.run("postalias", &[&format!("hash:{here}/aliases")]);
        assert!(built.0 == 0, "{built:?}");
        place.write("main.cf", &format!("{SOUND}{more}").replace('@', &here));
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, program: &str, args: &[&str]) -> (i32, String) {
        let done = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
            .args([program, "-c"])
            .arg(self.0.path())
            .args(args)
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code().unwrap_or(-1), said)
    }

    /// The status and the findings. forward-permissions is the machine's, not this place's.
    fn findings(&self) -> (i32, Vec<Found>) {
        let (status, said) = self.run("postfix", &["lint", "--json"]);
        let list = said.lines().map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"));
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            assert!(!text("why").is_empty() && !text("help").is_empty(), "{line}");
            let file = Path::new(&text("file")).file_name().unwrap_or_default().to_string_lossy().into_owned();
            (text("lint"), text("level"), file, value["line"].as_u64().unwrap_or(0), text("message"))
        });
        (status, list.filter(|(lint, ..)| lint != "forward-permissions").collect())
    }
}

/// The line on which what is added to main.cf begins.
const FIRST: u64 = 9;

/// The lint finds something on the line of main.cf, counted from the first that is added.
fn finds(lint: &str, more: &str, line: u64, words: &str) {
    let (status, found) = Place::new(more, "", "").findings();
    let hit = found.iter().find(|(name, _, file, at, message)| {
        name == lint && file == "main.cf" && *at == FIRST - 1 + line && message.contains(words)
    });
    let (_, level, ..) = hit.unwrap_or_else(|| panic!("{lint}: {more}: {found:?}"));
    assert!(status >= if level == "error" { 2 } else { 1 }, "{lint}");
}

#[test]
fn a_sound_configuration_has_no_findings() {
    assert_eq!(Place::new("", "", "").findings(), (0, Vec::new()));
}

#[test]
fn names_that_mean_nothing() {
    finds("unknown-parameter", "smtpd_recipent_restrictions = reject\n", 1, "smtpd_recipent_restrictions");
    finds("unused-parameter", "biff = no\nmy_own_idea = 1\n", 2, "my_own_idea");
    finds("defined-twice", "biff = no\nbiff = yes\n", 2, "biff");
    finds("undefined-name", "relay_domains = a.example\n  $relay_domians\n", 2, "$relay_domians");
    finds("deprecated-name", "smtpd_use_tls = yes\n", 1, "smtpd_use_tls");
    finds("deprecated-name", "smtp_per_record_deadline = yes\n", 1, "smtp_per_record_deadline");
    finds("deprecated-name", "smtpd_tls_eecdh_grade = strong\n", 1, "smtpd_tls_eecdh_grade");
    finds("newer-parameter", "smtpd_client_ipv4_prefix_length = 24\n", 1, "3.8");
}

#[test]
fn text_that_is_not_what_it_looks_like() {
    finds("comment-in-value", "relayhost = # none\n", 1, "relayhost");
    finds(
        "silent-continuation",
        "relay_domains = a.example\n# and now\n\n  relayhost = b.example\n",
        4,
        "relay_domains",
    );
}

#[test]
fn values_that_stop_a_program_later() {
    finds("bad-value", "message_size_limit = 10M\n", 1, "message_size_limit");
    finds("bad-value", "maximal_queue_lifetime = 5x\n", 1, "maximal_queue_lifetime");
    finds("bad-value", "line_length_limit = 3\n", 1, "line_length_limit");
    finds("bad-value", "smtpd_milters = inet:localhost:1,\n   8891-localhost\n", 1, "8891-localhost");
    finds("bad-value", "non_smtpd_milters = { unix:/run/f, timeout=3 }\n", 1, "timeout");
    finds("bad-value", "milter_protocol = 5\nsmtpd_milters = unix:/run/f\n", 2, "bad protocol information: 5");
    finds("origin-file", "myorigin = @/nofile\n", 1, "nofile");
}

#[test]
fn tables() {
    finds("table-missing", "virtual_alias_maps = hash:@/virtual\n", 1, "virtual");
    finds("table-missing", "transport_maps = static:x,\n    regexp:@/transport\n", 2, "transport");
    let sockets = "smtpd_milters = unix:/run/none/filter.sock, { unix:/run/none/other.sock, default_action=accept }\n";
    let (_, found) = Place::new(sockets, "", "").findings();
    assert!(!found.iter().any(|finding| finding.0 == "table-missing"), "{found:?}");
    let place = Place::new("", "", "");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::options().append(true).open(place.0.path().join("aliases")).unwrap().set_modified(later).unwrap();
    let (status, found) = place.findings();
    assert_eq!((status, found[0].0.as_str(), found[0].3), (1, "table-outdated", 8), "{found:?}");
}

#[test]
fn restriction_lists() {
    finds("unknown-restriction", "smtpd_client_restrictions = permit_mynetwork, reject\n", 1, "permit_mynetwork");
    finds(
        "unreachable-restriction",
        "smtpd_sender_restrictions = permit,\n  reject_unknown_sender_domain\n",
        2,
        "permit",
    );
    finds(
        "unverified-address",
        "smtpd_recipient_restrictions = reject_unauth_destination,\n  reject_unverified_recipient\n",
        2,
        "reject_unverified_recipient",
    );
    let asks = "smtpd_recipient_restrictions = reject_unauth_destination, reject_unverified_recipient\n";
    assert_eq!(Place::new(asks, "verify unix - - n - 1 verify\n", "").findings(), (0, Vec::new()));
    let fine = "smtpd_restriction_classes = mine\nmine = check_client_access inline:{a=b}, reject\n\
        smtpd_recipient_restrictions = mine, check_policy_service { inet:127.0.0.1:9, timeout=1s }, reject_rbl_client x.example\n";
    assert_eq!(Place::new(fine, "", "").findings(), (0, Vec::new()));
}

#[test]
fn who_is_trusted_and_where_mail_goes() {
    finds("wide-mynetworks", "mynetworks = 0.0.0.0/0\n", 1, "whole world");
    finds("interface-missing", "inet_interfaces = 203.0.113.77\n", 1, "203.0.113.77");
    finds("interface-missing", "inet_interfaces = no-such-host.invalid\n", 1, "no address");
    finds("domain-in-two-classes", "virtual_alias_domains = b.example localhost\n", 1, "localhost");
    finds("relayhost-loops", "relayhost = [127.0.0.1]\n", 1, "this machine");
    finds("relayhost-loops", "relayhost = localhost\n", 1, "this machine");
    let class = "smtpd_restriction_classes = all\nall = check_client_access static:OK, reject\nsmtpd_relay_restrictions = all\n";
    finds("open-relay", class, 3, "open relay");
    finds(
        "open-relay",
        "smtpd_relay_restrictions = permit_mynetworks\nsmtpd_recipient_restrictions =\n",
        1,
        "will not start",
    );
    let place = Place::new("smtpd_tls_key_file = @/key\n", "", "");
    place.write("key", "-----BEGIN PRIVATE KEY-----\n");
    fs::set_permissions(place.0.path().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(place.findings().1[0].0, "tls-key-readable");
    fs::set_permissions(place.0.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.findings().1, []);
}

#[test]
fn submission_services() {
    let (status, found) = Place::new("", "submission inet n - y - - smtpd\n", "").findings();
    assert_eq!(status, 2);
    assert!(
        found
            .iter()
            .all(|(lint, _, file, line, _)| lint == "submission-unprotected" && file == "master.cf" && *line == 7)
    );
    let safe = "submission inet n - y - - smtpd\n  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes\n";
    assert_eq!(Place::new("", safe, "").findings().1, []);
}

#[test]
fn the_queue_must_have_room() {
    let place = Place::new("message_size_limit = 4000000000000000\nqueue_directory = @\n", "", "");
    assert!(place.findings().1.iter().any(|(lint, ..)| lint == "queue-full"));
}

#[test]
fn the_aliases_file() {
    for (aliases, lint, line, words) in [
        ("a: b\nb: c, root\nc: a\n", "alias-loop", 2, "a -> b -> c -> a"),
        ("webmaster: no-such-user-here\n", "alias-target", 2, "no-such-user-here"),
        ("archive: \"|%/nothing x\"\n", "alias-command", 2, "cannot be run"),
    ] {
        let (_, found) = Place::new("", "", aliases).findings();
        let hit = found.iter().find(|(name, _, file, at, message)| {
            name == lint && file == "aliases" && *at == line && message.contains(words)
        });
        assert!(hit.is_some(), "{lint}: {found:?}");
    }
    let fine =
        "root: root, postmaster-archive\npostmaster-archive: /dev/null\nlist: someone@elsewhere.example, daemon\n";
    assert_eq!(Place::new("", "", fine).findings().1, []);
    let place = Place::new("", "", "");
    place.write("aliases", "root: daemon\n");
    place.run("postalias", &[&format!("hash:{}/aliases", place.0.path().display())]);
    assert_eq!(place.findings().1[0].0, "alias-postmaster");
}

#[test]
fn people_see_the_line_and_a_caret_under_the_culprit() {
    let (_, said) = Place::new("relayhost = # none\n", "", "").run("postfix", &["lint"]);
    for part in ["error[comment-in-value]", "main.cf:9:13", "9 | relayhost = # none", "^^^^^^", "note: ", "help: "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (status, page) = Place::new("", "", "").run("postfix", &["lint", "--explain", "alias-loop"]);
    assert!(status == 0 && page.starts_with("# alias-loop"), "{page}");
    let (status, said) = Place::new("", "", "").run("postfix", &["lint", "--explain", "nothing"]);
    assert!(status == 1 && said.contains("alias-loop"), "{said}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_an_error() {
    let place = Place::new("", "", "");
    place.write("main.cf", "no equals\n");
    let (status, said) = place.run("postfix", &["lint"]);
    assert!(status == 2 || status == 1, "{status}");
    assert!(said.contains("main.cf, line 1: missing '=' after attribute name: \"no equals\""), "{said}");
}

/// Made by `openssl req -x509 -newkey ed25519 -nodes -days N -subj /CN=srv.example.org [-addext subjectAltName=...]`.
const EXPIRED: &str = include_str!("data/conf/expired.pem");
const FOR_ANOTHER: &str = include_str!("data/conf/for-another.pem");
const WILDCARD: &str = include_str!("data/conf/wildcard.pem");

#[test]
fn certificates_that_nobody_believes() {
    let of = |certificate: &str| {
        let place = Place::new("smtpd_tls_cert_file = @/cert\nsmtpd_tls_key_file = @/cert\n", "", "");
        place.write("cert", certificate);
        let (_, found) = place.findings();
        found.into_iter().map(|(lint, level, _, line, message)| (lint, level, line, message)).collect::<Vec<_>>()
    };
    let lints = |found: &[(String, String, u64, String)]| -> Vec<String> {
        found.iter().map(|(lint, ..)| lint.clone()).collect()
    };
    let expired = of(EXPIRED);
    assert_eq!(lints(&expired), ["certificate-expired"], "{expired:?}");
    assert!(expired[0].1 == "error" && expired[0].2 == FIRST && expired[0].3.contains("expired"), "{expired:?}");
    let another = of(FOR_ANOTHER);
    assert_eq!(lints(&another), ["certificate-name"], "{another:?}");
    assert!(another[0].3.contains("mail.example.net"), "{another:?}");
    assert!(of(WILDCARD).is_empty(), "{:?}", of(WILDCARD));
    assert_eq!(lints(&of("no certificate at all\n")), ["certificate-expired"]);
}
