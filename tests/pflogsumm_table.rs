//! The event table of pflogsumm: --ndjson's objects and --parquet's files, whose queries in the manual page are asked of
//! a real DuckDB.

// Helpers of tests end a test as tests do.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn pflogsumm(args: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
    // 2026-11-24 12:00:00 UTC
    command.arg("pflogsumm").envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", "1795521600")]);
    command.args(args).args(files).stdin(Stdio::null()).output().expect("the program starts")
}

/// Two days, two hosts and one with a name of its own kind; what every query asks for is in it.
const LOG: &str = "\
Nov 23 08:00:00 mx1 postfix/smtpd[7]: connect from pc.example.org[192.0.2.3]
Nov 23 08:00:00 mx1 postfix/submission/smtpd[7]: A1B2C3D4E5: client=pc.example.org[192.0.2.3], sasl_method=PLAIN, \
sasl_username=ada
Nov 23 08:00:00 mx1 postfix/cleanup[9]: A1B2C3D4E5: message-id=<one@example.org>
Nov 23 08:00:00 mx1 postfix/qmgr[8]: A1B2C3D4E5: from=<ada@example.org>, size=4711, nrcpt=2 (queue active)
Nov 23 08:00:02 mx1 postfix/smtp[5]: A1B2C3D4E5: to=<bob@b.example>, relay=mx.b.example[192.0.2.2]:25, conn_use=2, \
delay=2, delays=0.1/0/0.9/1, dsn=2.0.0, status=sent (250 ok)
Nov 23 08:00:03 mx1 postfix/smtp[5]: A1B2C3D4E5: to=<eve@Down.example>, orig_to=<e@example.org>, relay=none, delay=3, \
delays=0.1/0/2.9/0, dsn=4.4.1, status=deferred (connect to down.example[192.0.2.9]:25: Connection refused)
Nov 23 09:10:03 mx1 postfix/qmgr[8]: A1B2C3D4E5: from=<ada@example.org>, size=4711, nrcpt=2 (queue active)
Nov 23 09:10:04 mx1 postfix/smtp[5]: A1B2C3D4E5: to=<eve@Down.example>, orig_to=<e@example.org>, relay=none, \
delay=4204, delays=4203/0/1/0, dsn=4.4.1, status=deferred (connect to down.example[192.0.2.9]:25: Connection timed out)
Nov 23 10:00:00 mx2 postfix/submission/smtpd[7]: B1B2C3D4E5: client=unknown[198.51.100.7], sasl_method=LOGIN, \
sasl_username=ada
Nov 23 10:00:00 mx2 postfix/qmgr[8]: B1B2C3D4E5: from=<ada@example.org>, size=289, nrcpt=1 (queue active)
Nov 23 10:00:30 mx2 postfix/smtp[5]: B1B2C3D4E5: to=<gone@b.example>, relay=mx.b.example[192.0.2.2]:25, delay=30, \
delays=0/0/0/30, dsn=5.1.1, status=bounced (host mx.b.example[192.0.2.2] said: 550 5.1.1 who? (in reply to RCPT TO))
Nov 23 10:00:30 mx2 postfix/bounce[4]: B1B2C3D4E5: sender non-delivery notification: C1B2C3D4E5
Nov 24 01:00:00 mx1 postfix/smtpd[3]: NOQUEUE: reject: RCPT from unknown[203.0.113.5]: 554 5.7.1 <x@far.example>: Relay \
access denied; from=<s@spam.example> to=<x@far.example> proto=ESMTP helo=<liar>
Nov 24 01:00:01 mx1 postfix/smtpd[3]: NOQUEUE: reject: RCPT from unknown[203.0.113.5]: 554 5.7.1 <y@far.example>: Relay \
access denied; from=<s@spam.example> to=<y@far.example> proto=ESMTP helo=<liar>
Nov 24 01:00:02 mx1 postfix/smtpd[3]: warning: unknown[203.0.113.5]: SASL LOGIN authentication failed: UGFzc3dvcmQ6
Nov 24 01:00:03 mx1 postfix/cleanup[3]: D1B2C3D4E5: reject: header Subject: Cheap pills from h.spam.example[203.0.113.6]; \
from=<s@spam.example> to=<ada@example.org> proto=SMTP helo=<h>: no pills
Nov 24 02:00:00 [fe80::1%eth0] postfix/smtpd[3]: warning: dict_nis_init: \u{fffd}NIS domain name not set
";

