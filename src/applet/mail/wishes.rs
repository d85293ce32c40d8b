//! What the options ask for: a letter with its header and its attachments, and wishes about reading.

use super::escapes;
use super::letter::{self, Attachment, Letter};
use super::options::{self, Asked, What};
use super::session::{Session, Trouble};
use super::variables::Value;
use std::path::Path;

/// What is done with a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Read,
    /// `-e`.
    Exist,
    /// `-H`.
    Headers,
    /// `-p`.
    Print,
}

/// What the options ask for besides a letter's content.
#[derive(Default)]
pub struct Wishes {
    pub file: Option<String>,
    pub user: Option<String>,
    /// What is done with the mailbox; the last one asked for.
    pub mode: Mode,
    pub count: bool,
    /// List only messages that hold this.
    pub search: Option<String>,
    pub json: bool,
    pub to: bool,
    /// An option of letters was given.
    pub sending: bool,
    pub no_rc: bool,
    pub skip_empty: bool,
    pub commands: Vec<String>,
}

/// Applies the options in their order.
pub fn settle(session: &mut Session, asked: &Asked, letter: &mut Letter) -> Result<Wishes, Trouble> {
    let mut wishes = Wishes::default();
    let (mut kind, mut encoding): (Option<String>, Option<String>) = (None, None);
    let (mut name, mut file_name): (Option<String>, Option<String>) = (None, None);
    // Attachments that are what stands on standard input.
    let mut from_input = 0;
    for (what, value) in &asked.options {
        match what {
            What::Subject => {
                letter.put("Subject", value);
                letter.subject_given = true;
                wishes.sending = true;
            }
            What::Cc => letter.put("Cc", &joined(letter.header("Cc"), value)),
            What::Bcc => letter.put("Bcc", &joined(letter.header("Bcc"), value)),
            What::AppendOrAttach if options::is_header(value) => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                let is_list = ["To", "Cc", "Bcc"].iter().any(|known| known.eq_ignore_ascii_case(name));
                if let Some(old) =
                    letter.header(name).map(str::to_owned).filter(|_| is_list && !value.trim().is_empty())
                {
                    // One list, however many options it came in.
                    letter.put(name, "");
                    letter.add(name, &joined(Some(&old), value.trim_start()));
                } else if !value.trim().is_empty() {
                    letter.add(name, value.trim_start());
                }
            }
            // A file that is away would be missed in the letter; whoever meant a header meant another one.
            What::AppendOrAttach if !Path::new(value).exists() && value.contains('/') => {
                let flavours = "-a {}: a header line in mailutils and bsd-mailx, a file in s-nail, and this is neither";
                return Err(session.trouble(flavours, &[value]));
            }
            What::AppendOrAttach if !Path::new(value).is_file() => {
                wishes.sending = true;
                let say = session.texts.say("Invalid header: {}", &[value]);
                session.complain(&say);
            }
            What::Attach | What::AppendOrAttach | What::AttachDescriptor => {
                let descriptor = *what == What::AttachDescriptor;
                if descriptor && value.parse::<u32>().is_err() {
                    return Err(session.trouble("{}: bad descriptor", &[value]));
                }
                if descriptor && !is_readable(value) {
                    wishes.sending = true;
                    letter.unreadable = Some(format!("fd {value}"));
                    continue;
                }
                let path = if descriptor { format!("/dev/fd/{value}") } else { value.clone() };
                if Path::new(&path).is_dir() {
                    return Err(session.trouble("{}: not a regular file or FIFO", &[value]));
                }
                let content = escapes::read_limited(Path::new(&path)).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => session.trouble("{}: file does not exist", &[value]),
                    _ => Trouble::Say(format!("{value}: {}", session.texts.reason(&error))),
                })?;
                let base = Path::new(value).file_name().map(|base| base.to_string_lossy().into_owned());
                let base = base.filter(|_| *what != What::AttachDescriptor);
                from_input += usize::from(path == "/dev/fd/0");
                letter.attachments.push(Attachment {
                    content,
                    name: name.take().or_else(|| file_name.clone()).or_else(|| base.clone()),
                    content_type: kind.clone().or_else(|| type_by_name(value)),
                    file_name: file_name.take().or(base),
                    encoding: encoding.clone(),
                });
            }
            What::Text => {
                wishes.sending = true;
                let text = escapes::read_limited(Path::new(value));
                letter.body =
                    text.map_err(|error| Trouble::Say(format!("{value}: {}", session.texts.reason(&error))))?;
            }
            What::ContentType => kind = Some(value.clone()),
            What::Encoding => encoding = Some(value.clone()),
            What::ContentName => name = Some(value.clone()),
            What::ContentFileName => file_name = Some(value.clone()),
            What::Alternative(on) => letter.alternative = *on,
            What::Mime(on) => letter.mime = *on,
            What::SkipEmpty(_) if value == "letter" => wishes.skip_empty = true,
            What::SkipEmpty(on) => letter.skip_empty_attachments = *on,
            What::Exec => wishes.commands.push(value.clone()),
            What::Exist => wishes.mode = Mode::Exist,
            What::Headers => wishes.mode = Mode::Headers,
            What::Print => wishes.mode = Mode::Print,
            What::Count => wishes.count = true,
            What::Json => wishes.json = true,
            What::Search => wishes.search = Some(value.clone()),
            What::File => wishes.file = Some(value.clone()),
            What::User => wishes.user = Some(value.clone()),
            What::To => {
                wishes.to = true;
                wishes.sending = true;
            }
            What::NoRc => {
                wishes.no_rc = true;
                session.variables.unset("rc");
            }
            // After the start-up files, so that these do not undo the command line.
            What::ByName => {
                wishes.sending = true;
                wishes.commands.push("set record=".into());
            }
            What::IgnoreInterrupts => wishes.commands.push("set ignore".into()),
            What::NoSummary => wishes.commands.push("set noheader".into()),
            What::Quit => wishes.commands.push("set quit".into()),
            What::ReadOnly => wishes.commands.push("set readonly".into()),
            What::Verbose => wishes.commands.push("set verbose".into()),
            What::ReturnAddress => {
                wishes.sending = true;
                // Of what is no address, the first word.
                let whole = crate::message::address::parse(value).is_ok();
                let address = if whole { value } else { value.split_whitespace().next().unwrap_or_default() };
                session.variables.set("return-address", Value::Text(letter::one_line(address)));
            }
            What::Variable => {
                // In s-nail, whose option this is, a path is a program that is called as sendmail.
                let value = match value.split_once('=') {
                    Some(("sendmail" | "mta", path)) if path.starts_with('/') => &format!("sendmail=sendmail:{path}"),
                    _ => value,
                };
                if let Err((english, name)) = session.variables.assign(value) {
                    return Err(session.trouble(english, &[&name]));
                }
            }
            What::Tilde | What::Interactive => session.escapes = true,
            // Answered or done before, or nothing at all.
            What::Help | What::Usage | What::Version | What::BuildOptions | What::Nothing => {}
            What::ConfigFile | What::ConfigHelp | What::ConfigLint | What::ConfigVerbose | What::DebugLevel => {}
            What::NoConfig | What::NoSiteConfig | What::NoUserConfig | What::Set => {}
        }
    }
    const ENCODINGS: [&str; 5] = ["7bit", "8bit", "binary", "base64", "quoted-printable"];
    if encoding.as_ref().is_some_and(|name| !ENCODINGS.contains(&name.to_ascii_lowercase().as_str())) {
        if !letter.attachments.is_empty() {
            let name = encoding.unwrap_or_default();
            return Err(session.trouble("unsupported encoding: {}", &[&name]));
        }
        let reason = session.texts.say("Requested item not found", &[]);
        return Err(session.trouble("cannot attach {}: {}", &["(body)", &reason]));
    }
    letter.is_standard_input = from_input > 0;
    // Nothing else than what came that way: there is no text beside it.
    letter.drop_empty_text |=
        letter.is_standard_input && from_input == letter.attachments.len() && !letter.mime && kind.is_none();
    letter.content_type = kind;
    letter.encoding = encoding;
    Ok(wishes)
}

