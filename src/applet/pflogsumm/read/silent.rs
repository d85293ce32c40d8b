//! Lines that say nothing which 1.1.5 counts, known by a look at their beginning: nearly half of a busy log. What this
//! passes over the long way would read to the same end, which a test holds.

use super::Reader;
use super::cleanup::part_of;
use crate::log::line::digits;
use crate::sys::scan::{position, positions};

impl Reader<'_> {
    /// Whether a line, from the program on, is surely one of those.
    #[inline]
    pub(super) fn is_silent(&self, rest: &[u8]) -> bool {
        let Some(path) = rest.strip_prefix(b"postfix/") else { return false };
        match path {
            [b's', b'm', b't', b'p', b'd', b'[', tag @ ..] => {
                !self.options.smtpd_stats
                    && content(tag)
                        .is_some_and(|said| is_chatter(said) && !positions(said, b']').any(|at| is_tag(said, at)))
            }
            [b'q', b'm', b'g', b'r', b'[', tag @ ..] => {
                !self.follows
                    && content(tag).is_some_and(|said| {
                        said.ends_with(b": removed") && begins_with_id(said) && position(said, b'<').is_none()
                    })
            }
            [b'c', b'l', b'e', b'a', b'n', b'u', b'p', b'[', tag @ ..] => content(tag).is_some_and(|said| {
                begins_with_id(said)
                    && !positions(said, b'<').any(|at| said[..at].ends_with(b"from=") || said[..at].ends_with(b"to="))
                    && !positions(said, b':').any(|at| part_of(&said[at..]).is_some())
            }),
            _ => false,
        }
    }
}

/// What follows "PID\]: ".
#[inline]
fn content(tag: &[u8]) -> Option<&[u8]> {
    let (number, [b']', b':', b' ', content @ ..]) = tag.split_at_checked(digits(tag))? else { return None };
    (!number.is_empty()).then_some(content)
}

/// No word with a meaning ("warning", "reject") begins so.
#[inline]
fn begins_with_id(content: &[u8]) -> bool {
    matches!(content.first(), Some(b'0'..=b'9' | b'A'..=b'Z'))
}

/// What smtpd says of connections.
#[inline]
fn is_chatter(content: &[u8]) -> bool {
    const CHATTER: [&[u8]; 4] = [
        b"connect from ",
        b"disconnect from ",
        b"Anonymous TLS connection established from ",
        b"lost connection after ",
    ];
    CHATTER.iter().any(|begin| content.starts_with(begin))
}

/// Whether "\[NUMBER\]: " ends at a "\]".
#[inline]
fn is_tag(content: &[u8], close: usize) -> bool {
    let (before, after) = content.split_at(close);
    let number = || before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    after.starts_with(b"]: ") && {
        let number = number();
        number > 0 && before[..before.len() - number].ends_with(b"[")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Lines, Now, Range, Reader};
    use crate::applet::pflogsumm::options::{Request, parse};
    use crate::applet::pflogsumm::tape::Tape;
    use proptest::prelude::*;

    const LINES: &[&str] = &[
        "connect from h.example[192.0.2.1]",
        "disconnect from h.example[192.0.2.1] ehlo=1 quit=1 commands=2",
        "Anonymous TLS connection established from h[192.0.2.1]: TLSv1.3 with cipher X (256/256 bits)",
        "lost connection after EHLO from unknown[192.0.2.1]",
        "1A2B3C: removed",
        "1A2B3C: message-id=<x@y.example>",
        "1A2B3C: reject: header Subject: x from h[192.0.2.1]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
        "1A2B3C: client=h.example[192.0.2.1]",
        "NOQUEUE: reject: RCPT from h[192.0.2.1]: 554 5.7.1 <x@y>: Relay access denied; from=<a@b> to=<x@y>",
        "1A2B3C: from=<a@b.example>, size=77, nrcpt=1 (queue active)",
        "1A2B3C: to=<a@b.example>, relay=local, delay=1, dsn=2.0.0, status=sent (ok)",
    ];

    proptest! {
        #[test]
        fn what_is_passed_over_says_nothing(
            service in proptest::sample::select(vec!["smtpd", "qmgr", "cleanup", "smtp", "submission/smtpd"]),
            lines in proptest::collection::vec(proptest::sample::select(LINES.to_vec()), 1..3),
            tag in proptest::sample::select(vec!["[7]: ", "[7]: [9]: ", "[]: ", ": ", "[7]: warning: "]),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let Request::Report(options, _) = parse("x", &[]) else { panic!() };
            let now = Now { year: 2026, month: 10, day: 24 };
            let reader = Reader::new(&options, now, None, Range::default(), false);
            let mut rest = format!("postfix/{service}{tag}{}", lines.join("[5]: ")).into_bytes();
            for (at, byte) in changes {
                let at = at.index(rest.len());
                rest[at] = byte;
            }
            if reader.is_silent(&rest) {
                let line = [b"Nov 24 12:00:00 mx ", rest.as_slice()].concat();
                let (mut reader, mut told, mut day) = (reader.clone(), Tape::default(), Tape::default());
                reader.line(b"Nov 24 12:00:00 mx postfix/x[1]: x", &mut day);
                reader.begin();
                // The long way.
                let (stamp, rest) = reader.split(&line).unwrap();
                reader.postfix(stamp, rest, &mut told);
                prop_assert_eq!(told.bytes(), day.bytes());
            }
        }
    }
}
