//! Writing a letter: prompts, lines, interrupts, and sending it. Escapes work only for a person at a terminal (or when
//! asked for), because a text that comes through a pipe is not ours to obey (CVE-2021-32749).

use super::escapes::{self, After};
use super::folder;
use super::input::Event;
use super::letter::{self, Letter, Stamp};
use super::session::{Session, Trouble};
use crate::message::address::{self, Address};
use crate::message::date;
use crate::sys::files;
use std::path::{Path, PathBuf};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// Given up, refused, or not taken by sendmail.
    Failed,
}

/// How it is composed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Asks for copies and subject as the variables say.
    pub ask: bool,
    /// The text is all that stdin holds, dots and all.
    pub whole_input: bool,
    /// The message that is answered, for escapes without a list.
    pub about: Option<usize>,
    /// Refuses an empty text without a word.
    pub skip_empty: bool,
    /// A letter for nobody is no failure: the header of the text was to say for whom, and said nothing.
    pub for_nobody: bool,
}

/// Composes and sends.
pub fn compose(session: &mut Session, mut letter: Letter, manner: Manner) -> Result<Outcome, Trouble> {
    if manner.ask && session.interactive() {
        ask(session, &mut letter)?;
    }
    if manner.whole_input && !session.interactive() && !session.escapes {
        let mut text = session.input.rest()?;
        if session.variables.is_set("dot") && !manner.for_nobody {
            cut_at_dot(&mut text);
        }
        letter.body.extend(text);
        if !letter.body.is_empty() && !letter.body.ends_with(b"\n") {
            letter.body.push(b'\n');
        }
    } else if !write(session, &mut letter, manner)? {
        return Ok(Outcome::Failed);
    }
    finish(session, letter, manner)
}

/// Whoever sets `dot` means the dot, at a terminal or not.
pub fn cut_at_dot(text: &mut Vec<u8>) {
    let dot = if text.starts_with(b".\n") { Some(0) } else { memchr::memmem::find(text, b"\n.\n").map(|at| at + 1) };
    let last = text.ends_with(b"\n.").then(|| text.len() - 1);
    if let Some(end) = dot.or(last) {
        text.truncate(end);
    }
}

/// Cc, Bcc, Subject, as the variables ask for them.
fn ask(session: &mut Session, letter: &mut Letter) -> Result<(), Trouble> {
    session.screen.flush()?;
    for (variable, header) in [("askcc", "Cc"), ("askbcc", "Bcc"), ("ask", "Subject")] {
        if !session.variables.is_set(variable) || (header == "Subject" && letter.header("Subject").is_some()) {
            continue;
        }
        let old = letter.header(header).unwrap_or_default().to_owned();
        match session.input.line(&format!("{header}: "), &old, false)? {
            Event::Line(line) => letter.put(header, String::from_utf8_lossy(&line).trim()),
            Event::Interrupt => session.screen.line("")?,
            Event::End => {}
        }
        session.screen.flush()?;
    }
    Ok(())
}

/// The lines of the text; false when the letter is given up.
fn write(session: &mut Session, letter: &mut Letter, manner: Manner) -> Result<bool, Trouble> {
    // Readline's prompt that is there and shows nothing, for whoever waits for it.
    let prompt = if session.input.edits() { "" } else { " \u{8}" };
    let escape = session.variables.text("escape").and_then(|text| text.chars().next());
    let mut interrupts = 0;
    loop {
        session.screen.flush()?;
        let line = match session.input.line(prompt, "", false)? {
            Event::Line(line) => line,
            Event::End => {
                if session.variables.is_set("ignoreeof") && session.interactive() {
                    let say = session.texts.say("Use \".\" to terminate letter.", &[]);
                    session.complain(&say);
                    continue;
                }
                return Ok(true);
            }
            Event::Interrupt if session.variables.is_set("ignore") => {
                session.screen.line("@")?;
                continue;
            }
            Event::Interrupt => {
                interrupts += 1;
                if interrupts > 1 {
                    if !letter.body.is_empty() {
                        dead_letter(session, letter);
                    }
                    return Ok(false);
                }
                let say = session.texts.say("(Interrupt -- one more to kill letter)", &[]);
                session.screen.line(&format!("\n{say}"))?;
                continue;
            }
        };
        interrupts = 0;
        if line == b"." && session.variables.is_set("dot") {
            return Ok(true);
        }
        let escaped = escape
            .filter(|_| session.escapes)
            .and_then(|escape| std::str::from_utf8(&line).ok()?.strip_prefix(escape).map(str::to_owned));
        match (escaped, escape) {
            (Some(rest), Some(escape)) if rest.starts_with(escape) => {
                letter.body.extend_from_slice(rest.as_bytes());
                letter.body.push(b'\n');
            }
            (Some(rest), _) => match escapes::run(session, letter, manner, &rest)? {
                After::Go => {}
                After::End => return Ok(true),
                After::GiveUp => return Ok(false),
            },
            (None, _) => {
                letter.body.extend_from_slice(&line);
                letter.body.push(b'\n');
            }
        }
    }
}

