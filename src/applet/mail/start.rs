//! Starting: the start-up files, then a mailbox that is opened, listed, printed, counted or read.

use super::session::{self, Next, Session, Trouble};
use super::wishes::Wishes;
use super::{command, folder, msglist, settings, show, summary};
use crate::exit::Exit;
use crate::message::{charset, header};
use std::path::Path;

/// Start-up files, then -E.
pub fn start_up(session: &mut Session, wishes: &Wishes) -> Result<(), Trouble> {
    session.starting = true;
    if !wishes.no_rc {
        settings::read_file(session, Path::new("/etc/mail.rc"))?;
    }
    let own = session.setting("MAILRC");
    if !own.is_empty() {
        settings::read_file(session, Path::new(&own))?;
    }
    session.starting = false;
    // Nobody sits there to be asked, or to turn pages.
    if !session.interactive() {
        for name in ["ask", "askcc", "askbcc", "crt"] {
            session.variables.unset(name);
        }
    }
    for line in &wishes.commands {
        if let Err(trouble) = command::run_line(session, line) {
            session.tell(trouble)?
        }
    }
    Ok(())
}

/// A mailbox.
pub fn read(session: &mut Session, operands: &[String], wishes: &Wishes) -> Result<Exit, Trouble> {
    if operands.len() > 1 {
        return Err(session.trouble("-f requires at most one command line argument", &[]));
    }
    let named = wishes
        .file
        .as_ref()
        .map(|file| if file.is_empty() { operands.first().cloned().unwrap_or_default() } else { file.clone() });
    let path = match (&named, &wishes.user) {
        (Some(name), _) if !name.is_empty() => folder::path_of(session, name)?,
        (Some(_), _) => folder::mbox_path(session),
        (None, Some(user)) => folder::system_mailbox(session, Some(user)),
        (None, None) => folder::system_mailbox(session, None),
    };
    let own = named.is_none() && wishes.user.is_none();
    match folder::open(session, &path) {
        Ok(open) => session.open = Some(open),
        Err(Trouble::Say(sentence)) => {
            // mbox is made when something is saved: until then it is empty, not missing.
            let absent_mbox = named.as_deref() == Some("") && !path.exists();
            if !absent_mbox {
                session.complain(&sentence);
            }
            if own {
                no_mail(session)?;
            } else {
                let shown = if absent_mbox { path.to_string_lossy().into_owned() } else { String::new() };
                let line = session.texts.count(0, "\"{}\": {} message", "\"{}\": {} messages", &[&shown, "0"]);
                session.screen.line(&line)?;
            }
            return Ok(Exit::FAIL);
        }
        Err(other) => return Err(other),
    }
    let count = session.open.as_ref().map_or(0, session::OpenBox::count);
    if wishes.count {
        session.screen.line(&count.to_string())?;
        return Ok(Exit::OK);
    }
    if count == 0 && wishes.exist {
        return Ok(Exit::FAIL);
    }
    if count == 0 && !session.variables.is_set("emptystart") {
        if own {
            no_mail(session)?;
        } else {
            let line = summary::mailbox_line(session);
            session.screen.line(&line)?;
        }
        return Ok(Exit::FAIL);
    }
    if wishes.exist {
        return Ok(Exit::OK);
    }
    let all: Vec<usize> = (0..count).collect();
    if wishes.headers {
        if let Some(open) = &mut session.open {
            open.cursor = 0;
        }
        if wishes.json {
            json(session)?
        } else {
            summary::print(session, &all)?
        }
        return Ok(Exit::OK);
    }
    if wishes.print {
        for index in all {
            let text = show::render(session, &msglist::Chosen { index, part: Vec::new() }, show::Manner::Chosen)?;
            session.screen.message(&text)?;
        }
        return Ok(Exit::OK);
    }
    greet(session)?;
    match command::converse(session)? {
        Next::Go | Next::Quit | Next::Exit => Ok(Exit(session.exit)),
    }
}

/// The mailbox's line and its first summary.
pub fn greet(session: &mut Session) -> Result<(), Trouble> {
    if !session.variables.is_set("header") {
        return Ok(());
    }
    let line = summary::mailbox_line(session);
    session.screen.line(&line)?;
    let page = summary::screenful(session);
    summary::print(session, &page)
}

fn no_mail(session: &mut Session) -> Result<(), Trouble> {
    let user = session.account.name.to_string_lossy().into_owned();
    let line = session.texts.say("No mail for {}", &[&user]);
    Ok(session.screen.line(&line)?)
}

/// `--json -H`: an object a message.
fn json(session: &mut Session) -> Result<(), Trouble> {
    let Some(open) = &session.open else { return Ok(()) };
    for (index, message) in open.mbox.messages().iter().enumerate() {
        let block = open.mbox.header(message, 64 * 1024)?;
        let field = |name: &str| header::find(&block, name).map(|value| charset::decode_words(&value));
        let object = serde_json::json!({
            "number": index + 1,
            "from": field("From"),
            "to": field("To"),
            "subject": field("Subject"),
            "date": field("Date"),
            "message_id": field("Message-Id"),
            "lines": message.lines,
            "size": message.size(),
            "new": open.is_new(index),
            "read": open.is_read(index),
        });
        session.screen.line(&object.to_string())?;
    }
    Ok(())
}
