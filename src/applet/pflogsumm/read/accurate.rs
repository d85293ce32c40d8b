//! Lines read as what they are, by [`Event`], the type that our own daemons log with: what --accurate and every output
//! beside the text report counts. What the reference miscounts is named in [`HABITS`].

use super::{Now, seconds};
use crate::applet::pflogsumm::fact::{Date, Deferral, Fact, Level, Reason, Sink, Verdict};
use crate::applet::pflogsumm::fields::{self, decimal, end_of_content, without_priority};
use crate::applet::pflogsumm::input::Lines;
use crate::applet::pflogsumm::map::Key;
use crate::applet::pflogsumm::options::Options;
use crate::applet::pflogsumm::range::Range;
use crate::applet::pflogsumm::reject::{self, Style};
use crate::applet::pflogsumm::text::{self, client_organisation, find};
use crate::log::event::{Delivery, Event};
use crate::log::line::{Line, Stamp, digits};
use memchr::{memchr, memrchr};
use std::borrow::Cow;

/// What is counted other than the reference does.
pub const HABITS: &[&str] = &[
    "a year in the log is believed, also by -d, and a date without one is the last that is not in the future",
    "days are counted by their dates, however often the log goes back and forth between them",
    "a queue id that is used again is another message",
    "services under any name (postfix/submissions/smtpd, postfix-out/smtp) are read",
    "what a content filter gives back (Amavis on port 10025, or a program behind pipe(8) that calls sendmail) is the \
     message that it was given: it is received once, and the way to the filter is no delivery",
    "milter-reject, proxy-reject and warn count, and what was rejected late, canceled or lost was not received",
    "hosts with IPv6 addresses have their names, in small letters, without smtpd's statistics",
    "deliveries with tls= or with fields in another order are read",
    "messages that expired, and hosts that could not be reached, are counted",
    "the reason of a deferral goes to the last bracket of the line, and a message of the master daemon has all its text",
];

/// What a line is, as far as it is known without other lines.
pub struct Parts<'a> {
    pub stamp: Stamp,
    /// Of the wall clock, since 1970.
    pub at: i64,
    pub host: &'a [u8],
    /// "smtpd"
    pub service: &'a [u8],
    /// Whether the service takes messages back from a filter.
    pub again: bool,
    pub process: Option<u64>,
    pub content: &'a [u8],
}

/// Reads lines right.
#[derive(Clone)]
pub struct AccurateReader<'o> {
    options: &'o Options,
    style: Style,
    now: Now,
    range: Range,
    last_date: Option<Date>,
    last_hour: Option<i64>,
}

