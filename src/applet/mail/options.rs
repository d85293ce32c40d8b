//! The command line: mailutils' options, and those of bsd-mailx and s-nail that scripts pass. What the three understand
//! differently is settled by the value: `-a 'Name: value'` is a header and `-a FILE` a file to attach; `-E 'set x'` runs
//! a command and `-E` before anything else refuses empty letters.

use super::command;
use super::texts::Texts;
use crate::exit::{Exit, Failure};
use std::ffi::OsString;
use std::path::Path;

/// What one option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Attach,
    AppendOrAttach,
    AttachDescriptor,
    Alternative(bool),
    Bcc,
    ByName,
    Cc,
    ConfigFile,
    ConfigHelp,
    ConfigLint,
    ConfigVerbose,
    ContentFileName,
    ContentName,
    ContentType,
    Count,
    DebugLevel,
    Encoding,
    Exec,
    Exist,
    File,
    Headers,
    Help,
    IgnoreInterrupts,
    Interactive,
    Json,
    Mime(bool),
    NoConfig,
    NoRc,
    NoSiteConfig,
    NoSummary,
    NoUserConfig,
    Nothing,
    Print,
    Quit,
    /// A file that the text begins with.
    Text,
    ReadOnly,
    ReturnAddress,
    Search,
    Set,
    SkipEmpty(bool),
    Subject,
    To,
    Tilde,
    Usage,
    User,
    Variable,
    Verbose,
    Version,
    BuildOptions,
}

/// Whether a value follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    No,
    Yes,
    /// Only as `--name=value`.
    Maybe,
}

pub(super) struct Opt {
    pub(super) letter: char,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
    what: What,
    /// Its value's name and what it does; empty: not in the help.
    pub(super) help: (&'static str, &'static str),
}

impl Opt {
    /// As it is written behind the long name.
    pub(super) fn value(&self) -> String {
        match self.takes {
            Takes::Yes => format!("={}", self.help.0),
            Takes::Maybe => format!("[={}]", self.help.0),
            Takes::No => String::new(),
        }
    }
}

const fn opt(
    letter: char,
    long: &'static str,
    takes: Takes,
    what: What,
    value: &'static str,
    help: &'static str,
) -> Opt {
    Opt { letter, long, takes, what, help: (value, help) }
}

use Takes::{Maybe, No, Yes};

