//! What a message becomes on its way out: smtp_generic_maps for its addresses, smtp_header_checks and its like for its
//! lines. The file in the queue stays as it is.

use crate::cleanup::CleanupError;
use crate::cleanup::checks::{About, Asked, Checks, Line};
use crate::cleanup::mime::{Section, Structure};
use crate::conf::MainCf;
use crate::log::Log;
use crate::message::{envelope as address, tokens};
use crate::table::{Maps, MatchList, Options, TableError};

/// Headers that hold addresses.
const WITH_ADDRESSES: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "errors-to",
    "return-receipt-to",
    "disposition-notification-to",
    "to",
    "cc",
    "bcc",
    "apparently-to",
    "resent-from",
    "resent-sender",
    "resent-reply-to",
    "resent-to",
    "resent-cc",
    "resent-bcc",
];

/// Longest header that is made over; more of it goes out as it is.
const MAX_HEADER: usize = 100 * 1024;

/// The tables.
pub struct Outgoing {
    generic: Maps,
    checks: Checks,
    delimiters: String,
    propagate: bool,
    destinations: MatchList,
    origin: String,
}

impl Outgoing {
    pub fn smtp(cf: &MainCf) -> Outgoing {
        let checks = Checks::of_lists([
            ("smtp_header_checks", cf.smtp_header_checks()),
            ("smtp_mime_header_checks", cf.smtp_mime_header_checks()),
            ("smtp_nested_header_checks", cf.smtp_nested_header_checks()),
            ("smtp_body_checks", cf.smtp_body_checks()),
        ]);
        Outgoing::new(cf, Maps::open("smtp_generic_maps", &cf.smtp_generic_maps(), &Options::default()), checks)
    }

    pub fn lmtp(cf: &MainCf) -> Outgoing {
        let checks = Checks::of_lists([
            ("lmtp_header_checks", cf.lmtp_header_checks()),
            ("lmtp_mime_header_checks", cf.lmtp_mime_header_checks()),
            ("lmtp_nested_header_checks", cf.lmtp_nested_header_checks()),
            ("lmtp_body_checks", cf.lmtp_body_checks()),
        ]);
        Outgoing::new(cf, Maps::open("lmtp_generic_maps", &cf.lmtp_generic_maps(), &Options::default()), checks)
    }

    fn new(cf: &MainCf, generic: Maps, checks: Checks) -> Outgoing {
        let flavour = crate::table::matchlist::Flavour::Strings;
        Outgoing {
            generic,
            checks,
            delimiters: cf.recipient_delimiter(),
            propagate: cf.propagate_unmatched_extensions().contains("generic"),
            destinations: MatchList::parse("mydestination", &cf.mydestination(), flavour, &Options::default()),
            origin: cf.origin(),
        }
    }

    /// An address as the other side sees it.
    pub fn address(&self, own: &str) -> Result<String, TableError> {
        if self.generic.is_empty() || own.is_empty() {
            return Ok(own.to_owned());
        }
        let is_local = |domain: &[u8]| {
            let domain = String::from_utf8_lossy(domain);
            domain.eq_ignore_ascii_case(&self.origin) || self.destinations.contains(&domain).unwrap_or(false)
        };
        let Some(found) = self.generic.find_address(own.as_bytes(), self.delimiters.as_bytes(), &is_local)? else {
            return Ok(own.to_owned());
        };
        let text = String::from_utf8_lossy(&found.value).into_owned();
        if let Some(domain) = text.trim().strip_prefix('@') {
            return Ok(format!("{}@{domain}", address::split(own).0));
        }
        let new = tokens::addresses(&text).into_iter().next().unwrap_or_else(|| own.to_owned());
        Ok(match (found.extension.filter(|_| self.propagate), new.split_once('@')) {
            (Some(extension), Some((local, domain))) => {
                format!("{local}{}@{domain}", String::from_utf8_lossy(&extension))
            }
            _ => new,
        })
    }
}

/// The content of one message on its way out.
pub struct Content<'a> {
    outgoing: &'a Outgoing,
    about: About<'a>,
    log: &'a Log,
    structure: Structure,
    /// Nothing is to be done to it.
    plain: bool,
    header: Vec<u8>,
    open: bool,
    begins: bool,
    offset: u64,
    asked: Asked,
}

