//! One pass over the lines, in order: each line changes the [`Tallies`]. What counts and what does not follows the
//! reference line for line, habits included; DIFFERENCES in the manual page names the exceptions.

/// The rules of 1.3.0.
pub mod v130;

use super::fields::{
    Delivery, days_from_civil, decimal, domain_or_all, end_of_content, longest, old_failure, sender_and_size, truth,
    without_id,
};
use super::input::Lines;
use super::options::{Options, Top};
use super::reject::{self, Reject, Style};
use super::tallies::{Column, Counts, Day, Digest, Messages, Row, Sessions, Tallies, Verdicts};
use super::text::{self, Folding, client_domain, domain_of, find};
use crate::log::line::{Line, Postfix, Stamp, digits};
use memchr::{memchr, memchr_iter, memmem};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The clock's part in reading a log without years.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub year: i64,
    /// From 0.
    pub month: i64,
}

impl Now {
    pub fn of(time: &jiff::Zoned) -> Now {
        Now { year: i64::from(time.year()), month: i64::from(time.month()) - 1 }
    }
}

/// Reads lines.
pub struct Collector<'o> {
    options: &'o Options,
    style: Style,
    now: Now,
    /// The beginnings of the lines of the day asked for.
    wanted: Option<[Vec<u8>; 2]>,
    pub tallies: Tallies,
    messages: Messages,
    /// When each smtpd process took its connection.
    connected: HashMap<Option<u64>, i64>,
    last_day: u8,
    /// Whether the lines at hand may have "[ID ...] " in them.
    ids: bool,
    /// Index of the current day in `tallies.days`.
    today: usize,
}

/// Which of the four verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Reject,
    Warn,
    Hold,
    Discard,
}

impl Verdict {
    fn of(word: &[u8]) -> Option<Verdict> {
        Some(match word {
            b"reject" => Verdict::Reject,
            b"reject_warning" => Verdict::Warn,
            b"hold" => Verdict::Hold,
            b"discard" => Verdict::Discard,
            _ => return None,
        })
    }
}

impl<'o> Collector<'o> {
    /// `wanted`: how lines of the wanted day begin, in both kinds of stamps.
    pub fn new(options: &'o Options, now: Now, wanted: Option<[Vec<u8>; 2]>) -> Collector<'o> {
        let folding = Folding { ignore_case: options.ignore_case, uucp: options.uucp, verp: options.verp };
        Collector {
            options,
            style: Style {
                folding,
                verbose: options.verbose,
                add_from: options.rej_add_from,
                add_to: options.newer.as_ref().is_some_and(|newer| newer.rej_add_to),
                newer: options.newer.is_some(),
            },
            now,
            wanted,
            tallies: Tallies {
                hours: vec![Row::default(); 100],
                session_hours: vec![Sessions::default(); 100],
                ..Tallies::default()
            },
            messages: Messages::default(),
            connected: HashMap::new(),
            last_day: 0,
            ids: true,
            today: 0,
        }
    }

    fn postfix(&mut self, stamp: Stamp, rest: &[u8]) {
        let Some(Postfix { service, word, .. }) = Postfix::parse(rest, &self.options.syslog_name) else { return };
        self.follow_calendar(stamp);
        if service == b"cleanup" && self.cleanup(stamp, rest) {
            return;
        }
        if self.complaint(service, word, rest) {
            return;
        }
        if let Some(verdict) = Verdict::of(word) {
            self.verdict(stamp, verdict, rest);
            return;
        }
        match service {
            b"master" => {
                let text = text::after_last(rest, b": ").unwrap_or_default();
                *self.tallies.master.of(text) += 1;
            }
            b"smtpd" | b"postscreen" => self.server(stamp, word, rest),
            _ => {
                self.message(stamp, service, word, rest);
            }
        }
    }

    /// The lines of messages on their way: "from=<...>, size=N" anywhere makes it the queue manager's, else the first
    /// "to=<...>, relay=..." a delivery.
    fn message(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], rest: &[u8]) {
        let mut delivery = None;
        for at in memchr_iter(b'<', rest) {
            let Some((before, after)) = rest.split_at_checked(at + 1) else { break };
            if before.ends_with(b"from=<")
                && let Some((address, size)) = sender_and_size(after)
            {
                self.sender(queue_id, address, size);
                return;
            }
            if delivery.is_none() && before.ends_with(b"to=<") {
                delivery = Delivery::read(after);
            }
        }
        match delivery {
            Some(found) => self.delivery(stamp, service, queue_id, &found, rest),
            None => self.rest(stamp, service, queue_id, rest),
        }
    }

