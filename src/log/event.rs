//! The events of the mail log. [`Event::write_to`] is the exact text after "postfix/SERVICE[PID]: "; programs match
//! on it (fail2ban, logwatch, pflogsumm), so its form is the reference's, byte for byte.

use std::borrow::Cow;
use std::time::Duration;

/// Text from mail or from the log, as bytes: nothing says it is UTF-8.
pub type Text<'a> = Cow<'a, [u8]>;

/// One log line's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// `ID: uid=1000 from=<toto>` (pickup)
    Pickup {
        queue_id: Text<'a>,
        uid: u32,
        from: Text<'a>,
    },
    /// `ID: client=NAME[ADDRESS]` (smtpd)
    Client {
        queue_id: Text<'a>,
        client: Text<'a>,
    },
    /// `ID: message-id=<...>` (cleanup)
    MessageId {
        queue_id: Text<'a>,
        message_id: Text<'a>,
    },
    /// `ID: from=<...>, size=N, nrcpt=N (queue active)` (qmgr)
    QueueActive {
        queue_id: Text<'a>,
        from: Text<'a>,
        size: u64,
        nrcpt: u32,
    },
    /// `ID: to=<...>, relay=..., delay=..., status=...` (delivery agents)
    Delivery(Box<Delivery<'a>>),
    /// `ID: removed` (qmgr)
    Removed {
        queue_id: Text<'a>,
    },
    /// `ID: from=<...>, status=expired, returned to sender` (qmgr)
    Expired {
        queue_id: Text<'a>,
        from: Text<'a>,
    },
    /// `ID: sender non-delivery notification: ID2` (bounce); `kind` as in "sender non-delivery", "sender delay",
    /// "postmaster non-delivery", "sender delivery status".
    Notification {
        queue_id: Text<'a>,
        kind: &'a str,
        notice_id: Text<'a>,
    },
    /// `connect from NAME[ADDRESS]` (smtpd)
    Connect {
        client: Text<'a>,
    },
    /// `disconnect from NAME[ADDRESS] ehlo=1 ... commands=5/6` (smtpd); `counts` is the part after the client.
    Disconnect {
        client: Text<'a>,
        counts: Text<'a>,
    },
    /// `lost connection after CMD from NAME[ADDRESS]`
    LostConnection {
        after: Text<'a>,
        client: Text<'a>,
    },
    /// `timeout after CMD from NAME[ADDRESS]`
    Timeout {
        after: Text<'a>,
        client: Text<'a>,
    },
    /// `too many errors after CMD from NAME[ADDRESS]`
    TooManyErrors {
        after: Text<'a>,
        client: Text<'a>,
    },
    /// `connect to NAME[ADDRESS]:25: Connection timed out` (smtp)
    Unreachable {
        peer: Text<'a>,
        why: Text<'a>,
    },
    /// `ID: reject: RCPT from NAME[ADDRESS]: 550 ...; from=<> to=<> proto=ESMTP helo=<>` and the like.
    /// `queue_id` is "NOQUEUE" when there is none yet; `action` is reject, hold, discard, warn...
    Verdict {
        queue_id: Text<'a>,
        action: Text<'a>,
        text: Text<'a>,
    },
    /// `warning: ...`, `error: ...`, `fatal: ...`, `panic: ...`
    Warning(Text<'a>),
    Error(Text<'a>),
    Fatal(Text<'a>),
    Panic(Text<'a>),
    /// Any other line, kept as it is.
    Other(Text<'a>),
}

/// What a delivery agent says about one recipient. `delays` are the four parts of the delay: before the queue
/// manager, in the queue manager, connection setup, transmission.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery<'a> {
    pub queue_id: Text<'a>,
    pub to: Text<'a>,
    /// The address before aliasing, when it differs.
    pub orig_to: Option<Text<'a>>,
    pub relay: Text<'a>,
    /// How often the connection was used, from the second time on.
    pub conn_use: Option<u32>,
    /// How the connection was secured, as Postfix 3.11 says it.
    pub tls: Option<Text<'a>>,
    pub delay: Duration,
    pub delays: [Duration; 4],
    pub dsn: Text<'a>,
    /// sent, deferred, bounced, expired, deliverable, undeliverable
    pub status: Text<'a>,
    /// The text between the parentheses.
    pub reason: Text<'a>,
}

/// A borrowed [`Text`] of a string or of bytes.
pub fn text(value: &(impl AsRef<[u8]> + ?Sized)) -> Text<'_> {
    Cow::Borrowed(value.as_ref())
}

impl Event<'_> {
    /// Appends the line's content, without a newline. Control characters are the sink's to mask.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        match self {
            Event::Pickup { queue_id, uid, from } => {
                put(&[queue_id, b": uid=", uid.to_string().as_bytes(), b" from=<", from, b">"]);
            }
            Event::Client { queue_id, client } => put(&[queue_id, b": client=", client]),
            Event::MessageId { queue_id, message_id } => put(&[queue_id, b": message-id=", message_id]),
            Event::QueueActive { queue_id, from, size, nrcpt } => {
                let counts = format!(", size={size}, nrcpt={nrcpt} (queue active)");
                put(&[queue_id, b": from=<", from, b">", counts.as_bytes()]);
            }
            Event::Delivery(delivery) => delivery.write_to(out),
            Event::Removed { queue_id } => put(&[queue_id, b": removed"]),
            Event::Expired { queue_id, from } => {
                put(&[queue_id, b": from=<", from, b">, status=expired, returned to sender"]);
            }
            Event::Notification { queue_id, kind, notice_id } => {
                put(&[queue_id, b": ", kind.as_bytes(), b" notification: ", notice_id]);
            }
            Event::Connect { client } => put(&[b"connect from ", client]),
            Event::Disconnect { client, counts } => put(&[b"disconnect from ", client, b" ", counts]),
            Event::LostConnection { after, client } => put(&[b"lost connection after ", after, b" from ", client]),
            Event::Timeout { after, client } => put(&[b"timeout after ", after, b" from ", client]),
            Event::TooManyErrors { after, client } => put(&[b"too many errors after ", after, b" from ", client]),
            Event::Unreachable { peer, why } => put(&[b"connect to ", peer, b": ", why]),
            Event::Verdict { queue_id, action, text } => put(&[queue_id, b": ", action, b": ", text]),
            Event::Warning(text) => put(&[b"warning: ", text]),
            Event::Error(text) => put(&[b"error: ", text]),
            Event::Fatal(text) => put(&[b"fatal: ", text]),
            Event::Panic(text) => put(&[b"panic: ", text]),
            Event::Other(text) => put(&[text]),
        }
    }
}