/// Checks the recipients and the text, sends, records.
fn finish(session: &mut Session, mut letter: Letter, manner: Manner) -> Result<Outcome, Trouble> {
    if !manner.for_nobody && ["To", "Cc", "Bcc"].iter().all(|name| letter.header(name).is_none()) {
        return Err(session.trouble("No recipients specified", &[]));
    }
    if letter.body.is_empty() {
        if manner.skip_empty && letter.attachments.is_empty() {
            return Ok(Outcome::Sent);
        }
        if !session.variables.is_set("nullbody") {
            return Ok(Outcome::Failed);
        }
        let say = session.variables.text("nullbodymsg").unwrap_or_default();
        if !say.is_empty() {
            let say = session.texts.say(&say, &[]);
            session.complain(&say);
        }
    }
    let mut first = None;
    for header in ["To", "Cc", "Bcc"] {
        let Some(value) = letter.header(header).map(str::to_owned) else { continue };
        let written = recipients(session, &value)?;
        first = first.or_else(|| address::parse(&written).ok()?.into_iter().next());
        letter.put(header, &written);
    }
    let first = match first {
        Some(first) => first,
        None if manner.for_nobody => return Ok(Outcome::Sent),
        None => return Err(session.trouble("No recipients specified", &[])),
    };
    letter.begin_with(&session.send_headers);
    let now = date::now();
    let mut last = Vec::new();
    // What a caller set of these two is replaced where it stands.
    let own_agent = session.variables.is_set("useragent");
    let agent = own_agent.then(|| format!("mail (pillarbox {})", env!("CARGO_PKG_VERSION")));
    for (name, value) in [("User-Agent", agent), ("Date", Some(date::header_date(&now)))] {
        match value {
            Some(value) if letter.header(name).is_some() => letter.put(name, &value),
            Some(value) => last.push((name, value)),
            None => {}
        }
    }
    letter.mime |= session.variables.is_set("mime");
    let message = letter.render(&last, &Stamp::new(now, &session.host));
    let of_header = || {
        address::parse(letter.header("From")?).ok()?.into_iter().next().map(|one| one.qualified(&session.host).mailbox)
    };
    let chosen = session.variables.text("return-address").or_else(of_header);
    let sender = chosen.clone().unwrap_or_else(|| session.own_address());
    // An instance of its own configuration knows itself what its users are called.
    let own_instance = std::env::var_os("MAIL_CONFIG").is_some();
    let envelope = chosen.or_else(|| (!own_instance).then(|| sender.clone()));
    let program = sendmail_program(session);
    session.screen.flush()?;
    if let Err(reason) = letter::send(&program, envelope.as_deref(), &message, &session.sendmail_arguments) {
        if program.is_empty() {
            let say = session.texts.say("Variable sendmail not set: no mailer", &[]);
            session.complain(&say);
        }
        // What kind of failure it is comes first, as the original has it.
        let about = match reason.as_str() {
            "Malformed or unsupported mailer URL" => Some("Cannot create mailer: {}"),
            "Cannot execute" => Some("Sending data to {} failed: {}"),
            _ => None,
        };
        let reason = session.texts.say(&reason, &[]);
        if let Some(about) = about {
            let arguments =
                if about.starts_with("Sending") { vec![program.as_str(), &reason] } else { vec![reason.as_str()] };
            let say = session.texts.say(about, &arguments);
            session.complain(&say);
        }
        let say = session.texts.say("cannot send message: {}", &[&reason]);
        session.complain(&say);
        for (name, value) in &last {
            letter.put(name, value);
        }
        dead_letter(session, &letter);
        return Ok(Outcome::Failed);
    }
    record(session, &sender, &first, &message);
    Ok(Outcome::Sent)
}

/// $SENDMAIL where nobody set the variable.
fn sendmail_program(session: &Session) -> String {
    let value = session.variables.text("sendmail").unwrap_or_default();
    if value == super::variables::default_sendmail() {
        return std::env::var("SENDMAIL").ok().filter(|value| !value.is_empty()).unwrap_or(value);
    }
    value
}

/// An address that is none.
pub fn malformed(session: &Session, text: &str) -> Trouble {
    let reason = session.texts.say("Malformed email address", &[]);
    Trouble::Address(session.texts.say("Cannot parse address `{}': {}", &[text, &reason]))
}

