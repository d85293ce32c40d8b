//! mailutils' configuration files: `keyword value;` and `section { … }`, with `#`, `//` and C comments, quoted strings,
//! lists in parentheses and here-documents. What the keywords mean is told by whoever asks; a place in the text goes
//! with every statement, so that a complaint can name it. Source: the format's chapter of the mailutils manual, and
//! what mailutils 3.15 says about mistakes.

/// Its words and signs.
mod lexer;
/// Its statements.
mod tree;

pub use lexer::Place;
pub use tree::{Parsed, Statement, Value, parse};

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Option<Place>,
    /// In English, with "{}" for the argument.
    pub english: &'static str,
    pub argument: String,
}
