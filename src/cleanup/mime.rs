//! Where in the structure of a message a line stands (RFC 2046), as far as header_checks(5) must know: the primary
//! header, the header of a part, that of a message within, or body.

use crate::message::mime::ContentType;

/// What a line is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Primary,
    Multipart,
    Nested,
    Body,
}

/// The structure so far.
pub struct Structure {
    section: Section,
    /// Boundaries of the multiparts that are open, outermost first.
    boundaries: Vec<Vec<u8>>,
    /// What the header at hand said of its content.
    content: Option<ContentType>,
    nesting_limit: usize,
    boundary_limit: usize,
    /// disable_mime_input_processing: there are only the primary header and body.
    flat: bool,
}

impl Structure {
    pub fn new(nesting_limit: usize, boundary_limit: usize, flat: bool) -> Structure {
        Structure {
            section: Section::Primary,
            boundaries: Vec::new(),
            content: None,
            nesting_limit,
            boundary_limit,
            flat,
        }
    }

    pub fn section(&self) -> Section {
        self.section
    }

    /// Takes note of a whole header of the section at hand.
    pub fn header(&mut self, header: &[u8]) {
        let colon = memchr::memchr(b':', header).unwrap_or(header.len());
        if header[..colon].trim_ascii_end().eq_ignore_ascii_case(b"content-type") {
            self.content = header.get(colon + 1..).map(ContentType::parse);
        }
    }

    /// The header at hand ends; gives the section that begins.
    pub fn end_of_header(&mut self) -> Section {
        let content = self.content.take();
        self.section = Section::Body;
        if self.flat {
            return self.section;
        }
        if let Some(content) = content {
            let kind = content.kind.clone();
            if kind == "message/rfc822" && self.boundaries.len() < self.nesting_limit {
                self.section = Section::Nested;
            } else if kind.starts_with("multipart/")
                && self.boundaries.len() < self.nesting_limit
                && let Some(boundary) = content.parameter("boundary")
            {
                let boundary = boundary.as_bytes();
                self.boundaries.push(boundary[..boundary.len().min(self.boundary_limit)].to_vec());
            }
        }
        self.section
    }

    /// A line of body. Whether it is a boundary, after which a part's header or (after the last) body follows.
    pub fn boundary(&mut self, line: &[u8]) -> bool {
        let Some(rest) = line.strip_prefix(b"--") else { return false };
        let Some(at) = self.boundaries.iter().rposition(|boundary| rest.starts_with(boundary)) else { return false };
        let closes = rest[self.boundaries[at].len()..].starts_with(b"--");
        self.boundaries.truncate(if closes { at } else { at + 1 });
        self.section = if closes { Section::Body } else { Section::Multipart };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_within_parts() {
        let mut structure = Structure::new(100, 70, false);
        structure.header(b"Content-Type: multipart/mixed;\n\tboundary=\"aa\"");
        assert_eq!(structure.end_of_header(), Section::Body);
        assert!(!structure.boundary(b"--b") && structure.boundary(b"--aa"));
        assert_eq!(structure.section(), Section::Multipart);
        structure.header(b"Content-Type: message/rfc822");
        assert_eq!(structure.end_of_header(), Section::Nested);
        structure.header(b"Subject: inner");
        assert_eq!(structure.end_of_header(), Section::Body);
        assert!(structure.boundary(b"--aa--"));
        assert_eq!(structure.section(), Section::Body);
        assert!(!structure.boundary(b"--aa"));
    }
}
