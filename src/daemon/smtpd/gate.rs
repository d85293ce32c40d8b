//! Which lists are asked at which moment, and what is done with the answer.

use super::access::{Check, Effects, Outcome, Status, Subject};
use super::session::Session;
use super::stream::Duplex;

impl<S: Duplex> Session<S> {
    /// A check with all that is known now.
    fn new_check<'a>(&'a self, stage: &'a str, recipient: Option<&'a str>) -> Check<'a> {
        let mut check = Check::new(&self.settings, &self.shared.dns, &self.log, &self.peer, stage);
        check.queue_id = self.transaction.queue_id();
        check.instance = &self.transaction.instance;
        check.protocol = self.protocol();
        check.helo = self.helo.as_deref();
        check.sender = self.transaction.sender.as_deref();
        check.recipient = recipient;
        check.recipients = self.transaction.recipients.len();
        check.size = self.transaction.size;
        check.talks_ahead = !self.stream.pending().is_empty();
        check.sender_checked = self.transaction.sender_checked;
        check.login = self.login.as_ref();
        check.login_sender = self.transaction.login_sender.as_deref();
        check.secured = self.secured.as_deref();
        let done = &self.transaction.effects;
        check.effects = Effects { discard: done.discard, hold: done.hold, ..Effects::default() };
        check
    }

    fn settled(&mut self, outcome: Outcome, effects: Effects) -> Result<(), String> {
        self.transaction.apply(effects);
        match outcome {
            Outcome::Accepted => Ok(()),
            Outcome::Refused(reply) => Err(reply),
            Outcome::Disconnect(reply) => {
                self.hang_up = true;
                Err(reply)
            }
        }
    }

    /// smtpd_delay_reject = no: at the connection, or when XCLIENT named another client.
    pub async fn check_client(&mut self, stage: &str) -> Result<(), String> {
        let settings = self.settings.clone();
        let mut check = self.new_check(stage, None);
        let status = check.stage(&settings.restrictions.client, Subject::Client).await;
        let deferral = check.defer_if_permit.take();
        let (outcome, effects) = check.outcome(status);
        self.early_deferral = deferral;
        self.settled(outcome, effects)
    }

    /// smtpd_delay_reject = no: at HELO, whose name is in place already.
    pub async fn check_helo(&mut self, stage: &str) -> Result<(), String> {
        let settings = self.settings.clone();
        let mut check = self.new_check(stage, None);
        let status = check.stage(&settings.restrictions.helo, Subject::Helo).await;
        let deferral = check.defer_if_permit.take();
        let (outcome, effects) = check.outcome(status);
        self.early_deferral = self.early_deferral.take().or(deferral);
        self.settled(outcome, effects)
    }

    /// smtpd_delay_reject = no: at MAIL, whose sender is in place already.
    pub async fn check_mail(&mut self) -> Result<(), String> {
        let settings = self.settings.clone();
        let mut check = self.new_check("MAIL", None);
        let mut status = check.stage(&settings.restrictions.sender, Subject::Sender).await;
        if settings.reject_unlisted_sender && status != Status::Reject {
            status = check.unlisted_sender().await.unwrap_or(Status::Reject);
        }
        let deferral = check.defer_if_permit.take();
        let sender_checked = check.sender_checked;
        let (outcome, effects) = check.outcome(status);
        self.transaction.deferral = deferral;
        self.transaction.sender_checked = sender_checked;
        self.settled(outcome, effects)
    }

    /// At RCPT and VRFY: everything that decides about a recipient.
    pub async fn check_recipient(&mut self, recipient: &str, stage: &str) -> Result<(), String> {
        if self.peer.is_user {
            return Ok(());
        }
        let settings = self.settings.clone();
        let mut check = self.new_check(stage, Some(recipient));
        check.defer_if_permit = self.early_deferral.clone().or_else(|| self.transaction.deferral.clone());
        let status = recipient_lists(&mut check, &settings).await;
        let sender_checked = check.sender_checked;
        let (outcome, effects) = check.outcome(status);
        self.transaction.sender_checked = sender_checked && !settings.delay_reject;
        self.settled(outcome, effects)
    }

    /// At DATA or the first BDAT.
    pub async fn check_data(&mut self, stage: &str) -> Result<(), String> {
        self.check_late(stage, false).await
    }

    pub async fn check_end_of_data(&mut self) -> Result<(), String> {
        self.check_late("END-OF-MESSAGE", true).await
    }

    async fn check_late(&mut self, stage: &str, end: bool) -> Result<(), String> {
        let settings = self.settings.clone();
        let list = if end { &settings.restrictions.end_of_data } else { &settings.restrictions.data };
        if self.peer.is_user || list.restrictions.is_empty() || self.transaction.effects.discard {
            return Ok(());
        }
        // A message for one shows whom it is for.
        let only = match self.transaction.recipients.as_slice() {
            [one] => Some(one.address.clone()),
            _ => None,
        };
        let mut check = self.new_check(stage, only.as_deref());
        let subject = if end { Subject::EndOfData } else { Subject::Data };
        let status = check.stage(list, subject).await;
        let status = check.settle(status);
        let (outcome, effects) = check.outcome(status);
        self.settled(outcome, effects)
    }

    pub async fn check_etrn(&mut self, domain: &str) -> Result<(), String> {
        let settings = self.settings.clone();
        let mut check = self.new_check("ETRN", None);
        check.etrn = Some(domain);
        let mut status = Status::Dunno;
        if settings.delay_reject {
            status = check.stage(&settings.restrictions.client, Subject::Client).await;
            if status != Status::Reject {
                status = check.stage(&settings.restrictions.helo, Subject::Helo).await;
            }
        }
        if status != Status::Reject {
            status = check.stage(&settings.restrictions.etrn, Subject::Etrn).await;
        }
        let status = check.settle(status);
        let (outcome, effects) = check.outcome(status);
        self.settled(outcome, effects)
    }
}

pub(super) async fn recipient_lists(check: &mut Check<'_>, settings: &super::settings::Settings) -> Status {
    // RFC 5321 section 4.5.1: "postmaster" without a domain is always there, for everybody.
    if check.recipient.is_some_and(|recipient| recipient.eq_ignore_ascii_case("postmaster")) {
        return Status::Dunno;
    }
    let lists = &settings.restrictions;
    if settings.delay_reject {
        for (list, subject) in
            [(&lists.client, Subject::Client), (&lists.helo, Subject::Helo), (&lists.sender, Subject::Sender)]
        {
            let wanted = match subject {
                Subject::Helo => check.helo.is_some(),
                Subject::Sender => check.sender.is_some(),
                _ => true,
            };
            if wanted && check.stage(list, subject).await == Status::Reject {
                return Status::Reject;
            }
            if subject == Subject::Sender
                && settings.reject_unlisted_sender
                && !check.effects.discard
                && check.unlisted_sender().await.unwrap_or(Status::Reject) == Status::Reject
            {
                return Status::Reject;
            }
        }
    }
    let (first, second) =
        if settings.relay_first { (&lists.relay, &lists.recipient) } else { (&lists.recipient, &lists.relay) };
    if check.stage(first, Subject::Recipient).await == Status::Reject
        || check.same_stage(second, Subject::Recipient).await == Status::Reject
    {
        return Status::Reject;
    }
    // After both: what the second refuses for good is not deferred by the first.
    if check.settle(Status::Dunno) == Status::Reject {
        return Status::Reject;
    }
    if settings.reject_unlisted_recipient && !check.effects.discard {
        return check.unlisted_recipient().await.unwrap_or(Status::Reject);
    }
    Status::Dunno
}
