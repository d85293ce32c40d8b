//! The status of a delivery: [`Code`] (RFC 3463) whose class digit is the verdict, and [`Report`], what an agent
//! says about one recipient. An unknown failure is temporary: mail is not returned before it is known to be
//! undeliverable.

use crate::exit::Exit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An enhanced status code "class.subject.detail" (RFC 3463). `class` is 2, 4 or 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    class: u8,
    subject: u16,
    detail: u16,
}

/// What becomes of the recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sent,
    Deferred,
    Bounced,
}

impl Code {
    pub const SENT: Code = Code::new(2, 0, 0);
    pub const DEFERRED: Code = Code::new(4, 3, 0);

    /// `class` outside 2, 4, 5 becomes 4: unknown means temporary.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Code {
        let class = if class == 2 || class == 5 { class } else { 4 };
        Code { class, subject, detail }
    }

    pub fn verdict(self) -> Verdict {
        match self.class {
            2 => Verdict::Sent,
            5 => Verdict::Bounced,
            _ => Verdict::Deferred,
        }
    }

    pub fn class(self) -> u8 {
        self.class
    }

    /// The same subject and detail as a temporary failure (soft_bounce).
    pub fn softened(self) -> Code {
        if self.class == 5 { Code { class: 4, ..self } } else { self }
    }

    /// The same subject and detail as a permanent failure (expired mail).
    pub fn hardened(self) -> Code {
        if self.class == 4 { Code { class: 5, ..self } } else { self }
    }

    /// The same, to be tried again.
    pub fn temporary(self) -> Code {
        Code { class: 4, ..self }
    }

    /// Reads "5.1.1" at the start of `text`; gives the code and the rest without the blanks between.
    pub fn split(text: &str) -> Option<(Code, &str)> {
        let end = text.find([' ', '\t']).unwrap_or(text.len());
        let mut parts = text[..end].split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !matches!(class, "2" | "4" | "5") {
            return None;
        }
        let number = |digits: &str| -> Option<u16> {
            (!digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse().ok())
                .flatten()
        };
        let code = Code::new(class.parse().ok()?, number(subject)?, number(detail)?);
        Some((code, text[end..].trim_start()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// What the deliverer itself said, in whose terms (RFC 3464 diagnostic-type).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Diagnostic {
    /// A host's reply.
    Smtp(String),
    /// A command's output, or what its exit status means.
    Unix(String),
}

impl Diagnostic {
    /// As in "Diagnostic-Code: smtp; ...", and the text behind it.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Diagnostic::Smtp(text) => ("smtp", text),
            Diagnostic::Unix(text) => ("x-unix", text),
        }
    }

    /// None: there is no text. A kind that is not known is the oldest.
    pub fn from_parts(kind: &str, text: String) -> Option<Diagnostic> {
        match kind {
            _ if text.is_empty() => None,
            "x-unix" => Some(Diagnostic::Unix(text)),
            _ => Some(Diagnostic::Smtp(text)),
        }
    }
}

/// What an agent says about one recipient: the code, the words for the log and for the sender, and, for a remote
/// delivery, who said so (`mta`, the name in "Remote-MTA: dns; ...") and in which words (`diagnostic`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub code: Code,
    pub reason: String,
    pub mta: Option<String>,
    pub diagnostic: Option<Diagnostic>,
}

impl Report {
    pub fn new(code: Code, reason: impl Into<String>) -> Report {
        Report { code, reason: reason.into(), mta: None, diagnostic: None }
    }

    pub fn sent(reason: impl Into<String>) -> Report {
        Report::new(Code::SENT, reason)
    }

    pub fn deferred(reason: impl Into<String>) -> Report {
        Report::new(Code::DEFERRED, reason)
    }

    pub fn verdict(&self) -> Verdict {
        self.code.verdict()
    }
}

/// The status of a command's exit, after sysexits(3) (local(8), pipe(8)). Unknown statuses in the sysexits range
/// are permanent as in the reference, which documents it; a signal is temporary.
pub fn of_command_exit(status: u8) -> (Code, &'static str) {
    match Exit(status) {
        Exit::OK => (Code::SENT, ""),
        Exit::USAGE => (Code::new(5, 3, 0), "command line usage error"),
        Exit::DATAERR => (Code::new(5, 6, 0), "data format error"),
        Exit::NOINPUT => (Code::new(5, 3, 0), "cannot open input"),
        Exit::NOUSER => (Code::new(5, 1, 1), "user unknown"),
        Exit(68) => (Code::new(5, 1, 2), "host name unknown"),
        Exit::UNAVAILABLE => (Code::new(5, 3, 0), "service unavailable"),
        Exit::SOFTWARE => (Code::new(5, 3, 0), "internal software error"),
        Exit::OSERR => (Code::new(4, 3, 0), "system resource problem"),
        Exit(72) => (Code::new(5, 3, 0), "critical OS file missing"),
        Exit::CANTCREAT => (Code::new(5, 2, 0), "can't create user output file"),
        Exit::IOERR => (Code::new(5, 3, 0), "input/output error"),
        Exit::TEMPFAIL => (Code::new(4, 3, 0), "temporary failure"),
        Exit(76) => (Code::new(5, 5, 0), "remote error in protocol"),
        Exit::NOPERM => (Code::new(5, 7, 0), "permission denied"),
        Exit::CONFIG => (Code::new(5, 3, 5), "local configuration error"),
        _ => (Code::new(5, 3, 0), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_split_from_its_text() {
        assert_eq!(Code::split("5.1.1 no such user"), Some((Code::new(5, 1, 1), "no such user")));
        assert_eq!(Code::split("4.3.2"), Some((Code::new(4, 3, 2), "")));
        for wrong in ["550 no", "5.1 x", "3.1.1 x", "5.1.1.1 x", "5..1 x", "5.1.1111 x", ""] {
            assert_eq!(Code::split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_class_is_temporary() {
        assert_eq!(Code::new(7, 1, 1).verdict(), Verdict::Deferred);
    }
}
