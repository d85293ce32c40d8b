//! The process that speaks with strangers: no privileges, no files, many connections. It reads names and passwords and
//! hands them with the client's socket to the keeper; what comes back is one word. Wrong passwords are answered late,
//! later each time for one address.

use super::encryption;
use super::settings::Settings;
use super::wire::{FINISH, Request, Verdict};
use super::words::{Words, session_name};
use crate::daemon::transport::Transport;
use crate::proto::pop3::{Credentials, Ending, Login, Step, Tls, reply};
use crate::proto::tls_server::Server;
use crate::sys::{accounts, descriptor, privilege, spawn};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;

/// The socket to the keeper; the listening sockets follow.
pub const CONTROL: i32 = 3;
/// From the greeting to the login.
const LOGIN_TIME: Duration = Duration::from_secs(180);
/// For the keeper's answer.
const VERDICT_TIME: Duration = Duration::from_secs(90);
/// Longest extra wait for an address that guesses.
const LONGEST_PENALTY: u64 = 15;
/// How long a wrong guess is held against an address.
const MEMORY: Duration = Duration::from_secs(3600);
/// Addresses that are remembered.
const REMEMBERED: usize = 10_000;

/// What all connections share.
struct Shared {
    settings: Settings,
    log: Words,
    control: UnixStream,
    /// None: TLS is not offered.
    tls: Option<Server>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_id: u32,
    waiting: HashMap<u32, oneshot::Sender<Verdict>>,
    guesses: HashMap<IpAddr, (u32, Instant)>,
    connections: HashMap<IpAddr, usize>,
    all: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A connection that panicked with the lock left counters, which are whole at any time.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Seconds that an address waits before its password is looked at.
    fn penalty(&self, remote: IpAddr) -> u64 {
        let state = self.state();
        let recent = state.guesses.get(&remote).filter(|(_, last)| last.elapsed() < MEMORY);
        recent.map_or(0, |(count, _)| (1u64 << (*count).min(5)).min(LONGEST_PENALTY))
    }

    fn guessed(&self, remote: IpAddr, right: bool) {
        let mut state = self.state();
        if right {
            state.guesses.remove(&remote);
            return;
        }
        if state.guesses.len() >= REMEMBERED {
            state.guesses.retain(|_, (_, last)| last.elapsed() < Duration::from_secs(60));
        }
        if state.guesses.len() < REMEMBERED || state.guesses.contains_key(&remote) {
            let guess = state.guesses.entry(remote).or_insert((0, Instant::now()));
            *guess = (guess.0.saturating_add(1), Instant::now());
        }
    }
}

/// The process: descriptor 3 leads to the keeper, `listeners` listening sockets follow.
pub fn run(config: Option<&Path>, listeners: usize) -> io::Result<()> {
    let missing = || io::Error::other("not started by pop3d");
    let control = spawn::inherited(CONTROL).ok_or_else(missing)?;
    let sockets: Vec<std::net::TcpListener> = (CONTROL + 1..)
        .take(listeners.min(12))
        .map(|number| spawn::inherited(number).map(std::net::TcpListener::from).ok_or_else(missing))
        .collect::<io::Result<_>>()?;
    let settings = Settings::read(config).map_err(io::Error::other)?;
    let log = Words::open(&settings.conf);
    let tls = encryption::server(&settings.conf).unwrap_or_else(|fault| {
        log.error("pop3-login", &format!("TLS is not offered: {fault}"));
        None
    });
    many_descriptors(settings.client_limit);
    give_up_privileges(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Sequenced packets under a stream's name: only readiness is asked of it, never read or write.
        let control = std::os::unix::net::UnixStream::from(control);
        control.set_nonblocking(true)?;
        let control = UnixStream::from_std(control)?;
        let shared = Arc::new(Shared { settings, log, control, tls, state: Mutex::default() });
        let mut doors = Vec::new();
        for socket in sockets {
            socket.set_nonblocking(true)?;
            doors.push(tokio::spawn(accept(TcpListener::from_std(socket)?, shared.clone())));
        }
        answers(&shared, &doors).await
    })
}

