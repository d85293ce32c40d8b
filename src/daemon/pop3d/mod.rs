//! POP3 for system users, with Dovecot's configuration and words, in popa3d's arrangement of processes:
//!
//! ```text
//! keeper (root): listening sockets, starts the others, reads nothing from the network
//!   |- login (dovenull): all connections before their login; USER, PASS, AUTH
//!   `- verify (root, one for each attempt): is the password right?
//!        `- becomes: session (the user): one client, one mailbox
//! ```
//!
//! Each is this program executed anew as `pop3d --role NAME` with its sockets on fixed descriptors; none trusts
//! another. Without root, all run as the caller and only the caller can log in.

/// TLS, as configured.
mod encryption;
/// The privileged parent.
mod keeper;
/// Connections before their login.
mod login;
/// A maildir as numbered messages.
mod maildir;
/// A mailbox as numbered messages, and the mbox kind.
mod maildrop;
/// One client after its login.
mod session;
/// Dovecot's settings as this server understands them.
pub mod settings;
/// UIDs that the mailbox does not hold.
mod uids;
/// One attempt to log in.
mod verify;
/// Messages between the processes.
mod wire;
/// The log in Dovecot's words.
mod words;

use settings::Settings;
use std::io;
use std::net::TcpListener;
use std::path::Path;

/// Serves on sockets that are bound already (by master, or by the applet) until SIGTERM. `config` is the file that
/// the other processes read, too.
pub fn serve(listeners: &[TcpListener], config: Option<&Path>) -> io::Result<()> {
    let settings = Settings::read(config).map_err(io::Error::other)?;
    keeper::run(listeners, &settings, config, None)
}

/// As a service of master.cf: `pop3 inet n - n - - pop3d [-c FILE]`.
pub fn run(context: super::skeleton::Context) -> Result<(), String> {
    let config = match context.args.as_slice() {
        [flag, file] if flag == "-c" => Some(Path::new(file)),
        _ => None,
    };
    let listeners: Vec<TcpListener> = context.listeners.into_iter().map(TcpListener::from).collect();
    let settings = Settings::read(config).map_err(|error| error.to_string())?;
    keeper::run(&listeners, &settings, config, context.lifetime.as_ref()).map_err(|error| error.to_string())
}

/// Runs one of the processes that [`serve`] starts: login, verify, session.
pub fn role(name: &str, config: Option<&Path>, listeners: usize) -> io::Result<()> {
    match name {
        "login" => login::run(config, listeners),
        "verify" => verify::run(config),
        "session" => session::run(),
        _ => Err(io::Error::other(format!("no role of the name {name}"))),
    }
}
