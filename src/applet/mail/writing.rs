//! Commands that write letters: mail, the replies, the follow-ups.

use super::command::Line;
use super::compose::Outcome;
use super::escapes::compose_about;
use super::filing::{field, header_block};
use super::letter::{Attachment, Letter};
use super::msglist::{self, Scope};
use super::session::{Done, Next, Session, Trouble};
use super::show;
use super::threads;
use crate::message::address::{self, Address};
use crate::message::{charset, date, header};

pub fn mail(session: &mut Session, line: &Line) -> Done {
    let mut letter = Letter::default();
    letter.put("To", &super::recipients::joined(session, &line.words)?);
    if letter.header("To").is_none() && session.interactive() {
        session.screen.flush()?;
        if let super::input::Event::Line(line) = session.input.line("To: ", "", false)? {
            letter.put("To", String::from_utf8_lossy(&line).trim());
        }
    }
    let had_recipients = letter.header("To").is_some();
    let outcome = compose_about(session, letter, None, true);
    if !had_recipients && !matches!(outcome, Ok(Outcome::Sent)) && !session.interactive() {
        // A script that wrote to nobody goes no further.
        if let Err(trouble) = outcome {
            session.tell(trouble)?;
        }
        session.exit = 1;
        return Ok(Next::Exit);
    }
    outcome.map(|_| Next::Go)
}

/// To the sender and all recipients.
pub fn reply(session: &mut Session, line: &Line) -> Done {
    if session.variables.is_set("flipr") { to_senders(session, line) } else { to_all(session, line) }
}

/// To the senders only.
pub fn reply_sender(session: &mut Session, line: &Line) -> Done {
    if session.variables.is_set("flipr") { to_all(session, line) } else { to_senders(session, line) }
}

fn to_all(session: &mut Session, line: &Line) -> Done {
    let chosen = msglist::choose(session, line.typed, &line.words, Scope::Living)?;
    let [index] = chosen.as_slice() else {
        return Err(session.trouble("Can't reply to multiple messages at once", &[]));
    };
    let block = header_block(session, *index)?;
    let mut to = senders(session, *index, &block);
    if session.variables.is_set("metoo") && !session.is_of_another_flavour() {
        to.retain(|one| !session.is_own(one));
    }
    let to_sender = !to.is_empty();
    to.extend(others(session, &block, "To"));
    // An answer to a letter of one's own goes to its recipients; in mailutils to oneself too.
    if session.is_of_another_flavour() && to.iter().any(|one| !session.is_own(one)) {
        to.retain(|one| !session.is_own(one));
    }
    let cc = others(session, &block, "Cc");
    answer(session, *index, &block, (to, to_sender), cc)
}

fn to_senders(session: &mut Session, line: &Line) -> Done {
    let chosen = msglist::choose(session, line.typed, &line.words, Scope::Living)?;
    let first = header_block(session, chosen[0])?;
    let mut to = Vec::new();
    for &index in &chosen {
        if !session.there(index)? {
            continue;
        }
        let block = header_block(session, index)?;
        to.extend(senders(session, index, &block));
        show::mark_shown(session, index);
    }
    let done = answer(session, chosen[0], &first, (to, true), Vec::new());
    if let (Some(open), Some(&last)) = (&mut session.open, chosen.last()) {
        open.go(last);
    }
    done
}

/// As reply, recorded in the file of the sender.
pub fn followup(session: &mut Session, line: &Line) -> Done {
    recorded(session, line, to_all)
}

/// To the senders of all the messages, recorded in the file of the first.
pub fn followup_all(session: &mut Session, line: &Line) -> Done {
    recorded(session, line, to_senders)
}

fn recorded(session: &mut Session, line: &Line, with: fn(&mut Session, &Line) -> Done) -> Done {
    session.record_by_address = true;
    let done = with(session, line);
    session.record_by_address = false;
    done
}

/// Whom an answer goes to: those in the first of the `sender` fields that names anybody, a group without members does not.
pub fn senders(session: &Session, index: usize, block: &[u8]) -> Vec<Address> {
    let named = |name: &String| field(block, name).and_then(|value| address::parse(&value).ok());
    let mut fields = session.sender_fields.iter().filter_map(named);
    fields.find(|all| !all.is_empty()).unwrap_or_else(|| envelope_sender(session, index))
}

fn envelope_line(session: &Session, index: usize) -> Vec<u8> {
    let line = session.open.as_ref().and_then(|open| open.mbox.from_line(open.mbox.messages().get(index)?).ok());
    line.unwrap_or_default()
}

fn envelope_sender(session: &Session, index: usize) -> Vec<Address> {
    address::parse(&date::from_line_sender(&envelope_line(session, index))).unwrap_or_default()
}

/// The recipients of the message that an answer goes to. POSIX leaves out oneself unless `metoo` is set; mailutils does so
/// when it is set, and its users count on their copies. What `alternates` names is left out in both.
fn others(session: &Session, block: &[u8], name: &str) -> Vec<Address> {
    let all = field(block, name).and_then(|value| address::parse(&value).ok()).unwrap_or_default();
    let me_too = session.variables.is_set("metoo");
    let goes = |one: &Address| match session.is_of_another_flavour() {
        true => me_too || !(session.is_own(one) || session.is_alternate(one)),
        false => !(me_too && session.is_own(one) || session.is_alternate(one)),
    };
    all.into_iter().filter(goes).collect()
}

