//! regexp:FILE (regexp_table(5)): POSIX expressions by the C library. A rule may have a second, negated pattern.

use super::open::{Opened, Options, TableError};
use super::pattern::{self, Engine, Groups, Letter};
use crate::sys::regex::{Flags, MAX_GROUPS, Regex};

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    pattern::open::<Regex>(kind, name, options)
}

impl Engine for Regex {
    type Flags = Flags;
    const KIND: &'static str = "regexp";
    const FLAGS: Flags = Flags { extended: true, ignore_case: true, newline: false, no_groups: false };
    const SECOND_PATTERN: bool = true;
    const UNCLOSED: &'static str = "skipping";
    const ZERO_INDEX: &'static str = "out-of-range";

    fn toggle(flags: &mut Flags, letter: u8) -> Letter {
        let flag = match letter {
            b'i' => &mut flags.ignore_case,
            b'm' => &mut flags.newline,
            b'x' => &mut flags.extended,
            _ => return Letter::Unknown,
        };
        *flag = !*flag;
        Letter::Known
    }

    fn compile(pattern: &[u8], flags: Flags, groups: bool) -> Result<Regex, String> {
        Regex::new(pattern, Flags { no_groups: !groups, ..flags })
    }

    fn groups(&self) -> usize {
        Regex::groups(self).min(MAX_GROUPS - 1)
    }

    fn matches(&self, text: &[u8]) -> Result<Option<Groups>, String> {
        Ok(Regex::matches(self, text))
    }
}
