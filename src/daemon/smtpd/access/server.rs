//! check_*_mx_access and their kin: tables about the servers of a domain. Whoever owns a domain chooses its servers, so
//! that these may refuse, and never permit.

use super::check::{Check, Status, Step};
use super::restriction::{Servers, Subject};
use crate::dns::Answer;
use crate::message::envelope;
use crate::table::Maps;
use crate::table::maps::Tables;
use std::net::IpAddr;

impl Check<'_> {
    pub async fn server_access(&mut self, subject: Subject, servers: Servers, word: &str, maps: &Maps) -> Step {
        let (name, class) = self.about(subject);
        let domain = match subject {
            Subject::Client => self.peer.known_name().unwrap_or_default().to_owned(),
            Subject::ReverseClient if self.peer.reverse == "unknown" => String::new(),
            Subject::Sender | Subject::Recipient => {
                let resolution = self.resolve(&name).await?;
                envelope::domain(&resolution.recipient).to_owned()
            }
            _ => name.clone(),
        };
        if domain.is_empty() || name.is_empty() {
            return Ok(Status::Dunno);
        }
        let found = self.servers_of(maps, &domain, servers, &name, class).await?;
        self.no_permission(word, &found, &name)?;
        found.unwrap_or(Ok(Status::Dunno))
    }

    async fn servers_of(
        &mut self,
        maps: &Maps,
        domain: &str,
        servers: Servers,
        name: &str,
        class: &str,
    ) -> Result<Option<Step>, super::check::Stop> {
        if let Some(address) = crate::message::host::literal(domain) {
            return self.address_access(maps, &address.to_string(), name, class).await;
        }
        let kind = match servers {
            Servers::Mx => "MX",
            Servers::Ns => "NS",
            Servers::A => "A",
        };
        let answer = match servers {
            Servers::Mx => match self.dns.mx(domain).await {
                Answer::Found(found) if found.iter().all(|(_, host)| host.is_empty()) => return Ok(None),
                Answer::Found(found) => Answer::Found(found.into_iter().map(|(_, host)| host).collect()),
                // RFC 5321: a domain without exchangers is its own.
                Answer::NoData | Answer::NoName => Answer::Found(vec![domain.to_owned()]),
                Answer::Failed => Answer::Failed,
                Answer::Invalid => Answer::Invalid,
            },
            Servers::Ns => self.name_servers(domain).await,
            Servers::A => Answer::Found(vec![domain.to_owned()]),
        };
        let Answer::Found(hosts) = answer else {
            // Without name servers up to the top, what was named is shown.
            let about = if answer.is_failure() { domain } else { name };
            self.log.warning(format!("Unable to look up {kind} host for {about}: {}", answer.reason()));
            return Ok(None);
        };
        for host in hosts {
            if host.parse::<IpAddr>().is_ok() {
                if let Some(found) = self.address_access(maps, &host, name, class).await? {
                    return Ok(Some(found));
                }
                continue;
            }
            if servers != Servers::A
                && let Some(found) = self.domain_access(maps, &host, Tables::All, name, class).await?
            {
                return Ok(Some(found));
            }
            let addresses = match self.dns.addresses(&host).await {
                Answer::Found(addresses) => addresses,
                // The name itself need not have an address; its servers must.
                _ if servers == Servers::A => continue,
                answer => {
                    let reason = match answer {
                        Answer::NoName => "Name or service not known",
                        Answer::Failed => "Temporary failure in name resolution",
                        _ => "No address associated with hostname",
                    };
                    self.log.warning(format!("Unable to look up {kind} host {host} for {class} {name}: {reason}"));
                    continue;
                }
            };
            for address in addresses {
                if let Some(found) = self.address_access(maps, &address.to_string(), name, class).await? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The name servers of a domain, or of the parent that has some.
    async fn name_servers(&self, domain: &str) -> Answer<String> {
        let mut part = domain;
        loop {
            let answer = self.dns.ns(part).await;
            if !matches!(answer, Answer::NoData | Answer::NoName) {
                return answer;
            }
            match part.split_once('.') {
                Some((_, parent)) if !parent.is_empty() => part = parent,
                _ => return answer,
            }
        }
    }
}