/// A recipient line with its aliases followed: local names stay as they are, all else becomes `<a@b>,<c@d>`.
pub fn recipients(session: &Session, value: &str) -> Result<String, Trouble> {
    let because = |text: &str, reason: &str| {
        let reason = session.texts.say(reason, &[]);
        Trouble::Address(session.texts.say("Cannot parse address `{}': {}", &[text, &reason]))
    };
    let malformed = |text: &str| malformed(session, text);
    let mut all: Vec<Address> = Vec::new();
    // What a shell or a file name would be is no mailbox (CVE-2004-2771); refused, and that is a failure.
    let bare = |one: &str| one.trim_start_matches(['"', '<', ' ']).starts_with(['|', '/']);
    if let Some(bad) = value.split(',').map(str::trim).find(|one| bare(one)) {
        let reason = session.texts.say("Malformed email address", &[]);
        return Err(session.trouble("Cannot parse address `{}': {}", &[bad, &reason]));
    }
    let parsed = address::parse(value).ok().filter(|parsed| is_plain(value, parsed)).ok_or_else(|| malformed(value))?;
    if parsed.is_empty() && !value.trim().is_empty() {
        return Err(because(value, "Empty address list"));
    }
    for one in parsed {
        expand_alias(session, one, 0, &mut all).map_err(|text| malformed(&text))?;
    }
    // An alias may hold one too.
    if let Some(bad) = all.iter().find(|one| one.mailbox.starts_with(['|', '/'])) {
        let reason = session.texts.say("Malformed email address", &[]);
        return Err(session.trouble("Cannot parse address `{}': {}", &[&bad.mailbox, &reason]));
    }
    let written = |one: Address| {
        let local = one.name.is_none() && !one.mailbox.contains('@') && !one.mailbox.contains(' ');
        if local { one.mailbox } else { one.qualified(&session.host).to_string() }
    };
    Ok(all.into_iter().map(written).collect::<Vec<_>>().join(","))
}

/// What could be understood, and still is none of the forms that mailutils takes: local names with more than their
/// letters, two domains, empty atoms, stray separators.
fn is_plain(value: &str, parsed: &[Address]) -> bool {
    let inside = |c: char| value.contains(c);
    let group = inside(':') && inside(';');
    let local = |one: &Address| !one.mailbox.contains('@');
    (group || !(inside(':') || inside(';')) || inside('"'))
        // In a list the marks may belong to another of its members: there a name tells.
        && !(parsed.iter().any(|one| local(one) && (one.name.is_some() || parsed.len() == 1))
            && value.contains(['<', '(', '"']))
        && !parsed.iter().any(|one| {
            let unquoted = !one.mailbox.contains('"');
            unquoted
                && (one.mailbox.matches('@').count() > 1 || one.mailbox.contains("..") || one.mailbox.contains('\\'))
        })
}

/// Several lists as one: its local names get their domain, as mailutils gives it to them.
pub fn joined(session: &Session, lists: &[String]) -> Result<String, Trouble> {
    let lists: Vec<&String> = lists.iter().filter(|list| !list.trim().is_empty()).collect();
    if let [one] = lists.as_slice() {
        return Ok((*one).clone());
    }
    let mut all = Vec::new();
    for list in lists {
        let written = recipients(session, list)?;
        all.extend(address::parse(&written).unwrap_or_default());
    }
    let mut seen = std::collections::HashSet::new();
    let all: Vec<Address> = all.into_iter().map(|one| one.qualified(&session.host)).collect();
    let all: Vec<Address> = all.into_iter().filter(|one| seen.insert(one.mailbox.to_ascii_lowercase())).collect();
    Ok(address::join(&all))
}

fn expand_alias(session: &Session, one: Address, depth: usize, all: &mut Vec<Address>) -> Result<(), String> {
    let expansion = session.aliases.get(&one.mailbox).filter(|_| one.name.is_none() && depth < 20);
    let Some(expansion) = expansion else {
        all.push(one);
        return Ok(());
    };
    let follow = session.variables.is_set("recursivealiases");
    let members: Vec<&str> =
        expansion.iter().map(|member| member.trim_matches([',', ' '])).filter(|member| !member.is_empty()).collect();
    for member in address::parse(&members.join(",")).map_err(|_| members.join(","))? {
        if follow && member.mailbox != one.mailbox {
            expand_alias(session, member, depth + 1, all)?
        } else {
            all.push(member)
        }
    }
    Ok(())
}

/// Keeps a letter that was given up.
pub fn dead_letter(session: &mut Session, letter: &Letter) {
    if !session.variables.is_set("save") {
        return;
    }
    let path = PathBuf::from(session.setting("DEAD"));
    let text = folder::letter_as_mbox_message(
        &session.own_address(),
        &letter.render(&[], &Stamp::new(date::now(), &session.host)),
    );
    let kept = if session.variables.is_set("appenddeadletter") {
        crate::mailbox::append::append(&path, &text, 0o600).map_err(|error| error.to_string())
    } else {
        files::write_atomically(&path, &text, 0o600).map_err(|error| files::reason(&error))
    };
    if let Err(reason) = kept {
        session.complain(&format!("{}: {reason}", path.display()));
    }
}

/// Keeps a copy of what was sent where `record` (or -F) says.
fn record(session: &mut Session, sender: &str, first: &Address, message: &[u8]) {
    let Some(name) = session.variables.text("record") else { return };
    let name = if name.is_empty() { folder::file_by_address(session, Some(first)) } else { name };
    let folder = session.variables.is_set("outfolder").then(|| folder::folder_directory(session).ok()).flatten();
    let Ok(path) = folder::path_of(session, &name) else { return };
    let path = folder.filter(|_| path.is_relative()).map_or(path.clone(), |folder| folder.join(Path::new(&path)));
    let kept = crate::mailbox::append::append(&path, &folder::letter_as_mbox_message(sender, message), 0o600);
    if let Err(error) = kept {
        session.complain(&format!("{}: {error}", path.display()));
    }
}
