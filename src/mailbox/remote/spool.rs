//! What was fetched, as an mbox in the user's own directory that goes with the value.

use super::RemoteError;
use crate::mailbox::marks::{self, Flags, Marks};
use crate::mailbox::mbox::Mbox;
use crate::message::{address, date, header, quote};
use crate::sys::files::Replacement;
use jiff::Zoned;
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// A mailbox is no larger.
const LARGEST: u64 = 2 << 30;
/// Nor a message, which is in memory for a moment.
const LARGEST_MESSAGE: u64 = 256 << 20;

/// Whether a message of so many bytes is too large.
pub fn fits_memory(size: u64) -> Result<(), RemoteError> {
    if size > LARGEST_MESSAGE { Err(RemoteError::Large("a message", LARGEST_MESSAGE >> 20)) } else { Ok(()) }
}

pub struct Spool {
    file: BufWriter<Replacement>,
    size: u64,
    /// What the server calls each message, in their order; empty where it has no name for it.
    pub ids: Vec<String>,
    /// UIDVALIDITY of IMAP.
    pub validity: Option<u32>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("size", &self.size).field("messages", &self.ids.len()).finish_non_exhaustive()
    }
}

impl Spool {
    pub fn create(dir: &Path) -> Result<Spool, RemoteError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let file = Replacement::create(&dir.join("remote"), 0o600)?;
        Ok(Spool { file: BufWriter::new(file), size: 0, ids: Vec::new(), validity: None })
    }

    /// Whether so many bytes more are too many.
    pub fn fits(&self, more: u64) -> Result<(), RemoteError> {
        if self.size.saturating_add(more) > LARGEST {
            Err(RemoteError::Large("the mailbox", LARGEST >> 20))
        } else {
            Ok(())
        }
    }

    /// A message as it came over the line; its own marks are not the server's.
    pub fn add(&mut self, id: &str, flags: Flags, received: Option<Zoned>, message: &[u8]) -> Result<(), RemoteError> {
        self.fits(message.len() as u64)?;
        let text: Vec<u8> = without_carriage_returns(message);
        let (block, body) = header::split(&text);
        let sender = sender(block);
        let when = received.unwrap_or_else(date::now);
        let mut out = format!("From {sender} {}\n", date::from_line_date(&when)).into_bytes();
        out.extend(marks::set(block, &Marks { flags: Some(flags), ..Marks::default() }));
        out.extend(quote::quote(body));
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        out.push(b'\n');
        self.file.write_all(&out)?;
        self.size += out.len() as u64;
        self.ids.push(id.to_owned());
        Ok(())
    }

    /// Everything is there: it can be read.
    pub fn close(&mut self) -> Result<Mbox, RemoteError> {
        self.file.flush()?;
        let path = self.file.get_ref().temporary_path();
        let mbox = Mbox::open(path, None).map_err(|_| RemoteError::Protocol)?;
        // It is open: a program that is killed leaves nothing.
        std::fs::remove_file(path)?;
        if mbox.messages().len() != self.ids.len() {
            return Err(RemoteError::Protocol);
        }
        Ok(mbox)
    }
}

fn without_carriage_returns(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// The address for the From_ line: of Return-Path, else of From.
fn sender(block: &[u8]) -> String {
    let of = |name: &str| {
        let value = String::from_utf8_lossy(&header::find(block, name)?).into_owned();
        let first = address::parse(&value).ok()?.into_iter().next()?;
        Some(first.mailbox).filter(|mailbox| !mailbox.contains(char::is_whitespace))
    };
    of("Return-Path").or_else(|| of("From")).unwrap_or_else(|| "MAILER-DAEMON".to_owned())
}
