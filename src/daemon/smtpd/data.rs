//! DATA: the content of a message, from the wire into the queue file.

use super::session::{Session, Transaction};
use super::sink::Message;
use super::stream::Duplex;
use crate::cleanup::{CleanupError, Envelope, Origin};
use crate::proto::dot::{Decoder, Event, Mode};
use crate::proto::smtp_command::Verb;
use std::io;

/// How the content ended.
enum Received {
    Whole,
    Refused(String),
    Lost { bytes: u64, timeout: bool },
}

/// Serves a DATA command; false when the session ends.
pub async fn receive<S: Duplex>(session: &mut Session<S>, rest: &str) -> bool {
    if !rest.is_empty() {
        session.error(Verb::Data, "501 5.5.4 Syntax: DATA").await;
        return true;
    }
    if session.transaction.recipients.is_empty() {
        let reply = if session.transaction.sender.is_some() {
            "554 5.5.1 Error: no valid recipients"
        } else {
            "503 5.5.1 Error: need RCPT command"
        };
        session.error(Verb::Data, reply).await;
        return true;
    }
    let settings = session.settings.clone();
    let sender = session.transaction.sender.clone().unwrap_or_default();
    if let Err(reply) = session.ask_lists(&[&settings.restrictions.data], Some(&sender), None, "DATA") {
        session.error(Verb::Data, &reply).await;
        session.transaction = Transaction::default();
        return true;
    }
    // From here on the transaction is used up, whatever happens: no path leaves half of it behind.
    let transaction = std::mem::take(&mut session.transaction);
    let envelope = envelope_of(session, &transaction);
    let queue_id = transaction.queue_id();
    let hold = transaction.hold;
    let discard = transaction.discard;
    let opened = session.sink.begin(transaction.file, &envelope);
    let (message, refused) = match opened {
        Ok(message) => (Some(message), None),
        Err(error) => {
            session.log.warning(format!("{queue_id}: {error}"));
            (None, Some(error.reply()))
        }
    };
    session.stream.reply("354 End data with <CR><LF>.<CR><LF>");
    let (received, message) = content(session, message, refused).await;
    match received {
        Received::Lost { bytes, timeout } => {
            session.set_last(format!("DATA ({bytes} bytes)"));
            session.count_lost();
            session.note_lost(timeout);
            return false;
        }
        Received::Refused(reply) => {
            session.log_refusal("END-OF-MESSAGE", &reply, Some(&sender), None);
            session.error(Verb::Data, &reply).await;
            return true;
        }
        Received::Whole => {}
    }
    let end = session.ask_lists(&[&settings.restrictions.end_of_data], Some(&sender), None, "END-OF-MESSAGE");
    if let Err(reply) = end {
        session.error(Verb::Data, &reply).await;
        return true;
    }
    if discard {
        session.good(Verb::Data, &format!("250 2.0.0 Ok: queued as {queue_id}")).await;
        return true;
    }
    let Some(message) = message else {
        session.error(Verb::Data, "451 4.3.0 Error: queue file write error").await;
        return true;
    };
    match session.sink.finish(message, hold).await {
        Ok(id) => session.good(Verb::Data, &format!("250 2.0.0 Ok: queued as {id}")).await,
        Err(error) => {
            session.log.warning(format!("{queue_id}: {error}"));
            session.error(Verb::Data, &error.reply()).await;
        }
    }
    true
}

fn envelope_of<S: Duplex>(session: &Session<S>, transaction: &Transaction) -> Envelope {
    let mut envelope =
        Envelope::new(Origin::Smtp(Box::new(session.client())), transaction.sender.clone().unwrap_or_default());
    envelope.recipients = transaction.recipients.clone();
    envelope.rewrite_headers = session.peer.is_local_client(&session.settings);
    if transaction.eight_bit {
        envelope.attributes.push(("encoding".into(), "8bit".into()));
    }
    envelope
}

/// Reads to the end of data. A message that is refused on the way is read to its end all the same, so that its rest
/// is never taken for commands.
async fn content<S: Duplex>(
    session: &mut Session<S>,
    mut message: Option<Message>,
    mut refused: Option<String>,
) -> (Received, Option<Message>) {
    let mut decoder = Decoder::new(mode(session));
    let mut bytes = 0u64;
    let mut first = true;
    loop {
        while !session.stream.pending().is_empty() {
            let (used, event) = decoder.feed(session.stream.pending());
            session.stream.consume(used);
            bytes += used as u64;
            match event {
                None => {}
                Some(Event::Line { mut data, newline }) => {
                    if std::mem::take(&mut first) && data.iter().skip_while(|&&byte| byte == b'>').take(5).eq(b"From ")
                    {
                        data.splice(0..0, *b"Mail-From: ");
                    }
                    if let Some(intake) = &mut message
                        && let Err(error) = intake.line(&data, newline)
                    {
                        if let CleanupError::Write(cause) = &error {
                            session.log.warning(format!("queue file write error: {cause}"));
                        }
                        refused.get_or_insert(error.reply());
                        message = None;
                    }
                }
                Some(Event::BareLf) => {
                    refused.get_or_insert_with(|| "550 5.5.2 Error: bare <LF> received".to_owned());
                    message = None;
                }
                Some(Event::End) => {
                    return match refused {
                        Some(reply) => (Received::Refused(reply), None),
                        None => (Received::Whole, message),
                    };
                }
            }
        }
        let more = match session.stream.flush().await {
            Ok(()) => session.stream.fill(16 * 1024).await,
            Err(error) => Err(error),
        };
        match more {
            Ok(true) => {}
            Ok(false) => return (Received::Lost { bytes, timeout: false }, None),
            Err(error) => return (Received::Lost { bytes, timeout: error.kind() == io::ErrorKind::TimedOut }, None),
        }
    }
}

fn mode<S: Duplex>(session: &Session<S>) -> Mode {
    let settings = &session.settings;
    let peer = &session.peer;
    let excluded = settings.bare_lf_excluded.contains_client(Some(&peer.name), peer.address).unwrap_or(false);
    if excluded && session.only_bare_lf {
        Mode::Lenient
    } else if settings.reject_bare_lf && !excluded {
        Mode::Reject
    } else {
        Mode::Normalize
    }
}
