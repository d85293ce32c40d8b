//! DNS lists (reject_rbl_client and its kin): "domain" or "domain=filter", where the filter says which answers count.

use super::check::{Check, Status, Stop};
use super::restriction::Subject;
use crate::conf::expand::expand;
use crate::dns::Answer;
use crate::message::envelope;
use std::net::IpAddr;

impl Check<'_> {
    pub async fn dns_list(
        &mut self,
        subject: Subject,
        by_address: bool,
        permit: bool,
        list: &str,
    ) -> Result<Status, Stop> {
        let (domain, filter) = list.split_once('=').map_or((list, None), |(domain, filter)| (domain, Some(filter)));
        let (name, class) = self.about(subject);
        let what = match subject {
            _ if by_address => self.peer.address_name(),
            Subject::Client => self.peer.known_name().unwrap_or_default().to_owned(),
            Subject::ReverseClient => {
                Some(self.peer.reverse.as_str()).filter(|n| *n != "unknown").unwrap_or_default().to_owned()
            }
            Subject::Sender | Subject::Recipient => envelope::domain(&name).to_owned(),
            _ => name.clone(),
        };
        if what.is_empty() || (!by_address && (what.starts_with('[') || what.parse::<IpAddr>().is_ok())) {
            return Ok(Status::Dunno);
        }
        let first = self.peer.address.filter(|_| by_address).map_or_else(|| what.clone(), reversed);
        let query = format!("{first}.{domain}");
        let answers = match self.dns.a(&query).await {
            Answer::Found(answers) => answers,
            answer @ Answer::Failed => {
                let reason = answer.reason();
                self.log.warning(format!(
                    "{query}: RBL lookup error: Host or domain name not found. Name service error for name={query} \
                     type=A: {reason}"
                ));
                if permit {
                    let text = format!("<{what}>: {class} rejected: Service unavailable");
                    return Ok(self.defer_if_reject(450, "4.7.1", &text));
                }
                return Ok(Status::Dunno);
            }
            _ => return Ok(Status::Dunno),
        };
        if filter.is_some_and(|filter| !answers.iter().any(|answer| matches(filter, *answer))) {
            return Ok(Status::Dunno);
        }
        if permit {
            return Ok(Status::Permit);
        }
        let reason = self.dns.txt(&query).await.found().unwrap_or_default().join(" ");
        let shown = list.split('=').next().unwrap_or_default().to_owned();
        let shown_what = match subject {
            Subject::Sender | Subject::Recipient => &name,
            _ => &what,
        };
        self.listed(&shown, shown_what, class, &reason)
    }

    fn listed(&mut self, domain: &str, what: &str, class: &str, reason: &str) -> Result<Status, Stop> {
        let settings = self.settings;
        let template = settings.rbl_replies.find_text(domain);
        let template = self.asked(template, domain)?.unwrap_or_else(|| settings.rbl_reply.clone());
        let lookup = |name: &str| -> Option<String> {
            Some(match name {
                "rbl_code" => settings.codes.rbl.to_string(),
                "rbl_domain" => domain.to_owned(),
                "rbl_reason" => reason.to_owned(),
                "rbl_what" => what.to_owned(),
                "rbl_class" => class.to_owned(),
                _ => self.attribute(name)?,
            })
        };
        let text = expand(&template, &|name| lookup(name).map(|value| value.replace('$', "$$"))).unwrap_or_default();
        let code = text.get(..4).and_then(|head| head.strip_suffix(' ')).and_then(|head| head.parse::<i64>().ok());
        let (code, words) = match code.filter(|code| (400..600).contains(code)) {
            Some(code) => (code, text[4..].to_owned()),
            None => {
                self.log.warning(format!("rbl response code configuration error: {text}"));
                (450, "Service unavailable".to_owned())
            }
        };
        let (dsn, words) = self.split_dsn(if code < 500 { "4.7.1" } else { "5.7.1" }, &words, class);
        let words = words.to_owned();
        Ok(self.reject(code, &dsn, &words))
    }

    /// The names that reply templates may use.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let peer = self.peer;
        Some(match name {
            "client" => peer.shown(),
            "client_address" => peer.address_name(),
            "client_name" => peer.name.clone(),
            "client_port" => peer.port.to_string(),
            "reverse_client_name" => peer.reverse.clone(),
            "server_name" => self.settings.myhostname.clone(),
            "helo_name" => self.helo?.to_owned(),
            "sender" => self.sender.map(|sender| if sender.is_empty() { "<>" } else { sender })?.to_owned(),
            "sender_name" => envelope::split(self.sender?).0.to_owned(),
            "sender_domain" => envelope::domain(self.sender?).to_owned(),
            "recipient" => self.recipient?.to_owned(),
            "recipient_name" => envelope::split(self.recipient?).0.to_owned(),
            "recipient_domain" => envelope::domain(self.recipient?).to_owned(),
            _ => return None,
        })
    }
}

/// 192.0.2.1 gives "1.2.0.192"; IPv6 its nibbles.
pub fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect::<Vec<_>>().join("."),
        IpAddr::V6(v6) => v6
            .octets()
            .iter()
            .rev()
            .flat_map(|byte| [byte & 15, byte >> 4])
            .map(|nibble| format!("{nibble:x}"))
            .collect::<Vec<_>>()
            .join("."),
    }
}

/// "127.0.0.2", "127.0.0.[2..4;8]": the answers that count.
pub fn matches(filter: &str, answer: IpAddr) -> bool {
    let IpAddr::V4(answer) = answer else { return false };
    let mut parts = Vec::new();
    let (mut part, mut inside) = (String::new(), false);
    for c in filter.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '.' if !inside => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts.len() == 4
        && parts.iter().zip(answer.octets()).all(|(part, octet)| {
            part.split(';').any(|range| match range.split_once("..") {
                Some((low, high)) => {
                    low.parse::<u8>().is_ok_and(|low| low <= octet)
                        && high.parse::<u8>().is_ok_and(|high| octet <= high)
                }
                None => range.parse() == Ok(octet),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_answers() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (filter, answer, want) in [
            ("127.0.0.2", "127.0.0.2", true),
            ("127.0.0.2", "127.0.0.3", false),
            ("127.0.0.[2..4]", "127.0.0.3", true),
            ("127.0.0.[2;8..9]", "127.0.0.8", true),
            ("127.0.[0..1].[1;3]", "127.0.1.3", true),
            ("127.0.0", "127.0.0.1", false),
        ] {
            assert_eq!(matches(filter, address(answer)), want, "{filter} {answer}");
        }
        assert_eq!(reversed(address("192.0.2.1")), "1.2.0.192");
        assert!(reversed(address("2001:db8::1")).starts_with("1.0.0.0."));
    }
}
