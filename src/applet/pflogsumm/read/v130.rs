//! The rules of pflogsumm 1.3.0 where they differ from those of 1.1.5: what a line says is read from its beginning, a
//! message is followed until it is removed, what was rejected late or never got a size is not received, and more kinds
//! of lines count.

/// Who says what in a line.
mod said;
/// smtpd, postscreen and pickup.
mod server;

use super::{Now, Reader};
use crate::applet::pflogsumm::condense;
use crate::applet::pflogsumm::fact::{Date, Deferral, Fact, Level, Reason, Sink, Verdict};
use crate::applet::pflogsumm::fields::{Delivery, days_from_civil, decimal, end_of_content, sender_and_size};
use crate::applet::pflogsumm::input::Lines;
use crate::applet::pflogsumm::map::Key;
use crate::applet::pflogsumm::options::{Newer, Options, Top};
use crate::applet::pflogsumm::range::Range;
use crate::applet::pflogsumm::text;
use crate::log::line::{Stamp, is_space};
use memchr::{memchr, memrchr};
use said::Said;
use std::borrow::Cow;
use std::io::Write;

/// Reads lines by the rules of 1.3.0.
pub struct NewerReader<'o> {
    common: Reader<'o>,
    newer: &'o Newer,
    /// First and last day asked for.
    span: Option<(i64, i64)>,
    last_date: Option<Date>,
    /// Where lines go that no rule knows.
    unprocessed: Option<Box<dyn Write + Send + 'o>>,
}

