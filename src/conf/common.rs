//! What every program of the mail system reads when it starts, whatever it is for: a bad value here stops all of them
//! with the reference's words; a bad value elsewhere stops only the program that reads it.

use super::expand;
use super::main_cf::{ConfError, MainCf};
use crate::sys::{accounts, resolve};

/// Parameters with a type that every program reads.
pub const TYPED: &[&str] = &[
    "address_verify_negative_cache",
    "application_event_drain_time",
    "backwards_bounce_logfile_compatibility",
    "berkeley_db_create_buffer_size",
    "berkeley_db_read_buffer_size",
    "daemon_table_open_error_is_fatal",
    "daemon_timeout",
    "debug_peer_level",
    "default_process_limit",
    "delay_logging_resolution_limit",
    "deliver_lock_attempts",
    "deliver_lock_delay",
    "disable_dns_lookups",
    "disable_mime_input_processing",
    "disable_mime_output_conversion",
    "dns_ncache_ttl_fix_enable",
    "dont_remove",
    "enable_idna2003_compatibility",
    "enable_long_queue_ids",
    "enable_original_recipient",
    "fault_injection_code",
    "fork_attempts",
    "fork_delay",
    "hash_queue_depth",
    "header_address_token_limit",
    "header_size_limit",
    "helpful_warnings",
    "in_flow_delay",
    "ipc_idle",
    "ipc_timeout",
    "ipc_ttl",
    "line_length_limit",
    "lmdb_map_size",
    "max_idle",
    "max_use",
    "message_size_limit",
    "mime_boundary_length_limit",
    "mime_nesting_limit",
    "multi_instance_enable",
    "owner_request_special",
    "respectful_logging",
    "send_cyrus_sasl_authzid",
    "smtputf8_enable",
    "soft_bounce",
    "stale_lock_time",
    "strict_7bit_headers",
    "strict_8bitmime",
    "strict_8bitmime_body",
    "strict_mime_encoding_domain",
    "strict_smtputf8",
    "tcp_windowsize",
    "trigger_timeout",
];

/// The least value of whole numbers that every program reads.
const LEAST: &[(&str, i64)] = &[
    ("berkeley_db_create_buffer_size", 1),
    ("berkeley_db_read_buffer_size", 1),
    ("debug_peer_level", 1),
    ("default_process_limit", 1),
    ("deliver_lock_attempts", 1),
    ("fork_attempts", 1),
    ("hash_queue_depth", 1),
    ("header_address_token_limit", 1),
    ("header_size_limit", 1),
    ("line_length_limit", 512),
    ("lmdb_map_size", 1),
    ("max_use", 1),
    ("mime_boundary_length_limit", 1),
    ("mime_nesting_limit", 1),
];

/// Text parameters that must not be empty.
const NOT_EMPTY: &[&str] = &[
    "address_verify_service_name",
    "bounce_service_name",
    "cleanup_service_name",
    "command_directory",
    "daemon_directory",
    "data_directory",
    "default_database_type",
    "default_privs",
    "defer_service_name",
    "double_bounce_sender",
    "error_service_name",
    "flush_service_name",
    "hash_queue_names",
    "info_log_address_format",
    "mail_name",
    "mail_owner",
    "mail_release_date",
    "mail_version",
    "maillog_file_compressor",
    "maillog_file_prefixes",
    "maillog_file_rotate_suffix",
    "meta_directory",
    "mydomain",
    "myhostname",
    "mynetworks_style",
    "myorigin",
    "pickup_service_name",
    "postlog_service_name",
    "process_id_directory",
    "proxymap_service_name",
    "proxywrite_service_name",
    "queue_directory",
    "queue_service_name",
    "rewrite_service_name",
    "setgid_group",
    "shlib_directory",
    "showq_service_name",
    "smtputf8_autodetect_classes",
    "syslog_facility",
    "syslog_name",
    "trace_service_name",
    "verp_delimiter_filter",
];

/// Other text parameters that every program reads: a macro in them that cannot be read stops it.
const EXPANDED: &[&str] = &[
    "alias_database",
    "debug_peer_list",
    "default_verp_delimiters",
    "export_environment",
    "fast_flush_domains",
    "import_environment",
    "inet_interfaces",
    "inet_protocols",
    "maillog_file",
    "mydestination",
    "mynetworks",
    "parent_domain_matches_subdomains",
    "proxy_interfaces",
    "recipient_delimiter",
    "relay_domains",
];

