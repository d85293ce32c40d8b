//! mail's variables: the table of those it knows, and the values. Unknown ones are kept too: scripts of other mails
//! set theirs.

use std::collections::{BTreeMap, BTreeSet};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Yes,
    Number(i64),
    Text(String),
}

/// What `variable` says about one.
pub struct Known {
    /// Its names, the first one the real one.
    pub names: &'static [&'static str],
    pub kind: &'static str,
    pub read_only: bool,
    pub about: &'static str,
}

const fn known(names: &'static [&'static str], kind: &'static str, about: &'static str) -> Known {
    Known { names, kind, read_only: false, about }
}

const fn fixed(names: &'static [&'static str], kind: &'static str, about: &'static str) -> Known {
    Known { names, kind, read_only: true, about }
}

/// The variables that mean something here.
pub const KNOWN: &[Known] = &[
    fixed(&["append"], "boolean", "what goes to mbox goes to its end"),
    known(&["appenddeadletter"], "boolean", "letters given up are added to dead.letter"),
    known(&["askbcc"], "boolean", "ask for blind copies before the text"),
    known(&["askcc"], "boolean", "ask for copies before the text"),
    known(&["ask", "asksub"], "boolean", "ask for the subject before the text"),
    known(&["autoinc"], "boolean", "show mail that arrives meanwhile"),
    known(&["autoprint"], "boolean", "delete shows the next message, as dp does"),
    known(&["bang"], "boolean", "! in a shell command stands for the last one"),
    known(&["charset"], "string", "character set of what is shown"),
    known(&["cmd"], "string", "command of a pipe without one"),
    known(&["columns"], "numeric", "width of the screen"),
    known(
        &["crt"],
        "numeric or boolean",
        "longer texts go through the pager; without a number: longer than the screen",
    ),
    known(&["datefield"], "boolean", "dates in summaries are those of Date:, not of the From_ line"),
    known(&["dot"], "boolean", "a line of one dot ends the text"),
    known(&["editheaders"], "boolean", "the editor shows the header too"),
    known(&["emptystart"], "boolean", "an empty mailbox is opened all the same"),
    known(&["escape"], "string", "character that begins an escape while composing"),
    known(&["flipr"], "boolean", "reply and Reply change places"),
    known(&["folder"], "string", "directory of the folders"),
    known(&["fromfield"], "boolean", "senders in summaries are those of From:, not of the From_ line"),
    known(&["fullnames"], "boolean", "replies keep the names of the recipients"),
    fixed(&["gnu-last-command"], "string", "the last shell command"),
    known(&["header"], "boolean", "summary at the start"),
    known(&["headline"], "string", "format of a summary line"),
    known(&["hold"], "boolean", "what was read stays in the system mailbox"),
    known(&["ignore"], "boolean", "interrupts are ignored while composing"),
    known(&["ignoreeof"], "boolean", "end of file does not end the program"),
    known(&["indentprefix"], "string", "what ~m puts before each line"),
    fixed(&["keep"], "boolean", "an empty system mailbox stays as a file"),
    known(&["keepsave"], "boolean", "what was saved stays in the system mailbox too"),
    known(&["mime"], "boolean", "every letter gets MIME headers"),
    known(&["metamail"], "boolean", "parts of messages are decoded when shown"),
    known(
        &["metoo"],
        "boolean",
        "replies leave out oneself; in the flavours of bsd-mailx and s-nail: go to oneself too",
    ),
    fixed(&["mode"], "string", "what the program does"),
    known(&["nullbody"], "boolean", "letters without text are sent"),
    known(&["nullbodymsg"], "string", "what is said about a letter without text"),
    known(&["outfilename"], "string", "file of Save and of -F: local, domain, email"),
    known(&["outfolder"], "string or boolean", "directory of the records"),
    known(&["page"], "boolean", "a form feed ends each message in a pipe"),
    known(&["prompt"], "string", "what stands before a command"),
    known(&["quit"], "boolean", "interrupts end the program"),
    known(&["rc"], "boolean", "the system's start-up file is read"),
    known(&["readonly"], "boolean", "mailboxes are not changed"),
    known(&["record"], "string", "file that keeps what was sent"),
    known(&["recursivealiases"], "boolean", "aliases of aliases are followed"),
    known(&["regex"], "boolean", "/text/ in message lists is a pattern"),
    known(&["replyprefix"], "string", "what stands before the subject of a reply"),
    known(&["return-address"], "string", "address that bounces of letters go to"),
    known(&["save"], "boolean", "letters given up are kept in dead.letter"),
    known(&["screen"], "numeric", "height of the screen"),
    known(&["sendmail"], "string", "what takes letters: sendmail:PATH, prog:PATH, smtp://HOST, |COMMAND"),
    known(&["sign"], "string", "text that ~a puts in"),
    known(&["Sign"], "string", "file that ~A puts in"),
    known(&["showenvelope"], "boolean", "print shows the From_ line"),
    known(&["showto"], "boolean", "summaries show the recipient of one's own letters"),
    known(&["threads"], "boolean", "summaries show answers below what they answer"),
    known(&["toplines"], "numeric", "lines that top shows"),
    known(&["useragent", "xmailer"], "boolean", "letters name the program"),
    known(&["variable-strict", "varstrict"], "boolean", "only known variables can be set"),
    known(&["verbose"], "boolean", "tell what the delivery does"),
    fixed(&["PID"], "string", "number of this process"),
];