fn log(dir: &Path) -> PathBuf {
    let path = dir.join("mail.log");
    std::fs::write(&path, LOG).expect("written");
    path
}

#[test]
fn an_event_is_an_object_with_the_names_of_the_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = pflogsumm(&["--ndjson"], &[&log(dir.path())]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(lines.len(), LOG.lines().count());
    let want = [
        (
            1,
            r#"{"time":"2026-11-23T08:00:00","host":"mx1","service":"smtpd","pid":7,"event":"client","queue_id":"A1B2C3D4E5",
                "client":"pc.example.org","client_address":"192.0.2.3","sasl_username":"ada"}"#,
        ),
        (
            4,
            r#"{"time":"2026-11-23T08:00:02","host":"mx1","service":"smtp","pid":5,"event":"delivery","queue_id":"A1B2C3D4E5",
                "recipient":"bob@b.example","relay":"mx.b.example[192.0.2.2]:25","conn_use":2,"delay":2.0,
                "delay_before_queue":0.1,"delay_in_queue":0.0,"delay_connection":0.9,"delay_transmission":1.0,
                "dsn":"2.0.0","status":"sent","reason":"250 ok"}"#,
        ),
        (
            12,
            r#"{"time":"2026-11-24T01:00:00","host":"mx1","service":"smtpd","pid":3,"event":"verdict","queue_id":"NOQUEUE",
                "sender":"s@spam.example","recipient":"x@far.example","client":"unknown","client_address":"203.0.113.5",
                "helo":"liar","dsn":"5.7.1","action":"reject","command":"RCPT","reply":554,"reason":"Relay access denied",
                "text":"554 5.7.1 <x@far.example>: Relay access denied"}"#,
        ),
        (
            15,
            r#"{"time":"2026-11-24T01:00:03","host":"mx1","service":"cleanup","pid":3,"event":"verdict",
                "queue_id":"D1B2C3D4E5","sender":"s@spam.example","recipient":"ada@example.org","client":"h.spam.example",
                "client_address":"203.0.113.6","helo":"h","action":"reject","command":"header","reason":"no pills",
                "text":"Subject: Cheap pills"}"#,
        ),
    ];
    for (at, want) in want {
        assert_eq!(lines[at], serde_json::from_str::<serde_json::Value>(want).expect("an object"));
    }
}

/// What each query of the manual page gives on [`LOG`], as DuckDB's rows in JSON.
const ANSWERS: [&str; 10] = [
    r#"[["2026-11-23","mx1",1,2,0],["2026-11-23","mx2",0,0,1]]"#,
    r#"[["ada@example.org",2,5000]]"#,
    r#"[["b.example",1,2.0,2.0,2.0]]"#,
    r#"[["reject","RCPT","Relay access denied",2,1],["reject","header","no pills",1,1]]"#,
    r#"[["203.0.113.5","unknown","liar",2],["203.0.113.6","h.spam.example","h",1]]"#,
    r#"[["203.0.113.5",1,"2026-11-24 01:00:02","2026-11-24 01:00:02"]]"#,
    r#"[["ada",2,2]]"#,
    r#"[["down.example","none",2,1,"connect to down.example[192.0.2.9]:25: Connection timed out"]]"#,
    r#"[["2026-11-23 08:00:02","A1B2C3D4E5","ada@example.org","bob@b.example","sent",2.0,"250 ok"],
        ["2026-11-23 08:00:03","A1B2C3D4E5","ada@example.org","eve@Down.example","deferred",3.0,
         "connect to down.example[192.0.2.9]:25: Connection refused"],
        ["2026-11-23 09:10:04","A1B2C3D4E5","ada@example.org","eve@Down.example","deferred",4204.0,
         "connect to down.example[192.0.2.9]:25: Connection timed out"],
        ["2026-11-23 10:00:30","B1B2C3D4E5","ada@example.org","gone@b.example","bounced",30.0,
         "host mx.b.example[192.0.2.2] said: 550 5.1.1 who? (in reply to RCPT TO)"]]"#,
    r#"[["Tuesday",1,0,3],["Monday",8,1,0],["Monday",9,0,0],["Monday",10,0,0],["Tuesday",2,0,0]]"#,
];

/// Runs SQL statements in a directory and prints a line of JSON for each.
const DUCKDB: &str = "
import datetime, json, sys
import duckdb
plain = lambda value: str(value) if isinstance(value, (datetime.date, datetime.datetime)) else \
    int(value) if isinstance(value, int) else value if value is None or isinstance(value, (str, float)) else float(value)