/// What syslog_facility may name.
const FACILITIES: &[&str] = &[
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user", "uucp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// The first fault of a value that every program reads.
pub fn verify(cf: &MainCf) -> Result<(), ConfError> {
    // The reference's words for a macro that cannot be read; the caller warns with the macro's own first.
    let text = |name: &str| cf.text(name);
    let set = |name: &str| cf.settings().contains_key(name);
    text("compatibility_level")?;
    if let Err(fault) = expand::level(cf.compatibility_level().trim()) {
        return Err(ConfError::Plain(fault.to_string()));
    }
    for name in NOT_EMPTY.iter().filter(|name| set(name)) {
        if text(name)?.is_empty() {
            return Err(ConfError::Plain(format!("bad string length 0 < 1: {name} = ")));
        }
    }
    for name in EXPANDED.iter().filter(|name| set(name)) {
        text(name)?;
    }
    for name in TYPED.iter().filter(|name| set(name)) {
        cf.verify_one(name)?;
    }
    for (name, least) in LEAST.iter().filter(|(name, _)| set(name)) {
        if let Ok(value) = text(name)?.trim().parse::<i64>()
            && value < *least
        {
            return Err(ConfError::Plain(format!("invalid {name} parameter value {value} < {least}")));
        }
    }
    for name in ["myhostname", "mydomain"] {
        let value = text(name)?;
        if set(name) && !crate::message::host::is_name(&value) {
            return Err(of_file(cf, &format!("parameter {name}: bad parameter value: {value}")));
        }
    }
    let facility = text("syslog_facility")?;
    if !FACILITIES.contains(&facility.as_str()) {
        return Err(of_file(cf, &format!("parameter syslog_facility: unrecognized value: {facility}")));
    }
    verp(cf)?;
    let log = text("maillog_file")?;
    let prefixes = MainCf::list(&cf.maillog_file_prefixes());
    if !log.is_empty() && !prefixes.iter().any(|prefix| log.starts_with(prefix.as_str())) {
        let reason = format!("maillog_file value '{log}' does not match any prefix in maillog_file_prefixes");
        return Err(ConfError::Plain(reason));
    }
    choice(cf, "inet_protocols", &["all", "ipv4", "ipv6"], "inet_protocols")?;
    // The style is looked at only where it decides.
    if !cf.settings().contains_key("mynetworks") {
        choice(cf, "mynetworks_style", &["class", "subnet", "host"], "mynetworks mask style")?;
    }
    for word in MainCf::list(&cf.text("inet_interfaces")?) {
        let host = word.trim_start_matches('[').trim_end_matches(']');
        if !matches!(host, "all" | "loopback-only") && resolve::addresses(host).is_err() {
            return Err(ConfError::Plain(format!("config variable inet_interfaces: host not found: {word}")));
        }
    }
    cf.origin_name()?;
    users(cf)
}

/// The two characters that bounces of mailing lists are addressed with.
fn verp(cf: &MainCf) -> Result<(), ConfError> {
    let (pair, allowed) = (cf.text("default_verp_delimiters")?, cf.text("verp_delimiter_filter")?);
    if pair.len() != 2 {
        let sign = if pair.len() < 2 { '<' } else { '>' };
        let length = pair.len();
        return Err(ConfError::Plain(format!("bad string length {length} {sign} 2: default_verp_delimiters = {pair}")));
    }
    match pair.chars().zip(["first", "second"]).find(|(c, _)| !allowed.contains(*c)) {
        Some((_, which)) => {
            let names = "parameters default_verp_delimiters and verp_delimiter_filter";
            Err(of_file(cf, &format!("{names}: bad {which} VERP delimiter character")))
        }
        None => Ok(()),
    }
}

fn of_file(cf: &MainCf, text: &str) -> ConfError {
    ConfError::Plain(format!("file {}: {text}", cf.file().display()))
}

fn choice(cf: &MainCf, name: &str, known: &[&str], what: &str) -> Result<(), ConfError> {
    let value = cf.text(name)?;
    for word in MainCf::list(&value) {
        if !known.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(ConfError::Plain(format!("unknown {what} value \"{word}\" in \"{value}\"")));
        }
    }
    Ok(())
}

/// The users and the group that the mail system runs as, for root; an instance for oneself runs as its owner.
fn users(cf: &MainCf) -> Result<(), ConfError> {
    if accounts::effective_uid() != 0 {
        return Ok(());
    }
    let account = |parameter: &str| {
        let name = cf.text(parameter)?;
        let account = accounts::by_name(&name)
            .ok_or_else(|| of_file(cf, &format!("parameter {parameter}: unknown user name value: {name}")))?;
        if account.uid == 0 {
            return Err(of_file(cf, &format!("parameter {parameter}: user {name} has privileged user ID")));
        }
        if account.gid == 0 {
            return Err(of_file(cf, &format!("parameter {parameter}: user {name} has privileged group ID")));
        }
        Ok((name, account))
    };
    let (owner_name, owner) = account("mail_owner")?;
    let (default_name, default) = account("default_privs")?;
    if default.uid == owner.uid {
        let text = format!("parameters default_privs and mail_owner specify the same user {default_name}");
        return Err(of_file(cf, &text));
    }
    let group = cf.text("setgid_group")?;
    let gid = accounts::group_id(&group)
        .ok_or_else(|| of_file(cf, &format!("parameter setgid_group: unknown group name: {group}")))?;
    if gid == 0 {
        return Err(of_file(cf, &format!("parameter setgid_group: group {group} has privileged group ID")));
    }
    if owner.gid == gid {
        let text = format!(
            "parameters mail_owner and setgid_group: user {owner_name} and group {group} have the same group ID: {gid}"
        );
        return Err(of_file(cf, &text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_first_fault_has_the_reference_words() {
        for (text, want) in [
            ("soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe"),
            ("daemon_timeout = 5x", "parameter daemon_timeout: bad time value or unit: 5x"),
            ("line_length_limit = foo", "bad numerical configuration: line_length_limit = foo"),
            ("line_length_limit = -4", "invalid line_length_limit parameter value -4 < 512"),
            ("myhostname = ", "bad string length 0 < 1: myhostname = "),
            ("inet_protocols = foo", "unknown inet_protocols value \"foo\" in \"foo\""),
            ("compatibility_level = foo", "malformed compatibility level syntax: \"foo\""),
            ("myhostname = a b", "file /x/main.cf: parameter myhostname: bad parameter value: a b"),
            ("myorigin = /proc/nowhere/at/all", "/proc/nowhere/at/all: cannot open file: No such file or directory"),
        ] {
            let cf = MainCf::parse(Path::new("/x"), text).unwrap();
            assert_eq!(verify(&cf).unwrap_err().to_string(), want);
        }
    }
}
