//! local(8): delivers to local recipients. Aliases are expanded, .forward files obeyed, and what is left goes to a
//! command or a mailbox, as the recipient. Runs as root, one delivery at a time; commands and files come only from
//! the aliases file and users' own .forward files, never from an address.

mod biff;
mod command;
mod expand;
mod forward;
mod mailbox;
mod recipient;
mod settings;

use super::agent;
use super::skeleton::Context;
use crate::delivery::{Finisher, Relay};
use crate::ipc::delivery::{Answer, Outcome, Request, Target};
use crate::status::{Report, Verdict};
use recipient::{Booked, Delivery};
use settings::Settings;
use std::fs::File;
use std::time::SystemTime;

pub fn run(context: Context) -> Result<(), String> {
    let settings = Settings::new(&context.cf, context.log.clone())?;
    let finisher = Finisher::from_parts(&context.cf, context.log.clone());
    agent::serve(context, |request| deliver(&settings, &finisher, request))
}

fn deliver(settings: &Settings, finisher: &Finisher, request: &Request) -> Answer {
    let relay = Relay { begun: Some(SystemTime::now()), connected: Some(SystemTime::now()), ..Relay::named("local") };
    let file = match finisher.open(request) {
        Ok(file) => file,
        Err(error) => {
            let report = Report::deferred(format!("cannot open queue file: {error}"));
            return request.recipients.iter().map(|target| finisher.finish(request, target, &report, &relay)).collect();
        }
    };
    request
        .recipients
        .iter()
        .flat_map(|target| deliver_one(settings, finisher, request, target, &file, &relay))
        .collect()
}

/// Delivers to one recipient and tells what became of each address that it led to.
fn deliver_one(
    settings: &Settings,
    finisher: &Finisher,
    request: &Request,
    target: &Target,
    file: &File,
    relay: &Relay,
) -> Answer {
    let mut delivery = Delivery::new(settings, request, target, file);
    delivery.run();
    let delivery_expanded = delivery.expanded;
    let results = delivery.into_results();
    let all_sent = results.iter().all(|booked| booked.report.verdict() == Verdict::Sent);
    let traced = request.is_traced(target);
    let mut answer = Vec::new();
    for Booked { address, report, logged, relay: by, alone } in &results {
        let mut named = Target { address: address.clone(), ..target.clone() };
        if *alone {
            (named.original, named.dsn_original) = (String::new(), String::new());
        }
        if all_sent && !traced {
            if !logged {
                finisher.log_status(request, &named, report, relay);
            }
        } else {
            let mut outcome = if *logged {
                Outcome { relay: by.clone(), ..Outcome::new(target.offset, report, false) }
            } else {
                finisher.report_only(request, &named, report, relay)
            };
            outcome.address = Some(address.clone());
            if delivery_expanded && report.verdict() == Verdict::Sent && !request.only_verifies() {
                // Of a list with an owner the sender hears that it was expanded; the rest is the owner's.
                outcome.reason = "alias expanded".to_owned();
            }
            answer.push(outcome);
        }
    }
    if all_sent {
        if let Err(error) = finisher.mark_done(request, target) {
            settings.log.warning(format!("{}: cannot mark recipient done: {error}", request.queue_id));
        }
        if !traced {
            answer.push(Outcome::new(target.offset, &Report::sent("delivered"), false));
        }
    }
    answer
}
