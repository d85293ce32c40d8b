//! One MAIL and one RCPT as a session would answer them, without a session: the same lists, the same checks. For
//! `postfix explain` and for the lint that tries whether strangers can relay.

/// The words of restriction lists.
pub use super::access::{takes_word, words};

use super::access::{Check, Effects, Outcome, Status, Subject};
use super::gate::recipient_lists;
use super::peer::Peer;
use super::settings::Settings;
use crate::cleanup::envelope::Login;
use crate::conf::MainCf;
use crate::dns::Dns;
use crate::log::Log;
use std::net::{IpAddr, SocketAddr};

/// Who sends what to whom; addresses in internal form.
pub struct Attempt {
    pub client: IpAddr,
    /// Whether the client's name is looked up.
    pub lookup: bool,
    pub helo: Option<String>,
    /// The name that the client logged in with.
    pub login: Option<String>,
    pub sender: String,
    pub recipient: String,
}

/// What the client would be told.
#[derive(Debug)]
pub enum Answer {
    Accepted(Effects),
    /// With the reply.
    Refused(String),
}

/// Err: the server would not even start.
pub fn attempt(cf: &MainCf, attempt: &Attempt) -> Result<Answer, String> {
    let settings = Settings::new(cf)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let dns = Dns::new(cf.disable_dns_lookups());
        // Nothing of this happens: the log must not tell of it.
        let log = Log::open("postfix", "smtpd", "mail", "/dev/null");
        let server = SocketAddr::from(([127, 0, 0, 1], 25));
        let peer = Peer::look_up(SocketAddr::new(attempt.client, 0), server, attempt.lookup);
        let login = attempt.login.clone().map(|name| Login { method: String::new(), name });
        let mut check = Check::new(&settings, &dns, &log, &peer, "RCPT");
        check.protocol = "ESMTP";
        check.helo = attempt.helo.as_deref();
        check.login = login.as_ref();
        check.sender = Some(&attempt.sender);
        check.recipient = Some(&attempt.recipient);
        let mut status = Status::Dunno;
        if !settings.delay_reject {
            // Each list at its own moment; a permission that waits stays waiting.
            let lists = &settings.restrictions;
            let early =
                [(&lists.client, Subject::Client), (&lists.helo, Subject::Helo), (&lists.sender, Subject::Sender)];
            for (list, subject) in early {
                if status != Status::Reject && (subject != Subject::Helo || attempt.helo.is_some()) {
                    status = check.stage(list, subject).await;
                }
            }
        }
        if status != Status::Reject {
            status = recipient_lists(&mut check, &settings).await;
        }
        let (outcome, effects) = check.outcome(status);
        Ok(match outcome {
            Outcome::Accepted => Answer::Accepted(effects),
            Outcome::Refused(reply) | Outcome::Disconnect(reply) => Answer::Refused(reply),
        })
    })
}
