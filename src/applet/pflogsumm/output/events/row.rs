//! One line's event as a row of the table.

use super::columns::{COLUMNS, Field};
use crate::applet::pflogsumm::fields::end_of_content;
use crate::applet::pflogsumm::output::numbers::hour_name;
use crate::applet::pflogsumm::read::accurate::{Older, Parts, older};
use crate::applet::pflogsumm::reject::{self, Style};
use crate::applet::pflogsumm::text::{self, client_parts, find};
use crate::log::event::{Delivery, Event};
use crate::log::line::digits;
use memchr::{memchr, memmem};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::time::Duration;

/// A value that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, [u8]>),
    Integer(i64),
    Decimal(f64),
}

/// The values that are there, of few of the [`COLUMNS`], in no order.
pub struct Row<'a> {
    values: Vec<(Field, Value<'a>)>,
}

/// As many values as nearly all lines have at most.
const MANY: usize = 16;

/// As verdicts are counted, without the command line's wishes.
const STYLE: Style = Style { organisations: true, ..Style::PLAIN };

impl<'a> Row<'a> {
    pub fn of(parts: &Parts<'a>) -> Row<'a> {
        let mut row = Row { values: Vec::with_capacity(MANY) };
        row.integer(Field::Time, parts.at);
        row.text(Field::Host, parts.host);
        row.text(Field::Service, parts.service);
        if let Some(process) = parts.process {
            row.integer(Field::Process, i64::try_from(process).unwrap_or(i64::MAX));
        }
        let event = row.event(parts.content);
        row.text(Field::Event, event.as_bytes());
        row
    }

    pub fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.values.iter().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    #[cfg(feature = "parquet")]
    pub fn values(&self) -> &[(Field, Value<'a>)] {
        &self.values
    }

    /// Seconds since 1970 of the clock on the wall.
    #[cfg(feature = "parquet")]
    pub fn at(&self) -> i64 {
        match self.get(Field::Time) {
            Some(Value::Integer(at)) => *at,
            _ => 0,
        }
    }

    fn put(&mut self, field: Field, value: Value<'a>) {
        match self.values.iter_mut().find(|(known, _)| *known == field) {
            Some((_, known)) => *known = value,
            None => self.values.push((field, value)),
        }
    }

    fn text(&mut self, field: Field, value: impl Into<Cow<'a, [u8]>>) {
        self.put(field, Value::Text(value.into()));
    }

    fn integer(&mut self, field: Field, value: i64) {
        self.put(field, Value::Integer(value));
    }

    fn seconds(&mut self, field: Field, value: Duration) {
        self.put(field, Value::Decimal(value.as_secs_f64()));
    }

    /// "NAME[ADDRESS]", and postscreen's "[ADDRESS]:PORT"
    fn client(&mut self, client: &[u8]) {
        let own = |bytes: &[u8]| Cow::Owned(bytes.to_vec());
        if let Some((name, address)) = client_parts(client).filter(|(name, _)| !name.is_empty()) {
            self.text(Field::Client, own(name));
            self.text(Field::ClientAddress, own(address));
        } else if let Some(rest) = client.strip_prefix(b"[") {
            let end = memchr(b']', rest).unwrap_or(rest.len());
            self.text(Field::ClientAddress, own(&rest[..end]));
        } else {
            self.text(Field::Client, own(client));
        }
    }

    /// Fills in what the event says, and names it.
    fn event(&mut self, content: &'a [u8]) -> &'static str {
        match Event::parse(content) {
            Event::Pickup { queue_id, uid, from } => {
                self.text(Field::QueueId, queue_id);
                self.text(Field::Sender, from);
                self.integer(Field::Uid, uid.into());
                "pickup"
            }
            Event::Client { queue_id, client } => {
                self.text(Field::QueueId, queue_id);
                // "NAME[ADDRESS], sasl_method=PLAIN, sasl_username=NAME, orig_queue_id=ID, orig_client=NAME[ADDRESS]"
                let end = find(&client, b", ").unwrap_or(client.len());
                let (name, attributes) = client.split_at(end);
                self.client(name);
                for (field, mark) in
                    [(Field::SaslUsername, b", sasl_username=".as_slice()), (Field::OrigQueueId, b", orig_queue_id=")]
                {
                    if let Some((_, value)) = text::split_once(attributes, mark) {
                        let end = find(value, b", ").unwrap_or(value.len());
                        self.text(field, value[..end].to_vec());
                    }
                }
                "client"
            }
            Event::MessageId { queue_id, message_id } => {
                self.text(Field::QueueId, queue_id);
                self.text(Field::MessageId, message_id);
                "message_id"
            }
            Event::QueueActive { queue_id, from, size, nrcpt } => {
                self.text(Field::QueueId, queue_id);
                self.text(Field::Sender, from);
                self.integer(Field::Size, i64::try_from(size).unwrap_or(i64::MAX));
                self.integer(Field::Recipients, nrcpt.into());
                "active"
            }
            Event::Delivery(delivery) => {
                self.delivery(*delivery);
                "delivery"
            }
            Event::Removed { queue_id } => {
                self.text(Field::QueueId, queue_id);
                "removed"
            }
            Event::Expired { queue_id, from } => {
                self.text(Field::QueueId, queue_id);
                self.text(Field::Sender, from);
                "expired"
            }
            Event::Notification { queue_id, kind, notice_id } => {
                self.text(Field::QueueId, queue_id);
                self.text(Field::Notice, kind.as_bytes().to_vec());
                self.text(Field::NoticeId, notice_id);
                "notification"
            }
            Event::Connect { client } => {
                self.client(&client);
                "connect"
            }
            Event::Disconnect { client, counts } => {
                self.client(&client);
                self.text(Field::Counts, counts);
                "disconnect"
            }
            Event::LostConnection { after, client } => self.session(after, &client, "lost_connection"),
            Event::Timeout { after, client } => self.session(after, &client, "timeout"),
            Event::TooManyErrors { after, client } => self.session(after, &client, "too_many_errors"),
            Event::Unreachable { peer, why } => {
                self.text(Field::Relay, peer);
                self.text(Field::Reason, why);
                "unreachable"
            }
            Event::Verdict { queue_id, action, text } => {
                self.text(Field::QueueId, queue_id);
                self.text(Field::Action, action);
                self.verdict(&text);
                "verdict"
            }
            Event::Warning(text) => self.complaint(text, "warning"),
            Event::Error(text) => self.complaint(text, "error"),
            Event::Fatal(text) => self.complaint(text, "fatal"),
            Event::Panic(text) => self.complaint(text, "panic"),
            Event::Other(text) => self.other(content, text),
        }
    }

    fn session(&mut self, after: Cow<'a, [u8]>, client: &[u8], name: &'static str) -> &'static str {
        self.text(Field::Command, after);
        self.client(client);
        name
    }

    /// "NAME[ADDRESS]: SASL LOGIN authentication failed: ..." is about a client.
    fn complaint(&mut self, text: Cow<'a, [u8]>, name: &'static str) -> &'static str {
        if let Some(end) = find(&text, b"]: ").map(|at| at + 1)
            && !text[..end].contains(&b' ')
        {
            self.client(&text[..end]);
        }
        self.text(Field::Text, text);
        name
    }

    fn delivery(&mut self, delivery: Delivery<'a>) {
        let Delivery { queue_id, to, orig_to, relay, conn_use, tls, delay, delays, dsn, status, reason } = delivery;
        self.text(Field::QueueId, queue_id);
        self.text(Field::Recipient, to);
        for (field, value) in [(Field::OrigRecipient, orig_to), (Field::Tls, tls)] {
            if let Some(value) = value {
                self.text(field, value);
            }
        }
        if let Some(uses) = conn_use {
            self.integer(Field::Uses, uses.into());
        }
        self.text(Field::Relay, relay);
        self.seconds(Field::Delay, delay);
        let parts = [Field::DelayBefore, Field::DelayQueue, Field::DelayConnect, Field::DelayTransmit];
        parts.into_iter().zip(delays).for_each(|(field, delay)| self.seconds(field, delay));
        self.text(Field::Dsn, dsn);
        self.text(Field::Status, status);
        self.text(Field::Reason, reason);
    }

    /// "RCPT from NAME[ADDRESS]: 554 5.7.1 <x@y>: Relay access denied; from=<a@b> to=<x@y> proto=ESMTP helo=<c>", or
    /// cleanup's "header Subject: ... from NAME[ADDRESS]; from=<a@b> to=<x@y> proto=ESMTP helo=<c>: reason".
    fn verdict(&mut self, text: &[u8]) {
        let own = |bytes: &[u8]| Cow::Owned(bytes.to_vec());
        let (said, envelope) = match memmem::rfind(text, b"; from=<") {
            Some(at) => text.split_at(at),
            None => (text, &b""[..]),
        };
        for (field, name) in
            [(Field::Sender, b"from=<".as_slice()), (Field::Recipient, b"to=<"), (Field::Helo, b"helo=<")]
        {
            if let Some(value) = bracketed(envelope, name) {
                self.text(field, own(value));
            }
        }
        match reject::kind_and_client(text).zip(reject::read_text(text, &STYLE)) {
            Some(((command, client, rest), reject)) => {
                self.text(Field::Command, own(command));
                self.client(client);
                self.text(Field::Reason, reject.reason.into_owned());
                let rest = &rest[..find(rest, b"; from=<").unwrap_or(rest.len())];
                let reply = digits(rest);
                if reply == 3 && rest.get(3) == Some(&b' ') {
                    self.integer(
                        Field::Reply,
                        rest[..3].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')),
                    );
                }
                let code = rest.get(if reply == 3 { 4 } else { 0 }..).unwrap_or_default();
                let code = &code[..memchr(b' ', code).unwrap_or(code.len())];
                if is_enhanced(code) {
                    self.text(Field::Dsn, own(code));
                }
                self.text(Field::Text, own(rest));
            }
            None => {
                let command = &said[..memchr(b' ', said).unwrap_or(said.len())];
                self.text(Field::Command, own(command));
                let about = said.get(command.len() + 1..).unwrap_or_default();
                if let Some(client) = text::after_last(about, b" from ") {
                    self.client(client);
                }
                self.text(Field::Text, own(&about[..end_of_content(&[about, envelope].concat()).min(about.len())]));
                let reason = memmem::rfind(envelope, b">: ").map(|at| &envelope[at + 3..]);
                self.text(Field::Reason, own(reason.unwrap_or(command)));
            }
        }
    }

    /// What [`Event`] would not write like this, and is counted all the same.
    fn other(&mut self, content: &'a [u8], text: Cow<'a, [u8]>) -> &'static str {
        match older(content) {
            Some((id, Older::Canceled)) => {
                self.text(Field::QueueId, id);
                "canceled"
            }
            Some((id, Older::Sender { address, size })) => {
                self.text(Field::QueueId, id);
                self.text(Field::Sender, address);
                self.integer(Field::Size, i64::try_from(size).unwrap_or(i64::MAX));
                "active"
            }
            Some((id, Older::Delivery(found))) => {
                self.text(Field::QueueId, id);
                self.text(Field::Recipient, found.to);
                for (field, value) in
                    [(Field::OrigRecipient, found.original_to), (Field::Tls, found.tls), (Field::Dsn, found.dsn)]
                {
                    if let Some(value) = value {
                        self.text(field, value);
                    }
                }
                self.text(Field::Relay, found.relay);
                self.put(Field::Delay, Value::Decimal(crate::applet::pflogsumm::fields::decimal(found.delay)));
                self.text(Field::Status, found.status);
                self.text(Field::Reason, found.reason());
                "delivery"
            }
            None => {
                self.text(Field::Text, text);
                "other"
            }
        }
    }
}