    /// A new day begins with each line whose day of the month is not the one before.
    fn follow_calendar(&mut self, stamp: Stamp) {
        if stamp.day == self.last_day && !self.tallies.days.is_empty() {
            return;
        }
        let changed = stamp.day != self.last_day;
        self.last_day = stamp.day;
        let (year, month, day) = (self.year(stamp), i64::from(stamp.month), i64::from(stamp.day));
        let days = &mut self.tallies.days;
        let known = days.iter().rposition(|known| (known.year, known.month, known.day) == (year, month, day));
        self.today = known.unwrap_or_else(|| {
            days.push(Day { year, month, day, ..Day::default() });
            days.len() - 1
        });
        if changed {
            self.tallies.day_changes += 1;
            if self.options.zero_fill {
                let row = &mut days[self.today].traffic;
                row.values[Column::Rejected as usize] = 0;
                row.filled = 5;
            }
        }
    }

    /// A month later than the current one is last year's; in 1.1.5 even for stamps that have a year.
    fn year(&self, stamp: Stamp) -> i64 {
        if let (Some(year), true) = (stamp.year, self.style.newer) {
            return i64::from(year);
        }
        if i64::from(stamp.month) > self.now.month { self.now.year - 1 } else { self.now.year }
    }

    fn count(&mut self, stamp: Stamp, column: Column) {
        self.tallies.hours[usize::from(stamp.hour)].add(column);
        self.tallies.days[self.today].traffic.add(column);
    }

    /// header_checks, body_checks and milters.
    fn cleanup(&mut self, stamp: Stamp, rest: &[u8]) -> bool {
        let Some((verdict, part, text)) = self.cleanup_verdict(rest) else { return false };
        self.cleanup_counted(stamp, verdict, part, text, 64);
        true
    }

    fn cleanup_counted(&mut self, stamp: Stamp, verdict: Verdict, part: &[u8], text: &[u8], room: usize) {
        let text = if self.options.verbose {
            Cow::Borrowed(text)
        } else {
            text::cut(text.get(..end_of_content(text)).unwrap_or_default(), room)
        };
        let (total, verdicts) = self.verdicts(verdict);
        *total += 1;
        if let Some(verdicts) = verdicts {
            *verdicts.of(b"cleanup").of(part).of(&text) += 1;
        }
        self.count(stamp, Column::Rejected);
    }

