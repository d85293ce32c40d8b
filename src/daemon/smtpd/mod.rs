//! smtpd(8): receives mail by SMTP. One process serves all sessions of a service; a session that panics ends alone.

/// Restriction lists.
mod access;
/// How much each client does.
mod anvil;
/// The command that logs in.
mod auth;
/// BDAT.
mod bdat;
/// A filter that is asked before mail is accepted.
mod before_queue;
/// Which word leads where.
mod commands;
/// DATA, and what content has in common.
mod data;
/// One recipient without a session.
pub mod dry;
/// TLS, as configured.
mod encryption;
/// Connections to the services that are asked.
mod endpoint;
/// Mail filters.
mod filters;
/// Refusals on their way out.
mod footer;
/// Which lists are asked when.
mod gate;
/// Lookups that may wait for a server.
mod patience;
/// The client.
mod peer;
/// Who a proxy says the client is.
mod proxy;
/// Whether an address exists.
mod recipient;
/// Who knows passwords.
mod sasl;
/// Whom postscreen lets through.
mod screen;
/// One session.
mod session;
/// The configuration.
mod settings;
/// Where received mail goes.
mod sink;
/// The command that turns TLS on.
mod starttls;
/// Lines in, replies out.
mod stream;
/// MAIL and RCPT.
mod transaction;
/// What the postmaster may want to read.
mod transcript;
/// A trusted client speaks for another.
mod xclient;

use super::skeleton::{Context, Private};
use crate::cleanup::Cleanup;
use crate::conf::MainCf;
use crate::conf::neighbour::successor;
use crate::dns::Dns;
use crate::log::Log;
use anvil::Anvil;
use encryption::Encryption;
use peer::Peer;
use sasl::Sasl;
use screen::Screen;
use session::{Session, Shared};
use settings::Settings;
use sink::Sink;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Stream;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore};

pub use encryption::private_files;
pub use sink::Submit;

/// Sessions at once in one process; beyond it clients wait in the kernel's queue.
const MAX_SESSIONS: usize = 20_000;
/// Threads for name lookups and for fsync.
const BLOCKING_THREADS: usize = 64;
/// How long name lookups may keep a client waiting.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(30);

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| format!("cannot start: {error}"))
}

pub fn run(context: Context) -> Result<(), String> {
    raise_descriptor_limit();
    tokio::task::LocalSet::new().block_on(&runtime()?, async {
        let (service, log) = (context.service.clone(), context.log.clone());
        let shared = shared_by_all(&context.cf, &context.private, &service, log)?;
        serve(context, shared, None).await
    })
}

/// postscreen: its own settings for the screen, those of the service behind it for the sessions.
pub fn run_screened(context: Context) -> Result<(), String> {
    raise_descriptor_limit();
    tokio::task::LocalSet::new().block_on(&runtime()?, async {
        let cf = &context.cf;
        let service = cf.smtpd_service_name();
        let behind = successor(cf, &service);
        let missing = behind.is_none().then(|| service.clone());
        let behind = behind.unwrap_or_else(|| cf.clone());
        let log = Log::open(&behind.syslog_name(), "smtpd", &behind.syslog_facility(), &behind.maillog_file());
        let log = Arc::new(log.with_utf8(behind.shows_utf8()));
        let shared = shared_by_all(&behind, &context.private, &service, log)?;
        let screen = Rc::new(Screen::new(cf, &context.private, context.log.clone(), missing)?);
        let tended = screen.clone();
        tokio::task::spawn_local(async move { tended.tend().await });
        serve(context, shared, Some(screen)).await
    })
}

/// The private files of a screen and of the sessions behind it.
pub fn private_files_behind(cf: &MainCf) -> Vec<String> {
    let behind = successor(cf, &cf.smtpd_service_name()).map(|behind| private_files(&behind));
    let mut files = behind.unwrap_or_default();
    files.extend(private_files(&screen::encryption_settings(cf)));
    files.sort();
    files.dedup();
    files
}

/// The process.
struct Server {
    shared: Rc<Shared>,
    screen: Option<Rc<Screen>>,
    open: RefCell<usize>,
    ended: Notify,
}

fn shared_by_all(cf: &MainCf, private: &Private, service: &str, log: Arc<Log>) -> Result<Shared, String> {
    let cleanup = Cleanup::new(cf, log.clone()).map_err(|error| error.to_string())?;
    let qmgr = cleanup.queue.directory().join("public/qmgr");
    let sink = Sink::Queue { cleanup, qmgr };
    let encryption = Encryption::new(cf, private, &log)?;
    shared(cf, sink, log, service, encryption)
}

async fn serve(mut context: Context, shared: Shared, screen: Option<Rc<Screen>>) -> Result<(), String> {
    let server = Rc::new(Server { shared: Rc::new(shared), screen, open: RefCell::new(0), ended: Notify::new() });
    let sessions = Arc::new(Semaphore::new(MAX_SESSIONS));
    let mut accepting = Vec::new();
    for listener in std::mem::take(&mut context.listeners) {
        let listener =
            TcpListener::from_std(std::net::TcpListener::from(listener)).map_err(|error| error.to_string())?;
        accepting.push(tokio::task::spawn_local(accept(listener, server.clone(), sessions.clone())));
    }
    wait_for_end(context.lifetime.take()).await?;
    // Told to finish: no new sessions here (a new process takes them), and those that are open go on to their end.
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    while *server.open.borrow() > 0 {
        server.ended.notified().await;
    }
    Ok(())
}

