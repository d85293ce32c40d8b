//! What smtpd, postscreen and pickup say: where messages come from, verdicts, sessions, trouble with TLS.

use super::{NewerReader, Said, blanks};
use crate::applet::pflogsumm::fact::{Fact, Reason, Sink, Verdict};
use crate::applet::pflogsumm::map::Key;
use crate::applet::pflogsumm::options::Top;
use crate::applet::pflogsumm::reject::{self, Reject};
use crate::applet::pflogsumm::text::{self, client_organisation};
use crate::log::line::{Stamp, digits};
use memchr::{memchr, memmem, memrchr_iter};

impl NewerReader<'_> {
    pub(super) fn server(&self, stamp: Stamp, said: &Said<'_>, sink: &mut impl Sink) -> bool {
        let (hour, text) = (stamp.hour, said.text);
        let id = Key::of(said.id);
        let client = text.strip_prefix(b"client=").filter(|client| !client.is_empty());
        if said.service == b"pickup" && (text.starts_with(b"sender=") || text.starts_with(b"uid=") || client.is_some())
        {
            sink.take(Fact::Arrive { hour, id, client: Some(b"pickup"), process: None });
            return true;
        }
        if let Some(client) = client {
            // At least one byte, then up to a comma.
            let end = memchr(b',', client.get(1..).unwrap_or_default()).map_or(client.len(), |comma| comma + 1);
            let domain = client_organisation(client.get(..end).unwrap_or_default());
            sink.take(Fact::Arrive { hour, id, client: Some(&domain), process: None });
            return true;
        }
        if let Some(verdict) = Verdict::before_colon(text) {
            self.judged(hour, verdict, text, sink);
            if verdict == Verdict::Reject {
                // What was taken in before is none, whatever its first word.
                sink.take(if said.id == b"NOQUEUE" { Fact::Removed(said.id) } else { Fact::Withdraw(said.id) });
            }
            return true;
        }
        match said.service {
            b"smtpd" => tls_error(text, sink) || self.session(stamp, said, sink),
            b"postscreen" => self.screen(stamp, text, sink),
            _ => false,
        }
    }

    fn judged(&self, hour: u8, verdict: Verdict, text: &[u8], sink: &mut impl Sink) {
        if self.common.options.rejects == Top::None {
            return sink.take(Fact::Verdict { hour, verdict, why: None });
        }
        let text = text::split_once(text, b": ").map_or(b"".as_slice(), |(_, text)| text);
        let Reject { kind, reason, about } = reject::read_newer(text, &self.common.style, self.newer.srs);
        let why = Some(Reason { kind, reason: &reason, about: &about });
        sink.take(Fact::Verdict { hour, verdict, why });
    }

    fn session(&self, stamp: Stamp, said: &Said<'_>, sink: &mut impl Sink) -> bool {
        if !self.common.options.smtpd_stats {
            return true;
        }
        let (process, at) = (said.process, self.common.seconds(stamp));
        if said.text.starts_with(b"connect from ") {
            sink.take(Fact::Connect { process, at });
        } else if let Some(client) = said.text.strip_prefix(b"disconnect from ") {
            let domain = client_organisation(client);
            sink.take(Fact::Disconnect { hour: stamp.hour, process, at, domain: &domain });
        } else {
            return false;
        }
        true
    }

    /// What postscreen did to a client.
    fn screen(&self, stamp: Stamp, text: &[u8], sink: &mut impl Sink) -> bool {
        let Some((action, address, port)) = ACTIONS.iter().find_map(|action| action.read(text)) else { return false };
        let key = [address, b":", port].concat();
        let at = self.common.seconds(stamp);
        if action == b"CONNECT" {
            sink.take(Fact::Screen { key: &key, at });
            return true;
        }
        let wanted = self.newer.screen != Top::None;
        let passed = matches!(action, b"PASS NEW" | b"PASS OLD");
        if passed || action == b"DISCONNECT" || action == b"HANGUP" {
            let action = (wanted && passed).then_some(action);
            sink.take(Fact::Screened { key: &key, address, at, action });
        } else if wanted {
            sink.take(Fact::ScreenAction { action, address });
        }
        true
    }
}

/// "NAME... \[ADDRESS\]:PORT..."
struct Action {
    name: &'static [u8],
    /// Whether the name goes on up to what stands before the address.
    open: bool,
    before: &'static [u8],
    after: After,
}

