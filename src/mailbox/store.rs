//! A mailbox of whatever kind, for programs that read them all alike.

use super::maildir::{Maildir, is_maildir};
use super::mbox::{Mbox, MboxError, News};
use super::remote::Remote;
use super::rewrite::Fate;
use super::scan::Message;
use std::io::{self, Read};
use std::path::Path;

/// An open mailbox.
#[derive(Debug)]
pub enum Store {
    Mbox(Mbox),
    Maildir(Maildir),
    /// On a server; the mbox is what was fetched.
    Remote(Box<Remote>),
}

impl Store {
    /// Opens what is there. `private_dir` as for [`Mbox::open`].
    pub fn open(path: &Path, private_dir: Option<&Path>) -> Result<Store, MboxError> {
        if is_maildir(path) {
            Maildir::open(path).map(Store::Maildir)
        } else {
            Mbox::open(path, private_dir).map(Store::Mbox)
        }
    }

    pub fn messages(&self) -> &[Message] {
        match self {
            Store::Mbox(mbox) => mbox.messages(),
            Store::Maildir(maildir) => maildir.messages(),
            Store::Remote(remote) => remote.mbox().messages(),
        }
    }

    /// What came, without a change to what is known when nothing did.
    pub fn refresh(&mut self) -> Result<News, MboxError> {
        match self {
            Store::Mbox(mbox) => mbox.refresh(),
            Store::Maildir(maildir) => maildir.refresh(),
            Store::Remote(_) => Ok(News::Nothing),
        }
    }

    /// The header block with the empty line at its end, at most `limit` bytes.
    pub fn header(&self, message: &Message, limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Store::Mbox(mbox) => mbox.header(message, limit),
            Store::Maildir(maildir) => maildir.header(message, limit),
            Store::Remote(remote) => remote.mbox().header(message, limit),
        }
    }

    /// The From_ line, or one made up for it.
    pub fn from_line(&self, message: &Message) -> io::Result<Vec<u8>> {
        match self {
            Store::Mbox(mbox) => mbox.from_line(message),
            Store::Maildir(maildir) => maildir.from_line(message),
            Store::Remote(remote) => remote.mbox().from_line(message),
        }
    }

    /// The body to its end.
    pub fn body(&self, message: &Message) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Store::Mbox(mbox) => Box::new(mbox.body(message)),
            Store::Maildir(maildir) => Box::new(maildir.body(message)?),
            Store::Remote(remote) => Box::new(remote.mbox().body(message)),
        })
    }

    /// Does to each message what `fates` says, see [`Mbox::rewrite`].
    pub fn rewrite(&mut self, fates: &[Fate]) -> Result<(), MboxError> {
        match self {
            Store::Mbox(mbox) => mbox.rewrite(fates),
            Store::Maildir(maildir) => maildir.rewrite(fates),
            Store::Remote(remote) => Ok(remote.rewrite(fates)?),
        }
    }

    /// Whether "From " at the start of a body's line is quoted in the store.
    pub fn quotes(&self) -> bool {
        !matches!(self, Store::Maildir(_))
    }
}