const DEFAULT_HEADLINE: &str = "%>%a%4m %18f %16d %3L/%-5o %s";

/// The values.
pub struct Variables {
    values: BTreeMap<String, Value>,
    taken_back: BTreeSet<String>,
    headline: String,
    folder: Option<String>,
}

impl Variables {
    /// What is set before any start-up file.
    pub fn new(columns: i64, screen: i64) -> Variables {
        let mut values = BTreeMap::new();
        for name in [
            "append",
            "ask",
            "askcc",
            "autoinc",
            "crt",
            "fromfield",
            "fullnames",
            "header",
            "keep",
            "metamail",
            "nullbody",
            "rc",
            "recursivealiases",
            "regex",
            "save",
            "useragent",
        ] {
            values.insert(name.to_owned(), Value::Yes);
        }
        for (name, text) in [
            ("charset", "auto"),
            ("escape", "~"),
            ("headline", DEFAULT_HEADLINE),
            ("indentprefix", "\t"),
            ("mode", "read"),
            ("nullbodymsg", "Null message body; hope that's ok"),
            ("outfilename", "local"),
            ("prompt", "? "),
            ("replyprefix", "Re: "),
        ] {
            values.insert(name.to_owned(), Value::Text(text.to_owned()));
        }
        values.insert("sendmail".to_owned(), Value::Text(super::mailer::DEFAULT.to_owned()));
        values.insert("PID".to_owned(), Value::Text(std::process::id().to_string()));
        for (name, number) in [("columns", columns), ("screen", screen), ("toplines", 5)] {
            values.insert(name.to_owned(), Value::Number(number));
        }
        let headline = DEFAULT_HEADLINE.to_owned();
        Variables { values, taken_back: BTreeSet::new(), headline, folder: None }
    }

    pub fn is_set(&self, name: &str) -> bool {
        // 0 is no.
        self.values.get(real_name(name)).is_some_and(|value| *value != Value::Number(0))
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.values.get(real_name(name))? {
            Value::Yes => Some(String::new()),
            // Nothing, where a text is wanted.
            Value::Number(0) if known_as(name).is_some_and(|known| known.kind == "string") => Some(String::new()),
            Value::Number(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.clone()),
        }
    }

    /// The last format of summaries that was one.
    pub fn headline(&self) -> &str {
        &self.headline
    }

