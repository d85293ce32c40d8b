//! [`Event::parse`]: from a line's content back to the event. It never fails: what it does not know, or would not
//! write back to the same bytes, stays as [`Event::Other`]. Everything borrows; only a delivery is boxed.

use super::event::{Delivery, Event, delay_text, text};
use memchr::{memchr, memmem};
use std::time::Duration;

/// What stands between the queue id and the text of a verdict.
const ACTIONS: &[&str] = &[
    "reject",
    "reject_warning",
    "hold",
    "discard",
    "filter",
    "redirect",
    "bcc",
    "prepend",
    "replace",
    "strip",
    "info",
    "warn",
    "warning",
    "delay",
    "milter-reject",
    "milter-hold",
    "milter-discard",
    "milter-header-reject",
    "milter-header-discard",
    "milter-header-hold",
    "milter-header-filter",
    "milter-header-redirect",
    "milter-header-bcc",
    "milter-header-prepend",
    "milter-header-replace",
    "milter-header-strip",
    "milter-header-info",
    "milter-header-warning",
    "proxy-reject",
    "proxy-accept",
];

/// Whom a notice goes to and what about.
const NOTICES: &[&str] = &[
    "sender non-delivery",
    "sender delay",
    "sender delivery status",
    "postmaster non-delivery",
    "postmaster delay",
    "postmaster delivery status",
];

impl<'a> Event<'a> {
    /// The event whose line has this content (the part after "postfix/SERVICE\[PID\]: ").
    pub fn parse(content: &'a [u8]) -> Event<'a> {
        without_id(content).or_else(|| with_id(content)).unwrap_or(Event::Other(text(content)))
    }
}

fn without_id(content: &[u8]) -> Option<Event<'_>> {
    // All of these begin with a small letter, which no queue id but a long one does.
    match *content.first()? {
        b'w' => content.strip_prefix(b"warning: ").map(|rest| Event::Warning(text(rest))),
        b'e' => content.strip_prefix(b"error: ").map(|rest| Event::Error(text(rest))),
        b'f' => content.strip_prefix(b"fatal: ").map(|rest| Event::Fatal(text(rest))),
        b'p' => content.strip_prefix(b"panic: ").map(|rest| Event::Panic(text(rest))),
        b'c' => {
            if let Some(client) = content.strip_prefix(b"connect from ") {
                return Some(Event::Connect { client: text(client) });
            }
            let rest = content.strip_prefix(b"connect to ")?;
            let close = memchr(b']', rest)?;
            let (peer, why) = split(rest, close + memmem::find(rest.get(close..)?, b": ")?, 2)?;
            Some(Event::Unreachable { peer: text(peer), why: text(why) })
        }
        b'd' => {
            let rest = content.strip_prefix(b"disconnect from ")?;
            let (client, counts) = split(rest, memchr(b' ', rest)?, 1)?;
            Some(Event::Disconnect { client: text(client), counts: text(counts) })
        }
        b'l' => after(content, b"lost connection after ")
            .map(|(after, client)| Event::LostConnection { after: text(after), client: text(client) }),
        b't' => {
            if let Some((after, client)) = after(content, b"timeout after ") {
                return Some(Event::Timeout { after: text(after), client: text(client) });
            }
            after(content, b"too many errors after ")
                .map(|(after, client)| Event::TooManyErrors { after: text(after), client: text(client) })
        }
        _ => None,
    }
}

/// "MARK COMMAND from CLIENT"
fn after<'a>(content: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = content.strip_prefix(mark)?;
    split(rest, memmem::rfind(rest, b" from ")?, b" from ".len())
}

/// What stands before `at` and from `skip` bytes behind it.
fn split(bytes: &[u8], at: usize, skip: usize) -> Option<(&[u8], &[u8])> {
    Some((bytes.get(..at)?, bytes.get(at + skip..)?))
}

