//! What becomes of a command or a message, where it does not just go on.

/// An answer that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A whole SMTP reply, 4xx or 5xx; lines of several are separated by CR LF.
    Reply(String),
    /// The message goes on hold; it is no refusal.
    Hold,
    /// The message is accepted and thrown away.
    Discard,
    /// The session ends.
    Shutdown,
}

pub const REJECTED: &str = "550 5.7.1 Command rejected";
pub const LATER: &str = "451 4.7.1 Service unavailable - try again later";
pub const MISCONFIGURED: &str = "451 4.3.5 Server configuration problem - try again later";
const UNAVAILABLE: &str = "550 5.5.0 Service unavailable";

impl Verdict {
    pub fn reply(text: &str) -> Option<Verdict> {
        Some(Verdict::Reply(text.to_owned()))
    }

    /// A refusal, be it for now.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Verdict::Reply(text) => Some(text),
            _ => None,
        }
    }
}

/// milter_default_action: what stands in for a filter that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    Accept,
    Reject,
    Tempfail,
    Quarantine,
    Other(String),
}

impl DefaultAction {
    pub fn parse(text: &str) -> DefaultAction {
        match text.to_ascii_lowercase().as_str() {
            "accept" => DefaultAction::Accept,
            "reject" => DefaultAction::Reject,
            "tempfail" => DefaultAction::Tempfail,
            "quarantine" => DefaultAction::Quarantine,
            _ => DefaultAction::Other(text.to_owned()),
        }
    }

    /// Where the filter is away or talks nonsense.
    pub fn unavailable(&self, name: &str, warn: &dyn Fn(String)) -> Option<Verdict> {
        match self {
            DefaultAction::Accept => None,
            DefaultAction::Reject => Verdict::reply(UNAVAILABLE),
            DefaultAction::Tempfail => Verdict::reply(LATER),
            DefaultAction::Quarantine => Some(Verdict::Hold),
            DefaultAction::Other(action) => {
                warn(format!("milter {name}: unrecognized default action: {action}"));
                Verdict::reply(MISCONFIGURED)
            }
        }
    }

    /// Where what it was told, or says, is a mistake.
    pub fn misconfigured(&self) -> Option<Verdict> {
        match self {
            DefaultAction::Accept => None,
            DefaultAction::Quarantine => Some(Verdict::Hold),
            _ => Verdict::reply(MISCONFIGURED),
        }
    }
}

/// The SMTP reply that a filter sent as the data of a packet; None: it is none. As sendmail, which takes it for a format:
/// "%%" is a percent sign and any other percent sign nothing.
pub fn reply_text(data: &[u8], soft_bounce: bool) -> Option<String> {
    let text = String::from_utf8_lossy(data.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned();
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        plain.extend(if c == '%' { characters.next() } else { Some(c) });
    }
    let mut lines = Vec::new();
    let code = plain.get(..3)?.to_owned();
    // The reference looks at the first line only; a client would take others for replies to later commands.
    let count = plain.split("\r\n").count();
    for (at, line) in plain.split("\r\n").enumerate() {
        if line.is_empty() && at > 0 && at + 1 == count {
            break;
        }
        lines.push(reply_line(line, &code, soft_bounce)?);
    }
    // The last one ends the reply, the others do not.
    let last = lines.len().checked_sub(1)?;
    for (at, line) in lines.iter_mut().enumerate() {
        line.replace_range(3..4, if at == last { " " } else { "-" });
    }
    Some(lines.join("\r\n"))
}

/// "550 5.7.1 words", or "-" in place of the blank.
fn reply_line(line: &str, code: &str, soft_bounce: bool) -> Option<String> {
    let bytes = line.as_bytes();
    let class = *bytes.first().filter(|byte| matches!(byte, b'4' | b'5'))?;
    let is_code = line.get(..3) == Some(code) && code.bytes().all(|byte| byte.is_ascii_digit());
    let separated = matches!(bytes.get(3), Some(b' ' | b'-'));
    // What follows may be a status; then it is of the same class.
    let same_class = bytes.get(4).is_none_or(|byte| !byte.is_ascii_digit() || *byte == class);
    if !is_code || !separated || !same_class || line.contains(['\r', '\n']) {
        return None;
    }
    let mut line = line.to_owned();
    if soft_bounce && class == b'5' {
        line.replace_range(..1, "4");
        if bytes.get(4) == Some(&b'5') {
            line.replace_range(4..5, "4");
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_looked_at_line_by_line() {
        let read = |text: &str| reply_text(text.as_bytes(), false);
        assert_eq!(read("550 5.7.1 no\0junk").as_deref(), Some("550 5.7.1 no"));
        assert_eq!(read("550 a 100%% of 5%x").as_deref(), Some("550 a 100% of 5x"));
        assert_eq!(read("550-5.7.1 a\r\n550 5.7.1 b\r\n").as_deref(), Some("550-5.7.1 a\r\n550 5.7.1 b"));
        assert_eq!(read("550 5.7.1 a\r\n550 5.7.1 b").as_deref(), Some("550-5.7.1 a\r\n550 5.7.1 b"));
        assert_eq!(reply_text(b"550 5.7.1 a", true).as_deref(), Some("450 4.7.1 a"));
        for wrong in
            ["", "55", "550", "250 ok", "550 4.7.1 x", "550_x", "5x0 x", "550 a\r\n250 b", "550 a\nb", "\u{e9}\u{e9}"]
        {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
