//! What one line says, in the form in which it is counted. Reading ([`read`](super::read)) turns lines into facts
//! without looking at any other line, so that any number of threads can do it; counting ([`state`](super::state)) takes
//! the facts in the order of the log and decides all that depends on what came before. A report is therefore the same
//! however the log was cut up, and the facts of a shard, written down, are all that is needed to count it elsewhere.

use super::map::Key;
use super::tape::{Decoder, Encoder, Tape};
use crate::sys::scan::position;

/// Takes facts in the order of the log.
pub trait Sink {
    fn take(&mut self, fact: Fact<'_>);

    /// A fact that is taken soon; counting is waiting for memory, and several waits can run side by side.
    fn want(&self, _: &Fact<'_>) {}

    /// The same, a little later: what [`Sink::want`] asked for has come.
    fn want_more(&self, _: &Fact<'_>) {}

    /// The facts of one piece, from a thread of this process, so that all of them can be read.
    fn tape(&mut self, tape: &Tape)
    where
        Self: Sized,
    {
        tape.play(self);
    }
}

/// Year, month from 0, day of the month.
pub type Date = (i64, i64, i64);

/// Which of the four verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Reject,
    Warn,
    Hold,
    Discard,
}

impl Verdict {
    pub fn of(word: &[u8]) -> Option<Verdict> {
        Some(match word {
            b"reject" => Verdict::Reject,
            b"reject_warning" => Verdict::Warn,
            b"hold" => Verdict::Hold,
            b"discard" => Verdict::Discard,
            _ => return None,
        })
    }

    /// The verdict in "VERDICT: ".
    #[inline]
    pub fn before_colon(text: &[u8]) -> Option<Verdict> {
        // Most of what a server says begins otherwise.
        if !matches!(text.first(), Some(b'r' | b'h' | b'd')) {
            return None;
        }
        let (word, tail) = text.split_at_checked(position(text, b':')?)?;
        Verdict::of(word).filter(|_| tail.starts_with(b": "))
    }
}

/// How bad a complaint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Warning,
    Fatal,
    Panic,
}

/// Why a delivery was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferral<'a> {
    pub service: &'a [u8],
    /// Whose fault it is (1.3.0).
    pub host: Option<&'a [u8]>,
    pub reason: &'a [u8],
}

/// The three levels of the reject sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    pub kind: &'a [u8],
    pub reason: &'a [u8],
    pub about: &'a [u8],
}

