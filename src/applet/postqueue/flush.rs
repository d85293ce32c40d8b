//! Asking the queue manager to try again: everything, one message, or the mail for a site.

use super::{through_postdrop, unavailable};
use crate::applet::sendmail::Flush;
use crate::applet::voice::Voice;
use crate::conf::MainCf;
use crate::exit::{Exit, Failure};
use crate::ipc::trigger;
use crate::queue::{Queue, QueueId};
use crate::route::resolve::flush_domains;
use std::io;

pub fn flush(cf: &MainCf, voice: &Voice, what: &Flush) -> Result<Exit, Failure> {
    let queue = Queue::new(cf);
    let (code, service, arguments) = match what {
        Flush::All => (trigger::FLUSH.to_vec(), "qmgr", vec!["-F".to_owned()]),
        Flush::Message(text) => {
            let Some(id) = QueueId::parse(text) else {
                return Err(unavailable(format!("Cannot flush queue ID - invalid name: \"{text}\"")));
            };
            (trigger::one(&id), "flush", vec!["-F".to_owned(), "-i".to_owned(), text.clone()])
        }
        Flush::Site(site) => {
            if !trigger::is_site(site) {
                return Err(unavailable(format!("Cannot flush mail queue - invalid destination: \"{site}\"")));
            }
            crate::queue::permission::check(cf, crate::queue::permission::Deed::Flush).map_err(unavailable)?;
            let served = flush_domains(cf).contains(site);
            if !served.map_err(|error| unavailable(format!("fast_flush_domains: {error}")))? {
                return Err(unavailable(format!("Flush service is not configured for destination \"{site}\"")));
            }
            (trigger::site(site), "flush", vec!["-F".to_owned(), "-s".to_owned(), site.clone()])
        }
    };
    let Err(error) = trigger::send(&queue.directory().join("public/qmgr"), &code) else { return Ok(Exit::OK) };
    if error.kind() == io::ErrorKind::PermissionDenied {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        return through_postdrop(cf, voice, &arguments).map(|_| Exit::OK);
    }
    if let Some(warning) = trigger::unheard(service, &error) {
        voice.warning(warning);
    }
    Err(unavailable("Cannot flush mail queue - mail system is down"))
}
