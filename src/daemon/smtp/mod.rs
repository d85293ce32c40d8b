//! smtp(8): delivers by SMTP, to a relay host or by MX. One delivery at a time in each process; every recipient has
//! its own answer.

mod destination;
mod dialogue;
pub mod dns;
mod dsn;
mod hosts;
mod outgoing;
mod stream;
mod xforward;

use super::agent;
use super::skeleton::Context;
use crate::conf::MainCf;
use crate::delivery::pass::Passer;
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Outcome as OneOutcome, Request, Target};
use crate::log::Log;
use crate::status::{Code, Report, Verdict};
use destination::{Destination, Peer, Unreachable};
use dialogue::{Dialogue, Outcome};
use hosts::Resolver;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What smtp(8) reads from the configuration.
pub struct Settings {
    log: Arc<Log>,
    helo_name: String,
    myhostname: String,
    own_addresses: Vec<std::net::IpAddr>,
    connect_timeout: Duration,
    greeting_timeout: Duration,
    command_timeout: Duration,
    data_timeout: Duration,
    done_timeout: Duration,
    line_limit: usize,
    address_limit: usize,
    session_limit: usize,
    host_lookup: String,
    disable_dns: bool,
    protocols: String,
    ignore_mx_error: bool,
    defer_if_no_mx_address: bool,
    randomize: bool,
    address_preference: String,
    balance: bool,
    best_mx_transport: String,
    passer: Passer,
    relayhost: String,
    skip_5xx_greeting: bool,
    fallback: Vec<String>,
    bind_address: String,
    outgoing: outgoing::Outgoing,
    send_xforward: bool,
    always_ehlo: bool,
    port: u16,
    /// LHLO, sockets as next hops, no MX, a reply for each recipient after the data.
    lmtp: bool,
}

impl Settings {
    fn new(context: &Context) -> Settings {
        let cf: &MainCf = &context.cf;
        let helo = cf.smtp_helo_name();
        Settings {
            log: context.log.clone(),
            helo_name: if helo.is_empty() { cf.myhostname() } else { helo },
            myhostname: cf.myhostname(),
            own_addresses: crate::route::resolve::own_addresses(cf),
            connect_timeout: cf.smtp_connect_timeout(),
            greeting_timeout: cf.smtp_helo_timeout(),
            command_timeout: cf.smtp_rcpt_timeout().max(cf.smtp_mail_timeout()),
            data_timeout: cf.smtp_data_xfer_timeout().max(cf.smtp_data_init_timeout()),
            done_timeout: cf.smtp_data_done_timeout(),
            line_limit: usize::try_from(cf.smtp_line_length_limit()).unwrap_or(998),
            address_limit: limit(cf.smtp_mx_address_limit()),
            session_limit: limit(cf.smtp_mx_session_limit()),
            host_lookup: cf.smtp_host_lookup(),
            disable_dns: cf.disable_dns_lookups() || cf.smtp_dns_support_level() == "disabled",
            protocols: cf.inet_protocols(),
            ignore_mx_error: cf.ignore_mx_lookup_error(),
            defer_if_no_mx_address: cf.smtp_defer_if_no_mx_address_found(),
            randomize: cf.smtp_randomize_addresses(),
            address_preference: cf.smtp_address_preference(),
            balance: cf.smtp_balance_inet_protocols(),
            best_mx_transport: cf.best_mx_transport(),
            passer: Passer::new(cf),
            relayhost: cf.relayhost(),
            skip_5xx_greeting: cf.smtp_skip_5xx_greeting(),
            fallback: MainCf::list(&cf.smtp_fallback_relay()),
            bind_address: cf.smtp_bind_address(),
            outgoing: outgoing::Outgoing::smtp(cf),
            send_xforward: cf.smtp_send_xforward_command(),
            always_ehlo: cf.smtp_always_send_ehlo(),
            port: 25,
            lmtp: false,
        }
    }

    /// The same by the parameters of lmtp(8).
    fn for_lmtp(context: &Context) -> Settings {
        let cf: &MainCf = &context.cf;
        Settings {
            helo_name: cf.lmtp_lhlo_name(),
            connect_timeout: cf.lmtp_connect_timeout(),
            greeting_timeout: cf.lmtp_lhlo_timeout(),
            command_timeout: cf.lmtp_rcpt_timeout().max(cf.lmtp_mail_timeout()),
            data_timeout: cf.lmtp_data_xfer_timeout().max(cf.lmtp_data_init_timeout()),
            done_timeout: cf.lmtp_data_done_timeout(),
            line_limit: usize::try_from(cf.lmtp_line_length_limit()).unwrap_or(998),
            address_limit: limit(cf.lmtp_mx_address_limit()),
            session_limit: limit(cf.lmtp_mx_session_limit()),
            host_lookup: cf.lmtp_host_lookup(),
            skip_5xx_greeting: cf.lmtp_skip_5xx_greeting(),
            defer_if_no_mx_address: cf.lmtp_defer_if_no_mx_address_found(),
            randomize: cf.lmtp_randomize_addresses(),
            address_preference: cf.lmtp_address_preference(),
            balance: cf.lmtp_balance_inet_protocols(),
            fallback: MainCf::list(&cf.lmtp_fallback_relay()),
            bind_address: cf.lmtp_bind_address(),
            outgoing: outgoing::Outgoing::lmtp(cf),
            send_xforward: cf.lmtp_send_xforward_command(),
            port: cf.lmtp_tcp_port().parse().unwrap_or(24),
            lmtp: true,
            ..Settings::new(context)
        }
    }
}

