//! The DNS, asked one question at a time, with the three answers that mail must tell apart: found, there is none, and
//! nobody answered (which never returns or refuses mail for good).

/// Sockets that hear of a name server that is not there.
mod connected;

use connected::Connected;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, system_conf};
use std::net::{IpAddr, Ipv4Addr};

/// What the DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    Found(Vec<T>),
    /// The name exists and has no such record.
    NoData,
    NoName,
    /// SERVFAIL, no server, no answer.
    Failed,
    /// No name that could be asked for.
    Invalid,
}

impl<T> Answer<T> {
    pub fn found(self) -> Option<Vec<T>> {
        match self {
            Answer::Found(all) => Some(all),
            _ => None,
        }
    }

    pub fn is_failure(&self) -> bool {
        matches!(self, Answer::Failed)
    }

    /// As the reference words it.
    pub fn reason(&self) -> &str {
        match self {
            Answer::Found(_) => "",
            Answer::NoData => "Host found but no data record of requested type",
            Answer::NoName | Answer::Invalid => "Host not found",
            Answer::Failed => "Host not found, try again",
        }
    }
}

/// The resolver of one process, by /etc/resolv.conf.
#[derive(Clone)]
pub struct Dns {
    resolver: Option<Resolver<Connected>>,
}

impl Dns {
    /// Call it inside of the tokio runtime that will ask. `disabled` is disable_dns_lookups.
    pub fn new(disabled: bool) -> Dns {
        if disabled {
            return Dns { resolver: None };
        }
        // Without a resolv.conf the C library asks this machine, and so do we.
        let (config, options) = system_conf::read_system_conf().unwrap_or_else(|_| {
            let here = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            (ResolverConfig::from_parts(None, Vec::new(), vec![here]), ResolverOpts::default())
        });
        Dns::with(config, options)
    }

    fn with(config: ResolverConfig, options: ResolverOpts) -> Dns {
        let mut builder = Resolver::builder_with_config(config, Connected::default()).with_options(options);
        // /etc/hosts is no part of the DNS.
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        Dns { resolver: builder.build().ok() }
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, pick: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        let Some(resolver) = &self.resolver else { return Answer::Failed };
        let query = format!("{}.", name.trim_end_matches('.'));
        // The strict reading of names, for those beyond ASCII, knows no "under_score".
        let query = if query.is_ascii() { Name::from_ascii(&query) } else { Name::from_utf8(&query) };
        let Some(query) = query.ok().filter(|_| !name.contains(':')) else { return Answer::Invalid };
        match resolver.lookup(query, kind).await {
            Ok(lookup) => {
                let found: Vec<T> = lookup.answers().iter().filter_map(|record| pick(&record.data)).collect();
                if found.is_empty() { Answer::NoData } else { Answer::Found(found) }
            }
            Err(error) if error.is_nx_domain() => Answer::NoName,
            Err(error) if error.is_no_records_found() => Answer::NoData,
            Err(_) => Answer::Failed,
        }
    }

    /// Mail exchangers: preference and name; "" is the null MX of RFC 7505.
    pub async fn mx(&self, name: &str) -> Answer<(u16, String)> {
        self.ask(name, RecordType::MX, |data| match data {
            RData::MX(mx) => Some((mx.preference, host(&mx.exchange))),
            _ => None,
        })
        .await
    }

    pub async fn ns(&self, name: &str) -> Answer<String> {
        self.ask(name, RecordType::NS, |data| match data {
            RData::NS(ns) => Some(host(&ns.0)),
            _ => None,
        })
        .await
    }

    pub async fn txt(&self, name: &str) -> Answer<String> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => {
                let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => None,
        })
        .await
    }

    pub async fn a(&self, name: &str) -> Answer<IpAddr> {
        self.ask(name, RecordType::A, |data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            _ => None,
        })
        .await
    }

    /// A records of a DNS list, and for how many seconds the answer holds, be it found or not.
    pub async fn listed(&self, name: &str) -> (Answer<IpAddr>, Option<u32>) {
        let Some(resolver) = &self.resolver else { return (Answer::Failed, None) };
        let Ok(query) = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))) else {
            return (Answer::Invalid, None);
        };
        match resolver.lookup(query, RecordType::A).await {
            Ok(lookup) => {
                let records = lookup.answers().iter();
                let found = records.filter_map(|record| match &record.data {
                    RData::A(a) => Some((IpAddr::V4(a.0), record.ttl)),
                    _ => None,
                });
                let (found, ttls): (Vec<IpAddr>, Vec<u32>) = found.unzip();
                (if found.is_empty() { Answer::NoData } else { Answer::Found(found) }, ttls.into_iter().min())
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => (Answer::NoName, none.negative_ttl),
            Err(_) => (Answer::Failed, None),
        }
    }

    pub async fn aaaa(&self, name: &str) -> Answer<IpAddr> {
        self.ask(name, RecordType::AAAA, |data| match data {
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        })
        .await
    }

    /// Addresses of both kinds. One kind that nobody answers for does not hide the other.
    pub async fn addresses(&self, name: &str) -> Answer<IpAddr> {
        match (self.a(name).await, self.aaaa(name).await) {
            (Answer::Found(mut all), Answer::Found(more)) => {
                all.extend(more);
                Answer::Found(all)
            }
            (Answer::Found(all), _) | (_, Answer::Found(all)) => Answer::Found(all),
            (Answer::Failed, _) | (_, Answer::Failed) => Answer::Failed,
            (Answer::NoName, _) => Answer::NoName,
            (Answer::Invalid, _) => Answer::Invalid,
            _ => Answer::NoData,
        }
    }
}

fn host(name: &Name) -> String {
    name.to_utf8().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing listens at a port that was free a moment ago: three time-outs of five seconds, if nobody hears of it.
    #[tokio::test]
    async fn a_name_server_that_is_not_there_is_noticed() {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut here = NameServerConfig::udp_and_tcp(free.ip());
        here.connections.iter_mut().for_each(|connection| connection.port = free.port());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![here]);
        let dns = Dns::with(config, ResolverOpts::default());
        let name = Name::from_ascii("example.com.").unwrap();
        let error = dns.resolver.unwrap().lookup(name, RecordType::MX).await.unwrap_err();
        assert!(!matches!(error, NetError::Timeout), "{error}");
    }
}
