//! postscreen(8): an smtpd whose sessions pass a screen first, in the same process. The reference hands connections on to
//! smtpd processes, because each of those serves one client; here one process serves them all, so nothing is handed
//! anywhere, and a client that is let through costs what it costs without a screen. The session that follows has the
//! settings of the "pass" line of master.cf that smtpd_service_name names, and logs as smtpd.

/// postscreen_access_list.
mod access;
/// What the commands are answered with.
mod answers;
/// The temporary allowlist.
mod cache;
/// Tests before the greeting.
mod early;
/// SMTP for those that are kept out.
mod engine;
/// Which tests are passed.
mod results;
/// The configuration.
mod settings;
/// DNS lists.
mod sites;
/// TLS of those that are kept out.
mod starttls;
/// One client.
mod visit;

use super::encryption::Encryption;
use super::proxy;
use super::stream::{Duplex, Stream};
use crate::conf::MainCf;
use crate::daemon::skeleton::Private;
use crate::dns::Dns;
use crate::log::Log;
use access::Verdict;
use cache::Cache;
use results::Tests;
use settings::{Action, Settings};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use visit::{End, Visit};

pub use starttls::settings as encryption_settings;

/// The screen of one process.
pub struct Screen {
    settings: Settings,
    cache: Cache,
    dns: Dns,
    encryption: Encryption,
    log: Arc<Log>,
    /// Clients that are here now, and how often each.
    present: RefCell<HashMap<IpAddr, usize>>,
    watched: Cell<usize>,
    stressed: Cell<bool>,
    /// The missing service, if there is nobody to pass clients on to.
    missing: Option<String>,
}

impl Screen {
    /// `missing` names the service that should take over and is not in master.cf.
    pub fn new(cf: &MainCf, private: &Private, log: Arc<Log>, missing: Option<String>) -> Result<Screen, String> {
        let settings = Settings::new(cf)?;
        let cache = Cache::open(cf, settings.enabled(), &log);
        Ok(Screen {
            settings,
            cache,
            // dnsblog(8) asks whatever disable_dns_lookups says.
            dns: Dns::new(false),
            encryption: Encryption::new(&starttls::settings(cf), private, &log)?,
            log,
            present: RefCell::default(),
            watched: Cell::new(0),
            stressed: Cell::new(false),
            missing,
        })
    }

    /// Work beside the clients, for ever.
    pub async fn tend(&self) {
        self.cache.tend(&self.log).await;
    }

    fn is_stressed(&self) -> bool {
        self.stressed.get()
    }

    /// Who the client is and where it came to, if it is to be served.
    pub async fn admit<S: Duplex>(
        &self,
        stream: &mut Stream<S>,
        mut client: SocketAddr,
        mut server: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        if let Some(patience) = self.settings.proxy_patience {
            match proxy::read(stream, patience).await {
                Ok(ends) => (client, server) = ends.unwrap_or((client, server)),
                Err(reason) => {
                    self.log.warning(format!("haproxy header from {client}: {reason}"));
                    return None;
                }
            }
        }
        let shown = SocketAddr::new(client.ip().to_canonical(), client.port());
        let place = Place::new(self, shown.ip());
        let mut visit = Visit::new(self, shown);
        visit.log(format!("CONNECT from {} to [{}]:{}", visit.shown, server.ip().to_canonical(), server.port()));
        let end = self.examine(&mut visit, stream, server.ip().to_canonical(), place.own).await;
        let through = visit.conclude(stream, end).await;
        drop(place);
        if !through {
            return None;
        }
        if let Some(service) = &self.missing {
            self.log.warning(format!("cannot connect to service private/{service}: No such file or directory"));
            stream.reply("421 4.3.2 All server ports are busy");
            stream.close().await;
            return None;
        }
        Some((client, server))
    }

