//! One finding: which lint, how bad, where, why it matters, what to write instead.

use std::ops::Range;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It works, and is probably not what is meant.
    Warning,
    /// Mail is refused, lost from sight, or open to strangers.
    Error,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// Bytes of the file's text.
    pub range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub lint: &'static str,
    pub level: Level,
    pub message: String,
    pub span: Option<Span>,
    pub why: String,
    pub help: String,
}

/// What the lints found so far; `lint` is the one at work.
#[derive(Debug, Default)]
pub struct Findings {
    pub lint: &'static str,
    pub list: Vec<Finding>,
}

impl Findings {
    pub fn warning(&mut self, span: Option<Span>, message: impl Into<String>, why: &str, help: impl Into<String>) {
        self.add(Level::Warning, span, message.into(), why, help.into());
    }

    pub fn error(&mut self, span: Option<Span>, message: impl Into<String>, why: &str, help: impl Into<String>) {
        self.add(Level::Error, span, message.into(), why, help.into());
    }

    fn add(&mut self, level: Level, span: Option<Span>, message: String, why: &str, help: String) {
        self.list.push(Finding { lint: self.lint, level, message, span, why: why.to_owned(), help });
    }
}
