//! pgsql:, mysql: and ldap: over TLS, with real servers: who is encrypted and who is refused. A server that cannot be
//! trusted is an error, never "not there". With `UNDER_TEST=reference` the installed postmap is tried with the same
//! stories.
#![cfg(feature = "netdb")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod databases;

use databases::{NOBODY, NOT_THERE, Place, feed, found, free_port, is_an_error, reference, start};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two authorities of one name, a server's certificate for localhost and 127.0.0.2 only, and one for a client called "certain".
fn certificates(place: &Place) -> bool {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: openssl is not installed");
        return false;
    }
    let make = |line: &str| place.run("openssl", &line.split(' ').collect::<Vec<_>>());
    for authority in ["ca", "other"] {
        make(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=Authority \
             -keyout {authority}.key -out {authority}.pem"
        ));
    }
    place.file("localhost.ext", "subjectAltName = DNS:localhost, IP:127.0.0.2\nextendedKeyUsage = serverAuth\n");
    place.file("certain.ext", "extendedKeyUsage = clientAuth\n");
    for name in ["localhost", "certain"] {
        make(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
             -out {name}.csr"
        ));
        make(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile {name}.ext -out {name}.pem"
        ));
        own(place, &format!("{name}.key"), NOBODY);
    }
    true
}

/// A key of its user.
fn own(place: &Place, name: &str, user: u32) -> PathBuf {
    let path = place.path(name);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(&path, Some(user), None).unwrap();
    }
    path
}

#[test]
fn a_postgresql_with_tls() {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let Some(bin) = versions.map(|entry| entry.path().join("bin")).find(|bin| bin.join("postgres").exists()) else {
        eprintln!("skipped: a_postgresql_with_tls: postgresql is not installed");
        return;
    };
    let program = |name: &str| bin.join(name).to_string_lossy().into_owned();
    let place = Place::new();
    if !certificates(&place) {
        return;
    }
    place.run(&program("initdb"), &["-D", "data", "-U", "pillar", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]);
    place.file(
        "data/pg_hba.conf",
        "local all all trust\nhostssl all certain samehost cert\nhostssl all pillar samehost scram-sha-256\n\
         hostnossl all plain samehost scram-sha-256\n",
    );
    let port = free_port();
    let mut command = place.command(&program("postgres"));
    command.args(["-D", "data", "-F", "-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(place.0.path());
    for setting in
        ["ssl=on", "ssl_cert_file=../localhost.pem", "ssl_key_file=../localhost.key", "ssl_ca_file=../ca.pem"]
    {
        command.args(["-c", setting]);
    }
    let _server = start(command, port);
    let psql = || {
        let mut command = place.command(&program("psql"));
        command.args(["-q", "-v", "ON_ERROR_STOP=1", "-p", &port.to_string(), "-U", "pillar", "-h"]);
        command.arg(place.0.path()).arg("postgres");
        command
    };
    let users =
        "alter role pillar password 'sesam'; create role plain login password 'sesam'; create role certain login;";
    feed(psql, users);

    let ask = |user: &str, hosts: &str| {
        // Whether this very session is encrypted.
        let query = "query = SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND '%s' = 'key'\n";
        let parameters = format!("user = {user}\npassword = sesam\ndbname = postgres\nhosts = {hosts}\n{query}");
        let parameters = parameters.replace("USER", user);
        place.ask("pgsql", &parameters, "key")
    };
    // A URI says by itself who asks.
    let uri = |host: &str, more: &str| format!("postgresql://USER:sesam@{host}:{port}/postgres?{more}");
    let file = |name: &str| place.path(name).to_string_lossy().replace('/', "%2F");
    let (ca, other) = (file("ca.pem"), file("other.pem"));

    // Nothing is said of TLS: it is used where the server can, and nothing is checked.
    assert_eq!(ask("pillar", &format!("localhost:{port}")), found("true"));
    assert_eq!(ask("plain", &format!("localhost:{port}")), found("false"));
    assert_eq!(ask("pillar", &uri("127.0.0.1", "")), found("true"));
    is_an_error(ask("pillar", &uri("127.0.0.1", "sslmode=disable")));
    assert_eq!(ask("plain", &uri("127.0.0.1", "sslmode=disable")), found("false"));
    assert_eq!(ask("pillar", &uri("127.0.0.1", "sslmode=allow")), found("true"));
    assert_eq!(ask("pillar", &uri("127.0.0.1", "sslmode=require")), found("true"));
    is_an_error(ask("plain", &uri("127.0.0.1", "sslmode=require")));
    is_an_error(ask("pillar", &uri("127.0.0.1", "sslmode=perhaps")));
    // A socket of this machine is as good.
    let socket = format!("postgresql:///postgres?user=pillar&host={}&port={port}&sslmode=require", file(""));
    assert_eq!(ask("pillar", &socket), found("false"));

    // The authority, and the host's name.
    assert_eq!(ask("pillar", &uri("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={ca}"))), found("true"));
    assert_eq!(ask("pillar", &uri("localhost", &format!("sslmode=verify-full&sslrootcert={ca}"))), found("true"));
    is_an_error(ask("pillar", &uri("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ca}"))));
    for mode in ["verify-ca", "verify-full", "require"] {
        is_an_error(ask("pillar", &uri("localhost", &format!("sslmode={mode}&sslrootcert={other}"))));
    }
    is_an_error(ask("pillar", &uri("localhost", &format!("sslmode=verify-ca&sslrootcert={}", file("none.pem")))));
    // Who must not be trusted is not asked without TLS either, unless the table prefers an answer.
    is_an_error(ask("plain", &uri("localhost", &format!("sslmode=verify-ca&sslrootcert={other}"))));
    assert_eq!(ask("plain", &uri("localhost", &format!("sslmode=prefer&sslrootcert={other}"))), found("false"));

    // The client's own certificate.
    own(&place, "certain.key", nix::unistd::geteuid().as_raw());
    let identity = format!("sslmode=verify-full&sslrootcert={ca}&sslcert={}", file("certain.pem"));
    let with_key = format!("{identity}&sslkey={}", file("certain.key"));
    assert_eq!(ask("certain", &uri("localhost", &with_key)), found("true"));
    is_an_error(ask("certain", &uri("localhost", &format!("sslmode=verify-full&sslrootcert={ca}"))));
    std::fs::set_permissions(place.path("certain.key"), PermissionsExt::from_mode(0o644)).unwrap();
    is_an_error(ask("certain", &uri("localhost", &with_key)));
}

