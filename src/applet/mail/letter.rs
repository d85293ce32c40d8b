//! A letter on its way out: header lines in the order in which they were given, the text, attachments. MIME comes by
//! itself when the text or a header is not ASCII. No newline gets into a header, and no recipient becomes an option or a
//! command: recipients travel in the header, read by `sendmail -t`.

use crate::message::mime::{base64, quoted_printable};
use crate::message::{address, charset};

/// A file that goes with the letter.
#[derive(Clone, Debug)]
pub struct Attachment {
    pub content: Vec<u8>,
    /// File name in Content-Disposition.
    pub file_name: Option<String>,
    /// Name in Content-Type.
    pub name: Option<String>,
    pub content_type: Option<String>,
    pub encoding: Option<String>,
}

/// The letter.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub attachments: Vec<Attachment>,
    /// `-s` was given, maybe with nothing: nobody is asked for a subject.
    pub subject_given: bool,
    /// `--content-type` and `--encoding` of the text.
    pub content_type: Option<String>,
    pub encoding: Option<String>,
    pub alternative: bool,
    pub mime: bool,
    pub skip_empty_attachments: bool,
    /// What stood on standard input is an attachment, and no text.
    pub is_standard_input: bool,
    /// A text that is empty is no part beside attachments.
    pub drop_empty_text: bool,
    /// A descriptor that was to be attached and cannot be read: told when the text is written, as the original does.
    pub unreadable: Option<String>,
}

