//! smtpd_proxy_filter (SMTPD_PROXY_README): an SMTP server that is asked before mail is accepted, and that brings it to the
//! queue itself, by another smtpd. Each MAIL and RCPT that is fine here is repeated there as it was sent, and the content goes
//! there as it comes; its last word is the client's answer. Nothing is kept here, so nothing is accepted here either.

use super::endpoint::{self, Both};
use super::session::Session;
use super::stream::Duplex;
use crate::conf::MainCf;
use crate::log::event::{Event, text};
use crate::message::{envelope, stamp};
use crate::proto::dot::Encoder;
use crate::proto::smtp_reply::{Collector, Reply, Step};
use crate::proto::xtext;
use std::io;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// What the client is told when the filter cannot be talked to, as in the reference.
pub const TROUBLE: &str = "451 4.3.0 Error: queue file write error";
/// Longest line of a reply.
const MAX_LINE: u64 = 2048;
/// Longest line of XFORWARD.
const MAX_COMMAND: usize = 500;
/// Content goes out in pieces of about this size.
const PIECE: usize = 32 * 1024;

pub struct FilterSettings {
    /// "127.0.0.1:10025", "inet:...", "unix:path"; empty: there is none.
    server: String,
    name: String,
    patience: Duration,
}

impl FilterSettings {
    pub fn new(cf: &MainCf) -> FilterSettings {
        let server = cf.smtpd_proxy_filter();
        let named = |kind: &str| server.starts_with(kind);
        FilterSettings {
            server: if server.is_empty() || named("inet:") || named("unix:") {
                server
            } else {
                format!("inet:{server}")
            },
            name: cf.smtpd_proxy_ehlo(),
            patience: cf.smtpd_proxy_timeout().max(Duration::from_secs(1)),
        }
    }

    pub fn is_set(&self) -> bool {
        !self.server.is_empty()
    }

    /// As log lines name it.
    fn place(&self) -> &str {
        self.server.strip_prefix("inet:").unwrap_or(&self.server)
    }
}

/// A connection to the filter, for one message.
pub struct Talk {
    stream: BufReader<Box<dyn Both>>,
    encoder: Encoder,
    buffer: Vec<u8>,
    /// The first recipient, for the log.
    recipient: String,
}

impl Talk {
    async fn reply(&mut self, patience: Duration) -> io::Result<Reply> {
        let read = async {
            let mut collector = Collector::default();
            loop {
                let mut line = Vec::new();
                if (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                while line.pop_if(|last| matches!(*last, b'\n' | b'\r')).is_some() {}
                match collector.line(&line) {
                    Step::More => {}
                    Step::Done(reply) => return Ok(reply),
                    Step::Malformed(_) => return Err(io::ErrorKind::InvalidData.into()),
                }
            }
        };
        timeout(patience, read).await?
    }

    async fn ask(&mut self, command: &str, patience: Duration) -> io::Result<Reply> {
        // A carriage return in the middle would be a line end to some.
        self.buffer.extend(command.bytes().map(|byte| if byte.is_ascii_control() { b'?' } else { byte }));
        self.buffer.extend_from_slice(b"\r\n");
        self.push(patience).await?;
        self.reply(patience).await
    }

    async fn push(&mut self, patience: Duration) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.buffer);
        let write = async {
            self.stream.get_mut().write_all(&bytes).await?;
            self.stream.get_mut().flush().await
        };
        timeout(patience, write).await?
    }

    /// A line of content, for later.
    pub fn line(&mut self, line: &[u8], newline: bool) {
        self.encoder.line(line, newline, 0, &mut self.buffer);
    }

    pub fn is_full(&self) -> bool {
        self.buffer.len() >= PIECE
    }
}

/// Lines of a reply as they stood.
fn said(reply: &Reply) -> String {
    let last = reply.lines.len().saturating_sub(1);
    let line = |(at, text): (usize, &String)| format!("{}{}{text}", reply.code, if at == last { ' ' } else { '-' });
    reply.lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
}

impl<S: Duplex> Session<S> {
    /// Whether mail goes through a filter before it is accepted.
    pub fn asks_before_queue(&self) -> bool {
        self.settings.before_queue.is_set() && !self.peer.is_user
    }