impl<'o> AccurateReader<'o> {
    pub fn new(options: &'o Options, now: Now, range: Range) -> AccurateReader<'o> {
        AccurateReader {
            options,
            style: Style { add_to: false, newer: false, organisations: true, ..Style::of(options) },
            now,
            range,
            last_date: None,
            last_hour: None,
        }
    }

    /// The parts of a Postfix line of the time asked for.
    pub fn parts<'a>(&self, bytes: &'a [u8]) -> Option<Parts<'a>> {
        let Line { stamp, host, rest } = Line::parse(without_priority(bytes))?;
        // "postfix/submissions/smtpd[123]: content"
        let end = rest.iter().position(|byte| matches!(byte, b'[' | b':' | b' '))?;
        let (program, tail) = rest.split_at(end);
        let slash = memchr(b'/', program).unwrap_or(program.len());
        let name = &program[..slash];
        if !name.starts_with(b"postfix") && name != self.options.syslog_name {
            return None;
        }
        let last = memrchr(b'/', program).map_or(0, |at| at + 1);
        let inner = program.get(slash + 1..last.saturating_sub(1)).unwrap_or_default();
        let again = !inner.is_empty() && inner.iter().all(u8::is_ascii_digit);
        let (process, tail) = match tail.strip_prefix(b"[") {
            Some(tail) => {
                let length = digits(tail);
                let number = fields::number(tail.iter().take(length));
                (Some(number).filter(|_| length > 0), tail.get(length..)?.strip_prefix(b"]")?)
            }
            None => (None, tail),
        };
        let content = tail.strip_prefix(b": ")?;
        // Solaris's "[ID 197553 mail.info] "
        let content = match content.starts_with(b"[ID ") {
            true => text::split_once(content, b"] ").map_or(content, |(_, content)| content),
            false => content,
        };
        let at = self.at(stamp);
        let parts = Parts { stamp, at, host, service: program.get(last..)?, again, process, content };
        self.range.has(at).then_some(parts)
    }

    /// Seconds of the wall clock since 1970.
    pub fn at(&self, stamp: Stamp) -> i64 {
        seconds(self.year(stamp), stamp)
    }

    fn year(&self, stamp: Stamp) -> i64 {
        let (month, day) = (i64::from(stamp.month), i64::from(stamp.day));
        match stamp.year {
            Some(year) => i64::from(year),
            // A day ahead may be a clock that is ahead.
            None if (month, day) > (self.now.month, self.now.day + 1) => self.now.year - 1,
            None => self.now.year,
        }
    }

    /// Announces new days and hours.
    fn follow_calendar(&mut self, parts: &Parts<'_>, sink: &mut impl Sink) {
        let hour = parts.at.div_euclid(3600);
        if self.last_hour == Some(hour) {
            return;
        }
        self.last_hour = Some(hour);
        let stamp = parts.stamp;
        let date = (self.year(stamp), i64::from(stamp.month), i64::from(stamp.day));
        if self.last_date != Some(date) {
            self.last_date = Some(date);
            sink.take(Fact::Day(date));
        }
        sink.take(Fact::Hour(hour));
    }

    fn event(&self, parts: &Parts<'_>, sink: &mut impl Sink) {
        let (hour, service, at) = (parts.stamp.hour, parts.service, parts.at);
        match Event::parse(parts.content) {
            Event::Pickup { queue_id: id, .. } => {
                sink.take(Fact::Arrive { hour, id: Key::of(&id), client: Some(b"pickup"), process: None });
            }
            // A session of smtpd_proxy_filter: the smtpd behind the filter takes the message.
            Event::Client { queue_id: id, .. } if *id == *b"NOQUEUE" => {}
            Event::Client { queue_id: id, client } if service == b"smtpd" => {
                let (client, attributes) = client.split_at(memchr(b',', &client).unwrap_or(client.len()));
                // A filter that speaks XFORWARD says whose message this was, or, before the queue, only whose it is.
                let has = |name: &[u8]| find(attributes, name).is_some();
                if has(b", orig_queue_id=") || parts.again && !has(b", orig_client=") {
                    return sink.take(Fact::Returned(&id));
                }
                let domain = client_organisation(client);
                let (id, process) = (Key::of(&id), parts.process);
                sink.take(Fact::Arrive { hour, id, client: Some(&domain), process });
            }
            Event::QueueActive { queue_id: id, from, size, .. } => {
                let address = self.sender(&from);
                sink.take(Fact::Sender { id: Key::of(&id), address: Key::of(&address), size });
            }
            Event::MessageId { queue_id: id, message_id } => {
                let name = Some(Key::of(&message_id)).filter(|name| !matches!(name.text, b"" | b"<>"));
                sink.take(Fact::Open { id: Key::of(&id), name });
            }
            Event::Delivery(delivery) => self.delivery(parts, &delivery, sink),
            Event::Removed { queue_id } => sink.take(Fact::Removed(&queue_id)),
            Event::Expired { queue_id, .. } => sink.take(Fact::Expired(&queue_id)),
            Event::Verdict { queue_id, action, text } => self.verdict(parts, &queue_id, &action, &text, sink),
            Event::Connect { .. } if service == b"smtpd" && self.options.smtpd_stats => {
                sink.take(Fact::Connect { process: parts.process, at });
            }
            Event::Disconnect { client, .. } if service == b"smtpd" => {
                if let Some(process) = parts.process {
                    sink.take(Fact::Gone(process));
                }
                if self.options.smtpd_stats {
                    let domain = client_organisation(&client);
                    sink.take(Fact::Disconnect { hour, process: parts.process, at, domain: &domain });
                }
            }
            Event::Unreachable { peer, why } => sink.take(Fact::Unreachable { why: &why, host: text::peer(&peer) }),
            Event::Warning(text) | Event::Error(text) => self.complaint(Level::Warning, service, &text, sink),
            Event::Fatal(text) => self.complaint(Level::Fatal, service, &text, sink),
            Event::Panic(text) => self.complaint(Level::Panic, service, &text, sink),
            Event::Other(text) => self.other(parts, &text, sink),
            _ => {}
        }
    }

    fn sender<'a>(&self, address: &'a [u8]) -> Cow<'a, [u8]> {
        if address.is_empty() { Cow::Borrowed(b"<>") } else { self.style.folding.sender(address) }
    }

    fn complaint(&self, level: Level, service: &[u8], text: &[u8], sink: &mut impl Sink) {
        if level == Level::Warning && service == b"smtpd" && !self.options.smtpd_warnings {
            return;
        }
        let text = if self.options.verbose { Cow::Borrowed(text) } else { text::cut(text, 66) };
        sink.take(Fact::Complaint { level, service, text: &text });
    }

    fn delivery(&self, parts: &Parts<'_>, delivery: &Delivery<'_>, sink: &mut impl Sink) {
        let found = Outcome {
            id: &delivery.queue_id,
            to: &delivery.to,
            relay: &delivery.relay,
            delay: delivery.delay.as_secs_f64(),
            status: &delivery.status,
            reason: &delivery.reason,
            tls: delivery.tls.as_deref(),
        };
        self.outcome(parts, &found, sink);
    }

    fn outcome(&self, parts: &Parts<'_>, found: &Outcome<'_>, sink: &mut impl Sink) {
        let hour = parts.stamp.hour;
        let (id, delay) = (found.id, found.delay);
        let host = || if found.relay.contains(&b'[') { text::peer(found.relay) } else { found.relay };
        if let Some(level) = found.tls {
            sink.take(Fact::TlsLevel { host: host(), level });
        }
        let address = self.style.folding.address(found.to);
        let cut = |room| match self.options.verbose {
            true => Cow::Borrowed(found.reason),
            false => text::cut_said(found.reason, room),
        };
        match found.status {
            b"sent" if found.reason.starts_with(b"forwarded as ") => sink.take(Fact::Forwarded),
            b"sent" => match queued_elsewhere(found) {
                Some(next) => {
                    sink.take(Fact::Passed { hour, id: Key::of(id), next, address: Key::of(&address), delay })
                }
                None if parts.service == b"pipe" && found.reason.starts_with(b"delivered via ") => {
                    sink.take(Fact::Piped { hour, id: Key::of(id), address: Key::of(&address), delay });
                }
                None => sink.take(Fact::Sent { hour, id: Key::of(id), address: Key::of(&address), delay }),
            },
            b"deferred" => {
                let reason = cut(65);
                let why = Some(Deferral { service: parts.service, host: None, reason: text::without_code(&reason) });
                let id = Key::of(id);
                sink.take(Fact::Deferred { hour, id, why, relay: host(), address: &address, delay });
            }
            b"bounced" => {
                let reason = cut(66);
                sink.take(Fact::Bounced { hour, why: Some((host(), text::without_code(&reason))) });
            }
            _ => {}
        }
    }

    fn verdict(&self, parts: &Parts<'_>, id: &[u8], action: &[u8], text: &[u8], sink: &mut impl Sink) {
        let late = id != b"NOQUEUE";
        let verdict = match action {
            b"reject" | b"milter-reject" | b"proxy-reject" => Verdict::Reject,
            b"reject_warning" | b"warn" => Verdict::Warn,
            b"warning" if parts.service != b"cleanup" => {
                return self.complaint(Level::Warning, parts.service, text, sink);
            }
            b"warning" => Verdict::Warn,
            b"hold" | b"milter-hold" => Verdict::Hold,
            b"discard" | b"milter-discard" => Verdict::Discard,
            _ => return,
        };
        let hour = parts.stamp.hour;
        match reject::read_text(text, &self.style) {
            Some(reject) => {
                let why = Some(Reason { kind: reject.kind, reason: &reject.reason, about: &reject.about });
                sink.take(Fact::Verdict { hour, verdict, why });
            }
            None => {
                // "header Subject: ...", "body ..."
                let part = text.split(|&byte| byte == b' ').next().unwrap_or_default();
                let about = text.get(part.len() + 1..).unwrap_or_default();
                let about = about.get(..end_of_content(about)).unwrap_or_default();
                let about = if self.options.verbose { Cow::Borrowed(about) } else { text::cut(about, 64) };
                let why = Some(Reason { kind: parts.service, reason: part, about: &about });
                sink.take(Fact::Verdict { hour, verdict, why });
            }
        }
        if verdict == Verdict::Reject && late {
            sink.take(Fact::Withdraw(id));
        }
    }

    /// What [`Event`] would not write like this: other spellings, older fields, the start-up script.
    fn other(&self, parts: &Parts<'_>, content: &[u8], sink: &mut impl Sink) {
        if parts.service == b"master" || parts.service.starts_with(b"postfix") {
            return sink.take(Fact::Master(content));
        }
        match older(content) {
            Some((id, Older::Canceled)) => sink.take(Fact::Canceled(id)),
            Some((id, Older::Sender { address, size })) => {
                let address = self.sender(address);
                sink.take(Fact::Sender { id: Key::of(id), address: Key::of(&address), size });
            }
            Some((id, Older::Delivery(found))) => {
                let found = Outcome {
                    id,
                    to: found.to,
                    relay: found.relay,
                    delay: decimal(found.delay),
                    status: found.status,
                    reason: found.reason(),
                    tls: found.tls,
                };
                self.outcome(parts, &found, sink);
            }
            None => {}
        }
    }
}