/// A descriptor for each connection, as far as the system lets us; what is missing is missed at accept only.
fn many_descriptors(connections: usize) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let wanted = connections as u64 + 64;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
        && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_err()
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(wanted), hard);
    }
}

/// Becomes default_login_user, or nobody where there is no such user.
fn give_up_privileges(settings: &Settings) -> io::Result<()> {
    if accounts::effective_uid() == 0 {
        let wanted = settings.conf.value("default_login_user", "dovenull");
        let account = accounts::by_name(wanted)
            .or_else(|| accounts::by_name("nobody"))
            .filter(|account| account.uid != 0)
            .ok_or_else(|| io::Error::other(format!("default_login_user: there is no user {wanted}")))?;
        privilege::drop_for_good(account.uid, account.gid, &[])?;
    }
    privilege::forbid_new_privileges()
}

/// Hands the keeper's answers to those who wait, until the keeper is gone, or until the last connection has ended after
/// it said that no more are taken.
async fn answers(shared: &Shared, doors: &[tokio::task::JoinHandle<()>]) -> io::Result<()> {
    let mut finishing = false;
    loop {
        let answer = shared.control.async_io(Interest::READABLE, || descriptor::receive(&shared.control, 256));
        let patience = Duration::from_millis(if finishing { 100 } else { 3_600_000 });
        let answer = tokio::time::timeout(patience, answer).await;
        if finishing && shared.state().all == 0 {
            return Ok(());
        }
        let Ok(answer) = answer else { continue };
        let (message, _) = answer?;
        if message.is_empty() {
            return Ok(());
        }
        if matches!(Verdict::decode(&message), Some((FINISH, _))) {
            finishing = true;
            doors.iter().for_each(tokio::task::JoinHandle::abort);
            continue;
        }
        if let Some((id, verdict)) = Verdict::decode(&message)
            && let Some(waiting) = shared.state().waiting.remove(&id)
        {
            let _ = waiting.send(verdict);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, remote)) = listener.accept().await else {
            // Out of descriptors or memory: others may end meanwhile.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let address = remote.ip().to_canonical();
        let limit = shared.settings.client_limit;
        {
            let mut state = shared.state();
            let own = state.connections.get(&address).copied().unwrap_or(0);
            // One address gets no more than half of the places.
            if state.all >= limit || own >= (limit / 2).max(1) {
                continue;
            }
            state.all += 1;
            *state.connections.entry(address).or_default() += 1;
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            let _place = Place { shared: &shared, address };
            let _ = Connection::new(stream, address, remote.port(), &shared).serve().await;
        });
    }
}

/// A counted connection; it is uncounted when it ends, however it ends.
struct Place<'s> {
    shared: &'s Shared,
    address: IpAddr,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.all = state.all.saturating_sub(1);
        if let Some(count) = state.connections.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.connections.remove(&self.address);
            }
        }
    }
}

struct Connection<'s> {
    stream: Transport<TcpStream>,
    socket: RawFd,
    /// It is encrypted from its first byte.
    begins_encrypted: bool,
    encrypted: bool,
    /// Why the handshake failed.
    handshake: Option<String>,
    remote: IpAddr,
    local: IpAddr,
    session: String,
    shared: &'s Shared,
    login: Login,
    since: Instant,
    attempts: u32,
    user: String,
}

/// Why a connection ended without a login.
enum Gone {
    Said(Ending),
    Closed,
    Idle,
    /// The keeper or a session has it, or all was said.
    Done,
}

