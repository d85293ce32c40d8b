//! pgsql:, mysql: and ldap: tables with real servers, each started for its test by an ordinary user in a directory of
//! its own, on loopback. With `UNDER_TEST=reference` the installed postmap is tried with the same stories.
#![cfg(feature = "netdb")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod databases;

use databases::{NOBODY, NOT_THERE, Place, feed, found, free_port, is_an_error, reference, start};
use std::os::unix::fs::chown;
use std::path::Path;

const ROWS: &str = "insert into aliases values ('bob','bob@x.org',null),('multi','a@x.org','b@y.org'),\
    ('multi','c@x.org',''),('o''b','quote@x.org',null),('bob@x.org','u1@h1.x.org','plain'),('null',null,null);\n";

/// What both kinds of SQL answer, and how they fail.
fn stories_of_sql(place: &Place, kind: &str, server: &str, socket: &str, dead: &str) {
    let base = format!("user = pillar\npassword = sesam\ndbname = mail\nhosts = {server}\n");
    let query = "query = SELECT dest, extra FROM aliases WHERE mailbox = '%s'\n";
    let ask = |more: &str, key: &str| place.ask(kind, &format!("{base}{more}"), key);
    let first = |(status, said): (i32, String)| (status, said.lines().next().unwrap_or_default().to_owned());

    // All columns of all rows; keys are folded, and cannot become SQL.
    assert_eq!(first(ask(query, "bob@x.org")), (0, "u1@h1.x.org,plain".into()));
    assert_eq!(first(ask(query, "BOB@x.org")), (0, "u1@h1.x.org,plain".into()));
    assert_eq!(first(ask(query, "multi")), (0, "a@x.org,b@y.org,c@x.org".into()));
    assert_eq!(first(ask(query, "o'b")), (0, "quote@x.org".into()));
    assert_eq!(ask(query, "x' or 'a'='a"), NOT_THERE);
    assert_eq!(ask(query, "x\\' or 1=1 -- "), NOT_THERE);

    let old =
        "table = aliases\nselect_field = dest\nwhere_field = mailbox\nadditional_conditions = and extra is null\n";
    assert_eq!(ask(old, "bob"), found("bob@x.org"));
    assert_eq!(ask(old, "multi"), NOT_THERE);

    let parts = "query = SELECT dest FROM aliases WHERE mailbox = '%u'\ndomain = x.org\nresult_format = %U=%s\n";
    assert_eq!(ask(parts, "bob@x.org"), found("bob=bob@x.org"));
    for outside in ["bob", "bob@y.org", "@x.org"] {
        assert_eq!(ask(parts, outside), NOT_THERE);
    }
    is_an_error(ask(&format!("{query}expansion_limit = 1\n"), "multi"));
    is_an_error(ask("query = SELECT dest FROM nowhere\n", "bob"));
    is_an_error(place.ask(kind, &base.replace("sesam", "wrong").replace("hosts", &format!("{query}hosts")), "bob"));
    is_an_error(place.ask(kind, &format!("{base}{query}").replace(server, dead), "bob"));

    // The others answer for one that is dead; a server on this machine's own socket is asked first.
    let both = format!("{base}{query}").replace(server, &format!("{dead} {server}"));
    for _ in 0..4 {
        let (status, said) = place.ask(kind, &both, "bob@x.org");
        assert!(status == 0 && said.contains("u1@h1.x.org,plain"), "{said}");
    }
    assert_eq!(
        first(place.ask(kind, &format!("{base}{query}").replace(server, &format!("{dead} {socket}")), "bob@x.org")).0,
        0
    );

    // The old form: the parameters in main.cf.
    if !reference() {
        let main = std::fs::read_to_string(place.path("main.cf")).unwrap();
        let prefixed: String = format!("{base}{query}").lines().map(|line| format!("people_{line}\n")).collect();
        place.file("main.cf", &format!("{main}{prefixed}"));
        assert_eq!(place.query(&format!("{kind}:people"), "bob@x.org"), found("u1@h1.x.org,plain"));
        let (_, said) = ask(&format!("{query}dbname = mail\n"), "bob@x.org");
        assert!(said.contains("overriding earlier entry: dbname=mail"), "{said}");
    }
}

