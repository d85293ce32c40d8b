//! Writing a letter: prompts, lines, interrupts, and sending it. Escapes work only for a person at a terminal (or when
//! asked for), because a text that comes through a pipe is not ours to obey (CVE-2021-32749).

use super::escapes::{self, After};
use super::folder;
use super::input::Event;
use super::letter::{Letter, Stamp};
use super::mailer::{self, Mailer, Passage, Refusal};
use super::recipients;
use super::record;
use super::secrets;
use super::session::{Session, Trouble};
use crate::message::address;
use crate::message::date;
use crate::sys::files;
use std::path::PathBuf;

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
        if !session.variables.is_set(variable) || (header == "Subject" && letter.subject_given) {
            continue;
        }
        match session.input.line(&format!("{header}: "), "", false)? {
            // What the command line gave stays where nothing else is said.
            Event::Line(line) if line.trim_ascii().is_empty() => {}
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
    if !manner.for_nobody && !recipients::any(&letter) {
        return Err(session.trouble("No recipients specified", &[]));
    }
    let mistake = recipients::check(session, &mut letter, true)?;
    let mistaken = mistake.is_some();
    match mistake {
        Some(mistake) if manner.for_nobody => return Err(mistake),
        Some(mistake) => session.tell(mistake)?,
        None => {}
    }
    if letter.body.is_empty() {
        if manner.skip_empty && letter.attachments.is_empty() {
            return Ok(Outcome::Sent);
        }
        if !session.variables.is_set("nullbody") {
            return Ok(Outcome::Failed);
        }
        let say = session.variables.text("nullbodymsg").unwrap_or_default();
        if !say.is_empty() && !letter.is_standard_input {
            let say = session.texts.say(&say, &[]);
            session.complain(&say);
        }
    }
    check_attached(session, &letter)?;
    let first = recipients::FIELDS.iter().filter_map(|name| letter.header(name));
    let first = match first.filter_map(|value| address::parse(value).ok()?.into_iter().next()).next() {
        Some(first) => first,
        // To nobody: that was asked for, or the mistake was told.
        None if manner.for_nobody || mistaken => return Ok(Outcome::Sent),
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
    let program = sendmail_program(session);
    let chosen = match chosen_sender(session, &letter) {
        Ok(chosen) => chosen,
        Err(refusal) => return Ok(refused(session, letter, &last, &refusal, &program)),
    };
    let sender = chosen.clone().unwrap_or_else(|| session.own_address());
    // An instance of its own configuration knows itself what its users are called.
    let own_instance = std::env::var_os("MAIL_CONFIG").is_some();
    session.screen.flush()?;
    let mut passage = Passage {
        letter: &message,
        sender: (!own_instance).then(|| sender.clone()),
        chosen,
        options: session.sendmail_arguments.clone(),
        shell: session.setting("SHELL"),
        host: session.host.clone(),
        account: None,
    };
    let verbose = session.variables.is_set("verbose");
    let handed = Mailer::parse(&program, session.is_of_another_flavour()).and_then(|mailer| {
        if let Mailer::Smtp(server) = &mailer {
            // A server does not know who calls it.
            passage.sender = Some(sender.clone());
            passage.account = secrets::for_sending(session, server)?;
        }
        mailer.send(&passage, &mut |step| {
            if verbose {
                session.complain(step)
            }
        })
    });
    if let Err(refusal) = handed {
        return Ok(refused(session, letter, &last, &refusal, &program));
    }
    record::keep(session, &sender, &first, &message);
    Ok(Outcome::Sent)
}

/// Whether all that was to be attached could be read.
pub fn check_attached(session: &Session, letter: &Letter) -> Result<(), Trouble> {
    match &letter.unreadable {
        Some(place) => {
            let reason = session.texts.say("Bad file descriptor", &[]);
            Err(session.trouble("cannot attach {}: {}", &[place, &reason]))
        }
        None => Ok(()),
    }
}

/// Says why a letter did not leave, and keeps it.
fn refused(
    session: &mut Session,
    mut letter: Letter,
    last: &[(&str, String)],
    refusal: &Refusal,
    program: &str,
) -> Outcome {
    for sentence in refusal.sentences(session.texts, program) {
        session.complain(&sentence);
    }
    for (name, value) in last {
        letter.put(name, value);
    }
    dead_letter(session, &letter);
    Outcome::Failed
}

/// The sender that was asked for: by `-r`, which sets `return-address`, or in the letter's header.
fn chosen_sender(session: &Session, letter: &Letter) -> Result<Option<String>, Refusal> {
    const MALFORMED: &str = "Malformed email address";
    // A comment alone is no address, and nothing at all is none.
    let parse = |text: &str| match address::parse(text) {
        Ok(all) if all.is_empty() && text.contains('(') => Err(MALFORMED),
        Ok(all) if all.is_empty() => Err("Empty address list"),
        Ok(all) => Ok(all),
        Err(_) => Err(MALFORMED),
    };
    if let Some(text) = session.variables.text("return-address").filter(|text| !text.is_empty()) {
        let all = parse(&text).map_err(|reason| Refusal::Sender(reason.into()))?;
        if all.len() > 1 {
            return Err(Refusal::End("Not a valid sender address".into()));
        }
        return Ok(all.into_iter().next().map(|one| one.mailbox));
    }
    let mut found = None;
    for name in ["From", "Return-Path"] {
        let Some(text) = letter.header(name) else { continue };
        // "A b@c" names nobody; "toto titi" and "a@b c@d" name the first.
        let first = first_word(text);
        let all = parse(text)
            .or_else(|reason| if text.contains('@') == first.contains('@') { parse(first) } else { Err(reason) });
        let all = all.map_err(|reason| Refusal::End(reason.into()))?;
        found = all.into_iter().next().map(|one| one.qualified(&session.host).mailbox).or(found);
    }
    Ok(found)
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// $SENDMAIL where nobody set the variable.
fn sendmail_program(session: &Session) -> String {
    let value = session.variables.text("sendmail").unwrap_or_default();
    if value == mailer::DEFAULT {
        return std::env::var("SENDMAIL").ok().filter(|value| !value.is_empty()).unwrap_or(value);
    }
    value
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
