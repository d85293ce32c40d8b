//! postscreen_dnsbl_sites: DNS lists that are asked at once, each with the answers that count and their weight
//! ("domain=filter*weight", a negative weight for lists of good clients). A list that does not answer counts nothing.

use crate::daemon::smtpd::access::{matches, reversed};
use crate::dns::{Answer, Dns};
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::host;
use crate::table::{Maps, Options};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::net::IpAddr;
use std::time::Duration;

/// One domain, which may stand in the list more than once.
struct Site {
    domain: String,
    /// The name that clients are told (postscreen_dnsbl_reply_map: domains may hold a password).
    shown: String,
    counts: Vec<(Option<String>, i64)>,
}

pub struct Sites(Vec<Site>);

/// What the lists say of a client, as far as they have answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub total: i64,
    /// The list that counts most, and how much.
    pub site: Option<(String, i64)>,
    /// How long the shortest-lived answer holds, in seconds.
    pub ttl: Option<u64>,
}

/// One list's answer.
type Reply = (usize, Vec<IpAddr>, Option<u64>);

impl Sites {
    pub fn new(list: &str, names: &str) -> Result<Sites, String> {
        let names = Maps::open("postscreen_dnsbl_reply_map", names, &Options::default());
        let mut sites: Vec<Site> = Vec::new();
        for item in crate::conf::MainCf::list(list) {
            let (rest, weight) = match item.split_once('*') {
                Some((rest, weight)) => match weight.parse::<i32>() {
                    Ok(weight) => (rest, i64::from(weight)),
                    Err(_) => return Err(format!("bad DNSBL weight factor \"{weight}\" in \"{item}\"")),
                },
                None => (item.as_str(), 1),
            };
            let (domain, filter) = rest.split_once('=').map_or((rest, None), |(domain, filter)| (domain, Some(filter)));
            if !host::is_name(domain) {
                return Err(format!("bad DNSBL domain name \"{domain}\" in \"{item}\""));
            }
            let count = (filter.map(str::to_owned), weight);
            if let Some(known) = sites.iter_mut().find(|site| site.domain == domain) {
                known.counts.push(count);
                continue;
            }
            let shown = names.find_text(domain).map_err(|error| error.to_string())?;
            let shown = shown.unwrap_or_else(|| domain.to_owned());
            sites.push(Site { domain: domain.to_owned(), shown, counts: vec![count] });
        }
        Ok(Sites(sites))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks all lists about a client.
    pub fn ask<'a>(&'a self, client: IpAddr, dns: &'a Dns, patience: Duration, log: &'a Log) -> Survey<'a> {
        let questions = (0..self.0.len()).map(|at| {
            let question: Question<'a> = Box::pin(self.one(at, client, dns, patience, log));
            question
        });
        Survey { sites: self, waiting: questions.collect(), score: Score::default() }
    }

    async fn one(&self, at: usize, client: IpAddr, dns: &Dns, patience: Duration, log: &Log) -> Reply {
        let domain = &self.0[at].domain;
        let query = format!("{}.{domain}", reversed(client));
        let Ok((answer, ttl)) = tokio::time::timeout(patience, dns.listed(&query)).await else {
            log.warning(format!("dnsblog reply timeout {}s for {domain}", patience.as_secs()));
            return (at, Vec::new(), None);
        };
        let found = match answer {
            Answer::Found(found) => found,
            answer @ Answer::Failed => {
                let why = format!(
                    "dnsblog_query: lookup error for DNS query {query}: Host or domain name not found. Name service error \
                     for name={query} type=A: {}",
                    answer.reason()
                );
                log.event_as("dnsblog", &Event::Warning(text(&why)));
                Vec::new()
            }
            _ => Vec::new(),
        };
        for address in &found {
            let said = format!("addr {client} listed by domain {domain} as {address}");
            log.event_as("dnsblog", &Event::Other(text(&said)));
        }
        (at, found, ttl.map(u64::from))
    }
}

type Question<'a> = std::pin::Pin<Box<dyn Future<Output = Reply> + 'a>>;

/// Lists that are being asked; whoever drops it does not want to know any more.
pub struct Survey<'a> {
    sites: &'a Sites,
    waiting: FuturesUnordered<Question<'a>>,
    pub score: Score,
}

impl Survey<'_> {
    /// Waits until all lists have answered. It may be broken off, and asked again.
    pub async fn finish(&mut self) {
        while let Some((at, found, ttl)) = self.waiting.next().await {
            self.score.add(&self.sites.0[at], &found, ttl);
        }
    }
}

impl Score {
    fn add(&mut self, site: &Site, found: &[IpAddr], ttl: Option<u64>) {
        self.ttl = [self.ttl, ttl].into_iter().flatten().min();
        if found.is_empty() {
            return;
        }
        for (filter, weight) in &site.counts {
            if filter.as_ref().is_some_and(|filter| !found.iter().any(|answer| matches(filter, *answer))) {
                continue;
            }
            if self.site.as_ref().is_none_or(|(_, most)| most < weight) {
                self.site = Some((site.shown.clone(), *weight));
            }
            self.total += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up() {
        let sites = Sites::new("a.example*2, b.example=127.0.0.[2..4]*3, b.example=127.0.0.9*-5", "").unwrap();
        let mut score = Score::default();
        score.add(&sites.0[0], &[[127, 0, 0, 2].into()], Some(300));
        score.add(&sites.0[1], &[[127, 0, 0, 3].into()], Some(60));
        assert_eq!(score, Score { total: 5, site: Some(("b.example".into(), 3)), ttl: Some(60) });
        score.add(&sites.0[1], &[[127, 0, 0, 9].into()], None);
        assert_eq!((score.total, score.ttl), (0, Some(60)));
    }

    #[test]
    fn a_wrong_list_is_named() {
        let fault = |list: &str| Sites::new(list, "").err().unwrap();
        assert_eq!(fault("a.example*x"), "bad DNSBL weight factor \"x\" in \"a.example*x\"");
        assert_eq!(fault("a..b*2"), "bad DNSBL domain name \"a..b\" in \"a..b*2\"");
    }
}
