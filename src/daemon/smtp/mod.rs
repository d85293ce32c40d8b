//! smtp(8): delivers by SMTP, to a relay host or by MX. One delivery at a time in each process; every recipient has
//! its own answer.

mod conversation;
mod destination;
mod dialogue;
pub mod dns;
mod dsn;
mod encryption;
mod hosts;
mod keys;
mod login;
mod offers;
mod opening;
mod outgoing;
mod policy;
mod policy_entry;
mod settings;
mod stream;
mod xforward;

use super::agent;
use super::skeleton::Context;
use crate::conf::MainCf;
use crate::delivery::filter::Filter;
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Outcome as OneOutcome, Request, Target};
use crate::proto::smtp_reply::Reply;
use crate::status::{Code, Diagnostic, Report, Verdict};
use destination::{Destination, Peer, Unreachable};
use dialogue::Outcome;
use hosts::Resolver;
use opening::Opening;
use policy::{Level, Policy};
pub use settings::Settings;
use std::time::SystemTime;

/// The files that are read before privileges are dropped, and that running processes are replaced for when they change.
pub fn private_files(cf: &MainCf) -> Vec<String> {
    keys::private_files(cf, false)
}

/// The same for lmtp(8).
pub fn private_files_lmtp(cf: &MainCf) -> Vec<String> {
    keys::private_files(cf, true)
}

pub fn run(mut context: Context) -> Result<(), String> {
    let passwords = context.passwords.take();
    let settings = Settings::new(&context, false, passwords)?;
    serve(context, settings)
}

/// lmtp(8): the same agent, another greeting.
pub fn run_lmtp(mut context: Context) -> Result<(), String> {
    let passwords = context.passwords.take();
    let settings = Settings::for_lmtp(&context, passwords)?;
    serve(context, settings)
}

fn serve(context: Context, settings: Settings) -> Result<(), String> {
    let resolver = Resolver::new(&settings)?;
    let filter = if settings.lmtp {
        Filter::new("lmtp_delivery_status_filter", &context.cf.lmtp_delivery_status_filter())
    } else {
        Filter::new("smtp_delivery_status_filter", &context.cf.smtp_delivery_status_filter())
    };
    let finisher = Finisher::from_parts(&context.cf, context.log.clone(), filter);
    let holds = || !settings.sasl.as_ref().is_some_and(|sasl| sasl.passwords.have_changed());
    agent::serve_while(context, holds, |request| Delivery::new(&settings, &resolver, &finisher, request).run())
}

/// One request: the hosts that are tried, and the recipients that still wait.
struct Delivery<'a> {
    settings: &'a Settings,
    resolver: &'a Resolver,
    finisher: &'a Finisher,
    request: &'a Request,
    waiting: Vec<Target>,
    answer: Answer,
    begun: SystemTime,
    /// When a host was last ready for mail.
    connected: Option<SystemTime>,
}

