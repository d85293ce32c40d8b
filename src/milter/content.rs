//! A message on its way to a filter: header by header, the end of the headers, the body in pieces, and the end, at which
//! the filter may edit it.

use super::edit::Draft;
use super::filter::{Filter, Scene, State};
use super::protocol::{self, Event};
use super::verdict::Verdict;
use crate::sys::files::reason;

/// Piece of a body that is sent at once, as libmilter expects it.
const CHUNK: usize = 65_535;

impl Filter {
    /// Shows it a message, and has it edited.
    pub fn message(&mut self, draft: &mut dyn Draft, scene: &Scene<'_>) -> Option<Verdict> {
        if self.state != State::Envelope {
            return self.standing();
        }
        self.state = State::Message;
        let verdict = self.content(draft, scene);
        if matches!(self.state, State::Message | State::AcceptedMessage) {
            self.state = State::Envelope;
        }
        verdict
    }

    fn content(&mut self, draft: &mut dyn Draft, scene: &Scene<'_>) -> Option<Verdict> {
        let wants = |filter: &Filter, event: Event| filter.agreed.steps & event.row().unsent == 0;
        let keeps_blanks = self.agreed.steps & protocol::LEADING_BLANKS != 0;
        if wants(self, Event::Header) {
            for header in draft.headers() {
                let colon = memchr::memchr(b':', &header).unwrap_or(header.len());
                let (name, rest) = header.split_at(colon);
                let value = rest.get(1..).unwrap_or_default();
                let value = if keeps_blanks { value } else { value.strip_prefix(b" ").unwrap_or(value) };
                let verdict = self.event(Event::Header, &[name.trim_ascii_end(), b"\0", value, b"\0"], scene, None);
                if verdict.is_some() || self.state != State::Message {
                    return verdict;
                }
            }
        }
        if wants(self, Event::EndOfHeader) {
            let verdict = self.event(Event::EndOfHeader, &[], scene, None);
            if verdict.is_some() || self.state != State::Message {
                return verdict;
            }
        }
        if wants(self, Event::Body) {
            let mut chunk: Vec<u8> = Vec::new();
            let mut verdict = None;
            let read = draft.body(&mut |mut piece| {
                while !piece.is_empty() {
                    let (now, later) = piece.split_at(piece.len().min(CHUNK - chunk.len()));
                    chunk.extend_from_slice(now);
                    piece = later;
                    if chunk.len() == CHUNK {
                        verdict = self.event(Event::Body, &[&chunk], scene, None);
                        chunk.clear();
                        if verdict.is_some() || self.state != State::Message {
                            return false;
                        }
                    }
                }
                true
            });
            if let Err(error) = read {
                (scene.warn)(format!("message for milter {}: {}", self.spec.name, reason(&error)));
                // It heard half of a message and must not take the next one for its end.
                self.fail(None);
                return Verdict::reply("451 4.3.0 Queue file write error");
            }
            if verdict.is_none() && self.state == State::Message && !chunk.is_empty() {
                verdict = self.event(Event::Body, &[&chunk], scene, None);
            }
            if verdict.is_some() || self.state != State::Message {
                return verdict;
            }
        }
        self.event(Event::End, &[], scene, Some(draft))
    }
}