impl<'s> Connection<'s> {
    fn new(stream: TcpStream, remote: IpAddr, port: u16, shared: &'s Shared) -> Connection<'s> {
        let local = stream.local_addr().map_or(remote, |local| local.ip().to_canonical());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
        let plain = shared.settings.plain_allowed(remote, local);
        let _ = stream.set_nodelay(true);
        let port_here = stream.local_addr().map_or(0, |local| local.port());
        let begins_encrypted = shared.settings.encrypted_port() == Some(port_here);
        let tls = if shared.tls.is_some() { Tls::Offered } else { Tls::Unknown };
        Connection {
            socket: stream.as_raw_fd(),
            stream: Transport::Plain(stream),
            begins_encrypted,
            encrypted: false,
            handshake: None,
            remote,
            local,
            session: session_name(port, remote, now),
            shared,
            login: Login::new(&shared.settings.greeting, plain, tls),
            since: Instant::now(),
            attempts: 0,
            user: String::new(),
        }
    }

    /// Everything up to the greeting.
    async fn begin(&mut self) -> io::Result<()> {
        if self.begins_encrypted {
            self.encrypt().await?;
        }
        let greeting = self.login.greeting();
        self.say(&greeting).await
    }

    async fn serve(mut self) -> io::Result<()> {
        let gone = match self.begin().await {
            Ok(()) => self.talk().await.unwrap_or(Gone::Closed),
            Err(_) => Gone::Closed,
        };
        let why = match gone {
            Gone::Done => return Ok(()),
            Gone::Said(Ending::LoggedOut) => "Aborted login by logging out",
            Gone::Said(Ending::TooManyMistakes) => "Disconnected: Too many bad commands",
            Gone::Said(Ending::LineTooLong) => "Input buffer full",
            Gone::Closed => match &self.handshake {
                Some(fault) => &format!("Connection closed: SSL_accept() failed: {fault}"),
                None => "Connection closed",
            },
            Gone::Idle => "Inactivity",
        };
        let seconds = self.since.elapsed().as_secs();
        let attempts = match self.attempts {
            0 => format!("no auth attempts in {seconds} secs"),
            count => format!("auth failed, {count} attempts in {seconds} secs"),
        };
        self.info(&format!("Disconnected: {why} ({attempts})"), None);
        Ok(())
    }

    fn info(&self, text: &str, process: Option<u32>) {
        let method = if self.attempts > 0 || process.is_some() { ", method=PLAIN" } else { "" };
        let process = process.map(|process| format!(", mpid={process}")).unwrap_or_default();
        let secured = match &self.handshake {
            Some(fault) => &format!(", TLS handshaking: SSL_accept() failed: {fault}"),
            None if self.encrypted => ", TLS",
            None if self.remote == self.local => ", secured",
            None => "",
        };
        self.shared.log.info(
            "pop3-login",
            &format!(
                "{text}: user=<{}>{method}, rip={}, lip={}{process}{secured}, session=<{}>",
                self.user, self.remote, self.local, self.session
            ),
        );
    }

    async fn talk(&mut self) -> io::Result<Gone> {
        let mut buffer = [0; 2048];
        loop {
            match self.login.step() {
                Step::Reply(said) => self.say(&said).await?,
                Step::Close(said, ending) => {
                    self.say(&said).await?;
                    return Ok(Gone::Said(ending));
                }
                Step::StartTls(said) => {
                    self.say(&said).await?;
                    self.encrypt().await?;
                }
                Step::Verify(credentials) => {
                    if let Some(gone) = self.verify(credentials).await? {
                        return Ok(gone);
                    }
                }
                Step::More => {
                    let left = LOGIN_TIME.saturating_sub(self.since.elapsed()).max(Duration::from_secs(1));
                    match tokio::time::timeout(left, self.stream.read(&mut buffer)).await {
                        Ok(Ok(0) | Err(_)) => return Ok(Gone::Closed),
                        Ok(Ok(count)) => self.login.push(&buffer[..count]),
                        Err(_) => {
                            self.say(&reply("-ERR Disconnected for inactivity.")).await?;
                            return Ok(Gone::Idle);
                        }
                    }
                }
            }
        }
    }

    async fn say(&mut self, said: &[u8]) -> io::Result<()> {
        let write = async {
            self.stream.write_all(said).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(Duration::from_secs(60), write).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// STLS (RFC 2595), or the beginning of a connection to the pop3s port.
    async fn encrypt(&mut self) -> io::Result<()> {
        let Some(server) = &self.shared.tls else { return Err(io::ErrorKind::Unsupported.into()) };
        let (config, _) = server.session().map_err(io::Error::other)?;
        let left = LOGIN_TIME.saturating_sub(self.since.elapsed()).max(Duration::from_secs(1));
        if let Err(error) = self.stream.encrypt(config, left).await {
            self.handshake = Some(crate::sys::files::reason(&error));
            return Err(error);
        }
        self.encrypted = true;
        self.login.encrypted();
        Ok(())
    }

    /// Carries bytes between an encrypted client and its session, which knows of no TLS, until either ends.
    async fn carry(&mut self, session: std::os::unix::net::UnixStream) {
        if session.set_nonblocking(true).is_ok()
            && let Ok(mut session) = UnixStream::from_std(session)
        {
            let _ = tokio::io::copy_bidirectional(&mut self.stream, &mut session).await;
        }
    }

    /// None: the client may try again.
    async fn verify(&mut self, credentials: Credentials) -> io::Result<Option<Gone>> {
        self.user = String::from_utf8_lossy(&credentials.user).into_owned();
        tokio::time::sleep(Duration::from_secs(self.shared.penalty(self.remote))).await;
        // An encrypted client stays here; its session gets a socket that leads here.
        let pair = if self.encrypted { Some(std::os::unix::net::UnixStream::pair()?) } else { None };
        let theirs = pair.as_ref().map_or(self.socket, |(_, theirs)| theirs.as_raw_fd());
        let verdict = self.ask(credentials, theirs).await;
        match verdict {
            Verdict::Yes(process) => {
                self.shared.guessed(self.remote, true);
                self.info("Login", Some(process));
                if let Some((ours, theirs)) = pair {
                    drop(theirs);
                    self.carry(ours).await;
                }
                Ok(Some(Gone::Done))
            }
            Verdict::Crowded => {
                let limit = self.shared.settings.max_per_user_and_address;
                let text = format!(
                    "-ERR [IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections={limit})"
                );
                self.say(&reply(&text)).await?;
                self.attempts += 1;
                self.info(
                    &format!(
                        "Maximum number of connections from user+IP exceeded (mail_max_userip_connections={limit})"
                    ),
                    None,
                );
                Ok(Some(Gone::Done))
            }
            Verdict::No | Verdict::Temporary => {
                self.attempts += 1;
                tokio::time::sleep(Duration::from_secs(self.shared.settings.failure_delay)).await;
                if verdict == Verdict::No {
                    self.shared.guessed(self.remote, false);
                }
                let said = self.login.refused(verdict == Verdict::Temporary);
                self.say(&said).await?;
                Ok(None)
            }
        }
    }

    /// Sends the credentials and a socket to the keeper and waits for its word.
    async fn ask(&mut self, credentials: Credentials, client: RawFd) -> Verdict {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut state = self.shared.state();
            state.next_id = state.next_id.wrapping_add(1);
            let id = state.next_id;
            state.waiting.insert(id, sender);
            id
        };
        // What came behind the password goes along; when the password is wrong, it is ours again.
        let rest = self.login.rest();
        let request = Request {
            id,
            user: credentials.user,
            password: credentials.password,
            remote: self.remote.to_string(),
            session: self.session.clone(),
            rest: rest.clone(),
        };
        let mut message = request.encode();
        let sent = self
            .shared
            .control
            .async_io(Interest::WRITABLE, || descriptor::send(&self.shared.control, &message, Some(client)))
            .await;
        message.fill(0);
        let verdict = match sent {
            Ok(()) => tokio::time::timeout(VERDICT_TIME, receiver).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        self.shared.state().waiting.remove(&id);
        let verdict = verdict.unwrap_or(Verdict::Temporary);
        if !matches!(verdict, Verdict::Yes(_)) {
            self.login.push(&rest);
        }
        verdict
    }
}
