//! header_checks(5) and body_checks: patterns over the lines of a message, and what they ask for.

use super::CleanupError;
use super::mime::Section;
use crate::conf::MainCf;
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::envelope;
use crate::message::escape::letter;
use crate::status::Code;
use crate::table::{Maps, Options};

/// The tables.
pub struct Checks {
    header: Maps,
    mime: Maps,
    nested: Maps,
    body: Maps,
    body_limit: u64,
    /// message_reject_characters.
    pub rejected: Vec<u8>,
    /// message_strip_characters.
    pub stripped: Vec<u8>,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Keep,
    Drop,
    Replace(Vec<u8>),
    /// This one goes before it.
    Prepend(Vec<u8>),
}

/// What becomes of the message.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub hold: bool,
    pub discard: bool,
    pub filter: Option<String>,
    pub redirect: Option<String>,
    pub copies: Vec<String>,
    /// Why it is refused.
    pub refusal: Option<(Code, String)>,
    /// PASS, REJECT, DISCARD: the rest is not looked at.
    pub done: bool,
}

/// Who and what a message is, for the log.
pub struct About<'a> {
    pub queue_id: &'a str,
    /// "name[address]" or "local".
    pub origin: &'a str,
    pub sender: &'a str,
    pub recipient: Option<&'a str>,
    pub protocol: &'a str,
    pub helo: &'a str,
    /// On its way out only lines can change, and log lines are short.
    pub outgoing: bool,
    /// The header was made by a filter.
    pub filtered: bool,
}

impl<'a> About<'a> {
    pub fn outgoing(queue_id: &'a str) -> About<'a> {
        About {
            queue_id,
            origin: "",
            sender: "",
            recipient: None,
            protocol: "",
            helo: "",
            outgoing: true,
            filtered: false,
        }
    }
}

/// Headers that describe content.
const MIME: &[&str] = &[
    "Content-Description",
    "Content-Disposition",
    "Content-ID",
    "Content-Transfer-Encoding",
    "Content-Type",
    "MIME-Version",
];

impl Checks {
    pub fn new(cf: &MainCf) -> Checks {
        let maps = |title: &str, list: String| Maps::open(title, &list, &Options::default());
        Checks {
            header: maps("header_checks", cf.header_checks()),
            mime: maps("mime_header_checks", cf.mime_header_checks()),
            nested: maps("nested_header_checks", cf.nested_header_checks()),
            body: maps("body_checks", cf.body_checks()),
            body_limit: u64::try_from(cf.body_checks_size_limit()).unwrap_or(0),
            rejected: unescaped(&cf.message_reject_characters()),
            stripped: unescaped(&cf.message_strip_characters()),
        }
    }

