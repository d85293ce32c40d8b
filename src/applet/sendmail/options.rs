//! sendmail's command line. It is read twice, as the reference reads it: for -C, so that the configuration and its log
//! are known; then for everything. A wrong option is therefore complained of twice.

use super::super::cli::{Getopt, Opt, OptError};
use super::super::voice::Voice;
use super::{Invocation, refuse};
use crate::conf::MainCf;
use crate::exit::Failure;
use crate::message::verp;
use crate::queue::file::notify;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Of Postfix 3.7.
const OPTIONS: &str = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";
/// Longest -V; it is part of every notice.
const MAX_ENVELOPE_ID: usize = 100;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Deliver,
    ListQueue,
    RebuildAliases,
    Smtp,
    Flush(Flush),
    Daemon,
    /// -bh, -bH, -q15m: accepted, and there is nothing to do.
    Nothing,
}

/// What -q asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flush {
    All,
    Message(String),
    Site(String),
}

/// Whether the sender asked for a report of what becomes of the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    None,
    /// -v
    Record,
    /// -bv
    Verify,
}

/// What the options mean.
pub struct Submission {
    pub mode: Mode,
    /// -oA
    pub aliases: Option<String>,
    pub sender: Option<String>,
    pub full_name: Option<String>,
    pub extract: bool,
    pub dots_are_text: bool,
    pub notify: u32,
    pub ret: u32,
    pub envelope_id: String,
    /// "8bit", "7bit"
    pub encoding: Option<&'static str>,
    /// The two characters of -XV.
    pub verp: Option<String>,
    pub gateway: bool,
    pub trace: Trace,
    pub recipients: Vec<String>,
}

/// What stands on the command line: options, and the spellings that are older than getopt.
enum Item {
    Option(Opt),
    Wrong(OptError),
    /// "-q" alone.
    FlushAll,
    /// "-XV", with the delimiters if they are given; the warning that the spelling deserves.
    Verp(Option<String>, Option<String>),
}

struct Line<'a> {
    words: Getopt<'a>,
    /// The first reading knows no deprecated -V: it takes the word behind it for its value.
    first: bool,
}

impl Iterator for Line<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let old = self.words.word().and_then(|word| old_spelling(word, self.words.word_after()));
        if let Some(item) = old.filter(|item| !(self.first && matches!(item, Item::Verp(_, Some(_))))) {
            self.words.pass();
            return Some(item);
        }
        Some(self.words.next()?.map_or_else(Item::Wrong, Item::Option))
    }
}

fn old_spelling(word: &OsStr, after: Option<&OsStr>) -> Option<Item> {
    let word = word.to_string_lossy();
    let deprecated = || format!("option {word} is deprecated with Postfix 2.3; specify -X{} instead", &word[1..]);
    match word.as_ref() {
        "-q" => Some(Item::FlushAll),
        "-XV" => Some(Item::Verp(None, None)),
        // An envelope id of two bytes was a pair of delimiters once.
        "-V" if after.is_some_and(|after| after.len() == 2) => Some(Item::Verp(None, Some(deprecated()))),
        glued if glued.starts_with("-V") && glued.len() == 4 => {
            Some(Item::Verp(Some(glued[2..].to_owned()), Some(deprecated())))
        }
        _ => None,
    }
}

/// The first reading: what -C says. A main.cf is taken for its directory, and anything else for a directory.
pub fn configuration(call: &Invocation) -> Option<PathBuf> {
    let mut found = None;
    for item in (Line { words: Getopt::new(OPTIONS, &call.args), first: true }) {
        match item {
            Item::Wrong(error) => error.say(&call.program),
            Item::Option(Opt { letter: 'C', value }) => found = value.map(PathBuf::from),
            _ => {}
        }
    }
    found.map(|path| match path.file_name() {
        None => PathBuf::from("/"),
        Some(name) if name == "main.cf" => path.parent().map(PathBuf::from).unwrap_or_default(),
        Some(_) => path,
    })
}

