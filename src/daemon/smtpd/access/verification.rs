//! reject_unverified_sender, reject_unverified_recipient (ADDRESS_VERIFICATION_README).

use super::check::{Check, Status};
use crate::conf::MainCf;
use crate::ipc::verify::{self, Answer};
use std::path::PathBuf;
use std::time::Duration;

/// What smtpd(8) reads of verification from the configuration.
pub struct VerificationSettings {
    /// Where verify(8) listens.
    socket: PathBuf,
    tries: i64,
    delay: Duration,
    sender: Replies,
    recipient: Replies,
}

/// How one kind of address is answered for.
struct Replies {
    undeliverable: i64,
    unknown: i64,
    /// unverified_*_tempfail_action
    trouble: String,
    /// In the place of what is known; empty: that.
    reason: String,
}

impl VerificationSettings {
    pub fn new(cf: &MainCf) -> VerificationSettings {
        VerificationSettings {
            socket: PathBuf::from("private").join(cf.address_verify_service_name()),
            tries: cf.address_verify_poll_count(),
            delay: cf.address_verify_poll_delay(),
            sender: Replies {
                undeliverable: cf.unverified_sender_reject_code(),
                unknown: cf.unverified_sender_defer_code(),
                trouble: cf.unverified_sender_tempfail_action(),
                reason: cf.unverified_sender_reject_reason(),
            },
            recipient: Replies {
                undeliverable: cf.unverified_recipient_reject_code(),
                unknown: cf.unverified_recipient_defer_code(),
                trouble: cf.unverified_recipient_tempfail_action(),
                reason: cf.unverified_recipient_reject_reason(),
            },
        }
    }

    /// Waits for a probe that is under way, a few times.
    async fn ask(&self, address: &str) -> std::io::Result<Answer> {
        let mut tries = 1;
        loop {
            let answer = verify::ask(&self.socket, address).await?;
            if answer.status != verify::Status::Pending || tries >= self.tries {
                return Ok(answer);
            }
            tries += 1;
            tokio::time::sleep(self.delay).await;
        }
    }
}

impl Check<'_> {
    pub async fn unverified(&mut self, address: &str, class: &str) -> Status {
        let settings = self.settings;
        let of_sender = class == "Sender address";
        let replies = if of_sender { &settings.verification.sender } else { &settings.verification.recipient };
        // There is nobody to ask about.
        if address.is_empty() {
            return Status::Dunno;
        }
        let complete = settings.router.rewriter.rewrite(address);
        let answer = settings.verification.ask(&complete).await;
        let (status, text) = match answer {
            Ok(answer) => (answer.status, answer.text),
            Err(error) => {
                let (socket, reason) = (settings.verification.socket.display(), crate::sys::files::reason(&error));
                self.log.warning(format!("address verification service {socket}: {reason}"));
                (verify::Status::Deferred, "Address verification problem".to_owned())
            }
        };
        let code = match status {
            verify::Status::Deliverable => return Status::Dunno,
            verify::Status::Undeliverable => replies.undeliverable,
            verify::Status::Deferred | verify::Status::Pending => replies.unknown,
        };
        let what = if code >= 500 { "undeliverable address" } else { "unverified address" };
        let known = if replies.reason.is_empty() { text } else { replies.reason.clone() };
        let text = format!("<{address}>: {class} rejected: {what}: {known}");
        let dsn = match (code >= 500, of_sender) {
            (true, true) => "5.1.7",
            (true, false) => "5.1.1",
            (false, true) => "4.1.7",
            (false, false) => "4.1.1",
        };
        match status {
            verify::Status::Undeliverable => self.reject(code, dsn, &text),
            _ => self.passing_trouble(&replies.trouble, code, dsn, &text),
        }
    }
}