impl Letter {
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Another line of this name.
    pub fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), one_line(value)));
    }

    /// The only line of this name; an empty value takes it out.
    pub fn put(&mut self, name: &str, value: &str) {
        let value = one_line(value);
        let at = self.headers.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        match at {
            Some(at) if value.is_empty() => drop(self.headers.remove(at)),
            Some(at) => self.headers[at].1 = value,
            None if value.is_empty() => {}
            None => self.headers.push((name.to_owned(), value)),
        }
    }

    /// These lines at the start of the header, but for those that are there already.
    pub fn begin_with(&mut self, lines: &[(String, String)]) {
        let new = lines.iter().filter(|(name, value)| self.header(name).is_none() && !value.trim().is_empty());
        let new: Vec<_> = new.map(|(name, value)| (name.clone(), one_line(value))).collect();
        self.headers.splice(0..0, new);
    }

    /// Another line, folded where it was: what begins with a blank goes on.
    pub fn add_folded(&mut self, name: &str, value: &str) {
        let mut lines = value.lines();
        let mut text = one_line(lines.next().unwrap_or_default());
        for line in lines.filter(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty()) {
            text.push('\n');
            text.push_str(&one_line(line));
        }
        self.headers.push((name.to_owned(), text));
    }

    /// A folded value whose lines begin with a blank or tab, which is no end of the field.
    pub fn put_folded(&mut self, name: &str, lines: &[&str]) {
        let value = lines.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n\t");
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value));
    }

    /// The letter as it goes to sendmail, with these lines at the end of its header.
    pub fn render(&self, last: &[(&str, String)], stamp: &Stamp) -> Vec<u8> {
        let mut out = Vec::new();
        let skips = self.skip_empty_attachments;
        let attachments: Vec<&Attachment> =
            self.attachments.iter().filter(|attachment| !(skips && attachment.content.is_empty())).collect();
        let has = |name: &str| self.header(name).is_some();
        let mime = self.mime
            || !self.attachments.is_empty()
            || self.content_type.is_some()
            || self.encoding.is_some()
            || (!self.body.is_ascii() && !has("MIME-Version") && !has("Content-Type"));
        let text = self.text_part();
        // A text that is empty is left out where empty attachments are: the only part left is the letter.
        let drops = self.body.is_empty() && (skips || self.drop_empty_text || self.alternative);
        let lonely = attachments.first().filter(|_| drops && attachments.len() == 1);
        if mime {
            put_line(&mut out, "MIME-Version", "1.0");
            out.extend(match (lonely, attachments.is_empty()) {
                (Some(only), _) => {
                    let (kind, encoding) = only.kind_and_encoding(Quoted::Always);
                    format!("Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n").into_bytes()
                }
                (None, true) => {
                    format!("Content-Type: {}\nContent-Transfer-Encoding: {}\n", text.0, text.1).into_bytes()
                }
                (None, false) => {
                    let kind = if self.alternative { "alternative" } else { "mixed" };
                    format!("Content-Type: multipart/{kind}; boundary=\"{}\"\n", stamp.boundary()).into_bytes()
                }
            });
        }
        for (name, value) in &self.headers {
            let addresses = ADDRESS_FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name));
            let value = if addresses { encode_addresses(value) } else { charset::encode_words(value) };
            put_line(&mut out, name, &value);
        }
        for (name, value) in last {
            put_line(&mut out, name, &charset::encode_words(value));
        }
        out.push(b'\n');
        if let Some(only) = lonely {
            out.extend(encode_alone(&only.content, &only.kind_and_encoding(Quoted::Always).1));
        } else if attachments.is_empty() {
            out.extend(if mime { encode_alone(&self.body, &text.1) } else { self.body.clone() });
        } else {
            self.render_parts(&mut out, &attachments, &text, stamp);
        }
        out
    }

    fn render_parts(&self, out: &mut Vec<u8>, attachments: &[&Attachment], text: &(String, String), stamp: &Stamp) {
        let boundary = stamp.boundary();
        // Alternatives are of one rank: none is "inline", none an "attachment".
        let inline = if self.alternative { "" } else { "Content-Disposition: inline\n" };
        if !(self.is_standard_input && self.drop_empty_text && self.body.is_empty()) {
            out.extend_from_slice(
                format!(
                    "--{boundary}\nContent-Type: {}\n{inline}Content-Transfer-Encoding: {}\nContent-ID: <{}>\n\n",
                    text.0,
                    text.1,
                    stamp.content_id(0)
                )
                .as_bytes(),
            );
            put_body(out, &self.body, &text.1);
        }
        for (number, attachment) in attachments.iter().enumerate() {
            out.extend_from_slice(format!("--{boundary}\n").as_bytes());
            attachment.render(out, self.alternative, &stamp.content_id(number + 1));
        }
        out.extend_from_slice(format!("--{boundary}--\n").as_bytes());
    }

    /// Type and encoding of the text.
    fn text_part(&self) -> (String, String) {
        let set = if self.body.is_ascii() || std::str::from_utf8(&self.body).is_ok() { "UTF-8" } else { "iso-8859-1" };
        let asked =
            self.content_type.as_deref().filter(|kind| self.attachments.is_empty() || kind.starts_with("text/"));
        let kind = one_line(asked.unwrap_or("text/plain"));
        let kind = if kind.starts_with("text/") && !kind.contains("charset=") {
            format!("{kind}; charset={set}")
        } else {
            kind
        };
        let long = self.body.split(|&byte| byte == b'\n').any(|line| line.len() > 990);
        let encoding =
            self.encoding.clone().unwrap_or_else(|| if long { "quoted-printable".into() } else { "8bit".into() });
        (kind, one_line(&encoding))
    }
}

/// Fields that hold addresses: of these only the names are encoded.
const ADDRESS_FIELDS: [&str; 8] = ["To", "Cc", "Bcc", "From", "Sender", "Reply-To", "Resent-To", "Mail-Followup-To"];

fn encode_addresses(value: &str) -> String {
    let Some(all) = address::parse(value).ok().filter(|_| !value.is_ascii()) else { return value.to_owned() };
    let written = all.iter().map(|one| match &one.name {
        Some(name) if !name.is_ascii() => format!("{} <{}>", charset::encode_words(name), one.mailbox),
        _ => one.to_string(),
    });
    written.collect::<Vec<_>>().join(",")
}

/// When a parameter's value stands in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Always,
    WhereNeeded,
}

impl Attachment {
    fn kind_and_encoding(&self, quoted: Quoted) -> (String, String) {
        let kind = one_line(self.content_type.as_deref().unwrap_or("application/octet-stream"));
        let mut kind = if kind.starts_with("text/") && !kind.contains("charset=") {
            format!("{kind}; charset=UTF-8")
        } else {
            kind
        };
        if let Some(name) = &self.name {
            kind.push_str(&parameter("name", name, quoted));
        }
        (kind, one_line(self.encoding.as_deref().unwrap_or("base64")))
    }

