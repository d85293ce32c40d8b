//! BDAT (RFC 3030): the content in chunks of a known size. What is in a chunk is content, whatever it looks like.

use super::data::{self, Opened};
use super::session::{Next, Session};
use super::stream::Duplex;
use crate::proto::smtp_command::Verb;

/// A content whose last chunk is still to come.
pub struct Chunks {
    opened: Opened,
    /// The end of the last chunk, where no line ended.
    rest: Vec<u8>,
    /// What made the content impossible; its chunks are read and forgotten.
    failed: bool,
    bytes: u64,
    first: bool,
}

/// Serves a BDAT command.
pub async fn receive<S: Duplex>(session: &mut Session<S>, rest: &str, line: &str) -> Next {
    let verb = Verb::Bdat;
    if session.discards("chunking") {
        // Its chunk would be taken for commands.
        session.error(verb, "521 5.5.1 Error: command not implemented").await;
        return Next::Close;
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (size, last) = match words.as_slice() {
        [size] => (size.parse::<u64>().ok(), false),
        [size, last] if last.eq_ignore_ascii_case("LAST") => (size.parse::<u64>().ok(), true),
        _ => (None, false),
    };
    let Some(size) = size.filter(|size| i64::try_from(*size).is_ok()) else {
        let id = session.transaction.queue_id();
        let client = session.shown();
        session.log.warning(format!("{id}: malformed BDAT command syntax from {client}: {line}"));
        session.error(verb, "521 5.5.4 Syntax: BDAT count [LAST]").await;
        return Next::Close;
    };
    if size == 0 && !last {
        let (id, client) = (session.transaction.queue_id(), session.shown());
        session.log.warning(format!("{id}: null BDAT request from {client}"));
        session.error(verb, "551 5.7.1 Null BDAT request").await;
        return Next::Continue;
    }
    if let Some(reply) = refusal(session, size).await {
        return skip(session, size, last, &reply).await;
    }
    let Some(mut chunks) = session.transaction.chunks.take() else { return Next::Close };
    if !read_chunk(session, &mut chunks, size).await {
        return Next::Close;
    }
    if !last {
        let refused = chunks.opened.refused.clone();
        chunks.failed |= refused.is_some();
        session.transaction.chunks = Some(chunks);
        match refused {
            Some(reply) => session.error(verb, &reply).await,
            None => session.good(verb, &format!("250 2.0.0 Ok: {size} bytes")).await,
        }
        return Next::Continue;
    }
    if !chunks.rest.is_empty() {
        let rest = std::mem::take(&mut chunks.rest);
        take_line(session, &mut chunks, &rest, true);
    }
    let total = chunks.opened.size;
    data::finish(session, verb, chunks.opened, |id| format!("250 2.0.0 Ok: {total} bytes queued as {id}")).await;
    Next::Continue
}

/// What keeps a chunk from being taken; opens the content at the first one.
async fn refusal<S: Duplex>(session: &mut Session<S>, size: u64) -> Option<String> {
    if session.transaction.chunks.as_ref().is_some_and(|chunks| chunks.failed) {
        return Some(format!("551 5.0.0 Discarded {size} bytes after earlier error"));
    }
    if session.transaction.chunks.is_none() {
        if session.transaction.recipients.is_empty() {
            return Some(data::no_recipients(session));
        }
        if let Err(reply) = session.check_data("BDAT").await {
            return Some(reply);
        }
        if let Some(reply) = session.filter_data("BDAT").await {
            return Some(reply);
        }
    }
    let limit = session.settings.message_size_limit;
    let so_far = session.transaction.chunks.as_ref().map_or(0, |chunks| chunks.bytes);
    if limit > 0 && so_far.saturating_add(size) > limit {
        let (id, client) = (session.transaction.queue_id(), session.shown());
        session.log.warning(format!("{id}: BDAT request from {client} exceeds message size limit"));
        return Some("552 5.3.4 Chunk exceeds message size limit".to_owned());
    }
    if session.transaction.chunks.is_none() {
        let opened = data::open(session);
        let chunks = Chunks { opened, rest: Vec::new(), failed: false, bytes: 0, first: true };
        session.transaction.chunks = Some(chunks);
    }
    None
}

/// Reads a chunk and forgets it, and then says why.
async fn skip<S: Duplex>(session: &mut Session<S>, size: u64, last: bool, reply: &str) -> Next {
    let mut left = size;
    while left > 0 {
        if session.stream.pending().is_empty() && !more(session, size).await {
            return Next::Close;
        }
        let used = left.min(session.stream.pending().len() as u64);
        session.stream.consume(usize::try_from(used).unwrap_or(usize::MAX));
        left -= used;
    }
    session.error(Verb::Bdat, reply).await;
    if last {
        session.reset_transaction().await;
    } else if session.transaction.sender.is_some() {
        // Later chunks of the same content are refused too.
        let opened = Opened::refused(reply);
        session.transaction.chunks = Some(Chunks { opened, rest: Vec::new(), failed: true, bytes: 0, first: false });
    }
    Next::Continue
}

async fn read_chunk<S: Duplex>(session: &mut Session<S>, chunks: &mut Chunks, size: u64) -> bool {
    let mut left = size;
    while left > 0 {
        if session.stream.pending().is_empty() && !more(session, chunks.bytes).await {
            return false;
        }
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(session.stream.pending().len());
        let piece = session.stream.pending()[..take].to_vec();
        session.stream.consume(take);
        left -= take as u64;
        chunks.bytes += take as u64;
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            chunks.rest.extend_from_slice(part);
            let newline = part.ends_with(b"\n");
            if !newline && chunks.rest.len() < session.settings.line_length_limit {
                continue;
            }
            let mut whole = std::mem::take(&mut chunks.rest);
            if newline {
                whole.pop();
                whole.pop_if(|last| *last == b'\r');
            }
            take_line(session, chunks, &whole, newline);
        }
    }
    true
}

fn take_line<S: Duplex>(session: &Session<S>, chunks: &mut Chunks, line: &[u8], newline: bool) {
    let first = std::mem::take(&mut chunks.first);
    chunks.opened.line(&session.log, line, newline, first);
}

/// Waits for more of a chunk.
async fn more<S: Duplex>(session: &mut Session<S>, bytes: u64) -> bool {
    match session.stream.fill(16 * 1024).await {
        Ok(true) => true,
        failed => {
            session.last = format!("BDAT ({bytes} bytes)");
            session.count(Verb::Bdat, false);
            session.note_lost(failed.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut));
            false
        }
    }
}