/// All options; '\0' is no letter, "" no long name.
pub(super) const OPTIONS: &[Opt] = &[
    opt('A', "attach", Yes, What::Attach, "FILE", "attach FILE"),
    opt(
        'a',
        "append",
        Yes,
        What::AppendOrAttach,
        "HEADER: VALUE",
        "add the header line, or attach the file of that name",
    ),
    opt('\0', "alternative", No, What::Alternative(true), "", "make the parts alternatives of each other"),
    opt('\0', "no-alternative", No, What::Alternative(false), "", ""),
    opt('\0', "attach-fd", Yes, What::AttachDescriptor, "FD", "attach what the descriptor holds"),
    opt('b', "bcc", Yes, What::Bcc, "LIST", "blind copies to LIST"),
    opt('c', "cc", Yes, What::Cc, "LIST", "copies to LIST"),
    opt('\0', "content-filename", Yes, What::ContentFileName, "NAME", "file name of the next attachment"),
    opt('\0', "content-name", Yes, What::ContentName, "NAME", "name of the next attachment"),
    opt('\0', "content-type", Yes, What::ContentType, "TYPE", "content type of what follows"),
    opt('\0', "count", No, What::Count, "", "print the number of messages and exit"),
    opt('E', "exec", Yes, What::Exec, "COMMAND", "run COMMAND first; before another option: send no empty letter"),
    opt('e', "exist", No, What::Exist, "", "exit with 0 if there is mail"),
    opt('\0', "encoding", Yes, What::Encoding, "NAME", "transfer encoding of what follows"),
    opt('F', "byname", No, What::ByName, "", "keep a copy in a file named after the recipient"),
    opt('f', "file", Maybe, What::File, "FILE", "read FILE, or mbox"),
    opt('H', "headers", No, What::Headers, "", "print the summary and exit"),
    opt('i', "ignore", No, What::IgnoreInterrupts, "", "ignore interrupts"),
    opt('\0', "json", No, What::Json, "", "with -H: one JSON object a line"),
    opt('M', "mime", No, What::Mime(true), "", "always write MIME headers"),
    opt('\0', "no-mime", No, What::Mime(false), "", ""),
    opt('N', "nosum", No, What::NoSummary, "", "no summary at the start"),
    opt('n', "norc", No, What::NoRc, "", "do not read the system's start-up file"),
    // Hidden in mailutils, too, but in the way of abbreviations.
    opt('\0', "program-name", Yes, What::Nothing, "", ""),
    opt('p', "print", No, What::Print, "", "print all messages and exit"),
    opt('\0', "read", No, What::Print, "", ""),
    opt('q', "quit", No, What::Quit, "", "interrupts end the program"),
    opt('r', "return-address", Yes, What::ReturnAddress, "ADDRESS", "sender of the letter for bounces"),
    opt('s', "subject", Yes, What::Subject, "SUBJECT", "send a letter with this subject"),
    opt('\0', "skip-empty-attachments", No, What::SkipEmpty(true), "", "leave out attachments without content"),
    opt('\0', "no-skip-empty-attachments", No, What::SkipEmpty(false), "", ""),
    opt('t', "to", No, What::To, "", "take the recipients from the letter's header"),
    opt('u', "user", Yes, What::User, "USER", "read USER's mailbox"),
    opt('S', "set-variable", Yes, What::Variable, "NAME[=VALUE]", "set a variable"),
    opt('R', "read-only", No, What::ReadOnly, "", "do not change the mailbox"),
    opt('~', "enable-tilde", No, What::Tilde, "", "tilde escapes in text that is not typed"),
    opt('I', "interactive", No, What::Interactive, "", "as at a terminal: prompts and escapes"),
    opt('v', "verbose", No, What::Verbose, "", "tell what happens to the letter"),
    opt('d', "debug", No, What::Nothing, "", ""),
    opt('\0', "debug-level", Yes, What::DebugLevel, "LEVEL", ""),
    opt('\0', "debug-line-info", No, What::Nothing, "", ""),
    opt('\0', "no-debug-line-info", No, What::Nothing, "", ""),
    opt('\0', "config-file", Yes, What::ConfigFile, "FILE", ""),
    opt('\0', "config-help", No, What::ConfigHelp, "", ""),
    opt('\0', "config-lint", No, What::ConfigLint, "", ""),
    opt('\0', "config-verbose", No, What::ConfigVerbose, "", ""),
    opt('\0', "no-config", No, What::NoConfig, "", ""),
    opt('\0', "no-site-config", No, What::NoSiteConfig, "", ""),
    opt('\0', "no-user-config", No, What::NoUserConfig, "", ""),
    opt('\0', "search", Yes, What::Search, "TEXT", "list the messages that hold TEXT, or a message list, and exit"),
    opt('\0', "set", Yes, What::Set, "PARAM=VALUE", ""),
    opt('\0', "show-config-options", No, What::BuildOptions, "", ""),
    opt('?', "help", No, What::Help, "", "show this help"),
    opt('\0', "usage", No, What::Usage, "", "show the options in short"),
    opt('V', "version", No, What::Version, "", "show the version"),
];

/// What was asked, in order.
#[derive(Debug, Default)]
pub struct Asked {
    pub options: Vec<(What, String)>,
    pub operands: Vec<String>,
    /// Where "--" stood among the operands.
    pub after_dashes: Option<usize>,
}

