//! What smtpd(8) reads from the configuration.

use super::access::{PolicySettings, Restrictions, VerificationSettings};
use super::before_queue::FilterSettings;
use super::transcript::NoticeSettings;
use crate::conf::MainCf;
use crate::route::resolve::{flush_domains, subdomains};
use crate::route::{Router, resolve};
use crate::table::matchlist::Flavour;
use crate::table::{Maps, MatchList, Options};
use std::net::IpAddr;
use std::time::Duration;

pub struct Settings {
    pub myhostname: String,
    pub banner: String,
    pub router: Router,
    pub mynetworks: MatchList,
    pub own_addresses: Vec<IpAddr>,
    pub restrictions: Restrictions,
    pub policy: PolicySettings,
    pub codes: Codes,
    pub limits: Limits,
    /// fast_flush_domains: whose waiting mail may be asked for.
    pub flush_domains: MatchList,
    /// smtpd_log_access_permit_actions.
    pub permits_logged: MatchList,
    pub forbidden_commands: MatchList,
    pub noop_commands: Vec<String>,
    pub command_filter: Maps,
    pub local_recipients: Maps,
    pub virtual_aliases: Maps,
    pub virtual_mailboxes: Maps,
    pub relay_recipients: Maps,
    pub canonical: Vec<Maps>,
    pub sender_canonical: Maps,
    pub sender_logins: Maps,
    pub sasl_wanted: bool,
    /// relay_clientcerts: by fingerprint.
    pub known_certificates: Maps,
    pub show_unknown_table: bool,
    pub reject_unlisted_recipient: bool,
    pub reject_unlisted_sender: bool,
    pub untrusted_routing: bool,
    pub double_bounce: String,
    pub null_key: String,
    /// "example.com" in an access table means its subdomains too.
    pub access_parents: bool,
    pub delimiters: String,
    pub timeout: Duration,
    pub message_size_limit: u64,
    pub queue_minfree: u64,
    pub reject_bare_lf: bool,
    pub bare_lf_code: i64,
    pub bare_lf_excluded: MatchList,
    pub forbid_pipelining: bool,
    pub helo_required: bool,
    pub disable_vrfy: bool,
    pub peername_lookup: bool,
    pub discard_ehlo: Vec<String>,
    pub discard_ehlo_maps: Maps,
    pub line_length_limit: usize,
    pub local_rewrite: Vec<LocalRewrite>,
    pub delay_reject: bool,
    pub relay_first: bool,
    pub soft_bounce: bool,
    pub before_queue: FilterSettings,
    pub mail_name: String,
    pub notices: NoticeSettings,
    pub strict_envelopes: bool,
    pub utf8: bool,
    pub strict_utf8: bool,
    pub verp_clients: MatchList,
    /// What XVERP may name (verp_delimiter_filter), and what it means without a value.
    pub verp_filter: String,
    pub verp_default: String,
    pub xclient_hosts: MatchList,
    pub xforward_hosts: MatchList,
    pub unknown_address_trouble: String,
    pub unknown_helo_trouble: String,
    pub verification: VerificationSettings,
    pub backup_networks: MatchList,
    pub rbl_replies: Maps,
    pub maps_rbl: Vec<String>,
    pub rbl_reply: String,
    pub footer: String,
    pub footer_maps: Maps,
    pub content_filter: String,
    pub filters: super::filters::FilterSettings,
    /// receive_override_options
    pub overrides: Vec<String>,
    pub port_logging: bool,
    /// smtpd_sasl_authenticated_header
    pub login_header: bool,
    /// A proxy speaks first, within this time.
    pub proxy_patience: Option<Duration>,
}

/// Reply codes that the administrator may choose.
pub struct Codes {
    pub reject: i64,
    pub defer: i64,
    pub access_reject: i64,
    pub access_defer: i64,
    pub relay: i64,
    pub rbl: i64,
    pub plaintext: i64,
    pub invalid_hostname: i64,
    pub non_fqdn: i64,
    pub unknown_client: i64,
    pub unknown_hostname: i64,
    pub unknown_address: i64,
    pub unknown_local: i64,
    pub unknown_relay: i64,
    pub unknown_virtual_alias: i64,
    pub unknown_virtual_mailbox: i64,
    pub multi_recipient_bounce: i64,
}

/// What one client may do. 0: as much as it likes.
pub struct Limits {
    pub error_sleep: Duration,
    pub soft_errors: i64,
    pub hard_errors: i64,
    pub junk: i64,
    pub recipients: usize,
    pub recipient_overshoot: usize,
    pub connections: u64,
    pub connection_rate: u64,
    pub message_rate: u64,
    pub recipient_rate: u64,
    pub auth_rate: u64,
    pub tls_rate: u64,
    pub rate_unit: Duration,
    pub exceptions: MatchList,
}

/// A rule of local_header_rewrite_clients.
pub enum LocalRewrite {
    InetInterfaces,
    Mynetworks,
    /// Who has logged in.
    Login,
    /// Who has a certificate of relay_clientcerts; with `all` any that an authority of ours gave.
    Certificate {
        all: bool,
    },
    Table(Maps),
}

