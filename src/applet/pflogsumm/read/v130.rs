//! The rules of pflogsumm 1.3.0 where they differ from those of 1.1.5: a message is followed until it is removed,
//! what was rejected late or never got a size is not received, and more kinds of lines count.

/// smtpd and postscreen.
mod server;

use super::{Now, Reader, cleanup_verdict, was_forwarded};
use crate::applet::pflogsumm::condense;
use crate::applet::pflogsumm::fact::{Date, Deferral, Fact, Level, Sink, Verdict};
use crate::applet::pflogsumm::fields::{
    Delivery, connect_failure, days_from_civil, decimal, is_queue_id, old_failure, sender_and_size, without_priority,
};
use crate::applet::pflogsumm::input::Lines;
use crate::applet::pflogsumm::map::Key;
use crate::applet::pflogsumm::options::{Newer, Options, Top};
use crate::applet::pflogsumm::range::Range;
use crate::applet::pflogsumm::text::{self, find};
use crate::log::line::{Line, Postfix, Stamp};
use memchr::{memchr, memchr_iter};
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

    /// The longest text behind a report line's count.
    fn room(&self) -> usize {
        self.newer.width.map_or(usize::MAX, |width| width.saturating_sub(14).max(4))
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
        let Some(line) = Postfix::parse(rest, &self.common.options.syslog_name) else { return false };
        let Postfix { service, word, content, .. } = line;
        self.common.follow_calendar(stamp, sink);
        if self.complaint(service, word, content, rest, sink) {
            return true;
        }
        if service == b"cleanup" && self.cleanup(stamp, &line, rest, sink) {
            return true;
        }
        if let Some(verdict) = Verdict::of(word) {
            self.common.verdict(stamp, verdict, rest, sink);
            return true;
        }
        match service {
            b"master" => {
                sink.take(Fact::Master(text::after_last(rest, b": ").unwrap_or_default()));
                true
            }
            b"smtpd" | b"postscreen" => self.server(stamp, service, word, content, rest, sink),
            _ => self.message(stamp, service, word, rest, sink),
        }
    }

    /// "warning: ...", "fatal: ...", "panic: ...", the first also behind a queue id.
    fn complaint(&self, service: &[u8], word: &[u8], content: &[u8], rest: &[u8], sink: &mut impl Sink) -> bool {
        let behind_id = content.get(word.len()..).is_some_and(|tail| tail.starts_with(b": warning: "));
        let (mark, level): (&[u8], _) = match word {
            b"fatal" => (b"fatal: ", Level::Fatal),
            b"panic" => (b"panic: ", Level::Panic),
            _ if word == b"warning" || behind_id => {
                let text = text::after_last(rest, b"warning: ").unwrap_or(rest);
                if self.newer.suppress.names && condense::is_about_names(text) {
                    return true;
                }
                let room = if self.common.options.verbose { usize::MAX } else { self.room() };
                let text = condense::cut(condense::warning(text), room);
                sink.take(Fact::Complaint { level: Level::Warning, service, text: &text });
                return true;
            }
            _ => return false,
        };
        sink.take(Fact::Complaint { level, service, text: text::after_last(rest, mark).unwrap_or(rest) });
        true
    }

    fn cleanup(&self, stamp: Stamp, line: &Postfix<'_>, rest: &[u8], sink: &mut impl Sink) -> bool {
        let Some((verdict, part, text)) = cleanup_verdict(line, rest) else { return false };
        let room = self.newer.width.map_or(usize::MAX, |width| width.saturating_sub(16).max(4));
        self.common.cleanup_counted(stamp, verdict, part, text, room, sink);
        if verdict == Verdict::Reject {
            let by_milter = find(rest, b": milter-reject: ").is_some();
            sink.take(if by_milter { Fact::Withdraw(line.word) } else { Fact::Unarrive(line.word) });
        }
        true
    }

    /// The lines of messages on their way.
    fn message(&self, stamp: Stamp, service: &[u8], id: &[u8], rest: &[u8], sink: &mut impl Sink) -> bool {
        if !is_queue_id(id) {
            return service == b"smtp" && exception(rest, sink);
        }
        let mut delivery = None;
        for at in memchr_iter(b'<', rest) {
            let Some((before, after)) = rest.split_at_checked(at + 1) else { break };
            if before.ends_with(b"from=<") {
                if let Some((address, size)) = sender_and_size(after) {
                    let unmunged = self.newer.srs.then(|| condense::without_srs(address)).flatten();
                    let address = self.common.sender(unmunged.as_deref().unwrap_or(address));
                    sink.take(Fact::Sender { id: Key::of(id), address: Key::of(&address), size });
                    return true;
                }
                if let Some(end) = memchr(b'>', after)
                    && after[end..].starts_with(b">, status=expired")
                {
                    sink.take(Fact::Expired(id));
                    return true;
                }
            }
            if delivery.is_none() && before.ends_with(b"to=<") {
                delivery = Delivery::read_newer(after);
            }
        }
        if let Some(found) = delivery {
            return self.delivery(stamp, service, id, &found, rest, sink);
        }
        let said = find(rest, b"]: ").and_then(|at| rest.get(at + 3..)).unwrap_or_default();
        let said = said.strip_prefix(id).and_then(|tail| tail.strip_prefix(b": ")).unwrap_or_default();
        if service == b"cleanup" && said.starts_with(b"message-id=<") {
            sink.take(Fact::Open(id));
            return true;
        }
        if said == b"removed" {
            sink.take(Fact::Removed(id));
            return true;
        }
        if said == b"removed (canceled)" {
            sink.take(Fact::Canceled(id));
            return true;
        }
        if service == b"pickup" && (find(rest, b": uid=").is_some() || find(rest, b": sender=").is_some()) {
            sink.take(Fact::Arrive { hour: stamp.hour, id: Key::of(id), client: Some(b"pickup"), process: None });
            return true;
        }
        false
    }

    fn delivery(
        &self,
        stamp: Stamp,
        service: &[u8],
        id: &[u8],
        found: &Delivery<'_>,
        rest: &[u8],
        sink: &mut impl Sink,
    ) -> bool {
        if let Some(level) = found.tls.filter(|_| self.newer.tls_stats) {
            sink.take(Fact::TlsLevel { host: condense::relay_host(found.relay), level });
        }
        let hour = stamp.hour;
        match found.status {
            b"sent" if was_forwarded(found.after) => sink.take(Fact::Forwarded),
            b"sent" => {
                let address = self.recipient(found);
                sink.take(Fact::Sent {
                    hour,
                    id: Key::of(id),
                    address: Key::of(&address),
                    delay: decimal(found.delay),
                });
            }
            b"deferred" => self.deferred(hour, service, id, found, rest, sink),
            b"bounced" => self.bounced(hour, found, rest, sink),
            _ => return false,
        }
        true
    }

    fn recipient<'a>(&self, found: &Delivery<'a>) -> Cow<'a, [u8]> {
        let to = found.original_to.filter(|_| self.newer.original_to).unwrap_or(found.to);
        match self.newer.srs.then(|| condense::without_srs(to)).flatten() {
            Some(address) => Cow::Owned(self.common.style.folding.address(&address).into_owned()),
            None => self.common.style.folding.address(to),
        }
    }

    fn deferred(&self, hour: u8, service: &[u8], id: &[u8], found: &Delivery<'_>, rest: &[u8], sink: &mut impl Sink) {
        let options = self.common.options;
        let reason = text::split_once(rest, b", status=deferred (").map_or(b"".as_slice(), |(_, reason)| reason);
        let reason = reason.get(..memchr(b')', reason).unwrap_or(reason.len())).unwrap_or_default();
        let mut cut = Cow::Borrowed(reason);
        let mut host = None;
        if !options.verbose {
            let reason = reason.get(..memchr(b'(', reason).unwrap_or(reason.len())).unwrap_or_default();
            let (whose, why) = condense::deferral(reason, found.relay);
            (host, cut) = (Some(whose), why);
        }
        let why = Deferral { service, host, reason: &cut };
        let why = (options.deferrals != Top::None).then_some(why);
        let address = self.recipient(found);
        let (relay, delay) = (found.relay, decimal(found.delay));
        sink.take(Fact::Deferred { hour, id: Key::of(id), why, relay, address: &address, delay });
    }

    fn bounced(&self, hour: u8, found: &Delivery<'_>, rest: &[u8], sink: &mut impl Sink) {
        let options = self.common.options;
        if options.bounces == Top::None {
            return sink.take(Fact::Bounced { hour, why: None });
        }
        let reason = text::split_once(rest, b", status=bounced (").map_or(b"".as_slice(), |(_, reason)| reason);
        let end = memchr::memrchr(b')', reason).unwrap_or(0);
        let reason = reason.get(..end).unwrap_or_default();
        let shown = if options.verbose { Cow::Borrowed(reason) } else { condense::bounce(reason) };
        sink.take(Fact::Bounced { hour, why: Some((condense::relay_host(found.relay), &shown)) });
    }
}