/// `forward [msglist] address...`, as s-nail and heirloom mailx have it: the messages go along whole, below what is
/// written.
pub fn forward(session: &mut Session, line: &Line) -> Done {
    let is_list = |word: &&String| word.starts_with(|c: char| c.is_ascii_digit() || "*.^$:/{!".contains(c));
    let count = line.words.iter().take_while(is_list).count();
    let (list, addresses) = line.words.split_at(count);
    if addresses.is_empty() {
        return Err(session.trouble("No recipients specified", &[]));
    }
    let chosen = msglist::choose(session, line.typed, list, Scope::Living)?;
    let mut letter = Letter::default();
    letter.put("To", &super::recipients::joined(session, addresses)?);
    for &index in &chosen {
        if !session.there(index)? {
            continue;
        }
        let content = show::raw(session, index)?;
        if letter.header("Subject").is_none() {
            let old = field(&header_block(session, index)?, "Subject").unwrap_or_default();
            letter.put("Subject", &format!("Fwd: {}", charset::decode_words(old.as_bytes())));
        }
        letter.attachments.push(Attachment {
            content,
            name: None,
            file_name: None,
            content_type: Some("message/rfc822".into()),
            encoding: Some("8bit".into()),
        });
        show::mark_shown(session, index);
    }
    letter.drop_empty_text = true;
    compose_about(session, letter, chosen.first().copied(), false)?;
    Ok(Next::Go)
}

/// `to`: the recipients, and whether whom it answers is the first of them.
fn answer(session: &mut Session, index: usize, block: &[u8], to: (Vec<Address>, bool), cc: Vec<Address>) -> Done {
    let names = session.variables.is_set("fullnames");
    let list = |all: Vec<Address>, host: &str, whole: bool| {
        // A name alone is what this machine calls somebody; beside whom is answered it gets its domain.
        let local = |one: &Address| one.name.is_none() && !one.mailbox.contains('@');
        if let [one] = all.as_slice()
            && local(one)
        {
            return one.mailbox.clone();
        }
        let mut seen: Vec<String> = Vec::new();
        let fresh: Vec<Address> = all
            .into_iter()
            .map(|one| if whole || !local(&one) { one.qualified(host) } else { one })
            .filter(|one| {
                let new = !seen.iter().any(|known| known.eq_ignore_ascii_case(&one.mailbox));
                seen.push(one.mailbox.clone());
                new
            })
            .map(|one| Address {
                name: one.name.filter(|_| names).map(|name| charset::decode_words(name.as_bytes()).into_owned()),
                ..one
            })
            .collect();
        let shown = |one: &Address| if local(one) { one.mailbox.clone() } else { one.to_string() };
        fresh.iter().map(shown).collect::<Vec<_>>().join(",")
    };
    let host = session.host.clone();
    let (to, cc) = (list(to.0, &host, to.1), list(cc, &host, false));
    let mut letter = Letter::default();
    letter.put("To", &to);
    letter.put("Cc", &cc);
    let old = subject_as_written(block);
    let had_subject = header::find(block, "Subject").is_some();
    let prefix = session.variables.text("replyprefix").unwrap_or_default();
    let already = old.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    if had_subject {
        letter.put("Subject", "");
        letter.add_folded("Subject", &if already { old } else { format!("{prefix}{old}") });
    }
    for (name, value) in letter.headers().to_vec() {
        // A person reads it; a program gets what will be sent.
        let value = if session.screen.terminal { charset::decode_words(value.as_bytes()).into_owned() } else { value };
        session.screen.message(format!("{name}: {value}\n").as_bytes())?;
    }
    session.screen.line(if had_subject { "" } else { "Subject: \n" })?;
    let date = field(block, "Date").unwrap_or_else(|| date::from_line_rest(&envelope_line(session, index)));
    let your = format!("Your message of {date}");
    let id = field(block, "Message-Id");
    letter.put_folded("In-Reply-To", &[Some(your.as_str()), id.as_deref()].into_iter().flatten().collect::<Vec<_>>());
    let before = [header::find(block, "References"), header::find(block, "In-Reply-To")];
    let before = before.into_iter().flatten().map(|value| threads::ids(&value)).find(|ids| !ids.is_empty());
    let mut references: Vec<Vec<u8>> = before.unwrap_or_default();
    references.extend(threads::ids(id.unwrap_or_default().as_bytes()));
    // A thread of thousands keeps its first and its last ones.
    if references.len() > 2 {
        let mut length = 0;
        let fits = |id: &&Vec<u8>| {
            length += id.len() + 1;
            length <= 900
        };
        let last = references.iter().skip(1).rev().take_while(fits).count().max(1);
        references.drain(1..references.len() - last);
    }
    if !references.is_empty() {
        letter.put("References", &String::from_utf8_lossy(&references.join(&b' ')));
    }
    show::mark_shown(session, index);
    let outcome = compose_about(session, letter, Some(index), false)?;
    if outcome == Outcome::Sent
        && let Ok(open) = session.opened()
        && let Some(state) = open.states.get_mut(index)
    {
        state.answered = true;
    }
    Ok(Next::Go)
}

/// With its folds and its last blanks; decoded, and then in one line, where it has encoded words.
fn subject_as_written(block: &[u8]) -> String {
    let Some(subject) = header::fields(block).find(|field| field.is("Subject")) else { return String::new() };
    if !subject.value.is_ascii() || memchr::memmem::find(subject.value, b"=?").is_some() {
        return field(block, "Subject").unwrap_or_default();
    }
    let text = String::from_utf8_lossy(subject.raw).replace('\r', "");
    text.split_once(':').map_or("", |(_, value)| value).trim_start_matches(' ').trim_end_matches('\n').to_owned()
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Trouble {
        Trouble::Say(text.to_owned())
    }
}
