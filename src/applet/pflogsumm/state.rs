//! From [`Fact`]s, in the order of the log, to [`Tallies`]: all that depends on what came before.

/// Mail through programs.
mod filters;
/// What 1.3.0 knows of messages.
mod v130;

use super::carried::Carried;
use super::extras::Extras;
use super::fact::{Deferral, Fact, Level, Reason, Sink, Verdict};
use super::fields::{domain_or_all, longest};
use super::map::{Digest, Key};
use super::messages::{Messages, key};
use super::options::Options;
use super::tallies::{Column, Counts, Day, Row, Sessions, Tallies, Verdicts};
use super::text::{domain_of, organisation};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use v130::{NewerMessages, Receipt, Sender};

/// When something counts.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    hour: u8,
    /// Its place in the list of days.
    day: usize,
    /// The hour of the wall clock since 1970.
    series: Option<i64>,
}

/// Counts facts.
pub struct State<'o> {
    options: &'o Options,
    pub tallies: Tallies,
    messages: Messages,
    newer: Option<NewerMessages<'o>>,
    pub extras: Option<Box<Extras>>,
    pub carried: Option<Carried>,
    /// When each smtpd process took its connection.
    connected: HashMap<Option<u64>, i64>,
    last_day: i64,
    /// Index of the current day in `tallies.days`.
    today: usize,
}

