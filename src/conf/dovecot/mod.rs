//! Dovecot's configuration (2.3 syntax) as far as a POP3 server with system users needs it: dovecot.conf with its
//! includes, nested sections, `protocol` and `remote` filters, `<file` values, `$name` references. What is read but
//! not honoured here is said plainly ([`Dovecot::remarks`]), never passed over in silence where it would change who
//! may log in.

/// Patterns of file names.
mod glob;
/// The files, line by line.
mod reader;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where Dovecot looks.
pub const DEFAULT: &str = "/etc/dovecot/dovecot.conf";

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum DovecotError {
    #[error("open {}: {}", .0.display(), crate::sys::files::reason(.1))]
    Open(PathBuf, std::io::Error),
    #[error("{}: line {}: {}", .0.display(), .1, .2)]
    Syntax(PathBuf, usize, String),
    #[error("{0}: {1}")]
    Value(&'static str, String),
}

/// One passdb or userdb section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    pub driver: String,
    pub args: String,
}

/// A setting that holds for some clients only.
#[derive(Clone, Debug)]
struct Filtered {
    networks: Vec<(IpAddr, u8)>,
    name: String,
    value: String,
}

/// Settings by path ("service/pop3-login/inet_listener/pop3/port").
#[derive(Clone, Debug, Default)]
pub struct Dovecot {
    settings: BTreeMap<String, String>,
    filtered: Vec<Filtered>,
    passdbs: Vec<Database>,
    userdbs: Vec<Database>,
    remarks: Vec<String>,
}

impl Dovecot {
    /// Reads the tree that begins with this file.
    pub fn read(file: &Path) -> Result<Dovecot, DovecotError> {
        let mut found = reader::read(file)?;
        found.remark();
        Ok(found)
    }

    /// The value of a setting for POP3; `default` when it is not given.
    pub fn value<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        let own = self.settings.get(&format!("protocol pop3/{name}"));
        own.or_else(|| self.settings.get(name)).map_or(default, String::as_str)
    }

    /// The value of a setting for a client at this address.
    pub fn value_for<'a>(&'a self, remote: IpAddr, name: &str, default: &'a str) -> &'a str {
        let own = self.filtered.iter().rev().find(|filtered| {
            filtered.name == name && filtered.networks.iter().any(|network| contains(*network, remote))
        });
        own.map_or_else(|| self.value(name, default), |filtered| filtered.value.as_str())
    }

    pub fn yes(&self, name: &str, default: bool) -> bool {
        is_yes(self.value(name, if default { "yes" } else { "no" }))
    }

    pub fn number(&self, name: &'static str, default: u64) -> Result<u64, DovecotError> {
        let value = self.value(name, "");
        if value.is_empty() {
            return Ok(default);
        }
        value.parse().map_err(|_| DovecotError::Value(name, format!("{value} is not a number")))
    }

    /// A span of time in seconds: "2 secs", "10 min".
    pub fn seconds(&self, name: &'static str, default: u64) -> Result<u64, DovecotError> {
        let value = self.value(name, "");
        if value.is_empty() {
            return Ok(default);
        }
        let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        let count: Option<u64> = value[..end].parse().ok();
        let unit = match value[end..].trim() {
            unit if unit.starts_with("min") || unit == "m" => 60,
            unit if unit.starts_with('h') => 3600,
            unit if unit.starts_with('d') => 86_400,
            unit if unit.starts_with('w') => 604_800,
            unit if unit.is_empty() || unit.starts_with('s') => 1,
            _ => 0,
        };
        count
            .filter(|_| unit > 0)
            .and_then(|count| count.checked_mul(unit))
            .ok_or_else(|| DovecotError::Value(name, format!("{value} is not a time")))
    }

    pub fn passdbs(&self) -> &[Database] {
        &self.passdbs
    }

    pub fn userdbs(&self) -> &[Database] {
        &self.userdbs
    }

    /// What is not honoured, for `--check-config` and the log.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Whether a remote address may be trusted with clear passwords (login_trusted_networks).
    pub fn trusts(&self, remote: IpAddr) -> bool {
        networks(self.value("login_trusted_networks", "")).iter().any(|network| contains(*network, remote))
    }

    fn remark(&mut self) {
        for path in self.settings.keys() {
            let name = path.rsplit('/').next().unwrap_or(path);
            let section = path.split('/').next().unwrap_or_default();
            let elsewhere = path.contains('/') && section != "protocol pop3" && !section.starts_with("service pop3");
            if elsewhere || HONOURED.contains(&name) || OTHERS.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            self.remarks.push(format!("{path}: not honoured by this server"));
        }
        let unset = matches!(self.value("ssl", "yes"), "yes" | "required") && self.value("ssl_cert", "").is_empty();
        if unset {
            self.remarks.push(format!("ssl = {}: no ssl_cert, TLS is not offered", self.value("ssl", "yes")));
        }
        if self.yes("ssl_verify_client_cert", false) {
            self.remarks.push("ssl_verify_client_cert: clients are not asked for certificates".to_owned());
        }
        for database in &self.passdbs {
            if !matches!(database.driver.as_str(), "pam" | "shadow" | "passwd-file") {
                self.remarks.push(format!("passdb driver {}: not known, nobody can log in by it", database.driver));
            }
        }
    }
}