for query in sys.stdin.read().split(';'):
    if any(line and not line.startswith('--') for line in query.splitlines()):
        print(json.dumps([[plain(value) for value in row] for row in duckdb.sql(query).fetchall()]))
";

/// None without DuckDB.
fn duckdb(dir: &Path, sql: &str) -> Option<Vec<serde_json::Value>> {
    use std::io::Write;
    let python = || {
        let mut command = Command::new("python3");
        // tests/run puts it there.
        let place = std::env::var_os("PILLARBOX_PYTHON").unwrap_or_default();
        command.env("PYTHONPATH", place).current_dir(dir).stderr(Stdio::null());
        command
    };
    let there = python().args(["-c", "import duckdb"]).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: python3 has no duckdb");
        return None;
    }
    let mut child = python()
        .args(["-c", DUCKDB])
        .stderr(Stdio::inherit())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    child.stdin.take().expect("a pipe").write_all(sql.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "DuckDB refuses a query");
    let text = String::from_utf8(output.stdout).expect("text");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("rows")).collect())
}

#[cfg(feature = "parquet")]
#[test]
fn the_queries_of_the_manual_page_work() {
    let dir = tempfile::tempdir().expect("a directory");
    let table = dir.path().join("events");
    let table = table.to_str().expect("text");
    let output = pflogsumm(&["--parquet", table], &[&log(dir.path())]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let queries = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pflogsumm/queries.sql"));
    let Some(answers) = duckdb(dir.path(), &queries.expect("the queries")) else { return };
    assert_eq!(answers.len(), ANSWERS.len());
    for (number, (got, want)) in answers.iter().zip(ANSWERS).enumerate() {
        assert_eq!(*got, serde_json::from_str::<serde_json::Value>(want).expect("rows"), "query {}", number + 1);
    }
    // All rows are there, under their hosts' names, with their types.
    let sql = "SELECT count(*) FROM 'events/*/*/*.parquet';
        SELECT DISTINCT host FROM 'events/*/*/*.parquet' ORDER BY host;
        SELECT column_name, column_type FROM (DESCRIBE FROM 'events/*/*/*.parquet')
            WHERE column_name IN ('time', 'date', 'size', 'delay', 'sender') ORDER BY 1;
        SELECT DISTINCT decode(value) FROM parquet_kv_metadata('events/*/*/*.parquet')
            WHERE decode(key) = 'pillarbox.events.version'";
    let rows = duckdb(dir.path(), sql).expect("DuckDB was here just now");
    let count = LOG.lines().count();
    assert_eq!(rows[0], serde_json::json!([[count]]));
    assert_eq!(rows[1], serde_json::json!([["[fe80::1%eth0]"], ["mx1"], ["mx2"]]));
    let types =
        [["date", "DATE"], ["delay", "DOUBLE"], ["sender", "VARCHAR"], ["size", "BIGINT"], ["time", "TIMESTAMP"]];
    assert_eq!(rows[2], serde_json::json!(types));
    assert_eq!(rows[3], serde_json::json!([["1"]]));
}

#[cfg(feature = "parquet")]
#[test]
fn a_day_that_is_there_is_replaced_on_purpose_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let (log, table) = (log(dir.path()), dir.path().join("events"));
    let table = table.to_str().expect("text");
    assert!(pflogsumm(&["--parquet", table, "-d", "yesterday"], &[&log]).status.success());
    // The second run brings a new day and a known one; neither is written.
    let refused = pflogsumm(&["--parquet", table], &[&log]);
    assert_eq!(refused.status.code(), Some(73));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("date=2026-11-23/host=mx1 is there already and nothing was written"), "{text}");
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(table)
            .expect("a table")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["date=2026-11-23"]);
    assert!(pflogsumm(&["--parquet", table, "--overwrite"], &[&log]).status.success());
    assert_eq!(names(), ["date=2026-11-23", "date=2026-11-24"]);
    // A place that cannot be one says so.
    let wrong = pflogsumm(&["--parquet", log.to_str().expect("text")], &[&log]);
    assert_eq!(wrong.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("fatal: cannot write"), "{wrong:?}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_the_option_names_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = pflogsumm(&["--parquet", "events"], &[&log(dir.path())]);
    assert_eq!(refused.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("built without its feature parquet"), "{refused:?}");
}
