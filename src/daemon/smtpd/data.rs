//! The content of a message, from the wire into the queue file: DATA, and what BDAT has in common with it.

use super::before_queue::Talk;
use super::session::{Next, Session};
use super::sink::Message;
use super::stream::Duplex;
use super::transaction::Transaction;
use crate::cleanup::{CleanupError, Envelope, Origin};
use crate::log::Log;
use crate::log::event::Event as LogEvent;
use crate::proto::dot::{Decoder, Event, Mode};
use crate::proto::smtp_command::Verb;
use std::io;

/// A content that is coming in.
pub struct Opened {
    message: Option<Message>,
    /// Where it goes instead (smtpd_proxy_filter); and whether that is lost.
    talk: Option<Talk>,
    lost: bool,
    /// Why it will be refused; the rest is read all the same, so that it is never taken for commands.
    pub refused: Option<String>,
    queue_id: String,
    /// As the reference counts: a line end is two bytes.
    pub size: u64,
}

impl Opened {
    pub fn refused(reply: &str) -> Opened {
        Opened { refused: Some(reply.to_owned()), ..Opened::of(None, String::new()) }
    }

    fn of(message: Option<Message>, queue_id: String) -> Opened {
        Opened { message, talk: None, lost: false, refused: None, queue_id, size: 0 }
    }

    /// Sends to the filter what it should have by now.
    pub async fn push<S: Duplex>(&mut self, session: &Session<S>) {
        let Some(talk) = self.talk.as_mut().filter(|talk| talk.is_full()) else { return };
        if !session.forward_content(talk).await {
            self.talk = None;
            self.lost = true;
        }
    }

    pub fn line(&mut self, log: &Log, line: &[u8], newline: bool, first: bool) {
        self.size += line.len() as u64 + 2 * u64::from(newline);
        let mut line = std::borrow::Cow::Borrowed(line);
        if first && line.iter().skip_while(|&&byte| byte == b'>').take(5).eq(b"From ") {
            line.to_mut().splice(0..0, *b"X-Mailbox-Line: ");
        }
        if let Some(talk) = &mut self.talk {
            talk.line(&line, newline);
        }
        if let Some(message) = &mut self.message
            && let Err(error) = message.line(&line, newline)
        {
            self.fail(log, &error);
        }
    }

    fn fail(&mut self, log: &Log, error: &CleanupError) {
        match error {
            CleanupError::Write(cause) => log.warning(format!("{}: queue file write error: {cause}", self.queue_id)),
            CleanupError::TooBig => log.warning(format!("{}: queue file size limit exceeded", self.queue_id)),
            _ => {}
        }
        self.refused.get_or_insert_with(|| error.reply());
        self.message = None;
    }
}

/// The reply to content for nobody.
pub fn no_recipients<S: Duplex>(session: &Session<S>) -> String {
    if session.transaction.sender.is_some() {
        "554 5.5.1 Error: no valid recipients".to_owned()
    } else {
        "503 5.5.1 Error: need RCPT command".to_owned()
    }
}

/// Serves a DATA command.
pub async fn receive<S: Duplex>(session: &mut Session<S>, rest: &str) -> Next {
    let verb = Verb::Data;
    if session.transaction.chunks.is_some() {
        session.error(verb, "503 5.5.1 Error: DATA after BDAT").await;
        return Next::Continue;
    }
    if session.transaction.recipients.is_empty() {
        let reply = no_recipients(session);
        session.error(verb, &reply).await;
        return Next::Continue;
    }
    if !rest.is_empty() {
        session.error(verb, "501 5.5.4 Syntax: DATA").await;
        return Next::Continue;
    }
    if let Err(reply) = session.check_data("DATA").await {
        session.error(verb, &reply).await;
        return Next::Continue;
    }
    if let Some(reply) = session.filter_data("DATA").await {
        session.error(verb, &reply).await;
        return Next::Continue;
    }
    let mut opened = match open_any(session).await {
        Ok(opened) => opened,
        Err(reply) => {
            session.error(verb, &reply).await;
            return Next::Continue;
        }
    };
    session.say("354 End data with <CR><LF>.<CR><LF>").await;
    if let Some((bytes, timeout)) = content(session, &mut opened).await {
        session.last = format!("DATA ({bytes} bytes)");
        session.count(verb, false);
        if timeout {
            let host = session.settings.myhostname.clone();
            session.say(&format!("421 4.4.2 {host} Error: timeout exceeded")).await;
        }
        session.note_lost(timeout);
        return Next::Close;
    }
    finish(session, verb, opened, |id| format!("250 2.0.0 Ok: queued as {id}")).await;
    Next::Continue
}

