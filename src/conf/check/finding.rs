//! One finding: how bad, what, and where.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Warning,
    /// The mail system cannot start.
    Fatal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// The whole sentence; it names the file and the line.
    pub text: String,
    pub file: Option<PathBuf>,
    pub line: Option<usize>,
}

impl Finding {
    pub fn warning(text: impl fmt::Display) -> Finding {
        Finding { severity: Severity::Warning, text: text.to_string(), file: None, line: None }
    }

    pub fn fatal(text: impl fmt::Display) -> Finding {
        Finding { severity: Severity::Fatal, text: text.to_string(), file: None, line: None }
    }

    pub fn at(mut self, file: &Path, line: Option<usize>) -> Finding {
        self.file = Some(file.to_owned());
        self.line = line;
        self
    }

    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Fatal => "fatal",
        };
        write!(f, "{word}: {}", self.text)
    }
}
