//! pcre:FILE (pcre_table(5)): Perl's expressions by the PCRE2 library.

use super::open::{Opened, Options, TableError};
use super::pattern::{self, Engine, Groups, Letter};
use crate::sys::pcre::{Flag, Pcre};

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    pattern::open::<Pcre>(kind, name, options)
}

impl Engine for Pcre {
    /// Bits of [`Flag`].
    type Flags = u32;
    const KIND: &'static str = "pcre";
    const FLAGS: u32 = Flag::CASELESS | Flag::DOTALL;
    const SECOND_PATTERN: bool = false;
    const UNCLOSED: &'static str = "ignoring";
    const ZERO_INDEX: &'static str = "out of range";

    fn toggle(flags: &mut u32, letter: u8) -> Letter {
        *flags ^= match letter {
            b'i' => Flag::CASELESS,
            b'm' => Flag::MULTILINE,
            b's' => Flag::DOTALL,
            b'x' => Flag::EXTENDED,
            b'A' => Flag::ANCHORED,
            b'E' => Flag::DOLLAR_ENDONLY,
            b'U' => Flag::UNGREEDY,
            // PCRE2 has no such option.
            b'X' => return Letter::Obsolete,
            _ => return Letter::Unknown,
        };
        Letter::Known
    }

    fn compile(pattern: &[u8], flags: u32, _groups: bool) -> Result<Pcre, String> {
        Pcre::new(pattern, flags).map_err(|error| format!("error in regex at offset {}: {}", error.offset, error.text))
    }

    fn groups(&self) -> usize {
        Pcre::groups(self)
    }

    fn matches(&self, text: &[u8]) -> Result<Option<Groups>, String> {
        Pcre::matches(self, text).map_err(|error| format!("matching error {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::open::open as open_table;

    /// Recorded from Postfix 3.7.11.
    #[test]
    fn as_the_reference_answers() {
        for (rules, key, value) in [
            (
                "{ { /^(\\w+)@(?=example)(.*)$/ user=$1 dom=${2} } }",
                "joe@example.com",
                Some("user=joe dom=example.com"),
            ),
            ("{ { !/x/ neg } }", "abc", Some("neg")),
            ("{ { !/x/ neg } }", "axc", None),
            ("{ { /open(door)?/ open[$1] } }", "open", Some("open[]")),
            ("{ { /g(.+)x/U ung[$1] } }", "gaxbx", Some("ung[a]")),
            ("{ { /anch/A anch } }", "x anch", None),
            ("{ { /^BAZ/i baz } }", "baz", None),
            ("{ { if /a/ }, { /b/ both $$ }, { endif } }", "AB", Some("both $")),
        ] {
            let table = open_table(&format!("pcre:{rules}"), &Options::default()).unwrap();
            let found = table.lookup(key.as_bytes()).unwrap();
            assert_eq!(found.as_deref(), value.map(str::as_bytes), "{rules} {key}");
        }
    }

    #[test]
    fn an_expression_that_would_take_for_ever_is_given_up() {
        let table = open_table("pcre:{ { /^(a+)+$/ never } }", &Options::default()).unwrap();
        let key = [vec![b'a'; 64], b"b".to_vec()].concat();
        assert_eq!(table.lookup(&key).unwrap(), None);
    }
}