impl Delivery<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue_id);
        for (name, value) in [(": to=<", Some(&self.to)), (">, orig_to=<", self.orig_to.as_ref())] {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(value);
            }
        }
        out.extend_from_slice(b">, relay=");
        out.extend_from_slice(&self.relay);
        if let Some(uses) = self.conn_use {
            out.extend_from_slice(format!(", conn_use={uses}").as_bytes());
        }
        if let Some(tls) = &self.tls {
            out.extend_from_slice(b", tls=");
            out.extend_from_slice(tls);
        }
        let [a, b, c, d] = self.delays.map(delay_text);
        let delays = format!(", delay={}, delays={a}/{b}/{c}/{d}, dsn=", delay_text(self.delay));
        for part in [delays.as_bytes(), &self.dsn, b", status=", &self.status, b" (", &self.reason, b")"] {
            out.extend_from_slice(part);
        }
    }
}

/// A delay with two significant digits below 100 s and delay_logging_resolution_limit's two places after the
/// point: 0.01, 1.2, 12, 345.
pub fn delay_text(delay: Duration) -> String {
    let hundredths = (delay.as_micros() + 5_000) / 10_000;
    let (seconds, rest) = (hundredths / 100, hundredths % 100);
    if seconds >= 10 {
        return format!("{}", (delay.as_millis() + 500) / 1000);
    }
    if seconds >= 1 {
        let tenths = (delay.as_millis() + 50) / 100;
        return if tenths.is_multiple_of(10) {
            format!("{}", tenths / 10)
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        };
    }
    match rest {
        0 => "0".to_owned(),
        rest if rest.is_multiple_of(10) => format!("0.{}", rest / 10),
        rest => format!("0.{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_short() {
        for (milliseconds, want) in [
            (0, "0"),
            (4, "0"),
            (12, "0.01"),
            (100, "0.1"),
            (120, "0.12"),
            (1000, "1"),
            (1240, "1.2"),
            (12_400, "12"),
            (345_000, "345"),
        ] {
            assert_eq!(delay_text(Duration::from_millis(milliseconds)), want);
        }
    }
}