fn with_id(content: &[u8]) -> Option<Event<'_>> {
    let end = content.iter().position(|byte| !byte.is_ascii_alphanumeric()).filter(|&end| end > 0)?;
    let (id, rest) = content.split_at(end);
    let (queue_id, rest) = (text(id), rest.strip_prefix(b": ")?);
    match *rest.first()? {
        b't' if rest.starts_with(b"to=<") => delivery(id, rest),
        b'f' if rest.starts_with(b"from=<") => sender(id, rest),
        b'r' if rest == b"removed" => Some(Event::Removed { queue_id }),
        b'c' if rest.starts_with(b"client=") => {
            Some(Event::Client { queue_id, client: text(rest.strip_prefix(b"client=")?) })
        }
        b'm' if rest.starts_with(b"message-id=") => {
            Some(Event::MessageId { queue_id, message_id: text(rest.strip_prefix(b"message-id=")?) })
        }
        b'u' => {
            let rest = rest.strip_prefix(b"uid=")?;
            let (uid, from) = split(rest, memchr(b' ', rest)?, 1)?;
            let from = from.strip_prefix(b"from=<")?.strip_suffix(b">")?;
            Some(Event::Pickup { queue_id, uid: number(uid)?, from: text(from) })
        }
        _ => notice(id, rest).or_else(|| {
            let (action, said) = split(rest, memchr(b':', rest)?, 2)?;
            let known =
                rest.get(action.len()..)?.starts_with(b": ") && ACTIONS.iter().any(|known| known.as_bytes() == action);
            known.then(|| Event::Verdict { queue_id, action: text(action), text: text(said) })
        }),
    }
}

fn notice<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    NOTICES.iter().find_map(|kind| {
        let notice_id = rest.strip_prefix(kind.as_bytes())?.strip_prefix(b" notification: ")?;
        Some(Event::Notification { queue_id: text(id), kind, notice_id: text(notice_id) })
    })
}

/// "from=<...>, size=N, nrcpt=N (queue active)", "from=<...>, status=expired, returned to sender"
fn sender<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    let rest = rest.strip_prefix(b"from=<")?;
    if let Some(from) = rest.strip_suffix(b">, status=expired, returned to sender") {
        return Some(Event::Expired { queue_id: text(id), from: text(from) });
    }
    let counts = rest.strip_suffix(b" (queue active)")?;
    let (from, counts) = split(counts, memmem::rfind(counts, b">, size=")?, b">, size=".len())?;
    let (size, nrcpt) = split(counts, memchr(b',', counts)?, b", nrcpt=".len())?;
    (counts.get(size.len()..)?.starts_with(b", nrcpt=")).then_some(())?;
    Some(Event::QueueActive { queue_id: text(id), from: text(from), size: number(size)?, nrcpt: number(nrcpt)? })
}

/// "to=<...>, relay=..., delay=..., delays=a/b/c/d, dsn=..., status=... (...)"
fn delivery<'a>(id: &'a [u8], rest: &'a [u8]) -> Option<Event<'a>> {
    let rest = rest.strip_prefix(b"to=<")?;
    let (to, rest) = split(rest, memmem::find(rest, b">, ")?, 3)?;
    let (orig_to, rest) = match rest.strip_prefix(b"orig_to=<") {
        Some(rest) => {
            let (original, rest) = split(rest, memmem::find(rest, b">, ")?, 3)?;
            (Some(text(original)), rest)
        }
        None => (None, rest),
    };
    let (relay, rest) = field(rest, b"relay=")?;
    let (conn_use, rest) = match field(rest, b"conn_use=") {
        Some((uses, rest)) => (Some(number(uses)?), rest),
        None => (None, rest),
    };
    let (tls, rest) = match field(rest, b"tls=") {
        Some((tls, rest)) => (Some(text(tls)), rest),
        None => (None, rest),
    };
    let (delay, rest) = field(rest, b"delay=")?;
    let (delays, rest) = field(rest, b"delays=")?;
    let (dsn, rest) = field(rest, b"dsn=")?;
    let rest = rest.strip_prefix(b"status=")?;
    let (status, rest) = split(rest, memchr(b' ', rest)?, 1)?;
    let reason = rest.strip_prefix(b"(")?.strip_suffix(b")")?;
    let mut parts = delays.split(|&byte| byte == b'/');
    let mut next = || duration(parts.next()?);
    let delays = [next()?, next()?, next()?, next()?];
    parts.next().is_none().then_some(())?;
    Some(Event::Delivery(Box::new(Delivery {
        queue_id: text(id),
        to: text(to),
        orig_to,
        relay: text(relay),
        conn_use,
        tls,
        delay: duration(delay)?,
        delays,
        dsn: text(dsn),
        status: text(status),
        reason: text(reason),
    })))
}

