//! `~` escapes while composing: one table, the one that `~?` prints.

use super::command;
use super::compose::{self, Manner};
use super::input::Event;
use super::letter::{Attachment, Letter};
use super::msglist::{self, Chosen, Scope};
use super::places;
use super::recipients;
use super::session::{Session, Trouble};
use super::show::{self, Manner as Show};
use std::io::Write;
use std::process::{Command, Stdio};

/// What comes after an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Go,
    /// The letter is complete.
    End,
    /// It is given up and kept as a dead letter.
    GiveUp,
}

/// Letter and arguments, as `~?` lists them.
const ESCAPES: &[(char, &str)] = &[
    ('!', "[shell-command]"),
    (':', "[mail-command]"),
    ('-', "[mail-command]"),
    ('+', "name [content-type [encoding]]"),
    ('^', "N"),
    ('/', ""),
    ('?', ""),
    ('A', ""),
    ('a', ""),
    ('b', "[bcc-list]"),
    ('c', "[cc-list]"),
    ('d', ""),
    ('e', ""),
    ('f', "[mesg-list]"),
    ('F', "[mesg-list]"),
    ('h', ""),
    ('i', "[var-name]"),
    ('l', ""),
    ('m', "[mesg-list]"),
    ('M', "[mesg-list]"),
    ('p', ""),
    ('r', "[filename]"),
    ('s', "[string]"),
    ('t', "[name-list]"),
    ('v', ""),
    ('w', "[filename]"),
    ('x', ""),
    ('|', "[shell-command]"),
];

/// A file that is read into a letter may be this large.
const FILE_LIMIT: u64 = 64 << 20;

/// Runs what follows the escape character. Troubles of an escape are told, and composing goes on.
pub fn run(session: &mut Session, letter: &mut Letter, manner: Manner, text: &str) -> Result<After, Trouble> {
    match one(session, letter, manner, text) {
        Err(trouble) => {
            session.tell(trouble)?;
            Ok(After::Go)
        }
        done => done,
    }
}

fn one(session: &mut Session, letter: &mut Letter, manner: Manner, text: &str) -> Result<After, Trouble> {
    let Some(name) = text.chars().next() else {
        return Err(session.trouble("Unfinished escape", &[]));
    };
    // A blank instead of a letter: not a word about it.
    if text.trim().is_empty() {
        return Err(session.trouble("Unfinished escape", &[]));
    }
    if name == ' ' {
        return Ok(After::Go);
    }
    let rest = &text[name.len_utf8()..];
    let glued = "!:-|<+^".contains(name);
    if !(glued || rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(session.trouble("Unknown escape {}", &[text.split_whitespace().next().unwrap_or(text)]));
    }
    let rest = rest.trim();
    let words: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    if "rwsi".contains(name) && words.is_empty() {
        return Err(session.trouble("~{} requires at least {} argument", &[&name.to_string(), "1"]));
    }
    match name {
        '.' => return Ok(After::End),
        'x' | 'q' => {
            // Kept even when there is nothing but a header to keep.
            compose::dead_letter(session, letter);
            return Ok(After::GiveUp);
        }
        '?' => {
            let list: String = ESCAPES.iter().map(|(name, arguments)| format!("{name}{arguments}\n")).collect();
            session.show_paged(list.as_bytes())?;
            go_on(session)?;
        }
        '!' => command::shell(session, rest)?,
        ':' | '-' => {
            session.screen.flush()?;
            command::run_line(session, rest)?;
        }
        's' => letter.put("Subject", rest),
        't' => add_recipients(session, letter, "To", rest)?,
        'c' => add_recipients(session, letter, "Cc", rest)?,
        'b' => add_recipients(session, letter, "Bcc", rest)?,
        'h' => ask_headers(session, letter)?,
        'p' => print(session, letter)?,
        'f' | 'F' | 'm' | 'M' => interpolate(session, letter, manner, name, &words)?,
        'a' | 'A' => sign(session, letter, name)?,
        'i' => {
            if let Some(value) = session.variables.text(rest) {
                letter.body.extend_from_slice(value.as_bytes());
                letter.body.push(b'\n');
            }
        }
        'd' => {
            let path = session.setting("DEAD");
            if let Err(error) = std::fs::File::open(&path) {
                return Err(session.trouble("Cannot open file {}: {}", &[&path, &session.texts.reason(&error)]));
            }
            read_file(session, letter, &path)?;
        }
        'r' | '<' if name == '<' && rest.starts_with('!') => {
            let output = filter(rest.trim_start_matches('!'), b"")?;
            letter.body.extend(output);
        }
        'r' | '<' if !rest.is_empty() => read_file(session, letter, rest)?,
        'w' if !rest.is_empty() => write_file(session, letter, rest)?,
        '|' => {
            session.screen.flush()?;
            let output = filter(rest, &letter.body)?;
            let (before, after) = (letter.body.len(), output.len());
            let name = words.first().map_or("", String::as_str);
            if output.is_empty() {
                let say = session.texts.say("\"|{}\" in: {} no lines out", &[name, &before.to_string()]);
                session.screen.line(&say)?;
            } else {
                session.screen.line(&format!("\"|{name}\" in: {before} out: {after}"))?;
                letter.body = output;
            }
        }
        'e' | 'v' => {
            edit(session, letter, if name == 'e' { "EDITOR" } else { "VISUAL" })?;
            go_on(session)?;
        }
        '+' => attach(session, letter, &words)?,
        'l' => list_attachments(session, letter)?,
        '^' => {
            let number: usize = rest.parse().unwrap_or(0);
            if number > 0 && number <= letter.attachments.len() {
                letter.attachments.remove(number - 1);
            }
        }
        '/' => {
            letter.alternative = !letter.alternative;
            let kind = multipart(letter);
            session.screen.line(kind)?;
        }
        _ => return Err(session.trouble("Unknown escape {}", &[text.split_whitespace().next().unwrap_or(text)])),
    }
    Ok(After::Go)
}

