//! What an mbox keeps about a message in the message's own header, as every program since UCB mail does: `Status`
//! (R read, O old: was there when a reader closed the mailbox), `X-Status` (A answered, F flagged, D deleted, T draft),
//! `X-UID`, and in the first message `X-IMAPbase: VALIDITY LAST-UID`. Only these lines are ever taken out or put in.

use std::ops::{BitOr, BitOrAssign};

/// A set of the marks that `Status` and `X-Status` hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const READ: Flags = Flags(1);
    pub const OLD: Flags = Flags(2);
    pub const ANSWERED: Flags = Flags(4);
    pub const FLAGGED: Flags = Flags(8);
    pub const DELETED: Flags = Flags(16);
    pub const DRAFT: Flags = Flags(32);

    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The value of a Status or X-Status line added to what is known.
    pub(super) fn read_letters(&mut self, value: &[u8]) {
        for letter in value {
            *self |= match letter {
                b'R' | b'r' => Flags::READ,
                b'O' | b'o' => Flags::OLD,
                b'A' => Flags::ANSWERED,
                b'F' => Flags::FLAGGED,
                b'D' => Flags::DELETED,
                b'T' => Flags::DRAFT,
                _ => Flags::NONE,
            };
        }
    }

    fn letters(self, which: &[(Flags, char)]) -> String {
        which.iter().filter(|(flag, _)| self.has(*flag)).map(|&(_, letter)| letter).collect()
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// UIDVALIDITY and the last UID given out, as X-IMAPbase holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidBase {
    pub validity: u32,
    pub last: u32,
}

/// What to note in a message; None leaves the lines as they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub flags: Option<Flags>,
    pub uid: Option<u32>,
    pub base: Option<UidBase>,
}

/// The header line's name, if it holds one of our marks.
pub(super) fn is_mark(line: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [b"status", b"x-status", b"x-uid", b"x-imapbase", b"x-imap", b"x-keywords"];
    NAMES.iter().any(|name| value_of(line, name).is_some())
}

/// The value when the line is `name: value` (name in lower case).
pub(super) fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (head, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    head.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// A header block (up to and with the blank line) with these marks in place of the ones it holds. New lines go to
/// its end, where the other programs put them too; the ends of lines are those of the block.
pub fn set(header: &[u8], marks: &Marks) -> Vec<u8> {
    let mut replaced: Vec<&[u8]> = Vec::new();
    if marks.flags.is_some() {
        replaced.extend([b"status".as_slice(), b"x-status"]);
    }
    if marks.uid.is_some() {
        replaced.push(b"x-uid");
    }
    if marks.base.is_some() {
        replaced.extend([b"x-imapbase".as_slice(), b"x-imap"]);
    }
    let crlf = header.windows(2).take_while(|pair| pair[0] != b'\n').any(|pair| pair == b"\r\n");
    let end_of_line = if crlf { "\r\n" } else { "\n" };
    let mut out = Vec::with_capacity(header.len() + 96);
    let mut blank: &[u8] = b"";
    let mut dropping = false;
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        if line == b"\n" || line == b"\r\n" {
            blank = line;
            break;
        }
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        dropping = if folded { dropping } else { replaced.iter().any(|name| value_of(line, name).is_some()) };
        if !dropping {
            out.extend_from_slice(line);
        }
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(end_of_line.as_bytes());
    }
    let mut put = |line: String| {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(end_of_line.as_bytes());
    };
    if let Some(base) = marks.base {
        put(format!("X-IMAPbase: {:10} {:010}", base.validity, base.last));
    }
    if let Some(uid) = marks.uid {
        put(format!("X-UID: {uid}"));
    }
    if let Some(flags) = marks.flags {
        let status = flags.letters(&[(Flags::OLD, 'O'), (Flags::READ, 'R')]);
        if !status.is_empty() {
            put(format!("Status: {status}"));
        }
        let more =
            flags.letters(&[(Flags::ANSWERED, 'A'), (Flags::FLAGGED, 'F'), (Flags::DELETED, 'D'), (Flags::DRAFT, 'T')]);
        if !more.is_empty() {
            put(format!("X-Status: {more}"));
        }
    }
    out.extend_from_slice(if blank.is_empty() { end_of_line.as_bytes() } else { blank });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_take_the_place_of_the_old_ones_and_nothing_else_moves() {
        let marks = Marks { flags: Some(Flags::READ | Flags::OLD | Flags::ANSWERED), ..Marks::default() };
        assert_eq!(
            set(b"Subject: a\nStatus: O\n folded\nTo: b\n\n", &marks),
            b"Subject: a\nTo: b\nStatus: OR\nX-Status: A\n\n"
        );
        assert_eq!(set(b"A: b\r\n\r\n", &Marks { uid: Some(7), ..Marks::default() }), b"A: b\r\nX-UID: 7\r\n\r\n");
        assert_eq!(set(b"", &marks), b"Status: OR\nX-Status: A\n\n");
    }
}
