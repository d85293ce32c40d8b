//! `--ndjson`: each Postfix line as an object on a line of its own, for tools that do their own counting. "event" names
//! what [`Event`] it is; the other names are the event's own.

use super::numbers::{hour_name, text};
use crate::applet::pflogsumm::fact::Sink;
use crate::applet::pflogsumm::input::{Feed, Lines};
use crate::applet::pflogsumm::read::accurate::{AccurateReader, Parts};
use crate::log::event::{Delivery, Event};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Writes the events of all lines; a reader that goes away ends the reading.
pub fn write(out: &mut impl Write, mut feed: Feed, reader: AccurateReader<'_>, piece: usize) -> io::Result<()> {
    let mut events = Events { reader, out, failed: None };
    let mut bytes = vec![0; piece];
    while let Some(length) = feed.fill(&mut bytes) {
        events.piece(&bytes[..length], &mut Nothing);
        if let Some(error) = events.failed.take() {
            return Err(error);
        }
    }
    events.out.flush()
}

struct Events<'a, 'o, W> {
    reader: AccurateReader<'o>,
    out: &'a mut W,
    failed: Option<io::Error>,
}

/// No facts come of this.
struct Nothing;

impl Sink for Nothing {
    fn take(&mut self, _: crate::applet::pflogsumm::fact::Fact<'_>) {}
}

impl<W: Write> Lines for Events<'_, '_, W> {
    fn begin(&mut self) {}

    fn announce(&mut self, _: &[u8]) {}

    fn line(&mut self, line: &[u8], _: &mut impl Sink) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(parts) = self.reader.parts(line).filter(|_| self.failed.is_none()) else { return };
        let object = Value::Object(object(&parts));
        self.failed = serde_json::to_writer(&mut *self.out, &object)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .err();
    }
}

fn object(parts: &Parts<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    let stamp = parts.stamp;
    let day = hour_name(parts.at.div_euclid(3600));
    let time = format!("{}:{:02}:{:02}", day.get(..13).unwrap_or(&day), stamp.minute, stamp.second);
    object.insert("time".into(), time.into());
    let mut put = |name: &str, value: &[u8]| {
        object.insert(name.to_owned(), text(value).into());
    };
    put("host", parts.host);
    put("service", parts.service);
    let name = match Event::parse(parts.content) {
        Event::Pickup { queue_id, uid, from } => {
            put("queue_id", &queue_id);
            put("from", &from);
            object.insert("uid".into(), uid.into());
            "pickup"
        }
        Event::Client { queue_id, client } => {
            put("queue_id", &queue_id);
            put("client", &client);
            "client"
        }
        Event::MessageId { queue_id, message_id } => {
            put("queue_id", &queue_id);
            put("message_id", &message_id);
            "message_id"
        }
        Event::QueueActive { queue_id, from, size, nrcpt } => {
            put("queue_id", &queue_id);
            put("from", &from);
            object.insert("size".into(), size.into());
            object.insert("nrcpt".into(), nrcpt.into());
            "active"
        }
        Event::Delivery(delivery) => {
            self::delivery(&mut object, &delivery);
            "delivery"
        }
        Event::Removed { queue_id } => {
            put("queue_id", &queue_id);
            "removed"
        }
        Event::Expired { queue_id, from } => {
            put("queue_id", &queue_id);
            put("from", &from);
            "expired"
        }
        Event::Notification { queue_id, kind, notice_id } => {
            put("queue_id", &queue_id);
            put("kind", kind.as_bytes());
            put("notice_id", &notice_id);
            "notification"
        }
        Event::Connect { client } => {
            put("client", &client);
            "connect"
        }
        Event::Disconnect { client, counts } => {
            put("client", &client);
            put("counts", &counts);
            "disconnect"
        }
        Event::LostConnection { after, client } => {
            put("after", &after);
            put("client", &client);
            "lost_connection"
        }
        Event::Timeout { after, client } => {
            put("after", &after);
            put("client", &client);
            "timeout"
        }
        Event::TooManyErrors { after, client } => {
            put("after", &after);
            put("client", &client);
            "too_many_errors"
        }
        Event::Unreachable { peer, why } => {
            put("peer", &peer);
            put("reason", &why);
            "unreachable"
        }
        Event::Verdict { queue_id, action, text } => {
            put("queue_id", &queue_id);
            put("action", &action);
            put("text", &text);
            "verdict"
        }
        Event::Warning(text) => {
            put("text", &text);
            "warning"
        }
        Event::Error(text) => {
            put("text", &text);
            "error"
        }
        Event::Fatal(text) => {
            put("text", &text);
            "fatal"
        }
        Event::Panic(text) => {
            put("text", &text);
            "panic"
        }
        Event::Other(text) => {
            put("text", &text);
            "other"
        }
    };
    object.insert("event".into(), name.into());
    if let Some(process) = parts.process {
        object.insert("pid".into(), process.into());
    }
    object
}

fn delivery(object: &mut Map<String, Value>, delivery: &Delivery<'_>) {
    let texts = [
        ("queue_id", Some(&delivery.queue_id)),
        ("to", Some(&delivery.to)),
        ("orig_to", delivery.orig_to.as_ref()),
        ("relay", Some(&delivery.relay)),
        ("tls", delivery.tls.as_ref()),
        ("dsn", Some(&delivery.dsn)),
        ("status", Some(&delivery.status)),
        ("reason", Some(&delivery.reason)),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            object.insert(name.into(), text(value).into());
        }
    }
    object.insert("delay".into(), delivery.delay.as_secs_f64().into());
    let delays: Vec<f64> = delivery.delays.iter().map(std::time::Duration::as_secs_f64).collect();
    object.insert("delays".into(), delays.into());
}