    /// Other lists: for the header, MIME headers, headers of messages within, body.
    pub fn of_lists(lists: [(&str, String); 4]) -> Checks {
        let [header, mime, nested, body] = lists.map(|(title, list)| Maps::open(title, &list, &Options::default()));
        Checks { header, mime, nested, body, body_limit: 0, rejected: Vec::new(), stripped: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        let maps = [&self.header, &self.mime, &self.nested, &self.body];
        maps.iter().all(|maps| maps.is_empty()) && self.rejected.is_empty() && self.stripped.is_empty()
    }

    /// Whether a line has a character that the message is refused for.
    pub fn characters(&self, line: &[u8], about: &About<'_>, asked: &mut Asked, log: &Log) -> bool {
        let refused = !asked.done && line.iter().any(|byte| self.rejected.contains(byte));
        if refused {
            let act = Act { context: "content", title: "character reject", line, about, log };
            act.reject("disallowed character", asked);
        }
        refused
    }

    /// The header of one part.
    pub fn header(
        &self,
        header: &[u8],
        section: Section,
        about: &About<'_>,
        asked: &mut Asked,
        log: &Log,
    ) -> Result<Line, CleanupError> {
        // What describes content is MIME's, wherever it stands.
        let name = header.split(|&byte| byte == b':').next().unwrap_or_default().trim_ascii_end();
        let is_mime = MIME.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let maps = match section {
            _ if is_mime => &self.mime,
            Section::Primary => &self.header,
            Section::Multipart => &self.mime,
            Section::Nested => &self.nested,
            Section::Body => return Ok(Line::Keep),
        };
        self.look(maps, header, "header", about, asked, log)
    }

    /// A header of the primary list, whatever its name.
    pub fn primary(
        &self,
        header: &[u8],
        about: &About<'_>,
        asked: &mut Asked,
        log: &Log,
    ) -> Result<Line, CleanupError> {
        self.look(&self.header, header, "header", about, asked, log)
    }

    /// A line of body; `offset` is where it stands in its part.
    pub fn body(
        &self,
        line: &[u8],
        offset: u64,
        about: &About<'_>,
        asked: &mut Asked,
        log: &Log,
    ) -> Result<Line, CleanupError> {
        if self.body_limit > 0 && offset >= self.body_limit {
            return Ok(Line::Keep);
        }
        self.look(&self.body, line, "body", about, asked, log)
    }

    fn look(
        &self,
        maps: &Maps,
        line: &[u8],
        context: &str,
        about: &About<'_>,
        asked: &mut Asked,
        log: &Log,
    ) -> Result<Line, CleanupError> {
        if asked.done || maps.is_empty() {
            return Ok(Line::Keep);
        }
        let value = match maps.find(line) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Line::Keep),
            Err(error) => {
                let (id, title) = (about.queue_id, maps.title());
                warn(log, &format!("{id}: {title} map lookup problem -- message not accepted, try again later"));
                return Err(error.into());
            }
        };
        let text = String::from_utf8_lossy(&value).into_owned();
        Ok(Act { context, title: maps.title(), line, about, log }.act(&text, asked))
    }
}

/// Text with the escapes of C: \\a \\b \\f \\n \\r \\t \\v \\ooo, and any other character for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut found = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let escape = if byte == b'\\' { bytes.next() } else { None };
        let Some(escape) = escape else {
            found.push(byte);
            continue;
        };
        found.push(match escape {
            b'0'..=b'7' => {
                let mut value = escape - b'0';
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|digit| (b'0'..=b'7').contains(digit)) else { break };
                    value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                }
                value
            }
            other => letter(other),
        });
    }
    found
}

fn warn(log: &Log, warning: &str) {
    log.event_as("cleanup", &Event::Warning(text(warning)));
}

/// One match.
struct Act<'a> {
    context: &'a str,
    title: &'a str,
    line: &'a [u8],
    about: &'a About<'a>,
    log: &'a Log,
}