    /// The last directory of folders that was one.
    pub fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        match self.values.get(real_name(name))? {
            Value::Yes => None,
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
        }
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(real_name(name))
    }

    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(real_name(name).to_owned(), value);
    }

    pub fn unset(&mut self, name: &str) {
        // A summary without lines helps nobody.
        if ["headline", "outfilename"].contains(&name) {
            return;
        }
        self.values.remove(real_name(name));
    }

    /// One word of `set`: name, name=value, noname. The error is a sentence and the name in it.
    pub fn assign(&mut self, word: &str) -> Result<(), (&'static str, String)> {
        if let Some(name) = word.strip_prefix("no").filter(|_| !word.contains('=') && known_as(word).is_none()) {
            self.check(name, None)?;
            if !name.is_empty() {
                self.unset(name);
                self.taken_back.insert(real_name(name).to_owned());
            }
            return Ok(());
        }
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        // What looks like a number is one, whatever the variable is for; so is nothing.
        let number = value.and_then(|value| if value.is_empty() { Some(0) } else { value.parse().ok() });
        let value = match (value, number) {
            (None, _) => Value::Yes,
            (Some(_), Some(number)) => Value::Number(number),
            (Some(text), _) => Value::Text(text.to_owned()),
        };
        self.check(name, Some(&value))?;
        let text = match &value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        match (name, text) {
            ("escape", Some(text)) if text.chars().count() > 1 => {
                return Err(("escape value must be a single character", String::new()));
            }
            ("outfilename", Some(text)) if !["local", "domain", "email"].contains(&text) => {
                return Err(("unsupported value for {}", name.to_owned()));
            }
            ("decode-fallback", Some(text)) if !["none", "copy-pass", "copy-octal"].contains(&text) => {
                return Err(("Incorrect value for decode-fallback", String::new()));
            }
            ("folder", Some(text)) if !text.is_empty() => self.folder = Some(text.to_owned()),
            // Summaries go on as they were.
            ("headline", Some(text)) => self.headline = text.to_owned(),
            ("columns", _) if !matches!(value, Value::Number(_)) => return Ok(()),
            _ => {}
        }
        if !name.is_empty() {
            self.taken_back.remove(real_name(name));
            self.set(name, value);
        }
        Ok(())
    }

    /// With `variable-strict`: only names that are known, only values of their kind.
    fn check(&self, name: &str, value: Option<&Value>) -> Result<(), (&'static str, String)> {
        if !self.is_set("variable-strict") {
            return Ok(());
        }
        let Some(known) = known_as(name) else { return Ok(()) };
        let fits = match value {
            None => true,
            Some(Value::Yes) => known.kind.contains("boolean"),
            Some(Value::Number(_)) => known.kind.contains("numeric"),
            Some(Value::Text(_)) => known.kind.contains("string"),
        };
        if fits { Ok(()) } else { Err(("Wrong type for {}", name.to_owned())) }
    }

    /// Whether `variable-strict` has a word to say about this name.
    pub fn is_strange(&self, word: &str) -> bool {
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        let name = if known_as(name).is_none() { name.strip_prefix("no").unwrap_or(name) } else { name };
        self.is_set("variable-strict") && known_as(name).is_none()
    }

    /// Whether `set noNAME` said so.
    pub fn was_taken_back(&self, name: &str) -> bool {
        self.taken_back.contains(real_name(name))
    }

    /// The lines that `set` prints.
    pub fn listing(&self) -> Vec<String> {
        self.values
            .iter()
            .map(|(name, value)| match value {
                Value::Yes => name.clone(),
                Value::Number(number) => format!("{name}={number}"),
                Value::Text(text) if name == "PID" => format!("{name}={text}"),
                Value::Text(text) => format!("{name}=\"{text}\""),
            })
            .collect()
    }
}

fn known_as(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.names.contains(&name))
}

fn real_name(name: &str) -> &str {
    known_as(name).map_or(name, |known| known.names[0])
}
