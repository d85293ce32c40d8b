//! `smtp://[USER[:PASSWORD]@]HOST[:PORT]` and `smtps://` in the `sendmail` variable: the letter goes to a server (RFC 5321),
//! which lettre speaks to. Behind the host stand mailutils' parameters: `;notls`, `;noauth`, `;auth=MECHANISM`,
//! `;domain=NAME` for EHLO.
//!
//! TLS is used where the server offers it. A password travels in nothing else but to this machine, and only to a server
//! whose certificate is to be trusted; a letter without one goes to any, as from one mail server to another.

use super::mailer::{Passage, Refusal};
use crate::mailbox::remote::Secret;
use crate::message::{address, header};
use crate::sys::files;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use std::error::Error as _;
use std::io::{self, Write};
use std::net::ToSocketAddrs;
use std::time::Duration;

/// An answer takes no longer (RFC 5321, 4.5.3.2, has up to ten minutes for the last one).
const PATIENCE: Duration = Duration::from_secs(300);

const REJECTED: &str = "Operation rejected by remote party";

/// Where the letter goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    /// TLS from the first byte on.
    tls: bool,
    pub user: Option<String>,
    pub password: Option<String>,
    pub host: String,
    port: u16,
    parameters: Vec<String>,
}

impl Server {
    /// What stands behind "smtp:" or "smtps:".
    pub fn parse(tls: bool, rest: &str) -> Result<Server, Refusal> {
        // Without "//" it is the path of a socket, and those are not served.
        let rest = rest.strip_prefix("//").ok_or_else(|| Refusal::Open("No such file or directory".into()))?;
        let rest = rest.split(['?', '/']).next().unwrap_or_default();
        let (account, place) = rest.rsplit_once('@').map_or((None, rest), |(account, place)| (Some(account), place));
        let mut parts = place.split(';');
        let place = parts.next().unwrap_or_default();
        let mut parameters: Vec<String> = parts.map(str::to_owned).collect();
        let (mut user, mut password) = (None, None);
        if let Some(account) = account {
            let mut parts = account.split(';');
            let names = parts.next().unwrap_or_default();
            parameters.extend(parts.map(str::to_owned));
            let (name, secret) = names.split_once(':').map_or((names, None), |(name, secret)| (name, Some(secret)));
            user = Some(decoded(name)).filter(|name| !name.is_empty());
            password = secret.map(decoded);
        }
        let bad_port = || Refusal::Create("Invalid port or service specification");
        let split = place.strip_prefix('[').and_then(|inside| inside.split_once(']'));
        let (host, port) = match split {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let usual = if tls { 465 } else { 25 };
        let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| bad_port()))?;
        if host.is_empty() {
            return Err(Refusal::Open("Address family not supported".into()));
        }
        Ok(Server { tls, user, password, host: host.to_owned(), port, parameters })
    }

    fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|known| known == parameter)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find_map(|known| known.strip_prefix(name)?.strip_prefix('='))
    }

    /// Hands over the letter. Recipients that the server refuses are told; the others get it.
    pub fn send(
        &self,
        account: Option<&(String, Secret)>,
        passage: &Passage,
        trace: &mut dyn FnMut(&str),
    ) -> Result<(), Refusal> {
        let (recipients, content) = envelope(passage);
        let mut connection = self.open(account, passage)?;
        let from = passage.chosen.as_deref().or(passage.sender.as_deref()).unwrap_or_default();
        if passage.chosen.is_none() {
            trace(&format!("mu_mailer_send_message(): using From: {from}"));
        }
        let refused = |connection: &mut SmtpConnection, error: Error| {
            connection.abort();
            Refusal::End(reason(&error))
        };
        let ask = |connection: &mut SmtpConnection, trace: &mut dyn FnMut(&str), command: &str| {
            let answer = command_of(connection, trace, command);
            answer.map(drop).map_err(|error| refused(connection, error))
        };
        ask(&mut connection, trace, &format!("MAIL FROM:<{from}>"))?;
        let mut taken = 0;
        for recipient in &recipients {
            match command_of(&mut connection, trace, &format!("RCPT TO:<{recipient}>")) {
                Ok(_) => taken += 1,
                Err(error) if error.status().is_some() => {
                    let _ = writeln!(io::stderr(), "{recipient}: {}", words(&error));
                }
                Err(error) => return Err(refused(&mut connection, error)),
            }
        }
        if taken == 0 {
            connection.abort();
            return Err(Refusal::End(REJECTED.to_owned()));
        }
        ask(&mut connection, trace, "DATA")?;
        // The client's last line end belongs to the dot.
        let answer = connection.message(content.strip_suffix(b"\r\n").unwrap_or(&content));
        answer.map_err(|error| refused(&mut connection, error))?;
        // It is the server's by now, whatever it says at parting.
        let _ = connection.quit();
        Ok(())
    }

    /// Connected, greeted, encrypted and logged in.
    fn open(&self, account: Option<&(String, Secret)>, passage: &Passage) -> Result<SmtpConnection, Refusal> {
        let hello = ClientId::Domain(self.value("domain").unwrap_or(&passage.host).to_owned());
        let refused = |error: Error| Refusal::Open(reason(&error));
        let places = (self.host.as_str(), self.port).to_socket_addrs();
        let places = places.map_err(|_| Refusal::Open("Name or service not known".into()))?;
        let wrapped = if self.tls { Some(parameters(&self.host, false).map_err(refused)?) } else { None };
        let mut failure = Refusal::Open("Name or service not known".into());
        for place in places {
            let local = place.ip().is_loopback();
            let mut connection = match SmtpConnection::connect(place, Some(PATIENCE), &hello, wrapped.as_ref(), None) {
                Ok(connection) => connection,
                Err(error) => {
                    failure = refused(error);
                    continue;
                }
            };
            let account = account.filter(|_| !self.has("noauth"));
            // Certificates of a machine for itself are rarely signed, and nobody listens in between.
            if connection.can_starttls() && !local && !self.has("notls") {
                let tls = parameters(&self.host, account.is_none()).map_err(refused)?;
                connection.starttls(&tls, &hello).map_err(refused)?;
            }
            if let Some((user, secret)) = account
                && connection.server_info().get_auth_mechanism(&self.mechanisms()).is_some()
            {
                if !local && !connection.is_encrypted() {
                    connection.abort();
                    let plain = crate::mailbox::remote::RemoteError::Plain;
                    return Err(Refusal::Open(plain.to_string()));
                }
                let credentials = Credentials::new(user.clone(), secret.0.clone());
                connection.auth(&self.mechanisms(), &credentials).map_err(refused)?;
            }
            return Ok(connection);
        }
        Err(failure)
    }

    fn mechanisms(&self) -> Vec<Mechanism> {
        match self.value("auth").map(str::to_ascii_lowercase).as_deref() {
            Some("plain") => vec![Mechanism::Plain],
            Some("login") => vec![Mechanism::Login],
            _ => vec![Mechanism::Plain, Mechanism::Login],
        }
    }
}

