//! Where received mail goes: into the queue, or, for sendmail -bs, into the maildrop as its caller.

use super::filters::{Place, apart};
use crate::cleanup::{Cleanup, CleanupError, Envelope, Filtering, Intake};
use crate::ipc::trigger;
use crate::queue::QueueId;
use crate::queue::create::NewFile;
use crate::queue::record::{self, Type};
use std::path::PathBuf;
use std::sync::Arc;

/// Hands a stream of submission records over; the error is for the log.
pub type Submit = Arc<dyn Fn(Vec<u8>) -> Result<String, String>>;

#[derive(Clone)]
pub enum Sink {
    Queue { cleanup: Arc<Cleanup>, qmgr: PathBuf },
    Maildrop { submit: Submit, limit: u64 },
}

/// A message on its way.
pub enum Message {
    Queue(Box<Intake>),
    Maildrop { stream: Vec<u8>, size: u64, limit: u64 },
}

impl Message {
    pub fn line(&mut self, data: &[u8], newline: bool) -> Result<(), CleanupError> {
        match self {
            Message::Queue(intake) => intake.line(data, newline),
            Message::Maildrop { stream, size, limit } => {
                *size += data.len() as u64 + 1;
                if *limit > 0 && *size > *limit {
                    return Err(CleanupError::TooBig);
                }
                record::write(stream, if newline { Type::NORMAL } else { Type::CONTINUED }, data)
                    .map_err(CleanupError::Write)?;
                Ok(())
            }
        }
    }
}

impl Sink {
    /// The file of a new message, whose id is logged at the first recipient; none for the maildrop.
    pub fn reserve(&self) -> Result<Option<NewFile>, CleanupError> {
        match self {
            Sink::Queue { cleanup, .. } => cleanup.reserve().map(Some),
            Sink::Maildrop { .. } => Ok(None),
        }
    }

    pub fn begin(&self, file: Option<NewFile>, envelope: &Envelope) -> Result<Message, CleanupError> {
        match self {
            Sink::Queue { cleanup, .. } => {
                let file = match file {
                    Some(file) => file,
                    None => cleanup.reserve()?,
                };
                Ok(Message::Queue(Box::new(cleanup.begin(file, envelope)?)))
            }
            Sink::Maildrop { limit, .. } => {
                let mut stream = Vec::new();
                let mut put = |kind, data: &str| drop(record::write(&mut stream, kind, data.as_bytes()));
                put(Type::ATTRIBUTE, "rewrite_context=local");
                put(Type::SENDER, &envelope.sender);
                for named in &envelope.recipients {
                    put(Type::RECIPIENT, &named.address);
                }
                put(Type::MESSAGE, "");
                Ok(Message::Maildrop { stream, size: 0, limit: *limit })
            }
        }
    }

    /// Shows a message that is complete to the session's filters.
    pub async fn filter(&self, message: Message, place: &mut Place) -> Result<Message, CleanupError> {
        let (mut intake, mut filters) = match (message, place.filtering()) {
            (Message::Queue(intake), Filtering::Session) => match place.take() {
                Some(filters) => (intake, filters),
                // What no filter has seen is not committed.
                None => return Ok(Message::Queue(intake)),
            },
            (message, _) => return Ok(message),
        };
        let done = apart(move || {
            let outcome = intake.filter(&mut filters);
            (outcome.map(|()| Message::Queue(intake)), filters)
        });
        match done.await {
            Some((outcome, filters)) => {
                place.give_back(Some(filters));
                outcome
            }
            None => {
                place.give_back(None);
                Err(CleanupError::Write(std::io::Error::other("the filters are lost")))
            }
        }
    }

    /// Makes the message durable; its id is what the client is told.
    pub async fn finish(&self, message: Message) -> Result<String, CleanupError> {
        match (self, message) {
            (Sink::Queue { qmgr, .. }, Message::Queue(intake)) => {
                let id = finish_in_queue(*intake).await?;
                let _ = trigger::send(qmgr, trigger::INCOMING);
                Ok(id.to_string())
            }
            (Sink::Maildrop { submit, .. }, Message::Maildrop { mut stream, .. }) => {
                let end = record::write(&mut stream, Type::EXTRACTED, b"")
                    .and_then(|_| record::write(&mut stream, Type::END, b""));
                end.map_err(CleanupError::Write)?;
                submit(stream).map_err(|error| CleanupError::Write(std::io::Error::other(error)))
            }
            _ => Err(CleanupError::Write(std::io::Error::other("a message for another place"))),
        }
    }
}

/// fsync waits for the disk: in a thread of its own, so that other sessions go on.
async fn finish_in_queue(intake: Intake) -> Result<QueueId, CleanupError> {
    tokio::task::spawn_blocking(move || intake.finish())
        .await
        .unwrap_or_else(|error| Err(CleanupError::Write(std::io::Error::other(error))))
}