/// 0 is no limit.
fn limit(number: i64) -> usize {
    usize::try_from(number).ok().filter(|&number| number > 0).unwrap_or(usize::MAX)
}

pub fn run(context: Context) -> Result<(), String> {
    let settings = Settings::new(&context);
    serve(context, settings)
}

/// lmtp(8): the same agent, another greeting.
pub fn run_lmtp(context: Context) -> Result<(), String> {
    let settings = Settings::for_lmtp(&context);
    serve(context, settings)
}

fn serve(context: Context, settings: Settings) -> Result<(), String> {
    let resolver = Resolver::new(&settings)?;
    let finisher = Finisher::from_parts(&context.cf, context.log.clone());
    agent::serve(context, |request| Delivery::new(&settings, &resolver, &finisher, request).run())
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
        }
    }

    fn run(mut self) -> Answer {
        let settings = self.settings;
        let own = MainCf::list(&self.request.nexthop);
        let mut places: Vec<&String> = own.iter().chain(&settings.fallback).collect();
        let mut last = Unreachable::temporary(Code::new(4, 3, 0), "server unavailable or unable to receive mail");
        let mut at = 0;
        while let Some(place) = places.get(at) {
            let found = self.peers(place);
            if found.as_ref().is_ok_and(|(_, found_self)| *found_self) {
                places.truncate(own.len());
            }
            let is_last = at + 1 == places.len();
            match found.and_then(|(peers, _)| self.try_peers(&peers, is_last)) {
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
    fn try_peers(&mut self, peers: &[Peer], is_last: bool) -> Result<(), Unreachable> {
        let settings = self.settings;
        let mut last = Unreachable::temporary(Code::new(4, 3, 0), "server unavailable or unable to receive mail");
        let mut sessions = 0;
        let tried = peers.len().min(settings.address_limit);
        for (at, peer) in peers.iter().take(tried).enumerate() {
            if sessions == settings.session_limit {
                break;
            }
            let no_more = is_last && at + 1 == tried;
            let mut dialogue = match Dialogue::connect(settings, peer) {
                Ok(dialogue) => dialogue,
                Err(failure) => {
                    if failure.relay.is_none() {
                        settings.log.info(&failure.report.reason);
                    } else if failure.report.verdict() == Verdict::Bounced {
                        self.refuse(&failure);
                        return Ok(());
                    } else if !no_more {
                        settings.log.info(format!("{}: {}", self.request.queue_id, failure.report.reason));
                    }
                    last = failure;
                    continue;
                }
            };
            sessions += 1;
            let no_more = no_more || (is_last && sessions == settings.session_limit);
            let connected = SystemTime::now();
            let relay = Relay { begun: Some(self.begun), connected: Some(connected), ..Relay::named(peer.shown()) };
            let waiting = std::mem::take(&mut self.waiting);
            match dialogue.deliver(self.request, self.finisher, waiting, &relay, no_more) {
                Outcome::Answered(answer) => {
                    self.answer.extend(answer);
                    return Ok(());
                }
                Outcome::TryNext { answer, waiting, failure } => {
                    self.answer.extend(answer);
                    self.waiting = waiting;
                    last = failure;
                }
            }
        }
        Err(last)
    }

    /// A host that wants none of it, whoever the recipient.
    fn refuse(&mut self, failure: &Unreachable) {
        let name = failure.relay.clone().unwrap_or_else(|| "none".into());
        let relay = Relay { begun: Some(self.begun), ..Relay::named(name) };
        for target in std::mem::take(&mut self.waiting) {
            self.answer.push(self.finisher.finish(self.request, &target, &failure.report, &relay));
        }
    }
}

/// A report of what a host said.
fn said(report_code: Code, host: &str, reply: &crate::proto::smtp_reply::Reply, command: &str) -> Report {
    let text = reply.text();
    let code = reply.lines.first().and_then(|line| Code::split(line)).map_or(report_code, |(code, _)| code);
    // The class is what the three digits say: a server that writes "450 5.1.1" is believed in its first digit.
    let code = match report_code.class() {
        4 => code.softened(),
        5 => code.hardened(),
        _ => code,
    };
    let name = host.split(['[', ':']).next().unwrap_or(host);
    Report {
        code,
        reason: format!("host {host} said: {text} (in reply to {command})"),
        mta: Some(name.to_owned()),
        diagnostic: Some(text),
    }
}
