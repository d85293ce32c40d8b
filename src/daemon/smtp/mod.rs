//! smtp(8): delivers by SMTP, to a relay host or by MX. One delivery at a time in each process; every recipient has
//! its own answer.

mod destination;
mod dialogue;
mod stream;

use super::agent;
use super::skeleton::Context;
use crate::conf::MainCf;
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Request, Target};
use crate::log::Log;
use crate::status::{Code, Report, Verdict};
use destination::{Destination, Peer, Resolver, Unreachable};
use dialogue::{Dialogue, Outcome};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What smtp(8) reads from the configuration.
pub struct Settings {
    log: Arc<Log>,
    helo_name: String,
    myhostname: String,
    own_names: Vec<String>,
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
    best_mx_local: bool,
    skip_5xx_greeting: bool,
    fallback: Vec<String>,
    bind_address: String,
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
            own_names: vec![cf.myhostname().to_lowercase()],
            own_addresses: crate::route::resolve::own_addresses(cf),
            connect_timeout: cf.smtp_connect_timeout(),
            greeting_timeout: cf.smtp_helo_timeout(),
            command_timeout: cf.smtp_rcpt_timeout().max(cf.smtp_mail_timeout()),
            data_timeout: cf.smtp_data_xfer_timeout().max(cf.smtp_data_init_timeout()),
            done_timeout: cf.smtp_data_done_timeout(),
            line_limit: usize::try_from(cf.smtp_line_length_limit()).unwrap_or(998),
            address_limit: usize::try_from(cf.smtp_mx_address_limit()).unwrap_or(5),
            session_limit: usize::try_from(cf.smtp_mx_session_limit()).unwrap_or(2),
            host_lookup: cf.smtp_host_lookup(),
            disable_dns: cf.disable_dns_lookups() || cf.smtp_dns_support_level() == "disabled",
            protocols: cf.inet_protocols(),
            best_mx_local: !cf.best_mx_transport().is_empty(),
            skip_5xx_greeting: cf.smtp_skip_5xx_greeting(),
            fallback: MainCf::list(&cf.smtp_fallback_relay()),
            bind_address: cf.smtp_bind_address(),
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
            address_limit: usize::try_from(cf.lmtp_mx_address_limit()).unwrap_or(5),
            session_limit: usize::try_from(cf.lmtp_mx_session_limit()).unwrap_or(2),
            host_lookup: cf.lmtp_host_lookup(),
            skip_5xx_greeting: cf.lmtp_skip_5xx_greeting(),
            fallback: MainCf::list(&cf.lmtp_fallback_relay()),
            bind_address: cf.lmtp_bind_address(),
            port: cf.lmtp_tcp_port().parse().unwrap_or(24),
            lmtp: true,
            ..Settings::new(context)
        }
    }
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
        let mut places = vec![self.request.nexthop.clone()];
        places.extend(self.settings.fallback.iter().cloned());
        let mut last = Unreachable::temporary(Code::new(4, 4, 3), "no destination");
        for place in places {
            match self.try_place(&place) {
                Ok(()) => return self.answer,
                Err(failure) => {
                    let permanent = failure.report.verdict() == Verdict::Bounced;
                    last = failure;
                    if permanent {
                        break;
                    }
                }
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

    fn peers(&self, place: &str) -> Result<Vec<Peer>, Unreachable> {
        let settings = self.settings;
        let mut place = place;
        if settings.lmtp {
            if let Some(path) = place.strip_prefix("unix:") {
                return Ok(vec![Peer::Socket { path: path.into(), name: settings.myhostname.clone() }]);
            }
            place = place.strip_prefix("inet:").unwrap_or(place);
        }
        let destination = Destination::parse(place, settings.port);
        let destination = Destination { literal: destination.literal || settings.lmtp, ..destination };
        Ok(self.resolver.hosts(settings, &destination)?.into_iter().map(Peer::Host).collect())
    }

    /// Tries the hosts of a next hop in order. Ok: every recipient has its answer.
    fn try_place(&mut self, place: &str) -> Result<(), Unreachable> {
        let hosts = self.peers(place)?;
        let mut last = Unreachable::temporary(Code::new(4, 4, 1), "no host to connect to");
        let mut sessions = 0;
        for host in hosts.iter().take(self.settings.address_limit.max(1)) {
            if sessions >= self.settings.session_limit.max(1) {
                break;
            }
            let mut dialogue = match Dialogue::connect(self.settings, host) {
                Ok(dialogue) => dialogue,
                Err(failure) => {
                    self.settings.log.info(&failure.report.reason);
                    last = failure;
                    continue;
                }
            };
            sessions += 1;
            let connected = SystemTime::now();
            let relay = Relay { begun: Some(self.begun), connected: Some(connected), ..Relay::named(host.shown()) };
            let waiting = std::mem::take(&mut self.waiting);
            match dialogue.deliver(self.request, self.finisher, waiting, &relay) {
                Outcome::Answered(answer) => {
                    self.answer.extend(answer);
                    return Ok(());
                }
                Outcome::TryNext { answer, waiting, failure } => {
                    self.answer.extend(answer);
                    self.waiting = waiting;
                    last = failure;
                    if self.waiting.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
        Err(last)
    }
}

/// A report of what a host said.
fn said(report_code: Code, host: &str, reply: &crate::proto::smtp_reply::Reply, command: &str) -> Report {
    let text = reply.text();
    let code = reply.lines.first().and_then(|line| Code::split(line)).map_or(report_code, |(code, _)| code);
    // The class is what the three digits say: a server that writes "450 5.1.1" is believed in its first digit.
    let code = if code.class() == report_code.class() { code } else { report_code };
    let name = host.split(['[', ':']).next().unwrap_or(host);
    Report {
        code,
        reason: format!("host {host} said: {text} (in reply to {command})"),
        mta: Some(name.to_owned()),
        diagnostic: Some(text),
    }
}