impl Act<'_> {
    fn act(&self, value: &str, asked: &mut Asked) -> Line {
        let value = value.trim();
        let (word, words) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        let words = words.trim();
        let title = self.title;
        match word.to_ascii_uppercase().as_str() {
            "OK" | "DUNNO" => {}
            "REJECT" | "FILTER" | "DISCARD" | "HOLD" | "REDIRECT" | "BCC" | "PASS" if self.about.outgoing => {
                warn(self.log, &format!("unsupported command in {title} map: {value}"));
            }
            "PASS" if self.about.filtered => {
                warn(self.log, &format!("unsupported command in {title} map: {value}"));
            }
            "REJECT" => self.reject(words, asked),
            "WARN" => self.log("warning", words),
            "INFO" => self.log("info", words),
            "PASS" => {
                self.log("pass", words);
                asked.done = true;
            }
            "FILTER" if words.is_empty() => warn(self.log, &format!("missing FILTER command argument in {title} map")),
            "FILTER" if !words.contains(':') => {
                warn(self.log, &format!("bad FILTER command {words} in {title} -- need transport:destination"));
            }
            "FILTER" => {
                asked.filter = Some(words.to_owned());
                self.log("filter", words);
            }
            "DISCARD" => {
                self.log("discard", words);
                asked.discard = true;
                asked.done = true;
            }
            "HOLD" => {
                if !asked.hold && !asked.discard {
                    self.log("hold", words);
                }
                asked.hold = true;
            }
            "REDIRECT" if !words.contains('@') => {
                warn(self.log, &format!("bad REDIRECT target \"{words}\" in {title} map -- need user@domain"));
            }
            "REDIRECT" => {
                self.log("redirect", words);
                asked.redirect = Some(words.to_owned());
                asked.done = true;
            }
            "BCC" if !words.contains('@') => {
                warn(self.log, &format!("bad BCC address \"{words}\" in {title} map -- need user@domain"));
            }
            "BCC" => {
                self.log("bcc", words);
                asked.copies.push(words.to_owned());
            }
            "PREPEND" | "REPLACE" if words.is_empty() => {
                warn(self.log, &format!("{} action without text in {title} map", word.to_ascii_uppercase()));
            }
            action @ ("PREPEND" | "REPLACE") if self.context == "header" && !is_header(words) => {
                let need = "need \"headername: headervalue\"";
                warn(self.log, &format!("bad {action} header text \"{words}\" in {title} map -- {need}"));
            }
            "PREPEND" => {
                self.log("prepend", words);
                if self.about.filtered {
                    warn(self.log, "the milter_header/body_checks prepend action is not implemented");
                }
                return Line::Prepend(words.as_bytes().to_vec());
            }
            "REPLACE" => {
                self.log("replace", words);
                return Line::Replace(words.as_bytes().to_vec());
            }
            "STRIP" => {
                self.log("strip", words);
                return Line::Drop;
            }
            "IGNORE" => return Line::Drop,
            _ if self.about.filtered => warn(self.log, &format!("unsupported command in {title} map: {value}")),
            _ => warn(self.log, &format!("unknown command in {title} map: {value}")),
        }
        Line::Keep
    }

    fn reject(&self, words: &str, asked: &mut Asked) {
        let (code, words) = match Code::split(words) {
            Some((code, words)) if matches!(code.class(), 4 | 5) => (code, words),
            Some((code, words)) => {
                warn(self.log, &format!("bad DSN action in {code} {words} -- need 4.x.x or 5.x.x"));
                (Code::new(4, 7, 1), words)
            }
            None => (Code::new(5, 7, 1), words),
        };
        let words = if words.is_empty() { "message content rejected" } else { words };
        self.log("reject", &format!("{code} {words}"));
        asked.refusal = Some((code, words.to_owned()));
        asked.done = true;
    }

    /// "ID: action: header CONTENT from CLIENT; from=<> to=<> proto= helo=<>: words"
    fn log(&self, action: &str, words: &str) {
        let about = self.about;
        if about.outgoing {
            let shown: String = String::from_utf8_lossy(self.line).chars().take(60).collect();
            let words = if words.is_empty() { String::new() } else { format!(": {words}") };
            let line = format!("{} {shown}{words}", self.context);
            let event = Event::Verdict { queue_id: text(about.queue_id), action: text(action), text: text(&line) };
            return self.log.event(&event);
        }
        let shown = String::from_utf8_lossy(self.line);
        let shown: String = shown.chars().take(if about.filtered { 60 } else { 200 }).collect();
        let mut line = format!("{} {shown} from {};", self.context, about.origin);
        line.push_str(&format!(" from=<{}>", envelope::quote_path(about.sender)));
        if let Some(recipient) = about.recipient {
            line.push_str(&format!(" to=<{}>", envelope::quote(recipient)));
        }
        if !about.protocol.is_empty() {
            line.push_str(&format!(" proto={}", about.protocol));
        }
        if !about.helo.is_empty() {
            line.push_str(&format!(" helo=<{}>", about.helo));
        }
        if !words.is_empty() {
            line.push_str(&format!(": {words}"));
        }
        let action = match about.filtered {
            true => format!("milter-{}-{action}", self.context),
            false => action.to_owned(),
        };
        let event = Event::Verdict { queue_id: text(about.queue_id), action: text(&action), text: text(&line) };
        self.log.event_as("cleanup", &event);
    }
}

fn is_header(text: &str) -> bool {
    text.split_once(':').is_some_and(|(label, _)| {
        let label = label.trim_end();
        !label.is_empty() && label.bytes().all(|byte| (33..127).contains(&byte))
    })
}
