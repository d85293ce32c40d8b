//! Filters and a message that is complete and not committed: those of the SMTP session that it came in, or those of
//! non_smtpd_milters, which are told a session that might have been.

use super::CleanupError;
use super::checks::{Asked, Line};
use super::draft::Sheet;
use super::envelope::{Envelope, Origin};
use super::held::Held;
use super::intake::{Cleanup, Intake};
use crate::conf::MainCf;
use crate::log::event::{Event, text};
use crate::message::envelope as address;
use crate::milter::{Client, Filters, Macros, Settings, Verdict};
use crate::status::Code;
use std::net::{IpAddr, Ipv4Addr};

/// Who looks at a message before it is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    #[default]
    Nobody,
    /// The filters of its SMTP session: [`Intake::filter`] must be called.
    Session,
    /// non_smtpd_milters, if there are any.
    Local,
}

const SERVICE: &str = "cleanup";

/// non_smtpd_milters.
pub struct LocalFilters {
    settings: Settings,
    list: String,
}

impl LocalFilters {
    pub fn new(cf: &MainCf) -> LocalFilters {
        LocalFilters { settings: Settings::new(cf), list: cf.non_smtpd_milters() }
    }
}

impl Cleanup {
    /// Whether a message is held until filters have seen it.
    pub(super) fn holds(&self, envelope: &Envelope) -> bool {
        match envelope.filtering {
            Filtering::Nobody => false,
            Filtering::Session => true,
            Filtering::Local => !self.local_filters.list.trim().is_empty(),
        }
    }
}

impl Intake {
    /// Shows the message to the filters of its session. It is complete; [`Intake::finish`] commits it.
    pub fn filter(&mut self, filters: &mut Filters) -> Result<(), CleanupError> {
        self.complete()?;
        self.filtered = true;
        if self.is_settled() {
            return Ok(());
        }
        let Some(mut held) = self.held.take() else { return Ok(()) };
        let macros = self.macros(&held);
        let mut sheet = Sheet { intake: self, held: &mut held, failure: None };
        let verdict = filters.message_of_session(&mut sheet, &macros, SERVICE);
        let failure = sheet.failure.take();
        self.held = Some(held);
        failure.map_or(Ok(()), Err)?;
        self.settle("END-OF-MESSAGE", verdict)
    }

    /// Calls non_smtpd_milters and tells them of the envelope, as if it had come by SMTP.
    pub(super) fn call_local_filters(&mut self) -> Result<(), CleanupError> {
        let Some(held) = self.held.take_if(|held| held.envelope.filtering == Filtering::Local) else {
            return Ok(());
        };
        let macros = self.macros(&held);
        self.held = Some(held);
        let LocalFilters { settings, list } = &self.cleanup.local_filters;
        let Some(mut filters) = settings.filters(list, &self.cleanup.log, Some(SERVICE)) else { return Ok(()) };
        // Log lines name a recipient when one was told.
        let last = self.last_recipient.take();
        let done = self.as_if_by_smtp(&mut filters, macros);
        self.last_recipient = last;
        done.map(|macros| self.local_filters = Some((Box::new(filters), macros)))
    }

    fn as_if_by_smtp(&mut self, filters: &mut Filters, mut macros: Macros) -> Result<Macros, CleanupError> {
        let client = Client { name: "localhost".into(), address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port: 0 };
        let sender = address::quote_path(&self.sender);
        let mut said = ("CONNECT", filters.connect(&client, &macros));
        if said.1.is_none() {
            said = ("EHLO", filters.helo(&client.name, &macros));
        }
        macros.set("{mail_addr}", sender.as_str());
        if said.1.is_none() {
            said = ("MAIL", filters.mail(&[&sender], &macros));
        }
        self.settle(said.0, said.1)?;
        for recipient in std::mem::take(&mut self.named) {
            if self.is_settled() {
                return Ok(macros);
            }
            let path = address::quote_path(&recipient);
            self.last_recipient = Some(recipient);
            macros.set("{rcpt_addr}", path.as_str());
            let verdict = filters.rcpt(&[&path], false, &macros);
            self.settle("RCPT", verdict).map_err(|error| {
                // One of several cannot be refused to nobody.
                let trouble = "can't reject recipient in non-smtpd(8) submission";
                self.warn(&format!("milter configuration error: {trouble}"));
                self.warn("deferring delivery of this message");
                match error {
                    CleanupError::Filtered(_) => CleanupError::Filtered("451 4.3.5 Server configuration error".into()),
                    other => other,
                }
            })?;
        }
        Ok(macros)
    }

