//! The client and what it calls itself after HELO.

use super::check::{Check, Status};
use super::restriction::Plain;
use crate::dns::Answer;
use crate::message::host;
use std::net::IpAddr;

impl Check<'_> {
    pub fn unknown_client(&mut self, reverse: bool) -> Status {
        let peer = self.peer;
        let (missing, failed, dsn, what) = if reverse {
            (peer.reverse == "unknown", peer.reverse_failed, "4.7.1", "reverse hostname")
        } else {
            (peer.name == "unknown", peer.name_failed, "4.7.25", "hostname")
        };
        if !missing {
            return Status::Dunno;
        }
        let code = if failed { 450 } else { self.settings.codes.unknown_client };
        let address = peer.address_name();
        self.reject(code, dsn, &format!("Client host rejected: cannot find your {what}, [{address}]"))
    }

    pub fn naked_address(&mut self) -> Status {
        self.log.warning(
            "restriction permit_naked_ip_address is deprecated. Use permit_mynetworks or permit_sasl_authenticated instead",
        );
        self.permit_if(self.helo.is_some_and(|helo| helo.parse::<IpAddr>().is_ok()))
    }

    pub async fn helo_name(&mut self, plain: Plain) -> Status {
        let Some(name) = self.helo else { return Status::Dunno };
        let codes = &self.settings.codes;
        let (invalid, non_fqdn) = (codes.invalid_hostname, codes.non_fqdn);
        if name.starts_with('[') {
            let valid = host::literal(name).is_some();
            return if valid {
                Status::Dunno
            } else {
                self.reject(invalid, "5.5.2", &format!("<{name}>: Helo command rejected: invalid ip address"))
            };
        }
        let valid = host::is_name(name);
        match plain {
            Plain::InvalidHelo if !valid && name.parse::<IpAddr>().is_err() => {
                self.reject(invalid, "5.5.2", &format!("<{name}>: Helo command rejected: Invalid name"))
            }
            Plain::NonFqdnHelo if !valid || !name.trim_end_matches('.').contains('.') => self.reject(
                non_fqdn,
                "5.5.2",
                &format!("<{name}>: Helo command rejected: need fully-qualified hostname"),
            ),
            Plain::UnknownHelo => self.unknown_helo(name).await,
            _ => Status::Dunno,
        }
    }

    async fn unknown_helo(&mut self, name: &str) -> Status {
        let text = format!("<{name}>: Helo command rejected: Host not found");
        let addresses = self.dns.addresses(name).await;
        if matches!(addresses, Answer::Found(_)) {
            return Status::Dunno;
        }
        let exchangers = self.dns.mx(name).await;
        if matches!(exchangers, Answer::Found(_)) {
            return Status::Dunno;
        }
        if addresses.is_failure() || exchangers.is_failure() {
            let action = self.settings.unknown_helo_trouble.clone();
            return self.passing_trouble(&action, 450, "4.7.1", &text);
        }
        self.reject(self.settings.codes.unknown_hostname, "4.7.1", &text)
    }
}