fn command_of(connection: &mut SmtpConnection, trace: &mut dyn FnMut(&str), command: &str) -> Result<Response, Error> {
    trace(&format!("C: {command}"));
    let answer = connection.command(Line(command));
    match &answer {
        Ok(answer) => trace(&format!("S: {} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" "))),
        Err(error) => trace(&format!("S: {}", words(error))),
    }
    answer
}

/// A command and its line end.
struct Line<'c>(&'c str);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing that stands in an address is one more command.
        f.write_str(self.0.split(['\r', '\n']).next().unwrap_or_default())?;
        f.write_str("\r\n")
    }
}

/// TLS with the machine's certificate authorities; `any`: with whatever certificate the server has.
fn parameters(host: &str, any: bool) -> Result<TlsParameters, Error> {
    TlsParameters::builder(host.to_owned())
        .dangerous_accept_invalid_certs(any)
        .dangerous_accept_invalid_hostnames(any)
        .build_rustls()
}

/// The recipients, and the letter as it travels: without Bcc, with the network's line ends.
fn envelope(passage: &Passage) -> (Vec<String>, Vec<u8>) {
    let (block, body) = header::split(passage.letter);
    let mut recipients: Vec<String> = Vec::new();
    let mut content = Vec::with_capacity(passage.letter.len() + passage.letter.len() / 32);
    for field in header::fields(block) {
        if ["To", "Cc", "Bcc"].iter().any(|name| field.is(name)) {
            let value = String::from_utf8_lossy(&header::unfold(field.value)).into_owned();
            for one in address::parse(&value).unwrap_or_default() {
                let mailbox = one.qualified(&passage.host).mailbox;
                if !recipients.iter().any(|known| known.eq_ignore_ascii_case(&mailbox)) {
                    recipients.push(mailbox);
                }
            }
        }
        if !field.is("Bcc") {
            push_lines(&mut content, field.raw);
        }
    }
    content.extend_from_slice(b"\r\n");
    push_lines(&mut content, body);
    (recipients, content)
}

fn push_lines(out: &mut Vec<u8>, text: &[u8]) {
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
}

/// Why it did not work, in mailutils' words; what the server said, which mailutils keeps to itself, is shown.
fn reason(error: &Error) -> String {
    if error.status().is_some() {
        let _ = writeln!(io::stderr(), "{}", words(error));
        return REJECTED.to_owned();
    }
    io_reason(error)
}

/// "550 no such user".
fn words(error: &Error) -> String {
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    error.status().map_or_else(|| said.clone(), |code| format!("{code} {said}"))
}

fn io_reason(error: &Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        match inner.downcast_ref::<io::Error>() {
            Some(io) if io.raw_os_error().is_some() => return files::reason(io),
            Some(io) if io.get_ref().is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>()) => {
                let _ = writeln!(io::stderr(), "{io}");
                return "TLS error".to_owned();
            }
            Some(io) if matches!(io.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                return "Connection timed out".to_owned();
            }
            _ => cause = inner.source(),
        }
    }
    if error.is_tls() {
        let _ = writeln!(io::stderr(), "{}", words(error));
        "TLS error".to_owned()
    } else if error.is_response() && !error.to_string().contains("incomplete") {
        "Invalid reply from the remote host".to_owned()
    } else {
        "Input/output error".to_owned()
    }
}

/// "%40" is "@".
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers() {
        let parse =
            |rest| Server::parse(false, rest).map(|server| (server.user, server.password, server.host, server.port));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parse("//h"), Ok((None, None, "h".into(), 25)));
        assert_eq!(parse("//u%40x:p%3a@h:587/;notls"), Ok((some("u@x"), some("p:"), "h".into(), 587)));
        assert_eq!(parse("//u;auth=plain@[::1]:26?x=y"), Ok((some("u"), None, "::1".into(), 26)));
        assert_eq!(parse("//h:x"), Err(Refusal::Create("Invalid port or service specification")));
        assert_eq!(parse("//"), Err(Refusal::Open("Address family not supported".into())));
        assert_eq!(parse("h"), Err(Refusal::Open("No such file or directory".into())));
        let server = Server::parse(true, "//h;domain=me.org;auth=login").unwrap();
        assert_eq!(
            (server.port, server.value("domain"), server.mechanisms()),
            (465, Some("me.org"), vec![Mechanism::Login])
        );
    }
}
