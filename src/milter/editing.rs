//! Edits, from a filter's packets to a draft.

use super::edit::{Draft, Edit};
use super::packet::{Fields, PacketError};
use super::protocol::reply;
use super::verdict::Verdict;

/// Longest piece of a body's line that is collected before it is handed on.
const PIECE: usize = 8192;

/// The edits of one filter to one message.
#[derive(Default)]
pub struct Editing {
    /// Why no more edits are made.
    stopped: Option<Verdict>,
    body_begun: bool,
    pub body_ended: bool,
    /// The line of new body whose end is still to come.
    line: Vec<u8>,
    /// Pieces of it were handed on.
    within_line: bool,
}

impl Editing {
    pub fn apply(&mut self, edit: Edit, draft: &mut dyn Draft) {
        if self.stopped.is_none() {
            self.stopped = draft.edit(edit);
        }
    }

    /// A piece of new body, with CR LF at the ends of its lines.
    pub fn body(&mut self, data: &[u8], draft: &mut dyn Draft) {
        if !std::mem::replace(&mut self.body_begun, true) {
            self.apply(Edit::BodyStart, draft);
        }
        for part in data.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                self.line.pop_if(|last| *last == b'\r');
                self.hand_on(true, draft);
            } else if self.line.len() > PIECE {
                // Its last byte may be half of a line end.
                let last = self.line.pop();
                self.hand_on(false, draft);
                self.line.extend(last);
            }
        }
    }

    fn hand_on(&mut self, newline: bool, draft: &mut dyn Draft) {
        let data = std::mem::take(&mut self.line);
        self.within_line = !newline;
        self.apply(Edit::BodyLine { data, newline }, draft);
    }

    /// Whatever is no body comes after it.
    pub fn end_body(&mut self, draft: &mut dyn Draft) {
        if self.body_begun
            && !std::mem::replace(&mut self.body_ended, true)
            && (self.within_line || !self.line.is_empty())
        {
            self.hand_on(true, draft);
        }
    }

    /// What becomes of the message, by the filter's word and by what happened to its edits.
    pub fn ending(self, verdict: Option<Verdict>) -> Option<Verdict> {
        let stands = match &verdict {
            Some(Verdict::Discard | Verdict::Shutdown) => true,
            Some(Verdict::Reply(text)) => text.starts_with('4'),
            _ => false,
        };
        if stands { verdict } else { self.stopped.or(verdict) }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum EditError {
    Packet(PacketError),
    NoName,
}

impl From<PacketError> for EditError {
    fn from(error: PacketError) -> EditError {
        EditError::Packet(error)
    }
}

/// The edit of a packet; None: it is none. `leading` stands between a header's colon and its value.
pub fn edit(code: u8, data: &[u8], leading: &[u8], filter: &str) -> Result<Option<Edit>, EditError> {
    let mut fields = Fields::new(data, filter);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let made = match code {
        reply::ADD_HEADER => {
            let (name, value) = (fields.string()?.to_vec(), [leading, fields.string()?].concat());
            Edit::AddHeader { name, value }
        }
        reply::INSERT_HEADER => {
            let index = index(fields.number()?);
            let (name, value) = (fields.string()?.to_vec(), [leading, fields.string()?].concat());
            Edit::InsertHeader { index, name, value }
        }
        reply::CHANGE_HEADER => {
            // As sendmail: 0 is the first one, too.
            let index = index(fields.number()?).max(1);
            let (name, value) = (fields.string()?.to_vec(), fields.string()?);
            if name.is_empty() {
                return Err(EditError::NoName);
            }
            if value.is_empty() {
                Edit::DeleteHeader { index, name }
            } else {
                Edit::ChangeHeader { index, name, value: [leading, value].concat() }
            }
        }
        reply::CHANGE_FROM | reply::ADD_RECIPIENT_WITH => {
            let address = text(fields.string()?);
            let parameters = if fields.is_empty() { String::new() } else { text(fields.string()?) };
            if code == reply::CHANGE_FROM {
                Edit::ChangeFrom { address, parameters }
            } else {
                Edit::AddRecipient { address, parameters }
            }
        }
        reply::ADD_RECIPIENT => Edit::AddRecipient { address: text(fields.string()?), parameters: String::new() },
        reply::DELETE_RECIPIENT => Edit::DeleteRecipient { address: text(fields.string()?) },
        _ => return Ok(None),
    };
    fields.end()?;
    Ok(Some(made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io;

    #[derive(Default)]
    struct Paper {
        done: Vec<Edit>,
        refuse: bool,
    }

    impl Draft for Paper {
        fn headers(&self) -> Vec<Vec<u8>> {
            Vec::new()
        }
        fn body(&mut self, _: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
            Ok(())
        }
        fn edit(&mut self, edit: Edit) -> Option<Verdict> {
            self.done.push(edit);
            self.refuse.then(|| Verdict::Reply("552 5.3.4 no".into()))
        }
    }

    #[test]
    fn a_body_comes_in_any_pieces() {
        let whole = [&b"one\r\n"[..], &[b'x'; 20_000], b"\r\n\r\nlast"].concat();
        for size in [1, 2, 3, 7, 8193, 30_000] {
            let (mut editing, mut paper) = (Editing::default(), Paper::default());
            whole.chunks(size).for_each(|piece| editing.body(piece, &mut paper));
            editing.end_body(&mut paper);
            let mut text = Vec::new();
            for edit in &paper.done {
                if let Edit::BodyLine { data, newline } = edit {
                    text.extend_from_slice(data);
                    text.extend(newline.then_some(b'\n'));
                }
            }
            let wanted = [&b"one\n"[..], &[b'x'; 20_000], b"\n\nlast\n"].concat();
            assert!(text == wanted && paper.done[0] == Edit::BodyStart, "{size}");
        }
    }

    #[test]
    fn after_a_failed_edit_none_is_tried() {
        let (mut editing, mut paper) = (Editing::default(), Paper { refuse: true, ..Paper::default() });
        editing.body(b"a\r\nb\r\n", &mut paper);
        editing.apply(Edit::DeleteRecipient { address: "x".into() }, &mut paper);
        assert_eq!(paper.done, [Edit::BodyStart]);
        assert_eq!(editing.ending(Verdict::reply("550 5.7.1 spam")), Verdict::reply("552 5.3.4 no"));
    }

    #[test]
    fn edits_are_read() {
        let header = |edit| matches!(edit, Ok(Some(Edit::DeleteHeader { index: 1, .. })));
        assert!(header(edit(reply::CHANGE_HEADER, b"\0\0\0\0X\0\0", b" ", "f")));
        assert_eq!(edit(reply::CHANGE_HEADER, b"\0\0\0\x01\0v\0", b" ", "f"), Err(EditError::NoName));
        assert_eq!(edit(b'?', b"", b" ", "f"), Ok(None));
    }

    proptest! {
        #[test]
        fn hostile_edits_are_errors_never_a_panic(code in any::<u8>(), data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = edit(code, &data, b" ", "f");
        }
    }
}
