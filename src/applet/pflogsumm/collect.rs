//! One pass over the lines, in order: each line changes the [`Tallies`]. What counts and what does not follows the
//! reference line for line, habits included; DIFFERENCES in the manual page names the exceptions.

use super::input::Lines;
use super::options::{Options, Top};
use super::reject::{self, Reject, Style};
use super::tallies::{Column, Counts, Day, Messages, Row, Sessions, Tallies, Verdicts};
use super::text::{self, Folding, client_domain, domain_of, find};
use crate::log::line::{Line, Postfix, Stamp, digits, is_space};
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
            style: Style { folding, verbose: options.verbose, add_from: options.rej_add_from },
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

    /// A month later than the current one is last year's, even for stamps that have a year.
    fn year(&self, stamp: Stamp) -> i64 {
        if i64::from(stamp.month) > self.now.month { self.now.year - 1 } else { self.now.year }
    }

    fn count(&mut self, stamp: Stamp, column: Column) {
        self.tallies.hours[usize::from(stamp.hour)].add(column);
        self.tallies.days[self.today].traffic.add(column);
    }

    /// header_checks, body_checks and milters.
    fn cleanup(&mut self, stamp: Stamp, rest: &[u8]) -> bool {
        let Some((verdict, part, text)) = self.cleanup_verdict(rest) else { return false };
        let text = if self.options.verbose {
            Cow::Borrowed(text)
        } else {
            text::cut(text.get(..end_of_content(text)).unwrap_or_default(), 64)
        };
        let (total, verdicts) = self.verdicts(verdict);
        *total += 1;
        if let Some(verdicts) = verdicts {
            *verdicts.of(b"cleanup").of(part).of(&text) += 1;
        }
        self.count(stamp, Column::Rejected);
        true
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
                let message = self.messages.digest(word);
                self.messages.arrive(message, domain.map(|domain| domain.as_ref().into()));
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
        let domain = client_domain(client).unwrap_or_default();
        self.tallies.session_hours[usize::from(stamp.hour)].add(time);
        self.tallies.days[self.today].sessions.add(time);
        self.tallies.session_domains.of(&domain).add(time);
        self.tallies.sessions.add(time);
    }

    /// Seconds on a scale of its own.
    fn seconds(&self, stamp: Stamp) -> i64 {
        let days = days_from_civil(self.year(stamp), i64::from(stamp.month) + 1, i64::from(stamp.day));
        days * 86_400 + i64::from(stamp.hour) * 3600 + i64::from(stamp.minute) * 60 + i64::from(stamp.second)
    }

    /// "from=<...>, size=N" (qmgr)
    fn sender(&mut self, queue_id: &[u8], address: &[u8], size: u64) {
        let message = self.messages.digest(queue_id);
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
            None if *client == *b"pickup" => &address,
            None => &client,
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
        let size = self.messages.size(self.messages.digest(queue_id));
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
        if self.messages.first_deferral(self.messages.digest(queue_id)) {
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
                let message = self.messages.digest(queue_id);
                self.messages.arrive(message, Some((*b"pickup").into()));
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
        match self.ids.then(|| without_id(rest)).flatten() {
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

/// The line without Solaris's "[ID 197553 mail.info] ", if it has one.
fn without_id(rest: &[u8]) -> Option<Vec<u8>> {
    memchr_iter(b'[', rest).find_map(|bracket| {
        let at = rest.get(..bracket)?.strip_suffix(b": ")?.len();
        let number = rest.get(bracket..)?.strip_prefix(b"[ID ")?;
        let end = digits(number);
        let name = number.get(end..)?.strip_prefix(b" ").filter(|_| end > 0)?;
        let close = memchr(b']', name).filter(|&close| close > 0)?;
        let tail = name.get(close..)?.strip_prefix(b"] ")?;
        Some([rest.get(..at + 2)?, tail].concat())
    })
}

/// "ADDRESS>, size=N"
fn sender_and_size(rest: &[u8]) -> Option<(&[u8], u64)> {
    let (address, rest) = rest.split_at(memchr(b'>', rest)?);
    let size = rest.strip_prefix(b">, size=")?;
    let length = digits(size);
    (length > 0).then(|| (address, number(size.iter().take(length))))
}

/// The fields of a delivery's line that are counted.
struct Delivery<'a> {
    to: &'a [u8],
    relay: &'a [u8],
    delay: &'a [u8],
    status: &'a [u8],
    /// What follows the status.
    after: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// `rest` begins after "to=<". A field that is not known between the known ones makes the line unreadable.
    fn read(rest: &'a [u8]) -> Option<Delivery<'a>> {
        let end = memchr(b'>', rest)?;
        let (to, rest) = (rest.get(..end)?, rest.get(end..)?.strip_prefix(b">, ")?);
        let rest = match rest.strip_prefix(b"orig_to=<") {
            Some(original) => original.get(memchr(b'>', original)?..)?.strip_prefix(b">, ")?,
            None => rest,
        };
        let (relay, rest) = field(rest, b"relay=")?;
        let rest = field(rest, b"conn_use=").map_or(rest, |(_, rest)| rest);
        let (delay, rest) = field(rest, b"delay=")?;
        let rest = field(rest, b"delays=").map_or(rest, |(_, rest)| rest);
        let rest = field(rest, b"dsn=").map_or(rest, |(_, rest)| rest);
        let rest = rest.strip_prefix(b"status=")?;
        let end = rest.iter().position(|&byte| is_space(byte)).unwrap_or(rest.len());
        let (status, after) = rest.split_at(end);
        (!status.is_empty()).then_some(Delivery { to, relay, delay, status, after })
    }
}

/// "name=value, "
fn field<'a>(rest: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let value = rest.strip_prefix(name)?;
    let end = memchr(b',', value).filter(|&end| end > 0)?;
    Some((value.get(..end)?, value.get(end..)?.strip_prefix(b", ")?))
}

/// "connect to HOST: WHY; address A port N" or "connect to HOST[A]: WHY (port N)": what smtp said before Postfix 2.3.
fn old_failure(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    static MARK: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(" connect to "));
    MARK.find(rest)?;
    let places = || {
        let mut end = rest.len();
        std::iter::from_fn(move || {
            let at = memmem::rfind(rest.get(..end)?, b" connect to ")?;
            end = at + 1;
            rest.get(at + b" connect to ".len()..)
        })
        .take(16)
    };
    places()
        .find_map(|tail| {
            let run = tail.iter().position(|&byte| is_space(byte))?;
            let host = tail.get(..run)?.strip_suffix(b":").filter(|host| !host.is_empty())?;
            let why = tail.get(run..)?.strip_prefix(b" ")?;
            let end = memchr(b';', why).filter(|&end| end > 0)?;
            let address = why.get(end..)?.strip_prefix(b"; address ")?;
            let run = address.iter().position(|&byte| is_space(byte)).filter(|&run| run > 0)?;
            address.get(run..)?.starts_with(b" port").then_some((host, why.get(..end)?))
        })
        .or_else(|| {
            places().find_map(|tail| {
                let open = memchr(b'[', tail).filter(|&open| open > 0)?;
                let close = find(tail.get(open + 2..)?, b"]: ")? + open + 2;
                (!tail.get(open + 1..close)?.iter().any(|&byte| is_space(byte))).then_some(())?;
                let why = tail.get(close + 3..)?;
                let inner = why.strip_suffix(b")")?;
                let port = inner.len() - inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
                let why = inner.get(..port).filter(|_| port < inner.len())?.strip_suffix(b" (port ")?;
                (!why.is_empty()).then_some((tail.get(..open)?, why))
            })
        })
}

/// Where "; from=<...", with " from HOST" before it, cuts a cleanup verdict's text.
fn end_of_content(text: &[u8]) -> usize {
    let Some(mark) = find(text, b"; from=<") else { return text.len() };
    let with_host = memmem::find_iter(text, b" from ").take(64).find(|&at| {
        let run = text.get(at + 6..).unwrap_or_default();
        let end = run.iter().position(|&byte| is_space(byte)).unwrap_or(run.len());
        end > 1 && text.get(at + 6 + end - 1..).is_some_and(|tail| tail.starts_with(b"; from=<"))
    });
    with_host.map_or(mark, |at| at.min(mark))
}

/// The domain of a recipient; the whole address when it has none.
fn domain_or_all(address: &[u8]) -> &[u8] {
    match memchr(b'@', address) {
        Some(at) if at > 0 => address.get(at + 1..).unwrap_or_default(),
        _ => address,
    }
}

/// The longer of two delays; a delay of 0 is none.
fn longest(known: f64, delay: f64) -> f64 {
    if known == 0.0 || delay > known { delay } else { known }
}

/// The number that a delay begins with.
fn decimal(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let whole = digits(text);
    let fraction = match text.get(whole..) {
        Some([b'.', rest @ ..]) => digits(rest),
        _ => 0,
    };
    // Up to 15 digits both numbers are exact, and so their quotient is the nearest one, as the library's would be.
    const POWERS: [f64; 15] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];
    if whole + fraction <= 15
        && let Some(power) = POWERS.get(fraction)
    {
        let figures = text.iter().take(whole).chain(text.iter().skip(whole + 1).take(fraction));
        return number(figures) as f64 / power;
    }
    let text = text.get(..whole + 1 + fraction).unwrap_or(text);
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

fn number<'a>(digits: impl Iterator<Item = &'a u8>) -> u64 {
    digits.fold(0, |value: u64, digit| value.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// Whether a text counts as given: the empty one and "0" do not.
fn truth(text: &[u8]) -> bool {
    !matches!(text, b"" | b"0")
}

/// Days since 1970-01-01 (proleptic Gregorian calendar).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_read_and_unknown_fields_hide_it() {
        let line = b"a@b.c>, relay=mx[1.2.3.4]:25, conn_use=2, delay=1.5, delays=1/0/0/.5, dsn=2.0.0, status=sent (ok)";
        let found = Delivery::read(line).unwrap();
        assert_eq!((found.to, found.relay, found.delay), (&b"a@b.c"[..], &b"mx[1.2.3.4]:25"[..], &b"1.5"[..]));
        assert_eq!((found.status, found.after), (&b"sent"[..], &b" (ok)"[..]));
        assert!(Delivery::read(b"a@b.c>, relay=mx, tls=encrypt, delay=1, status=sent (ok)").is_none());
    }

    #[test]
    fn old_connection_failures() {
        let pair = |a: &'static str, b: &'static str| Some((a.as_bytes(), b.as_bytes()));
        assert_eq!(
            old_failure(b"postfix/smtp[1]: connect to mx.a.b: Connection refused; address 1.2.3.4 port 25"),
            pair("mx.a.b", "Connection refused")
        );
        assert_eq!(
            old_failure(b"postfix/smtp[1]: connect to mx.a.b[1.2.3.4]: Connection refused (port 25)"),
            pair("mx.a.b", "Connection refused")
        );
        assert_eq!(old_failure(b"postfix/smtp[1]: connect to mx.a.b[1.2.3.4]:25: Connection timed out"), None);
    }
}
