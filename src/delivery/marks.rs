//! What a delivery leaves on the mail, and finds on it: the headers in front that flags ask for (pipe(8), smtp(8)), and
//! the loop that an earlier Delivered-To header shows.

use crate::ipc::delivery::{Request, Target};
use crate::log::Log;
use crate::message::envelope;
use crate::queue::file::{Content, QueueFileError};
use crate::status::{Code, Report};
use std::fs::File;

const DELIVERED_TO: &[u8] = b"delivered-to:";

/// The letters D, O, R and X of flags=.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    delivered_to: bool,
    original_to: bool,
    return_path: bool,
    is_final: bool,
}

impl Marks {
    /// Takes note of a letter; false: it is none of these.
    pub fn take(&mut self, letter: char) -> bool {
        match letter {
            'D' => self.delivered_to = true,
            'O' => self.original_to = true,
            'R' => self.return_path = true,
            'X' => self.is_final = true,
            _ => return false,
        }
        true
    }

    /// Who takes the mail may pass it on: for the sender, that is not yet its delivery.
    pub fn passes_on(&self) -> bool {
        !self.is_final
    }

    /// The headers, for a sender in external form and the addresses of the one recipient as they are to be shown.
    pub fn headers(&self, sender: &str, original: &str, address: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.return_path {
            lines.push(format!("Return-Path: <{sender}>"));
        }
        if self.original_to && !original.is_empty() {
            lines.push(format!("X-Original-To: {}", envelope::quote(original)));
        }
        if self.delivered_to && !address.is_empty() {
            lines.push(format!("Delivered-To: {}", envelope::quote(address)));
        }
        lines
    }

    /// Why mail cannot be delivered with these headers: they name one recipient, and the mail was not there before.
    /// `what` is how warnings call a letter ("flag", "pipe flag").
    pub fn refusal(&self, what: &str, request: &Request, file: &File, log: &Log) -> Option<Report> {
        let single = [(self.delivered_to, 'D'), (self.original_to, 'O')].into_iter().find(|(set, _)| *set);
        if let (Some((_, letter)), 2..) = (single, request.recipients.len()) {
            let limit = format!("{}_destination_recipient_limit", request.transport);
            log.warning(format!("{what} `{letter}' requires {limit} = 1"));
            return Some(Report::new(Code::new(4, 3, 5), "mail system configuration error"));
        }
        let target = request.recipients.first().filter(|_| self.delivered_to)?;
        looping(request, target, file)
    }
}

/// The report of mail that was delivered to this very address before, or whose content cannot be read.
pub fn looping(request: &Request, target: &Target, file: &File) -> Option<Report> {
    match has_delivered_to(file, request.data_offset, &target.address) {
        Ok(true) => Some(Report::new(Code::new(5, 4, 6), format!("mail forwarding loop for {}", target.address))),
        Ok(false) => None,
        Err(error) => Some(Report::deferred(format!("cannot read queue file: {error}"))),
    }
}

fn has_delivered_to(file: &File, offset: u64, address: &str) -> Result<bool, QueueFileError> {
    for piece in Content::open(file, offset)? {
        let line = piece?.data;
        if line.is_empty() {
            return Ok(false);
        }
        let Some((name, value)) = line.split_at_checked(DELIVERED_TO.len()) else { continue };
        let text = String::from_utf8_lossy(value);
        if name.eq_ignore_ascii_case(DELIVERED_TO) && envelope::unquote(text.trim()).eq_ignore_ascii_case(address) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_in_the_order_of_the_reference() {
        let mut marks = Marks::default();
        assert!("DORX".chars().all(|letter| marks.take(letter)) && !marks.take('Z'));
        let lines = marks.headers("a@b", "as named@c", "x y@c");
        assert_eq!(lines, ["Return-Path: <a@b>", "X-Original-To: \"as named\"@c", "Delivered-To: \"x y\"@c"]);
        assert!(!marks.passes_on() && Marks::default().headers("a@b", "c", "d").is_empty());
    }
}
