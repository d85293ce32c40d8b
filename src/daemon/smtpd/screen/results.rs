//! Which tests a client has passed, and until when that counts: what the temporary allowlist keeps of it. The text of an
//! entry is the reference's: five times in seconds, in the order of [`Test`].

use super::settings::Settings;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Pregreet,
    Lists,
    Pipelining,
    NonSmtp,
    BareNewline,
}

pub const TESTS: [Test; 5] = [Test::Pregreet, Test::Lists, Test::Pipelining, Test::NonSmtp, Test::BareNewline];

/// Those that need a client that sends commands.
const LATE: [Test; 3] = [Test::Pipelining, Test::NonSmtp, Test::BareNewline];

/// A set of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests(u8);

impl Tests {
    pub fn of(tests: &[Test]) -> Tests {
        tests.iter().fold(Tests::default(), |mut all, test| {
            all.insert(*test);
            all
        })
    }

    pub fn early() -> Tests {
        Tests::of(&[Test::Pregreet, Test::Lists])
    }

    pub fn late() -> Tests {
        Tests::of(&LATE)
    }

    pub fn has(self, test: Test) -> bool {
        self.0 & (1 << test as u8) != 0
    }

    pub fn insert(&mut self, test: Test) {
        self.0 |= 1 << test as u8;
    }

    pub fn remove(&mut self, test: Test) {
        self.0 &= !(1 << test as u8);
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn and(self, other: Tests) -> Tests {
        Tests(self.0 & other.0)
    }

    pub fn or(self, other: Tests) -> Tests {
        Tests(self.0 | other.0)
    }
}

/// Until when each test counts as passed, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times([u64; 5]);

/// The client never passed it.
const NEVER: u64 = 0;
/// It never passed it, and did not have to.
pub const OFF: u64 = 1;

impl Times {
    /// A client that nobody knows.
    pub fn unknown() -> Times {
        Times([NEVER; 5])
    }

    pub fn of(self, test: Test) -> u64 {
        self.0[test as usize]
    }

    pub fn set(&mut self, test: Test, until: u64) {
        self.0[test as usize] = until;
    }

    /// Tests of those that are on whose time is over.
    pub fn due(self, enabled: Tests, now: u64) -> Tests {
        let due: Vec<Test> = TESTS.into_iter().filter(|test| enabled.has(*test) && now > self.of(*test)).collect();
        Tests::of(&due)
    }

    /// Whether there is a test that it has never passed.
    pub fn is_new(self) -> bool {
        self.0.contains(&NEVER)
    }

    /// As it is kept: who passes what is on today is not new when another test is turned on.
    pub fn kept(mut self, enabled: Tests) -> Times {
        for test in TESTS {
            if !enabled.has(test) && self.of(test) == NEVER {
                self.set(test, OFF);
            }
        }
        self
    }

    /// "1700000000;0;1;1;1"; fields that are missing were not known when it was written.
    pub fn parse(text: &str) -> Option<Times> {
        let mut times = [OFF; 5];
        for (at, field) in text.split(';').enumerate() {
            *times.get_mut(at)? = field.parse().ok()?;
        }
        Some(Times(times))
    }

    pub fn text(self) -> String {
        self.0.map(|time| time.to_string()).join(";")
    }
}

/// Which tests the configuration asks for.
pub fn enabled(settings: &Settings) -> Tests {
    let mut tests = Tests::default();
    let asked = [
        (Test::Pregreet, settings.teaser.is_some()),
        (Test::Lists, !settings.sites.is_empty()),
        (Test::Pipelining, settings.pipelining.enabled),
        (Test::NonSmtp, settings.non_smtp.enabled),
        (Test::BareNewline, settings.bare_newline.enabled),
    ];
    asked.into_iter().filter(|(_, on)| *on).for_each(|(test, _)| tests.insert(test));
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_is_written() {
        let mut times = Times::unknown();
        assert!(times.is_new());
        times.set(Test::Lists, 1_700_000_000);
        let kept = times.kept(Tests::early());
        assert_eq!(kept.text(), "0;1700000000;1;1;1");
        assert_eq!(Times::parse(&kept.text()), Some(kept));
        assert_eq!(Times::parse("5").map(|times| times.text()), Some("5;1;1;1;1".into()));
        for wrong in ["", "x", "1;2;3;4;5;6", "1;;3", "-1"] {
            assert_eq!(Times::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_over_is_due() {
        let times = Times::parse("100;50;1;1;1").unwrap();
        assert_eq!(times.due(Tests::early(), 60), Tests::of(&[Test::Lists]));
        assert_eq!(times.due(Tests::early(), 100), Tests::of(&[Test::Lists]));
        assert_eq!(times.due(Tests::early().or(Tests::late()), 10), Tests::late());
    }
}