    async fn examine<S: Duplex>(
        &self,
        visit: &mut Visit<'_>,
        stream: &mut Stream<S>,
        server: IpAddr,
        connections: usize,
    ) -> End {
        let settings = &self.settings;
        if settings.connections > 0 && connections > settings.connections {
            visit.log(format!("NOQUEUE: reject: CONNECT from {}: too many connections", visit.shown));
            return said("421 4.7.0 Error: too many connections");
        }
        match settings.access.verdict(visit.client.ip(), &self.log).await {
            Verdict::Permit => {
                visit.log_listed("ALLOW", "WHITE", "LISTED");
                return End::Through;
            }
            Verdict::Reject => {
                visit.log_listed("DENY", "BLACK", "LISTED");
                if settings.by_old_default {
                    let parameter = "respectful_logging=no for client";
                    visit.log(format!("using backwards-compatible default setting {parameter} {}", visit.shown));
                }
                match settings.deny_action {
                    Action::Drop => {
                        visit.disliked = true;
                        return said("521 5.3.2 Service currently unavailable");
                    }
                    Action::Enforce => {
                        visit.disliked = true;
                        visit.enforce("550 5.3.2 Service currently unavailable");
                    }
                    Action::Ignore => {}
                }
            }
            Verdict::Dunno => {}
        }
        if visit.recall() && visit.todo.is_empty() {
            visit.log(format!("PASS OLD {}", visit.shown));
            return End::Through;
        }
        if !settings.interfaces.contains_client(None, Some(server)).unwrap_or(false) {
            visit.log_listed("ALLOW", "WHITE", "LIST VETO");
            visit.disliked = true;
            visit.kept_out = true;
        }
        if settings.watched > 0 && self.watched.get() >= settings.watched {
            visit.log(format!("reject: connect from {}: all screening ports busy", visit.shown));
            return said("421 4.3.2 All screening ports are busy");
        }
        if early::is_due(visit.todo)
            && let Some(end) = early::run(visit, stream).await
        {
            return end;
        }
        let late = visit.todo.and(Tests::late());
        if visit.kept_out || visit.passed.and(late) != late {
            return engine::run(visit, stream).await;
        }
        End::Through
    }
}

fn said(reply: &str) -> End {
    End::Said(reply.to_owned())
}

/// A client's place in the counts, given back also when its session panics.
struct Place<'s> {
    screen: &'s Screen,
    client: IpAddr,
    /// How many connections the client has here.
    own: usize,
}

impl<'s> Place<'s> {
    fn new(screen: &'s Screen, client: IpAddr) -> Place<'s> {
        let own = {
            let mut present = screen.present.borrow_mut();
            let own = present.entry(client).or_default();
            *own += 1;
            *own
        };
        let place = Place { screen, client, own };
        let count = screen.watched.get() + 1;
        screen.watched.set(count);
        let (high, _) = screen.settings.stress_marks();
        if high > 0 && count >= high && !screen.stressed.replace(true) {
            screen.log.info(format!("entering STRESS mode with {count} connections"));
        }
        place
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let screen = self.screen;
        let mut present = screen.present.borrow_mut();
        if let Some(own) = present.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                present.remove(&self.client);
            }
        }
        let count = screen.watched.get().saturating_sub(1);
        screen.watched.set(count);
        let (_, low) = screen.settings.stress_marks();
        if count <= low && screen.stressed.replace(false) {
            screen.log.info(format!("leaving STRESS mode with {count} connections"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Whether a client that says `words` and no more is let through, and what it is answered.
    fn told(configuration: &str, words: &[u8]) -> (bool, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let text =
                format!("postscreen_cache_map =\nmyhostname = m.example\nmynetworks = 127.0.0.1\n{configuration}");
            let cf = MainCf::parse(directory.path(), &text).unwrap();
            let log = Arc::new(Log::nowhere());
            let screen = Screen::new(&cf, &Private::default(), log, None).unwrap();
            let (mut client, server) = tokio::io::duplex(1 << 20);
            client.write_all(words).await.unwrap();
            client.shutdown().await.unwrap();
            let mut stream = Stream::new(server, Duration::from_secs(5));
            let end = |port| SocketAddr::from(([192, 0, 2, 1], port));
            let through = screen.admit(&mut stream, end(1234), end(25)).await.is_some();
            assert!(screen.present.borrow().is_empty() && screen.watched.get() == 0);
            drop(stream);
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            (through, answer)
        })
    }

    const REFUSED: &str = "postscreen_access_list = static:reject\npostscreen_denylist_action = enforce\n";

    #[test]
    fn who_is_kept_out_is_heard_out() {
        let (through, answer) = told(REFUSED, b"MAIL FROM:<a@b>\r\nVRFY x\r\nQUIT\r\n");
        assert!(!through);
        assert!(answer.ends_with("221 2.0.0 Bye\r\n"), "{answer}");
        assert!(answer.contains("521 ") || answer.contains("550 5.5.1 Protocol error"), "{answer}");
        assert!(told("postscreen_access_list = static:permit\n", b"").0);
        assert!(!told("postscreen_greet_action = drop\n", b"EHLO x\r\n").0);
        assert!(!told("", b"").0, "it hung up while it should have waited");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn nobody_talks_the_way_in(words in proptest::collection::vec(any::<u8>(), 0..400), lines in "[A-Z :<>@\r\n]{0,400}") {
            let early = "postscreen_greet_action = enforce\n";
            for words in [words.as_slice(), lines.as_bytes(), &[b"MAIL FROM:", lines.as_bytes()].concat()] {
                let (through, answer) = told(REFUSED, words);
                prop_assert!(!through && !answer.contains("250 2.1.5") && !answer.contains("354"));
                prop_assert!(words.is_empty() || !told(early, words).0);
            }
        }
    }
}