fn multipart(letter: &Letter) -> &'static str {
    if letter.alternative { "multipart/alternative" } else { "multipart/mixed" }
}

fn list_attachments(session: &mut Session, letter: &Letter) -> Result<(), Trouble> {
    session.screen.line(multipart(letter))?;
    if letter.attachments.is_empty() {
        let say = session.texts.say("No attachments", &[]);
        session.screen.line(&say)?;
    }
    for (number, attachment) in letter.attachments.iter().enumerate() {
        let name = format!("\"{}\"", attachment.file_name.as_deref().unwrap_or_default());
        let kind = attachment.content_type.as_deref().unwrap_or("application/octet-stream");
        let encoding = attachment.encoding.as_deref().unwrap_or("base64");
        let line = format!("{:3} {name:12} {kind:30} {encoding}\n", number + 1);
        session.screen.message(line.as_bytes())?;
    }
    Ok(())
}

fn go_on(session: &mut Session) -> Result<(), Trouble> {
    let say = session.texts.say("(continue)", &[]);
    Ok(session.screen.line(&say)?)
}

/// More recipients, separated by blanks or commas.
fn add_recipients(session: &mut Session, letter: &mut Letter, header: &str, more: &str) -> Result<(), Trouble> {
    let mut lists: Vec<String> = letter.header(header).map(str::to_owned).into_iter().collect();
    if more.contains(['"', '<', '(']) {
        lists.push(more.to_owned());
    } else {
        lists.extend(more.split([' ', ',', '\t']).filter(|word| !word.is_empty()).map(str::to_owned));
    }
    lists.iter().try_for_each(|list| recipients::written(session, list).map(drop))?;
    let text = recipients::joined(session, &lists)?;
    // Who is there already is not put in again.
    let mut seen = std::collections::HashSet::new();
    let mut all = crate::message::address::parse(&text).unwrap_or_default();
    all.retain(|one| seen.insert(one.mailbox.to_ascii_lowercase()));
    let several = lists.len() > 1;
    letter.put(header, &if several { crate::message::address::join(&all) } else { text });
    Ok(())
}

fn ask_headers(session: &mut Session, letter: &mut Letter) -> Result<(), Trouble> {
    for header in ["To", "Cc", "Bcc", "Subject"] {
        session.screen.flush()?;
        let old = letter.header(header).unwrap_or_default().to_owned();
        match session.input.line(&format!("{header}: "), &old, false)? {
            Event::Line(line) => letter.put(header, String::from_utf8_lossy(&line).trim()),
            Event::Interrupt | Event::End => session.screen.line("")?,
        }
    }
    go_on(session)
}

fn print(session: &mut Session, letter: &Letter) -> Result<(), Trouble> {
    let mut text = session.texts.say("Message contains:", &[]);
    text.push('\n');
    for (name, value) in letter.headers() {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push('\n');
    let mut text = text.into_bytes();
    text.extend_from_slice(&letter.body);
    session.show(&text)?;
    go_on(session)
}

/// `~f`, `~F` as they are, `~m`, `~M` with `indentprefix`; capitals with all fields.
fn interpolate(
    session: &mut Session,
    letter: &mut Letter,
    manner: Manner,
    name: char,
    words: &[String],
) -> Result<(), Trouble> {
    let chosen: Vec<Chosen> = match (words.is_empty(), manner.about) {
        (true, Some(index)) => vec![Chosen { index, part: Vec::new() }],
        _ => match msglist::choose_parts(session, &name.to_string(), words, Scope::Living) {
            Ok(chosen) => chosen,
            Err(trouble) if "fF".contains(name) => return Err(trouble),
            Err(trouble) => {
                session.tell(trouble)?;
                return go_on(session);
            }
        },
    };
    let how = if name.is_ascii_uppercase() { Show::Full } else { Show::Chosen };
    let prefix = session.variables.text("indentprefix").unwrap_or_default();
    for one in &chosen {
        if !session.there(one.index)? {
            continue;
        }
        let text = show::render(session, one, how)?;
        if name.eq_ignore_ascii_case(&'m') {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                letter.body.extend_from_slice(prefix.as_bytes());
                letter.body.extend_from_slice(line);
            }
        } else {
            letter.body.extend_from_slice(&text);
        }
        let say = session.texts.say("Interpolating: {}", &[&(one.index + 1).to_string()]);
        session.screen.line(&say)?;
    }
    go_on(session)
}