/// The value of the first "NAME=<...>".
fn bracketed<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (_, rest) = text::split_once(text, name)?;
    Some(&rest[..memchr(b'>', rest)?])
}

/// "5.7.1"
fn is_enhanced(code: &[u8]) -> bool {
    let mut parts = code.split(|&byte| byte == b'.');
    let mut number = || parts.next().is_some_and(|part| (1..=3).contains(&part.len()) && digits(part) == part.len());
    number() && number() && number() && code.iter().filter(|&&byte| byte == b'.').count() == 2
}

/// "2026-11-24T12:00:00" of seconds of the wall clock since 1970.
pub fn time_name(at: i64) -> String {
    let hour = hour_name(at.div_euclid(3600));
    let second = at.rem_euclid(3600);
    format!("{}:{:02}:{:02}", hour.get(..hour.len().saturating_sub(3)).unwrap_or(&hour), second / 60, second % 60)
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for column in COLUMNS {
            match self.get(column.field) {
                Some(Value::Integer(at)) if column.field == Field::Time => {
                    map.serialize_entry(column.name, &time_name(*at))?;
                }
                Some(Value::Integer(value)) => map.serialize_entry(column.name, value)?,
                Some(Value::Decimal(value)) => map.serialize_entry(column.name, value)?,
                Some(Value::Text(text)) => map.serialize_entry(column.name, &String::from_utf8_lossy(text))?,
                None => {}
            }
        }
        map.end()
    }
}
