//! virtual(8): delivers to mailboxes of users that the system does not know, by tables: address to mailbox, user id and
//! group id. No aliases, no commands, no .forward: an address leads to one file or maildir under virtual_mailbox_base.

use super::agent;
use super::skeleton::Context;
use crate::conf::MainCf;
use crate::delivery::filter::Filter;
use crate::delivery::letter::{Form, Letter, verdict};
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Request, Target};
use crate::log::Log;
use crate::mailbox::deliver::{self, DeliverError, Rules};
use crate::message::envelope;
use crate::status::{Code, Report};
use crate::sys::lock::Patience;
use crate::sys::privilege::Borrowed;
use crate::table::{Maps, Options};
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What virtual(8) reads from the configuration.
struct Settings {
    log: Arc<Log>,
    mailboxes: Maps,
    uids: Maps,
    gids: Maps,
    base: PathBuf,
    minimum_uid: u32,
    limit: u64,
    strict_ownership: bool,
    locks: Vec<String>,
    patience: Patience,
    delimiters: String,
}

/// Where and as whom one address is delivered to.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    maildir: bool,
    uid: u32,
    gid: u32,
}

impl Settings {
    fn new(cf: &MainCf, log: Arc<Log>) -> Result<Settings, String> {
        let options = Options::default();
        let limit = u64::try_from(cf.virtual_mailbox_limit()).unwrap_or(0);
        if limit > 0 && (cf.message_limit() == 0 || cf.message_limit() > limit) {
            return Err("main.cf configuration error: virtual_mailbox_limit is smaller than message_size_limit".into());
        }
        Ok(Settings {
            log,
            mailboxes: Maps::open("virtual_mailbox_maps", &cf.virtual_mailbox_maps(), &options),
            uids: Maps::open("virtual_uid_maps", &cf.virtual_uid_maps(), &options),
            gids: Maps::open("virtual_gid_maps", &cf.virtual_gid_maps(), &options),
            base: cf.virtual_mailbox_base().into(),
            minimum_uid: u32::try_from(cf.virtual_minimum_uid()).unwrap_or(100).max(1),
            limit,
            strict_ownership: cf.strict_mailbox_ownership(),
            locks: MainCf::list(&cf.virtual_mailbox_lock()),
            patience: Patience {
                attempts: u32::try_from(cf.deliver_lock_attempts()).unwrap_or(20),
                delay: cf.deliver_lock_delay().max(Duration::from_millis(100)),
                stale_after: cf.stale_lock_time(),
            },
            delimiters: cf.recipient_delimiter(),
        })
    }

    /// The value for an address. A table that cannot be asked is the mail system's fault, not the sender's.
    fn find(&self, maps: &Maps, address: &str) -> Result<Option<String>, Report> {
        match maps.find_address(address.as_bytes(), self.delimiters.as_bytes(), &|_| false) {
            Ok(found) => Ok(found.map(|found| String::from_utf8_lossy(&found.value).into_owned())),
            Err(error) => Err(self.misconfigured(&format!("table {}: lookup {address}: {error}", maps.title()))),
        }
    }

    fn misconfigured(&self, warning: &str) -> Report {
        self.log.warning(warning);
        Report::new(Code::new(4, 3, 5), "mail system configuration error")
    }

    fn place(&self, address: &str) -> Result<Place, Report> {
        let Some(mailbox) = self.find(&self.mailboxes, address)? else {
            return Err(Report::new(Code::new(5, 1, 1), format!("unknown user: \"{address}\"")));
        };
        // Pattern tables may put the sender's words into a path: they must not lead out of the base.
        if Path::new(&mailbox).components().any(|part| part == Component::ParentDir) {
            return Err(self.misconfigured(&format!("recipient {address}: bad mailbox {mailbox}")));
        }
        let id = |maps: &Maps, what: &str, least: u32| -> Result<u32, Report> {
            let title = maps.title();
            let Some(text) = self.find(maps, address)? else {
                return Err(self.misconfigured(&format!("recipient {address}: not found in {title}")));
            };
            text.trim()
                .parse()
                .ok()
                .filter(|&id| id >= least)
                .ok_or_else(|| self.misconfigured(&format!("recipient {address}: bad {what} {text} in {title}")))
        };
        let uid = id(&self.uids, "uid", self.minimum_uid)?;
        let gid = id(&self.gids, "gid", 1)?;
        let relative = mailbox.trim_start_matches('/');
        let path = if self.base.as_os_str().is_empty() { mailbox.clone().into() } else { self.base.join(relative) };
        if !path.is_absolute() {
            return Err(self.misconfigured(&format!("recipient {address}: mailbox {mailbox} is not absolute")));
        }
        Ok(Place { path, maildir: mailbox.ends_with('/'), uid, gid })
    }