/// The second reading.
pub fn parse(call: &Invocation, cf: &MainCf, voice: &Voice) -> Result<Submission, Failure> {
    let mut wanted = Submission {
        mode: match call.name.as_str() {
            "mailq" => Mode::ListQueue,
            "newaliases" => Mode::RebuildAliases,
            _ => Mode::Deliver,
        },
        aliases: None,
        sender: None,
        full_name: None,
        extract: false,
        dots_are_text: false,
        notify: 0,
        ret: 0,
        envelope_id: String::new(),
        encoding: None,
        verp: None,
        gateway: false,
        trace: Trace::None,
        recipients: Vec::new(),
    };
    let mut asked = Asked::default();
    let mut line = Line { words: Getopt::new(OPTIONS, &call.args), first: false };
    for item in line.by_ref() {
        match item {
            Item::Wrong(error) => {
                error.say(&call.program);
                return Err(refuse(format!("usage: {} [options]", call.program)));
            }
            Item::FlushAll if wanted.mode == Mode::Daemon => voice.warning("ignoring -q option in daemon mode"),
            Item::FlushAll => wanted.mode = Mode::Flush(Flush::All),
            Item::Verp(delimiters, warning) => {
                warning.iter().for_each(|text| voice.warning(text));
                wanted.verp = Some(match delimiters {
                    Some(delimiters) => verp_pair(cf, &delimiters)?,
                    None => cf.default_verp_delimiters(),
                });
            }
            Item::Option(Opt { letter, value }) => {
                let text = value.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
                wanted.option(letter, text, &mut asked, cf, voice)?;
            }
        }
    }
    wanted.recipients = line.words.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    wanted.settle(asked)?;
    Ok(wanted)
}

/// What -q, -v and -bv ask for, until it is known whether they go together with the rest.
#[derive(Default)]
struct Asked {
    site: Option<String>,
    message: Option<String>,
    interval: bool,
    verbose: u32,
    verify: bool,
}

impl Asked {
    /// Says so behind a -v.
    fn ignore(&self, option: std::fmt::Arguments<'_>, voice: &Voice) {
        if self.verbose > 0 {
            voice.info(format!("-{option} option ignored"));
        }
    }
}

impl Submission {
    fn option(
        &mut self,
        letter: char,
        text: String,
        asked: &mut Asked,
        cf: &MainCf,
        voice: &Voice,
    ) -> Result<(), Failure> {
        let first = text.chars().next();
        let unsupported = || refuse(format!("unsupported: -{letter}{}", first.map(String::from).unwrap_or_default()));
        match letter {
            'B' => {
                self.encoding = Some(match text.as_str() {
                    "8BITMIME" => "8bit",
                    "7BIT" => "7bit",
                    _ => return Err(refuse("-B option needs 8BITMIME or 7BIT")),
                });
            }
            'F' => self.full_name = Some(text),
            'G' => self.gateway = true,
            'I' => self.mode = Mode::RebuildAliases,
            'N' => {
                self.notify = notify_bits(&text, voice);
                if self.notify == 0 {
                    voice.warning("bad -N option value -- ignored");
                }
            }
            'R' => {
                self.ret = ["full", "hdrs"]
                    .iter()
                    .position(|name| text.eq_ignore_ascii_case(name))
                    .map_or(0, |at| at as u32 + 1);
                if self.ret == 0 {
                    voice.warning("bad -R option value -- ignored");
                }
            }
            'V' if text.len() > MAX_ENVELOPE_ID => voice.warning("too long -V option value -- ignored"),
            'V' if text.is_empty() || text.bytes().any(|byte| !matches!(byte, b' '..=b'~')) => {
                voice.warning("bad syntax in -V option value -- ignored");
            }
            'V' => self.envelope_id = text,
            'X' => match text.strip_prefix('V') {
                Some(delimiters) => self.verp = Some(verp_pair(cf, delimiters)?),
                None => return Err(unsupported()),
            },
            'b' => match first {
                Some('d' | 'l') => {
                    if matches!(self.mode, Mode::Flush(_)) {
                        voice.warning("ignoring -q option in daemon mode");
                    }
                    self.mode = Mode::Daemon;
                }
                Some('h' | 'H') => self.mode = Mode::Nothing,
                Some('i') => self.mode = Mode::RebuildAliases,
                Some('m') => self.mode = Mode::Deliver,
                Some('p') => self.mode = Mode::ListQueue,
                Some('s') => self.mode = Mode::Smtp,
                Some('v') => asked.verify = true,
                _ => return Err(unsupported()),
            },
            'f' | 'r' => self.sender = Some(text),
            'i' => self.dots_are_text = true,
            'n' => return Err(refuse("-n option not supported")),
            'o' => match (first, text.get(1..)) {
                (Some('A'), None | Some("")) => return Err(refuse("-oA requires pathname")),
                (Some('A'), Some(name)) => self.aliases = Some(name.to_owned()),
                (Some('i'), _) => self.dots_are_text = true,
                (Some('m' | '7' | '8'), _) => {}
                (first, _) => asked.ignore(format_args!("o{}", first.map(String::from).unwrap_or_default()), voice),
            },
            'q' => match first {
                Some('0'..='9') => asked.interval = true,
                Some('R') if text.len() > 1 => asked.site = Some(text[1..].to_owned()),
                Some('R') => return Err(refuse("specify: -qRsitename")),
                Some('I') if text.len() > 1 => asked.message = Some(text[1..].to_owned()),
                Some('I') => return Err(refuse("specify: -qIqueueid")),
                other => return Err(refuse(format!("-q{} is not implemented", other.unwrap_or('\0')))),
            },
            't' => self.extract = true,
            'v' => asked.verbose += 1,
            // The first reading's.
            'C' => {}
            other => asked.ignore(format_args!("{other}"), voice),
        }
        Ok(())
    }