/// A message's line in a form that our own daemons do not write.
pub enum Older<'a> {
    Canceled,
    Sender { address: &'a [u8], size: u64 },
    Delivery(fields::Delivery<'a>),
}

/// Queue id and meaning of such a line.
pub fn older(content: &[u8]) -> Option<(&[u8], Older<'_>)> {
    let end = find(content, b": ")?;
    let (id, said) = (&content[..end], &content[end + 2..]);
    if !fields::is_queue_id(id) {
        return None;
    }
    let meaning = if said == b"removed (canceled)" {
        Older::Canceled
    } else if let Some(rest) = said.strip_prefix(b"from=<") {
        let (address, size) = fields::sender_and_size(rest)?;
        Older::Sender { address, size }
    } else {
        Older::Delivery(said.strip_prefix(b"to=<").and_then(fields::Delivery::read_any)?)
    };
    Some((id, meaning))
}

/// What became of a recipient, from either reading.
struct Outcome<'a> {
    id: &'a [u8],
    to: &'a [u8],
    relay: &'a [u8],
    delay: f64,
    status: &'a [u8],
    reason: &'a [u8],
    tls: Option<&'a [u8]>,
}

/// The queue id that a server on this machine, or a filter that hands on what the next server said, gave the message.
fn queued_elsewhere<'a>(found: &Outcome<'a>) -> Option<&'a [u8]> {
    let here = || [b"[127.".as_slice(), b"[::1]"].iter().any(|address| find(found.relay, address).is_some());
    let next = text::after_last(found.reason, b" queued as ")?;
    let end = next.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(next.len());
    let next = &next[..end];
    (end > 4 && fields::is_queue_id(next) && (find(found.reason, b" from MTA(").is_some() || here())).then_some(next)
}

impl Lines for AccurateReader<'_> {
    fn begin(&mut self) {
        (self.last_date, self.last_hour) = (None, None);
    }

    fn announce(&mut self, _: bool) {}

    fn line(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let Some(parts) = self.parts(bytes) else { return };
        self.follow_calendar(&parts, sink);
        self.event(&parts, sink);
    }
}
