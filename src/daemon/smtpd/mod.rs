//! smtpd(8): receives mail by SMTP. One process serves all sessions of a service; a session that panics ends alone.

mod access;
mod data;
mod peer;
mod recipient;
mod session;
mod settings;
mod sink;
mod stream;

use super::skeleton::Context;
use crate::cleanup::Cleanup;
use crate::conf::MainCf;
use crate::log::Log;
use peer::Peer;
use session::Session;
use settings::Settings;
use sink::Sink;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore};

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
    tokio::task::LocalSet::new().block_on(&runtime()?, serve(context))
}

/// What all sessions share.
struct Server {
    settings: Arc<Settings>,
    sink: Sink,
    log: Arc<Log>,
    /// Sessions by client address, against smtpd_client_connection_count_limit.
    clients: RefCell<HashMap<IpAddr, usize>>,
    open: RefCell<usize>,
    ended: Notify,
}

async fn serve(mut context: Context) -> Result<(), String> {
    let settings = Arc::new(Settings::new(&context.cf)?);
    let cleanup = Cleanup::new(&context.cf, context.log.clone()).map_err(|error| error.to_string())?;
    let qmgr = cleanup.queue.directory().join("public/qmgr");
    let server = Rc::new(Server {
        settings,
        sink: Sink::Queue { cleanup, qmgr },
        log: context.log.clone(),
        clients: RefCell::default(),
        open: RefCell::new(0),
        ended: Notify::new(),
    });
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
                *server.clients.borrow_mut().entry(client.ip()).or_default() += 1;
                tokio::task::spawn_local(async move {
                    let guard = SessionGuard { server: server.clone(), client: client.ip() };
                    one_session(&server, socket, client).await;
                    drop((guard, permit));
                });
            }
            // Out of descriptors or memory: let sessions end, then go on.
            Err(error) => {
                server.log.warning(format!("accept: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Gives a session's place back, also when it panics.
struct SessionGuard {
    server: Rc<Server>,
    client: IpAddr,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let mut clients = self.server.clients.borrow_mut();
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
        *self.server.open.borrow_mut() -= 1;
        self.server.ended.notify_one();
    }
}

async fn one_session(server: &Rc<Server>, socket: TcpStream, client: std::net::SocketAddr) {
    let Ok(local) = socket.local_addr() else { return };
    let _ = socket.set_nodelay(true);
    let settings = server.settings.clone();
    let lookup = settings.peername_lookup;
    let looked_up = tokio::task::spawn_blocking(move || Peer::look_up(client, local, lookup));
    let peer = match tokio::time::timeout(LOOKUP_PATIENCE, looked_up).await {
        Ok(Ok(peer)) => peer,
        _ => Peer::look_up(client, local, false),
    };
    let mut stream = Stream::new(socket, settings.timeout);
    let count = server.clients.borrow().get(&client.ip()).copied().unwrap_or(0);
    let limit = settings.client_connections;
    if limit > 0 && count > limit && !peer.is_trusted(&settings) {
        let shown = peer.shown();
        server.log.warning(format!("Connection concurrency limit exceeded: {count} from {shown} for service smtp"));
        stream.reply(&format!("421 4.7.0 {} Error: too many connections from {}", settings.myhostname, peer.address));
        stream.close().await;
        return;
    }
    Session::new(settings, server.sink.clone(), server.log.clone(), stream, peer).run().await;
}

/// sendmail -bs: a session on standard input and output, whose mail goes through `submit`.
pub fn on_standard_streams(cf: &MainCf, log: Arc<Log>, submit: Submit) -> Result<(), String> {
    let settings = Arc::new(Settings::new(cf)?);
    let sink = Sink::Maildrop { submit, limit: cf.message_limit() };
    tokio::task::LocalSet::new().block_on(&runtime()?, async {
        let streams = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
        let stream = Stream::new(streams, settings.timeout);
        Session::new(settings, sink, log, stream, Peer::user()).run().await;
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
