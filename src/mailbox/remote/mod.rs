//! Mailboxes on servers (POP3, IMAP4), for reading. All messages are fetched into a file of the user's own, which is read
//! like any mbox and goes when it is closed; on the server nothing changes but that messages are deleted which the user
//! deleted, by their unique ids, in a connection of its own at the end.
//!
//! Passwords travel over TLS, or to this machine itself; never in a URL, and they show in no debug output.

/// IMAP, spoken by async-imap.
mod imap;
/// POP3.
mod pop;
/// The local file.
mod spool;
/// TCP and TLS, with limits of time.
mod stream;
/// Where a mailbox is.
pub mod url;

use super::mbox::Mbox;
use super::rewrite::Fate;
use spool::Spool;
use std::path::Path;
use url::Url;

/// Why a server's mailbox could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Tls(String),
    #[error("the certificate of {0} is not to be trusted: {1}")]
    Certificate(String, String),
    /// An authority that this machine does not know, or the server's own word.
    #[error(
        "the certificate of {0} is signed by nobody whom this machine trusts; if you do, name its authority's file in \
         SSL_CERT_FILE"
    )]
    Untrusted(String),
    /// What the server said.
    #[error("the server says: {0}")]
    Refused(String),
    /// What the server said is not its protocol.
    #[error("the server does not keep to the protocol")]
    Protocol,
    #[error("the server offers no encryption, and is not this machine: no password is sent")]
    Plain,
    #[error("{0} is larger than {1} MiB")]
    Large(&'static str, u64),
    #[error("the server gives its messages no unique ids: nothing was deleted")]
    NoIds,
    #[error("no answer in time")]
    Late,
}

/// A password. Its debug output is not it.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// A mailbox that was fetched.
#[derive(Debug)]
pub struct Remote {
    url: Url,
    user: String,
    password: Secret,
    spool: Spool,
    mbox: Mbox,
}

impl Remote {
    /// Fetches everything; `dir` is the user's own directory, for the file.
    pub fn open(url: &Url, user: &str, password: Secret, dir: &Path) -> Result<Remote, RemoteError> {
        let mut spool = Spool::create(dir)?;
        run(async {
            if url.scheme.is_imap() {
                imap::fetch(url, user, &password, &mut spool).await
            } else {
                pop::fetch(url, user, &password, &mut spool).await
            }
        })?;
        let mbox = spool.close()?;
        Ok(Remote { url: url.clone(), user: user.to_owned(), password, spool, mbox })
    }

    pub fn mbox(&self) -> &Mbox {
        &self.mbox
    }

    /// Deletes on the server what is to be deleted. Marks stay where they are.
    pub fn rewrite(&mut self, fates: &[Fate]) -> Result<(), RemoteError> {
        let doomed = self.spool.ids.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Delete);
        let ids: Vec<&str> = doomed.map(|(id, _)| id.as_str()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        if ids.iter().any(|id| id.is_empty()) {
            return Err(RemoteError::NoIds);
        }
        run(async {
            if self.url.scheme.is_imap() {
                imap::delete(&self.url, &self.user, &self.password, &ids, self.spool.validity).await
            } else {
                pop::delete(&self.url, &self.user, &self.password, &ids).await
            }
        })
    }
}

/// Runs a conversation to its end.
fn run<T>(conversation: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(conversation)
}