impl<'o> State<'o> {
    /// `debug`: where 1.3.0 notes what it counts.
    pub fn new(options: &'o Options, debug: Option<Box<dyn Write + Send + 'o>>) -> State<'o> {
        State {
            options,
            tallies: Tallies {
                hours: vec![Row::default(); 100],
                session_hours: vec![Sessions::default(); 100],
                ..Tallies::default()
            },
            messages: Messages::default(),
            newer: (options.newer.is_some() || options.accurate).then(|| NewerMessages::new(debug, options.accurate)),
            extras: options.accurate.then(Box::default),
            carried: None,
            connected: HashMap::new(),
            last_day: 0,
            today: 0,
        }
    }

    /// The end of the input.
    pub fn finish(&mut self) -> std::io::Result<()> {
        self.settle();
        if self.options.accurate {
            let tallies = &mut self.tallies;
            tallies.received = tallies.received.saturating_sub(tallies.newer.withdrawn);
            // Whose only message was taken back.
            tallies.sender_domains.retain(|of| of.messages > 0);
            let places = tallies.senders.retain(|of| of.messages > 0);
            if let Some(extras) = self.extras.as_mut().filter(|_| !places.is_empty()) {
                extras.senders_moved(&places);
            }
            tallies.day_changes = tallies.days.len() as u64;
            if self.options.zero_fill {
                tallies.days.iter_mut().for_each(|day| day.traffic.filled = 5);
            }
        }
        match &mut self.newer {
            Some(newer) => newer.finish(&mut self.tallies),
            None => Ok(()),
        }
    }

    /// Takes over the messages that an earlier run left under way.
    pub fn carry(&mut self, carried: Carried) {
        for (id, message) in carried.messages() {
            match &mut self.newer {
                Some(newer) => newer.carry(id, message.size, message.client.as_deref()),
                None => {
                    let id = key(Key::of(id));
                    self.messages.arrive(id, message.client.as_deref());
                    if message.size != 0 {
                        self.messages.set_size(id, message.size);
                    }
                }
            }
        }
        self.carried = Some(carried);
    }

    /// The year of the newest line; 0 before the first.
    pub fn year(&self) -> i64 {
        self.tallies.days.get(self.today).map_or(0, |day| day.year)
    }

    /// A new day begins with each line whose day of the month is not the one before.
    fn day(&mut self, (year, month, day): (i64, i64, i64)) {
        if day == self.last_day && !self.tallies.days.is_empty() && !self.options.accurate {
            return;
        }
        let changed = day != self.last_day;
        self.last_day = day;
        let days = &mut self.tallies.days;
        let known = days.iter().rposition(|known| (known.year, known.month, known.day) == (year, month, day));
        self.today = known.unwrap_or_else(|| {
            days.push(Day { year, month, day, ..Day::default() });
            days.len() - 1
        });
        if let Some(carried) = &mut self.carried {
            carried.day((year, month, day));
        }
        if changed && !self.options.accurate {
            self.tallies.day_changes += 1;
            if self.options.zero_fill {
                let row = &mut days[self.today].traffic;
                row.values[Column::Rejected as usize] = 0;
                row.filled = 5;
            }
        }
    }

    /// Each counted fact comes after that of its day; on a tape from elsewhere it may not, and then there is no day.
    fn count(&mut self, hour: u8, column: Column) {
        self.count_at(self.moment(hour), column);
    }

    fn moment(&self, hour: u8) -> Moment {
        let series = self.extras.as_ref().and_then(|extras| extras.this_hour());
        Moment { hour, day: self.today, series }
    }

    fn count_at(&mut self, at: Moment, column: Column) {
        if let Some(row) = self.tallies.hours.get_mut(usize::from(at.hour)) {
            row.add(column);
        }
        if let Some(day) = self.tallies.days.get_mut(at.day) {
            day.traffic.add(column);
        }
        if let Some(extras) = &mut self.extras {
            extras.count(at.series, column);
        }
    }

    fn arrive(&mut self, hour: u8, id: Key<'_>, client: Option<&[u8]>, process: Option<u64>) {
        self.count(hour, Column::Received);
        self.tallies.received += 1;
        if let Some(carried) = &mut self.carried {
            carried.arrive(id.text, client);
        }
        let at = self.moment(hour);
        match &mut self.newer {
            Some(newer) => {
                let receipt = self.extras.is_some().then_some(Receipt { at, sender: None });
                newer.arrive(id, client.unwrap_or_default(), process, receipt);
            }
            None => self.messages.arrive(key(id), client),
        }
    }

    /// Takes back what turned out not to be received.
    fn undo(&mut self) {
        while let Some(receipt) = self.newer.as_mut().and_then(|newer| newer.undone.pop()) {
            self.unreceive(receipt);
        }
    }

    fn unreceive(&mut self, receipt: Receipt) {
        let less = |row: Option<&mut Row>| {
            if let Some(count) = row.and_then(|row| row.values.get_mut(Column::Received as usize)) {
                *count = count.saturating_sub(1);
            }
        };
        let tallies = &mut self.tallies;
        let at = receipt.at;
        less(tallies.hours.get_mut(usize::from(at.hour)));
        less(tallies.days.get_mut(at.day).map(|day| &mut day.traffic));
        if let Some(extras) = &mut self.extras {
            extras.uncount(at.series, Column::Received);
        }
        let Some(sender) = receipt.sender else { return };
        for traffic in
            [tallies.senders.at(sender.address), tallies.sender_domains.at(sender.domain)].into_iter().flatten()
        {
            traffic.messages = traffic.messages.saturating_sub(1);
            traffic.bytes = traffic.bytes.saturating_sub(sender.size);
        }
        tallies.bytes_received = tallies.bytes_received.saturating_sub(sender.size);
        if let Some(extras) = &mut self.extras {
            extras.unsender(sender.address, at.day);
        }
    }

    /// A message went to a server here that queued it as `next`: a filter, if that came in here.
    fn passed(&mut self, hour: u8, id: Key<'_>, next: &[u8], address: Key<'_>, delay: f64) {
        if self.newer.as_mut().is_some_and(|newer| newer.gives_back(&mut self.tallies, next)) {
            self.tallies.newer.filtered += 1;
            self.undo();
        } else {
            self.sent(hour, id, address, delay);
        }
    }

    /// The queue manager's first line of a message with a size counts, if smtpd or pickup took the message in: not
    /// forwarded mail, not notices.
    fn sender(&mut self, id: Key<'_>, address: Key<'_>, size: u64) {
        if let Some(carried) = &mut self.carried {
            carried.size(id.text, size);
        }
        let client = match &mut self.newer {
            Some(newer) => newer.set_size(id, size),
            None => self.messages.set_size(key(id), size),
        };
        let Some(client) = client else { return };
        let tallies = &mut self.tallies;
        if self.options.extended {
            tallies.details.of(id.text).push(address.text.into());
        }
        let Some(client) = client else { return };
        let (place, new) = tallies.senders.place(address);
        let Some(user) = tallies.senders.at(place) else { return };
        let domains = &mut tallies.sender_domains;
        let domain = match domain_of(address.text) {
            _ if self.options.newer.is_some() => match address.text {
                b"from=<>" => domains.place(Key::of(client)).0,
                text => domains.place(Key::of(&organisation(text))).0,
            },
            Some(_) if !new => user.domain,
            Some(domain) => domains.place(Key::of(domain)).0,
            None if client == b"pickup" => domains.place(address).0,
            None => domains.place(Key::of(client)).0,
        };
        user.domain = domain;
        for traffic in [Some(user), domains.at(domain)].into_iter().flatten() {
            traffic.messages += 1;
            traffic.bytes = traffic.bytes.saturating_add(size);
        }
        if let Some(extras) = &mut self.extras {
            extras.sender(place, self.today);
            if let Some(newer) = &mut self.newer {
                newer.sent_by(id, Sender { address: place, domain, size });
            }
        }
        tallies.bytes_received = tallies.bytes_received.saturating_add(size);
    }

    fn sent(&mut self, hour: u8, id: Key<'_>, address: Key<'_>, delay: f64) {
        let size = match &mut self.newer {
            Some(newer) => newer.size(id),
            None => self.messages.size(key(id)),
        };
        self.delivered(self.moment(hour), id.text, address, delay, size);
    }

    #[inline]
    fn delivered(&mut self, at: Moment, id: &[u8], address: Key<'_>, delay: f64, size: u64) {
        let tallies = &mut self.tallies;
        let (place, new) = tallies.recipients.place(address);
        let Some(user) = tallies.recipients.at(place) else { return };
        if new {
            user.domain = tallies.recipient_domains.place(Key::of(&domain(self.options, address.text))).0;
        }
        user.messages += 1;
        user.bytes = user.bytes.saturating_add(size);
        let Some(domain) = tallies.recipient_domains.at(user.domain) else { return };
        domain.messages += 1;
        domain.bytes = domain.bytes.saturating_add(size);
        domain.delay += delay;
        domain.longest = longest(domain.longest, delay);
        if let Some(extras) = &mut self.extras {
            extras.delay(user.domain, delay);
        }
        tallies.delivered += 1;
        tallies.bytes_delivered = tallies.bytes_delivered.saturating_add(size);
        if size == 0 {
            if self.options.sizeless {
                *tallies.sizeless.of(id) = address.text.into();
            }
            if self.options.extended {
                tallies.details.of(id).push((*b"(sender not in log)").into());
            }
        }
        if self.options.extended {
            tallies.details.of(id).push(address.text.into());
        }
        self.count_at(at, Column::Delivered);
        if let Some(newer) = &mut self.newer {
            newer.note("delivered", id);
        }
    }

    fn deferred(&mut self, hour: u8, id: Key<'_>, why: Option<Deferral<'_>>, relay: &[u8], address: &[u8], delay: f64) {
        match why {
            Some(Deferral { service, host: None, reason }) => {
                *self.tallies.deferral_reasons.of(service).of(reason) += 1;
            }
            Some(Deferral { service, host: Some(host), reason }) => {
                *self.tallies.newer.deferrals.of(service).of(host).of(reason) += 1;
            }
            None => {}
        }
        self.count(hour, Column::Deferred);
        self.tallies.deferrals += 1;
        let first = match &mut self.newer {
            Some(newer) => newer.first_deferral(id, relay),
            None => self.messages.first_deferral(key(id)),
        };
        self.tallies.deferred += u64::from(first);
        let name = domain(self.options, address);
        if let (Some(extras), Some(why)) = (&mut self.extras, why) {
            *extras.destinations.of(&name).of(why.reason) += 1;
        }
        let domain = self.tallies.recipient_domains.of(&name);
        domain.deferrals += 1;
        domain.longest = longest(domain.longest, delay);
    }

    fn verdict(&mut self, hour: u8, verdict: Verdict, why: Option<Reason<'_>>) {
        self.count(hour, Column::Rejected);
        let tallies = &mut self.tallies;
        let (total, map): (&mut u64, &mut Verdicts) = match verdict {
            Verdict::Reject => (&mut tallies.rejected, &mut tallies.rejects),
            Verdict::Warn => (&mut tallies.reject_warnings, &mut tallies.reject_warning_reasons),
            Verdict::Hold => (&mut tallies.held, &mut tallies.holds),
            Verdict::Discard => (&mut tallies.discarded, &mut tallies.discards),
        };
        *total += 1;
        if let Some(Reason { kind, reason, about }) = why {
            *map.of(kind).of(reason).of(about) += 1;
        }
        if let (Some(extras), Some(why), Verdict::Reject) = (&mut self.extras, &why, verdict) {
            extras.reject(why, self.today);
        }
    }

    /// Pairs the ends of an smtpd session by process; a clock that lies may make any time of it.
    fn disconnect(&mut self, hour: u8, process: Option<u64>, at: i64, domain: &[u8]) {
        let Some(since) = self.connected.remove(&process) else { return };
        let time = at.saturating_sub(since);
        let tallies = &mut self.tallies;
        if let Some(sessions) = tallies.session_hours.get_mut(usize::from(hour)) {
            sessions.add(time);
        }
        if let Some(day) = tallies.days.get_mut(self.today) {
            day.sessions.add(time);
        }
        tallies.session_domains.of(domain).add(time);
        tallies.sessions.add(time);
    }
}