    /// Shows the message, which is complete, to non_smtpd_milters.
    pub(super) fn filter_locally(&mut self) -> Result<(), CleanupError> {
        let Some((mut filters, macros)) = self.local_filters.take() else { return Ok(()) };
        let verdict = filters.data(&macros);
        self.settle("DATA", verdict)?;
        if self.is_settled() {
            return Ok(());
        }
        let Some(mut held) = self.held.take() else { return Ok(()) };
        let mut sheet = Sheet { intake: self, held: &mut held, failure: None };
        let verdict = filters.message(&mut sheet, &macros);
        let failure = sheet.failure.take();
        self.held = Some(held);
        failure.map_or(Ok(()), Err)?;
        self.settle("END-OF-MESSAGE", verdict)
    }

    /// Whether it is known already that the message will not be queued.
    pub(super) fn is_settled(&self) -> bool {
        self.asked.refusal.is_some() || self.asked.discard
    }

    /// Obeys a verdict, and logs it.
    fn settle(&mut self, stage: &str, verdict: Option<Verdict>) -> Result<(), CleanupError> {
        let Some(verdict) = verdict.filter(|_| !self.is_settled()) else { return Ok(()) };
        match verdict {
            Verdict::Hold => {
                if !std::mem::replace(&mut self.asked.hold, true) {
                    self.log_verdict("milter-hold", stage, "milter triggers HOLD action");
                }
                Ok(())
            }
            Verdict::Discard => {
                self.asked.discard = true;
                self.log_verdict("milter-discard", stage, "milter triggers DISCARD action");
                Ok(())
            }
            Verdict::Shutdown => {
                let words = "message content rejected";
                self.log_verdict("milter-reject", stage, words);
                Err(CleanupError::Rejected(Code::new(5, 7, 1), words.into()))
            }
            Verdict::Reply(reply) => {
                self.log_verdict("milter-reject", stage, reply.get(4..).unwrap_or_default());
                Err(CleanupError::Filtered(reply))
            }
        }
    }

    fn log_verdict(&self, action: &str, stage: &str, words: &str) {
        let line = format!("{stage} from {}: {words};{}", self.filtered_origin(), self.circumstances());
        let queue_id = self.id().as_str();
        let event = Event::Verdict { queue_id: text(queue_id), action: text(action), text: text(&line) };
        self.cleanup.log.event_as(SERVICE, &event);
    }

    /// " from=<> to=<> proto= helo=<>", as far as they are known.
    fn circumstances(&self) -> String {
        let mut out = format!(" from=<{}>", address::quote_path(&self.sender));
        if let Some(recipient) = &self.last_recipient {
            out.push_str(&format!(" to=<{}>", address::quote(recipient)));
        }
        if !self.protocol.is_empty() {
            out.push_str(&format!(" proto={}", self.protocol));
        }
        if !self.helo.is_empty() {
            out.push_str(&format!(" helo=<{}>", self.helo));
        }
        out
    }

    /// The client, or in its place what filters are told of a user of this machine.
    fn filtered_origin(&self) -> &str {
        if self.protocol.is_empty() { "localhost[127.0.0.1]" } else { &self.origin }
    }

    /// milter_header_checks on a header that a filter made.
    pub(super) fn check_milter_header(&self, header: &[u8], asked: &mut Asked) -> Result<Line, CleanupError> {
        if !self.inspected {
            return Ok(Line::Keep);
        }
        let mut about = self.about();
        about.origin = self.filtered_origin();
        about.filtered = true;
        self.cleanup.milter_checks.primary(header, &about, asked, &self.cleanup.log)
    }

    pub(super) fn warn(&self, warning: &str) {
        self.cleanup.warn(self.id(), warning);
    }

    /// Without the queue id, as the reference says some things.
    pub(super) fn warn_plainly(&self, warning: &str) {
        self.cleanup.log.event_as(SERVICE, &Event::Warning(text(warning)));
    }

    /// What is known of the message here; of the session it is what travels with a message.
    fn macros(&self, held: &Held) -> Macros {
        let mut macros = Macros::default();
        macros.set("{i}", self.id().as_str());
        let Origin::Smtp(client) = &held.envelope.origin else {
            for name in ["{client_name}", "{client_ptr}"] {
                macros.set(name, "localhost");
            }
            macros.set("{client_addr}", "127.0.0.1");
            macros.set("{client_port}", "0");
            macros.set("{_}", "localhost [127.0.0.1]");
            return macros;
        };
        let address = client.address.strip_prefix("IPv6:").unwrap_or(&client.address);
        macros.set("{client_name}", client.name.as_str());
        macros.set("{client_ptr}", client.reverse_name.as_str());
        macros.set("{client_addr}", address);
        macros.set("{client_port}", client.port.to_string());
        macros.set("{daemon_addr}", client.server_address.as_str());
        macros.set("{daemon_port}", client.server_port.to_string());
        macros.set("{_}", crate::milter::macros::source(&client.name, &client.reverse_name, address));
        if let Some(login) = &client.login {
            macros.set("{auth_type}", login.method.as_str());
            macros.set("{auth_authen}", login.name.as_str());
        }
        macros.set_known("{auth_author}", client.login_sender.clone());
        macros
    }
}