impl Settings {
    pub fn new(cf: &MainCf) -> Result<Settings, String> {
        let options = Options::default();
        let count = |value: i64| usize::try_from(value).unwrap_or(0);
        let maps = |title: &str, list: String| Maps::open(title, &list, &options);
        let clients = |title: &str, list: String| {
            MatchList::parse(title, &list, Flavour::Clients { parents: subdomains(cf, title) }, &options)
        };
        let policy = PolicySettings::new(cf);
        Ok(Settings {
            myhostname: cf.myhostname(),
            banner: cf.smtpd_banner(),
            router: Router::new(cf).map_err(|error| error.to_string())?,
            mynetworks: clients("mynetworks", cf.mynetworks()),
            own_addresses: resolve::own_addresses(cf),
            restrictions: Restrictions::new(cf)?,
            policy,
            codes: Codes::new(cf),
            limits: Limits::new(cf),
            flush_domains: flush_domains(cf),
            permits_logged: MatchList::parse(
                "smtpd_log_access_permit_actions",
                &cf.smtpd_log_access_permit_actions(),
                Flavour::Strings,
                &options,
            ),
            forbidden_commands: MatchList::parse(
                "smtpd_forbidden_commands",
                &cf.smtpd_forbidden_commands(),
                Flavour::Strings,
                &options,
            ),
            noop_commands: MainCf::list(&cf.smtpd_noop_commands().to_ascii_uppercase()),
            command_filter: maps("smtpd_command_filter", cf.smtpd_command_filter()),
            local_recipients: maps("local_recipient_maps", cf.local_recipient_maps()),
            virtual_aliases: maps("virtual_alias_maps", cf.virtual_alias_maps()),
            virtual_mailboxes: maps("virtual_mailbox_maps", cf.virtual_mailbox_maps()),
            relay_recipients: maps("relay_recipient_maps", cf.relay_recipient_maps()),
            canonical: vec![
                maps("recipient_canonical_maps", cf.recipient_canonical_maps()),
                maps("canonical_maps", cf.canonical_maps()),
            ],
            sender_canonical: maps("sender_canonical_maps", cf.sender_canonical_maps()),
            sender_logins: maps("smtpd_sender_login_maps", cf.smtpd_sender_login_maps()),
            known_certificates: maps("relay_clientcerts", cf.relay_clientcerts()),
            sasl_wanted: cf.smtpd_sasl_auth_enable(),
            show_unknown_table: cf.show_user_unknown_table_name(),
            reject_unlisted_recipient: cf.smtpd_reject_unlisted_recipient()
                && !MainCf::list(&cf.receive_override_options())
                    .iter()
                    .any(|word| word == "no_unknown_recipient_checks"),
            reject_unlisted_sender: cf.smtpd_reject_unlisted_sender(),
            untrusted_routing: cf.allow_untrusted_routing(),
            double_bounce: cf.double_bounce_sender(),
            null_key: cf.smtpd_null_access_lookup_key(),
            access_parents: subdomains(cf, "smtpd_access_maps"),
            delimiters: cf.recipient_delimiter(),
            timeout: cf.smtpd_timeout().max(Duration::from_secs(1)),
            message_size_limit: cf.message_limit(),
            queue_minfree: u64::try_from(cf.queue_minfree()).unwrap_or(0),
            // Whatever it says, no bare line feed is part of an end of data; "reject" also refuses them.
            reject_bare_lf: cf.smtpd_forbid_bare_newline() == "reject",
            bare_lf_code: cf.smtpd_forbid_bare_newline_reject_code(),
            bare_lf_excluded: clients(
                "smtpd_forbid_bare_newline_exclusions",
                cf.smtpd_forbid_bare_newline_exclusions(),
            ),
            forbid_pipelining: cf.smtpd_forbid_unauth_pipelining(),
            helo_required: cf.smtpd_helo_required(),
            disable_vrfy: cf.disable_vrfy_command(),
            peername_lookup: cf.smtpd_peername_lookup(),
            discard_ehlo: MainCf::list(&cf.smtpd_discard_ehlo_keywords().to_ascii_lowercase()),
            discard_ehlo_maps: maps(
                "smtpd_discard_ehlo_keyword_address_maps",
                cf.smtpd_discard_ehlo_keyword_address_maps(),
            ),
            line_length_limit: count(cf.line_length_limit()).max(512),
            local_rewrite: local_rewrite(&cf.local_header_rewrite_clients()),
            delay_reject: cf.smtpd_delay_reject(),
            relay_first: cf.smtpd_relay_before_recipient_restrictions(),
            soft_bounce: cf.soft_bounce(),
            before_queue: FilterSettings::new(cf),
            mail_name: cf.mail_name(),
            notices: NoticeSettings::new(cf),
            strict_envelopes: cf.strict_rfc821_envelopes(),
            utf8: cf.smtputf8_enable(),
            strict_utf8: cf.strict_smtputf8(),
            verp_clients: clients("smtpd_authorized_verp_clients", cf.smtpd_authorized_verp_clients()),
            verp_filter: cf.verp_delimiter_filter(),
            verp_default: cf.default_verp_delimiters(),
            xclient_hosts: clients("smtpd_authorized_xclient_hosts", cf.smtpd_authorized_xclient_hosts()),
            xforward_hosts: clients("smtpd_authorized_xforward_hosts", cf.smtpd_authorized_xforward_hosts()),
            unknown_address_trouble: cf.unknown_address_tempfail_action(),
            unknown_helo_trouble: cf.unknown_helo_hostname_tempfail_action(),
            verification: VerificationSettings::new(cf),
            backup_networks: clients("permit_mx_backup_networks", cf.permit_mx_backup_networks()),
            rbl_replies: maps("rbl_reply_maps", cf.rbl_reply_maps()),
            rbl_reply: cf.default_rbl_reply(),
            maps_rbl: MainCf::list(&cf.maps_rbl_domains()),
            footer: cf.smtpd_reject_footer(),
            footer_maps: maps("smtpd_reject_footer_maps", cf.smtpd_reject_footer_maps()),
            content_filter: cf.content_filter(),
            filters: super::filters::FilterSettings::new(cf),
            overrides: MainCf::list(&cf.receive_override_options()),
            login_header: cf.smtpd_sasl_authenticated_header(),
            port_logging: cf.smtpd_client_port_logging(),
            proxy_patience: match cf.smtpd_upstream_proxy_protocol().as_str() {
                "" => None,
                "haproxy" => Some(cf.smtpd_upstream_proxy_timeout()),
                other => return Err(format!("unsupported smtpd_upstream_proxy_protocol value: {other}")),
            },
        })
    }
}

