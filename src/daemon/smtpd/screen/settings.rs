//! What postscreen(8) reads from the configuration.

use super::access::AccessList;
use super::results::{Test, Tests};
use super::sites::Sites;
use crate::conf::MainCf;
use crate::route::resolve::subdomains;
use crate::table::matchlist::Flavour;
use crate::table::{Maps, MatchList, Options};
use std::time::Duration;

/// What is done with a client that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Ignore,
    /// It may say what it wants, and is refused each recipient.
    Enforce,
    Drop,
}

/// A test that needs commands.
#[derive(Clone, Copy)]
pub struct Late {
    pub enabled: bool,
    pub action: Action,
    pub ttl: u64,
}

/// A time that is shorter under stress.
pub struct Patience {
    normal: Duration,
    stressed: Duration,
}

impl Patience {
    pub fn now(&self, stress: bool) -> Duration {
        if stress { self.stressed } else { self.normal }
    }
}

pub struct Settings {
    pub myhostname: String,
    pub banner: String,
    /// postscreen_greet_banner; None: clients need not wait for a greeting.
    pub teaser: Option<String>,
    pub greet_wait: Patience,
    pub greet_action: Action,
    pub greet_ttl: u64,
    pub access: AccessList,
    pub respectful: bool,
    /// It is not, and nobody has said that it should not be.
    pub by_old_default: bool,
    pub deny_action: Action,
    /// At which of our addresses a client can come to be known.
    pub interfaces: MatchList,
    pub sites: Sites,
    pub lists_threshold: i64,
    pub lists_action: Action,
    pub lists_allow: i64,
    pub lists_timeout: Duration,
    /// In seconds, shortest and longest.
    pub lists_ttl: (u64, u64),
    pub pipelining: Late,
    pub non_smtp: Late,
    pub bare_newline: Late,
    /// How long a failure that is ignored stays ignored, in seconds: the shortest of all.
    pub least_ttl: u64,
    pub forbidden: MatchList,
    /// Connections of one client. 0: as many as it likes.
    pub connections: usize,
    pub watched: usize,
    pub command_limit: i64,
    pub command_time: Patience,
    pub command_filter: Maps,
    pub line_length: usize,
    pub helo_required: bool,
    pub disable_vrfy: bool,
    pub offers_vrfy: bool,
    pub message_limit: u64,
    pub utf8: bool,
    pub soft_bounce: bool,
    pub discard_ehlo: Vec<String>,
    pub discard_ehlo_maps: Maps,
    pub footer: String,
    pub footer_maps: Maps,
    pub proxy_patience: Option<Duration>,
}

