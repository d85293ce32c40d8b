//! What a mail server says to Dovecot's authentication service and is told (Dovecot's "auth protocol", version 1): lines of
//! words with tabs between them. The client is never trusted with them: what it sent is base64 or it is not passed on.

/// The oldest version that both speak.
pub const VERSION: u32 = 1;
/// Longest line.
pub const MAX_LINE: usize = 8192;
/// Most mechanisms that a service offers.
pub const MAX_MECHANISMS: usize = 100;

/// What is said first; `id` names the client process.
pub fn hello(id: u32) -> String {
    format!("VERSION\t{VERSION}\t0\nCPID\t{id}\n")
}

/// A mechanism with its properties: "plaintext", "anonymous", "private"...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mechanism {
    pub name: String,
    pub properties: Vec<String>,
}

impl Mechanism {
    pub fn has(&self, property: &str) -> bool {
        self.properties.iter().any(|own| own.eq_ignore_ascii_case(property))
    }
}

/// A line of the service's own greeting.
#[derive(Debug, PartialEq, Eq)]
pub enum Greeting {
    Mechanism(Mechanism),
    /// Another major version.
    Stranger(String),
    Done,
    Other,
}

pub fn greeting(line: &str) -> Greeting {
    let mut words = line.split('\t');
    match (words.next(), words.next()) {
        (Some("VERSION"), Some(major)) if major.parse() != Ok(VERSION) => Greeting::Stranger(major.to_owned()),
        (Some("MECH"), Some(name)) if !name.is_empty() => {
            Greeting::Mechanism(Mechanism { name: name.to_owned(), properties: words.map(str::to_owned).collect() })
        }
        (Some("DONE"), _) => Greeting::Done,
        _ => Greeting::Other,
    }
}

/// A conversation's beginning.
pub struct Request<'a> {
    pub id: u32,
    pub mechanism: &'a str,
    pub service: &'a str,
    pub server_address: &'a str,
    pub client_address: &'a str,
    pub encrypted: bool,
    /// In base64, as the client sent it.
    pub response: Option<&'a str>,
}

impl Request<'_> {
    pub fn line(&self) -> String {
        let Request { id, mechanism, service, server_address, client_address, .. } = self;
        let mut line =
            format!("AUTH\t{id}\t{mechanism}\tservice={service}\tnologin\tlip={server_address}\trip={client_address}");
        if self.encrypted {
            line.push_str("\tsecured");
        }
        if let Some(response) = self.response {
            line.push_str(&format!("\tresp={response}"));
        }
        line.push('\n');
        line
    }
}

/// The next word of a conversation, in base64.
pub fn continued(id: u32, response: &str) -> String {
    format!("CONT\t{id}\t{response}\n")
}

/// What the service says of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// A challenge, in base64.
    More(String),
    /// Who it is.
    Good(Option<String>),
    Bad {
        name: Option<String>,
        reason: Option<String>,
        /// It could not tell.
        temporary: bool,
    },
}

/// Reads a line about conversation `id`; None: it is about something else.
pub fn reply(line: &str, id: u32) -> Option<Reply> {
    let mut words = line.split('\t');
    let kind = words.next()?;
    if words.next()?.parse() != Ok(id) {
        return None;
    }
    let rest: Vec<&str> = words.collect();
    let value = |name: &str| rest.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(unescaped);
    match kind {
        "CONT" => Some(Reply::More(rest.first().copied().unwrap_or_default().to_owned())),
        "OK" => Some(Reply::Good(value("user"))),
        "FAIL" => Some(Reply::Bad { name: value("user"), reason: value("reason"), temporary: rest.contains(&"temp") }),
        _ => None,
    }
}

/// Tabs and line ends are written with a byte 1 before a letter.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\u{1}' => match letters.next() {
                Some('0') => '\0',
                Some('1') => '\u{1}',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('n') => '\n',
                Some(other) => other,
                None => break,
            },
            other => other,
        });
    }
    out
}

/// Whether a text can be base64; what is behind it is the service's matter.
pub fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_service() {
        assert_eq!(greeting("VERSION\t1\t2"), Greeting::Other);
        assert_eq!(greeting("VERSION\t2\t0"), Greeting::Stranger("2".into()));
        let Greeting::Mechanism(plain) = greeting("MECH\tPLAIN\tplaintext") else { panic!() };
        assert!(plain.has("PLAINTEXT") && !plain.has("active"));
        assert_eq!(reply("OK\t7\tuser=a\u{1}tb\tx=y", 7), Some(Reply::Good(Some("a\tb".into()))));
        assert_eq!(reply("OK\t8\tuser=a", 7), None);
        assert_eq!(reply("CONT\t7\tUGFzcw==", 7), Some(Reply::More("UGFzcw==".into())));
        let bad = Reply::Bad { name: Some("toto".into()), reason: None, temporary: true };
        assert_eq!(reply("FAIL\t7\tuser=toto\ttemp", 7), Some(bad));
        for strange in ["", "OK", "OK\t", "WHAT\t7", "FAIL\tx", "OK\t7777777777777"] {
            assert_eq!(reply(strange, 7), None, "{strange}");
        }
        assert!(is_base64("AGFiYw==") && !is_base64("a\tb") && !is_base64("!"));
    }
}