/// Whether this process may read from its descriptor of this number.
fn is_readable(descriptor: &str) -> bool {
    let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")) else { return false };
    let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_none_or(|flags| flags & 0o3 != 1)
}

fn joined(old: Option<&str>, more: &str) -> String {
    old.map_or_else(|| more.to_owned(), |old| format!("{old},{more}"))
}

/// Types that every reader knows by the end of the name; texts stay a stream of bytes, as the original sends them.
fn type_by_name(name: &str) -> Option<String> {
    const TYPES: &[(&str, &str)] = &[
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("zip", "application/zip"),
        ("gz", "application/gzip"),
    ];
    let end = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == end).map(|&(_, kind)| kind.to_owned())
}

/// Recipients, or the file of -f; what followed "--" in the old way goes to sendmail.
pub fn operands(session: &mut Session, asked: &Asked) -> Vec<String> {
    let mut operands = asked.operands.clone();
    let Some(at) = asked.after_dashes.filter(|at| *at > 0) else { return operands };
    let after = operands.split_off(at);
    let mut words = after.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-f" | "-r" => {
                if let Some(sender) = words.next() {
                    session.variables.set("return-address", Value::Text(letter::one_line(&sender)));
                }
            }
            "-F" => session.sendmail_arguments.extend(words.next().map(|name| format!("-F{name}"))),
            _ => match word.strip_prefix("-f").or_else(|| word.strip_prefix("-r")) {
                Some(sender) => session.variables.set("return-address", Value::Text(letter::one_line(sender))),
                None => operands.push(word),
            },
        }
    }
    operands
}