    /// Asks the filter about a recipient that is fine here; the error is the reply for the client.
    pub async fn forward_recipient(&mut self, address: &str, rest: &str) -> Result<(), String> {
        let mut talk = match self.transaction.talk.take() {
            Some(talk) => talk,
            None => {
                let talk = self.open_talk(address).await?;
                let client = self.shown_with_login();
                self.log.event(&Event::Client { queue_id: text("NOQUEUE"), client: text(&client) });
                talk
            }
        };
        let answer = self.told(&mut talk, &format!("RCPT {rest}"), 200..300).await;
        // A filter that is lost is tried again with the next recipient.
        if !matches!(&answer, Err(None)) {
            self.transaction.talk = Some(talk);
        }
        answer.map(drop).map_err(|reply| reply.unwrap_or_else(|| TROUBLE.to_owned()))
    }

    async fn open_talk(&mut self, address: &str) -> Result<Talk, String> {
        let settings = self.settings.clone();
        let filter = &settings.before_queue;
        let place = filter.place();
        let connected = timeout(filter.patience, endpoint::connect(&filter.server)).await;
        let stream = connected.map_err(io::Error::from).and_then(|stream| stream).map_err(|error| {
            let reason = crate::sys::files::reason(&error);
            self.log.warning(format!("connect to proxy filter {place}: {reason}"));
            TROUBLE
        })?;
        let mut talk = Talk {
            stream: BufReader::new(stream),
            encoder: Encoder::default(),
            buffer: Vec::new(),
            recipient: address.to_owned(),
        };
        let trouble = |reply: Option<String>| reply.map_or(TROUBLE, |_| TROUBLE).to_owned();
        match talk.reply(filter.patience).await {
            Ok(reply) if (200..300).contains(&reply.code) => {}
            Ok(reply) => {
                self.log.warning(format!("proxy {place} rejected \"connection request\": \"{}\"", said(&reply)));
                return Err(TROUBLE.to_owned());
            }
            Err(error) => {
                self.tell_loss(&error);
                return Err(TROUBLE.to_owned());
            }
        }
        let hello = self.told(&mut talk, &format!("EHLO {}", filter.name), 200..300).await.map_err(trouble)?;
        let offered = hello.lines.iter().find_map(|line| line.strip_prefix("XFORWARD ").map(str::to_owned));
        for command in offered.map(|offered| self.xforward_commands(&offered)).unwrap_or_default() {
            self.told(&mut talk, &command, 200..300).await.map_err(trouble)?;
        }
        let mail = format!("MAIL {}", self.transaction.mail_command);
        let answer = self.told(&mut talk, &mail, 200..300).await;
        answer.map(|_| talk).map_err(|reply| reply.unwrap_or_else(|| TROUBLE.to_owned()))
    }

    /// What the filter says to a command. The error is a reply that was not wanted, told in the log; None: it is lost.
    async fn told(
        &self,
        talk: &mut Talk,
        command: &str,
        wanted: std::ops::Range<u16>,
    ) -> Result<Reply, Option<String>> {
        let filter = &self.settings.before_queue;
        match talk.ask(command, filter.patience).await {
            Ok(reply) if wanted.contains(&reply.code) => Ok(reply),
            Ok(reply) => {
                let (place, reply) = (filter.place(), said(&reply));
                self.log.warning(format!("proxy {place} rejected \"{command}\": \"{reply}\""));
                Err(Some(reply))
            }
            Err(error) => {
                self.tell_loss(&error);
                Err(None)
            }
        }
    }

    fn tell_loss(&self, error: &io::Error) {
        let place = self.settings.before_queue.place();
        self.log.warning(match error.kind() {
            io::ErrorKind::TimedOut => format!("timeout talking to proxy {place}"),
            io::ErrorKind::InvalidData => format!("malformed response from proxy {place}"),
            _ => format!("lost connection with proxy {place}"),
        });
    }

    /// Who the client is, in words that the filter knows.
    fn xforward_commands(&self, offered: &str) -> Vec<String> {
        let peer = &self.peer;
        let address = peer.address_text();
        let known = |value: &str| match value {
            "" | "unknown" => "[UNAVAILABLE]".to_owned(),
            value => xtext::encode(value),
        };
        let local = peer.is_local_client(&self.settings, self.login.is_some(), self.secured.as_deref());
        let values = [
            ("NAME", known(&peer.name)),
            ("ADDR", known(&address)),
            ("PORT", peer.port.to_string()),
            ("PROTO", self.protocol().to_owned()),
            ("HELO", known(self.helo.as_deref().unwrap_or_default())),
            ("SOURCE", if local { "LOCAL" } else { "REMOTE" }.to_owned()),
        ];
        let offers = |name: &str| offered.split_whitespace().any(|word| word.eq_ignore_ascii_case(name));
        let mut commands: Vec<String> = Vec::new();
        for (name, value) in values.iter().filter(|(name, _)| offers(name)) {
            let word = format!(" {name}={value}");
            match commands.last_mut().filter(|line| line.len() + word.len() <= MAX_COMMAND) {
                Some(line) => line.push_str(&word),
                None => commands.push(format!("XFORWARD{word}")),
            }
        }
        commands
    }