fn local_rewrite(list: &str) -> Vec<LocalRewrite> {
    let words = crate::table::memory::split_items(list);
    let mut words = words.iter();
    let mut rules = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "permit_inet_interfaces" => rules.push(LocalRewrite::InetInterfaces),
            "permit_mynetworks" => rules.push(LocalRewrite::Mynetworks),
            "permit_sasl_authenticated" => rules.push(LocalRewrite::Login),
            "permit_tls_clientcerts" => rules.push(LocalRewrite::Certificate { all: false }),
            "permit_tls_all_clientcerts" => rules.push(LocalRewrite::Certificate { all: true }),
            "check_address_map" => {
                let spec = words.next().map(String::as_str).unwrap_or_default();
                rules.push(LocalRewrite::Table(Maps::open("local_header_rewrite_clients", spec, &Options::default())));
            }
            table if table.contains(':') => {
                rules.push(LocalRewrite::Table(Maps::open("local_header_rewrite_clients", table, &Options::default())));
            }
            _ => {}
        }
    }
    rules
}

impl Codes {
    fn new(cf: &MainCf) -> Codes {
        Codes {
            reject: cf.reject_code(),
            defer: cf.defer_code(),
            access_reject: cf.access_map_reject_code(),
            access_defer: cf.access_map_defer_code(),
            relay: cf.relay_domains_reject_code(),
            rbl: cf.maps_rbl_reject_code(),
            plaintext: cf.plaintext_reject_code(),
            invalid_hostname: cf.invalid_hostname_reject_code(),
            non_fqdn: cf.non_fqdn_reject_code(),
            unknown_client: cf.unknown_client_reject_code(),
            unknown_hostname: cf.unknown_hostname_reject_code(),
            unknown_address: cf.unknown_address_reject_code(),
            unknown_local: cf.unknown_local_recipient_reject_code(),
            unknown_relay: cf.unknown_relay_recipient_reject_code(),
            unknown_virtual_alias: cf.unknown_virtual_alias_reject_code(),
            unknown_virtual_mailbox: cf.unknown_virtual_mailbox_reject_code(),
            multi_recipient_bounce: cf.multi_recipient_bounce_reject_code(),
        }
    }
}

impl Limits {
    fn new(cf: &MainCf) -> Limits {
        let count = |value: i64| usize::try_from(value).unwrap_or(0);
        let rate = |value: i64| u64::try_from(value).unwrap_or(0);
        Limits {
            error_sleep: cf.smtpd_error_sleep_time(),
            soft_errors: cf.smtpd_soft_error_limit(),
            hard_errors: cf.smtpd_hard_error_limit(),
            junk: cf.smtpd_junk_command_limit(),
            recipients: count(cf.smtpd_recipient_limit()).max(1),
            recipient_overshoot: count(cf.smtpd_recipient_overshoot_limit()),
            connections: rate(cf.smtpd_client_connection_count_limit()),
            connection_rate: rate(cf.smtpd_client_connection_rate_limit()),
            message_rate: rate(cf.smtpd_client_message_rate_limit()),
            recipient_rate: rate(cf.smtpd_client_recipient_rate_limit()),
            auth_rate: rate(cf.smtpd_client_auth_rate_limit()),
            tls_rate: rate(cf.smtpd_client_new_tls_session_rate_limit()),
            rate_unit: cf.anvil_rate_time_unit().max(Duration::from_secs(1)),
            exceptions: MatchList::parse(
                "smtpd_client_event_limit_exceptions",
                &cf.smtpd_client_event_limit_exceptions(),
                Flavour::Clients { parents: true },
                &Options::default(),
            ),
        }
    }
}