impl<'a> Content<'a> {
    pub fn new(outgoing: &'a Outgoing, queue_id: &'a str, log: &'a Log) -> Content<'a> {
        let plain = outgoing.generic.is_empty() && outgoing.checks.is_empty();
        Content {
            outgoing,
            about: About::outgoing(queue_id),
            log,
            structure: Structure::new(100, 2048, outgoing.checks.is_empty()),
            plain,
            header: Vec::new(),
            open: false,
            begins: true,
            offset: 0,
            asked: Asked::default(),
        }
    }

    /// Takes a line (or a piece of one), and hands on what goes out.
    pub fn line(&mut self, line: &[u8], newline: bool, out: &mut dyn FnMut(&[u8], bool)) -> Result<(), CleanupError> {
        if self.plain {
            out(line, newline);
            return Ok(());
        }
        let begins = std::mem::replace(&mut self.begins, newline);
        if self.structure.section() == Section::Body {
            return self.body(line, newline, begins, out);
        }
        if begins {
            let continues = self.open && line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
            if !continues {
                self.flush(out)?;
                if line.is_empty() || !line.contains(&b':') {
                    self.structure.end_of_header();
                    self.offset = 0;
                    out(line, newline);
                    return Ok(());
                }
            } else {
                self.header.push(b'\n');
            }
        }
        if self.header.len() + line.len() > MAX_HEADER {
            out(line, newline);
            return Ok(());
        }
        self.header.extend_from_slice(line);
        self.open = true;
        Ok(())
    }

    /// A header that the content ended with.
    pub fn end(&mut self, out: &mut dyn FnMut(&[u8], bool)) -> Result<(), CleanupError> {
        self.flush(out)
    }

    fn body(
        &mut self,
        line: &[u8],
        newline: bool,
        begins: bool,
        out: &mut dyn FnMut(&[u8], bool),
    ) -> Result<(), CleanupError> {
        if begins && self.structure.boundary(line) {
            self.offset = 0;
            out(line, newline);
            return Ok(());
        }
        let offset = self.offset;
        self.offset += line.len() as u64 + u64::from(newline);
        match self.outgoing.checks.body(line, offset, &self.about, &mut self.asked, self.log)? {
            Line::Keep => out(line, newline),
            Line::Drop => {}
            Line::Replace(other) => out(&other, newline),
            Line::Prepend(before) => {
                out(&before, true);
                out(line, newline);
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], bool)) -> Result<(), CleanupError> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let mut header = std::mem::take(&mut self.header);
        let section = self.structure.section();
        match self.outgoing.checks.header(&header, section, &self.about, &mut self.asked, self.log)? {
            Line::Keep => {}
            Line::Drop => return Ok(()),
            Line::Replace(other) => header = other,
            Line::Prepend(before) => out(&before, true),
        }
        self.structure.header(&header);
        let lines = if section == Section::Primary { self.generic(&header)? } else { None };
        match lines {
            Some(lines) => lines.iter().for_each(|line| out(line.as_bytes(), true)),
            None => header.split(|&byte| byte == b'\n').for_each(|line| out(line, true)),
        }
        Ok(())
    }

    /// A header with its addresses made over; None when nothing changes.
    fn generic(&self, header: &[u8]) -> Result<Option<Vec<String>>, CleanupError> {
        let Ok(text) = std::str::from_utf8(header) else { return Ok(None) };
        let Some((label, body)) = text.split_once(':') else { return Ok(None) };
        let label = label.trim_end();
        let known = WITH_ADDRESSES.iter().any(|name| label.eq_ignore_ascii_case(name));
        if self.outgoing.generic.is_empty() || !known {
            return Ok(None);
        }
        let mut failure = None;
        let new = tokens::rewrite(body, |address| {
            self.outgoing.address(address).unwrap_or_else(|error| {
                failure.get_or_insert(error);
                address.to_owned()
            })
        });
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(new.map(|new| tokens::fold(label, &new))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn lines_on_their_way_out() {
        let cf = "compatibility_level=3.6\nmyhostname=h.example\nmydestination=local.example\nmyorigin=local.example\n\
                  smtp_generic_maps=inline:{toto=out@isp.example, @local.example=@isp.example}\n\
                  smtp_header_checks=regexp:{{/^X-Secret/ IGNORE}, {/^Subject: (.*)/ REPLACE Subject: [$$1]}}\n";
        let cf = MainCf::parse(Path::new("/x"), cf).unwrap();
        let outgoing = Outgoing::smtp(&cf);
        assert_eq!(outgoing.address("toto@local.example").unwrap(), "out@isp.example");
        assert_eq!(outgoing.address("titi@local.example").unwrap(), "titi@isp.example");
        assert_eq!(outgoing.address("x@elsewhere.example").unwrap(), "x@elsewhere.example");
        let log = Log::nowhere();
        let mut content = Content::new(&outgoing, "ID", &log);
        let mut lines = Vec::new();
        let mut out = |line: &[u8], _: bool| lines.push(String::from_utf8_lossy(line).into_owned());
        for line in ["X-Secret: a", " b", "From: A <toto@local.example>", "Subject: s", "", "To: toto@local.example"] {
            content.line(line.as_bytes(), true, &mut out).unwrap();
        }
        content.end(&mut out).unwrap();
        assert_eq!(lines, ["From: A <out@isp.example>", "Subject: [s]", "", "To: toto@local.example"]);
    }
}
