//! Why a parameter is accepted and has no effect here: what it is for, and what stands in for it. One row for each
//! family of names; the longest prefix decides.

const REASONS: &[(&str, &str)] = &[
    ("address_verify_sender_ttl", "the sender of probes stays the same"),
    ("anvil_status_", "smtpd counts its clients itself and logs no statistics"),
    ("application_event_", "there is no tlsproxy"),
    ("berkeley_db_", "Berkeley DB files are read without Berkeley DB"),
    ("allow_min_user", "an address that begins with \"-\" is refused, whatever command it would reach"),
    ("bounce_service_name", "bounce is no process here"),
    ("defer_service_name", "bounce is no process here"),
    ("flush_service_name", "flush is no process here"),
    ("mailq_path", "pillarbox install knows where the commands are"),
    ("manpage_directory", "pillarbox install knows where the pages are"),
    ("newaliases_path", "pillarbox install knows where the commands are"),
    ("queue_service_name", "there is one queue manager"),
    ("sample_directory", "there are no sample files"),
    ("sendmail_path", "pillarbox install knows where the commands are"),
    ("trace_service_name", "bounce is no process here"),
    ("connection_cache_", "connections are not kept"),
    ("debug", "there is no debug logging by peer"),
    ("dnsblog_", "postscreen asks DNS lists itself"),
    ("fast_flush_", "the queue itself says what waits for a site"),
    ("html_directory", "there is no HTML documentation"),
    ("lmtp_sasl_auth_cache_", "a password that was refused is tried again at the next attempt"),
    ("lmtp_sasl_path", "a client's SASL needs no library"),
    ("lmtp_sender_dependent_authentication", "mail by LMTP has one destination, whoever sent it"),
    ("lmtp_tls_connection_reuse", "connections are not kept"),
    ("lmtp_tls_dcert_file", "DSA is not spoken"),
    ("lmtp_tls_dkey_file", "DSA is not spoken"),
    ("lmtp_tls_force_insecure_host_tlsa_lookup", "the DNS is not asked about certificates"),
    ("lmtp_tls_scert_verifydepth", "the TLS library has its own limit, six"),
    ("lmtp_tls_session_cache_", "each connection makes its own keys"),
    ("postmulti_", "instances are managed by hand"),
    ("multi_instance_", "instances are managed by hand"),
    ("openssl_path", "OpenSSL is not used"),
    ("postscreen_expansion_filter", "footers hold addresses and our own name only"),
    ("postscreen_post_queue_limit", "a client that is let through is served at once"),
    ("postscreen_watchdog_timeout", "every wait has a limit of its own"),
    ("proxy_", "tables are opened by the programs that ask them"),
    ("qmqpd_", "there is no QMQP"),
    ("readme_directory", "the documentation is elsewhere"),
    ("send_cyrus_sasl_", "a client names itself only once"),
    ("smtp_sasl_auth_cache_", "a password that was refused is tried again at the next attempt"),
    ("smtp_sasl_path", "a client's SASL needs no library"),
    ("smtp_tls_connection_reuse", "connections are not kept"),
    ("smtp_tls_dane_insecure_mx_policy", "the DNS is not asked about certificates"),
    ("smtp_tls_dcert_file", "DSA is not spoken"),
    ("smtp_tls_dkey_file", "DSA is not spoken"),
    ("smtp_tls_force_insecure_host_tlsa_lookup", "the DNS is not asked about certificates"),
    ("smtp_tls_scert_verifydepth", "the TLS library has its own limit, six"),
    ("smtp_tls_session_cache_", "each connection makes its own keys"),
    ("smtpd_proxy_options", "a filter is spoken to as fast as the client speaks"),
    ("smtpd_tls_always_issue_session_ids", "the TLS library decides"),
    ("smtpd_tls_ccert_verifydepth", "the TLS library has a limit of its own"),
    ("smtpd_tls_dcert_file", "the TLS library has no DSA"),
    ("smtpd_tls_dh", "the TLS library agrees on keys by elliptic curves only"),
    ("smtpd_tls_dkey_file", "the TLS library has no DSA"),
    ("smtpd_tls_session_cache_database", "sessions are kept in memory"),
    ("tls_", "the TLS library has no such setting"),
    ("tlsproxy_", "postscreen encrypts its connections itself"),
];

/// The reason for one name; a general one for names of no family.
pub fn reason(name: &str) -> &'static str {
    let longest = REASONS.iter().filter(|(prefix, _)| name.starts_with(prefix)).max_by_key(|(prefix, _)| prefix.len());
    longest.map_or("no code here reads it", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::params::PARAMS;

    #[test]
    fn every_family_has_members_and_none_is_obeyed_as_a_whole() {
        for (prefix, _) in REASONS {
            let members = PARAMS.iter().filter(|row| row.name.starts_with(prefix));
            assert!(members.clone().any(|row| !row.honoured), "{prefix}: nothing of it is ignored");
        }
        assert_eq!(reason("smtpd_tls_dh1024_param_file"), "the TLS library agrees on keys by elliptic curves only");
    }
}