    /// Options that do not go together, and operands where there may be none.
    fn settle(&mut self, asked: Asked) -> Result<(), Failure> {
        let delivers = self.mode == Mode::Deliver;
        if self.extract && !delivers {
            return Err(refuse("-t can be used only in delivery mode"));
        }
        if asked.site.is_some() && !delivers {
            return Err(refuse("-qR can be used only in delivery mode"));
        }
        if asked.message.is_some() && !delivers {
            return Err(refuse("-qI can be used only in delivery mode"));
        }
        if asked.verify {
            let together =
                [(self.extract, "t"), (self.notify != 0, "N"), (self.ret != 0, "R"), (asked.verbose == 1, "v")];
            if let Some((_, letter)) = together.iter().find(|(given, _)| *given) {
                return Err(refuse(format!("-{letter} option cannot be used with -bv")));
            }
            self.trace = Trace::Verify;
        } else if asked.verbose == 1 && delivers {
            // More of them mean that this program is to talk of itself.
            self.trace = Trace::Record;
        }
        if asked.interval && self.mode != Mode::Daemon {
            self.mode = Mode::Nothing;
            return Ok(());
        }
        if let Some(site) = asked.site {
            self.mode = Mode::Flush(Flush::Site(site));
        } else if let Some(id) = asked.message {
            self.mode = Mode::Flush(Flush::Message(id));
        }
        let alone = match &self.mode {
            Mode::Deliver | Mode::Nothing => return Ok(()),
            Mode::ListQueue => "display queue mode",
            Mode::RebuildAliases => "alias initialization mode",
            Mode::Smtp => "stand-alone mode",
            Mode::Daemon => "daemon mode",
            Mode::Flush(Flush::All) => "flush queue mode",
            Mode::Flush(Flush::Site(_)) => "flush site",
            Mode::Flush(Flush::Message(_)) => "flush queue_id",
        };
        if self.recipients.is_empty() { Ok(()) } else { Err(refuse(format!("{alone} requires no recipient"))) }
    }
}

fn verp_pair(cf: &MainCf, delimiters: &str) -> Result<String, Failure> {
    let filter = cf.verp_delimiter_filter();
    if verp::is_valid(delimiters, &filter) {
        return Ok(delimiters.to_owned());
    }
    Err(refuse(format!("-V requires two characters from {filter}")))
}

/// RFC 3461 NOTIFY; 0 when it is none: an unknown word, or "never" together with others.
fn notify_bits(text: &str, voice: &Voice) -> u32 {
    let mut bits = 0;
    for word in text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        bits |= match word.to_ascii_lowercase().as_str() {
            "never" => notify::NEVER,
            "success" => notify::SUCCESS,
            "failure" => notify::FAILURE,
            "delay" => notify::DELAY,
            _ => {
                voice.warning(format!("unknown DSN NOTIFY command value \"{word}\" in \"{text}\""));
                return 0;
            }
        };
    }
    if bits & notify::NEVER != 0 && bits != notify::NEVER { 0 } else { bits }
}
