//! `postfix explain`: what would happen to a mail, by the very code that the daemons run: each restriction, table and
//! list that is asked, how addresses are rewritten and expanded, the transport and next hop, the verdict. Nothing is
//! sent, queued or logged.

use crate::cleanup::envelope::Named;
use crate::cleanup::expansion::Expansion;
use crate::cleanup::{Envelope, Origin};
use crate::conf::MainCf;
use crate::daemon::smtpd::dry::{self, Answer, Attempt};
use crate::route::Router;
use crate::table::trace::{self, Step};
use serde::Serialize;
use std::fmt::Write as _;
use std::net::IpAddr;

/// What is asked about. Addresses in internal form.
#[derive(Default)]
pub struct Question {
    /// None: a user of this machine, by sendmail.
    pub client: Option<IpAddr>,
    pub helo: Option<String>,
    /// The name that the client logged in with.
    pub login: Option<String>,
    pub sender: String,
    pub recipient: String,
}

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is accepted, and goes on as the last steps say.
    Delivered,
    /// The client gets this reply.
    Refused { reply: String },
    /// A table or the name service could not be asked, or the mail could not be expanded.
    Deferred { reason: String },
    /// It is accepted and comes back: the reason.
    Returned { reason: String },
}

/// Err: the configuration cannot be used at all.
pub fn explain(cf: &MainCf, question: &Question) -> Result<(Vec<Step>, Verdict), String> {
    let (verdict, steps) = trace::record(|| decide(cf, question));
    Ok((steps, verdict?))
}

fn begin(name: &str) {
    trace::step(|| Step::Begin { name: name.to_owned() });
}

fn decide(cf: &MainCf, question: &Question) -> Result<Verdict, String> {
    let mut filter = None;
    let mut redirect = None;
    if let Some(client) = question.client {
        let attempt = Attempt {
            client,
            lookup: cf.smtpd_peername_lookup(),
            helo: question.helo.clone(),
            login: question.login.clone(),
            sender: question.sender.clone(),
            recipient: question.recipient.clone(),
        };
        match dry::attempt(cf, &attempt)? {
            Answer::Refused(reply) => return Ok(Verdict::Refused { reply }),
            Answer::Accepted(effects) => {
                filter = effects.filter;
                redirect = effects.redirect;
            }
        }
    }
    begin("rewriting");
    let router = Router::new(cf).map_err(|error| error.to_string())?;
    let expansion = Expansion::new(cf).map_err(|error| error.to_string())?;
    let mut envelope = Envelope::new(Origin::Internal, question.sender.clone());
    let recipient = redirect.unwrap_or_else(|| question.recipient.clone());
    envelope.recipients.push(Named { address: recipient.clone(), ..Named::default() });
    let warn = |_: String| {};
    let sender = match expansion.sender(&router.rewriter, &envelope, &warn) {
        Ok(sender) => sender,
        Err(error) => return Ok(Verdict::Deferred { reason: error.to_string() }),
    };
    rewritten("sender", &question.sender, &sender);
    let (queued, copies) = match expansion.expand(&router.rewriter, &envelope, &sender, &warn) {
        Ok(everybody) => (everybody.recipients, everybody.copies),
        Err(error) => return Ok(Verdict::Deferred { reason: error.to_string() }),
    };
    for target in &queued {
        rewritten("recipient", &recipient, &target.address);
    }
    for copy in &copies {
        rewritten("copy", "", &copy.address);
    }
    begin("delivery");
    let mut verdict = Verdict::Delivered;
    for target in queued.iter().chain(&copies) {
        let resolution = match router.resolve_from(&sender, &target.address) {
            Ok(resolution) => filter.as_ref().map_or(resolution.clone(), |filter| resolution.clone().through(filter)),
            Err(error) => return Ok(Verdict::Deferred { reason: error.to_string() }),
        };
        if resolution.transport == "error" {
            verdict = Verdict::Returned { reason: resolution.nexthop.clone() };
        }
        trace::step(|| Step::Route {
            recipient: resolution.recipient.clone(),
            class: format!("{:?}", resolution.class),
            transport: resolution.transport.clone(),
            nexthop: resolution.nexthop.clone(),
        });
    }
    Ok(verdict)
}

fn rewritten(what: &str, from: &str, to: &str) {
    trace::step(|| Step::Rewrite { what: what.to_owned(), from: from.to_owned(), to: to.to_owned() });
}

/// The steps for people.
pub fn text(steps: &[Step], verdict: &Verdict) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for step in steps {
        // Writing to a string cannot fail.
        let _ = match step {
            Step::Begin { name } => {
                depth = 0;
                writeln!(out, "{name}")
            }
            Step::Restriction { name, depth: at } => {
                depth = *at as usize;
                writeln!(out, "{}{name}", "  ".repeat(depth))
            }
            Step::Said { status, depth: at } => writeln!(out, "{}= {status}", "  ".repeat(*at as usize + 1)),
            Step::Lookup { table, key, value, error } => {
                let answer = match (value, error) {
                    (Some(value), _) => format!("\"{value}\""),
                    (None, Some(error)) => format!("cannot be asked: {error}"),
                    (None, None) => "no entry".to_owned(),
                };
                writeln!(out, "{}{table} \"{key}\": {answer}", "  ".repeat(depth + 1))
            }
            Step::List { list, subject, found } => {
                let answer = if *found { "yes" } else { "no" };
                writeln!(out, "{}{subject} in {list}: {answer}", "  ".repeat(depth + 1))
            }
            Step::Rewrite { what, from, to } if from == to => writeln!(out, "  {what} <{to}>"),
            Step::Rewrite { what, from, to } => writeln!(out, "  {what} <{from}> becomes <{to}>"),
            Step::Route { recipient, class, transport, nexthop } => {
                writeln!(out, "  <{recipient}> ({class}) goes by {transport} to {nexthop}")
            }
        };
    }
    let _ = match verdict {
        Verdict::Delivered => writeln!(out, "accepted"),
        Verdict::Refused { reply } => writeln!(out, "refused: {reply}"),
        Verdict::Deferred { reason } => writeln!(out, "put off: {reason}"),
        Verdict::Returned { reason } => writeln!(out, "accepted and returned: {reason}"),
    };
    out
}