/// Reads the command line; options and operands may be mixed, as getopt_long allows.
pub fn parse(args: &[OsString], texts: Texts) -> Result<Asked, Failure> {
    let mut asked = Asked::default();
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut at = 0;
    while at < args.len() {
        let arg = &args[at];
        at += 1;
        if arg == "--" {
            asked.after_dashes = Some(asked.operands.len());
            asked.operands.extend_from_slice(&args[at..]);
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            at += self::long(long, args.get(at), &mut asked, texts)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            at += letters(arg, args.get(at), &mut asked, texts)?;
        } else {
            asked.operands.push(arg.clone());
        }
        // These are answered at once, whatever follows.
        if asked.options.last().is_some_and(|(what, _)| {
            matches!(what, What::Help | What::Usage | What::Version | What::BuildOptions | What::ConfigHelp)
        }) {
            break;
        }
    }
    Ok(asked)
}

/// `--name`, `--name=value`, `--name value`, abbreviated. Returns how many more words were used.
fn long(text: &str, next: Option<&String>, asked: &mut Asked, texts: Texts) -> Result<usize, Failure> {
    let fails = |english: &str, name: &str| Failure::new(Exit::FAIL, texts.say(english, &[&format!("--{name}")]));
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let exact = OPTIONS.iter().find(|option| option.long == name);
    let option = match exact.map_or_else(|| abbreviated(name), |option| vec![option]).as_slice() {
        [option] => *option,
        [] => return Err(fails("unrecognized option '{}'", text)),
        several => {
            let mut say = texts.say("option '{}' is ambiguous; possibilities:", &[&format!("--{name}")]);
            for option in several {
                say.push_str(&format!("\n--{}", option.long));
            }
            return Err(Failure::new(Exit::FAIL, say));
        }
    };
    match (option.takes, value) {
        (Takes::No, Some(value)) if !value.is_empty() => {
            Err(fails("option '{}' doesn't allow an argument", positive(option.long)))
        }
        (Takes::No, _) | (Takes::Maybe, None) => {
            asked.options.push((option.what, String::new()));
            Ok(0)
        }
        (_, Some(value)) if !value.is_empty() || !needs_more(option.what) => {
            asked.options.push((option.what, value.to_owned()));
            Ok(0)
        }
        (Takes::Yes | Takes::Maybe, _) => {
            let value = next.ok_or_else(|| fails("option '{}' requires an argument", option.long))?;
            asked.options.push((option.what, value.clone()));
            Ok(1)
        }
    }
}

/// Nothing is no value of these: the next word is.
fn needs_more(what: What) -> bool {
    matches!(what, What::ConfigFile | What::Set | What::DebugLevel | What::AttachDescriptor)
}

/// Options that mailutils does not have are not in the way of its abbreviations.
const OURS: [&str; 11] = [
    "bcc",
    "cc",
    "count",
    "debug",
    "enable-tilde",
    "interactive",
    "json",
    "read-only",
    "search",
    "set-variable",
    "verbose",
];

/// The name without the "no-" that turns an option off.
pub(super) fn positive(long: &str) -> &str {
    long.strip_prefix("no-").filter(|rest| OPTIONS.iter().any(|option| option.long == *rest)).unwrap_or(long)
}

/// Those that a shortened name may mean, by name. What is turned off by "no-" is meant only by what begins with it.
fn abbreviated(name: &str) -> Vec<&'static Opt> {
    let fits = |option: &&Opt| {
        !option.long.is_empty()
            && option.long.starts_with(name)
            && (positive(option.long) == option.long || name.starts_with("no-"))
    };
    let (ours, mut found): (Vec<&Opt>, Vec<&Opt>) =
        OPTIONS.iter().filter(fits).partition(|option| OURS.contains(&option.long));
    if found.is_empty() {
        found = ours;
    }
    found.sort_by_key(|option| positive(option.long));
    found
}

