//! verify(8): whether mail for an address could be delivered. What is not known yet is found out with a probe: a message
//! without content, which goes the way of all mail (by address_verify_* routes) and is never delivered; the queue manager
//! tells what would have become of it.

mod cache;

use super::skeleton::{self, Context, Wait};
use crate::cleanup::envelope::Named;
use crate::cleanup::{Cleanup, CleanupError, Envelope, Origin};
use crate::conf::MainCf;
use crate::ipc::delivery::trace;
use crate::ipc::verify::{Answer, PATIENCE, Question};
use crate::ipc::{trigger, wire};
use crate::log::Log;
use cache::{Cache, Known};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long a new answer may be lost by a crash.
const SAVE_EVERY: Duration = Duration::from_secs(30);

pub fn run(context: Context) -> Result<(), String> {
    skeleton::finish_gracefully();
    let (cache, fault) = Cache::open(&context.cf);
    if let Some(fault) = fault {
        context.log.warning(format!("{fault}; the cache begins anew"));
    }
    let mut service = Service::new(&context.cf, context.log.clone(), cache)?;
    service.clean();
    loop {
        let wait = skeleton::wait_for_work(&context.listeners, &context.lifetime, SAVE_EVERY);
        if wait != Wait::Ready || service.saved.elapsed() > SAVE_EVERY {
            service.save();
        }
        match wait {
            Wait::Finish => return Ok(()),
            Wait::Idle => continue,
            Wait::Ready => {}
        }
        if service.cleaned.elapsed() > service.clean_every {
            service.clean();
        }
        for listener in &context.listeners {
            let Ok(listener) = listener.try_clone() else { continue };
            let Ok((stream, _)) = UnixListener::from(listener).accept() else { continue };
            if let Err(error) = service.answer(stream) {
                service.log.warning(format!("cannot answer: {error}"));
            }
        }
    }
}

struct Service {
    log: Arc<Log>,
    cache: Cache,
    cleanup: Arc<Cleanup>,
    qmgr: PathBuf,
    sender: String,
    clean_every: Duration,
    cleaned: Instant,
    saved: Instant,
}

impl Service {
    fn new(cf: &MainCf, log: Arc<Log>, cache: Cache) -> Result<Service, String> {
        let cleanup = Cleanup::new(cf, log.clone()).map_err(|error| error.to_string())?;
        let sender = cf.address_verify_sender();
        let now = Instant::now();
        Ok(Service {
            cache,
            qmgr: cleanup.queue.directory().join("public/qmgr"),
            cleanup,
            sender: if sender == "<>" { String::new() } else { sender },
            clean_every: match cf.address_verify_cache_cleanup_interval() {
                Duration::ZERO => Duration::MAX,
                interval => interval,
            },
            cleaned: now,
            saved: now,
            log,
        })
    }

    fn answer(&mut self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some(question) = wire::receive::<Question>(&mut stream)? else { return Ok(()) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let answer = match question {
            Question::Ask { address } => {
                let Known { status, text, probe } = self.cache.ask(&address, now);
                if probe && let Err(error) = self.probe(&address) {
                    self.log.warning(format!("cannot send a probe to <{address}>: {error}"));
                }
                Answer { status, text }
            }
            Question::Tell { address, status, text } => {
                self.cache.tell(&address, status, &text, now);
                Answer { status, text: String::new() }
            }
        };
        wire::send(&mut stream, &answer)
    }

    fn probe(&self, address: &str) -> Result<(), CleanupError> {
        let mut envelope = Envelope::new(Origin::Internal, self.sender.clone());
        envelope.recipients =
            vec![Named { address: address.to_owned(), original: Some(address.to_owned()), ..Named::default() }];
        envelope.attributes = vec![("trace_flags".to_owned(), trace::PROBE.to_string())];
        envelope.no_copies = true;
        self.cleanup.begin(self.cleanup.reserve()?, &envelope)?.finish()?;
        let _ = trigger::send(&self.qmgr, trigger::INCOMING);
        Ok(())
    }

    fn clean(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let dropped = self.cache.clean(now);
        self.cleaned = Instant::now();
        if let Some(title) = self.cache.title() {
            let retained = self.cache.len();
            self.log.info(format!("cache {title} full cleanup: retained={retained} dropped={dropped} entries"));
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.cache.save() {
            self.log.warning(error.to_string());
        }
        self.saved = Instant::now();
    }
}
