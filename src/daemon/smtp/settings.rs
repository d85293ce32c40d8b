//! What smtp(8) and lmtp(8) read from the configuration.

use super::policy::of;
use super::{encryption, login, offers, outgoing, policy};
use crate::conf::MainCf;
use crate::daemon::passwords::Passwords;
use crate::daemon::skeleton::Context;
use crate::delivery::marks::Marks;
use crate::delivery::pass::Passer;
use crate::log::Log;
use crate::table::{Maps, Options};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What smtp(8) reads from the configuration.
pub struct Settings {
    pub log: Arc<Log>,
    /// flags= of the line in master.cf.
    pub marks: Marks,
    pub helo_name: String,
    pub myhostname: String,
    pub own_addresses: Vec<std::net::IpAddr>,
    pub connect_timeout: Duration,
    pub greeting_timeout: Duration,
    pub command_timeout: Duration,
    pub data_timeout: Duration,
    pub done_timeout: Duration,
    pub line_limit: usize,
    pub address_limit: usize,
    pub session_limit: usize,
    pub host_lookup: String,
    pub disable_dns: bool,
    pub protocols: String,
    pub ignore_mx_error: bool,
    pub defer_if_no_mx_address: bool,
    pub randomize: bool,
    pub address_preference: String,
    pub balance: bool,
    pub best_mx_transport: String,
    pub passer: Passer,
    pub relayhost: String,
    pub skip_5xx_greeting: bool,
    pub fallback: Vec<String>,
    /// smtp_bind_address, smtp_bind_address6.
    pub bind_addresses: [Option<IpAddr>; 2],
    /// No mail goes out from another address.
    pub bind_enforced: bool,
    pub outgoing: outgoing::Outgoing,
    pub send_xforward: bool,
    pub always_ehlo: bool,
    pub never_ehlo: bool,
    pub discards: offers::Discards,
    pub reply_filter: Arc<Maps>,
    pub skip_quit_response: bool,
    pub quit_timeout: Duration,
    pub rset_timeout: Duration,
    /// smtp_tls_wrappermode: TLS from the first byte.
    pub wrapper: bool,
    pub rules: policy::Rules,
    /// None: TLS is not wanted, or there is something wrong with what it needs.
    pub engine: Option<encryption::Engine>,
    pub starttls_timeout: Duration,
    pub note_starttls_offer: bool,
    pub block_early_mail_reply: bool,
    pub sasl: Option<login::Sasl>,
    /// How long mail must have waited before it goes in clear where TLS fails.
    pub minimal_backoff: Duration,
    pub port: u16,
    /// LHLO, sockets as next hops, no MX, a reply for each recipient after the data.
    pub lmtp: bool,
}

/// The words behind the program's name: flags=DORX.
fn marks(words: &[String]) -> Result<Marks, String> {
    let mut marks = Marks::default();
    for word in words {
        let Some(letters) = word.strip_prefix("flags=") else { return Err(format!("unknown attribute name: {word}")) };
        for letter in letters.chars() {
            if !marks.take(letter) {
                return Err(format!("unknown {word} value \"{letter}\" in \"{letters}\""));
            }
        }
    }
    Ok(marks)
}