/// "connect to HOST[ADDRESS]:25: WHY"
fn exception(rest: &[u8], sink: &mut impl Sink) -> bool {
    let Some((host, why)) = old_failure(rest).or_else(|| connect_failure(rest)) else { return false };
    sink.take(Fact::Unreachable { why: &why.to_ascii_lowercase(), host });
    true
}

impl Lines for NewerReader<'_> {
    fn begin(&mut self) {
        self.common.begin();
        self.last_date = None;
    }

    fn line(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let plain = without_priority(bytes);
        let known = match Line::parse(plain) {
            Some(Line { stamp, .. }) if !self.in_span(stamp, sink) => true,
            Some(Line { stamp, rest, .. })
                if rest.starts_with(b"postfix") || rest.starts_with(&self.common.options.syslog_name) =>
            {
                match self.common.cleaned(rest) {
                    Some(cleaned) => self.postfix(stamp, &cleaned, sink),
                    None => self.postfix(stamp, rest, sink),
                }
            }
            _ => false,
        };
        if !known && let Some(out) = &mut self.unprocessed {
            let _ = out.write_all(bytes).and_then(|()| out.write_all(b"\n"));
        }
    }

    fn announce(&mut self, bytes: &[u8]) {
        self.common.announce(bytes);
    }
}