/// What a recipient's domain is listed under.
fn domain<'a>(options: &Options, address: &'a [u8]) -> Cow<'a, [u8]> {
    match options.newer.is_some() {
        true => organisation(address),
        false => Cow::Borrowed(domain_or_all(address)),
    }
}

impl State<'_> {
    /// The list that a verdict's last level is counted in.
    fn abouts(&self, verdict: Verdict, why: &Reason<'_>) -> Option<&Counts> {
        let tallies = &self.tallies;
        let map = match verdict {
            Verdict::Reject => &tallies.rejects,
            Verdict::Warn => &tallies.reject_warning_reasons,
            Verdict::Hold => &tallies.holds,
            Verdict::Discard => &tallies.discards,
        };
        map.get(why.kind)?.get(why.reason)
    }
}

impl Sink for State<'_> {
    fn want(&self, fact: &Fact<'_>) {
        match fact {
            Fact::Sent { id, address, .. } => {
                self.messages.want(key(*id));
                self.tallies.recipients.want(address.digest);
            }
            Fact::Sender { id, address, .. } => {
                self.messages.want(key(*id));
                self.tallies.senders.want(address.digest);
            }
            Fact::Arrive { id, .. } | Fact::Deferred { id, .. } => self.messages.want(key(*id)),
            Fact::Verdict { verdict, why: Some(why), .. } => {
                if let Some(abouts) = self.abouts(*verdict, why) {
                    abouts.want(Digest::of(why.about));
                }
            }
            Fact::Complaint { level: Level::Warning, service, text } => {
                if let Some(texts) = self.tallies.warnings.get(service) {
                    texts.want(Digest::of(text));
                }
            }
            _ => {}
        }
    }

    fn want_more(&self, fact: &Fact<'_>) {
        match fact {
            Fact::Sent { address, .. } => self.tallies.recipients.want_value(address.digest),
            Fact::Sender { address, .. } => self.tallies.senders.want_value(address.digest),
            _ => {}
        }
    }

    #[inline]
    fn take(&mut self, fact: Fact<'_>) {
        match fact {
            Fact::Day(date) => self.day(date),
            Fact::Arrive { hour, id, client, process } => self.arrive(hour, id, client, process),
            Fact::Sender { id, address, size } => self.sender(id, address, size),
            Fact::Sent { hour, id, address, delay } => self.sent(hour, id, address, delay),
            Fact::Forwarded => self.tallies.forwarded += 1,
            Fact::Deferred { hour, id, why, relay, address, delay } => {
                self.deferred(hour, id, why, relay, address, delay);
            }
            Fact::Bounced { hour, why } => {
                if let Some((relay, reason)) = why {
                    *self.tallies.bounce_reasons.of(relay).of(reason) += 1;
                }
                self.count(hour, Column::Bounced);
                self.tallies.bounced += 1;
            }
            Fact::Verdict { hour, verdict, why } => self.verdict(hour, verdict, why),
            Fact::Complaint { level, service, text } => {
                let map = match level {
                    Level::Warning => &mut self.tallies.warnings,
                    Level::Fatal => &mut self.tallies.fatals,
                    Level::Panic => &mut self.tallies.panics,
                };
                *map.of(service).of(text) += 1;
            }
            Fact::Master(text) => *self.tallies.master.of(text) += 1,
            Fact::Connect { process, at } => {
                self.connected.insert(process, at);
            }
            Fact::Disconnect { hour, process, at, domain } => self.disconnect(hour, process, at, domain),
            Fact::Unreachable { why, host } => *self.tallies.smtp_failures.of(why).of(host) += 1,
            Fact::TlsError { what, host } => *self.tallies.newer.tls_errors.of(what).of(host) += 1,
            Fact::TlsLevel { host, level } => {
                // 1.3.0 lists the hosts of a level, we the levels of a host.
                let (first, second) = if self.options.newer.is_some() { (level, host) } else { (host, level) };
                *self.tallies.newer.tls_levels.of(first).of(second) += 1;
            }
            Fact::Span(date) => {
                self.tallies.newer.span.get_or_insert([date; 2])[1] = date;
            }
            Fact::Hour(hour) => {
                if let Some(extras) = &mut self.extras {
                    extras.hour(hour);
                }
            }
            Fact::Passed { hour, id, next, address, delay } => self.passed(hour, id, next, address, delay),
            Fact::Piped { hour, id, address, delay } => self.piped(hour, id, address, delay),
            Fact::Open { id, name } => self.open(id, name),
            other => {
                if let (Some(carried), Fact::Removed(id) | Fact::Canceled(id) | Fact::Withdraw(id)) =
                    (&mut self.carried, other)
                {
                    carried.removed(id);
                }
                if let Some(newer) = &mut self.newer {
                    newer.take(&mut self.tallies, other);
                    self.undo();
                    self.count_settled();
                }
            }
        }
    }
}