#[test]
fn a_mariadb_with_tls() {
    let (server, install) = ("/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db");
    if !Path::new(server).exists() || !Path::new(install).exists() {
        eprintln!("skipped: a_mariadb_with_tls: mariadb-server is not installed");
        return;
    }
    let place = Place::new();
    if !certificates(&place) {
        return;
    }
    let data = format!("--datadir={}", place.path("data").display());
    place.run(install, &["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
    let port = free_port();
    let socket = place.path("sock");
    let mut command = place.command(server);
    command.args(["--no-defaults", &data, "--bind-address=127.0.0.1,127.0.0.2", &format!("--port={port}")]);
    command.args([format!("--socket={}", socket.display()), format!("--pid-file={}", place.path("pid").display())]);
    let path = |name: &str| place.path(name).display().to_string();
    command.args([format!("--ssl-ca={}", path("ca.pem")), format!("--ssl-cert={}", path("localhost.pem"))]);
    command.args([format!("--ssl-key={}", path("localhost.key")), "--plugin-load-add=auth_ed25519".to_owned()]);
    let _server = start(command, port);
    let client = || {
        let mut command = place.command("/usr/bin/mariadb");
        command.args(["--no-defaults", "-h", "127.0.0.1", "-P", &port.to_string(), "-u", "root"]);
        command
    };
    feed(
        client,
        "create database mail;\n\
         create user pillar@'%' identified by 'sesam' require ssl; grant all on mail.* to pillar@'%';\n\
         create user plain@'%' identified by 'sesam'; grant all on mail.* to plain@'%';\n\
         create user certain@'%' identified by 'sesam' require subject '/CN=certain'; grant all on mail.* to certain@'%';\n\
         create user edward@'%' identified via ed25519 using password('sesam'); grant all on mail.* to edward@'%';\n",
    );

    let ask_at = |user: &str, host: &str, more: &str| {
        // Whether this very session is encrypted.
        let query = "query = SELECT IF(variable_value = '', 'open', 'encrypted') FROM information_schema.session_status \
            WHERE variable_name = 'Ssl_version' AND '%s' = 'key'\n";
        let parameters = format!("user = {user}\npassword = sesam\ndbname = mail\nhosts = {host}\n{query}{more}");
        place.ask("mysql", &parameters, "key")
    };
    // One that the certificate names, and one that it does not.
    let (named, unnamed) = (format!("127.0.0.2:{port}"), format!("127.0.0.1:{port}"));
    let ask = |user: &str, more: &str| ask_at(user, &named, more);
    let (ca, other) = (format!("tls_CAfile = {}\n", path("ca.pem")), format!("tls_CAfile = {}\n", path("other.pem")));

    assert_eq!(ask("plain", ""), found("open"));
    assert_eq!(ask("edward", ""), found("open"));
    is_an_error(ask("pillar", ""));
    assert_eq!(ask("pillar", &ca), found("encrypted"));
    is_an_error(ask("pillar", &other));
    // The host's name only when it is asked for.
    assert_eq!(ask_at("pillar", &unnamed, &ca), found("encrypted"));
    assert_eq!(ask("pillar", &format!("{ca}tls_verify_cert = yes\n")), found("encrypted"));
    is_an_error(ask_at("pillar", &unnamed, &format!("{ca}tls_verify_cert = yes\n")));
    is_an_error(ask("pillar", &format!("{other}tls_verify_cert = yes\n")));
    // A directory of authorities, by OpenSSL's hashes.
    std::fs::create_dir(place.path("authorities")).unwrap();
    std::fs::copy(place.path("ca.pem"), place.path("authorities/ca.pem")).unwrap();
    assert!(Command::new("openssl").arg("rehash").arg(place.path("authorities")).status().unwrap().success());
    let directory = format!("tls_CApath = {}\ntls_verify_cert = yes\n", path("authorities"));
    assert_eq!(ask("pillar", &directory), found("encrypted"));
    // A socket of this machine is encrypted too, if that is wanted.
    assert_eq!(ask_at("pillar", &format!("unix:{}", socket.display()), &ca), found("encrypted"));
    // A file that is not there is no reason to go on without it.
    is_an_error(ask("plain", "tls_CAfile = /nonexistent/ca.pem\n"));

    own(&place, "certain.key", nix::unistd::geteuid().as_raw());
    let identity = format!("tls_cert_file = {}\ntls_key_file = {}\n", path("certain.pem"), path("certain.key"));
    assert_eq!(ask("certain", &format!("{ca}{identity}")), found("encrypted"));
    is_an_error(ask("certain", &ca));
    // Encrypted, and nothing checked.
    assert_eq!(ask("pillar", &identity), found("encrypted"));
}

#[test]
fn an_openldap_with_tls() {
    if !Path::new("/usr/sbin/slapd").exists() {
        eprintln!("skipped: an_openldap_with_tls: slapd is not installed");
        return;
    }
    let place = Place::new();
    if !certificates(&place) {
        return;
    }
    std::fs::create_dir(place.path("db")).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(place.path("db"), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let path = |name: &str| place.path(name).display().to_string();
    let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
    // Nothing is said over an open line; the description only to who proves to be somebody.
    let settings = format!(
        "{}{}{}modulepath /usr/lib/ldap\nmoduleload back_mdb\nsecurity ssf=1\nTLSCACertificateFile {}\n\
         TLSCertificateFile {}\nTLSCertificateKeyFile {}\nTLSVerifyClient try\ndatabase mdb\nmaxsize 10485760\n\
         suffix \"dc=x,dc=org\"\nrootdn \"cn=admin,dc=x,dc=org\"\nrootpw sesam\ndirectory {}\n\
         access to attrs=description by dn.exact=\"cn=certain\" read \
         by dn.regex=\"^gidNumber=[0-9]+.uidNumber=[0-9]+,cn=peercred,cn=external,cn=auth$\" read by * none\n\
         access to * by * read\n",
        schema("core"),
        schema("cosine"),
        schema("inetorgperson"),
        path("ca.pem"),
        path("localhost.pem"),
        path("localhost.key"),
        path("db")
    );
    let data = "dn: dc=x,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: X\ndc: x\n\n\
        dn: uid=bob,dc=x,dc=org\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: B\nmail: bob@x.org\n\
        description: secret\n";
    let (file, data) = (place.file("slapd.conf", &settings), place.file("data.ldif", data));
    let file = file.to_str().unwrap();
    place.run("/usr/sbin/slapadd", &["-f", file, "-l", data.to_str().unwrap()]);
    let (port, secure) = (free_port(), free_port());
    let socket = path("sock").replace('/', "%2F");
    let mut command = place.command("/usr/sbin/slapd");
    let urls = format!(
        "ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{secure}/ ldap://127.0.0.2:{port}/ ldaps://127.0.0.2:{secure}/ \
         ldapi://{socket}"
    );
    command.args(["-f", file, "-d", "0", "-h", &urls]);
    let _slapd = start(command, port);

    let base = "search_base = dc=x,dc=org\nversion = 3\nquery_filter = uid=%s\n";
    let ask_for = |attribute: &str, url: &str, more: &str| {
        let parameters = format!("server_host = {url}\n{base}result_attribute = {attribute}\n{more}");
        place.ask("ldap", &parameters, "bob")
    };
    let ask = |url: &str, more: &str| ask_for("mail", url, more);
    let (bob, start_tls, require) = (found("bob@x.org"), "start_tls = yes\n", "tls_require_cert = yes\n");
    let authority = |name: &str| format!("{require}tls_ca_cert_file = {}\n", path(name));
    let named = |scheme: &str, port: u16| format!("{scheme}://127.0.0.2:{port}");
    let unnamed = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");

    is_an_error(ask(&named("ldap", port), ""));
    let open = |more: &str| (unnamed("ldap", port), format!("{start_tls}{more}"));
    for (url, more) in [(unnamed("ldaps", secure), String::new()), open("")] {
        assert_eq!(ask(&url, &more), bob, "nothing is checked, as is the default: {url}");
        is_an_error(ask(&url, &format!("{more}{}", authority("ca.pem"))));
    }
    for (url, more) in [(named("ldaps", secure), ""), (named("ldap", port), start_tls)] {
        assert_eq!(ask(&url, &format!("{more}{}", authority("ca.pem"))), bob, "{url}");
        is_an_error(ask(&url, &format!("{more}{}", authority("other.pem"))));
        is_an_error(ask(&url, &format!("{more}{}", authority("none.pem"))));
    }
    let who = "bind_dn = cn=admin,dc=x,dc=org\nbind_pw = ";
    assert_eq!(ask_for("description", &unnamed("ldaps", secure), &format!("{who}sesam\n")), found("secret"));
    is_an_error(ask(&unnamed("ldaps", secure), &format!("{who}wrong\n")));

    // The client's own certificate, and the user of a socket, say who asks.
    own(&place, "certain.key", nix::unistd::geteuid().as_raw());
    let external = "bind = sasl\nsasl_mechs = EXTERNAL\n";
    let identity = format!("{external}tls_cert = {}\ntls_key = {}\n", path("certain.pem"), path("certain.key"));
    assert_eq!(ask_for("description", &unnamed("ldaps", secure), ""), NOT_THERE);
    assert_eq!(ask_for("description", &unnamed("ldaps", secure), &identity), found("secret"));
    assert_eq!(ask_for("description", &unnamed("ldap", port), &format!("{identity}{start_tls}")), found("secret"));
    is_an_error(ask_for("description", &unnamed("ldaps", secure), external));
    let local = format!("ldapi://{socket}");
    assert_eq!(ask_for("description", &local, external), found("secret"));
    assert_eq!(ask_for("description", &local, &format!("{external}sasl_minssf = 71\n")), found("secret"));
    // The reference's library does not keep to it here.
    if !reference() {
        is_an_error(ask_for("description", &local, &format!("{external}sasl_minssf = 72\n")));
    }
    is_an_error(ask_for("description", &local, &format!("{external}sasl_authz_id = dn:cn=somebody\n")));
    is_an_error(ask(&local, "bind = sasl\nsasl_mechs = GSSAPI\n"));
}
