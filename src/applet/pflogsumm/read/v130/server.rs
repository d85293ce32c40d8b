//! What smtpd and postscreen say: clients, verdicts, sessions, trouble with TLS.

use super::NewerReader;
use crate::applet::pflogsumm::fact::{Fact, Sink, Verdict};
use crate::applet::pflogsumm::fields::is_queue_id;
use crate::applet::pflogsumm::map::Key;
use crate::applet::pflogsumm::options::Top;
use crate::applet::pflogsumm::text::{client_organisation, find, is_address};
use crate::log::line::{Stamp, digits};
use memchr::memchr;

impl NewerReader<'_> {
    /// smtpd and postscreen: a message's client, a verdict, the sessions.
    pub(super) fn server(
        &self,
        stamp: Stamp,
        service: &[u8],
        id: &[u8],
        content: &[u8],
        rest: &[u8],
        sink: &mut impl Sink,
    ) -> bool {
        let said = content.get(id.len()..).and_then(|tail| tail.strip_prefix(b": ")).unwrap_or_default();
        if let Some(client) = said.strip_prefix(b"client=").filter(|client| !client.is_empty()) {
            if !is_queue_id(id) {
                return false;
            }
            let end = memchr(b',', client).unwrap_or(client.len());
            let domain = client_organisation(client.get(..end).unwrap_or_default());
            let (hour, id, process) = (stamp.hour, Key::of(id), process(rest));
            sink.take(Fact::Arrive { hour, id, client: Some(&domain), process });
            return true;
        }
        let verdict = memchr(b':', said).and_then(|end| Verdict::of(said.get(..end).unwrap_or_default()));
        if let Some(verdict) = verdict {
            self.common.verdict(stamp, verdict, rest, sink);
            if verdict == Verdict::Reject && id != b"NOQUEUE" {
                sink.take(Fact::Withdraw(id));
            }
            return true;
        }
        if service == b"postscreen" {
            return self.screen(stamp, content, sink);
        }
        if self.newer.tls_stats && tls_error(content, sink) {
            return true;
        }
        if content.starts_with(b"disconnect from ")
            && let Some(process) = process(rest)
        {
            sink.take(Fact::Gone(process));
        }
        if self.common.options.smtpd_stats {
            self.common.session(stamp, rest, sink);
        }
        true
    }

    /// "WHAT ... [ADDRESS]:PORT ...": what postscreen did to a client.
    fn screen(&self, stamp: Stamp, content: &[u8], sink: &mut impl Sink) -> bool {
        let Some(open) = memchr(b'[', content) else { return false };
        let Some(length) = memchr(b']', &content[open..]) else { return false };
        let (address, after) = (&content[open + 1..open + length], &content[open + length + 1..]);
        let port = after.strip_prefix(b":").map_or(0, digits);
        let key = content.get(open..open + length + 2 + port).unwrap_or_default();
        let what = &content[..open];
        if !is_address(address) {
            return false;
        }
        let at = self.common.seconds(stamp);
        if what == b"CONNECT from " {
            sink.take(Fact::Screen { key, at });
            return true;
        }
        let passed = what.starts_with(b"PASS ");
        let ends = passed || what == b"DISCONNECT " || what.starts_with(b"HANGUP ");
        let action = if what.starts_with(b"PREGREET ") {
            b"PREGREET".as_slice()
        } else {
            let name = what.strip_suffix(b" from ").or_else(|| what.strip_suffix(b" for "));
            name.or_else(|| what.strip_suffix(b" ")).unwrap_or(what)
        };
        let action = (self.newer.screen != Top::None && (passed || !ends)).then_some(action);
        if ends {
            sink.take(Fact::Screened { key, address, at, action });
        } else if let Some(action) = action {
            sink.take(Fact::ScreenAction { action, address });
        }
        true
    }
}

/// smtpd's trouble with TLS.
fn tls_error(content: &[u8], sink: &mut impl Sink) -> bool {
    let (what, client) = if let Some(rest) = content.strip_prefix(b"SSL_accept error from ") {
        let Some(close) = find(rest, b"]: ") else { return false };
        ([b"SSL_accept error ", rest.get(close + 3..).unwrap_or_default()].concat(), &rest[..=close])
    } else if let Some(client) = content.strip_prefix(b"lost connection after STARTTLS from ") {
        (b"lost connection after STARTTLS".to_vec(), client)
    } else {
        return false;
    };
    sink.take(Fact::TlsError { what: &what, host: &client_organisation(client) });
    true
}

/// The number in "smtpd[123]: ".
fn process(rest: &[u8]) -> Option<u64> {
    let tail = rest.get(memchr(b'[', rest)? + 1..)?;
    let length = digits(tail);
    let number = tail[..length].iter().fold(0, |value: u64, &d| value.wrapping_mul(10) + u64::from(d - b'0'));
    (length > 0).then_some(number)
}