#[test]
fn a_real_postgresql() {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let Some(bin) = versions.map(|entry| entry.path().join("bin")).find(|bin| bin.join("postgres").exists()) else {
        eprintln!("skipped: a_real_postgresql: postgresql is not installed");
        return;
    };
    let program = |name: &str| bin.join(name).to_string_lossy().into_owned();
    let place = Place::new();
    let password = place.file("password", "sesam\n");
    let arguments =
        ["-D", "data", "-U", "pillar", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N", "--pwfile"];
    place.run(&program("initdb"), &[&arguments[..], &[password.to_str().unwrap()]].concat());
    let port = free_port();
    let mut command = place.command(&program("postgres"));
    command.args(["-D", "data", "-F", "-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(place.0.path());
    let server = start(command, port);
    let psql = |database: &str| {
        let mut command = place.command(&program("psql"));
        command.args(["-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "pillar"]);
        command.arg(database).env("PGPASSWORD", "sesam");
        command
    };
    feed(|| psql("postgres"), "create database mail;\n");
    let accents = "insert into aliases values ('é', 'accent', null), ('euro', '€', null);\n";
    let function = "create function look(text) returns text as 'select dest from aliases where mailbox=$1 limit 1' \
        language sql;\n";
    let table = "create table aliases(mailbox text, dest text, extra text);\n";
    feed(|| psql("mail"), &format!("{table}{ROWS}{accents}{function}"));

    let address = format!("127.0.0.1:{port}");
    let uri_socket =
        format!("postgresql:///mail?host={}&port={port}&user=pillar&password=sesam", place.0.path().display());
    stories_of_sql(&place, "pgsql", &address, &uri_socket, "inet:127.0.0.1:1");

    let base = format!("user = pillar\npassword = sesam\ndbname = mail\nhosts = {address}\n");
    let ask = |more: &str, key: &str| place.ask("pgsql", &format!("{base}{more}"), key);
    assert_eq!(ask("select_function = look\n", "multi"), found("a@x.org"));
    // The session of Postfix 3.7 is Latin-1: other letters are another text, or an error.
    let query = "query = SELECT dest FROM aliases WHERE mailbox = '%s'\n";
    assert_eq!(ask(query, "é"), NOT_THERE);
    is_an_error(ask(query, "euro"));
    if !reference() {
        assert_eq!(ask(&format!("{query}encoding = UTF8\n"), "é"), found("accent"));
        assert_eq!(ask(&format!("{query}encoding = UTF8\n"), "euro"), found("€"));
        is_an_error(place.ask(
            "pgsql",
            &base.replace(&address, &format!("postgresql://{address}/mail?sslmode=require")),
            "bob",
        ));
    }
    // Whoever kept a connection finds the server again after a restart; while it is down there is an error.
    drop(server);
    is_an_error(ask(query, "bob"));
}

#[test]
fn a_real_mariadb() {
    let (server, install) = ("/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db");
    if !Path::new(server).exists() || !Path::new(install).exists() {
        eprintln!("skipped: a_real_mariadb: mariadb-server is not installed");
        return;
    }
    let place = Place::new();
    let data = format!("--datadir={}", place.path("data").display());
    let quiet = ["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"];
    place.run(install, &quiet);
    let port = free_port();
    let socket = place.path("sock");
    let mut command = place.command(server);
    command.args(["--no-defaults", &data, "--bind-address=127.0.0.1", &format!("--port={port}")]);
    command.args([format!("--socket={}", socket.display()), format!("--pid-file={}", place.path("pid").display())]);
    let mut mariadb = Some(start(command, port));
    let sql = "create database mail; use mail;\n\
        create user 'pillar'@'%' identified by 'sesam'; grant all on mail.* to 'pillar'@'%';\n\
        create table aliases(mailbox varchar(99) collate utf8mb4_bin, dest varchar(99), extra varchar(99)) \
        character set utf8mb4;\n";
    let more = "insert into aliases values ('é', '€', null), ('back\\\\slash', 'bs', null);\n\
        delimiter //\n\
        create procedure look(in p varchar(99)) begin select dest from aliases where mailbox=p; end//\n\
        create procedure nothing(in p varchar(99)) begin set @a=1; end//\n\
        create procedure two(in p varchar(99)) begin select 'one'; select 'two'; end//\n";
    let client = || {
        let mut command = place.command("/usr/bin/mariadb");
        command.args(["--no-defaults", "-h", "127.0.0.1", "-P", &port.to_string(), "-u", "root"]);
        command.arg("--default-character-set=utf8mb4");
        command
    };
    feed(client, &format!("{sql}{ROWS}{more}"));

    let address = format!("127.0.0.1:{port}");
    let unix = format!("unix:{}", socket.display());
    stories_of_sql(&place, "mysql", &address, &unix, "inet:127.0.0.1:1");

    let base = format!("user = pillar\npassword = sesam\ndbname = mail\nhosts = {address}\n");
    let ask = |more: &str, key: &str| place.ask("mysql", &format!("{base}{more}"), key);
    let query = "query = SELECT dest FROM aliases WHERE mailbox = '%s'\n";
    assert_eq!(ask(query, "é"), found("€"));
    assert_eq!(ask(query, "back\\slash"), found("bs"));
    assert_eq!(ask(query, "null"), NOT_THERE);
    assert_eq!(ask("query = call look('%s')\n", "bob"), found("bob@x.org"));
    is_an_error(ask("query = call two('%s')\n", "bob"));
    is_an_error(ask("query = call nothing('%s')\n", "bob"));
    assert_eq!(ask("query = call nothing('%s')\nrequire_result_set = no\n", "bob"), NOT_THERE);
    // A server whose backslashes are letters (the reference quotes for the other kind).
    if !reference() {
        feed(client, "set global sql_mode = 'NO_BACKSLASH_ESCAPES';\n");
        assert_eq!(ask(query, "back\\slash"), found("bs"));
        assert_eq!(ask(query, "o'b"), found("quote@x.org"));
        assert_eq!(ask(query, "x\\' or 1=1 -- "), NOT_THERE);
    }
    // Parameters of 3.9.
    if !reference() {
        assert_eq!(ask(&format!("{query}charset = utf8mb3\nidle_interval = 5\nretry_interval = 5\n"), "é"), found("€"));
        // The key's two bytes are two letters of Latin-1.
        assert_eq!(ask(&format!("{query}charset = latin1\n"), "é"), NOT_THERE);
        is_an_error(ask(&format!("{query}charset = gbk\n"), "bob"));
        is_an_error(ask(&format!("{query}retry_interval = 0\n"), "bob"));
    }
    // Who asks, from an option file.
    let options = place.file("my.cnf", "[client]\nuser = nobody\n[mail]\nuser = pillar\n");
    let unsaid = format!(
        "password = sesam\ndbname = mail\nhosts = {address}\noption_file = {}\noption_group = mail\n{query}",
        options.display()
    );
    assert_eq!(place.ask("mysql", &unsaid, "bob"), found("bob@x.org"));
    mariadb.take();
    is_an_error(ask(query, "bob"));
}

const DIRECTORY: &str = "\
dn: dc=x,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: X\ndc: x\n\n\
dn: ou=people,dc=x,dc=org\nobjectClass: organizationalUnit\nou: people\n\n\
dn: uid=bob,ou=people,dc=x,dc=org\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: B\nmail: bob@x.org\n\
mail: robert@x.org\n\n\
dn: uid=al,ou=people,dc=x,dc=org\nobjectClass: inetOrgPerson\nuid: al\ncn: Al(ice)*\nsn: A\nmail: al@x.org\n\
description: desc-al\n\n\
dn: cn=group,dc=x,dc=org\nobjectClass: groupOfNames\ncn: group\nmember: uid=bob,ou=people,dc=x,dc=org\n\
member: uid=al,ou=people,dc=x,dc=org\ndescription: group@x.org\n\n\
dn: cn=loop,dc=x,dc=org\nobjectClass: groupOfNames\ncn: loop\nmember: cn=loop,dc=x,dc=org\n";

/// Another, of which the first knows where it is.
const FAR_DIRECTORY: &str = "\
dn: dc=far,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Far\ndc: far\n\n\
dn: uid=far,dc=far,dc=org\nobjectClass: inetOrgPerson\nuid: far\ncn: Far\nsn: F\nmail: far@x.org\n";

#[test]
fn a_real_openldap() {
    if !Path::new("/usr/sbin/slapd").exists() {
        eprintln!("skipped: a_real_openldap: slapd is not installed");
        return;
    }
    let place = Place::new();
    for directory in ["db", "far"] {
        std::fs::create_dir(place.path(directory)).unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(place.path(directory), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
    let settings = format!(
        "{}{}{}modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nmaxsize 10485760\nsuffix \"dc=x,dc=org\"\n\
         rootdn \"cn=admin,dc=x,dc=org\"\nrootpw sesam\ndirectory {}\n\
         database mdb\nmaxsize 10485760\nsuffix \"dc=far,dc=org\"\ndirectory {}\n",
        schema("core"),
        schema("cosine"),
        schema("inetorgperson"),
        place.path("db").display(),
        place.path("far").display()
    );
    let file = place.file("slapd.conf", &settings);
    let port = free_port();
    let refers = format!(
        "\ndn: ou=far,dc=x,dc=org\nobjectClass: referral\nobjectClass: extensibleObject\nou: far\n\
         ref: ldap://127.0.0.1:{port}/dc=far,dc=org\n"
    );
    let data = place.file("data.ldif", &(DIRECTORY.to_owned() + &refers));
    let far = place.file("far.ldif", FAR_DIRECTORY);
    let file = file.to_str().unwrap();
    place.run("/usr/sbin/slapadd", &["-f", file, "-b", "dc=x,dc=org", "-l", data.to_str().unwrap()]);
    place.run("/usr/sbin/slapadd", &["-f", file, "-b", "dc=far,dc=org", "-l", far.to_str().unwrap()]);
    let socket = place.path("sock").to_string_lossy().replace('/', "%2F");
    let mut command = place.command("/usr/sbin/slapd");
    command.args(["-f", file, "-d", "0", "-h", &format!("ldap://127.0.0.1:{port}/ ldapi://{socket}")]);
    let mut slapd = Some(start(command, port));

    let base = format!("server_host = 127.0.0.1\nserver_port = {port}\nsearch_base = dc=x,dc=org\nversion = 3\n");
    let ask = |more: &str, key: &str| place.ask("ldap", &format!("{base}{more}"), key);
    let mail = "query_filter = uid=%s\nresult_attribute = mail\n";
    assert_eq!(ask(mail, "bob"), found("bob@x.org,robert@x.org"));
    assert_eq!(ask(mail, "nobody"), NOT_THERE);
    // A key is a text, never a part of a filter.
    assert_eq!(ask(mail, "*"), NOT_THERE);
    assert_eq!(
        ask("query_filter = cn=%s\nresult_attribute = mail, description\n", "al(ice)*"),
        found("al@x.org,desc-al")
    );
    let group = "query_filter = cn=%s\nspecial_result_attribute = member\n";
    assert_eq!(ask(&format!("{group}result_attribute = mail\n"), "group"), found("bob@x.org,robert@x.org,al@x.org"));
    let leaves = format!("{group}result_attribute = description\nleaf_result_attribute = mail\n");
    assert_eq!(ask(&leaves, "group"), found("bob@x.org,robert@x.org,al@x.org,desc-al,group@x.org"));
    let terminal = format!("{group}result_attribute =\nterminal_result_attribute = description\n");
    assert_eq!(ask(&terminal, "group"), found("group@x.org"));
    is_an_error(ask(&format!("{group}result_attribute = mail\n"), "loop"));

    let old = "query_filter = (&(uid=%u)(mail=%s))\nresult_attribute = mail\nresult_filter = <%u>\ndomain = x.org\n";
    assert_eq!(ask(old, "bob@x.org"), found("<bob>,<robert>"));
    assert_eq!(ask(old, "bob"), NOT_THERE);
    let named = mail.to_owned() + "bind_dn = cn=admin,dc=x,dc=org\nbind_pw = ";
    assert_eq!(ask(&format!("{named}sesam\n"), "al"), found("al@x.org"));
    is_an_error(ask(&format!("{named}wrong\n"), "al"));
    is_an_error(ask(&format!("{mail}expansion_limit = 1\n"), "bob"));
    is_an_error(ask("query_filter = (uid=%s\nresult_attribute = mail\n", "bob"));
    is_an_error(place.ask("ldap", &format!("{base}{mail}").replace("dc=x", "dc=y"), "bob"));
    // This server has no TLS.
    is_an_error(ask(&format!("{mail}start_tls = yes\n"), "bob"));

    // Another directory, to which the first refers. One that is dead is not one without the entry.
    let far = "query_filter = uid=%s\nresult_attribute = mail\n";
    assert_eq!(ask(far, "far"), NOT_THERE);
    assert_eq!(ask(&format!("{far}chase_referrals = yes\n"), "far"), found("far@x.org"));
    let within = format!("{base}{mail}").replace("dc=x,dc=org", "ou=far,dc=x,dc=org");
    is_an_error(place.ask("ldap", &within, "far"));
    assert_eq!(place.ask("ldap", &format!("{within}chase_referrals = yes\n"), "far"), found("far@x.org"));
    // A dead server in the list, and a socket.
    let both = format!("{base}{mail}").replace("127.0.0.1", &format!("ldap://127.0.0.1:1 ldapi://{socket}"));
    assert_eq!(place.ask("ldap", &both, "bob"), found("bob@x.org,robert@x.org"));
    slapd.take();
    is_an_error(ask(mail, "bob"));
}
