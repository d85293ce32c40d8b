//! The content of a submission: standard input as records, to a dot alone on a line unless that is text. With -t its
//! headers are read for recipients on the way.

use super::options::Submission;
use super::submit::Person;
use crate::exit::Failure;
use crate::message::tokens::{self, Token};
use crate::queue::record::{self, Type};
use std::io::{self, BufRead, Read};

/// Longest line that is read in one piece; a longer one is passed on in pieces.
const LINE_PIECE: usize = 2048;
/// Most bytes of headers that -t looks through.
const MAX_HEADERS: usize = 1024 * 1024;

/// Recipients in headers.
#[derive(Default)]
pub struct Extracted {
    plain: Vec<String>,
    resent: Vec<String>,
    header: Vec<u8>,
    has_resent: bool,
}

impl Extracted {
    pub fn recipients(&self) -> &[String] {
        if self.has_resent { &self.resent } else { &self.plain }
    }

    /// Takes a physical header line; a continuation belongs to the one before.
    fn line(&mut self, line: &[u8]) {
        if continues(line) {
            self.header.push(b' ');
            self.header.extend_from_slice(line);
        } else {
            self.finish();
            self.header = line.to_vec();
        }
    }

    fn finish(&mut self) {
        let header = std::mem::take(&mut self.header);
        let text = String::from_utf8_lossy(&header);
        let Some((name, body)) = text.split_once(':') else { return };
        let name = name.trim_end().to_ascii_lowercase();
        // "<>" is nobody; "" is the address without a name.
        let address = |token| match token {
            Token::Address(tokens) if !tokens.is_empty() => Some(tokens::internal(&tokens)),
            _ => None,
        };
        let found = || tokens::parse(body.as_bytes()).into_iter().filter_map(address);
        match name.as_str() {
            "to" | "cc" | "bcc" => self.plain.extend(found()),
            "resent-to" | "resent-cc" | "resent-bcc" => {
                self.has_resent = true;
                self.resent.extend(found());
            }
            _ => {}
        }
    }
}

fn continues(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'))
}

/// "Name:" or "Name :", the name printable.
fn header_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, rest) = line.split_at(colon);
    let name = name.trim_ascii_end();
    (!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic())).then_some((name, rest))
}

/// Copies standard input as content records. Carriage returns before line feeds go.
pub fn copy(limit: u64, submission: &Submission, person: &Person, stream: &mut Vec<u8>) -> Result<Extracted, Failure> {
    let mut extracted = Extracted::default();
    let mut input = io::BufReader::new(io::stdin().lock());
    let mut in_header = true;
    let mut header_bytes = 0;
    let mut at_line_start = true;
    let mut size = 0u64;
    let mut line = Vec::new();
    // Where the last record begins.
    let mut last = stream.len();
    loop {
        line.clear();
        let read = (&mut input).take(LINE_PIECE as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let newline = line.last() == Some(&b'\n');
        if newline {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if at_line_start && line == b"." && !submission.dots_are_text {
            break;
        }
        // A mailbox's From_ line is no part of the mail.
        if size == 0 && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
            at_line_start = newline;
            continue;
        }
        size += read as u64;
        if limit > 0 && size > limit {
            return Err(person.too_big());
        }
        if in_header && at_line_start && submission.extract {
            let is_header = header_name(&line).is_some() || (continues(&line) && header_bytes > 0);
            in_header = header_bytes < MAX_HEADERS && !line.is_empty() && is_header;
            if !in_header && !line.is_empty() {
                // Text where a header should be: the body begins here.
                record::write(stream, Type::NORMAL, b"")?;
            }
        }
        if in_header && submission.extract {
            header_bytes += line.len();
            if at_line_start {
                extracted.line(&line)
            } else {
                extracted.header.extend_from_slice(&line)
            }
            if at_line_start
                && !continues(&line)
                && let Some((name, rest)) = header_name(&line)
            {
                line = [name, rest].concat();
            }
        }
        last = stream.len();
        record::write(stream, if newline { Type::NORMAL } else { Type::CONTINUED }, &line)?;
        at_line_start = newline;
    }
    // Whoever looks at headers ends the last line too, as the reference does.
    if submission.extract && !at_line_start {
        match stream.get_mut(last) {
            Some(kind) if in_header => *kind = Type::NORMAL.0,
            _ => drop(record::write(stream, Type::NORMAL, b"")?),
        }
    }
    extracted.finish();
    Ok(extracted)
}