/// What must follow the port.
enum After {
    Anything,
    Nothing,
    Text(&'static [u8]),
}

const fn action(name: &'static [u8], before: &'static [u8], after: After) -> Action {
    Action { name, open: false, before, after }
}

const ACTIONS: &[Action] = &[
    action(b"ALLOWLIST VETO", b" [", After::Anything),
    action(b"BARE NEWLINE", b" from [", After::Text(b" after ")),
    action(b"BDAT without valid RCPT", b" from [", After::Anything),
    action(b"COMMAND COUNT LIMIT", b" from [", After::Text(b" after ")),
    action(b"COMMAND LENGTH LIMIT", b" from [", After::Text(b" after ")),
    action(b"COMMAND PIPELINING", b" from [", After::Text(b" after ")),
    action(b"COMMAND TIME LIMIT", b" from [", After::Text(b" after ")),
    action(b"CONNECT", b" from [", After::Text(b" to [")),
    action(b"DATA without valid RCPT", b" from [", After::Anything),
    action(b"DISCONNECT", b" [", After::Anything),
    Action { name: b"DNSBL rank ", open: true, before: b" for [", after: After::Anything },
    action(b"HANGUP", b" from [", After::Text(b" in ")),
    action(b"NON-SMTP COMMAND", b" from [", After::Text(b" after ")),
    Action { name: b"PASS ", open: true, before: b" [", after: After::Nothing },
    action(b"PREGREET", b" from [", After::Text(b": ")),
    action(b"ALLOWLISTED", b" [", After::Anything),
    action(b"DENYLISTED", b" [", After::Anything),
    action(b"WHITELISTED", b" [", After::Anything),
    action(b"BLACKLISTED", b" [", After::Anything),
    action(b"WHITELIST VETO", b" [", After::Anything),
];

impl Action {
    /// Name, address and port.
    fn read<'a>(&self, text: &'a [u8]) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
        let tail = text.strip_prefix(self.name)?;
        // HANGUP and PREGREET say more before the client.
        let begin = match self.open || matches!(self.name, b"HANGUP" | b"PREGREET") {
            true => memmem::find(tail, self.before)?,
            false => tail.starts_with(self.before).then_some(0)?,
        };
        let inner = &tail[begin + self.before.len()..];
        let (address, port) = memrchr_iter(b']', inner).find_map(|close| {
            let port = inner[close + 1..].strip_prefix(b":")?;
            let length = digits(port);
            let after = &port[length..];
            let right = match self.after {
                After::Anything => true,
                After::Nothing => after.is_empty(),
                After::Text(text) => after.strip_prefix(text).is_some_and(|rest| !rest.is_empty() || text == b" in "),
            };
            (length > 0 && close > 0 && right).then(|| (&inner[..close], &port[..length]))
        })?;
        let end = if self.open { self.name.len() + begin } else { self.name.len() };
        Some((&text[..end], address, port))
    }
}

/// smtpd's trouble with TLS: "...SSL... from CLIENT\[ADDRESS\]: WHY".
fn tls_error(text: &[u8], sink: &mut impl Sink) -> bool {
    let marks = [(b"SSL".as_slice()), b"STARTTLS"];
    let Some(mark) = marks.iter().filter_map(|mark| Some(memmem::find(text, mark)? + mark.len())).min() else {
        return false;
    };
    let found = memmem::find_iter(&text[mark..], b"from").find_map(|at| {
        let at = mark + at;
        let (what, client) = (text[..at].trim_ascii_end(), text.get(at + 4..)?);
        let begin = Some(blanks(client)).filter(|&begin| begin > 0 && what.len() < at && what.len() >= mark)?;
        let client = &client[begin..];
        let open = memchr(b'[', client).filter(|&open| open > 0 && text::run(client) > open)?;
        let close = open + memchr(b']', &client[open..]).filter(|&length| length > 1)?;
        let after = &client[close + 1..];
        let why = match after.strip_prefix(b":") {
            None if after.is_empty() => None,
            Some(why) if blanks(why) > 0 && blanks(why) < why.len() => Some(&why[blanks(why)..]),
            _ => return None,
        };
        Some((what, &client[..=close], why))
    });
    let Some((what, client, why)) = found else { return false };
    let what = why.map_or(what.to_vec(), |why| [what, b" ", why].concat());
    sink.take(Fact::TlsError { what: &what, host: &client_organisation(client) });
    true
}