/// Settings that this server acts on.
const HONOURED: &[&str] = &[
    "address",
    "auth_failure_delay",
    "auth_mechanisms",
    "auth_username_chars",
    "auth_username_format",
    "client_limit",
    "default_login_user",
    "disable_plaintext_auth",
    "first_valid_uid",
    "info_log_path",
    "last_valid_uid",
    "listen",
    "log_path",
    "log_timestamp",
    "login_greeting",
    "login_trusted_networks",
    "mail_access_groups",
    "mail_location",
    "mail_max_userip_connections",
    "mail_privileged_group",
    "pop3_logout_format",
    "pop3_no_flag_updates",
    "pop3_uidl_format",
    "port",
    "process_limit",
    "protocols",
    "ssl",
    "ssl_cert",
    "ssl_cipher_list",
    "ssl_curve_list",
    "ssl_key",
    "ssl_min_protocol",
    "ssl_prefer_server_ciphers",
    "syslog_facility",
];

/// Beginnings of names of settings that mean nothing to a POP3 server over plain connections.
const OTHERS: &[&str] = &[
    "auth_cache",
    "auth_debug",
    "auth_verbose",
    "base_dir",
    "dict",
    "director",
    "doveadm",
    "dsync",
    "hostname",
    "imap",
    "import_environment",
    "lda",
    "lmtp",
    "mail_attachment",
    "mail_debug",
    "mail_log",
    "mail_plugin",
    "maildir",
    "managesieve",
    "mbox_",
    "mdbox",
    "postmaster",
    "plugin",
    "quota",
    "recipient_delimiter",
    "ssl_",
    "submission",
    "verbose_proctitle",
    "verbose_ssl",
    "version_ignore",
];

fn is_yes(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "yes" | "y" | "true" | "1")
}

/// "10.0.0.0/8 ::1": addresses with their prefix lengths.
fn networks(list: &str) -> Vec<(IpAddr, u8)> {
    list.split([' ', ',', '\t'])
        .filter_map(|word| {
            let (address, bits) = word.split_once('/').map_or((word, None), |(address, bits)| (address, Some(bits)));
            let address: IpAddr = address.parse().ok()?;
            let full = if address.is_ipv4() { 32 } else { 128 };
            Some((address, bits.map_or(Some(full), |bits| bits.parse().ok().filter(|&bits| bits <= full))?))
        })
        .collect()
}

fn contains((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    let shifted = |value: u128, width: u8| value.checked_shr(u32::from(width - bits)).unwrap_or(0);
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => shifted(a.to_bits().into(), 32) == shifted(b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => shifted(a.to_bits(), 128) == shifted(b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Dovecot, DovecotError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Dovecot::read(&dir.path().join("dovecot.conf"))
    }

    #[test]
    fn includes_sections_and_filters() {
        let found = read(&[
            ("dovecot.conf", "protocols = pop3 # only\n!include conf.d/*.conf\n!include_try local.conf\n"),
            ("conf.d/20-b.conf", "protocol pop3 {\n  pop3_uidl_format = %g\n}\nprotocol imap {\n  x = 1\n}\n"),
            (
                "conf.d/10-a.conf",
                "passdb {\n  driver = pam\n  args = dovecot\n}\nuserdb {\n driver = passwd\n}\n\
                 service pop3-login {\n  inet_listener pop3 {\n    port = 1110\n  }\n}\n\
                 remote 10.0.0.0/8 {\n  disable_plaintext_auth = no\n}\n\
                 login_greeting = \"Hello # you\"\nmail_plugins = $mail_plugins a\nsecret = <secret.txt\n",
            ),
            ("conf.d/secret.txt", "inside"),
        ])
        .unwrap();
        assert_eq!(found.value("pop3_uidl_format", ""), "%g");
        assert_eq!(found.value("service pop3-login/inet_listener pop3/port", "110"), "1110");
        assert_eq!(found.value("login_greeting", ""), "Hello # you");
        assert_eq!(found.value("secret", ""), "inside");
        assert_eq!(found.passdbs(), [Database { driver: "pam".into(), args: "dovecot".into() }]);
        assert_eq!(found.value_for("10.1.2.3".parse().unwrap(), "disable_plaintext_auth", "yes"), "no");
        assert_eq!(found.value_for("11.1.2.3".parse().unwrap(), "disable_plaintext_auth", "yes"), "yes");
        assert!(found.remarks().iter().any(|remark| remark.starts_with("secret:")));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, what) in [
            ("a", "expecting '='"),
            ("}", "a } without a section"),
            ("a {\n", "a section is not closed"),
            ("!include nowhere.conf\n", "No such file"),
            ("!include dovecot.conf\n", "nested too deeply"),
        ] {
            let error = read(&[("dovecot.conf", text)]).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn the_reference_configuration_is_read() {
        if !Path::new(DEFAULT).exists() {
            eprintln!("skipped: no {DEFAULT}");
            return;
        }
        let found = Dovecot::read(Path::new(DEFAULT)).unwrap();
        assert!(!found.value("mail_location", "").is_empty());
    }
}
