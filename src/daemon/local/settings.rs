//! What local(8) reads from the configuration.

use crate::cleanup::Cleanup;
use crate::conf::MainCf;
use crate::delivery::pass::Passer;
use crate::log::Log;
use crate::mailbox::deliver::Rules;
use crate::route::Router;
use crate::sys::lock::Patience;
use crate::table::{Maps, Options};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub struct Settings {
    pub log: Arc<Log>,
    pub cleanup: Arc<Cleanup>,
    pub router: Router,
    pub aliases: Maps,
    pub delimiters: String,
    pub config_directory: PathBuf,
    pub forward_path: Vec<String>,
    pub passer: Passer,
    pub mailbox_transport: String,
    pub mailbox_transport_maps: Maps,
    pub fallback_transport: String,
    pub fallback_transport_maps: Maps,
    pub mailbox_command: String,
    pub mailbox_command_maps: Maps,
    pub home_mailbox: String,
    pub mail_spool_directory: String,
    pub luser_relay: String,
    pub mailbox_size_limit: u64,
    pub strict_ownership: bool,
    pub locks: Vec<String>,
    pub patience: Patience,
    pub command_time_limit: Duration,
    pub command_filter: String,
    pub default_privs: String,
    pub commands_from: Vec<String>,
    pub files_from: Vec<String>,
    pub expand_owner_alias: bool,
    pub prepend_delivered: Vec<String>,
    pub biff: bool,
}

impl Settings {
    pub fn new(cf: &MainCf, log: Arc<Log>) -> Result<Settings, String> {
        let table = |error: crate::table::TableError| error.to_string();
        let options = Options::default();
        let seconds = |value: Duration| value.max(Duration::from_millis(100));
        Ok(Settings {
            cleanup: Cleanup::new(cf, log.clone()).map_err(table)?,
            router: Router::new(cf).map_err(table)?,
            log,
            aliases: Maps::open("alias_maps", &cf.alias_maps(), &options),
            delimiters: cf.recipient_delimiter(),
            config_directory: cf.directory().to_owned(),
            // The path's own macros ($home, $recipient_delimiter, $extension) are the recipient's: they are expanded for each.
            forward_path: MainCf::list(&cf.forward_path()),
            passer: Passer::new(cf),
            mailbox_transport: cf.mailbox_transport(),
            mailbox_transport_maps: Maps::open("mailbox_transport_maps", &cf.mailbox_transport_maps(), &options),
            fallback_transport: cf.fallback_transport(),
            fallback_transport_maps: Maps::open("fallback_transport_maps", &cf.fallback_transport_maps(), &options),
            mailbox_command: cf.mailbox_command(),
            mailbox_command_maps: Maps::open("mailbox_command_maps", &cf.mailbox_command_maps(), &options),
            home_mailbox: cf.home_mailbox(),
            mail_spool_directory: cf.mail_spool_directory(),
            luser_relay: cf.luser_relay(),
            mailbox_size_limit: u64::try_from(cf.mailbox_size_limit()).unwrap_or(0),
            strict_ownership: cf.strict_mailbox_ownership(),
            locks: MainCf::list(&cf.mailbox_delivery_lock()),
            patience: Patience {
                attempts: u32::try_from(cf.deliver_lock_attempts()).unwrap_or(20),
                delay: seconds(cf.deliver_lock_delay()),
                stale_after: cf.stale_lock_time(),
            },
            command_time_limit: cf.command_time_limit(),
            command_filter: cf.command_expansion_filter(),
            default_privs: cf.default_privs(),
            commands_from: MainCf::list(&cf.allow_mail_to_commands()),
            files_from: MainCf::list(&cf.allow_mail_to_files()),
            expand_owner_alias: cf.expand_owner_alias(),
            biff: cf.biff(),
            prepend_delivered: MainCf::list(&cf.prepend_delivered_header()),
        })
    }

    /// How a mailbox of `owner` is opened.
    pub fn rules(&self, owner: Option<u32>, give_to: Option<(u32, u32)>) -> Rules {
        let wants = |name: &str| self.locks.iter().any(|lock| lock == name);
        Rules {
            fcntl: wants("fcntl"),
            dotlock: wants("dotlock"),
            flock: wants("flock"),
            patience: self.patience,
            owner: owner.filter(|_| self.strict_ownership),
            give_to,
            log: self.log.clone(),
            size_limit: self.mailbox_size_limit,
        }
    }
}