    fn render(&self, out: &mut Vec<u8>, alternative: bool, id: &str) {
        let quoted = if alternative { Quoted::WhereNeeded } else { Quoted::Always };
        let (kind, encoding) = self.kind_and_encoding(quoted);
        let mut head = format!("Content-Type: {kind}\n");
        if !alternative {
            head.push_str("Content-Disposition: attachment");
            if let Some(name) = &self.file_name {
                head.push_str(&parameter("filename", name, quoted));
            }
            head.push('\n');
        }
        head.push_str(&format!("Content-Transfer-Encoding: {encoding}\nContent-ID: <{id}>\n\n"));
        out.extend_from_slice(head.as_bytes());
        put_body(out, &self.content, &encoding);
    }
}

/// A part's body and the newline before its boundary; base64 ends with one of its own.
fn put_body(out: &mut Vec<u8>, body: &[u8], encoding: &str) {
    let encoded = encode(body, encoding);
    let own = encoding.eq_ignore_ascii_case("base64") && encoded.ends_with(b"\n");
    out.extend(encoded);
    if !own {
        out.push(b'\n');
    }
}

/// The only body of a letter: base64 ends without a newline there, as the original sends it.
fn encode_alone(body: &[u8], encoding: &str) -> Vec<u8> {
    let mut encoded = encode(body, encoding);
    if encoding.eq_ignore_ascii_case("base64") && encoded.ends_with(b"\n") {
        encoded.pop();
    }
    encoded
}

/// `; name="value"`, RFC 2231's form for what is not ASCII.
fn parameter(name: &str, value: &str, quoted: Quoted) -> String {
    let value = one_line(value);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+!#$&^".contains(&byte);
    if quoted == Quoted::WhereNeeded && !value.is_empty() && value.bytes().all(token) {
        return format!("; {name}={value}");
    }
    if value.is_ascii() {
        return format!("; {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let escaped: String = value
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    format!("; {name}*=UTF-8''{escaped}")
}

fn encode(body: &[u8], encoding: &str) -> Vec<u8> {
    match encoding.to_ascii_lowercase().as_str() {
        "base64" => base64::encode_lines(body).into_bytes(),
        "quoted-printable" => quoted_printable::encode(body),
        _ => body.to_vec(),
    }
}

fn put_line(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(format!("{name}: {value}\n").as_bytes());
}

/// A header's value: a newline is a blank, other control characters are nothing.
pub fn one_line(value: &str) -> String {
    value
        .chars()
        .map(|c| if c == '\n' || c == '\r' { ' ' } else { c })
        .filter(|c| *c == '\t' || !c.is_control())
        .collect()
}

/// What makes boundaries and Content-IDs of one letter its own.
pub struct Stamp {
    now: jiff::Zoned,
    host: String,
}

impl Stamp {
    pub fn new(now: jiff::Zoned, host: &str) -> Stamp {
        Stamp { now, host: host.to_owned() }
    }

    fn boundary(&self) -> String {
        let time = self.now.timestamp();
        format!(
            "{}-{}=:{}",
            time.subsec_nanosecond().unsigned_abs() + 1_000_000_000,
            time.as_second(),
            std::process::id()
        )
    }

    fn content_id(&self, number: usize) -> String {
        let part = if number == 0 { String::new() } else { format!(".{number}") };
        format!("{}.{}{part}@{}", self.now.strftime("%Y%m%d%H%M%S"), std::process::id(), self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_and_ascii_whatever_was_typed() {
        let mut letter = Letter { body: b"x\n".to_vec(), ..Letter::default() };
        letter.put("Subject", "a\nBcc: x@y\u{7}");
        let stamp = Stamp::new(crate::message::date::now(), "h");
        assert_eq!(letter.render(&[], &stamp), b"Subject: a Bcc: x@y\n\nx\n");
        letter.put("Subject", "é");
        let text = String::from_utf8(letter.render(&[], &stamp)).unwrap();
        assert_eq!(text, "Subject: =?UTF-8?B?w6k=?=\n\nx\n");
        letter.body = "é\n".into();
        let text = String::from_utf8(letter.render(&[], &stamp)).unwrap();
        assert!(text.starts_with("MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"), "{text}");
    }
}