/// `id` is a queue id, `hour` the line's hour as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact<'a> {
    /// A Postfix line of another day of the month than the one before.
    Day(Date),
    /// A line of another date than the one before (1.3.0).
    Span(Date),
    /// smtpd or pickup took a message in; `client` is the sending domain.
    Arrive {
        hour: u8,
        id: Key<'a>,
        client: Option<&'a [u8]>,
        process: Option<u64>,
    },
    /// The queue manager names sender and size.
    Sender {
        id: Key<'a>,
        address: Key<'a>,
        size: u64,
    },
    Sent {
        hour: u8,
        id: Key<'a>,
        address: Key<'a>,
        delay: f64,
    },
    Forwarded,
    Deferred {
        hour: u8,
        id: Key<'a>,
        why: Option<Deferral<'a>>,
        relay: &'a [u8],
        address: &'a [u8],
        delay: f64,
    },
    Bounced {
        hour: u8,
        why: Option<(&'a [u8], &'a [u8])>,
    },
    Verdict {
        hour: u8,
        verdict: Verdict,
        why: Option<Reason<'a>>,
    },
    Complaint {
        level: Level,
        service: &'a [u8],
        text: &'a [u8],
    },
    Master(&'a [u8]),
    /// An smtpd process took a connection, at this second.
    Connect {
        process: Option<u64>,
        at: i64,
    },
    Disconnect {
        hour: u8,
        process: Option<u64>,
        at: i64,
        domain: &'a [u8],
    },
    /// No connection to a host.
    Unreachable {
        why: &'a [u8],
        host: &'a [u8],
    },
    /// From here on 1.3.0's.
    /// cleanup has seen the message, and its Message-ID, if it has one (--accurate).
    Open {
        id: Key<'a>,
        name: Option<Key<'a>>,
    },
    Removed(&'a [u8]),
    Canceled(&'a [u8]),
    /// What was counted as received was not.
    Withdraw(&'a [u8]),
    /// The message will have no sender.
    Unarrive(&'a [u8]),
    Expired(&'a [u8]),
    /// The client of an smtpd process went away.
    Gone(u64),
    /// postscreen took a connection; the key is address and port.
    Screen {
        key: &'a [u8],
        at: i64,
    },
    /// It is done with the connection. The action counts only if the connection is known.
    Screened {
        key: &'a [u8],
        address: &'a [u8],
        at: i64,
        action: Option<&'a [u8]>,
    },
    ScreenAction {
        action: &'a [u8],
        address: &'a [u8],
    },
    TlsError {
        what: &'a [u8],
        host: &'a [u8],
    },
    TlsLevel {
        host: &'a [u8],
        level: &'a [u8],
    },
    /// Lines of another hour than before; hours of the wall clock since 1970 (--accurate).
    Hour(i64),
    /// A line that is looked for (--trace).
    Line(&'a [u8]),
    /// A content filter gives a message back, which is no new one (--accurate).
    Returned(&'a [u8]),
    /// Sent to a server on this machine that queued it as another: if that is one of ours, it was a filter
    /// (--accurate).
    Passed {
        hour: u8,
        id: Key<'a>,
        next: &'a [u8],
        address: Key<'a>,
        delay: f64,
    },
    /// Given to a program by pipe(8), which may give it back (--accurate).
    Piped {
        hour: u8,
        id: Key<'a>,
        address: Key<'a>,
        delay: f64,
    },
}

impl<'a> Fact<'a> {
    /// Appends the fact as bytes; [`Fact::read`] is the inverse.
    #[inline]
    pub fn write(&self, to: &mut Encoder) {
        match *self {
            Fact::Day(date) => to.tag(1).date(date),
            Fact::Span(date) => to.tag(2).date(date),
            Fact::Arrive { hour, id, client, process } => {
                to.tag(3).byte(hour).key(id).maybe(client).maybe_number(process)
            }
            Fact::Sender { id, address, size } => to.tag(4).key(id).key(address).number(size),
            Fact::Sent { hour, id, address, delay } => to.tag(5).byte(hour).key(id).key(address).decimal(delay),
            Fact::Forwarded => to.tag(6),
            Fact::Deferred { hour, id, why, relay, address, delay } => {
                to.tag(7).byte(hour).key(id).text(relay).text(address).decimal(delay);
                match why {
                    None => to.byte(0),
                    Some(Deferral { service, host, reason }) => to.byte(1).text(service).maybe(host).text(reason),
                }
            }
            Fact::Bounced { hour, why } => {
                to.tag(8).byte(hour);
                match why {
                    None => to.byte(0),
                    Some((relay, reason)) => to.byte(1).text(relay).text(reason),
                }
            }
            Fact::Verdict { hour, verdict, why } => {
                to.tag(9).byte(hour).byte(verdict as u8);
                match why {
                    None => to.byte(0),
                    Some(Reason { kind, reason, about }) => to.byte(1).text(kind).text(reason).text(about),
                }
            }
            Fact::Complaint { level, service, text } => to.tag(10).byte(level as u8).text(service).text(text),
            Fact::Master(text) => to.tag(11).text(text),
            Fact::Connect { process, at } => to.tag(12).maybe_number(process).signed(at),
            Fact::Disconnect { hour, process, at, domain } => {
                to.tag(13).byte(hour).maybe_number(process).signed(at).text(domain)
            }
            Fact::Unreachable { why, host } => to.tag(14).text(why).text(host),
            Fact::Open { id, name: None } => to.tag(15).key(id).byte(0),
            Fact::Open { id, name: Some(name) } => to.tag(15).key(id).byte(1).key(name),
            Fact::Removed(id) => to.tag(16).text(id),
            Fact::Canceled(id) => to.tag(17).text(id),
            Fact::Withdraw(id) => to.tag(18).text(id),
            Fact::Unarrive(id) => to.tag(19).text(id),
            Fact::Expired(id) => to.tag(20).text(id),
            Fact::Gone(process) => to.tag(21).number(process),
            Fact::Screen { key, at } => to.tag(22).text(key).signed(at),
            Fact::Screened { key, address, at, action } => to.tag(23).text(key).text(address).signed(at).maybe(action),
            Fact::ScreenAction { action, address } => to.tag(24).text(action).text(address),
            Fact::TlsError { what, host } => to.tag(25).text(what).text(host),
            Fact::TlsLevel { host, level } => to.tag(26).text(host).text(level),
            Fact::Hour(hour) => to.tag(27).signed(hour),
            Fact::Line(line) => to.tag(28).text(line),
            Fact::Returned(id) => to.tag(29).text(id),
            Fact::Passed { hour, id, next, address, delay } => {
                to.tag(30).byte(hour).key(id).text(next).key(address).decimal(delay)
            }
            Fact::Piped { hour, id, address, delay } => to.tag(31).byte(hour).key(id).key(address).decimal(delay),
        };
    }

    /// The next fact; None when the bytes are not what [`Fact::write`] writes.
    pub fn read(from: &mut Decoder<'a>) -> Option<Fact<'a>> {
        Some(match from.byte()? {
            1 => Fact::Day(from.date()?),
            2 => Fact::Span(from.date()?),
            3 => Fact::Arrive {
                hour: from.hour()?,
                id: from.key()?,
                client: from.maybe()?,
                process: from.maybe_number()?,
            },
            4 => Fact::Sender { id: from.key()?, address: from.key()?, size: from.number()? },
            5 => Fact::Sent { hour: from.hour()?, id: from.key()?, address: from.key()?, delay: from.decimal()? },
            6 => Fact::Forwarded,
            7 => {
                let (hour, id, relay, address) = (from.hour()?, from.key()?, from.text()?, from.text()?);
                let delay = from.decimal()?;
                let why = match from.byte()? {
                    0 => None,
                    _ => Some(Deferral { service: from.text()?, host: from.maybe()?, reason: from.text()? }),
                };
                Fact::Deferred { hour, id, why, relay, address, delay }
            }
            8 => {
                let hour = from.hour()?;
                let why = match from.byte()? {
                    0 => None,
                    _ => Some((from.text()?, from.text()?)),
                };
                Fact::Bounced { hour, why }
            }
            9 => {
                let hour = from.hour()?;
                let verdict = match from.byte()? {
                    0 => Verdict::Reject,
                    1 => Verdict::Warn,
                    2 => Verdict::Hold,
                    3 => Verdict::Discard,
                    _ => return None,
                };
                let why = match from.byte()? {
                    0 => None,
                    _ => Some(Reason { kind: from.text()?, reason: from.text()?, about: from.text()? }),
                };
                Fact::Verdict { hour, verdict, why }
            }
            10 => {
                let level = match from.byte()? {
                    0 => Level::Warning,
                    1 => Level::Fatal,
                    2 => Level::Panic,
                    _ => return None,
                };
                Fact::Complaint { level, service: from.text()?, text: from.text()? }
            }
            11 => Fact::Master(from.text()?),
            12 => Fact::Connect { process: from.maybe_number()?, at: from.signed()? },
            13 => Fact::Disconnect {
                hour: from.hour()?,
                process: from.maybe_number()?,
                at: from.signed()?,
                domain: from.text()?,
            },
            14 => Fact::Unreachable { why: from.text()?, host: from.text()? },
            15 => {
                let id = from.key()?;
                let name = match from.byte()? {
                    0 => None,
                    _ => Some(from.key()?),
                };
                Fact::Open { id, name }
            }
            16 => Fact::Removed(from.text()?),
            17 => Fact::Canceled(from.text()?),
            18 => Fact::Withdraw(from.text()?),
            19 => Fact::Unarrive(from.text()?),
            20 => Fact::Expired(from.text()?),
            21 => Fact::Gone(from.number()?),
            22 => Fact::Screen { key: from.text()?, at: from.signed()? },
            23 => {
                Fact::Screened { key: from.text()?, address: from.text()?, at: from.signed()?, action: from.maybe()? }
            }
            24 => Fact::ScreenAction { action: from.text()?, address: from.text()? },
            25 => Fact::TlsError { what: from.text()?, host: from.text()? },
            26 => Fact::TlsLevel { host: from.text()?, level: from.text()? },
            27 => Fact::Hour(from.signed()?),
            28 => Fact::Line(from.text()?),
            29 => Fact::Returned(from.text()?),
            30 => Fact::Passed {
                hour: from.hour()?,
                id: from.key()?,
                next: from.text()?,
                address: from.key()?,
                delay: from.decimal()?,
            },
            31 => Fact::Piped { hour: from.hour()?, id: from.key()?, address: from.key()?, delay: from.decimal()? },
            _ => return None,
        })
    }
}
