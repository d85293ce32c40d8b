//! How a message ends once each recipient has an outcome: its notices are made, and then it is removed or deferred.

use super::super::trace::Wanted;
use super::{Active, Taken};
use crate::daemon::bounce::Kind;
use crate::log::event::{Event, text};
use crate::message::envelope;
use crate::queue::bounce_log::{self, Action, Entry};
use crate::queue::file::{self, Message};
use crate::queue::state::By;
use crate::queue::{QueueId, State};
use crate::status::Report;
use std::fs::File;
use std::io;
use std::time::SystemTime;

impl Active {
    /// All recipients have an outcome.
    pub(super) fn end(&mut self, id: &QueueId) {
        let Some(mut taken) = self.taken.remove(id) else { return };
        let path = self.queue().path("active", id);
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            // postsuper took it away meanwhile: what it does with it is its affair.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.defer(id, &taken, &format!("open: {error}")),
        };
        let forced = is_force_expired(&file);
        if taken.deferred && (forced || self.is_expired(&taken.message)) {
            let sender = envelope::quote_path(&taken.message.sender);
            if forced {
                self.log.info(format!("{id}: from=<{sender}>, status=force-expired, returned to sender"));
            } else {
                self.log.event(&Event::Expired { queue_id: text(id.as_str()), from: text(&sender) });
            }
            for entry in std::mem::take(&mut taken.reasons) {
                let report = Report { code: entry.report.code.hardened(), ..entry.report };
                let entry = Entry { report, action: Action::Failed, ..entry };
                let done = bounce_log::append(self.queue(), "bounce", id, &entry)
                    .and_then(|()| file::mark_done(&file, entry.recipient.offset));
                if let Err(error) = done {
                    return self.defer(id, &taken, &format!("cannot write bounce log: {error}"));
                }
            }
            taken.deferred = false;
            taken.bounced = true;
        }
        // A bounce log may be there from an earlier life of the message.
        let bounced = taken.bounced || self.queue().path("bounce", id).exists();
        if bounced && let Err(fault) = self.send_notice(id, &taken, &file) {
            return self.defer(id, &taken, &fault);
        }
        if let Err(fault) = self.send_trace(id, &taken, &file) {
            return self.defer(id, &taken, &fault);
        }
        if taken.deferred {
            self.warn_of_delay(id, &taken, &file);
            return self.defer(id, &taken, "");
        }
        let removed = ["defer", "trace", "active"].into_iter().try_for_each(|name| self.queue().remove(name, id));
        match removed {
            Ok(()) => self.log.event(&Event::Removed { queue_id: text(id.as_str()) }),
            Err(error) => self.log.warning(format!("{id}: cannot remove: {error}")),
        }
    }

    fn send_notice(&self, id: &QueueId, taken: &Taken, file: &File) -> Result<(), String> {
        let settings = &self.settings;
        let entries = bounce_log::read(self.queue(), "bounce", id).map_err(|error| error.to_string())?;
        settings
            .bouncer
            .notify(&settings.cleanup, &self.log, Kind::Failure, id, &taken.message, file, &entries)
            .map_err(|error| format!("cannot send notice: {error}"))?;
        self.wake_for_notice();
        self.queue().remove("bounce", id).map_err(|error| error.to_string())
    }

    /// The report of what became of the recipients, if the sender asked for one.
    fn send_trace(&self, id: &QueueId, taken: &Taken, file: &File) -> Result<(), String> {
        let entries = bounce_log::read(self.queue(), "trace", id).map_err(|error| error.to_string())?;
        if entries.is_empty() {
            return Ok(());
        }
        let settings = &self.settings;
        let kind = if Wanted::of(&taken.message) == Wanted::Success { Kind::Success } else { Kind::Report };
        settings
            .bouncer
            .notify(&settings.cleanup, &self.log, kind, id, &taken.message, file, &entries)
            .map_err(|error| format!("cannot send notice: {error}"))?;
        self.wake_for_notice();
        self.queue().remove("trace", id).map_err(|error| error.to_string())
    }

    /// delay_warning_time: one notice that the mail is late, if the sender is to have one.
    fn warn_of_delay(&self, id: &QueueId, taken: &Taken, file: &File) {
        let due = self.settings.delay_warning;
        let age = SystemTime::now().duration_since(taken.message.arrival).unwrap_or_default();
        // It is due at the first attempt after the time; the attempt before was at most maximal_backoff_time ago.
        let marker = self.queue().path("trace", id);
        if due.is_zero() || age < due || taken.message.sender.is_empty() || marker.exists() {
            return;
        }
        let settings = &self.settings;
        let told = settings.bouncer.notify(
            &settings.cleanup,
            &self.log,
            Kind::Delay,
            id,
            &taken.message,
            file,
            &taken.reasons,
        );
        match told {
            Ok(()) => {
                let _ = self.queue().with_subdirectory(&marker, |path| File::create(path));
                self.wake_for_notice();
            }
            Err(error) => self.log.warning(format!("{id}: cannot send delay warning: {error}")),
        }
    }

    /// Our own notices are in incoming/: the caller's next scan finds them.
    fn wake_for_notice(&self) {
        let _ = crate::ipc::trigger::send(&self.queue().directory().join("public/qmgr"), crate::ipc::trigger::INCOMING);
    }

    fn is_expired(&self, message: &Message) -> bool {
        let limit = if message.sender.is_empty() { self.settings.bounce_lifetime } else { self.settings.lifetime };
        let age = SystemTime::now().duration_since(message.arrival).unwrap_or_default();
        age >= limit
    }

    /// Back to deferred/, due again after as long as the message is old, within the back-off limits.
    fn defer(&self, id: &QueueId, taken: &Taken, fault: &str) {
        if !fault.is_empty() {
            self.log.warning(format!("{id}: {fault}; will try again later"));
        }
        let age = SystemTime::now().duration_since(taken.message.arrival).unwrap_or_default();
        let delay =
            age.clamp(self.settings.minimal_backoff, self.settings.maximal_backoff.max(self.settings.minimal_backoff));
        let due = SystemTime::now() + delay;
        let path = self.queue().path("active", id);
        let set = File::options().write(true).open(&path).and_then(|file| file.set_modified(due));
        let moved = set.and_then(|()| self.queue().shift(id, State::Active, State::Deferred, By::Qmgr));
        if let Err(error) = moved
            && error.kind() != io::ErrorKind::NotFound
        {
            self.log.warning(format!("{id}: cannot defer: {error}"));
        }
    }
}

/// postsuper -e set its mark.
fn is_force_expired(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|data| data.mode() & crate::queue::state::EXPIRED != 0)
}
