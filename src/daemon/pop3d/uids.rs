//! The UIDs of an mbox that does not hold them itself. Other programs' X-IMAPbase and X-UID lines win; what they do not
//! say is remembered in a file of the user's, so that reading never rewrites a mailbox. The file:
//!
//! ```text
//! pillarbox uids 1
//! VALIDITY LAST
//! IDENTITY(hex) UID SIZE      one line a message, in the mailbox's order
//! ```
//!
//! A file that cannot be read as this is none. It also keeps the transmitted size of each message, so that a mailbox
//! that was seen before is not read through again.

use crate::mailbox::marks::UidBase;
use crate::sys::files::write_atomically;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;

/// Largest file that is read.
const LARGEST: u64 = 64 << 20;

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub identity: u64,
    pub uid: u32,
    /// Bytes with CRLF line ends; None when it was not counted yet.
    pub size: Option<u64>,
}

/// The UIDs of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uids {
    pub validity: u32,
    pub last: u32,
    pub messages: Vec<Known>,
}

impl Uids {
    /// Reads the file; the empty set when there is none that is whole.
    pub fn read(file: &Path) -> Uids {
        let small = std::fs::metadata(file).is_ok_and(|data| data.len() <= LARGEST);
        let text = small.then(|| std::fs::read_to_string(file).ok()).flatten().unwrap_or_default();
        Uids::parse(&text).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Uids> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        (lines.next()? == "pillarbox uids 1").then_some(())?;
        let (validity, last) = lines.next()?.split_once(' ')?;
        let mut uids = Uids { validity: validity.parse().ok()?, last: last.parse().ok()?, messages: Vec::new() };
        for line in lines {
            let mut words = line.split(' ');
            let identity = u64::from_str_radix(words.next()?, 16).ok()?;
            let (uid, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok());
            uids.messages.push(Known { identity, uid, size });
        }
        Some(uids)
    }

    pub fn write(&self, file: &Path) -> io::Result<()> {
        use std::fmt::Write;
        let mut text = format!("pillarbox uids 1\n{} {}\n", self.validity, self.last);
        for Known { identity, uid, size } in &self.messages {
            let _ = match size {
                Some(size) => writeln!(text, "{identity:016x} {uid} {size}"),
                None => writeln!(text, "{identity:016x} {uid} -"),
            };
        }
        write_atomically(file, text.as_bytes(), 0o600)
    }

    /// The UIDs of the messages that are there now: those that the mailbox holds, those that were remembered, new ones
    /// for the rest. They ascend through the mailbox, as every client expects.
    /// Each message is given as its identity and the UID that the mailbox holds for it, 0 for none.
    pub fn assign(&self, messages: &[(u64, u32)], base: Option<UidBase>, now: u32) -> Uids {
        let same = base.is_none_or(|base| base.validity == self.validity) && self.validity != 0;
        let validity = base.map_or(if same { self.validity } else { now.max(1) }, |base| base.validity);
        let mut last = base.map_or(0, |base| base.last).max(if same { self.last } else { 0 });
        let mut remembered: HashMap<u64, VecDeque<Known>> = HashMap::new();
        for known in &self.messages {
            remembered.entry(known.identity).or_default().push_back(*known);
        }
        let mut assigned = Vec::with_capacity(messages.len());
        let mut previous = 0;
        for &(identity, held) in messages {
            let known = remembered.get_mut(&identity).and_then(VecDeque::pop_front);
            let own = (base.is_some() && held != 0).then_some(held);
            let uid = own.or_else(|| known.filter(|_| same).map(|known| known.uid)).filter(|&uid| uid > previous);
            let uid = uid.unwrap_or_else(|| last.max(previous).saturating_add(1));
            last = last.max(uid);
            previous = uid;
            assigned.push(Known { identity, uid, size: known.and_then(|known| known.size) });
        }
        Uids { validity, last, messages: assigned }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(identity: u64, uid: u32) -> (u64, u32) {
        (identity, uid)
    }

    fn uids(of: &Uids) -> Vec<u32> {
        of.messages.iter().map(|known| known.uid).collect()
    }

    #[test]
    fn remembered_uids_come_back_and_new_ones_follow() {
        let first = Uids::default().assign(&[message(10, 0), message(11, 0), message(10, 0)], None, 1000);
        assert_eq!((first.validity, uids(&first)), (1000, vec![1, 2, 3]));
        let later = first.assign(&[message(11, 0), message(10, 0), message(12, 0)], None, 2000);
        // The first of the two equal ones is taken for the one that is left; its UID would not ascend.
        assert_eq!((later.validity, later.last), (1000, 5));
        assert_eq!(uids(&later)[0], 2);
        assert!(uids(&later).is_sorted());
    }

    #[test]
    fn the_mailbox_is_right() {
        let ours = Uids { validity: 7, last: 9, messages: vec![Known { identity: 1, uid: 9, size: Some(3) }] };
        let base = Some(UidBase { validity: 50, last: 4 });
        let theirs = ours.assign(&[message(1, 3), message(2, 4), message(3, 0)], base, 1);
        assert_eq!((theirs.validity, theirs.last, uids(&theirs)), (50, 5, vec![3, 4, 5]));
        assert_eq!(theirs.messages[0].size, Some(3));
    }

    #[test]
    fn the_file_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("uids");
        let some = Uids {
            validity: 7,
            last: 9,
            messages: vec![
                Known { identity: u64::MAX, uid: 1, size: None },
                Known { identity: 0, uid: 9, size: Some(12) },
            ],
        };
        some.write(&file).unwrap();
        assert_eq!(Uids::read(&file), some);
        for damaged in ["", "x", "pillarbox uids 1\n1 2", "pillarbox uids 1\n1 2\nzz 1 1\n"] {
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(Uids::read(&file), Uids::default());
        }
    }
}
