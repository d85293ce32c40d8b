//! What smtpd and postscreen say: clients, verdicts, sessions, trouble with TLS.

use super::{NewerCollector, Verdict};
use crate::applet::pflogsumm::fields::is_queue_id;
use crate::applet::pflogsumm::options::Top;
use crate::applet::pflogsumm::tallies::Digest;
use crate::applet::pflogsumm::text::{client_organisation, find, is_address};
use crate::log::line::{Stamp, digits};
use memchr::memchr;

impl NewerCollector<'_> {
    /// smtpd and postscreen: a message's client, a verdict, the sessions.
    pub(super) fn server(&mut self, stamp: Stamp, service: &[u8], word: &[u8], content: &[u8], rest: &[u8]) -> bool {
        let said = content.get(word.len()..).and_then(|tail| tail.strip_prefix(b": ")).unwrap_or_default();
        if let Some(client) = said.strip_prefix(b"client=").filter(|client| !client.is_empty()) {
            if !is_queue_id(word) {
                return false;
            }
            let end = memchr(b',', client).unwrap_or(client.len());
            let domain = client_organisation(client.get(..end).unwrap_or_default());
            self.arrive(stamp, word, &domain);
            if let Some(process) = process(rest) {
                self.receiving.insert(process, Digest::of(word));
            }
            return true;
        }
        let verdict = memchr(b':', said).and_then(|end| Verdict::of(said.get(..end).unwrap_or_default()));
        if let Some(verdict) = verdict {
            self.common.verdict(stamp, verdict, rest);
            if verdict == Verdict::Reject && word != b"NOQUEUE" {
                self.withdraw(word);
            }
            return true;
        }
        if service == b"postscreen" {
            return self.screen(stamp, content);
        }
        if self.newer.tls_stats && self.tls_error(content) {
            return true;
        }
        if content.starts_with(b"disconnect from ")
            && let Some(message) = process(rest).and_then(|process| self.receiving.remove(&process))
            && self.messages.get(&message).is_some_and(|message| message.arrived.is_some() && !message.open)
        {
            // The client went before cleanup saw the message.
            self.common.tallies.newer.withdrawn += 1;
            self.messages.remove(&message);
        }
        if self.common.options.smtpd_stats {
            self.common.session(stamp, rest);
        }
        true
    }

    /// smtpd's trouble with TLS.
    fn tls_error(&mut self, content: &[u8]) -> bool {
        let (what, client) = if let Some(rest) = content.strip_prefix(b"SSL_accept error from ") {
            let Some(close) = find(rest, b"]: ") else { return false };
            ([b"SSL_accept error ", rest.get(close + 3..).unwrap_or_default()].concat(), &rest[..=close])
        } else if let Some(client) = content.strip_prefix(b"lost connection after STARTTLS from ") {
            (b"lost connection after STARTTLS".to_vec(), client)
        } else {
            return false;
        };
        let host = client_organisation(client);
        *self.common.tallies.newer.tls_errors.of(&what).of(&host) += 1;
        true
    }

    /// "WHAT ... [ADDRESS]:PORT ...": what postscreen did to a client.
    fn screen(&mut self, stamp: Stamp, content: &[u8]) -> bool {
        let Some(open) = memchr(b'[', content) else { return false };
        let Some(length) = memchr(b']', &content[open..]) else { return false };
        let (address, after) = (&content[open + 1..open + length], &content[open + length + 1..]);
        let port = after.strip_prefix(b":").map_or(0, digits);
        let key = content.get(open..open + length + 2 + port).unwrap_or_default();
        let what = &content[..open];
        if !is_address(address) {
            return false;
        }
        if what == b"CONNECT from " {
            let now = self.common.seconds(stamp);
            self.screened.insert(key.to_vec(), now);
            return true;
        }
        let passed = what.starts_with(b"PASS ");
        if passed || what == b"DISCONNECT " || what.starts_with(b"HANGUP ") {
            let Some(since) = self.screened.remove(key) else { return true };
            let time = self.common.seconds(stamp) - since;
            let newer = &mut self.common.tallies.newer;
            newer.screen.add(time);
            newer.screen_addresses.of(address);
            if !passed {
                return true;
            }
        }
        let action = if what.starts_with(b"PREGREET ") {
            b"PREGREET".as_slice()
        } else {
            let name = what.strip_suffix(b" from ").or_else(|| what.strip_suffix(b" for "));
            name.or_else(|| what.strip_suffix(b" ")).unwrap_or(what)
        };
        if self.newer.screen != Top::None {
            *self.common.tallies.newer.screen_actions.of(action).of(address) += 1;
        }
        true
    }
}

/// The number in "smtpd[123]: ".
fn process(rest: &[u8]) -> Option<u64> {
    let tail = rest.get(memchr(b'[', rest)? + 1..)?;
    let length = digits(tail);
    let number = tail[..length].iter().fold(0, |value: u64, &d| value.wrapping_mul(10) + u64::from(d - b'0'));
    (length > 0).then_some(number)
}
