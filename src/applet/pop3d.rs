//! pop3d(8): a POP3 server in the foreground, configured by Dovecot's files. Under master it needs no words: the
//! service's sockets are handed to `daemon::pop3d::serve`.

use super::{Applet, Invocation, Purpose};
use crate::daemon::pop3d::{self, settings::Settings};
use crate::exit::{Exit, Failure};
use clap::{Arg, ArgAction, value_parser};
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;

pub const APPLET: Applet = Applet {
    name: "pop3d",
    aliases: &[],
    links: &["sbin/pop3d"],
    section: 8,
    purpose: Purpose::Run,
    about: "let mail readers fetch mail by POP3",
    cli,
    run,
};

fn cli() -> clap::Command {
    let path = value_parser!(PathBuf);
    clap::Command::new("pop3d")
        .about(APPLET.about)
        .arg(
            Arg::new("config")
                .short('c')
                .long("config")
                .value_name("FILE")
                .value_parser(path)
                .help("read this file instead of /etc/dovecot/dovecot.conf"),
        )
        .arg(
            Arg::new("foreground")
                .short('F')
                .action(ArgAction::SetTrue)
                .help("stay in the foreground (it always does; for Dovecot's command lines)"),
        )
        .arg(
            Arg::new("check")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("read the configuration, say what is not honoured, and end"),
        )
        .arg(Arg::new("role").long("role").num_args(1..=2).hide(true))
        .arg(Arg::new("listeners").long("listeners").value_parser(value_parser!(usize)).hide(true))
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let matches = super::cli::long(cli(), &call.args)?;
    let config = matches.get_one::<PathBuf>("config").map(PathBuf::as_path);
    if let Some(role) = matches.get_one::<String>("role") {
        let listeners = matches.get_one::<usize>("listeners").copied().unwrap_or(0);
        // A role that cannot go on has told the log or was told to end; its parent sees the status.
        return Ok(if pop3d::role(role, config, listeners).is_ok() { Exit::OK } else { Exit::OSERR });
    }
    let settings = Settings::read(config).map_err(|error| Failure::new(Exit::CONFIG, format!("fatal: {error}")))?;
    if matches.get_flag("check") {
        let mut out = std::io::stdout().lock();
        for remark in settings.conf.remarks() {
            writeln!(out, "{remark}")?;
        }
        for (address, port) in settings.listeners().map_err(Failure::fatal)? {
            writeln!(out, "listens on {}", SocketAddr::new(address, port))?;
        }
        return Ok(Exit::OK);
    }
    let mut listeners = Vec::new();
    let wanted = settings.listeners().map_err(Failure::fatal)?;
    for &(address, port) in &wanted {
        match listen(address, port) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 has no "::" to listen on, which is no reason not to serve the rest.
            Err(error) if address.is_ipv6() && wanted.len() > 1 => {
                let _ = writeln!(std::io::stderr(), "{}: warning: listen on [{address}]:{port}: {error}", call.program);
            }
            // Without root a port that nobody named is none to insist on.
            Err(error) if port < 1024 && wanted.len() > 1 && !settings.names_port(port) => {
                let error = crate::sys::files::reason(&error);
                let _ =
                    writeln!(std::io::stderr(), "{}: warning: listen on {address} port {port}: {error}", call.program);
            }
            Err(error) => {
                let error = crate::sys::files::reason(&error);
                return Err(Failure::fatal(format!("listen on {address} port {port}: {error}")));
            }
        }
    }
    pop3d::serve(&listeners, config)?;
    Ok(Exit::OK)
}

/// A listening socket; "::" takes IPv6 only, since "*" stands for IPv4.
fn listen(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(address, port).into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}