/// Opens the content where it goes. The error is the reply; the transaction goes on.
pub async fn open_any<S: Duplex>(session: &mut Session<S>) -> Result<Opened, String> {
    if !session.asks_before_queue() || session.transaction.effects.discard {
        return Ok(open(session));
    }
    let talk = session.forward_data().await?;
    Ok(Opened { lost: talk.is_none(), talk, ..Opened::of(None, session.transaction.queue_id()) })
}

/// Opens the content in the transaction's file.
fn open<S: Duplex>(session: &mut Session<S>) -> Opened {
    let queue_id = session.transaction.queue_id();
    if session.transaction.effects.discard {
        return Opened::of(None, queue_id);
    }
    let envelope = envelope_of(session);
    match session.shared.sink.begin(session.transaction.file.take(), &envelope) {
        Ok(message) => Opened::of(Some(message), queue_id),
        Err(error) => {
            match &error {
                CleanupError::Write(cause) => session.log.warning(format!("{queue_id}: {cause}")),
                CleanupError::Table(fault) => {
                    let table = &fault.table;
                    let words = format!(
                        "{queue_id}: {table} map lookup problem ({fault}) -- message not accepted, try again later"
                    );
                    session.log.event_as("cleanup", &LogEvent::Warning(words.into_bytes().into()));
                }
                // Said already, or the client's own.
                _ => {}
            }
            Opened { refused: Some(error.reply()), ..Opened::of(None, queue_id) }
        }
    }
}

/// Everything after the last line: the transaction is used up, whatever happens.
pub async fn finish<S: Duplex>(
    session: &mut Session<S>,
    verb: Verb,
    opened: Opened,
    accepted: impl Fn(&str) -> String,
) {
    end(session, verb, opened, accepted).await;
    session.turn_page().await;
}

async fn end<S: Duplex>(session: &mut Session<S>, verb: Verb, opened: Opened, accepted: impl Fn(&str) -> String) {
    let Opened { message, talk, lost, refused, queue_id, size } = opened;
    session.transaction.size = size;
    let mut reply = refused;
    let limit = session.settings.message_size_limit;
    if (talk.is_some() || lost) && limit > 0 && size > limit {
        session.log.warning(format!("{queue_id}: queue file size limit exceeded"));
        reply.get_or_insert_with(|| CleanupError::TooBig.reply());
    }
    if reply.is_none()
        && let Err(refused) = session.check_end_of_data().await
    {
        reply = Some(refused);
    }
    if reply.is_none() && (talk.is_some() || lost) {
        let recipient = session.transaction.recipients.first().map(|first| first.address.clone()).unwrap_or_default();
        let answer = session.forward_end(talk, &recipient).await;
        session.transaction = Transaction::default();
        session.filter_abort().await;
        match answer {
            Ok(reply) => {
                session.junk = 0;
                session.good(verb, &reply).await;
            }
            Err(reply) => session.error(verb, &reply).await,
        }
        return;
    }
    let discard = session.transaction.effects.discard;
    session.transaction = Transaction::default();
    let reply = match reply {
        Some(reply) => Err(reply),
        None if discard => Ok(queue_id),
        None => queued(session, message, &queue_id).await,
    };
    session.filter_abort().await;
    let id = match reply {
        Ok(id) => id,
        Err(reply) => return session.error(verb, &reply).await,
    };
    session.junk = 0;
    session.good(verb, &accepted(&id)).await;
}