impl Settings {
    /// Err: a value that nothing can be made of.
    pub fn new(cf: &MainCf) -> Result<Settings, String> {
        let options = Options::default();
        let maps = |title: &str, list: String| Maps::open(title, &list, &options);
        let count = |value: i64| usize::try_from(value).unwrap_or(0);
        let late = |enabled, name: &str, action: String, ttl: Duration| -> Result<Late, String> {
            Ok(Late { enabled, action: self::action(name, &action)?, ttl: ttl.as_secs() })
        };
        let pipelining = late(
            cf.postscreen_pipelining_enable(),
            "postscreen_pipelining_action",
            cf.postscreen_pipelining_action(),
            cf.postscreen_pipelining_ttl(),
        )?;
        let non_smtp = late(
            cf.postscreen_non_smtp_command_enable(),
            "postscreen_non_smtp_command_action",
            cf.postscreen_non_smtp_command_action(),
            cf.postscreen_non_smtp_command_ttl(),
        )?;
        let bare_newline = late(
            cf.postscreen_bare_newline_enable(),
            "postscreen_bare_newline_action",
            cf.postscreen_bare_newline_action(),
            cf.postscreen_bare_newline_ttl(),
        )?;
        let greet_ttl = cf.postscreen_greet_ttl().as_secs();
        let lists_least = cf.postscreen_dnsbl_min_ttl().as_secs();
        let ttls = [greet_ttl, lists_least, pipelining.ttl, non_smtp.ttl, bare_newline.ttl];
        let mut stressed = cf.clone();
        stressed.set("stress", "yes");
        let second = Duration::from_secs(1);
        let footer = match cf.postscreen_reject_footer().as_str() {
            "$smtpd_reject_footer" => cf.smtpd_reject_footer(),
            own => own.to_owned(),
        };
        Ok(Settings {
            myhostname: cf.myhostname(),
            banner: cf.smtpd_banner(),
            teaser: Some(cf.postscreen_greet_banner()).filter(|text| !text.is_empty()),
            greet_wait: Patience {
                normal: cf.postscreen_greet_wait().max(second),
                stressed: stressed.postscreen_greet_wait().max(second),
            },
            greet_action: action("postscreen_greet_action", &cf.postscreen_greet_action())?,
            greet_ttl,
            access: AccessList::new(cf),
            respectful: cf.respectful_logging(),
            by_old_default: !cf.respectful_logging() && !cf.settings().contains_key("respectful_logging"),
            deny_action: action("postscreen_denylist_action", &cf.postscreen_denylist_action())?,
            interfaces: MatchList::parse(
                "postscreen_allowlist_interfaces",
                &cf.postscreen_allowlist_interfaces(),
                Flavour::Clients { parents: subdomains(cf, "postscreen_allowlist_interfaces") },
                &options,
            ),
            sites: Sites::new(&cf.postscreen_dnsbl_sites(), &cf.postscreen_dnsbl_reply_map())?,
            lists_threshold: cf.postscreen_dnsbl_threshold(),
            lists_action: action("postscreen_dnsbl_action", &cf.postscreen_dnsbl_action())?,
            lists_allow: cf.postscreen_dnsbl_allowlist_threshold(),
            lists_timeout: cf.postscreen_dnsbl_timeout().max(second),
            lists_ttl: (lists_least, cf.postscreen_dnsbl_max_ttl().as_secs().max(lists_least)),
            pipelining,
            non_smtp,
            bare_newline,
            least_ttl: ttls.into_iter().min().unwrap_or(1),
            forbidden: MatchList::parse(
                "postscreen_forbidden_commands",
                &cf.postscreen_forbidden_commands(),
                Flavour::Strings,
                &options,
            ),
            connections: count(cf.postscreen_client_connection_count_limit()),
            watched: count(cf.postscreen_pre_queue_limit()),
            command_limit: cf.postscreen_command_count_limit(),
            command_time: Patience {
                normal: cf.postscreen_command_time_limit().max(second),
                stressed: stressed.postscreen_command_time_limit().max(second),
            },
            command_filter: maps("postscreen_command_filter", cf.postscreen_command_filter()),
            line_length: count(cf.line_length_limit()).max(512),
            helo_required: cf.postscreen_helo_required(),
            disable_vrfy: cf.postscreen_disable_vrfy_command(),
            offers_vrfy: !cf.disable_vrfy_command(),
            message_limit: cf.message_limit(),
            utf8: cf.smtputf8_enable(),
            soft_bounce: cf.soft_bounce(),
            discard_ehlo: MainCf::list(&cf.postscreen_discard_ehlo_keywords().to_ascii_lowercase()),
            discard_ehlo_maps: maps(
                "postscreen_discard_ehlo_keyword_address_maps",
                cf.postscreen_discard_ehlo_keyword_address_maps(),
            ),
            footer,
            footer_maps: maps("postscreen_reject_footer_maps", cf.postscreen_reject_footer_maps()),
            proxy_patience: match cf.postscreen_upstream_proxy_protocol().as_str() {
                "" => None,
                "haproxy" => Some(cf.postscreen_upstream_proxy_timeout()),
                other => return Err(format!("unsupported postscreen_upstream_proxy_protocol value: {other}")),
            },
        })
    }

    /// What is done with who fails a test among commands.
    pub fn late(&self, test: Test) -> Late {
        match test {
            Test::Pipelining => self.pipelining,
            Test::BareNewline => self.bare_newline,
            _ => self.non_smtp,
        }
    }

    pub fn enabled(&self) -> Tests {
        super::results::enabled(self)
    }

    /// Connections at which clients get less time, and at which they get more again.
    pub fn stress_marks(&self) -> (usize, usize) {
        (self.watched * 9 / 10, self.watched * 7 / 10)
    }
}

fn action(name: &str, text: &str) -> Result<Action, String> {
    match text.to_ascii_lowercase().as_str() {
        "drop" => Ok(Action::Drop),
        "enforce" => Ok(Action::Enforce),
        // Its first name was "continue".
        "ignore" | "continue" => Ok(Action::Ignore),
        _ => Err(format!("bad {name} value: {text}")),
    }
}
