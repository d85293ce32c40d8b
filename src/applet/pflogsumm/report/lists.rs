//! The lists of the report that can be long. Most of a report's time goes into sorting them, so they are made side by
//! side, as texts.

use super::Report;
use crate::applet::pflogsumm::options::{Options, Top};
use crate::applet::pflogsumm::tallies::{Map, Tallies, Traffic};
use crate::sys::prefetch::room;
use std::io;

/// Senders or recipients in the order of ties.
pub type Users<'a> = Vec<(&'a [u8], Traffic)>;

/// As many lines as the title of a list takes.
const TITLE: usize = 10;

/// What is shorter is made before a thread has begun.
const LONG: usize = 4096;

pub struct Lists {
    /// Senders, recipients.
    pub by_count: [Vec<u8>; 2],
    pub by_size: [Vec<u8>; 2],
    pub problems: Vec<u8>,
}

impl Lists {
    /// `rank`: the order of ties.
    pub fn new<'a>(
        tallies: &'a Tallies,
        options: &'a Options,
        rank: impl Fn(&'a Map<Traffic>) -> Users<'a> + Sync,
        problems: impl FnOnce(&mut Report<'a, Vec<u8>>) -> io::Result<()> + Send,
    ) -> io::Result<Lists> {
        let report = |length| Report { out: room(length), tallies, options };
        let users = |what: &str, map: &'a Map<Traffic>| {
            let users = rank(map);
            // Each line has eleven bytes besides the user.
            let length = map.texts().len() + (map.len() + TITLE) * 11;
            let length = if users.is_empty() || matches!(options.users, Top::First(_)) { 0 } else { length };
            let (mut by_count, mut by_size) = (report(length), report(length));
            by_count.users(&format!("{what} by message count"), &users, |of| of.messages)?;
            by_size.users(&format!("{what} by message size"), &users, |of| of.bytes)?;
            Ok((by_count.out, by_size.out))
        };
        let problems = || {
            let mut report = report(0);
            problems(&mut report).map(|()| report.out)
        };
        let senders = || users("Senders", &tallies.senders);
        let recipients = || users("Recipients", &tallies.recipients);
        let (problems, senders, recipients): (_, io::Result<_>, io::Result<_>) =
            match tallies.senders.len().max(tallies.recipients.len()) {
                LONG.. => {
                    let (problems, (senders, recipients)) = rayon::join(problems, || rayon::join(senders, recipients));
                    (problems, senders, recipients)
                }
                _ => (problems(), senders(), recipients()),
            };
        let ((sent, sent_bytes), (got, got_bytes)) = (senders?, recipients?);
        Ok(Lists { by_count: [sent, got], by_size: [sent_bytes, got_bytes], problems: problems? })
    }
}