impl<'a> Delivery<'a> {
    fn new(
        settings: &'a Settings,
        resolver: &'a Resolver,
        finisher: &'a Finisher,
        request: &'a Request,
    ) -> Delivery<'a> {
        let begun = SystemTime::now();
        Delivery {
            settings,
            resolver,
            finisher,
            request,
            waiting: request.recipients.clone(),
            answer: Vec::new(),
            begun,
            connected: None,
        }
    }

    /// Why no host need be asked.
    fn refusal(&self) -> Option<Report> {
        match self.finisher.open(self.request) {
            Ok(file) => self.settings.marks.refusal("flag", self.request, &file, &self.settings.log),
            Err(error) => Some(Report::deferred(format!("cannot open queue file: {error}"))),
        }
    }

    fn run(mut self) -> Answer {
        let settings = self.settings;
        if let Some(report) = self.refusal() {
            let relay = Relay { begun: Some(self.begun), ..Relay::named(&self.request.transport) };
            let told = |target| self.finisher.finish(self.request, target, &report, &relay);
            return self.waiting.iter().map(told).collect();
        }
        let own = MainCf::list(&self.request.nexthop);
        let mut places: Vec<&String> = own.iter().chain(&settings.fallback).collect();
        let mut last = Unreachable::temporary(Code::new(4, 3, 0), "server unavailable or unable to receive mail");
        let mut at = 0;
        while let Some(place) = places.get(at).copied() {
            let found = self.peers(place);
            if found.as_ref().is_ok_and(|(_, found_self)| *found_self) {
                places.truncate(own.len());
            }
            let is_last = at + 1 == places.len();
            match found.and_then(|(peers, _)| self.try_peers(place, &peers, is_last)) {
                Ok(()) => return self.answer,
                Err(failure) => last = failure,
            }
            if last.found_self {
                break;
            }
            at += 1;
        }
        if last.report.verdict() == Verdict::Bounced {
            // What may be a mistake in our own configuration is no reason to return mail.
            let mistake = if at.min(places.len().saturating_sub(1)) >= own.len() {
                Some(if settings.lmtp { "lmtp_fallback_relay" } else { "smtp_fallback_relay" })
            } else {
                (!settings.lmtp && !settings.relayhost.is_empty() && self.request.nexthop == settings.relayhost)
                    .then_some("relayhost")
            };
            if let Some(parameter) = mistake {
                settings.log.warning(format!("{parameter} configuration problem"));
                last.report.code = Code::new(4, 3, 5);
            } else if last.is_loop() && !settings.lmtp && !settings.best_mx_transport.is_empty() {
                return self.pass_on();
            }
        }
        let relay = Relay {
            begun: Some(self.begun),
            connected: Some(self.connected.unwrap_or_else(SystemTime::now)),
            down: last.down,
            ..Relay::named(last.relay.clone().unwrap_or_else(|| "none".into()))
        };
        for target in std::mem::take(&mut self.waiting) {
            self.answer.push(self.finisher.finish(self.request, &target, &last.report, &relay));
        }
        self.answer
    }

    /// We are the best mail host of the domain: best_mx_transport delivers.
    fn pass_on(mut self) -> Answer {
        let transport = &self.settings.best_mx_transport;
        for target in std::mem::take(&mut self.waiting) {
            let (id, address) = (&self.request.queue_id, &target.address);
            self.settings.log.info(format!("{id}: passing <{address}> to transport={transport}"));
            match self.settings.passer.pass(transport, self.request, &target) {
                Ok(passed) if !passed.is_empty() => {
                    // The other agent wrote the status lines; the mark is ours to make.
                    if passed.iter().all(|outcome| outcome.report().verdict() == Verdict::Sent)
                        && let Err(error) = self.finisher.mark_done(self.request, &target)
                    {
                        self.settings.log.warning(format!("{id}: cannot mark recipient done: {error}"));
                    }
                    self.answer
                        .extend(passed.into_iter().map(|outcome| OneOutcome { offset: target.offset, ..outcome }));
                }
                _ => {
                    self.settings.log.warning(format!("best_mx_transport {transport} does not answer"));
                    let report = Report::deferred("mail transport unavailable");
                    self.answer.push(self.finisher.finish(self.request, &target, &report, &Relay::none()));
                }
            }
        }
        self.answer
    }

    /// Whom to connect to, and whether we are one of the domain's mail hosts.
    fn peers(&self, place: &str) -> Result<(Vec<Peer>, bool), Unreachable> {
        let settings = self.settings;
        let mut place = place;
        if settings.lmtp {
            if let Some(path) = place.strip_prefix("unix:") {
                return Ok((vec![Peer::Socket { path: path.into(), name: settings.myhostname.clone() }], false));
            }
            place = place.strip_prefix("inet:").unwrap_or(place);
        }
        let destination = Destination::parse(place, settings.port).inspect_err(|wrong| {
            settings.log.warning(&wrong.report.reason);
        })?;
        let destination = Destination { literal: destination.literal || settings.lmtp, ..destination };
        let found = self.resolver.hosts(settings, &destination)?;
        Ok((found.hosts.into_iter().map(Peer::Host).collect(), found.found_self))
    }

    /// Tries the hosts of a next hop in order. Ok: every recipient has its answer. A temporary failure at a host sends
    /// its recipients to the next one; `is_last`: there are no others after these.
    fn try_peers(&mut self, place: &str, peers: &[Peer], is_last: bool) -> Result<(), Unreachable> {
        let settings = self.settings;
        let mut last = Unreachable::temporary(Code::new(4, 3, 0), "server unavailable or unable to receive mail");
        let mut sessions = 0;
        let tried = peers.len().min(settings.address_limit);
        let mut at = 0;
        // The same host once more, without TLS.
        let mut plain = false;
        while let Some(peer) = peers.get(at).filter(|_| at < tried && sessions < settings.session_limit) {
            let no_more = is_last && at + 1 == tried;
            let in_clear = std::mem::take(&mut plain);
            at += 1;
            let (nexthop, domain) = place_names(place, peer);
            let policy = match self.policy(nexthop, peer) {
                Ok(policy) if in_clear => Policy { level: Level::None, ..policy },
                Ok(policy) => policy,
                Err(failure) => {
                    last = failure;
                    continue;
                }
            };
            if settings.wrapper && policy.level < Level::Encrypt {
                let family = if settings.lmtp { "lmtp" } else { "smtp" };
                settings.log.warning(format!(
                    "{family}_tls_wrappermode requires \"{family}_tls_security_level = encrypt\" (or stronger)"
                ));
                continue;
            }
            let opening = Opening { settings, request: self.request, peer, nexthop, domain: &domain, policy: &policy };
            let mut dialogue = match opening.dialogue() {
                Ok(dialogue) => dialogue,
                Err(failure) => {
                    if failure.relay.is_none() {
                        settings.log.info(&failure.report.reason);
                    } else if failure.report.verdict() == Verdict::Bounced {
                        self.refuse(&failure);
                        return Ok(());
                    } else if !no_more || failure.plain {
                        settings.log.info(format!("{}: {}", self.request.queue_id, failure.report.reason));
                    }
                    plain = failure.plain && !in_clear;
                    at -= usize::from(plain);
                    last = failure;
                    continue;
                }
            };
            sessions += 1;
            let no_more = no_more || (is_last && sessions == settings.session_limit);
            let connected = SystemTime::now();
            self.connected = Some(connected);
            let connected = Some(connected);
            let relay = Relay {
                begun: Some(self.begun),
                connected,
                passes_on: settings.marks.passes_on(),
                ..Relay::named(peer.shown())
            };
            let waiting = std::mem::take(&mut self.waiting);
            match dialogue.deliver(self.request, self.finisher, waiting, &relay, no_more) {
                Outcome::Answered(answer) => {
                    self.answer.extend(answer);
                    return Ok(());
                }
                Outcome::TryNext { answer, waiting, failure } => {
                    self.answer.extend(answer);
                    self.waiting = waiting;
                    plain = failure.plain && !in_clear;
                    at -= usize::from(plain);
                    sessions -= usize::from(plain);
                    last = failure;
                }
            }
        }
        Err(last)
    }

    /// How safe the connection to a host must be.
    fn policy(&self, nexthop: &str, peer: &Peer) -> Result<Policy, Unreachable> {
        let settings = self.settings;
        if !settings.rules.may_encrypt() {
            return Ok(Policy::bare(Level::None));
        }
        let name = match peer {
            Peer::Host(host) => &host.name,
            Peer::Socket { name, .. } => name,
        };
        let policy = settings.rules.find(nexthop, name, &settings.log)?;
        if policy.level == Level::May && matches!(peer, Peer::Socket { .. }) {
            settings.log.warning(
                "smtp_connect_local: opportunistic TLS encryption is not appropriate for unix-domain destinations.",
            );
            return Ok(Policy::bare(Level::None));
        }
        Ok(policy)
    }

    /// A host that wants none of it, whoever the recipient.
    fn refuse(&mut self, failure: &Unreachable) {
        let name = failure.relay.clone().unwrap_or_else(|| "none".into());
        let connected = Some(self.connected.unwrap_or_else(SystemTime::now));
        let relay = Relay { begun: Some(self.begun), connected, ..Relay::named(name) };
        for target in std::mem::take(&mut self.waiting) {
            self.answer.push(self.finisher.finish(self.request, &target, &failure.report, &relay));
        }
    }
}

