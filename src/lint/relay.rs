//! Whether a stranger may send mail to a stranger through this machine: tried, not guessed, with smtpd's own code.

use super::finding::Findings;
use super::ground::Ground;
use crate::daemon::smtpd::dry::{Answer, Attempt, attempt};
use std::net::IpAddr;

/// Addresses and names that nobody has (RFC 5737, RFC 2606).
const STRANGER: [u8; 4] = [203, 0, 113, 77];
const SENDER: &str = "stranger@sender.example";
const RECIPIENT: &str = "victim@elsewhere.example";

pub fn check(ground: &Ground, found: &mut Findings) {
    if !ground.services.iter().any(|service| service.command == "smtpd") {
        return;
    }
    let stranger = Attempt {
        client: IpAddr::from(STRANGER),
        lookup: false,
        helo: Some("sender.example".into()),
        login: None,
        sender: SENDER.into(),
        recipient: RECIPIENT.into(),
    };
    match attempt(&ground.cf, &stranger) {
        Ok(Answer::Accepted(_)) => {
            let lists = ["smtpd_relay_restrictions", "smtpd_recipient_restrictions", "relay_domains", "mynetworks"];
            let span = lists.iter().find_map(|list| ground.value_span(list));
            found.error(
                span,
                format!("open relay: {SENDER} may send to {RECIPIENT} from {}", IpAddr::from(STRANGER)),
                "Spammers find an open relay within hours, and the machine's address is on every block list the day after.",
                "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
            );
        }
        Ok(Answer::Refused(_)) => {}
        Err(text) => found.error(
            ground.value_span("smtpd_relay_restrictions").or_else(|| ground.value_span("smtpd_recipient_restrictions")),
            format!("smtpd will not start: {text}"),
            "Clients are told 421, and mail stays where it is.",
            "end smtpd_relay_restrictions with reject_unauth_destination",
        ),
    }
}
