//! The rules of pflogsumm 1.3.0 where they differ from those of 1.1.5: a message is followed until it is removed,
//! what was rejected late or never got a size is not received, and more kinds of lines count.

/// smtpd and postscreen.
mod server;

use super::{Collector, Now, Verdict};
use crate::applet::pflogsumm::condense;
use crate::applet::pflogsumm::fields::{
    Delivery, connect_failure, days_from_civil, decimal, is_queue_id, longest, old_failure, sender_and_size, truth,
    without_priority,
};
use crate::applet::pflogsumm::input::Lines;
use crate::applet::pflogsumm::options::{Newer, Options, Top};
use crate::applet::pflogsumm::tallies::{Column, Digest, Map};
use crate::applet::pflogsumm::text::{self, domain_of, find, organisation};
use crate::log::line::{Line, Postfix, Stamp};
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

/// Reads lines by the rules of 1.3.0.
pub struct NewerCollector<'o> {
    pub common: Collector<'o>,
    newer: &'o Newer,
    messages: HashMap<Digest, Message>,
    clients: Map<()>,
    /// When postscreen took a connection, by address and port.
    screened: HashMap<Vec<u8>, i64>,
    /// The message that each smtpd process took last.
    receiving: HashMap<u64, Digest>,
    span: Option<(i64, i64)>,
    unprocessed: Option<Box<dyn Write + 'o>>,
    debug: Option<Box<dyn Write + 'o>>,
}

/// What is known of a message on its way.
#[derive(Default)]
struct Message {
    size: u64,
    deferred: bool,
    /// The client's place in the list: it was taken in and has no sender yet.
    arrived: Option<u32>,
    /// cleanup has seen it, and no size is known.
    open: bool,
    /// Where it could not be delivered.
    relay: Option<Box<[u8]>>,
}

