//! What smtpd(8) reads from the configuration.

use super::access::Restrictions;
use crate::conf::MainCf;
use crate::route::resolve::subdomains;
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
    pub forbidden_commands: MatchList,
    pub local_recipients: Maps,
    pub virtual_aliases: Maps,
    pub virtual_mailboxes: Maps,
    pub relay_recipients: Maps,
    pub canonical: Vec<Maps>,
    pub check_local_recipients: bool,
    pub show_unknown_table: bool,
    pub reject_unlisted_recipient: bool,
    pub unknown_local_code: i64,
    pub delimiters: String,
    pub timeout: Duration,
    pub error_sleep: Duration,
    pub soft_error_limit: i64,
    pub hard_error_limit: i64,
    pub junk_limit: i64,
    pub recipient_limit: usize,
    pub recipient_overshoot: usize,
    pub client_connections: usize,
    pub message_size_limit: u64,
    pub queue_minfree: u64,
    pub reject_bare_lf: bool,
    pub bare_lf_excluded: MatchList,
    pub helo_required: bool,
    pub disable_vrfy: bool,
    pub peername_lookup: bool,
    pub discard_ehlo: Vec<String>,
    pub line_length_limit: usize,
    pub local_rewrite: LocalRewrite,
    pub delay_reject: bool,
    pub relay_code: i64,
    pub access_code: i64,
    pub reject_code: i64,
    pub defer_code: i64,
}

/// local_header_rewrite_clients, as far as it is known here.
pub struct LocalRewrite {
    pub inet_interfaces: bool,
    pub mynetworks: bool,
}

impl Settings {
    pub fn new(cf: &MainCf) -> Result<Settings, String> {
        let options = Options::default();
        let count = |value: i64| usize::try_from(value).unwrap_or(0);
        let maps = |title: &str, list: String| Maps::open(title, &list, &options);
        let clients = |title: &str, list: String| {
            MatchList::parse(title, &list, Flavour::Clients { parents: subdomains(cf, title) }, &options)
        };
        let rewrite = MainCf::list(&cf.local_header_rewrite_clients());
        let names = |word: &str| rewrite.iter().any(|name| name == word);
        Ok(Settings {
            myhostname: cf.myhostname(),
            banner: cf.smtpd_banner(),
            router: Router::new(cf).map_err(|error| error.to_string())?,
            mynetworks: clients("mynetworks", cf.mynetworks()),
            own_addresses: resolve::own_addresses(cf),
            restrictions: Restrictions::new(cf),
            forbidden_commands: MatchList::parse(
                "smtpd_forbidden_commands",
                &cf.smtpd_forbidden_commands(),
                Flavour::Strings,
                &options,
            ),
            check_local_recipients: !cf.local_recipient_maps().is_empty(),
            local_recipients: maps("local_recipient_maps", cf.local_recipient_maps()),
            virtual_aliases: maps("virtual_alias_maps", cf.virtual_alias_maps()),
            virtual_mailboxes: maps("virtual_mailbox_maps", cf.virtual_mailbox_maps()),
            relay_recipients: maps("relay_recipient_maps", cf.relay_recipient_maps()),
            canonical: vec![
                maps("canonical_maps", cf.canonical_maps()),
                maps("recipient_canonical_maps", cf.recipient_canonical_maps()),
            ],
            show_unknown_table: cf.show_user_unknown_table_name(),
            reject_unlisted_recipient: cf.smtpd_reject_unlisted_recipient(),
            unknown_local_code: cf.unknown_local_recipient_reject_code(),
            delimiters: cf.recipient_delimiter(),
            timeout: cf.smtpd_timeout().max(Duration::from_secs(1)),
            error_sleep: cf.smtpd_error_sleep_time(),
            soft_error_limit: cf.smtpd_soft_error_limit(),
            hard_error_limit: cf.smtpd_hard_error_limit(),
            junk_limit: cf.smtpd_junk_command_limit(),
            recipient_overshoot: count(cf.smtpd_recipient_overshoot_limit()),
            recipient_limit: count(cf.smtpd_recipient_limit()).max(1),
            client_connections: count(cf.smtpd_client_connection_count_limit()),
            message_size_limit: cf.message_limit(),
            queue_minfree: u64::try_from(cf.queue_minfree()).unwrap_or(0),
            // Whatever it says, no bare line feed is part of an end of data; "reject" also refuses them.
            reject_bare_lf: cf.smtpd_forbid_bare_newline() == "reject",
            bare_lf_excluded: clients(
                "smtpd_forbid_bare_newline_exclusions",
                cf.smtpd_forbid_bare_newline_exclusions(),
            ),
            helo_required: cf.smtpd_helo_required(),
            disable_vrfy: cf.disable_vrfy_command(),
            peername_lookup: cf.smtpd_peername_lookup(),
            discard_ehlo: MainCf::list(&cf.smtpd_discard_ehlo_keywords().to_ascii_lowercase()),
            line_length_limit: count(cf.line_length_limit()).max(512),
            local_rewrite: LocalRewrite {
                inet_interfaces: names("permit_inet_interfaces"),
                mynetworks: names("permit_mynetworks"),
            },
            delay_reject: cf.smtpd_delay_reject(),
            relay_code: cf.relay_domains_reject_code(),
            access_code: cf.access_map_reject_code(),
            reject_code: cf.reject_code(),
            defer_code: cf.defer_code(),
        })
    }
}
