//! From lines to [`Fact`]s, each line by itself. What counts and what does not follows the reference line for line,
//! habits included; DIFFERENCES in the manual page names the exceptions.

/// What the reference miscounts, counted right.
pub mod accurate;
/// What cleanup's header and body checks said.
mod cleanup;
/// Lines that count nothing.
mod silent;
/// The rules of 1.3.0.
pub mod v130;

use super::fact::{Deferral, Fact, Level, Reason, Sink, Verdict};
use super::fields::{
    Delivery, days_from_civil, decimal, end_of_content, old_failure, sender_and_size, truth, without_id,
};
use super::input::Lines;
use super::map::Key;
use super::options::{Options, Top};
use super::range::Range;
use super::reject::{self, Reject, Style};
use super::text::{self, client_domain, find};
use crate::log::line::{Line, Postfix, Stamp, digits, pair};
use crate::sys::scan::{positions, same_end};
use memchr::{memchr, memmem};
use std::borrow::Cow;

/// The clock's part in reading a log without years.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub year: i64,
    /// From 0.
    pub month: i64,
    pub day: i64,
}

impl Now {
    pub fn of(time: &jiff::Zoned) -> Now {
        Now { year: i64::from(time.year()), month: i64::from(time.month()) - 1, day: time.day().into() }
    }
}

/// Bytes of "Nov 24 12:34:56".
const STAMP: usize = 15;

/// Reads lines by the rules of 1.1.5.
#[derive(Clone)]
pub struct Reader<'o> {
    options: &'o Options,
    style: Style,
    now: Now,
    /// The beginnings of the lines of the day asked for.
    wanted: Option<[Vec<u8>; 2]>,
    range: Range,
    /// Whether it matters when a message is done with.
    follows: bool,
    /// The day of the month of the line before.
    last_day: Option<u8>,
    /// Whether the lines at hand may have "[ID ...] " in them.
    ids: bool,
    /// How the line before began, and its stamp: many lines are of the same second and host.
    before: Vec<u8>,
    stamp: Stamp,
}