    /// "/cleanup[N]: ... reject: header TEXT"
    fn cleanup_verdict<'a>(&self, rest: &'a [u8]) -> Option<(Verdict, &'static [u8], &'a [u8])> {
        const PARTS: [&[u8]; 3] = [b"header", b"body", b"END-OF-MESSAGE"];
        const WORDS: [(&[u8], Verdict); 4] = [
            (b"reject", Verdict::Reject),
            (b"warning", Verdict::Warn),
            (b"hold", Verdict::Hold),
            (b"discard", Verdict::Discard),
        ];
        let begin = memmem::find_iter(rest, b"/cleanup[").find_map(|at| {
            let number = at + b"/cleanup[".len();
            let end = number + digits(rest.get(number..)?);
            (end > number && rest.get(end..)?.starts_with(b"]: ")).then_some(end + 3)
        })?;
        let tail = rest.get(begin..)?;
        memchr_iter(b':', tail).find_map(|at| {
            let after = tail.get(at..)?.strip_prefix(b": ")?;
            let part =
                PARTS.into_iter().find(|part| after.starts_with(part) && after.get(part.len()) == Some(&b' '))?;
            let (before, verdict) =
                WORDS.into_iter().find_map(|(word, verdict)| Some((tail.get(..at)?.strip_suffix(word)?, verdict)))?;
            let whole = !before.last().copied().is_some_and(text::is_word);
            whole.then(|| (verdict, part, after.get(part.len() + 1..).unwrap_or_default()))
        })
    }

    /// "warning: ...", "fatal: ...", "panic: ..."
    fn complaint(&mut self, service: &[u8], word: &[u8], rest: &[u8]) -> bool {
        let (mark, map): (&[u8], _) = match word {
            b"warning" if service == b"smtpd" && !self.options.smtpd_warnings => return true,
            b"warning" => (b"warning: ", &mut self.tallies.warnings),
            b"fatal" => (b"fatal: ", &mut self.tallies.fatals),
            b"panic" => (b"panic: ", &mut self.tallies.panics),
            _ => return false,
        };
        let text = text::after_last(rest, mark).unwrap_or(rest);
        let text = if self.options.verbose { Cow::Borrowed(text) } else { text::cut(text, 66) };
        *map.of(service).of(&text) += 1;
        true
    }

    fn verdicts(&mut self, verdict: Verdict) -> (&mut u64, Option<&mut Verdicts>) {
        let tallies = &mut self.tallies;
        let (total, map) = match verdict {
            Verdict::Reject => (&mut tallies.rejected, &mut tallies.rejects),
            Verdict::Warn => (&mut tallies.reject_warnings, &mut tallies.reject_warning_reasons),
            Verdict::Hold => (&mut tallies.held, &mut tallies.holds),
            Verdict::Discard => (&mut tallies.discarded, &mut tallies.discards),
        };
        (total, (self.options.rejects != Top::None).then_some(map))
    }

    /// smtpd's and postscreen's verdict on a client.
    fn verdict(&mut self, stamp: Stamp, verdict: Verdict, rest: &[u8]) {
        self.count(stamp, Column::Rejected);
        let style = self.style;
        let (total, verdicts) = self.verdicts(verdict);
        *total += 1;
        if let Some(verdicts) = verdicts {
            let Reject { kind, reason, about } = reject::read(rest, &style);
            *verdicts.of(kind).of(&reason).of(&about) += 1;
        }
    }

    /// smtpd and postscreen: a message's client, a verdict, the sessions.
    fn server(&mut self, stamp: Stamp, word: &[u8], rest: &[u8]) {
        let mut verdict = None;
        for at in memchr_iter(b']', rest) {
            let Some([b':', b' ', content @ ..]) = rest.get(at + 1..) else { continue };
            let before = rest.get(..at).unwrap_or_default();
            let number = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            if number == 0 || before.get(before.len().wrapping_sub(number + 1)) != Some(&b'[') {
                continue;
            }
            let id = content.iter().position(|&byte| !text::is_word(byte)).unwrap_or(content.len());
            let Some(said) = content.get(id..).and_then(|tail| tail.strip_prefix(b": ")).filter(|_| id > 0) else {
                continue;
            };
            if let Some(client) = said.strip_prefix(b"client=").filter(|client| !client.is_empty()) {
                // At least one byte, then up to a comma.
                let end = memchr(b',', client.get(1..).unwrap_or_default()).map_or(client.len(), |comma| comma + 1);
                self.count(stamp, Column::Received);
                self.tallies.received += 1;
                let domain = client_domain(client.get(..end).unwrap_or_default()).filter(|domain| truth(domain));
                let message = Digest::of(word);
                self.messages.arrive(message, domain.as_deref());
                return;
            }
            if verdict.is_none()
                && let Some(end) = memchr(b':', said).filter(|&end| said.get(end + 1) == Some(&b' '))
            {
                verdict = Verdict::of(said.get(..end).unwrap_or_default());
            }
        }
        if let Some(verdict) = verdict {
            self.verdict(stamp, verdict, rest);
        } else if self.options.smtpd_stats {
            self.session(stamp, rest);
        }
    }

    /// "connect from" and "disconnect from", paired by process.
    fn session(&mut self, stamp: Stamp, rest: &[u8]) {
        // A process number that cannot be read pairs with another such; that is the reference's habit, too.
        let tagged = |said: &'static [u8]| {
            memmem::find_iter(rest, b"/smtpd[").find_map(|at| {
                let tail = rest.get(at + b"/smtpd[".len()..)?;
                let length = digits(tail);
                let after = tail.get(length..)?.strip_prefix(b"]: ")?.strip_prefix(said).filter(|_| length > 0)?;
                let process = tail[..length].iter();
                Some((process.fold(0, |value: u64, &d| value.wrapping_mul(10) + u64::from(d - b'0')), after))
            })
        };
        let seconds = self.seconds(stamp);
        if find(rest, b": connect from ").is_some() {
            self.connected.insert(tagged(b"").map(|(process, _)| process), seconds);
            return;
        }
        if find(rest, b": disconnect from ").is_none() {
            return;
        }
        let client = tagged(b"disconnect from ").filter(|(_, client)| !client.is_empty());
        let Some(since) = self.connected.remove(&client.map(|(process, _)| process)) else { return };
        let client = client.map_or(b"".as_slice(), |(_, client)| client);
        let time = seconds - since;
        let domain = match self.style.newer {
            true => text::client_organisation(client),
            false => client_domain(client).unwrap_or_default(),
        };
        self.tallies.session_hours[usize::from(stamp.hour)].add(time);
        self.tallies.days[self.today].sessions.add(time);
        self.tallies.session_domains.of(&domain).add(time);
        self.tallies.sessions.add(time);
    }

    /// The line without "[ID ...] ", when it has one.
    fn cleaned(&self, rest: &[u8]) -> Option<Vec<u8>> {
        self.ids.then(|| without_id(rest)).flatten()
    }

    /// Seconds on a scale of its own.
    fn seconds(&self, stamp: Stamp) -> i64 {
        let days = days_from_civil(self.year(stamp), i64::from(stamp.month) + 1, i64::from(stamp.day));
        days * 86_400 + i64::from(stamp.hour) * 3600 + i64::from(stamp.minute) * 60 + i64::from(stamp.second)
    }

    /// "from=<...>, size=N" (qmgr)
    fn sender(&mut self, queue_id: &[u8], address: &[u8], size: u64) {
        let message = Digest::of(queue_id);
        if self.messages.size(message) != 0 {
            return;
        }
        let address = Some(address).filter(|address| truth(address));
        let address =
            address.map_or(Cow::Borrowed(b"from=<>".as_slice()), |address| self.style.folding.sender(address));
        self.messages.set_size(message, size);
        if self.options.extended {
            self.tallies.details.of(queue_id).push(address.as_ref().into());
        }
        // Only what came in over smtpd or pickup: not forwarded mail, not notices.
        let Some(client) = self.messages.take_client(message) else { return };
        let domain = match domain_of(&address) {
            Some(domain) => domain,
            None if client == b"pickup" => &address,
            None => client,
        };
        for (map, key) in [(&mut self.tallies.sender_domains, domain), (&mut self.tallies.senders, &address)] {
            let traffic = map.of(key);
            traffic.messages += 1;
            traffic.bytes += size;
        }
        self.tallies.bytes_received += size;
    }

    /// "to=<...>, relay=..., delay=..., status=..."
    fn delivery(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], found: &Delivery<'_>, rest: &[u8]) {
        match found.status {
            b"sent" if find(found.after, b"forwarded as ").is_some() => self.tallies.forwarded += 1,
            b"sent" => self.sent(stamp, queue_id, found),
            b"deferred" => self.deferred(stamp, service, queue_id, found, rest),
            b"bounced" => self.bounced(stamp, found, rest),
            _ => {}
        }
    }

    fn sent(&mut self, stamp: Stamp, queue_id: &[u8], found: &Delivery<'_>) {
        let address = self.style.folding.address(found.to);
        let size = self.messages.size(Digest::of(queue_id));
        let delay = decimal(found.delay);
        let domain = self.tallies.recipient_domains.of(domain_or_all(&address));
        domain.messages += 1;
        domain.bytes += size;
        domain.delay += delay;
        domain.longest = longest(domain.longest, delay);
        let user = self.tallies.recipients.of(&address);
        user.messages += 1;
        user.bytes += size;
        self.tallies.delivered += 1;
        self.tallies.bytes_delivered += size;
        if size == 0 {
            if self.options.sizeless {
                *self.tallies.sizeless.of(queue_id) = address.as_ref().into();
            }
            if self.options.extended {
                self.tallies.details.of(queue_id).push((*b"(sender not in log)").into());
            }
        }
        if self.options.extended {
            self.tallies.details.of(queue_id).push(address.as_ref().into());
        }
        self.count(stamp, Column::Delivered);
    }

    fn deferred(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], found: &Delivery<'_>, rest: &[u8]) {
        if self.options.deferrals != Top::None {
            let reason = text::split_once(rest, b", status=deferred (").map_or(b"".as_slice(), |(_, reason)| reason);
            let reason = reason.get(..memchr(b')', reason).unwrap_or(reason.len())).unwrap_or_default();
            let cut = if self.options.verbose { Cow::Borrowed(reason) } else { text::cut_said(reason, 65) };
            let mut shown = cut.as_ref();
            if !self.options.verbose {
                shown = text::without_code(shown);
                shown = shown.strip_prefix(b"connect to ").unwrap_or(shown);
            }
            *self.tallies.deferral_reasons.of(service).of(shown) += 1;
        }
        self.count(stamp, Column::Deferred);
        self.tallies.deferrals += 1;
        if self.messages.first_deferral(Digest::of(queue_id)) {
            self.tallies.deferred += 1;
        }
        let address = self.style.folding.address(found.to);
        let domain = self.tallies.recipient_domains.of(domain_or_all(&address));
        domain.deferrals += 1;
        domain.longest = longest(domain.longest, decimal(found.delay));
    }

    fn bounced(&mut self, stamp: Stamp, found: &Delivery<'_>, rest: &[u8]) {
        if self.options.bounces != Top::None {
            let reason = text::split_once(rest, b", status=bounced (").map_or(b"".as_slice(), |(_, reason)| reason);
            let end = memchr::memrchr(b')', reason).unwrap_or(0);
            let reason = reason.get(..end).unwrap_or_default();
            let cut = if self.options.verbose { Cow::Borrowed(reason) } else { text::cut_said(reason, 66) };
            let shown = if self.options.verbose { cut.as_ref() } else { text::without_code(&cut) };
            let relay = if self.options.ignore_case {
                Cow::Owned(found.relay.to_ascii_lowercase())
            } else {
                Cow::Borrowed(found.relay)
            };
            *self.tallies.bounce_reasons.of(&relay).of(shown) += 1;
        }
        self.count(stamp, Column::Bounced);
        self.tallies.bounced += 1;
    }

    /// pickup, and connection failures of old smtp clients.
    fn rest(&mut self, stamp: Stamp, service: &[u8], queue_id: &[u8], rest: &[u8]) {
        if service == b"pickup" {
            if find(rest, b": uid=").is_some() || find(rest, b": sender=").is_some() {
                self.count(stamp, Column::Received);
                self.tallies.received += 1;
                let message = Digest::of(queue_id);
                self.messages.arrive(message, Some(b"pickup"));
            }
        } else if service == b"smtp"
            && self.options.smtp != Top::None
            && let Some((host, failure)) = old_failure(rest)
        {
            let counts: &mut Counts = self.tallies.smtp_failures.of(&failure.to_ascii_lowercase());
            *counts.of(host) += 1;
        }
    }
}

impl Lines for Collector<'_> {
    fn line(&mut self, bytes: &[u8]) {
        if let Some(wanted) = &self.wanted
            && !wanted.iter().any(|start| bytes.starts_with(start))
        {
            return;
        }
        let Some(Line { stamp, rest, .. }) = Line::parse(bytes) else { return };
        if !rest.starts_with(b"postfix") && !rest.starts_with(&self.options.syslog_name) {
            return;
        }
        match self.cleaned(rest) {
            Some(cleaned) => self.postfix(stamp, &cleaned),
            None => self.postfix(stamp, rest),
        }
    }

    /// Announces the lines to come, all at once: whether any of them may have Solaris's "[ID 197553 mail.info] " is
    /// cheaper to find out for all than for each.
    fn announce(&mut self, bytes: &[u8]) {
        static ID: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("[ID "));
        self.ids = ID.find(bytes).is_some();
    }
}