impl Settings {
    pub fn new(context: &Context, lmtp: bool, passwords: Option<Passwords>) -> Result<Settings, String> {
        let cf: &MainCf = &context.cf;
        let log = &*context.log;
        let helo = cf.smtp_helo_name();
        let rules = policy::Rules::new(cf, lmtp, log)?;
        let engine = rules.may_encrypt().then(|| encryption::Engine::new(cf, lmtp, &context.private, log)).flatten();
        Ok(Settings {
            log: context.log.clone(),
            marks: marks(&context.args)?,
            helo_name: if helo.is_empty() { cf.myhostname() } else { helo },
            myhostname: cf.myhostname(),
            own_addresses: crate::route::resolve::own_addresses(cf),
            connect_timeout: cf.smtp_connect_timeout(),
            greeting_timeout: cf.smtp_helo_timeout(),
            command_timeout: cf.smtp_rcpt_timeout().max(cf.smtp_mail_timeout()),
            data_timeout: cf.smtp_data_xfer_timeout().max(cf.smtp_data_init_timeout()),
            done_timeout: cf.smtp_data_done_timeout(),
            line_limit: usize::try_from(cf.smtp_line_length_limit()).unwrap_or(998),
            address_limit: limit(cf.smtp_mx_address_limit()),
            session_limit: limit(cf.smtp_mx_session_limit()),
            host_lookup: cf.smtp_host_lookup(),
            disable_dns: cf.disable_dns_lookups() || cf.smtp_dns_support_level() == "disabled",
            protocols: cf.inet_protocols(),
            ignore_mx_error: cf.ignore_mx_lookup_error(),
            defer_if_no_mx_address: cf.smtp_defer_if_no_mx_address_found(),
            randomize: cf.smtp_randomize_addresses(),
            address_preference: cf.smtp_address_preference(),
            balance: cf.smtp_balance_inet_protocols(),
            best_mx_transport: cf.best_mx_transport(),
            passer: Passer::new(cf),
            relayhost: cf.relayhost(),
            skip_5xx_greeting: cf.smtp_skip_5xx_greeting(),
            fallback: MainCf::list(&cf.smtp_fallback_relay()),
            bind_addresses: [
                own_address("bind_address", &of!(cf, lmtp, smtp_bind_address lmtp_bind_address), lmtp, false)?,
                own_address("bind_address6", &of!(cf, lmtp, smtp_bind_address6 lmtp_bind_address6), lmtp, true)?,
            ],
            bind_enforced: of!(cf, lmtp, smtp_bind_address_enforce lmtp_bind_address_enforce),
            outgoing: outgoing::Outgoing::smtp(cf),
            send_xforward: cf.smtp_send_xforward_command(),
            always_ehlo: cf.smtp_always_send_ehlo(),
            never_ehlo: cf.smtp_never_send_ehlo(),
            discards: offers::Discards {
                all: of!(cf, lmtp, smtp_discard_ehlo_keywords lmtp_discard_lhlo_keywords),
                by_address: Maps::open(
                    if lmtp {
                        "lmtp_discard_lhlo_keyword_address_maps"
                    } else {
                        "smtp_discard_ehlo_keyword_address_maps"
                    },
                    &of!(cf, lmtp, smtp_discard_ehlo_keyword_address_maps lmtp_discard_lhlo_keyword_address_maps),
                    &Options::default(),
                ),
            },
            reply_filter: Arc::new(Maps::open(
                if lmtp { "lmtp_reply_filter" } else { "smtp_reply_filter" },
                &of!(cf, lmtp, smtp_reply_filter lmtp_reply_filter),
                &Options::default(),
            )),
            skip_quit_response: of!(cf, lmtp, smtp_skip_quit_response lmtp_skip_quit_response),
            quit_timeout: of!(cf, lmtp, smtp_quit_timeout lmtp_quit_timeout),
            rset_timeout: of!(cf, lmtp, smtp_rset_timeout lmtp_rset_timeout),
            wrapper: of!(cf, lmtp, smtp_tls_wrappermode lmtp_tls_wrappermode),
            rules,
            engine,
            starttls_timeout: of!(cf, lmtp, smtp_starttls_timeout lmtp_starttls_timeout),
            note_starttls_offer: of!(cf, lmtp, smtp_tls_note_starttls_offer lmtp_tls_note_starttls_offer),
            block_early_mail_reply: of!(cf, lmtp, smtp_tls_block_early_mail_reply lmtp_tls_block_early_mail_reply),
            sasl: login::Sasl::new(cf, lmtp, passwords, log)?,
            minimal_backoff: cf.minimal_backoff_time(),
            port: 25,
            lmtp: false,
        })
    }

    /// The same by the parameters of lmtp(8).
    pub fn for_lmtp(context: &Context, passwords: Option<Passwords>) -> Result<Settings, String> {
        let cf: &MainCf = &context.cf;
        Ok(Settings {
            helo_name: cf.lmtp_lhlo_name(),
            connect_timeout: cf.lmtp_connect_timeout(),
            greeting_timeout: cf.lmtp_lhlo_timeout(),
            command_timeout: cf.lmtp_rcpt_timeout().max(cf.lmtp_mail_timeout()),
            data_timeout: cf.lmtp_data_xfer_timeout().max(cf.lmtp_data_init_timeout()),
            done_timeout: cf.lmtp_data_done_timeout(),
            line_limit: usize::try_from(cf.lmtp_line_length_limit()).unwrap_or(998),
            address_limit: limit(cf.lmtp_mx_address_limit()),
            session_limit: limit(cf.lmtp_mx_session_limit()),
            host_lookup: cf.lmtp_host_lookup(),
            skip_5xx_greeting: cf.lmtp_skip_5xx_greeting(),
            defer_if_no_mx_address: cf.lmtp_defer_if_no_mx_address_found(),
            randomize: cf.lmtp_randomize_addresses(),
            address_preference: cf.lmtp_address_preference(),
            balance: cf.lmtp_balance_inet_protocols(),
            fallback: MainCf::list(&cf.lmtp_fallback_relay()),
            outgoing: outgoing::Outgoing::lmtp(cf),
            send_xforward: cf.lmtp_send_xforward_command(),
            port: cf.lmtp_tcp_port().parse().unwrap_or(24),
            lmtp: true,
            ..Settings::new(context, true, passwords)?
        })
    }
}

/// An address to send from, in brackets or not; "": any.
fn own_address(name: &str, text: &str, lmtp: bool, v6: bool) -> Result<Option<IpAddr>, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        _ if text.is_empty() => Ok(None),
        Ok(address) if address.is_ipv6() == v6 => Ok(Some(address)),
        _ => {
            let family = if lmtp { "lmtp" } else { "smtp" };
            Err(format!("smtp_connect_addr: bad {family}_{name} parameter: {text}: Name or service not known"))
        }
    }
}

/// 0 is no limit.
fn limit(number: i64) -> usize {
    usize::try_from(number).ok().filter(|&number| number > 0).unwrap_or(usize::MAX)
}
