//! Questions to the DNS, one at a time. "There is none" and "nobody answered" are different answers: only the first may
//! return mail.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, Ipv4Addr};

/// What the DNS said.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    Found(Vec<T>),
    /// The name is there and has no such record.
    NoData,
    NoName,
    /// SERVFAIL, no server, no answer.
    Failed,
    /// No name that could be asked for.
    Invalid,
}

pub struct Dns {
    runtime: tokio::runtime::Runtime,
    resolver: Option<TokioResolver>,
}

impl Dns {
    pub fn new() -> Result<Dns, String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let inside = runtime.enter();
        // Without a resolv.conf the C library asks this machine, and so do we.
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            let here = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![here]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        // /etc/hosts is smtp_host_lookup = native.
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().ok();
        drop(inside);
        Ok(Dns { runtime, resolver })
    }

    /// Preferences and names; the name of a null MX is "".
    pub fn mx(&self, name: &str) -> Answer<(u16, String)> {
        self.ask(name, RecordType::MX, |data| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8().trim_end_matches('.').to_owned())),
            _ => None,
        })
    }

    pub fn addresses(&self, name: &str, v6: bool) -> Answer<IpAddr> {
        self.ask(name, if v6 { RecordType::AAAA } else { RecordType::A }, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
    }

    fn ask<T>(&self, name: &str, kind: RecordType, pick: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        let Some(resolver) = &self.resolver else { return Answer::Failed };
        let query = format!("{}.", name.trim_end_matches('.'));
        // The strict reading of names, for those beyond ASCII, knows no "under_score".
        let query = if query.is_ascii() { Name::from_ascii(&query) } else { Name::from_utf8(&query) };
        let Some(query) = query.ok().filter(|_| !name.contains(':')) else { return Answer::Invalid };
        match self.runtime.block_on(resolver.lookup(query, kind)) {
            Ok(lookup) => {
                let found: Vec<T> = lookup.answers().iter().filter_map(|record: &Record| pick(&record.data)).collect();
                if found.is_empty() { Answer::NoData } else { Answer::Found(found) }
            }
            Err(error) if error.is_nx_domain() => Answer::NoName,
            Err(error) if error.is_no_records_found() => Answer::NoData,
            Err(_) => Answer::Failed,
        }
    }
}
