//! What a filter asks to have changed at the end of a message, and who changes it.

use super::verdict::Verdict;
use std::io;

/// One change. Headers and addresses as the filter sent them; a header's value begins with the blank that stands behind
/// the colon, if one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    AddHeader {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// Before the header that stands there; 0: before all.
    InsertHeader {
        index: usize,
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// The header of this name that is so manyth, counted from 1 without our own first one.
    ChangeHeader {
        index: usize,
        name: Vec<u8>,
        value: Vec<u8>,
    },
    DeleteHeader {
        index: usize,
        name: Vec<u8>,
    },
    ChangeFrom {
        address: String,
        parameters: String,
    },
    AddRecipient {
        address: String,
        parameters: String,
    },
    DeleteRecipient {
        address: String,
    },
    /// A new body follows.
    BodyStart,
    /// A line of it, or a piece of a long one.
    BodyLine {
        data: Vec<u8>,
        newline: bool,
    },
}

/// A message that filters look at.
pub trait Draft {
    /// Its headers without our own Received header, each with its lines joined by LF.
    fn headers(&self) -> Vec<Vec<u8>>;

    /// Its body in pieces, with CR LF at the ends of lines, until `take` is false.
    fn body(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()>;

    /// Changes it. What comes back is why that was not done, or why no more need be asked for.
    fn edit(&mut self, edit: Edit) -> Option<Verdict>;
}