impl<'o> Reader<'o> {
    /// `wanted`: how lines of the wanted day begin, in both kinds of stamps.
    pub fn new(
        options: &'o Options,
        now: Now,
        wanted: Option<[Vec<u8>; 2]>,
        range: Range,
        follows: bool,
    ) -> Reader<'o> {
        Reader {
            options,
            style: Style::of(options),
            now,
            wanted,
            range,
            follows,
            last_day: None,
            ids: true,
            before: Vec::new(),
            stamp: Stamp::default(),
        }
    }

    /// Stamp and text of a line.
    #[inline(always)]
    fn split<'a>(&mut self, bytes: &'a [u8]) -> Option<(Stamp, &'a [u8])> {
        if let Some((begin, rest)) = bytes.split_at_checked(self.before.len())
            && let Some(stamp) = self.known_stamp(begin)
            && !rest.is_empty()
        {
            return Some((stamp, rest));
        }
        self.parse(bytes)
    }

    #[inline(never)]
    fn parse<'a>(&mut self, bytes: &'a [u8]) -> Option<(Stamp, &'a [u8])> {
        let Line { stamp, rest, .. } = Line::parse(bytes)?;
        self.before.clear();
        self.before.extend_from_slice(&bytes[..bytes.len() - rest.len()]);
        self.stamp = stamp;
        Some((stamp, rest))
    }

    /// The stamp of a line that begins as the one before did but for minute and second ("Nov 24 12:34:56 mx ").
    #[inline(always)]
    fn known_stamp(&self, begin: &[u8]) -> Option<Stamp> {
        let (hour, [m1, m2, b':', s1, s2, ..]) = begin.split_first_chunk::<10>()? else { return None };
        let (known_hour, [_, _, b':', _, _, ..]) = self.before.split_first_chunk::<10>()? else { return None };
        if hour != known_hour || !same_end(begin, &self.before, STAMP) {
            return None;
        }
        let (minute, second) = (pair(*m1, *m2)?, pair(*s1, *s2)?);
        Some(Stamp { minute, second, ..self.stamp })
    }

    #[inline]
    fn postfix(&mut self, stamp: Stamp, rest: &[u8], sink: &mut impl Sink) {
        let Some(line) = Postfix::parse(rest, &self.options.syslog_name) else { return };
        let Postfix { service, word, .. } = line;
        self.follow_calendar(stamp, sink);
        if service == b"cleanup" && self.cleanup(stamp, &line, rest, sink) {
            return;
        }
        // Queue ids begin with a digit or a capital.
        if word.first().is_some_and(u8::is_ascii_lowercase) {
            if self.complaint(service, word, rest, sink) {
                return;
            }
            if let Some(verdict) = Verdict::of(word) {
                self.verdict(stamp, verdict, rest, sink);
                return;
            }
        }
        match service {
            b"smtpd" | b"postscreen" => self.server(stamp, &line, rest, sink),
            b"master" => sink.take(Fact::Master(text::after_last(rest, b": ").unwrap_or_default())),
            _ => self.message(stamp, service, word, rest, sink),
        }
    }

    /// The lines of messages on their way: "from=<...>, size=N" anywhere makes it the queue manager's, else the first
    /// "to=<...>, relay=..." a delivery.
    fn message(&self, stamp: Stamp, service: &[u8], id: &[u8], rest: &[u8], sink: &mut impl Sink) {
        let mut delivery = None;
        for at in positions(rest, b'<') {
            let Some((before, after)) = rest.split_at_checked(at + 1) else { break };
            if before.ends_with(b"from=<")
                && let Some((address, size)) = sender_and_size(after)
            {
                let address = self.sender(address);
                sink.take(Fact::Sender { id: Key::of(id), address: Key::of(&address), size });
                return;
            }
            if delivery.is_none() && before.ends_with(b"to=<") {
                delivery = Delivery::read(after);
            }
        }
        match delivery {
            Some(found) => self.delivery(stamp, service, id, &found, rest, sink),
            None => self.rest(stamp, service, id, rest, sink),
        }
    }

    /// A sender as it is counted; none has a name of its own.
    fn sender<'a>(&self, address: &'a [u8]) -> Cow<'a, [u8]> {
        if truth(address) { self.style.folding.sender(address) } else { Cow::Borrowed(b"from=<>") }
    }

    /// Announces a new day of the month.
    fn follow_calendar(&mut self, stamp: Stamp, sink: &mut impl Sink) {
        if self.last_day != Some(stamp.day) {
            self.last_day = Some(stamp.day);
            sink.take(Fact::Day((self.year(stamp), i64::from(stamp.month), i64::from(stamp.day))));
        }
    }

    /// A month later than the current one is last year's; in 1.1.5 even for stamps that have a year.
    fn year(&self, stamp: Stamp) -> i64 {
        if let (Some(year), true) = (stamp.year, self.style.newer) {
            return i64::from(year);
        }
        if i64::from(stamp.month) > self.now.month { self.now.year - 1 } else { self.now.year }
    }

    /// header_checks, body_checks and milters.
    fn cleanup(&self, stamp: Stamp, line: &Postfix<'_>, rest: &[u8], sink: &mut impl Sink) -> bool {
        let Some((verdict, part, text)) = cleanup::verdict(line, rest) else { return false };
        self.cleanup_counted(stamp, verdict, part, text, 64, sink);
        true
    }

    fn cleanup_counted(
        &self,
        stamp: Stamp,
        verdict: Verdict,
        part: &[u8],
        text: &[u8],
        room: usize,
        sink: &mut impl Sink,
    ) {
        let text = if self.options.verbose {
            Cow::Borrowed(text)
        } else {
            text::cut(text.get(..end_of_content(text)).unwrap_or_default(), room)
        };
        let why = Reason { kind: b"cleanup", reason: part, about: &text };
        let why = (self.options.rejects != Top::None).then_some(why);
        sink.take(Fact::Verdict { hour: stamp.hour, verdict, why });
    }

    /// "warning: ...", "fatal: ...", "panic: ..."
    fn complaint(&self, service: &[u8], word: &[u8], rest: &[u8], sink: &mut impl Sink) -> bool {
        let (mark, level): (&[u8], _) = match word {
            b"warning" if service == b"smtpd" && !self.options.smtpd_warnings => return true,
            b"warning" => (b"warning: ", Level::Warning),
            b"fatal" => (b"fatal: ", Level::Fatal),
            b"panic" => (b"panic: ", Level::Panic),
            _ => return false,
        };
        let text = text::after_last(rest, mark).unwrap_or(rest);
        let text = if self.options.verbose { Cow::Borrowed(text) } else { text::cut(text, 66) };
        sink.take(Fact::Complaint { level, service, text: &text });
        true
    }

    /// smtpd's and postscreen's verdict on a client.
    fn verdict(&self, stamp: Stamp, verdict: Verdict, rest: &[u8], sink: &mut impl Sink) {
        let hour = stamp.hour;
        if self.options.rejects == Top::None {
            return sink.take(Fact::Verdict { hour, verdict, why: None });
        }
        let Reject { kind, reason, about } = reject::read(rest, &self.style);
        let why = Some(Reason { kind, reason: &reason, about: &about });
        sink.take(Fact::Verdict { hour, verdict, why });
    }

    /// smtpd and postscreen: a message's client, a verdict, the sessions. The client stands, like a verdict, behind any
    /// "[NUMBER]: ID: "; nearly always that is the beginning of the content.
    fn server(&self, stamp: Stamp, line: &Postfix<'_>, rest: &[u8], sink: &mut impl Sink) {
        let mut verdict = None;
        let mut look = |content: &[u8], word: usize, sink: &mut _| {
            let Some((id, [b':', b' ', said @ ..])) = content.split_at_checked(word) else { return false };
            if let Some(client) = said.strip_prefix(b"client=").filter(|client| !client.is_empty() && is_plain(id)) {
                self.client(stamp, line.word, client, sink);
                return true;
            }
            if verdict.is_none() {
                verdict = Verdict::before_colon(said).filter(|_| is_plain(id));
            }
            false
        };
        let begin = if line.regular {
            if look(line.content, line.word.len(), sink) {
                return;
            }
            rest.len() - line.content.len()
        } else {
            0
        };
        let tail = rest.get(begin..).unwrap_or_default();
        for at in positions(tail, b']') {
            let Some([b':', b' ', content @ ..]) = tail.get(at + 1..) else { continue };
            let before = rest.get(..begin + at).unwrap_or_default();
            let number = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            let tag = number > 0 && before.get(before.len().wrapping_sub(number + 1)) == Some(&b'[');
            if !tag {
                continue;
            }
            let word = content.iter().position(|&byte| !text::is_word(byte)).unwrap_or(content.len());
            if look(content, word, sink) {
                return;
            }
        }
        if let Some(verdict) = verdict {
            self.verdict(stamp, verdict, rest, sink);
        } else if self.options.smtpd_stats {
            self.session(stamp, rest, sink);
        }
    }

    /// "NAME[ADDRESS], sasl_method=...": a message's client.
    fn client(&self, stamp: Stamp, id: &[u8], client: &[u8], sink: &mut impl Sink) {
        // At least one byte, then up to a comma.
        let end = memchr(b',', client.get(1..).unwrap_or_default()).map_or(client.len(), |comma| comma + 1);
        let domain = client_domain(client.get(..end).unwrap_or_default()).filter(|domain| truth(domain));
        sink.take(Fact::Arrive { hour: stamp.hour, id: Key::of(id), client: domain.as_deref(), process: None });
    }

    /// "connect from" and "disconnect from".
    fn session(&self, stamp: Stamp, rest: &[u8], sink: &mut impl Sink) {
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
        if find(rest, b": connect from ").is_some() {
            let process = tagged(b"").map(|(process, _)| process);
            sink.take(Fact::Connect { process, at: self.seconds(stamp) });
            return;
        }
        if find(rest, b": disconnect from ").is_none() {
            return;
        }
        let client = tagged(b"disconnect from ").filter(|(_, client)| !client.is_empty());
        let process = client.map(|(process, _)| process);
        let client = client.map_or(b"".as_slice(), |(_, client)| client);
        let domain = match self.style.newer {
            true => text::client_organisation(client),
            false => client_domain(client).unwrap_or_default(),
        };
        sink.take(Fact::Disconnect { hour: stamp.hour, process, at: self.seconds(stamp), domain: &domain });
    }

    /// The line without "[ID ...] ", when it has one.
    #[inline]
    fn cleaned(&self, rest: &[u8]) -> Option<Vec<u8>> {
        if self.ids { without_id(rest) } else { None }
    }

    /// What the clock on the wall showed; other than [`Reader::seconds`] it believes a stamp's own year.
    fn wall(&self, stamp: Stamp) -> i64 {
        let year = stamp.year.map_or_else(|| self.year(stamp), i64::from);
        seconds(year, stamp)
    }

    /// Seconds on a scale of its own.
    fn seconds(&self, stamp: Stamp) -> i64 {
        seconds(self.year(stamp), stamp)
    }

    /// "to=<...>, relay=..., delay=..., status=..."
    fn delivery(
        &self,
        stamp: Stamp,
        service: &[u8],
        id: &[u8],
        found: &Delivery<'_>,
        rest: &[u8],
        sink: &mut impl Sink,
    ) {
        let hour = stamp.hour;
        match found.status {
            b"sent" if was_forwarded(found.after) => sink.take(Fact::Forwarded),
            b"sent" => {
                let address = self.style.folding.address(found.to);
                sink.take(Fact::Sent {
                    hour,
                    id: Key::of(id),
                    address: Key::of(&address),
                    delay: decimal(found.delay),
                });
            }
            b"deferred" => {
                let why = (self.options.deferrals != Top::None).then(|| self.deferral(rest));
                let why = why.as_deref().map(|reason| Deferral { service, host: None, reason });
                let address = self.style.folding.address(found.to);
                let (id, delay) = (Key::of(id), decimal(found.delay));
                sink.take(Fact::Deferred { hour, id, why, relay: b"", address: &address, delay });
            }
            b"bounced" => self.bounced(hour, found, rest, sink),
            _ => {}
        }
    }

    /// Why a delivery was put off.
    fn deferral<'a>(&self, rest: &'a [u8]) -> Cow<'a, [u8]> {
        let reason = text::split_once(rest, b", status=deferred (").map_or(b"".as_slice(), |(_, reason)| reason);
        let reason = reason.get(..memchr(b')', reason).unwrap_or(reason.len())).unwrap_or_default();
        if self.options.verbose {
            return Cow::Borrowed(reason);
        }
        fn shown(reason: &[u8]) -> &[u8] {
            let shown = text::without_code(reason);
            shown.strip_prefix(b"connect to ").unwrap_or(shown)
        }
        match text::cut_said(reason, 65) {
            Cow::Borrowed(cut) => Cow::Borrowed(shown(cut)),
            Cow::Owned(cut) => Cow::Owned(shown(&cut).to_vec()),
        }
    }

    fn bounced(&self, hour: u8, found: &Delivery<'_>, rest: &[u8], sink: &mut impl Sink) {
        if self.options.bounces == Top::None {
            return sink.take(Fact::Bounced { hour, why: None });
        }
        let reason = text::split_once(rest, b", status=bounced (").map_or(b"".as_slice(), |(_, reason)| reason);
        let end = memchr::memrchr(b')', reason).unwrap_or(0);
        let reason = reason.get(..end).unwrap_or_default();
        let cut = if self.options.verbose { Cow::Borrowed(reason) } else { text::cut_said(reason, 66) };
        let shown = if self.options.verbose { cut.as_ref() } else { text::without_code(&cut) };
        let relay = match self.options.ignore_case {
            true => Cow::Owned(found.relay.to_ascii_lowercase()),
            false => Cow::Borrowed(found.relay),
        };
        sink.take(Fact::Bounced { hour, why: Some((&relay, shown)) });
    }

    /// pickup, and connection failures of old smtp clients.
    fn rest(&self, stamp: Stamp, service: &[u8], id: &[u8], rest: &[u8], sink: &mut impl Sink) {
        if service == b"pickup" {
            if find(rest, b": uid=").is_some() || find(rest, b": sender=").is_some() {
                sink.take(Fact::Arrive { hour: stamp.hour, id: Key::of(id), client: Some(b"pickup"), process: None });
            }
        } else if service == b"qmgr" {
            if self.follows && rest.ends_with(b": removed") {
                sink.take(Fact::Removed(id));
            }
        } else if service == b"smtp"
            && self.options.smtp != Top::None
            && let Some((host, failure)) = old_failure(rest)
        {
            sink.take(Fact::Unreachable { why: &failure.to_ascii_lowercase(), host });
        }
    }
}

