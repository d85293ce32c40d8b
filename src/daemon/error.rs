//! error(8), retry(8) and discard(8): agents whose next hop is the answer. "5.1.1 User unknown" bounces, the same
//! under the name "retry" defers, discard loses the mail on purpose.

use super::agent;
use super::skeleton::Context;
use crate::delivery::filter::Filter;
use crate::delivery::{Finisher, Relay};
use crate::status::{Code, Report};

pub fn run(context: Context) -> Result<(), String> {
    let retry = context.service == "retry";
    let filter = Filter::new("default_delivery_status_filter", &context.cf.default_delivery_status_filter());
    let finisher = Finisher::from_parts(&context.cf, context.log.clone(), filter);
    agent::serve(context, move |request| {
        let default = if retry { Code::new(4, 3, 0) } else { Code::new(5, 0, 0) };
        let (code, text) = Code::split(&request.nexthop).unwrap_or((default, request.nexthop.as_str()));
        let code = if retry { code.temporary() } else { code };
        let text = if text.is_empty() { "undeliverable" } else { text };
        let report = Report::new(code, text);
        request.recipients.iter().map(|target| finisher.finish(request, target, &report, &Relay::none())).collect()
    })
}

pub fn run_discard(context: Context) -> Result<(), String> {
    let filter = Filter::new("default_delivery_status_filter", &context.cf.default_delivery_status_filter());
    let finisher = Finisher::from_parts(&context.cf, context.log.clone(), filter);
    agent::serve(context, move |request| {
        let report =
            Report::sent(if request.nexthop.is_empty() { "discarded".to_owned() } else { request.nexthop.clone() });
        request.recipients.iter().map(|target| finisher.finish(request, target, &report, &Relay::none())).collect()
    })
}