impl<'o> NewerCollector<'o> {
    pub fn new(options: &'o Options, newer: &'o Newer, now: Now) -> NewerCollector<'o> {
        let day = |date: jiff::civil::Date| days_from_civil(date.year().into(), date.month().into(), date.day().into());
        NewerCollector {
            common: Collector::new(options, now, None),
            newer,
            messages: HashMap::new(),
            clients: Map::default(),
            screened: HashMap::new(),
            receiving: HashMap::new(),
            span: newer.range.map(|(first, last)| (day(first), day(last))),
            unprocessed: None,
            debug: None,
        }
    }

    /// Where lines go that no rule knows, and what is noted of those that one does.
    pub fn side_outputs(&mut self, unprocessed: Option<Box<dyn Write + 'o>>, debug: Option<Box<dyn Write + 'o>>) {
        (self.unprocessed, self.debug) = (unprocessed, debug);
    }

    /// The end of the input: what was taken in and never got a size was not received.
    pub fn finish(&mut self) -> std::io::Result<()> {
        let open = self.messages.values().filter(|message| message.open).count();
        self.common.tallies.newer.withdrawn += open as u64;
        for out in [&mut self.unprocessed, &mut self.debug].into_iter().flatten() {
            out.flush()?;
        }
        Ok(())
    }

    /// The longest text behind a report line's count.
    fn room(&self) -> usize {
        self.newer.width.map_or(usize::MAX, |width| width.saturating_sub(14).max(4))
    }

    fn note(&mut self, what: &str, queue_id: &[u8]) {
        if let Some(debug) = &mut self.debug {
            // A debug file on a full disk is no reason to give no report.
            let _ = debug.write_all(&[what.as_bytes(), b": ", queue_id, b"\n"].concat());
        }
    }

    /// Whether the line is of the days asked for; the report's head names the first and the last day.
    fn in_span(&mut self, stamp: Stamp) -> bool {
        let (year, month, day) = (self.common.year(stamp), i64::from(stamp.month), i64::from(stamp.day));
        if let Some((first, last)) = self.span
            && !(first..=last).contains(&days_from_civil(year, month + 1, day))
        {
            return false;
        }
        let span = &mut self.common.tallies.newer.span;
        span.get_or_insert([(year, month, day); 2])[1] = (year, month, day);
        true
    }

    /// Whether a rule knows the line.
    fn postfix(&mut self, stamp: Stamp, rest: &[u8]) -> bool {
        let Some(Postfix { service, word, content }) = Postfix::parse(rest, &self.common.options.syslog_name) else {
            return false;
        };
        self.common.follow_calendar(stamp);
        if self.complaint(service, word, content, rest) {
            return true;
        }
        if service == b"cleanup" && self.cleanup(stamp, word, rest) {
            return true;
        }
        if let Some(verdict) = Verdict::of(word) {
            self.common.verdict(stamp, verdict, rest);
            return true;
        }
        match service {
            b"master" => {
                let text = text::after_last(rest, b": ").unwrap_or_default();
                *self.common.tallies.master.of(text) += 1;
                true
            }
            b"smtpd" | b"postscreen" => self.server(stamp, service, word, content, rest),
            _ => self.message(stamp, service, word, rest),
        }
    }

    /// "warning: ...", "fatal: ...", "panic: ...", the first also behind a queue id.
    fn complaint(&mut self, service: &[u8], word: &[u8], content: &[u8], rest: &[u8]) -> bool {
        let behind_id = content.get(word.len()..).is_some_and(|tail| tail.starts_with(b": warning: "));
        let options = self.common.options;
        let tallies = &mut self.common.tallies;
        let (mark, map): (&[u8], _) = match word {
            b"fatal" => (b"fatal: ", &mut tallies.fatals),
            b"panic" => (b"panic: ", &mut tallies.panics),
            _ if word == b"warning" || behind_id => {
                let text = text::after_last(rest, b"warning: ").unwrap_or(rest);
                if self.newer.suppress.names && condense::is_about_names(text) {
                    return true;
                }
                let room = self.room();
                let room = if options.verbose { usize::MAX } else { room };
                let text = condense::cut(condense::warning(text), room);
                *self.common.tallies.warnings.of(service).of(&text) += 1;
                return true;
            }
            _ => return false,
        };
        *map.of(service).of(text::after_last(rest, mark).unwrap_or(rest)) += 1;
        true
    }

    fn cleanup(&mut self, stamp: Stamp, queue_id: &[u8], rest: &[u8]) -> bool {
        let Some((verdict, part, text)) = self.common.cleanup_verdict(rest) else { return false };
        let room = self.newer.width.map_or(usize::MAX, |width| width.saturating_sub(16).max(4));
        self.common.cleanup_counted(stamp, verdict, part, text, room);
        if verdict == Verdict::Reject {
            if find(rest, b": milter-reject: ").is_some() {
                self.withdraw(queue_id);
            } else if let Some(message) = self.messages.get_mut(&Digest::of(queue_id)) {
                message.arrived = None;
            }
        }
        true
    }

    /// The lines of messages on their way.
    fn message(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], rest: &[u8]) -> bool {
        if !is_queue_id(queue_id) {
            return service == b"smtp" && self.exception(rest);
        }
        let mut delivery = None;
        for at in memchr_iter(b'<', rest) {
            let Some((before, after)) = rest.split_at_checked(at + 1) else { break };
            if before.ends_with(b"from=<") {
                if let Some((address, size)) = sender_and_size(after) {
                    self.sender(queue_id, address, size);
                    return true;
                }
                if let Some(end) = memchr(b'>', after)
                    && after[end..].starts_with(b">, status=expired")
                {
                    self.expired(queue_id);
                    return true;
                }
            }
            if delivery.is_none() && before.ends_with(b"to=<") {
                delivery = Delivery::read_newer(after);
            }
        }
        if let Some(found) = delivery {
            return self.delivery(stamp, service, queue_id, &found, rest);
        }
        let said = find(rest, b"]: ").and_then(|at| rest.get(at + 3..)).unwrap_or_default();
        let said = said.strip_prefix(queue_id).and_then(|tail| tail.strip_prefix(b": ")).unwrap_or_default();
        if service == b"cleanup" && said.starts_with(b"message-id=<") {
            let message = self.messages.entry(Digest::of(queue_id)).or_default();
            message.open = true;
            return true;
        }
        if said == b"removed" {
            self.messages.remove(&Digest::of(queue_id));
            return true;
        }
        if said == b"removed (canceled)" {
            self.common.tallies.newer.canceled += 1;
            self.withdraw(queue_id);
            return true;
        }
        if service == b"pickup" && (find(rest, b": uid=").is_some() || find(rest, b": sender=").is_some()) {
            self.arrive(stamp, queue_id, b"pickup");
            return true;
        }
        false
    }

    /// "connect to HOST[ADDRESS]:25: WHY"
    fn exception(&mut self, rest: &[u8]) -> bool {
        let Some((host, why)) = old_failure(rest).or_else(|| connect_failure(rest)) else { return false };
        *self.common.tallies.smtp_failures.of(&why.to_ascii_lowercase()).of(host) += 1;
        true
    }

    fn arrive(&mut self, stamp: Stamp, queue_id: &[u8], client: &[u8]) {
        self.common.count(stamp, Column::Received);
        self.common.tallies.received += 1;
        let place = self.clients.place(client);
        self.messages.entry(Digest::of(queue_id)).or_default().arrived = Some(place);
        self.note("received", queue_id);
    }

    /// A message that was counted as received and is none.
    fn withdraw(&mut self, queue_id: &[u8]) {
        self.common.tallies.newer.withdrawn += 1;
        self.messages.remove(&Digest::of(queue_id));
        self.note("not received", queue_id);
    }

    fn sender(&mut self, queue_id: &[u8], address: &[u8], size: u64) {
        let message = self.messages.entry(Digest::of(queue_id)).or_default();
        if message.size != 0 {
            return;
        }
        message.size = size;
        message.open = false;
        let arrived = message.arrived.take();
        let unmunged = self.newer.srs.then(|| condense::without_srs(address)).flatten();
        let address = unmunged.as_deref().unwrap_or(address);
        let address = Some(address).filter(|address| truth(address));
        let address =
            address.map_or(Cow::Borrowed(b"from=<>".as_slice()), |address| self.common.style.folding.sender(address));
        let tallies = &mut self.common.tallies;
        if self.common.options.extended {
            tallies.details.of(queue_id).push(address.as_ref().into());
        }
        let Some(client) = arrived.and_then(|place| self.clients.key(place)) else { return };
        let domain = match domain_of(&address) {
            Some(domain) => organisation(domain),
            None if client == b"pickup" => Cow::Borrowed(address.as_ref()),
            None => Cow::Borrowed(client),
        };
        for (map, key) in [(&mut tallies.sender_domains, &domain), (&mut tallies.senders, &address)] {
            let traffic = map.of(key);
            traffic.messages += 1;
            traffic.bytes += size;
        }
        tallies.bytes_received += size;
    }

    fn expired(&mut self, queue_id: &[u8]) {
        let message = self.messages.get(&Digest::of(queue_id));
        let relay = message.and_then(|message| message.relay.as_deref()).unwrap_or(b"unknown");
        let newer = &mut self.common.tallies.newer;
        newer.expired += 1;
        *newer.expired_relays.of(condense::relay_host(relay)) += 1;
    }

    fn delivery(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], found: &Delivery<'_>, rest: &[u8]) -> bool {
        if let Some(level) = found.tls.filter(|_| self.newer.tls_stats) {
            *self.common.tallies.newer.tls_levels.of(condense::relay_host(found.relay)).of(level) += 1;
        }
        match found.status {
            b"sent" if find(found.after, b"forwarded as ").is_some() => self.common.tallies.forwarded += 1,
            b"sent" => self.sent(stamp, queue_id, found),
            b"deferred" => self.deferred(stamp, service, queue_id, found, rest),
            b"bounced" => self.bounced(stamp, found, rest),
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

    fn sent(&mut self, stamp: Stamp, queue_id: &[u8], found: &Delivery<'_>) {
        let address = self.recipient(found);
        let size = self.messages.get(&Digest::of(queue_id)).map_or(0, |message| message.size);
        let options = self.common.options;
        let tallies = &mut self.common.tallies;
        let delay = decimal(found.delay);
        let domain = tallies.recipient_domains.of(&organisation_of(&address));
        domain.messages += 1;
        domain.bytes += size;
        domain.delay += delay;
        domain.longest = longest(domain.longest, delay);
        let user = tallies.recipients.of(&address);
        user.messages += 1;
        user.bytes += size;
        tallies.delivered += 1;
        tallies.bytes_delivered += size;
        if size == 0 {
            if options.sizeless {
                *tallies.sizeless.of(queue_id) = address.as_ref().into();
            }
            if options.extended {
                tallies.details.of(queue_id).push((*b"(sender not in log)").into());
            }
        }
        if options.extended {
            tallies.details.of(queue_id).push(address.as_ref().into());
        }
        self.common.count(stamp, Column::Delivered);
        self.note("delivered", queue_id);
    }

    fn deferred(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], found: &Delivery<'_>, rest: &[u8]) {
        let options = self.common.options;
        if options.deferrals != Top::None {
            let reason = text::split_once(rest, b", status=deferred (").map_or(b"".as_slice(), |(_, reason)| reason);
            let reason = reason.get(..memchr(b')', reason).unwrap_or(reason.len())).unwrap_or_default();
            if options.verbose {
                *self.common.tallies.deferral_reasons.of(service).of(reason) += 1;
            } else {
                let reason = reason.get(..memchr(b'(', reason).unwrap_or(reason.len())).unwrap_or_default();
                let (host, why) = condense::deferral(reason, found.relay);
                *self.common.tallies.newer.deferrals.of(service).of(host).of(&why) += 1;
            }
        }
        let message = self.messages.entry(Digest::of(queue_id)).or_default();
        message.relay = Some(found.relay.into());
        let first = !std::mem::replace(&mut message.deferred, true);
        let address = self.recipient(found);
        self.common.count(stamp, Column::Deferred);
        let tallies = &mut self.common.tallies;
        tallies.deferrals += 1;
        tallies.deferred += u64::from(first);
        let domain = tallies.recipient_domains.of(&organisation_of(&address));
        domain.deferrals += 1;
        domain.longest = longest(domain.longest, decimal(found.delay));
    }

    fn bounced(&mut self, stamp: Stamp, found: &Delivery<'_>, rest: &[u8]) {
        let options = self.common.options;
        if options.bounces != Top::None {
            let reason = text::split_once(rest, b", status=bounced (").map_or(b"".as_slice(), |(_, reason)| reason);
            let end = memchr::memrchr(b')', reason).unwrap_or(0);
            let reason = reason.get(..end).unwrap_or_default();
            let shown = if options.verbose { Cow::Borrowed(reason) } else { condense::bounce(reason) };
            *self.common.tallies.bounce_reasons.of(condense::relay_host(found.relay)).of(&shown) += 1;
        }
        self.common.count(stamp, Column::Bounced);
        self.common.tallies.bounced += 1;
    }
}

/// The recipient's organisation; the whole address when it has no domain.
fn organisation_of(address: &[u8]) -> Cow<'_, [u8]> {
    match memchr(b'@', address) {
        Some(at) if at > 0 => organisation(address.get(at + 1..).unwrap_or_default()),
        _ => Cow::Borrowed(address),
    }
}

impl Lines for NewerCollector<'_> {
    fn line(&mut self, bytes: &[u8]) {
        let plain = without_priority(bytes);
        let known = match Line::parse(plain) {
            Some(Line { stamp, .. }) if !self.in_span(stamp) => true,
            Some(Line { stamp, rest, .. })
                if rest.starts_with(b"postfix") || rest.starts_with(&self.common.options.syslog_name) =>
            {
                match self.common.cleaned(rest) {
                    Some(cleaned) => self.postfix(stamp, &cleaned),
                    None => self.postfix(stamp, rest),
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