    fn rules(&self, uid: u32) -> Rules {
        let wants = |name: &str| self.locks.iter().any(|lock| lock == name);
        Rules {
            fcntl: wants("fcntl"),
            dotlock: wants("dotlock"),
            flock: wants("flock"),
            patience: self.patience,
            owner: self.strict_ownership.then_some(uid),
            give_to: None,
            log: self.log.clone(),
            size_limit: self.limit,
        }
    }
}

pub fn run(context: Context) -> Result<(), String> {
    let settings = Settings::new(&context.cf, context.log.clone())?;
    let filter = Filter::new("virtual_delivery_status_filter", &context.cf.virtual_delivery_status_filter());
    let finisher = Finisher::from_parts(&context.cf, context.log.clone(), filter);
    agent::serve(context, |request| deliver(&settings, &finisher, request))
}

fn deliver(settings: &Settings, finisher: &Finisher, request: &Request) -> Answer {
    let file = finisher.open(request);
    let mut answer = Answer::new();
    for target in &request.recipients {
        let now = Some(SystemTime::now());
        let relay = Relay { begun: now, connected: now, ..Relay::named("virtual") };
        let report = match &file {
            Ok(file) => deliver_one(settings, request, target, file).unwrap_or_else(|report| report),
            Err(error) => Report::deferred(format!("cannot open queue file: {error}")),
        };
        answer.push(finisher.finish(request, target, &report, &relay));
    }
    answer
}

fn deliver_one(settings: &Settings, request: &Request, target: &Target, file: &File) -> Result<Report, Report> {
    let place = settings.place(&target.address)?;
    if request.only_verifies() {
        return Ok(Report::sent(if place.maildir { "delivers to maildir" } else { "delivers to mailbox" }));
    }
    let letter = Letter { request, target, file, sender: &request.sender };
    let delivered = envelope::quote(&target.address);
    let outcome = put(settings, &place, &letter, &delivered);
    let sent = if place.maildir { "delivered to maildir" } else { "delivered to mailbox" };
    let failed = if place.maildir {
        "maildir delivery failed: ".to_owned()
    } else {
        format!("mailbox {}: ", place.path.display())
    };
    Ok(verdict(outcome, sent, &failed))
}

/// Everything that touches the mailbox happens as its owner.
fn put(settings: &Settings, place: &Place, letter: &Letter<'_>, delivered: &str) -> Result<(), DeliverError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| DeliverError::Io { what, source }
    };
    let _as_owner =
        Borrowed::identity(place.uid, place.gid, &[place.gid]).map_err(failed("cannot become the recipient"))?;
    if place.maildir {
        if settings.limit > 0 && letter.request.size > settings.limit {
            let source = io::Error::from_raw_os_error(libc::EFBIG);
            return Err(failed("error writing message")(source));
        }
        return deliver::maildir(&place.path, &settings.log, |out| letter.write(Form::Maildir, delivered, out))
            .map(drop);
    }
    if let Some(parent) = place.path.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(failed(&format!("create {}", parent.display())))?;
    }
    deliver::append(&place.path, &settings.rules(place.uid), |out| letter.write(Form::Mbox, delivered, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let cf = format!(
            "virtual_mailbox_base = /vm\nvirtual_uid_maps = static:2000\nvirtual_gid_maps = static:2000\n{text}"
        );
        let cf = MainCf::parse(Path::new("/x"), &cf).unwrap();
        Settings::new(&cf, Arc::new(Log::open("t", "virtual", "mail", "/dev/null"))).unwrap()
    }

    #[test]
    fn an_address_leads_to_a_place() {
        let settings =
            settings("recipient_delimiter = +\nvirtual_mailbox_maps = inline:{a@v=a/ b@v=d/b evil@v=../x}\n");
        let place = settings.place("a+x@v").unwrap();
        assert_eq!((place.path.as_path(), place.maildir), (Path::new("/vm/a/"), true));
        assert_eq!(settings.place("b@v").unwrap().path, Path::new("/vm/d/b"));
        assert_eq!(settings.place("c@v").unwrap_err().reason, "unknown user: \"c@v\"");
        assert_eq!(settings.place("evil@v").unwrap_err().code, Code::new(4, 3, 5));
    }

    #[test]
    fn low_and_missing_ids_are_a_fault_of_the_configuration() {
        for line in ["virtual_minimum_uid = 3000", "virtual_gid_maps = inline:{other@v=1}"] {
            let settings = settings(&format!("virtual_mailbox_maps = inline:{{a@v=a}}\n{line}\n"));
            assert_eq!(settings.place("a@v").unwrap_err().code, Code::new(4, 3, 5), "{line}");
        }
    }

    #[test]
    fn a_mailbox_limit_below_that_of_messages_is_refused() {
        let cf = MainCf::parse(Path::new("/x"), "virtual_mailbox_limit = 1000\n").unwrap();
        assert!(Settings::new(&cf, Arc::new(Log::open("t", "virtual", "mail", "/dev/null"))).is_err());
    }
}
