//! Names of another time: renamed or removed ones, and those that Postfix 3.7 does not have yet.

use super::finding::Findings;
use super::ground::Ground;

/// Old name and what replaced it ("" when nothing did), from postconf(5) and what Postfix 3.9 to 3.11 give up
/// (DEPRECATION_README).
const OLD: &[(&str, &str)] = &[
    ("virtual_maps", "virtual_alias_maps"),
    ("fallback_relay", "smtp_fallback_relay"),
    ("authorized_verp_clients", "smtpd_authorized_verp_clients"),
    ("smtpd_client_connection_limit_exceptions", "smtpd_client_event_limit_exceptions"),
    ("smtpd_per_record_deadline", "smtpd_per_request_deadline"),
    ("smtp_per_record_deadline", "smtp_per_request_deadline"),
    ("lmtp_per_record_deadline", "lmtp_per_request_deadline"),
    ("postscreen_blacklist_action", "postscreen_denylist_action"),
    ("postscreen_whitelist_interfaces", "postscreen_allowlist_interfaces"),
    ("postscreen_dnsbl_whitelist_threshold", "postscreen_dnsbl_allowlist_threshold"),
    ("postscreen_dnsbl_ttl", "postscreen_dnsbl_max_ttl"),
    ("postscreen_use_tls", "postscreen_tls_security_level"),
    ("postscreen_enforce_tls", "postscreen_tls_security_level"),
    ("smtpd_use_tls", "smtpd_tls_security_level"),
    ("smtpd_enforce_tls", "smtpd_tls_security_level"),
    ("smtpd_tls_dh1024_param_file", ""),
    ("smtpd_tls_eecdh_grade", ""),
    ("smtp_use_tls", "smtp_tls_security_level"),
    ("smtp_enforce_tls", "smtp_tls_security_level"),
    ("smtp_tls_per_site", "smtp_tls_policy_maps"),
    ("smtp_tls_enforce_peername", "smtp_tls_security_level"),
    ("smtp_cname_overrides_servername", ""),
    ("tlsproxy_use_tls", "tlsproxy_tls_security_level"),
    ("tlsproxy_enforce_tls", "tlsproxy_tls_security_level"),
    ("tlsproxy_client_level", "tlsproxy_client_security_level"),
    ("tlsproxy_client_policy", "tlsproxy_client_policy_maps"),
    ("tlsproxy_client_use_tls", "tlsproxy_client_security_level"),
    ("tlsproxy_client_enforce_tls", "tlsproxy_client_security_level"),
    ("tlsproxy_client_per_site", "tlsproxy_client_policy_maps"),
    ("lmtp_use_tls", "lmtp_tls_security_level"),
    ("lmtp_enforce_tls", "lmtp_tls_security_level"),
    ("lmtp_tls_per_site", "lmtp_tls_policy_maps"),
    ("lmtp_tls_enforce_peername", "lmtp_tls_security_level"),
    ("lmtp_cname_overrides_servername", ""),
    ("disable_dns_lookups", "smtp_dns_support_level"),
    ("permit_mx_backup_networks", "relay_domains"),
];

/// Names that came after 3.7, and with which version.
const NEWER: &[(&str, &str)] = &[
    ("smtpd_tls_enable_rpk", "3.9"),
    ("smtp_tls_enable_rpk", "3.9"),
    ("tls_config_file", "3.9"),
    ("tls_config_name", "3.9"),
    ("force_mime_input_conversion", "3.9"),
    ("tls_required_enable", "3.10"),
    ("smtp_tlsrpt_enable", "3.10"),
    ("smtp_tlsrpt_socket_name", "3.10"),
    ("smtp_tlsrpt_skip_reused_handshakes", "3.10"),
    ("smtpd_reject_filter_maps", "3.11"),
    ("smtp_requiretls_policy", "3.11"),
    ("requiretls_enable", "3.11"),
    ("requiretls_redact_dsn", "3.11"),
    ("smtpd_hide_client_session", "3.10"),
    ("smtpd_min_data_rate", "3.8"),
    ("smtpd_client_ipv4_prefix_length", "3.8"),
    ("smtpd_client_ipv6_prefix_length", "3.8"),
    ("use_srv_lookup", "3.8"),
    ("ignore_srv_lookup_error", "3.8"),
    ("allow_srv_lookup_fallback", "3.8"),
];

pub fn replacement(name: &str) -> Option<&'static str> {
    OLD.iter().find(|(old, _)| *old == name).map(|&(_, new)| new)
}

/// The version that brought a name which 3.7 does not have.
pub fn since(name: &str) -> Option<&'static str> {
    let newer = NEWER.iter().find(|(known, _)| *known == name).map(|&(_, version)| version);
    newer.filter(|_| crate::conf::params::find(name).is_none())
}

pub fn old(ground: &Ground, found: &mut Findings) {
    for assignment in &ground.assignments {
        if let Some(new) = replacement(&assignment.name) {
            found.warning(
                Some(ground.main.span(assignment.line, assignment.name_range.clone())),
                format!("{} is an old name", assignment.name),
                "Old names are taken for as long as Postfix likes, and override nothing that is set by the new name.",
                match new {
                    "" => "remove the line: the default is right today".to_owned(),
                    new => format!("use {new}"),
                },
            );
        }
    }
}

pub fn newer(ground: &Ground, found: &mut Findings) {
    for assignment in &ground.assignments {
        if let Some(version) = since(&assignment.name) {
            found.warning(
                Some(ground.main.span(assignment.line, assignment.name_range.clone())),
                format!("{} is a parameter of Postfix {version}", assignment.name),
                "This mail system has the parameters of Postfix 3.7: the line has no effect.",
                "remove the line, or keep it for the day of the upgrade",
            );
        }
    }
}