    /// DATA; the error is the reply for the client, whose transaction goes on.
    pub async fn forward_data(&mut self) -> Result<Option<Talk>, String> {
        let Some(mut talk) = self.transaction.talk.take() else { return Ok(None) };
        match self.told(&mut talk, "DATA", 300..400).await {
            Ok(_) => {}
            Err(Some(reply)) => {
                self.transaction.talk = Some(talk);
                return Err(reply);
            }
            Err(None) => return Err(TROUBLE.to_owned()),
        }
        for line in self.own_headers() {
            talk.line(line.as_bytes(), true);
        }
        Ok(Some(talk))
    }

    /// What stands before the content: our Received header, and what access tables prepend.
    fn own_headers(&self) -> Vec<String> {
        let client = self.client();
        let helo = if client.helo.is_empty() { "unknown" } else { &client.helo };
        let mut lines = self.transaction.effects.prepend.clone();
        lines.push(format!("Received: from {helo} ({} [{}])", client.name, client.address));
        let letter = |condition, letter| if condition && client.protocol != "SMTP" { letter } else { "" };
        let (tls, login) = (letter(self.secured.is_some(), "S"), letter(self.login.is_some(), "A"));
        if let Some(secured) = self.secured.as_ref().filter(|_| client.secured_header) {
            lines.extend(secured.received());
        }
        if let Some(own) = self.login.as_ref().filter(|_| client.login_header) {
            lines.push(format!("\t(Authenticated sender: {})", own.name));
        }
        let settings = &self.settings;
        let by = format!("\tby {} ({}) with {}{tls}{login}", settings.myhostname, settings.mail_name, client.protocol);
        let date = stamp::rfc5322(SystemTime::now());
        match self.transaction.recipients.as_slice() {
            [one] => lines.extend([by, format!("\tfor <{}>; {date}", envelope::quote(&one.address))]),
            _ => lines.extend([format!("{by};"), format!("\t{date}")]),
        }
        lines
    }

    /// Sends what is there of the content. False: the filter is lost.
    pub async fn forward_content(&self, talk: &mut Talk) -> bool {
        match talk.push(self.settings.before_queue.patience).await {
            Ok(()) => true,
            Err(error) => {
                self.tell_loss(&error);
                false
            }
        }
    }

    /// The end of the content; gives the reply for the client. None: the filter was lost before.
    pub async fn forward_end(&mut self, talk: Option<Talk>, recipient: &str) -> Result<String, String> {
        let mut recipient = recipient.to_owned();
        let reply = match talk {
            Some(mut talk) => {
                recipient.clone_from(&talk.recipient);
                let Talk { encoder, buffer, .. } = &mut talk;
                encoder.end(buffer);
                let patience = self.settings.before_queue.patience;
                let sent = talk.push(patience).await;
                let answer = match sent {
                    Ok(()) => talk.reply(patience).await,
                    Err(error) => Err(error),
                };
                match answer {
                    Ok(reply) => {
                        talk.buffer.extend_from_slice(b"QUIT\r\n");
                        let _ = talk.push(patience).await;
                        said(&reply)
                    }
                    Err(error) => {
                        self.tell_loss(&error);
                        TROUBLE.to_owned()
                    }
                }
            }
            None => TROUBLE.to_owned(),
        };
        let good = reply.starts_with('2');
        let mut line = format!("proxy-{}: END-OF-MESSAGE: {reply};", if good { "accept" } else { "reject" });
        let sender = self.transaction.sender.as_deref().unwrap_or_default();
        line.push_str(&format!(" from=<{}> to=<{}>", envelope::quote_path(sender), envelope::quote(&recipient)));
        line.push_str(&format!(" proto={}", self.protocol()));
        if let Some(helo) = &self.helo {
            line.push_str(&format!(" helo=<{helo}>"));
        }
        self.log.info(line);
        if good { Ok(reply) } else { Err(reply) }
    }
}