fn shared(cf: &MainCf, sink: Sink, log: Arc<Log>, service: &str, encryption: Encryption) -> Result<Shared, String> {
    let settings = Arc::new(Settings::new(cf)?);
    let anvil = RefCell::new(Anvil::new(settings.limits.rate_unit));
    let dns = Dns::new(cf.disable_dns_lookups());
    let sasl = Sasl::new(cf, &log)?.map(Rc::new);
    Ok(Shared { settings, encryption, sasl, sink, log, dns, anvil, service: service.to_owned() })
}

/// SIGHUP, SIGTERM, or the end of master.
async fn wait_for_end(lifetime: Option<OwnedFd>) -> Result<(), String> {
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let master = async {
        match lifetime.and_then(|fd| tokio::net::unix::pipe::Receiver::from_owned_fd(fd).ok()) {
            Some(mut pipe) => drop(pipe.read(&mut [0u8; 1]).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = hangup.recv() => {}
        _ = terminate.recv() => std::process::exit(0),
        () = master => {}
    }
    Ok(())
}

async fn accept(listener: TcpListener, server: Rc<Server>, sessions: Arc<Semaphore>) {
    loop {
        let Ok(permit) = sessions.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, client)) => {
                let server = server.clone();
                *server.open.borrow_mut() += 1;
                tokio::task::spawn_local(async move {
                    let mut place = SessionPlace { server: server.clone(), client: None };
                    one_session(&mut place, socket, client).await;
                    drop((place, permit));
                });
            }
            // Out of descriptors or memory: let sessions end, then go on.
            Err(error) => {
                server.shared.log.warning(format!("accept: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Gives a session's place back, also when it panics.
struct SessionPlace {
    server: Rc<Server>,
    /// As whose it counts, once that is known.
    client: Option<IpAddr>,
}

impl SessionPlace {
    /// How many sessions the client has, and how many it began in this unit of time.
    fn count(&mut self, client: IpAddr) -> (u64, u64) {
        self.client = Some(client);
        let mut anvil = self.server.shared.anvil.borrow_mut();
        let now = Instant::now();
        (anvil.enter(client, now), anvil.count(client, anvil::Event::Connection, now))
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            self.server.shared.anvil.borrow_mut().leave(client);
        }
        *self.server.open.borrow_mut() -= 1;
        self.server.ended.notify_one();
    }
}

async fn one_session(place: &mut SessionPlace, socket: TcpStream, mut client: SocketAddr) {
    let Ok(mut local) = socket.local_addr() else { return };
    let _ = socket.set_nodelay(true);
    let shared = place.server.shared.clone();
    let settings = &shared.settings;
    let mut stream = Stream::new(socket, settings.timeout);
    if let Some(screen) = &place.server.screen {
        // Boxed, so that the session that follows holds nothing of it.
        let Some(ends) = Box::pin(screen.admit(&mut stream, client, local)).await else { return };
        (client, local) = ends;
        if settings.proxy_patience.is_some() {
            shared.log.warning("ignoring non-empty smtpd_upstream_proxy_protocol setting behind postscreen");
        }
    } else if let Some(patience) = settings.proxy_patience {
        match proxy::read(&mut stream, patience).await {
            Ok(ends) => (client, local) = ends.unwrap_or((client, local)),
            Err(reason) => return shared.log.warning(format!("haproxy header from {client}: {reason}")),
        }
    }
    let counts = place.count(client.ip().to_canonical());
    let lookup = settings.peername_lookup;
    let looked_up = tokio::task::spawn_blocking(move || Peer::look_up(client, local, lookup));
    let mut peer = match tokio::time::timeout(LOOKUP_PATIENCE, looked_up).await {
        Ok(Ok(peer)) => peer,
        _ => Peer { name_failed: lookup, reverse_failed: lookup, ..Peer::look_up(client, local, false) },
    };
    peer.anvil = counts;
    Session::new(shared.clone(), stream, peer).run().await;
}

/// sendmail -bs: a session on standard input and output, whose mail goes through `submit`.
pub fn on_standard_streams(cf: &MainCf, log: Arc<Log>, submit: Submit) -> Result<(), String> {
    let sink = Sink::Maildrop { submit, limit: cf.message_limit() };
    tokio::task::LocalSet::new().block_on(&runtime()?, async {
        let shared = Rc::new(shared(cf, sink, log, "smtp", Encryption::off())?);
        let streams = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
        let stream = Stream::new(streams, shared.settings.timeout);
        Session::new(shared, stream, Peer::user()).run().await;
        Ok(())
    })
}

/// Sessions are descriptors: as many as the hard limit lets us have.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
