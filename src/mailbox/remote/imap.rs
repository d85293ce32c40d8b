//! IMAP4 as a reader speaks it, by async-imap: EXAMINE and BODY.PEEK, which mark nothing; SELECT, STORE and UID EXPUNGE only
//! for what the user deleted.

use super::spool::{self, Spool};
use super::stream::{Connection, connect, encrypt, in_time};
use super::url::Url;
use super::{RemoteError, Secret};
use crate::mailbox::marks::Flags;
use async_imap::types::Flag;
use async_imap::{Client, Session};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use std::collections::HashMap;

/// So many bytes are asked for at once.
const BATCH: u64 = 4 << 20;

impl From<async_imap::error::Error> for RemoteError {
    fn from(error: async_imap::error::Error) -> RemoteError {
        use async_imap::error::Error;
        match error {
            Error::Io(error) => RemoteError::Io(error),
            Error::No(words) | Error::Bad(words) => RemoteError::Refused(words),
            _ => RemoteError::Protocol,
        }
    }
}

/// What the list says of a message.
struct Entry {
    uid: u32,
    size: u64,
    flags: Flags,
    received: Option<Timestamp>,
}

pub async fn fetch(url: &Url, user: &str, password: &Secret, spool: &mut Spool) -> Result<(), RemoteError> {
    let mut session = login(url, user, password).await?;
    let folder = in_time(session.examine(&url.folder)).await??;
    spool.validity = folder.uid_validity;
    let entries = if folder.exists == 0 { Vec::new() } else { list(&mut session).await? };
    let mut rest = entries.as_slice();
    while let Some(first) = rest.first() {
        let mut size = 0;
        let more = rest.iter().take_while(|entry| {
            size += entry.size;
            size <= BATCH
        });
        let (batch, after) = rest.split_at(more.count().max(1));
        rest = after;
        spool.fits(first.size)?;
        spool::fits_memory(first.size)?;
        let set = batch.iter().map(|entry| entry.uid.to_string()).collect::<Vec<_>>().join(",");
        let stream = in_time(session.uid_fetch(&set, "(UID BODY.PEEK[])")).await??;
        let found: Vec<_> = in_time(stream.try_collect()).await??;
        let bodies: HashMap<u32, &[u8]> = found.iter().filter_map(|one| Some((one.uid?, one.body()?))).collect();
        for entry in batch {
            // Gone since the list was made: it is not in the mailbox any more.
            let Some(body) = bodies.get(&entry.uid) else {
                continue;
            };
            let received = entry.received.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
            spool.add(&entry.uid.to_string(), entry.flags, received, body)?;
        }
    }
    in_time(session.logout()).await??;
    Ok(())
}

async fn list(session: &mut Session<Connection>) -> Result<Vec<Entry>, RemoteError> {
    let stream = in_time(session.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE)")).await??;
    let found: Vec<_> = in_time(stream.try_collect()).await??;
    let mut entries = Vec::with_capacity(found.len());
    for one in &found {
        let Some(uid) = one.uid else { return Err(RemoteError::Protocol) };
        let mut flags = Flags::OLD;
        for flag in one.flags() {
            match flag {
                Flag::Seen => flags |= Flags::READ,
                Flag::Answered => flags |= Flags::ANSWERED,
                Flag::Flagged => flags |= Flags::FLAGGED,
                Flag::Draft => flags |= Flags::DRAFT,
                Flag::Recent => flags = flags.without(Flags::OLD),
                _ => {}
            }
        }
        let received = one.internal_date().and_then(|date| Timestamp::from_second(date.timestamp()).ok());
        entries.push(Entry { uid, size: one.size.unwrap_or(0).into(), flags, received });
    }
    entries.sort_by_key(|entry| entry.uid);
    entries.dedup_by_key(|entry| entry.uid);
    Ok(entries)
}

pub async fn delete(
    url: &Url,
    user: &str,
    password: &Secret,
    ids: &[&str],
    validity: Option<u32>,
) -> Result<(), RemoteError> {
    let mut session = login(url, user, password).await?;
    let folder = in_time(session.select(&url.folder)).await??;
    // Other numbers for other messages: those of the list are void.
    if folder.uid_validity != validity {
        return Err(RemoteError::NoIds);
    }
    let by_uid = in_time(session.capabilities()).await??.has_str("UIDPLUS");
    for some in ids.chunks(500) {
        let set = some.join(",");
        let stream = in_time(session.uid_store(&set, "+FLAGS.SILENT (\\Deleted)")).await??;
        let _: Vec<_> = in_time(stream.try_collect()).await??;
        if by_uid {
            let stream = in_time(session.uid_expunge(&set)).await??;
            let _: Vec<u32> = in_time(stream.try_collect()).await??;
        }
    }
    // Without UIDPLUS an expunge would take what others marked along; the mark is what this server has for us.
    in_time(session.logout()).await??;
    Ok(())
}

async fn login(url: &Url, user: &str, password: &Secret) -> Result<Session<Connection>, RemoteError> {
    let (stream, local) = connect(url).await?;
    let mut client = greeted(stream).await?;
    if !url.scheme.is_tls() {
        match in_time(client.run_command_and_check_ok("STARTTLS", None)).await? {
            Ok(()) => client = Client::new(encrypt(client.into_inner(), &url.host).await?),
            Err(_) if local => {}
            Err(_) => return Err(RemoteError::Plain),
        }
    }
    Ok(in_time(client.login(user, &password.0)).await?.map_err(|(error, _)| error)?)
}

async fn greeted(stream: Connection) -> Result<Client<Connection>, RemoteError> {
    let mut client = Client::new(stream);
    in_time(client.read_response()).await??.ok_or(RemoteError::Protocol)?;
    Ok(client)
}