fn sign(session: &mut Session, letter: &mut Letter, name: char) -> Result<(), Trouble> {
    let variable = if name == 'a' { "sign" } else { "Sign" };
    let Some(value) = session.variables.text(variable).filter(|value| !value.is_empty()) else {
        return Err(session.trouble("No value set for \"{}\"", &[variable]));
    };
    letter.body.extend_from_slice(b"-- \n");
    if name == 'a' {
        letter.body.extend_from_slice(value.as_bytes());
        letter.body.push(b'\n');
        return Ok(());
    }
    read_file(session, letter, &value)
}

fn read_file(session: &mut Session, letter: &mut Letter, name: &str) -> Result<(), Trouble> {
    let path = places::path_of(session, name)?;
    let fails = |error: std::io::Error| {
        session.trouble("Cannot open {}: {}", &[&path.to_string_lossy(), &session.texts.reason(&error)])
    };
    let content = read_limited(&path).map_err(fails)?;
    let lines = memchr::memchr_iter(b'\n', &content).count();
    let line = format!("\"{}\" {lines}/{}", path.display(), content.len());
    letter.body.extend(content);
    Ok(session.screen.line(&line)?)
}

/// A whole file, within the limit.
pub fn read_limited(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_LIMIT {
        return Err(std::io::Error::from_raw_os_error(nix::libc::EFBIG));
    }
    Ok(content)
}

fn write_file(session: &mut Session, letter: &Letter, name: &str) -> Result<(), Trouble> {
    let path = places::path_of(session, name)?;
    let text = &letter.body;
    std::fs::write(&path, text)
        .map_err(|error| Trouble::Say(format!("{}: {}", path.display(), session.texts.reason(&error))))?;
    let lines = memchr::memchr_iter(b'\n', text).count();
    Ok(session.screen.line(&format!("\"{}\" {lines}/{}", path.display(), text.len()))?)
}

/// What the command makes of the text; nothing when it fails.
fn filter(command: &str, text: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut child =
        Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = child.stdin.take();
    let text = text.to_vec();
    // A filter may write before it has read all: two sides, two threads.
    let writer = std::thread::spawn(move || input.map(|mut input| input.write_all(&text)));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    Ok(if output.status.success() { output.stdout } else { Vec::new() })
}

fn edit(session: &mut Session, letter: &mut Letter, variable: &str) -> Result<(), Trouble> {
    session.screen.flush()?;
    let dir = std::env::temp_dir();
    let mut file = crate::sys::files::Replacement::create(&dir.join("mail"), 0o600)?;
    let headers = session.variables.is_set("editheaders");
    let mut text = Vec::new();
    if headers {
        for (name, value) in letter.headers() {
            text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        text.push(b'\n');
    }
    text.extend_from_slice(&letter.body);
    file.write_all(&text)?;
    let editor = session.setting(variable);
    let path = file.temporary_path().to_owned();
    let status = Command::new("/bin/sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status()?;
    if !status.success() {
        return Err(Trouble::Say(format!("{editor}: {status}")));
    }
    let text = read_limited(&path)?;
    if headers {
        let (block, body) = crate::message::header::split(&text);
        for field in crate::message::header::fields(block) {
            letter.put(
                &String::from_utf8_lossy(field.name),
                &String::from_utf8_lossy(&crate::message::header::unfold(field.value)),
            );
        }
        letter.body = body.to_vec();
    } else {
        letter.body = text;
    }
    Ok(())
}

fn attach(session: &mut Session, letter: &mut Letter, words: &[String]) -> Result<(), Trouble> {
    let Some(name) = words.first() else { return Ok(()) };
    let path = places::path_of(session, name)?;
    let content = read_limited(&path).map_err(|_| session.trouble("{}: file does not exist", &[name]))?;
    let base = path.file_name().map(|name| name.to_string_lossy().into_owned());
    letter.drop_empty_text = true;
    letter.attachments.push(Attachment {
        content,
        file_name: base.clone(),
        name: base,
        content_type: words.get(1).cloned(),
        encoding: words.get(2).cloned(),
    });
    Ok(())
}

/// For reply and forward: composing with this letter.
pub fn compose_about(
    session: &mut Session,
    letter: Letter,
    about: Option<usize>,
    ask: bool,
) -> Result<compose::Outcome, Trouble> {
    compose::compose(session, letter, Manner { ask, about, ..Manner::default() })
}
