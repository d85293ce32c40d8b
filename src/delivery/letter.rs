//! The message as it stands in a mailbox, and the verdict on a delivery to one: what local(8) and virtual(8) share.

use crate::ipc::delivery::{Request, Target};
use crate::mailbox::deliver::DeliverError;
use crate::message::{envelope, stamp};
use crate::queue::file::Content;
use crate::status::{Code, Report};
use std::fs::File;
use std::io::{self, Write};
use std::time::SystemTime;

/// The form that a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// From_ line, ">From " quoting, an empty line at the end.
    Mbox,
    /// For commands: From_ line, nothing quoted, nothing added.
    Pipe,
    Maildir,
}

/// A message for one recipient.
pub struct Letter<'a> {
    pub request: &'a Request,
    pub target: &'a Target,
    /// The queue file.
    pub file: &'a File,
    /// The sender, or the owner of the list that was expanded.
    pub sender: &'a str,
}

impl Letter<'_> {
    /// Writes the message with the headers that delivery adds; no Delivered-To where `delivered` is empty.
    pub fn write(&self, form: Form, delivered: &str, out: &mut dyn Write) -> io::Result<()> {
        let sender = envelope::quote_path(self.sender);
        if form != Form::Maildir {
            let shown = if sender.is_empty() { "MAILER-DAEMON" } else { &sender };
            writeln!(out, "From {shown}  {}", stamp::ctime(SystemTime::now()))?;
        }
        writeln!(out, "Return-Path: <{sender}>")?;
        let target = self.target;
        let original = if target.original.is_empty() { &target.address } else { &target.original };
        writeln!(out, "X-Original-To: {}", envelope::quote(original))?;
        if !delivered.is_empty() {
            writeln!(out, "Delivered-To: {delivered}")?;
        }
        let mut at_line_start = true;
        for piece in Content::open(self.file, self.request.data_offset)? {
            let piece = piece.map_err(|error| io::Error::other(error.to_string()))?;
            if form == Form::Mbox && at_line_start && piece.data.starts_with(b"From ") {
                out.write_all(b">")?;
            }
            out.write_all(&piece.data)?;
            if piece.newline {
                out.write_all(b"\n")?;
            }
            at_line_start = piece.newline;
        }
        if !at_line_start {
            out.write_all(b"\n")?;
        }
        if form == Form::Mbox { out.write_all(b"\n") } else { Ok(()) }
    }
}

/// The verdict on a failure: what the disk says now is temporary, what the place is does not change.
/// `failed` begins the sentence about it.
pub fn verdict(outcome: Result<(), DeliverError>, sent: &str, failed: &str) -> Report {
    let error = match outcome {
        Ok(()) => return Report::sent(sent),
        Err(error) => error,
    };
    let code = match &error {
        DeliverError::Unfit(_) => Code::new(5, 2, 0),
        DeliverError::Busy(_) | DeliverError::NotOwned(_) => Code::new(4, 2, 0),
        DeliverError::Io { source, .. } => match source.raw_os_error() {
            Some(libc::EDQUOT | libc::EFBIG) => Code::new(5, 2, 2),
            Some(libc::EACCES | libc::EPERM | libc::EISDIR | libc::ENOTDIR | libc::ELOOP | libc::ENXIO) => {
                Code::new(5, 2, 0)
            }
            Some(libc::EAGAIN | libc::ESTALE) => Code::new(4, 2, 0),
            // ENOSPC, and EIO too: a disk that fails is no reason to return good mail.
            _ => Code::new(4, 3, 0),
        },
    };
    Report::new(code, format!("{failed}{error}"))
}