/// `-x`, `-xy`, `-xVALUE`, `-x VALUE`.
fn letters(arg: &str, next: Option<&String>, asked: &mut Asked, texts: Texts) -> Result<usize, Failure> {
    let fails = |english: &str, letter: char| Failure::new(Exit::FAIL, texts.say(english, &[&format!("-{letter}")]));
    let characters = arg[1..].char_indices();
    for (index, letter) in characters {
        let option = OPTIONS.iter().find(|option| option.letter == letter && letter != '\0');
        let Some(option) = option else { return Err(fails("unrecognized option '{}'", letter)) };
        let glued = &arg[1 + index + letter.len_utf8()..];
        if option.what == What::Exec
            && !is_command(if glued.is_empty() { next.map_or("", String::as_str) } else { glued })
        {
            asked.options.push((What::SkipEmpty(true), "letter".to_owned()));
            continue;
        }
        if glued.is_empty()
            && let Some(value) = next
            && let Some(what) = as_in_s_nail(letter, value)
        {
            asked.options.push((what, value.clone()));
            return Ok(1);
        }
        if option.takes != Takes::Yes {
            asked.options.push((option.what, String::new()));
            // "-fFILE" is bsd-mailx's and s-nail's way.
            let is_file = !glued.starts_with('=') && !glued.bytes().all(|byte| byte.is_ascii_alphabetic());
            if option.what == What::File && is_file {
                if let Some(last) = asked.options.last_mut() {
                    last.1 = glued.to_owned();
                }
                return Ok(0);
            }
            continue;
        }
        if !glued.is_empty() {
            asked.options.push((option.what, glued.to_owned()));
            return Ok(0);
        }
        let value = next.ok_or_else(|| fails("option '{}' requires an argument", letter))?;
        asked.options.push((option.what, value.clone()));
        return Ok(1);
    }
    Ok(0)
}

/// `-M TYPE` and `-q FILE`: what follows is no recipient, and mailutils takes no value there.
fn as_in_s_nail(letter: char, value: &str) -> Option<What> {
    const KINDS: [&str; 7] = ["text", "application", "image", "audio", "video", "message", "multipart"];
    match letter {
        'M' => value.split_once('/').filter(|(kind, _)| KINDS.contains(kind)).map(|_| What::ContentType),
        'q' => (value.contains('/') && Path::new(value).is_file()).then_some(What::Text),
        _ => None,
    }
}

/// Whether -E's value is a command of mail, and not the next word of a line of bsd-mailx or s-nail.
fn is_command(value: &str) -> bool {
    let word = value.split_whitespace().next().unwrap_or_default();
    let many = value.trim().contains(char::is_whitespace);
    !value.starts_with('-') && (many || command::find(word).is_some() || value.starts_with(['!', '#']))
}

/// Whether -a's value is a header line.
pub fn is_header(value: &str) -> bool {
    let name = value.split(':').next().unwrap_or_default();
    value.contains(':')
        && !name.is_empty()
        && name.bytes().all(|byte| (33..=126).contains(&byte))
        && !Path::new(value).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &[&str]) -> Asked {
        let args: Vec<OsString> = line.iter().map(OsString::from).collect();
        parse(&args, Texts::from_environment()).unwrap()
    }

    #[test]
    fn the_three_dialects_of_one_letter() {
        assert_eq!(ask(&["-E", "set escape", "-s", "x", "a@b"]).options[0], (What::Exec, "set escape".into()));
        let bsd = ask(&["-E", "-s", "x", "a@b"]);
        assert_eq!(bsd.options, [(What::SkipEmpty(true), "letter".into()), (What::Subject, "x".into())]);
        assert_eq!(ask(&["-E", "root"]).operands, ["root"]);
        assert_eq!(ask(&["-M", "text/html", "root"]).options, [(What::ContentType, "text/html".into())]);
        assert_eq!(ask(&["-M", "root"]).options, [(What::Mime(true), String::new())]);
        assert_eq!(ask(&["-q", "/etc/passwd", "root"]).options, [(What::Text, "/etc/passwd".into())]);
        assert_eq!(ask(&["-q", "root"]).options, [(What::Quit, String::new())]);
        assert!(is_header("X-Test: 1") && is_header("From:x") && !is_header("/etc/passwd") && !is_header("no header"));
        assert_eq!(ask(&["a", "-sx", "--subj=y", "b", "--", "-f", "c"]).operands, ["a", "b", "-f", "c"]);
        assert_eq!(ask(&["-NHf", "box"]).operands, ["box"]);
    }
}