/// Has the message queued; its id, or the reply that tells why it is not.
async fn queued<S: Duplex>(
    session: &mut Session<S>,
    message: Option<Message>,
    queue_id: &str,
) -> Result<String, String> {
    let message = message.ok_or("451 4.3.0 Error: queue file write error")?;
    let shared = session.shared.clone();
    let message = shared.sink.filter(message, &mut session.filters).await;
    let done = match message {
        Ok(message) => shared.sink.finish(message).await,
        Err(error) => Err(error),
    };
    done.map_err(|error| {
        if let CleanupError::Write(cause) = &error {
            session.log.warning(format!("{queue_id}: {cause}"));
        }
        error.reply()
    })
}

fn envelope_of<S: Duplex>(session: &Session<S>) -> Envelope {
    let transaction = &session.transaction;
    let mut envelope =
        Envelope::new(Origin::Smtp(Box::new(session.client())), transaction.sender.clone().unwrap_or_default());
    envelope.recipients = transaction.recipients.clone();
    envelope.rewrite_headers =
        session.peer.is_local_client(&session.settings, session.login.is_some(), session.secured.as_deref());
    let mut add = |name: &str, value: &str| envelope.attributes.push((name.to_owned(), value.to_owned()));
    if let Some(id) = &transaction.envelope_id {
        add("envelope_id", id);
    }
    if transaction.ret != 0 {
        add("ret_flags", &transaction.ret.to_string());
    }
    if let Some(encoding) = transaction.encoding {
        add("encoding", encoding);
    }
    if let Some(forwarded) = &session.forwarded {
        let pairs = [
            ("log_client_name", &forwarded.name),
            ("log_client_address", &forwarded.address),
            ("log_client_port", &forwarded.port),
            ("log_helo_name", &forwarded.helo),
            ("log_protocol_name", &forwarded.protocol),
            ("log_ident", &forwarded.identity),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                add(name, value);
            }
        }
    }
    envelope.filter = transaction
        .effects
        .filter
        .clone()
        .or_else(|| Some(session.settings.content_filter.clone()).filter(|filter| !filter.is_empty()));
    envelope.filtering = session.filters.filtering();
    envelope.utf8 = transaction.utf8;
    envelope.hold = transaction.effects.hold;
    envelope.no_mappings = session.settings.overrides.iter().any(|word| word == "no_address_mappings");
    envelope.no_checks = session.settings.overrides.iter().any(|word| word == "no_header_body_checks");
    envelope.verp.clone_from(&transaction.verp);
    envelope.redirect.clone_from(&transaction.effects.redirect);
    envelope.copies.clone_from(&transaction.effects.bcc);
    envelope.prepend.clone_from(&transaction.effects.prepend);
    envelope
}

/// Reads to the end of data. Gives how much came, and whether time ran out, when the end did not.
async fn content<S: Duplex>(session: &mut Session<S>, opened: &mut Opened) -> Option<(u64, bool)> {
    let mut decoder = Decoder::new(mode(session));
    let bare_lf =
        format!("{} 5.5.2 {} Error: bare <LF> received", session.settings.bare_lf_code, session.settings.myhostname);
    let mut bytes = 0u64;
    let mut first = true;
    loop {
        while !session.stream.pending().is_empty() {
            let (used, event) = decoder.feed(session.stream.pending());
            session.stream.consume(used);
            bytes += used as u64;
            match event {
                None => {}
                Some(Event::Line { data, newline }) => {
                    opened.line(&session.log, &data, newline, std::mem::take(&mut first));
                    opened.push(session).await;
                }
                Some(Event::BareLf) => {
                    opened.refused.get_or_insert_with(|| bare_lf.clone());
                    opened.message = None;
                    opened.talk = None;
                }
                Some(Event::End) => return None,
            }
        }
        let more = match session.stream.flush().await {
            Ok(()) => session.stream.fill(16 * 1024).await,
            Err(error) => Err(error),
        };
        match more {
            Ok(true) => {}
            Ok(false) => return Some((bytes, false)),
            Err(error) => return Some((bytes, error.kind() == io::ErrorKind::TimedOut)),
        }
    }
}

fn mode<S: Duplex>(session: &Session<S>) -> Mode {
    let settings = &session.settings;
    let excluded = session.peer.is_in(&settings.bare_lf_excluded);
    if excluded && session.only_bare_lf {
        Mode::Lenient
    } else if settings.reject_bare_lf && !excluded {
        Mode::Reject
    } else {
        Mode::Normalize
    }
}