impl<'o> NewerReader<'o> {
    pub fn new(
        options: &'o Options,
        newer: &'o Newer,
        now: Now,
        range: Range,
        unprocessed: Option<Box<dyn Write + Send + 'o>>,
    ) -> NewerReader<'o> {
        let day = |date: jiff::civil::Date| days_from_civil(date.year().into(), date.month().into(), date.day().into());
        NewerReader {
            common: Reader::new(options, now, None, range, true),
            newer,
            span: newer.range.map(|(first, last)| (day(first), day(last))),
            last_date: None,
            unprocessed,
        }
    }

    /// The end of the input.
    pub fn finish(&mut self) -> std::io::Result<()> {
        self.unprocessed.as_mut().map_or(Ok(()), |out| out.flush())
    }

    /// A text that stands behind a count, cut to what is left of a column of 80 in which it had this much room.
    fn cut<'a>(&self, text: Cow<'a, [u8]>, room: usize) -> Cow<'a, [u8]> {
        match self.newer.width {
            Some(_) if self.common.options.verbose => text,
            None => text,
            Some(width) => condense::cut(text, (room + width).saturating_sub(80).max(4)),
        }
    }

    /// Whether the line is of the days asked for; the report's head names the first and the last day.
    fn in_span(&mut self, stamp: Stamp, sink: &mut impl Sink) -> bool {
        let date = (self.common.year(stamp), i64::from(stamp.month), i64::from(stamp.day));
        if let Some((first, last)) = self.span
            && !(first..=last).contains(&days_from_civil(date.0, date.1 + 1, date.2))
        {
            return false;
        }
        if !self.common.range.is_all() && !self.common.range.has(self.common.wall(stamp)) {
            return false;
        }
        if self.last_date != Some(date) {
            self.last_date = Some(date);
            sink.take(Fact::Span(date));
        }
        true
    }

    /// Whether a rule knows the line.
    fn postfix(&mut self, stamp: Stamp, rest: &[u8], sink: &mut impl Sink) -> bool {
        let Some(said) = Said::read(rest, &self.common.options.syslog_name) else { return false };
        self.common.follow_calendar(stamp, sink);
        if self.complaint(&said, sink) {
            return true;
        }
        match said.service {
            b"cleanup" => self.cleanup(stamp, &said, sink),
            b"master" => {
                sink.take(Fact::Master(said.text));
                true
            }
            b"smtpd" | b"postscreen" | b"pickup" => self.server(stamp, &said, sink),
            _ => match said.text.strip_prefix(b"to=<").and_then(Delivery::read_newer) {
                Some(found) => self.delivery(stamp, &said, &found, sink),
                None => match said.service {
                    b"qmgr" | b"nqmgr" => self.queue(&said, sink),
                    b"smtp" => exception(said.text, sink),
                    _ => false,
                },
            },
        }
    }

    /// "warning: ...", "fatal: ...", "panic: ...", also behind a queue id.
    fn complaint(&self, said: &Said<'_>, sink: &mut impl Sink) -> bool {
        const LEVELS: [(&[u8], Level); 3] =
            [(b"warning:", Level::Warning), (b"fatal:", Level::Fatal), (b"panic:", Level::Panic)];
        let found = LEVELS.into_iter().find_map(|(word, level)| Some((said.text.strip_prefix(word)?, level)));
        let Some((tail, level)) = found else { return false };
        // Of blanks alone the last one is the text.
        let blanks = tail.iter().take_while(|&&byte| is_space(byte)).count().min(tail.len().saturating_sub(1));
        if blanks == 0 {
            return false;
        }
        let (service, mut text) = (said.service, Cow::Borrowed(&tail[blanks..]));
        if level == Level::Warning {
            if service != b"cleanup" {
                text = condense::warning(&text).into_owned().into();
            }
            if self.newer.suppress.names && text::split_once(&text, b"does not resolve to address").is_some() {
                return true;
            }
            text = self.cut(text, 66);
        }
        sink.take(Fact::Complaint { level, service, text: &text });
        true
    }

    /// header_checks, body_checks and milters, and what was canceled.
    fn cleanup(&self, stamp: Stamp, said: &Said<'_>, sink: &mut impl Sink) -> bool {
        const WORDS: [(&[u8], Verdict); 4] = [
            (b"reject: ", Verdict::Reject),
            (b"milter-reject: ", Verdict::Reject),
            (b"hold: ", Verdict::Hold),
            (b"discard: ", Verdict::Discard),
        ];
        const PARTS: [&[u8]; 3] = [b"header", b"body", b"END-OF-MESSAGE"];
        if said.text == b"removed (canceled)" {
            sink.take(Fact::Canceled(said.id));
            return true;
        }
        let found = WORDS.iter().find_map(|(word, verdict)| {
            let rest = said.text.strip_prefix(*word)?;
            PARTS.iter().find_map(|part| Some((*verdict, *part, rest.strip_prefix(*part)?.strip_prefix(b" ")?)))
        });
        let Some((verdict, part, about)) = found else { return false };
        let about = match self.common.options.verbose {
            true => about,
            false => about.get(..end_of_content(about)).unwrap_or_default(),
        };
        let about = self.cut(Cow::Borrowed(about), 64);
        let why = Reason { kind: b"cleanup", reason: part, about: &about };
        let why = (self.common.options.rejects != Top::None).then_some(why);
        sink.take(Fact::Verdict { hour: stamp.hour, verdict, why });
        sink.take(if verdict == Verdict::Reject { Fact::Withdraw(said.id) } else { Fact::Removed(said.id) });
        true
    }

    /// The queue manager's lines.
    fn queue(&self, said: &Said<'_>, sink: &mut impl Sink) -> bool {
        if let Some((address, size)) = said.text.strip_prefix(b"from=<").and_then(sender_and_size) {
            let folded = self.common.sender(address);
            let plain = self.newer.srs.then(|| condense::without_srs(&folded)).flatten();
            let address = plain.as_deref().unwrap_or(&folded);
            sink.take(Fact::Sender { id: Key::of(said.id), address: Key::of(address), size });
        } else if said.text.ends_with(b", status=expired, returned to sender") {
            sink.take(Fact::Expired(said.id));
        } else if said.text == b"removed" {
            sink.take(Fact::Removed(said.id));
        } else {
            return false;
        }
        true
    }

    fn delivery(&self, stamp: Stamp, said: &Said<'_>, found: &Delivery<'_>, sink: &mut impl Sink) -> bool {
        let hour = stamp.hour;
        let relay = match self.common.options.ignore_case {
            true => Cow::Owned(found.relay.to_ascii_lowercase()),
            false => Cow::Borrowed(found.relay),
        };
        // Without its port.
        let digits = relay.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let relay = match relay.split_at(relay.len() - digits) {
            ([before @ .., b':'], [_, ..]) => before,
            _ => &relay,
        };
        let known = match found.status {
            b"sent" if was_forwarded(found.after) => {
                sink.take(Fact::Forwarded);
                sink.take(Fact::Removed(said.id));
                return true;
            }
            b"sent" => {
                let (id, address) = (Key::of(said.id), self.recipient(found));
                sink.take(Fact::Sent { hour, id, address: Key::of(&address), delay: decimal(found.delay) });
                true
            }
            b"deferred" => {
                self.deferred(hour, said, found, relay, sink);
                true
            }
            b"bounced" => {
                self.bounced(hour, said, relay, sink);
                true
            }
            _ => false,
        };
        if let Some(tls) = found.tls.filter(|_| self.newer.tls_stats) {
            let level = tls.get(..memchr(b'/', tls).unwrap_or(tls.len())).unwrap_or_default();
            sink.take(Fact::TlsLevel { host: condense::relay_host(relay), level });
        }
        known
    }

    fn recipient<'a>(&self, found: &Delivery<'a>) -> Cow<'a, [u8]> {
        let original = found.original_to.filter(|to| self.newer.original_to && !to.is_empty());
        self.common.style.folding.address(original.unwrap_or(found.to))
    }

    fn deferred(&self, hour: u8, said: &Said<'_>, found: &Delivery<'_>, relay: &[u8], sink: &mut impl Sink) {
        let options = self.common.options;
        let reason = text::split_once(said.text, b", status=deferred (").map_or(b"".as_slice(), |(_, reason)| reason);
        let reason = reason.get(..memchr(b')', reason).unwrap_or(reason.len())).unwrap_or_default();
        let mut cut = Cow::Borrowed(reason);
        let mut host = None;
        if !options.verbose {
            let (whose, why) = condense::deferral(reason);
            (host, cut) = (Some(whose), why);
        }
        let why = Deferral { service: said.service, host, reason: &cut };
        let why = (options.deferrals != Top::None).then_some(why);
        let (id, address, delay) = (Key::of(said.id), self.recipient(found), decimal(found.delay));
        sink.take(Fact::Deferred { hour, id, why, relay, address: &address, delay });
    }

    fn bounced(&self, hour: u8, said: &Said<'_>, relay: &[u8], sink: &mut impl Sink) {
        let options = self.common.options;
        if options.bounces == Top::None {
            return sink.take(Fact::Bounced { hour, why: None });
        }
        let reason = text::split_once(said.text, b", status=bounced (").map_or(b"".as_slice(), |(_, reason)| reason);
        let reason = reason.get(..memrchr(b')', reason).unwrap_or(0)).unwrap_or_default();
        let shown = if options.verbose { Cow::Borrowed(reason) } else { condense::said(reason) };
        sink.take(Fact::Bounced { hour, why: Some((condense::relay_host(relay), &shown)) });
    }
}