/// A place of the request as tables know it, and the name in it that certificates know.
fn place_names<'a>(place: &'a str, peer: &Peer) -> (&'a str, String) {
    if let Peer::Socket { name, .. } = peer {
        return (place.strip_prefix("unix:").unwrap_or(place), name.clone());
    }
    let place = place.strip_prefix("inet:").unwrap_or(place);
    let domain = Destination::parse(place, 0).map_or_else(|_| place.to_owned(), |parsed| parsed.name);
    (place, domain)
}

/// A report of what a host said, which was not yes. A yes at the wrong place is a mistake of the protocol, and never
/// taken for a yes to the mail. `wanted` of class 4 makes the host's no a temporary one.
fn said(wanted: Code, host: &str, reply: &Reply, command: &str) -> Report {
    let text = reply.text();
    // The last line speaks for all, and its three digits before what comes behind them: "450 5.1.1" is a plain 4.0.0.
    let class = u8::try_from(reply.code / 100).unwrap_or(4);
    let own = reply.lines.last().and_then(|line| Code::split(line)).map(|(code, _)| code);
    let (prefix, code) = match class {
        4 | 5 => ("", own.filter(|code| code.class() == class).unwrap_or(Code::new(class, 0, 0))),
        _ => ("Protocol error: ", Code::new(5, 5, 0)),
    };
    let code = if class == 5 && wanted.class() == 4 { code.temporary() } else { code };
    let name = host.split(['[', ':']).next().unwrap_or(host);
    Report {
        code,
        reason: format!("{prefix}host {host} said: {text} (in reply to {command})"),
        mta: Some(name.to_owned()),
        diagnostic: Some(Diagnostic::Smtp(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_to_the_wrong_question_is_no_yes_to_the_mail() {
        let said = |own: u8, code: u16, line: &str| {
            let reply = Reply { code, lines: vec![line.to_owned()] };
            said(Code::new(own, 0, 0), "mx[192.0.2.1]", &reply, "DATA command").code.to_string()
        };
        assert_eq!(said(4, 250, "2.1.5 Ok"), "5.5.0");
        assert_eq!(said(4, 354, "go on"), "5.5.0");
        assert_eq!(said(4, 450, "5.1.1 no"), "4.0.0");
        assert_eq!(said(4, 450, "4.1.1 no"), "4.1.1");
        assert_eq!(said(4, 550, "5.1.1 no"), "4.1.1", "smtp_skip_5xx_greeting");
        assert_eq!(said(5, 550, "4.1.1 no"), "5.0.0");
        assert_eq!(said(5, 550, "2.1.1 no"), "5.0.0");
        assert_eq!(said(5, 550, "no"), "5.0.0");
    }
}
