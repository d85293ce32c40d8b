//! Replies of SMTP servers (RFC 5321 section 4.2), for the client: bounded, one text line made of all lines, nothing
//! in it that could become a line of a log or of a notice.

/// Longest reply that is kept; the rest of a longer one is read and forgotten.
const KEPT: usize = 10 * 1024;

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// The text lines without their codes.
    pub lines: Vec<String>,
}

impl Reply {
    /// "550-5.1.1 No such user 550 5.1.1 here": as notices and log lines quote it.
    pub fn text(&self) -> String {
        let last = self.lines.len().saturating_sub(1);
        let line = |(at, text): (usize, &String)| format!("{}{}{text}", self.code, if at == last { ' ' } else { '-' });
        self.lines.iter().enumerate().map(line).collect::<Vec<_>>().join(" ")
    }

    /// Yes, done. "Go on" (3xx) is no answer to a command that has all it needs.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    pub fn is_permanent(&self) -> bool {
        (500..600).contains(&self.code)
    }
}

/// Collects the lines of a reply.
#[derive(Debug, Default)]
pub struct Collector {
    lines: Vec<String>,
    kept: usize,
}

/// What a line was.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    More,
    Done(Reply),
    /// No reply line at all.
    Malformed(String),
}

impl Collector {
    /// Takes a line without its line end.
    pub fn line(&mut self, line: &[u8]) -> Step {
        let text: String = String::from_utf8_lossy(line)
            .chars()
            .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
            .collect();
        let digits = text.get(..3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(code) = digits.and_then(|digits| digits.parse::<u16>().ok()).filter(|code| (100..600).contains(code))
        else {
            return Step::Malformed(text.chars().take(200).collect());
        };
        let rest = &text[3..];
        let body = rest.strip_prefix(['-', ' ']).unwrap_or(rest);
        if self.kept < KEPT {
            self.kept += body.len() + 4;
            self.lines.push(body.chars().take(1000).collect());
        }
        if rest.starts_with('-') {
            return Step::More;
        }
        self.kept = 0;
        Step::Done(Reply { code, lines: std::mem::take(&mut self.lines) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_a_reply() {
        let mut collector = Collector::default();
        assert_eq!(collector.line(b"250-mx.test"), Step::More);
        let done = collector.line(b"250 SIZE");
        assert_eq!(done, Step::Done(Reply { code: 250, lines: vec!["mx.test".into(), "SIZE".into()] }));
        let Step::Done(reply) = collector.line(b"550 5.1.1 no\x1b[31m \xff") else { panic!("a reply") };
        assert_eq!(reply.text(), "550 5.1.1 no?[31m ?");
        assert!(matches!(collector.line(b"hello"), Step::Malformed(_)));
    }

    #[test]
    fn an_endless_reply_takes_bounded_memory() {
        let mut collector = Collector::default();
        for _ in 0..100_000 {
            collector.line(b"250-more and more and more and more");
        }
        assert!(collector.kept <= 2 * KEPT && collector.lines.len() < 1000);
    }
}