/// Seconds since 1970 of a wall clock.
fn seconds(year: i64, stamp: Stamp) -> i64 {
    let days = days_from_civil(year, i64::from(stamp.month) + 1, i64::from(stamp.day));
    days * 86_400 + i64::from(stamp.hour) * 3600 + i64::from(stamp.minute) * 60 + i64::from(stamp.second)
}

/// Whether a queue id is a word of letters, digits and underscores.
fn is_plain(id: &[u8]) -> bool {
    !id.is_empty() && id.iter().all(|&byte| text::is_word(byte))
}

/// Whether a delivery's text says "forwarded as " anywhere.
fn was_forwarded(text: &[u8]) -> bool {
    // By the letter of it that is rare in queue ids and in what servers say.
    positions(text, b'w').any(|at| {
        text.get(..at).is_some_and(|before| before.ends_with(b"for"))
            && text.get(at..).is_some_and(|tail| tail.starts_with(b"warded as "))
    })
}

impl Lines for Reader<'_> {
    fn begin(&mut self) {
        self.last_day = None;
    }

    #[inline]
    fn line(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        if let Some(wanted) = &self.wanted
            && !wanted.iter().any(|start| bytes.starts_with(start))
        {
            return;
        }
        let Some((stamp, rest)) = self.split(bytes) else { return };
        if !self.range.is_all() && !self.range.has(self.wall(stamp)) {
            return;
        }
        if !self.ids && self.is_silent(rest) {
            return self.follow_calendar(stamp, sink);
        }
        match self.cleaned(rest) {
            Some(cleaned) => self.postfix(stamp, &cleaned, sink),
            None => self.postfix(stamp, rest, sink),
        }
    }

    fn announce(&mut self, ids: bool) {
        self.ids = ids;
    }
}