/// Whether a delivery's text says "(forwarded as ID)".
fn was_forwarded(text: &[u8]) -> bool {
    text::split_once(text, b"(forwarded as ")
        .is_some_and(|(_, id)| id.first().is_some_and(|byte| *byte != b')') && id.contains(&b')'))
}

/// "connect to HOST[ADDRESS]:25: WHY" or "connect to HOST[ADDRESS]: WHY (port 25)"
fn exception(said: &[u8], sink: &mut impl Sink) -> bool {
    let found = || {
        let rest = said.strip_prefix(b"connect to")?;
        let host = rest.trim_ascii_start();
        let (host, rest) = host.split_at_checked(memchr(b']', host)? + 1).filter(|_| host.len() < rest.len())?;
        if let Some(why) = rest.strip_prefix(b": ").and_then(|why| why.strip_suffix(b")")) {
            let number = why.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            let why = why.get(..why.len() - number)?.strip_suffix(b" (port ")?;
            return (number > 0 && !why.is_empty()).then_some((host, why));
        }
        let port = rest.strip_prefix(b":")?;
        let why =
            port.get(crate::log::line::digits(port)..).filter(|why| why.len() < port.len())?.strip_prefix(b":")?;
        let shown = why.trim_ascii_start();
        (shown.len() < why.len() && !shown.is_empty()).then_some((host, shown))
    };
    let Some((host, why)) = found() else { return false };
    sink.take(Fact::Unreachable { why: &why.to_ascii_lowercase(), host: condense::relay_host(host) });
    true
}

impl Lines for NewerReader<'_> {
    fn begin(&mut self) {
        self.common.begin();
        self.last_date = None;
    }

    fn line(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let known = match said::stamped(bytes) {
            Some((stamp, _)) if !self.in_span(stamp, sink) => true,
            Some((stamp, rest)) => match self.common.cleaned(rest) {
                Some(cleaned) => self.postfix(stamp, &cleaned, sink),
                None => self.postfix(stamp, rest, sink),
            },
            None => false,
        };
        if !known && let Some(out) = &mut self.unprocessed {
            let _ = out.write_all(bytes).and_then(|()| out.write_all(b"\n"));
        }
    }

    fn announce(&mut self, ids: bool) {
        self.common.announce(ids);
    }
}

/// White space at the beginning of a text: how much.
fn blanks(text: &[u8]) -> usize {
    text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len())
}