/// "name=value, "
fn field<'a>(rest: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let value = rest.strip_prefix(name)?;
    split(value, memmem::find(value, b", ")?, 2)
}

/// A number in the one spelling in which it would be written.
fn number<N: TryFrom<u64>>(digits: &[u8]) -> Option<N> {
    let plain = !digits.is_empty()
        && digits.len() < 20
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits[0] != b'0');
    plain.then_some(())?;
    let value =
        digits.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    N::try_from(value).ok()
}

/// A delay in the one spelling in which it would be written.
fn duration(text: &[u8]) -> Option<Duration> {
    let point = memchr(b'.', text).unwrap_or(text.len());
    let (seconds, fraction) = text.split_at(point);
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    if fraction.len() > 2 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let hundredths = fraction.iter().chain(b"00").take(2).fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    let seconds: u32 = number(seconds)?;
    let delay = Duration::from_millis(u64::from(seconds) * 1000 + hundredths * 10);
    (delay_text(delay).as_bytes() == text).then_some(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that our own Postfix wrote in the lab, and near misses.
    const LINES: &[&str] = &[
        "A1B2C3: uid=1000 from=<toto>",
        "A1B2C3: client=localhost[127.0.0.1]",
        "A1B2C3: message-id=<20261124120000.A1B2C3@lab.example>",
        "A1B2C3: from=<toto@lab.example>, size=331, nrcpt=1 (queue active)",
        "A1B2C3: to=<titi@lab.example>, orig_to=<titi>, relay=local, delay=0.02, delays=0.01/0/0/0.01, dsn=2.0.0, \
         status=sent (delivered to mailbox)",
        "A1B2C3: to=<a@b.example>, relay=mx.b.example[192.0.2.1]:25, conn_use=2, delay=12, delays=0/0/10/1.6, \
         dsn=4.4.1, status=deferred (host said: 450 (later))",
        "A1B2C3: removed",
        "A1B2C3: from=<a@b>, status=expired, returned to sender",
        "A1B2C3: sender non-delivery notification: D4E5F6",
        "connect from unknown[192.0.2.1]",
        "connect to mx.b.example[192.0.2.1]:25: Connection timed out",
        "A1B2C3: to=<a@b.example>, relay=mx.b.example[192.0.2.1]:25, tls=verified, delay=1, delays=0/0/0/1, dsn=2.0.0, \
         status=sent (250 ok)",
        "disconnect from unknown[192.0.2.1] ehlo=1 quit=1 commands=2",
        "lost connection after DATA (12 bytes) from unknown[192.0.2.1]",
        "timeout after RCPT from unknown[192.0.2.1]",
        "too many errors after AUTH from unknown[192.0.2.1]",
        "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <a@b>: Relay access denied; from=<c@d> to=<a@b> \
         proto=ESMTP helo=<x>",
        "warning: x",
        "error: x",
        "fatal: x",
        "panic: x",
    ];

    fn written(event: &Event<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        event.write_to(&mut out);
        out
    }

    #[test]
    fn known_lines_are_events_and_print_back() {
        for line in LINES {
            let event = Event::parse(line.as_bytes());
            assert!(!matches!(event, Event::Other(_)), "{line}");
            assert_eq!(written(&event), line.as_bytes(), "{line}");
        }
    }

    #[test]
    fn other_lines_print_back_too() {
        for line in [
            "",
            ":",
            "A1",
            "A1: ",
            "disconnect from h[1.2.3.4]",
            "A1: uid=01 from=<x>",
            "A1: from=<x>, size=1, nrcpt=1",
            "A1: to=<x>, relay=y, delay=1.0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)",
            "A1: to=<x>, relay=y, why=z, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)",
            "statistics: max connection rate 1/60s",
        ] {
            assert_eq!(Event::parse(line.as_bytes()), Event::Other(text(line)), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_prints_back(line in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0..LINES.len()) {
            proptest::prop_assert_eq!(&written(&Event::parse(&line)), &line);
            // And a known line with a few bytes changed.
            let mut bent = LINES[at].as_bytes().to_vec();
            for (place, byte) in line.iter().take(3).enumerate() {
                let target = usize::from(*byte) * (place + 1) % bent.len();
                bent[target] = *byte;
            }
            proptest::prop_assert_eq!(&written(&Event::parse(&bent)), &bent);
        }
    }
}
