//! Queue ids. Short: five upper-case hex digits of the microsecond and the inode in hex. Long
//! (enable_long_queue_ids): six base-52 digits of the second, four of the microsecond, "z", the inode in base 51.
//! The inode makes an id unique while its file exists.

use std::fmt;
use std::time::SystemTime;

/// Base 52 without vowels; the first 51 are the digits of base 51.
const DIGITS: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
/// Longer names are nobody's id.
const MAX_LENGTH: usize = 100;

/// A name that is a valid queue id: letters and digits only, so it can never leave its directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(String);

impl QueueId {
    /// The id in `text`, if it is one.
    pub fn parse(text: &str) -> Option<QueueId> {
        let valid = !text.is_empty()
            && text.len() <= MAX_LENGTH
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        valid.then(|| QueueId(text.to_owned()))
    }

    /// The id for a file with this inode, made at `now`.
    pub fn generate(now: SystemTime, inode: u64, long: bool) -> QueueId {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        QueueId(if long {
            format!("{}{}z{}", base52(since.as_secs(), 6), base52(since.subsec_micros().into(), 4), base51(inode))
        } else {
            format!("{:05X}{:X}", since.subsec_micros(), inode)
        })
    }

    /// Whether the inode in it is this one.
    pub fn is_of_inode(&self, inode: u64) -> bool {
        self.with_inode(inode) == *self
    }

    /// The same moment, another inode.
    pub fn with_inode(&self, inode: u64) -> QueueId {
        if self.long_microseconds().is_some() {
            // The first eleven characters of a long id: all of them are ASCII.
            return QueueId(format!("{}{}", &self.0[..11], base51(inode)));
        }
        QueueId(format!("{}{inode:X}", self.0.get(..5).unwrap_or(&self.0)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `depth` subdirectory names of hash_queue_depth: the leading characters of a short id, the hex digits of
    /// the microsecond of a long one.
    pub fn subdirectories(&self, depth: usize) -> Vec<String> {
        let digits = match self.long_microseconds() {
            Some(microseconds) => format!("{microseconds:05X}"),
            None => self.0.clone(),
        };
        let mut characters = digits.chars();
        (0..depth).map(|_| characters.next().unwrap_or('_').to_string()).collect()
    }

    /// The microsecond in a long id; None for a short one.
    fn long_microseconds(&self) -> Option<u64> {
        let bytes = self.0.as_bytes();
        if bytes.len() <= 11 || bytes[10] != b'z' {
            return None;
        }
        bytes[6..10].iter().try_fold(0u64, |sum, digit| Some(sum * 52 + DIGITS.iter().position(|d| d == digit)? as u64))
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn base52(value: u64, width: usize) -> String {
    in_base(value, 52, width)
}

fn base51(value: u64) -> String {
    in_base(value, 51, 1)
}

fn in_base(mut value: u64, base: u64, width: usize) -> String {
    let mut digits = Vec::new();
    while value > 0 || digits.len() < width {
        // The remainder is below 52, the table's length.
        digits.push(char::from(DIGITS[(value % base) as usize]));
        value /= base;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn short_and_long_ids() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_525_171_000_000 + 0x9525F);
        let short = QueueId::generate(now, 0xCC05F, false);
        assert_eq!(short.as_str(), "9525FCC05F");
        assert_eq!(short.subdirectories(2), ["9", "5"]);
        let long = QueueId::generate(now, 0xCC05F, true);
        assert_eq!(long.as_str().as_bytes()[10], b'z');
        assert_eq!(long.subdirectories(2), ["9", "5"]);
    }

    #[test]
    fn nothing_that_could_leave_the_directory_is_an_id() {
        for wrong in ["", ".", "..", "a/b", "a\0", "é", &"A".repeat(101)] {
            assert_eq!(QueueId::parse(wrong), None, "{wrong:?}");
        }
    }
}
